/* firezone-wg: a WireGuard device in userspace, to be used with wg(8) and wg-quick(8). */
#include <stdio.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "crypto/selftest.h"
#include "wgdev/daemon.h"
#include "wgdev/device.h"
#include "wgdev/options.h"

static const char usage[] =
	"usage: firezone-wg [-f|--foreground] INTERFACE\n"
	"       firezone-wg --version | --help\n"
	"\n"
	"Makes a WireGuard interface that wg(8) and wg-quick(8) configure.\n"
	"\n"
	"  -f, --foreground   stay attached to the terminal (also WG_PROCESS_FOREGROUND=1)\n"
	"\n"
	"  LOG_LEVEL          verbose, error, silent; without it: warnings and errors\n"
	"  WG_TUN_FD          number of an open TUN descriptor to use\n"
	"  WG_UAPI_FD         number of a listening socket to serve wg(8) on\n"
	"  FIREZONE_IO        auto (default), uring, epoll\n"
	"  FIREZONE_AEAD      auto (default), avx512, ipsecmb, sodium\n"
	"  FIREZONE_THREADS   number of data threads\n"
	"\n"
	"With LOG_LEVEL=verbose SIGUSR1 has it say what it carried, and what it dropped and why.\n";

static int serve(const struct wgdev_options *o)
{
	FZ_CLEANUP(fz_closep) int ready_fd = -1;
	wgdev_limits_set();
	if (!o->is_foreground) {
		int r = wgdev_daemon_start(&ready_fd);
		if (r != 0)
			return r < 0 ? 1 : 0;
	}
	struct wgdev *w;
	int r = wgdev_new(o, &w);
	if (r < 0)
		return 1;
	if (ready_fd >= 0)
		wgdev_daemon_ready(&ready_fd, o->keeps_output);
	r = wgdev_run(w);
	wgdev_free(w);
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct wgdev_options o;
	const char *problem = "";
	if (wgdev_options_parse(argc, argv, &o, &problem) < 0) {
		fprintf(stderr, "firezone-wg: %s\n\n%s", problem, usage);
		return 2;
	}
	if (o.action == WGDEV_HELP)
		return fputs(usage, stdout) < 0;
	if (o.action == WGDEV_VERSION)
		return printf("firezone-wg %s\n", FZ_VERSION) < 0;
	fz_log_set_level(o.log_level);
	int r = fz_crypto_selftest();
	if (r < 0) {
		fprintf(stderr, "firezone-wg: %s: refusing to start\n", fz_strerror(r));
		return 1;
	}
	return serve(&o);
}
