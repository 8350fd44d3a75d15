/* Keyed hash for tables that strangers can fill: SipHash-2-4 (Aumasson, Bernstein 2012). Any thread. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct fz_hash_key {
	uint64_t k0, k1;
};

uint64_t fz_siphash(struct fz_hash_key key, struct fz_bytes in) FZ_MUST_CHECK;
