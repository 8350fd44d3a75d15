/* Browser sign-in: the URL, the callback, and each way a callback can be wrong. */
#include <errno.h>

#include "control/auth.h"
#include "support/test.h"

#define START FZP_CALLBACK_SCHEME "://handle_client_sign_in_callback"

struct fixture {
	struct fzp_sign_in *s;
	char nonce[65], state[65];
};

static struct fixture begin(void)
{
	struct fixture f = { .s = fzp_sign_in_new() };
	uint8_t random[64];
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 5 + 3);
	char url[FZP_AUTH_URL_MAX];
	CHECK_INT(fzp_sign_in_begin(f.s, "https://app.firezone.dev/", "acme", random, url), 0);
	CHECK(sscanf(url,
		      "https://app.firezone.dev/"
		      "acme?as=gui-client&nonce=%64[0-9a-f]&state=%64[0-9a-f]",
		      f.nonce, f.state) == 2);
	return f;
}

static enum fzp_callback_verdict finish(
	struct fixture *f, const char *url, struct fzp_signed_in *out)
{
	return fzp_sign_in_finish(f->s, fz_bytes_of_str(url), out);
}

TEST(sign_in, nonce_and_state_are_the_random_bytes_in_hex)
{
	struct fixture f = begin();
	CHECK_STR(f.nonce, "03080d12171c21262b30353a3f44494e53585d62676c71767b80858a8f94999e");
	CHECK_UINT(strlen(f.state), 64);
	fzp_sign_in_free(f.s);
}

TEST(sign_in, a_good_callback_gives_nonce_and_fragment_as_the_token)
{
	struct fixture f = begin();
	static struct fzp_signed_in out;
	char url[512], want[128];
	snprintf(url, sizeof(url),
		START "/?state=%s&fragment=.SFM%%2Babc&account_slug=acme&actor_name=Jane+Doe&"
		      "identity_provider_identifier=x",
		f.state);
	CHECK_INT(finish(&f, url, &out), FZP_CALLBACK_OK);
	snprintf(want, sizeof(want), "%s.SFM+abc", f.nonce);
	CHECK_STR(out.token.text, want);
	CHECK_UINT(out.token.len, strlen(want));
	CHECK_STR(out.account_slug, "acme");
	CHECK_STR(out.actor_name, "Jane Doe");
	CHECK(!fzp_sign_in_is_pending(f.s));
	CHECK_INT(finish(&f, url, &out), FZP_CALLBACK_NOT_EXPECTED);
	fzp_sign_in_free(f.s);
}

TEST(sign_in, each_malformed_callback_is_refused_for_its_own_reason_and_the_request_goes_on)
{
	struct fixture f = begin();
	static struct fzp_signed_in out;

	static const struct {
		const char *url;
		enum fzp_callback_verdict want;
	} rows[] = {
		{ "https://handle_client_sign_in_callback/?state=a", FZP_CALLBACK_NOT_OURS },
		{ FZP_CALLBACK_SCHEME "://other/?state=a", FZP_CALLBACK_NOT_OURS },
		{ START "/path?state=a", FZP_CALLBACK_NOT_OURS },
		{ START, FZP_CALLBACK_MISSING },
		{ START "?state=a&fragment=b&account_slug=c", FZP_CALLBACK_MISSING },
		{ START "?state=a&fragment=&account_slug=c&actor_name=d", FZP_CALLBACK_MISSING },
		{ START "?state=a&state=a&fragment=b&account_slug=c&actor_name=d",
			FZP_CALLBACK_REPEATED },
		{ START "?state=%zz&fragment=b&account_slug=c&actor_name=d",
			FZP_CALLBACK_MALFORMED },
		{ START "?state=a&fragment=b%0a&account_slug=c&actor_name=d",
			FZP_CALLBACK_MALFORMED },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		CHECK_INT(finish(&f, rows[i].url, &out), rows[i].want);
		CHECK(fzp_sign_in_is_pending(f.s));
	}
	fzp_sign_in_free(f.s);
}

TEST(sign_in, a_wrong_state_ends_the_request)
{
	struct fixture f = begin();
	static struct fzp_signed_in out;
	f.state[63] = f.state[63] == '0' ? '1' : '0';
	char url[512];
	snprintf(url, sizeof(url), START "?state=%s&fragment=.x&account_slug=acme&actor_name=J",
		f.state);
	CHECK_INT(finish(&f, url, &out), FZP_CALLBACK_STATE);
	CHECK(!fzp_sign_in_is_pending(f.s));
	fzp_sign_in_free(f.s);
}

TEST(sign_in, an_overlong_callback_is_refused)
{
	struct fixture f = begin();
	static struct fzp_signed_in out;
	static char url[FZP_CALLBACK_MAX + 2];
	memset(url, 'a', sizeof(url) - 1);
	CHECK_INT(finish(&f, url, &out), FZP_CALLBACK_MALFORMED);
	fzp_sign_in_free(f.s);
}

TEST(sign_in, bad_bases_and_slugs_are_refused)
{
	struct fzp_sign_in *s = fzp_sign_in_new();
	uint8_t random[64] = { 0 };
	char url[FZP_AUTH_URL_MAX];
	CHECK_INT(fzp_sign_in_begin(s, "wss://app.firezone.dev", "", random, url), -EINVAL);
	CHECK_INT(fzp_sign_in_begin(s, "https://a?b", "", random, url), -EINVAL);
	CHECK_INT(fzp_sign_in_begin(s, "https://a", "x/../y", random, url), -EINVAL);
	CHECK_INT(fzp_sign_in_headless_url("https://app.firezone.dev", "acme", url), 0);
	CHECK_STR(url, "https://app.firezone.dev/acme?as=headless-client");
	fzp_sign_in_free(s);
}

TEST(token, is_trimmed_and_inner_white_space_is_refused)
{
	static struct fz_token t;
	CHECK_INT(fzp_token_clean(fz_bytes_of_str(" \n.abc.def\r\n"), &t), 0);
	CHECK_STR(t.text, ".abc.def");
	CHECK_INT(fzp_token_clean(fz_bytes_of_str(" \n"), &t), -EINVAL);
	CHECK_INT(fzp_token_clean(fz_bytes_of_str("a b"), &t), -EINVAL);
	CHECK_INT(fzp_token_clean(fz_bytes_of_str("a\x80"), &t), -EINVAL);
	static char big[FZ_TOKEN_MAX + 2];
	memset(big, 'a', sizeof(big) - 1);
	CHECK_INT(fzp_token_clean(fz_bytes_of_str(big), &t), -E2BIG);
}
