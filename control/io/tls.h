/*
 * A TLS client on a connected non-blocking socket: TLS 1.2 and 1.3, server name, certificate and host check, all against
 * one store of trusted authorities. The library is behind this header alone. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "control/io/sock.h"

struct fzp_tls_trust; /* authorities; connections keep what they need of it */

void fzp_tls_trust_free(struct fzp_tls_trust *t);
/*
 * Trusts the PEM file, or the system's store if NULL. 0 or negative errno, with the reason in `ret_detail`.
 */
int fzp_tls_trust_new(const char *ca_file, struct fzp_tls_trust **ret_trust,
	char ret_detail[static FZP_DETAIL_MAX]) FZ_NONNULL(2) FZ_MUST_CHECK;

struct fzp_tls;

void fzp_tls_free(struct fzp_tls *t); /* does not close the socket, says nothing on it */
/* `fd` is borrowed and must outlive it; `host` is a name, or an address if `is_ip`. 0, -EINVAL or -ENOMEM. */
int fzp_tls_new(struct fzp_tls_trust *trust, const char *host, bool is_ip, int fd,
	struct fzp_tls **ret_tls) FZ_NONNULL(1, 2, 5) FZ_MUST_CHECK;

enum fzp_tls_step {
	FZP_TLS_DONE,
	FZP_TLS_WANTS_READ, /* again when the socket is readable */
	FZP_TLS_WANTS_WRITE,
	FZP_TLS_FAILED, /* fzp_tls_detail says why */
};

enum fzp_tls_step fzp_tls_handshake(struct fzp_tls *t) FZ_NONNULL(1) FZ_MUST_CHECK;

/*
 * A count; 0: the other side ended it properly; -EAGAIN: nothing now (a read may want the socket writable and the reverse:
 * fzp_tls_wants_write); another negative errno: broken, also where the end came without being announced.
 */
ssize_t fzp_tls_read(struct fzp_tls *t, struct fz_span out) FZ_NONNULL(1) FZ_MUST_CHECK;
/* After -EAGAIN the same bytes must be offered again, more may follow them. */
ssize_t fzp_tls_write(struct fzp_tls *t, struct fz_bytes in) FZ_NONNULL(1) FZ_MUST_CHECK;
bool fzp_tls_wants_write(const struct fzp_tls *t) FZ_NONNULL(1);
/* Announces the end, as far as the socket takes it now. */
void fzp_tls_close_notify(struct fzp_tls *t) FZ_NONNULL(1);

const char *fzp_tls_detail(const struct fzp_tls *t) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
/* "TLSv1.3 TLS_AES_128_GCM_SHA256" after the handshake. */
const char *fzp_tls_describe(struct fzp_tls *t, char buf[static FZP_DETAIL_MAX]) FZ_NONNULL(1);

/* SHA-1 for Sec-WebSocket-Accept and HMAC-SHA256 and SHA-256 for device ids. `user` is not used. */
void fzp_sha1(void *user, struct fz_bytes in, uint8_t ret_digest[20]);
void fzp_sha256(struct fz_bytes in, uint8_t ret_digest[static 32]);
void fzp_hmac_sha256(struct fz_bytes key, struct fz_bytes in, uint8_t ret_digest[static 32]);
