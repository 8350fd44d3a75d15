/* Addresses to text and back, over inet_pton and inet_ntop. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct fz_ip fz_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct fz_ip){ .family = FZ_IP4, .b = { a, b, c, d } };
}

struct fz_ip fz_ip_of(enum fz_family family, const void *bytes)
{
	struct fz_ip ip = { .family = (uint8_t)family };
	memcpy(ip.b, bytes, family == FZ_IP4 ? 4 : 16);
	return ip;
}

bool fz_ip_equal(const struct fz_ip *a, const struct fz_ip *b)
{
	return a->family == b->family && memcmp(a->b, b->b, fz_ip_len(a)) == 0;
}

bool fz_addr_equal(const struct fz_addr *a, const struct fz_addr *b)
{
	return fz_ip_equal(&a->ip, &b->ip) && a->port == b->port && a->scope == b->scope;
}

bool fz_prefix_contains(const struct fz_prefix *p, const struct fz_ip *ip)
{
	if (p->ip.family != ip->family)
		return false;
	size_t whole = p->bits / 8u;
	if (memcmp(p->ip.b, ip->b, whole) != 0)
		return false;
	unsigned rest = p->bits % 8u;
	if (rest == 0)
		return true;
	uint8_t mask = (uint8_t)(0xffu << (8u - rest));
	return ((p->ip.b[whole] ^ ip->b[whole]) & mask) == 0;
}

void fz_prefix_mask(struct fz_prefix *p)
{
	size_t whole = p->bits / 8u;
	unsigned rest = p->bits % 8u;
	if (rest > 0) {
		p->ip.b[whole] = (uint8_t)(p->ip.b[whole] & (0xffu << (8u - rest)));
		whole++;
	}
	if (whole < sizeof(p->ip.b))
		memset(p->ip.b + whole, 0, sizeof(p->ip.b) - whole);
}

int fz_parse_uint(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (text[0] == '\0')
		return -EINVAL;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value) || value > max)
			return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

int fz_ip_parse(const char *text, struct fz_ip *ret_ip)
{
	struct fz_ip ip = { 0 };
	if (inet_pton(AF_INET, text, ip.b) == 1)
		ip.family = FZ_IP4;
	else if (inet_pton(AF_INET6, text, ip.b) == 1)
		ip.family = FZ_IP6;
	else
		return -EINVAL;
	*ret_ip = ip;
	return 0;
}

int fz_prefix_parse(const char *text, struct fz_prefix *ret_prefix)
{
	char ip_text[FZ_IP_TEXT_LEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(ip_text))
		return -EINVAL;
	memcpy(ip_text, text, n);
	ip_text[n] = '\0';

	struct fz_prefix p = { 0 };
	int r = fz_ip_parse(ip_text, &p.ip);
	if (r < 0)
		return r;
	uint64_t most = p.ip.family == FZ_IP4 ? 32 : 128, bits = most;
	if (slash) {
		r = fz_parse_uint(slash + 1, most, &bits);
		if (r < 0)
			return r;
	}
	p.bits = (uint8_t)bits;
	*ret_prefix = p;
	return 0;
}

static int split_host_port(
	const char *text, char host[static FZ_ADDR_TEXT_LEN], const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	if (!colon)
		return -EINVAL;
	const char *start = text, *end = colon;
	if (text[0] == '[') {
		if (colon == text || colon[-1] != ']')
			return -EINVAL;
		start++;
		end--;
	}
	if (end <= start || end - start >= FZ_ADDR_TEXT_LEN)
		return -EINVAL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	*ret_port = colon + 1;
	return 0;
}

int fz_addr_parse(const char *text, struct fz_addr *ret_addr)
{
	char host[FZ_ADDR_TEXT_LEN];
	const char *port_text;
	int r = split_host_port(text, host, &port_text);
	if (r < 0)
		return r;

	uint64_t port, scope = 0;
	char *zone = strchr(host, '%');
	if (zone) {
		*zone = '\0';
		r = fz_parse_uint(zone + 1, UINT32_MAX, &scope);
		if (r < 0)
			return r;
	}
	struct fz_addr a = { 0 };
	r = fz_ip_parse(host, &a.ip);
	if (r < 0)
		return r;
	bool bracketed = text[0] == '[';
	if (bracketed != (a.ip.family == FZ_IP6) || (zone && a.ip.family != FZ_IP6))
		return -EINVAL;
	r = fz_parse_uint(port_text, UINT16_MAX, &port);
	if (r < 0)
		return r;
	a.port = (uint16_t)port;
	a.scope = (uint32_t)scope;
	*ret_addr = a;
	return 0;
}

const char *fz_ip_format(const struct fz_ip *ip, char buf[static FZ_IP_TEXT_LEN])
{
	if (ip->family == FZ_NO_FAMILY ||
		!inet_ntop(ip->family == FZ_IP4 ? AF_INET : AF_INET6, ip->b, buf, FZ_IP_TEXT_LEN))
		memcpy(buf, "none", sizeof("none"));
	return buf;
}

const char *fz_prefix_format(const struct fz_prefix *p, char buf[static FZ_PREFIX_TEXT_LEN])
{
	char ip[FZ_IP_TEXT_LEN];
	snprintf(buf, FZ_PREFIX_TEXT_LEN, "%s/%u", fz_ip_format(&p->ip, ip), (unsigned)p->bits);
	return buf;
}

const char *fz_addr_format(const struct fz_addr *a, char buf[static FZ_ADDR_TEXT_LEN])
{
	char ip[FZ_IP_TEXT_LEN];
	fz_ip_format(&a->ip, ip);
	if (a->ip.family != FZ_IP6)
		snprintf(buf, FZ_ADDR_TEXT_LEN, "%s:%u", ip, (unsigned)a->port);
	else if (a->scope != 0)
		snprintf(buf, FZ_ADDR_TEXT_LEN, "[%s%%%u]:%u", ip, (unsigned)a->scope,
			(unsigned)a->port);
	else
		snprintf(buf, FZ_ADDR_TEXT_LEN, "[%s]:%u", ip, (unsigned)a->port);
	return buf;
}
