/*
 * One connection's life: Firezone's protocol 3.2 (reuse, failure), 3.5 (which candidates are signalled, optimistic ones), 3.6
 * (schedules, idling, when a handshake is due).
 */
#include "path/conn.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"
#include "crypto/mac.h"
#include "path/paths_internal.h"

#define NO_CANDIDATES_AFTER  FZ_SECONDS(10)
#define NO_PAIRS_AFTER       FZ_SECONDS(20) /* candidates came, none of an IP version we have */
#define DISCONNECTED_FOR     FZ_SECONDS(2)
#define IDLE_AFTER           FZ_SECONDS(20)
#define HANDSHAKE_NOT_WITHIN FZ_SECONDS(20)
#define MAX_OPTIMISTIC       2

/* clang-format off */
static const struct fz_ice_timing timings[2][2] = {
	/* client */
	{ { { 250'000'000 },     { 1'500'000'000 },   { 16'500'000'000 },    { 6'000'000'000 } },
	  { { 25'000'000'000 },  { 25'000'000'000 },  { 100'000'000'000 },   { 60'000'000'000 } } },
	/* gateway */
	{ { { 250'000'000 },     { 15'000'000'000 },  { 615'500'000'000 },   { 6'000'000'000 } },
	  { { 25'000'000'000 },  { 25'000'000'000 },  { 1'000'000'000'000 }, { 60'000'000'000 } } },
};
/* clang-format on */

static const char *const failure_names[FZ_CONN_FAILURE_COUNT_] = {
	[FZ_CONN_FAILURE_NONE] = "none",
	[FZ_CONN_FAILURE_NO_CANDIDATES] = "the other side named no address",
	[FZ_CONN_FAILURE_UNREACHABLE] = "no address of the other side answers",
};

const char *fz_conn_failure_name(enum fz_conn_failure why)
{
	return why < FZ_CONN_FAILURE_COUNT_ ? failure_names[why] : "unknown";
}

static const struct fz_ice_timing *timing_of(const struct fz_conn *c)
{
	return &timings[c->paths->is_gateway][c->is_idle];
}

static fz_time *due_of(struct fz_conn *c)
{
	return &c->paths->dues[c->slot];
}

static void mark(struct fz_conn *c)
{
	if (!fz_node_is_linked(&c->dirty))
		fz_list_push_back(&c->paths->dirty, &c->dirty);
}

/* ---- start and stop ------------------------------------------------------------------------------------------ */

static bool is_text(const char *text, size_t cap)
{
	size_t n = strnlen(text, cap);
	return n > 0 && n < cap;
}

bool conn_is_valid(const struct fz_conn_params *params)
{
	const struct fz_ice_credentials *l = params->local, *r = params->remote;
	return is_text(params->id, FZ_CONN_ID_LEN) && is_text(l->ufrag, FZ_ICE_UFRAG_MAX) &&
	       is_text(r->ufrag, FZ_ICE_UFRAG_MAX) && !strchr(l->ufrag, ':') &&
	       is_text(l->password, FZ_ICE_PASSWORD_MAX) &&
	       is_text(r->password, FZ_ICE_PASSWORD_MAX);
}

/* Texts are hashed with their NUL, so that none can run into the next. */
static struct fz_bytes with_nul(const char *text)
{
	return fz_bytes_of(text, strlen(text) + 1);
}

void conn_identity(const struct fz_conn_params *params, uint8_t ret[static 32])
{
	uint8_t role = params->is_controlling;
	struct fz_bytes parts[] = { fz_bytes_of(&role, 1),
		fz_bytes_of(params->public_key, FZ_KEY_LEN),
		fz_bytes_of(params->preshared_key->b, FZ_KEY_LEN), with_nul(params->local->ufrag),
		with_nul(params->local->password), with_nul(params->remote->ufrag),
		with_nul(params->remote->password) };
	fz_sha256(parts, FZ_ARRAY_LEN(parts), ret);
}

static void add_known(struct fz_conn *c, const struct paths_relay *r, fz_time now)
{
	for (size_t i = 0; i < FZ_TURN_SLOT_COUNT_; i++) {
		const struct fz_candidate *k = &r->known[i];
		bool is_wanted = k->kind != FZ_CANDIDATE_RELAY || r == c->relay;
		if (k->addr.ip.family != FZ_NO_FAMILY && is_wanted)
			conn_add_local(c, k, now);
	}
}

bool conn_start(struct fz_conn *c, const struct fz_conn_params *params, fz_time now)
{
	struct fz_paths *p = c->paths;
	c->is_controlling = params->is_controlling;
	c->is_idle = c->was_connected = c->has_way = c->has_remotes = false;
	c->is_way_news = c->is_handshake_news = c->is_failure_news = false;
	c->n_announced = c->n_optimistic = 0;
	c->failure = FZ_CONN_FAILURE_NONE;
	c->created = c->last_packet = now;
	c->disconnected = c->last_handshake = *due_of(c) = FZ_NEVER;
	conn_identity(params, c->identity);
	memcpy(c->ufrag, params->local->ufrag, sizeof(c->ufrag));
	struct fz_ice_params ip = { .random = p->random,
		.user = p->user,
		.is_controlling = params->is_controlling,
		.local = params->local,
		.remote = params->remote,
		.tag = c->tag,
		.timing = timing_of(c) };
	c->ice = fz_ice_new(&ip);
	if (!c->ice)
		return false;
	c->relay = paths_relay_sample_maybe(p);
	for (size_t i = 0; i < p->n_hosts; i++) {
		struct fz_candidate host = {
			.kind = FZ_CANDIDATE_HOST, .addr = p->hosts[i], .base = p->hosts[i]
		};
		conn_add_local(c, &host, now);
	}
	for (size_t i = 0; i < p->n_relays; i++)
		add_known(c, p->relays[i], now);
	conn_update(c, now);
	return true;
}

void conn_stop(struct fz_conn *c)
{
	fz_ice_free(c->ice);
	c->ice = NULL;
	fz_wipe(c->identity, sizeof(c->identity));
	if (fz_node_is_linked(&c->dirty))
		fz_list_remove(&c->dirty);
}

static void want_handshake(struct fz_conn *c, fz_time now)
{
	if (!c->is_controlling || !c->has_way)
		return;
	if (!fz_time_is_never(c->last_handshake) &&
		fz_dur_less(fz_time_since(now, c->last_handshake), HANDSHAKE_NOT_WITHIN))
		return;
	c->last_handshake = now;
	c->is_handshake_news = true;
	mark(c);
}

void conn_keep(struct fz_conn *c, fz_time now)
{
	for (uint32_t i = 0; i < c->n_announced; i++) {
		if (c->announced[i].news == CONN_SIGNALLED)
			c->announced[i].news = CONN_TO_SIGNAL;
	}
	if (c->n_announced > 0)
		mark(c);
	fz_conn_packet(c, now);
	want_handshake(c, now);
}

/* ---- candidates ---------------------------------------------------------------------------------------------- */

static void announce(struct fz_conn *c, const struct fz_candidate *added)
{
	for (size_t i = 0;; i++) {
		const struct fz_candidate *l = fz_ice_local_maybe(c->ice, i);
		fz_assert(l);
		if (l->kind != added->kind || !fz_addr_equal(&l->addr, &added->addr))
			continue;
		/* As many as the agent takes, and those taken away make room as soon as they are told. */
		if (c->n_announced < FZ_ARRAY_LEN(c->announced))
			c->announced[c->n_announced++] =
				(struct conn_candidate){ .c = *l, .news = CONN_TO_SIGNAL };
		mark(c);
		return;
	}
}

/* A change of candidates ends idling: the new ones are to be tried now. */
static void wake(struct fz_conn *c, fz_time now)
{
	c->last_packet = now;
	c->is_idle = false;
	fz_ice_set_timing(c->ice, timing_of(c), now);
}

void conn_add_local(struct fz_conn *c, const struct fz_candidate *local, fz_time now)
{
	if (c->failure != FZ_CONN_FAILURE_NONE || fz_ice_add_local(c->ice, local, now) != 1)
		return;
	announce(c, local);
	wake(c, now);
	conn_update(c, now);
}

void conn_remove_local(struct fz_conn *c, const struct fz_candidate *local, fz_time now)
{
	fz_ice_remove_local(c->ice, local, now);
	for (uint32_t i = 0; i < c->n_announced; i++) {
		struct conn_candidate *a = &c->announced[i];
		if (a->c.kind != local->kind || !fz_addr_equal(&a->c.addr, &local->addr))
			continue;
		a->news = CONN_TO_WITHDRAW;
		mark(c);
	}
	if (c->failure == FZ_CONN_FAILURE_NONE) {
		wake(c, now);
		conn_update(c, now);
	}
}

void conn_use_relay(struct fz_conn *c, struct paths_relay *r, fz_time now)
{
	c->relay = r;
	if (r)
		add_known(c, r, now);
}

/*
 * A NAT of the remote's with a port forwarded to it shows at the address it was seen from, at the port it listens on: worth
 * a check although nobody signalled it.
 */
static void add_optimistic(struct fz_conn *c, fz_time now)
{
	const struct fz_candidate *srflx, *host;
	for (size_t i = 0; (srflx = fz_ice_remote_maybe(c->ice, i)); i++) {
		if (srflx->kind != FZ_CANDIDATE_SRFLX || srflx->addr.ip.family != FZ_IP4)
			continue;
		for (size_t k = 0; (host = fz_ice_remote_maybe(c->ice, k)); k++) {
			if (host->kind != FZ_CANDIDATE_HOST || host->addr.ip.family != FZ_IP4)
				continue;
			if (c->n_optimistic >= MAX_OPTIMISTIC)
				return;
			struct fz_candidate o = *srflx;
			o.addr.port = host->addr.port;
			c->n_optimistic += fz_ice_add_remote(c->ice, &o, now) == 1;
		}
	}
}

int fz_conn_add_candidate(struct fz_conn *c, const char *text, fz_time now)
{
	struct fz_candidate remote;
	int r = fz_candidate_parse(text, &remote);
	if (r < 0 || c->failure != FZ_CONN_FAILURE_NONE)
		return r;
	r = fz_ice_add_remote(c->ice, &remote, now);
	c->has_remotes = true;
	add_optimistic(c, now);
	/* Its packets come through our relay as soon as they come, so the relay must know it by then. */
	if (c->relay && remote.kind != FZ_CANDIDATE_HOST)
		(void)!fz_turn_channel(c->relay->turn, &remote.addr, now);
	if (r == 1)
		wake(c, now);
	conn_update(c, now);
	return r;
}

int fz_conn_remove_candidate(struct fz_conn *c, const char *text, fz_time now)
{
	struct fz_candidate remote;
	int r = fz_candidate_parse(text, &remote);
	if (r < 0 || c->failure != FZ_CONN_FAILURE_NONE)
		return r;
	fz_ice_remove_remote(c->ice, &remote, now);
	wake(c, now);
	conn_update(c, now);
	return 0;
}

/* ---- what follows from the agent's state --------------------------------------------------------------------- */

bool conn_way_of(
	struct fz_paths *p, const struct fz_ice_path *path, fz_time now, struct fz_way *ret)
{
	if (!path->is_relayed) {
		*ret = (struct fz_way){
			.local = path->local, .remote = path->remote, .peer = path->remote
		};
		return true;
	}
	struct paths_relay *r = paths_relay_of_address_maybe(p, &path->local);
	uint16_t channel = r ? fz_turn_channel(r->turn, &path->remote, now) : 0;
	if (channel == 0)
		return false;
	*ret = (struct fz_way){ .local = *fz_turn_local(r->turn),
		.remote = *fz_turn_server(r->turn),
		.peer = path->remote,
		.channel = channel };
	return true;
}

static bool is_same_path(const struct fz_ice_path *x, const struct fz_ice_path *y)
{
	return x->is_relayed == y->is_relayed && fz_addr_equal(&x->local, &y->local) &&
	       fz_addr_equal(&x->remote, &y->remote);
}

static void update_way(struct fz_conn *c, fz_time now)
{
	struct fz_ice_path path;
	struct fz_way way;
	bool has_way =
		fz_ice_selected(c->ice, &path) &&
		(!c->has_way || !is_same_path(&path, &c->path) ||
			c->path.is_relayed) /* its channel may have changed with the allocation */
		&& conn_way_of(c->paths, &path, now, &way);
	if (!has_way) {
		if (c->has_way && !fz_ice_selected(c->ice, &path)) {
			c->has_way = false;
			c->is_way_news = true;
			mark(c);
		}
		return;
	}
	bool is_new =
		!c->has_way || !is_same_path(&path, &c->path) || way.channel != c->way.channel;
	c->path = path;
	c->way = way;
	c->has_way = true;
	if (!is_new)
		return;
	c->is_way_news = true;
	mark(c);
	want_handshake(c, now);
}

static void give_up(struct fz_conn *c, enum fz_conn_failure why)
{
	c->failure = why;
	c->is_failure_news = true;
	c->has_way = false;
	*due_of(c) = FZ_NEVER;
	mark(c);
}

static fz_time idles_at(const struct fz_conn *c)
{
	return c->is_idle || !c->has_way ? FZ_NEVER : fz_time_add(c->last_packet, IDLE_AFTER);
}

static fz_time gives_up_at(const struct fz_conn *c)
{
	if (!c->has_remotes)
		return fz_time_add(c->created, NO_CANDIDATES_AFTER);
	if (fz_ice_state(c->ice) == FZ_ICE_NEW)
		return fz_time_add(c->created, NO_PAIRS_AFTER);
	return fz_time_is_never(c->disconnected) ? FZ_NEVER
						 : fz_time_add(c->disconnected, DISCONNECTED_FOR);
}

void conn_update(struct fz_conn *c, fz_time now)
{
	if (c->failure != FZ_CONN_FAILURE_NONE)
		return;
	update_way(c, now);
	if (c->has_way && !c->was_connected) {
		c->was_connected = true;
		c->last_packet = now;
	}
	if (fz_ice_state(c->ice) != FZ_ICE_DISCONNECTED)
		c->disconnected = FZ_NEVER;
	else if (fz_time_is_never(c->disconnected))
		c->disconnected = now;
	if (fz_time_reached(now, gives_up_at(c))) {
		give_up(c, c->has_remotes ? FZ_CONN_FAILURE_UNREACHABLE
					  : FZ_CONN_FAILURE_NO_CANDIDATES);
		return;
	}
	if (fz_time_reached(now, idles_at(c))) {
		c->is_idle = true;
		fz_ice_set_timing(c->ice, timing_of(c), now);
	}
	*due_of(c) = fz_time_min(fz_ice_deadline(c->ice), fz_time_min(idles_at(c), gives_up_at(c)));
}

static bool take_candidate(struct fz_conn *c, enum conn_news news, struct fz_paths_event *ret_event)
{
	for (uint32_t i = 0; i < c->n_announced; i++) {
		struct conn_candidate *a = &c->announced[i];
		if (a->news != news)
			continue;
		int r = fz_candidate_format(&a->c, c->ufrag, ret_event->text);
		fz_assert(r == 0); /* the ufrag was checked */
		if (news == CONN_TO_SIGNAL)
			a->news = CONN_SIGNALLED;
		else
			*a = c->announced[--c->n_announced];
		ret_event->kind =
			news == CONN_TO_SIGNAL ? FZ_PATHS_CANDIDATE : FZ_PATHS_CANDIDATE_GONE;
		return true;
	}
	return false;
}

bool conn_take_event(struct fz_conn *c, struct fz_paths_event *ret_event)
{
	ret_event->conn = c;
	ret_event->text[0] = '\0';
	if (take_candidate(c, CONN_TO_SIGNAL, ret_event) ||
		take_candidate(c, CONN_TO_WITHDRAW, ret_event))
		return true;

	struct {
		bool *is_news;
		enum fz_paths_event_kind kind;
	} rest[] = { { &c->is_way_news, FZ_PATHS_WAY },
		{ &c->is_handshake_news, FZ_PATHS_HANDSHAKE },
		{ &c->is_failure_news, FZ_PATHS_FAILED } };

	for (size_t i = 0; i < FZ_ARRAY_LEN(rest); i++) {
		if (!*rest[i].is_news)
			continue;
		*rest[i].is_news = false;
		ret_event->kind = rest[i].kind;
		return true;
	}
	fz_list_remove(&c->dirty);
	return false;
}

/* ---- what the caller sees ------------------------------------------------------------------------------------ */

const char *fz_conn_id(const struct fz_conn *c)
{
	return c->id;
}

void fz_conn_set_user(struct fz_conn *c, void *user)
{
	c->user = user;
}

void *fz_conn_user(const struct fz_conn *c)
{
	return c->user;
}

bool fz_conn_is_controlling(const struct fz_conn *c)
{
	return c->is_controlling;
}

bool fz_conn_way(const struct fz_conn *c, struct fz_way *ret_way)
{
	if (c->has_way)
		*ret_way = c->way;
	return c->has_way;
}

fz_dur fz_conn_rtt(const struct fz_conn *c)
{
	return fz_ice_rtt(c->ice);
}

bool fz_conn_is_idle(const struct fz_conn *c)
{
	return c->is_idle;
}

enum fz_conn_failure fz_conn_failure(const struct fz_conn *c)
{
	return c->failure;
}

const struct fz_candidate *fz_conn_remote_maybe(const struct fz_conn *c)
{
	const struct fz_candidate *r;
	for (size_t i = 0; c->has_way && (r = fz_ice_remote_maybe(c->ice, i)); i++) {
		if (fz_addr_equal(&r->addr, &c->path.remote))
			return r;
	}
	return NULL;
}

void fz_conn_packet(struct fz_conn *c, fz_time now)
{
	c->last_packet = now;
	if (!c->is_idle || c->failure != FZ_CONN_FAILURE_NONE)
		return;
	wake(c, now);
	conn_update(c, now);
}

void fz_conn_sent(struct fz_conn *c, fz_time now)
{
	if (c->has_way && c->way.channel != 0 && c->relay)
		fz_turn_sent(c->relay->turn, now);
}
