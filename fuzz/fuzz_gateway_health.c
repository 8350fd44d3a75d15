/* Whatever is asked of the health endpoint: an answer that fits, at any split of the request the same one. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "gateway/health_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[GW_ANSWER_MAX], again[GW_ANSWER_MAX];
	struct gw_health_state state = { size % 2 == 0, "portal=up clients=1" };
	if (size > GW_REQUEST_MAX)
		size = GW_REQUEST_MAX;
	struct fz_writer w = fz_writer_of(fz_span_of(out, sizeof(out)));
	if (gw_health_answer(fz_bytes_of(data, size), &state, &w) == GW_REQUEST_MORE) {
		fz_assert(w.len == 0 && size < GW_REQUEST_MAX);
		return 0;
	}
	fz_assert(!w.bad && w.len > 0);
	/* A request that came in pieces is answered when it is whole, not before and not otherwise. */
	for (size_t n = 0; n < size; n++) {
		struct fz_writer v = fz_writer_of(fz_span_of(again, sizeof(again)));
		if (gw_health_answer(fz_bytes_of(data, n), &state, &v) == GW_REQUEST_MORE)
			continue;
		fz_assert(fz_bytes_equal(fz_writer_written(&v), fz_writer_written(&w)));
		break;
	}
	return 0;
}
