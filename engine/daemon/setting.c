/* The table of settings and the judges of their values (firezoned.conf(5), clients.md 3.2 and 4.1). */
#include "daemon/setting.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "control/auth.h"
#include "control/url.h"
#include "daemon/config.h"
#include "daemon/paths.h"

#define DURATION_MAX_SECONDS (3650ull * 86'400)

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *check_api_url(const char *value)
{
	struct fzp_url url;
	bool is_ws = starts_with(value, "wss://") || starts_with(value, "ws://");
	return is_ws && fzp_url_parse(value, &url) == 0
		       ? NULL
		       : "This is no WebSocket URL. Write wss://HOST/, without user, query or "
			 "fragment.";
}

static const char *check_auth_url(const char *value)
{
	struct fzp_url url;
	bool is_http = starts_with(value, "https://") || starts_with(value, "http://");
	return is_http && fzp_url_parse(value, &url) == 0
		       ? NULL
		       : "This is no web address. Write https://HOST, without user, query or "
			 "fragment.";
}

static const char *check_slug(const char *value)
{
	static const char wrong[] =
		"An account's slug is made of a-z, 0-9, '_' and '-', at most 100 of them.";
	size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	return n <= FZP_SLUG_MAX && value[n] == '\0' ? NULL : wrong;
}

static const char *check_name(const char *value)
{
	return strlen(value) <= 255 ? NULL : "A device's name has at most 255 bytes.";
}

static const char *check_id(const char *value)
{
	for (const char *p = value; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return "A device's id is made of printable ASCII without blanks.";
	}
	return strlen(value) <= 255 ? NULL : "A device's id has at most 255 bytes.";
}

static const char *check_bool(const char *value)
{
	bool b;
	return fz_setting_bool(value, &b) ? NULL : "Write true or false.";
}

static const char *check_bool_or_none(const char *value)
{
	return *value == '\0' ? NULL : check_bool(value);
}

static const char *check_path(const char *value)
{
	return *value == '/' ? NULL : "This is no absolute path. Start it with '/'.";
}

static const char *check_path_or_none(const char *value)
{
	return *value == '\0' ? NULL : check_path(value);
}

static const char *check_level(const char *value)
{
	enum fz_log_level level;
	return fz_setting_log_level(value, &level) ? NULL : "Write err, warning, info or debug.";
}

static const char *check_proxy(const char *value)
{
	return *value == '\0' || starts_with(value, "http://")
		       ? NULL
		       : "A proxy is written http://[USER:PASSWORD@]HOST[:PORT].";
}

static const char *check_duration_or_none(const char *value)
{
	fz_dur time;
	return *value == '\0' || fz_setting_duration(value, &time)
		       ? NULL
		       : "A length of time is written 90s, 5m, 1h30m or 30d.";
}

static const char *check_anything(const char *value)
{
	(void)value;
	return NULL;
}

static const struct fz_setting_info settings[FZ_SETTING_COUNT_] = {
	[FZ_SETTING_API_URL] = { .key = "api_url",
		.env = "FIREZONE_API_URL",
		.default_value = "wss://api.firezone.dev/",
		.help = "where the portal is",
		.check = check_api_url },
	[FZ_SETTING_AUTH_URL] = { .key = "auth_url",
		.env = "FIREZONE_AUTH_BASE_URL",
		.default_value = "https://app.firezone.dev",
		.help = "where people sign in",
		.check = check_auth_url },
	[FZ_SETTING_ACCOUNT_SLUG] = { .key = "account_slug",
		.env = "FIREZONE_ACCOUNT_SLUG",
		.default_value = "",
		.help = "account to sign in to when none is named",
		.check = check_slug },
	[FZ_SETTING_DEVICE_NAME] = { .key = "device_name",
		.env = "FIREZONE_NAME",
		.default_value = "",
		.help = "what this device is called in the portal; empty: its host name",
		.check = check_name },
	[FZ_SETTING_DEVICE_ID] = { .key = "device_id",
		.env = "FIREZONE_ID",
		.default_value = "",
		.help = "what the portal knows this device by; empty: made of /etc/machine-id",
		.check = check_id },
	[FZ_SETTING_INTERNET_RESOURCE] = { .key = "internet_resource",
		.env = "FIREZONE_ACTIVATE_INTERNET_RESOURCE",
		.default_value = "",
		.help = "use the Internet Resource: true or false; empty: as last chosen",
		.check = check_bool_or_none },
	[FZ_SETTING_TOKEN_PATH] = { .key = "token_path",
		.env = "FIREZONE_TOKEN_PATH",
		.default_value = FZD_TOKEN_PATH,
		.help = "file whose existence means service mode, with the token in it",
		.check = check_path },
	[FZ_SETTING_LOG_FILTER] = { .key = "log_filter",
		.env = "RUST_LOG",
		.default_value = "info",
		.help = "how much is logged: err, warning, info or debug",
		.check = check_level },
	[FZ_SETTING_CA_FILE] = { .key = "ca_file",
		.env = "FIREZONE_CA_FILE",
		.default_value = "",
		.help = "certificates to trust instead of the system's, for the portal",
		.check = check_path_or_none },
	[FZ_SETTING_HTTPS_PROXY] = { .key = "https_proxy",
		.env = "https_proxy",
		.env_also = "HTTPS_PROXY",
		.default_value = "",
		.help = "proxy on the way to the portal",
		.check = check_proxy,
		.hides_user_info = true },
	[FZ_SETTING_NO_PROXY] = { .key = "no_proxy",
		.env = "no_proxy",
		.env_also = "NO_PROXY",
		.default_value = "",
		.help = "hosts that are reached without the proxy, separated by commas",
		.check = check_anything },
	[FZ_SETTING_ALLOW_INSECURE] = { .key = "allow_insecure",
		.env = "FIREZONE_INSECURE_PORTAL",
		.default_value = "false",
		.help = "let api_url be ws://, without encryption; for tests alone",
		.check = check_bool },
	[FZ_SETTING_MAX_PARTITION_TIME] = { .key = "max_partition_time",
		.env = "MAX_PARTITION_TIME",
		.default_value = "",
		.help = "how long the portal may be away before the tunnel is taken down; empty: "
			"for ever",
		.check = check_duration_or_none },
};

static const struct fz_setting_unused unused[] = {
	{ "FIREZONE_DNS_CONTROL", "firezoned does not change the host's DNS yet" },
	{ "LOG_DIR", "the log goes to the journal, or to stderr: journalctl -u firezoned" },
	{ "FIREZONE_INC_BUF", "buffers of sockets are set without it; net.core.rmem_max is the "
			      "administrator's" },
	{ "FIREZONE_FLOW_LOGS", "flows are not logged" },
	{ "FIREZONE_METRICS", "counters are shown by firezonectl metrics and sent nowhere" },
	{ "OTLP_GRPC_ENDPOINT", "counters are shown by firezonectl metrics and sent nowhere" },
	{ "FIREZONE_NO_TELEMETRY", "there is no telemetry" },
};

const struct fz_setting_unused *fz_setting_unused_maybe(size_t i)
{
	return i < FZ_ARRAY_LEN(unused) ? &unused[i] : NULL;
}

const struct fz_setting_info *fz_setting_info(enum fz_setting s)
{
	fz_assert(s < FZ_SETTING_COUNT_);
	return &settings[s];
}

bool fz_setting_find(const char *key, enum fz_setting *ret_setting)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(settings); i++) {
		if (strcmp(settings[i].key, key) == 0) {
			*ret_setting = (enum fz_setting)i;
			return true;
		}
	}
	return false;
}

/* Letters to insert, remove or exchange (Levenshtein); both at most FZ_CONFIG_KEY_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[FZ_CONFIG_KEY_MAX + 1];
	size_t n = strlen(b);
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < n; j++) {
			unsigned exchanged = diagonal + (a[i] != b[j]);
			unsigned other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
			diagonal = row[j + 1];
			row[j + 1] = exchanged < other ? exchanged : other;
		}
	}
	return row[n];
}

const char *fz_setting_guess_maybe(const char *key)
{
	const char *best = NULL;
	unsigned least = 4;
	if (strlen(key) > FZ_CONFIG_KEY_MAX)
		return NULL;
	for (size_t i = 0; i < FZ_ARRAY_LEN(settings); i++) {
		unsigned d = distance(key, settings[i].key);
		if (d < least) {
			least = d;
			best = settings[i].key;
		}
	}
	return best;
}

bool fz_setting_log_level(const char *text, enum fz_log_level *ret_level)
{
	static const struct {
		const char *name;
		enum fz_log_level level;
	} names[] = {
		{ "err", FZ_LOG_ERR },
		{ "error", FZ_LOG_ERR },
		{ "warning", FZ_LOG_WARNING },
		{ "warn", FZ_LOG_WARNING },
		{ "info", FZ_LOG_INFO },
		{ "debug", FZ_LOG_DEBUG },
		{ "trace", FZ_LOG_DEBUG },
	};

	size_t n = strcspn(text, ",");
	for (size_t i = 0; i < FZ_ARRAY_LEN(names); i++) {
		if (strlen(names[i].name) == n && strncasecmp(text, names[i].name, n) == 0) {
			*ret_level = names[i].level;
			return true;
		}
	}
	return false;
}

bool fz_setting_bool(const char *text, bool *ret_value)
{
	static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false",
		"no", "off", "0" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(yes); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*ret_value = strcmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

bool fz_setting_duration(const char *text, fz_dur *ret_time)
{
	static const char units[] = "smhd";
	static const uint64_t seconds[] = { 1, 60, 3600, 86'400 };
	uint64_t sum = 0;
	while (*text) {
		uint64_t n = 0;
		size_t digits = strspn(text, "0123456789");
		if (digits == 0 || digits > 9)
			return false;
		for (size_t i = 0; i < digits; i++)
			n = n * 10 + (uint64_t)(text[i] - '0');
		const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
		if (!unit)
			return false;
		sum += n * seconds[unit - units];
		text += digits + 1;
		if (sum > DURATION_MAX_SECONDS)
			return false;
	}
	if (sum == 0)
		return false;
	*ret_time = FZ_SECONDS(sum);
	return true;
}

const char *fz_setting_shown(
	enum fz_setting s, const char *value, char buf[static FZ_SETTING_SHOWN_MAX])
{
	const char *at = strrchr(value, '@'), *scheme = strstr(value, "://");
	if (!fz_setting_info(s)->hides_user_info || !at)
		return value;
	int n = scheme && scheme < at ? (int)(scheme - value) + 3 : 0;
	snprintf(buf, FZ_SETTING_SHOWN_MAX, "%.*s***%s", n, value, at);
	return buf;
}
