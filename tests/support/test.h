/*
 * TEST(suite, sentence) is a Criterion test normally and a plain function under -DFZ_TEST_PLAIN, where a runner of
 * ours calls it in this process: tsan and valgrind do not get along with Criterion's forks. Assertions are ours in
 * both, end the test, and print what was compared. TEST_SKIP says why; where CI=true it counts as a failure, because
 * that machine has everything. TEST_SKIP_ALLOWED is for what no such machine can have (a CPU feature): it never does.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(FZ_TEST_PLAIN)

struct fz_test_case {
	const char *suite, *sentence;
	void (*run)(void);
	struct fz_test_case *next;
};

void fz_test_register(struct fz_test_case *c);
__attribute__((format(printf, 3, 4))) _Noreturn void fz_test_fail(
	const char *file, int line, const char *fmt, ...);
_Noreturn void fz_test_skip(const char *why);

#define TEST(suite_, sentence_)                                                                    \
	static void suite_##_##sentence_(void);                                                    \
	static struct fz_test_case suite_##_##sentence_##_case = { #suite_, #sentence_,            \
		suite_##_##sentence_, NULL };                                                      \
	__attribute__((constructor)) static void suite_##_##sentence_##_register(void)             \
	{                                                                                          \
		fz_test_register(&suite_##_##sentence_##_case);                                    \
	}                                                                                          \
	static void suite_##_##sentence_(void)
#define TEST_FAIL(...) fz_test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define TEST_SKIP(why) fz_test_skip(why)

#else

#include <criterion/criterion.h>

#define TEST(suite_, sentence_) Test(suite_, sentence_)
#define TEST_FAIL(...)          cr_assert_fail(__VA_ARGS__)
#define TEST_SKIP(why)                                                                             \
	do {                                                                                       \
		fprintf(stderr, "skipped: %s\n", (why));                                           \
		cr_skip_test("%s", (why));                                                         \
	} while (0)

#endif

#define TEST_SKIP_ALLOWED(why) TEST_SKIP("allowed: " why)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL("%s", #cond);                                                    \
	} while (0)
#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (got_ != want_)                                                                 \
			TEST_FAIL("%s is %" PRId64 ", want %" PRId64 " (%s)", #got, got_, want_,   \
				#want);                                                            \
	} while (0)
#define CHECK_UINT(got, want)                                                                      \
	do {                                                                                       \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                         \
		if (got_ != want_)                                                                 \
			TEST_FAIL("%s is %" PRIu64 ", want %" PRIu64 " (%s)", #got, got_, want_,   \
				#want);                                                            \
	} while (0)
#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		if (strcmp(got_, want_) != 0)                                                      \
			TEST_FAIL("%s is \"%s\", want \"%s\"", #got, got_, want_);                 \
	} while (0)
#define CHECK_MEM(got, want, len)                                                                  \
	do {                                                                                       \
		size_t len_ = (len);                                                               \
		if (len_ > 0 && memcmp((got), (want), len_) != 0)                                  \
			TEST_FAIL("%s differs from %s in its %zu bytes", #got, #want, len_);       \
	} while (0)

/* Fills buf from hex text (blanks allowed); fails the test on bad text or a wrong length. */
size_t test_unhex(const char *hex, uint8_t *buf, size_t cap);
#define TEST_HEX(name, hex)                                                                        \
	uint8_t name[sizeof(hex) / 2 + 1];                                                         \
	size_t name##_len FZ_TEST_UNUSED = test_unhex(hex, name, sizeof(name))
#define FZ_TEST_UNUSED __attribute__((unused))

/* A small seeded generator (splitmix64) for tests that must be repeatable. */
struct test_rng {
	uint64_t s;
};

uint64_t test_rng_next(struct test_rng *r);
uint64_t test_rng_below(struct test_rng *r, uint64_t n);
void test_rng_fill(struct test_rng *r, void *p, size_t n);
