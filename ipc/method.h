/*
 * One row per method of firezone.proto that the daemon serves: who may call it, how large and how often
 * (docs/architecture.md, privileged requests are a table). The rows are generated; this is their shape.
 * Constant data; any thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define FZIPC_SOCKET_PATH    "/run/firezone/firezoned.sock"
#define FZIPC_GROUP          "firezone" /* its members may call */
#define FZIPC_MAGIC          "FZRP"
#define FZIPC_MAJOR          1u
#define FZIPC_MINOR          0u
/* Calls at once on one connection. */
#define FZIPC_MAX_STREAMS    16
/* The longest timeout a client may ask for. */
#define FZIPC_MAX_TIMEOUT_MS (3600u * 1000u)

enum fzipc_permission { FZIPC_NONE, FZIPC_READ, FZIPC_CONTROL, FZIPC_ADMIN };

enum fzipc_in_service_mode { FZIPC_SAME, FZIPC_ROOT, FZIPC_REFUSED };

enum fzipc_when { FZIPC_SIGNED_OUT = 1, FZIPC_SIGNED_IN = 2, FZIPC_ANY = 3 };

enum fzipc_fd_use { FZIPC_NO_FD, FZIPC_READS_FD, FZIPC_WRITES_FD };

struct fzipc_method {
	uint32_t id; /* stable, on the wire */
	const char *name; /* "Session.GetStatus" */
	enum fzipc_permission permission;
	enum fzipc_in_service_mode service_mode;
	uint32_t max_bytes; /* of the serialized request */
	unsigned when; /* set of enum fzipc_when */
	uint32_t per_minute; /* calls by one user */
	enum fzipc_fd_use fd;
	uint32_t since; /* minor version */
	bool is_idempotent, is_stream;
	const ProtobufCMessageDescriptor *request, *reply;
};

/* The generated table, in the order of enum fzipc_method_index. */
extern const struct fzipc_method fzipc_methods[];
extern const size_t fzipc_n_methods;

/* The row with this id, or NULL. */
const struct fzipc_method *fzipc_method_find_maybe(uint32_t id);
