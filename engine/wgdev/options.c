/* The names WG_* and LOG_LEVEL are those wireguard-go made a convention; FIREZONE_* are the engine's own. */
#include "wgdev/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"

/* The names wg-quick(8) accepts: nothing that is a path, a pattern or an option. */
static bool name_is_good(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-";
	size_t n = strlen(name);
	return n > 0 && n < IFNAMSIZ && name[0] != '-' && strspn(name, allowed) == n &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int parse_arguments(int argc, char **argv, struct wgdev_options *o, const char **ret_problem)
{
	const char *name = NULL;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
			o->action = WGDEV_HELP;
			return 0;
		}
		if (strcmp(a, "--version") == 0) {
			o->action = WGDEV_VERSION;
			return 0;
		}
		if (strcmp(a, "-f") == 0 || strcmp(a, "--foreground") == 0) {
			o->is_foreground = true;
		} else if (a[0] == '-' && a[1] != '\0') {
			*ret_problem = "unknown option";
			return -EINVAL;
		} else if (name) {
			*ret_problem = "one interface name is enough";
			return -EINVAL;
		} else {
			name = a;
		}
	}
	if (!name) {
		*ret_problem = "the name of an interface is missing";
		return -EINVAL;
	}
	if (!name_is_good(name)) {
		*ret_problem = "bad interface name: 1 to 15 of letters, digits and _=+.-";
		return -EINVAL;
	}
	memcpy(o->name, name, strlen(name) + 1);
	return 0;
}

static int parse_fd(const char *variable, int *ret_fd)
{
	const char *text = getenv(variable);
	uint64_t fd;
	if (!text || text[0] == '\0')
		return 0;
	if (fz_parse_uint(text, INT32_MAX, &fd) < 0)
		return -EINVAL;
	*ret_fd = (int)fd;
	return 0;
}

static void parse_log_level(struct wgdev_options *o)
{
	const char *level = getenv("LOG_LEVEL");
	o->log_level = FZ_LOG_WARNING;
	if (!level || level[0] == '\0')
		return;
	if (strcmp(level, "verbose") == 0 || strcmp(level, "debug") == 0)
		o->log_level = FZ_LOG_DEBUG;
	else if (strcmp(level, "silent") == 0)
		o->log_level = FZ_LOG_SILENT;
	else
		o->log_level = FZ_LOG_ERR;
	o->keeps_output = o->log_level != FZ_LOG_SILENT;
}

static int parse_engine(struct wgdev_options *o, const char **ret_problem)
{
	const char *io = getenv("FIREZONE_IO"), *aead = getenv("FIREZONE_AEAD"),
		   *threads = getenv("FIREZONE_THREADS");
	uint64_t n;
	if (io && fz_io_kind_parse(io, &o->io) < 0) {
		*ret_problem = "FIREZONE_IO is auto, uring or epoll";
		return -EINVAL;
	}
	if (aead && fz_aead_kind_parse(aead, &o->aead) < 0) {
		*ret_problem = "FIREZONE_AEAD is auto, avx512, ipsecmb or sodium";
		return -EINVAL;
	}
	if (!threads)
		return 0;
	if (fz_parse_uint(threads, WGDEV_THREADS_MAX, &n) < 0 || n == 0) {
		*ret_problem = "FIREZONE_THREADS is a number from 1 to 64";
		return -EINVAL;
	}
	o->threads = (unsigned)n;
	return 0;
}

int wgdev_options_parse(
	int argc, char **argv, struct wgdev_options *ret_options, const char **ret_problem)
{
	struct wgdev_options o = { .tun_fd = -1, .uapi_fd = -1 };
	int r = parse_arguments(argc, argv, &o, ret_problem);
	if (r < 0)
		return r;
	const char *foreground = getenv("WG_PROCESS_FOREGROUND");
	if (foreground && strcmp(foreground, "1") == 0)
		o.is_foreground = true;
	if (parse_fd("WG_TUN_FD", &o.tun_fd) < 0 || parse_fd("WG_UAPI_FD", &o.uapi_fd) < 0) {
		*ret_problem = "WG_TUN_FD and WG_UAPI_FD are numbers of open descriptors";
		return -EINVAL;
	}
	parse_log_level(&o);
	r = parse_engine(&o, ret_problem);
	if (r == 0)
		*ret_options = o;
	return r;
}
