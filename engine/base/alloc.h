/*
 * Objects come from here, so that one switch can make the n-th allocation fail. Run-time allocation is
 * per peer and per control message, never per packet. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/attr.h"

/* Zeroed memory or NULL; free with free(). */
void *fz_alloc(size_t n, size_t size) FZ_FREED_BY(free);
/* The same, at a multiple of `align`, a power of two and at least sizeof(void *). */
void *fz_alloc_aligned(size_t align, size_t size) FZ_FREED_BY(free);
/* Like reallocarray: on failure NULL and the old block is untouched. New memory is not zeroed. */
void *fz_realloc(void *p, size_t n, size_t size) FZ_MUST_CHECK;
/* A copy of a NUL-terminated string, or NULL. */
char *fz_strdup(const char *s) FZ_NONNULL(1) FZ_FREED_BY(free);

#define fz_new(type)          ((type *)fz_alloc(1, sizeof(type)))
#define fz_new_array(type, n) ((type *)fz_alloc((n), sizeof(type)))

/* The n-th allocation from now (1 = the next) fails once; 0 switches this off. Tests only; per thread. */
void fz_fail_at(unsigned long n);

/* Counts one allocation and says whether it is the one to fail; for allocators beside these. */
bool fz_alloc_fails_now(void) FZ_MUST_CHECK;

/* For FZ_CLEANUP on a pointer of any type. */
void fz_freep(void *pp) FZ_NONNULL(1);
