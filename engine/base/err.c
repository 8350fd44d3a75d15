/* One strerror for libc's errors and ours. */
#include "base/err.h"

#include <string.h>

const char *fz_strerror(int err)
{
	switch (err) {
	case FZ_ERR_SELFTEST: return "cryptographic self-test failed";
	case FZ_ERR_UNSUPPORTED: return "not supported by this kernel, CPU or build";
	case FZ_ERR_VERSION: return "incompatible protocol version";
	case FZ_ERR_LIMIT: return "limit reached";
	}
	static _Thread_local char text[64];
	/* GNU strerror_r may return a static string instead of filling the buffer. */
	return strerror_r(err < 0 ? -err : err, text, sizeof(text));
}
