/* getrandom in a loop: it may be interrupted or give less than asked for large requests. */
#include "io/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void fz_rng_fill(void *user, struct fz_span out)
{
	(void)user;
	while (out.n > 0) {
		ssize_t n = getrandom(out.p, out.n, 0);
		fz_assert(n > 0 || errno == EINTR);
		if (n > 0) {
			out.p += n;
			out.n -= (size_t)n;
		}
	}
}
