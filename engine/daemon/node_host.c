/* Host candidates: which of our addresses a remote may be told (Firezone's protocol, section 3.5). */
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "daemon/node_internal.h"

static bool is_in(const struct fz_ip *ip, const char *prefix)
{
	struct fz_prefix p;
	return fz_prefix_parse(prefix, &p) == 0 && fz_prefix_contains(&p, ip);
}

bool node_is_host_candidate(const struct fz_ip *ip)
{
	/* The last two: where Firezone numbers its devices. A path through a tunnel would be one around in a circle. */
	static const char *const never[] = { "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
		"224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8", "100.64.0.0/10",
		"fd00:2021:1111::/48" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(never); i++) {
		if (is_in(ip, never[i]))
			return false;
	}
	return ip->family != FZ_NO_FAMILY;
}

static bool is_usable(const struct ifaddrs *a, const char *except)
{
	return a->ifa_addr && (a->ifa_flags & IFF_UP) && !(a->ifa_flags & IFF_LOOPBACK) &&
	       strcmp(a->ifa_name, except) != 0;
}

size_t node_host_addresses(const char *except, uint16_t port, struct fz_addr *ret, size_t cap)
{
	struct ifaddrs *all;
	size_t n = 0;
	if (getifaddrs(&all) != 0)
		return 0;
	for (const struct ifaddrs *a = all; a && n < cap; a = a->ifa_next) {
		if (!is_usable(a, except))
			continue;
		struct fz_addr at = fz_addr_of_sockaddr(a->ifa_addr);
		at.port = port;
		at.scope = 0;
		if (node_is_host_candidate(&at.ip))
			ret[n++] = at;
	}
	freeifaddrs(all);
	return n;
}
