/* Layers of settings: each source is read into its own row, and the highest row that says something wins. */
#include "daemon/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytebuf.h"
#include "base/err.h"
#include "base/fd.h"
#include "daemon/file.h"
#include "daemon/paths.h"

#define DIR_FILES_MAX 256

const struct fzd_settings_paths fzd_settings_paths = { .config_file = FZD_CONFIG_FILE,
	.config_dir = FZD_CONFIG_DIR,
	.policy_dir = FZD_POLICY_DIR,
	.stored_file = FZD_STORED_FILE,
	.owner = 0 };

struct cell {
	char *value, *origin;
};

struct fzd_settings {
	const struct fzd_settings_paths *paths;
	struct cell cells[FZD_SOURCE_COUNT_][FZ_SETTING_COUNT_];
	char *policy_files[DIR_FILES_MAX];
	size_t n_policy_files;
};

/* ---- problems ---- */

void fzd_problems_add(struct fzd_problems *p, const char *file, unsigned line, const char *fmt, ...)
{
	if (p->n == FZD_PROBLEMS_MAX) {
		p->n_lost++;
		return;
	}
	struct fzd_problem *item = &p->items[p->n++];
	snprintf(item->file, sizeof(item->file), "%s", file);
	item->line = line;
	va_list args;
	va_start(args, fmt);
	vsnprintf(item->text, sizeof(item->text), fmt, args);
	va_end(args);
}

static void add_unknown(
	struct fzd_problems *problems, const char *file, unsigned line, const char *key)
{
	const char *guess = fz_setting_guess_maybe(key);
	if (guess)
		fzd_problems_add(problems, file, line,
			"There is no setting \"%s\". Is \"%s\" meant?", key, guess);
	else
		fzd_problems_add(problems, file, line,
			"There is no setting \"%s\". `firezonectl settings get` lists those there "
			"are.",
			key);
}

/* ---- one file ---- */

struct reading {
	struct fzd_settings *settings; /* NULL: only judged */
	enum fzd_source source;
	const char *file;
	struct fzd_problems *problems;
	bool is_seen[FZ_SETTING_COUNT_]; /* in this file */
	bool has_failed; /* no memory */
};

static void cell_clear(struct cell *c)
{
	free(c->value);
	free(c->origin);
	*c = (struct cell){ 0 };
}

static int cell_set(struct cell *c, const char *value, const char *origin)
{
	struct cell fresh = { .value = fz_strdup(value), .origin = fz_strdup(origin) };
	if (!fresh.value || !fresh.origin) {
		cell_clear(&fresh);
		return -ENOMEM;
	}
	cell_clear(c);
	*c = fresh;
	return 0;
}

static void on_entry(void *user, unsigned line, const char *key, const char *value)
{
	struct reading *r = user;
	enum fz_setting which;
	if (!fz_setting_find(key, &which)) {
		add_unknown(r->problems, r->file, line, key);
		return;
	}
	const char *wrong = fz_setting_info(which)->check(value);
	if (wrong) {
		fzd_problems_add(r->problems, r->file, line, "%s: %s", key, wrong);
		return;
	}
	if (r->is_seen[which]) {
		fzd_problems_add(r->problems, r->file, line,
			"%s stands in this file twice. Remove one of the lines.", key);
		return;
	}
	r->is_seen[which] = true;
	char origin[300];
	snprintf(origin, sizeof(origin), "%s:%u", r->file, line);
	if (r->settings && cell_set(&r->settings->cells[r->source][which], value, origin) < 0)
		r->has_failed = true;
}

static void on_problem(void *user, unsigned line, const char *text)
{
	struct reading *r = user;
	fzd_problems_add(r->problems, r->file, line, "%s", text);
}

static const struct fz_config_ops ops = { .entry = on_entry, .problem = on_problem };

void fzd_problems_of(struct fzd_problems *p, const char *file, struct fz_bytes text)
{
	struct reading r = { .file = file, .problems = p };
	fz_config_parse(text, &ops, &r);
}

/* 0, also for what is wrong with the file; -ENOENT if there is none; -ENOMEM. */
static int read_one(struct fzd_settings *s, enum fzd_source source, const char *path, uid_t owner,
	struct fzd_problems *problems)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	fz_bytebuf_init(&text, FZ_CONFIG_FILE_MAX);
	const char *why = "";
	int r = fzd_file_read_trusted(path, owner, &text, &why);
	if (r == -ENOENT || r == -ENOMEM)
		return r;
	if (r < 0) {
		fzd_problems_add(problems, path, 0, "%s", why);
		return 0;
	}
	struct reading reading = {
		.settings = s, .source = source, .file = path, .problems = problems
	};
	fz_config_parse(fz_bytebuf_bytes(&text), &ops, &reading);
	return reading.has_failed ? -ENOMEM : 0;
}

/* ---- directories of files ---- */

static int is_conf(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n > 5 && e->d_name[0] != '.' && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int keep_policy_file(struct fzd_settings *s, const char *path)
{
	char *copy = fz_strdup(path);
	if (!copy)
		return -ENOMEM;
	s->policy_files[s->n_policy_files++] = copy;
	return 0;
}

static int read_names(struct fzd_settings *s, enum fzd_source source, const char *dir,
	struct dirent **names, int n, struct fzd_problems *problems)
{
	for (int i = 0; i < n; i++) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		int r = read_one(s, source, path, s->paths->owner, problems);
		if (r == 0 && source == FZD_SOURCE_POLICY)
			r = keep_policy_file(s, path);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int read_dir(struct fzd_settings *s, enum fzd_source source, const char *dir,
	struct fzd_problems *problems)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_conf, alphasort);
	if (n < 0) {
		if (errno != ENOENT)
			fzd_problems_add(problems, dir, 0,
				"The directory cannot be read: %s. It must be readable for "
				"firezoned.",
				fz_strerror(-errno));
		return 0;
	}
	const char *why = "";
	int r = 0;
	if (fzd_dir_check_trusted(dir, s->paths->owner, &why) < 0)
		fzd_problems_add(problems, dir, 0, "%s", why);
	else if (n > DIR_FILES_MAX)
		fzd_problems_add(problems, dir, 0, "There are more than 256 files in it.");
	else
		r = read_names(s, source, dir, names, n, problems);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return r;
}

/* ---- the environment ---- */

static int read_environment(struct fzd_settings *s, struct fzd_problems *problems)
{
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		const struct fz_setting_info *info = fz_setting_info((enum fz_setting)i);
		const char *name = info->env, *value = name ? getenv(name) : NULL;
		if ((!value || !*value) && info->env_also) {
			name = info->env_also;
			value = getenv(name);
		}
		if (!value || !*value)
			continue;
		const char *wrong = strlen(value) > FZ_CONFIG_VALUE_MAX
					    ? "The value is longer than 1024 bytes."
					    : info->check(value);
		if (wrong)
			fzd_problems_add(problems, name, 0, "%s", wrong);
		else if (cell_set(&s->cells[FZD_SOURCE_ENVIRONMENT][i], value, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the object ---- */

void fzd_settings_free(struct fzd_settings *s)
{
	if (!s)
		return;
	for (size_t source = 0; source < FZD_SOURCE_COUNT_; source++) {
		for (size_t i = 0; i < FZ_SETTING_COUNT_; i++)
			cell_clear(&s->cells[source][i]);
	}
	for (size_t i = 0; i < s->n_policy_files; i++)
		free(s->policy_files[i]);
	free(s);
}

static int read_all(struct fzd_settings *s, struct fzd_problems *problems)
{
	const struct fzd_settings_paths *p = s->paths;
	int r = read_one(s, FZD_SOURCE_FILE, p->config_file, p->owner, problems);
	if (r < 0 && r != -ENOENT)
		return r;
	r = read_dir(s, FZD_SOURCE_FILE, p->config_dir, problems);
	if (r < 0)
		return r;
	r = read_one(s, FZD_SOURCE_STORED, p->stored_file, geteuid(), problems);
	if (r < 0 && r != -ENOENT)
		return r;
	r = read_environment(s, problems);
	return r < 0 ? r : read_dir(s, FZD_SOURCE_POLICY, p->policy_dir, problems);
}

int fzd_settings_new(const struct fzd_settings_paths *paths, struct fzd_settings **ret_settings,
	struct fzd_problems *ret_problems)
{
	struct fzd_settings *s = fz_new(struct fzd_settings);
	if (!s)
		return -ENOMEM;
	s->paths = paths;
	memset(ret_problems, 0, sizeof(*ret_problems));
	int r = read_all(s, ret_problems);
	if (r < 0) {
		fzd_settings_free(s);
		return r;
	}
	*ret_settings = s;
	return 0;
}

static struct fzd_value value_of(
	const struct fzd_settings *s, enum fzd_source source, enum fz_setting which)
{
	const struct cell *c = &s->cells[source][which];
	return (struct fzd_value){ .value = c->value, .source = source, .origin = c->origin };
}

struct fzd_value fzd_settings_get(const struct fzd_settings *s, enum fz_setting which)
{
	for (size_t source = FZD_SOURCE_COUNT_; source-- > FZD_SOURCE_DEFAULT + 1;) {
		if (s->cells[source][which].value)
			return value_of(s, (enum fzd_source)source, which);
	}
	return (struct fzd_value){ .value = fz_setting_info(which)->default_value,
		.source = FZD_SOURCE_DEFAULT,
		.origin = "" };
}

bool fzd_settings_bool(const struct fzd_settings *s, enum fz_setting which)
{
	bool b = false;
	return fz_setting_bool(fzd_settings_get(s, which).value, &b) && b;
}

bool fzd_settings_policy(
	const struct fzd_settings *s, enum fz_setting which, struct fzd_value *ret_value)
{
	if (!s->cells[FZD_SOURCE_POLICY][which].value)
		return false;
	*ret_value = value_of(s, FZD_SOURCE_POLICY, which);
	return true;
}

const char *fzd_settings_policy_file_maybe(const struct fzd_settings *s, size_t i)
{
	return i < s->n_policy_files ? s->policy_files[i] : NULL;
}

/* ---- what `settings set` keeps ---- */

static int write_stored(const struct fzd_settings *s, enum fz_setting changed, const char *value)
{
	FZ_CLEANUP(fz_freep) uint8_t *buf = fz_alloc(1, FZ_CONFIG_FILE_MAX);
	if (!buf)
		return -ENOMEM;
	struct fz_writer w = fz_writer_of(fz_span_of(buf, FZ_CONFIG_FILE_MAX));
	fz_writer_format(&w, "# Kept by `firezonectl settings set`.\n");
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		const char *kept = i == changed ? value : s->cells[FZD_SOURCE_STORED][i].value;
		if (!kept)
			continue;
		fz_config_write(&w, fz_setting_info((enum fz_setting)i)->key, kept);
		fz_writer_format(&w, "\n");
	}
	return w.bad ? -E2BIG : fzd_file_write(s->paths->stored_file, fz_writer_written(&w));
}

/* The text as it will be read again: what the grammar cannot hold is refused. */
static const char *check_text(const char *value)
{
	if (strlen(value) > FZ_CONFIG_VALUE_MAX)
		return "The value is longer than 1024 bytes.";
	for (const char *p = value; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"')
			return "A value cannot hold quotes or control characters.";
	}
	return NULL;
}

int fzd_settings_store(
	struct fzd_settings *s, enum fz_setting which, const char *value, const char **ret_why)
{
	if (s->cells[FZD_SOURCE_POLICY][which].value)
		return -EPERM;
	if (s->cells[FZD_SOURCE_ENVIRONMENT][which].value)
		return -EBUSY;
	struct cell *c = &s->cells[FZD_SOURCE_STORED][which];
	if (!value && !c->value)
		return 0;
	const char *wrong = value ? check_text(value) : NULL;
	if (value && !wrong)
		wrong = fz_setting_info(which)->check(value);
	if (wrong) {
		*ret_why = wrong;
		return -EINVAL;
	}
	int r = write_stored(s, which, value);
	if (r < 0)
		return r;
	if (value)
		return cell_set(c, value, s->paths->stored_file);
	cell_clear(c);
	return 0;
}
