/*
 * Watches the host's network for a client's session and for a gateway: which ways lead to the world, what is attached. Shell;
 * control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/attr.h"
#include "daemon/rtnl.h"

#define FZ_NETWATCH_ATTACHED_MAX 256

struct fz_netwatch;

/*
 * `changed` is called some time after routes, links or addresses changed, once for a burst. `moved`: the way to the world is
 * another one (interfaces of the default routes and their IPv4 addresses), so sockets and candidates are worth making anew.
 */
typedef void (*fz_netwatch_fn)(void *user, bool moved);

void fz_netwatch_free(struct fz_netwatch *w);
/* `ignored`: the tunnel's interface index, 0 for none yet. 0 or negative errno. */
int fz_netwatch_new(sd_event *event, fz_netwatch_fn changed, void *user,
	struct fz_netwatch **ret_watch) FZ_NONNULL(1, 2, 4) FZ_MUST_CHECK;
void fz_netwatch_ignore(struct fz_netwatch *w, uint32_t ifindex) FZ_NONNULL(1);
/* Directly attached networks of the main table as of now; how many. Borrowed until the next change. */
size_t fz_netwatch_attached(const struct fz_netwatch *w, const struct fz_route **ret_routes)
	FZ_NONNULL(1, 2);
bool fz_netwatch_has_way_out(const struct fz_netwatch *w) FZ_NONNULL(1);
