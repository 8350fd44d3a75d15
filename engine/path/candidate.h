/*
 * ICE candidates (RFC 8445 5.1) and the text in which the portal carries them (RFC 8839 5.1 without "a=", as Firezone
 * writes it): candidate:<foundation> 1 udp <priority> <ip> <port> typ <host|srflx|prflx|relay> [raddr <ip> rport <port>] …
 * Plain values. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

enum fz_candidate_kind {
	FZ_CANDIDATE_HOST,
	FZ_CANDIDATE_PRFLX,
	FZ_CANDIDATE_SRFLX,
	FZ_CANDIDATE_RELAY,
	FZ_CANDIDATE_KIND_COUNT_
};

struct fz_candidate {
	enum fz_candidate_kind kind;
	struct fz_addr addr;
	struct fz_addr
		base; /* our socket behind a srflx or relay; family 0 where it was not said */
	uint32_t priority;
};

#define FZ_CANDIDATE_TEXT_LEN 256 /* with NUL */

/* 0, or -EINVAL for anything but a UDP candidate of component 1 at an address one can send to. Unknown pairs are skipped. */
int fz_candidate_parse(const char *text, struct fz_candidate *ret_candidate)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/*
 * Firezone's ICE spelling: base only hinted at ("raddr 0.0.0.0 rport 0"), our own ufrag last. FZ_ERR_LIMIT if it does not
 * fit, which a ufrag of normal length cannot cause.
 */
int fz_candidate_format(const struct fz_candidate *c, const char *ufrag,
	char ret_text[static FZ_CANDIDATE_TEXT_LEN]) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* host, prflx, srflx, relay. */
const char *fz_candidate_kind_name(enum fz_candidate_kind kind) FZ_RETURNS_NONNULL;

/* False for an unspecified, multicast, broadcast or link-local address, and for port 0. Loopback is fine. */
bool fz_candidate_is_reachable(const struct fz_addr *a) FZ_NONNULL(1) FZ_MUST_CHECK;

/*
 * Priority of our own candidate: `nth` of its kind and IP version, counted from 0. `crosses_family`: a relayed address of
 * another IP version than the socket that reaches the relay.
 */
uint32_t fz_candidate_priority(enum fz_candidate_kind kind, enum fz_family family, uint32_t nth,
	bool crosses_family) FZ_MUST_CHECK;
/* What a check from this candidate announces: its priority as if it were peer-reflexive (RFC 8445 7.1.1). */
uint32_t fz_candidate_prflx_priority(uint32_t priority) FZ_MUST_CHECK;
/* RFC 8445 6.1.2.3: of the controlling side's and the controlled side's candidate. */
uint64_t fz_candidate_pair_priority(uint32_t controlling, uint32_t controlled) FZ_MUST_CHECK;
