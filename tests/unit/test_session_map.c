/* The map: which packet goes where, what waits, what is answered, what may come back. */
#include "unit/map_kit.h"

TEST(map, the_first_packet_is_held_and_asked_for_and_sent_once_there_is_a_gateway)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(9), *to = NULL;
	struct fzp_id asked;
	uint8_t held[FZ_MAP_PACKET_MAX];
	CHECK(!fz_map_is_awaited(m, &list[0].id));
	CHECK_INT(route(m, AT(0), V4, "10.1.1.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(1), V4, "10.1.1.1", IPPROTO_UDP, 2).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(2), V4, "10.1.1.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK(fz_map_has_events(m) && fz_map_take_request(m, &asked));
	CHECK_STR(asked.text, list[0].id.text);
	CHECK(!fz_map_take_request(m, &asked));
	CHECK_UINT(fz_map_take_held(m, held, &to), 0);
	CHECK(fz_map_is_awaited(m, &list[0].id));
	fz_map_authorized(m, &list[0].id, &g);
	CHECK_UINT(fz_map_take_held(m, held, &to), 28);
	CHECK(to == &g && held[23] == 1);
	CHECK_UINT(fz_map_take_held(m, held, &to), 28);
	CHECK(held[23] == 2);
	CHECK_UINT(fz_map_take_held(m, held, &to), 0); /* the same packet twice was one */
	struct routed r = route(m, AT(3), V4, "10.1.1.1", IPPROTO_TCP, 1);
	CHECK(r.verdict == FZ_MAP_SEND && r.gateway == &g);
	fz_map_free(m);
}

TEST(map, requests_of_one_resource_are_two_seconds_apart)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "10.2.0.0/16") };
	struct fz_map *m = map_with(list, 2);
	struct fzp_id asked;
	(void)route(m, AT(5000), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(fz_map_take_request(m, &asked));
	(void)route(m, AT(6999), V4, "10.1.1.1", IPPROTO_UDP, 2);
	CHECK(!fz_map_take_request(m, &asked));
	(void)route(
		m, AT(6999), V4, "10.2.1.1", IPPROTO_UDP, 2); /* another one has its own clock */
	CHECK(fz_map_take_request(m, &asked));
	CHECK_STR(asked.text, list[1].id.text);
	(void)route(m, AT(7000), V4, "10.1.1.1", IPPROTO_UDP, 3);
	CHECK(fz_map_take_request(m, &asked));
	fz_map_refused(m, &list[0].id, false, AT(8000));
	CHECK(!fz_map_is_awaited(m, &list[0].id));
	(void)route(m, AT(9999), V4, "10.1.1.1", IPPROTO_UDP, 3);
	CHECK(!fz_map_take_request(m, &asked));
	(void)route(m, AT(10'000), V4, "10.1.1.1", IPPROTO_UDP, 3);
	CHECK(fz_map_take_request(m, &asked));
	fz_map_free(m);
}

static void check_asked_at(struct fz_map *m, int before, int at)
{
	struct fzp_id asked;
	(void)route(m, AT(before), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(!fz_map_take_request(m, &asked));
	(void)route(m, AT(at), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(fz_map_take_request(m, &asked));
}

TEST(map, while_gateways_are_offline_requests_become_rarer_until_one_is_back)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(9);
	struct fzp_id asked;
	static const int rests[] = { 100, 200, 400, 800, 1600, 2000, 2000 };
	int at = 0;
	(void)route(m, AT(0), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(fz_map_take_request(m, &asked));
	for (size_t i = 0; i < FZ_ARRAY_LEN(rests); i++) {
		fz_map_refused(m, &list[0].id, true, AT(at));
		check_asked_at(m, at + rests[i] - 1, at + rests[i]);
		at += rests[i];
	}
	fz_map_authorized(m, &list[0].id, &g);
	fz_map_lost(m, &g);
	(void)route(m, AT(at), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(fz_map_take_request(m, &asked));
	fz_map_refused(m, &list[0].id, true, AT(at));
	check_asked_at(m, at + 99, at + 100);
	fz_map_free(m);
}

TEST(map, what_was_switched_off_is_asked_for_at_once_when_it_is_on_again)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(9);
	struct fzp_id asked;
	(void)route(m, AT(0), V4, "10.1.1.1", IPPROTO_UDP, 1);
	CHECK(fz_map_take_request(m, &asked));
	fz_map_authorized(m, &list[0].id, &g);
	CHECK_INT(fz_map_set_enabled(m, list[0].id.text, false), 0);
	settle(m);
	CHECK_INT(fz_map_set_enabled(m, list[0].id.text, true), 0);
	settle(m);
	CHECK_INT(route(m, AT(10), V4, "10.1.1.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK(fz_map_take_request(m, &asked));
	fz_map_free(m);
}

TEST(map, a_filter_that_permits_comes_before_a_longer_prefix_and_that_before_a_larger_id)
{
	struct fzp_filter web[] = { { FZP_TCP, 80, 80 } };
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "10.0.0.0/24"),
		cidr(3, "10.0.0.0/24") };
	list[1].filters = list[2].filters = web;
	list[1].n_filters = list[2].n_filters = 1;
	struct fz_map *m = map_with(list, 3);
	struct fz_map_gateway g[3] = { gateway(1), gateway(2), gateway(3) };
	for (size_t i = 0; i < 3; i++)
		fz_map_authorized(m, &list[i].id, &g[i]);
	CHECK(route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 80).gateway == &g[2]);
	CHECK(route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 22).gateway == &g[0]);
	CHECK(route(m, AT(0), V4, "10.9.0.1", IPPROTO_TCP, 80).gateway == &g[0]);
	CHECK_INT(fz_map_remove(m, &list[0].id), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 22).verdict, FZ_MAP_REPLY);
	fz_map_free(m);
}

/* Type and code of a checked ICMP answer. */
static unsigned icmp_of(const struct routed *r, const char *to)
{
	struct fz_ip dst = ip(to);
	bool is_v4 = dst.family == FZ_IP4;
	size_t header = is_v4 ? 20 : 40;
	CHECK_INT(r->verdict, FZ_MAP_REPLY);
	CHECK_MEM(r->out + (is_v4 ? 16 : 24), dst.b, fz_ip_len(&dst));
	uint32_t sum = 0;
	if (!is_v4) {
		uint8_t pseudo[8] = { [2] = (uint8_t)((r->len - 40) >> 8),
			[3] = (uint8_t)(r->len - 40),
			[7] = IPPROTO_ICMPV6 };
		sum = wg_checksum_add(sum, fz_bytes_of(r->out + 8, 32));
		sum = wg_checksum_add(sum, fz_bytes_of(pseudo, 8));
	}
	sum = wg_checksum_add(sum, fz_bytes_of(r->out + header, r->len - header));
	CHECK_UINT(wg_checksum_finish(sum), 0);
	return r->out[header] * 256u + r->out[header + 1];
}

TEST(map, what_filters_deny_is_prohibited_and_what_nobody_has_unreachable)
{
	struct fzp_filter web[] = { { FZP_TCP, 80, 443 }, { FZP_ICMP, 0, 65'535 } };
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "2001:db8::/32") };
	for (size_t i = 0; i < 2; i++) {
		list[i].filters = web;
		list[i].n_filters = 2;
	}
	struct fz_map *m = map_with(list, 2);
	struct routed r = route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 79);
	CHECK_UINT(icmp_of(&r, V4), 3 * 256 + 13);
	r = route(m, AT(0), V6, "2001:db8::1", IPPROTO_UDP, 80);
	CHECK_UINT(icmp_of(&r, V6), 1 * 256 + 1);
	r = route(m, AT(0), V4, "192.0.2.1", IPPROTO_TCP, 80);
	CHECK_UINT(icmp_of(&r, V4), 3 * 256 + 1);
	r = route(m, AT(0), V6, "2001:db9::1", IPPROTO_TCP, 80);
	CHECK_UINT(icmp_of(&r, V6), 1 * 256 + 3);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_ICMP, 0).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V6, "2001:db8::1", IPPROTO_ICMPV6, 0).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 443).verdict, FZ_MAP_HELD);
	fz_map_free(m);
}

TEST(map, what_is_not_ours_to_send_is_dropped)
{
	struct fzp_resource list[] = { cidr(1, "0.0.0.0/1") };
	struct fz_map *m = map_with(list, 1);
	CHECK_INT(route(m, AT(0), "100.64.0.3", "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_DROP);
	CHECK_INT(route(m, AT(0), V4, V4, IPPROTO_UDP, 1).verdict, FZ_MAP_DROP);
	CHECK_INT(route(m, AT(0), V4, "224.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_DROP);
	CHECK_INT(route(m, AT(0), V4, "255.255.255.255", IPPROTO_UDP, 1).verdict, FZ_MAP_DROP);
	CHECK_INT(route(m, AT(0), V6, "ff02::1", IPPROTO_UDP, 1).verdict, FZ_MAP_DROP);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", 132, 1).verdict, FZ_MAP_DROP); /* SCTP */
	uint8_t out[1280], cut[3] = { 0x45 };
	struct fz_map_gateway *g;
	size_t n;
	CHECK_INT(fz_map_route(m, AT(0), fz_bytes_of(cut, 3), fz_span_of(out, sizeof(out)), &g, &n),
		FZ_MAP_DROP);
	fz_map_free(m);
}

TEST(map, the_internet_resource_takes_the_rest_when_it_is_on_but_never_devices)
{
	struct fzp_resource list[] = { internet(1), cidr(2, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 2);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	CHECK_INT(fz_map_set_internet(m, true), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V6, "2001:db8::1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "100.64.9.9", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	CHECK_INT(route(m, AT(0), V6, "fd00:2021:1111::99", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	struct fz_prefix *routes;
	size_t n;
	CHECK_INT(fz_map_routes(m, &routes, &n), 0);
	CHECK_UINT(n, 2 + 2 + 1);
	free(routes);
	CHECK_INT(fz_map_set_internet(m, false), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	fz_map_free(m);
}

TEST(map, only_what_a_gateway_is_authorized_for_may_come_from_it)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24") };
	struct fz_map *m = map_with(list, 2);
	struct fz_map_gateway a = gateway(1), b = gateway(2);
	fz_map_authorized(m, &list[0].id, &a);
	fz_map_authorized(m, &list[1].id, &b);
	CHECK_INT(accept_from(m, &a, "10.0.0.1", V4), FZ_MAP_DELIVER);
	CHECK_INT(accept_from(m, &a, "192.0.2.1", V4), FZ_MAP_DISCARD); /* b's */
	CHECK_INT(accept_from(m, &a, "198.51.100.1", V4), FZ_MAP_DISCARD); /* nobody's */
	CHECK_INT(accept_from(m, &a, "10.0.0.1", "100.64.0.3"), FZ_MAP_DISCARD); /* not to us */
	CHECK_INT(accept_from(m, &a, "100.64.1.1", V4), FZ_MAP_DELIVER); /* itself */
	CHECK_INT(accept_from(m, &a, "100.64.1.2", V4), FZ_MAP_DISCARD); /* as another gateway */
	CHECK_INT(accept_from(m, &a, "fd00:2021:1111::1:1", V6), FZ_MAP_DELIVER);
	fz_map_lost(m, &a);
	CHECK_INT(accept_from(m, &a, "10.0.0.1", V4), FZ_MAP_DISCARD);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "100.64.1.2", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	CHECK_INT(route(m, AT(0), V4, "100.64.1.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	fz_map_free(m);
}

TEST(map, what_a_gateway_may_not_send_is_counted_by_reason)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/24") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(1);
	struct fzp_id one = id_of(1);
	uint8_t in[64];

	static const struct {
		const char *src, *dst;
		enum fz_session_discard why;
	} rows[] = {
		{ "10.0.1.1", "100.64.0.2", FZ_SESSION_DISCARD_SOURCE },
		{ "100.64.0.2", "100.64.0.2", FZ_SESSION_DISCARD_SOURCE },
		{ "127.0.0.1", "100.64.0.2", FZ_SESSION_DISCARD_SOURCE },
		{ "10.0.0.1", "127.0.0.1", FZ_SESSION_DISCARD_DESTINATION },
		{ "10.0.0.1", "224.0.0.1", FZ_SESSION_DISCARD_DESTINATION },
		{ "fd00:2021:1111::1:1", "::1", FZ_SESSION_DISCARD_DESTINATION },
	};

	fz_map_authorized(m, &one, &g);
	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		size_t n = packet(in, rows[i].src, rows[i].dst, IPPROTO_UDP, 1);
		uint64_t before = fz_map_discarded(m)[rows[i].why];
		CHECK_INT(fz_map_accept(m, AT(0), &g, fz_bytes_of(in, n)), FZ_MAP_DISCARD);
		CHECK_UINT(fz_map_discarded(m)[rows[i].why], before + 1);
	}
	CHECK_INT(fz_map_accept(m, AT(0), &g, fz_bytes_of(in, 3)), FZ_MAP_DISCARD);
	CHECK_UINT(fz_map_discarded(m)[FZ_SESSION_DISCARD_MALFORMED], 1);
	fz_map_free(m);
}

TEST(map, a_goodbye_is_taken_and_other_control_packets_are_ignored)
{
	struct fz_map *m = map_with(NULL, 0);
	struct fz_map_gateway g = gateway(1), other = gateway(2);
	struct fzp_id id = id_of(5);
	uint8_t in[48] = { 0x60, [5] = 8, [6] = 0xff };
	fz_map_authorized(m, &id, &g);
	fz_map_authorized(m, &id, &other);
	CHECK_INT(fz_map_accept(m, AT(0), &g, fz_bytes_of(in, sizeof(in))), FZ_MAP_CONTROL);
	in[40] = 77;
	CHECK_INT(fz_map_accept(m, AT(0), &g, fz_bytes_of(in, sizeof(in))), FZ_MAP_CONTROL);
	CHECK(!fz_map_has_events(m));
	CHECK_UINT(fz_map_discarded(m)[FZ_SESSION_DISCARD_CONTROL], 2);
	in[40] = 2;
	CHECK_INT(fz_map_accept(m, AT(0), &g, fz_bytes_of(in, sizeof(in))), FZ_MAP_CONTROL);
	CHECK(fz_map_has_events(m));
	CHECK(fz_map_take_goodbye_maybe(m) == &g);
	CHECK(!fz_map_take_goodbye_maybe(m));
	CHECK(!fz_map_has_events(m));
	fz_map_free(m);
}

TEST(map, prohibited_by_the_gateway_asks_again)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(1);
	struct fzp_id asked;
	uint8_t in[64];
	fz_map_authorized(m, &list[0].id, &g);
	(void)packet(in, "100.64.1.1", V4, IPPROTO_ICMP, 0);
	in[20] = 3;
	in[21] = 13;
	(void)packet(in + 28, V4, "10.0.0.1", IPPROTO_UDP, 53);
	CHECK_INT(fz_map_accept(m, AT(9000), &g, fz_bytes_of(in, 56)), FZ_MAP_DELIVER);
	CHECK(fz_map_take_request(m, &asked));
	CHECK(fz_map_is_awaited(m, &list[0].id));
	CHECK_INT(fz_map_accept(m, AT(9001), &g, fz_bytes_of(in, 56)), FZ_MAP_DELIVER);
	CHECK(!fz_map_take_request(m, &asked)); /* not each time */
	in[21] = 1;
	CHECK_INT(fz_map_accept(m, AT(20'000), &g, fz_bytes_of(in, 56)), FZ_MAP_DELIVER);
	CHECK(!fz_map_take_request(m, &asked));
	fz_map_free(m);
}

TEST(map, what_waits_goes_with_its_resource_and_the_oldest_gives_way)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24") };
	struct fz_map *m = map_with(list, 2);
	struct fz_map_gateway g = gateway(1), *to;
	uint8_t held[FZ_MAP_PACKET_MAX];
	for (uint16_t i = 0; i < FZ_MAP_HELD_MAX + 10; i++)
		(void)route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, i);
	(void)route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1);
	CHECK_INT(fz_map_remove(m, &list[1].id), 0);
	settle(m);
	fz_map_authorized(m, &list[0].id, &g);
	for (unsigned i = 11; i < FZ_MAP_HELD_MAX + 10; i++) {
		CHECK_UINT(fz_map_take_held(m, held, &to), 28);
		CHECK_UINT(held[22] * 256u + held[23], i);
	}
	CHECK_UINT(fz_map_take_held(m, held, &to), 0);
	fz_map_free(m);
}

TEST(map, later_fragments_and_extension_headers_find_their_way)
{
	struct fzp_filter web[] = { { FZP_TCP, 80, 80 } };
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "2001:db8::/32") };
	for (size_t i = 0; i < 2; i++) {
		list[i].filters = web;
		list[i].n_filters = 1;
	}
	struct fz_map *m = map_with(list, 2);
	uint8_t in[80], out[1280];
	struct fz_map_gateway *g;
	size_t len;
	(void)packet(in, V4, "10.0.0.1", IPPROTO_TCP, 9999);
	in[7] = 4; /* not the first: what looks like a port is none */
	CHECK_INT(
		fz_map_route(m, AT(0), fz_bytes_of(in, 28), fz_span_of(out, sizeof(out)), &g, &len),
		FZ_MAP_HELD);
	in[9] = IPPROTO_UDP; /* denied, but no error is sent about a later fragment */
	CHECK_INT(
		fz_map_route(m, AT(0), fz_bytes_of(in, 28), fz_span_of(out, sizeof(out)), &g, &len),
		FZ_MAP_DROP);
	(void)packet(in, V6, "2001:db8::1", IPPROTO_DSTOPTS, 0);
	memset(in + 40, 0, 40);
	in[5] = 24;
	in[40] = IPPROTO_TCP;
	in[41] = 0;
	in[51] = 80;
	CHECK_INT(
		fz_map_route(m, AT(0), fz_bytes_of(in, 64), fz_span_of(out, sizeof(out)), &g, &len),
		FZ_MAP_HELD);
	in[51] = 81;
	CHECK_INT(
		fz_map_route(m, AT(0), fz_bytes_of(in, 64), fz_span_of(out, sizeof(out)), &g, &len),
		FZ_MAP_REPLY);
	in[41] = 200; /* longer than the packet */
	CHECK_INT(
		fz_map_route(m, AT(0), fz_bytes_of(in, 64), fz_span_of(out, sizeof(out)), &g, &len),
		FZ_MAP_DROP);
	fz_map_free(m);
}

TEST(map, explains_itself)
{
	struct fzp_filter web[] = { { FZP_TCP, 80, 80 } };
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24"),
		internet(3) };
	list[1].filters = web;
	list[1].n_filters = 1;
	struct fz_map *m = map_with(list, 3);
	struct fz_map_gateway g = gateway(1), *to;

	static const struct {
		const char *ip, *words;
		uint8_t protocol;
		uint16_t port;
		enum fz_session_verdict verdict;
	} rows[] = {
		{ "10.0.0.1", "", 0, 0, FZ_SESSION_TUNNEL },
		{ "192.0.2.1", "first packet", IPPROTO_TCP, 80, FZ_SESSION_TUNNEL },
		{ "192.0.2.1", "filters", IPPROTO_TCP, 81, FZ_SESSION_BLOCKED },
		{ "198.51.100.1", "no Resource", 0, 0, FZ_SESSION_PLAIN },
		{ "100.64.1.1", "gateway", 0, 0, FZ_SESSION_TUNNEL },
		{ "100.64.1.9", "no device", 0, 0, FZ_SESSION_UNREACHABLE },
	};

	fz_map_authorized(m, &list[0].id, &g);
	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		struct fz_session_explanation e = { 0 };
		struct fz_ip dst = ip(rows[i].ip);
		fz_map_explain(m, AT(0), &dst, NULL, rows[i].protocol, rows[i].port, &e, &to);
		CHECK_INT(e.verdict, rows[i].verdict);
		CHECK(strstr(e.reason, rows[i].words));
	}
	struct fz_session_explanation e = { 0 };
	struct fz_ip none = { 0 };
	fz_map_explain(m, AT(0), &none, list[2].id.text, 0, 0, &e, &to);
	CHECK_INT(e.verdict, FZ_SESSION_BLOCKED);
	CHECK_STR(e.resource.name, "Internet Resource");
	fz_map_refused(m, &list[1].id, true, AT(1));
	fz_map_explain(m, AT(2), &none, list[1].id.text, 0, 0, &e, &to);
	CHECK_INT(e.verdict, FZ_SESSION_UNREACHABLE);
	CHECK_INT(fz_map_set_enabled(m, list[1].id.text, false), 0);
	settle(m);
	none = ip("192.0.2.1");
	fz_map_explain(m, AT(2), &none, NULL, 0, 0, &e, &to);
	CHECK_INT(e.verdict, FZ_SESSION_BLOCKED);
	CHECK(strstr(e.reason, "switched off"));
	fz_map_free(m);
}

TEST(map, random_packets_and_changes_do_no_harm)
{
	struct test_rng rng = { 0x5eed };
	struct fzp_resource list[16];
	char texts[16][32];
	struct fz_map_gateway g[3] = { gateway(1), gateway(2), gateway(3) };
	struct fz_map *m = map_with(NULL, 0);
	printf("seed %#x\n", 0x5eed);
	for (unsigned round = 0; round < 20'000; round++) {
		uint8_t in[96], out[1280];
		struct fz_map_gateway *to;
		struct fzp_id id = id_of((unsigned)test_rng_below(&rng, 20));
		size_t n = test_rng_below(&rng, sizeof(in)), len;
		test_rng_fill(&rng, in, sizeof(in));
		if (test_rng_below(&rng, 2))
			(void)packet(in, V4, "10.0.0.1", in[0], (uint16_t)(in[1] << 8));
		(void)!fz_map_route(
			m, AT(round), fz_bytes_of(in, n), fz_span_of(out, sizeof(out)), &to, &len);
		(void)!fz_map_accept(m, AT(round), &g[round % 3], fz_bytes_of(in, n));
		switch (test_rng_below(&rng, 40)) {
		case 0:
			for (unsigned i = 0; i < 16; i++) {
				snprintf(texts[i], sizeof(texts[i]), "10.0.%u.0/%u", i % 4,
					8 + (unsigned)test_rng_below(&rng, 25));
				list[i] = cidr(i, texts[i]);
			}
			CHECK_INT(fz_map_set_resources(m, list, 16), 0);
			settle(m);
			break;
		case 1: fz_map_authorized(m, &id, &g[round % 3]); break;
		case 2: fz_map_lost(m, &g[round % 3]); break;
		case 3: fz_map_refused(m, &id, true, AT(round)); break;
		case 4: CHECK_INT(fz_map_remove(m, &id), 0); break;
		case 5: CHECK_INT(fz_map_set_enabled(m, id.text, round & 1), 0); break;
		case 6:
			while (fz_map_take_request(m, &id))
				;
			break;
		case 7:
			while (fz_map_take_held(m, out, &to))
				;
			break;
		case 8:
			list[0] = cidr((unsigned)test_rng_below(&rng, 20), "10.0.0.0/16");
			list[0].name = round & 1 ? "one name" : "another";
			CHECK_INT(fz_map_upsert(m, &list[0]), 0);
			break;
		case 9: CHECK_INT(fz_map_set_internet(m, round & 1), 0); break;
		case 10:
			list[0] = internet(19);
			CHECK_INT(fz_map_upsert(m, &list[0]), 0);
			break;
		case 11: settle(m); break;
		}
	}
	fz_map_free(m);
}
