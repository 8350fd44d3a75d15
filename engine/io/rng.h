/* Randomness from the kernel (getrandom(2)); blocks once at boot until it is seeded. Any thread. */
#pragma once

#include "base/bytes.h"

/* Never fails: a kernel without randomness ends the process. `user` is ignored: the signature fits wg_device_params. */
void fz_rng_fill(void *user, struct fz_span out);
