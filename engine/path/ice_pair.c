/*
 * Candidate pairs of an ICE agent: which are checked when, which have failed, which one is nominated. RFC 8445 6.1.2 and 7,
 * with Firezone's schedule: no pacing over pairs, each has its own doubling interval.
 */
#include "base/alloc.h"
#include "path/ice_internal.h"

#define LOSSY_AFTER 4u /* unanswered checks in a row after which another valid pair is preferred */
#define REQUEST_KEEPS_PAIR                                                                         \
	FZ_SECONDS(15) /* a check from the other side keeps a pair from failing */
#define RETRY_FAILED                                                                               \
	FZ_SECONDS(30) /* at least; a dead path may come back while another one carries us */
#define RESUME_GRACE                                                                               \
	FZ_SECONDS(30) /* after a change of schedule nominations of the old one still count */
#define RESUME_CONSENT FZ_SECONDS(60)

#define EACH_PAIR(a, p) for (struct ice_pair *p = (a)->pairs; p < (a)->pairs + (a)->n_pairs; p++)

static uint64_t priority_of(const struct fz_ice *a, uint8_t local, uint8_t remote)
{
	uint32_t ours = a->locals[local].c.priority, theirs = a->remotes[remote].c.priority;
	return a->is_controlling ? fz_candidate_pair_priority(ours, theirs)
				 : fz_candidate_pair_priority(theirs, ours);
}

static void restart(struct fz_ice *a, struct ice_pair *p, fz_time now)
{
	p->is_valid = p->is_failed = p->is_nominated = false;
	p->n_unanswered = 0;
	p->unanswered_since = FZ_NEVER;
	p->next_check = now;
	p->delay = a->timing->initial_rto;
	p->n_early = 0;
}

static bool can_pair(const struct fz_ice *a, uint8_t local, uint8_t remote)
{
	const struct ice_slot *l = &a->locals[local], *r = &a->remotes[remote];
	if (!l->in_use || !r->in_use || l->c.addr.ip.family != r->c.addr.ip.family)
		return false;
	/* What a NAT shows of a socket is reached from that socket: checks from it would be the same checks. */
	return l->c.kind == FZ_CANDIDATE_HOST || l->c.kind == FZ_CANDIDATE_RELAY;
}

static struct ice_pair *selected_maybe(struct fz_ice *a)
{
	return a->selected < 0 ? NULL : &a->pairs[a->selected];
}

static struct ice_pair *grow_maybe(struct fz_ice *a)
{
	uint32_t n = a->n_pairs * 2;
	n = n < FZ_ICE_PAIRS_MAX ? n : FZ_ICE_PAIRS_MAX;
	struct ice_pair *more = n > a->n_pairs ? fz_realloc(a->pairs, n, sizeof(*more)) : NULL;
	if (!more)
		return NULL;
	struct ice_pair *first_new = more + a->n_pairs;
	memset(first_new, 0, (n - a->n_pairs) * sizeof(*more));
	a->pairs = more;
	a->n_pairs = n;
	return first_new;
}

/* A free slot, or that of the least worthy pair if it is worth less than `priority`. */
static struct ice_pair *slot_for_maybe(struct fz_ice *a, uint64_t priority)
{
	struct ice_pair *worst = NULL;
	EACH_PAIR(a, p)
	{
		if (!p->in_use)
			return p;
		if (p == selected_maybe(a))
			continue;
		if (!worst || p->is_failed > worst->is_failed ||
			(p->is_failed == worst->is_failed && p->priority < worst->priority))
			worst = p;
	}
	struct ice_pair *fresh = grow_maybe(a);
	if (fresh)
		return fresh;
	return worst && (worst->is_failed || worst->priority < priority) ? worst : NULL;
}

struct ice_pair *ice_pair_find_maybe(struct fz_ice *a, uint8_t local, uint8_t remote)
{
	EACH_PAIR(a, p)
	{
		if (p->in_use && p->local == local && p->remote == remote)
			return p;
	}
	return NULL;
}

struct ice_pair *ice_pair_add_maybe(struct fz_ice *a, uint8_t local, uint8_t remote, fz_time now)
{
	struct ice_pair *p = ice_pair_find_maybe(a, local, remote);
	if (p || !can_pair(a, local, remote))
		return p;
	p = slot_for_maybe(a, priority_of(a, local, remote));
	if (!p)
		return NULL;
	*p = (struct ice_pair){ .in_use = true, .local = local, .remote = remote };
	p->priority = priority_of(a, local, remote);
	p->last_request = p->last_nomination = FZ_NEVER;
	restart(a, p, now);
	return p;
}

void ice_pairs_of_local(struct fz_ice *a, uint8_t local, fz_time now)
{
	for (uint8_t r = 0; r < FZ_ICE_CANDIDATES_MAX; r++)
		(void)!ice_pair_add_maybe(a, local, r, now);
}

void ice_pairs_of_remote(struct fz_ice *a, uint8_t remote, fz_time now)
{
	for (uint8_t l = 0; l < FZ_ICE_CANDIDATES_MAX; l++)
		(void)!ice_pair_add_maybe(a, l, remote, now);
}

static void drop(struct fz_ice *a, struct ice_pair *p)
{
	if (selected_maybe(a) == p)
		a->selected = -1;
	*p = (struct ice_pair){ .in_use = false };
}

void ice_pairs_drop_local(struct fz_ice *a, uint8_t local, fz_time now)
{
	EACH_PAIR(a, p)
	{
		if (p->in_use && p->local == local)
			drop(a, p);
	}
	ice_pairs_reselect(a, now);
}

void ice_pairs_drop_remote(struct fz_ice *a, uint8_t remote, fz_time now)
{
	EACH_PAIR(a, p)
	{
		if (p->in_use && p->remote == remote)
			drop(a, p);
	}
	ice_pairs_reselect(a, now);
}

void ice_pairs_rank(struct fz_ice *a)
{
	EACH_PAIR(a, p)
	{
		if (p->in_use)
			p->priority = priority_of(a, p->local, p->remote);
	}
}

/* ---- schedule ------------------------------------------------------------------------------------------------ */

/* Failed pairs are tried again now and then, but only as long as there is something to lose. */
static bool is_checked(const struct fz_ice *a, const struct ice_pair *p)
{
	return p->in_use && (!p->is_failed || a->selected >= 0);
}

static fz_dur retry_after(const struct fz_ice *a)
{
	fz_dur slow = FZ_NANOSECONDS(4 * a->timing->max_rto.ns);
	return fz_dur_less(slow, RETRY_FAILED) ? RETRY_FAILED : slow;
}

/*
 * When an unanswered pair is checked again. Both NATs drop what comes before their own side has sent, so the first check
 * is usually lost to a NAT and not to the network: a pair nobody has answered yet is asked three more times before the
 * schedule's first interval is over, then goes on as if it had been asked once.
 */
static fz_time next_check_after(const struct fz_ice *a, struct ice_pair *p, fz_time now)
{
	static const fz_dur early[] = { { 15'000'000 }, { 30'000'000 }, { 60'000'000 } };
	fz_time from = now;
	if (!p->is_valid && p->n_early < FZ_ARRAY_LEN(early))
		return fz_time_add(now, early[p->n_early++]);
	if (!p->is_valid && p->n_early == FZ_ARRAY_LEN(early)) {
		p->n_early++;
		from = p->unanswered_since;
	}
	fz_time at = fz_time_add(from, p->delay);
	fz_dur doubled = FZ_NANOSECONDS(p->delay.ns * 2);
	p->delay = fz_dur_less(doubled, a->timing->max_rto) ? doubled : a->timing->max_rto;
	return at;
}

struct ice_pair *ice_pair_due_maybe(struct fz_ice *a, fz_time now)
{
	struct ice_pair *best = NULL;
	EACH_PAIR(a, p)
	{
		if (!is_checked(a, p) || !fz_time_reached(now, p->next_check))
			continue;
		if (!best || p->priority > best->priority)
			best = p;
	}
	return best;
}

void ice_pair_sent(struct fz_ice *a, struct ice_pair *p, const struct fz_stun_id *id, fz_time now)
{
	struct ice_sent *s = &p->sent[p->next_sent];
	*s = (struct ice_sent){ .id = *id, .at = now, .is_open = true };
	s->was_controlling = a->is_controlling;
	p->next_sent = (uint8_t)((p->next_sent + 1) % ICE_SENT_MAX);
	if (p->is_failed) {
		p->next_check = fz_time_add(now, retry_after(a));
		return;
	}
	if (p->n_unanswered++ == 0)
		p->unanswered_since = now;
	p->next_check = next_check_after(a, p, now);
	if (p->n_unanswered == LOSSY_AFTER + 1)
		ice_pairs_reselect(a, now);
}

struct ice_sent *ice_pair_sent_find_maybe(
	struct fz_ice *a, const struct fz_stun_id *id, struct ice_pair **ret_pair)
{
	EACH_PAIR(a, p)
	{
		for (size_t i = 0; p->in_use && i < ICE_SENT_MAX; i++) {
			struct ice_sent *s = &p->sent[i];
			if (s->is_open && memcmp(s->id.b, id->b, sizeof(id->b)) == 0) {
				*ret_pair = p;
				return s;
			}
		}
	}
	return NULL;
}

void ice_pair_answered(struct fz_ice *a, struct ice_pair *p, struct ice_sent *sent, fz_time now)
{
	sent->is_open = false;
	p->rtt = fz_time_since(now, sent->at);
	if (p->is_failed)
		restart(a, p, now);
	p->is_valid = true;
	p->n_unanswered = 0;
	p->unanswered_since = FZ_NEVER;
	ice_pairs_reselect(a, now);
}

void ice_pair_requested(struct fz_ice *a, struct ice_pair *p, bool nominates, fz_time now)
{
	bool is_first = fz_time_is_never(p->last_request);
	p->last_request = now;
	if (p->is_failed)
		restart(a, p, now);
	/*
	 * A triggered check (RFC 8445 7.3.1.4): at once for the first request, since the other side's NAT lets ours in only
	 * now; later not one for each copy of a request while ours is in flight.
	 */
	if (!p->is_valid && p->n_unanswered > 0 &&
		(is_first || !fz_dur_less(fz_time_since(now, p->unanswered_since),
				     a->timing->initial_rto)))
		p->next_check = fz_time_min(p->next_check, now);
	if (nominates && !a->is_controlling) {
		p->is_nominated = true;
		p->last_nomination = now;
	}
	ice_pairs_reselect(a, now);
}

/* When an unanswered pair has failed for good, unless the other side's checks still arrive. */
static fz_time fails_at(const struct fz_ice *a, const struct ice_pair *p)
{
	if (p->n_unanswered == 0)
		return FZ_NEVER;
	fz_time at = fz_time_add(p->unanswered_since, a->timing->timeout);
	if (!fz_time_is_never(p->last_request)) {
		fz_time kept = fz_time_add(p->last_request, REQUEST_KEEPS_PAIR);
		at = at.ns > kept.ns ? at : kept;
	}
	return at;
}

void ice_pairs_expire(struct fz_ice *a, fz_time now)
{
	bool changed = false;
	EACH_PAIR(a, p)
	{
		if (!p->in_use || p->is_failed || !fz_time_reached(now, fails_at(a, p)))
			continue;
		p->is_failed = true;
		p->is_valid = p->is_nominated = false;
		p->next_check = fz_time_add(now, retry_after(a));
		changed = true;
	}
	if (changed)
		ice_pairs_reselect(a, now);
}

fz_time fz_ice_deadline(const struct fz_ice *a)
{
	fz_time at = FZ_NEVER;
	for (const struct ice_pair *p = a->pairs; p < a->pairs + a->n_pairs; p++) {
		if (is_checked(a, p))
			at = fz_time_min(at, p->next_check);
		if (p->in_use && !p->is_failed)
			at = fz_time_min(at, fails_at(a, p));
	}
	return at;
}

/* ---- nomination ---------------------------------------------------------------------------------------------- */

static bool is_lossy(const struct ice_pair *p, fz_time now)
{
	if (p->n_unanswered <= LOSSY_AFTER)
		return false;
	/* Checks from the other side prove one direction only, but they come when ours are merely late. */
	return fz_time_is_never(p->last_request) ||
	       !fz_dur_less(fz_time_since(now, p->last_request), FZ_SECONDS(6));
}

/* How long a nomination counts beside a newer one. */
static fz_dur consent_of(const struct fz_ice *a, fz_time now)
{
	bool is_settled = !fz_dur_less(fz_time_since(now, a->timing_since), RESUME_GRACE);
	return is_settled ? a->timing->consent : RESUME_CONSENT;
}

static bool is_eligible(
	const struct fz_ice *a, const struct ice_pair *p, fz_time newest, fz_time now)
{
	if (!p->in_use || p->is_failed)
		return false;
	if (a->is_controlling)
		return p->is_valid;
	return p->is_nominated &&
	       !fz_dur_less(consent_of(a, now), fz_time_since(newest, p->last_nomination));
}

static fz_time newest_nomination(const struct fz_ice *a)
{
	fz_time newest = { 0 };
	for (const struct ice_pair *p = a->pairs; p < a->pairs + a->n_pairs; p++) {
		if (p->in_use && p->is_nominated && !fz_time_is_never(p->last_nomination) &&
			p->last_nomination.ns > newest.ns)
			newest = p->last_nomination;
	}
	return newest;
}

static bool is_better(const struct ice_pair *p, const struct ice_pair *than, fz_time now)
{
	if (!than || is_lossy(p, now) != is_lossy(than, now))
		return !than || is_lossy(than, now);
	return p->priority > than->priority;
}

void ice_pairs_reselect(struct fz_ice *a, fz_time now)
{
	struct ice_pair *best = NULL;
	fz_time newest = newest_nomination(a);
	EACH_PAIR(a, p)
	{
		if (is_eligible(a, p, newest, now) && is_better(p, best, now))
			best = p;
	}
	struct ice_pair *selected = selected_maybe(a);
	if (best == selected)
		return;
	if (a->is_controlling) {
		if (selected)
			selected->is_nominated = false;
		if (best) {
			best->is_nominated = true;
			best->next_check = now; /* tells the other side at once */
		}
	}
	a->selected = best ? (int32_t)(best - a->pairs) : -1;
}

bool fz_ice_selected(const struct fz_ice *a, struct fz_ice_path *ret_path)
{
	if (a->selected < 0)
		return false;
	const struct ice_pair *p = &a->pairs[a->selected];
	const struct fz_candidate *l = &a->locals[p->local].c;
	*ret_path = (struct fz_ice_path){ .local = l->addr,
		.remote = a->remotes[p->remote].c.addr,
		.is_relayed = l->kind == FZ_CANDIDATE_RELAY };
	return true;
}

fz_dur fz_ice_rtt(const struct fz_ice *a)
{
	return a->selected < 0 ? FZ_NANOSECONDS(0) : a->pairs[a->selected].rtt;
}

enum fz_ice_state fz_ice_state(const struct fz_ice *a)
{
	bool has_pairs = false;
	if (a->selected >= 0)
		return FZ_ICE_CONNECTED;
	for (const struct ice_pair *p = a->pairs; p < a->pairs + a->n_pairs; p++) {
		has_pairs = has_pairs || p->in_use;
		if (p->in_use && !p->is_failed)
			return FZ_ICE_CHECKING;
	}
	return has_pairs ? FZ_ICE_DISCONNECTED : FZ_ICE_NEW;
}

void fz_ice_set_timing(struct fz_ice *a, const struct fz_ice_timing *timing, fz_time now)
{
	if (a->timing == timing)
		return;
	bool is_faster = fz_dur_less(timing->max_rto, a->timing->max_rto);
	a->timing = timing;
	a->timing_since = now;
	EACH_PAIR(a, p)
	{
		if (!p->in_use || p->is_failed)
			continue;
		/* What was not answered at the old rate starts to count anew. */
		if (p->n_unanswered > 0) {
			p->n_unanswered = 1;
			p->unanswered_since = now;
		}
		p->delay = is_faster ? timing->initial_rto : timing->max_rto;
		p->next_check = is_faster ? now : p->next_check;
	}
}
