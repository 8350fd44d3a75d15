/*
 * STUN messages (RFC 8489, with RFC 5389's habits tolerated) and TURN's attributes (RFC 8656): read, write, sign, check.
 * A parsed message borrows the bytes it was read from. Keys and nonces are the caller's. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"

#define FZ_STUN_HEADER_LEN 20
#define FZ_STUN_ID_LEN     12
#define FZ_STUN_MAX        1280 /* bytes of any message we read or write */

enum fz_stun_class { FZ_STUN_REQUEST, FZ_STUN_INDICATION, FZ_STUN_SUCCESS, FZ_STUN_ERROR };

enum fz_stun_method {
	FZ_STUN_BINDING = 0x001,
	FZ_STUN_ALLOCATE = 0x003,
	FZ_STUN_REFRESH = 0x004,
	FZ_STUN_CREATE_PERMISSION = 0x008,
	FZ_STUN_CHANNEL_BIND = 0x009
};

enum fz_stun_attribute {
	FZ_STUN_MAPPED_ADDRESS = 0x0001,
	FZ_STUN_USERNAME = 0x0006,
	FZ_STUN_MESSAGE_INTEGRITY = 0x0008,
	FZ_STUN_ERROR_CODE = 0x0009,
	FZ_STUN_UNKNOWN_ATTRIBUTES = 0x000a,
	FZ_STUN_CHANNEL_NUMBER = 0x000c,
	FZ_STUN_LIFETIME = 0x000d,
	FZ_STUN_XOR_PEER_ADDRESS = 0x0012,
	FZ_STUN_REALM = 0x0014,
	FZ_STUN_NONCE = 0x0015,
	FZ_STUN_XOR_RELAYED_ADDRESS = 0x0016,
	FZ_STUN_REQUESTED_TRANSPORT = 0x0019,
	FZ_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
	FZ_STUN_XOR_MAPPED_ADDRESS = 0x0020,
	FZ_STUN_PRIORITY = 0x0024,
	FZ_STUN_USE_CANDIDATE = 0x0025,
	FZ_STUN_ADDITIONAL_ADDRESS_FAMILY = 0x8000,
	FZ_STUN_SOFTWARE = 0x8022,
	FZ_STUN_FINGERPRINT = 0x8028,
	FZ_STUN_ICE_CONTROLLED = 0x8029,
	FZ_STUN_ICE_CONTROLLING = 0x802a
};

/* Why bytes are not a STUN message we take. */
enum fz_stun_verdict {
	FZ_STUN_OK,
	FZ_STUN_BAD_SHORT,
	FZ_STUN_BAD_COOKIE, /* the two top bits or the magic cookie: some other protocol */
	FZ_STUN_BAD_LENGTH, /* the length field disagrees with the datagram, or is above FZ_STUN_MAX */
	FZ_STUN_BAD_ATTRIBUTE, /* one runs past the end or has an impossible value */
	FZ_STUN_BAD_FINGERPRINT,
	FZ_STUN_VERDICT_COUNT_
};

struct fz_stun_id {
	uint8_t b[FZ_STUN_ID_LEN];
};

/* Ranges are empty, addresses of no family and numbers zero where the attribute was absent; the first of its kind counts. */
struct fz_stun {
	struct fz_bytes raw;
	enum fz_stun_class class;
	uint16_t method;
	struct fz_stun_id id;
	struct fz_bytes username, realm, nonce, software;
	struct fz_addr mapped, peer, relayed4, relayed6;
	uint64_t tie_breaker; /* with is_controlling or is_controlled */
	uint32_t priority, lifetime; /* seconds */
	uint16_t error, channel;
	size_t integrity_at, integrity_sha256_at; /* offset of the attribute; 0: absent */
	uint8_t integrity_sha256_len;
	bool has_priority, has_lifetime, use_candidate, is_controlling, is_controlled;
	bool has_fingerprint;
	bool has_unknown; /* an attribute that must be understood is not */
};

enum fz_stun_verdict fz_stun_parse(struct fz_bytes pkt, struct fz_stun *ret_msg)
	FZ_NONNULL(2) FZ_MUST_CHECK;
/* True if a MESSAGE-INTEGRITY (either kind) is there and was made with this key. */
bool fz_stun_is_signed(const struct fz_stun *m, struct fz_bytes key) FZ_NONNULL(1) FZ_MUST_CHECK;

static inline bool fz_stun_has_integrity(const struct fz_stun *m)
{
	return m->integrity_at != 0 || m->integrity_sha256_at != 0;
}

/* Key of the long-term credentials (RFC 8489 9.2.2): MD5 of "username:realm:password". */
void fz_stun_long_term_key(struct fz_bytes username, struct fz_bytes realm,
	struct fz_bytes password, uint8_t ret_key[static 16]);

/*
 * Writing: begin on a fresh writer, put attributes, sign, then finish. Errors stick to the writer; finish gives the
 * message's length, or 0 if it did not fit.
 */
void fz_stun_begin(struct fz_writer *w, enum fz_stun_class class, uint16_t method,
	const struct fz_stun_id *id) FZ_NONNULL(1, 4);
void fz_stun_put(struct fz_writer *w, uint16_t attribute, struct fz_bytes value) FZ_NONNULL(1);
void fz_stun_put_u32(struct fz_writer *w, uint16_t attribute, uint32_t value) FZ_NONNULL(1);
void fz_stun_put_u64(struct fz_writer *w, uint16_t attribute, uint64_t value) FZ_NONNULL(1);
/* For the XOR-…-ADDRESS attributes. */
void fz_stun_put_addr(struct fz_writer *w, uint16_t attribute, const struct fz_addr *addr)
	FZ_NONNULL(1, 3);
void fz_stun_put_error(struct fz_writer *w, uint16_t code, const char *reason) FZ_NONNULL(1, 3);
void fz_stun_put_integrity(struct fz_writer *w, struct fz_bytes key) FZ_NONNULL(1);
void fz_stun_put_fingerprint(struct fz_writer *w) FZ_NONNULL(1);
size_t fz_stun_finish(struct fz_writer *w) FZ_NONNULL(1) FZ_MUST_CHECK;
