/* The listening socket wg(8) looks for: /var/run/wireguard/IFNAME.sock, made, guarded and removed. Control thread. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/attr.h"

#define WGDEV_SOCKET_DIR "/var/run/wireguard"

struct wgdev_socket {
	int fd; /* listening, non-blocking */
	int watch_fd; /* readable when the file was touched; -1: there is no file to watch */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* of the file, so that nobody else's is removed */
	ino_t ino;
};

/*
 * `inherited` >= 0 is a listening socket to take over. A file nobody listens behind is replaced. 0, -EADDRINUSE
 * (somebody answers there) or another negative errno.
 */
int wgdev_socket_open(const char *name, int inherited, struct wgdev_socket *ret_socket)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Empties the watch. False: the file is gone or not ours any more. */
bool wgdev_socket_is_there(struct wgdev_socket *s) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Closes, and removes the file if it is still ours. */
void wgdev_socket_done(struct wgdev_socket *s) FZ_NONNULL(1);
