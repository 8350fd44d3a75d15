/*
 * Our client's session and our gateway's in the place of Firezone's own devices, from the upgrade request to the end: they are told
 * what those were told, when they were told it, and must say what those said. The recording decides what the devices' users did:
 * a request for a Resource is a packet for it here, a candidate signalled there is one that came up here.
 *
 * What may differ, and does: refs (candidates go one by one here), the `iceless` capability, requests for Resources by name,
 * and repetitions of a request within two seconds, which ours leaves out.
 */
#include <stdlib.h>

#include "control/frame.h"
#include "control/json.h"
#include "control/objects.h"
#include "daemon/session.h"
#include "gateway/session.h"
#include "support/test.h"
#include "unit/device_fake.h"
#include "unit/recording.h"

#define PATIENCE 70 /* of a backoff: doubled by chance there, not here */
#define REPEAT   2 /* seconds between two requests for a Resource, at least */
#define KEY_MAX  128

struct lived {
	unsigned n_dials, n_requests, n_left_out, n_connections, n_created, n_no_relays;
	unsigned n_signalled, n_learned, n_beats, n_rejected, n_updated;
};

struct device {
	const char *role;
	sd_event *event;
	struct fz_session *client;
	struct gw_session *gateway;
	bool has_ended, is_ending, is_iceless, wants_reset, is_refused;
	enum fzp_reason why;
	char key[KEY_MAX], conn[16];
	char unasked[512], unasked_address[64]; /* the request that was not repeated */
	double lag; /* of our dialling behind theirs: a backoff has chance in it */
	json_t *resources; /* id -> as the portal told it last */
	json_t *asked; /* id -> when, last */
	json_t *granted; /* id -> the last create_authorization for it */
	/* what came of it */
	struct lived did;
};

/* ---- frames, without their refs ---- */

static const char *without_ref(const char *text, char *ret, size_t cap)
{
	snprintf(ret, cap, "%s", text);
	char *ref = strstr(ret, ",\"ref\":");
	for (char *more = ref; more; more = strstr(ref + 1, ",\"ref\":"))
		ref = more;
	CHECK(ref);
	*ref = '\0';
	return ret;
}

/* False: nothing was said. */
static bool expect_said_maybe(const char *wanted)
{
	static char a[RECORDED_LINE_MAX], b[RECORDED_LINE_MAX];
	const char *said = fake_said_maybe();
	if (said)
		CHECK_STR(without_ref(said, a, sizeof(a)), without_ref(wanted, b, sizeof(b)));
	return said;
}

static void expect_said(const char *wanted)
{
	if (!expect_said_maybe(wanted))
		TEST_FAIL("nothing was said instead of %s", wanted);
}

static void expect_silence(void)
{
	const char *said = fake_said_maybe();
	if (said)
		TEST_FAIL("%s was said unasked", said);
}

/* ---- making and ending ---- */

static void on_client_ended(void *user, enum fzp_reason why, bool drop_token)
{
	struct device *d = user;
	(void)drop_token;
	d->has_ended = true;
	d->why = why;
}

static void on_gateway_ended(void *user, enum fzp_reason why)
{
	struct device *d = user;
	d->has_ended = true;
	d->why = why;
}

static bool is_client(const struct device *d)
{
	return is(d->role, "client");
}

/* Only its address is needed. */
static struct fz_host *no_host(void)
{
	static char host;
	return (struct fz_host *)(void *)&host;
}

static void end(struct device *d)
{
	fz_session_free(d->client);
	gw_session_free(d->gateway);
	d->client = NULL;
	d->gateway = NULL;
}

static void start_client(struct device *d)
{
	struct fz_token token = { .len = 7, .text = ".secret" };
	struct fz_session_params params = {
		.api_url = "wss://10.91.0.1/",
		.external_id = "abc",
		.name = "box",
		.user_agent = "Debian/12.0.0 headless-client/1.5.12",
		.host = no_host(),
		.ops = { .ended = on_client_ended },
		.user = d,
	};
	CHECK_INT(fz_session_new(d->event, &params, &d->client), 0);
	CHECK_INT(fz_session_start(d->client, &token), 0);
}

static void start_gateway(struct device *d)
{
	struct fz_token token = { .len = 7, .text = ".secret" };
	struct gw_session_params params = {
		.external_id = "abc",
		.name = "box",
		.user_agent = "Debian/12.0.0 gateway/1.6.1",
		.host = no_host(),
		.ops = { .ended = on_gateway_ended },
		.user = d,
	};
	CHECK_INT(fzp_url_parse("wss://10.91.0.1", &params.url), 0);
	CHECK_INT(gw_session_new(d->event, &params, &d->gateway), 0);
	gw_session_start(d->gateway, &token);
}

static void key_of(const char *path, char ret[static KEY_MAX])
{
	const char *at = strstr(path, "public_key=");
	CHECK(at && strlen(at) < KEY_MAX);
	snprintf(ret, KEY_MAX, "%s", at);
}

/* Another process has another key, and so has one that was reset. */
static void dial(struct device *d, const struct line *l)
{
	char key[KEY_MAX], before[KEY_MAX];
	key_of(l->text, key);
	if (d->wants_reset) {
		key_of(fake_dialled(0), before);
		CHECK(strcmp(before, d->key) != 0);
		d->wants_reset = false;
	} else if (!is(key, d->key) && !d->is_refused) {
		end(d);
		d->has_ended = false;
		if (is_client(d))
			start_client(d);
		else
			start_gateway(d);
		json_object_clear(d->asked);
		(void)fake_dialled(0);
	} else {
		(void)fake_dialled(PATIENCE);
	}
	d->is_refused = false;
	d->lag = fake_now() - l->t;
	d->did.n_dials++;
	snprintf(d->key, sizeof(d->key), "%s", key);
	snprintf(d->conn, sizeof(d->conn), "%s", l->conn);
}

/* ---- what the client's user does ---- */

static size_t echo_request(const struct fz_ip *from, const struct fz_ip *to, uint8_t ret[static 64])
{
	memset(ret, 0, 64);
	if (from->family == FZ_IP4) {
		ret[0] = 0x45;
		ret[3] = 28;
		ret[8] = 64;
		ret[9] = 1;
		memcpy(ret + 12, from->b, 4);
		memcpy(ret + 16, to->b, 4);
		ret[20] = 8;
		return 28;
	}
	ret[0] = 0x60;
	ret[5] = 8;
	ret[6] = 58;
	ret[7] = 64;
	memcpy(ret + 8, from->b, 16);
	memcpy(ret + 24, to->b, 16);
	ret[40] = 128;
	return 48;
}

/* TCP to the first address of the Resource, at a port its filters allow: 8000, where there are any. */
static size_t syn_to(const struct device *d, const char *address, uint8_t ret[static 64])
{
	struct fz_session_status status;
	struct fz_prefix to;
	fz_session_status(d->client, &status);
	CHECK_INT(fz_prefix_parse(address, &to), 0);
	to.ip.b[fz_ip_len(&to.ip) - 1] |= 2;
	size_t n = echo_request(to.ip.family == FZ_IP4 ? &status.ipv4 : &status.ipv6, &to.ip, ret);
	size_t head = n - 8;
	ret[to.ip.family == FZ_IP4 ? 9 : 6] = 6;
	ret[to.ip.family == FZ_IP4 ? 3 : 5] = (uint8_t)(to.ip.family == FZ_IP4 ? 40 : 20);
	memset(ret + head, 0, 20);
	ret[head + 2] = 8000 >> 8;
	ret[head + 3] = 8000 & 0xff;
	ret[head + 12] = 0x50;
	return head + 20;
}

/* A packet for a Resource that has no gateway; false: it waits without a word. */
static bool ask(struct device *d, const char *address, const char *wanted)
{
	uint8_t packet[64];
	size_t n = syn_to(d, address, packet);
	CHECK_INT((int)fake_outbound(fz_bytes_of(packet, n)), FZ_NODE_HELD);
	return expect_said_maybe(wanted);
}

static void ask_as(struct device *d, const struct line *l, const json_t *payload)
{
	const char *id = json_string_value(json_object_get(payload, "resource_id"));
	const json_t *resource = json_object_get(d->resources, id);
	CHECK(resource);
	if (!is(json_string_value(json_object_get(resource, "type")), "cidr")) {
		d->did.n_left_out++;
		return;
	}
	const char *address = json_string_value(json_object_get(resource, "address"));
	double before = json_real_value(json_object_get(d->asked, id));
	if (!ask(d, address, l->text)) {
		CHECK(before > 0 && fake_now() - before < REPEAT);
		d->did.n_left_out++;
		snprintf(d->unasked, sizeof(d->unasked), "%s", l->text);
		snprintf(d->unasked_address, sizeof(d->unasked_address), "%s", address);
		return;
	}
	json_object_set_new(d->asked, id, json_real(fake_now()));
	d->did.n_requests++;
}

/* What the portal says to a request that ours did not repeat so soon: a refusal is not for ours, a grant comes when it asks. */
static bool is_for_us(struct device *d, const char *text)
{
	if (d->unasked[0] && strstr(text, "\"authorization_creation_failed\""))
		return false;
	if (d->unasked[0] && strstr(text, "\"authorization_created\"")) {
		fake_run_to(fake_now() + REPEAT);
		CHECK(ask(d, d->unasked_address, d->unasked));
		d->did.n_requests++;
	}
	return true;
}

/* ---- candidates ---- */

static void signal_as(struct device *d, const struct line *l, const struct fzp_frame *f)
{
	static char wanted[RECORDED_LINE_MAX];
	bool is_gone = strstr(f->event, "invalidate");
	const char *peer = is_client(d)
				   ? json_string_value(json_object_get(f->payload, "gateway_id"))
				   : json_string_value(json_array_get(
					     json_object_get(f->payload, "client_ids"), 0));
	size_t i;
	json_t *text;
	CHECK(peer);
	(void)l;
	if (!fake_has_peer(peer)) {
		d->did.n_left_out++;
		return;
	}
	json_array_foreach(json_object_get(f->payload, "candidates"), i, text)
	{
		FZ_CLEANUP(fzp_json_unrefp) json_t *one = json_pack("[O]", text);
		FZ_CLEANUP(fzp_json_unrefp) json_t *payload = json_copy(fz_unconst(f->payload));
		json_object_set(payload, "candidates", one);
		char *frame = fzp_frame_write(f->topic, f->event, payload, 0);
		snprintf(wanted, sizeof(wanted), "%s", frame);
		free(frame);
		fake_candidate(peer, json_string_value(text), is_gone);
		expect_said(wanted);
		d->did.n_signalled++;
	}
}

/* ---- one line ---- */

static void say_as(struct device *d, const struct line *l)
{
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of_str(l->text));
	struct fzp_frame f;
	CHECK(root && fzp_frame_read(root, &f));
	if (is(f.event, "heartbeat")) {
		fake_run_to(l->t + d->lag + 0.2);
		expect_said(l->text);
		d->did.n_beats++;
	} else if (is(f.event, "set_snownet_capabilities")) {
		char ours[128];
		snprintf(ours, sizeof(ours),
			"{\"topic\":\"%s\",\"event\":\"%s\",\"payload\":{\"iceless\":false},"
			"\"ref\":1}",
			f.topic, f.event);
		expect_said(ours);
	} else if (is(f.event, "request_authorization")) {
		ask_as(d, l, f.payload);
	} else if (strstr(f.event, "candidates")) {
		signal_as(d, l, &f);
	} else {
		d->did.n_created += is(f.event, "authorization_created");
		d->did.n_no_relays += is(f.event, "no_relays");
		expect_said(l->text);
	}
}

static void note_resource(struct device *d, const json_t *resource)
{
	const char *id = json_string_value(json_object_get(resource, "id"));
	if (id)
		json_object_set(d->resources, id, fz_unconst(resource));
}

/* What the test must know of it; the device gets it in any case. */
static void overhear(struct device *d, const char *text)
{
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of_str(text));
	struct fzp_frame f;
	size_t i;
	json_t *resource;
	if (!root || !fzp_frame_read(root, &f) || f.kind != FZP_FRAME_EVENT)
		return;
	if (is(f.event, "resource_created_or_updated"))
		note_resource(d, f.payload);
	json_array_foreach(json_object_get(f.payload, "resources"), i, resource)
		note_resource(d, resource);
}

/* What happened there that no message says. */
static void heed(struct device *d, const char *note)
{
	/* Theirs keeps key and connections then if all are without ICE, and only dials again. */
	d->wants_reset |= is_client(d) && strstr(note, "SIGHUP") && !d->is_iceless;
	d->is_ending = !is_client(d) && strstr(note, "the gateway ends");
	if (is_client(d) && strstr(note, "the gateway ends"))
		fake_goodbye();
	/* Theirs are deaf in their first second. */
	fake_relays_answer_after(strstr(note, "a relay comes up") ? FZ_SECONDS(1) : FZ_SECONDS(0));
}

/* ---- what the device makes of it ---- */

static const char *text_at(const json_t *payload, const char *name, const char *field)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(payload, name), field));
	CHECK(text);
	return text;
}

/* The connection has the credentials and the role of the message. */
static void check_connection(const struct device *d, const json_t *payload)
{
	const struct fake_node *node = fake_node();
	bool is_ours = is_client(d);
	CHECK_STR(node->local_ufrag,
		text_at(payload, is_ours ? "client_ice_credentials" : "gateway_ice_credentials",
			"username"));
	CHECK_STR(node->remote_ufrag,
		text_at(payload, is_ours ? "gateway_ice_credentials" : "client_ice_credentials",
			"username"));
	CHECK(node->is_controlling == is_ours);
}

/* An echo request of the client, or of somebody it says to be, to the first address of the Resource. */
static enum fz_node_inbound echo_from(const json_t *payload, const char *source)
{
	struct fz_prefix to;
	struct fz_ip from;
	uint8_t packet[64];
	CHECK_INT(fz_prefix_parse(text_at(payload, "resource", "address"), &to), 0);
	to.ip.b[fz_ip_len(&to.ip) - 1] |= 2;
	CHECK_INT(fz_ip_parse(source, &from), 0);
	size_t n = echo_request(&from, &to.ip, packet);
	return fake_inbound(text_at(payload, "client", "id"), fz_bytes_of(packet, n));
}

static bool has_filters(const json_t *resource)
{
	return json_array_size(json_object_get(resource, "filters")) > 0;
}

/* A gateway lets through what it has just granted, from the client's own address. */
static void check_grant(struct device *d, const json_t *payload)
{
	check_connection(d, payload);
	if (!is(text_at(payload, "resource", "type"), "cidr"))
		return;
	bool is_open = !has_filters(json_object_get(payload, "resource"));
	CHECK_INT((int)echo_from(payload, text_at(payload, "client", "ipv4")),
		is_open ? FZ_NODE_DELIVER : FZ_NODE_RETURN);
	CHECK_INT((int)echo_from(payload, "100.64.0.99"), FZ_NODE_DISCARD);
	json_object_set(d->granted, text_at(payload, "resource", "id"), fz_unconst(payload));
}

/* And no longer, where it is taken back: prohibited, while the client has other grants. */
static void check_rejected(struct device *d, const json_t *payload)
{
	const json_t *granted = json_object_get(
		d->granted, json_string_value(json_object_get(payload, "resource_id")));
	if (!granted)
		return;
	CHECK_INT((int)echo_from(granted, text_at(granted, "client", "ipv4")), FZ_NODE_RETURN);
	d->did.n_rejected++;
}

static void check_updated(struct device *d, const json_t *payload)
{
	const json_t *granted =
		json_object_get(d->granted, json_string_value(json_object_get(payload, "id")));
	CHECK(granted);
	CHECK_INT((int)echo_from(granted, text_at(granted, "client", "ipv4")),
		has_filters(payload) ? FZ_NODE_RETURN : FZ_NODE_DELIVER);
	d->did.n_updated++;
}

static unsigned n_upserts(void)
{
	const struct fake_node *n = fake_node();
	return n->n_created + n->n_kept + n->n_replaced;
}

/* Tells the device, and looks what it did; what it says is looked at when they said it. */
static void hear_as(struct device *d, const char *text)
{
	FZ_CLEANUP(fzp_json_unrefp) json_t *root = fzp_json_parse(fz_bytes_of_str(text));
	struct fzp_frame f;
	unsigned upserts = n_upserts(), added = fake_node()->n_added, gone = fake_node()->n_gone;
	fake_hear(text);
	if (!root || !fzp_frame_read(root, &f) || f.kind != FZP_FRAME_EVENT || d->has_ended)
		return;
	if (strstr(f.event, "authorization") && n_upserts() > upserts) {
		if (is_client(d))
			check_connection(d, f.payload);
		else
			check_grant(d, f.payload);
		d->did.n_connections++;
	}
	if (is(f.event, "reject_access"))
		check_rejected(d, f.payload);
	if (is(f.event, "resource_updated"))
		check_updated(d, f.payload);
	const char *peer = json_string_value(
		json_object_get(f.payload, is_client(d) ? "gateway_id" : "client_id"));
	if (strstr(f.event, "ice_candidates") && peer && fake_has_peer(peer)) {
		unsigned n = (unsigned)json_array_size(json_object_get(f.payload, "candidates"));
		CHECK_UINT(fake_node()->n_added - added + fake_node()->n_gone - gone, n);
		d->did.n_learned += n;
	}
}

static void live_as(void *user, const struct line *l)
{
	struct device *d = user;
	if (is(l->what, "note"))
		heed(d, l->text);
	if (!is(l->role, d->role))
		return;
	fake_run_to(l->t);
	if (is(l->what, "path")) {
		if (d->wants_reset)
			CHECK_INT(fz_session_reset(d->client), 0);
		dial(d, l);
	} else if (is(l->what, "status")) {
		char status[8], code[64];
		CHECK_INT(sscanf(l->text, "%7s %63s", status, code), 2);
		fake_refuse(status, code);
		d->is_refused = !d->has_ended;
	} else if (is(l->what, "closed")) {
		/* One that is told to end says no more; ours is not told. */
		while (d->is_ending && fake_said_maybe())
			;
		expect_silence();
		if (!d->has_ended && fake_portal_is_up() && !d->wants_reset)
			fake_close();
	} else if (is(l->what, "hear")) {
		overhear(d, l->text);
		if (is_for_us(d, l->text))
			hear_as(d, l->text);
		d->unasked[0] = '\0';
	} else if (is(l->what, "say")) {
		if (strstr(l->text, "\"phx_join\""))
			fake_accept();
		say_as(d, l);
	}
	CHECK(sd_event_run(d->event, 0) >= 0);
}

static struct device live(const char *role, const char *recording)
{
	struct device d = { .role = role, .is_iceless = strstr(recording, "iceless") };
	fake_begin();
	fake_relays_answer_after(FZ_SECONDS(0));
	d.resources = json_object();
	d.asked = json_object();
	d.granted = json_object();
	CHECK_INT(sd_event_new(&d.event), 0);
	each_line(recording, live_as, &d);
	expect_silence();
	return d;
}

static void die(struct device *d)
{
	end(d);
	json_decref(d->resources);
	json_decref(d->asked);
	json_decref(d->granted);
	sd_event_unref(d->event);
}

static void check_all(const char *role, const struct lived *wanted)
{
	for (size_t i = 0; i < FZ_ARRAY_LEN(recordings); i++) {
		struct device d = live(role, recordings[i]);
		die(&d);
		const struct lived *l = &d.did;
		if (memcmp(l, &wanted[i], sizeof(*l)) != 0)
			TEST_FAIL("%s: { %u, %u, %u, %u, %u, %u, %u, %u, %u, %u, %u }",
				recordings[i], l->n_dials, l->n_requests, l->n_left_out,
				l->n_connections, l->n_created, l->n_no_relays, l->n_signalled,
				l->n_learned, l->n_beats, l->n_rejected, l->n_updated);
	}
}

/*
 * In each of the plain recordings one Resource has an address and one a name. What is left out of events are names, and
 * repetitions of what the portal has just answered "offline".
 */
TEST(devices_recorded, a_client_lives_every_recording)
{
	static const struct lived plain = {
		.n_dials = 1, .n_requests = 1, .n_left_out = 1, .n_connections = 1
	};
	struct lived wanted[] = { plain, plain, plain, plain, plain, plain,
		{ 17, 32, 20, 11, .n_signalled = 26, .n_learned = 32, .n_beats = 8 },
		{ 17, 27, 8, 10, .n_signalled = 37, .n_learned = 43, .n_beats = 8 } };
	for (size_t i = 0; i < 6; i++) {
		wanted[i].n_signalled = wanted[i].n_learned = i % 2 ? 6 : 4;
		wanted[i].n_beats = i < 4 ? 0 : 34;
	}
	check_all("client", wanted);
}

TEST(devices_recorded, a_gateway_lives_every_recording)
{
	static const struct lived plain = { .n_dials = 1, .n_connections = 2, .n_created = 2 };
	struct lived wanted[] = { plain, plain, plain, plain, plain, plain,
		{ 3, .n_connections = 15, .n_created = 15, .n_no_relays = 4, .n_signalled = 32,
			.n_learned = 26, .n_beats = 11, .n_rejected = 2, .n_updated = 2 },
		{ 3, .n_connections = 15, .n_created = 14, .n_no_relays = 4, .n_signalled = 43,
			.n_learned = 37, .n_beats = 11, .n_rejected = 2, .n_updated = 2 } };
	for (size_t i = 0; i < 6; i++) {
		wanted[i].n_signalled = wanted[i].n_learned = i % 2 ? 6 : 4;
		wanted[i].n_beats = i < 4 ? 0 : 34;
	}
	check_all("gateway", wanted);
}
