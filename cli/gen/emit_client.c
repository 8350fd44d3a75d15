/*
 * The client library's own structs and functions: <firezone/messages.h>, and the tables by which the library turns
 * protobuf-c's structs, which stay private, into these and back.
 */
#include <string.h>

#include "gen/emit.h"

static const char *enum_type(const struct enumeration *e)
{
	return text_format("enum firezone_%s_%s", e->in->snake, text_snake(e->proto->name, '_'));
}

static void add_enums(struct text *out, const struct message *m)
{
	for (size_t i = 0; i < m->n_enums; i++) {
		const struct enumeration *e = &m->enums[i];
		text_add(out, "%s {\n", enum_type(e));
		for (size_t k = 0; k < e->proto->n_value; k++)
			text_add(out, "\tFIREZONE_%s_%s_%s = %d,\n", text_upper(m->snake),
				text_upper(text_snake(e->proto->name, '_')),
				e->proto->value[k]->name, e->proto->value[k]->number);
		text_add(out, "};\n\n");
	}
}

static const char *scalar_type(const struct field *f)
{
	static const char *const types[] = {
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE] = "double",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64] = "int64_t",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT64] = "uint64_t",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT32] = "int32_t",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32] = "uint32_t",
		[GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL] = "bool",
	};
	size_t type = (size_t)f->proto->type;
	if (f->enumeration)
		return enum_type(f->enumeration);
	if (type >= FZ_ARRAY_LEN(types) || !types[type])
		text_die("field %s has a type the client library does not know", f->proto->name);
	return types[type];
}

static bool is_string(const struct field *f)
{
	return f->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING;
}

static void add_member(struct text *out, const struct field *f)
{
	const char *name = f->proto->name;
	if (model_is_repeated(f)) {
		text_add(out, "\tsize_t n_%s;\n", name);
		if (f->message)
			text_add(out, "\tconst struct firezone_%s *const *%s;", f->message->snake,
				name);
		else if (is_string(f))
			text_add(out, "\tconst char *const *%s;", name);
		else
			text_add(out, "\tconst %s *%s;", scalar_type(f), name);
	} else if (f->message) {
		text_add(out, "\tconst struct firezone_%s *%s;", f->message->snake, name);
	} else if (is_string(f)) {
		text_add(out, "\tconst char *%s;", name);
	} else {
		text_add(out, "\tbool has_%s;\n\t%s %s;", name, scalar_type(f), name);
	}
	if (f->opt->format == FZOPT__FORMAT__TIME || f->opt->format == FZOPT__FORMAT__AGE)
		text_add(out, " /* ns since 1970, UTC */");
	else if (f->opt->help)
		text_add(out, " /* %s */", f->opt->help);
	text_add(out, "\n");
}

static void add_struct(struct text *out, const struct message *msg)
{
	text_add(out,
		"struct firezone_%s {\n\tsize_t struct_size; /* sizeof(struct firezone_%s) of "
		"whoever made it */\n",
		msg->snake, msg->snake);
	for (size_t i = 0; i < msg->n_fields; i++)
		add_member(out, &msg->fields[i]);
	text_add(out, "};\n\n");
}

/* Structs only need the names of others, so any order would do; enums come before all. */
static void add_types(struct text *out, const struct model *m)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		if (m->messages[i].is_used)
			add_enums(out, &m->messages[i]);
	}
	for (size_t i = 0; i < m->n_messages; i++) {
		if (m->messages[i].is_used)
			add_struct(out, &m->messages[i]);
	}
}

static bool is_seen_before(const struct model *m, size_t n, const struct message *out)
{
	for (size_t i = 0; i < n; i++) {
		if (m->served[i]->out == out)
			return true;
	}
	return false;
}

static void add_prototype(struct text *out, const struct method *m)
{
	bool has_fd = m->rpc->has_passes_fd && m->rpc->passes_fd != FZOPT__FD_USE__NO_FD;
	text_add(out,
		"uint32_t firezone_%s(struct firezone_client *client, const struct firezone_%s "
		"*request%s,\n"
		"\tfirezone_%s_fn *on_answer, void *user)",
		m->snake, m->in->snake, has_fd ? ", int fd" : "", m->out->snake);
}

static const char *fd_note(const struct method *m)
{
	if (!m->rpc->has_passes_fd || m->rpc->passes_fd == FZOPT__FD_USE__NO_FD)
		return "";
	return m->rpc->passes_fd == FZOPT__FD_USE__READS_FD
		       ? " The daemon reads from fd, a memfd, which stays yours."
		       : " The daemon writes to fd, a memfd, which stays yours.";
}

void emit_client_h(const struct model *m, struct text *out)
{
	text_add(out, "/*\n * What the Firezone daemon can be asked, and its answers. Made from "
		      "ipc/firezone.proto; included by\n"
		      " * <firezone/client.h>. Pointers that are NULL and has_... that are false "
		      "mean: not said. Members are only\n"
		      " * ever added, at the end.\n */\n#pragma once\n\n"
		      "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
		      "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\nstruct firezone_client;\n\n");
	add_types(out, m);
	text_add(out, "/*\n * An answer. Of a call with one answer: called once, with the answer "
		      "or with an error. Of a stream: once for each\n"
		      " * message, then once with neither (the end) or with an error. Everything "
		      "is borrowed until it returns.\n */\n");
	for (size_t i = 0; i < m->n_served; i++) {
		if (!is_seen_before(m, i, m->served[i]->out))
			text_add(out,
				"typedef void firezone_%s_fn(void *user, const struct firezone_%s "
				"*answer,\n"
				"\tconst struct firezone_error *error);\n",
				m->served[i]->out->snake, m->served[i]->out->snake);
	}
	text_add(out, "\n/*\n * Calls. request may be NULL: nothing said. They return a number for "
		      "firezone_client_cancel, or 0: not\n"
		      " * connected, too many calls at once, or no memory. Answers come from "
		      "firezone_client_process or _wait.\n */\n");
	for (size_t i = 0; i < m->n_served; i++) {
		text_add(out, "\n/* %s.%s%s%s */\n", m->served[i]->cli->summary,
			m->served[i]->is_stream ? " A stream." : "", fd_note(m->served[i]), "");
		add_prototype(out, m->served[i]);
		text_add(out, ";\n");
	}
	text_add(out, "\n#ifdef __cplusplus\n}\n#endif\n");
}

static void add_table(struct text *out, const struct message *m)
{
	text_add(out, "static const struct fzipc_public_field fields_of_%s[] = {\n", m->snake);
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		const char *s = m->snake, *name = f->proto->name;
		if (model_is_repeated(f))
			text_add(out,
				"\t{ offsetof(struct firezone_%s, n_%s), offsetof(struct "
				"firezone_%s, %s) },\n",
				s, name, s, name);
		else if (f->message || is_string(f))
			text_add(out, "\t{ 0, offsetof(struct firezone_%s, %s) },\n", s, name);
		else
			text_add(out,
				"\t{ offsetof(struct firezone_%s, has_%s), offsetof(struct "
				"firezone_%s, %s) },\n",
				s, name, s, name);
	}
	text_add(out, "\t{ 0 },\n};\n");
}

void emit_client_c(const struct model *m, struct text *out)
{
	size_t n = 0;
	text_add(out, "/* Made by protoc-gen-fzctl from ipc/firezone.proto. Not to be edited. */\n"
		      "#include \"ipc/io/client_private.h\"\n\n#include "
		      "\"ipc/firezone.pb-c.h\"\n#include \"ipc/methods.h\"\n\n");
	for (size_t i = 0; i < m->n_messages; i++) {
		if (m->messages[i].is_used)
			add_table(out, &m->messages[i]);
	}
	text_add(out, "\nconst struct fzipc_public fzipc_publics[] = {\n");
	for (size_t i = 0; i < m->n_messages; i++) {
		const char *s = m->messages[i].snake;
		if (!m->messages[i].is_used)
			continue;
		n++;
		text_add(out,
			"\t{ &fzpb__%s__descriptor, sizeof(struct firezone_%s), fields_of_%s },\n",
			s, s, s);
	}
	text_add(out, "};\nconst size_t fzipc_n_publics = %zu;\n", n);
	for (size_t i = 0; i < m->n_served; i++) {
		const struct method *x = m->served[i];
		bool has_fd = x->rpc->has_passes_fd && x->rpc->passes_fd != FZOPT__FD_USE__NO_FD;
		text_add(out, "\nFIREZONE_EXPORT ");
		add_prototype(out, x);
		text_add(out,
			"\n{\n\treturn fzipc_client_call(client, &fzipc_methods[FZIPC_%s], "
			"request, %s,\n"
			"\t\t(fzipc_any_fn *)(void (*)(void))on_answer, user);\n}\n",
			text_upper(x->snake), has_fd ? "fd" : "-1");
	}
}
