/* Layers of settings from real files, tokens from theirs, the log's ring. Everything in a directory of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "daemon/file.h"
#include "daemon/journal.h"
#include "daemon/settings.h"
#include "daemon/token.h"
#include "support/test.h"

static char dir[64], config_file[96], config_dir[96], policy_dir[96], stored_file[96];
static struct fzd_settings_paths paths;

static void arrange(void)
{
	snprintf(dir, sizeof(dir), "/tmp/fz-daemon-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	snprintf(config_file, sizeof(config_file), "%s/a.conf", dir);
	snprintf(config_dir, sizeof(config_dir), "%s/conf.d", dir);
	snprintf(policy_dir, sizeof(policy_dir), "%s/policy.d", dir);
	snprintf(stored_file, sizeof(stored_file), "%s/stored.conf", dir);
	CHECK_INT(mkdir(config_dir, 0755), 0);
	CHECK_INT(mkdir(policy_dir, 0755), 0);
	paths = (struct fzd_settings_paths){ config_file, config_dir, policy_dir, stored_file,
		geteuid() };
	unsetenv("FIREZONE_API_URL");
	unsetenv("FIREZONE_TOKEN");
}

static void put(const char *path, const char *text, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CHECK_INT(fchmod(fd, mode), 0);
	close(fd);
}

static void put_in(const char *in, const char *name, const char *text)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", in, name);
	put(path, text, 0644);
}

static void clean_up(void)
{
	char command[128];
	const char *const files[] = { "a.conf", "stored.conf", "token", "conf.d/1.conf",
		"conf.d/2.conf", "conf.d/ignored", "policy.d/1.conf", "policy.d/2.conf", "conf.d",
		"policy.d", "link", "kept" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(files); i++) {
		snprintf(command, sizeof(command), "%s/%s", dir, files[i]);
		(void)remove(command);
	}
	CHECK_INT(rmdir(dir), 0);
}

static struct fzd_settings *load(size_t n_problems)
{
	struct fzd_settings *s = NULL;
	struct fzd_problems *p = fz_new(struct fzd_problems);
	CHECK_INT(fzd_settings_new(&paths, &s, p), 0);
	if (p->n != n_problems)
		TEST_FAIL("%zu problems, first: %s:%u %s", p->n, p->items[0].file, p->items[0].line,
			p->items[0].text);
	free(p);
	return s;
}

static void check_value(const struct fzd_settings *s, const char *value, enum fzd_source source)
{
	struct fzd_value v = fzd_settings_get(s, FZ_SETTING_API_URL);
	CHECK_STR(v.value, value);
	CHECK_UINT(v.source, source);
}

TEST(settings, the_highest_source_that_speaks_wins)
{
	arrange();
	struct fzd_settings *s = load(0);
	check_value(s, "wss://api.firezone.dev/", FZD_SOURCE_DEFAULT);
	fzd_settings_free(s);
	put(config_file, "api_url = wss://a/\n", 0644);
	put_in(config_dir, "2.conf", "api_url = wss://c/\n");
	put_in(config_dir, "1.conf", "api_url = wss://b/\n");
	put_in(config_dir, "ignored", "nonsense\n");
	s = load(0);
	check_value(s, "wss://c/", FZD_SOURCE_FILE);
	fzd_settings_free(s);
	put(stored_file, "api_url = wss://d/\n", 0600);
	s = load(0);
	check_value(s, "wss://d/", FZD_SOURCE_STORED);
	fzd_settings_free(s);
	setenv("FIREZONE_API_URL", "wss://e/", 1);
	s = load(0);
	check_value(s, "wss://e/", FZD_SOURCE_ENVIRONMENT);
	fzd_settings_free(s);
	put_in(policy_dir, "1.conf", "api_url = wss://f/\n");
	s = load(0);
	check_value(s, "wss://f/", FZD_SOURCE_POLICY);
	CHECK(fzd_settings_policy_file_maybe(s, 0) != NULL);
	CHECK(fzd_settings_policy_file_maybe(s, 1) == NULL);
	fzd_settings_free(s);
	unsetenv("FIREZONE_API_URL");
	clean_up();
}

TEST(settings, an_empty_variable_says_nothing_and_a_bad_one_is_a_problem)
{
	arrange();
	setenv("FIREZONE_API_URL", "", 1);
	struct fzd_settings *s = load(0);
	check_value(s, "wss://api.firezone.dev/", FZD_SOURCE_DEFAULT);
	fzd_settings_free(s);
	setenv("FIREZONE_API_URL", "nonsense", 1);
	fzd_settings_free(load(1));
	unsetenv("FIREZONE_API_URL");
	clean_up();
}

TEST(settings, stored_values_are_on_disk_before_they_count)
{
	const char *why = "";
	arrange();
	struct fzd_settings *s = load(0);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_API_URL, "nope", &why), -EINVAL);
	CHECK(strstr(why, "WebSocket") != NULL);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_API_URL, "wss://x/", &why), 0);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_DEVICE_NAME, " two  ", &why), 0);
	check_value(s, "wss://x/", FZD_SOURCE_STORED);
	fzd_settings_free(s);
	s = load(0);
	check_value(s, "wss://x/", FZD_SOURCE_STORED);
	CHECK_STR(fzd_settings_get(s, FZ_SETTING_DEVICE_NAME).value, " two  ");
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_API_URL, NULL, &why), 0);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_API_URL, NULL, &why), 0);
	check_value(s, "wss://api.firezone.dev/", FZD_SOURCE_DEFAULT);
	paths.stored_file = "/nonexistent/x";
	CHECK(fzd_settings_store(s, FZ_SETTING_API_URL, "wss://y/", &why) < 0);
	check_value(s, "wss://api.firezone.dev/", FZD_SOURCE_DEFAULT);
	fzd_settings_free(s);
	clean_up();
}

TEST(settings, policy_and_environment_cannot_be_overridden)
{
	const char *why = "";
	arrange();
	put_in(policy_dir, "1.conf", "api_url = wss://f/\n");
	setenv("FIREZONE_NAME", "here", 1);
	struct fzd_settings *s = load(0);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_API_URL, "wss://x/", &why), -EPERM);
	CHECK_INT(fzd_settings_store(s, FZ_SETTING_DEVICE_NAME, "x", &why), -EBUSY);
	fzd_settings_free(s);
	unsetenv("FIREZONE_NAME");
	clean_up();
}

TEST(settings, files_that_others_may_write_are_problems)
{
	arrange();
	put(config_file, "api_url = wss://a/\n", 0666);
	struct fzd_settings *s = load(1);
	check_value(s, "wss://api.firezone.dev/", FZD_SOURCE_DEFAULT);
	fzd_settings_free(s);
	put(config_file, "api_url = wss://a/\n", 0644);
	CHECK_INT(chmod(policy_dir, 0777), 0);
	fzd_settings_free(load(1));
	clean_up();
}

TEST(settings, more_problems_than_fit_are_counted)
{
	static struct fzd_problems p;
	char text[200 * 2];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '\n' : 'x';
	fzd_problems_of(&p, "f", fz_bytes_of(text, sizeof(text)));
	CHECK_UINT(p.n, FZD_PROBLEMS_MAX);
	CHECK_UINT(p.n_lost, 200 - FZD_PROBLEMS_MAX);
}

/* Every allocation of reading settings fails once; nothing leaks and nothing breaks. */
TEST(settings, reading_survives_each_failing_allocation)
{
	static struct fzd_problems p;
	arrange();
	put(config_file, "api_url = wss://a/\ndevice_name = b\n", 0644);
	put_in(policy_dir, "1.conf", "log_filter = debug\n");
	int r = -ENOMEM;
	for (unsigned long n = 1; r == -ENOMEM; n++) {
		struct fzd_settings *s = NULL;
		fz_fail_at(n);
		r = fzd_settings_new(&paths, &s, &p);
		fz_fail_at(0);
		CHECK(r == 0 || (r == -ENOMEM && !s));
		fzd_settings_free(s);
		CHECK(n < 200);
	}
	clean_up();
}

/* ---- tokens ---- */

static struct fz_token token;

static struct fzd_token find(const struct fz_token *environment)
{
	static char file[96], imported[96];
	struct fzd_token found;
	snprintf(file, sizeof(file), "%s/token", dir);
	snprintf(imported, sizeof(imported), "%s/kept", dir);
	struct fzd_token_paths p = { .file = file, .imported = imported, .owner = geteuid() };
	fzd_token_find(&p, environment, &found, &token);
	return found;
}

TEST(token, sources_are_asked_in_order)
{
	struct fz_token environment = { .len = 3, .text = "e.e" };
	char path[96];
	arrange();
	CHECK_UINT(find(NULL).source, FZD_TOKEN_NONE);
	snprintf(path, sizeof(path), "%s/kept", dir);
	put(path, "k.k", 0600);
	CHECK_UINT(find(NULL).source, FZD_TOKEN_IMPORTED);
	CHECK_STR(token.text, "k.k");
	snprintf(path, sizeof(path), "%s/token", dir);
	put(path, "f.f\n", 0400);
	CHECK_UINT(find(NULL).source, FZD_TOKEN_FILE);
	CHECK_STR(token.text, "f.f");
	CHECK_UINT(find(&environment).source, FZD_TOKEN_ENVIRONMENT);
	CHECK_STR(token.text, "e.e");
	clean_up();
}

TEST(token, a_source_that_is_not_well_gives_no_token_and_hides_those_behind_it)
{
	char path[96];
	arrange();
	snprintf(path, sizeof(path), "%s/kept", dir);
	put(path, "k.k", 0600);
	snprintf(path, sizeof(path), "%s/token", dir);
	put(path, "f.f", 0644);
	struct fzd_token found = find(NULL);
	CHECK_UINT(found.source, FZD_TOKEN_FILE);
	CHECK_UINT(found.verdict, FZD_TOKEN_UNSAFE);
	CHECK_UINT(token.len, 0);
	put(path, "", 0600);
	CHECK_UINT(find(NULL).verdict, FZD_TOKEN_EMPTY);
	put(path, "a b", 0600);
	CHECK_UINT(find(NULL).verdict, FZD_TOKEN_MALFORMED);
	clean_up();
}

TEST(token, the_environment_forgets_it)
{
	static char variable[] = "FIREZONE_TOKEN=planted.token";
	putenv(variable);
	struct fz_token *t = fzd_token_take_environment();
	CHECK(t != NULL);
	CHECK_STR(t->text, "planted.token");
	CHECK(getenv("FIREZONE_TOKEN") == NULL);
	CHECK(strstr(variable, "planted") == NULL);
	fzd_token_free(t);
	CHECK(fzd_token_take_environment() == NULL);
}

/* ---- files ---- */

TEST(file, what_is_written_replaces_the_whole_and_is_private)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	const char *why = "";
	char path[96];
	struct stat st;
	arrange();
	snprintf(path, sizeof(path), "%s/kept", dir);
	put(path, "a long old text", 0644);
	CHECK_INT(fzd_file_write(path, fz_bytes_of_str("new")), 0);
	fz_bytebuf_init(&text, 100);
	CHECK_INT(fzd_file_read_trusted(path, geteuid(), &text, &why), 0);
	CHECK(fz_bytes_equal(fz_bytebuf_bytes(&text), fz_bytes_of_str("new")));
	CHECK_INT(stat(path, &st), 0);
	CHECK_UINT(st.st_mode & 07777, 0600);
	CHECK_INT(fzd_file_remove(path), 0);
	CHECK_INT(fzd_file_remove(path), 0);
	clean_up();
}

TEST(file, links_and_long_files_are_not_read)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf text;
	const char *why = "";
	char path[96], link[96];
	arrange();
	snprintf(path, sizeof(path), "%s/kept", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	put(path, "0123456789", 0600);
	CHECK_INT(symlink(path, link), 0);
	fz_bytebuf_init(&text, 9);
	CHECK_INT(fzd_file_read_trusted(link, geteuid(), &text, &why), -ELOOP);
	CHECK_INT(fzd_file_read_trusted(path, geteuid(), &text, &why), -EFBIG);
	CHECK_INT(fzd_file_read_trusted("/nonexistent/x", geteuid(), &text, &why), -ENOENT);
	clean_up();
}

/* ---- the log ---- */

static struct fzd_record record;

TEST(journal, records_come_back_in_order)
{
	struct fzd_journal *j;
	uint64_t lost;
	CHECK_INT(fzd_journal_new(&j), 0);
	fz_log_set_level(FZ_LOG_INFO);
	struct fzd_cursor at = fzd_journal_begin(j);
	fz_log(FZ_LOG_INFO, "one", "a=%d", 1);
	fz_log(FZ_LOG_DEBUG, "hidden", "a=%d", 2);
	fz_log(FZ_LOG_ERR, "two", "text=\"line\nbreak\"");
	CHECK(fzd_journal_read(j, &at, &record, &lost));
	CHECK_STR(record.event, "one");
	CHECK_STR(record.detail, "a=1");
	CHECK(fzd_journal_read(j, &at, &record, &lost));
	CHECK_STR(record.detail, "text=\"line break\"");
	CHECK_UINT(record.level, FZ_LOG_ERR);
	CHECK(!fzd_journal_read(j, &at, &record, &lost));
	fzd_journal_free(j);
}

TEST(journal, a_reader_left_behind_is_told_how_many_it_missed)
{
	struct fzd_journal *j;
	uint64_t lost, sum = 0, n = 0;
	CHECK_INT(fzd_journal_new(&j), 0);
	fz_log_set_level(FZ_LOG_INFO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), saved = dup(STDERR_FILENO);
	dup2(null, STDERR_FILENO);
	struct fzd_cursor at = fzd_journal_begin(j);
	for (int i = 0; i < 5000; i++)
		fz_log(FZ_LOG_INFO, "event", "number=%d padding=%0*d", i, i % 300, 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	int last = -1;
	for (; fzd_journal_read(j, &at, &record, &lost); n++) {
		int number;
		CHECK_INT(sscanf(record.detail, "number=%d", &number), 1);
		CHECK(last < 0 || number == last + 1);
		last = number;
		sum += lost;
	}
	CHECK_INT(last, 4999);
	CHECK_UINT(sum + n, 5000);
	CHECK(sum > 0);
	fzd_journal_free(j);
}

TEST(journal, followers_are_woken_and_nobody_else)
{
	struct fzd_journal *j;
	CHECK_INT(fzd_journal_new(&j), 0);
	fz_log_set_level(FZ_LOG_INFO);
	struct pollfd p = { .fd = fzd_journal_fd(j), .events = POLLIN };
	fz_log(FZ_LOG_INFO, "one", "%s", "");
	CHECK_INT(poll(&p, 1, 0), 0);
	fzd_journal_follow(j, true);
	fz_log(FZ_LOG_INFO, "two", "%s", "");
	CHECK_INT(poll(&p, 1, 0), 1);
	fzd_journal_settle(j);
	CHECK_INT(poll(&p, 1, 0), 0);
	fzd_journal_free(j);
}

TEST(journal, details_are_cut_into_pairs)
{
	struct fzd_pair p[4];
	CHECK_INT(fzd_journal_pairs("a=1 text=\"x = y\" loose c= D=5 d=6", p, 4), 4);
	CHECK(p[0].key_len == 1 && p[0].value_len == 1 && p[0].value[0] == '1');
	CHECK(p[1].value_len == 5 && strncmp(p[1].value, "x = y", 5) == 0);
	CHECK(p[2].key[0] == 'c' && p[2].value_len == 0);
	CHECK(p[3].key[0] == 'd' && p[3].value[0] == '6');
	CHECK_INT(fzd_journal_pairs("", p, 4), 0);
	CHECK_INT(fzd_journal_pairs("a=1 b=2 c=3 d=4 e=5", p, 4), 4);
	CHECK_INT(fzd_journal_pairs("a=\"open", p, 4), 1);
}
