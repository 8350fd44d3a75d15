/* Two devices with fresh keys and a handshake between them; then trains, until the time is up. */
#include "daemon/loopback.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/fd.h"
#include "crypto/aead.h"
#include "crypto/x25519.h"
#include "io/clock.h"
#include "io/rng.h"
#include "wg/device.h"

#define TRAIN       64
#define HEADER      16
#define SLOT        (HEADER + FZD_LOOPBACK_MTU + FZ_AEAD_TAG_LEN)
/* Trains between two looks at the clock's work: timers, handshakes, keepalives. */
#define TRAINS_TURN 64

struct end {
	struct wg_device *device;
	struct wg_peer *peer;
	struct fz_addr at;
	uint8_t pub[32];
};

struct fzd_loopback {
	struct end a, b; /* a seals, b opens */
	struct fz_aead *aead;
	struct wg_rx_train train;
	uint8_t inner[FZD_LOOPBACK_MTU];
	uint8_t slots[TRAIN][SLOT];
	fz_dur time;
	struct fzd_loopback_result result;
	_Atomic bool is_stopping;
	bool has_thread;
	pthread_t thread;
	int event_fd;
};

static int end_init(struct end *e, uint8_t number)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	struct fz_now now = fz_clock_now();
	e->at = (struct fz_addr){ .ip = fz_ip4(192, 0, 2, number), .port = 51820 };
	e->device = wg_device_new(&(struct wg_device_params){ .random = fz_rng_fill });
	if (!e->device)
		return -ENOMEM;
	fz_rng_fill(NULL, fz_span_of(key.b, sizeof(key.b)));
	wg_device_set_private_key(e->device, &key, now);
	(void)wg_device_public_key(e->device, e->pub);
	wg_device_set_mtu(e->device, FZD_LOOPBACK_MTU);
	wg_device_up(e->device, now);
	return 0;
}

static int end_join(struct end *e, const struct end *other, uint8_t other_number)
{
	struct fz_prefix allowed = { fz_ip4(10, 0, 0, other_number), 32 };
	int r = wg_device_add_peer(e->device, other->pub, &e->peer);
	if (r < 0)
		return r;
	wg_peer_set_endpoint(e->peer, &other->at);
	return wg_peer_add_allowed_ip(e->peer, &allowed);
}

/* A UDP packet from a to b that fills the MTU; nobody looks at its checksums. */
static void write_inner(uint8_t p[static FZD_LOOPBACK_MTU])
{
	static const uint8_t head[] = { 0x45, 0, FZD_LOOPBACK_MTU >> 8, FZD_LOOPBACK_MTU & 255, 0,
		0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };
	memset(p, 0xa5, FZD_LOOPBACK_MTU);
	memcpy(p, head, sizeof(head));
}

/* One train through b; how many packets came out. */
static uint32_t receive(struct fzd_loopback *l, struct end *to, const struct end *from)
{
	uint32_t kept = 0;
	l->train.from = (struct wg_endpoint){ .remote = from->at };
	l->train.ecn = 0;
	wg_rx_begin(to->device, fz_clock_now(), &l->train);
	(void)fz_aead_open_many(l->aead, l->train.jobs, l->train.n_jobs);
	wg_rx_finish(to->device, fz_clock_now(), &l->train);
	for (uint16_t i = 0; i < l->train.n; i++) {
		struct fz_span in = l->train.inner[i];
		kept += l->train.verdict[i] == WG_KEEP && in.n == FZD_LOOPBACK_MTU &&
			memcmp(in.p + 20, l->inner + 20, 64) == 0; /* public */
	}
	return kept;
}

/* What `from` has to say by itself: handshakes and keepalives. */
static void talk(struct fzd_loopback *l, struct end *from, struct end *to)
{
	struct wg_output out;
	uint32_t budget = 8;
	while (wg_device_poll(from->device, fz_clock_now(), &budget, &out)) {
		if (out.pkt.n > SLOT)
			continue;
		memcpy(l->slots[0], out.pkt.p, out.pkt.n);
		l->train.n = 1;
		l->train.pkt[0] = fz_span_of(l->slots[0], out.pkt.n);
		(void)receive(l, to, from);
	}
}

static bool send_train(struct fzd_loopback *l)
{
	struct fz_aead_job jobs[TRAIN];
	struct wg_tx_claim claim;
	if (wg_tx_claim(l->a.device, fz_clock_now(), fz_bytes_of(l->inner, sizeof(l->inner)), TRAIN,
		    &claim) != WG_KEEP)
		return false;
	for (uint32_t i = 0; i < TRAIN; i++) {
		uint8_t *slot = l->slots[i];
		wg_tx_header(&claim, i, slot);
		jobs[i] = (struct fz_aead_job){ .key = claim.key,
			.counter = claim.counter + i,
			.src = l->inner,
			.dst = slot + HEADER,
			.tag = slot + HEADER + FZD_LOOPBACK_MTU,
			.len = FZD_LOOPBACK_MTU };
		l->train.pkt[i] = fz_span_of(slot, SLOT);
	}
	fz_aead_seal_many(l->aead, jobs, TRAIN);
	wg_tx_sent(l->a.device, fz_clock_now(), &claim, (uint64_t)TRAIN * SLOT, true, true);
	l->train.n = TRAIN;
	return true;
}

static fz_dur cpu_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return FZ_NANOSECONDS((uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec);
}

static void measure(struct fzd_loopback *l)
{
	fz_time start = fz_clock_boot(), end = fz_time_add(start, l->time);
	fz_dur cpu = cpu_time();
	struct fzd_loopback_result *r = &l->result;
	while (!fz_time_reached(fz_clock_boot(), end) &&
		!atomic_load_explicit(&l->is_stopping, memory_order_relaxed)) {
		talk(l, &l->a, &l->b);
		talk(l, &l->b, &l->a);
		for (int i = 0; i < TRAINS_TURN && send_train(l); i++)
			r->packets += receive(l, &l->b, &l->a);
	}
	r->bytes = r->packets * FZD_LOOPBACK_MTU;
	r->elapsed = fz_time_since(fz_clock_boot(), start);
	r->cpu = FZ_NANOSECONDS(cpu_time().ns - cpu.ns);
	snprintf(r->aead, sizeof(r->aead), "%s", fz_aead_name(l->aead));
}

static int prepare(struct fzd_loopback *l)
{
	int r = fz_aead_new(FZ_AEAD_AUTO, &l->aead);
	if (r < 0)
		return r;
	r = end_init(&l->a, 1);
	if (r < 0)
		return r;
	r = end_init(&l->b, 2);
	if (r < 0)
		return r;
	r = end_join(&l->a, &l->b, 2);
	if (r < 0)
		return r;
	r = end_join(&l->b, &l->a, 1);
	write_inner(l->inner);
	if (r == 0)
		wg_peer_start_handshake(l->a.peer, fz_clock_now());
	return r;
}

static void *run(void *user)
{
	struct fzd_loopback *l = user;
	uint64_t one = 1;
	l->result.error = prepare(l);
	if (l->result.error == 0)
		measure(l);
	if (l->result.error == 0 && l->result.packets == 0)
		l->result.error = -EPROTO;
	(void)!write(l->event_fd, &one, sizeof(one));
	return NULL;
}

void fzd_loopback_free(struct fzd_loopback *l)
{
	if (!l)
		return;
	atomic_store_explicit(&l->is_stopping, true, memory_order_relaxed);
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	wg_device_free(l->a.device);
	wg_device_free(l->b.device);
	fz_aead_free(l->aead);
	fz_closep(&l->event_fd);
	free(l);
}

int fzd_loopback_start(fz_dur time, struct fzd_loopback **ret_loopback)
{
	struct fzd_loopback *l = fz_new(struct fzd_loopback);
	if (!l)
		return -ENOMEM;
	l->time = time;
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = l->event_fd < 0 ? -errno : -pthread_create(&l->thread, NULL, run, l);
	if (r < 0) {
		fzd_loopback_free(l);
		return r;
	}
	l->has_thread = true;
	*ret_loopback = l;
	return 0;
}

int fzd_loopback_fd(const struct fzd_loopback *l)
{
	return l->event_fd;
}

void fzd_loopback_result(const struct fzd_loopback *l, struct fzd_loopback_result *ret_result)
{
	*ret_result = l->result;
}
