/* What firezone-gateway is told and tells: options, token, health answers, settings, routes. No network. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/forward.h"
#include "gateway/health_http.h"
#include "gateway/options.h"
#include "gateway/routes.h"
#include "gateway/token.h"
#include "support/test.h"

/* ---- options ---- */

static const char *const variables[] = { "FIREZONE_API_URL", "FIREZONE_NAME", "FIREZONE_ID",
	"HEALTH_CHECK_ADDR", "FIREZONE_TOKEN_PATH", "LOG_LEVEL", "RUST_LOG", "FIREZONE_IO",
	"FIREZONE_AEAD", "FIREZONE_THREADS", "FIREZONE_CA_FILE", "FIREZONE_INSECURE_PORTAL",
	"https_proxy", "no_proxy", "FIREZONE_TOKEN", "CREDENTIALS_DIRECTORY" };

static void clear_environment(void)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
}

static int parse(const char *const *words, struct gw_options *o, const char **problem)
{
	char *argv[16] = { fz_unconst("firezone-gateway") };
	int n = 1;
	for (; words[n - 1]; n++)
		argv[n] = fz_unconst(words[n - 1]);
	return gw_options_parse(n, argv, o, problem);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_WORDS   ((const char *const[]){ NULL })

TEST(gateway_options, without_any_the_public_portal_and_the_usual_health_port_are_meant)
{
	clear_environment();
	struct gw_options o;
	const char *problem = NULL;
	CHECK_INT(parse(NO_WORDS, &o, &problem), 0);
	CHECK(o.action == GW_RUN && o.api_url.tls && o.api_url.port == 443);
	CHECK_STR(o.api_url.host, "api.firezone.dev");
	CHECK(o.has_health && !o.health_is_given && o.health.port == 8080);
	CHECK(!o.name && !o.id && !o.allow_insecure && !o.leaves_host_alone);
	CHECK_INT(o.log_level, FZ_LOG_INFO);
	CHECK_STR(o.token_file, GW_TOKEN_FILE);
}

TEST(gateway_options, an_argument_wins_over_its_variable)
{
	clear_environment();
	setenv("FIREZONE_NAME", "from-env", 1);
	setenv("FIREZONE_ID", "id-from-env", 1);
	setenv("FIREZONE_API_URL", "wss://env.example", 1);
	struct gw_options o;
	const char *problem = NULL;
	CHECK_INT(parse(WORDS("--firezone-name=from-arg", "-u", "wss://arg.example:8443"), &o,
			  &problem),
		0);
	CHECK_STR(o.name, "from-arg");
	CHECK_STR(o.id, "id-from-env");
	CHECK_STR(o.api_url.host, "arg.example");
	CHECK_UINT(o.api_url.port, 8443);
	clear_environment();
}

TEST(gateway_options, a_token_as_an_argument_is_refused_with_the_reason)
{
	clear_environment();
	struct gw_options o;
	const char *problem = NULL;
	CHECK_INT(parse(WORDS("SFMyNTY.secret"), &o, &problem), -EINVAL);
	CHECK(strstr(problem, "everybody on this host could read it") != NULL);
	CHECK_INT(parse(WORDS("--token", "x"), &o, &problem), -EINVAL);
	CHECK_STR(problem, "unknown option");
}

TEST(gateway_options, what_makes_no_sense_is_refused)
{
	static const struct {
		const char *variable, *value;
	} bad[] = {
		{ "HEALTH_CHECK_ADDR", "localhost:8080" },
		{ "HEALTH_CHECK_ADDR", "127.0.0.1" },
		{ "FIREZONE_API_URL", "ftp://x" },
		{ "LOG_LEVEL", "loud" },
		{ "FIREZONE_IO", "select" },
		{ "FIREZONE_AEAD", "rot13" },
		{ "FIREZONE_THREADS", "0" },
		{ "FIREZONE_THREADS", "65" },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++) {
		clear_environment();
		setenv(bad[i].variable, bad[i].value, 1);
		struct gw_options o;
		const char *problem = NULL;
		if (parse(NO_WORDS, &o, &problem) != -EINVAL || !problem)
			TEST_FAIL("%s=%s was accepted", bad[i].variable, bad[i].value);
	}
	clear_environment();
	struct gw_options o;
	const char *problem = NULL;
	CHECK_INT(parse(WORDS("--firezone-id"), &o, &problem), -EINVAL);
}

TEST(gateway_options, the_environment_files_of_other_gateways_fit)
{
	clear_environment();
	setenv("RUST_LOG", "debug,wire=trace", 1);
	setenv("FIREZONE_NO_TELEMETRY", "true", 1);
	setenv("HEALTH_CHECK_ADDR", "off", 1);
	struct gw_options o;
	const char *problem = NULL;
	CHECK_INT(parse(WORDS("--no-telemetry", "--no-check"), &o, &problem), 0);
	CHECK_INT(o.log_level, FZ_LOG_INFO);
	CHECK(!o.has_health);
	setenv("RUST_LOG", "debug", 1);
	CHECK_INT(parse(NO_WORDS, &o, &problem), 0);
	CHECK_INT(o.log_level, FZ_LOG_DEBUG);
	unsetenv("FIREZONE_NO_TELEMETRY");
	clear_environment();
}

/* ---- token ---- */

static char dir[64], token_path[96];
static struct fz_token t;

static void make_dir(void)
{
	clear_environment();
	snprintf(dir, sizeof(dir), "/tmp/fz-gateway-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	snprintf(token_path, sizeof(token_path), "%s/token", dir);
}

static void remove_dir(void)
{
	unlink(token_path);
	rmdir(dir);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
	CHECK_INT(fchmod(fd, mode), 0);
	close(fd);
}

static enum gw_token_problem get(const char **source)
{
	return gw_token_get(
		&(struct gw_token_sources){ .file = token_path, .owner = geteuid() }, &t, source);
}

TEST(gateway_token, the_variable_comes_first_and_is_wiped)
{
	make_dir();
	put_file(token_path, "from-file\n", 0600);
	setenv("FIREZONE_TOKEN", " from-env\n", 1);
	const char *lies_at = getenv("FIREZONE_TOKEN"), *source = NULL;
	CHECK_INT(get(&source), GW_TOKEN_OK);
	CHECK_STR(t.text, "from-env");
	CHECK_STR(source, "environment");
	CHECK(getenv("FIREZONE_TOKEN") == NULL);
	CHECK(lies_at && lies_at[1] == 0);
	remove_dir();
}

TEST(gateway_token, the_credential_comes_before_the_file)
{
	make_dir();
	char credential[128];
	snprintf(credential, sizeof(credential), "%s/FIREZONE_TOKEN", dir);
	put_file(credential, "from-credential", 0444);
	put_file(token_path, "from-file\n", 0600);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	const char *source = NULL;
	CHECK_INT(get(&source), GW_TOKEN_OK);
	CHECK_STR(t.text, "from-credential");
	unlink(credential);
	CHECK_INT(get(&source), GW_TOKEN_OK);
	CHECK_STR(t.text, "from-file");
	CHECK_STR(source, "file");
	clear_environment();
	remove_dir();
}

TEST(gateway_token, a_file_others_can_touch_is_refused)
{
	static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0700 };
	make_dir();
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++) {
		put_file(token_path, "secret", bad[i]);
		t.len = 99;
		const char *source = NULL;
		CHECK_INT(get(&source), GW_TOKEN_MODE);
		CHECK(t.len == 99 && !source);
	}
	put_file(token_path, "secret", 0400);
	const char *source = NULL;
	CHECK_INT(get(&source), GW_TOKEN_OK);
	remove_dir();
}

TEST(gateway_token, a_file_of_somebody_else_is_refused)
{
	if (geteuid() != 0)
		TEST_SKIP("needs root to give a file away");
	make_dir();
	put_file(token_path, "secret", 0600);
	CHECK_INT(chown(token_path, 12345, 0), 0);
	const char *source = NULL;
	CHECK_INT(get(&source), GW_TOKEN_OWNER);
	CHECK_INT(gw_token_get(&(struct gw_token_sources){ .file = token_path, .owner = 12345 }, &t,
			  &source),
		GW_TOKEN_OK);
	remove_dir();
}

TEST(gateway_token, a_link_a_directory_and_nonsense_are_refused)
{
	make_dir();
	char link[128];
	snprintf(link, sizeof(link), "%s/link", dir);
	put_file(token_path, "secret", 0600);
	CHECK_INT(symlink(token_path, link), 0);
	const char *source = NULL;
	struct gw_token_sources s = { .file = link, .owner = geteuid() };
	CHECK_INT(gw_token_get(&s, &t, &source), GW_TOKEN_NOT_A_FILE);
	s.file = dir;
	CHECK_INT(gw_token_get(&s, &t, &source), GW_TOKEN_NOT_A_FILE);
	unlink(link);
	put_file(token_path, "two words", 0600);
	CHECK_INT(get(&source), GW_TOKEN_MALFORMED);
	put_file(token_path, "\n", 0600);
	CHECK_INT(get(&source), GW_TOKEN_MALFORMED);
	unlink(token_path);
	CHECK_INT(get(&source), GW_TOKEN_NONE);
	s = (struct gw_token_sources){ .file = token_path, .file_must_exist = true };
	CHECK_INT(gw_token_get(&s, &t, &source), GW_TOKEN_UNREADABLE);
	remove_dir();
}

TEST(gateway_token, every_problem_has_words)
{
	for (int p = GW_TOKEN_NONE; p < GW_TOKEN_PROBLEM_COUNT_; p++)
		CHECK(strlen(gw_token_explain((enum gw_token_problem)p)) > 10);
}

/* ---- health ---- */

static const char *ask(const char *request, bool is_ready, char *buf, size_t cap)
{
	struct gw_health_state state = { is_ready, "portal=up clients=3" };
	struct fz_writer w = fz_writer_of(fz_span_of(buf, cap - 1));
	if (gw_health_answer(fz_bytes_of_str(request), &state, &w) == GW_REQUEST_MORE)
		return "more";
	CHECK(!w.bad);
	buf[w.len] = '\0';
	return buf;
}

TEST(gateway_health, each_request_has_its_answer)
{
	static const struct {
		const char *request;
		bool is_ready;
		const char *begins, *ends;
	} table[] = {
		{ "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", false, "HTTP/1.1 200 ",
			"\r\n\r\nok\n" },
		{ "GET /healthz HTTP/1.0\n\n", false, "HTTP/1.1 200 ", "\r\n\r\nok\n" },
		{ "GET /readyz HTTP/1.1\r\n\r\n", true, "HTTP/1.1 200 ",
			"\r\n\r\nready portal=up clients=3\n" },
		{ "GET /readyz HTTP/1.1\r\n\r\n", false, "HTTP/1.1 503 ",
			"\r\n\r\nnot-ready portal=up clients=3\n" },
		{ "HEAD /readyz HTTP/1.1\r\n\r\n", true, "HTTP/1.1 200 ", "\r\n\r\n" },
		{ "POST /readyz HTTP/1.1\r\n\r\n", true, "HTTP/1.1 405 ", "not allowed\n" },
		{ "GET /metrics HTTP/1.1\r\n\r\n", true, "HTTP/1.1 404 ", "/readyz\n" },
		{ "GET /healthz?x=1 HTTP/1.1\r\n\r\n", true, "HTTP/1.1 404 ", "/readyz\n" },
		{ "GET /healthz\r\n\r\n", true, "HTTP/1.1 400 ", "bad request\n" },
		{ "GET /healthz SPDY/3\r\n\r\n", true, "HTTP/1.1 400 ", "bad request\n" },
		{ "\x16\x03\x01\n\n", true, "HTTP/1.1 400 ", "bad request\n" },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(table); i++) {
		char buf[GW_ANSWER_MAX];
		const char *got = ask(table[i].request, table[i].is_ready, buf, sizeof(buf));
		size_t n = strlen(got), m = strlen(table[i].ends);
		if (strncmp(got, table[i].begins, strlen(table[i].begins)) != 0 || n < m ||
			strcmp(got + n - m, table[i].ends) != 0)
			TEST_FAIL("%zu: %s", i, got);
	}
}

TEST(gateway_health, an_unfinished_head_waits)
{
	char buf[GW_ANSWER_MAX];
	CHECK_STR(ask("", true, buf, sizeof(buf)), "more");
	CHECK_STR(ask("GET /healthz HTTP/1.1\r\n", true, buf, sizeof(buf)), "more");
	CHECK_STR(ask("GET /healthz HTTP/1.1\r\nHost: x\r\n", true, buf, sizeof(buf)), "more");
}

TEST(gateway_health, a_head_that_fills_the_buffer_is_refused)
{
	char buf[GW_ANSWER_MAX], request[GW_REQUEST_MAX + 1];
	memset(request, 'a', sizeof(request) - 1);
	request[sizeof(request) - 1] = '\0';
	CHECK(strncmp(ask(request, true, buf, sizeof(buf)), "HTTP/1.1 431 ", 13) == 0);
}

TEST(gateway_health, the_longest_state_still_fits_the_answer)
{
	char buf[GW_ANSWER_MAX], text[400];
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct gw_health_state state = { false, text };
	struct fz_writer w = fz_writer_of(fz_span_of(buf, sizeof(buf)));
	CHECK_INT(gw_health_answer(fz_bytes_of_str("GET /readyz HTTP/1.1\r\n\r\n"), &state, &w),
		GW_REQUEST_ANSWERED);
	CHECK(!w.bad);
}

/* ---- settings ---- */

static char root[64];

static void put_setting(const char *name, const char *value)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	put_file(path, value, 0600);
}

static void check_setting(const char *name, const char *want)
{
	char path[512], got[32] = "";
	snprintf(path, sizeof(path), "%s/%s", root, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	got[strcspn(got, "\n")] = '\0';
	if (strcmp(got, want) != 0)
		TEST_FAIL("%s is %s, want %s", name, got, want);
}

static void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/fz-sysctl-XXXXXX");
	CHECK(mkdtemp(root) != NULL);
	put_setting("net/ipv4/ip_forward", "0\n");
	put_setting("net/ipv4/conf/all/src_valid_mark", "0\n");
	put_setting("net/ipv4/conf/gw/rp_filter", "0\n");
	put_setting("net/ipv4/conf/gw/accept_local", "0\n");
	put_setting("net/ipv6/conf/gw/disable_ipv6", "1\n");
	put_setting("net/ipv6/conf/gw/accept_ra", "0\n");
	put_setting("net/ipv6/conf/eth0/accept_ra", "1\n");
	put_setting("net/ipv6/conf/all/accept_ra", "1\n");
	put_setting("net/ipv6/conf/all/forwarding", "0\n");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *path)
{
	CHECK_INT(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void remove_root(void)
{
	remove_tree(root);
}

struct told {
	unsigned n, n_fatal;
	char names[512];
};

static void tell(void *user, const struct gw_forward_problem *p)
{
	struct told *told = user;
	told->n++;
	told->n_fatal += p->is_fatal;
	strncat(told->names, p->name, sizeof(told->names) - strlen(told->names) - 2);
	strncat(told->names, " ", 2);
	CHECK(p->err < 0 && strlen(p->why) > 0 && strlen(p->wanted) > 0);
}

TEST(gateway_forward, what_is_missing_is_set_and_advertisements_are_kept)
{
	make_root();
	struct told told = { 0 };
	CHECK_INT(gw_forward_ensure(root, "gw", tell, &told), 0);
	CHECK_UINT(told.n, 0);
	check_setting("net/ipv4/ip_forward", "1");
	check_setting("net/ipv4/conf/all/src_valid_mark", "1");
	check_setting("net/ipv4/conf/gw/accept_local", "1");
	check_setting("net/ipv6/conf/gw/disable_ipv6", "0");
	check_setting("net/ipv6/conf/all/forwarding", "1");
	check_setting("net/ipv6/conf/eth0/accept_ra", "2");
	check_setting("net/ipv6/conf/gw/accept_ra", "0");
	remove_root();
}

TEST(gateway_forward, what_may_not_be_set_is_asked_for_by_name)
{
	make_root();
	put_setting("net/ipv4/conf/gw/accept_local", "1\n");
	char path[512];
	static const char *const gone[] = { "net/ipv4/ip_forward",
		"net/ipv4/conf/all/src_valid_mark" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(gone); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, gone[i]);
		unlink(path);
		mkdir(path, 0700); /* neither read nor written, also by root */
	}
	struct told told = { 0 };
	CHECK_INT(gw_forward_ensure(root, "gw", tell, &told), -EPERM);
	CHECK_UINT(told.n, 2);
	CHECK_UINT(told.n_fatal, 1);
	CHECK_STR(told.names, "net.ipv4.ip_forward net.ipv4.conf.all.src_valid_mark ");
	remove_root();
}

TEST(gateway_forward, a_kernel_without_ipv6_needs_nothing_of_it)
{
	make_root();
	char path[128];
	snprintf(path, sizeof(path), "%s/net/ipv6", root);
	remove_tree(path);
	struct told told = { 0 };
	CHECK_INT(gw_forward_ensure(root, "gw", tell, &told), 0);
	CHECK_UINT(told.n, 0);
	remove_root();
}

/* ---- routes ---- */

TEST(gateway_routes, marked_packets_meet_our_table_and_main_before_a_clients_rules)
{
	struct fz_ip v4 = fz_ip4(100, 64, 0, 1), v6;
	CHECK_INT(fz_ip_parse("fd00:2021:1111::1", &v6), 0);
	struct fz_host_item items[GW_HOST_ITEMS];
	CHECK_UINT(gw_host_items(&v4, &v6, items), GW_HOST_ITEMS);
	for (size_t i = 0; i < GW_HOST_ITEMS; i++) {
		const struct fz_rule *r = &items[i].rule;
		if (items[i].kind != FZ_HOST_RULE)
			continue;
		if (r->mask != 0) {
			CHECK(r->priority < fz_host_client.priority);
			CHECK(r->mark == fz_host_gateway.mark && !r->is_inverted);
		} else {
			CHECK(r->priority > fz_host_client.priority + 300);
			CHECK_UINT(r->table, fz_host_gateway.table_user);
		}
	}
}

TEST(gateway_routes, a_family_without_address_is_left_out)
{
	struct fz_ip v4 = fz_ip4(100, 64, 0, 1), none = { 0 };
	struct fz_host_item items[GW_HOST_ITEMS];
	CHECK_UINT(gw_host_items(&v4, &none, items), GW_HOST_ITEMS / 2);
	CHECK_UINT(gw_host_items(&none, &none, items), 0);
}
