/*
 * A path-compressed binary trie per family. A node without an owner exists only where two branches part. Addresses
 * are two words in host order, IPv4 in the top half of the first, so one code serves both families. In front of it a
 * direct-mapped cache: a train's packets mostly share their addresses.
 */
#include "wg/allowedips.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"

struct key {
	uint64_t hi, lo;
};

struct wg_allowed_node {
	struct key key; /* masked to `bits` */
	struct wg_allowed_node *child[2], *parent;
	struct wg_allowed_owner *owner; /* NULL: a fork only */
	struct fz_node in_list; /* of the owner */
	uint8_t bits, family;
};

static struct key key_of(enum fz_family family, const uint8_t *addr)
{
	if (family == FZ_IP4)
		return (struct key){ .hi = (uint64_t)fz_be32_load(addr) << 32 };
	return (struct key){ .hi = fz_be64_load(addr), .lo = fz_be64_load(addr + 8) };
}

static uint64_t top_bits(unsigned n)
{
	return n == 0 ? 0 : n >= 64 ? UINT64_MAX : ~(UINT64_MAX >> n);
}

static struct key key_mask(struct key k, unsigned bits)
{
	return (struct key){ .hi = k.hi & top_bits(bits),
		.lo = k.lo & top_bits(bits < 64 ? 0 : bits - 64) };
}

static unsigned bit_at(struct key k, unsigned at)
{
	return (unsigned)(at < 64 ? k.hi >> (63 - at) : k.lo >> (127 - at)) & 1u;
}

static bool covers(const struct wg_allowed_node *n, struct key k)
{
	struct key masked = key_mask(k, n->bits);
	return masked.hi == n->key.hi && masked.lo == n->key.lo;
}

/* How many leading bits two keys share. */
static unsigned common_bits(struct key a, struct key b)
{
	if (a.hi != b.hi)
		return (unsigned)__builtin_clzll(a.hi ^ b.hi);
	if (a.lo != b.lo)
		return 64 + (unsigned)__builtin_clzll(a.lo ^ b.lo);
	return 128;
}

static unsigned family_bits(unsigned family)
{
	return family == FZ_IP4 ? 32 : 128;
}

static struct wg_allowed_node **root_of(struct wg_allowedips *t, unsigned family)
{
	return family == FZ_IP4 ? &t->root4 : &t->root6;
}

/* The pointer that holds (or would hold) the child of `parent` on the way to `k`. */
static struct wg_allowed_node **link_of(
	struct wg_allowedips *t, unsigned family, struct wg_allowed_node *parent, struct key k)
{
	return parent ? &parent->child[bit_at(k, parent->bits)] : root_of(t, family);
}

void wg_allowed_owner_init(struct wg_allowed_owner *o)
{
	fz_list_init(&o->prefixes);
}

void wg_allowedips_init(struct wg_allowedips *t)
{
	memset(t, 0, sizeof(*t));
	t->generation = 1; /* entries of the empty cache have 0 */
}

static void forget_cache(struct wg_allowedips *t)
{
	if (++t->generation == 0) {
		memset(t->cache, 0, sizeof(t->cache));
		t->generation = 1;
	}
}

static void give(struct wg_allowedips *t, struct wg_allowed_node *n, struct wg_allowed_owner *o)
{
	if (n->owner)
		fz_list_remove(&n->in_list);
	n->owner = o;
	fz_list_push_back(&o->prefixes, &n->in_list);
	forget_cache(t);
}

static struct wg_allowed_node *node_new_maybe(unsigned family, struct key k, unsigned bits)
{
	struct wg_allowed_node *n = fz_new(struct wg_allowed_node);
	if (n) {
		n->key = key_mask(k, bits);
		n->bits = (uint8_t)bits;
		n->family = (uint8_t)family;
	}
	return n;
}

static void attach(struct wg_allowed_node *parent, struct wg_allowed_node *child)
{
	parent->child[bit_at(child->key, parent->bits)] = child;
	child->parent = parent;
}

/* Puts a new node where `below` (maybe NULL) hangs under `parent`. 0 or -ENOMEM, then nothing has changed. */
static int insert(struct wg_allowedips *t, struct wg_allowed_node *parent,
	struct wg_allowed_node *below, struct wg_allowed_node *fresh)
{
	struct wg_allowed_node **link = link_of(t, fresh->family, parent, fresh->key), *top = fresh;
	if (below) {
		unsigned common = common_bits(fresh->key, below->key);
		if (common < fresh->bits) {
			/* Also below `below`: the descent would have gone on if it covered the new key. */
			top = node_new_maybe(fresh->family, fresh->key, common);
			if (!top)
				return -ENOMEM;
			attach(top, fresh);
		}
		attach(top, below);
	}
	*link = top;
	top->parent = parent;
	return 0;
}

int wg_allowedips_add(
	struct wg_allowedips *t, const struct fz_prefix *p, struct wg_allowed_owner *o)
{
	unsigned family = p->ip.family;
	if ((family != FZ_IP4 && family != FZ_IP6) || p->bits > family_bits(family))
		return -EINVAL;
	struct key k = key_mask(key_of(family, p->ip.b), p->bits);
	struct wg_allowed_node *parent = NULL, *at = *root_of(t, family);
	while (at && at->bits <= p->bits && covers(at, k)) {
		if (at->bits == p->bits) {
			give(t, at, o);
			return 0;
		}
		parent = at;
		at = at->child[bit_at(k, at->bits)];
	}
	struct wg_allowed_node *fresh = node_new_maybe(family, k, p->bits);
	if (!fresh)
		return -ENOMEM;
	if (insert(t, parent, at, fresh) < 0) {
		free(fresh);
		return -ENOMEM;
	}
	give(t, fresh, o);
	return 0;
}

/* Frees a node without owner if it no longer parts two branches; its parent may then be in the same position. */
static void collapse(struct wg_allowedips *t, struct wg_allowed_node *n)
{
	while (n && !n->owner && !(n->child[0] && n->child[1])) {
		struct wg_allowed_node *parent = n->parent,
				       *only = n->child[0] ? n->child[0] : n->child[1];
		*link_of(t, n->family, parent, n->key) = only;
		if (only)
			only->parent = parent;
		free(n);
		n = parent;
	}
}

static void take_away(struct wg_allowedips *t, struct wg_allowed_node *n)
{
	fz_list_remove(&n->in_list);
	n->owner = NULL;
	forget_cache(t);
	collapse(t, n);
}

void wg_allowedips_remove(
	struct wg_allowedips *t, const struct fz_prefix *p, const struct wg_allowed_owner *o)
{
	unsigned family = p->ip.family;
	if ((family != FZ_IP4 && family != FZ_IP6) || p->bits > family_bits(family))
		return;
	struct key k = key_mask(key_of(family, p->ip.b), p->bits);
	struct wg_allowed_node *at = *root_of(t, family);
	while (at && at->bits < p->bits && covers(at, k))
		at = at->child[bit_at(k, at->bits)];
	if (at && at->bits == p->bits && covers(at, k) && at->owner == o)
		take_away(t, at);
}

void wg_allowedips_clear(struct wg_allowedips *t, struct wg_allowed_owner *o)
{
	FZ_LIST_EACH_SAFE(&o->prefixes, node, after)
		take_away(t, FZ_CONTAINER_OF(node, struct wg_allowed_node, in_list));
}

static struct wg_allowed_owner *search(
	const struct wg_allowed_node *n, unsigned max_bits, struct key k)
{
	struct wg_allowed_owner *best = NULL;
	while (n && covers(n, k)) {
		if (n->owner)
			best = n->owner;
		if (n->bits == max_bits)
			break;
		n = n->child[bit_at(k, n->bits)];
	}
	return best;
}

struct wg_allowed_owner *wg_allowedips_find_maybe(
	struct wg_allowedips *t, enum fz_family family, const uint8_t *addr)
{
	struct key k = key_of(family, addr);
	uint64_t mixed =
		(k.hi ^ k.lo * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
	struct wg_allowed_cached *c = &t->cache[mixed >> 40 & (WG_ALLOWED_CACHE - 1)];
	if (c->generation == t->generation && c->hi == k.hi && c->lo == k.lo && c->family == family)
		return c->owner;
	struct wg_allowed_owner *o = search(*root_of(t, family), family_bits(family), k);
	*c = (struct wg_allowed_cached){
		.hi = k.hi, .lo = k.lo, .owner = o, .generation = t->generation, .family = family
	};
	return o;
}

bool wg_allowed_owner_next(
	const struct wg_allowed_owner *o, const void **cursor, struct fz_prefix *ret_prefix)
{
	struct fz_node *at =
		*cursor ? ((const struct fz_node *)*cursor)->next : o->prefixes.head.next;
	if (at == &o->prefixes.head)
		return false;
	const struct wg_allowed_node *n = FZ_CONTAINER_OF(at, struct wg_allowed_node, in_list);
	uint8_t b[16];
	fz_be64_store(b, n->key.hi);
	fz_be64_store(b + 8, n->key.lo);
	*ret_prefix = (struct fz_prefix){ .ip = fz_ip_of(n->family, b), .bits = n->bits };
	*cursor = at;
	return true;
}
