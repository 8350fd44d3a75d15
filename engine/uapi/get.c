/*
 * The reply to `get=1`, a piece at a time: between two pieces the device is unlocked and may change, so a dump knows
 * its place by peer and by the number of allowed-IPs printed, and finds it again when the lists have changed.
 */
#include <assert.h>

#include "base/addr.h"
#include "base/ct.h"
#include "uapi/hex.h"
#include "uapi/internal.h"

#define ITEM_MAX 768
static_assert(ITEM_MAX < UAPI_OUTPUT_MIN, "each item fits into the least room");

void uapi_dump_start(struct uapi_client *c)
{
	uapi_dump_stop(&c->dump);
	c->dump = (struct uapi_dump){ 0 };
	fz_list_push_back(&c->uapi->dumps, &c->dump.node);
}

void uapi_dump_stop(struct uapi_dump *d)
{
	if (fz_node_is_linked(&d->node))
		fz_list_remove(&d->node);
}

static void print_key(struct fz_writer *w, const char *name, const uint8_t key[static FZ_KEY_LEN])
{
	char text[UAPI_HEX_LEN];
	uapi_hex_format(key, text);
	fz_writer_bytes(w, fz_bytes_of_str(name));
	fz_writer_u8(w, '=');
	fz_writer_bytes(w, fz_bytes_of(text, sizeof(text)));
	fz_writer_u8(w, '\n');
	fz_wipe(text, sizeof(text));
}

static void print_device(struct uapi *u, struct fz_writer *w)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	if (wg_device_private_key(u->device, &key))
		print_key(w, "private_key", key.b);
	if (u->listen_port)
		fz_writer_format(w, "listen_port=%u\n", (unsigned)u->listen_port);
	if (u->fwmark)
		fz_writer_format(w, "fwmark=%u\n", (unsigned)u->fwmark);
}

static void print_peer(const struct wg_peer *p, struct fz_now now, struct fz_writer *w)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key psk;
	wg_peer_psk(p, &psk);
	print_key(w, "public_key", wg_peer_public_key(p));
	print_key(w, "preshared_key", psk.b);
	fz_writer_format(w, "protocol_version=1\n");
	struct wg_endpoint ep;
	char text[FZ_ADDR_TEXT_LEN];
	if (wg_peer_endpoint(p, &ep))
		fz_writer_format(w, "endpoint=%s\n", fz_addr_format(&ep.remote, text));
	struct wg_peer_stats s;
	wg_peer_stats(p, now.at, &s);
	uint64_t at = s.last_handshake.ns > 0 ? (uint64_t)s.last_handshake.ns : 0;
	fz_writer_format(w, "last_handshake_time_sec=%llu\nlast_handshake_time_nsec=%llu\n",
		(unsigned long long)(at / 1'000'000'000u),
		(unsigned long long)(at % 1'000'000'000u));
	fz_writer_format(w, "tx_bytes=%llu\nrx_bytes=%llu\npersistent_keepalive_interval=%u\n",
		(unsigned long long)s.tx_bytes, (unsigned long long)s.rx_bytes,
		(unsigned)wg_peer_keepalive(p));
}

/* The lists have changed since the last piece: go to where as many are behind us as we have printed. */
static void find_place(struct uapi_dump *d)
{
	struct fz_prefix skipped;
	d->ip = NULL;
	for (uint64_t i = 0; i < d->n_ips && wg_peer_next_allowed_ip(d->peer, &d->ip, &skipped);
		i++)
		continue;
}

static void start_peer(struct uapi_dump *d, struct wg_peer *p)
{
	d->peer = p;
	d->at = p ? UAPI_DUMP_PEER : UAPI_DUMP_END;
	d->ip = NULL;
	d->n_ips = 0;
}

static void print_item(struct uapi_client *c, struct fz_now now, struct fz_writer *w)
{
	struct uapi_dump *d = &c->dump;
	struct fz_prefix prefix;
	char text[FZ_PREFIX_TEXT_LEN];
	switch (d->at) {
	case UAPI_DUMP_DEVICE:
		print_device(c->uapi, w);
		start_peer(d, wg_device_next_peer(c->uapi->device, NULL));
		break;
	case UAPI_DUMP_PEER:
		print_peer(d->peer, now, w);
		d->at = UAPI_DUMP_IPS;
		break;
	case UAPI_DUMP_IPS:
		if (wg_peer_next_allowed_ip(d->peer, &d->ip, &prefix)) {
			fz_writer_format(w, "allowed_ip=%s\n", fz_prefix_format(&prefix, text));
			d->n_ips++;
		} else {
			start_peer(d, wg_device_next_peer(c->uapi->device, d->peer));
		}
		break;
	case UAPI_DUMP_END: break;
	}
}

bool uapi_dump_print(struct uapi_client *c, struct fz_now now, struct fz_writer *w)
{
	struct uapi_dump *d = &c->dump;
	if (d->lists_generation != c->uapi->lists_generation) {
		if (d->at == UAPI_DUMP_PEER)
			start_peer(d, d->peer);
		else if (d->at == UAPI_DUMP_IPS)
			find_place(d);
	}
	d->lists_generation = c->uapi->lists_generation;
	while (d->at != UAPI_DUMP_END && w->cap - w->len >= ITEM_MAX)
		print_item(c, now, w);
	return d->at == UAPI_DUMP_END;
}
