/*
 * From a host and port to a connection that is ready for the first byte: addresses, the race for the first TCP connection
 * (RFC 8305, "happy eyeballs"), the proxy's CONNECT, TLS. Every socket carries the mark. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "control/io/proxy.h"
#include "control/io/resolve.h"
#include "control/io/tls.h"
#include "control/reason.h"

#define FZP_DIAL_ADDRS_MAX 16

/* ---- a connection ---- */

struct fzp_conn; /* a TCP socket, with TLS or without */

void fzp_conn_free(struct fzp_conn *c); /* closes at once */
/* Announces the end to the other side, then frees. */
void fzp_conn_close(struct fzp_conn *c) FZ_NONNULL(1);
int fzp_conn_fd(const struct fzp_conn *c) FZ_NONNULL(1);
/* As fzp_tls_read and fzp_tls_write. */
ssize_t fzp_conn_read(struct fzp_conn *c, struct fz_span out) FZ_NONNULL(1) FZ_MUST_CHECK;
ssize_t fzp_conn_write(struct fzp_conn *c, struct fz_bytes in) FZ_NONNULL(1) FZ_MUST_CHECK;
/* A read or write that gave -EAGAIN waits for the socket to be writable. */
bool fzp_conn_wants_write(const struct fzp_conn *c) FZ_NONNULL(1);
/* Why it broke, in words; "" if there is nothing to say. */
const char *fzp_conn_detail(const struct fzp_conn *c) FZ_NONNULL(1) FZ_RETURNS_NONNULL;

/* ---- making one ---- */

struct fzp_dial;

struct fzp_dial_params {
	struct fzp_resolve_params resolve; /* with the loop and the mark */
	const char *host; /* a name, or an address without brackets */
	uint16_t port;
	struct fzp_tls_trust
		*trust; /* NULL: no TLS. Borrowed, outlives the dial and what it makes */
	const struct fzp_proxy *proxy; /* NULL: none; borrowed likewise */
};

/* Called from the loop alone, exactly one of them, once; the dial may be freed in it. */
struct fzp_dial_ops {
	void (*connected)(void *user, struct fzp_conn *conn); /* takes the connection */
	void (*failed)(void *user, enum fzp_reason why, const char *detail);
};

void fzp_dial_free(struct fzp_dial *d);
/* 0, -EINVAL (no host) or negative errno. Strings are copied. */
int fzp_dial_new(const struct fzp_dial_params *params, const struct fzp_dial_ops *ops, void *user,
	struct fzp_dial **ret_dial) FZ_NONNULL(1, 2, 4) FZ_MUST_CHECK;
/* What it is waiting for, as a sentence for someone whose patience ended. */
void fzp_dial_describe(const struct fzp_dial *d, char ret_text[static FZP_DETAIL_MAX])
	FZ_NONNULL(1);
/* The addresses known so far, the one in use first; how many. */
size_t fzp_dial_addrs(const struct fzp_dial *d, struct fz_addr *ret_addrs, size_t cap)
	FZ_NONNULL(1, 2);
