/* The grammar of configuration files, the table of settings, redaction. */
#include "daemon/config.h"
#include "daemon/redact.h"
#include "daemon/setting.h"
#include "support/test.h"

#define MAX 16

struct got {
	size_t n, n_problems;
	unsigned line[MAX], problem_line[MAX];
	char key[MAX][80], value[MAX][FZ_CONFIG_VALUE_MAX + 1], problem[MAX][FZ_CONFIG_TEXT_MAX];
};

static struct got got;

static void on_entry(void *user, unsigned line, const char *key, const char *value)
{
	struct got *g = user;
	CHECK(g->n < MAX);
	g->line[g->n] = line;
	snprintf(g->key[g->n], sizeof(g->key[0]), "%s", key);
	snprintf(g->value[g->n++], sizeof(g->value[0]), "%s", value);
}

static void on_problem(void *user, unsigned line, const char *text)
{
	struct got *g = user;
	CHECK(g->n_problems < MAX);
	g->problem_line[g->n_problems] = line;
	snprintf(g->problem[g->n_problems++], sizeof(g->problem[0]), "%s", text);
}

static void parse(const char *text, size_t n)
{
	static const struct fz_config_ops ops = { .entry = on_entry, .problem = on_problem };
	memset(&got, 0, sizeof(got));
	fz_config_parse(fz_bytes_of(text, n), &ops, &got);
}

static void parse_text(const char *text)
{
	parse(text, strlen(text));
}

TEST(config, entries_comments_blanks_and_quotes_are_read)
{
	parse_text("# a\n; b\n\n  key = value  \r\nother=\"  kept  \"\nempty =\nquoted = "
		   "\"\"\nlast=x");
	CHECK_UINT(got.n, 5);
	CHECK_UINT(got.n_problems, 0);
	CHECK_STR(got.key[0], "key");
	CHECK_STR(got.value[0], "value");
	CHECK_UINT(got.line[0], 4);
	CHECK_STR(got.value[1], "  kept  ");
	CHECK_STR(got.value[2], "");
	CHECK_STR(got.value[3], "");
	CHECK_STR(got.value[4], "x");
	CHECK_UINT(got.line[4], 8);
}

TEST(config, one_mistake_hides_no_other_line)
{
	parse_text("no equals\n= value\nKey = x\nk-ey = x\n[section]\na = \"open\nb = \"a\"b\"\nok "
		   "= 1\n");
	CHECK_UINT(got.n_problems, 7);
	for (unsigned i = 0; i < 7; i++)
		CHECK_UINT(got.problem_line[i], i + 1);
	CHECK_UINT(got.n, 1);
	CHECK_STR(got.key[0], "ok");
}

TEST(config, a_value_may_hold_equals_signs_hashes_and_single_quotes)
{
	parse_text("a = b=c # d ; e 'f'\n");
	CHECK_STR(got.value[0], "b=c # d ; e 'f'");
}

TEST(config, control_characters_and_nul_bytes_are_problems)
{
	parse("a = b\0c\nd = e\x7f\nf\x1b = g\nh = \xc3\xa4\n", 29);
	CHECK_UINT(got.n_problems, 3);
	CHECK_UINT(got.n, 1);
	CHECK_STR(got.value[0], "\xc3\xa4");
}

static void fill(char *to, char c, size_t n)
{
	memset(to, c, n);
	to[n] = '\0';
}

TEST(config, lengths_are_bounded)
{
	static char text[FZ_CONFIG_FILE_MAX + 2];
	fill(text, 'k', FZ_CONFIG_KEY_MAX);
	memcpy(text + FZ_CONFIG_KEY_MAX, "=v", 3);
	parse_text(text);
	CHECK_UINT(got.n, 1);
	fill(text, 'k', FZ_CONFIG_KEY_MAX + 1);
	memcpy(text + FZ_CONFIG_KEY_MAX + 1, "=v", 3);
	parse_text(text);
	CHECK_UINT(got.n_problems, 1);
	memcpy(text, "k=", 2);
	fill(text + 2, 'v', FZ_CONFIG_VALUE_MAX);
	parse_text(text);
	CHECK_UINT(got.n, 1);
	fill(text + 2, 'v', FZ_CONFIG_VALUE_MAX + 1);
	parse_text(text);
	CHECK_UINT(got.n_problems, 1);
	fill(text, '#', FZ_CONFIG_FILE_MAX);
	parse_text(text);
	CHECK_UINT(got.n_problems, 0);
	fill(text, '#', FZ_CONFIG_FILE_MAX + 1);
	parse_text(text);
	CHECK_UINT(got.n_problems, 1);
	CHECK(strstr(got.problem[0], "256 KiB") != NULL);
}

TEST(config, what_is_written_is_read_as_the_same)
{
	static const char *const values[] = { "x", "", " a ", "a b", "#", ";", "=", "[x]", "'",
		"\t" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(values); i++) {
		uint8_t buf[200];
		struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
		fz_config_write(&w, "key", values[i]);
		CHECK(!w.bad);
		parse((const char *)buf, w.len);
		CHECK_UINT(got.n, 1);
		CHECK_STR(got.value[0], values[i]);
	}
}

/* ---- settings ---- */

TEST(setting, every_row_is_complete_and_its_default_is_well)
{
	for (size_t i = 0; i < FZ_SETTING_COUNT_; i++) {
		const struct fz_setting_info *info = fz_setting_info((enum fz_setting)i);
		enum fz_setting found;
		CHECK(info->key && info->help && info->default_value && info->check);
		CHECK(info->check(info->default_value) == NULL);
		CHECK(fz_setting_find(info->key, &found));
		CHECK_UINT(found, i);
		CHECK(strlen(info->key) <= FZ_CONFIG_KEY_MAX);
	}
}

TEST(setting, a_near_miss_is_guessed_and_a_far_one_is_not)
{
	CHECK_STR(fz_setting_guess_maybe("api_ur"), "api_url");
	CHECK_STR(fz_setting_guess_maybe("apiurl"), "api_url");
	CHECK_STR(fz_setting_guess_maybe("logfilter"), "log_filter");
	CHECK(fz_setting_guess_maybe("something_else_entirely") == NULL);
	char text[300];
	fill(text, 'a', 299);
	CHECK(fz_setting_guess_maybe(text) == NULL);
}

TEST(setting, values_are_judged)
{
	static const struct {
		enum fz_setting which;
		const char *value;
		bool is_well;
	} rows[] = {
		{ FZ_SETTING_API_URL, "wss://api.firezone.dev/", true },
		{ FZ_SETTING_API_URL, "ws://10.77.0.1:8081", true },
		{ FZ_SETTING_API_URL, "https://api.firezone.dev/", false },
		{ FZ_SETTING_API_URL, "wss://user@host/", false },
		{ FZ_SETTING_API_URL, "", false },
		{ FZ_SETTING_AUTH_URL, "https://app.firezone.dev", true },
		{ FZ_SETTING_AUTH_URL, "wss://app.firezone.dev", false },
		{ FZ_SETTING_ACCOUNT_SLUG, "acme_corp-2", true },
		{ FZ_SETTING_ACCOUNT_SLUG, "Acme", false },
		{ FZ_SETTING_ACCOUNT_SLUG, "a/b", false },
		{ FZ_SETTING_DEVICE_ID, "a b", false },
		{ FZ_SETTING_DEVICE_ID, "0123-abc", true },
		{ FZ_SETTING_INTERNET_RESOURCE, "", true },
		{ FZ_SETTING_INTERNET_RESOURCE, "on", true },
		{ FZ_SETTING_INTERNET_RESOURCE, "maybe", false },
		{ FZ_SETTING_TOKEN_PATH, "/a", true },
		{ FZ_SETTING_TOKEN_PATH, "a", false },
		{ FZ_SETTING_TOKEN_PATH, "", false },
		{ FZ_SETTING_CA_FILE, "", true },
		{ FZ_SETTING_LOG_FILTER, "WARN", true },
		{ FZ_SETTING_LOG_FILTER, "loud", false },
		{ FZ_SETTING_HTTPS_PROXY, "http://u:p@h:1", true },
		{ FZ_SETTING_HTTPS_PROXY, "socks5://h", false },
		{ FZ_SETTING_ALLOW_INSECURE, "", false },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		bool is_well = fz_setting_info(rows[i].which)->check(rows[i].value) == NULL;
		if (is_well != rows[i].is_well)
			TEST_FAIL("%s = %s", fz_setting_info(rows[i].which)->key, rows[i].value);
	}
}

TEST(setting, lengths_of_time_have_units_and_bounds)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: refused */
	} rows[] = {
		{ "90s", 90 },
		{ "5m", 300 },
		{ "1h30m", 5400 },
		{ "30d", 2'592'000 },
		{ "3650d", 315'360'000 },
		{ "3651d", 0 },
		{ "999999999d", 0 },
		{ "9999999999s", 0 },
		{ "0s", 0 },
		{ "", 0 },
		{ "5", 0 },
		{ "m", 0 },
		{ "5 m", 0 },
		{ "-5m", 0 },
		{ "5w", 0 },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		fz_dur time = FZ_SECONDS(0);
		CHECK_INT(fz_setting_duration(rows[i].text, &time), rows[i].seconds > 0);
		CHECK_UINT(time.ns, FZ_SECONDS(rows[i].seconds).ns);
	}
}

TEST(setting, a_proxys_user_and_password_are_not_shown)
{
	char buf[FZ_SETTING_SHOWN_MAX];
	CHECK_STR(fz_setting_shown(FZ_SETTING_HTTPS_PROXY, "http://u:p@host:3128", buf),
		"http://***@host:3128");
	CHECK_STR(fz_setting_shown(FZ_SETTING_HTTPS_PROXY, "http://u:p@ss@host", buf),
		"http://***@host");
	CHECK_STR(fz_setting_shown(FZ_SETTING_HTTPS_PROXY, "http://host", buf), "http://host");
	CHECK_STR(fz_setting_shown(FZ_SETTING_DEVICE_NAME, "a@b", buf), "a@b");
}

TEST(setting, upstreams_filter_directives_are_understood_by_their_first_word)
{
	enum fz_log_level level;
	CHECK(fz_setting_log_level("debug,wire::api=trace", &level));
	CHECK_UINT(level, FZ_LOG_DEBUG);
	CHECK(fz_setting_log_level("trace", &level));
	CHECK_UINT(level, FZ_LOG_DEBUG);
	CHECK(!fz_setting_log_level("wire::api=trace", &level));
	CHECK(!fz_setting_log_level("", &level));
}

/* ---- redaction ---- */

static const char *redact(struct fz_redactor *r, const char *text)
{
	static struct fz_bytebuf out;
	fz_bytebuf_done(&out);
	fz_bytebuf_init(&out, 4096);
	CHECK_INT(fz_redactor_run(r, fz_bytes_of_str(text), &out), 0);
	CHECK_INT(fz_bytebuf_append(&out, fz_bytes_of("", 1)), 0);
	return (const char *)out.p;
}

TEST(redact, addresses_become_numbers_and_the_same_one_the_same)
{
	struct fz_redactor *r = fz_redactor_new_maybe(FZ_REDACT_IPS);
	CHECK_STR(redact(r, "from 192.0.2.1:443 to [2001:db8::1]:52625, via 192.0.2.1."),
		"from ipv4-1:443 to [ipv6-2]:52625, via ipv4-1.");
	CHECK_STR(redact(r, "10.0.0.0/8 ip=192.0.2.1"), "ipv4-3/8 ip=ipv4-1");
	fz_redactor_free(r);
}

TEST(redact, times_versions_and_hex_are_left_alone)
{
	static const char text[] =
		"2026-11-24T04:13:21.616 12:30:01 v1.2.3 0xdeadbeef abc.def a::b:";
	struct fz_redactor *r = fz_redactor_new_maybe(FZ_REDACT_IPS);
	CHECK_STR(redact(r, "at 12:30:01 0xdeadbeef 1.2.3 v1.2.3.4"),
		"at 12:30:01 0xdeadbeef 1.2.3 v1.2.3.4");
	CHECK(strstr(redact(r, text), "T04:13:21.616 12:30:01 v1.2.3 0xdeadbeef abc.def") != NULL);
	fz_redactor_free(r);
}

TEST(redact, names_go_as_whole_words_and_the_longest_first)
{
	struct fz_redactor *r = fz_redactor_new_maybe(FZ_REDACT_NAMES | FZ_REDACT_SLUG);
	CHECK_INT(fz_redactor_add(r, FZ_REDACT_NAMES, "web"), 0);
	CHECK_INT(fz_redactor_add(r, FZ_REDACT_NAMES, "web server"), 0);
	CHECK_INT(fz_redactor_add(r, FZ_REDACT_SLUG, "acme"), 0);
	CHECK_STR(redact(r, "web server, web, webs, cobweb, \"web\" acme/acmes"),
		"name-2, name-1, webs, cobweb, \"name-1\" account/acmes");
	fz_redactor_free(r);
}

TEST(redact, only_what_was_asked_for_goes)
{
	struct fz_redactor *r = fz_redactor_new_maybe(0);
	CHECK_INT(fz_redactor_add(r, FZ_REDACT_NAMES, "web"), 0);
	CHECK_STR(redact(r, "web 192.0.2.1"), "web 192.0.2.1");
	fz_redactor_free(r);
}
