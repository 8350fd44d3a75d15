/* No table and no branch on a digit: each comparison is a subtraction whose sign bit is used. */
#include "uapi/hex.h"

#include <errno.h>
#include <string.h>

/* All ones if low <= c <= high, else zero. */
static uint32_t mask_between(uint32_t c, uint32_t low, uint32_t high)
{
	uint32_t is_outside = ((c - low) | (high - c)) >> 31;
	return is_outside - 1;
}

/* 0..15, or 255 for what is no digit. */
static uint32_t digit(uint8_t c)
{
	uint32_t is_number = mask_between(c, '0', '9'), is_upper = mask_between(c, 'A', 'F'),
		 is_lower = mask_between(c, 'a', 'f');
	return (is_number & (c - (uint32_t)'0')) | (is_upper & (c - (uint32_t)'A' + 10u)) |
	       (is_lower & (c - (uint32_t)'a' + 10u)) | (~(is_number | is_upper | is_lower) & 255u);
}

int uapi_hex_parse(const char *text, struct fz_key *ret_key)
{
	if (strlen(text) != UAPI_HEX_LEN)
		return -EINVAL;
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	uint32_t bad = 0;
	for (size_t i = 0; i < FZ_KEY_LEN; i++) {
		uint32_t high = digit((uint8_t)text[2 * i]), low = digit((uint8_t)text[2 * i + 1]);
		bad |= high | low;
		key.b[i] = (uint8_t)((high << 4) | (low & 15u));
	}
	if (bad > 15)
		return -EINVAL;
	*ret_key = key;
	return 0;
}

void uapi_hex_format(const uint8_t key[static FZ_KEY_LEN], char ret_text[static UAPI_HEX_LEN])
{
	for (size_t i = 0; i < UAPI_HEX_LEN; i++) {
		uint32_t v = ((uint32_t)key[i / 2] >> (i % 2 ? 0 : 4)) & 15u;
		ret_text[i] = (char)('0' + v + (mask_between(v, 10, 15) & ('a' - '0' - 10)));
	}
}
