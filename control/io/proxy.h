/*
 * A web proxy's CONNECT (RFC 9110, 9.3.6): where it is, what is asked, what it answers. Bytes in, bytes out; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "control/url.h"

#define FZP_PROXY_REQUEST_MAX  2048
#define FZP_PROXY_USERINFO_MAX 256 /* user:password */

/* Holds a password: wiped by fzp_proxy_wipep. */
struct fzp_proxy {
	char host[FZP_HOST_MAX + 1]; /* without brackets for IPv6 literals */
	bool host_is_ip;
	uint16_t port;
	char userinfo[FZP_PROXY_USERINFO_MAX + 1]; /* decoded; "": none */
};

void fzp_proxy_wipep(struct fzp_proxy *p) FZ_NONNULL(1);
/* "[http://][user[:password]@]host[:port][/]", port 80 without one. -EINVAL, or -EPROTONOSUPPORT for another scheme. */
int fzp_proxy_parse(const char *text, struct fzp_proxy *ret_proxy) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* True if a list of hosts and suffixes ("a.example,.b.example,*") excepts the host. */
bool fzp_proxy_is_excepted(const char *no_proxy, const char *host) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Writes the request; w->bad if it did not fit. */
void fzp_proxy_request(struct fz_writer *w, const struct fzp_proxy *p, const char *host,
	bool host_is_ipv6, uint16_t port) FZ_NONNULL(1, 2, 3);

enum fzp_proxy_verdict {
	FZP_PROXY_MORE,
	FZP_PROXY_OK, /* what follows comes from the other side */
	FZP_PROXY_REFUSED, /* *ret_status */
	FZP_PROXY_BAD, /* no such answer; or bytes behind it that nobody asked for */
};

/* Looks at what has arrived so far; `*ret_status` is set for REFUSED only. */
enum fzp_proxy_verdict fzp_proxy_reply(struct fz_bytes in, uint16_t *ret_status)
	FZ_NONNULL(2) FZ_MUST_CHECK;
