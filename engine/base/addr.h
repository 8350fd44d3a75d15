/*
 * IP addresses, prefixes and UDP/TCP addresses as plain values; ports in host order. Text forms are
 * numeric only: 192.0.2.1, 2001:db8::1, 10.0.0.0/8, 192.0.2.1:51820, [2001:db8::1%2]:51820. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum fz_family { FZ_NO_FAMILY = 0, FZ_IP4 = 4, FZ_IP6 = 6 };

struct fz_ip {
	uint8_t family; /* enum fz_family */
	uint8_t b[16]; /* network order; the first 4 for IPv4, the rest zero */
};

struct fz_prefix {
	struct fz_ip ip;
	uint8_t bits; /* 0..32 or 0..128 */
};

struct fz_addr {
	struct fz_ip ip;
	uint16_t port;
	uint32_t scope; /* IPv6 interface index, 0 if none */
};

#define FZ_IP_TEXT_LEN     46 /* with NUL */
#define FZ_PREFIX_TEXT_LEN 50
#define FZ_ADDR_TEXT_LEN   66

static inline size_t fz_ip_len(const struct fz_ip *ip)
{
	return ip->family == FZ_IP4 ? 4 : ip->family == FZ_IP6 ? 16 : 0;
}

struct fz_ip fz_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct fz_ip fz_ip_of(enum fz_family family, const void *bytes) FZ_NONNULL(2);
bool fz_ip_equal(const struct fz_ip *a, const struct fz_ip *b) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fz_addr_equal(const struct fz_addr *a, const struct fz_addr *b) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
bool fz_prefix_contains(const struct fz_prefix *p, const struct fz_ip *ip)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Zeroes the bits behind the prefix length. */
void fz_prefix_mask(struct fz_prefix *p) FZ_NONNULL(1);

/* Each returns 0 or -EINVAL and then leaves its output untouched. A prefix without /n is a host. */
int fz_ip_parse(const char *text, struct fz_ip *ret_ip) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
int fz_prefix_parse(const char *text, struct fz_prefix *ret_prefix) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* The zone of an IPv6 address must be numeric here; shells resolve names first. */
int fz_addr_parse(const char *text, struct fz_addr *ret_addr) FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* Each writes a NUL-terminated text into a buffer of the stated length and returns it. */
const char *fz_ip_format(const struct fz_ip *ip, char buf[static FZ_IP_TEXT_LEN]) FZ_NONNULL(1);
const char *fz_prefix_format(const struct fz_prefix *p, char buf[static FZ_PREFIX_TEXT_LEN])
	FZ_NONNULL(1);
const char *fz_addr_format(const struct fz_addr *a, char buf[static FZ_ADDR_TEXT_LEN])
	FZ_NONNULL(1);

/* Decimal digits only, no sign or blanks, at most `max`; 0 or -EINVAL. */
int fz_parse_uint(const char *text, uint64_t max, uint64_t *ret_value)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
