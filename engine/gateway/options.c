/*
 * A table of what takes a value. A token is refused as an argument: every user of the host can read argv. Names that
 * upstream's gateway knows and that mean nothing here (telemetry) are accepted, so that its environment files fit.
 */
#include "gateway/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define API_URL     "wss://api.firezone.dev"
#define HEALTH_ADDR "0.0.0.0:8080"

enum value {
	VALUE_API_URL,
	VALUE_NAME,
	VALUE_ID,
	VALUE_HEALTH,
	VALUE_TOKEN_FILE,
	VALUE_LOG,
	VALUE_COUNT_,
};

struct value_name {
	const char *option, *letter, *variable;
};

static const struct value_name value_names[VALUE_COUNT_] = {
	[VALUE_API_URL] = { "--api-url", "-u", "FIREZONE_API_URL" },
	[VALUE_NAME] = { "--firezone-name", "-n", "FIREZONE_NAME" },
	[VALUE_ID] = { "--firezone-id", "-i", "FIREZONE_ID" },
	[VALUE_HEALTH] = { "--health-check-addr", NULL, "HEALTH_CHECK_ADDR" },
	[VALUE_TOKEN_FILE] = { "--token-path", NULL, "FIREZONE_TOKEN_PATH" },
	[VALUE_LOG] = { "--log-level", NULL, "LOG_LEVEL" },
};

struct given {
	const char *values[VALUE_COUNT_];
	enum gw_action action;
	bool leaves_host_alone;
};

static const char *variable(const char *name)
{
	const char *text = getenv(name);
	return text && text[0] != '\0' ? text : NULL;
}

static bool variable_is_set(const char *name)
{
	const char *text = variable(name);
	return text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

/* The value if argument `i` is an option that takes one, written "--x=value" or "--x value". */
static const char *value_maybe(
	const struct value_name *n, int argc, char **argv, int i, int *ret_used)
{
	const char *a = argv[i];
	size_t len = strlen(n->option);
	if (strncmp(a, n->option, len) == 0 && a[len] == '=') {
		*ret_used = 1;
		return a + len + 1;
	}
	if (strcmp(a, n->option) != 0 && (!n->letter || strcmp(a, n->letter) != 0))
		return NULL;
	*ret_used = 2;
	return i + 1 < argc ? argv[i + 1] : NULL;
}

static bool take_flag(const char *a, struct given *g)
{
	if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)
		g->action = GW_HELP;
	else if (strcmp(a, "--version") == 0 || strcmp(a, "-V") == 0)
		g->action = GW_VERSION;
	else if (strcmp(a, "--check") == 0)
		g->action = GW_CHECK;
	else if (strcmp(a, "--leave-host-alone") == 0)
		g->leaves_host_alone = true;
	else
		return strcmp(a, "--no-telemetry") == 0 || strcmp(a, "--no-check") == 0;
	return true;
}

static int take_arguments(int argc, char **argv, struct given *g, const char **ret_problem)
{
	for (int i = 1; i < argc;) {
		int used = 0;
		for (size_t v = 0; v < VALUE_COUNT_ && used == 0; v++) {
			const char *value = value_maybe(&value_names[v], argc, argv, i, &used);
			if (used > 0 && !value) {
				*ret_problem = "the last option lacks its value";
				return -EINVAL;
			}
			if (used > 0)
				g->values[v] = value;
		}
		if (used == 0 && take_flag(argv[i], g))
			used = 1;
		if (used == 0) {
			*ret_problem = argv[i][0] == '-'
					       ? "unknown option"
					       : "no arguments: a token is never given as one, "
						 "everybody on this host could read it; use "
						 "FIREZONE_TOKEN, a systemd credential or a file";
			return -EINVAL;
		}
		i += used;
	}
	return 0;
}

static int parse_log_level(const char *text, enum fz_log_level *ret)
{
	static const struct {
		const char *name;
		enum fz_log_level level;
	} levels[] = {
		{ "error", FZ_LOG_ERR },
		{ "warn", FZ_LOG_WARNING },
		{ "warning", FZ_LOG_WARNING },
		{ "info", FZ_LOG_INFO },
		{ "debug", FZ_LOG_DEBUG },
		{ "trace", FZ_LOG_DEBUG },
		{ "silent", FZ_LOG_SILENT },
		{ "off", FZ_LOG_SILENT },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_engine(struct gw_options *o, const char **ret_problem)
{
	const char *io = variable("FIREZONE_IO"), *aead = variable("FIREZONE_AEAD"),
		   *threads = variable("FIREZONE_THREADS");
	uint64_t n = 0;
	if (io && fz_io_kind_parse(io, &o->io) < 0) {
		*ret_problem = "FIREZONE_IO is auto, uring or epoll";
		return -EINVAL;
	}
	if (aead && fz_aead_kind_parse(aead, &o->aead) < 0) {
		*ret_problem = "FIREZONE_AEAD is auto, avx512, ipsecmb or sodium";
		return -EINVAL;
	}
	if (threads && (fz_parse_uint(threads, GW_THREADS_MAX, &n) < 0 || n == 0)) {
		*ret_problem = "FIREZONE_THREADS is a number from 1 to 64";
		return -EINVAL;
	}
	o->threads = (unsigned)n;
	return 0;
}

static int parse_health(struct gw_options *o, const char *text, const char **ret_problem)
{
	o->health_is_given = text != NULL;
	if (!text)
		text = HEALTH_ADDR;
	o->has_health = strcmp(text, "off") != 0;
	if (!o->has_health || (fz_addr_parse(text, &o->health) == 0 && o->health.port != 0))
		return 0;
	*ret_problem = "the health endpoint's address is like 127.0.0.1:8080 or [::1]:8080, or off";
	return -EINVAL;
}

/* Words of a filter ("debug,wire=trace") say more than one level: those are left to info. */
static int parse_logging(struct gw_options *o, const char *text, const char **ret_problem)
{
	const char *filter = variable("RUST_LOG");
	o->log_level = FZ_LOG_INFO;
	if (text && parse_log_level(text, &o->log_level) < 0) {
		*ret_problem = "the log level is error, warning, info, debug or silent";
		return -EINVAL;
	}
	if (!text && filter && parse_log_level(filter, &o->log_level) < 0)
		o->log_level = FZ_LOG_INFO;
	return 0;
}

static int parse_values(struct gw_options *o, struct given *g, const char **ret_problem)
{
	for (size_t v = 0; v < VALUE_COUNT_; v++)
		if (!g->values[v])
			g->values[v] = variable(value_names[v].variable);
	const char *url = g->values[VALUE_API_URL];
	if (fzp_url_parse(url ? url : API_URL, &o->api_url) < 0) {
		*ret_problem = "the portal's address is like wss://api.firezone.dev";
		return -EINVAL;
	}
	o->name = g->values[VALUE_NAME];
	o->id = g->values[VALUE_ID];
	o->token_file_is_given = g->values[VALUE_TOKEN_FILE] != NULL;
	o->token_file = o->token_file_is_given ? g->values[VALUE_TOKEN_FILE] : GW_TOKEN_FILE;
	int r = parse_health(o, g->values[VALUE_HEALTH], ret_problem);
	if (r == 0)
		r = parse_logging(o, g->values[VALUE_LOG], ret_problem);
	return r;
}

int gw_options_parse(
	int argc, char **argv, struct gw_options *ret_options, const char **ret_problem)
{
	struct gw_options o = { .state_dir = GW_STATE_DIR };
	struct given g = { .action = GW_RUN };
	int r = take_arguments(argc, argv, &g, ret_problem);
	if (r < 0)
		return r;
	o.action = g.action;
	o.leaves_host_alone = g.leaves_host_alone;
	r = parse_values(&o, &g, ret_problem);
	if (r == 0)
		r = parse_engine(&o, ret_problem);
	if (r < 0 && o.action != GW_HELP && o.action != GW_VERSION)
		return r;
	o.ca_file = variable("FIREZONE_CA_FILE");
	o.proxy = variable("https_proxy");
	o.no_proxy = variable("no_proxy");
	o.allow_insecure = variable_is_set("FIREZONE_INSECURE_PORTAL");
	*ret_options = o;
	return 0;
}
