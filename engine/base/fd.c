/* close() that keeps errno; EINTR is final on Linux, the descriptor is gone either way. */
#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

void fz_closep(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	(void)close(*fd);
	errno = saved;
	*fd = -1;
}
