/* Keyed BLAKE2s with 16 bytes of output for all macs; XChaCha20-Poly1305 around the cookie, bound to the mac1 it answers. */
#include "wg/cookie.h"

#include <string.h>

#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"
#include "crypto/blake2s.h"
#include "crypto/xchacha.h"
#include "wg/constants.h"

#define LABEL_LEN 8

/* HASH(label || public key) */
static void label_key(const char label[static LABEL_LEN],
	const uint8_t public[static WG_PUBLIC_LEN], struct fz_key *ret_key)
{
	uint8_t in[LABEL_LEN + WG_PUBLIC_LEN];
	memcpy(in, label, LABEL_LEN);
	memcpy(in + LABEL_LEN, public, WG_PUBLIC_LEN);
	fz_blake2s_hash(ret_key->b, fz_bytes_of(in, sizeof(in)));
}

static void mac(
	const uint8_t *key, size_t key_len, struct fz_bytes in, uint8_t ret_mac[static WG_MAC_LEN])
{
	fz_blake2s_mac(ret_mac, fz_bytes_of(key, key_len), in);
}

static size_t len_before_mac1(struct fz_bytes msg)
{
	fz_assert(msg.n > sizeof(struct wg_macs));
	return msg.n - sizeof(struct wg_macs);
}

static const struct wg_macs *macs_of(struct fz_bytes msg)
{
	return (const struct wg_macs *)(msg.p + len_before_mac1(msg));
}

void wg_cookie_checker_set(struct wg_cookie_checker *c, const uint8_t public[static WG_PUBLIC_LEN])
{
	label_key("mac1----", public, &c->mac1_key);
	label_key("cookie--", public, &c->cookie_key);
}

bool wg_cookie_check_mac1(const struct wg_cookie_checker *c, struct fz_bytes msg)
{
	uint8_t want[WG_MAC_LEN];
	mac(c->mac1_key.b, sizeof(c->mac1_key), fz_bytes_of(msg.p, len_before_mac1(msg)), want);
	return fz_ct_equal(want, macs_of(msg)->mac1, sizeof(want));
}

bool wg_cookie_secret_is_stale(const struct wg_cookie_checker *c, fz_time now)
{
	return fz_time_reached(now, c->secret_expires);
}

void wg_cookie_set_secret(struct wg_cookie_checker *c, fz_time now, const struct fz_key *fresh)
{
	c->secret = *fresh;
	c->secret_expires = fz_time_add(now, WG_COOKIE_SECRET_AGE);
}

/* The address and the port as on the wire: behind one NAT address, hosts differ by the port only. */
static void make_cookie(const struct wg_cookie_checker *c, const struct fz_addr *from,
	uint8_t ret_cookie[static WG_COOKIE_LEN])
{
	uint8_t in[16 + 2];
	size_t n = fz_ip_len(&from->ip);
	memcpy(in, from->ip.b, n);
	fz_be16_store(in + n, from->port);
	mac(c->secret.b, sizeof(c->secret), fz_bytes_of(in, n + 2), ret_cookie);
}

bool wg_cookie_check_mac2(
	const struct wg_cookie_checker *c, struct fz_bytes msg, const struct fz_addr *from)
{
	uint8_t cookie[WG_COOKIE_LEN], want[WG_MAC_LEN];
	make_cookie(c, from, cookie);
	mac(cookie, sizeof(cookie), fz_bytes_of(msg.p, len_before_mac1(msg) + WG_MAC_LEN), want);
	bool same = fz_ct_equal(want, macs_of(msg)->mac2, sizeof(want));
	fz_wipe(cookie, sizeof(cookie));
	return same;
}

void wg_cookie_write_reply(const struct wg_cookie_checker *c,
	const uint8_t nonce[static WG_COOKIE_NONCE_LEN], struct fz_bytes msg,
	const struct fz_addr *from, struct wg_msg_cookie *ret_reply)
{
	uint8_t cookie[WG_COOKIE_LEN];
	make_cookie(c, from, cookie);
	ret_reply->type = fz_le32_of(WG_MESSAGE_COOKIE);
	memcpy(&ret_reply->receiver, msg.p + offsetof(struct wg_msg_initiation, sender),
		sizeof(fz_le32));
	memcpy(ret_reply->nonce, nonce, WG_COOKIE_NONCE_LEN);
	fz_xaead_seal(&c->cookie_key, nonce, fz_bytes_of(macs_of(msg)->mac1, WG_MAC_LEN),
		fz_bytes_of(cookie, sizeof(cookie)), ret_reply->sealed_cookie);
	fz_wipe(cookie, sizeof(cookie));
}

void wg_cookie_maker_set(struct wg_cookie_maker *m, const uint8_t public[static WG_PUBLIC_LEN])
{
	label_key("mac1----", public, &m->mac1_key);
	label_key("cookie--", public, &m->cookie_key);
}

void wg_cookie_stamp(struct wg_cookie_maker *m, fz_time now, struct fz_span msg)
{
	size_t n = len_before_mac1(fz_span_bytes(msg));
	struct wg_macs *macs = (struct wg_macs *)(msg.p + n);
	mac(m->mac1_key.b, sizeof(m->mac1_key), fz_bytes_of(msg.p, n), macs->mac1);
	memcpy(m->last_mac1, macs->mac1, sizeof(m->last_mac1));
	m->has_sent_mac1 = true;
	if (fz_time_reached(now, m->cookie_expires))
		memset(macs->mac2, 0, sizeof(macs->mac2));
	else
		mac(m->cookie, sizeof(m->cookie), fz_bytes_of(msg.p, n + WG_MAC_LEN), macs->mac2);
}

bool wg_cookie_take_reply(struct wg_cookie_maker *m, fz_time now, const struct wg_msg_cookie *reply)
{
	uint8_t cookie[WG_COOKIE_LEN];
	if (!m->has_sent_mac1)
		return false;
	if (!fz_xaead_open(&m->cookie_key, reply->nonce, fz_bytes_of(m->last_mac1, WG_MAC_LEN),
		    fz_bytes_of(reply->sealed_cookie, sizeof(reply->sealed_cookie)), cookie))
		return false;
	memcpy(m->cookie, cookie, sizeof(cookie));
	m->cookie_expires = fz_time_add(now, WG_COOKIE_USABLE);
	m->has_sent_mac1 = false;
	fz_wipe(cookie, sizeof(cookie));
	return true;
}
