/* The permission table's meaning, in the order of the questions: an outsider learns nothing but that he is one. */
#include "ipc/rule.h"

#include "base/assert.h"

static enum fzipc_rule judge_level(
	const struct fzipc_method *m, const struct fzipc_who *who, const struct fzipc_world *world)
{
	if (who->is_root || m->permission == FZIPC_READ)
		return FZIPC_RULE_ALLOWED;
	if (m->permission == FZIPC_CONTROL)
		return world->is_owned && world->owner_uid != who->uid ? FZIPC_RULE_OWNER
								       : FZIPC_RULE_ALLOWED;
	return FZIPC_RULE_ROOT;
}

static enum fzipc_rule judge_state(const struct fzipc_method *m, const struct fzipc_world *world)
{
	if (world->is_signed_in)
		return m->when & FZIPC_SIGNED_IN ? FZIPC_RULE_ALLOWED : FZIPC_RULE_SIGNED_IN;
	return m->when & FZIPC_SIGNED_OUT ? FZIPC_RULE_ALLOWED : FZIPC_RULE_NOT_SIGNED_IN;
}

enum fzipc_rule fzipc_rule_judge(
	const struct fzipc_method *m, const struct fzipc_who *who, const struct fzipc_world *world)
{
	if (!who->is_root && !who->is_member)
		return FZIPC_RULE_OUTSIDER;
	if (world->service_mode && m->service_mode == FZIPC_REFUSED)
		return FZIPC_RULE_SERVICE_MODE;
	if (world->service_mode && m->service_mode == FZIPC_ROOT && !who->is_root)
		return FZIPC_RULE_SERVICE_MODE_ROOT;
	enum fzipc_rule rule = judge_level(m, who, world);
	return rule == FZIPC_RULE_ALLOWED ? judge_state(m, world) : rule;
}

enum fzipc_permission fzipc_rule_level(const struct fzipc_who *who, const struct fzipc_world *world)
{
	if (who->is_root)
		return FZIPC_ADMIN;
	if (!who->is_member)
		return FZIPC_NONE;
	bool controls = !world->service_mode && (!world->is_owned || world->owner_uid == who->uid);
	return controls ? FZIPC_CONTROL : FZIPC_READ;
}

const char *fzipc_rule_name(enum fzipc_rule rule)
{
	static const char *const names[FZIPC_RULE_COUNT_] = {
		[FZIPC_RULE_ALLOWED] = "allowed",
		[FZIPC_RULE_OUTSIDER] = "not-in-group",
		[FZIPC_RULE_SERVICE_MODE] = "service-mode",
		[FZIPC_RULE_SERVICE_MODE_ROOT] = "service-mode-needs-root",
		[FZIPC_RULE_ROOT] = "needs-root",
		[FZIPC_RULE_OWNER] = "owned-by-another-user",
		[FZIPC_RULE_NOT_SIGNED_IN] = "not-signed-in",
		[FZIPC_RULE_SIGNED_IN] = "signed-in",
	};
	fz_assert(rule < FZIPC_RULE_COUNT_);
	return names[rule];
}

/* Generic cell rate: the bucket remembers when it will be full again; one call moves that by one interval. */
bool fzipc_bucket_take(struct fzipc_bucket *b, fz_time now, uint32_t per_minute, uint32_t burst)
{
	fz_dur interval = FZ_NANOSECONDS(60000000000u / per_minute);
	if (!b->is_used || fz_time_reached(now, b->filled))
		b->filled = now;
	if (fz_time_since(b->filled, now).ns > interval.ns * (burst - 1))
		return false;
	b->filled = fz_time_add(b->filled, interval);
	b->is_used = true;
	return true;
}
