/* The relays of a device: their life as the portal tells it, and which connection hears of what they teach (protocol 4.1). */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"
#include "crypto/mac.h"
#include "path/paths_internal.h"

#define LEAST_DEVIATION FZ_MILLISECONDS(2)

/* ---- which one ----------------------------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* The largest round-trip time that is still near: 1.5 times the best of two, or no outlier among more. */
static uint64_t near_enough(uint64_t *rtts, size_t n)
{
	uint64_t deviations[FZ_PATHS_RELAYS_MAX];
	qsort(rtts, n, sizeof(*rtts), compare_u64);
	if (n <= 2)
		return rtts[0] + rtts[0] / 2;
	uint64_t median = rtts[n / 2];
	for (size_t i = 0; i < n; i++)
		deviations[i] = rtts[i] > median ? rtts[i] - median : median - rtts[i];
	qsort(deviations, n, sizeof(*deviations), compare_u64);
	uint64_t deviation = deviations[n / 2];
	if (deviation < LEAST_DEVIATION.ns)
		deviation = LEAST_DEVIATION.ns;
	return median + 3 * deviation;
}

struct paths_relay *paths_relay_sample_maybe(struct fz_paths *p)
{
	struct paths_relay *near[FZ_PATHS_RELAYS_MAX];
	uint64_t rtts[FZ_PATHS_RELAYS_MAX];
	size_t n = 0, n_near = 0;
	for (size_t i = 0; i < p->n_relays; i++) {
		if (fz_turn_has_answered(p->relays[i]->turn))
			rtts[n++] = fz_turn_rtt(p->relays[i]->turn).ns;
	}
	if (n == 0)
		return NULL;
	uint64_t limit = near_enough(rtts, n);
	for (size_t i = 0; i < p->n_relays; i++) {
		const struct fz_turn *t = p->relays[i]->turn;
		if (fz_turn_has_answered(t) && fz_turn_rtt(t).ns <= limit)
			near[n_near++] = p->relays[i];
	}
	fz_assert(n_near > 0);
	uint32_t r;
	p->random(p->user, fz_span_of(&r, sizeof(r)));
	return near[r % n_near];
}

struct paths_relay *paths_relay_of_server_maybe(struct fz_paths *p, const struct fz_addr *server)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		if (fz_turn_is_server(p->relays[i]->turn, server))
			return p->relays[i];
	}
	return NULL;
}

struct paths_relay *paths_relay_of_address_maybe(struct fz_paths *p, const struct fz_addr *relayed)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		const struct fz_addr *a =
			fz_turn_relayed(p->relays[i]->turn, (enum fz_family)relayed->ip.family);
		if (fz_addr_equal(a, relayed))
			return p->relays[i];
	}
	return NULL;
}

bool fz_paths_has_relay(const struct fz_paths *p)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		if (fz_turn_has_answered(p->relays[i]->turn))
			return true;
	}
	return false;
}

bool fz_paths_relay_info(const struct fz_paths *p, size_t i, struct fz_paths_relay_info *ret_info)
{
	if (i >= p->n_relays)
		return false;
	const struct paths_relay *r = p->relays[i];
	*ret_info = (struct fz_paths_relay_info){ .id = r->id,
		.server = *fz_turn_server(r->turn),
		.rtt = fz_turn_rtt(r->turn),
		.state = fz_turn_state(r->turn) };
	return true;
}

/* ---- what they teach ----------------------------------------------------------------------------------------- */

static void tell_gone(
	struct fz_paths *p, struct paths_relay *r, const struct fz_candidate *gone, fz_time now)
{
	for (uint32_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i] && p->slots[i]->relay == r)
			conn_remove_local(p->slots[i], gone, now);
	}
}

static void tell_new(
	struct fz_paths *p, struct paths_relay *r, const struct fz_candidate *k, fz_time now)
{
	for (uint32_t i = 0; i < p->n_slots; i++) {
		struct fz_conn *c = p->slots[i];
		if (c && (k->kind != FZ_CANDIDATE_RELAY || c->relay == r))
			conn_add_local(c, k, now);
	}
}

/* Host and reflexive candidates stay when they change: remotes may still reach them. Only relayed ones are withdrawn. */
static void tell_changes(struct fz_paths *p, struct paths_relay *r, fz_time now)
{
	struct fz_candidate fresh[FZ_TURN_SLOT_COUNT_];
	fz_turn_candidates(r->turn, fresh);
	for (size_t i = 0; i < FZ_TURN_SLOT_COUNT_; i++) {
		struct fz_candidate old = r->known[i];
		if (fz_addr_equal(&old.addr, &fresh[i].addr))
			continue;
		r->known[i] = fresh[i];
		if (old.kind == FZ_CANDIDATE_RELAY && old.addr.ip.family != FZ_NO_FAMILY)
			tell_gone(p, r, &old, now);
		if (fresh[i].addr.ip.family != FZ_NO_FAMILY)
			tell_new(p, r, &fresh[i], now);
	}
}

/* Takes the relay out of the list and away from its connections, which get another one if there is. */
static void drop(struct fz_paths *p, struct paths_relay *r, fz_time now)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		if (p->relays[i] == r) {
			p->relays[i] = p->relays[--p->n_relays];
			break;
		}
	}
	for (size_t i = 0; i < FZ_TURN_SLOT_COUNT_; i++) {
		if (r->known[i].kind == FZ_CANDIDATE_RELAY &&
			r->known[i].addr.ip.family != FZ_NO_FAMILY)
			tell_gone(p, r, &r->known[i], now);
	}
	for (uint32_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i] && p->slots[i]->relay == r)
			conn_use_relay(p->slots[i], paths_relay_sample_maybe(p), now);
	}
	fz_turn_free(r->turn);
	free(r);
}

bool paths_relay_sync(struct fz_paths *p, struct paths_relay *r, fz_time now)
{
	if (fz_turn_state(r->turn) == FZ_TURN_FAILED &&
		fz_turn_failure(r->turn) != FZ_TURN_FAILURE_NONE) {
		drop(p, r, now);
		p->has_no_relay_news = p->n_relays == 0;
		return true;
	}
	tell_changes(p, r, now);
	if (!fz_turn_has_answered(r->turn))
		return false;
	for (uint32_t i = 0; i < p->n_slots; i++) {
		if (p->slots[i] && !p->slots[i]->relay)
			conn_use_relay(p->slots[i], r, now);
	}
	return false;
}

/* ---- what the portal says ------------------------------------------------------------------------------------ */

static struct paths_relay *find_maybe(struct fz_paths *p, const char *id)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		if (strcmp(p->relays[i]->id, id) == 0)
			return p->relays[i];
	}
	return NULL;
}

static void identity_of(const struct fz_paths_relay *relay, uint8_t ret[static 32])
{
	struct fz_bytes parts[] = { fz_bytes_of(relay->v4.ip.b, sizeof(relay->v4.ip.b)),
		fz_bytes_of(&relay->v4.port, sizeof(relay->v4.port)),
		fz_bytes_of(relay->v6.ip.b, sizeof(relay->v6.ip.b)),
		fz_bytes_of(&relay->v6.port, sizeof(relay->v6.port)),
		fz_bytes_of(relay->username, strlen(relay->username) + 1),
		fz_bytes_of(relay->password, strlen(relay->password) + 1) };
	fz_sha256(parts, FZ_ARRAY_LEN(parts), ret);
}

static int make(struct fz_paths *p, const struct fz_paths_relay *relay,
	const uint8_t identity[static 32], fz_time now)
{
	struct fz_turn_params tp = { .random = p->random,
		.user = p->user,
		.server4 = relay->v4,
		.server6 = relay->v6,
		.username = relay->username,
		.password = relay->password };
	if (p->n_relays >= FZ_PATHS_RELAYS_MAX)
		return FZ_ERR_LIMIT;
	struct paths_relay *r = fz_new(struct paths_relay);
	if (!r)
		return -ENOMEM;
	r->turn = fz_turn_new(&tp, now);
	if (!r->turn) {
		free(r);
		return -ENOMEM;
	}
	memcpy(r->id, relay->id, strlen(relay->id));
	memcpy(r->identity, identity, sizeof(r->identity));
	fz_turn_candidates(r->turn, r->known);
	p->relays[p->n_relays++] = r;
	p->has_no_relay_news = false;
	return 0;
}

static bool is_valid(const struct fz_paths_relay *relay)
{
	size_t n = strnlen(relay->id, FZ_CONN_ID_LEN);
	bool has4 = relay->v4.ip.family == FZ_IP4 && relay->v4.port != 0;
	bool has6 = relay->v6.ip.family == FZ_IP6 && relay->v6.port != 0;
	return n > 0 && n < FZ_CONN_ID_LEN && (has4 || has6) &&
	       strlen(relay->username) < FZ_TURN_CREDENTIAL_MAX &&
	       strlen(relay->password) < FZ_TURN_CREDENTIAL_MAX;
}

int fz_paths_set_relay(struct fz_paths *p, const struct fz_paths_relay *relay, fz_time now)
{
	uint8_t identity[32];
	if (!is_valid(relay))
		return -EINVAL;
	identity_of(relay, identity);
	struct paths_relay *r = find_maybe(p, relay->id);
	if (r && fz_ct_equal(r->identity, identity, sizeof(identity))) {
		fz_turn_probe(r->turn, now);
		return 0;
	}
	if (r)
		drop(p, r, now);
	return make(p, relay, identity, now);
}

void fz_paths_remove_relay(struct fz_paths *p, const char *id, fz_time now)
{
	struct paths_relay *r = find_maybe(p, id);
	if (r)
		drop(p, r, now);
}

void fz_paths_release(struct fz_paths *p, fz_time now)
{
	for (size_t i = 0; i < p->n_relays; i++)
		fz_turn_release(p->relays[i]->turn, now);
}

void paths_relays_free(struct fz_paths *p)
{
	for (size_t i = 0; i < p->n_relays; i++) {
		fz_turn_free(p->relays[i]->turn);
		free(p->relays[i]);
	}
	p->n_relays = 0;
}
