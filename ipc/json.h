/*
 * JSON of messages by their descriptors: names as in firezone.proto, enums in lower case, 64-bit integers beyond 2^53 as
 * strings, bytes in base64, times as RFC 3339, what is absent left out, secrets as "***". Objects of ours begin with
 * "schema". Any thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"
#include "ipc/wire.h"

/* Appends one object without a newline: 0, -ENOMEM or FZ_ERR_LIMIT. The schema goes into the outermost only. */
int fzipc_json_write(const ProtobufCMessage *msg, struct fz_bytebuf *out)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Appends a JSON string with its quotes. */
int fzipc_json_write_text(const char *s, struct fz_bytebuf *out) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/*
 * Reads what fzipc_json_write writes; unknown names are skipped. The message lives in the arena. False if the text is
 * no JSON object of that shape.
 */
bool fzipc_json_read(const ProtobufCMessageDescriptor *d, struct fz_bytes text,
	struct fzipc_arena *arena, ProtobufCMessage **ret_msg) FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;
