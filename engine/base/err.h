/*
 * Failures of the system are negative errno values; our own codes share the space from -1000 down.
 * Input that is judged (packets) is not a failure: see the verdict enums.
 */
#pragma once

#include <errno.h>

#include "base/attr.h"

enum fz_err {
	FZ_ERR_SELFTEST = -1000, /* a cryptographic primitive gave a wrong answer */
	FZ_ERR_UNSUPPORTED = -1001, /* this kernel, CPU or build cannot do what was asked */
	FZ_ERR_VERSION = -1002, /* the other side speaks another protocol version */
	FZ_ERR_LIMIT = -1003, /* a bound of ours was reached */
};

/* Text for either kind; never NULL, static or thread-local storage. Any thread. */
const char *fz_strerror(int err) FZ_RETURNS_NONNULL;
