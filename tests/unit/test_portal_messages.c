/* Messages of client and gateway: each event, optional and older spellings, malformed members, bounds. */
#include "base/alloc.h"
#include "control/client_message.h"
#include "control/gateway_message.h"
#include "control/json.h"
#include "support/test.h"

#define ID1    "5e2c0000-0000-4000-8000-000000000001"
#define ID2    "77aa0000-0000-4000-8000-000000000002"
#define KEY    "mrTgLuy+8eJoeF4RzHFhVCfIEPZLZo0vOWoZnMo9h3s="
#define ICE(u) "{\"username\":\"" u "\",\"password\":\"0123456789012345678901\"}"

static json_t *root;

static struct fzp_frame frame_of(const char *event, const char *payload)
{
	static char text[8192];
	snprintf(text, sizeof(text),
		"{\"topic\":\"client\",\"event\":\"%s\",\"payload\":%s,\"ref\":null}", event,
		payload);
	root = fzp_json_parse(fz_bytes_of_str(text));
	struct fzp_frame f;
	CHECK(root && fzp_frame_read(root, &f));
	return f;
}

static enum fzp_verdict client(const char *event, const char *payload, struct fzp_client_message *m)
{
	struct fzp_frame f = frame_of(event, payload);
	return fzp_client_message_read(&f, m);
}

static enum fzp_verdict gateway(
	const char *event, const char *payload, struct fzp_gateway_message *m)
{
	struct fzp_frame f = frame_of(event, payload);
	return fzp_gateway_message_read(&f, m);
}

TEST(client_message, init_keeps_what_it_understands_and_skips_the_rest)
{
	static struct fzp_client_message m;
	CHECK_INT(
		client("init",
			"{\"interface\":{\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00:2021:1111::2\","
			"\"upstream_do53\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"x\"}],"
			"\"upstream_dns\":[{\"protocol\":\"ip_port\",\"address\":\"9.9.9.9:53\"}],"
			"\"search_domain\":\"corp.example\",\"new\":1},"
			"\"resources\":[{\"id\":\"" ID1
			"\",\"type\":\"cidr\",\"address\":\"10.9.1.0/"
			"16\",\"name\":\"lab\",\"address_description\":null,"
			"\"gateway_groups\":[{\"id\":\"" ID2
			"\",\"name\":\"hq\"}],\"filters\":[{\"protocol\":\"tcp\",\"port_range_"
			"start\":80},{\"protocol\":\"icmp\"}]},"
			"{\"id\":\"" ID2
			"\",\"type\":\"hologram\"},{\"id\":\"bad\",\"type\":\"cidr\"},"
			"{\"id\":\"" ID2
			"\",\"type\":\"internet\",\"sites\":[],\"can_be_disabled\":true}],"
			"\"relays\":[{\"id\":\"" ID1
			"\",\"type\":\"turn\",\"addr\":\"192.0.2.5:3478\",\"username\":\"u\","
			"\"password\":\"p\",\"expires_at\":5},"
			"{\"id\":\"" ID1 "\",\"type\":\"turn\",\"addr\":\"[2001:db8::5]:3478\","
			"\"username\":\"u\",\"password\":\"p\",\"expires_at\":5},"
			"{\"id\":\"" ID2
			"\",\"type\":\"stun\",\"addr\":\"192.0.2.5:3478\"}],\"flow_logs\":{}}",
			&m),
		FZP_OK);
	CHECK_UINT(m.init.interface.n_resolvers, 1);
	CHECK_STR(m.init.interface.search_domain, "corp.example");
	CHECK_UINT(m.init.resources.n, 2);
	CHECK_UINT(m.init.resources.n_skipped, 1);
	const struct fzp_resource *r = &m.init.resources.list[0];
	char text[FZ_PREFIX_TEXT_LEN];
	CHECK_STR(fz_prefix_format(&r->prefix, text), "10.9.0.0/16");
	CHECK_STR(r->sites[0].name, "hq");
	CHECK_UINT(r->n_filters, 2);
	CHECK(r->filters[0].from == 80 && r->filters[0].to == 65535);
	CHECK_STR(m.init.resources.list[1].name, "Internet Resource");
	CHECK_UINT(m.init.relays.n, 1);
	CHECK(m.init.relays.list[0].v4.port == 3478 && m.init.relays.list[0].v6.port == 3478);
	fzp_client_message_done(&m);
	json_decref(root);
}

TEST(client_message, legacy_dns_counts_only_without_the_new_one)
{
	static struct fzp_client_message m;
	CHECK_INT(client("config_changed",
			  "{\"interface\":{\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00::2\",\"upstream_"
			  "dns\":[{\"protocol\":\"ip_port\",\"address\":\"9.9.9.9:5353\"}]}}",
			  &m),
		FZP_OK);
	CHECK_UINT(m.interface.n_resolvers, 1);
	CHECK_UINT(m.interface.resolvers[0].port, 5353);
	json_decref(root);
}

TEST(client_message, a_filter_that_cannot_be_read_refuses_its_resource)
{
	static struct fzp_client_message m;
	static const char *const filters[] = { "[{\"protocol\":\"sctp\"}]",
		"[{\"protocol\":\"tcp\",\"port_range_start\":9,\"port_range_end\":8}]",
		"[{\"protocol\":\"tcp\",\"port_range_end\":65536}]", "{}", "[1]" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(filters); i++) {
		char payload[512];
		snprintf(payload, sizeof(payload),
			"{\"id\":\"" ID1 "\",\"type\":\"cidr\",\"address\":\"10.0.0.0/"
			"8\",\"name\":\"n\",\"sites\":[],\"filters\":%s}",
			filters[i]);
		CHECK_INT(client("resource_created_or_updated", payload, &m), FZP_MALFORMED);
		json_decref(root);
	}
}

TEST(client_message, a_dns_resource_has_a_pattern_and_a_stack)
{
	static struct fzp_client_message m;
	CHECK_INT(client("resource_created_or_updated",
			  "{\"id\":\"" ID1
			  "\",\"type\":\"dns\",\"address\":\"*.x.test\",\"name\":\"n\",\"sites\":[]"
			  ",\"filters\":[],\"ip_stack\":\"ipv6_only\"}",
			  &m),
		FZP_OK);
	CHECK_INT(m.resource.ip_stack, FZP_STACK_IPV6);
	CHECK_STR(m.resource.address, "*.x.test");
	fzp_client_message_done(&m);
	json_decref(root);
}

TEST(client_message, resource_deleted_is_a_bare_id)
{
	static struct fzp_client_message m;
	CHECK_INT(
		client("resource_deleted", "\"5E2C0000-0000-4000-8000-000000000001\"", &m), FZP_OK);
	CHECK_STR(m.resource_id.text, ID1);
	json_decref(root);
	CHECK_INT(client("resource_deleted", "{\"id\":\"" ID1 "\"}", &m), FZP_MALFORMED);
	json_decref(root);
}

#define CREATED(site, extra)                                                                       \
	"{\"resource_id\":\"" ID1 "\",\"gateway_id\":\"" ID2 "\",\"" site "\":\"" ID1              \
	"\",\"gateway_public_key\":\"" KEY "\",\"gateway_ipv4\":\"100.64.0.1\",\"gateway_ipv6\":"  \
	"\"fd00:2021:1111::1\",\"preshared_key\":\"" KEY                                           \
	"\",\"client_ice_credentials\":" ICE("abcd") ",\"gateway_ice_credentials\":" ICE("efgh")   \
		extra "}"

TEST(client_message, an_authorization_is_read_in_both_spellings)
{
	static struct fzp_client_message m;
	CHECK_INT(client("authorization_created",
			  CREATED("site_id",
				  ",\"use_iceless\":true,\"flow_logs_ingest_token\":\"x.y.z\""),
			  &m),
		FZP_OK);
	CHECK(m.authorization.use_iceless);
	CHECK_STR(m.authorization.gateway_ice.username, "efgh");
	CHECK_UINT(m.authorization.preshared_key.b[0], 0x9a);
	fzp_client_message_done(&m);
	CHECK_UINT(m.authorization.preshared_key.b[0], 0);
	json_decref(root);
	CHECK_INT(client("flow_created", CREATED("gateway_group_id", ""), &m), FZP_OK);
	CHECK(!m.authorization.use_iceless);
	fzp_client_message_done(&m);
	json_decref(root);
	CHECK_INT(client("authorization_created", "{\"resource_id\":\"" ID1 "\"}", &m),
		FZP_MALFORMED);
	json_decref(root);
}

TEST(client_message, every_failure_reason_is_known_and_new_ones_are_unknown)
{
	static const struct {
		const char *text;
		enum fzp_failure want;
	} rows[] = { { "not_found", FZP_FAILURE_NOT_FOUND }, { "offline", FZP_FAILURE_OFFLINE },
		{ "version_mismatch", FZP_FAILURE_VERSION_MISMATCH },
		{ "forbidden", FZP_FAILURE_FORBIDDEN }, { "disabled", FZP_FAILURE_DISABLED },
		{ "invalid_address", FZP_FAILURE_ADDRESS },
		{ "ambiguous_address", FZP_FAILURE_ADDRESS },
		{ "missing_address", FZP_FAILURE_ADDRESS }, { "tomorrow", FZP_FAILURE_UNKNOWN } };
	static struct fzp_client_message m;
	for (size_t i = 0; i < FZ_ARRAY_LEN(rows); i++) {
		char payload[256];
		snprintf(payload, sizeof(payload),
			"{\"resource_id\":\"" ID1
			"\",\"reason\":\"%s\",\"violated_properties\":[\"remote_ip\",3]}",
			rows[i].text);
		CHECK_INT(client(i % 2 ? "flow_creation_failed" : "authorization_creation_failed",
				  payload, &m),
			FZP_OK);
		CHECK_INT(m.failed.reason, rows[i].want);
		CHECK_UINT(m.failed.n_violated, 1);
		json_decref(root);
	}
}

TEST(client_message, bad_candidates_are_skipped_one_by_one)
{
	static struct fzp_client_message m;
	CHECK_INT(client("gateway_ice_candidates",
			  "{\"gateway_id\":\"" ID1
			  "\",\"candidates\":[\"candidate:1\",7,\"candidate:2\"]}",
			  &m),
		FZP_OK);
	CHECK_UINT(m.candidates.n, 2);
	CHECK_UINT(m.candidates.n_skipped, 1);
	json_decref(root);
	CHECK_INT(client("invalidate_ice_candidates",
			  "{\"gateway_id\":\"" ID1 "\",\"candidates\":{}}", &m),
		FZP_MALFORMED);
	json_decref(root);
}

TEST(client_message, relays_presence_is_read)
{
	static struct fzp_client_message m;
	CHECK_INT(client("relays_presence",
			  "{\"disconnected_ids\":[\"" ID1 "\",\"x\"],\"connected\":[]}", &m),
		FZP_OK);
	CHECK_UINT(m.relays.n_gone, 1);
	json_decref(root);
}

TEST(client_message, events_of_tomorrow_and_of_yesterday_are_ignored)
{
	static struct fzp_client_message m;
	CHECK_INT(client("access_authorization_expiry_updated", "{}", &m), FZP_UNKNOWN);
	json_decref(root);
	CHECK_INT(client("client_hologram_access", "{}", &m), FZP_UNKNOWN);
	json_decref(root);
}

TEST(client_message, payloads_have_the_portals_shape)
{
	struct fzp_id a, b;
	CHECK(fzp_id_parse(ID1, &a) && fzp_id_parse(ID2, &b));
	FZ_CLEANUP(fzp_json_unrefp) json_t *p = fzp_request_authorization(&a, &b, 1);
	char *text = json_dumps(p, JSON_COMPACT);
	CHECK_STR(text, "{\"resource_id\":\"" ID1 "\",\"connected_gateway_ids\":[\"" ID2 "\"]}");
	free(text);
	const char *const list[] = { "candidate:x" };
	FZ_CLEANUP(fzp_json_unrefp) json_t *c = fzp_gateway_candidates(&b, list, 1);
	text = json_dumps(c, JSON_COMPACT);
	CHECK_STR(text, "{\"gateway_id\":\"" ID2 "\",\"candidates\":[\"candidate:x\"]}");
	free(text);
	FZ_CLEANUP(fzp_json_unrefp) json_t *g = fzp_client_candidates(&a, list, 1);
	text = json_dumps(g, JSON_COMPACT);
	CHECK_STR(text, "{\"client_ids\":[\"" ID1 "\"],\"candidates\":[\"candidate:x\"]}");
	free(text);
}

#define CREATE(resource, extra)                                                                    \
	"{\"ref\":\"opaque\",\"resource\":" resource ",\"client\":{\"id\":\"" ID1                  \
	"\",\"public_key\":\"" KEY "\",\"preshared_key\":\"" KEY                                   \
	"\",\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00::2\",\"device_serial\":null},\"client_ice_"    \
	"credentials\":" ICE("abcd") ",\"gateway_ice_credentials\":" ICE("efgh") extra "}"
#define CIDR                                                                                       \
	"{\"id\":\"" ID2                                                                           \
	"\",\"type\":\"cidr\",\"name\":\"lab\",\"address\":\"10.9.0.0/24\",\"filters\":[]}"

TEST(gateway_message, create_authorization_is_read_in_both_spellings)
{
	static struct fzp_gateway_message m;
	CHECK_INT(
		gateway("create_authorization",
			CREATE(CIDR,
				",\"expires_at\":1790000000,\"use_iceless\":false,\"subject\":{}"),
			&m),
		FZP_OK);
	CHECK_STR(m.create.ref, "opaque");
	CHECK_UINT(m.create.expires_at, 1790000000);
	fzp_gateway_message_done(&m);
	json_decref(root);
	CHECK_INT(gateway("authorize_flow", CREATE(CIDR, ",\"expires_at\":null"), &m), FZP_OK);
	CHECK_UINT(m.create.expires_at, 0);
	fzp_gateway_message_done(&m);
	json_decref(root);
}

TEST(gateway_message, an_unknown_resource_type_refuses_the_whole_authorization)
{
	static struct fzp_gateway_message m;
	CHECK_INT(gateway("create_authorization",
			  CREATE("{\"id\":\"" ID2 "\",\"type\":\"hologram\"}", ""), &m),
		FZP_MALFORMED);
	json_decref(root);
	CHECK_INT(gateway("create_authorization", CREATE(CIDR, ",\"expires_at\":\"soon\""), &m),
		FZP_MALFORMED);
	json_decref(root);
}

TEST(gateway_message, init_lists_the_live_grants)
{
	static struct fzp_gateway_message m;
	CHECK_INT(gateway("init",
			  "{\"interface\":{\"ipv4\":\"100.64.0.1\",\"ipv6\":\"fd00::1\"},"
			  "\"config\":{},\"account_slug\":\"lab\",\"relays\":[],"
			  "\"authorizations\":[{\"client_id\":\"" ID1 "\",\"resource_id\":\"" ID2
			  "\",\"expires_at\":7},{\"client_id\":1}]}",
			  &m),
		FZP_OK);
	CHECK_UINT(m.init.authorizations.n, 1);
	CHECK_UINT(m.init.authorizations.n_skipped, 1);
	CHECK_UINT(m.init.authorizations.list[0].expires_at, 7);
	fzp_gateway_message_done(&m);
	json_decref(root);
}

TEST(gateway_message, reject_access_candidates_and_updates_are_read)
{
	static struct fzp_gateway_message m;
	CHECK_INT(gateway("reject_access",
			  "{\"client_id\":\"" ID1 "\",\"resource_id\":\"" ID2 "\"}", &m),
		FZP_OK);
	CHECK_STR(m.reject.resource_id.text, ID2);
	json_decref(root);
	CHECK_INT(gateway("ice_candidates", "{\"client_id\":\"" ID1 "\",\"candidates\":[]}", &m),
		FZP_OK);
	json_decref(root);
	CHECK_INT(gateway("resource_updated", CIDR, &m), FZP_OK);
	fzp_gateway_message_done(&m);
	json_decref(root);
	CHECK_INT(gateway("request_connection", "{}", &m), FZP_UNKNOWN);
	json_decref(root);
}

TEST(frame, references_must_be_numbers)
{
	json_t *j = fzp_json_parse(
		fz_bytes_of_str("{\"topic\":\"client\",\"event\":\"phx_reply\",\"ref\":\"0\","
				"\"payload\":{\"status\":\"ok\",\"response\":{}}}"));
	struct fzp_frame f;
	CHECK(j && !fzp_frame_read(j, &f));
	json_decref(j);
}

TEST(json, duplicates_and_trailing_bytes_are_refused)
{
	CHECK(!fzp_json_parse(fz_bytes_of_str("{\"a\":1,\"a\":2}")));
	CHECK(!fzp_json_parse(fz_bytes_of_str("{} x")));
	CHECK(!fzp_json_parse(fz_bytes_of_str("")));
}

TEST(json, what_would_grow_beyond_measure_is_refused_before_it_is_parsed)
{
	enum { N = FZP_JSON_VALUES_MAX };

	char *text = fz_alloc(2 * N + 16, 1);
	CHECK(text != NULL);
	size_t n = 0;
	text[n++] = '[';
	for (size_t i = 0; i < N; i++) {
		text[n++] = '0';
		text[n++] = i + 1 < N ? ',' : ']';
	}
	CHECK(fzp_json_parse(fz_bytes_of(text, n)) == NULL);
	/* Commas in a string are none, whatever is escaped before them. */
	memset(text, ',', n);
	memcpy(text, "[\"\\\"", 4);
	memcpy(text + n - 2, "\"]", 2);
	json_t *whole = fzp_json_parse(fz_bytes_of(text, n));
	CHECK(whole != NULL);
	CHECK_UINT(json_string_length(json_array_get(whole, 0)), n - 5);
	json_decref(whole);
	free(text);
}
