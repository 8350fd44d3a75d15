/* The portal's end of a link, and the clock. See device_fake.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/io/link.h"
#include "control/io/sock.h"
#include "io/clock.h"
#include "support/test.h"
#include "unit/device_fake.h"

#define START      FZ_SECONDS(1000)
#define WALL_START INT64_C(1'795'000'000)
#define FRAME_MAX  65'536
#define SECOND     1e9
#define SWITCHING                                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"

struct fzp_link {
	struct fzp_link_ops ops;
	void *user;
	struct fzp_portal *portal;
	bool is_dialling, is_connected, is_pumping;
	enum fzp_portal_state told;
};

static struct fzp_link *last;
static fz_dur since_start;

/* ---- time ---- */

struct fz_now fz_clock_now(void)
{
	return (struct fz_now){ fz_time_add((fz_time){ START.ns }, since_start),
		{ WALL_START * 1'000'000'000 + (int64_t)since_start.ns } };
}

fz_time fz_clock_boot(void)
{
	return fz_clock_now().at;
}

/* ---- control/io/sock.h: no timer fires by itself, and nothing is kept on disk ---- */

struct fz_now fzp_now(void)
{
	return fz_clock_now();
}

int fzp_timer_set(sd_event *event, sd_event_source **timer, fz_time when,
	sd_event_time_handler_t fn, void *user)
{
	(void)event;
	(void)timer;
	(void)when;
	(void)fn;
	(void)user;
	return 0;
}

void fzp_source_freep(sd_event_source **source)
{
	*source = sd_event_source_disable_unref(*source);
}

int fzp_read_file(const char *path, size_t max, uint8_t **ret_text, size_t *ret_len)
{
	(void)path;
	(void)max;
	(void)ret_text;
	(void)ret_len;
	return -ENOENT;
}

int fzp_write_file(const char *path, struct fz_bytes text)
{
	(void)path;
	(void)text;
	return 0;
}

/* ---- the machine ---- */

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

static void carry_out(struct fzp_link *l, const struct fzp_action *a)
{
	switch (a->kind) {
	case FZP_ACTION_NONE: break;
	case FZP_ACTION_DIAL: l->is_dialling = true; break;
	case FZP_ACTION_HANG_UP: l->is_dialling = l->is_connected = false; break;
	case FZP_ACTION_UP:
		if (l->ops.up)
			l->ops.up(l->user);
		break;
	case FZP_ACTION_DOWN:
		if (l->ops.down)
			l->ops.down(l->user, a->reason, a->retry_at);
		break;
	case FZP_ACTION_ENDED:
		if (l->ops.ended)
			l->ops.ended(l->user, a->reason);
		break;
	case FZP_ACTION_MESSAGE:
		if (l->ops.message)
			l->ops.message(l->user, &a->frame);
		break;
	}
}

static void pump(struct fzp_link *l)
{
	struct fzp_action a;
	if (l->is_pumping)
		return;
	l->is_pumping = true;
	do {
		fzp_portal_poll(l->portal, fz_clock_now(), &a);
		carry_out(l, &a);
		enum fzp_portal_state state = fzp_portal_state(l->portal);
		if (state != l->told && l->ops.state)
			l->ops.state(l->user, state);
		l->told = state;
	} while (a.kind != FZP_ACTION_NONE);
	l->is_pumping = false;
}

void fake_begin(void)
{
	CHECK(!last);
	since_start.ns = 0;
}

void fake_run_to(double seconds)
{
	fz_dur end = { (uint64_t)(seconds * SECOND) };
	for (unsigned i = 0; last; i++) {
		CHECK(i < 100'000);
		fz_time due = fzp_portal_deadline(last->portal);
		if (fz_time_is_never(due) || due.ns > START.ns + end.ns)
			break;
		if (due.ns > START.ns + since_start.ns)
			since_start.ns = due.ns - START.ns;
		pump(last);
	}
	since_start = end.ns > since_start.ns ? end : since_start;
}

double fake_now(void)
{
	return (double)since_start.ns / SECOND;
}

/* ---- the test's end ---- */

const char *fake_dialled(double patience)
{
	static char target[FZP_TARGET_MAX];
	double end = fake_now() + patience;
	while (!last->is_dialling && fake_now() < end)
		fake_run_to(fake_now() + 0.01);
	CHECK(last->is_dialling);
	last->is_dialling = false;
	last->is_connected = true;
	fzp_portal_connected(last->portal, fz_clock_now());
	pump(last);
	struct fz_bytes head = fzp_portal_output(last->portal);
	char text[4096];
	CHECK(head.n < sizeof(text));
	memcpy(text, head.p, head.n);
	text[head.n] = '\0';
	CHECK_INT(sscanf(text, "GET %2047s HTTP/1.1", target), 1);
	CHECK(strstr(text, "\r\n\r\n"));
	fzp_portal_output_taken(last->portal, head.n);
	return target;
}

static void answer(const char *text)
{
	fzp_portal_received(last->portal, fz_bytes_of_str(text), fz_clock_now());
	pump(last);
}

void fake_accept(void)
{
	answer(SWITCHING);
}

void fake_refuse(const char *status, const char *code)
{
	char body[256], head[512];
	snprintf(body, sizeof(body), "{\"type\":\"about:blank\",\"status\":%s,\"code\":\"%s\"}",
		status, code);
	snprintf(head, sizeof(head),
		"HTTP/1.1 %s Refused\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		status, strlen(body), body);
	answer(head);
	fake_close();
}

void fake_hear(const char *text)
{
	static uint8_t frame[FRAME_MAX + 4];
	size_t n = strlen(text), head = n < 126 ? 2 : 4;
	CHECK(n < FRAME_MAX);
	frame[0] = 0x81;
	frame[1] = n < 126 ? (uint8_t)n : 126;
	frame[2] = (uint8_t)(n >> 8);
	frame[3] = (uint8_t)n;
	memcpy(frame + head, text, n);
	fzp_portal_received(last->portal, fz_bytes_of(frame, n + head), fz_clock_now());
	pump(last);
}

void fake_close(void)
{
	fzp_portal_disconnected(last->portal, fz_clock_now());
	last->is_connected = false;
	pump(last);
}

const char *fake_said_maybe(void)
{
	static char text[FRAME_MAX];
	struct fz_bytes out = last ? fzp_portal_output(last->portal) : (struct fz_bytes){ 0 };
	if (out.n < 6 || !last->is_connected)
		return NULL;
	struct fz_reader r = fz_reader_of(out);
	uint8_t opcode = fz_reader_u8(&r);
	size_t n = fz_reader_u8(&r) & 0x7f;
	CHECK(n < 127);
	if (n == 126)
		n = fz_reader_be16(&r);
	const uint8_t *mask = fz_reader_take(&r, 4).p, *p = fz_reader_take(&r, n).p;
	CHECK(!r.bad && n < sizeof(text));
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(p[i] ^ mask[i % 4]);
	text[n] = '\0';
	fzp_portal_output_taken(last->portal, (size_t)(p + n - out.p));
	return opcode == 0x81 ? text : fake_said_maybe();
}

bool fake_portal_is_up(void)
{
	return fzp_portal_state(last->portal) == FZP_PORTAL_UP;
}

/* ---- control/io/link.h ---- */

void fzp_link_free(struct fzp_link *l)
{
	if (!l)
		return;
	fzp_portal_free(l->portal);
	free(l);
	last = NULL;
}

int fzp_link_new(sd_event *event, const struct fzp_link_params *params, struct fzp_link **ret_link)
{
	(void)event;
	struct fzp_portal_params p = {
		.url = params->url,
		.role = params->role,
		.external_id = params->external_id,
		.name = params->name,
		.user_agent = params->user_agent,
		.random = fill,
		.sha1 = digest,
	};
	last = fz_new(struct fzp_link);
	CHECK(last);
	last->ops = params->ops;
	last->user = params->user;
	CHECK_INT(fzp_portal_new(&p, &last->portal), 0);
	*ret_link = last;
	return 0;
}

void fzp_link_start(
	struct fzp_link *l, struct fz_token *token, const uint8_t public_key[static FZ_KEY_LEN])
{
	fzp_portal_start(l->portal, token, public_key, fz_clock_now());
	pump(l);
}

void fzp_link_stop(struct fzp_link *l)
{
	fzp_portal_stop(l->portal);
	l->told = FZP_PORTAL_OFF;
	l->is_dialling = l->is_connected = false;
	pump(l);
}

void fzp_link_reset(struct fzp_link *l, const uint8_t public_key[static FZ_KEY_LEN])
{
	l->is_connected = false;
	fzp_portal_reset(l->portal, public_key, fz_clock_now());
	pump(l);
}

int fzp_link_send(struct fzp_link *l, const char *event, json_t *payload)
{
	return fzp_portal_send(l->portal, event, payload);
}

enum fzp_portal_state fzp_link_state(const struct fzp_link *l)
{
	return fzp_portal_state(l->portal);
}

enum fzp_reason fzp_link_reason(const struct fzp_link *l)
{
	return fzp_portal_reason(l->portal);
}

fz_time fzp_link_retry_at(const struct fzp_link *l)
{
	(void)l;
	return FZ_NEVER;
}

const char *fzp_link_detail(const struct fzp_link *l)
{
	(void)l;
	return "";
}
