/* The four messages on the wire: WireGuard whitepaper 5.4. Structs of bytes, so that they may overlay any datagram. */
#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "base/endian.h"

/* One type byte and three zero bytes, read as one little-endian word: a reserved byte that is set is an unknown type. */
enum wg_message_type {
	WG_MESSAGE_INITIATION = 1,
	WG_MESSAGE_RESPONSE = 2,
	WG_MESSAGE_COOKIE = 3,
	WG_MESSAGE_DATA = 4,
};

#define WG_TAG_LEN       16
#define WG_MAC_LEN       16
#define WG_PUBLIC_LEN    32
#define WG_TIMESTAMP_LEN 12

struct wg_macs {
	uint8_t mac1[WG_MAC_LEN], mac2[WG_MAC_LEN];
};

struct wg_msg_initiation {
	fz_le32 type, sender;
	uint8_t ephemeral[WG_PUBLIC_LEN];
	uint8_t sealed_static[WG_PUBLIC_LEN + WG_TAG_LEN];
	uint8_t sealed_timestamp[WG_TIMESTAMP_LEN + WG_TAG_LEN];
	struct wg_macs macs;
};

static_assert(sizeof(struct wg_msg_initiation) == 148, "initiation is 148 bytes");
static_assert(offsetof(struct wg_msg_initiation, ephemeral) == 8, "ephemeral at 8");
static_assert(offsetof(struct wg_msg_initiation, sealed_static) == 40, "static at 40");
static_assert(offsetof(struct wg_msg_initiation, sealed_timestamp) == 88, "timestamp at 88");
static_assert(offsetof(struct wg_msg_initiation, macs) == 116, "mac1 at 116");
static_assert(alignof(struct wg_msg_initiation) == 1, "may overlay any byte");

struct wg_msg_response {
	fz_le32 type, sender, receiver;
	uint8_t ephemeral[WG_PUBLIC_LEN];
	uint8_t sealed_nothing[WG_TAG_LEN];
	struct wg_macs macs;
};

static_assert(sizeof(struct wg_msg_response) == 92, "response is 92 bytes");
static_assert(offsetof(struct wg_msg_response, ephemeral) == 12, "ephemeral at 12");
static_assert(offsetof(struct wg_msg_response, sealed_nothing) == 44, "tag at 44");
static_assert(offsetof(struct wg_msg_response, macs) == 60, "mac1 at 60");
static_assert(alignof(struct wg_msg_response) == 1, "may overlay any byte");

#define WG_COOKIE_LEN       16
#define WG_COOKIE_NONCE_LEN 24

struct wg_msg_cookie {
	fz_le32 type, receiver;
	uint8_t nonce[WG_COOKIE_NONCE_LEN];
	uint8_t sealed_cookie[WG_COOKIE_LEN + WG_TAG_LEN];
};

static_assert(sizeof(struct wg_msg_cookie) == 64, "cookie reply is 64 bytes");
static_assert(offsetof(struct wg_msg_cookie, sealed_cookie) == 32, "cookie at 32");
static_assert(alignof(struct wg_msg_cookie) == 1, "may overlay any byte");

/* The sealed packet and its tag follow. */
struct wg_msg_data {
	fz_le32 type, receiver;
	fz_le64 counter;
};

static_assert(sizeof(struct wg_msg_data) == 16, "header is 16 bytes");
static_assert(offsetof(struct wg_msg_data, counter) == 8, "counter at 8");
static_assert(alignof(struct wg_msg_data) == 1, "may overlay any byte");

#define WG_DATA_OVERHEAD                                                                           \
	(sizeof(struct wg_msg_data) + WG_TAG_LEN) /* 32: also the length of a keepalive */
