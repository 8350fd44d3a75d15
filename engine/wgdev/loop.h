/* The control thread's loop: one epoll set, one event per turn, so that a handler may remove any source. One thread. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"

/* Lives in its owner; must be removed before the descriptor is closed. */
struct wgdev_source {
	int fd;
	void (*ready)(void *user, uint32_t events);
	void *user;
};

struct wgdev_loop {
	int fd;
};

int wgdev_loop_init(struct wgdev_loop *l) FZ_NONNULL(1) FZ_MUST_CHECK;
void wgdev_loop_done(struct wgdev_loop *l) FZ_NONNULL(1);
/* `events` as epoll_ctl(2), level-triggered. 0 or negative errno. */
int wgdev_loop_add(struct wgdev_loop *l, struct wgdev_source *s, uint32_t events)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
void wgdev_loop_change(struct wgdev_loop *l, struct wgdev_source *s, uint32_t events)
	FZ_NONNULL(1, 2);
void wgdev_loop_remove(struct wgdev_loop *l, struct wgdev_source *s) FZ_NONNULL(1, 2);
/* Waits for one event and handles it, or returns at `until`. 0 or negative errno. */
int wgdev_loop_turn(struct wgdev_loop *l, fz_time until) FZ_NONNULL(1) FZ_MUST_CHECK;
