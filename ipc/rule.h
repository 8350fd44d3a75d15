/*
 * Who may call what: a pure function of the method's row, the caller's credentials as the kernel told them and
 * the daemon's state; and token buckets. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"
#include "ipc/method.h"

/* From SO_PEERCRED and SO_PEERGROUPS, never from what the client says. */
struct fzipc_who {
	uint32_t uid, gid;
	int32_t pid;
	bool is_root;
	bool is_member; /* of group firezone */
};

/* What the daemon is just now. */
struct fzipc_world {
	bool service_mode;
	bool is_signed_in;
	bool is_owned; /* a session exists that owner_uid signed in */
	uint32_t owner_uid;
};

enum fzipc_rule {
	FZIPC_RULE_ALLOWED,
	FZIPC_RULE_OUTSIDER, /* neither root nor in the group */
	FZIPC_RULE_SERVICE_MODE, /* refused in service mode to everybody */
	FZIPC_RULE_SERVICE_MODE_ROOT, /* needs root in service mode */
	FZIPC_RULE_ROOT, /* needs root */
	FZIPC_RULE_OWNER, /* another user owns the session */
	FZIPC_RULE_NOT_SIGNED_IN,
	FZIPC_RULE_SIGNED_IN, /* makes sense only signed out */
	FZIPC_RULE_COUNT_,
};

enum fzipc_rule fzipc_rule_judge(const struct fzipc_method *m, const struct fzipc_who *who,
	const struct fzipc_world *world) FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;
/* The highest level the caller has now; for the greeting. */
enum fzipc_permission fzipc_rule_level(const struct fzipc_who *who, const struct fzipc_world *world)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* A short name for logs; static. */
const char *fzipc_rule_name(enum fzipc_rule rule) FZ_RETURNS_NONNULL;

/* A bucket of `burst` calls that refills at per_minute; starts full. */
struct fzipc_bucket {
	fz_time filled; /* when it will be, or was, full */
	bool is_used;
};

/* Takes one call out, or says no. burst >= 1, per_minute >= 1. */
bool fzipc_bucket_take(struct fzipc_bucket *b, fz_time now, uint32_t per_minute, uint32_t burst)
	FZ_NONNULL(1) FZ_MUST_CHECK;
