/* See uapi_talk.h. Virtual time stands still at one second. */
#include "unit/uapi_talk.h"

#include "crypto/selftest.h"
#include "support/test.h"
#include "uapi/hex.h"

static const struct fz_now now = { { 1'000'000'000 }, { 1'700'000'000'000'000'000 } };

static void fill(void *user, struct fz_span out)
{
	static struct test_rng rng = { 7 };
	(void)user;
	test_rng_fill(&rng, out.p, out.n);
}

struct talk talk_new(void)
{
	CHECK_INT(fz_crypto_selftest(), 0);
	struct talk t = { 0 };
	t.device = wg_device_new(&(struct wg_device_params){ .random = fill });
	CHECK(t.device);
	t.uapi = uapi_new(t.device);
	CHECK(t.uapi);
	t.client = uapi_client_new(t.uapi);
	CHECK(t.client);
	return t;
}

void talk_done(struct talk *t)
{
	uapi_client_free(t->client);
	uapi_free(t->uapi);
	wg_device_free(t->device);
	free(t->heard);
}

static void hear(struct talk *t)
{
	uint8_t buf[UAPI_OUTPUT_MIN];
	size_t n = uapi_client_output(t->client, now, fz_span_of(buf, sizeof(buf)));
	CHECK(n > 0);
	CHECK(n <= sizeof(buf));
	t->heard = realloc(t->heard, t->n_heard + n + 1);
	CHECK(t->heard);
	memcpy(t->heard + t->n_heard, buf, n);
	t->n_heard += n;
	t->heard[t->n_heard] = '\0';
}

static void answer(struct talk *t)
{
	struct uapi_question q = uapi_client_question(t->client);
	int64_t a = 0;
	t->n_questions++;
	switch (q.ask) {
	case UAPI_ASK_PORT:
		a = t->port_answer;
		t->port = q.number;
		break;
	case UAPI_ASK_MARK:
		a = t->mark_answer;
		t->mark = q.number;
		break;
	case UAPI_ASK_ZONE: a = strcmp(q.zone, "eth0") == 0 ? (int64_t)t->zone : 0; break;
	}
	uapi_client_answer(t->client, now, a);
}

/* Everything but input. */
static void serve(struct talk *t)
{
	for (;;) {
		enum uapi_want want = uapi_client_want(t->client);
		if (want == UAPI_WANT_OUTPUT)
			hear(t);
		else if (want == UAPI_WANT_ANSWER)
			answer(t);
		else
			return;
	}
}

static void forget(struct talk *t)
{
	t->heard = realloc(t->heard, 1);
	CHECK(t->heard);
	t->heard[0] = '\0';
	t->n_heard = 0;
}

const char *talk_say_bytes(struct talk *t, struct fz_bytes in)
{
	forget(t);
	size_t at = 0;
	serve(t);
	while (at < in.n && uapi_client_want(t->client) == UAPI_WANT_INPUT) {
		size_t n = in.n - at;
		if (t->piece && n > t->piece)
			n = t->piece;
		size_t used = uapi_client_feed(t->client, now, fz_bytes_of(in.p + at, n));
		CHECK(used <= n);
		CHECK(used > 0 || uapi_client_want(t->client) != UAPI_WANT_INPUT);
		at += used;
		serve(t);
	}
	return t->heard;
}

const char *talk_say(struct talk *t, const char *text)
{
	return talk_say_bytes(t, fz_bytes_of_str(text));
}

const char *talk_end(struct talk *t)
{
	forget(t);
	uapi_client_end(t->client);
	serve(t);
	return t->heard;
}

const char *talk_get(struct talk *t)
{
	return talk_say(t, "get=1\n\n");
}

struct wg_peer *talk_peer(struct talk *t, const char *hex)
{
	struct fz_key k;
	CHECK_INT(uapi_hex_parse(hex, &k), 0);
	return wg_device_find_peer(t->device, k.b);
}
