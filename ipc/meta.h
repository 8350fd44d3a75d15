/*
 * What firezone.proto says of messages beyond their wire form: how people see them. Generated tables; constant,
 * any thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum fzipc_format {
	FZIPC_PLAIN,
	FZIPC_TIME, /* ns since 1970 */
	FZIPC_AGE, /* the same, shown as the time since */
	FZIPC_MILLIS,
	FZIPC_NANOS,
	FZIPC_BYTES,
	FZIPC_RATE, /* bits per second */
};

struct fzipc_field_meta {
	enum fzipc_format format;
	bool is_secret;
};

struct fzipc_column {
	const char *heading, *path;
};

struct fzipc_message_meta {
	const ProtobufCMessageDescriptor *desc;
	const char *schema; /* "firezone.Status/1" */
	const struct fzipc_field_meta *fields; /* in the descriptor's order */
	const char *const *lines; /* templates; NULL-terminated */
	const struct fzipc_column *columns; /* heading NULL-terminated */
	const char *const *terse; /* paths; NULL-terminated */
	const char *list, *empty; /* the repeated field that is the table, or NULL */
};

extern const struct fzipc_message_meta fzipc_message_metas[];
extern const size_t fzipc_n_message_metas;

/* Of a message of ours; never NULL for those that served methods use. */
const struct fzipc_message_meta *fzipc_meta_find_maybe(const ProtobufCMessageDescriptor *d)
	FZ_NONNULL(1);
/* The field's row. */
const struct fzipc_field_meta *fzipc_meta_field(const struct fzipc_message_meta *m,
	const ProtobufCFieldDescriptor *f) FZ_NONNULL(1, 2) FZ_RETURNS_NONNULL;
