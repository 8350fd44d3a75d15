/* What the files named *_avx512.c share: the instructions they need, spelled per function. Private to engine/crypto. */
#pragma once

#include "base/attr.h"

#define FZ_AVX512_ISA    "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma"
#define FZ_AVX512        FZ_TARGET(FZ_AVX512_ISA)
/* Small functions on registers: a vector never goes through memory between them. */
#define FZ_AVX512_INLINE static FZ_ALWAYS_INLINE FZ_AVX512
