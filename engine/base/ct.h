/* Constant-time comparison and erasure: the running time depends on lengths only, and neither is optimised away. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

bool fz_ct_equal(const void *a, const void *b, size_t n) FZ_NONNULL(1, 2) FZ_MUST_CHECK
	FZ_READS(1, 3) FZ_READS(2, 3);
bool fz_ct_is_zero(const void *p, size_t n) FZ_NONNULL(1) FZ_MUST_CHECK FZ_READS(1, 2);
void fz_wipe(void *p, size_t n) FZ_NONNULL(1);
