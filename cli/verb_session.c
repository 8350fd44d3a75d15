/*
 * up, down and reset; and --wait, which these and other verbs that change the state have: then only the state that was
 * waited for is printed.
 */
#include <string.h>

#include "cli/run.h"
#include "ipc/methods.h"
#include "ipc/timetext.h"

bool fzctl_ignore_message(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	(void)user;
	(void)run;
	(void)msg;
	return true;
}

bool fzctl_waits(const struct fzctl_run *run)
{
	return fzctl_local_maybe(run, "wait") != NULL;
}

fzctl_on_message fzctl_print_unless_waiting(const struct fzctl_run *run)
{
	return fzctl_waits(run) ? fzctl_ignore_message : fzctl_print_message;
}

void fzctl_limit_time(struct fzctl_run *run, uint64_t ns)
{
	run->timeout_ns = ns;
	run->deadline = fz_time_add(fzipc_link_now(), FZ_NANOSECONDS(ns));
}

int fzctl_wait_check(const struct fzctl_run *run)
{
	uint64_t ns;
	const char *limit = fzctl_local_maybe(run, "wait");
	if (!limit || !*limit || (fzipc_duration_parse(limit, &ns) && ns > 0))
		return FZCTL_OK;
	return fzctl_fail(run, FZCTL_USAGE, "usage",
		"--wait wants a length of time, such as 30s, or none.", NULL);
}

int fzctl_wait_for(struct fzctl_run *run, Fzpb__WaitRequest__Condition condition)
{
	Fzpb__WaitRequest request = FZPB__WAIT_REQUEST__INIT;
	request.has_condition = true;
	request.condition = condition;
	return fzctl_call(
		run, &fzipc_methods[FZIPC_WAIT_FOR], &request.base, -1, fzctl_print_message, NULL);
}

/* ---- until the portal is back: it is up all the while for WaitFor, as tunnels go on without the portal ---- */

struct afresh {
	const char *problem; /* NULL: none */
	char reason[300];
	enum fzctl_exit code;
};

static bool end_with(struct afresh *a, enum fzctl_exit code, const char *problem)
{
	a->code = code;
	a->problem = problem;
	return false;
}

static bool on_state(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct afresh *a = user;
	const Fzpb__Event *e = (const Fzpb__Event *)(const void *)msg;
	const Fzpb__Status *s = e->kind_case == FZPB__EVENT__KIND_STATUS   ? e->status
				: e->kind_case == FZPB__EVENT__KIND_RESYNC ? e->resync->status
									   : NULL;
	if (!s || !s->has_state)
		return true;
	switch (s->state) {
	case FZPB__STATUS__STATE__UP:
	case FZPB__STATUS__STATE__DEGRADED: (void)fzctl_print(run, &s->base); return false;
	case FZPB__STATUS__STATE__SIGNED_OUT:
	case FZPB__STATUS__STATE__NEED_BROWSER:
		return end_with(a, FZCTL_NOT_SIGNED_IN, "Nobody is signed in.");
	case FZPB__STATUS__STATE__DOWN:
	case FZPB__STATUS__STATE__PAUSED:
		return end_with(a, FZCTL_NO, "The tunnel was taken down.");
	case FZPB__STATUS__STATE__ERROR:
		snprintf(a->reason, sizeof(a->reason), "%s",
			s->reason && s->reason[0] ? s->reason : "The session has ended.");
		return end_with(a, FZCTL_SIGN_IN_FAILED, a->reason);
	case FZPB__STATUS__STATE__CONNECTING:
	case FZPB__STATUS__STATE__RAISING:
	case FZPB__STATUS__STATE__RECONNECTING:
	case FZPB__STATUS__STATE__WAITING_NETWORK:
	case _FZPB__STATUS__STATE_IS_INT_SIZE: break;
	}
	return true;
}

static const char *name_of(enum fzctl_exit code)
{
	return code == FZCTL_NOT_SIGNED_IN ? "not_signed_in"
	       : code == FZCTL_NO          ? "conflict"
					   : "portal";
}

static int wait_until_afresh(struct fzctl_run *run)
{
	Fzpb__WatchRequest request = FZPB__WATCH_REQUEST__INIT;
	Fzpb__WatchRequest__Topic topic = FZPB__WATCH_REQUEST__TOPIC__STATE;
	struct afresh a = { .code = FZCTL_OK };
	request.events = &topic;
	request.n_events = 1;
	int code = fzctl_call(run, &fzipc_methods[FZIPC_WATCH], &request.base, -1, on_state, &a);
	if (code != FZCTL_OK || !a.problem)
		return code;
	return fzctl_fail(run, a.code, name_of(a.code), a.problem, NULL);
}

int fzctl_wait(struct fzctl_run *run, enum fzctl_await what)
{
	uint64_t ns;
	const char *limit = fzctl_local_maybe(run, "wait");
	if (!limit)
		return FZCTL_OK;
	if (*limit && fzipc_duration_parse(limit, &ns))
		fzctl_limit_time(run, ns);
	switch (what) {
	case FZCTL_UNTIL_UP: return fzctl_wait_for(run, FZPB__WAIT_REQUEST__CONDITION__UP);
	case FZCTL_UNTIL_DOWN: return fzctl_wait_for(run, FZPB__WAIT_REQUEST__CONDITION__DOWN);
	case FZCTL_UNTIL_AFRESH: break;
	}
	return wait_until_afresh(run);
}

int fzctl_call_and_wait(struct fzctl_run *run, int fd, enum fzctl_await what)
{
	int code = fzctl_wait_check(run);
	if (code == FZCTL_OK)
		code = fzctl_call(run, run->verb->method, run->request, fd,
			fzctl_print_unless_waiting(run), NULL);
	return code == FZCTL_OK ? fzctl_wait(run, what) : code;
}

/* ---- the verbs ---- */

int fzctl_hook_up(struct fzctl_run *run);
int fzctl_hook_down(struct fzctl_run *run);
int fzctl_hook_reset(struct fzctl_run *run);

int fzctl_hook_up(struct fzctl_run *run)
{
	return fzctl_call_and_wait(run, -1, FZCTL_UNTIL_UP);
}

int fzctl_hook_down(struct fzctl_run *run)
{
	return fzctl_call_and_wait(run, -1, FZCTL_UNTIL_DOWN);
}

int fzctl_hook_reset(struct fzctl_run *run)
{
	return fzctl_call_and_wait(run, -1, FZCTL_UNTIL_AFRESH);
}
