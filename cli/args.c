/*
 * The command line: finds the verb, fills the request by the verb's table. Global flags may stand anywhere. Secrets
 * have no flag: the generator refuses one.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/run.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"
#include "ipc/timetext.h"

#define WORDS_MAX       64
#define MAX_POSITIONALS 32

struct parse {
	struct fzctl_run *run;
	int argc;
	char **argv;
	int at;
	char words[WORDS_MAX]; /* of the verb, so far */
	size_t n_positionals;
	bool is_rest; /* after -- */
};

static const struct fzctl_flag global_flags[] = {
	{ .name = "output", .short_name = 'o', .metavar = "FORM", .field = -1 },
	{ .name = "json", .field = -1 },
	{ .name = "quiet", .short_name = 'q', .field = -1 },
	{ .name = "verbose", .short_name = 'v', .field = -1 },
	{ .name = "no-color", .field = -1 },
	{ .name = "socket", .metavar = "PATH", .field = -1 },
	{ .name = "timeout", .metavar = "DUR", .field = -1 },
	{ .name = "fields", .metavar = "LIST", .field = -1 },
	{ .name = "yes", .short_name = 'y', .field = -1 },
	{ .name = "help", .short_name = 'h', .field = -1 },
	{ .name = "version", .short_name = 'V', .field = -1 },
	{ 0 },
};

static int usage(const struct fzctl_run *run, const char *fmt, ...) FZ_PRINTF(2, 3);

static int usage(const struct fzctl_run *run, const char *fmt, ...)
{
	char message[256], hint[128];
	va_list args;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	snprintf(hint, sizeof(hint), "See: firezonectl %s%s--help",
		run->verb ? run->verb->command : "", run->verb ? " " : "");
	return fzctl_fail(run, FZCTL_USAGE, "usage", message, hint);
}

const struct fzctl_verb *fzctl_verb_at_maybe(size_t i)
{
	if (i < fzctl_n_verbs)
		return &fzctl_verbs[i];
	i -= fzctl_n_verbs;
	return i < fzctl_n_local_verbs ? &fzctl_local_verbs[i] : NULL;
}

static const struct fzctl_verb *find_verb(const char *words)
{
	const struct fzctl_verb *v;
	for (size_t i = 0; (v = fzctl_verb_at_maybe(i)); i++) {
		if (strcmp(v->command, words) == 0)
			return v;
		for (const char *const *a = v->aliases; *a; a++) {
			if (strcmp(*a, words) == 0)
				return v;
		}
	}
	return NULL;
}

static bool begins(const char *command, const char *words)
{
	size_t n = strlen(words);
	return strncmp(command, words, n) == 0 && command[n] == ' ';
}

bool fzctl_is_group(const char *words)
{
	const struct fzctl_verb *v;
	for (size_t i = 0; (v = fzctl_verb_at_maybe(i)); i++) {
		if (begins(v->command, words))
			return true;
		for (const char *const *a = v->aliases; *a; a++) {
			if (begins(*a, words))
				return true;
		}
	}
	return false;
}

const char *fzctl_local_maybe(const struct fzctl_run *run, const char *flag)
{
	for (size_t i = 0; i < FZCTL_MAX_LOCALS && run->verb->flags[i].name; i++) {
		if (strcmp(run->verb->flags[i].name, flag) == 0)
			return run->locals[i];
	}
	return NULL;
}

/* ---- values ---- */

/* RFC 3339, or a length of time ago. */
static bool parse_when(const char *text, int64_t *ret_ns)
{
	uint64_t ago;
	if (fzipc_time_parse(text, ret_ns))
		return true;
	if (!fzipc_duration_parse(text, &ago) || ago > INT64_MAX / 2)
		return false;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	*ret_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec - (int64_t)ago;
	return true;
}

static bool parse_unsigned(const char *text, uint64_t max, uint64_t *ret_v)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	uint64_t v = strtoull(text, &end, 10);
	if (*end != '\0' || v > max)
		return false;
	*ret_v = v;
	return true;
}

static bool parse_switch(const char *text, bool *ret_v)
{
	static const char *const yes[] = { "", "on", "yes", "true", "1" }, *const no[] = { "off",
		"no", "false", "0" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(yes); i++) {
		if (strcmp(text, yes[i]) == 0) {
			*ret_v = true;
			return true;
		}
	}
	for (size_t i = 0; i < FZ_ARRAY_LEN(no); i++) {
		if (strcmp(text, no[i]) == 0) {
			*ret_v = false;
			return true;
		}
	}
	return false;
}

static bool parse_length(const char *text, int format, uint64_t *ret_v)
{
	uint64_t ns;
	if (!fzipc_duration_parse(text, &ns))
		return false;
	*ret_v = format == FZIPC_MILLIS ? ns / 1000000 : ns;
	return true;
}

static bool parse_value(const struct fzctl_flag *flag, const char *text, struct fzipc_value *v)
{
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_STRING: v->s = text; return fzipc_utf8_is_valid(fz_bytes_of_str(text));
	case PROTOBUF_C_TYPE_BOOL: return parse_switch(text, &v->b);
	case PROTOBUF_C_TYPE_ENUM:
		return fzipc_reflect_enum_value(v->field->descriptor, text, &v->i);
	case PROTOBUF_C_TYPE_UINT32: return parse_unsigned(text, UINT32_MAX, &v->u);
	case PROTOBUF_C_TYPE_UINT64:
		if (flag->format == FZIPC_MILLIS || flag->format == FZIPC_NANOS)
			return parse_length(text, flag->format, &v->u);
		return parse_unsigned(text, UINT64_MAX, &v->u);
	case PROTOBUF_C_TYPE_INT64: return flag->format == FZIPC_TIME && parse_when(text, &v->i);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE: break;
	}
	return false;
}

static int put_one(struct fzctl_run *run, const struct fzctl_flag *flag, const char *text)
{
	struct fzipc_value v = { .field = &run->verb->method->request->fields[flag->field] };
	if (!parse_value(flag, text, &v)) {
		char what[200];
		snprintf(what, sizeof(what), "%s: \"%.80s\"%s%s", flag->name, text,
			flag->complete && strchr(flag->complete, ' ') ? "; one of: " : "",
			flag->complete && strchr(flag->complete, ' ') ? flag->complete : "");
		return usage(run, "Not a value of %s", what);
	}
	if (!fzipc_reflect_put(run->request, &v, &run->arena))
		return usage(run, "Too many values of %s.", flag->name);
	return FZCTL_OK;
}

/* Repeated values may stand in one word, with commas. */
static int put_field(struct fzctl_run *run, const struct fzctl_flag *flag, const char *text)
{
	const ProtobufCFieldDescriptor *f = &run->verb->method->request->fields[flag->field];
	if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type == PROTOBUF_C_TYPE_STRING)
		return put_one(run, flag, text);
	while (*text) {
		size_t n = strcspn(text, ",");
		char *part = fzipc_arena_alloc(&run->arena, n + 1);
		if (!part)
			return usage(run, "Too many values of %s.", flag->name);
		memcpy(part, text, n);
		int code = put_one(run, flag, part);
		if (code != FZCTL_OK)
			return code;
		text += n + (text[n] == ',');
	}
	return FZCTL_OK;
}

/* ---- flags ---- */

static int set_output(struct fzctl_run *run, const char *form)
{
	static const char *const forms[] = { "human", "json", "jsonl", "terse" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(forms); i++) {
		if (strcmp(form, forms[i]) == 0) {
			run->output = (enum fzctl_output)i;
			return FZCTL_OK;
		}
	}
	return usage(run, "Not an output form: \"%.40s\"; one of: human json jsonl terse", form);
}

static int set_global(struct fzctl_run *run, const struct fzctl_flag *flag, const char *value)
{
	if (strcmp(flag->name, "output") == 0)
		return set_output(run, value);
	if (strcmp(flag->name, "json") == 0)
		run->output = FZCTL_JSON;
	else if (strcmp(flag->name, "quiet") == 0)
		run->is_quiet = true;
	else if (strcmp(flag->name, "verbose") == 0)
		run->is_verbose = true;
	else if (strcmp(flag->name, "no-color") == 0)
		run->has_color = false;
	else if (strcmp(flag->name, "socket") == 0)
		run->socket = value;
	else if (strcmp(flag->name, "fields") == 0)
		run->fields = value;
	else if (strcmp(flag->name, "yes") == 0)
		run->says_yes = true;
	else if (strcmp(flag->name, "help") == 0)
		run->wants_help = true;
	else if (strcmp(flag->name, "version") == 0 && !run->verb)
		run->verb = find_verb("version");
	else if (strcmp(flag->name, "timeout") == 0 &&
		 (!fzipc_duration_parse(value, &run->timeout_ns) || !run->timeout_ns))
		return usage(run, "Not a length of time: \"%.40s\"", value);
	return FZCTL_OK;
}

static const struct fzctl_flag *find_flag(
	const struct fzctl_flag *list, const char *name, size_t len, char short_name)
{
	for (; list && list->name; list++) {
		if (short_name ? list->short_name == short_name
			       : strlen(list->name) == len && strncmp(list->name, name, len) == 0)
			return list;
	}
	return NULL;
}

/* The verb's own flags come first, then the global ones. */
static const struct fzctl_flag *lookup(const struct fzctl_run *run, const char *name, size_t len,
	char short_name, bool *ret_is_global)
{
	const struct fzctl_flag *f =
		run->verb ? find_flag(run->verb->flags, name, len, short_name) : NULL;
	*ret_is_global = !f;
	return f ? f : find_flag(global_flags, name, len, short_name);
}

static int set_flag(
	struct fzctl_run *run, const struct fzctl_flag *f, bool is_global, const char *value)
{
	if (is_global)
		return set_global(run, f, value);
	if (f->field >= 0)
		return put_field(run, f, value);
	size_t i = (size_t)(f - run->verb->flags);
	if (i < FZCTL_MAX_LOCALS)
		run->locals[i] = value;
	return FZCTL_OK;
}

static int unknown_flag(const struct fzctl_run *run, const char *word)
{
	if (strstr(word, "token") || strstr(word, "secret") || strstr(word, "password"))
		return fzctl_fail(run, FZCTL_USAGE, "usage",
			"Secrets are not taken from the command line.",
			"Use: sudo firezonectl token import --file FILE, or --stdin");
	return usage(run, "Unknown flag: %.60s", word);
}

/* The word after a flag that wants a value, or NULL; "" for a flag that only may have one, a length of time. */
static const char *next_word(struct parse *p, const struct fzctl_flag *flag)
{
	const char *word = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
	uint64_t ns;
	if (flag->metavar[0] == '[' && (!word || !fzipc_duration_parse(word, &ns)))
		return "";
	p->at += word != NULL;
	return word;
}

static int take_long(struct parse *p, const char *word)
{
	size_t n = strcspn(word + 2, "=");
	const char *value = word[2 + n] == '=' ? word + 3 + n : NULL;
	bool is_global;
	const struct fzctl_flag *f = lookup(p->run, word + 2, n, 0, &is_global);
	if (!f)
		return unknown_flag(p->run, word);
	if (!value && f->metavar)
		value = next_word(p, f);
	if (!value && f->metavar)
		return usage(p->run, "--%s wants a value.", f->name);
	if (value && !f->metavar && f->field < 0)
		return usage(p->run, "--%s takes no value.", f->name);
	return set_flag(p->run, f, is_global, value ? value : "");
}

static int take_short(struct parse *p, const char *word)
{
	for (const char *c = word + 1; *c; c++) {
		bool is_global;
		const struct fzctl_flag *f = lookup(p->run, NULL, 0, *c, &is_global);
		if (!f)
			return unknown_flag(p->run, word);
		const char *value = "";
		if (f->metavar)
			value = c[1] ? c + 1 : next_word(p, f);
		if (!value)
			return usage(p->run, "--%s wants a value.", f->name);
		int code = set_flag(p->run, f, is_global, value);
		if (code != FZCTL_OK || f->metavar)
			return code;
	}
	return FZCTL_OK;
}

/* ---- words ---- */

static int choose(struct fzctl_run *run, const struct fzctl_verb *verb)
{
	run->verb = verb;
	if (!verb->method)
		return FZCTL_OK;
	run->request = fzipc_reflect_new_maybe(verb->method->request, &run->arena);
	return run->request ? FZCTL_OK : usage(run, "%s", "No memory.");
}

/* How many single-letter changes make one of the other; up to 31 letters. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[33];
	size_t n = strlen(b) < 32 ? strlen(b) : 32;
	for (size_t k = 0; k <= n; k++)
		row[k] = (unsigned)k;
	for (size_t i = 0; i < 32 && a[i]; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t k = 0; k < n; k++) {
			unsigned change = diagonal + (a[i] != b[k]);
			diagonal = row[k + 1];
			unsigned best = row[k] < diagonal ? row[k] + 1 : diagonal + 1;
			row[k + 1] = change < best ? change : best;
		}
	}
	return row[n];
}

static int unknown_command(const struct fzctl_run *run, const char *words)
{
	const struct fzctl_verb *v;
	unsigned best = 3;
	char message[128], hint[128] = "See: firezonectl --help";
	for (size_t i = 0; (v = fzctl_verb_at_maybe(i)); i++) {
		unsigned d = v->is_hidden ? 99 : distance(words, v->command);
		if (d >= best)
			continue;
		best = d;
		snprintf(hint, sizeof(hint), "Did you mean: firezonectl %s", v->command);
	}
	snprintf(message, sizeof(message), "Unknown command: %.60s", words);
	return fzctl_fail(run, FZCTL_USAGE, "usage", message, hint);
}

static int take_verb_word(struct parse *p, const char *word)
{
	size_t n = strlen(p->words);
	if (n + strlen(word) + 2 > sizeof(p->words))
		return unknown_command(p->run, word);
	snprintf(p->words + n, sizeof(p->words) - n, "%s%s", n ? " " : "", word);
	const struct fzctl_verb *v = find_verb(p->words);
	if (v)
		return choose(p->run, v);
	return fzctl_is_group(p->words) ? FZCTL_OK : unknown_command(p->run, p->words);
}

static int take_positional(struct parse *p, const char *word)
{
	struct fzctl_run *run = p->run;
	if (!run->verb->method) {
		if (run->n_rest == FZ_ARRAY_LEN(run->rest))
			return usage(run, "Too many words: %.60s", word);
		run->rest[run->n_rest++] = word;
		return FZCTL_OK;
	}
	const struct fzctl_positional *list = run->verb->positionals;
	size_t i = 0, n = 0;
	while (list[n].flag)
		n++;
	i = p->n_positionals < n ? p->n_positionals : n ? n - 1 : 0;
	if (n == 0 || (p->n_positionals >= n && !list[i].is_rest))
		return usage(run, "One word too many: %.60s", word);
	p->n_positionals++;
	return put_field(run, list[i].flag, word);
}

static int take_word(struct parse *p)
{
	const char *word = p->argv[p->at];
	bool is_flag = !p->is_rest && word[0] == '-' && word[1] != '\0';
	if (is_flag && strcmp(word, "--") == 0) {
		p->is_rest = true;
		return FZCTL_OK;
	}
	if (is_flag)
		return word[1] == '-' ? take_long(p, word) : take_short(p, word);
	return p->run->verb ? take_positional(p, word) : take_verb_word(p, word);
}

/* ---- --fields ---- */

/* A path from `in` down to something that can be printed. */
static bool names_value(const ProtobufCMessageDescriptor *in, const char *path, size_t len)
{
	char name[64];
	for (;;) {
		const char *dot = memchr(path, '.', len);
		size_t n = dot ? (size_t)(dot - path) : len;
		if (n >= sizeof(name))
			return false;
		memcpy(name, path, n);
		name[n] = '\0';
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field_by_name(in, name);
		if (!f || (f->type == PROTOBUF_C_TYPE_MESSAGE) != (dot != NULL))
			return false;
		if (!dot)
			return true;
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			return false;
		in = f->descriptor;
		path += n + 1;
		len -= n + 1;
	}
}

/* What is printed line by line: the answer, or the elements of its list. */
static const ProtobufCMessageDescriptor *printed(const ProtobufCMessageDescriptor *reply)
{
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(reply);
	const ProtobufCFieldDescriptor *f =
		meta && meta->list
			? protobuf_c_message_descriptor_get_field_by_name(reply, meta->list)
			: NULL;
	return f ? f->descriptor : reply;
}

static int check_fields(const struct fzctl_run *run)
{
	if (run->output != FZCTL_TERSE)
		return usage(run, "%s", "--fields goes with --output terse.");
	/* What these print in the end is not what their own call answers. */
	bool prints_reply = run->verb->method && !fzctl_waits(run) &&
			    strcmp(run->verb->command, "sign-in") != 0;
	if (!prints_reply)
		return FZCTL_OK;
	const ProtobufCMessageDescriptor *d = printed(run->verb->method->reply);
	const char *at = run->fields;
	for (bool goes_on = true; goes_on;) {
		size_t n = strcspn(at, ",");
		if (!names_value(d, at, n))
			return usage(run, "No such field: \"%.*s\"", n < 60 ? (int)n : 60, at);
		goes_on = at[n] == ',';
		at += n + goes_on;
	}
	return FZCTL_OK;
}

static int check_complete(struct parse *p)
{
	struct fzctl_run *run = p->run;
	if (run->wants_help)
		return FZCTL_OK;
	if (!run->verb && p->words[0])
		return usage(run, "The command is not complete: %s ...", p->words);
	if (!run->verb) {
		run->wants_help = true;
		return FZCTL_USAGE;
	}
	if (run->verb->method && !run->request)
		return choose(run, run->verb); /* --version */
	if (run->fields) {
		int code = check_fields(run);
		if (code != FZCTL_OK)
			return code;
	}
	for (size_t i = 0; run->verb->method && run->verb->positionals[i].flag; i++) {
		if (i >= p->n_positionals && !run->verb->positionals[i].is_optional)
			return usage(run, "Missing: %s", run->verb->positionals[i].flag->metavar);
	}
	return FZCTL_OK;
}

int fzctl_args_parse(struct fzctl_run *run, int argc, char **argv)
{
	struct parse p = { .run = run, .argc = argc, .argv = argv, .at = 1 };
	for (; p.at < argc; p.at++) {
		int code = take_word(&p);
		if (code != FZCTL_OK)
			return code;
	}
	if (run->wants_help && !run->verb && p.words[0]) {
		char *group = fzipc_arena_alloc(&run->arena, sizeof(p.words));
		if (group)
			run->rest[run->n_rest++] = memcpy(group, p.words, sizeof(p.words));
	}
	return check_complete(&p);
}
