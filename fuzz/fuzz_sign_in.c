/*
 * The link that a browser hands over: only one that carries the state of the request in flight gives a token, which begins
 * with our nonce; what else it says is text without control characters, within bounds.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "control/auth.h"

#define NONCE "0101010101010101010101010101010101010101010101010101010101010101"
#define STATE "0202020202020202020202020202020202020202020202020202020202020202"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(const char *text, size_t max)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	return n <= max;
}

/* The state may be written with escapes, but nothing shorter than itself can carry it. */
static void judge(const struct fzp_signed_in *s, size_t size)
{
	fz_assert(size >= strlen(STATE));
	fz_assert(s->token.len == strlen(s->token.text) && s->token.len > strlen(NONCE));
	fz_assert(memcmp(s->token.text, NONCE, strlen(NONCE)) == 0);
	fz_assert(
		is_plain(s->account_slug, FZP_SLUG_MAX) && is_plain(s->actor_name, FZP_ACTOR_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fzp_signed_in out;
	char url[FZP_AUTH_URL_MAX];
	uint8_t random[64];
	memset(random, 1, 32);
	memset(random + 32, 2, 32);
	struct fzp_sign_in *s = fzp_sign_in_new();
	if (!s)
		return 0;
	fz_assert(fzp_sign_in_begin(s, "https://app.example", "acme", random, url) == 0);
	enum fzp_callback_verdict v = fzp_sign_in_finish(s, fz_bytes_of(data, size), &out);
	fz_assert(v < FZP_CALLBACK_COUNT_ && fzp_callback_text(v)[0] != '\0');
	fz_assert(fzp_sign_in_is_pending(s) == (v != FZP_CALLBACK_OK && v != FZP_CALLBACK_STATE));
	if (v == FZP_CALLBACK_OK) {
		judge(&out, size);
		fz_assert(fzp_sign_in_finish(s, fz_bytes_of(data, size), &out) ==
			  FZP_CALLBACK_NOT_EXPECTED);
	}
	fzp_signed_in_wipep(&out);
	fzp_sign_in_free(s);
	return 0;
}
