/* What the portal is told about the host: user agent and name. Shell; control thread. */
#pragma once

#include <limits.h>

#include "base/attr.h"
#include "control/url.h"

#define GW_NAME_LEN (HOST_NAME_MAX + 1)

/* From os-release(5) and uname(2); `os_release` is /etc/os-release outside of tests. */
void gw_agent_get(const char *os_release, char ret_text[static FZP_AGENT_MAX]) FZ_NONNULL(1);
/* The host's name, or "gateway" if it has none. */
void gw_agent_name(char ret_name[static GW_NAME_LEN]);
