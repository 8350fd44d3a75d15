/* Host: what was changed on this machine, against what the kernel has now; and putting it right. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/client.h"
#include "daemon/rpc.h"

/* Shown at most; the rest is counted in one line. */
#define SHOWN_MAX 4096

struct row {
	Fzpb__HostChange msg;
	char what[FZ_HOST_TEXT_LEN];
};

struct table {
	Fzpb__HostChanges msg;
	struct row *rows;
	size_t n, cap, n_more;
	bool has_drift;
};

static const char *kind_of(const struct fz_host_item *item)
{
	switch (item->kind) {
	case FZ_HOST_ADDRESS: return "address";
	case FZ_HOST_ROUTE: return "route";
	case FZ_HOST_RULE: return "rule";
	}
	return "unknown";
}

static Fzpb__HostChange__State state_of(enum fz_drift drift)
{
	switch (drift) {
	case FZ_DRIFT_NONE: return FZPB__HOST_CHANGE__STATE__PRESENT;
	case FZ_DRIFT_MISSING: return FZPB__HOST_CHANGE__STATE__MISSING;
	case FZ_DRIFT_FOREIGN: return FZPB__HOST_CHANGE__STATE__LEFTOVER;
	}
	return FZPB__HOST_CHANGE__STATE__PRESENT;
}

static struct row *new_row_maybe(struct table *t)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct row *rows = fz_realloc(t->rows, cap, sizeof(*rows));
		if (!rows)
			return NULL;
		t->rows = rows;
		t->cap = cap;
	}
	struct row *row = &t->rows[t->n++];
	fzpb__host_change__init(&row->msg);
	return row;
}

static int add_row(void *user, const struct fz_host_item *item, enum fz_drift drift)
{
	struct table *t = user;
	t->has_drift |= drift != FZ_DRIFT_NONE;
	if (t->n == SHOWN_MAX) {
		t->n_more++;
		return 0;
	}
	struct row *row = new_row_maybe(t);
	if (!row)
		return -ENOMEM;
	fz_host_format(item, row->what);
	/* The kind has a field of its own. */
	const char *rest = strchr(row->what, ' ');
	if (rest)
		memmove(row->what, rest + 1, strlen(rest + 1) + 1);
	row->msg.kind = fz_unconst(kind_of(item));
	row->msg.has_state = true;
	row->msg.state = state_of(drift);
	return 0;
}

static void table_done(struct table *t)
{
	free(t->rows);
	free(t->msg.changes);
}

/* The interface lives as long as the descriptor that made it: no journal names it. */
static int add_interface(const struct fzd *d, struct table *t)
{
	struct fz_session_status st;
	if (!fzd_client_status(d->client, &st) || !st.interface || st.interface[0] == '\0')
		return 0;
	bool is_there = if_nametoindex(st.interface) != 0;
	if (!is_there && !st.has_tunnel)
		return 0;
	struct row *row = new_row_maybe(t);
	if (!row)
		return -ENOMEM;
	snprintf(row->what, sizeof(row->what), "%s", st.interface);
	row->msg.kind = fz_unconst("interface");
	row->msg.has_state = true;
	row->msg.state =
		is_there ? FZPB__HOST_CHANGE__STATE__PRESENT : FZPB__HOST_CHANGE__STATE__MISSING;
	t->has_drift |= !is_there;
	return 0;
}

static int table_fill(struct fzd *d, struct table *t)
{
	fzpb__host_changes__init(&t->msg);
	int r = add_interface(d, t);
	return r < 0 ? r : fz_host_each(d->host, add_row, t);
}

/* Rows do not move any more: their pointers can be taken. */
static int table_finish(struct table *t)
{
	t->msg.changes = fz_new_array(Fzpb__HostChange *, t->n + 1);
	if (!t->msg.changes)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		t->rows[i].msg.what = t->rows[i].what;
		t->msg.changes[i] = &t->rows[i].msg;
	}
	if (t->n_more > 0)
		snprintf(t->rows[t->n - 1].what, sizeof(t->rows[0].what), "and %zu more like it",
			t->n_more + 1);
	t->msg.n_changes = t->n;
	t->msg.has_drift = true;
	t->msg.drift = t->has_drift;
	return 0;
}

static void fail(struct fzipc_call *call, int r)
{
	Fzpb__Error error = FZPB__ERROR__INIT;
	char message[160];
	snprintf(message, sizeof(message), "The kernel was asked in vain: %s.", fz_strerror(r));
	error.has_code = error.has_os_errno = true;
	error.code = FZPB__ERROR__CODE__SYSTEM;
	error.message = message;
	error.os_errno = -r;
	error.hint = fz_unconst("See: firezonectl logs --level warning");
	fzipc_call_fail_with(call, &error);
}

void fzd_show_host(void *user, struct fzipc_call *call, const Fzpb__HostRequest *request)
{
	FZ_CLEANUP(table_done) struct table t = { 0 };
	(void)request;
	int r = table_fill(user, &t);
	if (r == 0)
		r = table_finish(&t);
	if (r < 0)
		fail(call, r);
	else
		fzipc_reply_show_host(call, &t.msg);
}

/* What the call did, in the table it was shown before. */
static void mark(struct table *t, bool is_running, bool has_worked)
{
	for (size_t i = 0; i < t->n; i++) {
		Fzpb__HostChange *c = &t->rows[i].msg;
		bool is_present = c->state == FZPB__HOST_CHANGE__STATE__PRESENT;
		/* The interface is the session's own. */
		if ((is_running && is_present) || strcmp(c->kind, "interface") == 0)
			continue;
		if (!has_worked)
			c->state = FZPB__HOST_CHANGE__STATE__FAILED;
		else if (is_running && c->state == FZPB__HOST_CHANGE__STATE__MISSING)
			c->state = FZPB__HOST_CHANGE__STATE__REPAIRED;
		else
			c->state = FZPB__HOST_CHANGE__STATE__REVERTED;
	}
}

/* With a tunnel, drift is repaired; without one, nothing of ours has a reason to be there. */
void fzd_revert_host(void *user, struct fzipc_call *call, const Fzpb__HostRevertRequest *request)
{
	struct fzd *d = user;
	FZ_CLEANUP(table_done) struct table t = { 0 };
	struct fz_session_status st = { .has_tunnel = false };
	bool is_running = fzd_client_status(d->client, &st) && st.has_tunnel;
	int r = table_fill(d, &t);
	if (r == 0 && !(request->has_dry_run && request->dry_run)) {
		int done = is_running ? fz_host_repair(d->host) : fz_host_revert(d->host);
		if (done < 0)
			fz_log(FZ_LOG_WARNING, "host-revert", "error=\"%s\"", fz_strerror(done));
		else
			fz_log(FZ_LOG_INFO, "host-revert", "changes=%zu by_uid=%u", t.n,
				fzipc_call_who(call)->uid);
		mark(&t, is_running, done >= 0);
		t.has_drift = done < 0 && t.has_drift;
	}
	if (r == 0)
		r = table_finish(&t);
	if (r < 0)
		fail(call, r);
	else
		fzipc_reply_revert_host(call, &t.msg);
}
