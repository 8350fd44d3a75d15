/*
 * The system calls this process may still make, from some moment on: what carrying packets, talking to the portal and to
 * front ends, and changing the host take (clients.md 4.3). For firezoned and firezone-gateway. Shell; control thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/*
 * Confines every thread there is and will be, for good. What is not listed fails with EPERM; what has no good use here
 * (starting a program, tracing, mounting, loading code into the kernel) ends the process. `has_uring`: whether rings
 * may be made. 0, also where the kernel has no filters, which is logged; or a negative errno, with nothing confined.
 */
int fz_sandbox_enter(bool has_uring) FZ_MUST_CHECK;

/* As fz_sandbox_enter, by what FIREZONE_IO says. Logs its failure. */
int fz_sandbox_enter_by_environment(void) FZ_MUST_CHECK;
