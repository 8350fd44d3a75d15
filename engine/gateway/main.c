/* firezone-gateway: lets clients of a Firezone network reach the Resources of a site. */
#include <cap-ng.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "control/io/device_id.h"
#include "crypto/selftest.h"
#include "daemon/sandbox.h"
#include "gateway/options.h"
#include "gateway/service.h"
#include "gateway/token.h"

#define FILES_WANTED  4096
#define LOCKED_WANTED (256u << 20)

static const char usage[] =
	"usage: firezone-gateway [OPTION]...\n"
	"\n"
	"Connects this host to a Firezone portal as a gateway of the site its token is for.\n"
	"\n"
	"  -u, --api-url URL            portal; FIREZONE_API_URL (wss://api.firezone.dev)\n"
	"  -n, --firezone-name NAME     name shown in the portal; FIREZONE_NAME (the host's)\n"
	"  -i, --firezone-id ID         stable id; FIREZONE_ID (kept, or from /etc/machine-id)\n"
	"      --token-path FILE        FIREZONE_TOKEN_PATH (/etc/firezone/gateway-token)\n"
	"      --health-check-addr A:P  HEALTH_CHECK_ADDR (0.0.0.0:8080), off for none\n"
	"      --log-level LEVEL        LOG_LEVEL: error, warning, info (default), debug, silent\n"
	"      --leave-host-alone       no nftables rules, no sysctls: forwarding is yours to set "
	"up\n"
	"      --check                  look at settings, id and token, and end\n"
	"  -V, --version   -h, --help\n"
	"\n"
	"The token comes from FIREZONE_TOKEN, the systemd credential of that name or the file;\n"
	"never from an argument. Further variables: FIREZONE_CA_FILE, FIREZONE_INSECURE_PORTAL,\n"
	"FIREZONE_IO, FIREZONE_AEAD, FIREZONE_THREADS, https_proxy, no_proxy; see the manual "
	"page.\n";

/* As far as we are let. */
static void raise_limit(__rlimit_resource_t what, rlim_t wanted)
{
	struct rlimit l;
	if (getrlimit(what, &l) != 0 || l.rlim_cur >= wanted)
		return;
	struct rlimit raised = { wanted, l.rlim_max > wanted ? l.rlim_max : wanted };
	if (setrlimit(what, &raised) == 0)
		return;
	l.rlim_cur = l.rlim_max < wanted ? l.rlim_max : wanted;
	(void)setrlimit(what, &l);
}

static void set_limits(void)
{
	static const struct rlimit none = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	raise_limit(RLIMIT_NOFILE, FILES_WANTED);
	raise_limit(RLIMIT_MEMLOCK, LOCKED_WANTED);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
}

/*
 * From here on what changing the network takes, as whatever user we are, and nothing that is executed gains more. A
 * health endpoint may be below port 1024.
 */
static int drop_privileges(void)
{
	if (capng_get_caps_process() != 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return -EPERM;
	bool may_bind = capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_BIND_SERVICE) != 0;
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
	capng_type_t sets = (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_update(CAPNG_ADD, sets, CAP_NET_ADMIN) < 0 ||
		(may_bind && capng_update(CAPNG_ADD, sets, CAP_NET_BIND_SERVICE) < 0) ||
		capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -EPERM;
	return 0;
}

/* The journal takes the level from the front of a line. */
static void write_to_journal(
	void *user, enum fz_log_level level, const char *event, const char *detail)
{
	static const int priorities[] = {
		[FZ_LOG_SILENT] = 7,
		[FZ_LOG_ERR] = 3,
		[FZ_LOG_WARNING] = 4,
		[FZ_LOG_INFO] = 6,
		[FZ_LOG_DEBUG] = 7,
	};
	(void)user;
	fprintf(stderr, "<%d>%s%s%s\n", priorities[level], event, detail[0] ? " " : "", detail);
}

static int complain(const char *what, enum gw_exit e)
{
	fprintf(stderr, "firezone-gateway: %s\n", what);
	return (int)e;
}

static int get_external_id(const struct gw_options *o, char ret_id[static FZP_DEVICE_ID_MAX + 1])
{
	char id[FZP_DEVICE_ID_MAX + 1], file[512];
	snprintf(file, sizeof(file), "%s/gateway_id", o->state_dir);
	int r = fzp_device_id_get(
		&(struct fzp_device_id_params){
			.role = FZP_GATEWAY,
			.configured = o->id,
			.file = file,
		},
		id);
	return r < 0 ? r : fzp_external_id(id, ret_id);
}

static int serve(const struct gw_options *o)
{
	FZ_CLEANUP(fz_token_wipep) struct fz_token token = { .len = 0 };
	const char *source = "";
	struct gw_token_sources sources = {
		.file = o->token_file,
		.file_must_exist = o->token_file_is_given,
		.owner = geteuid(),
	};
	enum gw_token_problem p = gw_token_get(&sources, &token, &source);
	if (p != GW_TOKEN_OK)
		return complain(gw_token_explain(p), GW_EXIT_CONFIG);
	/* The service manager's to make; by hand, or in a container, ours. What is wrong with it shows when it is used. */
	(void)mkdir(o->state_dir, 0700);
	char id[FZP_DEVICE_ID_MAX + 1];
	int r = get_external_id(o, id);
	if (r < 0) {
		fprintf(stderr, "firezone-gateway: no usable id for this gateway: %s\n",
			fz_strerror(r));
		return GW_EXIT_CONFIG;
	}
	if (o->action == GW_CHECK)
		return printf("settings, id and token (from the %s) can be used\n", source) < 0;
	if (drop_privileges() < 0)
		return complain("CAP_NET_ADMIN is missing: start it by systemctl start "
				"firezone-gateway, or as root",
			GW_EXIT_NO_PERMISSION);
	if (fz_sandbox_enter_by_environment() < 0)
		return GW_EXIT_FAILURE;
	return (int)gw_service_run(o, id, &token);
}

int main(int argc, char **argv)
{
	struct gw_options o;
	const char *problem = "";
	set_limits();
	if (gw_options_parse(argc, argv, &o, &problem) < 0) {
		fprintf(stderr, "firezone-gateway: %s\n\n%s", problem, usage);
		return GW_EXIT_USAGE;
	}
	if (o.action == GW_HELP)
		return fputs(usage, stdout) < 0;
	if (o.action == GW_VERSION)
		return printf("firezone-gateway %s\n", FZ_VERSION) < 0;
	if (!o.api_url.tls && !o.allow_insecure)
		return complain("the portal's address is not encrypted: wss:// it should be; "
				"FIREZONE_INSECURE_PORTAL=1 allows ws:// for tests",
			GW_EXIT_CONFIG);
	fz_log_set_level(o.log_level);
	if (getenv("JOURNAL_STREAM"))
		fz_log_set_sink(write_to_journal, NULL);
	int r = fz_crypto_selftest();
	if (r < 0)
		return complain(fz_strerror(r), GW_EXIT_FAILURE);
	return serve(&o);
}
