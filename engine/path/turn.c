/*
 * Requests to a relay and what its answers mean: Firezone's way through RFC 8489 9.2 and RFC 8656 6 to 8. Every request is
 * signed from the first try on, with the nonce once one is known. Attribute order is that of Firezone's devices.
 */
#include "path/turn.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/endian.h"
#include "path/turn_internal.h"

#define SOFTWARE         "firezone"
#define FIRST_DELAY      FZ_SECONDS(1)
#define GIVES_UP_AFTER   FZ_SECONDS(8)
#define PROBE_WAIT       FZ_SECONDS(1)
#define KEEPALIVE        FZ_SECONDS(25)
#define DEFAULT_LIFETIME 600u /* RFC 8656 7.2 */
#define LEAST_LIFETIME   20u /* a server that promises less is asked every 10 s all the same */
#define MOST_LIFETIME    86'400u
#define MAX_NONCES       3 /* changes of nonce a single request lives through */
#define MAX_MISMATCHES   3 /* allocations lost in a row, before one that could be refreshed */

struct fz_turn *fz_turn_new(const struct fz_turn_params *params, fz_time now)
{
	if (strlen(params->username) >= FZ_TURN_CREDENTIAL_MAX ||
		strlen(params->password) >= FZ_TURN_CREDENTIAL_MAX)
		return NULL;
	if (params->server4.ip.family != FZ_IP4 && params->server6.ip.family != FZ_IP6)
		return NULL;
	struct fz_turn *t = fz_new(struct fz_turn);
	if (!t)
		return NULL;
	t->random = params->random;
	t->user = params->user;
	t->server4 = params->server4;
	t->server6 = params->server6;
	memcpy(t->username, params->username, strlen(params->username));
	fz_stun_long_term_key(fz_bytes_of_str(params->username), fz_bytes_of_str(FZ_TURN_REALM),
		fz_bytes_of_str(params->password), t->key);
	fz_turn_restart(t, now);
	return t;
}

void fz_turn_free(struct fz_turn *t)
{
	if (!t)
		return;
	free(t->channels);
	fz_wipe(t, sizeof(*t));
	free(t);
}

enum fz_turn_state fz_turn_state(const struct fz_turn *t)
{
	return t->state;
}

enum fz_turn_failure fz_turn_failure(const struct fz_turn *t)
{
	return t->failure;
}

bool fz_turn_has_answered(const struct fz_turn *t)
{
	return t->has_rtt && t->state != FZ_TURN_FAILED;
}

fz_dur fz_turn_rtt(const struct fz_turn *t)
{
	return t->rtt;
}

bool fz_turn_is_server(const struct fz_turn *t, const struct fz_addr *a)
{
	return fz_addr_equal(&t->server4, a) || fz_addr_equal(&t->server6, a);
}

const struct fz_addr *fz_turn_server(const struct fz_turn *t)
{
	return &t->active;
}

const struct fz_addr *fz_turn_local(const struct fz_turn *t)
{
	return &t->local;
}

const struct fz_addr *fz_turn_relayed(const struct fz_turn *t, enum fz_family family)
{
	static const struct fz_addr none;
	if (family == FZ_NO_FAMILY)
		return &none;
	return family == FZ_IP4 ? &t->relayed4 : &t->relayed6;
}

void fz_turn_candidates(
	const struct fz_turn *t, struct fz_candidate ret[static FZ_TURN_SLOT_COUNT_])
{
	ret[FZ_TURN_HOST4] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_HOST, .addr = t->host4, .base = t->host4
	};
	ret[FZ_TURN_HOST6] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_HOST, .addr = t->host6, .base = t->host6
	};
	ret[FZ_TURN_SRFLX4] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_SRFLX, .addr = t->srflx4, .base = t->host4
	};
	ret[FZ_TURN_SRFLX6] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_SRFLX, .addr = t->srflx6, .base = t->host6
	};
	ret[FZ_TURN_RELAY4] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_RELAY, .addr = t->relayed4, .base = t->local
	};
	ret[FZ_TURN_RELAY6] = (struct fz_candidate){
		.kind = FZ_CANDIDATE_RELAY, .addr = t->relayed6, .base = t->local
	};
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

struct turn_request *turn_request_start_maybe(
	struct fz_turn *t, uint16_t method, const struct fz_addr *server, fz_time now)
{
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++) {
		struct turn_request *r = &t->requests[i];
		if (r->in_use)
			continue;
		*r = (struct turn_request){ .in_use = true, .method = method, .server = *server };
		r->next_try = now;
		r->delay = FIRST_DELAY;
		r->gives_up = fz_time_add(now, GIVES_UP_AFTER);
		return r;
	}
	return NULL;
}

static void forget_allocation(struct fz_turn *t)
{
	t->relayed4 = t->relayed6 = (struct fz_addr){ .port = 0 };
	t->refresh_at = FZ_NEVER;
	turn_channels_forget(t);
}

static void cancel_requests(struct fz_turn *t)
{
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++)
		t->requests[i].in_use = false;
}

void fz_turn_restart(struct fz_turn *t, fz_time now)
{
	cancel_requests(t);
	forget_allocation(t);
	t->state = FZ_TURN_PROBING;
	t->failure = FZ_TURN_FAILURE_NONE;
	t->has_rtt = false;
	t->nonce_len = t->n_mismatches = 0;
	t->active = t->local = (struct fz_addr){ .port = 0 };
	t->host4 = t->host6 = t->srflx4 = t->srflx6 = t->active;
	if (t->server4.ip.family == FZ_IP4)
		(void)!turn_request_start_maybe(t, FZ_STUN_BINDING, &t->server4, now);
	if (t->server6.ip.family == FZ_IP6)
		(void)!turn_request_start_maybe(t, FZ_STUN_BINDING, &t->server6, now);
}

static bool is_in_flight(const struct fz_turn *t, uint16_t method)
{
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++) {
		if (t->requests[i].in_use && t->requests[i].method == method)
			return true;
	}
	return false;
}

static void fail(struct fz_turn *t, enum fz_turn_failure why)
{
	t->state = FZ_TURN_FAILED;
	t->failure = why;
	forget_allocation(t);
	cancel_requests(t);
}

static void allocate(struct fz_turn *t, fz_time now)
{
	cancel_requests(t);
	forget_allocation(t);
	t->state = FZ_TURN_ALLOCATING;
	(void)!turn_request_start_maybe(t, FZ_STUN_ALLOCATE, &t->active, now);
}

static void write_request(struct fz_turn *t, struct turn_request *r, struct fz_writer *w)
{
	static const uint8_t udp[4] = { 17 }, ip6[4] = { 2 };
	if (r->method == FZ_STUN_CHANNEL_BIND) {
		uint8_t number[4] = { 0 };
		fz_be16_store(number, (uint16_t)(FZ_TURN_CHANNEL_FIRST + r->channel));
		fz_stun_put_addr(w, FZ_STUN_XOR_PEER_ADDRESS, &t->channels[r->channel].peer);
		fz_stun_put(w, FZ_STUN_CHANNEL_NUMBER, fz_bytes_of(number, sizeof(number)));
	} else if (r->method == FZ_STUN_ALLOCATE) {
		fz_stun_put(w, FZ_STUN_REQUESTED_TRANSPORT, fz_bytes_of(udp, sizeof(udp)));
		fz_stun_put(w, FZ_STUN_ADDITIONAL_ADDRESS_FAMILY, fz_bytes_of(ip6, sizeof(ip6)));
	}
	if (r->is_delete)
		fz_stun_put_u32(w, FZ_STUN_LIFETIME, 0);
	fz_stun_put(w, FZ_STUN_SOFTWARE, fz_bytes_of(SOFTWARE, strlen(SOFTWARE)));
	r->had_nonce = t->nonce_len > 0;
	if (r->method == FZ_STUN_BINDING || (t->starts_bare && !r->had_nonce))
		return;
	fz_stun_put(w, FZ_STUN_USERNAME, fz_bytes_of(t->username, strlen(t->username)));
	fz_stun_put(w, FZ_STUN_REALM, fz_bytes_of(FZ_TURN_REALM, strlen(FZ_TURN_REALM)));
	if (r->had_nonce)
		fz_stun_put(w, FZ_STUN_NONCE, fz_bytes_of(t->nonce, t->nonce_len));
	fz_stun_put_integrity(w, fz_bytes_of(t->key, sizeof(t->key)));
}

/* A BINDING is sent again as it was; signed requests get a new id each time. */
static struct turn_try *next_try(struct fz_turn *t, struct turn_request *r)
{
	struct turn_try *try = &r->tries[r->n_tries % TURN_TRIES_MAX];
	if (r->method == FZ_STUN_BINDING && r->n_tries > 0)
		try->id = r->tries[(r->n_tries - 1) % TURN_TRIES_MAX].id;
	else
		t->random(t->user, fz_span_of(try->id.b, sizeof(try->id.b)));
	r->n_tries++;
	return try;
}

static size_t send_request(
	struct fz_turn *t, struct turn_request *r, fz_time now, struct fz_span out)
{
	struct turn_try *try = next_try(t, r);
	try->at = now;
	struct fz_writer w = fz_writer_of(out);
	fz_stun_begin(&w, FZ_STUN_REQUEST, r->method, &try->id);
	write_request(t, r, &w);
	size_t len = fz_stun_finish(&w);
	fz_assert(len > 0);
	r->next_try = fz_time_add(now, r->delay);
	r->delay = FZ_NANOSECONDS(r->delay.ns + r->delay.ns / 2);
	if (fz_addr_equal(&r->server, &t->active))
		t->last_sent = now;
	return len;
}

/* A request nobody answered. A second address of the relay may stay silent; anything else is the end of the relay. */
static void give_up(struct fz_turn *t, struct turn_request *r, fz_time now)
{
	/* All tries were lost, but the relay is there: ask again instead of throwing a working allocation away. */
	bool is_alive = t->has_rtt && t->state != FZ_TURN_FAILED &&
			!fz_time_reached(now, fz_time_add(t->last_heard, GIVES_UP_AFTER));
	if (is_alive && fz_addr_equal(&r->server, &t->active)) {
		r->next_try = now;
		r->delay = FIRST_DELAY;
		r->gives_up = fz_time_add(now, GIVES_UP_AFTER);
		return;
	}
	r->in_use = false;
	if (r->is_delete && t->state != FZ_TURN_ALLOCATING)
		return;
	bool is_spare = r->method == FZ_STUN_BINDING && !fz_addr_equal(&r->server, &t->active);
	if (is_spare && (t->state != FZ_TURN_PROBING || is_in_flight(t, FZ_STUN_BINDING)))
		return;
	fail(t, FZ_TURN_FAILURE_SILENT);
}

static void schedule(struct fz_turn *t, fz_time now)
{
	if (t->state != FZ_TURN_ALLOCATED)
		return;
	if (fz_time_reached(now, t->refresh_at) && !is_in_flight(t, FZ_STUN_REFRESH) &&
		turn_request_start_maybe(t, FZ_STUN_REFRESH, &t->active, now))
		t->refresh_at = FZ_NEVER;
	turn_channels_schedule(t, now);
	if (fz_time_reached(now, fz_time_add(t->last_sent, KEEPALIVE)) &&
		!is_in_flight(t, FZ_STUN_BINDING))
		(void)!turn_request_start_maybe(t, FZ_STUN_BINDING, &t->active, now);
}

size_t fz_turn_poll(struct fz_turn *t, fz_time now, struct fz_span out, struct fz_addr *ret_server)
{
	fz_assert(out.n >= FZ_TURN_MESSAGE_MAX);
	schedule(t, now);
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++) {
		struct turn_request *r = &t->requests[i];
		if (!r->in_use)
			continue;
		if (fz_time_reached(now, r->gives_up)) {
			give_up(t, r, now);
			if (!r->in_use)
				continue;
		}
		if (!fz_time_reached(now, r->next_try))
			continue;
		*ret_server = r->server;
		return send_request(t, r, now, out);
	}
	return 0;
}

fz_time fz_turn_deadline(const struct fz_turn *t)
{
	fz_time at = FZ_NEVER;
	if (t->state == FZ_TURN_ALLOCATED) {
		at = fz_time_min(t->refresh_at, t->channels_due);
		if (!is_in_flight(t, FZ_STUN_BINDING))
			at = fz_time_min(at, fz_time_add(t->last_sent, KEEPALIVE));
	}
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++) {
		const struct turn_request *r = &t->requests[i];
		if (r->in_use)
			at = fz_time_min(at, fz_time_min(r->next_try, r->gives_up));
	}
	return at;
}

void fz_turn_sent(struct fz_turn *t, fz_time now)
{
	t->last_sent = now;
}

void fz_turn_probe(struct fz_turn *t, fz_time now)
{
	if (t->state != FZ_TURN_ALLOCATED || is_in_flight(t, FZ_STUN_REFRESH))
		return;
	struct turn_request *r = turn_request_start_maybe(t, FZ_STUN_REFRESH, &t->active, now);
	if (r)
		r->gives_up = fz_time_add(now, PROBE_WAIT);
}

void fz_turn_release(struct fz_turn *t, fz_time now)
{
	if (t->state != FZ_TURN_ALLOCATED)
		return;
	fail(t, FZ_TURN_FAILURE_NONE);
	struct turn_request *r = turn_request_start_maybe(t, FZ_STUN_REFRESH, &t->active, now);
	if (r)
		r->is_delete = true;
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

static struct turn_request *find_request_maybe(
	struct fz_turn *t, const struct fz_stun_id *id, fz_time *ret_sent)
{
	for (size_t i = 0; i < TURN_REQUESTS_MAX; i++) {
		struct turn_request *r = &t->requests[i];
		size_t n = r->n_tries < TURN_TRIES_MAX ? r->n_tries : TURN_TRIES_MAX;
		bool is_found = false;
		/* The latest try of an id that was sent more than once: its answer may be a late one's, but not by much. */
		for (size_t k = 0; r->in_use && k < n; k++) {
			if (memcmp(r->tries[k].id.b, id->b, sizeof(id->b)) /* public */ != 0)
				continue;
			if (!is_found || r->tries[k].at.ns > ret_sent->ns)
				*ret_sent = r->tries[k].at;
			is_found = true;
		}
		if (is_found)
			return r;
	}
	return NULL;
}

static void measure(struct fz_turn *t, fz_dur sample)
{
	t->rtt = t->has_rtt ? FZ_NANOSECONDS(t->rtt.ns / 8 * 7 + sample.ns / 8) : sample;
	t->has_rtt = true;
}

static void learn_addresses(
	struct fz_turn *t, const struct fz_addr *local, const struct fz_addr *mapped)
{
	bool is_ip4 = local->ip.family == FZ_IP4;
	if (local->ip.family != mapped->ip.family)
		return;
	*(is_ip4 ? &t->host4 : &t->host6) = *local;
	*(is_ip4 ? &t->srflx4 : &t->srflx6) = *mapped;
}

static enum fz_turn_verdict take_binding(struct fz_turn *t, fz_time now,
	const struct fz_addr *local, struct turn_request *r, const struct fz_stun *m)
{
	if (m->class != FZ_STUN_SUCCESS || m->mapped.ip.family == FZ_NO_FAMILY)
		return FZ_TURN_DROP_MALFORMED;
	r->in_use = false;
	learn_addresses(t, local, &m->mapped);
	if (t->state == FZ_TURN_PROBING) {
		/* The question to the other address goes on: it teaches the other IP version's candidates. */
		t->active = r->server;
		t->local = *local;
		t->state = FZ_TURN_ALLOCATING;
		(void)!turn_request_start_maybe(t, FZ_STUN_ALLOCATE, &t->active, now);
	}
	return FZ_TURN_TAKEN;
}

static uint32_t lifetime_of(const struct fz_stun *m)
{
	uint32_t seconds = m->has_lifetime ? m->lifetime : DEFAULT_LIFETIME;
	if (seconds < LEAST_LIFETIME)
		return LEAST_LIFETIME;
	return seconds > MOST_LIFETIME ? MOST_LIFETIME : seconds;
}

static void take_lifetime(struct fz_turn *t, const struct fz_stun *m, fz_time now)
{
	t->refresh_at = fz_time_add(now, FZ_MILLISECONDS(lifetime_of(m) * 500ull));
}

static enum fz_turn_verdict take_success(
	struct fz_turn *t, fz_time now, struct turn_request *r, const struct fz_stun *m)
{
	bool was_delete = r->is_delete;
	uint16_t channel = r->channel;
	if (r->method == FZ_STUN_ALLOCATE && m->relayed4.ip.family == FZ_NO_FAMILY &&
		m->relayed6.ip.family == FZ_NO_FAMILY)
		return FZ_TURN_DROP_MALFORMED;
	r->in_use = false;
	switch ((enum fz_stun_method)r->method) {
	case FZ_STUN_ALLOCATE:
		t->relayed4 = m->relayed4;
		t->relayed6 = m->relayed6;
		t->state = FZ_TURN_ALLOCATED;
		take_lifetime(t, m, now);
		break;
	case FZ_STUN_REFRESH:
		t->n_mismatches = was_delete ? t->n_mismatches : 0;
		if (!was_delete)
			take_lifetime(t, m, now);
		else if (t->state == FZ_TURN_ALLOCATING)
			allocate(t, now);
		break;
	case FZ_STUN_CHANNEL_BIND: turn_channel_bound(t, channel, now); break;
	case FZ_STUN_BINDING:
	case FZ_STUN_CREATE_PERMISSION: break;
	}
	return FZ_TURN_TAKEN;
}

static bool is_bad_start(
	const struct fz_turn *t, const struct turn_request *r, const struct fz_stun *m)
{
	return m->error == 400 && !r->had_nonce && !t->starts_bare;
}

/* 401 or 438: the same request again with the nonce, as long as that can help. */
static void take_nonce(
	struct fz_turn *t, fz_time now, struct turn_request *r, const struct fz_stun *m)
{
	static const struct fz_bytes realm = { (const uint8_t *)FZ_TURN_REALM,
		sizeof(FZ_TURN_REALM) - 1 };
	bool is_stale = m->error == 438;
	bool is_ours = m->realm.n == 0 ? is_stale : fz_bytes_equal(m->realm, realm);
	if (!is_ours || m->nonce.n == 0 || m->nonce.n > TURN_NONCE_MAX ||
		(!is_stale && r->had_nonce) || r->n_nonces >= MAX_NONCES) {
		fail(t, FZ_TURN_FAILURE_CREDENTIALS);
		return;
	}
	memcpy(t->nonce, m->nonce.p, m->nonce.n);
	t->nonce_len = m->nonce.n;
	r->n_nonces++;
	r->next_try = now;
	r->delay = FIRST_DELAY;
}

static void take_mismatch(struct fz_turn *t, fz_time now, struct turn_request *r)
{
	bool was_allocate = r->method == FZ_STUN_ALLOCATE, was_delete = r->is_delete;
	if (++t->n_mismatches > MAX_MISMATCHES) {
		fail(t, FZ_TURN_FAILURE_REFUSED);
		return;
	}
	allocate(t, now);
	if (!was_allocate || was_delete)
		return;
	/* The server holds an allocation for this socket that we know nothing of: away with it first. */
	cancel_requests(t);
	struct turn_request *d = turn_request_start_maybe(t, FZ_STUN_REFRESH, &t->active, now);
	if (d)
		d->is_delete = true;
}

static void take_refusal(struct fz_turn *t, fz_time now, struct turn_request *r)
{
	uint16_t method = r->method, channel = r->channel;
	r->in_use = false;
	if (method == FZ_STUN_CHANNEL_BIND)
		turn_channel_refused(t, channel, now);
	else if (method == FZ_STUN_REFRESH && t->state == FZ_TURN_ALLOCATED &&
		 ++t->n_mismatches <= MAX_MISMATCHES)
		allocate(t, now);
	else
		fail(t, FZ_TURN_FAILURE_REFUSED);
}

static void take_error(
	struct fz_turn *t, fz_time now, struct turn_request *r, const struct fz_stun *m)
{
	/* Strict servers want credentials either with a nonce or not at all (RFC 8489 9.2.4): ask them bare, once. */
	if (is_bad_start(t, r, m)) {
		t->starts_bare = true;
		r->next_try = now;
		r->delay = FIRST_DELAY;
		return;
	}
	switch (m->error) {
	case 401:
	case 438: take_nonce(t, now, r, m); break;
	case 437:
		if (r->is_delete && t->state == FZ_TURN_FAILED)
			r->in_use = false;
		else
			take_mismatch(t, now, r);
		break;
	case 420: fail(t, FZ_TURN_FAILURE_REFUSED); break;
	default: take_refusal(t, now, r); break;
	}
}

/*
 * Servers outside Firezone leave 401 and 438 unsigned, for they may not know us (RFC 8489 9.2.4); all else must carry our
 * signature.
 */
static bool is_trusted(
	const struct fz_turn *t, const struct turn_request *r, const struct fz_stun *m)
{
	if (fz_stun_has_integrity(m))
		return fz_stun_is_signed(m, fz_bytes_of(t->key, sizeof(t->key)));
	return m->class == FZ_STUN_ERROR &&
	       (m->error == 401 || m->error == 438 || is_bad_start(t, r, m));
}

enum fz_turn_verdict fz_turn_receive(struct fz_turn *t, fz_time now, const struct fz_addr *local,
	const struct fz_addr *server, const struct fz_stun *m)
{
	fz_time sent;
	struct turn_request *r = find_request_maybe(t, &m->id, &sent);
	if (!r || r->method != m->method || !fz_addr_equal(&r->server, server))
		return FZ_TURN_DROP_UNASKED;
	if (m->class != FZ_STUN_SUCCESS && m->class != FZ_STUN_ERROR)
		return FZ_TURN_DROP_MALFORMED;
	if (r->method != FZ_STUN_BINDING && !is_trusted(t, r, m))
		return FZ_TURN_DROP_UNSIGNED;
	measure(t, fz_time_since(now, sent));
	t->last_heard = now;
	if (r->method == FZ_STUN_BINDING)
		return take_binding(t, now, local, r, m);
	if (m->class == FZ_STUN_SUCCESS)
		return take_success(t, now, r, m);
	take_error(t, now, r, m);
	return FZ_TURN_TAKEN;
}
