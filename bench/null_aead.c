/*
 * crypto/aead.h with no cryptography in it: the same work around nothing, so that the cost of the rest can be seen. Linked in front
 * of the real one into firezone-wg-nocrypto, a program for measuring that is built with the benchmarks alone and never
 * installed; bench/check-null holds every other program to not having it. What it "seals" anybody can read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/aead.h"

struct fz_aead {
	const char *name;
};

int fz_aead_kind_parse(const char *text, enum fz_aead_kind *ret_kind)
{
	*ret_kind = FZ_AEAD_AUTO;
	return strcmp(text, "auto") == 0 ? 0 : -EINVAL;
}

int fz_aead_new(enum fz_aead_kind kind, struct fz_aead **ret_aead)
{
	if (kind != FZ_AEAD_AUTO)
		return -EINVAL;
	struct fz_aead *a = fz_new(struct fz_aead);
	if (!a)
		return -ENOMEM;
	a->name = "NO-CRYPTOGRAPHY-FOR-MEASURING-ONLY"; /* what bench/check-null looks for */
	*ret_aead = a;
	return 0;
}

void fz_aead_free(struct fz_aead *a)
{
	free(a);
}

const char *fz_aead_name(const struct fz_aead *a)
{
	return a->name;
}

void fz_aead_seal_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n)
{
	(void)a;
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].dst != jobs[i].src)
			memcpy(jobs[i].dst, jobs[i].src, jobs[i].len);
		memset(jobs[i].tag, 0, FZ_AEAD_TAG_LEN);
	}
}

size_t fz_aead_open_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n)
{
	(void)a;
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].dst != jobs[i].src)
			memcpy(jobs[i].dst, jobs[i].src, jobs[i].len);
		jobs[i].ok = true;
	}
	return n;
}
