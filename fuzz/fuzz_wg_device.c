/*
 * A script of datagrams, ticks, TUN packets and settings against a device, while somebody with a valid key sends,
 * changes, repeats and forges. Each operation is one byte and its arguments (see `operate`).
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "wg/cookie.h"
#include "wg/messages.h"
#include "wg_duo.h"

#define MAX_OPERATIONS 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fz_bytes take_some(struct fz_reader *r)
{
	size_t n = fz_reader_be16(r) % 1500;
	return fz_reader_take(r, n < r->left ? n : r->left);
}

/* Between a nanosecond and ten minutes. */
static void wait_some(struct duo *d, struct fz_reader *r)
{
	static const uint64_t units[] = { 1, 1000, 1000000, 10000000 };
	uint8_t unit = fz_reader_u8(r);
	duo_wait(d, FZ_NANOSECONDS(fz_reader_be16(r) * units[unit & 3]));
	if (unit & 4) { /* to the next deadline, exactly */
		fz_time due = wg_device_deadline(d->us.device);
		if (!fz_time_is_never(due))
			duo_wait(d, fz_time_since(due, d->now.at));
	}
}

/* What the other side sent, changed in one place. */
static void deliver_changed(
	struct duo *d, struct fz_reader *r, struct duo_side *from, struct duo_side *to)
{
	uint8_t copy[DUO_LEN];
	struct fz_bytes sent = duo_kept(from, fz_reader_u8(r) % DUO_KEPT);
	uint16_t at = fz_reader_be16(r);
	uint8_t with = fz_reader_u8(r);
	if (sent.n == 0)
		return;
	memcpy(copy, sent.p, sent.n);
	copy[at % sent.n] ^= with;
	duo_receive(d, to, fz_bytes_of(copy, sent.n), at);
}

/* A cookie reply that is true, for whatever we sent last. */
static void answer_with_cookie(struct duo *d)
{
	static const uint8_t nonce[WG_COOKIE_NONCE_LEN] = { 1 };
	struct wg_cookie_checker c = { 0 };
	struct wg_msg_cookie reply;
	struct fz_addr from = { .ip = fz_ip4(192, 0, 2, 1), .port = 51820 };
	struct fz_bytes sent = duo_kept(&d->us, 0);
	if (sent.n != sizeof(struct wg_msg_initiation) && sent.n != sizeof(struct wg_msg_response))
		return;
	wg_cookie_checker_set(&c, d->them.public);
	wg_cookie_write_reply(&c, nonce, sent, &from, &reply);
	duo_receive(d, &d->us, fz_bytes_of(&reply, sizeof(reply)), 51820);
}

/* Begins a train and leaves it open while other things happen. */
static void lend(struct duo *d)
{
	struct fz_bytes sent = duo_kept(&d->them, 0);
	if (d->train.n_jobs > 0 || sent.n == 0)
		return;
	memcpy(d->train_bytes, sent.p, sent.n);
	d->train.n = 1;
	d->train.from = (struct wg_endpoint){ .remote = { .ip = fz_ip4(192, 0, 2, 2), .port = 7 } };
	d->train.pkt[0] = fz_span_of(d->train_bytes, sent.n);
	wg_rx_begin(d->us.device, d->now, &d->train);
	(void)fz_aead_open_many(d->aead, d->train.jobs, d->train.n_jobs);
}

static void give_back(struct duo *d)
{
	if (d->train.n_jobs > 0)
		wg_rx_finish(d->us.device, d->now, &d->train);
}

static void toggle_peer(struct duo *d)
{
	if (d->us.peer) {
		wg_device_remove_peer(d->us.device, d->us.peer);
		d->us.peer = NULL;
		return;
	}
	struct fz_prefix all = { .ip = fz_ip4(0, 0, 0, 0), .bits = 0 };
	int r = wg_device_add_peer(d->us.device, d->them.public, &d->us.peer);
	fz_assert(r == 0 && d->us.peer);
	r = wg_peer_add_allowed_ip(d->us.peer, &all);
	fz_assert(r == 0);
}

static void configure(struct duo *d, struct fz_reader *r)
{
	uint8_t what = fz_reader_u8(r), value = fz_reader_u8(r);
	struct fz_key key = { .b = { value } };
	struct wg_peer *p = d->us.peer;
	switch (what % 10) {
	case 0: toggle_peer(d); break;
	case 1: wg_device_down(d->us.device); break;
	case 2: wg_device_up(d->us.device, d->now); break;
	case 3: wg_device_set_private_key(d->us.device, &key, d->now); break;
	case 4: wg_device_set_mtu(d->us.device, value * 16u); break;
	case 5: wg_device_clear_sources(d->us.device); break;
	case 6:
		if (p)
			wg_peer_set_psk(p, &key);
		break;
	case 7:
		if (p)
			wg_peer_set_keepalive(p, value, d->now);
		break;
	case 8:
		if (p)
			wg_peer_expire(p);
		break;
	default:
		if (p)
			wg_peer_start_handshake(p, d->now);
		break;
	}
}

static void operate(struct duo *d, struct fz_reader *r)
{
	switch (fz_reader_u8(r) % 12) {
	case 0: wait_some(d, r); break;
	case 1: duo_receive(d, &d->us, take_some(r), 1); break;
	case 2: duo_send(d, &d->us, take_some(r), false); break;
	case 3: duo_send(d, &d->them, take_some(r), false); break;
	case 4: duo_send(d, &d->them, take_some(r), true); break;
	case 5: deliver_changed(d, r, &d->them, &d->us); break;
	case 6: deliver_changed(d, r, &d->us, &d->them); break;
	case 7:
		duo_receive(d, &d->us, duo_kept(&d->them, fz_reader_u8(r) % DUO_KEPT), 51820);
		break;
	case 8: wg_peer_start_handshake(d->them.peer, d->now); break;
	case 9: configure(d, r); break;
	case 10: answer_with_cookie(d); break;
	default:
		if (d->train.n_jobs > 0)
			give_back(d);
		else
			lend(d);
		break;
	}
	duo_poll(d, &d->us);
	duo_poll(d, &d->them);
}

static bool has_session(const struct duo *d, const struct duo_side *s)
{
	struct wg_peer_stats stats;
	wg_peer_stats(s->peer, d->now.at, &stats);
	return stats.has_session;
}

/* Whatever was done to it: with its settings back and some seconds of peace, a device shakes hands as ever. */
static void recover(struct duo *d)
{
	static const struct fz_key no_psk;
	struct fz_addr at = { .ip = fz_ip4(192, 0, 2, 2), .port = 51820 };
	give_back(d);
	wg_device_set_private_key(d->us.device, &d->us.private, d->now);
	wg_device_up(d->us.device, d->now);
	if (!d->us.peer)
		toggle_peer(d);
	wg_peer_set_psk(d->us.peer, &no_psk);
	wg_peer_set_endpoint(d->us.peer, &at);
	while (wg_device_deadline(d->us.device).ns <= d->now.at.ns)
		duo_poll(d, &d->us);
	wg_peer_expire(d->us.peer);
	wg_peer_expire(d->them.peer);
	duo_wait(d, FZ_SECONDS(6));
	wg_peer_start_handshake(d->them.peer, d->now);
	duo_pump(d);
	fz_assert(has_session(d, &d->us) && has_session(d, &d->them));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct duo *d = duo_new();
	struct fz_reader r = fz_reader_of(fz_bytes_of(data, size));
	for (int i = 0; i < MAX_OPERATIONS && r.left > 0 && !r.bad; i++)
		operate(d, &r);
	recover(d);
	const uint64_t *drops = wg_device_drops(d->us.device);
	fz_assert(drops[WG_KEEP] == 0);
	duo_free(d);
	return 0;
}
