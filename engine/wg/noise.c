/*
 * Whitepaper 5.4.1 to 5.4.5, in its order and with its names: MixHash, MixKey and the AEAD with counter 0 and the
 * transcript's hash as additional data. Every intermediate secret is wiped on every path.
 */
#include "wg/noise.h"

#include <string.h>

#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"
#include "crypto/blake2s.h"
#include "crypto/handshake_aead.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"

#define CONSTRUCTION "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
#define IDENTIFIER   "WireGuard v1 zx2c4 Jason@zx2c4.com"
#define TAI64_BASE   UINT64_C(0x400000000000000a)
#define NS_PER_S     INT64_C(1000000000)

/* The running state: chaining key and transcript hash. */
struct transcript {
	struct fz_key chain, hash;
};

static void transcript_wipep(struct transcript *t)
{
	fz_wipe(t, sizeof(*t));
}

static void mix_hash(struct transcript *t, const void *p, size_t n)
{
	struct fz_blake2s s;
	fz_blake2s_init(&s, sizeof(t->hash), fz_bytes_of(NULL, 0));
	fz_blake2s_update(&s, fz_bytes_of(t->hash.b, sizeof(t->hash)));
	fz_blake2s_update(&s, fz_bytes_of(p, n));
	fz_blake2s_final(&s, t->hash.b);
}

/* The state before the first message, bound to the responder's key. */
static void begin(struct transcript *t, const uint8_t responder[static WG_PUBLIC_LEN])
{
	fz_blake2s_hash(t->chain.b, fz_bytes_of(CONSTRUCTION, sizeof(CONSTRUCTION) - 1));
	t->hash = t->chain;
	mix_hash(t, IDENTIFIER, sizeof(IDENTIFIER) - 1);
	mix_hash(t, responder, WG_PUBLIC_LEN);
}

static void mix_ephemeral(struct transcript *t, const uint8_t public[static WG_PUBLIC_LEN])
{
	mix_hash(t, public, WG_PUBLIC_LEN);
	fz_kdf1(&t->chain, &t->chain, fz_bytes_of(public, WG_PUBLIC_LEN));
}

/* MixKey of a Diffie-Hellman result; ret_key may be NULL. False: low-order point. */
static bool mix_dh(struct transcript *t, struct fz_key *ret_key, const struct fz_key *private,
	const uint8_t public[static WG_PUBLIC_LEN])
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key shared;
	if (!fz_x25519(shared.b, private, public))
		return false;
	if (ret_key)
		fz_kdf2(&t->chain, ret_key, &t->chain, fz_bytes_of(shared.b, sizeof(shared)));
	else
		fz_kdf1(&t->chain, &t->chain, fz_bytes_of(shared.b, sizeof(shared)));
	return true;
}

static void mix_psk(struct transcript *t, const struct fz_key *psk, struct fz_key *ret_key)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key tau;
	fz_kdf3(&t->chain, &tau, ret_key, &t->chain, fz_bytes_of(psk->b, sizeof(*psk)));
	mix_hash(t, tau.b, sizeof(tau));
}

static void seal(struct transcript *t, const struct fz_key *key, const void *plain, size_t n,
	uint8_t *ret_sealed)
{
	fz_aead_seal(
		key, 0, fz_bytes_of(t->hash.b, sizeof(t->hash)), fz_bytes_of(plain, n), ret_sealed);
	mix_hash(t, ret_sealed, n + WG_TAG_LEN);
}

/* `n` is the plaintext's length. */
static bool open_sealed(struct transcript *t, const struct fz_key *key, const uint8_t *sealed,
	size_t n, uint8_t *ret_plain)
{
	if (!fz_aead_open(key, 0, fz_bytes_of(t->hash.b, sizeof(t->hash)),
		    fz_bytes_of(sealed, n + WG_TAG_LEN), ret_plain))
		return false;
	mix_hash(t, sealed, n + WG_TAG_LEN);
	return true;
}

void wg_noise_self_set(struct wg_noise_self *self, const struct fz_key *private)
{
	fz_wipe(self, sizeof(*self));
	if (fz_ct_is_zero(private, sizeof(*private)))
		return;
	self->private = *private;
	fz_x25519_clamp(&self->private);
	fz_x25519_public(self->public, &self->private);
	self->is_set = true;
}

void wg_noise_timestamp(fz_wall now, uint8_t ret_stamp[static WG_TIMESTAMP_LEN])
{
	int64_t s = now.ns / NS_PER_S, ns = now.ns % NS_PER_S;
	if (ns < 0) {
		s--;
		ns += NS_PER_S;
	}
	fz_be64_store(ret_stamp, TAI64_BASE + (uint64_t)s);
	fz_be32_store(ret_stamp + 8, (uint32_t)ns & ~UINT32_C(0xffffff));
}

void wg_noise_incoming_wipep(struct wg_noise_incoming *in)
{
	fz_wipe(in, sizeof(*in));
}

void wg_noise_forget(struct wg_handshake *h)
{
	fz_wipe(&h->ephemeral, sizeof(h->ephemeral));
	fz_wipe(&h->chain, sizeof(h->chain));
	fz_wipe(&h->hash, sizeof(h->hash));
	fz_wipe(h->remote_ephemeral, sizeof(h->remote_ephemeral));
	h->remote_index = 0;
	h->state = WG_HANDSHAKE_NONE;
}

/* Static-static is the same for every handshake of two peers. False: low-order point. */
static bool mix_static_static(struct transcript *t, struct fz_key *ret_key,
	const struct wg_noise_self *self, struct wg_noise_peer *p)
{
	if (!p->has_static_static) {
		if (!fz_x25519(p->static_static.b, &self->private, p->public)) {
			fz_key_wipep(&p->static_static);
			return false;
		}
		p->has_static_static = true;
	}
	fz_kdf2(&t->chain, ret_key, &t->chain,
		fz_bytes_of(p->static_static.b, sizeof(p->static_static)));
	return true;
}

bool wg_noise_write_initiation(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct fz_key *ephemeral, fz_wall now, struct wg_msg_initiation *ret_msg)
{
	FZ_CLEANUP(transcript_wipep) struct transcript t = { 0 };
	FZ_CLEANUP(fz_key_wipep) struct fz_key key, e = *ephemeral;
	struct wg_msg_initiation msg = { .type = fz_le32_of(WG_MESSAGE_INITIATION) };
	uint8_t stamp[WG_TIMESTAMP_LEN];
	begin(&t, p->public);
	fz_x25519_clamp(&e);
	fz_x25519_public(msg.ephemeral, &e);
	mix_ephemeral(&t, msg.ephemeral);
	if (!mix_dh(&t, &key, &e, p->public))
		return false;
	seal(&t, &key, self->public, WG_PUBLIC_LEN, msg.sealed_static);
	if (!mix_static_static(&t, &key, self, p))
		return false;
	wg_noise_timestamp(now, stamp);
	seal(&t, &key, stamp, sizeof(stamp), msg.sealed_timestamp);
	p->handshake.ephemeral = e;
	p->handshake.chain = t.chain;
	p->handshake.hash = t.hash;
	p->handshake.state = WG_HANDSHAKE_SENT_INITIATION;
	*ret_msg = msg;
	return true;
}

bool wg_noise_open_static(const struct wg_noise_self *self, const struct wg_msg_initiation *msg,
	struct wg_noise_incoming *ret_in)
{
	FZ_CLEANUP(transcript_wipep) struct transcript t = { 0 };
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	uint8_t public[WG_PUBLIC_LEN];
	begin(&t, self->public);
	mix_ephemeral(&t, msg->ephemeral);
	if (!mix_dh(&t, &key, &self->private, msg->ephemeral))
		return false;
	if (!open_sealed(&t, &key, msg->sealed_static, sizeof(public), public))
		return false;
	memcpy(ret_in->public, public, sizeof(public));
	memcpy(ret_in->ephemeral, msg->ephemeral, sizeof(ret_in->ephemeral));
	ret_in->sender = fz_le32_get(msg->sender);
	ret_in->chain = t.chain;
	ret_in->hash = t.hash;
	return true;
}

bool wg_noise_open_timestamp(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct wg_msg_initiation *msg, struct wg_noise_incoming *in)
{
	FZ_CLEANUP(transcript_wipep) struct transcript t = { .chain = in->chain, .hash = in->hash };
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	if (!mix_static_static(&t, &key, self, p))
		return false;
	if (!open_sealed(&t, &key, msg->sealed_timestamp, sizeof(in->timestamp), in->timestamp))
		return false;
	in->chain = t.chain;
	in->hash = t.hash;
	return true;
}

void wg_noise_accept(struct wg_noise_peer *p, const struct wg_noise_incoming *in)
{
	struct wg_handshake *h = &p->handshake;
	memcpy(p->newest_timestamp, in->timestamp, sizeof(p->newest_timestamp));
	memcpy(h->remote_ephemeral, in->ephemeral, sizeof(h->remote_ephemeral));
	fz_key_wipep(&h->ephemeral);
	h->remote_index = in->sender;
	h->chain = in->chain;
	h->hash = in->hash;
	h->state = WG_HANDSHAKE_GOT_INITIATION;
}

bool wg_noise_write_response(
	struct wg_noise_peer *p, const struct fz_key *ephemeral, struct wg_msg_response *ret_msg)
{
	struct wg_handshake *h = &p->handshake;
	FZ_CLEANUP(transcript_wipep) struct transcript t = { .chain = h->chain, .hash = h->hash };
	FZ_CLEANUP(fz_key_wipep) struct fz_key key, e = *ephemeral;
	struct wg_msg_response msg = { .type = fz_le32_of(WG_MESSAGE_RESPONSE),
		.receiver = fz_le32_of(h->remote_index) };
	fz_assert(h->state == WG_HANDSHAKE_GOT_INITIATION);
	fz_x25519_clamp(&e);
	fz_x25519_public(msg.ephemeral, &e);
	mix_ephemeral(&t, msg.ephemeral);
	if (!mix_dh(&t, NULL, &e, h->remote_ephemeral) || !mix_dh(&t, NULL, &e, p->public))
		return false;
	mix_psk(&t, &p->psk, &key);
	seal(&t, &key, NULL, 0, msg.sealed_nothing);
	h->chain = t.chain;
	h->hash = t.hash;
	h->state = WG_HANDSHAKE_ANSWERED;
	*ret_msg = msg;
	return true;
}

bool wg_noise_read_response(const struct wg_noise_self *self, struct wg_noise_peer *p,
	const struct wg_msg_response *msg)
{
	struct wg_handshake *h = &p->handshake;
	FZ_CLEANUP(transcript_wipep) struct transcript t = { .chain = h->chain, .hash = h->hash };
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	uint8_t nothing[1];
	fz_assert(h->state == WG_HANDSHAKE_SENT_INITIATION);
	mix_ephemeral(&t, msg->ephemeral);
	if (!mix_dh(&t, NULL, &h->ephemeral, msg->ephemeral) ||
		!mix_dh(&t, NULL, &self->private, msg->ephemeral))
		return false;
	mix_psk(&t, &p->psk, &key);
	if (!open_sealed(&t, &key, msg->sealed_nothing, 0, nothing))
		return false;
	memcpy(h->remote_ephemeral, msg->ephemeral, sizeof(h->remote_ephemeral));
	h->remote_index = fz_le32_get(msg->sender);
	h->chain = t.chain;
	h->hash = t.hash;
	h->state = WG_HANDSHAKE_ANSWERED;
	return true;
}

void wg_noise_derive(struct wg_noise_peer *p, bool is_initiator, struct wg_keys *ret_keys)
{
	fz_assert(p->handshake.state == WG_HANDSHAKE_ANSWERED);
	struct fz_key *first = is_initiator ? &ret_keys->send : &ret_keys->receive;
	struct fz_key *second = is_initiator ? &ret_keys->receive : &ret_keys->send;
	fz_kdf2(first, second, &p->handshake.chain, fz_bytes_of(NULL, 0));
	wg_noise_forget(&p->handshake);
}
