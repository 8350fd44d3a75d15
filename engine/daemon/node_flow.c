/* Whether two packets are of one flow, by all that a gateway's table or a client's map looks at. Pure. */
#include <netinet/in.h>
#include <string.h>

#include "base/endian.h"
#include "daemon/node_internal.h"

#define IP4_PLAIN       0x45 /* version 4, no options */
#define IP4_FRAGMENT    0x3fffu /* offset and "more follow" */
#define IP4_ADDRESSES   12 /* both, and the ports behind them */
#define IP6_ADDRESSES   8
#define PORTS           4
#define IP4_DECIDES_LEN (2 * 4 + PORTS)
#define IP6_DECIDES_LEN (2 * 16 + PORTS)

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static bool is_fragment(struct fz_bytes p)
{
	return (fz_be16_load(p.p + 6) & IP4_FRAGMENT) != 0;
}

bool node_is_same_flow(struct fz_bytes a, struct fz_bytes b)
{
	if (a.n < IP4_ADDRESSES + IP4_DECIDES_LEN || b.n < IP4_ADDRESSES + IP4_DECIDES_LEN ||
		a.p[0] != b.p[0])
		return false;
	if (a.p[0] == IP4_PLAIN)
		return a.p[9] == b.p[9] && has_ports(a.p[9]) && !is_fragment(a) &&
		       !is_fragment(b) &&
		       memcmp(a.p + IP4_ADDRESSES, b.p + IP4_ADDRESSES, IP4_DECIDES_LEN) == 0;
	return a.p[0] >> 4 == 6 && a.n >= IP6_ADDRESSES + IP6_DECIDES_LEN &&
	       b.n >= IP6_ADDRESSES + IP6_DECIDES_LEN && a.p[6] == b.p[6] && has_ports(a.p[6]) &&
	       memcmp(a.p + IP6_ADDRESSES, b.p + IP6_ADDRESSES, IP6_DECIDES_LEN) == 0;
}
