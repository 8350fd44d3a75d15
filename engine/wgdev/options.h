/* What firezone-wg is told by its arguments and its environment. Pure parsing but for getenv; before threads. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "io/backend.h"

#define WGDEV_THREADS_MAX 64

enum wgdev_action { WGDEV_RUN, WGDEV_HELP, WGDEV_VERSION };

struct wgdev_options {
	enum wgdev_action action;
	char name[IFNAMSIZ];
	bool is_foreground;
	bool keeps_output; /* as a daemon: LOG_LEVEL was given and is not silent */
	int tun_fd, uapi_fd; /* inherited; -1: none */
	enum fz_log_level log_level;
	enum fz_io_kind io;
	enum fz_aead_kind aead;
	unsigned threads; /* 0: from the CPUs */
};

/* 0, or -EINVAL and what is wrong in *ret_problem (static text). */
int wgdev_options_parse(int argc, char **argv, struct wgdev_options *ret_options,
	const char **ret_problem) FZ_NONNULL(2, 3, 4) FZ_MUST_CHECK;
