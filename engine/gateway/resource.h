/* A Resource as clients and gateways know it. Pure values; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define GW_ID_LEN 37 /* a UUID's text with NUL */

enum gw_resource_type { GW_RESOURCE_DNS, GW_RESOURCE_CIDR, GW_RESOURCE_INTERNET };

enum gw_filter_protocol { GW_FILTER_TCP, GW_FILTER_UDP, GW_FILTER_ICMP };

struct gw_filter {
	enum gw_filter_protocol protocol;
	uint16_t from, to; /* ports, inclusive */
};
