/*
 * Prefixes added, moved, removed and looked up as the input says, against a list searched from end to end. An
 * operation is 18 bytes at most: what, whose, prefix length, address.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wg/allowedips.h"

#define N_OWNERS 4
#define MAX_LIST 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
	struct wg_allowedips table;
	struct wg_allowed_owner owners[N_OWNERS];

	struct entry {
		struct fz_prefix p;
		unsigned owner;
	} list[MAX_LIST];

	size_t n;
};

static struct entry *list_find(struct state *s, const struct fz_prefix *p)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].p.bits == p->bits && fz_ip_equal(&s->list[i].p.ip, &p->ip))
			return &s->list[i];
	return NULL;
}

static void add(struct state *s, const struct fz_prefix *p, unsigned owner)
{
	struct fz_prefix masked = *p;
	bool is_valid = p->bits <= 8 * fz_ip_len(&p->ip);
	if (is_valid)
		fz_prefix_mask(&masked);
	struct entry *e = is_valid ? list_find(s, &masked) : NULL;
	if (!e && s->n == MAX_LIST)
		return;
	int r = wg_allowedips_add(&s->table, p, &s->owners[owner]);
	fz_assert((r == 0) == is_valid);
	if (!is_valid)
		return;
	if (!e)
		e = &s->list[s->n++];
	*e = (struct entry){ .p = masked, .owner = owner };
}

static void take(struct state *s, const struct fz_prefix *p, unsigned owner)
{
	struct fz_prefix masked = *p;
	wg_allowedips_remove(&s->table, p, &s->owners[owner]);
	if (p->bits > 8 * fz_ip_len(&p->ip))
		return;
	fz_prefix_mask(&masked);
	struct entry *e = list_find(s, &masked);
	if (e && e->owner == owner)
		*e = s->list[--s->n];
}

static void clear(struct state *s, unsigned owner)
{
	wg_allowedips_clear(&s->table, &s->owners[owner]);
	for (size_t i = s->n; i-- > 0;)
		if (s->list[i].owner == owner)
			s->list[i] = s->list[--s->n];
}

static void find(struct state *s, const struct fz_ip *ip)
{
	const struct entry *best = NULL;
	for (size_t i = 0; i < s->n; i++)
		if (fz_prefix_contains(&s->list[i].p, ip) &&
			(!best || s->list[i].p.bits > best->p.bits))
			best = &s->list[i];
	struct wg_allowed_owner *got = wg_allowedips_find_maybe(&s->table, ip->family, ip->b);
	fz_assert(got == (best ? &s->owners[best->owner] : NULL));
}

static void operate(struct state *s, struct fz_reader *r)
{
	uint8_t what = fz_reader_u8(r);
	unsigned owner = what >> 3 & (N_OWNERS - 1);
	struct fz_prefix p = { .ip.family = what & 0x80 ? FZ_IP6 : FZ_IP4,
		.bits = fz_reader_u8(r) };
	fz_reader_copy(r, p.ip.b, fz_ip_len(&p.ip));
	switch (what & 7) {
	case 0: clear(s, owner); break;
	case 1:
	case 2: take(s, &p, owner); break;
	case 3:
	case 4: find(s, &p.ip); break;
	default: add(s, &p, owner); break;
	}
	find(s, &p.ip);
}

static void check_listed(struct state *s, const struct fz_prefix *p, unsigned owner)
{
	const struct entry *e = list_find(s, p);
	fz_assert(e);
	fz_assert(e->owner == owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state *s = calloc(1, sizeof(*s));
	fz_assert(s);
	wg_allowedips_init(&s->table);
	for (unsigned i = 0; i < N_OWNERS; i++)
		wg_allowed_owner_init(&s->owners[i]);
	struct fz_reader r = fz_reader_of(fz_bytes_of(data, size));
	while (r.left > 0 && !r.bad)
		operate(s, &r);
	size_t n = 0;
	for (unsigned i = 0; i < N_OWNERS; i++) {
		const void *cursor = NULL;
		struct fz_prefix p;
		for (; wg_allowed_owner_next(&s->owners[i], &cursor, &p); n++)
			check_listed(s, &p, i);
	}
	fz_assert(n == s->n);
	for (unsigned i = 0; i < N_OWNERS; i++)
		wg_allowedips_clear(&s->table, &s->owners[i]);
	fz_assert(!s->table.root4 && !s->table.root6);
	free(s);
	return 0;
}
