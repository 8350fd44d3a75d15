/*
 * What the generator knows of firezone.proto: the descriptors protoc hands over, with our options (which arrive as
 * unknown fields) unpacked beside them. Lives until the program ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "gen/text.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "ipc/options.pb-c.h"

typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;

struct field {
	const field_proto *proto;
	const Fzopt__Field *opt; /* never NULL: all defaults if the file says nothing */
	const struct message *message; /* type of the value, or NULL */
	const struct enumeration *enumeration; /* likewise */
};

struct enumeration {
	const enum_proto *proto;
	const struct message *in;
	char *c_name; /* Fzpb__Status__State */
};

struct message {
	const Google__Protobuf__DescriptorProto *proto;
	const Fzopt__Output *out; /* never NULL */
	const char *name;
	char *snake; /* dns_status */
	struct field *fields; /* by number */
	size_t n_fields;
	struct enumeration *enums;
	size_t n_enums;
	bool is_used; /* reached from a served method */
};

struct method {
	const char *service, *name;
	char *snake;
	const Fzopt__Rpc *rpc; /* NULL: a mistake, lint says so */
	const Fzopt__Cli *cli; /* likewise */
	const struct message *in, *out;
	bool is_stream;
	const char *comment; /* leading comment, or "" */
};

struct model {
	const Google__Protobuf__FileDescriptorProto *file;
	struct message *messages;
	size_t n_messages;
	struct method *methods; /* all; sorted by id */
	size_t n_methods;
	struct method **served; /* those that have landed */
	size_t n_served;
};

void model_load(struct model *m, const Google__Protobuf__FileDescriptorProto *file)
	FZ_NONNULL(1, 2);
const struct message *model_message_maybe(const struct model *m, const char *name) FZ_NONNULL(1, 2);
const struct field *model_field_maybe(const struct message *m, const char *name) FZ_NONNULL(1, 2);
/* Follows "tunnel.ipv4"; NULL if a part does not exist or is repeated before the end. */
const struct field *model_path_maybe(const struct message *m, const char *path) FZ_NONNULL(1, 2);
/* "dry-run", the flag of a request field. */
char *model_flag(const struct field *f) FZ_NONNULL(1) FZ_RETURNS_NONNULL;
bool model_is_repeated(const struct field *f) FZ_NONNULL(1);
/* Positional arguments: the field name without its mark, which goes to *ret_mark: 0, '?' or '+'. */
char *model_positional(const char *spec, char *ret_mark) FZ_NONNULL(1, 2) FZ_RETURNS_NONNULL;
/* True if the request field is one of the method's positional arguments. */
bool model_is_positional(const struct method *m, const struct field *f) FZ_NONNULL(1, 2);
