/*
 * The deep link's five refusals are kept apart because each tells the user something else. The state is compared in constant time
 * over its whole length; nonce and state live in locked memory and are wiped with the request.
 */
#include "control/auth.h"

#include <errno.h>
#include <string.h>

#include "base/ct.h"
#include "control/url.h"

#define HEX_LEN 64

struct fzp_sign_in {
	bool is_pending;
	char nonce[HEX_LEN + 1], state[HEX_LEN + 1];
};

void fzp_sign_in_free(struct fzp_sign_in *s)
{
	fz_secret_free(s, sizeof(*s));
}

struct fzp_sign_in *fzp_sign_in_new(void)
{
	return fz_secret_new(sizeof(struct fzp_sign_in));
}

void fzp_signed_in_wipep(struct fzp_signed_in *s)
{
	fz_wipe(s, sizeof(*s));
}

static void to_hex(const uint8_t *in, char ret_text[static HEX_LEN + 1])
{
	for (size_t i = 0; i < 32; i++) {
		/* arithmetic instead of a table: no index depends on the secret */
		unsigned high = in[i] >> 4, low = in[i] & 15u;
		ret_text[2 * i] = (char)('0' + high + (((9u - high) >> 8) & 39u));
		ret_text[2 * i + 1] = (char)('0' + low + (((9u - low) >> 8) & 39u));
	}
	ret_text[HEX_LEN] = '\0';
}

static bool slug_is_good(const char *slug)
{
	if (strlen(slug) > FZP_SLUG_MAX)
		return false;
	for (; *slug; slug++) {
		bool ok = (*slug >= 'a' && *slug <= 'z') || (*slug >= 'A' && *slug <= 'Z') ||
			  (*slug >= '0' && *slug <= '9') || *slug == '-' || *slug == '_';
		if (!ok)
			return false;
	}
	return true;
}

static int write_page(struct fz_writer *w, const char *base, const char *slug)
{
	struct fzp_url u;
	if (strncmp(base, "http", 4) != 0 || fzp_url_parse(base, &u) < 0 || !slug_is_good(slug))
		return -EINVAL;
	size_t n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	fz_writer_bytes(w, fz_bytes_of(base, n));
	if (*slug)
		fz_writer_format(w, "/%s", slug);
	return 0;
}

int fzp_sign_in_begin(struct fzp_sign_in *s, const char *base, const char *slug,
	const uint8_t random[static 64], char ret_url[static FZP_AUTH_URL_MAX])
{
	char text[FZP_AUTH_URL_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(text, sizeof(text) - 1));
	int r = write_page(&w, base, slug);
	if (r < 0)
		return r;
	fzp_sign_in_cancel(s);
	to_hex(random, s->nonce);
	to_hex(random + 32, s->state);
	fz_writer_format(&w, "?as=gui-client&nonce=%s&state=%s", s->nonce, s->state);
	if (w.bad) {
		fzp_sign_in_cancel(s);
		return -ENOSPC;
	}
	s->is_pending = true;
	memcpy(ret_url, text, w.len);
	ret_url[w.len] = '\0';
	fz_wipe(text, sizeof(text));
	return 0;
}

int fzp_sign_in_headless_url(
	const char *base, const char *slug, char ret_url[static FZP_AUTH_URL_MAX])
{
	char text[FZP_AUTH_URL_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(text, sizeof(text) - 1));
	int r = write_page(&w, base, slug);
	if (r < 0)
		return r;
	fz_writer_format(&w, "?as=headless-client");
	if (w.bad)
		return -ENOSPC;
	memcpy(ret_url, text, w.len);
	ret_url[w.len] = '\0';
	return 0;
}

bool fzp_sign_in_is_pending(const struct fzp_sign_in *s)
{
	return s->is_pending;
}

void fzp_sign_in_cancel(struct fzp_sign_in *s)
{
	fz_wipe(s, sizeof(*s));
}

const char *fzp_callback_text(enum fzp_callback_verdict v)
{
	static const char *const texts[FZP_CALLBACK_COUNT_] = {
		[FZP_CALLBACK_OK] = "signed in",
		[FZP_CALLBACK_NOT_OURS] = "this is not a Firezone sign-in link",
		[FZP_CALLBACK_MISSING] = "the sign-in link lacks a part; copy the whole of it",
		[FZP_CALLBACK_REPEATED] = "the sign-in link names a part twice",
		[FZP_CALLBACK_MALFORMED] = "the sign-in link is damaged; copy the whole of it",
		[FZP_CALLBACK_STATE] = "the sign-in link answers another request; start again",
		[FZP_CALLBACK_NOT_EXPECTED] =
			"no sign-in is waiting for this link; start with sign-in",
	};
	return (unsigned)v < FZP_CALLBACK_COUNT_ ? texts[v] : texts[FZP_CALLBACK_MALFORMED];
}

struct parameter {
	const char *name;
	char *text;
	size_t cap;
	bool is_seen;
};

static bool is_clean(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static enum fzp_callback_verdict take_pair(struct fz_bytes pair, struct parameter *list, size_t n)
{
	const uint8_t *equals = memchr(pair.p, '=', pair.n);
	size_t name_len = equals ? (size_t)(equals - pair.p) : pair.n;
	struct fz_bytes value =
		equals ? fz_bytes_of(equals + 1, pair.n - name_len - 1) : fz_bytes_of(pair.p, 0);
	for (size_t i = 0; i < n; i++) {
		if (name_len != strlen(list[i].name) || memcmp(pair.p, list[i].name, name_len) != 0)
			continue;
		if (list[i].is_seen)
			return FZP_CALLBACK_REPEATED;
		list[i].is_seen = true;
		if (fzp_form_decode(value, list[i].text, list[i].cap) < 0 ||
			!is_clean(list[i].text))
			return FZP_CALLBACK_MALFORMED;
	}
	return FZP_CALLBACK_OK;
}

static enum fzp_callback_verdict take_query(struct fz_bytes query, struct parameter *list, size_t n)
{
	while (query.n > 0) {
		const uint8_t *amp = memchr(query.p, '&', query.n);
		size_t len = amp ? (size_t)(amp - query.p) : query.n;
		enum fzp_callback_verdict v = take_pair(fz_bytes_of(query.p, len), list, n);
		if (v != FZP_CALLBACK_OK)
			return v;
		size_t used = amp ? len + 1 : len;
		query.p += used;
		query.n -= used;
	}
	for (size_t i = 0; i < n; i++)
		if (!list[i].is_seen)
			return FZP_CALLBACK_MISSING;
	return FZP_CALLBACK_OK;
}

/* "<scheme>://handle_client_sign_in_callback[/]?query" */
static bool take_start(struct fz_bytes *url)
{
	static const char start[] = FZP_CALLBACK_SCHEME "://handle_client_sign_in_callback";
	size_t n = sizeof(start) - 1;
	if (url->n < n || memcmp(url->p, start, n) != 0)
		return false;
	url->p += n;
	url->n -= n;
	if (url->n > 0 && url->p[0] == '/') {
		url->p++;
		url->n--;
	}
	if (url->n == 0 || url->p[0] != '?')
		return url->n == 0;
	url->p++;
	url->n--;
	return true;
}

enum fzp_callback_verdict fzp_sign_in_finish(
	struct fzp_sign_in *s, struct fz_bytes url, struct fzp_signed_in *ret)
{
	FZ_CLEANUP(fzp_signed_in_wipep) struct fzp_signed_in out = { 0 };
	char state[HEX_LEN + 2] = "";
	struct parameter list[] = {
		{ "account_slug", out.account_slug, sizeof(out.account_slug), false },
		{ "actor_name", out.actor_name, sizeof(out.actor_name), false },
		{ "fragment", out.token.text + HEX_LEN, FZ_TOKEN_MAX - HEX_LEN + 1, false },
		{ "state", state, sizeof(state), false },
	};
	if (url.n > FZP_CALLBACK_MAX)
		return FZP_CALLBACK_MALFORMED;
	if (!take_start(&url))
		return FZP_CALLBACK_NOT_OURS;
	enum fzp_callback_verdict v = take_query(url, list, FZ_ARRAY_LEN(list));
	if (v != FZP_CALLBACK_OK)
		return v;
	if (out.token.text[HEX_LEN] == '\0') /* the nonce alone is no token */
		return FZP_CALLBACK_MISSING;
	if (!s->is_pending)
		return FZP_CALLBACK_NOT_EXPECTED;
	if (strlen(state) != HEX_LEN || !fz_ct_equal(state, s->state, HEX_LEN)) {
		fzp_sign_in_cancel(s);
		return FZP_CALLBACK_STATE;
	}
	memcpy(out.token.text, s->nonce, HEX_LEN);
	out.token.len = strlen(out.token.text);
	fzp_sign_in_cancel(s);
	*ret = out;
	return FZP_CALLBACK_OK;
}

int fzp_token_clean(struct fz_bytes in, struct fz_token *ret_token)
{
	while (in.n > 0 && in.p[0] <= ' ') {
		in.p++;
		in.n--;
	}
	while (in.n > 0 && in.p[in.n - 1] <= ' ')
		in.n--;
	if (in.n == 0)
		return -EINVAL;
	if (in.n > FZ_TOKEN_MAX)
		return -E2BIG;
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] <= ' ' || in.p[i] > '~')
			return -EINVAL;
	memcpy(ret_token->text, in.p, in.n);
	ret_token->text[in.n] = '\0';
	ret_token->len = in.n;
	return 0;
}
