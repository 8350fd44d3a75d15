/* See recording.h. */
#include "unit/recording.h"

#include <string.h>

#include "support/test.h"

const char *const recordings[RECORDINGS] = { "direct-ice", "direct-iceless", "relayed-ice",
	"relayed-iceless", "idle-ice", "idle-iceless", "events-ice", "events-iceless" };

void each_line(const char *recording, line_fn fn, void *user)
{
	char path[256];
	snprintf(path, sizeof(path), TEST_DATA "/portal-%s.txt", recording);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL);
	static char buf[RECORDED_LINE_MAX];
	while (fgets(buf, sizeof(buf), f)) {
		struct line l;
		int used = 0;
		CHECK(strchr(buf, '\n'));
		CHECK(sscanf(buf, "%lf %15s %15s %15s %n", &l.t, l.role, l.conn, l.what, &used) ==
			4);
		l.text = buf + used;
		l.text[strcspn(l.text, "\n")] = '\0';
		fn(user, &l);
	}
	(void)fclose(f);
}

bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
