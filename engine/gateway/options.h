/*
 * What firezone-gateway is told by its arguments and its environment: the names of the gateway people run today, and
 * the engine's own. An argument wins over its variable. Strings are borrowed from argv and the environment. Before
 * threads.
 */
#pragma once

#include <stdbool.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/log.h"
#include "control/url.h"
#include "crypto/aead.h"
#include "io/backend.h"

#define GW_STATE_DIR   "/var/lib/firezone-gateway"
#define GW_TOKEN_FILE  "/etc/firezone/gateway-token"
#define GW_THREADS_MAX 64

enum gw_action { GW_RUN, GW_HELP, GW_VERSION, GW_CHECK };

struct gw_options {
	enum gw_action action;
	struct fzp_url api_url;
	const char *name; /* NULL: the host's */
	const char *id; /* NULL: kept, computed or made up */
	const char *token_file; /* checked for owner and mode */
	bool token_file_is_given; /* its absence is an error then */
	bool has_health; /* there shall be a health endpoint */
	bool health_is_given; /* that it can't be had is an error then */
	struct fz_addr health;
	const char *state_dir;
	const char *ca_file, *proxy, *no_proxy; /* NULL: none */
	bool allow_insecure;
	bool leaves_host_alone; /* no packet filter table, no settings of the kernel */
	enum fz_log_level log_level;
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the CPUs */
};

/* 0, or -EINVAL and what is wrong in *ret_problem (static text). */
int gw_options_parse(int argc, char **argv, struct gw_options *ret_options,
	const char **ret_problem) FZ_NONNULL(2, 3, 4) FZ_MUST_CHECK;
