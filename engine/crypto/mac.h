/*
 * The keyed and plain digests that STUN and TURN ask for (RFC 8489 9, 14.5, 14.6): HMAC-SHA1, HMAC-SHA256, MD5, SHA-256.
 * The message comes as ranges, because STUN signs a header whose length field it changes.
 * One implementation, mac_wolfssl.c, in a target of its own (fz::mac): programs without STUN link no wolfSSL.
 * The functions neither allocate nor fail; a digest the library refuses to compute is a bug and stops the process.
 * Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

#define FZ_MD5_LEN    16
#define FZ_SHA1_LEN   20
#define FZ_SHA256_LEN 32

void fz_hmac_sha1(struct fz_bytes key, const struct fz_bytes *parts, size_t n_parts,
	uint8_t ret_mac[static FZ_SHA1_LEN]);
void fz_hmac_sha256(struct fz_bytes key, const struct fz_bytes *parts, size_t n_parts,
	uint8_t ret_mac[static FZ_SHA256_LEN]);
void fz_md5(const struct fz_bytes *parts, size_t n_parts, uint8_t ret_digest[static FZ_MD5_LEN]);
void fz_sha256(
	const struct fz_bytes *parts, size_t n_parts, uint8_t ret_digest[static FZ_SHA256_LEN]);
