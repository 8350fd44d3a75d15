/* calloc with a test hook: one thread-local countdown, so that parallel tests do not meet. */
#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

static _Thread_local unsigned long countdown;

void fz_fail_at(unsigned long n)
{
	countdown = n;
}

bool fz_alloc_fails_now(void)
{
	return countdown > 0 && --countdown == 0;
}

void *fz_alloc(size_t n, size_t size)
{
	return fz_alloc_fails_now() ? NULL : calloc(n, size);
}

void *fz_alloc_aligned(size_t align, size_t size)
{
	void *p = NULL;
	if (fz_alloc_fails_now() || posix_memalign(&p, align, size) != 0)
		return NULL;
	return memset(p, 0, size);
}

void *fz_realloc(void *p, size_t n, size_t size)
{
	return fz_alloc_fails_now() ? NULL : reallocarray(p, n, size);
}

char *fz_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = fz_alloc_fails_now() ? NULL : malloc(n);
	if (copy)
		memcpy(copy, s, n);
	return copy;
}

void fz_freep(void *pp)
{
	void *p;
	memcpy(&p, pp, sizeof(p)); /* pp is the address of a pointer of some object type */
	free(p);
}
