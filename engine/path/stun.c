/*
 * STUN on the wire: RFC 8489 sections 5, 6, 14; TURN attributes of RFC 8656 section 18; ICE attributes of RFC 8445 section
 * 16. Signing covers the bytes before the signature with the length field set as if the message ended behind it.
 */
#include "path/stun.h"

#include "base/ct.h"
#include "base/endian.h"
#include "crypto/mac.h"

#define MAGIC           0x2112a442u
#define FINGERPRINT_XOR 0x5354554eu
#define INTEGRITY_LEN   20
#define ATTRIBUTE_LEN   4 /* type and length */
#define FAMILY_IP4      1
#define FAMILY_IP6      2
#define IS_OPTIONAL(t)  ((t) >= 0x8000)

/* CRC-32 of ITU V.42 by nibbles: messages are short and rare. */
static uint32_t crc32_of(struct fz_bytes a, uint32_t crc)
{
	static const uint32_t nibbles[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	for (size_t i = 0; i < a.n; i++) {
		crc = nibbles[(crc ^ a.p[i]) & 15] ^ (crc >> 4);
		crc = nibbles[(crc ^ (uint32_t)(a.p[i] >> 4)) & 15] ^ (crc >> 4);
	}
	return crc;
}

/* The first `at` bytes of a message as they are signed: with `len` in the header's length field. */
struct signed_head {
	uint8_t head[4];
	struct fz_bytes parts[2];
};

static void signed_head_make(struct signed_head *s, const uint8_t *msg, size_t at, size_t len)
{
	memcpy(s->head, msg, 2);
	fz_be16_store(s->head + 2, (uint16_t)(len - FZ_STUN_HEADER_LEN));
	s->parts[0] = fz_bytes_of(s->head, sizeof(s->head));
	s->parts[1] = fz_bytes_of(msg + sizeof(s->head), at - sizeof(s->head));
}

static uint32_t fingerprint_of(const uint8_t *msg, size_t at)
{
	struct signed_head s;
	signed_head_make(&s, msg, at, at + ATTRIBUTE_LEN + 4);
	uint32_t crc = crc32_of(s.parts[1], crc32_of(s.parts[0], UINT32_MAX));
	return ~crc ^ FINGERPRINT_XOR;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Undoes the XOR of section 14.2: the cookie, and for IPv6 the transaction id behind it, over the address. */
static void xor_addr(struct fz_addr *a, const struct fz_stun_id *id)
{
	uint8_t mask[4 + FZ_STUN_ID_LEN];
	fz_be32_store(mask, MAGIC);
	memcpy(mask + 4, id->b, FZ_STUN_ID_LEN);
	for (size_t i = 0; i < fz_ip_len(&a->ip); i++)
		a->ip.b[i] ^= mask[i];
	a->port ^= (uint16_t)(MAGIC >> 16);
}

static bool read_addr(struct fz_bytes value, const struct fz_stun_id *id, struct fz_addr *ret)
{
	struct fz_reader r = fz_reader_of(value);
	struct fz_addr a = { .ip = { .family = FZ_NO_FAMILY } };
	fz_reader_skip(&r, 1);
	uint8_t family = fz_reader_u8(&r);
	a.port = fz_reader_be16(&r);
	if (family != FAMILY_IP4 && family != FAMILY_IP6)
		return false;
	a.ip.family = family == FAMILY_IP4 ? FZ_IP4 : FZ_IP6;
	fz_reader_copy(&r, a.ip.b, fz_ip_len(&a.ip));
	if (!fz_reader_done(&r))
		return false;
	xor_addr(&a, id);
	*ret = a;
	return true;
}

/* Takes the first of its kind only; a second one is checked all the same. */
static bool take_addr(struct fz_bytes value, const struct fz_stun_id *id, struct fz_addr *at)
{
	struct fz_addr a;
	if (!read_addr(value, id, &a))
		return false;
	if (at->ip.family == FZ_NO_FAMILY)
		*at = a;
	return true;
}

static bool take_relayed(struct fz_stun *m, struct fz_bytes value)
{
	struct fz_addr a = { .ip = { .family = FZ_NO_FAMILY } };
	if (!read_addr(value, &m->id, &a))
		return false;
	struct fz_addr *at = a.ip.family == FZ_IP4 ? &m->relayed4 : &m->relayed6;
	if (at->ip.family == FZ_NO_FAMILY)
		*at = a;
	return true;
}

static bool take_bytes(struct fz_bytes value, size_t max, struct fz_bytes *at)
{
	if (value.n > max)
		return false;
	if (!at->p)
		*at = value;
	return true;
}

static bool take_u32(struct fz_bytes value, uint32_t *at, bool *has)
{
	if (value.n != 4)
		return false;
	if (!*has)
		*at = fz_be32_load(value.p);
	*has = true;
	return true;
}

static bool take_tie_breaker(struct fz_stun *m, struct fz_bytes value, bool *role)
{
	if (value.n != 8)
		return false;
	if (!m->is_controlling && !m->is_controlled) {
		m->tie_breaker = fz_be64_load(value.p);
		*role = true;
	}
	return true;
}

static bool take_error(struct fz_stun *m, struct fz_bytes value)
{
	struct fz_reader r = fz_reader_of(value);
	fz_reader_skip(&r, 2);
	uint8_t hundreds = fz_reader_u8(&r) & 7, rest = fz_reader_u8(&r);
	if (r.bad || hundreds < 3 || hundreds > 6 || rest > 99)
		return false;
	if (m->error == 0)
		m->error = (uint16_t)(hundreds * 100 + rest);
	return true;
}

static bool take_channel(struct fz_stun *m, struct fz_bytes value)
{
	if (value.n != 4)
		return false;
	if (m->channel == 0)
		m->channel = fz_be16_load(value.p);
	return true;
}

/* Limits of RFC 8489 14.3, 14.9, 14.10. */
#define USERNAME_MAX 513
#define TEXT_MAX     763

static bool take_attribute(struct fz_stun *m, uint16_t type, struct fz_bytes value)
{
	switch (type) {
	case FZ_STUN_XOR_MAPPED_ADDRESS: return take_addr(value, &m->id, &m->mapped);
	case FZ_STUN_MAPPED_ADDRESS:
		return true; /* NATs may rewrite it: only the XOR form counts */
	case FZ_STUN_XOR_PEER_ADDRESS: return take_addr(value, &m->id, &m->peer);
	case FZ_STUN_XOR_RELAYED_ADDRESS: return take_relayed(m, value);
	case FZ_STUN_USERNAME: return take_bytes(value, USERNAME_MAX, &m->username);
	case FZ_STUN_REALM: return take_bytes(value, TEXT_MAX, &m->realm);
	case FZ_STUN_NONCE: return take_bytes(value, TEXT_MAX, &m->nonce);
	case FZ_STUN_SOFTWARE: return take_bytes(value, TEXT_MAX, &m->software);
	case FZ_STUN_PRIORITY: return take_u32(value, &m->priority, &m->has_priority);
	case FZ_STUN_LIFETIME: return take_u32(value, &m->lifetime, &m->has_lifetime);
	case FZ_STUN_ICE_CONTROLLING: return take_tie_breaker(m, value, &m->is_controlling);
	case FZ_STUN_ICE_CONTROLLED: return take_tie_breaker(m, value, &m->is_controlled);
	case FZ_STUN_ERROR_CODE: return take_error(m, value);
	case FZ_STUN_CHANNEL_NUMBER: return take_channel(m, value);
	case FZ_STUN_USE_CANDIDATE: m->use_candidate = true; return value.n == 0;
	case FZ_STUN_REQUESTED_TRANSPORT:
	case FZ_STUN_UNKNOWN_ATTRIBUTES: return true;
	default:
		if (!IS_OPTIONAL(type))
			m->has_unknown = true;
		return true;
	}
}

/* The attributes that end a message; `at` is where this one starts. */
static bool take_seal(struct fz_stun *m, uint16_t type, struct fz_bytes value, size_t at)
{
	switch (type) {
	case FZ_STUN_MESSAGE_INTEGRITY: m->integrity_at = at; return value.n == INTEGRITY_LEN;
	case FZ_STUN_MESSAGE_INTEGRITY_SHA256:
		m->integrity_sha256_at = at;
		m->integrity_sha256_len = (uint8_t)value.n;
		return value.n >= 16 && value.n <= FZ_SHA256_LEN && value.n % 4 == 0;
	default: m->has_fingerprint = true; return value.n == 4;
	}
}

static bool is_seal(uint16_t type)
{
	return type == FZ_STUN_MESSAGE_INTEGRITY || type == FZ_STUN_MESSAGE_INTEGRITY_SHA256 ||
	       type == FZ_STUN_FINGERPRINT;
}

/* Behind a signature only a second kind of signature and the fingerprint are looked at (14.5). */
static enum fz_stun_verdict read_attributes(struct fz_stun *m, struct fz_reader r)
{
	while (r.left > 0 && !m->has_fingerprint) {
		size_t at = m->raw.n - r.left;
		uint16_t type = fz_reader_be16(&r), len = fz_reader_be16(&r);
		struct fz_bytes value = fz_reader_take(&r, len);
		fz_reader_skip(&r, -(unsigned)len & 3u);
		if (r.bad)
			return FZ_STUN_BAD_ATTRIBUTE;
		bool is_first = type != FZ_STUN_MESSAGE_INTEGRITY || m->integrity_at == 0;
		is_first = is_first && (type != FZ_STUN_MESSAGE_INTEGRITY_SHA256 ||
					       m->integrity_sha256_at == 0);
		bool is_good = true;
		if (is_seal(type))
			is_good = !is_first || take_seal(m, type, value, at);
		else if (!fz_stun_has_integrity(m))
			is_good = take_attribute(m, type, value);
		if (!is_good)
			return FZ_STUN_BAD_ATTRIBUTE;
		if (m->has_fingerprint && fz_be32_load(value.p) != fingerprint_of(m->raw.p, at))
			return FZ_STUN_BAD_FINGERPRINT;
	}
	return FZ_STUN_OK;
}

enum fz_stun_verdict fz_stun_parse(struct fz_bytes pkt, struct fz_stun *ret_msg)
{
	if (pkt.n < FZ_STUN_HEADER_LEN)
		return FZ_STUN_BAD_SHORT;
	struct fz_stun m = { .raw = pkt };
	struct fz_reader r = fz_reader_of(pkt);
	uint16_t type = fz_reader_be16(&r), len = fz_reader_be16(&r);
	uint32_t cookie = fz_reader_be32(&r);
	fz_reader_copy(&r, m.id.b, FZ_STUN_ID_LEN);
	if ((type & 0xc000) != 0 || cookie != MAGIC)
		return FZ_STUN_BAD_COOKIE;
	if (len != r.left || len % 4 != 0 || pkt.n > FZ_STUN_MAX)
		return FZ_STUN_BAD_LENGTH;
	m.class = (enum fz_stun_class)((type >> 4 & 1) | (type >> 7 & 2));
	m.method = (uint16_t)((type & 0x000f) | (type >> 1 & 0x0070) | (type >> 2 & 0x0f80));
	enum fz_stun_verdict v = read_attributes(&m, r);
	if (v == FZ_STUN_OK)
		*ret_msg = m;
	return v;
}

bool fz_stun_is_signed(const struct fz_stun *m, struct fz_bytes key)
{
	struct signed_head s;
	uint8_t mac[FZ_SHA256_LEN];
	if (m->integrity_at != 0) {
		size_t value_at = m->integrity_at + ATTRIBUTE_LEN;
		signed_head_make(&s, m->raw.p, m->integrity_at, value_at + INTEGRITY_LEN);
		fz_hmac_sha1(key, s.parts, FZ_ARRAY_LEN(s.parts), mac);
		return fz_ct_equal(mac, m->raw.p + value_at, INTEGRITY_LEN);
	}
	if (m->integrity_sha256_at != 0) {
		size_t value_at = m->integrity_sha256_at + ATTRIBUTE_LEN;
		signed_head_make(
			&s, m->raw.p, m->integrity_sha256_at, value_at + m->integrity_sha256_len);
		fz_hmac_sha256(key, s.parts, FZ_ARRAY_LEN(s.parts), mac);
		return fz_ct_equal(mac, m->raw.p + value_at, m->integrity_sha256_len);
	}
	return false;
}

void fz_stun_long_term_key(struct fz_bytes username, struct fz_bytes realm,
	struct fz_bytes password, uint8_t ret_key[static 16])
{
	struct fz_bytes colon = fz_bytes_of(":", 1);
	struct fz_bytes parts[] = { username, colon, realm, colon, password };
	fz_md5(parts, FZ_ARRAY_LEN(parts), ret_key);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

void fz_stun_begin(
	struct fz_writer *w, enum fz_stun_class class, uint16_t method, const struct fz_stun_id *id)
{
	unsigned type = (method & 0x000fu) | (method & 0x0070u) << 1 | (method & 0x0f80u) << 2;
	type |= ((unsigned)class & 1u) << 4 | ((unsigned)class & 2u) << 7;
	fz_writer_be16(w, (uint16_t)type);
	fz_writer_be16(w, 0);
	fz_writer_be32(w, MAGIC);
	fz_writer_bytes(w, fz_bytes_of(id->b, sizeof(id->b)));
}

void fz_stun_put(struct fz_writer *w, uint16_t attribute, struct fz_bytes value)
{
	fz_writer_be16(w, attribute);
	fz_writer_be16(w, (uint16_t)value.n);
	fz_writer_bytes(w, value);
	fz_writer_zeros(w, -(unsigned)value.n & 3u);
}

void fz_stun_put_u32(struct fz_writer *w, uint16_t attribute, uint32_t value)
{
	fz_be32 word = fz_be32_of(value);
	fz_stun_put(w, attribute, fz_bytes_of(word.b, sizeof(word.b)));
}

void fz_stun_put_u64(struct fz_writer *w, uint16_t attribute, uint64_t value)
{
	fz_be64 word = fz_be64_of(value);
	fz_stun_put(w, attribute, fz_bytes_of(word.b, sizeof(word.b)));
}

void fz_stun_put_addr(struct fz_writer *w, uint16_t attribute, const struct fz_addr *addr)
{
	if (w->len < FZ_STUN_HEADER_LEN) {
		w->bad = true;
		return;
	}
	struct fz_stun_id id;
	memcpy(id.b, w->start + 8, sizeof(id.b));
	struct fz_addr masked = *addr;
	xor_addr(&masked, &id);
	uint8_t raw[20] = { 0, addr->ip.family == FZ_IP4 ? FAMILY_IP4 : FAMILY_IP6 };
	fz_be16_store(raw + 2, masked.port);
	memcpy(raw + 4, masked.ip.b, sizeof(masked.ip.b));
	fz_stun_put(w, attribute, fz_bytes_of(raw, 4 + fz_ip_len(&addr->ip)));
}

void fz_stun_put_error(struct fz_writer *w, uint16_t code, const char *reason)
{
	size_t n = strlen(reason);
	fz_writer_be16(w, FZ_STUN_ERROR_CODE);
	fz_writer_be16(w, (uint16_t)(4 + n));
	fz_writer_be16(w, 0);
	fz_writer_u8(w, (uint8_t)(code / 100));
	fz_writer_u8(w, (uint8_t)(code % 100));
	fz_writer_bytes(w, fz_bytes_of(reason, n));
	fz_writer_zeros(w, -(unsigned)n & 3u);
}

void fz_stun_put_integrity(struct fz_writer *w, struct fz_bytes key)
{
	if (w->bad || w->len < FZ_STUN_HEADER_LEN) {
		w->bad = true;
		return;
	}
	struct signed_head s;
	uint8_t mac[FZ_SHA1_LEN];
	signed_head_make(&s, w->start, w->len, w->len + ATTRIBUTE_LEN + INTEGRITY_LEN);
	fz_hmac_sha1(key, s.parts, FZ_ARRAY_LEN(s.parts), mac);
	fz_stun_put(w, FZ_STUN_MESSAGE_INTEGRITY, fz_bytes_of(mac, INTEGRITY_LEN));
}

void fz_stun_put_fingerprint(struct fz_writer *w)
{
	if (w->bad || w->len < FZ_STUN_HEADER_LEN) {
		w->bad = true;
		return;
	}
	fz_stun_put_u32(w, FZ_STUN_FINGERPRINT, fingerprint_of(w->start, w->len));
}

size_t fz_stun_finish(struct fz_writer *w)
{
	if (w->bad || w->len < FZ_STUN_HEADER_LEN || w->len > FZ_STUN_MAX)
		return 0;
	fz_be16_store(w->start + 2, (uint16_t)(w->len - FZ_STUN_HEADER_LEN));
	return w->len;
}
