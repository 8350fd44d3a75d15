/*
 * A network namespace of the test's own, the servers of servers.py in it, and an event loop that is run until something
 * has happened. Skips where namespaces may not be made.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/attr.h"

struct world {
	sd_event *event;
	pid_t pid; /* of servers.py */
	int in; /* closed, it ends */
	char dir[64];
	char ca[96], resolv_conf[96], hosts[96];
};

/* `modes` is a NULL-terminated list for servers.py. */
void world_start(struct world *w, const char *const *modes);
void world_stop(struct world *w);
#define WORLD(w, ...)                                                                              \
	FZ_CLEANUP(world_stop) struct world w;                                                     \
	world_start(&w, (const char *const[]){ __VA_ARGS__, NULL })

/* Fails the test if it does not happen in half a minute, which no good run comes near. */
void world_run_until(struct world *w, const bool *happened);
/* A file in the world's directory: its bytes as text, "" if it is not there. */
void world_read(const struct world *w, const char *name, char *ret, size_t cap);
void world_write(const char *path, const char *text);
/* Runs ip(8) with these words; skips the test where it cannot do that. */
void world_ip(const char *words);
