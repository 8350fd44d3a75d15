/* What the process does to itself: goes to the background, and keeps its secrets out of core files. */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* No core files, no ptrace by the same user, no new privileges. Once, before keys exist. */
void wgdev_harden(void);
/*
 * Forks: the child returns 0 with `*ret_ready_fd` to be written to by wgdev_ready, the parent waits for that and exits with the
 * child's verdict, so an error after the fork still reaches the caller's shell. Negative errno if no fork could be had.
 */
int wgdev_daemonise(int *ret_ready_fd) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Tells the waiting parent to exit with `status` and closes the descriptor; in the foreground (fd -1) does nothing. */
void wgdev_ready(int *ready_fd, int status) FZ_NONNULL(1);
/* Standard streams to /dev/null; stdout and stderr stay if `keeps_output`. */
void wgdev_detach_streams(bool keeps_output);
