/* The manual page firezonectl.1 and the JSON Schema of everything --json prints. */
#include <ctype.h>
#include <string.h>

#include "gen/emit.h"

/* ---- manual page ---- */

/* Text for roff: backslashes and hyphens escaped, no line begins with a dot or a quote. */
static void add_roff(struct text *out, const char *s)
{
	bool is_start = true;
	for (; *s; s++) {
		if (is_start && (*s == '.' || *s == '\''))
			text_add(out, "\\&");
		if (*s == '\\')
			text_add(out, "\\e");
		else if (*s == '-')
			text_add(out, "\\-");
		else
			text_add(out, "%c", *s);
		is_start = *s == '\n';
	}
}

static void add_paragraph(struct text *out, const char *comment)
{
	bool was_space = true;
	struct text joined = { 0 };
	text_add(&joined, "%s", "");
	for (; *comment; comment++) {
		bool is_space = isspace((unsigned char)*comment);
		if (!(is_space && was_space))
			text_add(&joined, "%c", is_space ? ' ' : *comment);
		was_space = is_space;
	}
	add_roff(out, joined.p);
	text_add(out, "\n");
}

static void add_tag(struct text *out, const char *bold, const char *italic, const char *text)
{
	text_add(out, ".TP\n\\fB");
	add_roff(out, bold);
	text_add(out, "\\fR");
	if (italic) {
		text_add(out, " \\fI");
		add_roff(out, italic);
		text_add(out, "\\fR");
	}
	text_add(out, "\n");
	add_roff(out, text && *text ? text : "No description.");
	text_add(out, "\n");
}

static bool is_switch(const struct field *f)
{
	return f->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL &&
	       !f->opt->metavar;
}

static bool has_flags(const struct method *m)
{
	for (size_t i = 0; i < m->in->n_fields; i++) {
		if (!m->in->fields[i].opt->no_flag && !model_is_positional(m, &m->in->fields[i]))
			return true;
	}
	return m->cli->n_local > 0;
}

static void add_flags(struct text *out, const struct method *m)
{
	if (!has_flags(m))
		return;
	text_add(out, ".RS\n");
	for (size_t i = 0; i < m->in->n_fields; i++) {
		const struct field *f = &m->in->fields[i];
		if (f->opt->no_flag || model_is_positional(m, f))
			continue;
		char *bold = f->opt->short_flag
				     ? text_format("-%s, --%s", f->opt->short_flag, model_flag(f))
				     : text_format("--%s", model_flag(f));
		add_tag(out, bold,
			is_switch(f)      ? NULL
			: f->opt->metavar ? f->opt->metavar
					  : "VALUE",
			f->opt->help);
	}
	for (size_t i = 0; i < m->cli->n_local; i++) {
		const Fzopt__CliLocal *l = m->cli->local[i];
		char *bold = l->short_flag ? text_format("-%s, --%s", l->short_flag, l->flag)
					   : text_format("--%s", l->flag);
		add_tag(out, bold, l->metavar, l->help);
	}
	text_add(out, ".RE\n");
}

static const char *who_may(const struct method *m)
{
	if (m->rpc->permission == FZOPT__PERMISSION__READ)
		return "Root and members of the group firezone.";
	if (m->rpc->permission == FZOPT__PERMISSION__CONTROL)
		return "Root, and members of the group firezone while no other user owns the "
		       "session.";
	return "Root.";
}

static void add_command(struct text *out, const struct method *m)
{
	text_add(out, ".SS \"");
	add_roff(out, m->cli->command);
	for (size_t i = 0; i < m->cli->n_positional; i++) {
		char mark;
		const struct field *f =
			model_field_maybe(m->in, model_positional(m->cli->positional[i], &mark));
		const char *name = f->opt->metavar ? f->opt->metavar : text_upper(f->proto->name);
		text_add(out, mark == '?' ? " [%s]" : " %s", name);
	}
	text_add(out, "\"\n");
	add_paragraph(out, m->comment);
	for (size_t i = 0; i < m->cli->n_alias; i++)
		text_add(out, "%s\\fB%s\\fR", i ? ", " : "Also written ", m->cli->alias[i]);
	text_add(out, m->cli->n_alias ? ".\n" : "");
	add_flags(out, m);
	text_add(out, ".PP\nWho may: %s", who_may(m));
	if (m->rpc->service_mode == FZOPT__SERVICE_MODE__ROOT)
		text_add(out, " In service mode only root.");
	if (m->rpc->service_mode == FZOPT__SERVICE_MODE__REFUSED)
		text_add(out, " In service mode nobody.");
	text_add(out, "\nAnswers with \\fB%s\\fR", m->out->name);
	text_add(out, "%s.\n", m->is_stream ? ", one for each event" : "");
	for (size_t i = 0; i < m->cli->n_example; i++) {
		text_add(out, ".PP\n.EX\n");
		add_roff(out, m->cli->example[i]);
		text_add(out, "\n.EE\n");
	}
}

static void add_man_globals(struct text *out)
{
	text_add(out, ".SH OPTIONS\nThese may stand anywhere on the line.\n");
	add_tag(out, "-o, --output", "FORM",
		"human, json, jsonl (one object a line) or terse (values between colons, for "
		"scripts).");
	add_tag(out, "--json", NULL, "The same as --output json.");
	add_tag(out, "--fields", "LIST",
		"With terse: these values, by their JSON names, such as state,tunnel.ipv4.");
	add_tag(out, "-q, --quiet", NULL, "No hints and remarks.");
	add_tag(out, "-v, --verbose", NULL, "Say more.");
	add_tag(out, "--no-color", NULL, "No colors. So does the variable NO_COLOR.");
	add_tag(out, "--socket", "PATH",
		"The daemon's socket. Without it FIREZONE_SOCKET, or "
		"/run/firezone/firezoned.sock.");
	add_tag(out, "--timeout", "DUR",
		"Give up after this time, such as 500ms, 10s or 2m; exit status 3.");
	add_tag(out, "-y, --yes", NULL, "Answer questions with yes.");
	add_tag(out, "-h, --help", NULL, "Show help.");
	add_tag(out, "-V, --version", NULL, "Show versions.");
}

static void add_exit_codes(struct text *out)
{
	static const char *const codes[] = { "0\0done", "1\0failed for another reason",
		"2\0the command line is wrong", "3\0out of time",
		"4\0signing in or connecting failed", "5\0permission denied", "6\0not signed in",
		"7\0refused by policy or service mode",
		"8\0the daemon is not running or not reachable", "9\0the answer is no",
		"10\0no such resource, account, setting or file",
		"11\0firezonectl and the daemon do not fit together", "130, 143\0interrupted" };
	text_add(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		add_tag(out, codes[i], NULL, codes[i] + strlen(codes[i]) + 1);
}

void emit_man(const struct model *m, struct text *out)
{
	text_add(out, ".\\\" Made from ipc/firezone.proto.\n.TH FIREZONECTL 1 \"\" \"Firezone\" "
		      "\"User Commands\"\n"
		      ".SH NAME\nfirezonectl \\- see and steer the Firezone daemon\n.SH SYNOPSIS\n"
		      ".B firezonectl\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH "
		      "DESCRIPTION\n"
		      "Each command asks the daemon \\fBfirezoned\\fR(8) one thing, prints the "
		      "answer and ends.\n");
	add_man_globals(out);
	text_add(out, ".SH COMMANDS\n");
	for (size_t i = 0; i < m->n_served; i++) {
		if (!m->served[i]->cli->hidden)
			add_command(out, m->served[i]);
	}
	text_add(out,
		".SS \"completion SHELL\"\nPrints a completion script for bash, zsh or fish.\n");
	text_add(out, ".SH OUTPUT\nJSON objects name their kind in \\fBschema\\fR, such as "
		      "firezone.Status/1; fields may be added,\n"
		      "never changed. Times are RFC 3339, what is unknown is left out. Errors go "
		      "to standard error, as\n"
		      "firezone.Error/1 when JSON was asked for.\n");
	add_exit_codes(out);
	text_add(out, ".SH ENVIRONMENT\n");
	add_tag(out, "FIREZONE_SOCKET", NULL, "The daemon's socket.");
	add_tag(out, "NO_COLOR", NULL, "If set, no colors.");
	text_add(out, ".SH FILES\n");
	add_tag(out, "/run/firezone/firezoned.sock", NULL,
		"The daemon's socket. It and its directory must belong to root, or firezonectl "
		"does not talk to it.");
	text_add(out, ".SH SEE ALSO\n.BR firezoned (8)\n");
}

/* ---- JSON Schema ---- */

static const char *scalar_type(const struct field *f)
{
	static const char *const types[] = {
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL] =
			"{\"type\": \"boolean\"}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING] =
			"{\"type\": \"string\"}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES] =
			"{\"type\": \"string\"}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE] =
			"{\"type\": [\"number\", \"null\"]}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FLOAT] =
			"{\"type\": [\"number\", \"null\"]}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT32] =
			"{\"type\": \"integer\"}",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32] =
			"{\"type\": \"integer\"}",
	};
	size_t type = (size_t)f->proto->type;
	if (f->opt->format == FZOPT__FORMAT__TIME || f->opt->format == FZOPT__FORMAT__AGE)
		return "{\"type\": \"string\", \"format\": \"date-time\"}";
	if (type < FZ_ARRAY_LEN(types) && types[type])
		return types[type];
	/* 64 bits: a number as long as JavaScript can hold it */
	return "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"string\", \"pattern\": "
	       "\"^-?[0-9]+$\"}]}";
}

static void add_type(struct text *out, const struct field *f)
{
	if (f->message) {
		text_add(out, "{\"$ref\": \"#/$defs/%s\"}", f->message->name);
		return;
	}
	if (!f->enumeration) {
		text_add(out, "%s", scalar_type(f));
		return;
	}
	text_add(out, "{\"enum\": [");
	for (size_t i = 0; i < f->enumeration->proto->n_value; i++)
		text_add(out, "%s\"%s\"", i ? ", " : "",
			text_lower(f->enumeration->proto->value[i]->name));
	text_add(out, "]}");
}

static void add_definition(struct text *out, const struct message *m)
{
	text_add(out,
		"    \"%s\": {\n      \"type\": \"object\",\n      \"properties\": {\n        "
		"\"schema\": {\"const\": \"firezone.%s/1\"}",
		m->name, m->name);
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		text_add(out, ",\n        \"%s\": ", f->proto->name);
		if (model_is_repeated(f))
			text_add(out, "{\"type\": \"array\", \"items\": ");
		add_type(out, f);
		if (model_is_repeated(f))
			text_add(out, "}");
	}
	text_add(out, "\n      }\n    }");
}

/* What --json prints: the answers of all commands, and errors. */
static bool is_answer(const struct model *m, const struct message *msg)
{
	for (size_t i = 0; i < m->n_served; i++) {
		if (m->served[i]->out == msg)
			return true;
	}
	return false;
}

static void add_error(struct text *out)
{
	text_add(out,
		"    \"Error\": {\n      \"type\": \"object\",\n      \"required\": [\"schema\", "
		"\"code\", \"exit\", \"message\"],\n"
		"      \"properties\": {\n        \"schema\": {\"const\": \"firezone.Error/1\"},\n"
		"        \"code\": {\"type\": \"string\"},\n        \"exit\": {\"type\": "
		"\"integer\"},\n"
		"        \"message\": {\"type\": \"string\"},\n        \"hint\": {\"type\": "
		"\"string\"}\n      }\n    }");
}

void emit_schema(const struct model *m, struct text *out)
{
	text_add(out, "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
		      "  \"title\": \"What firezonectl --json prints\",\n  \"required\": "
		      "[\"schema\"],\n  \"oneOf\": [\n");
	for (size_t i = 0; i < m->n_messages; i++) {
		if (is_answer(m, &m->messages[i]))
			text_add(out,
				"    {\"allOf\": [{\"properties\": {\"schema\": {\"const\": "
				"\"firezone.%s/1\"}}}, {\"$ref\": \"#/$defs/%s\"}]},\n",
				m->messages[i].name, m->messages[i].name);
	}
	text_add(out, "    {\"$ref\": \"#/$defs/Error\"}\n  ],\n  \"$defs\": {\n");
	for (size_t i = 0; i < m->n_messages; i++) {
		if (!m->messages[i].is_used || strcmp(m->messages[i].name, "Error") == 0)
			continue;
		add_definition(out, &m->messages[i]);
		text_add(out, ",\n");
	}
	add_error(out);
	text_add(out, "\n  }\n}\n");
}
