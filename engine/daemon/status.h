/*
 * The Status message with all that it points to, in one object that may stand on the stack. Internal to the daemon;
 * control thread.
 */
#pragma once

#include "base/addr.h"
#include "daemon/service.h"
#include "ipc/firezone.pb-c.h"

#define FZD_UPSTREAMS_MAX 16

struct fzd_status {
	Fzpb__Status msg; /* points into the rest: do not copy */
	Fzpb__Account account;
	Fzpb__Portal portal;
	Fzpb__Tunnel tunnel;
	Fzpb__DnsStatus dns;
	Fzpb__InternetState internet;
	Fzpb__Counts counts;
	Fzpb__DaemonInfo daemon;
	Fzpb__TokenStatus token;
	char reason[400], token_reason[300];
	char ipv4[FZ_IP_TEXT_LEN], ipv6[FZ_IP_TEXT_LEN];
	char upstreams[FZD_UPSTREAMS_MAX][FZ_ADDR_TEXT_LEN];
	char *upstream_list[FZD_UPSTREAMS_MAX];
	char *search_list[1];
	Fzpb__Warning warning, *warning_list[1];
};

/* Borrows strings of `d` and its session until the next turn of the loop. */
void fzd_status_fill(const struct fzd *d, struct fzd_status *ret_status) FZ_NONNULL(1, 2);
/* The token's part alone. `reason` holds at least 300 bytes. */
void fzd_status_fill_token(const struct fzd *d, Fzpb__TokenStatus *ret_token, char *reason)
	FZ_NONNULL(1, 2, 3);
Fzpb__Status__State fzd_status_state(const struct fzd *d) FZ_NONNULL(1);
