/* What a line of `set=1` does. A table says which keys there are, where they may stand and whether they need the peer. */
#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/ct.h"
#include "uapi/hex.h"
#include "uapi/internal.h"

/* ---- dumps under way ---- */

void uapi_dumps_hold(struct uapi *u)
{
	FZ_LIST_EACH(&u->dumps, node) {
		struct uapi_dump *d = FZ_CONTAINER_OF(node, struct uapi_dump, node);
		if (!d->peer)
			continue;
		memcpy(d->pub, wg_peer_public_key(d->peer), FZ_KEY_LEN);
		const struct wg_peer *next = wg_device_next_peer(u->device, d->peer);
		d->has_next = next != NULL;
		if (next)
			memcpy(d->next_pub, wg_peer_public_key(next), FZ_KEY_LEN);
	}
}

void uapi_dumps_release(struct uapi *u)
{
	u->lists_generation++;
	FZ_LIST_EACH(&u->dumps, node) {
		struct uapi_dump *d = FZ_CONTAINER_OF(node, struct uapi_dump, node);
		if (!d->peer || wg_device_find_peer(u->device, d->pub) == d->peer)
			continue;
		d->peer = d->has_next ? wg_device_find_peer(u->device, d->next_pub) : NULL;
		d->at = d->peer ? UAPI_DUMP_PEER : UAPI_DUMP_END;
	}
}

/* ---- the block's peer ---- */

void uapi_set_resume(struct uapi_client *c)
{
	struct uapi_block *b = &c->block;
	if (c->input != UAPI_IN_SET || b->state < UAPI_BLOCK_ABSENT)
		return;
	b->peer = wg_device_find_peer(c->uapi->device, b->pub);
	if (b->peer)
		b->state = UAPI_BLOCK_PRESENT;
	else if (b->state == UAPI_BLOCK_PRESENT)
		b->state = UAPI_BLOCK_DUMMY; /* somebody else removed it meanwhile */
}

static int need_peer(struct uapi_client *c)
{
	struct uapi_block *b = &c->block;
	if (b->state != UAPI_BLOCK_ABSENT)
		return 0;
	int r = wg_device_add_peer(c->uapi->device, b->pub, &b->peer);
	if (r == -EADDRINUSE) {
		b->state = UAPI_BLOCK_DUMMY; /* it would be ourselves */
		return 0;
	}
	if (r < 0)
		return r;
	b->state = UAPI_BLOCK_PRESENT;
	b->was_made_here = true;
	return 0;
}

static void drop_peer(struct uapi_client *c)
{
	struct uapi_block *b = &c->block;
	if (b->state == UAPI_BLOCK_PRESENT) {
		uapi_dumps_hold(c->uapi);
		wg_device_remove_peer(c->uapi->device, b->peer);
		uapi_dumps_release(c->uapi);
	}
	b->state = UAPI_BLOCK_DUMMY;
	b->peer = NULL;
}

int uapi_set_finish(struct uapi_client *c)
{
	int r = need_peer(c);
	c->block = (struct uapi_block){ 0 };
	return r;
}

/* ---- keys of the device ---- */

static bool is_true(const char *value)
{
	return strcmp(value, "true") == 0;
}

static void ask(struct uapi_client *c, enum uapi_ask what, uint32_t number)
{
	c->question = (struct uapi_question){ .ask = what, .number = number };
	c->is_asking = true;
}

static int set_private_key(struct uapi_client *c, struct fz_now now, const char *value)
{
	FZ_CLEANUP(fz_key_wipep) struct fz_key key;
	int r = uapi_hex_parse(value, &key);
	if (r < 0)
		return r;
	uapi_dumps_hold(c->uapi);
	wg_device_set_private_key(c->uapi->device, &key, now);
	uapi_dumps_release(c->uapi);
	return 0;
}

static int set_listen_port(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	uint64_t port;
	int r = fz_parse_uint(value, UINT16_MAX, &port);
	if (r == 0)
		ask(c, UAPI_ASK_PORT, (uint32_t)port);
	return r;
}

static int set_fwmark(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	uint64_t mark;
	int r = fz_parse_uint(value, UINT32_MAX, &mark);
	if (r == 0)
		ask(c, UAPI_ASK_MARK, (uint32_t)mark);
	return r;
}

static int replace_peers(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	if (!is_true(value))
		return -EINVAL;
	uapi_dumps_hold(c->uapi);
	wg_device_remove_all_peers(c->uapi->device);
	uapi_dumps_release(c->uapi);
	return 0;
}

/* ---- keys of a peer ---- */

static int select_peer(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	FZ_CLEANUP(fz_key_wipep) struct fz_key pub;
	int r = uapi_hex_parse(value, &pub);
	if (r < 0)
		return r;
	r = uapi_set_finish(c); /* the block before */
	if (r < 0)
		return r;
	c->block.state = UAPI_BLOCK_ABSENT;
	memcpy(c->block.pub, pub.b, FZ_KEY_LEN);
	uapi_set_resume(c);
	return 0;
}

static int remove_peer(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	if (!is_true(value))
		return -EINVAL;
	drop_peer(c);
	return 0;
}

static int update_only(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	if (!is_true(value))
		return -EINVAL;
	if (c->block.state == UAPI_BLOCK_ABSENT || c->block.was_made_here)
		drop_peer(c);
	return 0;
}

static int set_psk(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	FZ_CLEANUP(fz_key_wipep) struct fz_key psk;
	int r = uapi_hex_parse(value, &psk);
	if (r == 0 && c->block.peer)
		wg_peer_set_psk(c->block.peer, &psk);
	return r;
}

/* "[fe80::1%eth0]:51820": takes the zone's name out of the text. False: there is none, or it is a number. */
static bool cut_zone(const char *value, char text[static FZ_ADDR_TEXT_LEN], char zone[static 16])
{
	const char *percent = strchr(value, '%'), *end = percent ? strchr(percent, ']') : NULL;
	if (!end || percent[1] == ']' ||
		strspn(percent + 1, "0123456789") == (size_t)(end - percent - 1))
		return false;
	size_t before = (size_t)(percent - value), n = (size_t)(end - percent - 1),
	       after = strlen(end);
	if (n >= 16 || before + after >= FZ_ADDR_TEXT_LEN)
		return false;
	memcpy(text, value, before);
	memcpy(text + before, end, after + 1);
	memcpy(zone, percent + 1, n);
	zone[n] = '\0';
	return true;
}

static int set_endpoint(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	char text[FZ_ADDR_TEXT_LEN];
	bool has_zone = cut_zone(value, text, c->zone);
	struct fz_addr a;
	int r = fz_addr_parse(has_zone ? text : value, &a);
	if (r < 0)
		return r;
	if (has_zone) {
		c->endpoint = a;
		ask(c, UAPI_ASK_ZONE, 0);
	} else if (c->block.peer) {
		wg_peer_set_endpoint(c->block.peer, &a);
	}
	return 0;
}

int uapi_set_zone(struct uapi_client *c, int64_t answer)
{
	if (answer < 1 || answer > UINT32_MAX)
		return -EINVAL;
	c->endpoint.scope = (uint32_t)answer;
	if (c->block.peer)
		wg_peer_set_endpoint(c->block.peer, &c->endpoint);
	return 0;
}

static int set_keepalive(struct uapi_client *c, struct fz_now now, const char *value)
{
	uint64_t seconds;
	int r = fz_parse_uint(value, UINT16_MAX, &seconds);
	if (r == 0 && c->block.peer)
		wg_peer_set_keepalive(c->block.peer, (uint16_t)seconds, now);
	return r;
}

static int replace_allowed_ips(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	if (!is_true(value))
		return -EINVAL;
	if (c->block.peer)
		wg_peer_clear_allowed_ips(c->block.peer);
	c->uapi->lists_generation++;
	return 0;
}

static int set_allowed_ip(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)now;
	bool is_removal = value[0] == '-';
	const char *text = value + (is_removal ? 1 : 0);
	struct fz_prefix prefix;
	int r = strchr(text, '/') ? fz_prefix_parse(text, &prefix) : -EINVAL;
	if (r < 0 || !c->block.peer)
		return r;
	c->uapi->lists_generation++;
	if (!is_removal)
		return wg_peer_add_allowed_ip(c->block.peer, &prefix);
	fz_prefix_mask(&prefix);
	wg_peer_remove_allowed_ip(c->block.peer, &prefix);
	return 0;
}

static int set_protocol_version(struct uapi_client *c, struct fz_now now, const char *value)
{
	(void)c, (void)now;
	return strcmp(value, "1") == 0 ? 0 : -EINVAL;
}

/* ---- the table ---- */

enum scope { DEVICE = 1, PEER = 2 };

struct row {
	const char *key;
	int (*set)(struct uapi_client *c, struct fz_now now, const char *value);
	unsigned scope;
	bool needs_peer;
};

static const struct row rows[] = {
	{ "private_key", set_private_key, DEVICE, false },
	{ "listen_port", set_listen_port, DEVICE, false },
	{ "fwmark", set_fwmark, DEVICE, false },
	{ "replace_peers", replace_peers, DEVICE, false },
	{ "public_key", select_peer, DEVICE | PEER, false },
	{ "remove", remove_peer, PEER, false },
	{ "update_only", update_only, PEER, false },
	{ "preshared_key", set_psk, PEER, true },
	{ "endpoint", set_endpoint, PEER, true },
	{ "persistent_keepalive_interval", set_keepalive, PEER, true },
	{ "replace_allowed_ips", replace_allowed_ips, PEER, true },
	{ "allowed_ip", set_allowed_ip, PEER, true },
	{ "protocol_version", set_protocol_version, PEER, false },
};

int uapi_set_line(struct uapi_client *c, struct fz_now now, char *line)
{
	char *equals = strchr(line, '=');
	if (!equals)
		return -EPROTO;
	*equals = '\0';
	unsigned here = c->block.state == UAPI_BLOCK_NONE ? DEVICE : PEER;
	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		if (!(rows[i].scope & here) || strcmp(rows[i].key, line) != 0)
			continue;
		int r = rows[i].needs_peer ? need_peer(c) : 0;
		return r < 0 ? r : rows[i].set(c, now, equals + 1);
	}
	return -EINVAL;
}
