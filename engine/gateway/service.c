/* Order of making: lock, what an earlier run left, TUN, kernel settings, packet filter, health, portal; undone backwards. */
#include "gateway/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/host.h"
#include "gateway/agent.h"
#include "gateway/forward.h"
#include "gateway/health.h"
#include "gateway/nft.h"
#include "gateway/session.h"

#define BUSY_TRIES     50
#define BUSY_WAIT_USEC 100'000

struct service {
	const struct gw_options *options;
	sd_event *event;
	int lock_fd;
	struct fz_host *host;
	struct gw_session *session;
	struct gw_nft *nft;
	struct gw_health *health;
	enum gw_exit verdict;
	char status_text[160]; /* last told to the service manager */
};

/* ---- what others are told ---- */

static void describe(const struct gw_session_status *st, char *ret_text, size_t cap)
{
	if (st->is_ready)
		snprintf(ret_text, cap, "portal=up clients=%u grants=%u", st->n_clients,
			st->n_grants);
	else
		snprintf(ret_text, cap, "portal=%s clients=%u grants=%u",
			fzp_reason_info(st->reason)->code, st->n_clients, st->n_grants);
}

static void on_health_asks(void *user, struct gw_health_state *ret)
{
	struct service *v = user;
	struct gw_session_status st;
	gw_session_status(v->session, &st);
	describe(&st, v->status_text, sizeof(v->status_text));
	*ret = (struct gw_health_state){ st.is_ready, v->status_text };
}

static void on_changed(void *user)
{
	struct service *v = user;
	struct gw_session_status st;
	char text[sizeof(v->status_text)];
	gw_session_status(v->session, &st);
	describe(&st, text, sizeof(text));
	if (strcmp(text, v->status_text) == 0)
		return;
	memcpy(v->status_text, text, sizeof(text));
	(void)sd_notifyf(0, "STATUS=%s%s%s", text, st.detail[0] ? ": " : "", st.detail);
}

static void on_ended(void *user, enum fzp_reason why)
{
	struct service *v = user;
	const struct fzp_reason_info *info = fzp_reason_info(why);
	fz_log(FZ_LOG_ERR, "session-ended", "reason=%s what=\"%s\" hint=\"%s\"", info->code,
		info->text, info->hint);
	v->verdict = GW_EXIT_NO_PERMISSION;
	(void)sd_event_exit(v->event, 0);
}

static void on_failed(void *user, int err)
{
	struct service *v = user;
	fz_log(FZ_LOG_ERR, "tunnel-failed", "error=\"%s\"", fz_strerror(err));
	v->verdict = GW_EXIT_UNAVAILABLE;
	(void)sd_event_exit(v->event, 0);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *info, void *user)
{
	(void)s;
	struct service *v = user;
	fz_log(FZ_LOG_INFO, "stopping", "signal=%u", info->ssi_signo);
	return sd_event_exit(v->event, 0);
}

/* ---- the host ---- */

static void tell_setting(void *user, const struct gw_forward_problem *p)
{
	(void)user;
	fz_log(p->is_fatal ? FZ_LOG_ERR : FZ_LOG_WARNING, "sysctl-not-set",
		"do=\"sysctl -w %s=%s\" without=\"%s\" error=\"%s\"", p->name, p->wanted, p->why,
		fz_strerror(p->err));
}

static void tell_chain(void *user, const char *family, const char *table, const char *chain)
{
	(void)user;
	fz_log(FZ_LOG_WARNING, "forwarding-may-be-dropped",
		"family=%s table=%s chain=%s do=\"accept iifname %s and oifname %s there\"", family,
		table, chain, fz_host_gateway.interface, fz_host_gateway.interface);
}

static enum gw_exit prepare_host(struct service *v)
{
	if (v->options->leaves_host_alone)
		return GW_EXIT_OK;
	const char *interface = fz_host_gateway.interface;
	if (gw_forward_ensure("/proc/sys", interface, tell_setting, v) < 0)
		return GW_EXIT_UNAVAILABLE;
	struct gw_nft_params params = {
		.interface = interface,
		.client_interface = fz_host_client.interface,
		.mark = fz_host_gateway.mark,
	};
	int r = gw_nft_new(&params, &v->nft);
	if (r < 0) {
		fz_log(FZ_LOG_ERR, "packet-filter-refused", "error=\"%s\" why=\"%s\"",
			fz_strerror(r), gw_nft_explain(r));
		return r == -EPERM ? GW_EXIT_NO_PERMISSION : GW_EXIT_UNAVAILABLE;
	}
	r = gw_nft_each_forward_drop(v->nft, tell_chain, v);
	if (r < 0)
		fz_log(FZ_LOG_DEBUG, "chains-not-read", "error=\"%s\"", fz_strerror(r));
	return GW_EXIT_OK;
}

/* The directory is the service manager's to make; a second process finds it locked. */
static enum gw_exit open_state(struct service *v)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/lock", v->options->state_dir);
	v->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (v->lock_fd < 0) {
		fz_log(FZ_LOG_ERR, "state-directory", "path=%s error=\"%s\"", v->options->state_dir,
			fz_strerror(-errno));
		return GW_EXIT_UNAVAILABLE;
	}
	if (flock(v->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		fz_log(FZ_LOG_ERR, "already-running", "path=%s", path);
		return GW_EXIT_UNAVAILABLE;
	}
	snprintf(path, sizeof(path), "%s/host-changes", v->options->state_dir);
	int r = fz_host_new(path, &fz_host_gateway, &v->host);
	if (r < 0) {
		fz_log(FZ_LOG_ERR, "host-changes", "path=%s error=\"%s\"", path, fz_strerror(r));
		return r == -EPERM ? GW_EXIT_NO_PERMISSION : GW_EXIT_UNAVAILABLE;
	}
	return GW_EXIT_OK;
}

static enum gw_exit open_session(struct service *v, const char *external_id)
{
	const struct gw_options *o = v->options;
	char agent[FZP_AGENT_MAX], name[GW_NAME_LEN];
	gw_agent_get("/etc/os-release", agent);
	gw_agent_name(name);
	struct gw_session_params params = {
		.url = o->api_url,
		.external_id = external_id,
		.name = o->name ? o->name : name,
		.user_agent = agent,
		.ca_file = o->ca_file,
		.proxy = o->proxy,
		.no_proxy = o->no_proxy,
		.allow_insecure = o->allow_insecure,
		.io = o->io,
		.aead = o->aead,
		.threads = o->threads,
		.host = v->host,
		.ops = { .changed = on_changed, .ended = on_ended, .failed = on_failed },
		.user = v,
	};
	int r = gw_session_new(v->event, &params, &v->session);
	/* The lock is ours: who still has the interface is a killed run that the kernel has not cleared away yet. */
	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		(void)usleep(BUSY_WAIT_USEC);
		r = gw_session_new(v->event, &params, &v->session);
	}
	if (r == 0)
		return GW_EXIT_OK;
	fz_log(FZ_LOG_ERR, "tunnel-not-made", "interface=%s error=\"%s\"",
		fz_host_gateway.interface, fz_strerror(r));
	return r == -EPERM || r == -EACCES ? GW_EXIT_NO_PERMISSION
	       : r == -EINVAL              ? GW_EXIT_CONFIG
					   : GW_EXIT_UNAVAILABLE;
}

static enum gw_exit open_health(struct service *v)
{
	const struct gw_options *o = v->options;
	if (!o->has_health)
		return GW_EXIT_OK;
	struct gw_health_params params = {
		.listen = o->health,
		.state = on_health_asks,
		.user = v,
	};
	int r = gw_health_new(v->event, &params, &v->health);
	if (r == 0)
		return GW_EXIT_OK;
	char text[FZ_ADDR_TEXT_LEN];
	fz_log(o->health_is_given ? FZ_LOG_ERR : FZ_LOG_WARNING, "no-health-endpoint",
		"address=%s error=\"%s\"", fz_addr_format(&o->health, text), fz_strerror(r));
	return o->health_is_given ? GW_EXIT_CONFIG : GW_EXIT_OK;
}

/* ---- the process ---- */

static int open_event(struct service *v)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Before any thread, so that all of them leave the signals to the loop. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	int r = sd_event_new(&v->event);
	if (r >= 0)
		r = sd_event_add_signal(v->event, NULL, SIGTERM, on_signal, v);
	if (r >= 0)
		r = sd_event_add_signal(v->event, NULL, SIGINT, on_signal, v);
	if (r >= 0)
		r = sd_event_set_watchdog(v->event, true);
	return r < 0 ? r : 0;
}

static void service_done(struct service *v)
{
	gw_health_free(v->health);
	if (v->session)
		gw_session_stop(v->session);
	gw_session_free(v->session);
	gw_nft_free(v->nft);
	if (v->host) {
		int r = fz_host_revert(v->host);
		if (r < 0)
			fz_log(FZ_LOG_WARNING, "host-not-restored", "error=\"%s\"", fz_strerror(r));
	}
	fz_host_free(v->host);
	sd_event_unref(v->event);
	fz_closep(&v->lock_fd);
}

static enum gw_exit make_all(struct service *v, const char *external_id)
{
	enum gw_exit e = open_state(v);
	if (e == GW_EXIT_OK)
		e = open_session(v, external_id);
	if (e == GW_EXIT_OK)
		e = prepare_host(v);
	if (e == GW_EXIT_OK)
		e = open_health(v);
	return e;
}

enum gw_exit gw_service_run(
	const struct gw_options *o, const char *external_id, struct fz_token *token)
{
	struct service v = { .options = o, .lock_fd = -1, .verdict = GW_EXIT_OK };
	int r = open_event(&v);
	enum gw_exit e = r < 0 ? GW_EXIT_FAILURE : make_all(&v, external_id);
	if (e == GW_EXIT_OK) {
		gw_session_start(v.session, token);
		(void)sd_notify(0, "READY=1\nSTATUS=connecting to the portal");
		fz_log(FZ_LOG_INFO, "started", "interface=%s portal=%s", fz_host_gateway.interface,
			o->api_url.host);
		r = sd_event_loop(v.event);
		e = r < 0 ? GW_EXIT_FAILURE : v.verdict;
		(void)sd_notify(0, "STOPPING=1\nSTATUS=saying goodbye");
	}
	service_done(&v);
	return e;
}
