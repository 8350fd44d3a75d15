/*
 * Recorded conversations of Firezone's own devices with a portal (recording.h), ours in their place: we dial as they did, take
 * every message they were sent, and what we say in the same words is the same text.
 */
#include <stdlib.h>

#include "control/client_message.h"
#include "control/gateway_message.h"
#include "control/json.h"
#include "control/portal.h"
#include "support/test.h"
#include "unit/recording.h"

#define SWITCHING                                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"

static void each_recorded(line_fn fn, void *user)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(recordings); i++)
		each_line(recordings[i], fn, user);
}

static enum fzp_role role_of(const struct line *l)
{
	return is(l->role, "client") ? FZP_CLIENT : FZP_GATEWAY;
}

/* ---- how they dial ---- */

/* The value of a query parameter, decoded. */
static void parameter(const char *path, const char *name, char *ret, size_t cap)
{
	char want[32];
	snprintf(want, sizeof(want), "%s=", name);
	const char *at = strstr(path, want);
	CHECK(at != NULL);
	at += strlen(want);
	CHECK_INT(fzp_form_decode(fz_bytes_of(at, strcspn(at, "&")), ret, cap), 0);
}

static void dial_as(void *user, const struct line *l)
{
	if (!is(l->what, "path"))
		return;
	char id[128], name[128], key_text[64], target[FZP_TARGET_MAX];
	uint8_t key[32];
	struct fzp_url url;
	parameter(l->text, "external_id", id, sizeof(id));
	parameter(l->text, "&name", name, sizeof(name));
	parameter(l->text, "public_key", key_text, sizeof(key_text));
	CHECK_INT(fzp_base64_decode(key_text, key, sizeof(key)), 0);
	CHECK_INT(fzp_url_parse("ws://10.91.0.1:8081/", &url), 0);
	struct fzp_login login = {
		.role = role_of(l), .external_id = id, .name = name, .public_key = key
	};
	CHECK_INT(fzp_login_target(&url, &login, target), 0);
	CHECK_STR(target, l->text);
	++*(int *)user;
}

TEST(portal_recorded, a_devices_first_line_is_ours)
{
	int n = 0;
	each_recorded(dial_as, &n);
	CHECK_INT(n, 6 * 2 + 2 * (17 + 3));
}

/* ---- what they are told ---- */

struct heard {
	int n_ok, n_unknown, n_malformed, n_no_frame;
};

static void judge_as(void *user, const struct line *l)
{
	struct heard *h = user;
	struct fzp_frame f;
	static struct fzp_client_message cm;
	static struct fzp_gateway_message gm;
	if (!is(l->what, "hear"))
		return;
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of_str(l->text));
	if (!root || !fzp_frame_read(root, &f)) {
		h->n_no_frame++;
		return;
	}
	if (f.kind != FZP_FRAME_EVENT)
		return;
	bool is_client = role_of(l) == FZP_CLIENT;
	enum fzp_verdict v =
		is_client ? fzp_client_message_read(&f, &cm) : fzp_gateway_message_read(&f, &gm);
	h->n_ok += v == FZP_OK;
	h->n_unknown += v == FZP_UNKNOWN;
	h->n_malformed += v == FZP_MALFORMED;
	if (v == FZP_OK && is_client)
		fzp_client_message_done(&cm);
	else if (v == FZP_OK)
		fzp_gateway_message_done(&gm);
}

/*
 * The portal was made to send, on purpose: not JSON, an array, an init and an update without what they need, new events. And
 * phx_error, phx_close and disconnect are no message of either reader.
 */
TEST(portal_recorded, every_message_is_taken_but_those_sent_to_be_skipped)
{
	static const struct {
		const char *recording;
		struct heard heard;
	} rows[] = {
		{ "direct-ice", { .n_ok = 10 } },
		{ "direct-iceless", { .n_ok = 10 } },
		{ "relayed-ice", { .n_ok = 10 } },
		{ "relayed-iceless", { .n_ok = 10 } },
		{ "idle-ice", { .n_ok = 10 } },
		{ "idle-iceless", { .n_ok = 10 } },
		{ "events-ice", { 131, 9, 2, 2 } },
		{ "events-iceless", { 109, 9, 2, 2 } },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		struct heard h = { 0 };
		each_line(rows[i].recording, judge_as, &h);
		CHECK_INT(h.n_ok, rows[i].heard.n_ok);
		CHECK_INT(h.n_unknown, rows[i].heard.n_unknown);
		CHECK_INT(h.n_malformed, rows[i].heard.n_malformed);
		CHECK_INT(h.n_no_frame, rows[i].heard.n_no_frame);
	}
}

/* ---- a connection's life ---- */

struct life {
	struct fzp_portal *p;
	char conn[16];
	struct fz_now now;
	bool is_up, has_ended;
	int n_lives, n_messages, n_ended, n_lost;
	enum fzp_reason reason;
};

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

static void act(struct life *l)
{
	struct fzp_action a;
	for (fzp_portal_poll(l->p, l->now, &a); a.kind != FZP_ACTION_NONE;
		fzp_portal_poll(l->p, l->now, &a)) {
		l->is_up |= a.kind == FZP_ACTION_UP;
		l->n_messages += a.kind == FZP_ACTION_MESSAGE;
		l->n_lost += a.kind == FZP_ACTION_DOWN;
		if (a.kind == FZP_ACTION_ENDED) {
			l->n_ended++;
			l->reason = a.reason;
		}
	}
	struct fz_bytes out = fzp_portal_output(l->p);
	fzp_portal_output_taken(l->p, out.n);
}

static void begin(struct life *l, const struct line *line)
{
	static const uint8_t key[32] = { 9 };
	static struct fz_token token;
	struct fzp_portal_params params = { .role = role_of(line),
		.external_id = "abc",
		.name = "box",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12",
		.random = fill,
		.sha1 = digest };
	fzp_portal_free(l->p);
	snprintf(l->conn, sizeof(l->conn), "%s", line->conn);
	l->is_up = false;
	l->n_lives++;
	CHECK_INT(fzp_url_parse("wss://10.91.0.1", &params.url), 0);
	CHECK_INT(fzp_portal_new(&params, &l->p), 0);
	token = (struct fz_token){ .len = 7, .text = ".secret" };
	fzp_portal_start(l->p, &token, key, l->now);
	act(l);
	fzp_portal_connected(l->p, l->now);
	act(l);
	fzp_portal_received(l->p, fz_bytes_of_str(SWITCHING), l->now);
	act(l);
}

static void hear(struct life *l, const char *text)
{
	static uint8_t frame[RECORDED_LINE_MAX + 4];
	size_t n = strlen(text);
	frame[0] = 0x81;
	frame[1] = 126;
	frame[2] = (uint8_t)(n >> 8);
	frame[3] = (uint8_t)n;
	memcpy(frame + 4, text, n);
	fzp_portal_received(l->p, fz_bytes_of(frame, n < 126 ? 4 : n + 4), l->now);
	act(l);
}

/* One connection of the recording after the other: messages of others are left for their own pass. */
struct pass {
	struct life *life;
	const char *conn, *role;
};

static void live_as(void *user, const struct line *l)
{
	struct pass *p = user;
	if (!is(l->conn, p->conn) || !is(l->role, p->role))
		return;
	if (is(l->what, "path"))
		begin(p->life, l);
	else if (is(l->what, "hear") && strlen(l->text) >= 126)
		hear(p->life, l->text);
	else if (is(l->what, "hear")) {
		/* The same text with blanks around it: the length needs no other form then. */
		static char padded[RECORDED_LINE_MAX];
		snprintf(padded, sizeof(padded), "%s%130s", l->text, "");
		hear(p->life, padded);
	}
}

TEST(portal_recorded, a_connection_is_up_after_its_join_and_hands_on_what_comes)
{
	for (size_t i = 0; strncmp(recordings[i], "events", 6) != 0; i++) {
		struct life life = { .now = { { 1'000'000'000 }, { 0 } } };
		struct pass client = { &life, "3", "client" }, gateway = { &life, "2", "gateway" };
		each_line(recordings[i], live_as, &client);
		CHECK(life.is_up);
		CHECK_INT(life.n_messages, 5); /* init, two authorizations, two of candidates */
		each_line(recordings[i], live_as, &gateway);
		CHECK(life.is_up);
		CHECK_INT(life.n_messages, 10);
		CHECK_INT(life.n_lost + life.n_ended, 0);
		fzp_portal_free(life.p);
	}
}

TEST(portal_recorded, strange_messages_cost_nothing_and_a_close_a_connection)
{
	struct life life = { .now = { { 1'000'000'000 }, { 0 } } };
	struct pass client = { &life, "3", "client" };
	each_line("events-ice", live_as, &client);
	CHECK(life.is_up);
	CHECK(life.n_messages > 5);
	CHECK_INT(life.n_ended, 0);
	fzp_portal_free(life.p);
}

static void find_expired(void *user, const struct line *l)
{
	char *conn = user;
	if (is(l->what, "hear") && role_of(l) == FZP_CLIENT && strstr(l->text, "\"token_expired\""))
		snprintf(conn, 16, "%s", l->conn);
}

TEST(portal_recorded, an_expired_token_makes_it_ask_again)
{
	struct life life = { .now = { { 1'000'000'000 }, { 0 } } };
	char conn[16] = "";
	each_line("events-ice", find_expired, conn);
	struct pass client = { &life, conn, "client" };
	each_line("events-ice", live_as, &client);
	CHECK_INT(life.n_ended, 0);
	CHECK_INT(life.n_lost, 1);
	CHECK_INT((int)fzp_portal_reason(life.p), FZP_REASON_DISMISSED);
	fzp_portal_free(life.p);
}

/* ---- what they say ---- */

static json_t *candidates_again(const json_t *payload, const char *peer)
{
	struct fzp_candidates c;
	json_t *copy = json_deep_copy(payload);
	if (json_object_get(copy, "client_ids")) {
		json_object_set(
			copy, "client_id", json_array_get(json_object_get(copy, "client_ids"), 0));
	}
	CHECK(fzp_candidates_read(copy, peer, &c));
	json_t *again = is(peer, "gateway_id") ? fzp_gateway_candidates(&c.peer, c.list, c.n)
					       : fzp_client_candidates(&c.peer, c.list, c.n);
	json_decref(copy);
	return again;
}

static json_t *say_again(const char *event, const json_t *payload)
{
	struct fzp_id id, connected[4];
	const json_t *list = json_object_get(payload, "connected_gateway_ids");
	if (is(event, "request_authorization")) {
		size_t n = json_array_size(list);
		CHECK(fzp_json_id(payload, "resource_id", &id) && n <= 4);
		for (size_t i = 0; i < n; i++)
			CHECK(fzp_id_parse(
				json_string_value(json_array_get(list, i)), &connected[i]));
		return fzp_request_authorization(&id, connected, n);
	}
	if (is(event, "authorization_created"))
		return fzp_authorization_created_reply(
			json_string_value(json_object_get(payload, "ref")));
	if (strstr(event, "gateway_ice_candidates"))
		return candidates_again(payload, "gateway_id");
	if (strstr(event, "broadcast"))
		return candidates_again(payload, "client_id");
	return NULL;
}

static void speak_as(void *user, const struct line *l)
{
	if (!is(l->what, "say"))
		return;
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of_str(l->text));
	struct fzp_frame f;
	CHECK(root && fzp_frame_read(root, &f));
	FZ_CLEANUP(fzp_json_unrefp) json_t *payload = say_again(f.event, f.payload);
	if (!payload)
		return;
	char *text = fzp_frame_write(f.topic, f.event, payload, f.ref);
	CHECK_STR(text, l->text);
	free(text);
	++*(int *)user;
}

TEST(portal_recorded, what_we_say_is_the_same_text)
{
	int n = 0;
	each_recorded(speak_as, &n);
	CHECK_INT(n, 6 * 8 + 98 + 76);
}
