/*
 * What the portal is told of this machine: id, name, user agent, serial and UUID (docs/protocol/portal.md, "Address and
 * user agent"). Shell; control thread.
 */
#pragma once

#include "base/attr.h"
#include "control/io/device_id.h"
#include "control/url.h"
#include "daemon/settings.h"

struct fzd_device {
	char external_id[FZP_DEVICE_ID_MAX + 1];
	char name[256];
	char agent[FZP_AGENT_MAX];
	char serial[128], uuid[64]; /* "" if they cannot be read, or are a manufacturer's filler */
};

/* 0 or negative errno: no id could be had. */
int fzd_device_get(const struct fzd_settings *settings, struct fzd_device *ret_device)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
