/* Keys as 64 hex digits; running time depends on the length alone, so a key leaves no trace in a cache. Any thread. */
#pragma once

#include "base/attr.h"
#include "base/secret.h"

#define UAPI_HEX_LEN 64

/* Exactly 64 digits of either case, then NUL. 0 or -EINVAL, and then the output is untouched. */
int uapi_hex_parse(const char *text, struct fz_key *ret_key) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Lower case, without NUL. */
void uapi_hex_format(const uint8_t key[static FZ_KEY_LEN], char ret_text[static UAPI_HEX_LEN])
	FZ_NONNULL(1, 2);
