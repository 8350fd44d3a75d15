/* What the portal says of connections between clients: each event, what may be absent, what makes it malformed, bounds. */
#include "base/alloc.h"
#include "control/client_message.h"
#include "control/json.h"
#include "support/test.h"

#define ID1    "5e2c0000-0000-4000-8000-000000000001"
#define ID2    "77aa0000-0000-4000-8000-000000000002"
#define KEY    "mrTgLuy+8eJoeF4RzHFhVCfIEPZLZo0vOWoZnMo9h3s="
#define ICE(u) "{\"username\":\"" u "\",\"password\":\"0123456789012345678901\"}"

static json_t *tree;
static struct fzp_client_message m;

static enum fzp_verdict hear(const char *event, const char *payload)
{
	static char text[8192];
	struct fzp_frame f;
	json_decref(tree);
	snprintf(text, sizeof(text),
		"{\"topic\":\"client\",\"event\":\"%s\",\"payload\":%s,\"ref\":null}", event,
		payload);
	tree = fzp_json_parse(fz_bytes_of_str(text));
	CHECK(tree && fzp_frame_read(tree, &f));
	return fzp_client_message_read(&f, &m);
}

#define ACCESS                                                                                     \
	"\"client_id\":\"" ID1 "\",\"client_name\":\"laptop\",\"client_public_key\":\"" KEY "\","  \
	"\"client_ipv4\":\"100.64.0.7\",\"client_ipv6\":\"fd00:2021:1111::7\",\"preshared_key\":"  \
	"\"" KEY "\",\"local_ice_credentials\":" ICE("aaaa") ",\"remote_ice_credentials\":" ICE(   \
		"bbbb") ",\"ice_role\":\"controlled\",\"use_iceless\":false,"                      \
			"\"flow_logs_ingest_token\":\"x\""

TEST(devices, access_is_read_as_the_initiator_and_as_the_target)
{
	CHECK_INT(hear("client_device_access_authorized", "{" ACCESS "}"), FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_DEVICE_ACCESS);
	CHECK_STR(m.device_access.client_name, "laptop");
	CHECK_STR(m.device_access.remote_ice.username, "bbbb");
	CHECK(!m.device_access.is_controlling && !m.device_access.is_target);
	fzp_client_message_done(&m);

	CHECK_INT(hear("client_device_access_authorized",
			  "{" ACCESS ",\"resource\":{\"id\":\"" ID2
			  "\",\"filters\":[{\"protocol\":\"tcp\",\"port_range_start\":22,"
			  "\"port_range_end\":22}]},\"expires_at\":1790000000}"),
		FZP_OK);
	CHECK(m.device_access.is_target);
	CHECK_STR(m.device_access.resource_id.text, ID2);
	CHECK_UINT(m.device_access.n_filters, 1);
	CHECK_UINT(m.device_access.filters[0].from, 22);
	CHECK_UINT(m.device_access.expires_at, 1'790'000'000);
	fzp_client_message_done(&m);
	CHECK(m.device_access.filters == NULL);
}

TEST(devices, each_part_of_an_access_is_needed)
{
	static const char *const names[] = { "client_id", "client_name", "client_public_key",
		"client_ipv4", "client_ipv6", "preshared_key", "local_ice_credentials",
		"remote_ice_credentials", "ice_role" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(names); i++) {
		struct fzp_frame f;
		CHECK_INT(hear("client_device_access_authorized", "{" ACCESS "}"), FZP_OK);
		fzp_client_message_done(&m);
		CHECK(fzp_frame_read(tree, &f));
		json_object_del(json_object_get(tree, "payload"), names[i]);
		CHECK_INT(fzp_client_message_read(&f, &m), FZP_MALFORMED);
		json_object_set_new(
			json_object_get(tree, "payload"), names[i], json_string("nonsense"));
		if (strcmp(names[i], "client_name") != 0)
			CHECK_INT(fzp_client_message_read(&f, &m), FZP_MALFORMED);
	}
	CHECK_INT(hear("client_device_access_authorized",
			  "{" ACCESS ",\"resource\":{\"id\":\"" ID2
			  "\",\"filters\":[{\"protocol\":\"smoke\"}]}}"),
		FZP_MALFORMED);
	CHECK_INT(hear("client_device_access_authorized", "{" ACCESS ",\"resource\":{}}"),
		FZP_MALFORMED);
}

TEST(devices, a_denial_says_what_it_is_about_or_not)
{
	CHECK_INT(hear("client_device_access_denied",
			  "{\"ipv4\":\"100.64.0.9\",\"reason\":\"ambiguous_address\"}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_DEVICE_DENIED);
	CHECK_INT(m.device_denied.reason, FZP_FAILURE_ADDRESS);
	CHECK(m.device_denied.ipv6.family == FZ_NO_FAMILY && !m.device_denied.client_id.text[0]);
	CHECK_INT(hear("client_device_access_denied",
			  "{\"client_id\":\"" ID1 "\",\"resource_id\":\"" ID2
			  "\",\"ipv6\":\"fd00:2021:1111::9/128\",\"reason\":\"offline\"}"),
		FZP_OK);
	CHECK_INT(m.device_denied.reason, FZP_FAILURE_OFFLINE);
	CHECK_INT(hear("client_device_access_denied", "{}"), FZP_MALFORMED);
	CHECK_INT(hear("client_device_access_denied", "{\"reason\":\"x\",\"ipv4\":7}"),
		FZP_MALFORMED);
	CHECK_INT(hear("client_ice_candidate_error",
			  "{\"client_id\":\"" ID1 "\",\"reason\":\"offline\"}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_DEVICE_CANDIDATE_ERROR);
	CHECK_INT(hear("client_ice_candidate_error", "{\"reason\":\"offline\"}"), FZP_MALFORMED);
}

TEST(devices, candidates_of_a_client_are_not_those_of_a_gateway)
{
	CHECK_INT(hear("client_ice_candidates",
			  "{\"client_id\":\"" ID1 "\",\"candidates\":[\"candidate:a\",5]}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_DEVICE_CANDIDATES);
	CHECK_UINT(m.candidates.n, 1);
	CHECK_UINT(m.candidates.n_skipped, 1);
	CHECK_INT(hear("invalidate_client_ice_candidates",
			  "{\"client_id\":\"" ID1 "\",\"candidates\":[]}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_DEVICE_CANDIDATES_INVALIDATED);
	CHECK_INT(hear("client_ice_candidates", "{\"gateway_id\":\"" ID1 "\",\"candidates\":[]}"),
		FZP_MALFORMED);
}

TEST(devices, new_filters_and_a_revoked_grant_are_read)
{
	CHECK_INT(hear("resource_filters_updated",
			  "{\"id\":\"" ID1 "\",\"filters\":[{\"protocol\":\"icmp\"}]}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_FILTERS_UPDATED);
	CHECK_UINT(m.filters_updated.n_filters, 1);
	fzp_client_message_done(&m);
	CHECK_INT(hear("resource_filters_updated", "{\"id\":\"" ID1 "\",\"filters\":[]}"), FZP_OK);
	CHECK_UINT(m.filters_updated.n_filters, 0);
	fzp_client_message_done(&m);
	/* "Everything" is not what is meant where nothing is said. */
	CHECK_INT(hear("resource_filters_updated", "{\"id\":\"" ID1 "\"}"), FZP_MALFORMED);
	CHECK_INT(hear("resource_filters_updated", "{\"id\":\"" ID1 "\",\"filters\":[{}]}"),
		FZP_MALFORMED);
	CHECK_INT(hear("reject_access", "{\"client_id\":\"" ID1 "\",\"resource_id\":\"" ID2 "\"}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_REJECT_ACCESS);
	CHECK_STR(m.reject.resource_id.text, ID2);
	CHECK_INT(hear("reject_access", "{\"client_id\":\"" ID1 "\"}"), FZP_MALFORMED);
}

TEST(devices, the_addresses_of_a_name_come_plain_or_with_their_mask)
{
	CHECK_INT(hear("device_pool_domain_resolved",
			  "{\"resource_id\":\"" ID1 "\",\"domain\":\"a.box\",\"ipv4\":"
			  "\"100.64.0.9/32\",\"ipv6\":\"fd00:2021:1111::9\"}"),
		FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_POOL_DOMAIN);
	CHECK(m.pool_domain.is_resolved);
	CHECK_UINT(m.pool_domain.ipv4.b[3], 9);
	CHECK_UINT(m.pool_domain.ipv6.b[15], 9);
	static const char *const bad[] = { "\"100.64.0.9/31\"", "\"fd00::1\"", "5", "\"x\"" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text),
			"{\"resource_id\":\"" ID1 "\",\"domain\":\"a.box\",\"ipv4\":%s}", bad[i]);
		CHECK_INT(hear("device_pool_domain_resolved", text), FZP_MALFORMED);
	}
	CHECK_INT(hear("device_pool_domain_resolved",
			  "{\"resource_id\":\"" ID1 "\",\"domain\":\"a.box\"}"),
		FZP_MALFORMED);
	CHECK_INT(hear("device_pool_domain_resolution_failed",
			  "{\"resource_id\":\"" ID1 "\",\"domain\":\"a.box\",\"reason\":"
			  "\"not_found\"}"),
		FZP_OK);
	CHECK(!m.pool_domain.is_resolved);
	CHECK_STR(m.pool_domain.reason_text, "not_found");
}

#define POOL                                                                                       \
	"{\"id\":\"" ID1 "\",\"type\":\"static_device_pool\",\"name\":\"pool\",\"devices\":["      \
	"{\"client_id\":\"" ID2 "\",\"ipv4\":\"100.64.0.9/32\",\"ipv6\":\"fd00:2021:1111::9/128\"" \
	"},{\"client_id\":\"" ID2 "\"}],\"filters\":[]}"
#define NAMES                                                                                      \
	"{\"id\":\"" ID2 "\",\"type\":\"dynamic_device_pool\",\"name\":\"names\",\"address\":"     \
	"\"*.box\",\"filters\":[{\"protocol\":\"icmp\"}]}"

TEST(devices, a_pool_is_no_resource_that_a_gateway_reaches)
{
	CHECK_INT(hear("resource_created_or_updated", POOL), FZP_OK);
	CHECK_INT(m.event, FZP_CLIENT_POOL_UPSERTED);
	CHECK(m.pool.address == NULL);
	CHECK_UINT(m.pool.n_devices, 1);
	CHECK_UINT(m.pool.n_skipped, 1);
	CHECK_UINT(m.pool.devices[0].ipv4.b[3], 9);
	fzp_client_message_done(&m);
	CHECK_INT(hear("resource_created_or_updated", NAMES), FZP_OK);
	CHECK_STR(m.pool.address, "*.box");
	CHECK_UINT(m.pool.n_filters, 1);
	fzp_client_message_done(&m);
	CHECK_INT(hear("resource_created_or_updated",
			  "{\"id\":\"" ID1 "\",\"type\":\"static_device_pool\",\"name\":\"p\"}"),
		FZP_MALFORMED);
	CHECK_INT(hear("resource_created_or_updated",
			  "{\"id\":\"" ID1 "\",\"type\":\"dynamic_device_pool\",\"name\":\"p\"}"),
		FZP_MALFORMED);
}

TEST(devices, an_init_lists_pools_and_grants_beside_the_resources)
{
	CHECK_INT(
		hear("init",
			"{\"interface\":{\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00:2021:1111::2\"},"
			"\"resources\":[" POOL ",{\"id\":\"" ID2
			"\",\"type\":\"internet\",\"sites\":[]}," NAMES
			",{\"type\":\"static_device_pool\"}],\"authorizations\":[{\"client_id\":"
			"\"" ID1 "\",\"resource_id\":\"" ID2 "\",\"expires_at\":1790000000},{}]}"),
		FZP_OK);
	CHECK_UINT(m.init.resources.n, 1);
	CHECK_UINT(m.init.pools.n, 2);
	CHECK_UINT(m.init.pools.n_skipped, 1);
	CHECK_UINT(m.init.authorizations.n, 1);
	CHECK_UINT(m.init.authorizations.n_skipped, 1);
	CHECK_UINT(m.init.authorizations.list[0].expires_at, 1'790'000'000);
	fzp_client_message_done(&m);
	CHECK(!m.init.pools.list && !m.init.authorizations.list);
}

TEST(devices, without_memory_nothing_leaks_and_nothing_is_said)
{
	for (unsigned long n = 1;; n++) {
		CHECK_INT(hear("init", "{}"), FZP_MALFORMED);
		struct fzp_frame f;
		CHECK_INT(
			hear("init", "{\"interface\":{\"ipv4\":\"100.64.0.2\",\"ipv6\":\"fd00:2021:"
				     "1111::2\"},"
				     "\"resources\":[" POOL "," NAMES ",{\"id\":\"" ID2
				     "\",\"type\":\"internet\",\"sites\":[]}],\"authorizations\":[{"
				     "\"client_id\":\"" ID1 "\",\"resource_id\":\"" ID2 "\"}]}"),
			FZP_OK);
		fzp_client_message_done(&m);
		CHECK(fzp_frame_read(tree, &f));
		fz_fail_at(n);
		enum fzp_verdict v = fzp_client_message_read(&f, &m);
		fz_fail_at(0);
		CHECK(v == FZP_OK || v == FZP_NO_MEMORY);
		if (v == FZP_OK) {
			fzp_client_message_done(&m);
			CHECK(n > 4);
			break;
		}
	}
}
