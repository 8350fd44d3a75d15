/*
 * firezoned: the tunnel's daemon. Runs in the foreground; takes its socket from the service manager, or binds it when
 * started as root. Exit codes: clients.md 4.2.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/paths.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"

static const char usage_text[] =
	"Usage: firezoned [--check]\n"
	"\n"
	"Carries traffic to Firezone's resources. Started by the service manager, or as root.\n"
	"\n"
	"  --check    read configuration, policy and token source, say what is wrong, and exit\n"
	"  --help     show this text\n"
	"  --version  show the version\n"
	"\n"
	"Settings: firezoned.conf(5). What it does: firezonectl(1).\n";

static const struct option options[] = { { "check", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 } };

/* No core dumps, no tracing by the same user, and the mode of what is made is what is said. */
static void limit_process(void)
{
	static const struct rlimit none = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* Before any thread is made, so that all of them leave these to the loop. */
static void block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* ---- what must be there ---- */

static int make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0)
		return chmod(path, mode) < 0 ? -errno : 0;
	return errno == EEXIST ? 0 : -errno;
}

static int make_dirs(bool binds)
{
	int r = geteuid() == 0 && binds ? make_dir(FZD_RUN_DIR, 0755) : 0;
	if (r == 0 && geteuid() == 0)
		r = make_dir(FZD_STATE_DIR, 0700);
	if (r < 0)
		fz_log(FZ_LOG_ERR, "directories", "error=\"%s\" wanted=\"%s and %s\"",
			fz_strerror(r), FZD_RUN_DIR, FZD_STATE_DIR);
	return r;
}

/* Held until the process ends. */
static int take_lock(int *ret_fd)
{
	FZ_CLEANUP(fz_closep)
	int fd = open(FZD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int r = -errno;
		fz_log(FZ_LOG_ERR, "state-directory",
			"path=%s error=\"%s\" hint=\"it must belong to the daemon's user\"",
			FZD_STATE_DIR, fz_strerror(r));
		return r;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		fz_log(FZ_LOG_ERR, "already-running", "lock=%s", FZD_LOCK);
		return -EADDRINUSE;
	}
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

static bool may_change_network(void)
{
	if (capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return true;
	fz_log(FZ_LOG_ERR, "no-permission",
		"missing=CAP_NET_ADMIN hint=\"start it by systemctl start firezoned, or as root\"");
	return false;
}

/* From here on: the one capability, as whatever user we are, and nothing that is executed gains more. */
static int drop_privileges(void)
{
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_update(CAPNG_ADD, (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
		    CAP_NET_ADMIN) < 0 ||
		capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		fz_log(FZ_LOG_ERR, "privileges", "error=\"they could not be dropped\"");
		return -EPERM;
	}
	return 0;
}

/* A socket of our own is the group's only if we may give it away, which containers without capabilities may not. */
static gid_t find_group(bool binds)
{
	const struct group *g = getgrnam(FZIPC_GROUP);
	bool may_give = !binds || capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN);
	if (g && may_give)
		return g->gr_gid;
	fz_log(FZ_LOG_WARNING, "no-group",
		"group=%s why=\"%s\" effect=\"only root may ask the daemon\"", FZIPC_GROUP,
		g ? "CAP_CHOWN is missing" : "there is no such group");
	return (gid_t)-1;
}

/* ---- configuration ---- */

static int load_settings(struct fzd_settings **ret_settings)
{
	FZ_CLEANUP(fz_freep) struct fzd_problems *p = fz_new(struct fzd_problems);
	int r = p ? fzd_settings_new(&fzd_settings_paths, ret_settings, p) : -ENOMEM;
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n; i++)
		fz_log(FZ_LOG_ERR, "config", "file=\"%s\" line=%u problem=\"%s\"", p->items[i].file,
			p->items[i].line, p->items[i].text);
	if (p->n == 0)
		return 0;
	fzd_settings_free(*ret_settings);
	*ret_settings = NULL;
	return -EBADMSG;
}

/* What upstream's client takes from its environment and we do not: said once, so that nobody waits for its effect. */
static void tell_of_unused(void)
{
	const struct fz_setting_unused *u;
	for (size_t i = 0; (u = fz_setting_unused_maybe(i)); i++) {
		const char *value = getenv(u->env);
		if (value && *value)
			fz_log(FZ_LOG_WARNING, "environment", "known=%s not_used=\"%s\"", u->env,
				u->why);
	}
}

/* The token is judged without being used. */
static int check(struct fzd_params *p)
{
	struct fzd_token found;
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { 0 };
	struct fzd_token_paths paths = { .credentials = getenv("CREDENTIALS_DIRECTORY"),
		.file = fzd_settings_get(p->settings, FZ_SETTING_TOKEN_PATH).value,
		.imported = FZD_IMPORTED_FILE };
	fzd_token_find(&paths, p->environment_token, &found, &token);
	bool is_bad = found.source != FZD_TOKEN_NONE && found.verdict != FZD_TOKEN_UNTRIED;
	if (found.source == FZD_TOKEN_NONE)
		puts("configuration ok; no token source: waits for a front end");
	else if (!is_bad)
		printf("configuration ok; token from %s\n", found.origin);
	else
		fz_log(FZ_LOG_ERR, "token", "source=\"%s\" problem=\"%s\"", found.origin,
			found.reason);
	return is_bad ? EX_CONFIG : EX_OK;
}

static void params_done(struct fzd_params *p)
{
	fz_closep(&p->listen_fd);
	fzd_settings_free(p->settings);
	fzd_token_free(p->environment_token);
	fzd_journal_free(p->journal);
}

/* ---- running ---- */

static int exit_code_of(int r)
{
	if (r == -EADDRINUSE)
		return EX_TEMPFAIL;
	if (r == -EPERM || r == -EACCES)
		return EX_NOPERM;
	return r < 0 ? EX_UNAVAILABLE : EX_OK;
}

static int run(struct fzd_params *p)
{
	FZ_CLEANUP(fz_closep) int lock = -1;
	struct fzd *d;
	bool binds = p->listen_fd < 0;
	if (binds && geteuid() != 0) {
		fz_log(FZ_LOG_ERR, "not-root",
			"why=\"without socket activation only root can make %s\" "
			"hint=\"systemctl start firezoned\"",
			FZIPC_SOCKET_PATH);
		return EX_NOPERM;
	}
	if (!may_change_network())
		return EX_NOPERM;
	int r = make_dirs(binds);
	if (r == 0)
		r = take_lock(&lock);
	if (r < 0)
		return exit_code_of(r);
	p->group = find_group(binds);
	struct fzd_params given = *p;
	*p = (struct fzd_params){ .listen_fd = -1 };
	r = fzd_new(&given, &d);
	if (r < 0)
		return exit_code_of(r);
	fz_log(FZ_LOG_INFO, "started", "version=%s uid=%u socket=%s", FZ_VERSION,
		(unsigned)geteuid(), binds ? "bound" : "inherited");
	r = drop_privileges();
	if (r == 0)
		r = fz_sandbox_enter_by_environment();
	if (r < 0) {
		fzd_free(d);
		return EX_NOPERM;
	}
	r = fzd_run(d);
	fz_log(FZ_LOG_INFO, "stopped", "version=%s", FZ_VERSION);
	fzd_free(d);
	return r < 0 ? EX_SOFTWARE : EX_OK;
}

static int start(bool only_checks)
{
	FZ_CLEANUP(params_done)
	struct fzd_params p = { .listen_fd = -1, .group = (gid_t)-1 };
	p.environment_token = fzd_token_take_environment();
	fz_log_set_level(FZ_LOG_INFO);
	if (fzd_journal_new(&p.journal) < 0)
		return EX_OSERR;
	int r = load_settings(&p.settings);
	if (r < 0)
		return r == -EBADMSG ? EX_CONFIG : EX_OSERR;
	tell_of_unused();
	if (only_checks)
		return check(&p);
	int n = sd_listen_fds(1);
	if (n > 1) {
		fz_log(FZ_LOG_ERR, "socket-activation", "sockets=%d wanted=1", n);
		return EX_CONFIG;
	}
	if (n == 1)
		p.listen_fd = SD_LISTEN_FDS_START;
	return run(&p);
}

int main(int argc, char **argv)
{
	bool only_checks = false;
	for (int o; (o = getopt_long(argc, argv, "hV", options, NULL)) != -1;) {
		switch (o) {
		case 'c': only_checks = true; break;
		case 'h': fputs(usage_text, stdout); return EX_OK;
		case 'V': printf("firezoned %s\n", FZ_VERSION); return EX_OK;
		default: return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "firezoned: it takes no arguments. See: firezoned --help\n");
		return 2;
	}
	limit_process();
	block_signals();
	return start(only_checks);
}
