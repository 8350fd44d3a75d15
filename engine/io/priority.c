/* See priority.h. By nice value, so that the scheduler still shares: nobody starves, as with a real-time class. */
#include "io/priority.h"

#include <sys/resource.h>
#include <unistd.h>

#define NICE_OF_DATA (-10)

void fz_priority_raise(void)
{
	/* Of the thread, on Linux, whatever POSIX says: setpriority(2). */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_OF_DATA);
}
