/*
 * The listing that is kept in ipc/golden/firezone.txt. Lines that begin with method, field or enum are promises: a
 * build whose listing lacks one of them fails. Lines that begin with rule may change, but a test shows every change.
 */
#include "gen/emit.h"

static const char *type_name(const struct field *f)
{
	static const char *const names[] = { "", "double", "float", "int64", "uint64", "int32",
		"fixed64", "fixed32", "bool", "string", "group", "message", "bytes", "uint32",
		"enum", "sfixed32", "sfixed64", "sint32", "sint64" };
	if (f->message)
		return f->message->name;
	if (f->enumeration)
		return text_format("%s.%s", f->enumeration->in->name, f->enumeration->proto->name);
	return names[f->proto->type];
}

static void add_message(const struct message *m, struct text *out)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct field *f = &m->fields[i];
		text_add(out, "field %s %d %s %s%s\n", m->name, f->proto->number, f->proto->name,
			model_is_repeated(f) ? "repeated " : "", type_name(f));
	}
	for (size_t i = 0; i < m->n_enums; i++) {
		const enum_proto *e = m->enums[i].proto;
		for (size_t k = 0; k < e->n_value; k++)
			text_add(out, "enum %s.%s %d %s\n", m->name, e->name, e->value[k]->number,
				e->value[k]->name);
	}
}

static const char *value_name(const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	return v ? v->name : "?";
}

static void add_rule(const struct method *m, struct text *out)
{
	const Fzopt__Rpc *r = m->rpc;
	text_add(out, "rule %u permission=%s service_mode=%s max_bytes=%u when=", r->id,
		value_name(&fzopt__permission__descriptor, (int)r->permission),
		value_name(&fzopt__service_mode__descriptor, (int)r->service_mode), r->max_bytes);
	for (size_t i = 0; i < r->n_when; i++)
		text_add(out, "%s%s", i ? "," : "",
			value_name(&fzopt__when__descriptor, (int)r->when[i]));
	text_add(out, " per_minute=%u fd=%s since=1.%u%s%s\n", r->per_minute,
		value_name(&fzopt__fd_use__descriptor, (int)r->passes_fd), r->since,
		r->idempotent ? " idempotent" : "", r->landed ? "" : " not-yet-served");
}

void emit_golden(const struct model *m, struct text *out)
{
	for (size_t i = 0; i < m->n_methods; i++) {
		const struct method *x = &m->methods[i];
		text_add(out, "method %u %s.%s %s %s%s\n", x->rpc->id, x->service, x->name,
			x->in->name, x->is_stream ? "stream " : "", x->out->name);
		add_rule(x, out);
	}
	for (size_t i = 0; i < m->n_messages; i++)
		add_message(&m->messages[i], out);
}
