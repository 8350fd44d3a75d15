/* Descriptors as owned values: closed by scope, taken when handed on. */
#pragma once

#include "base/attr.h"

/* Closes *fd if it is >= 0 and sets it to -1; errno is kept. For FZ_CLEANUP. */
void fz_closep(int *fd) FZ_NONNULL(1);

/* Moves the descriptor out: *fd is -1 afterwards. */
static inline int fz_take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}
