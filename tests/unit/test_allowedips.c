/* Cryptokey routing: cases by name, and a list searched from end to end as the model. */
#include <errno.h>

#include "base/addr.h"
#include "support/test.h"
#include "wg/allowedips.h"

#define N_OWNERS 8

struct fixture {
	struct wg_allowedips table;
	struct wg_allowed_owner owners[N_OWNERS];
};

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	CHECK(f != NULL);
	wg_allowedips_init(&f->table);
	for (int i = 0; i < N_OWNERS; i++)
		wg_allowed_owner_init(&f->owners[i]);
	return f;
}

static void fixture_free(struct fixture *f)
{
	for (int i = 0; i < N_OWNERS; i++)
		wg_allowedips_clear(&f->table, &f->owners[i]);
	CHECK(f->table.root4 == NULL && f->table.root6 == NULL);
	free(f);
}

static struct fz_prefix prefix(const char *text)
{
	struct fz_prefix p;
	CHECK_INT(fz_prefix_parse(text, &p), 0);
	return p;
}

static void add(struct fixture *f, int owner, const char *text)
{
	struct fz_prefix p = prefix(text);
	CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[owner]), 0);
}

static void take(struct fixture *f, int owner, const char *text)
{
	struct fz_prefix p = prefix(text);
	wg_allowedips_remove(&f->table, &p, &f->owners[owner]);
}

/* -1: nobody. */
static int find_ip(struct fixture *f, const struct fz_ip *ip)
{
	struct wg_allowed_owner *o = wg_allowedips_find_maybe(&f->table, ip->family, ip->b);
	return o ? (int)(o - f->owners) : -1;
}

static int find(struct fixture *f, const char *text)
{
	struct fz_ip ip;
	CHECK_INT(fz_ip_parse(text, &ip), 0);
	return find_ip(f, &ip);
}

static const char *listed(struct fixture *f, int owner, char *buf, size_t n)
{
	const void *cursor = NULL;
	struct fz_prefix p;
	size_t at = 0;
	buf[0] = '\0';
	while (wg_allowed_owner_next(&f->owners[owner], &cursor, &p)) {
		char text[FZ_PREFIX_TEXT_LEN];
		at += (size_t)snprintf(
			buf + at, n - at, "%s%s", at ? " " : "", fz_prefix_format(&p, text));
		CHECK(at < n);
	}
	return buf;
}

TEST(allowedips, the_longest_prefix_wins)
{
	struct fixture *f = fixture_new();
	add(f, 0, "192.168.4.0/24");
	add(f, 1, "192.168.4.4/32");
	add(f, 2, "192.168.0.0/16");
	add(f, 3, "192.95.5.64/27");
	add(f, 4, "10.1.0.0/29");
	add(f, 5, "0.0.0.0/0");
	CHECK_INT(find(f, "192.168.4.20"), 0);
	CHECK_INT(find(f, "192.168.4.4"), 1);
	CHECK_INT(find(f, "192.168.200.182"), 2);
	CHECK_INT(find(f, "192.95.5.68"), 3);
	CHECK_INT(find(f, "192.95.5.96"), 5);
	CHECK_INT(find(f, "10.1.0.7"), 4);
	CHECK_INT(find(f, "10.1.0.8"), 5);
	CHECK_INT(find(f, "2001:db8::1"), -1);
	fixture_free(f);
}

TEST(allowedips, both_halves_of_an_ipv6_address_count)
{
	struct fixture *f = fixture_new();
	add(f, 0, "2607:5300:6006:6b0::/64");
	add(f, 1, "2607:5300:6006:6b0::c05f:543/128");
	add(f, 2, "2607:5300:6006:6b0:8000::/65");
	add(f, 3, "2404:6800::/32");
	add(f, 4, "::/0");
	add(f, 5, "2607:5300:6006:6b0::c05f:540/124");
	CHECK_INT(find(f, "2607:5300:6006:6b0::1"), 0);
	CHECK_INT(find(f, "2607:5300:6006:6b0::c05f:543"), 1);
	CHECK_INT(find(f, "2607:5300:6006:6b0::c05f:544"), 5);
	CHECK_INT(find(f, "2607:5300:6006:6b0:8000::1"), 2);
	CHECK_INT(find(f, "2404:6800:4004:806::1006"), 3);
	CHECK_INT(find(f, "2404:6801::"), 4);
	CHECK_INT(find(f, "0.0.0.0"), -1);
	fixture_free(f);
}

TEST(allowedips, host_bits_are_masked)
{
	struct fixture *f = fixture_new();
	char buf[256];
	add(f, 0, "10.11.12.13/8");
	add(f, 0, "2001:db8:1:2:3::4/33");
	CHECK_INT(find(f, "10.200.0.1"), 0);
	CHECK_STR(listed(f, 0, buf, sizeof(buf)), "10.0.0.0/8 2001:db8::/33");
	fixture_free(f);
}

TEST(allowedips, a_prefix_moves_to_its_new_owner)
{
	struct fixture *f = fixture_new();
	char buf[256];
	add(f, 0, "10.0.0.0/24");
	add(f, 0, "10.0.1.0/24");
	add(f, 1, "10.0.0.0/24");
	CHECK_INT(find(f, "10.0.0.1"), 1);
	CHECK_STR(listed(f, 0, buf, sizeof(buf)), "10.0.1.0/24");
	CHECK_STR(listed(f, 1, buf, sizeof(buf)), "10.0.0.0/24");
	/* Given again to the owner it has, it goes to the end of the list. */
	add(f, 1, "10.0.2.0/24");
	add(f, 1, "10.0.0.0/24");
	CHECK_STR(listed(f, 1, buf, sizeof(buf)), "10.0.2.0/24 10.0.0.0/24");
	fixture_free(f);
}

TEST(allowedips, only_the_owner_can_lose_a_prefix)
{
	struct fixture *f = fixture_new();
	add(f, 0, "10.0.0.0/24");
	take(f, 1, "10.0.0.0/24");
	CHECK_INT(find(f, "10.0.0.1"), 0);
	take(f, 0, "10.0.0.0/25");
	CHECK_INT(find(f, "10.0.0.1"), 0);
	take(f, 0, "10.0.0.77/24");
	CHECK_INT(find(f, "10.0.0.1"), -1);
	CHECK(f->table.root4 == NULL);
	fixture_free(f);
}

TEST(allowedips, a_prefix_that_cannot_be_is_refused)
{
	struct fixture *f = fixture_new();
	struct fz_prefix p = { .ip = fz_ip4(1, 2, 3, 4), .bits = 33 };
	CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[0]), -EINVAL);
	p = (struct fz_prefix){ .ip = { .family = FZ_IP6 }, .bits = 129 };
	CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[0]), -EINVAL);
	p = (struct fz_prefix){ .bits = 0 };
	CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[0]), -EINVAL);
	wg_allowedips_remove(&f->table, &p, &f->owners[0]);
	fixture_free(f);
}

/* ---- model ---- */

struct entry {
	struct fz_prefix p;
	int owner;
	uint64_t order;
};

struct list {
	struct entry *e;
	size_t n;
	uint64_t order;
};

static struct entry *list_find(struct list *l, const struct fz_prefix *p)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->e[i].p.bits == p->bits && fz_ip_equal(&l->e[i].p.ip, &p->ip))
			return &l->e[i];
	return NULL;
}

static int list_lookup(const struct list *l, const struct fz_ip *ip)
{
	const struct entry *best = NULL;
	for (size_t i = 0; i < l->n; i++)
		if (fz_prefix_contains(&l->e[i].p, ip) && (!best || l->e[i].p.bits > best->p.bits))
			best = &l->e[i];
	return best ? best->owner : -1;
}

/* Few distinct bits, so that prefixes nest and meet. */
static struct fz_prefix random_prefix(struct test_rng *rng)
{
	bool v4 = test_rng_below(rng, 2);
	struct fz_prefix p = { .ip.family = v4 ? FZ_IP4 : FZ_IP6 };
	for (size_t i = 0; i < fz_ip_len(&p.ip); i++)
		p.ip.b[i] = (uint8_t)(test_rng_below(rng, 4) ? 0 : test_rng_next(rng) & 0xc1);
	p.bits = (uint8_t)test_rng_below(rng, v4 ? 33 : 129);
	return p;
}

static void change(struct fixture *f, struct list *l, struct test_rng *rng)
{
	struct fz_prefix p = random_prefix(rng);
	int owner = (int)test_rng_below(rng, N_OWNERS);
	if (l->n > 0 && test_rng_below(rng, 4) == 0)
		p = l->e[test_rng_below(rng, l->n)].p;
	struct fz_prefix masked = p;
	fz_prefix_mask(&masked);
	struct entry *e = list_find(l, &masked);
	if (test_rng_below(rng, 3) == 0) {
		wg_allowedips_remove(&f->table, &p, &f->owners[owner]);
		if (e && e->owner == owner)
			*e = l->e[--l->n];
		return;
	}
	CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[owner]), 0);
	if (!e)
		e = &l->e[l->n++];
	*e = (struct entry){ .p = masked, .owner = owner, .order = ++l->order };
}

static void compare_lists(struct fixture *f, const struct list *l)
{
	size_t n = 0;
	for (int owner = 0; owner < N_OWNERS; owner++) {
		const void *cursor = NULL;
		struct fz_prefix p;
		uint64_t last = 0;
		for (; wg_allowed_owner_next(&f->owners[owner], &cursor, &p); n++) {
			struct list copy = *l;
			const struct entry *e = list_find(&copy, &p);
			CHECK(e != NULL);
			CHECK_INT(e->owner, owner);
			CHECK(e->order > last);
			last = e->order;
		}
	}
	CHECK_UINT(n, l->n);
}

TEST(allowedips, agrees_with_a_linear_search)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct fixture *f = fixture_new();
		struct test_rng rng = { seed };
		struct list l = { .e = calloc(4000, sizeof(struct entry)) };
		CHECK(l.e != NULL);
		for (int i = 0; i < 3000; i++) {
			change(f, &l, &rng);
			struct fz_ip ip = random_prefix(&rng).ip;
			if (find_ip(f, &ip) != list_lookup(&l, &ip))
				TEST_FAIL("seed %" PRIu64 ", step %d", seed, i);
			if (i % 500 == 0)
				compare_lists(f, &l);
		}
		compare_lists(f, &l);
		free(l.e);
		fixture_free(f);
	}
}

TEST(allowedips, a_hundred_thousand_prefixes_come_and_go)
{
	struct fixture *f = fixture_new();

	enum { N = 100000 };

	for (uint32_t i = 0; i < N; i++) {
		struct fz_prefix p = { .ip = fz_ip4((uint8_t)(i >> 16), (uint8_t)(i >> 8),
					       (uint8_t)i, 0),
			.bits = 24 };
		CHECK_INT(wg_allowedips_add(&f->table, &p, &f->owners[i % N_OWNERS]), 0);
	}
	for (uint32_t i = 0; i < N; i++) {
		struct fz_ip ip = fz_ip4((uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 200);
		CHECK_INT(find_ip(f, &ip), i % N_OWNERS);
	}
	fixture_free(f);
}
