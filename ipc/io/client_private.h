/* Between the client library's hand-written and generated halves. Not installed. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "ipc/io/client.h"
#include "ipc/method.h"

#define FIREZONE_EXPORT FZ_EXPORT

/* Where a field is in the public struct; in the order of the message's descriptor. */
struct fzipc_public_field {
	size_t has; /* has_x or n_x; 0: neither */
	size_t value;
};

struct fzipc_public {
	const ProtobufCMessageDescriptor *desc;
	size_t size;
	const struct fzipc_public_field *fields;
};

extern const struct fzipc_public fzipc_publics[];
extern const size_t fzipc_n_publics;

typedef void fzipc_any_fn(void *user, const void *answer, const struct firezone_error *error);

uint32_t fzipc_client_call(struct firezone_client *client, const struct fzipc_method *method,
	const void *request_maybe, int fd, fzipc_any_fn *on_answer, void *user);
