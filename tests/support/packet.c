/* See packet.h: slow and obvious on purpose. */
#include "tests/support/packet.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

uint8_t test_packet_payload(uint32_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 23);
}

size_t test_packet_l4_at(const uint8_t *p)
{
	return p[0] >> 4 == 6 ? 40 : (size_t)(p[0] & 15) * 4;
}

static uint32_t pseudo_sum(const uint8_t *p, size_t l4_len)
{
	bool is_v6 = p[0] >> 4 == 6;
	uint32_t sum = is_v6 ? sum_bytes(0, p + 8, 32) : sum_bytes(0, p + 12, 8);
	uint8_t rest[4] = { 0, is_v6 ? p[6] : p[9] };
	put16(rest + 2, (uint32_t)l4_len);
	return sum_bytes(sum, rest, 4);
}

static uint8_t *csum_field(uint8_t *p)
{
	bool is_udp = (p[0] >> 4 == 6 ? p[6] : p[9]) == 17;
	return p + test_packet_l4_at(p) + (is_udp ? 6 : 16);
}

static void finish_ip4(uint8_t *p)
{
	put16(p + 10, 0);
	put16(p + 10, ~sum_bytes(0, p, test_packet_l4_at(p)) & 0xffff);
}

void test_packet_finish(uint8_t *p, size_t n)
{
	size_t l4_at = test_packet_l4_at(p);
	uint8_t *field = csum_field(p);
	if (p[0] >> 4 == 4)
		finish_ip4(p);
	put16(field, 0);
	uint32_t sum = sum_bytes(pseudo_sum(p, n - l4_at), p + l4_at, n - l4_at);
	uint32_t csum = ~sum & 0xffff;
	put16(field, csum == 0 && field == p + l4_at + 6 ? 0xffff : csum);
}

bool test_packet_is_whole(const uint8_t *p, size_t n)
{
	size_t l4_at = test_packet_l4_at(p), ip_len = get16(p + 2);
	if (p[0] >> 4 == 6)
		ip_len = 40 + get16(p + 4);
	else if (sum_bytes(0, p, l4_at) != 0xffff)
		return false;
	bool is_udp = (p[0] >> 4 == 6 ? p[6] : p[9]) == 17;
	if (ip_len != n || (is_udp && get16(p + l4_at + 4) != n - l4_at))
		return false;
	if (is_udp && get16(p + l4_at + 6) == 0)
		return p[0] >> 4 == 4;
	return sum_bytes(pseudo_sum(p, n - l4_at), p + l4_at, n - l4_at) == 0xffff;
}

static size_t write_ip4(const struct test_packet *t, uint8_t *p, size_t l4_len)
{
	size_t len = 20u + t->ip_options_len;
	p[0] = (uint8_t)(0x40 | len / 4);
	p[1] = t->tos;
	put16(p + 2, (uint32_t)(len + l4_len));
	put16(p + 4, t->id);
	put16(p + 6, t->fragment);
	p[8] = t->ttl ? t->ttl : 64;
	p[9] = t->is_udp ? 17 : 6;
	put32(p + 12, 0x0a000000u | t->src);
	put32(p + 16, 0x0a000100u | t->dst);
	memset(p + 20, 1, t->ip_options_len); /* no operation */
	return len;
}

static size_t write_ip6(const struct test_packet *t, uint8_t *p, size_t l4_len)
{
	put32(p, 0x60000000u | (uint32_t)t->tos << 20 | t->flow_label);
	put16(p + 4, (uint32_t)l4_len);
	p[6] = t->is_udp ? 17 : 6;
	p[7] = t->ttl ? t->ttl : 64;
	p[8] = p[24] = 0xfd;
	p[23] = t->src;
	p[38] = 1;
	p[39] = t->dst;
	return 40;
}

size_t test_packet_write(const struct test_packet *t, uint8_t *out)
{
	size_t l4_header = t->is_udp ? 8 : 20u + t->options_len,
	       l4_len = l4_header + t->payload_len;
	memset(out, 0, 120);
	size_t at = t->is_v6 ? write_ip6(t, out, l4_len) : write_ip4(t, out, l4_len);
	uint8_t *l4 = out + at;
	put16(l4, t->sport);
	put16(l4 + 2, t->dport);
	if (t->is_udp) {
		put16(l4 + 4, (uint32_t)l4_len);
	} else {
		put32(l4 + 4, t->seq);
		put32(l4 + 8, t->ack);
		put16(l4 + 12, (uint32_t)l4_header / 4 << 12 | (t->flags ? t->flags : TEST_ACK));
		put16(l4 + 14, t->window);
		put16(l4 + 18, t->urgent);
		memcpy(l4 + 20, t->options, t->options_len);
	}
	for (uint32_t i = 0; i < t->payload_len; i++)
		l4[l4_header + i] = test_packet_payload(t->seq + i);
	test_packet_finish(out, at + l4_len);
	if (t->is_udp && t->has_no_csum)
		put16(l4 + 6, 0);
	return at + l4_len;
}

size_t test_packet_write_frame(const struct test_packet *t, uint16_t gso_size, uint8_t *out)
{
	uint8_t *p = out + 10;
	size_t n = test_packet_write(t, p), l4_at = test_packet_l4_at(p);
	uint8_t type = t->is_udp ? 5 : t->is_v6 ? 4 : 1;
	uint16_t words[4] = { (uint16_t)n, gso_size, (uint16_t)l4_at, t->is_udp ? 6 : 16 };
	put16(csum_field(p), pseudo_sum(p, n - l4_at));
	out[0] = 1;
	out[1] = gso_size ? type : 0;
	memcpy(out + 2, words, sizeof(words)); /* native order */
	return 10 + n;
}
