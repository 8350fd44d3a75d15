/*
 * Portal connection: docs/protocol/portal.md, "Life of a connection". Times are upstream's as measured: join within 5 s, heartbeat
 * every 10 s with at most 3 unanswered, one second between attempts before the first success, afterwards 500 ms x 1.5^n up to 60 s
 * plus up to as much again. Unlike upstream it never gives up: a laptop may boot without a network.
 */
#include "control/portal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/ct.h"
#include "base/err.h"
#include "control/http1.h"
#include "control/json.h"
#include "control/ws.h"

#define ATTEMPT_LIMIT             FZ_SECONDS(15)
#define JOIN_LIMIT                FZ_SECONDS(5)
#define HEARTBEAT_INTERVAL        FZ_SECONDS(10)
#define HEARTBEATS_UNANSWERED_MAX 3
#define FIRST_ATTEMPTS            15 /* this many a second apart, then the growing delays */
#define WAITING_MAX               256
#define STEADY                    FZ_SECONDS(60) /* a connection that lasted this long was none of a series */
#define REQUEST_MAX               (FZP_TARGET_MAX + FZ_TOKEN_MAX + 1024)

struct waiting {
	char *event;
	json_t *payload;
};

struct fzp_portal {
	struct fzp_portal_params params; /* strings owned */
	struct fz_token *token; /* in secret memory */
	uint8_t public_key[FZ_KEY_LEN];
	enum fzp_portal_state state;
	enum fzp_reason reason;

	fz_time lost_at; /* when the last join ended; FZ_NEVER: joined, or it never was */
	bool has_joined_ever, is_shell_connected;
	bool was_dismissed; /* and not let in since */
	bool tell_dial, tell_hang_up, tell_up, tell_down, tell_ended;
	uint32_t n_failures; /* since the last join */
	uint32_t n_dismissals; /* one soon after the other */
	fz_time joined_at;
	fz_time deadline; /* of the state */
	fz_time next_heartbeat;
	uint32_t n_unanswered;

	struct fz_bytebuf http_in, http_out;
	bool has_head;
	struct fzp_head head;
	char expected_accept[32];

	struct fzp_ws *ws;
	json_t *current; /* tree of the frame last handed out */
	uint64_t next_ref, join_ref, heartbeat_ref;
	uint32_t n_waiting;
	struct waiting waiting[WAITING_MAX];
};

/* ---- making and freeing ---- */

static void drop_waiting(struct fzp_portal *p)
{
	for (uint32_t i = 0; i < p->n_waiting; i++) {
		free(p->waiting[i].event);
		json_decref(p->waiting[i].payload);
	}
	p->n_waiting = 0;
}

static void drop_connection(struct fzp_portal *p)
{
	json_decref(p->current);
	p->current = NULL;
	fzp_ws_free(p->ws);
	p->ws = NULL;
	fz_bytebuf_clear(&p->http_in);
	fz_bytebuf_clear(&p->http_out);
	p->has_head = false;
	drop_waiting(p);
}

static void free_text(const char *s)
{
	free(fz_unconst(s)); /* our own copies, const only for readers */
}

void fzp_portal_free(struct fzp_portal *p)
{
	if (!p)
		return;
	drop_connection(p);
	fz_bytebuf_done(&p->http_in);
	fz_bytebuf_done(&p->http_out);
	fz_secret_free(p->token, sizeof(*p->token));
	free_text(p->params.external_id);
	free_text(p->params.name);
	free_text(p->params.device_serial);
	free_text(p->params.device_uuid);
	free_text(p->params.user_agent);
	free(p);
}

static bool copy_text(const char **ret, const char *from)
{
	*ret = from ? fz_strdup(from) : NULL;
	return *ret || !from;
}

int fzp_portal_new(const struct fzp_portal_params *params, struct fzp_portal **ret_portal)
{
	char target[FZP_TARGET_MAX];
	static const uint8_t any_key[FZ_KEY_LEN];
	struct fzp_login login = { params->role, params->external_id, params->name,
		params->device_serial, params->device_uuid, any_key };
	if (fzp_login_target(&params->url, &login, target) < 0 ||
		strlen(params->user_agent) >= FZP_AGENT_MAX)
		return -EINVAL;

	struct fzp_portal *p = fz_new(struct fzp_portal);
	if (!p)
		return -ENOMEM;
	fz_bytebuf_init(&p->http_in, FZP_HEAD_MAX + FZP_BODY_MAX);
	fz_bytebuf_init(&p->http_out, REQUEST_MAX);
	p->deadline = p->next_heartbeat = p->lost_at = FZ_NEVER;
	p->params = *params;
	bool ok = copy_text(&p->params.external_id, params->external_id);
	ok = copy_text(&p->params.name, params->name) && ok;
	ok = copy_text(&p->params.device_serial, params->device_serial) && ok;
	ok = copy_text(&p->params.device_uuid, params->device_uuid) && ok;
	ok = copy_text(&p->params.user_agent, params->user_agent) && ok;
	p->token = fz_secret_new(sizeof(*p->token));
	if (!ok || !p->token) {
		fzp_portal_free(p);
		return -ENOMEM;
	}
	*ret_portal = p;
	return 0;
}

/* ---- attempts and their ends ---- */

static void begin_attempt(struct fzp_portal *p, struct fz_now now)
{
	drop_connection(p);
	p->state = FZP_PORTAL_DIALING;
	p->tell_dial = true;
	p->deadline = fz_time_add(now.at, ATTEMPT_LIMIT);
	p->next_heartbeat = FZ_NEVER;
	p->n_unanswered = 0;
}

static fz_dur backoff(struct fzp_portal *p)
{
	if (!p->has_joined_ever && p->n_failures < FIRST_ATTEMPTS)
		return FZ_SECONDS(1);
	uint32_t n = p->has_joined_ever ? p->n_failures : p->n_failures - FIRST_ATTEMPTS;
	uint64_t ms = 500;
	for (; n > 0 && ms < 60'000; n--)
		ms += ms / 2;
	if (ms > 60'000)
		ms = 60'000;
	uint64_t r;
	p->params.random(p->params.user, fz_span_of(&r, sizeof(r)));
	return FZ_MILLISECONDS(ms + r % (ms + 1));
}

static void hang_up(struct fzp_portal *p)
{
	if (p->is_shell_connected || p->state == FZP_PORTAL_DIALING)
		p->tell_hang_up = true;
	p->is_shell_connected = false;
	p->tell_dial = false;
	p->tell_up = false;
}

static void end_session(struct fzp_portal *p, enum fzp_reason why)
{
	hang_up(p);
	drop_connection(p);
	p->state = FZP_PORTAL_OFF;
	p->reason = why;
	p->deadline = p->next_heartbeat = FZ_NEVER;
	p->tell_ended = true;
	if (fzp_reason_info(why)->drops_token)
		fz_token_wipep(p->token);
}

/* How much longer it may be away. */
static fz_dur partition_left(struct fzp_portal *p, fz_time now)
{
	if (p->params.partition_limit.ns == 0 || !p->has_joined_ever)
		return FZ_NANOSECONDS(UINT64_MAX);
	if (fz_time_is_never(p->lost_at))
		p->lost_at = now;
	uint64_t away = fz_time_since(now, p->lost_at).ns;
	return FZ_NANOSECONDS(
		away < p->params.partition_limit.ns ? p->params.partition_limit.ns - away : 0);
}

static void fail(struct fzp_portal *p, enum fzp_reason why, const fz_dur *wait, struct fz_now now)
{
	fz_dur left = partition_left(p, now.at);
	if (fzp_reason_info(why)->ends_session || left.ns == 0) {
		end_session(p, fzp_reason_info(why)->ends_session ? why : FZP_REASON_PARTITION);
		return;
	}
	if (p->state == FZP_PORTAL_UP && fz_time_reached(now.at, fz_time_add(p->joined_at, STEADY)))
		p->n_failures = p->n_dismissals = 0;
	hang_up(p);
	drop_connection(p);
	fz_dur delay = wait ? *wait : backoff(p);
	if (!wait && p->n_failures < UINT32_MAX)
		p->n_failures++;
	if (delay.ns > left.ns)
		delay = left; /* the last attempt */
	p->state = FZP_PORTAL_WAITING;
	p->reason = why;
	p->deadline = fz_time_add(now.at, delay);
	p->next_heartbeat = FZ_NEVER;
	p->tell_down = true;
}

void fzp_portal_start(struct fzp_portal *p, struct fz_token *token,
	const uint8_t public_key[static FZ_KEY_LEN], struct fz_now now)
{
	memcpy(p->token, token, sizeof(*token));
	fz_token_wipep(token);
	memcpy(p->public_key, public_key, FZ_KEY_LEN);
	p->has_joined_ever = p->was_dismissed = false;
	p->lost_at = FZ_NEVER;
	p->n_failures = p->n_dismissals = 0;
	p->reason = FZP_REASON_NONE;
	if (p->state != FZP_PORTAL_OFF && p->state != FZP_PORTAL_WAITING)
		hang_up(p);
	begin_attempt(p, now);
}

void fzp_portal_stop(struct fzp_portal *p)
{
	if (p->ws)
		fzp_ws_send_close(p->ws, 1000);
	hang_up(p);
	p->state = FZP_PORTAL_OFF;
	p->reason = FZP_REASON_NONE;
	p->deadline = p->next_heartbeat = FZ_NEVER;
	p->tell_down = p->tell_ended = false;
	fz_token_wipep(p->token);
	drop_waiting(p);
}

void fzp_portal_reset(
	struct fzp_portal *p, const uint8_t public_key[static FZ_KEY_LEN], struct fz_now now)
{
	memcpy(p->public_key, public_key, FZ_KEY_LEN);
	if (p->state == FZP_PORTAL_OFF)
		return;
	if (!p->ws) {
		if (p->state != FZP_PORTAL_WAITING)
			hang_up(p);
		begin_attempt(p, now);
		return;
	}
	/* The Close frame goes out with the hang-up; what comes in meanwhile is for nobody. Then the next attempt is due. */
	fzp_ws_send_close(p->ws, 1000);
	hang_up(p);
	drop_waiting(p);
	p->state = FZP_PORTAL_WAITING;
	p->deadline = now.at;
	p->next_heartbeat = FZ_NEVER;
}

void fzp_portal_dial_failed(struct fzp_portal *p, enum fzp_reason why, struct fz_now now)
{
	if (p->state == FZP_PORTAL_DIALING)
		fail(p, why, NULL, now);
}

/* ---- refusals ---- */

static struct fz_bytes raw_body(const struct fzp_portal *p)
{
	return fz_bytes_of(p->http_in.p + p->head.len, p->http_in.len - p->head.len);
}

/* True once the refusal's body is there, so far as it is wanted. */
static bool has_body(const struct fzp_portal *p)
{
	struct fz_bytes body = raw_body(p);
	if (!p->head.is_problem || body.n >= FZP_BODY_MAX)
		return true;
	if (p->head.is_chunked)
		return fzp_chunked_read(body, NULL) != FZP_HEAD_MORE;
	return p->head.has_length && body.n >= p->head.content_length;
}

static enum fzp_reason refusal_of(const struct fzp_portal *p)
{
	struct fz_bytes body = raw_body(p);
	FZ_CLEANUP(fz_freep) uint8_t *joined = NULL;
	if (p->head.is_problem && p->head.is_chunked) {
		joined = fz_alloc(FZP_BODY_MAX, 1);
		struct fz_writer w = fz_writer_of(fz_span_of(joined, joined ? FZP_BODY_MAX : 0));
		enum fzp_head_verdict v = fzp_chunked_read(body, &w);
		/* One that breaks off counts as far as it came. */
		body = fz_writer_written(&w);
		if (v == FZP_HEAD_BAD)
			body.n = 0;
	}
	enum fzp_reason why = fzp_reason_of_http(p->head.status, p->head.is_problem, body);
	/* What it was told on the way out was true, and is the better news. */
	return why == FZP_REASON_INVALID_TOKEN && p->was_dismissed ? FZP_REASON_TOKEN_EXPIRED : why;
}

void fzp_portal_disconnected(struct fzp_portal *p, struct fz_now now)
{
	p->is_shell_connected = false;
	if (p->state == FZP_PORTAL_UPGRADING && p->has_head) {
		/* A refusal whose body ended with the connection. */
		fail(p, refusal_of(p), NULL, now);
	} else if (p->state != FZP_PORTAL_OFF && p->state != FZP_PORTAL_WAITING &&
		   p->state != FZP_PORTAL_DIALING) {
		fail(p, FZP_REASON_LOST, NULL, now);
	}
}

/* ---- upgrade ---- */

static void make_accept(struct fzp_portal *p, const char *key)
{
	/* RFC 6455, 4.2.2, item 5.4 */
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[24 + sizeof(guid)];
	uint8_t digest[20];
	memcpy(text, key, 24);
	memcpy(text + 24, guid, sizeof(guid));
	p->params.sha1(p->params.user, fz_bytes_of(text, sizeof(text) - 1), digest);
	struct fz_writer w =
		fz_writer_of(fz_span_of(p->expected_accept, sizeof(p->expected_accept) - 1));
	fzp_base64_encode(&w, fz_bytes_of(digest, sizeof(digest)));
	p->expected_accept[w.len] = '\0';
}

static bool write_request(struct fzp_portal *p)
{
	char target[FZP_TARGET_MAX], key[25] = "";
	uint8_t nonce[16];
	struct fzp_login login = { p->params.role, p->params.external_id, p->params.name,
		p->params.device_serial, p->params.device_uuid, p->public_key };
	if (fzp_login_target(&p->params.url, &login, target) < 0)
		return false;
	p->params.random(p->params.user, fz_span_of(nonce, sizeof(nonce)));
	struct fz_writer k = fz_writer_of(fz_span_of(key, sizeof(key) - 1));
	fzp_base64_encode(&k, fz_bytes_of(nonce, sizeof(nonce)));
	make_accept(p, key);

	struct fzp_upgrade up = { p->params.url.host, target, key,
		fz_bytes_of(p->token->text, p->token->len), p->params.user_agent };
	FZ_CLEANUP(fz_freep) uint8_t *text = fz_alloc(REQUEST_MAX, 1); /* too large for a stack */
	if (!text)
		return false;
	struct fz_writer w = fz_writer_of(fz_span_of(text, REQUEST_MAX));
	fzp_upgrade_request(&w, &up);
	bool ok = !w.bad && fz_bytebuf_append(&p->http_out, fz_writer_written(&w)) == 0;
	fz_wipe(text, REQUEST_MAX);
	return ok;
}

void fzp_portal_connected(struct fzp_portal *p, struct fz_now now)
{
	if (p->state != FZP_PORTAL_DIALING)
		return;
	p->is_shell_connected = true;
	p->state = FZP_PORTAL_UPGRADING;
	if (!write_request(p))
		fail(p, FZP_REASON_PROTOCOL, NULL, now);
}

static int send_frame(
	struct fzp_portal *p, const char *topic, const char *event, const json_t *payload)
{
	FZ_CLEANUP(fz_freep) char *text = fzp_frame_write(topic, event, payload, p->next_ref);
	if (!text)
		return -ENOMEM;
	p->next_ref++;
	return fzp_ws_send_text(p->ws, fz_bytes_of_str(text));
}

static const char *topic_of(const struct fzp_portal *p)
{
	return p->params.role == FZP_CLIENT ? "client" : "gateway";
}

static int send_join(struct fzp_portal *p, struct fz_now now)
{
	p->state = FZP_PORTAL_JOINING;
	p->deadline = fz_time_add(now.at, JOIN_LIMIT);
	p->join_ref = p->next_ref;
	return send_frame(p, topic_of(p), "phx_join", NULL);
}

static void begin_channel(struct fzp_portal *p, struct fz_bytes surplus, struct fz_now now)
{
	p->ws = fzp_ws_new(p->params.random, p->params.user);
	p->next_ref = 0;
	p->next_heartbeat = fz_time_add(now.at, HEARTBEAT_INTERVAL);
	if (!p->ws || fzp_ws_received(p->ws, surplus) < 0 || send_join(p, now) < 0)
		fail(p, FZP_REASON_PROTOCOL, NULL, now);
	fz_bytebuf_clear(&p->http_in);
}

static void refuse(struct fzp_portal *p, struct fz_now now)
{
	fz_dur wait;
	bool has_wait = fzp_retry_after(p->head.retry_after, now.wall, &wait);
	fail(p, refusal_of(p), has_wait ? &wait : NULL, now);
}

static void on_http(struct fzp_portal *p, struct fz_bytes in, struct fz_now now)
{
	size_t room = p->http_in.max - p->http_in.len;
	if (fz_bytebuf_append(&p->http_in, fz_bytes_of(in.p, in.n < room ? in.n : room)) < 0) {
		fail(p, FZP_REASON_PROTOCOL, NULL, now);
		return;
	}
	if (!p->has_head) {
		enum fzp_head_verdict v = fzp_head_parse(fz_bytebuf_bytes(&p->http_in), &p->head);
		if (v == FZP_HEAD_BAD)
			fail(p, FZP_REASON_PROTOCOL, NULL, now);
		if (v != FZP_HEAD_OK)
			return;
		p->has_head = true;
	}
	if (p->head.status != 101) {
		if (has_body(p))
			refuse(p, now);
		return;
	}
	if (!p->head.upgrades || strcmp(p->head.accept, p->expected_accept) != 0) {
		fail(p, FZP_REASON_PROTOCOL, NULL, now);
		return;
	}
	size_t at = p->head.len;
	/* What did not fit the head's buffer belongs to the channel, too. */
	struct fz_bytes rest =
		fz_bytes_of(in.p + (in.n < room ? in.n : room), in.n < room ? 0 : in.n - room);
	begin_channel(p, fz_bytes_of(p->http_in.p + at, p->http_in.len - at), now);
	if (p->ws && rest.n > 0 && fzp_ws_received(p->ws, rest) < 0)
		fail(p, FZP_REASON_PROTOCOL, NULL, now);
}

void fzp_portal_received(struct fzp_portal *p, struct fz_bytes in, struct fz_now now)
{
	if (p->state == FZP_PORTAL_UPGRADING)
		on_http(p, in, now);
	else if (p->ws && p->state != FZP_PORTAL_OFF && fzp_ws_received(p->ws, in) < 0)
		fail(p, FZP_REASON_LOST, NULL, now);
}

struct fz_bytes fzp_portal_output(struct fzp_portal *p)
{
	if (p->http_out.len > 0)
		return fz_bytebuf_bytes(&p->http_out);
	return p->ws ? fzp_ws_output(p->ws) : (struct fz_bytes){ 0 };
}

void fzp_portal_output_taken(struct fzp_portal *p, size_t n)
{
	if (p->http_out.len > 0)
		fz_bytebuf_consume(&p->http_out, n);
	else if (p->ws)
		fzp_ws_output_taken(p->ws, n);
}

/* ---- channel ---- */

int fzp_portal_send(struct fzp_portal *p, const char *event, json_t *payload)
{
	FZ_CLEANUP(fzp_json_unrefp) json_t *owned = payload;
	if (!owned)
		return -ENOMEM;
	if (p->state == FZP_PORTAL_UP)
		return send_frame(p, topic_of(p), event, owned);
	if (p->state != FZP_PORTAL_JOINING)
		return -ENOTCONN;
	for (uint32_t i = 0; i < p->n_waiting; i++)
		if (strcmp(p->waiting[i].event, event) == 0 &&
			json_equal(p->waiting[i].payload, owned))
			return 0;
	if (p->n_waiting == WAITING_MAX)
		return FZ_ERR_LIMIT;
	char *copy = fz_strdup(event);
	if (!copy)
		return -ENOMEM;
	p->waiting[p->n_waiting++] = (struct waiting){ copy, json_incref(owned) };
	return 0;
}

static void joined(struct fzp_portal *p, struct fz_now now)
{
	p->state = FZP_PORTAL_UP;
	p->reason = FZP_REASON_NONE;
	p->deadline = FZ_NEVER;
	p->has_joined_ever = true;
	p->lost_at = FZ_NEVER;
	p->was_dismissed = false;
	p->joined_at = now.at;
	p->n_failures = p->n_dismissals;
	p->tell_up = true;
	p->tell_down = false;
	for (uint32_t i = 0; i < p->n_waiting; i++) {
		if (send_frame(p, topic_of(p), p->waiting[i].event, p->waiting[i].payload) < 0) {
			fail(p, FZP_REASON_LOST, NULL, now);
			return;
		}
	}
	drop_waiting(p);
}

static void on_reply(struct fzp_portal *p, const struct fzp_frame *f, struct fz_now now)
{
	bool is_ok = f->kind == FZP_FRAME_OK;
	if (p->n_unanswered > 0 && strcmp(f->topic, "phoenix") == 0) {
		/* Whatever it answers, the portal is there. */
		p->n_unanswered = 0;
	} else if (p->state == FZP_PORTAL_JOINING && f->ref == p->join_ref) {
		if (is_ok)
			joined(p, now);
		else
			fail(p, FZP_REASON_JOIN_REFUSED, NULL, now);
	} else if (!is_ok && strcmp(f->reason, "unmatched topic") == 0 &&
		   strcmp(f->topic, topic_of(p)) == 0) {
		if (send_join(p, now) < 0)
			fail(p, FZP_REASON_LOST, NULL, now);
	}
}

/*
 * Said to a token that has expired, and also to the newer of two connections of one gateway (Firezone's protocol, 6.4): the
 * token stays, and the next attempt tells. If that is refused for the token, it was the one; if not, whoever is let in and
 * sent away again and again waits longer each time.
 */
static void dismiss(struct fzp_portal *p, struct fz_now now)
{
	p->was_dismissed = true;
	fail(p, FZP_REASON_DISMISSED, NULL, now);
	if (p->n_dismissals < UINT32_MAX)
		p->n_dismissals++;
}

/* True if the event is for the caller. */
static bool on_event(struct fzp_portal *p, const struct fzp_frame *f, struct fz_now now)
{
	if (strcmp(f->event, "phx_close") == 0) {
		fail(p, FZP_REASON_LOST, NULL, now);
	} else if (strcmp(f->event, "disconnect") == 0) {
		const char *why;
		/* Any other reason is followed by the end of the socket, which is what counts. */
		if (fzp_json_text(f->payload, "reason", 64, &why) &&
			strcmp(why, "token_expired") == 0)
			dismiss(p, now);
	} else if (strcmp(f->event, "phx_error") != 0) {
		return strcmp(f->topic, topic_of(p)) == 0;
	}
	return false;
}

/* True if `ret->frame` is set. A frame that makes no sense is skipped, the connection stays. */
static bool on_text(
	struct fzp_portal *p, struct fz_bytes text, struct fz_now now, struct fzp_action *ret)
{
	json_decref(p->current);
	p->current = fzp_json_parse(text);
	struct fzp_frame f;
	if (!p->current || !fzp_frame_read(p->current, &f))
		return false;
	if (f.kind != FZP_FRAME_EVENT) {
		on_reply(p, &f, now);
		return false;
	}
	if (!on_event(p, &f, now))
		return false;
	ret->kind = FZP_ACTION_MESSAGE;
	ret->frame = f;
	return true;
}

static bool next_message(struct fzp_portal *p, struct fz_now now, struct fzp_action *ret)
{
	struct fz_bytes text;
	while (p->ws && p->state >= FZP_PORTAL_JOINING && p->state <= FZP_PORTAL_UP) {
		switch (fzp_ws_next(p->ws, &text)) {
		case FZP_WS_NONE: return false;
		case FZP_WS_BINARY: break;
		case FZP_WS_TEXT:
			if (on_text(p, text, now, ret))
				return true;
			if (p->tell_up)
				return false; /* joined: say so before what follows */
			break;
		case FZP_WS_CLOSED:
		case FZP_WS_BROKEN: fail(p, FZP_REASON_LOST, NULL, now); return false;
		}
	}
	return false;
}

/* ---- time ---- */

static void run_timers(struct fzp_portal *p, struct fz_now now)
{
	if (fz_time_reached(now.at, p->deadline)) {
		if (p->state == FZP_PORTAL_WAITING && !p->tell_hang_up)
			begin_attempt(p, now);
		else if (p->state == FZP_PORTAL_UPGRADING && p->has_head)
			refuse(p, now);
		else if (p->state == FZP_PORTAL_JOINING)
			fail(p, FZP_REASON_JOIN_TIMEOUT, NULL, now);
		else if (p->state == FZP_PORTAL_DIALING || p->state == FZP_PORTAL_UPGRADING)
			fail(p, FZP_REASON_TIMEOUT, NULL, now);
	}
	if (p->ws && fz_time_reached(now.at, p->next_heartbeat)) {
		if (p->n_unanswered >= HEARTBEATS_UNANSWERED_MAX) {
			fail(p, FZP_REASON_HEARTBEAT, NULL, now);
			return;
		}
		FZ_CLEANUP(fzp_json_unrefp) json_t *empty = json_object();
		if (!empty || send_frame(p, "phoenix", "heartbeat", empty) < 0) {
			fail(p, FZP_REASON_LOST, NULL, now);
			return;
		}
		p->n_unanswered++;
		p->next_heartbeat = fz_time_add(now.at, HEARTBEAT_INTERVAL);
	}
}

static bool tell(bool *flag, enum fzp_action_kind kind, struct fzp_action *ret)
{
	if (!*flag)
		return false;
	*flag = false;
	ret->kind = kind;
	return true;
}

void fzp_portal_poll(struct fzp_portal *p, struct fz_now now, struct fzp_action *ret_action)
{
	*ret_action = (struct fzp_action){ .kind = FZP_ACTION_NONE };
	json_decref(
		p->current); /* the caller is done with it; one with ten thousand Resources is large */
	p->current = NULL;
	run_timers(p, now);
	/* Bytes may have ended the connection: look at them before telling, hang up before dialling again. */
	if (!p->tell_hang_up && !p->tell_up && next_message(p, now, ret_action))
		return;
	ret_action->reason = p->reason;
	ret_action->retry_at = p->state == FZP_PORTAL_WAITING ? p->deadline : FZ_NEVER;
	if (tell(&p->tell_hang_up, FZP_ACTION_HANG_UP, ret_action) ||
		tell(&p->tell_up, FZP_ACTION_UP, ret_action) ||
		tell(&p->tell_down, FZP_ACTION_DOWN, ret_action) ||
		tell(&p->tell_ended, FZP_ACTION_ENDED, ret_action) ||
		tell(&p->tell_dial, FZP_ACTION_DIAL, ret_action))
		return;
}

fz_time fzp_portal_deadline(const struct fzp_portal *p)
{
	if (p->tell_dial || p->tell_hang_up || p->tell_up || p->tell_down || p->tell_ended)
		return (fz_time){ 0 };
	return fz_time_min(p->deadline, p->next_heartbeat);
}

enum fzp_portal_state fzp_portal_state(const struct fzp_portal *p)
{
	return p->state;
}

enum fzp_reason fzp_portal_reason(const struct fzp_portal *p)
{
	return p->reason;
}
