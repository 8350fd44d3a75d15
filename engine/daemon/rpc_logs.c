/* Diagnostics: the log as a stream. Readers pull from the ring at their own speed; a slow one loses lines, counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "daemon/rpc.h"
#include "io/clock.h"

#define FOLLOWERS_MAX  64
/* Records looked at for one reader before others have their turn. */
#define READS_PER_TURN 512
#define LEVEL_TIME_MAX FZ_SECONDS(86'400)

struct reader {
	struct fz_node node;
	struct fzd *d;
	struct fzipc_call *call;
	struct fzd_cursor cursor, end; /* end: where one that does not follow stops */
	uint64_t lost;
	enum fz_log_level level;
	int64_t since;
	char target[FZD_EVENT_MAX];
	bool follows;
};

static Fzpb__LogRecord__Level level_of(enum fz_log_level level)
{
	switch (level) {
	case FZ_LOG_SILENT:
	case FZ_LOG_ERR: return FZPB__LOG_RECORD__LEVEL__ERR;
	case FZ_LOG_WARNING: return FZPB__LOG_RECORD__LEVEL__WARNING;
	case FZ_LOG_INFO: return FZPB__LOG_RECORD__LEVEL__INFO;
	case FZ_LOG_DEBUG: return FZPB__LOG_RECORD__LEVEL__DEBUG;
	}
	return FZPB__LOG_RECORD__LEVEL__INFO;
}

static bool matches(const struct reader *r, const struct fzd_record *record)
{
	return record->level <= r->level && record->at.ns >= r->since &&
	       strncmp(record->event, r->target, strlen(r->target)) == 0;
}

static bool send(struct reader *r, struct fzd_record *record)
{
	Fzpb__LogRecord m = FZPB__LOG_RECORD__INIT;
	m.has_at = m.has_level = true;
	m.at = record->at.ns;
	m.level = level_of(record->level);
	m.event = record->event;
	m.detail = record->detail[0] ? record->detail : NULL;
	m.has_lost = r->lost > 0;
	m.lost = r->lost;
	return fzipc_send_logs(r->call, &m);
}

static void reader_free(struct reader *r)
{
	struct fzd *d = r->d;
	fz_list_remove(&r->node);
	fzd_journal_follow(d->journal, !fz_list_is_empty(&d->followers));
	free(r);
}

/* False: the reader is behind, and will be called when it has caught up; or the call has ended. */
static bool go_on(struct reader *r)
{
	struct fzd_record record;
	for (int i = 0; i < READS_PER_TURN; i++) {
		struct fzd_cursor before = r->cursor;
		uint64_t lost;
		if (!r->follows && r->cursor.at >= r->end.at)
			break;
		if (!fzd_journal_read(r->d->journal, &r->cursor, &record, &lost))
			break;
		r->lost += lost;
		if (!matches(r, &record))
			continue;
		if (!send(r, &record)) {
			r->cursor = before;
			r->lost -= lost;
			return false;
		}
		r->lost = 0;
	}
	if (r->follows)
		return true;
	struct fzipc_call *call = r->call;
	reader_free(r);
	fzipc_call_end(call);
	return false;
}

static void on_gone(void *user, struct fzipc_call *call)
{
	(void)call;
	reader_free(user);
}

static void on_ready(void *user, struct fzipc_call *call)
{
	(void)call;
	(void)go_on(user);
}

static const struct fzipc_call_ops log_ops = { .cancelled = on_gone, .ready = on_ready };

void fzd_logs_go_on(struct fzd *d)
{
	FZ_LIST_EACH_SAFE(&d->followers, node, after) {
		struct reader *r = FZ_CONTAINER_OF(node, struct reader, node);
		if (r->follows)
			(void)go_on(r);
	}
}

/* The place of the n-th last record that matches. */
static void start_at_last(struct reader *r, uint64_t n)
{
	struct fzd_record record;
	struct fzd_cursor at = r->cursor;
	uint64_t lost, matching = 0;
	while (at.at < r->end.at && fzd_journal_read(r->d->journal, &at, &record, &lost))
		matching += matches(r, &record);
	while (matching > n && fzd_journal_read(r->d->journal, &r->cursor, &record, &lost))
		matching -= matches(r, &record);
}

static enum fz_log_level level_wanted(const Fzpb__LogsRequest *request)
{
	if (!request->has_level)
		return FZ_LOG_DEBUG;
	switch (request->level) {
	case FZPB__LOG_RECORD__LEVEL__ERR: return FZ_LOG_ERR;
	case FZPB__LOG_RECORD__LEVEL__WARNING: return FZ_LOG_WARNING;
	case FZPB__LOG_RECORD__LEVEL__INFO: return FZ_LOG_INFO;
	case FZPB__LOG_RECORD__LEVEL__DEBUG:
	case _FZPB__LOG_RECORD__LEVEL_IS_INT_SIZE: break;
	}
	return FZ_LOG_DEBUG;
}

static size_t count(const struct fz_list *l)
{
	size_t n = 0;
	FZ_LIST_EACH(l, node)
		n++;
	return n;
}

void fzd_logs(void *user, struct fzipc_call *call, const Fzpb__LogsRequest *request)
{
	struct fzd *d = user;
	struct reader *r = count(&d->followers) < FOLLOWERS_MAX ? fz_new(struct reader) : NULL;
	if (!r) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__LIMIT, "Too many read the log already.",
			"Try again once others have ended.");
		return;
	}
	r->d = d;
	r->call = call;
	r->level = level_wanted(request);
	r->since = request->has_since ? request->since : INT64_MIN;
	if (request->target)
		memcpy(r->target, request->target, strnlen(request->target, sizeof(r->target) - 1));
	r->follows = request->has_follow && request->follow;
	r->cursor = fzd_journal_begin(d->journal);
	r->end = fzd_journal_end(d->journal);
	if (request->has_lines)
		start_at_last(r, request->lines);
	fz_list_push_back(&d->followers, &r->node);
	fzd_journal_follow(d->journal, true);
	fzipc_call_keep(call, &log_ops, r);
	while (go_on(r) && r->cursor.at < r->end.at)
		;
}

/* ---- how much is logged ---- */

static void fill_level(const struct fzd *d, Fzpb__LogLevel *ret_level)
{
	fzpb__log_level__init(ret_level);
	ret_level->filter = fz_unconst(fzd_log_level_name(fz_log_get_level()));
	ret_level->has_source = true;
	ret_level->source =
		d->has_level_override
			? FZPB__SETTING__SOURCE__FLAG
			: fzd_setting_source(
				  fzd_settings_get(d->settings, FZ_SETTING_LOG_FILTER).source);
	ret_level->has_until = d->has_level_override && d->level_until.ns != 0;
	ret_level->until = d->level_until.ns;
}

void fzd_get_log_level(void *user, struct fzipc_call *call, const Fzpb__LogLevelRequest *request)
{
	Fzpb__LogLevel level;
	(void)request;
	fill_level(user, &level);
	fzipc_reply_get_log_level(call, &level);
}

static int on_level_time(sd_event_source *source, uint64_t usec, void *user)
{
	struct fzd *d = user;
	(void)source;
	(void)usec;
	d->has_level_override = false;
	fzd_apply_log_level(d);
	fz_log(FZ_LOG_INFO, "log-level", "level=%s", fzd_log_level_name(fz_log_get_level()));
	return 0;
}

static int set_for(struct fzd *d, fz_dur time)
{
	struct fz_now now = fz_clock_now();
	uint64_t usec = fz_time_add(now.at, time).ns / 1000 + 1;
	d->level_timer = sd_event_source_disable_unref(d->level_timer);
	d->level_until = (fz_wall){ 0 };
	if (time.ns == 0)
		return 0;
	d->level_until = (fz_wall){ now.wall.ns + (int64_t)time.ns };
	return sd_event_add_time(
		d->event, &d->level_timer, CLOCK_BOOTTIME, usec, 0, on_level_time, d);
}

void fzd_set_log_level(void *user, struct fzipc_call *call, const Fzpb__SetLogLevelRequest *request)
{
	struct fzd *d = user;
	Fzpb__LogLevel reply;
	enum fz_log_level level;
	if (!request->filter || !fz_setting_log_level(request->filter, &level)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"There is no such level.", "Use err, warning, info or debug.");
		return;
	}
	if (request->has_for_ms && request->for_ms > fz_dur_ms(LEVEL_TIME_MAX)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"A level can be set for a day at most.",
			"Without --for it stays until the daemon ends.");
		return;
	}
	if (set_for(d, FZ_MILLISECONDS(request->has_for_ms ? request->for_ms : 0)) < 0) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "No timer could be had.", NULL);
		return;
	}
	d->has_level_override = true;
	d->level_override = level;
	fzd_apply_log_level(d);
	fz_log(FZ_LOG_INFO, "log-level", "level=%s by_uid=%u", fzd_log_level_name(level),
		fzipc_call_who(call)->uid);
	fill_level(d, &reply);
	fzipc_reply_set_log_level(call, &reply);
}
