/*
 * The answer to the WebSocket handshake: a head that is taken ends where it says, is not taken any sooner, and what it
 * means (Retry-After, a refusal with its body) has words for the user.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "control/http1.h"
#include "control/reason.h"

#define DAY_NS (86'400ull * 1'000'000'000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct fzp_head *h, struct fz_bytes body)
{
	fz_dur wait;
	fz_assert(memchr(h->accept, '\0', sizeof(h->accept)));
	fz_assert(memchr(h->retry_after, '\0', sizeof(h->retry_after)));
	if (fzp_retry_after(h->retry_after, (fz_wall){ 1'790'000'000'000'000'000 }, &wait))
		fz_assert(wait.ns <= DAY_NS);
	static uint8_t joined[FZP_BODY_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(joined, sizeof(joined)));
	enum fzp_head_verdict v = fzp_chunked_read(body, &w);
	/* Looking changes nothing; what is carried is never more than what came. */
	fz_assert(v == fzp_chunked_read(body, NULL) && w.len <= body.n);
	if (v == FZP_HEAD_OK)
		fz_assert(fzp_chunked_read(fz_bytes_of(body.p, body.n - 1), NULL) != FZP_HEAD_BAD);
	if (h->is_chunked)
		body = fz_writer_written(&w);
	enum fzp_reason r = fzp_reason_of_http(h->status, h->is_problem, body);
	const struct fzp_reason_info *info = fzp_reason_info(r);
	fz_assert(r < FZP_REASON_COUNT_ && info->text[0] != '\0' && info->code[0] != '\0');
	/* Whoever may not name the token does not end it. */
	fz_assert(!info->drops_token || (h->status == 401 && h->is_problem));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fzp_head head, again;
	struct fz_bytes in = fz_bytes_of(data, size);
	if (fzp_head_parse(in, &head) != FZP_HEAD_OK)
		return 0;
	fz_assert(head.len > 0 && head.len <= size && head.len <= FZP_HEAD_MAX);
	fz_assert(fzp_head_parse(fz_bytes_of(data, head.len), &again) == FZP_HEAD_OK);
	fz_assert(again.len == head.len && again.status == head.status);
	fz_assert(fzp_head_parse(fz_bytes_of(data, head.len - 1), &again) == FZP_HEAD_MORE);
	fz_assert(fzp_head_parse(fz_bytes_of(data, head.len / 2), &again) == FZP_HEAD_MORE);
	judge(&head, fz_bytes_of(data + head.len, size - head.len));
	return 0;
}
