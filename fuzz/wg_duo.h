/*
 * Two devices for fuzzing: `us` is what is tested, `them` an attacker who holds a valid static key and so reaches
 * every state of ours. Randomness and time come from the input alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "wg/device.h"

#define DUO_KEPT 32 /* datagrams of either side that are kept for later */
#define DUO_LEN  2048

struct duo_datagram {
	size_t len;
	uint8_t bytes[DUO_LEN];
};

struct duo_side {
	struct wg_device *device;
	struct wg_peer *peer; /* the other one; NULL: removed */
	uint64_t rng;
	struct fz_key private;
	uint8_t public[32];
	struct duo_datagram kept[DUO_KEPT];
	size_t n_kept; /* ever; the newest are there */
};

struct duo {
	struct duo_side us, them;
	struct fz_aead *aead;
	struct fz_now now;
	struct wg_rx_train train; /* lent to `us` while train.n_jobs > 0 */
	uint8_t train_bytes[DUO_LEN];
	uint64_t n_delivered;
};

struct duo *duo_new(void);
void duo_free(struct duo *d);
/* One datagram into ours: begun, opened, finished. */
void duo_receive(struct duo *d, struct duo_side *at, struct fz_bytes datagram, uint16_t from_port);
/* Everything the side has to say is kept. */
void duo_poll(struct duo *d, struct duo_side *s);
/* An inner packet into a side's tunnel. `raw`: any bytes, sealed with the present session if there is one. */
void duo_send(struct duo *d, struct duo_side *s, struct fz_bytes inner, bool raw);
/* The i-th newest datagram the side has sent; empty if there is none. */
struct fz_bytes duo_kept(const struct duo_side *s, size_t i);
/* Hands over what either side sends from now on until both are silent. */
void duo_pump(struct duo *d);
void duo_wait(struct duo *d, fz_dur by);
