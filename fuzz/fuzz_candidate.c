/* Candidate text: what parses can be sent to, prints within its bounds, and reads back the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "path/candidate.h"

#define MAX_TEXT 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MAX_TEXT + 1], again[FZ_CANDIDATE_TEXT_LEN];
	struct fz_candidate c, back;
	if (size > MAX_TEXT)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (fz_candidate_parse(text, &c) < 0)
		return 0;
	fz_assert(fz_candidate_is_reachable(&c.addr));
	fz_assert(c.base.ip.family == 0 || fz_candidate_is_reachable(&c.base));
	fz_assert(fz_candidate_format(&c, "abcd", again) == 0);
	fz_assert(fz_candidate_parse(again, &back) == 0);
	fz_assert(back.kind == c.kind && back.priority == c.priority);
	fz_assert(fz_addr_equal(&back.addr, &c.addr));
	return 0;
}
