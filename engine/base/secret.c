/* Locked, undumpable, wiped memory for long-lived secrets. Failing to lock is not fatal: the limit may be small. */
#include "base/secret.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/ct.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (size + page - 1) / page * page;
}

void *fz_secret_new(size_t size)
{
	if (size == 0 || size > SIZE_MAX / 2 || fz_alloc_fails_now())
		return NULL;
	size_t len = whole_pages(size);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)mlock(p, len);
	(void)madvise(p, len, MADV_DONTDUMP);
	(void)madvise(p, len, MADV_WIPEONFORK);
	return p;
}

void fz_secret_free(void *p, size_t size)
{
	if (!p)
		return;
	fz_wipe(p, size);
	munmap(p, whole_pages(size));
}

void fz_key_wipep(struct fz_key *k)
{
	fz_wipe(k, sizeof(*k));
}

void fz_token_wipep(struct fz_token *t)
{
	fz_wipe(t, sizeof(*t));
}
