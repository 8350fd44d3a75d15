/* The pure half of ipc/: wire checks, frames, rules, JSON, times. The machines have test_ipc_machines.c. */
#include <math.h>

#include "base/alloc.h"
#include "base/err.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/frame.h"
#include "ipc/json.h"
#include "ipc/methods.h"
#include "ipc/reflect.h"
#include "ipc/rule.h"
#include "ipc/timetext.h"
#include "ipc/wire.h"
#include "support/test.h"

/* ---- wire ---- */

TEST(wire, knows_utf8_from_what_only_looks_like_it)
{
	static const struct {
		const char *bytes;
		bool is_valid;
	} cases[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xf4\x90\x80\x80", false },
		{ "\x80", false },
		{ "\xc3", false },
		{ "\xc0\xaf", false },
		{ "\xe0\x80\xaf", false },
		{ "\xf0\x80\x80\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xed\x9f\xbf", true },
		{ "\xff", false },
		{ "\xf8\x88\x80\x80\x80", false },
		{ "ok\xe2\x82", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(fzipc_utf8_is_valid(fz_bytes_of_str(cases[i].bytes)), cases[i].is_valid);
	CHECK(!fzipc_utf8_is_valid(fz_bytes_of("a\0b", 3)));
}

TEST(wire, tells_each_kind_of_bad_message_from_the_others)
{
	static const struct {
		const char *hex;
		enum fzipc_wire verdict;
	} cases[] = {
		{ "", FZIPC_WIRE_OK },
		{ "0a0161", FZIPC_WIRE_OK },
		{ "0a0261", FZIPC_WIRE_TRUNCATED },
		{ "0a", FZIPC_WIRE_TRUNCATED },
		{ "0a80", FZIPC_WIRE_TRUNCATED },
		{ "80", FZIPC_WIRE_TRUNCATED },
		{ "ffffffffffffffffffff01", FZIPC_WIRE_TRUNCATED },
		{ "0aff ffffffffffffffff01", FZIPC_WIRE_TRUNCATED },
		{ "0801", FZIPC_WIRE_TYPE },
		{ "0b0c", FZIPC_WIRE_TYPE },
		{ "00", FZIPC_WIRE_TYPE },
		{ "0f", FZIPC_WIRE_TYPE },
		{ "0a01ff", FZIPC_WIRE_TEXT },
		{ "0a0100", FZIPC_WIRE_TEXT },
		{ "7a03ffffff", FZIPC_WIRE_OK },
		{ "7d01020304", FZIPC_WIRE_OK },
		{ "7d010203", FZIPC_WIRE_TRUNCATED },
		{ "790102030405060708", FZIPC_WIRE_OK },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[32];
		size_t n = test_unhex(cases[i].hex, buf, sizeof(buf));
		CHECK_INT(fzipc_wire_check(
				  &fzpb__settings_request__descriptor, fz_bytes_of(buf, n), 100),
			cases[i].verdict);
	}
}

TEST(wire, counts_fields_and_does_not_look_further)
{
	uint8_t buf[200];
	for (size_t i = 0; i < 100; i++) {
		buf[2 * i] = 0x78;
		buf[2 * i + 1] = 1;
	}
	CHECK_INT(fzipc_wire_check(&fzpb__settings_request__descriptor, fz_bytes_of(buf, 200), 100),
		FZIPC_WIRE_OK);
	CHECK_INT(fzipc_wire_check(&fzpb__settings_request__descriptor, fz_bytes_of(buf, 200), 99),
		FZIPC_WIRE_FIELDS);
}

TEST(wire, goes_into_nested_messages)
{
	/* Envelope.hello.magic is not UTF-8 */
	TEST_HEX(bad, "12030a01ff");
	CHECK_INT(fzipc_wire_check(&fzpb__envelope__descriptor, fz_bytes_of(bad, bad_len), 100),
		FZIPC_WIRE_TEXT);
	TEST_HEX(good, "12030a0161");
	CHECK_INT(fzipc_wire_check(&fzpb__envelope__descriptor, fz_bytes_of(good, good_len), 100),
		FZIPC_WIRE_OK);
}

TEST(wire, unpacks_into_bounded_memory_only)
{
	struct fzipc_arena arena;
	ProtobufCMessage *msg = NULL;
	TEST_HEX(in, "0a0161");
	fzipc_arena_init(&arena, 16);
	CHECK_INT(fzipc_wire_unpack(&fzpb__settings_request__descriptor, fz_bytes_of(in, in_len),
			  10, &arena, &msg),
		FZIPC_WIRE_MEMORY);
	CHECK(msg == NULL);
	fzipc_arena_reset(&arena);
	fzipc_arena_init(&arena, 4096);
	CHECK_INT(fzipc_wire_unpack(&fzpb__settings_request__descriptor, fz_bytes_of(in, in_len),
			  10, &arena, &msg),
		FZIPC_WIRE_OK);
	CHECK_STR(((Fzpb__SettingsRequest *)(void *)msg)->key, "a");
	fzipc_arena_reset(&arena);
}

TEST(wire, every_allocation_may_fail)
{
	TEST_HEX(in, "0a0161");
	for (unsigned long i = 1; i < 4; i++) {
		struct fzipc_arena arena;
		ProtobufCMessage *msg = NULL;
		fzipc_arena_init(&arena, 4096);
		fz_fail_at(i);
		enum fzipc_wire verdict = fzipc_wire_unpack(&fzpb__settings_request__descriptor,
			fz_bytes_of(in, in_len), 10, &arena, &msg);
		fz_fail_at(0);
		CHECK(verdict == FZIPC_WIRE_OK || verdict == FZIPC_WIRE_MEMORY);
		fzipc_arena_reset(&arena);
	}
}

TEST(wire, random_bytes_are_judged_the_same_as_by_protobuf_or_more_strictly)
{
	struct test_rng rng = { 20261124 };
	printf("seed %llu\n", 20261124ull);
	for (int i = 0; i < 20000; i++) {
		uint8_t buf[24];
		size_t n = test_rng_below(&rng, sizeof(buf));
		test_rng_fill(&rng, buf, n);
		if (n > 0 && test_rng_below(&rng, 2))
			buf[0] = (uint8_t)(test_rng_below(&rng, 9) << 3 | test_rng_below(&rng, 3));
		struct fz_bytes in = fz_bytes_of(buf, n);
		if (fzipc_wire_check(&fzpb__envelope__descriptor, in, 1000) != FZIPC_WIRE_OK)
			continue;
		Fzpb__Envelope *e = fzpb__envelope__unpack(NULL, n, buf);
		CHECK(e != NULL);
		fzpb__envelope__free_unpacked(e, NULL);
	}
}

/* ---- frames ---- */

TEST(frame, comes_together_from_single_bytes)
{
	TEST_HEX(in, "03000000 616263 01000000 64");
	struct fzipc_frame_reader r;
	fzipc_frame_reader_init(&r, 100);
	enum fzipc_frame last = FZIPC_FRAME_MORE;
	for (size_t i = 0; i < 7; i++) {
		CHECK_INT(last, FZIPC_FRAME_MORE);
		last = fzipc_frame_reader_feed(&r, fz_bytes_of(&in[i], 1));
	}
	CHECK_INT(last, FZIPC_FRAME_WHOLE);
	CHECK_UINT(fzipc_frame_reader_payload(&r).n, 3);
	CHECK_MEM(fzipc_frame_reader_payload(&r).p, "abc", 3);
	CHECK(fzipc_frame_reader_is_at_start(&r));
	for (size_t i = 7; i < in_len; i++)
		last = fzipc_frame_reader_feed(&r, fz_bytes_of(&in[i], 1));
	CHECK_INT(last, FZIPC_FRAME_WHOLE);
	CHECK_MEM(fzipc_frame_reader_payload(&r).p, "d", 1);
	fzipc_frame_reader_done(&r);
}

TEST(frame, never_wants_past_its_end)
{
	TEST_HEX(head, "05000000");
	struct fzipc_frame_reader r;
	fzipc_frame_reader_init(&r, 100);
	CHECK_UINT(fzipc_frame_reader_want(&r), 4);
	CHECK_INT(fzipc_frame_reader_feed(&r, fz_bytes_of(head, 1)), FZIPC_FRAME_MORE);
	CHECK_UINT(fzipc_frame_reader_want(&r), 3);
	CHECK(!fzipc_frame_reader_is_at_start(&r));
	CHECK_INT(fzipc_frame_reader_feed(&r, fz_bytes_of(head + 1, 3)), FZIPC_FRAME_MORE);
	CHECK_UINT(fzipc_frame_reader_want(&r), 5);
	CHECK_INT(fzipc_frame_reader_feed(&r, fz_bytes_of("ab", 2)), FZIPC_FRAME_MORE);
	CHECK_UINT(fzipc_frame_reader_want(&r), 3);
	fzipc_frame_reader_done(&r);
}

TEST(frame, of_length_zero_or_above_the_maximum_is_refused_before_any_memory)
{
	struct fzipc_frame_reader r;
	TEST_HEX(zero, "00000000");
	TEST_HEX(huge, "ffffffff");
	fzipc_frame_reader_init(&r, 100);
	CHECK_INT(fzipc_frame_reader_feed(&r, fz_bytes_of(zero, 4)), FZIPC_FRAME_EMPTY);
	fzipc_frame_reader_done(&r);
	fzipc_frame_reader_init(&r, 100);
	CHECK_INT(fzipc_frame_reader_feed(&r, fz_bytes_of(huge, 4)), FZIPC_FRAME_TOO_LARGE);
	CHECK_UINT(r.payload.cap, 0);
	fzipc_frame_reader_done(&r);
}

TEST(frame, written_is_all_or_nothing)
{
	struct fz_bytebuf out;
	fz_bytebuf_init(&out, 10);
	CHECK_INT(fzipc_frame_write(&out, fz_bytes_of("abc", 3), 100), 0);
	CHECK_UINT(out.len, 7);
	CHECK_INT(fzipc_frame_write(&out, fz_bytes_of("abc", 3), 100), FZ_ERR_LIMIT);
	CHECK_INT(fzipc_frame_write(&out, fz_bytes_of("", 0), 100), FZ_ERR_LIMIT);
	CHECK_UINT(out.len, 7);
	fz_bytebuf_done(&out);
}

/* ---- rules ---- */

static enum fzipc_rule judge(
	size_t method, bool root, bool member, bool owner, bool service, bool signed_in)
{
	struct fzipc_who who = { .uid = owner ? 7 : 8, .is_root = root, .is_member = member };
	struct fzipc_world world = { .service_mode = service,
		.is_signed_in = signed_in,
		.is_owned = signed_in,
		.owner_uid = 7 };
	return fzipc_rule_judge(&fzipc_methods[method], &who, &world);
}

TEST(rule, an_outsider_gets_nothing_not_even_a_reason)
{
	for (size_t i = 0; i < fzipc_n_methods; i++)
		CHECK_INT(judge(i, false, false, true, true, true), FZIPC_RULE_OUTSIDER);
}

TEST(rule, a_member_reads_and_root_administers)
{
	CHECK_INT(judge(FZIPC_GET_STATUS, false, true, false, true, true), FZIPC_RULE_ALLOWED);
	CHECK_INT(judge(FZIPC_REVERT_HOST, false, true, true, false, true), FZIPC_RULE_ROOT);
	CHECK_INT(judge(FZIPC_REVERT_HOST, true, false, false, false, true), FZIPC_RULE_ALLOWED);
}

TEST(rule, control_is_the_owners_while_there_is_one)
{
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, false, true, false, false, true), FZIPC_RULE_OWNER);
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, false, true, true, false, true), FZIPC_RULE_ALLOWED);
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, false, true, false, false, false), FZIPC_RULE_ALLOWED);
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, true, false, false, false, true), FZIPC_RULE_ALLOWED);
}

TEST(rule, service_mode_leaves_control_to_root)
{
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, false, true, true, true, true),
		FZIPC_RULE_SERVICE_MODE_ROOT);
	CHECK_INT(judge(FZIPC_SET_LOG_LEVEL, true, false, false, true, true), FZIPC_RULE_ALLOWED);
	struct fzipc_method m = fzipc_methods[FZIPC_GET_STATUS];
	struct fzipc_who root = { .is_root = true };
	struct fzipc_world world = { .service_mode = true };
	m.service_mode = FZIPC_REFUSED;
	CHECK_INT(fzipc_rule_judge(&m, &root, &world), FZIPC_RULE_SERVICE_MODE);
}

TEST(rule, state_is_asked_last)
{
	struct fzipc_method m = fzipc_methods[FZIPC_GET_STATUS];
	struct fzipc_who root = { .is_root = true };
	struct fzipc_world out = { .is_signed_in = false }, in = { .is_signed_in = true };
	m.when = FZIPC_SIGNED_IN;
	CHECK_INT(fzipc_rule_judge(&m, &root, &out), FZIPC_RULE_NOT_SIGNED_IN);
	CHECK_INT(fzipc_rule_judge(&m, &root, &in), FZIPC_RULE_ALLOWED);
	m.when = FZIPC_SIGNED_OUT;
	CHECK_INT(fzipc_rule_judge(&m, &root, &in), FZIPC_RULE_SIGNED_IN);
}

TEST(rule, every_row_of_the_table_has_limits)
{
	for (size_t i = 0; i < fzipc_n_methods; i++) {
		const struct fzipc_method *m = &fzipc_methods[i];
		CHECK(m->id > 0 && m->max_bytes > 0 && m->max_bytes <= 65536 && m->per_minute > 0 &&
			m->when != 0);
		CHECK(m->permission != FZIPC_NONE && m->request && m->reply);
		CHECK(fzipc_method_find_maybe(m->id) == m);
	}
	CHECK(fzipc_method_find_maybe(0) == NULL);
}

TEST(bucket, gives_its_burst_then_one_for_each_interval)
{
	struct fzipc_bucket b = { 0 };
	fz_time now = { 1000000000000 };
	for (int i = 0; i < 5; i++)
		CHECK(fzipc_bucket_take(&b, now, 60, 5));
	CHECK(!fzipc_bucket_take(&b, now, 60, 5));
	now = fz_time_add(now, FZ_MILLISECONDS(999));
	CHECK(!fzipc_bucket_take(&b, now, 60, 5));
	now = fz_time_add(now, FZ_MILLISECONDS(1));
	CHECK(fzipc_bucket_take(&b, now, 60, 5));
	CHECK(!fzipc_bucket_take(&b, now, 60, 5));
	now = fz_time_add(now, FZ_SECONDS(3600));
	for (int i = 0; i < 5; i++)
		CHECK(fzipc_bucket_take(&b, now, 60, 5));
	CHECK(!fzipc_bucket_take(&b, now, 60, 5));
}

/* ---- times ---- */

TEST(timetext, writes_and_reads_rfc_3339)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1000000000, "1969-12-31T23:59:59Z" },
		{ 951782400000000000, "2000-02-29T00:00:00Z" },
		{ 1795427999123456000, "2026-11-23T09:59:59.123456Z" },
		{ 4107542399000000000, "2100-02-28T23:59:59Z" },
		{ 4107542400000000000, "2100-03-01T00:00:00Z" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[FZIPC_TIME_TEXT];
		int64_t ns = -1;
		fzipc_time_format(cases[i].ns, text);
		CHECK_STR(text, cases[i].text);
		CHECK(fzipc_time_parse(text, &ns));
		CHECK_INT(ns, cases[i].ns);
	}
	int64_t a, b;
	CHECK(fzipc_time_parse("2026-11-23 12:00:00+02:00", &a) &&
		fzipc_time_parse("2026-11-23T10:00:00Z", &b));
	CHECK_INT(a, b);
}

TEST(timetext, refuses_what_is_no_time)
{
	static const char *const bad[] = { "", "2026", "2026-13-01T00:00:00Z",
		"2026-11-23T24:00:00Z", "2026-11-23T10:00:00", "2026-11-23T10:00:00Zx",
		"x026-11-23T10:00:00Z", "2026-11-00T10:00:00Z", "2026-11-23T10:00:00+99:00",
		"9999-11-23T10:00:00Z" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t ns = 42;
		CHECK(!fzipc_time_parse(bad[i], &ns));
		CHECK_INT(ns, 42);
	}
}

TEST(timetext, reads_and_writes_lengths)
{
	static const struct {
		const char *in;
		uint64_t ns;
		const char *out;
	} cases[] = {
		{ "5", 5000000000, "5 s" },
		{ "250ms", 250000000, "250 ms" },
		{ "10m", 600000000000, "10 min" },
		{ "2h14m", 8040000000000, "2 h 14 min" },
		{ "3d", 259200000000000, "3 d" },
		{ "90s", 90000000000, "1 min 30 s" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 0;
		char text[FZIPC_TIME_TEXT];
		CHECK(fzipc_duration_parse(cases[i].in, &ns));
		CHECK_UINT(ns, cases[i].ns);
		fzipc_duration_format(ns, text);
		CHECK_STR(text, cases[i].out);
	}
	static const char *const bad[] = { "", "m", "5x", "-5s", "1.5h", "5 s",
		"99999999999999999999s", "999999999999999d" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ns;
		CHECK(!fzipc_duration_parse(bad[i], &ns));
	}
}

/* ---- JSON ---- */

static void check_json(const ProtobufCMessageDescriptor *d, const char *in, const char *want)
{
	struct fzipc_arena arena;
	struct fz_bytebuf out;
	ProtobufCMessage *msg = NULL;
	fzipc_arena_init(&arena, 1u << 20);
	fz_bytebuf_init(&out, 65536);
	CHECK(fzipc_json_read(d, fz_bytes_of_str(in), &arena, &msg));
	CHECK_INT(fzipc_json_write(msg, &out), 0);
	CHECK_INT(fz_bytebuf_append(&out, fz_bytes_of("", 1)), 0);
	CHECK_STR((const char *)out.p, want);
	fz_bytebuf_done(&out);
	fzipc_arena_reset(&arena);
}

TEST(json, comes_back_as_it_was_written)
{
	const char *text = "{\"schema\":\"firezone.Setting/"
			   "1\",\"key\":\"a\",\"value\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\","
			   "\"source\":\"policy\",\"needs_restart\":false}";
	check_json(&fzpb__setting__descriptor, text, text);
	check_json(&fzpb__policy__descriptor, "{}",
		"{\"schema\":\"firezone.Policy/1\",\"entries\":[],\"files\":[]}");
}

TEST(json, keeps_absent_and_zero_apart)
{
	check_json(&fzpb__bug_report_part__descriptor, "{\"size\":0}",
		"{\"schema\":\"firezone.BugReportPart/1\",\"size\":0}");
	check_json(&fzpb__bug_report_part__descriptor, "{}",
		"{\"schema\":\"firezone.BugReportPart/1\"}");
}

TEST(json, writes_integers_beyond_2_to_53_as_strings)
{
	check_json(&fzpb__bug_report_part__descriptor, "{\"size\":9007199254740992}",
		"{\"schema\":\"firezone.BugReportPart/1\",\"size\":9007199254740992}");
	check_json(&fzpb__bug_report_part__descriptor, "{\"size\":\"9007199254740993\"}",
		"{\"schema\":\"firezone.BugReportPart/1\",\"size\":\"9007199254740993\"}");
}

TEST(json, skips_what_it_does_not_know)
{
	check_json(&fzpb__health__descriptor,
		" { \"new\" : [1, {\"a\":[[]]}, \"x\\\"]\", null] , \"healthy\" : true , "
		"\"other\":{} } ",
		"{\"schema\":\"firezone.Health/1\",\"healthy\":true}");
}

TEST(json, reads_surrogates_and_escapes)
{
	check_json(&fzpb__health__descriptor, "{\"reason\":\"\\ud83d\\ude00\\u00e9\\/\\t\"}",
		"{\"schema\":\"firezone.Health/1\",\"reason\":\"\xf0\x9f\x98\x80\xc3\xa9/"
		"\\u0009\"}");
}

TEST(json, hides_secrets_and_encodes_bytes)
{
	struct fz_bytebuf out;
	uint8_t raw[] = { 0xff, 0, 1, 2 };
	Fzpb__Call call = FZPB__CALL__INIT;
	call.has_request = true;
	call.request = (ProtobufCBinaryData){ sizeof(raw), raw };
	fz_bytebuf_init(&out, 4096);
	CHECK_INT(fzipc_json_write(&call.base, &out), 0);
	CHECK_INT(fz_bytebuf_append(&out, fz_bytes_of("", 1)), 0);
	CHECK_STR((const char *)out.p, "{\"request\":\"/wABAg==\"}");
	fz_bytebuf_done(&out);
}

TEST(json, refuses_what_is_none)
{
	static const char *const bad[] = { "", "{", "{}x", "[]", "{\"healthy\":1}",
		"{\"healthy\":tru}", "{\"reason\":5}", "{\"reason\":\"\\x\"}",
		"{\"reason\":\"\\ud800\"}", "{\"reason\":\"\\u0000\"}", "{\"reason\":\"a\nb\"}",
		"{\"reason\":\"\xff\"}", "{reason:1}", "{\"a\":}", "{\"a\":[}", "{\"reason\":\"" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fzipc_arena arena;
		ProtobufCMessage *msg = NULL;
		fzipc_arena_init(&arena, 65536);
		if (fzipc_json_read(
			    &fzpb__health__descriptor, fz_bytes_of_str(bad[i]), &arena, &msg))
			TEST_FAIL("accepted: %s", bad[i]);
		fzipc_arena_reset(&arena);
	}
}

TEST(json, deep_nesting_it_does_not_know_needs_no_stack)
{
	static char text[200100];
	struct fzipc_arena arena;
	ProtobufCMessage *msg = NULL;
	size_t n = 0;
	n += (size_t)snprintf(text, sizeof(text), "{\"x\":");
	memset(text + n, '[', 100000);
	memset(text + n + 100000, ']', 100000 - 1);
	n += 199999;
	text[n++] = ']';
	text[n++] = '}';
	fzipc_arena_init(&arena, 65536);
	CHECK(fzipc_json_read(&fzpb__health__descriptor, fz_bytes_of(text, n), &arena, &msg));
	fzipc_arena_reset(&arena);
}

TEST(reflect, appends_to_repeated_fields_of_every_kind)
{
	struct fzipc_arena arena;
	fzipc_arena_init(&arena, 65536);
	ProtobufCMessage *msg = fzipc_reflect_new_maybe(&fzpb__watch_request__descriptor, &arena);
	for (int64_t i = 1; i <= 5; i++) {
		struct fzipc_value v = { .field = &fzpb__watch_request__descriptor.fields[0],
			.i = i };
		CHECK(fzipc_reflect_put(msg, &v, &arena));
	}
	CHECK_UINT(fzipc_reflect_count(msg, &fzpb__watch_request__descriptor.fields[0]), 5);
	CHECK_INT(fzipc_reflect_get(msg, &fzpb__watch_request__descriptor.fields[0], 4).i, 5);
	int64_t value;
	CHECK(fzipc_reflect_enum_value(&fzpb__status__state__descriptor, "signed-out", &value));
	CHECK_INT(value, FZPB__STATUS__STATE__SIGNED_OUT);
	CHECK(!fzipc_reflect_enum_value(&fzpb__status__state__descriptor, "flying", &value));
	fzipc_arena_reset(&arena);
}
