/* The gateway's table of clients and grants: what becomes of each packet, and how grants begin and end. */
#include <errno.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/err.h"
#include "gateway/table.h"
#include "support/test.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"

static struct fz_ip ip(const char *text)
{
	struct fz_ip at;
	CHECK_INT(fz_ip_parse(text, &at), 0);
	return at;
}

static struct fz_prefix prefix(const char *text)
{
	struct fz_prefix p;
	CHECK_INT(fz_prefix_parse(text, &p), 0);
	return p;
}

static struct gw_table *make(void)
{
	struct gw_table *t = gw_table_new((struct fz_hash_key){ 1, 2 });
	CHECK(t != NULL);
	struct fz_ip v4 = ip("100.64.0.1"), v6 = ip("fd00:2021:1111::1");
	gw_table_set_interface(t, &v4, &v6);
	return t;
}

static struct gw_table_grant grant_of(const char *client, const char *resource)
{
	return (struct gw_table_grant){ .client = client,
		.resource = resource,
		.v4 = ip(strcmp(client, A) == 0 ? "100.64.0.2" : "100.64.0.3"),
		.v6 = ip(strcmp(client, A) == 0 ? "fd00:2021:1111::2" : "fd00:2021:1111::3") };
}

static struct gw_client *give(struct gw_table *t, const char *client, const char *resource,
	const char *to, const struct gw_filter *filters, uint32_t n)
{
	struct gw_table_grant g = grant_of(client, resource);
	struct gw_client *c = NULL;
	g.type = to ? GW_RESOURCE_CIDR : GW_RESOURCE_INTERNET;
	if (to)
		g.prefix = prefix(to);
	g.filters = filters;
	g.n_filters = n;
	CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	return c;
}

/* ---- packets ---- */

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };

#define SOME_PORT 40'000

/* `l4` is the destination port, or the ICMP type. */
static struct fz_bytes packet_from(uint8_t *buf, const char *from, uint16_t src_port,
	const char *to, uint8_t protocol, uint16_t l4)
{
	struct fz_ip src = ip(from), dst = ip(to);
	struct fz_writer w = fz_writer_of(fz_span_of(buf, 128));
	if (src.family == FZ_IP4) {
		fz_writer_be32(&w, 0x45000000 | 60);
		fz_writer_be32(&w, 0);
		fz_writer_be32(&w, 64u << 24 | (uint32_t)protocol << 16);
	} else {
		fz_writer_be32(&w, 6u << 28);
		fz_writer_be32(&w, 40u << 16 | (uint32_t)protocol << 8 | 64);
	}
	fz_writer_bytes(&w, fz_bytes_of(src.b, fz_ip_len(&src)));
	fz_writer_bytes(&w, fz_bytes_of(dst.b, fz_ip_len(&dst)));
	if (protocol == ICMP || protocol == ICMP6)
		fz_writer_u8(&w, (uint8_t)l4);
	else
		fz_writer_be32(&w, (uint32_t)src_port << 16 | l4);
	fz_writer_zeros(&w, (src.family == FZ_IP4 ? 60 : 80) - w.len);
	CHECK(!w.bad);
	return fz_writer_written(&w);
}

static struct fz_bytes packet(
	uint8_t *buf, const char *from, const char *to, uint8_t protocol, uint16_t l4)
{
	return packet_from(buf, from, SOME_PORT, to, protocol, l4);
}

static uint8_t answer[GW_TABLE_ANSWER_MAX];
static size_t answer_len;

static enum gw_table_verdict send_up(struct gw_table *t, struct gw_client *c, const char *from,
	const char *to, uint8_t protocol, uint16_t l4)
{
	uint8_t buf[128];
	answer_len = 0;
	return gw_table_from_client(t, c, packet(buf, from, to, protocol, l4),
		fz_span_of(answer, sizeof(answer)), &answer_len);
}

TEST(gateway_table, each_packet_of_a_client_has_its_verdict)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 80, 443 } },
				      pings[] = { { GW_FILTER_ICMP, 0, 65535 },
					      { GW_FILTER_UDP, 53, 53 } };
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r-open", "10.9.0.0/24", NULL, 0);
	give(t, A, "r-web", "10.8.0.0/16", web, 1);
	give(t, A, "r-ping", "10.8.7.0/24", pings, 2);
	give(t, A, "r-six", "fd09::/64", NULL, 0);

	static const struct {
		const char *from, *to;
		uint8_t protocol;
		uint16_t l4;
		enum gw_table_verdict want;
	} table[] = {
		{ "100.64.0.2", "10.9.0.5", TCP, 22, GW_TABLE_KEEP },
		{ "100.64.0.2", "10.9.0.5", ICMP, 8, GW_TABLE_KEEP },
		{ "100.64.0.2", "10.9.0.5", 47, 0, GW_TABLE_KEEP },
		{ "100.64.0.2", "10.9.1.5", TCP, 22, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.0.1", TCP, 443, GW_TABLE_KEEP },
		{ "100.64.0.2", "10.8.0.1", TCP, 444, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.0.1", UDP, 80, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.0.1", ICMP, 8, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.0.1", 47, 0, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.7.1", TCP, 80, GW_TABLE_KEEP }, /* by the wider one */
		{ "100.64.0.2", "10.8.7.1", TCP, 22, GW_TABLE_REPLY },
		{ "100.64.0.2", "10.8.7.1", UDP, 53, GW_TABLE_KEEP },
		{ "100.64.0.2", "10.8.7.1", ICMP, 8, GW_TABLE_KEEP },
		{ "100.64.0.2", "100.64.0.1", TCP, 22, GW_TABLE_KEEP },
		{ "100.64.0.2", "100.64.0.9", TCP, 22, GW_TABLE_REPLY },
		{ "100.64.0.2", "100.96.0.1", TCP, 22, GW_TABLE_REPLY },
		{ "100.64.0.2", "8.8.8.8", TCP, 22, GW_TABLE_REPLY },
		{ "100.64.0.2", "224.0.0.1", UDP, 5353, GW_TABLE_DROP_MULTICAST },
		{ "100.64.0.2", "10.9.0.5", ICMP, 3, GW_TABLE_DROP_ICMP_ERROR },
		{ "100.64.0.3", "10.9.0.5", TCP, 22, GW_TABLE_DROP_SOURCE },
		{ "10.9.0.5", "10.9.0.6", TCP, 22, GW_TABLE_DROP_SOURCE },
		{ "fd00:2021:1111::2", "fd09::5", TCP, 22, GW_TABLE_KEEP },
		{ "fd00:2021:1111::2", "fd09::5", ICMP6, 128, GW_TABLE_KEEP },
		{ "fd00:2021:1111::2", "fd09::5", ICMP6, 1, GW_TABLE_DROP_ICMP_ERROR },
		{ "fd00:2021:1111::2", "fd08::5", TCP, 22, GW_TABLE_REPLY },
		{ "fd00:2021:1111::2", "fd00:2021:1111::1", TCP, 22, GW_TABLE_KEEP },
		{ "fd00:2021:1111::2", "fd00:2021:1111::9", TCP, 22, GW_TABLE_REPLY },
		{ "fd00:2021:1111::2", "ff02::1", UDP, 5353, GW_TABLE_DROP_MULTICAST },
		{ "fd00:2021:1111::3", "fd09::5", TCP, 22, GW_TABLE_DROP_SOURCE },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(table); i++) {
		enum gw_table_verdict got =
			send_up(t, c, table[i].from, table[i].to, table[i].protocol, table[i].l4);
		if (got != table[i].want)
			TEST_FAIL("%zu: %s to %s, protocol %u, %u: %d", i, table[i].from,
				table[i].to, table[i].protocol, table[i].l4, (int)got);
	}
	uint64_t total = 0;
	for (int v = 0; v < GW_TABLE_VERDICT_COUNT_; v++)
		total += gw_table_counts(t)[v];
	CHECK_UINT(total, FZ_ARRAY_LEN(table));
	gw_table_free(t);
}

TEST(gateway_table, what_permits_beats_what_is_longer_and_each_grant_ends_by_itself)
{
	static const struct gw_filter tcp[] = { { GW_FILTER_TCP, 20, 100 } },
				      udp[] = { { GW_FILTER_UDP, 20, 100 } };
	struct gw_table *t = make();
	struct gw_client *c = NULL;
	for (int i = 0; i < 2; i++) {
		struct gw_table_grant g = grant_of(A, i == 0 ? "r-1" : "r-2");
		g.type = GW_RESOURCE_CIDR;
		g.prefix = prefix("10.9.0.0/24");
		g.filters = i == 0 ? tcp : udp;
		g.n_filters = 1;
		g.expires_at = i == 0 ? 1000 : 2000;
		CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	}
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 80), GW_TABLE_KEEP);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", UDP, 80), GW_TABLE_KEEP);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", UDP, 101), GW_TABLE_REPLY);
	gw_table_poll(t, 1000);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 80), GW_TABLE_REPLY);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", UDP, 80), GW_TABLE_KEEP);
	gw_table_poll(t, 2000);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", UDP, 80), GW_TABLE_REPLY);
	gw_table_free(t);
}

TEST(gateway_table, whatever_the_order_of_grants_the_same_packets_pass)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 443, 443 } },
				      dns[] = { { GW_FILTER_UDP, 53, 53 } };

	static const struct {
		const char *resource, *to;
		const struct gw_filter *filters;
	} grants[] = {
		{ "r-1", "10.0.0.0/8", web },
		{ "r-2", "10.9.0.0/16", dns },
		{ "r-3", "10.9.0.0/24", web },
		{ "r-4", NULL, NULL },
	};

	for (size_t first = 0; first < FZ_ARRAY_LEN(grants); first++) {
		struct gw_table *t = make();
		for (size_t i = 0; i < FZ_ARRAY_LEN(grants); i++) {
			size_t k = (first + i) % FZ_ARRAY_LEN(grants);
			(void)give(t, A, grants[k].resource, grants[k].to, grants[k].filters,
				grants[k].filters ? 1 : 0);
		}
		/* A grant may come again with another address. */
		struct gw_client *c = give(t, A, "r-3", "10.9.1.0/24", web, 1);
		CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 443), GW_TABLE_KEEP);
		CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.1.5", UDP, 53), GW_TABLE_KEEP);
		CHECK_INT(send_up(t, c, "100.64.0.2", "10.8.0.5", UDP, 53), GW_TABLE_REPLY);
		CHECK_UINT(answer[21], 13);
		CHECK_INT(send_up(t, c, "100.64.0.2", "192.168.0.5", UDP, 53), GW_TABLE_REPLY);
		CHECK_UINT(answer[21], 0);
		CHECK_INT(send_up(t, c, "100.64.0.2", "9.9.9.9", UDP, 53), GW_TABLE_KEEP);
		gw_table_reject(t, A, "r-1");
		CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 443), GW_TABLE_REPLY);
		gw_table_free(t);
	}
}

TEST(gateway_table, the_internet_is_what_is_nobodys_own)
{
	static const struct {
		const char *to;
		enum gw_table_verdict want;
		uint8_t code;
	} table[] = {
		{ "8.8.8.8", GW_TABLE_KEEP, 0 },
		{ "10.1.2.3", GW_TABLE_REPLY, 0 },
		{ "172.31.0.1", GW_TABLE_REPLY, 0 },
		{ "172.32.0.1", GW_TABLE_KEEP, 0 },
		{ "192.168.1.1", GW_TABLE_REPLY, 0 },
		{ "127.0.0.1", GW_TABLE_REPLY, 0 },
		{ "169.254.169.254", GW_TABLE_REPLY, 0 },
		{ "100.127.0.1", GW_TABLE_REPLY, 0 },
		{ "100.64.0.9", GW_TABLE_REPLY, 13 },
		{ "10.9.0.5", GW_TABLE_KEEP, 0 },
	};
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r-internet", NULL, NULL, 0);
	give(t, A, "r-office", "10.9.0.0/24", NULL, 0);
	for (size_t i = 0; i < FZ_ARRAY_LEN(table); i++) {
		enum gw_table_verdict got = send_up(t, c, "100.64.0.2", table[i].to, TCP, 443);
		if (got != table[i].want || (got == GW_TABLE_REPLY && answer[21] != table[i].code))
			TEST_FAIL("%s: %d code %u", table[i].to, (int)got, answer[21]);
	}
	CHECK_INT(send_up(t, c, "fd00:2021:1111::2", "2606:4700::1111", TCP, 443), GW_TABLE_KEEP);
	CHECK_INT(send_up(t, c, "fd00:2021:1111::2", "fd77::1", TCP, 443), GW_TABLE_REPLY);
	CHECK_INT(send_up(t, c, "fd00:2021:1111::2", "fe80::1", TCP, 443), GW_TABLE_REPLY);
	CHECK_INT(send_up(t, c, "fd00:2021:1111::2", "::ffff:10.0.0.1", TCP, 443), GW_TABLE_REPLY);
	gw_table_free(t);
}

/* The Internet checksum, anew: what the table computes must come out as zero here. */
static uint16_t sum(const uint8_t *p, size_t n, uint32_t start)
{
	uint32_t s = start;
	for (size_t i = 0; i + 1 < n; i += 2)
		s += fz_be16_load(p + i);
	if (n % 2)
		s += (uint32_t)p[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

TEST(gateway_table, a_refusal_comes_from_where_the_packet_went_and_quotes_it)
{
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r", "10.9.0.0/24", NULL, 0);
	struct fz_bytes p = packet(buf, "100.64.0.2", "10.1.0.5", TCP, 22);
	CHECK_INT(gw_table_from_client(t, c, p, fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_REPLY);
	CHECK_UINT(answer_len, 28 + p.n);
	CHECK_MEM(answer + 12, p.p + 16, 4);
	CHECK_MEM(answer + 16, p.p + 12, 4);
	CHECK(answer[20] == 3 && answer[21] == 13);
	CHECK_MEM(answer + 28, p.p, p.n);
	CHECK_UINT(sum(answer, 20, 0), 0);
	CHECK_UINT(sum(answer + 20, answer_len - 20, 0), 0);

	p = packet(buf, "fd00:2021:1111::2", "fd08::5", TCP, 22);
	CHECK_INT(gw_table_from_client(t, c, p, fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_REPLY);
	CHECK_UINT(answer_len, 48 + p.n);
	CHECK_MEM(answer + 8, p.p + 24, 16);
	CHECK_MEM(answer + 24, p.p + 8, 16);
	CHECK(answer[40] == 1 && answer[41] == 1);
	CHECK_MEM(answer + 48, p.p, p.n);
	CHECK_UINT(sum(answer + 8, answer_len - 8, (uint32_t)(answer_len - 40) + 58), 0);
	gw_table_free(t);
}

TEST(gateway_table, what_is_no_packet_is_dropped_whatever_its_length)
{
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r", "10.9.0.0/24", NULL, 0), *to;
	static const char *const pairs[][2] = { { "100.64.0.2", "10.9.0.5" },
		{ "fd00:2021:1111::2", "fd09::5" } };
	for (size_t i = 0; i < FZ_ARRAY_LEN(pairs); i++) {
		struct fz_bytes p = packet(buf, pairs[i][0], pairs[i][1], TCP, 22);
		for (size_t n = 0; n < p.n; n++) {
			CHECK_INT(gw_table_from_client(t, c, fz_bytes_of(p.p, n),
					  fz_span_of(answer, sizeof(answer)), &answer_len),
				GW_TABLE_DROP_MALFORMED);
			CHECK_INT(gw_table_from_tun(t, fz_bytes_of(p.p, n), &to),
				GW_TABLE_DROP_MALFORMED);
		}
	}
	buf[0] = 0x44; /* a header shorter than a header */
	CHECK_INT(gw_table_from_client(t, c, fz_bytes_of(buf, 60),
			  fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_DROP_MALFORMED);
	gw_table_free(t);
}

TEST(gateway_table, a_later_fragment_passes_only_where_nothing_is_filtered)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 0, 65535 } };
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r", "10.9.0.0/24", NULL, 0);
	give(t, A, "r-web", "10.8.0.0/16", web, 1);
	struct fz_bytes p = packet(buf, "100.64.0.2", "10.9.0.5", TCP, 22);
	buf[7] = 8;
	CHECK_INT(gw_table_from_client(t, c, p, fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_KEEP);
	p = packet(buf, "100.64.0.2", "10.8.0.5", TCP, 22);
	buf[7] = 8;
	CHECK_INT(gw_table_from_client(t, c, p, fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_DROP_SILENTLY);
	gw_table_free(t);
}

TEST(gateway_table, answers_reach_the_client_that_was_granted_their_source)
{
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *a = give(t, A, "r", "10.9.0.0/24", NULL, 0), *to = NULL;
	give(t, B, "r", "10.8.0.0/24", NULL, 0);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.0.2", TCP, 1), &to),
		GW_TABLE_KEEP);
	CHECK(to == a);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.0.3", TCP, 1), &to),
		GW_TABLE_DROP_NOT_GRANTED);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.0.3", ICMP, 3), &to),
		GW_TABLE_KEEP);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "100.64.0.1", "100.64.0.2", TCP, 1), &to),
		GW_TABLE_KEEP);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.0.4", TCP, 1), &to),
		GW_TABLE_DROP_UNKNOWN);
	gw_table_free(t);
}

static enum gw_table_verdict send_down(
	struct gw_table *t, const char *from, uint16_t port, uint8_t protocol, uint16_t l4)
{
	uint8_t buf[128];
	struct gw_client *to = NULL;
	const char *client = strchr(from, ':') ? "fd00:2021:1111::2" : "100.64.0.2";
	return gw_table_from_tun(t, packet_from(buf, from, port, client, protocol, l4), &to);
}

TEST(gateway_table, an_answer_passes_where_the_question_could)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 80, 443 } },
				      pings[] = { { GW_FILTER_ICMP, 0, 65535 },
					      { GW_FILTER_UDP, 53, 53 } };

	static const struct {
		const char *from;
		uint16_t port;
		uint8_t protocol;
		uint16_t l4;
		enum gw_table_verdict want;
	} table[] = {
		{ "10.8.0.1", 443, TCP, SOME_PORT, GW_TABLE_KEEP },
		{ "10.8.0.1", 444, TCP, 443, GW_TABLE_DROP_NOT_GRANTED },
		{ "10.8.0.1", 443, UDP, SOME_PORT, GW_TABLE_DROP_NOT_GRANTED },
		{ "10.8.0.1", 0, ICMP, 0, GW_TABLE_DROP_NOT_GRANTED },
		{ "10.8.0.1", 0, ICMP, 3, GW_TABLE_KEEP }, /* errors pass everywhere */
		{ "10.8.0.1", 0, 47, 0, GW_TABLE_DROP_NOT_GRANTED },
		{ "10.8.7.1", 53, UDP, SOME_PORT, GW_TABLE_KEEP },
		{ "10.8.7.1", 80, TCP, SOME_PORT, GW_TABLE_KEEP },
		{ "10.8.7.1", 0, ICMP, 0, GW_TABLE_KEEP },
		{ "172.16.0.1", 443, TCP, SOME_PORT, GW_TABLE_DROP_NOT_GRANTED },
		{ "100.64.0.1", 443, TCP, SOME_PORT, GW_TABLE_KEEP },
		{ "100.64.0.9", 443, TCP, SOME_PORT, GW_TABLE_DROP_NOT_GRANTED },
		{ "100.64.0.9", 0, ICMP, 3, GW_TABLE_DROP_NOT_GRANTED },
		{ "fd00:2021:1111::9", 443, TCP, SOME_PORT, GW_TABLE_DROP_NOT_GRANTED },
		{ "fd00:2021:1111::9", 0, ICMP6, 1, GW_TABLE_DROP_NOT_GRANTED },
	};
	struct gw_table *t = make();
	give(t, A, "r-web", "10.8.0.0/16", web, 1);
	give(t, A, "r-ping", "10.8.7.0/24", pings, 2);
	/* Whatever a portal grants: no Resource has a device's address. */
	give(t, A, "r-devices", "100.64.0.0/11", NULL, 0);
	for (size_t i = 0; i < FZ_ARRAY_LEN(table); i++) {
		enum gw_table_verdict got =
			send_down(t, table[i].from, table[i].port, table[i].protocol, table[i].l4);
		if (got != table[i].want)
			TEST_FAIL("%zu: from %s, protocol %u: %d", i, table[i].from,
				table[i].protocol, (int)got);
	}
	gw_table_free(t);
}

TEST(gateway_table, with_the_internet_no_private_address_answers)
{
	struct gw_table *t = make();
	give(t, A, "r-internet", NULL, NULL, 0);
	CHECK_INT(send_down(t, "9.9.9.9", 443, TCP, SOME_PORT), GW_TABLE_KEEP);
	CHECK_INT(send_down(t, "192.168.1.1", 443, TCP, SOME_PORT), GW_TABLE_DROP_NOT_GRANTED);
	CHECK_INT(send_down(t, "192.168.1.1", 0, ICMP, 11), GW_TABLE_KEEP);
	CHECK_INT(send_down(t, "100.64.0.9", 443, TCP, SOME_PORT), GW_TABLE_DROP_NOT_GRANTED);
	CHECK_INT(send_down(t, "2606:4700::1111", 443, TCP, SOME_PORT), GW_TABLE_KEEP);
	CHECK_INT(send_down(t, "fd77::1", 443, TCP, SOME_PORT), GW_TABLE_DROP_NOT_GRANTED);
	give(t, A, "r-office", "192.168.1.0/24", NULL, 0);
	CHECK_INT(send_down(t, "192.168.1.1", 443, TCP, SOME_PORT), GW_TABLE_KEEP);
	gw_table_free(t);
}

/* Puts a header of eight bytes in front of what follows the IPv6 header. */
static struct fz_bytes behind(uint8_t *buf, struct fz_bytes p, uint8_t extension)
{
	memmove(buf + 48, buf + 40, p.n - 40);
	memset(buf + 40, 0, 8);
	buf[40] = buf[6];
	buf[6] = extension;
	fz_be16_store(buf + 4, (uint16_t)(p.n + 8 - 40));
	return fz_bytes_of(buf, p.n + 8);
}

TEST(gateway_table, extension_headers_hide_nothing)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 80, 80 } };
	static const uint8_t kinds[] = { 0, 43, 44,
		60 }; /* hop by hop, routing, fragment, destination */
	uint8_t buf[256];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r-six", "fd09::/64", web, 1), *to;
	struct fz_span out = fz_span_of(answer, sizeof(answer));
	for (size_t i = 0; i < FZ_ARRAY_LEN(kinds); i++) {
		struct fz_bytes p = packet(buf, "fd00:2021:1111::2", "fd09::5", ICMP6, 1);
		p = behind(buf, behind(buf, p, kinds[i]), 60);
		CHECK_INT(
			gw_table_from_client(t, c, p, out, &answer_len), GW_TABLE_DROP_ICMP_ERROR);
		p = packet(buf, "fd00:2021:1111::2", "fd09::5", TCP, 80);
		p = behind(buf, p, kinds[i]);
		CHECK_INT(gw_table_from_client(t, c, p, out, &answer_len), GW_TABLE_KEEP);
		p = packet(buf, "fd00:2021:1111::2", "fd09::5", TCP, 81);
		p = behind(buf, p, kinds[i]);
		CHECK_INT(gw_table_from_client(t, c, p, out, &answer_len), GW_TABLE_REPLY);
		p = packet_from(buf, "fd09::5", 81, "fd00:2021:1111::2", TCP, SOME_PORT);
		CHECK_INT(gw_table_from_tun(t, behind(buf, p, kinds[i]), &to),
			GW_TABLE_DROP_NOT_GRANTED);
	}
	gw_table_free(t);
}

TEST(gateway_table, the_rest_of_an_answer_in_pieces_follows_its_protocol)
{
	static const struct gw_filter dns[] = { { GW_FILTER_UDP, 53, 53 } };
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *to;
	give(t, A, "r-dns", "10.9.0.0/24", dns, 1);
	struct fz_bytes p = packet(buf, "10.9.0.5", "100.64.0.2", UDP, 1);
	buf[7] = 8;
	CHECK_INT(gw_table_from_tun(t, p, &to), GW_TABLE_KEEP);
	p = packet(buf, "10.9.0.5", "100.64.0.2", TCP, 1);
	buf[7] = 8;
	CHECK_INT(gw_table_from_tun(t, p, &to), GW_TABLE_DROP_NOT_GRANTED);
	gw_table_free(t);
}

/* ---- life ---- */

TEST(gateway_table, the_last_grant_gone_a_goodbye_is_due)
{
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r1", "10.9.0.0/24", NULL, 0);
	give(t, A, "r2", "10.8.0.0/24", NULL, 0);
	struct gw_table_event e;
	gw_table_reject(t, A, "r1");
	CHECK(!gw_table_take_event(t, &e));
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 22), GW_TABLE_REPLY);
	gw_table_reject(t, A, "no such");
	gw_table_reject(t, B, "r2");
	gw_table_reject(t, A, "r2");
	CHECK(gw_table_take_event(t, &e));
	CHECK(e.client == c && e.kind == GW_TABLE_SAY_GOODBYE);
	CHECK(!gw_table_take_event(t, &e));
	gw_table_remove(t, c);
	CHECK_UINT(gw_table_n_clients(t), 0);
	CHECK(!gw_table_find_maybe(t, A));
	gw_table_free(t);
}

TEST(gateway_table, a_new_grant_takes_the_goodbye_back)
{
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r1", "10.9.0.0/24", NULL, 0);
	struct gw_table_event e;
	gw_table_reject(t, A, "r1");
	CHECK(give(t, A, "r2", "10.8.0.0/24", NULL, 0) == c);
	CHECK(!gw_table_take_event(t, &e));
	gw_table_free(t);
}

TEST(gateway_table, a_goodbye_from_the_client_is_heard)
{
	uint8_t goodbye[GW_GOODBYE_LEN];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r1", "10.9.0.0/24", NULL, 0);
	struct gw_table_event e;
	gw_table_write_goodbye(goodbye);
	goodbye[40] = 7; /* a kind nobody knows */
	CHECK_INT(gw_table_from_client(t, c, fz_bytes_of(goodbye, sizeof(goodbye)),
			  fz_span_of(answer, sizeof(answer)), &answer_len),
		GW_TABLE_CONTROL);
	CHECK(!gw_table_take_event(t, &e));
	gw_table_write_goodbye(goodbye);
	for (int i = 0; i < 3; i++)
		CHECK_INT(gw_table_from_client(t, c, fz_bytes_of(goodbye, sizeof(goodbye)),
				  fz_span_of(answer, sizeof(answer)), &answer_len),
			GW_TABLE_CONTROL);
	CHECK(gw_table_take_event(t, &e));
	CHECK(e.client == c && e.kind == GW_TABLE_HEARD_GOODBYE);
	CHECK(!gw_table_take_event(t, &e));
	gw_table_free(t);
}

TEST(gateway_table, grants_end_at_their_second)
{
	struct gw_table *t = make();
	struct gw_client *c = NULL;
	struct gw_table_event e;
	struct gw_table_grant g = grant_of(A, "r1");
	g.type = GW_RESOURCE_CIDR;
	g.prefix = prefix("10.9.0.0/24");
	g.expires_at = 1000;
	CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	CHECK_UINT(gw_table_deadline(t), 1000);
	gw_table_poll(t, 999);
	CHECK(!gw_table_take_event(t, &e));
	gw_table_poll(t, 1000);
	CHECK(gw_table_take_event(t, &e) && e.client == c);
	CHECK(gw_table_deadline(t) == UINT64_MAX);
	gw_table_free(t);
}

TEST(gateway_table, a_grant_that_was_prolonged_ends_later_and_others_in_their_turn)
{
	struct gw_table *t = make();
	struct gw_client *c = NULL;
	struct gw_table_event e;
	struct gw_table_grant g = grant_of(A, "r1");
	g.type = GW_RESOURCE_CIDR;
	g.prefix = prefix("10.9.0.0/24");
	g.expires_at = 1000;
	CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	g.expires_at = 3000;
	CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	g.resource = "r2";
	g.expires_at = 2000;
	CHECK_INT(gw_table_authorize(t, &g, &c), 0);
	CHECK(gw_table_deadline(t) <= 2000);
	gw_table_poll(t, 1000);
	CHECK_UINT(gw_table_n_grants(t), 2);
	CHECK_UINT(gw_table_deadline(t), 2000);
	gw_table_poll(t, 2000);
	CHECK_UINT(gw_table_n_grants(t), 1);
	CHECK_UINT(gw_table_deadline(t), 3000);
	gw_table_poll(t, 3000);
	CHECK(gw_table_take_event(t, &e) && e.client == c);
	gw_table_free(t);
}

TEST(gateway_table, an_init_revokes_what_it_does_not_name_and_moves_expiries)
{
	struct gw_table *t = make();
	struct gw_client *a = give(t, A, "r1", "10.9.0.0/24", NULL, 0);
	struct gw_client *b = give(t, B, "r1", "10.9.0.0/24", NULL, 0);
	give(t, A, "r2", "10.8.0.0/24", NULL, 0);
	struct gw_table_event e;
	gw_table_init_begin(t);
	gw_table_init_keep(t, A, "r1", 5000);
	gw_table_init_keep(t, A, "r9", 0);
	gw_table_init_keep(t, "nobody", "r1", 0);
	gw_table_init_end(t);
	CHECK_UINT(gw_table_n_grants(t), 1);
	CHECK_UINT(gw_table_deadline(t), 5000);
	CHECK_INT(send_up(t, a, "100.64.0.2", "10.9.0.5", TCP, 22), GW_TABLE_KEEP);
	CHECK_INT(send_up(t, a, "100.64.0.2", "10.8.0.5", TCP, 22), GW_TABLE_REPLY);
	CHECK(gw_table_take_event(t, &e) && e.client == b);
	gw_table_free(t);
}

TEST(gateway_table, an_update_changes_filters_everywhere)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 80, 80 } };
	struct gw_table *t = make();
	struct gw_client *a = give(t, A, "r1", "10.9.0.0/24", NULL, 0);
	struct gw_client *b = give(t, B, "r1", "10.9.0.0/24", NULL, 0);
	CHECK_INT(gw_table_update(t, "r1", web, 1), 0);
	CHECK_INT(send_up(t, a, "100.64.0.2", "10.9.0.5", TCP, 22), GW_TABLE_REPLY);
	CHECK_INT(send_up(t, b, "100.64.0.3", "10.9.0.5", TCP, 80), GW_TABLE_KEEP);
	gw_table_free(t);
}

TEST(gateway_table, a_client_may_get_other_addresses)
{
	uint8_t buf[128];
	struct gw_table *t = make();
	struct gw_client *c = give(t, A, "r1", "10.9.0.0/24", NULL, 0), *to = NULL;
	struct gw_table_grant g = grant_of(A, "r1");
	g.type = GW_RESOURCE_CIDR;
	g.prefix = prefix("10.9.0.0/24");
	g.v4 = ip("100.64.7.7");
	CHECK_INT(gw_table_authorize(t, &g, &to), 0);
	CHECK(to == c);
	CHECK_INT(send_up(t, c, "100.64.0.2", "10.9.0.5", TCP, 22), GW_TABLE_DROP_SOURCE);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.7.7", TCP, 1), &to),
		GW_TABLE_KEEP);
	CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", "100.64.0.2", TCP, 1), &to),
		GW_TABLE_DROP_UNKNOWN);
	gw_table_free(t);
}

TEST(gateway_table, thousands_of_clients_are_told_apart)
{
	enum { N = 3000 };
	static struct gw_client *clients[N];
	uint8_t buf[128];
	struct gw_table *t = make();
	for (int i = 0; i < N; i++) {
		char id[GW_ID_LEN], v4[32], v6[48];
		snprintf(id, sizeof(id), "client-%d", i);
		snprintf(v4, sizeof(v4), "100.65.%d.%d", i / 256, i % 256);
		snprintf(v6, sizeof(v6), "fd00:2021:1111::1:%x", i);
		struct gw_table_grant g = { .client = id,
			.resource = "r",
			.v4 = ip(v4),
			.v6 = ip(v6),
			.type = GW_RESOURCE_CIDR,
			.prefix = prefix("10.9.0.0/24") };
		CHECK_INT(gw_table_authorize(t, &g, &clients[i]), 0);
	}
	for (int i = 0; i < N; i += 7) {
		char v4[32];
		struct gw_client *to = NULL;
		snprintf(v4, sizeof(v4), "100.65.%d.%d", i / 256, i % 256);
		CHECK_INT(gw_table_from_tun(t, packet(buf, "10.9.0.5", v4, TCP, 1), &to),
			GW_TABLE_KEEP);
		CHECK(to == clients[i]);
	}
	for (int i = 0; i < N; i += 2)
		gw_table_remove(t, clients[i]);
	CHECK_UINT(gw_table_n_clients(t), N / 2);
	CHECK(gw_table_find_maybe(t, "client-1") && !gw_table_find_maybe(t, "client-2"));
	gw_table_free(t);
}

TEST(gateway_table, without_memory_nothing_is_granted_and_nothing_lost)
{
	static const struct gw_filter web[] = { { GW_FILTER_TCP, 80, 80 } };
	for (unsigned long n = 1;; n++) {
		struct gw_table *t = make();
		struct gw_client *a = give(t, A, "r1", "10.9.0.0/24", NULL, 0), *b = NULL;
		struct gw_table_grant g = grant_of(B, "r1");
		g.filters = web;
		g.n_filters = 1;
		fz_fail_at(n);
		int r = gw_table_authorize(t, &g, &b);
		fz_fail_at(0);
		CHECK(r == 0 || r == -ENOMEM);
		CHECK_UINT(gw_table_n_clients(t), r == 0 ? 2 : 1);
		CHECK_INT(send_up(t, a, "100.64.0.2", "10.9.0.5", TCP, 22), GW_TABLE_KEEP);
		gw_table_free(t);
		if (r == 0) {
			CHECK(n > 2);
			break;
		}
	}
}

TEST(gateway_table, ids_that_do_not_fit_and_missing_addresses_are_refused)
{
	struct gw_table *t = make();
	struct gw_client *c = NULL;
	struct gw_table_grant g = grant_of(A, "r1");
	g.client = "an-id-that-is-longer-than-any-uuid-will-ever-be";
	CHECK_INT(gw_table_authorize(t, &g, &c), -EINVAL);
	g = grant_of(A, "r1");
	g.v6 = (struct fz_ip){ 0 };
	CHECK_INT(gw_table_authorize(t, &g, &c), -EINVAL);
	CHECK_UINT(gw_table_n_clients(t), 0);
	gw_table_free(t);
}
