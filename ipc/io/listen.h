/* Making, checking and removing the listening Unix socket. Control thread. */
#pragma once

#include <sys/types.h>

#include "base/attr.h"

/*
 * Binds and listens on path, owner uid of the caller, group `group` ((gid_t)-1: unchanged), mode 0660. A socket on
 * which nobody answers is replaced. -EADDRINUSE: somebody answers. -EPERM: the directory is not safe (writable by
 * others, or owned by neither root nor us).
 */
int fzipc_listen_bind(const char *path, gid_t group, int *ret_fd) FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* 0 if fd is a listening Unix stream socket; makes it close-on-exec and non-blocking. */
int fzipc_listen_adopt(int fd) FZ_MUST_CHECK;
/* Removes the path if it is still the socket fd is bound to. */
void fzipc_listen_remove(int fd, const char *path) FZ_NONNULL(2);
