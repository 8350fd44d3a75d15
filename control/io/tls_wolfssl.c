/*
 * TLS by wolfSSL (5.5 and later). Cipher suites are named one by one, because a distribution's build may have anonymous and
 * null ones in its default list. Names are checked by the library during the handshake, addresses by us after it, before
 * a byte is sent: the library compares addresses as text and knows one spelling of IPv6 only. No session is resumed: the
 * connection lasts for days.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/io/tls.h"

/* clang-format off */
#include <wolfssl/options.h> /* how the library was built: before the rest */
#include <wolfssl/ssl.h>
#include <wolfssl/openssl/ssl.h>
#include <wolfssl/openssl/x509v3.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>
/* clang-format on */

#include "base/addr.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

#define CIPHERS                                                                                    \
	"TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"          \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct fzp_tls_trust {
	WOLFSSL_CTX *ctx;
};

struct fzp_tls {
	WOLFSSL *ssl;
	int fd;
	bool wants_write, is_broken, is_up, ended_quietly;
	int system_error; /* of the socket, errno */
	size_t retry_len; /* a write that has to be offered again */
	bool has_ip;
	struct fz_ip ip;
	char host[256];
	char detail[FZP_DETAIL_MAX];
};

/* ---- trust ---- */

void fzp_tls_trust_free(struct fzp_tls_trust *t)
{
	if (!t)
		return;
	wolfSSL_CTX_free(t->ctx);
	(void)wolfSSL_Cleanup();
	free(t);
}

/* Where distributions keep one file of all authorities, then the directories. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/etc/ssl/cert.pem", /* Alpine */
};

static int load(WOLFSSL_CTX *ctx, const char *file, const char *dir)
{
	/* An authority that has expired, or that the library does not understand, is no reason to refuse the rest. */
	return wolfSSL_CTX_load_verify_locations_ex(ctx, file, dir,
		WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY |
			(dir ? WOLFSSL_LOAD_FLAG_IGNORE_ERR : WOLFSSL_LOAD_FLAG_NONE));
}

static bool load_system(WOLFSSL_CTX *ctx)
{
	struct stat st;
	for (size_t i = 0; i < FZ_ARRAY_LEN(system_files); i++)
		if (stat(system_files[i], &st) == 0 &&
			load(ctx, system_files[i], NULL) == WOLFSSL_SUCCESS)
			return true;
	return load(ctx, NULL, "/etc/ssl/certs") == WOLFSSL_SUCCESS;
}

static int load_authorities(WOLFSSL_CTX *ctx, const char *ca_file, char *detail)
{
	if (!ca_file) {
		if (load_system(ctx))
			return 0;
		snprintf(detail, FZP_DETAIL_MAX,
			"This system has no certificate authorities: install ca-certificates, or "
			"set FIREZONE_CA_FILE.");
		return -ENOENT;
	}
	struct stat st;
	if (stat(ca_file, &st) < 0) {
		int r = -errno;
		snprintf(detail, FZP_DETAIL_MAX, "The file of authorities %.200s: %s.", ca_file,
			fz_strerror(r));
		return r;
	}
	int r = load(ctx, ca_file, NULL);
	if (r == WOLFSSL_SUCCESS)
		return 0;
	snprintf(detail, FZP_DETAIL_MAX,
		"The file of authorities %.200s is not readable or holds no PEM certificate.",
		ca_file);
	return r == MEMORY_E ? -ENOMEM : -EBADMSG;
}

int fzp_tls_trust_new(const char *ca_file, struct fzp_tls_trust **ret_trust,
	char ret_detail[static FZP_DETAIL_MAX])
{
	struct fzp_tls_trust *t = fz_new(struct fzp_tls_trust);
	if (!t || wolfSSL_Init() != WOLFSSL_SUCCESS) {
		free(t);
		snprintf(ret_detail, FZP_DETAIL_MAX, "There is no memory for TLS.");
		return -ENOMEM;
	}
	t->ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
	if (!t->ctx || wolfSSL_CTX_SetMinVersion(t->ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
		wolfSSL_CTX_set_cipher_list(t->ctx, CIPHERS) != WOLFSSL_SUCCESS) {
		fzp_tls_trust_free(t);
		snprintf(ret_detail, FZP_DETAIL_MAX, "The TLS library lacks what is needed.");
		return FZ_ERR_UNSUPPORTED;
	}
	wolfSSL_CTX_set_verify(t->ctx, WOLFSSL_VERIFY_PEER, NULL);
	(void)wolfSSL_CTX_set_session_cache_mode(t->ctx, WOLFSSL_SESS_CACHE_OFF);
	int r = load_authorities(t->ctx, ca_file, ret_detail);
	if (r < 0) {
		fzp_tls_trust_free(t);
		return r;
	}
	*ret_trust = t;
	return 0;
}

/* ---- one connection ---- */

static int io_result(struct fzp_tls *t, ssize_t n, int closed, int again)
{
	if (n > 0)
		return (int)n;
	if (n == -EAGAIN)
		return again;
	t->system_error = n == 0 ? 0 : (int)-n;
	t->ended_quietly = n == 0;
	return n == 0 || n == -ECONNRESET || n == -EPIPE ? closed : WOLFSSL_CBIO_ERR_GENERAL;
}

static int on_recv(WOLFSSL *ssl, char *buf, int size, void *user)
{
	(void)ssl;
	struct fzp_tls *t = user;
	ssize_t n = fzp_sock_recv(t->fd, fz_span_of(buf, (size_t)size));
	return io_result(t, n, WOLFSSL_CBIO_ERR_CONN_CLOSE, WOLFSSL_CBIO_ERR_WANT_READ);
}

static int on_send(WOLFSSL *ssl, char *buf, int size, void *user)
{
	(void)ssl;
	struct fzp_tls *t = user;
	ssize_t n = fzp_sock_send(t->fd, fz_bytes_of(buf, (size_t)size));
	return io_result(t, n, WOLFSSL_CBIO_ERR_CONN_CLOSE, WOLFSSL_CBIO_ERR_WANT_WRITE);
}

void fzp_tls_free(struct fzp_tls *t)
{
	if (!t)
		return;
	wolfSSL_free(t->ssl);
	free(t);
}

static bool name_peer(struct fzp_tls *t, bool is_ip)
{
	if (is_ip) {
		t->has_ip = fz_ip_parse(t->host, &t->ip) == 0;
		return t->has_ip;
	}
	return wolfSSL_check_domain_name(t->ssl, t->host) == WOLFSSL_SUCCESS &&
	       wolfSSL_UseSNI(t->ssl, WOLFSSL_SNI_HOST_NAME, t->host,
		       (unsigned short)strlen(t->host)) == WOLFSSL_SUCCESS;
}

int fzp_tls_new(
	struct fzp_tls_trust *trust, const char *host, bool is_ip, int fd, struct fzp_tls **ret_tls)
{
	struct fzp_tls *t = fz_new(struct fzp_tls);
	if (!t)
		return -ENOMEM;
	t->fd = fd;
	size_t n = strlen(host);
	if (n == 0 || n >= sizeof(t->host)) {
		free(t);
		return -EINVAL;
	}
	memcpy(t->host, host, n + 1);
	t->ssl = wolfSSL_new(trust->ctx);
	if (!t->ssl || !name_peer(t, is_ip)) {
		int r = t->ssl ? -EINVAL : -ENOMEM;
		fzp_tls_free(t);
		return r;
	}
	wolfSSL_SSLSetIORecv(t->ssl, on_recv);
	wolfSSL_SSLSetIOSend(t->ssl, on_send);
	wolfSSL_SetIOReadCtx(t->ssl, t);
	wolfSSL_SetIOWriteCtx(t->ssl, t);
	*ret_tls = t;
	return 0;
}

/* ---- what went wrong, in words ---- */

static const char *text_of_alert(int code)
{
	switch (code) {
	case protocol_version: return "it offers neither TLS 1.2 nor 1.3";
	case handshake_failure:
	case insufficient_security: return "it has no cipher suite in common with us";
	case unrecognized_name: return "it does not serve this name";
	case certificate_required:
	case no_certificate: return "it wants a client certificate";
	case access_denied: return "it denies access";
	default: return NULL;
	}
}

static void say_alert(struct fzp_tls *t, int code)
{
	const char *text = text_of_alert(code);
	if (text)
		snprintf(t->detail, sizeof(t->detail), "%.253s refused TLS: %s.", t->host, text);
	else
		snprintf(t->detail, sizeof(t->detail), "%.253s refused TLS with alert %d.", t->host,
			code);
}

/* The rest of "The certificate of HOST ..."; NULL: not about the certificate. */
static const char *text_of_certificate(int err)
{
	switch (err) {
	case DOMAIN_NAME_MISMATCH:
	case IPADDR_MISMATCH: return "is for another name";
	case ASN_AFTER_DATE_E: return "has expired; or is this machine's clock wrong?";
	case ASN_BEFORE_DATE_E: return "is not valid yet; is this machine's clock wrong?";
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
	case ASN_SIG_CONFIRM_E:
		return "is not signed by an authority that is trusted here; for a private one set "
		       "FIREZONE_CA_FILE";
	case ASN_NAME_INVALID_E: return "breaks a constraint of its authority";
	case ASN_PATHLEN_SIZE_E:
	case ASN_PATHLEN_INV_E: return "has a chain its authority does not allow";
	case CERT_REVOKED:
	case OCSP_CERT_REVOKED:
	case CRL_CERT_REVOKED: return "is revoked";
	case ASN_PARSE_E:
	case ASN_VERSION_E:
	case ASN_CRIT_EXT_E:
	case ASN_SIG_KEY_E:
	case ASN_SIG_HASH_E:
	case ASN_SIG_OID_E:
	case ASN_UNKNOWN_OID_E: return "is malformed, or of a kind this program does not know";
	case VERIFY_CERT_ERROR:
	case NO_PEER_CERT:
	case NO_PEER_VERIFY: return "could not be verified";
	default: return NULL;
	}
}

static void say_library(struct fzp_tls *t, int err)
{
	char text[WOLFSSL_MAX_ERROR_SZ];
	wolfSSL_ERR_error_string_n((unsigned long)err, text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	snprintf(t->detail, sizeof(t->detail), "TLS with %.253s failed: %.80s (%d).", t->host, text,
		err);
}

static void say(struct fzp_tls *t, int err)
{
	if (t->detail[0])
		return;
	WOLFSSL_ALERT_HISTORY history = { 0 };
	const char *certificate = text_of_certificate(err);
	const char *when = t->is_up ? "" : " during the TLS handshake";
	/* The cause comes before its consequence: an alert of theirs is followed by the end of the connection. */
	bool has_alert = wolfSSL_get_alert_history(t->ssl, &history) == WOLFSSL_SUCCESS &&
			 history.last_rx.level == alert_fatal;
	if (certificate)
		snprintf(t->detail, sizeof(t->detail), "The certificate of %.253s %s.", t->host,
			certificate);
	else if (has_alert)
		say_alert(t, history.last_rx.code);
	else if (t->system_error != 0)
		snprintf(t->detail, sizeof(t->detail), "The connection to %.253s broke%s: %s.",
			t->host, when, fz_strerror(-t->system_error));
	else if (t->ended_quietly || err == SOCKET_PEER_CLOSED_E)
		snprintf(t->detail, sizeof(t->detail), "%.253s closed the connection%s.", t->host,
			when);
	else if (err == VERSION_ERROR || err == UNSUPPORTED_PROTO_VERSION)
		say_alert(t, protocol_version);
	else if (err == UNKNOWN_RECORD_TYPE || err == HTTP_PROTO_ERR || err == LENGTH_ERROR ||
		 err == OUT_OF_ORDER_E)
		snprintf(t->detail, sizeof(t->detail),
			"%.253s answered with something other than TLS.", t->host);
	else
		say_library(t, err);
}

/* What the library wants after a call that did not succeed. */
static enum fzp_tls_step after(struct fzp_tls *t, int r)
{
	int err = wolfSSL_get_error(t->ssl, r);
	t->wants_write = err == WOLFSSL_ERROR_WANT_WRITE;
	if (err == WOLFSSL_ERROR_WANT_READ)
		return FZP_TLS_WANTS_READ;
	if (err == WOLFSSL_ERROR_WANT_WRITE)
		return FZP_TLS_WANTS_WRITE;
	t->is_broken = true;
	say(t, err);
	return FZP_TLS_FAILED;
}

/* ---- handshake ---- */

static bool name_is_ip(const WOLFSSL_GENERAL_NAME *name, const struct fz_ip *ip)
{
	if (name->type != GEN_IPADD || !name->d.iPAddress)
		return false;
	int n = wolfSSL_ASN1_STRING_length(name->d.iPAddress);
	const unsigned char *p = wolfSSL_ASN1_STRING_data(name->d.iPAddress);
	return p && n > 0 && (size_t)n == fz_ip_len(ip) && memcmp(p, ip->b, (size_t)n) == 0;
}

static bool certificate_has_ip(WOLFSSL_X509 *x509, const struct fz_ip *ip)
{
	WOLFSSL_GENERAL_NAMES *names =
		wolfSSL_X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	if (!names)
		return false;
	bool found = false;
	for (int i = 0; i < wolfSSL_sk_GENERAL_NAME_num(names) && !found; i++)
		found = name_is_ip(wolfSSL_sk_GENERAL_NAME_value(names, i), ip);
	wolfSSL_sk_GENERAL_NAME_pop_free(names, wolfSSL_GENERAL_NAME_free);
	return found;
}

static bool check_ip(struct fzp_tls *t)
{
	if (!t->has_ip)
		return true;
	WOLFSSL_X509 *x509 = wolfSSL_get_peer_certificate(t->ssl);
	bool ok = x509 && certificate_has_ip(x509, &t->ip);
	wolfSSL_X509_free(x509);
	return ok;
}

enum fzp_tls_step fzp_tls_handshake(struct fzp_tls *t)
{
	if (t->is_broken)
		return FZP_TLS_FAILED;
	int r = wolfSSL_connect(t->ssl);
	if (r != WOLFSSL_SUCCESS)
		return after(t, r);
	t->wants_write = false;
	if (!check_ip(t)) {
		t->is_broken = true;
		say(t, IPADDR_MISMATCH);
		return FZP_TLS_FAILED;
	}
	t->is_up = true;
	return FZP_TLS_DONE;
}

/* ---- data ---- */

static ssize_t failure(const struct fzp_tls *t)
{
	return t->system_error != 0 ? -t->system_error : -ECONNABORTED;
}

ssize_t fzp_tls_read(struct fzp_tls *t, struct fz_span out)
{
	if (t->is_broken || !t->is_up)
		return failure(t);
	int r = wolfSSL_read(t->ssl, out.p, out.n < 65'536 ? (int)out.n : 65'536);
	if (r > 0)
		return r;
	if (wolfSSL_get_error(t->ssl, r) == WOLFSSL_ERROR_ZERO_RETURN)
		return 0;
	return after(t, r) == FZP_TLS_FAILED ? failure(t) : -EAGAIN;
}

ssize_t fzp_tls_write(struct fzp_tls *t, struct fz_bytes in)
{
	if (t->is_broken || !t->is_up)
		return failure(t);
	size_t n = in.n < 16'384 ? in.n : 16'384;
	if (t->retry_len > 0) {
		fz_assert(in.n >= t->retry_len);
		n = t->retry_len;
	}
	if (n == 0)
		return 0;
	int r = wolfSSL_write(t->ssl, in.p, (int)n);
	t->retry_len = 0;
	if (r > 0) {
		t->wants_write = false;
		return r;
	}
	if (after(t, r) == FZP_TLS_FAILED)
		return failure(t);
	t->retry_len = n;
	return -EAGAIN;
}

bool fzp_tls_wants_write(const struct fzp_tls *t)
{
	return t->wants_write;
}

void fzp_tls_close_notify(struct fzp_tls *t)
{
	if (!t->is_broken && t->is_up)
		(void)wolfSSL_shutdown(t->ssl);
}

const char *fzp_tls_detail(const struct fzp_tls *t)
{
	return t->detail;
}

const char *fzp_tls_describe(struct fzp_tls *t, char buf[static FZP_DETAIL_MAX])
{
	const char *cipher = wolfSSL_get_cipher_name(t->ssl);
	snprintf(buf, FZP_DETAIL_MAX, "%s %s", wolfSSL_get_version(t->ssl), cipher ? cipher : "");
	return buf;
}

/* ---- digests ---- */

void fzp_sha1(void *user, struct fz_bytes in, uint8_t ret_digest[20])
{
	(void)user;
	/* The input is a header of some 60 bytes: these fail for null pointers only. */
	fz_assert(in.n < UINT32_MAX && wc_ShaHash(in.p, (word32)in.n, ret_digest) == 0);
}

void fzp_sha256(struct fz_bytes in, uint8_t ret_digest[static 32])
{
	fz_assert(in.n < UINT32_MAX && wc_Sha256Hash(in.p, (word32)in.n, ret_digest) == 0);
}

void fzp_hmac_sha256(struct fz_bytes key, struct fz_bytes in, uint8_t ret_digest[static 32])
{
	Hmac h;
	fz_assert(key.n < UINT32_MAX && in.n < UINT32_MAX);
	fz_assert(wc_HmacInit(&h, NULL, INVALID_DEVID) == 0);
	fz_assert(wc_HmacSetKey(&h, WC_SHA256, key.p, (word32)key.n) == 0);
	fz_assert(wc_HmacUpdate(&h, in.p, (word32)in.n) == 0);
	fz_assert(wc_HmacFinal(&h, ret_digest) == 0);
	wc_HmacFree(&h);
}
