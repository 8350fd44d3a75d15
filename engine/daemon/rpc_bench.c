/* Diagnostics: bench --loopback. One measurement at a time; the caller going away ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/loopback.h"
#include "daemon/rpc.h"

#define DEFAULT_TIME FZ_SECONDS(3)

struct bench {
	struct fz_node node;
	struct fzipc_call *call;
	struct fzd_loopback *loopback;
	sd_event_source *io;
	bool is_sent; /* the result went out, or waits for a reader that is behind */
};

static void bench_free(struct bench *b)
{
	if (fz_node_is_linked(&b->node))
		fz_list_remove(&b->node);
	b->io = sd_event_source_disable_unref(b->io);
	fzd_loopback_free(b->loopback);
	free(b);
}

static void finish(struct bench *b)
{
	struct fzd_loopback_result r;
	Fzpb__BenchResult m = FZPB__BENCH_RESULT__INIT;
	struct fzipc_call *call = b->call;
	char name[64];
	fzd_loopback_result(b->loopback, &r);
	if (r.error < 0 || r.elapsed.ns == 0) {
		bench_free(b);
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM,
			"The two engines did not come together.", fz_strerror(r.error));
		return;
	}
	double seconds = (double)r.elapsed.ns / 1e9;
	snprintf(name, sizeof(name), "loopback, one thread, %s", r.aead);
	m.name = name;
	m.has_bits_per_second = m.has_packets_per_second = m.has_cpu_percent = true;
	m.bits_per_second = (uint64_t)((double)r.bytes * 8 / seconds);
	m.packets_per_second = (uint64_t)((double)r.packets / seconds);
	/* One decimal is as much as the measurement is good for. */
	uint64_t tenths = r.cpu.ns * 1000 / r.elapsed.ns;
	m.cpu_percent = (double)tenths / 10;
	m.has_elapsed_ns = m.has_done = m.done = true;
	m.elapsed_ns = r.elapsed.ns;
	if (!fzipc_send_bench(call, &m))
		return; /* on_ready sends it again */
	bench_free(b);
	fzipc_call_end(call);
}

static int on_result(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct bench *b = user;
	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	b->is_sent = true;
	finish(b);
	return 0;
}

static void on_gone(void *user, struct fzipc_call *call)
{
	(void)call;
	bench_free(user);
}

static void on_ready(void *user, struct fzipc_call *call)
{
	struct bench *b = user;
	(void)call;
	if (b->is_sent)
		finish(b);
}

static const struct fzipc_call_ops bench_ops = { .cancelled = on_gone, .ready = on_ready };

void fzd_bench(void *user, struct fzipc_call *call, const Fzpb__BenchRequest *request)
{
	struct fzd *d = user;
	fz_dur time = request->has_time_ms ? FZ_MILLISECONDS(request->time_ms) : DEFAULT_TIME;
	if (request->has_time_ms &&
		(request->time_ms < 100 || request->time_ms > fz_dur_ms(FZD_LOOPBACK_TIME))) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"The time to measure is 100 ms to 60 s.", NULL);
		return;
	}
	if (!request->has_loopback || !request->loopback) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__INVALID_ARGUMENT,
			"What is to be measured?", "Use: firezonectl bench --loopback");
		return;
	}
	if (!fz_list_is_empty(&d->benches)) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__CONFLICT,
			"A measurement is going on already.", "Try again in a minute.");
		return;
	}
	struct bench *b = fz_new(struct bench);
	int r = b ? fzd_loopback_start(time, &b->loopback) : -ENOMEM;
	if (r == 0)
		r = sd_event_add_io(
			d->event, &b->io, fzd_loopback_fd(b->loopback), EPOLLIN, on_result, b);
	if (r < 0) {
		if (b)
			bench_free(b);
		fzipc_call_fail(call, FZPB__ERROR__CODE__SYSTEM,
			"The measurement could not be started.", fz_strerror(r));
		return;
	}
	b->call = call;
	fz_list_push_back(&d->benches, &b->node);
	fzipc_call_keep(call, &bench_ops, b);
}
