/* The present: CLOCK_BOOTTIME and CLOCK_REALTIME. Any thread. */
#pragma once

#include "base/time.h"

struct fz_now fz_clock_now(void);
fz_time fz_clock_boot(void);
