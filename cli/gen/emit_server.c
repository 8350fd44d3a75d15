/* The method table and the daemon's dispatch: handlers get their own request type and answer with their own reply type. */
#include "gen/emit.h"

static const char head[] =
	"/* Made by protoc-gen-fzctl from ipc/firezone.proto. Not to be edited. */\n";

static char *c_type(const struct message *m)
{
	return text_format("Fzpb__%s", m->name);
}

void emit_methods_h(const struct model *m, struct text *out)
{
	text_add(out, "%s#pragma once\n\n#include \"ipc/method.h\"\n\nenum fzipc_method_index {\n",
		head);
	for (size_t i = 0; i < m->n_served; i++)
		text_add(out, "\tFZIPC_%s,\n", text_upper(m->served[i]->snake));
	text_add(out, "\tFZIPC_METHOD_COUNT_,\n};\n");
}

static const char *permission_name(Fzopt__Permission p)
{
	return p == FZOPT__PERMISSION__ADMIN     ? "FZIPC_ADMIN"
	       : p == FZOPT__PERMISSION__CONTROL ? "FZIPC_CONTROL"
						 : "FZIPC_READ";
}

static const char *mode_name(Fzopt__ServiceMode s)
{
	return s == FZOPT__SERVICE_MODE__REFUSED ? "FZIPC_REFUSED"
	       : s == FZOPT__SERVICE_MODE__ROOT  ? "FZIPC_ROOT"
						 : "FZIPC_SAME";
}

static const char *fd_name(Fzopt__FdUse f)
{
	return f == FZOPT__FD_USE__READS_FD    ? "FZIPC_READS_FD"
	       : f == FZOPT__FD_USE__WRITES_FD ? "FZIPC_WRITES_FD"
					       : "FZIPC_NO_FD";
}

static const char *when_name(const Fzopt__Rpc *rpc)
{
	unsigned set = 0;
	for (size_t i = 0; i < rpc->n_when; i++)
		set |= rpc->when[i] == FZOPT__WHEN__ANY          ? 3u
		       : rpc->when[i] == FZOPT__WHEN__SIGNED_OUT ? 1u
								 : 2u;
	return set == 3 ? "FZIPC_ANY" : set == 1 ? "FZIPC_SIGNED_OUT" : "FZIPC_SIGNED_IN";
}

static void add_row(const struct method *m, struct text *out)
{
	const Fzopt__Rpc *r = m->rpc;
	text_add(out, "\t[FZIPC_%s] = {\n\t\t.id = %u,\n\t\t.name = \"%s.%s\",\n",
		text_upper(m->snake), r->id, m->service, m->name);
	text_add(out, "\t\t.permission = %s,\n\t\t.service_mode = %s,\n",
		permission_name(r->permission), mode_name(r->service_mode));
	text_add(out, "\t\t.max_bytes = %u,\n\t\t.when = %s,\n\t\t.per_minute = %u,\n",
		r->max_bytes, when_name(r), r->per_minute);
	text_add(out,
		"\t\t.fd = %s,\n\t\t.since = %u,\n\t\t.is_idempotent = %s,\n\t\t.is_stream = %s,\n",
		fd_name(r->passes_fd), r->since, r->idempotent ? "true" : "false",
		m->is_stream ? "true" : "false");
	text_add(out,
		"\t\t.request = &fzpb__%s__descriptor,\n\t\t.reply = "
		"&fzpb__%s__descriptor,\n\t},\n",
		m->in->snake, m->out->snake);
}

void emit_methods_c(const struct model *m, struct text *out)
{
	text_add(out, "%s#include \"ipc/methods.h\"\n\n#include \"ipc/firezone.pb-c.h\"\n\n", head);
	text_add(out, "const struct fzipc_method fzipc_methods[FZIPC_METHOD_COUNT_] = {\n");
	for (size_t i = 0; i < m->n_served; i++)
		add_row(m->served[i], out);
	text_add(out, "};\n\nconst size_t fzipc_n_methods = FZIPC_METHOD_COUNT_;\n");
}

static void add_reply(const struct method *m, struct text *out)
{
	const char *type = c_type(m->out);
	if (m->is_stream)
		text_add(out,
			"static inline bool fzipc_send_%s(struct fzipc_call *call, const %s "
			"*msg)\n{\n"
			"\treturn fzipc_call_send(call, &msg->base);\n}\n\n",
			m->snake, type);
	else
		text_add(out,
			"static inline void fzipc_reply_%s(struct fzipc_call *call, const %s "
			"*msg)\n{\n"
			"\tfzipc_call_reply(call, &msg->base);\n}\n\n",
			m->snake, type);
}

void emit_handlers_h(const struct model *m, struct text *out)
{
	text_add(out,
		"%s#pragma once\n\n#include \"ipc/call.h\"\n#include \"ipc/firezone.pb-c.h\"\n"
		"#include \"ipc/methods.h\"\n\n",
		head);
	text_add(out, "/* One function per method, none NULL. Each replies to, fails or keeps its "
		      "call before it returns;\n"
		      " * the request is borrowed until then. */\nstruct fzipc_handlers {\n");
	for (size_t i = 0; i < m->n_served; i++)
		text_add(out,
			"\tvoid (*%s)(void *user, struct fzipc_call *call, const %s *request);\n",
			m->served[i]->snake, c_type(m->served[i]->in));
	text_add(out, "};\n\n/* True if no handler is missing. */\n"
		      "bool fzipc_handlers_are_complete(const struct fzipc_handlers *h);\n"
		      "void fzipc_handlers_dispatch(const struct fzipc_handlers *h, void *user, "
		      "size_t method_index,\n"
		      "\tstruct fzipc_call *call, const ProtobufCMessage *request);\n\n");
	for (size_t i = 0; i < m->n_served; i++)
		add_reply(m->served[i], out);
}

void emit_handlers_c(const struct model *m, struct text *out)
{
	text_add(out,
		"%s#include \"ipc/handlers.h\"\n\nbool fzipc_handlers_are_complete(const struct "
		"fzipc_handlers *h)\n{\n",
		head);
	text_add(out, "\treturn ");
	for (size_t i = 0; i < m->n_served; i++)
		text_add(out, "%sh->%s", i ? " &&\n\t       " : "", m->served[i]->snake);
	text_add(out, ";\n}\n\nvoid fzipc_handlers_dispatch(const struct fzipc_handlers *h, void "
		      "*user, size_t method_index,\n"
		      "\tstruct fzipc_call *call, const ProtobufCMessage *request)\n{\n"
		      "\tswitch ((enum fzipc_method_index)method_index) {\n");
	for (size_t i = 0; i < m->n_served; i++) {
		const struct method *x = m->served[i];
		text_add(out,
			"\tcase FZIPC_%s: h->%s(user, call, (const %s *)(const void *)request); "
			"return;\n",
			text_upper(x->snake), x->snake, c_type(x->in));
	}
	text_add(out, "\tcase FZIPC_METHOD_COUNT_: return;\n\t}\n}\n");
}
