/* Diagnostics: counters and health. Names follow OpenMetrics: unit last, counters without their _total. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "daemon/client.h"
#include "daemon/rpc.h"
#include "daemon/status.h"
#include "io/clock.h"

struct about {
	const char *name, *help, *unit;
	bool is_counter;
};

static void add(struct fzd_metrics *m, const struct about *about, const char *label, double value)
{
	size_t i = m->msg.n_metrics;
	fz_assert(i < FZD_METRICS_MAX);
	Fzpb__Metric *item = &m->items[i];
	fzpb__metric__init(item);
	item->name = fz_unconst(about->name);
	item->has_kind = item->has_value = true;
	item->kind = about->is_counter ? FZPB__METRIC__KIND__COUNTER : FZPB__METRIC__KIND__GAUGE;
	item->value = value;
	item->help = fz_unconst(about->help);
	item->unit = fz_unconst(about->unit);
	if (label) {
		snprintf(m->labels[i], sizeof(m->labels[i]), "%s", label);
		m->label_list[i] = m->labels[i];
		item->labels = &m->label_list[i];
		item->n_labels = 1;
	}
	m->list[i] = item;
	m->msg.n_metrics++;
}

/* Pages in memory as the kernel counts them; 0 where /proc is closed. */
static double resident_bytes(void)
{
	unsigned long all, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void add_process(struct fzd *d, struct fzd_metrics *m)
{
	static const struct about uptime = { "firezone_uptime_seconds",
		"time since the daemon started", "seconds", false },
				  memory = { "firezone_resident_memory_bytes",
					  "memory the daemon uses", "bytes", false },
				  service = { "firezone_service_mode",
					  "1 if the daemon has its own token", NULL, false },
				  reloads = { "firezone_reloads",
					  "configuration taken into use again", NULL, true };
	int64_t seconds = (fz_clock_now().wall.ns - d->started.ns) / 1'000'000'000;
	add(m, &uptime, NULL, (double)seconds);
	add(m, &memory, NULL, resident_bytes());
	add(m, &service, NULL, fzd_in_service_mode(d));
	add(m, &reloads, NULL, (double)d->n_reloads);
}

static void add_socket(struct fzd *d, struct fzd_metrics *m)
{
	static const struct about connections = { "firezone_ipc_connections",
		"front ends connected now", NULL, false },
				  accepted = { "firezone_ipc_accepted", "connections accepted",
					  NULL, true },
				  away = { "firezone_ipc_turned_away", "connections turned away",
					  NULL, true },
				  calls = { "firezone_ipc_calls", "calls", NULL, true },
				  refused = { "firezone_ipc_refused",
					  "calls refused by a permission or a rate", NULL, true },
				  memory = { "firezone_ipc_memory_bytes",
					  "held for connections of front ends", "bytes", false };
	struct fzipc_server_stats s;
	fzipc_server_stats(d->server, &s);
	add(m, &connections, NULL, s.connections);
	add(m, &accepted, NULL, (double)s.accepted);
	add(m, &away, NULL, (double)s.turned_away);
	add(m, &calls, NULL, (double)s.calls);
	add(m, &refused, NULL, (double)s.refused);
	add(m, &memory, NULL, (double)s.memory);
}

static void add_log(struct fzd *d, struct fzd_metrics *m)
{
	static const struct about about = { "firezone_log_records", "records logged", NULL, true };
	struct fzd_journal_counts counts;
	fzd_journal_counts(d->journal, &counts);
	for (size_t level = FZ_LOG_ERR; level <= FZ_LOG_DEBUG; level++) {
		char label[32];
		snprintf(label, sizeof(label), "level=%s",
			fzd_log_level_name((enum fz_log_level)level));
		add(m, &about, label, (double)counts.records[level]);
	}
}

static void add_session(struct fzd *d, struct fzd_metrics *m)
{
	static const struct about
		up = { "firezone_tunnel_up", "1 if the tunnel is up", NULL, false },
		rx = { "firezone_tunnel_rx_bytes", "bytes out of the tunnel", "bytes", true },
		tx = { "firezone_tunnel_tx_bytes", "bytes into the tunnel", "bytes", true },
		resources = { "firezone_resources", "resources", NULL, false },
		peers = { "firezone_peers", "gateways and devices by path", NULL, false },
		discarded = { "firezone_tunnel_discarded",
			"packets from gateways that went nowhere", NULL, true },
		host = { "firezone_host_changes", "changes made to this host", NULL, false };
	struct fz_session_status st;
	Fzpb__Status__State state = fzd_status_state(d);
	add(m, &up, NULL,
		state == FZPB__STATUS__STATE__UP || state == FZPB__STATUS__STATE__RECONNECTING);
	add(m, &host, NULL, (double)fz_host_count(d->host));
	if (!fzd_client_status(d->client, &st))
		return;
	add(m, &rx, NULL, (double)st.rx_bytes);
	add(m, &tx, NULL, (double)st.tx_bytes);
	add(m, &resources, "state=all", st.n_resources);
	add(m, &resources, "state=offline", st.n_resources_offline);
	add(m, &peers, "path=direct", st.n_peers_direct);
	add(m, &peers, "path=relayed", st.n_peers_relayed);
	static const char *const why[FZ_SESSION_DISCARD_COUNT_] = {
		[FZ_SESSION_DISCARD_MALFORMED] = "reason=malformed",
		[FZ_SESSION_DISCARD_SOURCE] = "reason=source",
		[FZ_SESSION_DISCARD_DESTINATION] = "reason=destination",
		[FZ_SESSION_DISCARD_CONTROL] = "reason=control",
	};
	for (size_t i = 0; i < FZ_SESSION_DISCARD_COUNT_; i++)
		add(m, &discarded, why[i], (double)st.discarded[i]);
}

void fzd_metrics_fill(struct fzd *d, struct fzd_metrics *ret_metrics)
{
	fzpb__metric_set__init(&ret_metrics->msg);
	ret_metrics->msg.metrics = ret_metrics->list;
	add_process(d, ret_metrics);
	add_socket(d, ret_metrics);
	add_log(d, ret_metrics);
	add_session(d, ret_metrics);
}

void fzd_get_metrics(void *user, struct fzipc_call *call, const Fzpb__MetricsRequest *request)
{
	FZ_CLEANUP(fz_freep) struct fzd_metrics *m = fz_new(struct fzd_metrics);
	(void)request;
	if (!m) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM, "There is no memory left.", NULL);
		return;
	}
	fzd_metrics_fill(user, m);
	fzipc_reply_get_metrics(call, &m->msg);
}

void fzd_get_health(void *user, struct fzipc_call *call, const Fzpb__HealthRequest *request)
{
	Fzpb__Health health = FZPB__HEALTH__INIT;
	struct fzd_status s;
	char reason[480];
	fzd_status_fill(user, &s);
	bool is_up = s.msg.state == FZPB__STATUS__STATE__UP ||
		     s.msg.state == FZPB__STATUS__STATE__RECONNECTING ||
		     s.msg.state == FZPB__STATUS__STATE__DEGRADED;
	health.has_healthy = true;
	health.healthy = is_up || !(request->has_ready && request->ready);
	if (!is_up && !health.healthy) {
		snprintf(reason, sizeof(reason), "%s%s%s", fzd_state_name(s.msg.state),
			s.reason[0] ? ": " : "", s.reason);
		health.reason = reason;
	}
	fzipc_reply_get_health(call, &health);
}
