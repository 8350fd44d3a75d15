/* Settings: values with their sources, changing them, judging files, policy, reload. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/rpc.h"

Fzpb__Setting__Source fzd_setting_source(enum fzd_source source)
{
	switch (source) {
	case FZD_SOURCE_DEFAULT: return FZPB__SETTING__SOURCE__DEFAULT;
	case FZD_SOURCE_FILE: return FZPB__SETTING__SOURCE__FILE;
	case FZD_SOURCE_STORED: return FZPB__SETTING__SOURCE__STORED;
	case FZD_SOURCE_ENVIRONMENT: return FZPB__SETTING__SOURCE__ENVIRONMENT;
	case FZD_SOURCE_POLICY: return FZPB__SETTING__SOURCE__POLICY;
	case FZD_SOURCE_COUNT_: break;
	}
	return FZPB__SETTING__SOURCE__DEFAULT;
}

void fzd_setting_fill(
	enum fz_setting which, const struct fzd_value *v, Fzpb__Setting *ret_setting, char *shown)
{
	const struct fz_setting_info *info = fz_setting_info(which);
	fzpb__setting__init(ret_setting);
	ret_setting->key = fz_unconst(info->key);
	ret_setting->value = fz_unconst(fz_setting_shown(which, v->value, shown));
	ret_setting->has_source = true;
	ret_setting->source = fzd_setting_source(v->source);
	ret_setting->origin = v->origin[0] ? fz_unconst(v->origin) : NULL;
	ret_setting->help = fz_unconst(info->help);
	ret_setting->has_needs_restart = true;
	ret_setting->needs_restart = info->needs_restart;
	ret_setting->default_value = fz_unconst(info->default_value);
}

/* Settings as messages; large: on the heap. */
struct table {
	Fzpb__Setting items[FZ_SETTING_COUNT_];
	Fzpb__Setting *list[FZ_SETTING_COUNT_];
	char shown[FZ_SETTING_COUNT_][FZ_SETTING_SHOWN_MAX];
	size_t n;
};

static void table_add(struct table *t, enum fz_setting which, const struct fzd_value *v)
{
	fzd_setting_fill(which, v, &t->items[t->n], t->shown[t->n]);
	t->list[t->n] = &t->items[t->n];
	t->n++;
}

static void fail_memory(struct fzipc_call *call)
{
	fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
}

static void fail_unknown(struct fzipc_call *call, const char *key)
{
	char hint[128] = "See: firezonectl settings get";
	const char *guess = fz_setting_guess_maybe(key);
	if (guess)
		snprintf(hint, sizeof(hint), "Is \"%s\" meant? See: firezonectl settings get",
			guess);
	fzipc_call_fail(call, FZPB__ERROR__CODE__NOT_FOUND, "There is no such setting.", hint);
}

void fzd_get_settings(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request)
{
	struct fzd *d = user;
	FZ_CLEANUP(fz_freep) struct table *t = fz_new(struct table);
	enum fz_setting one = FZ_SETTING_COUNT_;
	if (!t) {
		fail_memory(call);
		return;
	}
	if (request->key && !fz_setting_find(request->key, &one)) {
		fail_unknown(call, request->key);
		return;
	}
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		struct fzd_value v = fzd_settings_get(d->settings, (enum fz_setting)i);
		if (!request->key || i == (size_t)one)
			table_add(t, (enum fz_setting)i, &v);
	}
	Fzpb__SettingList list = FZPB__SETTING_LIST__INIT;
	list.settings = t->list;
	list.n_settings = t->n;
	fzipc_reply_get_settings(call, &list);
}

/* ---- set, unset ---- */

/* False: the call has been failed. */
static bool store(struct fzd *d, struct fzipc_call *call, const char *key, const char *value,
	enum fz_setting *ret_which)
{
	const char *why = "";
	char text[200];
	if (!key) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "Which setting?",
			"See: firezonectl settings get");
		return false;
	}
	if (!fz_setting_find(key, ret_which)) {
		fail_unknown(call, key);
		return false;
	}
	int r = fzd_settings_store(d->settings, *ret_which, value, &why);
	struct fzd_value v = fzd_settings_get(d->settings, *ret_which);
	snprintf(text, sizeof(text), "It is set in %.160s.", v.origin);
	if (r == -EINVAL)
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, why, NULL);
	else if (r == -EPERM)
		fzipc_call_fail(call, FZPB__ERROR__CODE__POLICY,
			"The organisation's policy decides this setting.", text);
	else if (r == -EBUSY)
		fzipc_call_fail(call, FZPB__ERROR__CODE__CONFLICT,
			"The daemon's environment decides this setting.", text);
	else if (r < 0) {
		snprintf(text, sizeof(text), "The setting could not be kept: %s.", fz_strerror(r));
		fz_log(FZ_LOG_ERR, "settings-not-kept", "error=\"%s\"", fz_strerror(r));
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, text, NULL);
	}
	return r == 0;
}

static bool change(struct fzd *d, struct fzipc_call *call, const char *key, const char *value,
	Fzpb__Setting *ret_setting, char *shown)
{
	enum fz_setting which = FZ_SETTING_COUNT_;
	if (!store(d, call, key, value, &which))
		return false;
	fzd_setting_changed(d, which);
	struct fzd_value v = fzd_settings_get(d->settings, which);
	fzd_setting_fill(which, &v, ret_setting, shown);
	return true;
}

void fzd_set_setting(void *user, struct fzipc_call *call, const Fzpb__SetSettingRequest *request)
{
	Fzpb__Setting setting, *one = &setting;
	Fzpb__SettingList list = FZPB__SETTING_LIST__INIT;
	char shown[FZ_SETTING_SHOWN_MAX];
	if (!request->value) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT, "Which value?",
			"To go back to the default, use: firezonectl settings unset");
		return;
	}
	if (!change(user, call, request->key, request->value, &setting, shown))
		return;
	list.settings = &one;
	list.n_settings = 1;
	fzipc_reply_set_setting(call, &list);
}

void fzd_unset_setting(void *user, struct fzipc_call *call, const Fzpb__SettingsRequest *request)
{
	Fzpb__Setting setting, *one = &setting;
	Fzpb__SettingList list = FZPB__SETTING_LIST__INIT;
	char shown[FZ_SETTING_SHOWN_MAX];
	if (!change(user, call, request->key, NULL, &setting, shown))
		return;
	list.settings = &one;
	list.n_settings = 1;
	fzipc_reply_unset_setting(call, &list);
}

/* ---- problems as messages ---- */

struct problems {
	struct fzd_problems found;
	Fzpb__ValidateProblem items[FZD_PROBLEMS_MAX + 1];
	Fzpb__ValidateProblem *list[FZD_PROBLEMS_MAX + 1];
	char more[64];
	size_t n;
};

static void problems_add(struct problems *p, char *file, unsigned line, char *text)
{
	Fzpb__ValidateProblem *item = &p->items[p->n];
	fzpb__validate_problem__init(item);
	item->file = file;
	item->has_line = line > 0;
	item->line = line;
	item->text = text;
	p->list[p->n++] = item;
}

static void problems_fill(struct problems *p)
{
	for (size_t i = 0; i < p->found.n; i++) {
		struct fzd_problem *f = &p->found.items[i];
		problems_add(p, f->file, f->line, f->text);
	}
	if (p->found.n_lost == 0)
		return;
	snprintf(p->more, sizeof(p->more), "There are %zu more.", p->found.n_lost);
	problems_add(p, p->found.items[0].file, 0, p->more);
}

static int read_fd(int fd, struct fz_bytebuf *text)
{
	for (off_t at = 0;;) {
		uint8_t part[4096];
		ssize_t n = pread(fd, part, sizeof(part), at);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		int r = fz_bytebuf_append(text, fz_bytes_of(part, (size_t)n));
		if (r < 0)
			return r;
		at += n;
	}
}

void fzd_validate_settings(
	void *user, struct fzipc_call *call, const Fzpb__ValidateRequest *request)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	FZ_CLEANUP(fz_freep) struct problems *p = fz_new(struct problems);
	Fzpb__ValidateResult result = FZPB__VALIDATE_RESULT__INIT;
	const char *name = request->file && request->file[0] ? request->file : "-";
	(void)user;
	fz_bytebuf_init(&text, FZ_CONFIG_FILE_MAX + 1);
	int r = p ? read_fd(fzipc_call_fd(call), &text) : -ENOMEM;
	if (r < 0 && r != FZ_ERR_LIMIT) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "The file could not be read.",
			fz_strerror(r));
		return;
	}
	if (r == FZ_ERR_LIMIT)
		fzd_problems_add(&p->found, name, 0,
			"The file is larger than 256 KiB. Is this the right file?");
	else
		fzd_problems_of(&p->found, name, fz_bytebuf_bytes(&text));
	problems_fill(p);
	result.has_valid = true;
	result.valid = p->n == 0;
	result.problems = p->list;
	result.n_problems = p->n;
	fzipc_reply_validate_settings(call, &result);
}

/* ---- policy, reload ---- */

void fzd_get_policy(void *user, struct fzipc_call *call, const Fzpb__PolicyRequest *request)
{
	struct fzd *d = user;
	FZ_CLEANUP(fz_freep) struct table *t = fz_new(struct table);
	char *files[256];
	Fzpb__Policy policy = FZPB__POLICY__INIT;
	(void)request;
	if (!t) {
		fail_memory(call);
		return;
	}
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		struct fzd_value v;
		if (fzd_settings_policy(d->settings, (enum fz_setting)i, &v))
			table_add(t, (enum fz_setting)i, &v);
	}
	const char *file;
	while (policy.n_files < FZ_ARRAY_LEN(files) &&
		(file = fzd_settings_policy_file_maybe(d->settings, policy.n_files)))
		files[policy.n_files++] = fz_unconst(file);
	policy.files = files;
	policy.entries = t->list;
	policy.n_entries = t->n;
	fzipc_reply_get_policy(call, &policy);
}

/* With mistakes in the files nothing is changed, and the answer says where they are. */
void fzd_reload_all(void *user, struct fzipc_call *call, const Fzpb__ReloadRequest *request)
{
	FZ_CLEANUP(fz_freep) struct problems *p = fz_new(struct problems);
	struct fzd_reloaded reloaded = { 0 };
	char *changed[FZ_SETTING_COUNT_ + 1];
	Fzpb__ReloadResult result = FZPB__RELOAD_RESULT__INIT;
	(void)request;
	int r = p ? fzd_reload(user, &reloaded, &p->found) : -ENOMEM;
	if (r < 0 && r != -EBADMSG) {
		fail_memory(call);
		return;
	}
	problems_fill(p);
	for (size_t i = 0; i < reloaded.n; i++)
		changed[i] = fz_unconst(reloaded.changed[i]);
	result.changed = changed;
	result.n_changed = reloaded.n;
	result.problems = p->list;
	result.n_problems = p->n;
	fzipc_reply_reload(call, &result);
}
