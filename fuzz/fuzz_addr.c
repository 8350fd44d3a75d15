/* Text to address, prefix and number: what parses prints to something that parses to the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/assert.h"

#define MAX_TEXT 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MAX_TEXT + 1], again[FZ_ADDR_TEXT_LEN];
	if (size > MAX_TEXT)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';

	struct fz_addr addr, addr2;
	if (fz_addr_parse(text, &addr) == 0) {
		fz_assert(fz_addr_parse(fz_addr_format(&addr, again), &addr2) == 0);
		fz_assert(fz_addr_equal(&addr, &addr2));
	}
	struct fz_prefix prefix, prefix2;
	if (fz_prefix_parse(text, &prefix) == 0) {
		fz_assert(prefix.bits <= 8 * fz_ip_len(&prefix.ip));
		fz_assert(fz_prefix_contains(&prefix, &prefix.ip));
		fz_prefix_mask(&prefix);
		fz_assert(fz_prefix_parse(fz_prefix_format(&prefix, again), &prefix2) == 0);
		fz_assert(fz_ip_equal(&prefix.ip, &prefix2.ip) && prefix.bits == prefix2.bits);
	}
	uint64_t number;
	if (fz_parse_uint(text, UINT16_MAX, &number) == 0)
		fz_assert(number <= UINT16_MAX);
	return 0;
}
