/* Known answers for every primitive, run before anything else; a binary whose self-test fails refuses to start. */
#pragma once

#include "base/attr.h"

/* Initialises libsodium, then checks. 0 or FZ_ERR_SELFTEST. Once, before threads. */
int fz_crypto_selftest(void) FZ_MUST_CHECK;
