/* The index table: unique, found, removed without harming its neighbours. */
#include "base/bytes.h"
#include "support/test.h"
#include "wg/index.h"

static void random_index(void *user, struct fz_span out)
{
	test_rng_fill(user, out.p, out.n);
}

/* Hands out what a test has written down. */
struct script {
	const uint32_t *values;
	size_t n, at;
};

static void scripted_index(void *user, struct fz_span out)
{
	struct script *s = user;
	CHECK(s->at < s->n);
	memcpy(out.p, &s->values[s->at++], out.n);
}

TEST(index, a_taken_number_is_not_given_again)
{
	static const uint32_t values[] = { 7, 7, 7, 8 };
	struct script s = { values, 4, 0 };
	struct wg_index_table t;
	uint32_t first, second;
	int owner;
	CHECK_INT(wg_index_init(&t, scripted_index, &s), 0);
	CHECK_INT(wg_index_add(&t, WG_INDEX_HANDSHAKE, &owner, &first), 0);
	CHECK_INT(wg_index_add(&t, WG_INDEX_HANDSHAKE, &owner, &second), 0);
	CHECK_UINT(first, 7);
	CHECK_UINT(second, 8);
	wg_index_done(&t);
}

TEST(index, neighbours_survive_a_removal)
{
	/* All of these have their home in the last slots of a table of 64. */
	static const uint32_t values[] = { 63, 127, 62, 191, 255, 64, 126 };
	struct script s = { values, 7, 0 };
	struct wg_index_table t;
	int owners[7];
	CHECK_INT(wg_index_init(&t, scripted_index, &s), 0);
	for (int i = 0; i < 7; i++) {
		uint32_t index;
		CHECK_INT(wg_index_add(&t, WG_INDEX_KEYPAIR, &owners[i], &index), 0);
	}
	for (int gone = 0; gone < 7; gone++) {
		wg_index_remove(&t, values[gone]);
		wg_index_remove(&t, values[gone]);
		for (int i = 0; i < 7; i++) {
			const struct wg_index_entry *e = wg_index_find_maybe(&t, values[i]);
			CHECK((e != NULL) == (i > gone));
			CHECK(!e || e->owner == &owners[i]);
		}
	}
	CHECK_UINT(t.n, 0);
	wg_index_done(&t);
}

TEST(index, a_number_passes_from_handshake_to_keypair)
{
	struct test_rng rng = { 3 };
	struct wg_index_table t;
	uint32_t index;
	int handshake, keypair;
	CHECK_INT(wg_index_init(&t, random_index, &rng), 0);
	CHECK_INT(wg_index_add(&t, WG_INDEX_HANDSHAKE, &handshake, &index), 0);
	wg_index_hand_over(&t, index, WG_INDEX_KEYPAIR, &keypair);
	const struct wg_index_entry *e = wg_index_find_maybe(&t, index);
	CHECK(e && e->kind == WG_INDEX_KEYPAIR && e->owner == &keypair);
	CHECK_UINT(t.n, 1);
	wg_index_done(&t);
}

TEST(index, agrees_with_a_list_through_growth)
{
	enum { MAX = 3000 };

	static uint32_t live[MAX];
	struct test_rng rng = { 11 };
	struct wg_index_table t;
	uint32_t n = 0;
	CHECK_INT(wg_index_init(&t, random_index, &rng), 0);
	for (int i = 0; i < 20000; i++) {
		if (n < MAX && test_rng_below(&rng, 5) < 3) {
			CHECK_INT(wg_index_add(&t, WG_INDEX_KEYPAIR, &live[n], &live[n]), 0);
			n++;
		} else if (n > 0) {
			uint32_t at = (uint32_t)test_rng_below(&rng, n);
			wg_index_remove(&t, live[at]);
			CHECK(wg_index_find_maybe(&t, live[at]) == NULL);
			live[at] = live[--n];
		}
		CHECK_UINT(t.n, n);
	}
	for (uint32_t i = 0; i < n; i++)
		CHECK(wg_index_find_maybe(&t, live[i]) != NULL);
	wg_index_done(&t);
}
