/* The set of the map: what changes, when packets see it, what stays known, and its limits. */
#include "unit/map_kit.h"

static size_t n_routes(struct fz_map *m)
{
	struct fz_prefix *routes;
	size_t n;
	CHECK_INT(fz_map_routes(m, &routes, &n), 0);
	free(routes);
	return n - 2; /* the ranges of devices */
}

TEST(map, a_new_set_keeps_what_did_not_change)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24"),
		cidr(3, "198.51.100.0/24") };
	struct fz_map *m = map_with(list, 3);
	struct fz_map_gateway g = gateway(1);
	for (size_t i = 0; i < 3; i++)
		fz_map_authorized(m, &list[i].id, &g);
	CHECK_INT(fz_map_set_enabled(m, list[2].id.text, false), 0);
	settle(m);
	list[0].name = "renamed";
	list[1] = cidr(2, "192.0.2.0/25");
	CHECK_INT(fz_map_set_resources(m, list, 3), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "198.51.100.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	CHECK(fz_map_is_used(&g));
	CHECK_INT(fz_map_remove(m, &list[0].id), 0);
	settle(m);
	CHECK(!fz_map_is_used(&g));
	/* A portal that repeats itself, and one that empties it. */
	list[1] = list[0];
	CHECK_INT(fz_map_set_resources(m, list, 2), 0);
	settle(m);
	struct fz_prefix *routes;
	size_t n;
	CHECK_INT(fz_map_routes(m, &routes, &n), 0);
	CHECK_UINT(n, 3);
	free(routes);
	CHECK_INT(fz_map_set_resources(m, NULL, 0), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	fz_map_free(m);
}

TEST(map, packets_see_many_changes_at_once_and_not_before)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24"),
		cidr(3, "198.51.100.0/24") };
	struct fzp_resource other = cidr(2, "192.0.2.0/25"), more = cidr(4, "203.0.113.0/24");
	struct fz_map *m = map_with(list, 3);
	struct fz_map_gateway g = gateway(1);
	for (size_t i = 0; i < 3; i++)
		fz_map_authorized(m, &list[i].id, &g);
	CHECK(!fz_map_has_changed(m));
	CHECK_INT(fz_map_upsert(m, &list[0]), 0);
	CHECK(!fz_map_has_changed(m)); /* nothing new */

	/* Word by word: renamed; another and back again; gone and new; switched off and on. */
	list[0].name = "renamed";
	CHECK_INT(fz_map_upsert(m, &list[0]), 0);
	CHECK_INT(fz_map_upsert(m, &other), 0);
	CHECK_INT(fz_map_upsert(m, &list[1]), 0);
	CHECK_INT(fz_map_remove(m, &list[2].id), 0);
	CHECK_INT(fz_map_upsert(m, &list[2]), 0);
	CHECK_INT(fz_map_upsert(m, &more), 0);
	CHECK(fz_map_has_changed(m));
	CHECK_INT(route(m, AT(0), V4, "198.51.100.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	CHECK_INT(route(m, AT(0), V4, "203.0.113.1", IPPROTO_UDP, 1).verdict, FZ_MAP_REPLY);
	CHECK_UINT(n_routes(m), 3);
	settle(m);
	CHECK(!fz_map_has_changed(m));
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	CHECK_INT(route(m, AT(0), V4, "198.51.100.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "203.0.113.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_UINT(n_routes(m), 4);

	CHECK_INT(fz_map_set_enabled(m, list[0].id.text, false), 0);
	CHECK_INT(fz_map_set_enabled(m, list[0].id.text, true), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	fz_map_free(m);
}

TEST(map, other_filters_make_it_another_resource)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fzp_filter web = { FZP_TCP, 80, 80 };
	struct fzp_id nobody = id_of(7);
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(1);
	fz_map_authorized(m, &list[0].id, &g);
	CHECK_INT(fz_map_set_filters(m, &nobody, &web, 1), 0);
	CHECK(!fz_map_has_changed(m));
	CHECK_INT(fz_map_set_filters(m, &list[0].id, &web, 1), 0);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 80).verdict, FZ_MAP_REPLY);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_TCP, 80).verdict, FZ_MAP_HELD);
	fz_map_free(m);
}

TEST(map, what_waits_and_what_is_asked_for_survive_a_new_name)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24") };
	struct fz_map *m = map_with(list, 2);
	struct fz_map_gateway g = gateway(1), *to = NULL;
	struct fzp_id asked;
	uint8_t held[FZ_MAP_PACKET_MAX];
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 2).verdict, FZ_MAP_HELD);
	list[0].name = "renamed";
	list[1] = cidr(2, "192.0.2.0/25"); /* another one now: nobody asked for it */
	CHECK_INT(fz_map_set_resources(m, list, 2), 0);
	CHECK(fz_map_is_awaited(m, &list[0].id) && fz_map_is_awaited(m, &list[1].id));
	settle(m);
	CHECK(fz_map_is_awaited(m, &list[0].id) && !fz_map_is_awaited(m, &list[1].id));
	CHECK(fz_map_take_request(m, &asked) && fzp_id_equal(&asked, &list[0].id));
	CHECK(!fz_map_take_request(m, &asked));
	fz_map_authorized(m, &list[0].id, &g);
	fz_map_authorized(m, &list[1].id, &g);
	CHECK_UINT(fz_map_take_held(m, held, &to), 28);
	CHECK(to == &g && held[23] == 1);
	CHECK_UINT(fz_map_take_held(m, held, &to), 0);
	fz_map_free(m);
}

TEST(map, an_authorization_between_two_swaps_is_of_what_packets_know)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/8") };
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(1);
	list[0].name = "renamed";
	CHECK_INT(fz_map_upsert(m, &list[0]), 0);
	fz_map_authorized(m, &list[0].id, &g);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	settle(m);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
	fz_map_lost(m, &g);
	CHECK_INT(route(m, AT(0), V4, "10.0.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
	fz_map_free(m);
}

TEST(map, resources_have_a_limit_by_whatever_way_they_come)
{
	struct fz_map *m = map_with(NULL, 0);
	struct fzp_resource r = cidr(0, "10.0.0.0/8");
	for (unsigned i = 0; i < FZP_RESOURCES_MAX; i++) {
		r.id = id_of(i);
		if (fz_map_upsert(m, &r) != 0)
			TEST_FAIL("%u", i);
	}
	r.id = id_of(FZP_RESOURCES_MAX);
	CHECK_INT(fz_map_upsert(m, &r), FZ_ERR_LIMIT);
	r = cidr(5, "11.0.0.0/8"); /* one that is there may become another */
	CHECK_INT(fz_map_upsert(m, &r), 0);
	r = cidr(6, "10.0.0.0/8");
	CHECK_INT(fz_map_remove(m, &r.id), 0);
	r.id = id_of(FZP_RESOURCES_MAX);
	CHECK_INT(fz_map_upsert(m, &r), 0);
	CHECK_INT(fz_map_upsert(m, &r), 0);
	settle(m);
	CHECK_UINT(n_routes(m), 2);
	fz_map_free(m);
}

TEST(map, their_words_have_a_limit_together)
{
	static char long_name[FZP_NAME_MAX + 1];
	memset(long_name, 'x', FZP_NAME_MAX);
	struct fzp_site many[FZP_SITES_MAX];
	for (unsigned i = 0; i < FZP_SITES_MAX; i++)
		many[i] = (struct fzp_site){ id_of(i), long_name };
	struct fzp_resource r = cidr(0, "10.0.0.0/8");
	r.name = r.description = long_name;
	r.n_sites = FZP_SITES_MAX;
	r.sites = many;
	struct fz_map *m = map_with(NULL, 0);
	unsigned n = 0;
	int e = 0;
	while (e == 0 && n < FZP_RESOURCES_MAX) {
		r.id = id_of(n++);
		e = fz_map_upsert(m, &r);
	}
	CHECK_INT(e, FZ_ERR_LIMIT);
	CHECK((uint64_t)n * 18 * FZP_NAME_MAX < FZ_MAP_BYTES_MAX + 18 * FZP_NAME_MAX);
	CHECK((uint64_t)n * 20 * FZP_NAME_MAX > FZ_MAP_BYTES_MAX);
	/* What grows too large is not what it was any more. */
	struct fzp_resource small = cidr(0, "10.0.0.0/8");
	CHECK_INT(fz_map_upsert(m, &small), 0);
	settle(m);
	struct fzp_resource again = r, another = r;
	again.id = id_of(0);
	another.id = id_of(FZP_RESOURCES_MAX);
	CHECK_INT(fz_map_upsert(m, &another), 0); /* into the room that was made */
	CHECK_INT(fz_map_upsert(m, &again), FZ_ERR_LIMIT);
	settle(m);
	CHECK(fz_map_remove(m, &another.id) == 0);
	CHECK_INT(fz_map_upsert(m, &again), 0);
	CHECK_INT(fz_map_set_resources(m, &again, 1), 0);
	CHECK_INT(fz_map_upsert(m, &another), 0);
	fz_map_free(m);
}

TEST(map, without_memory_the_set_is_as_it_was_and_goes_on)
{
	for (unsigned long n = 1;; n++) {
		struct fzp_resource list[] = { cidr(1, "10.0.0.0/8"), cidr(2, "192.0.2.0/24") };
		struct fzp_resource next[] = { cidr(2, "192.0.2.0/24"), cidr(3, "10.1.0.0/16"),
			cidr(1, "10.2.0.0/16") };
		struct fz_map *m = map_with(list, 2);
		struct fz_map_gateway g = gateway(1);
		fz_map_authorized(m, &list[1].id, &g);
		fz_fail_at(n);
		int e = fz_map_set_resources(m, next, 3);
		int built = e == 0 ? fz_map_build(m) : e;
		fz_fail_at(0);
		CHECK(built == 0 || built == -ENOMEM);
		if (e < 0)
			CHECK(!fz_map_has_changed(m));
		settle(m);
		CHECK_INT(route(m, AT(0), V4, "192.0.2.1", IPPROTO_UDP, 1).verdict, FZ_MAP_SEND);
		CHECK_INT(route(m, AT(0), V4, "10.2.0.1", IPPROTO_UDP, 1).verdict, FZ_MAP_HELD);
		CHECK_UINT(n_routes(m), e == 0 ? 3 : 2);
		fz_map_free(m);
		if (built == 0) {
			CHECK(n > 5);
			break;
		}
	}
}

TEST(map, remembers_where_a_resource_was_authorized_last)
{
	struct fzp_resource list[] = { cidr(1, "10.0.0.0/24") }, moved = cidr(1, "10.1.0.0/24");
	struct fz_map *m = map_with(list, 1);
	struct fz_map_gateway g = gateway(5);
	struct fzp_id one = id_of(1), two = id_of(2), found;
	CHECK(!fz_map_previous_gateway(m, &one, &found));
	CHECK(!fz_map_previous_gateway(m, &two, &found));
	fz_map_authorized(m, &one, &g);
	fz_map_lost(m, &g);
	CHECK_INT(fz_map_upsert(m, &moved), 0);
	CHECK(fz_map_previous_gateway(m, &one, &found));
	settle(m);
	CHECK(fz_map_previous_gateway(m, &one, &found));
	CHECK(fzp_id_equal(&found, &g.id));
	fz_map_free(m);
}
