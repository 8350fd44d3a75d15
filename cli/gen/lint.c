/*
 * The rules firezone.proto must keep. All mistakes are printed before the program ends, so that one build shows
 * them all.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/emit.h"

static unsigned n_mistakes;

static void mistake(const char *where, const char *fmt, ...) FZ_PRINTF(2, 3);

static void mistake(const char *where, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fprintf(stderr, "ipc/firezone.proto: %s: ", where);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	n_mistakes++;
}

static void check_rpc(const struct method *m, const char *where)
{
	const Fzopt__Rpc *r = m->rpc;
	if (!r) {
		mistake(where, "no (fzopt.rpc): id, permission and limits");
		return;
	}
	if (!r->has_id || r->id == 0)
		mistake(where, "no id");
	if (!r->has_permission)
		mistake(where, "no permission");
	if (!r->has_service_mode)
		mistake(where, "no service_mode: what becomes of it in service mode?");
	if (!r->has_max_bytes || r->max_bytes == 0)
		mistake(where, "no max_bytes");
	if (r->n_when == 0)
		mistake(where, "no when: in which states does it make sense?");
	if (!r->has_per_minute || r->per_minute == 0)
		mistake(where, "no per_minute");
	if (!r->has_since)
		mistake(where, "no since: which minor version introduced it?");
	if (!r->has_landed)
		mistake(where, "no landed: is it served?");
}

static void check_positionals(const struct method *m, const char *where)
{
	for (size_t i = 0; i < m->cli->n_positional; i++) {
		char mark;
		const char *name = model_positional(m->cli->positional[i], &mark);
		const struct field *f = model_field_maybe(m->in, name);
		if (!f)
			mistake(where, "positional %s is no field of %s", name, m->in->name);
		else if (model_is_repeated(f) != (mark == '+'))
			mistake(where,
				"positional %s: a repeated field is written with ... and no other "
				"is",
				name);
		if (mark && i + 1 < m->cli->n_positional)
			mistake(where, "positional %s must be the last", name);
	}
}

static void check_flags(const struct method *m, const char *where)
{
	static const char *const global[] = { "output", "json", "quiet", "verbose", "no-color",
		"socket", "timeout", "yes", "help", "version", "fields" };
	for (size_t i = 0; i < m->cli->n_local; i++) {
		for (size_t k = 0; k < FZ_ARRAY_LEN(global); k++) {
			if (strcmp(m->cli->local[i]->flag, global[k]) == 0)
				mistake(where, "flag --%s is a global flag", global[k]);
		}
	}
	for (size_t i = 0; i < m->in->n_fields; i++) {
		const struct field *f = &m->in->fields[i];
		const char *flag = model_flag(f);
		if (f->opt->secret && !f->opt->no_flag)
			mistake(where, "secret %s would come from the command line",
				f->proto->name);
		if (!f->opt->no_flag && !f->opt->help)
			mistake(where, "%s has no help", f->proto->name);
		for (size_t k = 0; k < m->cli->n_local; k++) {
			if (strcmp(m->cli->local[k]->flag, flag) == 0)
				mistake(where, "flag --%s twice", flag);
		}
		for (size_t k = 0; k < FZ_ARRAY_LEN(global); k++) {
			if (!f->opt->no_flag && strcmp(flag, global[k]) == 0)
				mistake(where, "flag --%s is a global flag", flag);
		}
	}
}

static void check_cli(const struct method *m, const char *where)
{
	if (!m->cli) {
		mistake(where, "no (fzopt.cli): command and summary");
		return;
	}
	if (!m->cli->command)
		mistake(where, "no command");
	if (!m->cli->section)
		mistake(where, "no section");
	if (!m->cli->summary || strlen(m->cli->summary) > 60)
		mistake(where, "no summary, or one above 60 characters");
	if (m->comment[0] == '\0')
		mistake(where, "no comment above it, which is the manual page's text");
	check_positionals(m, where);
	check_flags(m, where);
}

static void check_methods(const struct model *m)
{
	for (size_t i = 0; i < m->n_methods; i++) {
		const struct method *x = &m->methods[i];
		const char *where = text_format("%s.%s", x->service, x->name);
		check_rpc(x, where);
		check_cli(x, where);
		if (model_message_maybe(m, x->name))
			mistake(where, "a message has the same name");
		for (size_t k = 0; k < i && x->rpc; k++) {
			const struct method *y = &m->methods[k];
			if (y->rpc && y->rpc->id == x->rpc->id)
				mistake(where, "id %u is also %s.%s", x->rpc->id, y->service,
					y->name);
			if (y->cli && x->cli && y->cli->command && x->cli->command &&
				strcmp(x->cli->command, y->cli->command) == 0)
				mistake(where, "command \"%s\" twice", x->cli->command);
		}
	}
}

static void check_path(const struct message *m, const char *path)
{
	if (!model_path_maybe(m, path))
		mistake(m->name, "output names %s, which is no field", path);
}

static void check_hole(const struct message *m, const char *hole)
{
	if (hole[0] == '>')
		return;
	if (hole[0] == '#' || hole[0] == '*')
		hole++;
	char *path = text_format("%.*s", (int)strcspn(hole, "?"), hole);
	check_path(m, path);
}

static void check_line(const struct message *m, const char *line)
{
	bool is_inside = false;
	for (const char *c = line; *c; c++) {
		if ((*c == '[') == is_inside && (*c == '[' || *c == ']'))
			mistake(m->name, "brackets do not nest: %s", line);
		is_inside = *c == '[' || (is_inside && *c != ']');
		if (*c != '{')
			continue;
		size_t n = strcspn(c, "}");
		if (c[n] != '}')
			mistake(m->name, "a brace is left open: %s", line);
		check_hole(m, text_format("%.*s", (int)n - 1, c + 1));
		c += n - (c[n] != '}');
	}
}

static void check_output(const struct message *m)
{
	for (size_t i = 0; i < m->out->n_line; i++)
		check_line(m, m->out->line[i]);
	for (size_t i = 0; i < m->out->n_terse; i++)
		check_path(m, m->out->terse[i]);
	for (size_t i = 0; i < m->out->n_column; i++) {
		const char *eq = strchr(m->out->column[i], '=');
		if (eq)
			check_path(m, eq + 1);
		else
			mistake(m->name, "column %s has no =", m->out->column[i]);
	}
	if (!m->out->list)
		return;
	const struct field *f = model_field_maybe(m, m->out->list);
	if (!f || !model_is_repeated(f) || !f->message || f->message->out->n_column == 0)
		mistake(m->name, "list %s is no repeated message with columns", m->out->list);
}

/* How deep messages nest below this one; no message may contain itself. */
static unsigned depth_of(const struct message *m, unsigned above)
{
	unsigned deepest = 0;
	if (above > 8)
		text_die("message %s contains itself, or messages nest deeper than 8", m->name);
	for (size_t i = 0; i < m->n_fields; i++) {
		unsigned d = m->fields[i].message ? depth_of(m->fields[i].message, above + 1) : 0;
		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

static void check_messages(const struct model *m)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *msg = &m->messages[i];
		(void)depth_of(msg, 1);
		check_output(msg);
		if (msg->proto->n_nested_type > 0)
			mistake(msg->name, "messages inside messages are not allowed");
		for (size_t k = 0; k < msg->n_fields; k++) {
			if (msg->fields[k].proto->label ==
				GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED)
				mistake(msg->name, "%s is required", msg->fields[k].proto->name);
		}
	}
}

void lint_check(const struct model *m)
{
	check_messages(m);
	check_methods(m);
	if (n_mistakes > 0)
		text_die("%u mistakes in ipc/firezone.proto", n_mistakes);
}
