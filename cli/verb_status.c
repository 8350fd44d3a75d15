/* status --check, health, explain, version: answers that are also exit codes. */
#include <string.h>

#include "cli/run.h"
#include "ipc/reflect.h"

struct answer {
	bool is_silent;
	int code;
	bool has_come;
};

static int exit_of_state(const Fzpb__Status *s)
{
	if (!s->has_state)
		return FZCTL_NO;
	switch (s->state) {
	case FZPB__STATUS__STATE__UP:
	case FZPB__STATUS__STATE__DEGRADED: return FZCTL_OK;
	case FZPB__STATUS__STATE__SIGNED_OUT:
	case FZPB__STATUS__STATE__NEED_BROWSER: return FZCTL_NOT_SIGNED_IN;
	case FZPB__STATUS__STATE__CONNECTING:
	case FZPB__STATUS__STATE__RAISING:
	case FZPB__STATUS__STATE__RECONNECTING:
	case FZPB__STATUS__STATE__WAITING_NETWORK:
	case FZPB__STATUS__STATE__PAUSED:
	case FZPB__STATUS__STATE__DOWN:
	case FZPB__STATUS__STATE__ERROR:
	case _FZPB__STATUS__STATE_IS_INT_SIZE: break;
	}
	return FZCTL_NO;
}

static bool on_status(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct answer *a = user;
	a->has_come = true;
	a->code = exit_of_state((const Fzpb__Status *)(const void *)msg);
	return a->is_silent || fzctl_print(run, msg);
}

int fzctl_hook_status(struct fzctl_run *run);

int fzctl_hook_status(struct fzctl_run *run)
{
	struct answer a = { .is_silent = fzctl_local_maybe(run, "check") != NULL };
	int code = fzctl_call(run, run->verb->method, run->request, -1, on_status, &a);
	return code == FZCTL_OK && a.is_silent ? a.code : code;
}

static bool on_health(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct answer *a = user;
	const Fzpb__Health *h = (const Fzpb__Health *)(const void *)msg;
	a->code = h->has_healthy && h->healthy ? FZCTL_OK : FZCTL_NO;
	return run->is_quiet || fzctl_print(run, msg);
}

int fzctl_hook_health(struct fzctl_run *run);

int fzctl_hook_health(struct fzctl_run *run)
{
	struct answer a = { .code = FZCTL_NO };
	int code = fzctl_call(run, run->verb->method, run->request, -1, on_health, &a);
	return code == FZCTL_OK ? a.code : code;
}

static bool on_explained(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__Explanation *e = (const Fzpb__Explanation *)(const void *)msg;
	bool goes = e->has_verdict && (e->verdict == FZPB__EXPLANATION__VERDICT__TUNNEL ||
					      e->verdict == FZPB__EXPLANATION__VERDICT__DIRECT);
	*(int *)user = goes ? FZCTL_OK : FZCTL_NO;
	return fzctl_print(run, msg);
}

int fzctl_hook_explain(struct fzctl_run *run);

int fzctl_hook_explain(struct fzctl_run *run)
{
	int verdict = FZCTL_NO;
	int code = fzctl_call(run, run->verb->method, run->request, -1, on_explained, &verdict);
	return code == FZCTL_OK ? verdict : code;
}

struct versions {
	char *cli, *protocol;
	bool is_same, has_come;
};

static bool on_version(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct versions *v = user;
	Fzpb__Version reply = *(const Fzpb__Version *)(const void *)msg;
	reply.cli = v->cli;
	reply.cli_protocol = v->protocol;
	v->has_come = true;
	v->is_same = reply.daemon && strcmp(reply.daemon, v->cli) == 0;
	return fzctl_print(run, &reply.base);
}

int fzctl_hook_version(struct fzctl_run *run);

/* Without a daemon there is still a version to show; only --check makes that a failure. */
int fzctl_hook_version(struct fzctl_run *run)
{
	char cli[] = FZ_VERSION, protocol[32];
	snprintf(protocol, sizeof(protocol), "%u.%u", FZIPC_MAJOR, FZIPC_MINOR);
	struct versions v = { .cli = cli, .protocol = protocol };
	bool checks = fzctl_local_maybe(run, "check") != NULL;
	if (!checks) {
		int os_errno;
		if (fzipc_link_open(&run->link, run->socket, "firezonectl", FZ_VERSION,
			    run->deadline, &os_errno) != FZIPC_LINK_FINE) {
			Fzpb__Version alone = FZPB__VERSION__INIT;
			alone.cli = cli;
			alone.cli_protocol = protocol;
			return fzctl_print(run, &alone.base) ? FZCTL_OK : FZCTL_FAILED;
		}
	}
	int code = fzctl_call(run, run->verb->method, run->request, -1, on_version, &v);
	return code == FZCTL_OK && checks && !v.is_same ? FZCTL_NO : code;
}
