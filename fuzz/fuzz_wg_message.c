/*
 * One datagram, as the input is, into a device in four states: fresh, with an initiation under way, with a session,
 * under load. With mac1 as found and with mac1 made right, as anybody can who knows the public key.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "wg/cookie.h"
#include "wg/device_internal.h"
#include "wg/messages.h"
#include "wg_duo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stamp(const struct duo *d, uint8_t *msg, size_t n)
{
	struct wg_cookie_maker maker = { 0 };
	wg_cookie_maker_set(&maker, d->us.public);
	wg_cookie_stamp(&maker, d->now.at, fz_span_of(msg, n));
}

/* Fills in an index that is really ours, so that the look-up is passed. */
static void aim(const struct duo *d, uint8_t *msg, size_t n)
{
	struct fz_bytes sent = duo_kept(&d->us, 0);
	uint32_t type = n >= 4 ? fz_le32_load(msg) : 0;
	if (sent.n < 8)
		return;
	if (type == WG_MESSAGE_RESPONSE && n >= 12)
		memcpy(msg + 8, sent.p + 4, 4);
	if ((type == WG_MESSAGE_COOKIE || type == WG_MESSAGE_DATA) && n >= 8)
		memcpy(msg + 4, sent.p + 4, 4);
}

static void give(struct duo *d, const uint8_t *data, size_t size)
{
	uint8_t msg[DUO_LEN];
	duo_receive(d, &d->us, fz_bytes_of(data, size), 1000);
	duo_poll(d, &d->us);
	if (size < sizeof(struct wg_macs) + 12 || size > sizeof(msg))
		return;
	memcpy(msg, data, size);
	aim(d, msg, size);
	stamp(d, msg, size);
	duo_receive(d, &d->us, fz_bytes_of(msg, size), 1001);
	duo_poll(d, &d->us);
}

static void shake_hands(struct duo *d)
{
	duo_receive(d, &d->them, duo_kept(&d->us, 0), 51820);
	duo_poll(d, &d->them);
	duo_receive(d, &d->us, duo_kept(&d->them, 0), 51820);
	duo_poll(d, &d->us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct duo *d = duo_new();
	give(d, data, size);
	wg_peer_start_handshake(d->us.peer, d->now);
	duo_poll(d, &d->us);
	give(d, data, size);
	shake_hands(d);
	give(d, data, size);
	/* As if the queue had just been long. */
	d->us.device->handshakes.load_until = fz_time_add(d->now.at, FZ_SECONDS(1));
	duo_poll(d, &d->us);
	give(d, data, size);
	fz_assert(d->n_delivered == 0);
	duo_free(d);
	return 0;
}
