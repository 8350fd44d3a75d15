/* Macs and cookies: who is answered, and how long a proof of address lasts. */
#include "support/test.h"
#include "wg/constants.h"
#include "wg/cookie.h"

struct fixture {
	struct wg_cookie_checker checker;
	struct wg_cookie_maker maker;
	struct fz_addr from;
	struct wg_msg_initiation msg;
};

static const uint8_t responder[32] = { 1, 2, 3 };
static const uint8_t nonce[WG_COOKIE_NONCE_LEN] = { 4, 5, 6 };

static fz_time at(uint64_t s)
{
	return (fz_time){ s * 1000000000 };
}

static struct fz_bytes msg_bytes(const struct fixture *f)
{
	return fz_bytes_of(&f->msg, sizeof(f->msg));
}

static void set_secret(struct fixture *f, uint64_t s, uint8_t with)
{
	struct fz_key secret;
	memset(&secret, with, sizeof(secret));
	wg_cookie_set_secret(&f->checker, at(s), &secret);
}

static void init(struct fixture *f, uint64_t s)
{
	*f = (struct fixture){ .from = { .ip = fz_ip4(192, 0, 2, 7), .port = 5555 } };
	wg_cookie_checker_set(&f->checker, responder);
	wg_cookie_maker_set(&f->maker, responder);
	set_secret(f, s, 7);
	memset(&f->msg, 0x5a, sizeof(f->msg));
}

static void stamp(struct fixture *f, uint64_t s)
{
	wg_cookie_stamp(&f->maker, at(s), fz_span_of(&f->msg, sizeof(f->msg)));
}

static bool mac2_holds(const struct fixture *f)
{
	return wg_cookie_check_mac2(&f->checker, msg_bytes(f), &f->from);
}

static struct wg_msg_cookie reply(const struct fixture *f)
{
	struct wg_msg_cookie r;
	wg_cookie_write_reply(&f->checker, nonce, msg_bytes(f), &f->from, &r);
	return r;
}

TEST(cookie, mac1_shows_that_the_sender_knows_us)
{
	struct fixture f;
	static const uint8_t zeros[16];
	init(&f, 1000);
	stamp(&f, 1000);
	CHECK(wg_cookie_check_mac1(&f.checker, msg_bytes(&f)));
	CHECK_MEM(f.msg.macs.mac2, zeros, 16);
	CHECK(!mac2_holds(&f));
	for (size_t i = 0; i < offsetof(struct wg_msg_initiation, macs.mac2); i++) {
		((uint8_t *)&f.msg)[i] ^= 0x80;
		CHECK(!wg_cookie_check_mac1(&f.checker, msg_bytes(&f)));
		((uint8_t *)&f.msg)[i] ^= 0x80;
	}
}

TEST(cookie, an_answered_sender_proves_its_address)
{
	struct fixture f;
	init(&f, 1000);
	stamp(&f, 1000);
	struct wg_msg_cookie r = reply(&f);
	CHECK_UINT(fz_le32_get(r.receiver), 0x5a5a5a5a);
	CHECK(wg_cookie_take_reply(&f.maker, at(1001), &r));
	stamp(&f, 1005);
	CHECK(wg_cookie_check_mac1(&f.checker, msg_bytes(&f)));
	CHECK(mac2_holds(&f));
	f.msg.macs.mac2[3] ^= 1;
	CHECK(!mac2_holds(&f));
}

TEST(cookie, the_proof_holds_for_one_address_and_port)
{
	static const struct fz_addr others[] = {
		{ .ip = { FZ_IP4, { 192, 0, 2, 8 } }, .port = 5555 },
		{ .ip = { FZ_IP4, { 192, 0, 2, 7 } }, .port = 5556 },
		{ .ip = { FZ_IP6, { 192, 0, 2, 7 } }, .port = 5555 },
	};
	struct fixture f;
	init(&f, 1000);
	stamp(&f, 1000);
	struct wg_msg_cookie r = reply(&f);
	CHECK(wg_cookie_take_reply(&f.maker, at(1000), &r));
	stamp(&f, 1000);
	for (size_t i = 0; i < 3; i++)
		CHECK(!wg_cookie_check_mac2(&f.checker, msg_bytes(&f), &others[i]));
	CHECK(mac2_holds(&f));
}

TEST(cookie, a_cookie_is_used_for_115_seconds)
{
	struct fixture f;
	init(&f, 1000);
	stamp(&f, 1000);
	struct wg_msg_cookie r = reply(&f);
	CHECK(wg_cookie_take_reply(&f.maker, at(1000), &r));
	wg_cookie_stamp(&f.maker, (fz_time){ at(1115).ns - 1 }, fz_span_of(&f.msg, sizeof(f.msg)));
	CHECK(mac2_holds(&f));
	stamp(&f, 1115);
	CHECK(!mac2_holds(&f));
}

TEST(cookie, the_secret_changes_after_two_minutes_and_old_cookies_with_it)
{
	struct fixture f;
	init(&f, 1000);
	CHECK(!wg_cookie_secret_is_stale(&f.checker, at(1119)));
	CHECK(wg_cookie_secret_is_stale(&f.checker, at(1120)));
	stamp(&f, 1100);
	struct wg_msg_cookie r = reply(&f);
	CHECK(wg_cookie_take_reply(&f.maker, at(1100), &r));
	set_secret(&f, 1120, 8);
	stamp(&f, 1121); /* still young enough for us, but made of the old secret */
	CHECK(!mac2_holds(&f));
	r = reply(&f);
	CHECK(wg_cookie_take_reply(&f.maker, at(1121), &r));
	stamp(&f, 1122);
	CHECK(mac2_holds(&f));
}

TEST(cookie, a_checker_that_never_had_a_secret_wants_one)
{
	struct wg_cookie_checker c = { 0 };
	CHECK(wg_cookie_secret_is_stale(&c, at(0)));
}

TEST(cookie, a_reply_counts_once_and_only_for_what_was_sent_last)
{
	struct fixture f;
	init(&f, 1000);
	struct wg_msg_cookie r = reply(&f);
	CHECK(!wg_cookie_take_reply(&f.maker, at(1000), &r)); /* nothing was sent */
	stamp(&f, 1000);
	r = reply(&f);
	f.msg.sealed_static[0] ^= 1;
	stamp(&f, 1005);
	CHECK(!wg_cookie_take_reply(&f.maker, at(1005), &r)); /* bound to the first mac1 */
	r = reply(&f);
	r.sealed_cookie[5] ^= 1;
	CHECK(!wg_cookie_take_reply(&f.maker, at(1005), &r));
	r.sealed_cookie[5] ^= 1;
	CHECK(wg_cookie_take_reply(&f.maker, at(1005), &r));
	CHECK(!wg_cookie_take_reply(&f.maker, at(1005), &r)); /* replayed */
}
