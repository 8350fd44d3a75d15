/*
 * Configuration files: what was read can be written and is read as the same; every setting's judge and the redactor see
 * the values. Lines are counted right: each is an entry, a problem, blank or a comment.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "daemon/config.h"
#include "daemon/redact.h"
#include "daemon/setting.h"

struct seen {
	unsigned last_line;
	const char *key, *value; /* of the entry that must come; NULL: any */
	unsigned n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_line(struct seen *s, unsigned line)
{
	fz_assert(line > s->last_line);
	s->last_line = line;
	s->n++;
}

static void on_problem(void *user, unsigned line, const char *text)
{
	count_line(user, line);
	fz_assert(strlen(text) < FZ_CONFIG_TEXT_MAX);
}

static void on_same(void *user, unsigned line, const char *key, const char *value)
{
	struct seen *s = user;
	count_line(s, line);
	fz_assert(strcmp(key, s->key) == 0 && strcmp(value, s->value) == 0);
}

/* A quote inside is what the grammar cannot write; it comes from no file either, but for one that starts without. */
static void write_again(const char *key, const char *value)
{
	static const struct fz_config_ops ops = { .entry = on_same, .problem = on_problem };
	uint8_t buf[FZ_CONFIG_KEY_MAX + FZ_CONFIG_VALUE_MAX + 16];
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	struct seen s = { .key = key, .value = value };
	if (strchr(value, '"'))
		return;
	fz_config_write(&w, key, value);
	fz_assert(!w.bad);
	fz_config_parse(fz_writer_written(&w), &ops, &s);
	fz_assert(s.n == 1);
}

static void judge(const char *key, const char *value)
{
	enum fz_setting which;
	char shown[FZ_SETTING_SHOWN_MAX];
	(void)fz_setting_guess_maybe(key);
	if (fz_setting_find(key, &which)) {
		const char *wrong = fz_setting_info(which)->check(value);
		fz_assert(!wrong || strlen(wrong) < FZ_CONFIG_TEXT_MAX - FZ_CONFIG_KEY_MAX - 2);
		fz_assert(fz_setting_shown(which, value, shown) != NULL);
	}
}

static void on_entry(void *user, unsigned line, const char *key, const char *value)
{
	count_line(user, line);
	fz_assert(strlen(key) <= FZ_CONFIG_KEY_MAX && strlen(value) <= FZ_CONFIG_VALUE_MAX);
	fz_assert(key[0] != '\0');
	judge(key, value);
	write_again(key, value);
}

static void redact(const uint8_t *data, size_t size)
{
	struct fz_bytebuf out;
	struct fz_redactor *r =
		fz_redactor_new_maybe(FZ_REDACT_IPS | FZ_REDACT_NAMES | FZ_REDACT_SLUG);
	fz_assert(r != NULL);
	int e = fz_redactor_add(r, FZ_REDACT_NAMES, "name");
	if (e == 0)
		e = fz_redactor_add(r, FZ_REDACT_SLUG, "acme");
	fz_assert(e == 0);
	fz_bytebuf_init(&out, 32 * (size + 1));
	fz_assert(fz_redactor_run(r, fz_bytes_of(data, size), &out) == 0);
	fz_bytebuf_done(&out);
	fz_redactor_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fz_config_ops ops = { .entry = on_entry, .problem = on_problem };
	struct seen s = { 0 };
	fz_config_parse(fz_bytes_of(data, size), &ops, &s);
	redact(data, size);
	return 0;
}
