/* What every test binary shares: hex, a seeded generator, and the plain runner. */
#include <stdarg.h>

#include "support/test.h"

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t test_unhex(const char *hex, uint8_t *buf, size_t cap)
{
	size_t n = 0;
	int high = -1;
	for (; *hex; hex++) {
		if (*hex == ' ' || *hex == '\n' || *hex == '\t' || *hex == ':')
			continue;
		int v = nibble(*hex);
		if (v < 0)
			TEST_FAIL("bad hex digit '%c'", *hex);
		if (high < 0) {
			high = v;
			continue;
		}
		if (n >= cap)
			TEST_FAIL("hex text is longer than %zu bytes", cap);
		buf[n++] = (uint8_t)(high << 4 | v);
		high = -1;
	}
	if (high >= 0)
		TEST_FAIL("odd number of hex digits");
	return n;
}

uint64_t test_rng_next(struct test_rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t test_rng_below(struct test_rng *r, uint64_t n)
{
	return n ? test_rng_next(r) % n : 0;
}

void test_rng_fill(struct test_rng *r, void *p, size_t n)
{
	uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)test_rng_next(r);
}

#if defined(FZ_TEST_PLAIN)
#include <setjmp.h>

static struct fz_test_case *cases;
static jmp_buf back;
static bool failed, skipped;

void fz_test_register(struct fz_test_case *c)
{
	c->next = cases;
	cases = c;
}

void fz_test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	failed = true;
	longjmp(back, 1);
}

void fz_test_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	skipped = true;
	longjmp(back, 1);
}

static void run_one(const struct fz_test_case *c)
{
	failed = skipped = false;
	if (setjmp(back) == 0)
		c->run();
}

int main(int argc, char **argv)
{
	unsigned n_passed = 0, n_failed = 0, n_skipped = 0;
	for (const struct fz_test_case *c = cases; c; c = c->next) {
		if (argc > 1 && !strstr(c->sentence, argv[1]) && !strstr(c->suite, argv[1]))
			continue;
		run_one(c);
		if (failed)
			fprintf(stderr, "FAILED %s: %s\n", c->suite, c->sentence);
		n_failed += failed;
		n_skipped += skipped;
		n_passed += !failed && !skipped;
	}
	printf("%u passed, %u failed, %u skipped\n", n_passed, n_failed, n_skipped);
	if (n_failed > 0 || n_passed + n_skipped == 0)
		return 1;
	return n_passed == 0 ? 77 : 0;
}
#endif
