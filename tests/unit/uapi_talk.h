/* A client that says something to a device and hears all of the answer; questions are answered from a small table. */
#pragma once

#include "uapi/uapi.h"

#define K1 "1111111111111111111111111111111111111111111111111111111111111111"
#define K2 "2222222222222222222222222222222222222222222222222222222222222222"
#define K3 "3333333333333333333333333333333333333333333333333333333333333333"
#define P1 "public_key=" K1 "\n"
#define P2 "public_key=" K2 "\n"
#define P3 "public_key=" K3 "\n"

struct talk {
	struct wg_device *device;
	struct uapi *uapi;
	struct uapi_client *client;
	size_t piece; /* input is fed in pieces of at most this; 0: whole */
	int port_answer, mark_answer;
	uint32_t port, mark, zone; /* asked for; zone is what "eth0" answers */
	unsigned n_questions;
	char *heard; /* NUL-terminated, since talk_say was called */
	size_t n_heard;
};

struct talk talk_new(void);
void talk_done(struct talk *t);
/* Says text, hears everything that comes; borrowed until the next call. */
const char *talk_say(struct talk *t, const char *text);
const char *talk_say_bytes(struct talk *t, struct fz_bytes in);
/* Hangs up and hears the last words. */
const char *talk_end(struct talk *t);
/* What get=1 says. */
const char *talk_get(struct talk *t);
struct wg_peer *talk_peer(struct talk *t, const char *hex);
