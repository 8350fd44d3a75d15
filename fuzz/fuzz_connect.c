/*
 * What a proxy answers to CONNECT, whole and in two pieces (a verdict never changes back to "more"), and a proxy's URL: what is
 * accepted makes a request of one head without line breaks smuggled in.
 */
#include <string.h>

#include "base/assert.h"
#include "control/io/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const uint8_t *data, size_t size)
{
	char text[1024];
	struct fzp_proxy p;
	if (size >= sizeof(text))
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (fzp_proxy_parse(text, &p) < 0)
		return;
	uint8_t buf[FZP_PROXY_REQUEST_MAX];
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	fzp_proxy_request(&w, &p, "portal.example", false, 443);
	fz_assert(!w.bad && p.port != 0 && p.host[0]);
	const uint8_t *end = memmem(buf, w.len, "\r\n\r\n", 4);
	fz_assert(end && (size_t)(end - buf) + 4 == w.len);
	fzp_proxy_wipep(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t status = 0, early = 0;
	enum fzp_proxy_verdict whole = fzp_proxy_reply(fz_bytes_of(data, size), &status);
	enum fzp_proxy_verdict half = fzp_proxy_reply(fz_bytes_of(data, size / 2), &early);
	fz_assert(whole != FZP_PROXY_REFUSED || status >= 300);
	fz_assert(whole != FZP_PROXY_MORE || half == FZP_PROXY_MORE);
	fz_assert(half != FZP_PROXY_REFUSED || (whole == half && status == early));
	check_url(data, size);
	return 0;
}
