/*
 * Serves wg(8) and its like on the listening socket: many clients at once, none of whom can hold up another or the data
 * plane. Per client a few hundred bytes; input stays in the kernel until it is understood, output is made a piece at a
 * time. A client that stalls in the middle of something is dropped after 10 s; when all places are taken, the one who
 * did nothing for longest gives way. Control thread.
 */
#pragma once

#include "base/attr.h"
#include "base/time.h"
#include "io/plane.h"
#include "uapi/uapi.h"
#include "wgdev/loop.h"

#define WGDEV_CLIENTS_MAX 1024

struct wgdev_server;

struct wgdev_server_params {
	struct wgdev_loop *loop;
	int listen_fd; /* the caller's */
	struct fz_plane *plane;
	struct uapi *uapi;
	/* Does what a request asks of the shell; the device is not locked. */
	int64_t (*answer)(void *user, const struct uapi_question *q);
	void *user;
};

void wgdev_server_free(struct wgdev_server *s);
int wgdev_server_new(const struct wgdev_server_params *params, struct wgdev_server **ret_server)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* When wgdev_server_expire has somebody to drop; FZ_NEVER if nobody is in the middle of anything. */
fz_time wgdev_server_deadline(const struct wgdev_server *s) FZ_NONNULL(1);
void wgdev_server_expire(struct wgdev_server *s, fz_time now) FZ_NONNULL(1);
