/*
 * Reading and filling messages by descriptor: what JSON, tables, templates and the command line share.
 * Any thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "ipc/wire.h"

/* One value; which member counts says field->type. Strings, bytes and messages are borrowed from the message. */
struct fzipc_value {
	const ProtobufCFieldDescriptor *field;

	union {
		int64_t i; /* int*, sint*, sfixed*, enum */
		uint64_t u; /* uint*, fixed* */
		double d; /* double, float */
		bool b;
		const char *s;
		ProtobufCBinaryData bytes;
		const ProtobufCMessage *msg;
	};
};

/* How many values the field has: 0 or 1, or the length of a repeated one. */
size_t fzipc_reflect_count(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
	FZ_NONNULL(1, 2);
/* i < fzipc_reflect_count. */
struct fzipc_value fzipc_reflect_get(
	const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f, size_t i) FZ_NONNULL(1, 2);
/*
 * Sets the field, or appends to a repeated one. Strings, bytes and messages are kept as pointers and must live as
 * long as the message; array memory comes from the arena. False when that is full.
 */
bool fzipc_reflect_put(ProtobufCMessage *msg, const struct fzipc_value *v,
	struct fzipc_arena *arena) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* An empty message in the arena, or NULL. */
ProtobufCMessage *fzipc_reflect_new_maybe(
	const ProtobufCMessageDescriptor *d, struct fzipc_arena *arena) FZ_NONNULL(1, 2);
/* "SIGNED_OUT" as "signed_out" into buf; unknown values as "value_17". */
const char *fzipc_reflect_enum_name(const struct fzipc_value *v, char *buf, size_t cap)
	FZ_NONNULL(1, 2);
/* The value of "signed_out", "signed-out" or "SIGNED_OUT"; false if there is none. */
bool fzipc_reflect_enum_value(const ProtobufCEnumDescriptor *d, const char *name,
	int64_t *ret_value) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
