/* watch and logs: streams with an end that firezonectl decides. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "ipc/reflect.h"

struct watch {
	int64_t until; /* a state, or -1 */
	uint64_t left; /* events, 0: no end */
};

static bool is_reached(const struct watch *w, const Fzpb__Event *e)
{
	const Fzpb__Status *s = e->kind_case == FZPB__EVENT__KIND_STATUS ? e->status : NULL;
	if (e->kind_case == FZPB__EVENT__KIND_RESYNC)
		s = e->resync->status;
	return w->until >= 0 && s && s->has_state && (int64_t)s->state == w->until;
}

static bool on_event(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	struct watch *w = user;
	if (!fzctl_print(run, msg))
		return false;
	if (is_reached(w, (const Fzpb__Event *)(const void *)msg))
		return false;
	return w->left == 0 || --w->left > 0;
}

int fzctl_hook_watch(struct fzctl_run *run);

int fzctl_hook_watch(struct fzctl_run *run)
{
	struct watch w = { .until = -1 };
	const char *until = fzctl_local_maybe(run, "until"),
		   *count = fzctl_local_maybe(run, "count");
	if (until && !fzipc_reflect_enum_value(&fzpb__status__state__descriptor, until, &w.until))
		return fzctl_fail(run, FZCTL_USAGE, "usage", "No such state.",
			"See: firezonectl watch --help");
	char *end = NULL;
	if (count)
		w.left = strtoull(count, &end, 10);
	if (count && (*end != '\0' || w.left == 0))
		return fzctl_fail(
			run, FZCTL_USAGE, "usage", "--count wants a number above zero.", NULL);
	return fzctl_call(run, run->verb->method, run->request, -1, on_event, &w);
}

struct filter {
	regex_t re;
	bool is_on;
};

static bool on_record(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const struct filter *f = user;
	const Fzpb__LogRecord *r = (const Fzpb__LogRecord *)(const void *)msg;
	char text[2048];
	snprintf(text, sizeof(text), "%s %s", r->event ? r->event : "", r->detail ? r->detail : "");
	if (f->is_on && regexec(&f->re, text, 0, NULL, 0) != 0)
		return true;
	return fzctl_print(run, msg);
}

int fzctl_hook_logs(struct fzctl_run *run);

int fzctl_hook_logs(struct fzctl_run *run)
{
	struct filter f = { .is_on = false };
	const char *re = fzctl_local_maybe(run, "grep");
	if (re && regcomp(&f.re, re, REG_EXTENDED | REG_NOSUB) != 0)
		return fzctl_fail(
			run, FZCTL_USAGE, "usage", "--grep wants a regular expression.", NULL);
	f.is_on = re != NULL;
	int code = fzctl_call(run, run->verb->method, run->request, -1, on_record, &f);
	if (f.is_on)
		regfree(&f.re);
	return code;
}
