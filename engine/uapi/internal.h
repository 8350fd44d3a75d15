/* What the three halves of a client share: lines (client.c), changes (set.c), the dump (get.c). Private to engine/uapi. */
#pragma once

#include "base/list.h"
#include "uapi/uapi.h"

struct uapi {
	struct wg_device *device;
	uint16_t listen_port;
	uint32_t fwmark;
	struct fz_list dumps; /* of clients that are being answered */
	uint64_t lists_generation; /* counts changes of any peer's allowed-IPs */
};

enum uapi_input {
	UAPI_IN_REQUEST, /* the first line of a request */
	UAPI_IN_GET, /* the empty line behind get=1 */
	UAPI_IN_SET,
	UAPI_IN_REST, /* of a request that is answered already */
	UAPI_IN_OVER, /* ended, or not our protocol */
};

enum uapi_reply { UAPI_REPLY_NONE, UAPI_REPLY_ERRNO, UAPI_REPLY_DUMP };

enum uapi_block_state {
	UAPI_BLOCK_NONE, /* device keys */
	UAPI_BLOCK_DUMMY, /* a peer that is not to be: keys are judged and forgotten */
	UAPI_BLOCK_ABSENT, /* made by the next key that needs it, or by the end of the block */
	UAPI_BLOCK_PRESENT,
};

/* The peer that lines of `set` speak about. */
struct uapi_block {
	enum uapi_block_state state;
	bool was_made_here;
	uint8_t pub[FZ_KEY_LEN];
	struct wg_peer *peer; /* valid within one call: another client may remove it in between */
};

enum uapi_dump_at { UAPI_DUMP_DEVICE, UAPI_DUMP_PEER, UAPI_DUMP_IPS, UAPI_DUMP_END };

struct uapi_dump {
	struct fz_node node; /* in uapi.dumps while under way */
	enum uapi_dump_at at;
	struct wg_peer *peer;
	const void *ip; /* cursor of wg_peer_next_allowed_ip */
	uint64_t n_ips; /* printed of this peer */
	uint64_t lists_generation;
	/* set by uapi_dumps_hold */
	uint8_t pub[FZ_KEY_LEN], next_pub[FZ_KEY_LEN];
	bool has_next;
};

struct uapi_client {
	struct uapi *uapi;
	enum uapi_input input;
	enum uapi_reply reply;
	int error; /* of the reply, as printed */
	bool is_asking;
	struct uapi_question question;
	struct fz_addr endpoint; /* waits for its zone */
	char zone[16];
	struct uapi_block block;
	struct uapi_dump dump;
	size_t line_len; /* may exceed what is stored */
	char line[UAPI_LINE_MAX];
};

/* One line of `set`, NUL-terminated, changed in place. 0 or negative errno. */
int uapi_set_line(struct uapi_client *c, struct fz_now now, char *line)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Looks the block's peer up again. */
void uapi_set_resume(struct uapi_client *c) FZ_NONNULL(1);
/* Ends the last block. */
int uapi_set_finish(struct uapi_client *c) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The endpoint's zone is known: `answer` is an interface index or below 1. */
int uapi_set_zone(struct uapi_client *c, int64_t answer) FZ_NONNULL(1) FZ_MUST_CHECK;

void uapi_dump_start(struct uapi_client *c) FZ_NONNULL(1);
void uapi_dump_stop(struct uapi_dump *d) FZ_NONNULL(1);
/* Appends whole items; true once the last one is written. */
bool uapi_dump_print(struct uapi_client *c, struct fz_now now, struct fz_writer *w)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Around whatever removes peers: dumps that stood at one go on with the next. */
void uapi_dumps_hold(struct uapi *u) FZ_NONNULL(1);
void uapi_dumps_release(struct uapi *u) FZ_NONNULL(1);
