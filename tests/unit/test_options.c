/* Arguments and environment of firezone-wg. */
#include "support/test.h"
#include "wgdev/options.h"

static int parse(const char *a, const char *b, struct wgdev_options *o)
{
	char program[] = "firezone-wg", one[64] = "", two[64] = "";
	char *argv[] = { program, one, two, NULL };
	int argc = 1 + (a != NULL) + (b != NULL);
	snprintf(one, sizeof(one), "%s", a ? a : "");
	snprintf(two, sizeof(two), "%s", b ? b : "");
	const char *problem = NULL;
	int r = wgdev_options_parse(argc, argv, o, &problem);
	CHECK((r < 0) == (problem != NULL));
	return r;
}

TEST(options, a_name_alone_means_a_daemon_with_defaults)
{
	/* The suite may itself be run in a combination of these. */
	static const char *const names[] = { "FIREZONE_IO", "FIREZONE_AEAD", "FIREZONE_THREADS",
		"LOG_LEVEL", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	struct wgdev_options o;
	CHECK_INT(parse("wg0", NULL, &o), 0);
	CHECK_STR(o.name, "wg0");
	CHECK(!o.is_foreground);
	CHECK(!o.keeps_output);
	CHECK_INT(o.tun_fd, -1);
	CHECK_INT(o.uapi_fd, -1);
	CHECK_INT(o.log_level, FZ_LOG_WARNING);
	CHECK_UINT(o.threads, 0);
}

TEST(options, the_flag_may_stand_before_or_behind_the_name)
{
	struct wgdev_options o;
	CHECK_INT(parse("-f", "wg0", &o), 0);
	CHECK(o.is_foreground);
	CHECK_INT(parse("wg0", "--foreground", &o), 0);
	CHECK(o.is_foreground);
}

TEST(options, bad_names_are_refused)
{
	static const char *const names[] = { "", ".", "..", "a/b", "wg 0", "wg%d",
		"sixteen-letters-", "wg0\n", "-x", "w:g", "\xc3\xa4" };
	struct wgdev_options o;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_INT(parse(names[i], NULL, &o), -22);
	CHECK_INT(parse(NULL, NULL, &o), -22);
	CHECK_INT(parse("wg0", "wg1", &o), -22);
	CHECK_INT(parse("wg_=+.-0", NULL, &o), 0);
	CHECK_INT(parse("fifteen-letters", NULL, &o), 0);
}

TEST(options, the_environment_is_read_and_bad_values_fail)
{
	struct wgdev_options o;
	setenv("WG_PROCESS_FOREGROUND", "1", 1);
	setenv("WG_TUN_FD", "7", 1);
	setenv("WG_UAPI_FD", "8", 1);
	setenv("LOG_LEVEL", "verbose", 1);
	setenv("FIREZONE_IO", "epoll", 1);
	setenv("FIREZONE_AEAD", "sodium", 1);
	setenv("FIREZONE_THREADS", "2", 1);
	CHECK_INT(parse("wg0", NULL, &o), 0);
	CHECK(o.is_foreground);
	CHECK(o.keeps_output);
	CHECK_INT(o.tun_fd, 7);
	CHECK_INT(o.uapi_fd, 8);
	CHECK_INT(o.log_level, FZ_LOG_DEBUG);
	CHECK_INT(o.io, FZ_IO_EPOLL);
	CHECK_INT(o.aead, FZ_AEAD_SODIUM);
	CHECK_UINT(o.threads, 2);

	static const char *const bad[][2] = { { "FIREZONE_IO", "aio" }, { "FIREZONE_AEAD", "aes" },
		{ "FIREZONE_THREADS", "0" }, { "FIREZONE_THREADS", "many" },
		{ "FIREZONE_THREADS", "65" }, { "WG_TUN_FD", "x" }, { "WG_UAPI_FD", "-1" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *now = getenv(bad[i][0]);
		CHECK(now != NULL);
		char *before = strdup(now);
		setenv(bad[i][0], bad[i][1], 1);
		CHECK_INT(parse("wg0", NULL, &o), -22);
		setenv(bad[i][0], before, 1);
		free(before);
	}
	setenv("LOG_LEVEL", "silent", 1);
	CHECK_INT(parse("wg0", NULL, &o), 0);
	CHECK_INT(o.log_level, FZ_LOG_SILENT);
	CHECK(!o.keeps_output);
	/* The plain runner shares one process. */
	static const char *const names[] = { "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD",
		"LOG_LEVEL", "FIREZONE_IO", "FIREZONE_AEAD", "FIREZONE_THREADS" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}
