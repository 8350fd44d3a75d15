/* firezonectl's verbs, and what messages look like to people. */
#include <ctype.h>
#include <string.h>

#include "gen/emit.h"

static const char head[] =
	"/* Made by protoc-gen-fzctl from ipc/firezone.proto. Not to be edited. */\n";

static void add_strings(struct text *out, const char *name, char **list, size_t n)
{
	text_add(out, "static const char *const %s[] = { ", name);
	for (size_t i = 0; i < n; i++) {
		text_add_c(out, list[i]);
		text_add(out, ", ");
	}
	text_add(out, "NULL };\n");
}

static const char *format_name(Fzopt__Format f)
{
	static const char *const names[] = { "FZIPC_PLAIN", "FZIPC_TIME", "FZIPC_AGE",
		"FZIPC_MILLIS", "FZIPC_NANOS", "FZIPC_BYTES", "FZIPC_RATE" };
	return names[f];
}

static void add_message_tables(const struct message *m, struct text *out)
{
	text_add(out, "static const struct fzipc_field_meta fields_of_%s[] = {\n", m->snake);
	for (size_t i = 0; i < m->n_fields; i++)
		text_add(out, "\t{ %s, %s }, /* %s */\n", format_name(m->fields[i].opt->format),
			m->fields[i].opt->secret ? "true" : "false", m->fields[i].proto->name);
	text_add(out, "\t{ 0 },\n};\n");
	add_strings(out, text_format("lines_of_%s", m->snake), m->out->line, m->out->n_line);
	add_strings(out, text_format("terse_of_%s", m->snake), m->out->terse, m->out->n_terse);
	text_add(out, "static const struct fzipc_column columns_of_%s[] = {\n", m->snake);
	for (size_t i = 0; i < m->out->n_column; i++) {
		const char *eq = strchr(m->out->column[i], '=');
		text_add(out, "\t{ \"%.*s\", \"%s\" },\n", (int)(eq - m->out->column[i]),
			m->out->column[i], eq + 1);
	}
	text_add(out, "\t{ 0 },\n};\n\n");
}

void emit_meta_c(const struct model *m, struct text *out)
{
	text_add(out, "%s#include \"ipc/meta.h\"\n\n#include \"ipc/firezone.pb-c.h\"\n\n", head);
	size_t n = 0;
	for (size_t i = 0; i < m->n_messages; i++) {
		if (m->messages[i].is_used)
			add_message_tables(&m->messages[i], out);
	}
	text_add(out, "const struct fzipc_message_meta fzipc_message_metas[] = {\n");
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *x = &m->messages[i];
		if (!x->is_used)
			continue;
		n++;
		text_add(out,
			"\t{ &fzpb__%s__descriptor, \"firezone.%s/1\", fields_of_%s, lines_of_%s, "
			"columns_of_%s, terse_of_%s, ",
			x->snake, x->name, x->snake, x->snake, x->snake, x->snake);
		text_add_c(out, x->out->list);
		text_add(out, ", ");
		text_add_c(out, x->out->empty);
		text_add(out, " },\n");
	}
	text_add(out, "};\n\nconst size_t fzipc_n_message_metas = %zu;\n", n);
}

static void add_flag(struct text *out, const struct method *m, const struct field *f)
{
	bool is_switch =
		f->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL;
	const char *enum_words = f->opt->complete;
	if (!enum_words && f->enumeration) {
		struct text words = { 0 };
		for (size_t i = 0; i < f->enumeration->proto->n_value; i++)
			text_add(&words, "%s%s", i ? " " : "",
				text_dashes(text_lower(f->enumeration->proto->value[i]->name)));
		enum_words = words.p;
	}
	text_add(out, "\t{ .name = ");
	text_add_c(out, model_flag(f));
	if (f->opt->short_flag)
		text_add(out, ", .short_name = '%c'", f->opt->short_flag[0]);
	if (!is_switch || f->opt->metavar) {
		text_add(out, ", .metavar = ");
		text_add_c(out, f->opt->metavar ? f->opt->metavar : text_upper(f->proto->name));
	}
	text_add(out, ",\n\t\t.help = ");
	text_add_c(out, f->opt->help ? f->opt->help : "");
	text_add(out, ", .complete = ");
	text_add_c(out, enum_words);
	text_add(out, ",\n\t\t.field = %d, .format = %d },\n", (int)(f - m->in->fields),
		(int)f->opt->format);
}

static void add_local(struct text *out, const Fzopt__CliLocal *l)
{
	text_add(out, "\t{ .name = ");
	text_add_c(out, l->flag);
	if (l->short_flag)
		text_add(out, ", .short_name = '%c'", l->short_flag[0]);
	text_add(out, ", .metavar = ");
	text_add_c(out, l->metavar);
	text_add(out, ",\n\t\t.help = ");
	text_add_c(out, l->help);
	text_add(out, ", .complete = ");
	text_add_c(out, l->complete);
	text_add(out, ", .field = -1 },\n");
}

static void add_positionals(struct text *out, const struct method *m)
{
	text_add(out, "static const struct fzctl_flag arguments_of_%s[] = {\n", m->snake);
	for (size_t i = 0; i < m->cli->n_positional; i++) {
		char mark;
		add_flag(out, m,
			model_field_maybe(m->in, model_positional(m->cli->positional[i], &mark)));
	}
	text_add(out,
		"\t{ 0 },\n};\nstatic const struct fzctl_positional positionals_of_%s[] = {\n",
		m->snake);
	for (size_t i = 0; i < m->cli->n_positional; i++) {
		char mark;
		(void)model_positional(m->cli->positional[i], &mark);
		text_add(out, "\t{ &arguments_of_%s[%zu], %s, %s },\n", m->snake, i,
			mark == '?' ? "true" : "false", mark == '+' ? "true" : "false");
	}
	text_add(out, "\t{ 0 },\n};\n");
}

static void add_verb_tables(struct text *out, const struct method *m)
{
	text_add(out, "static const struct fzctl_flag flags_of_%s[] = {\n", m->snake);
	for (size_t i = 0; i < m->in->n_fields; i++) {
		const struct field *f = &m->in->fields[i];
		if (!f->opt->no_flag && !model_is_positional(m, f))
			add_flag(out, m, f);
	}
	for (size_t i = 0; i < m->cli->n_local; i++)
		add_local(out, m->cli->local[i]);
	text_add(out, "\t{ 0 },\n};\n");
	add_positionals(out, m);
	add_strings(out, text_format("aliases_of_%s", m->snake), m->cli->alias, m->cli->n_alias);
	add_strings(
		out, text_format("examples_of_%s", m->snake), m->cli->example, m->cli->n_example);
	text_add(out, "static const unsigned exit_codes_of_%s[] = { ", m->snake);
	for (size_t i = 0; i < m->cli->n_exit_code; i++)
		text_add(out, "%u, ", m->cli->exit_code[i]);
	text_add(out, "0 };\n\n");
}

/* The comment above a method, its lines joined. */
static char *description(const struct method *m)
{
	struct text t = { 0 };
	text_add(&t, "%s", "");
	for (const char *c = m->comment; *c; c++) {
		bool is_space = isspace((unsigned char)*c);
		if (is_space && (t.len == 0 || t.p[t.len - 1] == ' '))
			continue;
		text_add(&t, "%c", is_space ? ' ' : *c);
	}
	while (t.len > 0 && t.p[t.len - 1] == ' ')
		t.p[--t.len] = '\0';
	return t.p;
}

static void add_verb(struct text *out, const struct method *m)
{
	text_add(out, "\t{\n\t\t.command = ");
	text_add_c(out, m->cli->command);
	text_add(out, ",\n\t\t.summary = ");
	text_add_c(out, m->cli->summary);
	text_add(out, ",\n\t\t.description = ");
	text_add_c(out, description(m));
	text_add(out, ",\n\t\t.section = ");
	text_add_c(out, m->cli->section);
	text_add(out, ",\n\t\t.aliases = aliases_of_%s,\n\t\t.method = &fzipc_methods[FZIPC_%s],\n",
		m->snake, text_upper(m->snake));
	text_add(out, "\t\t.flags = flags_of_%s,\n\t\t.positionals = positionals_of_%s,\n",
		m->snake, m->snake);
	text_add(out, "\t\t.examples = examples_of_%s,\n\t\t.exit_codes = exit_codes_of_%s,\n",
		m->snake, m->snake);
	if (m->cli->hook)
		text_add(out, "\t\t.hook = fzctl_hook_%s,\n", m->cli->hook);
	if (m->cli->hidden)
		text_add(out, "\t\t.is_hidden = true,\n");
	text_add(out, "\t},\n");
}

void emit_verbs_c(const struct model *m, struct text *out)
{
	text_add(out,
		"%s#include \"cli/verb.h\"\n\n#include \"ipc/firezone.pb-c.h\"\n#include "
		"\"ipc/meta.h\"\n"
		"#include \"ipc/methods.h\"\n\n",
		head);
	for (size_t i = 0; i < m->n_served; i++) {
		if (m->served[i]->cli->hook)
			text_add(out, "int fzctl_hook_%s(struct fzctl_run *run);\n",
				m->served[i]->cli->hook);
	}
	text_add(out, "\n");
	for (size_t i = 0; i < m->n_served; i++)
		add_verb_tables(out, m->served[i]);
	text_add(out, "const struct fzctl_verb fzctl_verbs[] = {\n");
	for (size_t i = 0; i < m->n_served; i++)
		add_verb(out, m->served[i]);
	text_add(out, "};\n\nconst size_t fzctl_n_verbs = %zu;\n", m->n_served);
}
