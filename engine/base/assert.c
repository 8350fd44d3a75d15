/* The last words of a process whose own state is corrupt. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void fz_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "assertion failed: %s (%s:%d)\n", expr, file, line);
	abort();
}
