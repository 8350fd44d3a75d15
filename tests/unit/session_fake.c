/* See session_fake.h. */
#include "unit/session_fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "support/test.h"

#define RESOURCES_MAX 8

struct fz_session_tunnel {
	struct fz_session_tunnel_params params;
	uint8_t n_keys;
	bool internet;
	uint32_t n_applied;
	uint32_t n;
	char ids[RESOURCES_MAX][37], names[RESOURCES_MAX][64], addresses[RESOURCES_MAX][64];
	enum fzp_resource_type types[RESOURCES_MAX];
	struct fz_prefix prefixes[RESOURCES_MAX];
	bool is_off[RESOURCES_MAX];
};

static struct fz_session_tunnel *last;
static char log_text[8192], told[8192];
static int authorized_result, made_result;

FZ_PRINTF(1, 2) static void note(const char *fmt, ...)
{
	va_list args;
	size_t n = strlen(log_text);
	va_start(args, fmt);
	vsnprintf(log_text + n, sizeof(log_text) - n, fmt, args);
	va_end(args);
}

struct fz_session_tunnel *fake_tunnel(void)
{
	return last;
}

const char *fake_log(void)
{
	memcpy(told, log_text, sizeof(told));
	log_text[0] = '\0';
	return told;
}

uint32_t fake_n_applied(void)
{
	return last->n_applied;
}

void fake_set(int authorized, int made)
{
	authorized_result = authorized;
	made_result = made;
}

const struct fz_session_tunnel_params *fake_params(void)
{
	return &last->params;
}

void fz_session_tunnel_free(struct fz_session_tunnel *t)
{
	if (t)
		note("free;");
	free(t);
	last = NULL;
}

int fz_session_tunnel_new(sd_event *event, const struct fz_session_tunnel_params *params,
	struct fz_session_tunnel **ret_tunnel)
{
	(void)event;
	if (made_result < 0)
		return made_result;
	last = fz_new(struct fz_session_tunnel);
	CHECK(last);
	last->params = *params;
	*ret_tunnel = last;
	return 0;
}

void fz_session_tunnel_public_key(
	const struct fz_session_tunnel *t, uint8_t ret_key[static FZ_KEY_LEN])
{
	memset(ret_key, t->n_keys, FZ_KEY_LEN);
}

uint32_t fz_session_tunnel_ifindex(const struct fz_session_tunnel *t)
{
	(void)t;
	return 1; /* lo: the namespace is ours */
}

void fz_session_tunnel_set_interface(
	struct fz_session_tunnel *t, const struct fz_ip *ipv4, const struct fz_ip *ipv6)
{
	char a[FZ_IP_TEXT_LEN], b[FZ_IP_TEXT_LEN];
	(void)t;
	note("interface %s %s;", fz_ip_format(ipv4, a), fz_ip_format(ipv6, b));
}

void fz_session_tunnel_set_relays(struct fz_session_tunnel *t, const struct fzp_relays *relays)
{
	(void)t;
	note("relays %u;", relays->n);
}

void fz_session_tunnel_remove_relay(struct fz_session_tunnel *t, const struct fzp_id *id)
{
	(void)t;
	note("relay-gone %.4s;", id->text);
}

static void put(struct fz_session_tunnel *t, const struct fzp_resource *r)
{
	uint32_t i = 0;
	while (i < t->n && strcmp(t->ids[i], r->id.text) != 0)
		i++;
	CHECK(i < RESOURCES_MAX);
	snprintf(t->ids[i], sizeof(t->ids[i]), "%s", r->id.text);
	snprintf(t->names[i], sizeof(t->names[i]), "%.60s", r->name);
	snprintf(t->addresses[i], sizeof(t->addresses[i]), "%.60s", r->address);
	t->types[i] = r->type;
	t->prefixes[i] = r->prefix;
	t->n += i == t->n;
}

int fz_session_tunnel_set_resources(
	struct fz_session_tunnel *t, const struct fzp_resources *resources)
{
	t->n = 0;
	for (uint32_t i = 0; i < resources->n; i++)
		put(t, &resources->list[i]);
	note("resources %u;", resources->n);
	return 0;
}

int fz_session_tunnel_upsert(struct fz_session_tunnel *t, const struct fzp_resource *resource)
{
	put(t, resource);
	note("upsert %.4s;", resource->id.text);
	return 0;
}

int fz_session_tunnel_set_filters(struct fz_session_tunnel *t, const struct fzp_id *id,
	const struct fzp_filter *filters, uint32_t n)
{
	(void)t;
	note("filters %.4s %u %u;", id->text, n, n > 0 ? filters[0].from : 0);
	return 0;
}

void fz_session_tunnel_remove(struct fz_session_tunnel *t, const struct fzp_id *id)
{
	(void)t;
	note("remove %.4s;", id->text);
}

void fz_session_tunnel_set_enabled(struct fz_session_tunnel *t, const char *id, bool on)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->ids[i], id) == 0)
			t->is_off[i] = !on;
	if (!on)
		note("off %.4s;", id);
}

void fz_session_tunnel_set_internet(struct fz_session_tunnel *t, bool on)
{
	t->internet = on;
	note("internet %d;", on);
}

int fz_session_tunnel_authorized(
	struct fz_session_tunnel *t, const struct fzp_authorization_created *a)
{
	(void)t;
	note("authorized %.4s %s;", a->gateway_id.text, a->client_ice.username);
	return authorized_result;
}

void fz_session_tunnel_refused(
	struct fz_session_tunnel *t, const struct fzp_authorization_failed *f)
{
	(void)t;
	note("refused %.4s %s;", f->resource_id.text, f->reason_text);
}

void fz_session_tunnel_candidates(
	struct fz_session_tunnel *t, const struct fzp_candidates *c, bool are_gone)
{
	(void)t;
	note("%s %.4s %u;", are_gone ? "gone" : "candidates", c->peer.text, c->n);
}

int fz_session_tunnel_reset(struct fz_session_tunnel *t)
{
	t->n_keys++;
	note("reset;");
	return 0;
}

int fz_session_tunnel_routes(
	struct fz_session_tunnel *t, struct fz_prefix **ret_prefixes, size_t *ret_n)
{
	struct fz_prefix *p = fz_new_array(struct fz_prefix, RESOURCES_MAX + 1);
	size_t n = 0;
	CHECK(p);
	t->n_applied++;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->types[i] == FZP_RESOURCE_CIDR && !t->is_off[i])
			p[n++] = t->prefixes[i];
	if (t->internet)
		p[n++] = (struct fz_prefix){ { FZ_IP4, { 0 } }, 0 };
	*ret_prefixes = p;
	*ret_n = n;
	return 0;
}

void fz_session_tunnel_goodbye(struct fz_session_tunnel *t)
{
	(void)t;
	note("goodbye;");
}

void fz_session_tunnel_stats(struct fz_session_tunnel *t, struct fz_session_tunnel_stats *ret)
{
	(void)t;
	*ret = (struct fz_session_tunnel_stats){ .rx_bytes = 1, .tx_bytes = 2, .n_direct = 3 };
}

int fz_session_tunnel_each_resource(
	struct fz_session_tunnel *t, fz_session_resource_fn fn, void *user)
{
	static const struct fz_session_site site = { "site", "HQ" };
	int r = 0;
	for (uint32_t i = 0; i < t->n && r == 0; i++) {
		struct fz_session_resource out = {
			.id = t->ids[i],
			.name = t->names[i],
			.address = t->addresses[i],
			.description = "",
			.type = t->types[i] == FZP_RESOURCE_INTERNET ? FZ_SESSION_INTERNET
								     : FZ_SESSION_CIDR,
			.is_enabled = !t->is_off[i],
			.n_sites = 1,
			.sites = &site,
			.gateway = "",
		};
		r = fn(user, &out);
	}
	return r;
}

int fz_session_tunnel_each_peer(struct fz_session_tunnel *t, fz_session_peer_fn fn, void *user)
{
	(void)t;
	(void)fn;
	(void)user;
	return 0;
}

int fz_session_tunnel_each_route(struct fz_session_tunnel *t, fz_session_route_fn fn, void *user)
{
	(void)t;
	(void)fn;
	(void)user;
	return 0;
}

void fz_session_tunnel_explain(struct fz_session_tunnel *t, const struct fz_session_question *q,
	struct fz_session_explanation *ret)
{
	(void)t;
	char text[FZ_IP_TEXT_LEN] = "";
	if (q->ip.family)
		fz_ip_format(&q->ip, text);
	ret->verdict = FZ_SESSION_TUNNEL;
	snprintf(ret->reason, sizeof(ret->reason), "%s/%.4s/%u/%u", text,
		q->resource ? q->resource : "", q->protocol, q->port);
}
