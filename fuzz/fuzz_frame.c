/*
 * Bytes in pieces to the frame reader: the first byte seeds the sizes of the pieces. Whatever comes, it never wants past
 * a frame's end, whole frames have the length they claim, and memory follows what arrived.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/endian.h"
#include "ipc/frame.h"

#define MAX_PAYLOAD 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct fzipc_frame_reader r;
	fzipc_frame_reader_init(&r, MAX_PAYLOAD);
	uint32_t step = data[0];
	size_t at = 1, frame_start = 1;
	while (at < size) {
		if (fzipc_frame_reader_is_at_start(&r))
			frame_start = at;
		size_t want = fzipc_frame_reader_want(&r), n = step % 13 + 1;
		fz_assert(want > 0 && want <= MAX_PAYLOAD);
		n = n > want ? want : n;
		n = n > size - at ? size - at : n;
		enum fzipc_frame verdict = fzipc_frame_reader_feed(&r, fz_bytes_of(data + at, n));
		at += n;
		step = step * 1103515245u + 12345u;
		if (verdict == FZIPC_FRAME_MORE)
			continue;
		if (verdict != FZIPC_FRAME_WHOLE)
			break;
		struct fz_bytes payload = fzipc_frame_reader_payload(&r);
		fz_assert(payload.n == fz_le32_load(data + frame_start) &&
			  payload.n == at - frame_start - 4);
		fz_assert(fz_bytes_equal(payload, fz_bytes_of(data + frame_start + 4, payload.n)));
	}
	fz_assert(r.payload.cap <= 2 * size + 256 || r.payload.cap <= MAX_PAYLOAD);
	fzipc_frame_reader_done(&r);
	return 0;
}
