/* The handshake's cryptography: recorded transcripts, both roles against each other, and what must fail. */
#include "crypto/handshake_aead.h"
#include "crypto/x25519.h"
#include "support/test.h"
#include "vectors/handshake.h"
#include "wg/cookie.h"
#include "wg/noise.h"

struct side {
	struct wg_noise_self self;
	struct wg_noise_peer peer;
};

struct two {
	struct side i, r;
};

static struct fz_key key_of(const char *hex)
{
	struct fz_key k;
	CHECK_UINT(test_unhex(hex, k.b, sizeof(k)), 32);
	return k;
}

static struct fz_key key_filled(uint8_t with)
{
	struct fz_key k;
	memset(&k, with, sizeof(k));
	return k;
}

static void meet(struct two *t, const struct fz_key *i, const struct fz_key *r)
{
	*t = (struct two){ 0 };
	wg_noise_self_set(&t->i.self, i);
	wg_noise_self_set(&t->r.self, r);
	memcpy(t->i.peer.public, t->r.self.public, 32);
	memcpy(t->r.peer.public, t->i.self.public, 32);
}

static void meet_any(struct two *t)
{
	struct fz_key i = key_filled(1), r = key_filled(2);
	meet(t, &i, &r);
}

static const fz_wall noon = { INT64_C(1790000000) * 1000000000 };

static bool initiate(struct two *t, struct wg_msg_initiation *msg)
{
	struct fz_key e = key_filled(3);
	return wg_noise_write_initiation(&t->i.self, &t->i.peer, &e, noon, msg);
}

static bool receive(struct two *t, const struct wg_msg_initiation *msg)
{
	struct wg_noise_incoming in;
	if (!wg_noise_open_static(&t->r.self, msg, &in))
		return false;
	CHECK_MEM(in.public, t->i.self.public, 32);
	if (!wg_noise_open_timestamp(&t->r.self, &t->r.peer, msg, &in))
		return false;
	wg_noise_accept(&t->r.peer, &in);
	return true;
}

static bool respond(struct two *t, struct wg_msg_response *msg)
{
	struct fz_key e = key_filled(4);
	return wg_noise_write_response(&t->r.peer, &e, msg);
}

TEST(noise, both_sides_end_with_the_same_two_keys)
{
	struct two t;
	struct wg_msg_initiation first;
	struct wg_msg_response second;
	struct wg_keys i, r;
	meet_any(&t);
	CHECK(initiate(&t, &first));
	CHECK(receive(&t, &first));
	CHECK(respond(&t, &second));
	CHECK(wg_noise_read_response(&t.i.self, &t.i.peer, &second));
	/* The static-static secret is kept, and the same. */
	CHECK(t.i.peer.has_static_static && t.r.peer.has_static_static);
	CHECK_MEM(&t.i.peer.static_static, &t.r.peer.static_static, 32);
	wg_noise_derive(&t.i.peer, true, &i);
	wg_noise_derive(&t.r.peer, false, &r);
	CHECK_MEM(i.send.b, r.receive.b, 32);
	CHECK_MEM(i.receive.b, r.send.b, 32);
	CHECK(memcmp(i.send.b, i.receive.b, 32) != 0);
}

TEST(noise, nothing_of_the_handshake_outlives_it)
{
	struct two t;
	struct wg_msg_initiation first;
	struct wg_msg_response second;
	struct wg_keys keys;
	static const struct wg_handshake none;
	meet_any(&t);
	CHECK(initiate(&t, &first) && receive(&t, &first) && respond(&t, &second));
	CHECK(wg_noise_read_response(&t.i.self, &t.i.peer, &second));
	wg_noise_derive(&t.i.peer, true, &keys);
	wg_noise_derive(&t.r.peer, false, &keys);
	CHECK_MEM(&t.i.peer.handshake, &none, sizeof(none));
	CHECK_MEM(&t.r.peer.handshake, &none, sizeof(none));
}

/* The macs and indices a device would add. */
static void finish(const struct handshake_vector *v, struct wg_msg_initiation *msg,
	const uint8_t responder[static 32])
{
	struct wg_cookie_maker maker = { 0 };
	wg_cookie_maker_set(&maker, responder);
	if (v->cookie[0] != '\0') {
		CHECK_UINT(test_unhex(v->cookie, maker.cookie, sizeof(maker.cookie)), 16);
		maker.cookie_expires = (fz_time){ 2 };
	}
	msg->sender = fz_le32_of(v->index_i);
	wg_cookie_stamp(&maker, (fz_time){ 1 }, fz_span_of(msg, sizeof(*msg)));
}

static void replay_transcript(const struct handshake_vector *v)
{
	uint8_t want[256];
	struct two t;
	struct wg_msg_initiation first;
	struct wg_msg_response second;
	struct wg_keys keys;
	struct fz_key i = key_of(v->initiator), r = key_of(v->responder),
		      e = key_of(v->ephemeral_i);
	meet(&t, &i, &r);
	t.i.peer.psk = t.r.peer.psk = key_of(v->psk);
	CHECK(wg_noise_write_initiation(&t.i.self, &t.i.peer, &e, (fz_wall){ v->wall_ns }, &first));
	finish(v, &first, t.r.self.public);
	CHECK_UINT(test_unhex(v->initiation, want, sizeof(want)), sizeof(first));
	CHECK_MEM(&first, want, sizeof(first));
	CHECK(receive(&t, &first));
	e = key_of(v->ephemeral_r);
	CHECK(wg_noise_write_response(&t.r.peer, &e, &second));
	struct wg_cookie_maker maker = { 0 };
	wg_cookie_maker_set(&maker, t.i.self.public);
	second.sender = fz_le32_of(v->index_r);
	wg_cookie_stamp(&maker, (fz_time){ 1 }, fz_span_of(&second, sizeof(second)));
	CHECK_UINT(test_unhex(v->response, want, sizeof(want)), sizeof(second));
	CHECK_MEM(&second, want, sizeof(second));
	CHECK(wg_noise_read_response(&t.i.self, &t.i.peer, &second));
	CHECK_UINT(t.i.peer.handshake.remote_index, v->index_r);
	wg_noise_derive(&t.i.peer, true, &keys);
	struct fz_key send = key_of(v->key_i), back = key_of(v->key_r);
	CHECK_MEM(keys.send.b, send.b, 32);
	CHECK_MEM(keys.receive.b, back.b, 32);
	uint8_t tag[16];
	fz_aead_seal(&keys.send, 0, fz_bytes_of(NULL, 0), fz_bytes_of(NULL, 0), tag);
	CHECK_UINT(test_unhex(v->keepalive, want, sizeof(want)), 32);
	CHECK_MEM(tag, want + 16, 16);
}

TEST(noise, recorded_handshakes_come_out_byte_for_byte)
{
	for (size_t i = 0; i < sizeof(handshake_vectors) / sizeof(handshake_vectors[0]); i++)
		replay_transcript(&handshake_vectors[i]);
}

TEST(noise, timestamps_hide_the_clock_below_16_ms)
{
	static const struct {
		int64_t ns;
		const char *want;
	} cases[] = {
		{ 0, "400000000000000a 00000000" },
		{ 16777215, "400000000000000a 00000000" },
		{ 16777216, "400000000000000a 01000000" },
		{ 999999999, "400000000000000a 3b000000" },
		{ INT64_C(1500000000123456789), "4000000059682f0a 07000000" },
		{ -1, "4000000000000009 3b000000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t got[12], want[12];
		wg_noise_timestamp((fz_wall){ cases[i].ns }, got);
		CHECK_UINT(test_unhex(cases[i].want, want, sizeof(want)), 12);
		CHECK_MEM(got, want, 12);
	}
}

TEST(noise, a_private_key_is_clamped_and_zeros_are_none)
{
	struct wg_noise_self self;
	struct fz_key k = key_filled(0xff), none = key_filled(0);
	wg_noise_self_set(&self, &k);
	CHECK(self.is_set);
	CHECK_UINT(self.private.b[0], 0xf8);
	CHECK_UINT(self.private.b[31], 0x7f);
	wg_noise_self_set(&self, &none);
	CHECK(!self.is_set);
}

TEST(noise, every_changed_byte_of_an_initiation_is_noticed)
{
	struct two t;
	struct wg_msg_initiation good, bad;
	meet_any(&t);
	CHECK(initiate(&t, &good));
	for (size_t at = offsetof(struct wg_msg_initiation, ephemeral);
		at < offsetof(struct wg_msg_initiation, macs); at++) {
		bad = good;
		((uint8_t *)&bad)[at] ^= 0x10;
		CHECK(!receive(&t, &bad));
		CHECK_INT(t.r.peer.handshake.state, WG_HANDSHAKE_NONE);
	}
	CHECK(receive(&t, &good));
}

TEST(noise, every_changed_byte_of_a_response_is_noticed_and_forgiven)
{
	struct two t;
	struct wg_msg_initiation first;
	struct wg_msg_response good, bad;
	meet_any(&t);
	CHECK(initiate(&t, &first) && receive(&t, &first) && respond(&t, &good));
	for (size_t at = offsetof(struct wg_msg_response, ephemeral);
		at < offsetof(struct wg_msg_response, macs); at++) {
		bad = good;
		((uint8_t *)&bad)[at] ^= 1;
		CHECK(!wg_noise_read_response(&t.i.self, &t.i.peer, &bad));
		CHECK_INT(t.i.peer.handshake.state, WG_HANDSHAKE_SENT_INITIATION);
	}
	CHECK(wg_noise_read_response(&t.i.self, &t.i.peer, &good));
}

TEST(noise, different_psks_do_not_meet)
{
	struct two t;
	struct wg_msg_initiation first;
	struct wg_msg_response second;
	meet_any(&t);
	t.i.peer.psk = key_filled(9);
	CHECK(initiate(&t, &first) && receive(&t, &first) && respond(&t, &second));
	CHECK(!wg_noise_read_response(&t.i.self, &t.i.peer, &second));
}

/* The points of small order and their non-canonical twins that X25519 maps to zero. */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(noise, a_peer_with_a_low_order_key_gets_no_initiation)
{
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		struct two t;
		struct wg_msg_initiation msg;
		struct fz_key bad = key_of(low_order[i]);
		meet_any(&t);
		memcpy(t.i.peer.public, bad.b, 32);
		CHECK(!initiate(&t, &msg));
		CHECK(t.i.peer.handshake.state == WG_HANDSHAKE_NONE);
	}
}

TEST(noise, a_low_order_ephemeral_ends_the_handshake)
{
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		struct two t;
		struct wg_msg_initiation first;
		struct wg_msg_response second;
		struct fz_key bad = key_of(low_order[i]);
		meet_any(&t);
		CHECK(initiate(&t, &first));
		struct wg_msg_initiation forged = first;
		memcpy(forged.ephemeral, bad.b, 32);
		CHECK(!receive(&t, &forged));
		CHECK(receive(&t, &first) && respond(&t, &second));
		memcpy(second.ephemeral, bad.b, 32);
		CHECK(!wg_noise_read_response(&t.i.self, &t.i.peer, &second));
	}
}
