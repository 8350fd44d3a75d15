/*
 * The two macs at the end of a handshake message and the cookies that prove an address under load (whitepaper 5.3,
 * 5.4.4, 5.4.7). A checker judges what we get, a maker stamps what we send to one peer. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/secret.h"
#include "base/time.h"
#include "wg/messages.h"

/* Belongs on locked pages: it holds the secret that cookies are made of. */
struct wg_cookie_checker {
	struct fz_key mac1_key, cookie_key;
	struct fz_key secret;
	fz_time secret_expires; /* 0: none yet */
};

/* For one peer; belongs on locked pages. */
struct wg_cookie_maker {
	struct fz_key mac1_key, cookie_key;
	uint8_t cookie[WG_COOKIE_LEN];
	fz_time cookie_expires; /* 0: none */
	uint8_t last_mac1[WG_MAC_LEN];
	bool has_sent_mac1; /* and no cookie has answered it yet */
};

/* Our public key changed. The secret stays. */
void wg_cookie_checker_set(struct wg_cookie_checker *c, const uint8_t public[static WG_PUBLIC_LEN])
	FZ_NONNULL(1);
/* `msg` is a whole handshake message of type 1 or 2. */
bool wg_cookie_check_mac1(const struct wg_cookie_checker *c, struct fz_bytes msg)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* The secret that cookies are made of is too old for the two functions below: replace it first. */
bool wg_cookie_secret_is_stale(const struct wg_cookie_checker *c, fz_time now)
	FZ_NONNULL(1) FZ_MUST_CHECK;
void wg_cookie_set_secret(struct wg_cookie_checker *c, fz_time now, const struct fz_key *fresh)
	FZ_NONNULL(1, 3);
bool wg_cookie_check_mac2(const struct wg_cookie_checker *c, struct fz_bytes msg,
	const struct fz_addr *from) FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Answers a message whose mac1 was right; `nonce` is random. */
void wg_cookie_write_reply(const struct wg_cookie_checker *c,
	const uint8_t nonce[static WG_COOKIE_NONCE_LEN], struct fz_bytes msg,
	const struct fz_addr *from, struct wg_msg_cookie *ret_reply) FZ_NONNULL(1, 4, 5);

void wg_cookie_maker_set(struct wg_cookie_maker *m, const uint8_t public[static WG_PUBLIC_LEN])
	FZ_NONNULL(1);
/* Fills in both macs of a finished handshake message. */
void wg_cookie_stamp(struct wg_cookie_maker *m, fz_time now, struct fz_span msg) FZ_NONNULL(1);
/* Takes a cookie reply; false if it answers nothing we sent. */
bool wg_cookie_take_reply(struct wg_cookie_maker *m, fz_time now, const struct wg_msg_cookie *reply)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
