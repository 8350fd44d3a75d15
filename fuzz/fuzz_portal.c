/*
 * The portal connection's machine at the mercy of the other end: bytes in pieces of any size, time in steps of any length,
 * ends of the connection. It never waits without a deadline, never speaks before it may, and comes back after everything
 * but the ends that are final.
 *
 * Input: one byte (bit 0: a good handshake comes first), then commands: 0 N bytes..: these arrive; 1 N: N seconds pass;
 * 2: the connection ends; 3 N bytes..: a text frame around them; 4: the user sends.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "control/portal.h"

/* base64 of twenty zero bytes, what `digest` gives. */
#define SWITCHING                                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
#define MOST_STEPS 200

struct run {
	struct fzp_portal *p;
	struct fz_now now;
	bool is_connected, has_ended;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, struct fz_span out)
{
	(void)user;
	memset(out.p, 0x5a, out.n);
}

static void digest(void *user, struct fz_bytes in, uint8_t ret_digest[20])
{
	(void)user;
	(void)in;
	memset(ret_digest, 0, 20);
}

static void drain(struct run *r)
{
	for (struct fz_bytes b = fzp_portal_output(r->p); b.n > 0; b = fzp_portal_output(r->p))
		fzp_portal_output_taken(r->p, b.n);
}

/* One answer to one action; false if there is nothing to do. */
static bool act(struct run *r)
{
	struct fzp_action a;
	fzp_portal_poll(r->p, r->now, &a);
	switch (a.kind) {
	case FZP_ACTION_NONE: return false;
	case FZP_ACTION_DIAL:
		fz_assert(!r->is_connected && !r->has_ended);
		r->is_connected = true;
		fzp_portal_connected(r->p, r->now);
		break;
	case FZP_ACTION_HANG_UP:
		drain(r);
		r->is_connected = false;
		break;
	case FZP_ACTION_ENDED:
		fz_assert(fzp_reason_info(a.reason)->ends_session);
		r->has_ended = true;
		break;
	case FZP_ACTION_DOWN: fz_assert(!fz_time_is_never(a.retry_at)); break;
	case FZP_ACTION_MESSAGE:
		fz_assert(a.frame.kind == FZP_FRAME_EVENT && a.frame.payload);
		break;
	case FZP_ACTION_UP: fz_assert(fzp_portal_state(r->p) == FZP_PORTAL_UP); break;
	}
	return true;
}

static void settle(struct run *r)
{
	int n = 0;
	while (act(r))
		fz_assert(++n < 10'000);
	drain(r);
	/* It has ended, or will do something by itself. */
	fz_assert(r->has_ended || !fz_time_is_never(fzp_portal_deadline(r->p)));
}

static void hear(struct run *r, struct fz_bytes in)
{
	if (r->is_connected)
		fzp_portal_received(r->p, in, r->now);
	settle(r);
}

static void hear_text(struct run *r, struct fz_bytes text)
{
	uint8_t frame[2 + 125];
	size_t n = text.n < 125 ? text.n : 125;
	frame[0] = 0x81;
	frame[1] = (uint8_t)n;
	if (n > 0)
		memcpy(frame + 2, text.p, n);
	hear(r, fz_bytes_of(frame, 2 + n));
}

static void step(struct run *r, struct fz_reader *in)
{
	uint8_t command = fz_reader_u8(in) % 5;
	uint8_t n = command == 2 || command == 4 ? 0 : fz_reader_u8(in);
	if (command == 0 || command == 3) {
		struct fz_bytes some = fz_reader_take(in, n < in->left ? n : in->left);
		if (command == 0)
			hear(r, some);
		else
			hear_text(r, some);
		return;
	}
	if (command == 1) {
		r->now.at = fz_time_add(r->now.at, FZ_SECONDS(n));
		r->now.wall.ns += n * 1'000'000'000ll;
	} else if (command == 2 && r->is_connected) {
		r->is_connected = false;
		fzp_portal_disconnected(r->p, r->now);
	} else if (command == 4) {
		int sent = fzp_portal_send(r->p, "no_relays", json_object());
		fz_assert(sent <= 0);
	}
	settle(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[FZ_KEY_LEN] = { 9 };
	static struct fz_token token;
	struct run r = { .now = { { 1'000'000'000 }, { 0 } } };
	struct fzp_portal_params params = { .role = FZP_CLIENT,
		.external_id = "abc",
		.name = "box",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12",
		.random = fill,
		.sha1 = digest };
	struct fz_reader in = fz_reader_of(fz_bytes_of(data, size));
	bool is_good = fz_reader_u8(&in) & 1;
	if (fzp_url_parse("wss://portal.example", &params.url) < 0 ||
		fzp_portal_new(&params, &r.p) < 0)
		return 0;
	token = (struct fz_token){ .len = 7, .text = ".secret" };
	fzp_portal_start(r.p, &token, key, r.now);
	settle(&r);
	if (is_good)
		hear(&r, fz_bytes_of_str(SWITCHING));
	for (int i = 0; i < MOST_STEPS && in.left > 0; i++)
		step(&r, &in);
	fzp_portal_stop(r.p);
	fzp_portal_free(r.p);
	return 0;
}
