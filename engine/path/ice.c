/*
 * An ICE agent's candidates and messages: RFC 8445 5.1, 7.1 to 7.3, 16.1 and RFC 8839 5.4. Checks are written in the
 * attribute order Firezone's devices use. Pairs, schedule and nomination are in ice_pair.c.
 */
#include "path/ice.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"
#include "base/err.h"
#include "path/ice_internal.h"

#define ROLE_CONFLICT 487

static struct fz_bytes bytes_of_text(const char *text)
{
	return fz_bytes_of(text, strlen(text));
}

struct fz_ice *fz_ice_new(const struct fz_ice_params *params)
{
	struct fz_ice *a = fz_new(struct fz_ice);
	if (!a)
		return NULL;
	a->pairs = fz_new_array(struct ice_pair, ICE_PAIRS_AT_FIRST);
	if (!a->pairs) {
		free(a);
		return NULL;
	}
	a->n_pairs = ICE_PAIRS_AT_FIRST;
	a->random = params->random;
	a->user = params->user;
	a->is_controlling = params->is_controlling;
	a->local_creds = *params->local;
	a->remote_creds = *params->remote;
	a->local_creds.ufrag[FZ_ICE_UFRAG_MAX - 1] = a->remote_creds.ufrag[FZ_ICE_UFRAG_MAX - 1] =
		'\0';
	a->local_creds.password[FZ_ICE_PASSWORD_MAX - 1] = '\0';
	a->remote_creds.password[FZ_ICE_PASSWORD_MAX - 1] = '\0';
	a->selected = -1;
	a->tag = params->tag;
	a->timing = params->timing;
	fz_be64 tie_breaker;
	a->random(a->user, fz_span_of(tie_breaker.b, sizeof(tie_breaker.b)));
	a->tie_breaker = fz_be64_get(tie_breaker);
	return a;
}

void fz_ice_free(struct fz_ice *a)
{
	if (!a)
		return;
	free(a->pairs);
	fz_wipe(a, sizeof(*a));
	free(a);
}

bool fz_ice_is_controlling(const struct fz_ice *a)
{
	return a->is_controlling;
}

/* ---- candidates ---------------------------------------------------------------------------------------------- */

static bool is_same(const struct fz_candidate *x, const struct fz_candidate *y)
{
	return x->kind == y->kind && fz_addr_equal(&x->addr, &y->addr);
}

static struct ice_slot *free_slot_maybe(struct ice_slot *slots)
{
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		if (!slots[i].in_use)
			return &slots[i];
	}
	return NULL;
}

static const struct fz_candidate *nth_maybe(const struct ice_slot *slots, size_t n)
{
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		if (slots[i].in_use && n-- == 0)
			return &slots[i].c;
	}
	return NULL;
}

/* A reflexive address equal to a socket's own says nothing new. */
static bool is_redundant_local(const struct fz_ice *a, const struct fz_candidate *c)
{
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		const struct ice_slot *s = &a->locals[i];
		if (!s->in_use)
			continue;
		if (is_same(&s->c, c))
			return true;
		if (c->kind == FZ_CANDIDATE_SRFLX && fz_addr_equal(&s->c.addr, &c->addr))
			return true;
	}
	return c->kind == FZ_CANDIDATE_SRFLX && fz_addr_equal(&c->base, &c->addr);
}

int fz_ice_add_local(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
{
	if (!fz_candidate_is_reachable(&c->addr) || is_redundant_local(a, c))
		return 0;
	struct ice_slot *s = free_slot_maybe(a->locals);
	if (!s)
		return FZ_ERR_LIMIT;
	uint32_t *n = &a->n_of_kind[c->kind][c->addr.ip.family == FZ_IP6];
	bool crosses = c->kind == FZ_CANDIDATE_RELAY && c->base.ip.family != FZ_NO_FAMILY &&
		       c->base.ip.family != c->addr.ip.family;
	*s = (struct ice_slot){ .in_use = true, .c = *c };
	s->c.priority =
		fz_candidate_priority(c->kind, (enum fz_family)c->addr.ip.family, (*n)++, crosses);
	ice_pairs_of_local(a, (uint8_t)(s - a->locals), now);
	return 1;
}

void fz_ice_remove_local(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
{
	for (uint8_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		if (!a->locals[i].in_use || !is_same(&a->locals[i].c, c))
			continue;
		a->locals[i].in_use = false;
		ice_pairs_drop_local(a, i, now);
	}
}

const struct fz_candidate *fz_ice_local_maybe(const struct fz_ice *a, size_t i)
{
	return nth_maybe(a->locals, i);
}

static struct ice_slot *remote_at_maybe(struct fz_ice *a, const struct fz_addr *addr)
{
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		if (a->remotes[i].in_use && fz_addr_equal(&a->remotes[i].c.addr, addr))
			return &a->remotes[i];
	}
	return NULL;
}

/* Room for a remote candidate: the other side may change networks often, so a failed one of before makes place. */
static struct ice_slot *remote_room_maybe(struct fz_ice *a, fz_time now)
{
	struct ice_slot *s = free_slot_maybe(a->remotes);
	for (uint8_t i = 0; !s && i < FZ_ICE_CANDIDATES_MAX; i++) {
		bool is_wanted = false;
		for (size_t k = 0; k < a->n_pairs; k++) {
			const struct ice_pair *p = &a->pairs[k];
			is_wanted = is_wanted || (p->in_use && p->remote == i && !p->is_failed);
		}
		if (is_wanted)
			continue;
		ice_pairs_drop_remote(a, i, now);
		s = &a->remotes[i];
	}
	return s;
}

int fz_ice_add_remote(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
{
	if (!fz_candidate_is_reachable(&c->addr))
		return 0;
	struct ice_slot *s = remote_at_maybe(a, &c->addr);
	if (s) {
		/* Seen before it was signalled: now its kind and priority are known. */
		if (s->c.kind == FZ_CANDIDATE_PRFLX) {
			s->c = *c;
			ice_pairs_rank(a);
			ice_pairs_reselect(a, now);
		}
		return 0;
	}
	s = remote_room_maybe(a, now);
	if (!s)
		return FZ_ERR_LIMIT;
	*s = (struct ice_slot){ .in_use = true, .c = *c };
	ice_pairs_of_remote(a, (uint8_t)(s - a->remotes), now);
	return 1;
}

void fz_ice_remove_remote(struct fz_ice *a, const struct fz_candidate *c, fz_time now)
{
	for (uint8_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		if (!a->remotes[i].in_use || !is_same(&a->remotes[i].c, c))
			continue;
		a->remotes[i].in_use = false;
		ice_pairs_drop_remote(a, i, now);
	}
}

size_t fz_ice_n_remotes(const struct fz_ice *a)
{
	size_t n = 0;
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++)
		n += a->remotes[i].in_use;
	return n;
}

const struct fz_candidate *fz_ice_remote_maybe(const struct fz_ice *a, size_t i)
{
	return nth_maybe(a->remotes, i);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void write_check(struct fz_ice *a, const struct ice_pair *p, const struct fz_stun_id *id,
	struct fz_writer *w)
{
	char username[2 * FZ_ICE_UFRAG_MAX + 1];
	struct fz_writer u = fz_writer_of(fz_span_of(username, sizeof(username)));
	fz_writer_format(&u, "%s:%s", a->remote_creds.ufrag, a->local_creds.ufrag);
	fz_stun_begin(w, FZ_STUN_REQUEST, FZ_STUN_BINDING, id);
	fz_stun_put(w, FZ_STUN_USERNAME, fz_writer_written(&u));
	fz_stun_put_u64(w, a->is_controlling ? FZ_STUN_ICE_CONTROLLING : FZ_STUN_ICE_CONTROLLED,
		a->tie_breaker);
	fz_stun_put_u32(
		w, FZ_STUN_PRIORITY, fz_candidate_prflx_priority(a->locals[p->local].c.priority));
	if (a->is_controlling && p->is_nominated)
		fz_stun_put(w, FZ_STUN_USE_CANDIDATE, fz_bytes_of(NULL, 0));
	fz_stun_put_integrity(w, bytes_of_text(a->remote_creds.password));
	fz_stun_put_fingerprint(w);
}

size_t fz_ice_poll(struct fz_ice *a, fz_time now, struct fz_span out, struct fz_ice_path *ret_path)
{
	fz_assert(out.n >= FZ_ICE_MESSAGE_MAX);
	ice_pairs_expire(a, now);
	struct ice_pair *p = ice_pair_due_maybe(a, now);
	if (!p)
		return 0;
	struct fz_stun_id id;
	fz_be32_store(id.b, a->tag);
	a->random(a->user, fz_span_of(id.b + 4, sizeof(id.b) - 4));
	struct fz_writer w = fz_writer_of(out);
	write_check(a, p, &id, &w);
	size_t len = fz_stun_finish(&w);
	fz_assert(len > 0);
	const struct fz_candidate *l = &a->locals[p->local].c;
	*ret_path = (struct fz_ice_path){ .local = l->addr,
		.remote = a->remotes[p->remote].c.addr,
		.is_relayed = l->kind == FZ_CANDIDATE_RELAY };
	ice_pair_sent(a, p, &id, now);
	return len;
}

static size_t write_success(struct fz_ice *a, const struct fz_stun *request,
	const struct fz_addr *remote, struct fz_span out)
{
	struct fz_writer w = fz_writer_of(out);
	fz_stun_begin(&w, FZ_STUN_SUCCESS, FZ_STUN_BINDING, &request->id);
	fz_stun_put_addr(&w, FZ_STUN_XOR_MAPPED_ADDRESS, remote);
	fz_stun_put_integrity(&w, bytes_of_text(a->local_creds.password));
	fz_stun_put_fingerprint(&w);
	return fz_stun_finish(&w);
}

static size_t write_role_conflict(
	struct fz_ice *a, const struct fz_stun *request, struct fz_span out)
{
	struct fz_writer w = fz_writer_of(out);
	fz_stun_begin(&w, FZ_STUN_ERROR, FZ_STUN_BINDING, &request->id);
	fz_stun_put_error(&w, ROLE_CONFLICT, "Role Conflict");
	fz_stun_put_integrity(&w, bytes_of_text(a->local_creds.password));
	fz_stun_put_fingerprint(&w);
	return fz_stun_finish(&w);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* "ours:theirs": the first half must be our ufrag. */
static bool is_our_username(const struct fz_ice *a, struct fz_bytes username)
{
	size_t n = strlen(a->local_creds.ufrag);
	return username.n > n && username.p[n] == ':' &&
	       memcmp(username.p, a->local_creds.ufrag, n) == 0;
}

bool fz_ice_is_for(const struct fz_ice *a, const struct fz_stun *m)
{
	if (m->class == FZ_STUN_REQUEST)
		return is_our_username(a, m->username);
	return fz_be32_load(m->id.b) == a->tag;
}

static void switch_role(struct fz_ice *a, fz_time now)
{
	a->is_controlling = !a->is_controlling;
	a->selected = -1;
	for (size_t i = 0; i < a->n_pairs; i++) {
		a->pairs[i].is_nominated = false;
		a->pairs[i].next_check = now;
	}
	ice_pairs_rank(a);
	ice_pairs_reselect(a, now);
}

/* RFC 8445 7.3.1.1: both think they lead, or neither. True: answer with 487 and leave it at that. */
static bool resolve_roles(struct fz_ice *a, const struct fz_stun *m, fz_time now)
{
	bool is_conflict = a->is_controlling ? m->is_controlling : m->is_controlled;
	if (!is_conflict)
		return false;
	bool is_ours_larger = a->tie_breaker >= m->tie_breaker;
	if (is_ours_larger == a->is_controlling)
		return true;
	switch_role(a, now);
	return false;
}

static struct ice_slot *local_at_maybe(struct fz_ice *a, const struct fz_addr *addr)
{
	for (size_t i = 0; i < FZ_ICE_CANDIDATES_MAX; i++) {
		struct ice_slot *s = &a->locals[i];
		bool sends = s->c.kind == FZ_CANDIDATE_HOST || s->c.kind == FZ_CANDIDATE_RELAY;
		if (s->in_use && sends && fz_addr_equal(&s->c.addr, addr))
			return s;
	}
	return NULL;
}

static enum fz_ice_verdict take_request(struct fz_ice *a, fz_time now, struct ice_slot *local,
	const struct fz_addr *remote, const struct fz_stun *m)
{
	struct ice_slot *from = remote_at_maybe(a, remote);
	if (!from) {
		struct fz_candidate c = {
			.kind = FZ_CANDIDATE_PRFLX, .addr = *remote, .priority = m->priority
		};
		int r = fz_ice_add_remote(a, &c, now);
		if (r <= 0)
			return r == 0 ? FZ_ICE_DROP_MALFORMED : FZ_ICE_DROP_LIMIT;
		from = remote_at_maybe(a, remote);
	}
	fz_assert(from);
	struct ice_pair *p = ice_pair_add_maybe(
		a, (uint8_t)(local - a->locals), (uint8_t)(from - a->remotes), now);
	if (!p)
		return FZ_ICE_DROP_LIMIT;
	ice_pair_requested(a, p, m->use_candidate, now);
	return FZ_ICE_TAKEN;
}

static enum fz_ice_verdict receive_request(struct fz_ice *a, fz_time now,
	const struct fz_addr *local, const struct fz_addr *remote, const struct fz_stun *m,
	struct fz_span reply, size_t *ret_reply_len)
{
	if (!is_our_username(a, m->username))
		return FZ_ICE_DROP_USERNAME;
	if (!m->has_priority)
		return FZ_ICE_DROP_MALFORMED;
	if (!fz_stun_is_signed(m, bytes_of_text(a->local_creds.password)))
		return FZ_ICE_DROP_UNSIGNED;
	struct ice_slot *at = local_at_maybe(a, local);
	if (!at)
		return FZ_ICE_DROP_LOCAL;
	if (resolve_roles(a, m, now)) {
		*ret_reply_len = write_role_conflict(a, m, reply);
		return FZ_ICE_TAKEN;
	}
	enum fz_ice_verdict v = take_request(a, now, at, remote, m);
	if (v == FZ_ICE_TAKEN)
		*ret_reply_len = write_success(a, m, remote, reply);
	return v;
}

static enum fz_ice_verdict receive_response(struct fz_ice *a, fz_time now,
	const struct fz_addr *local, const struct fz_addr *remote, const struct fz_stun *m)
{
	struct ice_pair *p;
	struct ice_sent *sent = ice_pair_sent_find_maybe(a, &m->id, &p);
	if (!sent)
		return FZ_ICE_DROP_UNASKED;
	if (!fz_stun_is_signed(m, bytes_of_text(a->remote_creds.password)))
		return FZ_ICE_DROP_UNSIGNED;
	if (m->class == FZ_STUN_ERROR) {
		if (m->error == ROLE_CONFLICT && sent->was_controlling == a->is_controlling)
			switch_role(a, now);
		sent->is_open = false;
		return FZ_ICE_TAKEN;
	}
	if (m->mapped.ip.family == FZ_NO_FAMILY)
		return FZ_ICE_DROP_MALFORMED;
	if (!fz_addr_equal(remote, &a->remotes[p->remote].c.addr) ||
		!fz_addr_equal(local, &a->locals[p->local].c.addr))
		return FZ_ICE_DROP_UNASKED; /* RFC 8445 7.2.5.2.1: the way back must be the way there */
	ice_pair_answered(a, p, sent, now);
	return FZ_ICE_TAKEN;
}

enum fz_ice_verdict fz_ice_receive(struct fz_ice *a, fz_time now, const struct fz_addr *local,
	const struct fz_addr *remote, const struct fz_stun *m, struct fz_span reply,
	size_t *ret_reply_len)
{
	fz_assert(reply.n >= FZ_ICE_MESSAGE_MAX);
	*ret_reply_len = 0;
	if (m->method != FZ_STUN_BINDING)
		return FZ_ICE_DROP_MALFORMED;
	switch (m->class) {
	case FZ_STUN_REQUEST:
		return receive_request(a, now, local, remote, m, reply, ret_reply_len);
	case FZ_STUN_SUCCESS:
	case FZ_STUN_ERROR: return receive_response(a, now, local, remote, m);
	case FZ_STUN_INDICATION: break;
	}
	return FZ_ICE_DROP_MALFORMED;
}
