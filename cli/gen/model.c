/* From descriptors to the generator's model; options are taken out of the unknown fields of the option messages. */
#include "gen/model.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_CLI = 50001, OPTION_RPC = 50002, OPTION_FIELD = 50003, OPTION_OUT = 50004 };

/* The option with this number, unpacked, or NULL. Repeated `option (x) = {}` lines are merged by protoc. */
static const void *option_maybe(
	const ProtobufCMessage *options, unsigned tag, const ProtobufCMessageDescriptor *d)
{
	if (!options)
		return NULL;
	for (unsigned i = 0; i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &options->unknown_fields[i];
		if (u->tag != tag || u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		size_t at = 0;
		while (at < u->len && u->data[at] & 0x80)
			at++;
		const void *msg =
			protobuf_c_message_unpack(d, NULL, u->len - at - 1, u->data + at + 1);
		if (!msg)
			text_die("option %u cannot be unpacked", tag);
		return msg;
	}
	return NULL;
}

static const char *base_name(const char *type)
{
	const char *dot = strrchr(type, '.');
	return dot ? dot + 1 : type;
}

static int by_number(const void *a, const void *b)
{
	const struct field *x = a, *y = b;
	return x->proto->number < y->proto->number ? -1 : 1;
}

static void load_message(struct message *m, const Google__Protobuf__DescriptorProto *proto)
{
	static const Fzopt__Output no_output = FZOPT__OUTPUT__INIT;
	static const Fzopt__Field no_field = FZOPT__FIELD__INIT;
	const ProtobufCMessage *options = proto->options ? &proto->options->base : NULL;
	m->proto = proto;
	m->name = proto->name;
	m->snake = text_snake(proto->name, '_');
	m->out = option_maybe(options, OPTION_OUT, &fzopt__output__descriptor);
	if (!m->out)
		m->out = &no_output;
	m->n_fields = proto->n_field;
	m->fields = text_alloc(m->n_fields, sizeof(*m->fields));
	for (size_t i = 0; i < m->n_fields; i++) {
		struct field *f = &m->fields[i];
		f->proto = proto->field[i];
		options = f->proto->options ? &f->proto->options->base : NULL;
		f->opt = option_maybe(options, OPTION_FIELD, &fzopt__field__descriptor);
		if (!f->opt)
			f->opt = &no_field;
	}
	qsort(m->fields, m->n_fields, sizeof(*m->fields), by_number);
	m->n_enums = proto->n_enum_type;
	m->enums = text_alloc(m->n_enums, sizeof(*m->enums));
	for (size_t i = 0; i < m->n_enums; i++) {
		m->enums[i].proto = proto->enum_type[i];
		m->enums[i].in = m;
		m->enums[i].c_name =
			text_format("Fzpb__%s__%s", proto->name, proto->enum_type[i]->name);
	}
}

static const struct enumeration *find_enum(const struct model *m, const char *type)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *msg = &m->messages[i];
		for (size_t k = 0; k < msg->n_enums; k++) {
			char *full = text_format(".%s.%s.%s", m->file->package, msg->name,
				msg->enums[k].proto->name);
			if (strcmp(full, type) == 0)
				return &msg->enums[k];
		}
	}
	text_die("no enum %s", type);
}

const struct message *model_message_maybe(const struct model *m, const char *name)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		if (strcmp(m->messages[i].name, name) == 0)
			return &m->messages[i];
	}
	return NULL;
}

static const struct message *find_message(const struct model *m, const char *type)
{
	const struct message *msg = model_message_maybe(m, base_name(type));
	if (!msg)
		text_die("no message %s", type);
	return msg;
}

static void resolve_types(struct model *m)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		for (size_t k = 0; k < m->messages[i].n_fields; k++) {
			struct field *f = &m->messages[i].fields[k];
			if (f->proto->type ==
				GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE)
				f->message = find_message(m, f->proto->type_name);
			if (f->proto->type ==
				GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM)
				f->enumeration = find_enum(m, f->proto->type_name);
		}
	}
}

/* protoc keeps comments beside the descriptors, found by path: service 6, method 2. */
static const char *method_comment(
	const Google__Protobuf__FileDescriptorProto *file, size_t service, size_t method)
{
	for (size_t i = 0; file->source_code_info && i < file->source_code_info->n_location; i++) {
		const Google__Protobuf__SourceCodeInfo__Location *l =
			file->source_code_info->location[i];
		if (l->n_path == 4 && l->path[0] == 6 && (size_t)l->path[1] == service &&
			l->path[2] == 2 && (size_t)l->path[3] == method && l->leading_comments)
			return l->leading_comments;
	}
	return "";
}

static void load_method(struct model *m, size_t service, size_t index)
{
	const Google__Protobuf__ServiceDescriptorProto *s = m->file->service[service];
	const Google__Protobuf__MethodDescriptorProto *p = s->method[index];
	const ProtobufCMessage *options = p->options ? &p->options->base : NULL;
	m->methods[m->n_methods++] = (struct method){
		.service = s->name,
		.name = p->name,
		.snake = text_snake(p->name, '_'),
		.rpc = option_maybe(options, OPTION_RPC, &fzopt__rpc__descriptor),
		.cli = option_maybe(options, OPTION_CLI, &fzopt__cli__descriptor),
		.in = find_message(m, p->input_type),
		.out = find_message(m, p->output_type),
		.is_stream = p->has_server_streaming && p->server_streaming,
		.comment = method_comment(m->file, service, index),
	};
}

static int by_id(const void *a, const void *b)
{
	const struct method *x = a, *y = b;
	unsigned i = x->rpc ? x->rpc->id : 0, k = y->rpc ? y->rpc->id : 0;
	return i < k ? -1 : i > k;
}

/* Marks what served methods reach; a worklist, as messages do not contain themselves. */
static void mark_used(struct model *m, const struct message *start)
{
	const struct message **todo = text_alloc(m->n_messages * 64, sizeof(*todo));
	size_t n = 0;
	todo[n++] = start;
	while (n > 0) {
		struct message *msg = &m->messages[todo[--n] - m->messages];
		if (msg->is_used)
			continue;
		msg->is_used = true;
		for (size_t i = 0; i < msg->n_fields; i++) {
			if (msg->fields[i].message)
				todo[n++] = msg->fields[i].message;
		}
	}
}

void model_load(struct model *m, const Google__Protobuf__FileDescriptorProto *file)
{
	*m = (struct model){ .file = file, .n_messages = file->n_message_type };
	m->messages = text_alloc(m->n_messages, sizeof(*m->messages));
	for (size_t i = 0; i < m->n_messages; i++)
		load_message(&m->messages[i], file->message_type[i]);
	resolve_types(m);
	size_t total = 0;
	for (size_t i = 0; i < file->n_service; i++)
		total += file->service[i]->n_method;
	m->methods = text_alloc(total, sizeof(*m->methods));
	for (size_t i = 0; i < file->n_service; i++) {
		for (size_t k = 0; k < file->service[i]->n_method; k++)
			load_method(m, i, k);
	}
	qsort(m->methods, m->n_methods, sizeof(*m->methods), by_id);
	m->served = text_alloc(total, sizeof(struct method *));
	for (size_t i = 0; i < m->n_methods; i++) {
		if (!m->methods[i].rpc || !m->methods[i].rpc->landed)
			continue;
		m->served[m->n_served++] = &m->methods[i];
		mark_used(m, m->methods[i].in);
		mark_used(m, m->methods[i].out);
	}
	const struct message *error = model_message_maybe(m, "Error");
	if (error)
		mark_used(m, error);
}

const struct field *model_field_maybe(const struct message *m, const char *name)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		if (strcmp(m->fields[i].proto->name, name) == 0)
			return &m->fields[i];
	}
	return NULL;
}

const struct field *model_path_maybe(const struct message *m, const char *path)
{
	const struct message *in = m;
	const struct field *f = NULL;
	while (*path) {
		size_t n = strcspn(path, ".");
		if (!in)
			return NULL;
		f = model_field_maybe(in, text_format("%.*s", (int)n, path));
		if (!f)
			return NULL;
		in = model_is_repeated(f) ? NULL : f->message;
		path += n + (path[n] == '.');
	}
	return f;
}

char *model_flag(const struct field *f)
{
	return text_dashes(f->opt->flag ? f->opt->flag : f->proto->name);
}

bool model_is_repeated(const struct field *f)
{
	return f->proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
}

char *model_positional(const char *spec, char *ret_mark)
{
	size_t n = strlen(spec);
	*ret_mark = 0;
	if (n > 3 && strcmp(spec + n - 3, "...") == 0) {
		*ret_mark = '+';
		return text_format("%.*s", (int)n - 3, spec);
	}
	if (n > 1 && spec[n - 1] == '?') {
		*ret_mark = '?';
		return text_format("%.*s", (int)n - 1, spec);
	}
	return text_format("%s", spec);
}

bool model_is_positional(const struct method *m, const struct field *f)
{
	for (size_t i = 0; m->cli && i < m->cli->n_positional; i++) {
		char mark;
		if (strcmp(model_positional(m->cli->positional[i], &mark), f->proto->name) == 0)
			return true;
	}
	return false;
}
