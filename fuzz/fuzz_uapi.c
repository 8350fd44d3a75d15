/*
 * Text of a stranger to a device, cut into pieces by its first byte: the reply is lines of known form, nothing is left
 * unused, and every dump taken before ends in order.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "uapi/uapi.h"

static const struct fz_now now = { { 1'000'000'000 }, { 1'700'000'000'000'000'000 } };

static void fill(void *user, struct fz_span out)
{
	uint8_t *seed = user;
	for (size_t i = 0; i < out.n; i++)
		out.p[i] = (uint8_t)(*seed = (uint8_t)(*seed * 5 + 1));
}

static void check_output(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fz_assert(p[i] == '\n' || (p[i] >= ' ' && p[i] < 127));
	fz_assert(p[n - 1] == '\n');
}

/* Everything but input. */
static void serve(struct uapi_client *c)
{
	uint8_t out[UAPI_OUTPUT_MIN];
	for (;;) {
		enum uapi_want want = uapi_client_want(c);
		if (want == UAPI_WANT_OUTPUT) {
			size_t n = uapi_client_output(c, now, fz_span_of(out, sizeof(out)));
			fz_assert(n > 0 && n <= sizeof(out));
			check_output(out, n);
		} else if (want == UAPI_WANT_ANSWER) {
			struct uapi_question q = uapi_client_question(c);
			bool is_zone = q.ask == UAPI_ASK_ZONE;
			fz_assert(!is_zone || strlen(q.zone) < 16);
			uapi_client_answer(c, now,
				is_zone        ? q.zone[0] % 3
				: q.number % 7 ? 0
					       : -98);
		} else {
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t seed = 3;
	struct wg_device_params params = { .random = fill, .user = &seed, .max_peers = 64 };
	struct wg_device *d = wg_device_new(&params);
	struct uapi *u = d ? uapi_new(d) : NULL;
	fz_assert(u);
	struct uapi_client *c = uapi_client_new(u), *slow = uapi_client_new(u);
	fz_assert(c && slow);
	size_t step = data[0] ? data[0] : size;
	size_t at = 1;
	while (at < size && uapi_client_want(c) != UAPI_WANT_CLOSE) {
		size_t n = size - at < step ? size - at : step;
		at += uapi_client_feed(c, now, fz_bytes_of(data + at, n));
		/* Another one reads slowly all the while. */
		if (uapi_client_want(slow) == UAPI_WANT_INPUT)
			fz_assert(uapi_client_feed(slow, now, fz_bytes_of_str("get=1\n\n")) == 7);
		uint8_t out[UAPI_OUTPUT_MIN];
		size_t got = uapi_client_output(slow, now, fz_span_of(out, sizeof(out)));
		fz_assert(got > 0);
		check_output(out, got);
		serve(c);
	}
	if (uapi_client_want(c) == UAPI_WANT_INPUT)
		uapi_client_end(c);
	serve(c);
	serve(slow);
	uapi_client_free(c);
	uapi_client_free(slow);
	uapi_free(u);
	wg_device_free(d);
	return 0;
}
