/* Going to the background without lying: the first process ends with 0 only once the device works. Before threads. */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/*
 * In the background process: 0, and *ret_ready_fd is for wgdev_daemon_ready. In the foreground one: the background
 * process's verdict, 1 (it works) or negative (it does not, and has said why), or a negative errno.
 */
int wgdev_daemon_start(int *ret_ready_fd) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Releases the foreground process; without `keeps_output` standard streams become /dev/null. Closes *ready_fd. */
void wgdev_daemon_ready(int *ready_fd, bool keeps_output) FZ_NONNULL(1);

/* RLIMIT_CORE 0, not dumpable, room for clients and locked keys, SIGPIPE and SIGCHLD ignored. Never fails: each is a bonus. */
void wgdev_limits_set(void);
/* Keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, nothing else, and never gains again. 0 or negative errno. */
int wgdev_privileges_drop(void) FZ_MUST_CHECK;
