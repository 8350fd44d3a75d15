/* The link against a portal that speaks: join, messages both ways, refusals, reconnects, reset, stop. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "control/io/link.h"
#include "control/json.h"
#include "support/test.h"
#include "unit/link/support.h"

struct seen {
	struct fzp_link *link;
	bool up, down, ended, message;
	unsigned n_up, n_messages;
	enum fzp_reason why;
	size_t text_len;
	char event[64];
	json_t *last;
	bool send_in_up, stop_in_message;
	unsigned states[FZP_PORTAL_STATE_COUNT_];
};

static void on_up(void *user)
{
	struct seen *s = user;
	s->up = true;
	s->n_up++;
	if (s->send_in_up)
		CHECK_INT(fzp_link_send(s->link, "from_up", json_object()), 0);
}

static void on_down(void *user, enum fzp_reason why, fz_time retry_at)
{
	struct seen *s = user;
	s->down = true;
	s->why = why;
	CHECK(!fz_time_is_never(retry_at));
}

static void on_ended(void *user, enum fzp_reason why)
{
	struct seen *s = user;
	s->ended = true;
	s->why = why;
}

static void on_message(void *user, const struct fzp_frame *frame)
{
	struct seen *s = user;
	const char *text;
	s->n_messages++;
	snprintf(s->event, sizeof(s->event), "%s", frame->event);
	json_decref(s->last);
	s->last = json_deep_copy(frame->payload);
	if (fzp_json_text(frame->payload, "text", 8 << 20, &text))
		s->text_len = strlen(text);
	s->message = true;
	if (s->stop_in_message)
		fzp_link_stop(s->link);
}

static void on_state(void *user, enum fzp_portal_state state)
{
	struct seen *s = user;
	s->states[state]++;
}

static struct fzp_link *link_to(struct world *w, const char *url, struct seen *s)
{
	struct fzp_link_params params = {
		.role = FZP_CLIENT,
		.external_id = "abc",
		.name = "test",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12 (x86_64; 6.1.0)",
		.mark = 5,
		.ca_file = w->ca,
		.allow_insecure = true,
		.hosts_file = w->hosts,
		.resolv_conf = w->resolv_conf,
		.ops = { on_up, on_down, on_ended, on_message, on_state },
		.user = s,
	};
	CHECK_INT(fzp_url_parse(url, &params.url), 0);
	CHECK_INT(fzp_link_new(w->event, &params, &s->link), 0);
	return s->link;
}

static void start(struct fzp_link *l, const char *word, uint8_t key)
{
	struct fz_token token = { 0 };
	uint8_t public_key[FZ_KEY_LEN] = { key };
	token.len = (size_t)snprintf(token.text, sizeof(token.text), ".%s", word);
	fzp_link_start(l, &token, public_key);
	CHECK_UINT(token.len, 0);
}

static void done(struct seen *s)
{
	fzp_link_free(s->link);
	json_decref(s->last);
}

TEST(link, joins_sends_and_hears)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example/", &s);
	CHECK_INT(fzp_link_send(l, "early", json_object()), -ENOTCONN);
	start(l, "ok", 1);
	world_run_until(&w, &s.up);
	CHECK_INT(fzp_link_state(l), FZP_PORTAL_UP);
	CHECK_INT(fzp_link_reason(l), FZP_REASON_NONE);
	CHECK_INT(fzp_link_send(l, "hello", json_pack("{s:i}", "a", 1)), 0);
	world_run_until(&w, &s.message);
	CHECK_STR(s.event, "echo");
	CHECK_STR(json_string_value(json_object_get(s.last, "event")), "hello");
	struct fz_addr addrs[4];
	char text[FZ_ADDR_TEXT_LEN];
	CHECK_UINT(fzp_link_server_addrs(l, addrs, 4), 1);
	CHECK_STR(fz_addr_format(&addrs[0], text), "127.0.0.1:443");
	CHECK(s.states[FZP_PORTAL_DIALING] == 1 && s.states[FZP_PORTAL_UPGRADING] == 1 &&
		s.states[FZP_PORTAL_JOINING] == 1 && s.states[FZP_PORTAL_UP] == 1);
	done(&s);
}

TEST(link, may_be_used_from_its_callbacks)
{
	WORLD(w, "tls:443");
	struct seen s = { .send_in_up = true, .stop_in_message = true };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "ok", 1);
	world_run_until(&w, &s.message);
	CHECK_STR(json_string_value(json_object_get(s.last, "event")), "from_up");
	CHECK_INT(fzp_link_state(l), FZP_PORTAL_OFF);
	CHECK(!s.down && !s.ended);
	done(&s);
}

TEST(link, large_and_many_messages_arrive_whole)
{
	WORLD(w, "tls:443", "drip:1443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "big", 1);
	world_run_until(&w, &s.message);
	CHECK_UINT(s.text_len, 3u << 20);
	start(l, "many", 1);
	for (bool all = false; !all; all = s.n_messages == 2001) {
		s.message = false;
		world_run_until(&w, &s.message);
	}
	CHECK_INT(json_integer_value(json_object_get(s.last, "i")), 1999);
	done(&s);
}

TEST(link, a_portal_that_drips_is_understood)
{
	WORLD(w, "drip:443");
	struct seen s = { .send_in_up = true };
	start(link_to(&w, "wss://portal.example", &s), "ok", 1);
	world_run_until(&w, &s.message);
	CHECK_STR(s.event, "echo");
	done(&s);
}

TEST(link, a_refused_token_ends_it)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "refused", 1);
	world_run_until(&w, &s.ended);
	CHECK_INT(s.why, FZP_REASON_INVALID_TOKEN);
	CHECK_INT(fzp_link_state(l), FZP_PORTAL_OFF);
	CHECK(fz_time_is_never(fzp_link_retry_at(l)));
	s.ended = false;
	start(l, "expired", 1);
	world_run_until(&w, &s.ended);
	CHECK_INT(s.why, FZP_REASON_TOKEN_EXPIRED);
	done(&s);
}

TEST(link, a_busy_portal_is_tried_again)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	start(link_to(&w, "wss://portal.example", &s), "busy", 1);
	world_run_until(&w, &s.down);
	CHECK_INT(s.why, FZP_REASON_RATE_LIMIT);
	world_run_until(&w, &s.up);
	done(&s);
}

TEST(link, a_lost_connection_comes_back)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "once", 1);
	world_run_until(&w, &s.down);
	CHECK_UINT(s.n_up, 1);
	CHECK_INT(s.why, FZP_REASON_LOST);
	CHECK(!fz_time_is_never(fzp_link_retry_at(l)));
	s.up = false;
	world_run_until(&w, &s.up);
	CHECK_INT(fzp_link_reason(l), FZP_REASON_NONE);
	done(&s);
}

TEST(link, a_reset_reconnects_at_once_with_the_new_key_after_a_close)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "ok", 1);
	world_run_until(&w, &s.up);
	s.up = false;
	uint8_t key[FZ_KEY_LEN] = { 0xff };
	fzp_link_reset(l, key);
	world_run_until(&w, &s.up);
	CHECK(!s.down);
	CHECK_INT(fzp_link_send(l, "hello", json_object()), 0);
	world_run_until(&w, &s.message);
	const json_t *keys = json_object_get(s.last, "keys");
	CHECK_UINT(json_array_size(keys), 2);
	CHECK(strncmp(json_string_value(json_array_get(keys, 0)), "AQAA", 4) == 0);
	CHECK(strncmp(json_string_value(json_array_get(keys, 1)), "%2FwAA", 6) == 0);
	char code[8];
	world_read(&w, "closed", code, sizeof(code));
	CHECK_MEM(code, "\x03\xe8", 2);
	done(&s);
}

TEST(link, stop_says_close_1000_and_calls_nobody)
{
	WORLD(w, "tls:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "ok", 1);
	world_run_until(&w, &s.up);
	unsigned before = s.states[FZP_PORTAL_OFF];
	fzp_link_stop(l);
	CHECK_UINT(s.states[FZP_PORTAL_OFF], before);
	char code[8] = "";
	for (unsigned i = 0; i < 3000 && !code[0]; i++) {
		CHECK(sd_event_run(w.event, 10'000) >= 0);
		world_read(&w, "closed", code, sizeof(code));
	}
	CHECK_MEM(code, "\x03\xe8", 2);
	CHECK(!s.down && !s.ended);
	done(&s);
}

TEST(link, without_encryption_only_where_it_is_allowed)
{
	WORLD(w, "plain:8081");
	struct seen s = { .send_in_up = true };
	struct fzp_link_params params = {
		.external_id = "a", .name = "b", .user_agent = "c", .ca_file = w.ca
	};
	CHECK_INT(fzp_url_parse("ws://127.0.0.1:8081", &params.url), 0);
	CHECK_INT(fzp_link_new(w.event, &params, &s.link), -EPERM);
	start(link_to(&w, "ws://127.0.0.1:8081/", &s), "ok", 1);
	world_run_until(&w, &s.message);
	done(&s);
}

TEST(link, trouble_is_said_exactly)
{
	WORLD(w, "untrusted:443");
	struct seen s = { 0 };
	struct fzp_link *l = link_to(&w, "wss://portal.example", &s);
	start(l, "ok", 1);
	world_run_until(&w, &s.down);
	CHECK_INT(s.why, FZP_REASON_TLS);
	CHECK(strstr(fzp_link_detail(l), "not signed by an authority"));
	fzp_link_stop(l);
	CHECK_STR(fzp_link_detail(l), "");
	done(&s);
}

static void keep_log(void *user, enum fz_log_level level, const char *event, const char *detail)
{
	char *all = user;
	size_t n = strlen(all);
	(void)level;
	snprintf(all + n, 4096 - n, "%s %s\n", event, detail);
}

TEST(link, a_token_never_shows_in_what_is_said)
{
	WORLD(w, "http:8081");
	static char log[4096];
	struct seen s = { 0 };
	fz_log_set_level(FZ_LOG_DEBUG);
	fz_log_set_sink(keep_log, log);
	struct fzp_link *l = link_to(&w, "ws://127.0.0.1:8081", &s);
	start(l, "very-secret-token", 1);
	world_run_until(&w, &s.down);
	fz_log_set_sink(NULL, NULL);
	CHECK_INT(s.why, FZP_REASON_REFUSED);
	CHECK(strstr(log, "portal-insecure"));
	CHECK(!strstr(log, "very-secret") && !strstr(fzp_link_detail(l), "very-secret"));
	done(&s);
}
