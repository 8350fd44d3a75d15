/*
 * ChaCha20-Poly1305 (RFC 8439) over batches: the data path seals and opens whole trains, so the interface takes
 * arrays and a backend may interleave them. Three backends: libsodium everywhere, intel-ipsec-mb on x86-64, and our own
 * for AVX-512 with IFMA; each only where its self-test passes. A context belongs to one thread; the functions neither allocate nor log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/secret.h"

#define FZ_AEAD_TAG_LEN 16

enum fz_aead_kind { FZ_AEAD_AUTO, FZ_AEAD_SODIUM, FZ_AEAD_IPSECMB, FZ_AEAD_AVX512 };

struct fz_aead; /* one per thread */

/*
 * One transport message without additional data; the nonce is 4 zero bytes and `counter` little-endian (WireGuard
 * whitepaper 5.4.6). `len` is the plaintext length in both directions; src and dst may be the same, else must not
 * overlap. The tag is 16 bytes at `tag`: written by seal, compared in constant time by open. `ok` is set by open;
 * when it is false dst holds nothing meaningful and must not be used. The jobs of a batch are done in any order and
 * step by step together, so what one writes no other may read or write.
 */
struct fz_aead_job {
	const struct fz_key *key;
	uint64_t counter;
	const uint8_t *src;
	uint8_t *dst;
	uint8_t *tag;
	uint32_t len;
	bool ok;
};

/*
 * AUTO is the fastest backend that passes its self-test here. 0, -ENOMEM, FZ_ERR_UNSUPPORTED (not built in, or this
 * CPU lacks it) or FZ_ERR_SELFTEST. `text` of fz_aead_kind_parse is "auto", "sodium", "ipsecmb" or "avx512"; -EINVAL otherwise.
 */
int fz_aead_new(enum fz_aead_kind kind, struct fz_aead **ret_aead) FZ_MUST_CHECK FZ_NONNULL(2);
void fz_aead_free(struct fz_aead *a);
int fz_aead_kind_parse(const char *text, enum fz_aead_kind *ret_kind) FZ_MUST_CHECK
	FZ_NONNULL(1, 2);
/* "sodium", "ipsecmb-avx512", "avx512" and the like: what runs. */
const char *fz_aead_name(const struct fz_aead *a) FZ_NONNULL(1);

void fz_aead_seal_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n) FZ_NONNULL(1);
/* Returns how many were authentic. */
size_t fz_aead_open_many(struct fz_aead *a, struct fz_aead_job *jobs, size_t n) FZ_NONNULL(1);
