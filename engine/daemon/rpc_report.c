/*
 * Diagnostics: bug-report. A tar file of what the daemon knows of itself, written to the caller's descriptor; with
 * --preview only the list of its parts. No token or key is in any part: none of their sources holds one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/redact.h"
#include "daemon/rpc.h"
#include "daemon/status.h"
#include "io/clock.h"
#include "ipc/json.h"

#define PART_MAX  (2u << 20)
#define PARTS_MAX 8
#define BLOCK     512

struct part {
	const char *name, *about;
	size_t size;
};

struct report {
	struct fzd *d;
	struct fzipc_call *call;
	struct fz_redactor *redactor;
	int fd; /* -1: preview */
	char dir[48];
	long mtime;
	struct part parts[PARTS_MAX];
	size_t n_parts, n_sent;
};

/* ---- tar (POSIX.1-1988 ustar) ---- */

static int write_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n > 0) {
		ssize_t done = write(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_member(const struct report *r, const char *name, struct fz_bytes text)
{
	static const uint8_t zeros[BLOCK];
	char h[BLOCK] = { 0 };
	unsigned sum = 0;
	snprintf(h, 100, "%s/%s", r->dir, name);
	memcpy(h + 100, "0000600", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	snprintf(h + 124, 12, "%011zo", text.n);
	snprintf(h + 136, 12, "%011lo", (unsigned long)r->mtime);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar", 6);
	memcpy(h + 263, "00", 2);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 7, "%06o", sum);
	int e = write_all(r->fd, h, BLOCK);
	if (e == 0)
		e = write_all(r->fd, text.p, text.n);
	return e < 0 ? e : write_all(r->fd, zeros, (BLOCK - text.n % BLOCK) % BLOCK);
}

static int write_end(const struct report *r)
{
	static const uint8_t zeros[2 * BLOCK];
	return write_all(r->fd, zeros, sizeof(zeros));
}

/* ---- parts ---- */

static int put(struct report *r, const char *name, const char *about, const struct fz_bytebuf *raw)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	fz_bytebuf_init(&text, 2 * PART_MAX);
	int e = fz_redactor_run(r->redactor, fz_bytebuf_bytes(raw), &text);
	if (e == 0 && r->fd >= 0)
		e = write_member(r, name, fz_bytebuf_bytes(&text));
	if (e == 0)
		r->parts[r->n_parts++] = (struct part){ name, about, text.len };
	return e;
}

static int put_message(
	struct report *r, const char *name, const char *about, const ProtobufCMessage *msg)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	fz_bytebuf_init(&text, PART_MAX);
	int e = fzipc_json_write(msg, &text);
	if (e == 0)
		e = fz_bytebuf_append(&text, fz_bytes_of_str("\n"));
	return e < 0 ? e : put(r, name, about, &text);
}

static void read_os(char *ret_text, size_t cap)
{
	char line[256];
	FILE *f = fopen("/etc/os-release", "re");
	snprintf(ret_text, cap, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "PRETTY_NAME=", 12) == 0)
			snprintf(ret_text, cap, "%.*s", (int)strcspn(line + 12, "\n"), line + 12);
	}
	if (f)
		fclose(f);
}

static int put_version(struct report *r)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	struct utsname u;
	char os[200], all[900];
	fz_bytebuf_init(&text, PART_MAX);
	read_os(os, sizeof(os));
	if (uname(&u) < 0)
		return -errno;
	snprintf(all, sizeof(all),
		"firezoned %s, protocol %u.%u\nkernel %s %s %s\nos %s\nhost %s\n"
		"runs as uid %u\n",
		FZ_VERSION, FZIPC_MAJOR, FZIPC_MINOR, u.sysname, u.release, u.machine, os,
		u.nodename, (unsigned)geteuid());
	int e = fz_bytebuf_append(&text, fz_bytes_of_str(all));
	return e < 0 ? e : put(r, "version.txt", "versions of daemon, kernel and system", &text);
}

static int put_status(struct report *r)
{
	struct fzd_status s;
	fzd_status_fill(r->d, &s);
	return put_message(r, "status.json", "the state, as `status` shows it", &s.msg.base);
}

static int put_metrics(struct report *r)
{
	FZ_CLEANUP(fz_freep) struct fzd_metrics *m = fz_new(struct fzd_metrics);
	if (!m)
		return -ENOMEM;
	fzd_metrics_fill(r->d, m);
	return put_message(r, "metrics.json", "counters", &m->msg.base);
}

struct settings_part {
	Fzpb__Setting items[FZ_SETTING_COUNT_];
	Fzpb__Setting *list[FZ_SETTING_COUNT_];
	char shown[FZ_SETTING_COUNT_][FZ_SETTING_SHOWN_MAX];
};

static int put_settings(struct report *r)
{
	FZ_CLEANUP(fz_freep) struct settings_part *p = fz_new(struct settings_part);
	Fzpb__SettingList list = FZPB__SETTING_LIST__INIT;
	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		struct fzd_value v = fzd_settings_get(r->d->settings, (enum fz_setting)i);
		fzd_setting_fill((enum fz_setting)i, &v, &p->items[i], p->shown[i]);
		p->list[i] = &p->items[i];
	}
	list.settings = p->list;
	list.n_settings = FZ_SETTING_COUNT_;
	return put_message(r, "settings.json", "settings and where each comes from", &list.base);
}

static int add_change(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	static const char *const drifts[] = { "present", "missing", "foreign" };
	char text[FZ_HOST_TEXT_LEN], line[FZ_HOST_TEXT_LEN + 32];
	snprintf(line, sizeof(line), "%s: %s\n", drifts[drift], fz_host_format(item, text));
	return fz_bytebuf_append(user, fz_bytes_of_str(line));
}

static int put_host(struct report *r)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	fz_bytebuf_init(&text, PART_MAX);
	int e = fz_host_each(r->d->host, add_change, &text);
	if (e < 0 && e != FZ_ERR_LIMIT) {
		char line[128];
		snprintf(line, sizeof(line), "the kernel could not be asked: %s\n", fz_strerror(e));
		e = fz_bytebuf_append(&text, fz_bytes_of_str(line));
	}
	return e < 0 && e != FZ_ERR_LIMIT
		       ? e
		       : put(r, "host.txt", "every change made to this host", &text);
}

static int put_logs(struct report *r)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	struct fzd_cursor at = fzd_journal_begin(r->d->journal);
	struct fzd_cursor end = fzd_journal_end(r->d->journal);
	struct fzd_record record;
	uint64_t lost;
	int e = 0;
	fz_bytebuf_init(&text, PART_MAX);
	while (e == 0 && at.at < end.at && fzd_journal_read(r->d->journal, &at, &record, &lost)) {
		char line[FZD_EVENT_MAX + FZD_DETAIL_MAX + 64];
		snprintf(line, sizeof(line), "%lld.%03lld %s %s%s%s\n",
			(long long)(record.at.ns / 1'000'000'000),
			(long long)(record.at.ns / 1'000'000 % 1000),
			fzd_log_level_name(record.level), record.event, record.detail[0] ? " " : "",
			record.detail);
		e = fz_bytebuf_append(&text, fz_bytes_of_str(line));
	}
	return e < 0 ? e : put(r, "log.txt", "the daemon's log, seconds since 1970 first", &text);
}

/* ---- what is taken out ---- */

static int add_words(struct report *r)
{
	struct utsname u;
	const struct fzd_settings *s = r->d->settings;
	int e = fz_redactor_add(
		r->redactor, FZ_REDACT_SLUG, fzd_settings_get(s, FZ_SETTING_ACCOUNT_SLUG).value);
	if (e == 0)
		e = fz_redactor_add(r->redactor, FZ_REDACT_NAMES,
			fzd_settings_get(s, FZ_SETTING_DEVICE_NAME).value);
	if (e == 0 && uname(&u) == 0)
		e = fz_redactor_add(r->redactor, FZ_REDACT_NAMES, u.nodename);
	return e < 0 ? e : fzd_client_add_words(r->d->client, r->redactor);
}

static unsigned what_of(const Fzpb__BugReportRequest *request)
{
	unsigned what = 0;
	for (size_t i = 0; i < request->n_redact; i++) {
		switch (request->redact[i]) {
		case FZPB__BUG_REPORT_REQUEST__REDACT__NAMES: what |= FZ_REDACT_NAMES; break;
		case FZPB__BUG_REPORT_REQUEST__REDACT__IPS: what |= FZ_REDACT_IPS; break;
		case FZPB__BUG_REPORT_REQUEST__REDACT__SLUG: what |= FZ_REDACT_SLUG; break;
		case _FZPB__BUG_REPORT_REQUEST__REDACT_IS_INT_SIZE: break;
		}
	}
	return what;
}

/* ---- the call ---- */

static void report_free(struct report *r)
{
	fz_redactor_free(r->redactor);
	fz_closep(&r->fd);
	free(r);
}

static int build(struct report *r)
{
	static int (*const parts[])(struct report *) = { put_version, put_status, put_settings,
		put_host, put_metrics, put_logs };
	static_assert(FZ_ARRAY_LEN(parts) <= PARTS_MAX, "each part has a row");
	int e = add_words(r);
	for (size_t i = 0; e == 0 && i < FZ_ARRAY_LEN(parts); i++)
		e = parts[i](r);
	return e < 0 || r->fd < 0 ? e : write_end(r);
}

static void send_rest(struct report *r)
{
	struct fzipc_call *call = r->call;
	for (; r->n_sent < r->n_parts; r->n_sent++) {
		const struct part *p = &r->parts[r->n_sent];
		Fzpb__BugReportPart m = FZPB__BUG_REPORT_PART__INIT;
		m.name = fz_unconst(p->name);
		m.about = fz_unconst(p->about);
		m.has_size = true;
		m.size = p->size;
		if (!fzipc_send_bug_report(call, &m))
			return; /* on_ready goes on */
	}
	report_free(r);
	fzipc_call_end(call);
}

static void on_gone(void *user, struct fzipc_call *call)
{
	(void)call;
	report_free(user);
}

static void on_ready(void *user, struct fzipc_call *call)
{
	(void)call;
	send_rest(user);
}

static const struct fzipc_call_ops report_ops = { .cancelled = on_gone, .ready = on_ready };

static void name_dir(struct report *r)
{
	struct tm t;
	time_t now = (time_t)(fz_clock_now().wall.ns / 1'000'000'000);
	r->mtime = now;
	if (!gmtime_r(&now, &t) ||
		strftime(r->dir, sizeof(r->dir), "firezone-report-%Y%m%d-%H%M%S", &t) == 0)
		snprintf(r->dir, sizeof(r->dir), "firezone-report");
}

void fzd_bug_report(void *user, struct fzipc_call *call, const Fzpb__BugReportRequest *request)
{
	struct report *r = fz_new(struct report);
	if (!r) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
		return;
	}
	r->d = user;
	r->call = call;
	r->fd = request->has_preview && request->preview ? -1 : fzipc_call_take_fd(call);
	r->redactor = fz_redactor_new_maybe(what_of(request));
	name_dir(r);
	int e = r->redactor ? build(r) : -ENOMEM;
	if (e < 0) {
		report_free(r);
		fz_log(FZ_LOG_WARNING, "bug-report", "error=\"%s\"", fz_strerror(e));
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "The report could not be written.",
			fz_strerror(e));
		return;
	}
	fzipc_call_keep(call, &report_ops, r);
	send_rest(r);
}
