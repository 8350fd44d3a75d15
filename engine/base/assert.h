/* fz_assert states what must hold between our own functions; it stays on in release builds and never judges input. */
#pragma once

#include "base/attr.h"

/* Prints expression, file and line on stderr and aborts. Any thread. */
FZ_NORETURN FZ_COLD void fz_assert_failed(const char *expr, const char *file, int line);

#define fz_assert(expr) ((expr) ? (void)0 : fz_assert_failed(#expr, __FILE__, __LINE__))

#if defined(FZ_SLOW_ASSERTS)
#define fz_assert_slow(expr) fz_assert(expr)
#else
#define fz_assert_slow(expr) ((void)sizeof(!(expr)))
#endif
