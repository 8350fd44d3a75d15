/* The smaller words of engine/base: time, hash, constant time, allocation, secrets, lists, descriptors, log, errors. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/ct.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "support/test.h"

TEST(time, sums_saturate_at_never)
{
	CHECK(fz_time_is_never(fz_time_add((fz_time){ UINT64_MAX - 1 }, FZ_SECONDS(1))));
	CHECK_UINT(fz_time_since((fz_time){ 1 }, (fz_time){ 5 }).ns, 0);
	CHECK(!fz_time_reached((fz_time){ UINT64_MAX }, FZ_NEVER));
}

TEST(time, the_past_is_no_time_ago_and_never_never_comes)
{
	fz_time t = { 5000000000 };
	CHECK_UINT(fz_time_since(t, (fz_time){ 2000000000 }).ns, 3000000000);
	CHECK(fz_time_reached(t, t));
	CHECK(!fz_time_reached(t, fz_time_add(t, FZ_NANOSECONDS(1))));
	CHECK_UINT(FZ_SECONDS(2).ns, 2 * FZ_MILLISECONDS(1000).ns);
}

TEST(hash, matches_the_vector_of_the_siphash_paper)
{
	uint8_t in[15];
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	struct fz_hash_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	CHECK_UINT(fz_siphash(key, fz_bytes_of(in, sizeof(in))), 0xa129ca6149be45e5u);
}

TEST(ct, equal_and_zero_look_at_every_byte)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	CHECK(fz_ct_equal(a, b, sizeof(a)));
	CHECK(fz_ct_is_zero(a, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] = 0x80;
		CHECK(!fz_ct_equal(a, b, sizeof(a)));
		CHECK(!fz_ct_is_zero(b, sizeof(b)));
		b[i] = 0;
	}
}

TEST(alloc, the_chosen_allocation_fails_once)
{
	fz_fail_at(2);
	void *first = fz_alloc(1, 8), *second = fz_alloc(1, 8), *third = fz_alloc(1, 8);
	CHECK(first && !second && third);
	free(first);
	free(third);
}

TEST(secret, memory_is_zeroed_and_can_be_freed_as_null)
{
	uint8_t *p = fz_secret_new(100);
	CHECK(p && fz_ct_is_zero(p, 100));
	fz_secret_free(p, 100);
	fz_secret_free(NULL, 100);
}

TEST(alloc, a_copied_string_is_a_string_of_its_own)
{
	FZ_CLEANUP(fz_freep) char *copy = fz_strdup("token");
	CHECK(copy);
	CHECK_STR(copy, "token");
	fz_fail_at(1);
	CHECK(!fz_strdup("token"));
}

TEST(alloc, aligned_memory_is_aligned_and_zero)
{
	FZ_CLEANUP(fz_freep) uint8_t *p = fz_alloc_aligned(4096, 100);
	CHECK(p && (uintptr_t)p % 4096 == 0);
	CHECK(fz_ct_is_zero(p, 100));
	fz_fail_at(1);
	CHECK(!fz_alloc_aligned(64, 64));
}

TEST(alloc, a_product_that_wraps_is_refused)
{
	volatile size_t huge = SIZE_MAX / 2;
	CHECK(!fz_alloc(huge, 3));
	void *p = fz_alloc(1, 8);
	CHECK(p && !fz_realloc(p, huge, 3));
	free(p);
}

/* Does the kernel say so of the mapping at p? Two letters each: proc(5), VmFlags. */
static bool mapping_has(const void *p, const char *flag)
{
	char line[1024];
	uintptr_t from, to;
	bool is_it = false, has = false;
	FILE *f = fopen("/proc/self/smaps", "re");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			is_it = from <= (uintptr_t)p && (uintptr_t)p < to;
		if (is_it && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line + 8, flag) != NULL;
	}
	fclose(f);
	return has;
}

TEST(secret, memory_is_locked_left_out_of_core_dumps_and_wiped_by_fork)
{
	uint8_t *p = fz_secret_new(100);
	CHECK(p != NULL);
#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
	!defined(__SANITIZE_THREAD__) /* these make mlock(2) do nothing */
	CHECK(mapping_has(p, " lo"));
#endif
	CHECK(mapping_has(p, " dd"));
	CHECK(mapping_has(p, " wf"));
	CHECK(!mapping_has(p, " ex"));
	fz_secret_free(p, 100);
}

TEST(secret, a_child_finds_the_memory_empty)
{
	uint8_t *p = fz_secret_new(32);
	CHECK(p);
	memset(p, 0x5a, 32);
	pid_t child = fork();
	if (child == 0)
		_exit(fz_ct_is_zero(p, 32) ? 0 : 1);
	int status = -1;
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	CHECK_UINT(p[31], 0x5a);
	fz_secret_free(p, 32);
}

TEST(secret, keys_and_tokens_are_zero_once_wiped)
{
	struct fz_key k;
	struct fz_token t;
	memset(&k, 1, sizeof(k));
	memset(&t, 1, sizeof(t));
	fz_key_wipep(&k);
	fz_token_wipep(&t);
	CHECK(fz_ct_is_zero(&k, sizeof(k)));
	CHECK(fz_ct_is_zero(&t, sizeof(t)));
}

TEST(secret, sizes_nobody_can_want_are_refused)
{
	CHECK(!fz_secret_new(0));
	CHECK(!fz_secret_new(SIZE_MAX));
}

struct item {
	int value;
	struct fz_node node;
};

TEST(list, keeps_order_and_lets_go_of_what_is_removed)
{
	struct fz_list l;
	struct item items[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
	fz_list_init(&l);
	CHECK(fz_list_is_empty(&l));
	for (size_t i = 0; i < FZ_ARRAY_LEN(items); i++)
		fz_list_push_back(&l, &items[i].node);
	fz_list_remove(&items[1].node);
	CHECK(!fz_node_is_linked(&items[1].node) && fz_node_is_linked(&items[2].node));
	int sum = 0;
	FZ_LIST_EACH(&l, n)
		sum = 10 * sum + FZ_CONTAINER_OF(n, struct item, node)->value;
	CHECK_INT(sum, 134);
	FZ_LIST_EACH_SAFE(&l, n, after)
		fz_list_remove(n);
	CHECK(fz_list_is_empty(&l));
}

TEST(fd, a_descriptor_is_closed_once_and_errno_survives)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), raw = fd;
	CHECK(fd >= 0);
	int taken = fz_take_fd(&fd);
	CHECK_INT(fd, -1);
	errno = EBADMSG;
	fz_closep(&fd);
	fz_closep(&taken);
	CHECK_INT(errno, EBADMSG);
	CHECK_INT(taken, -1);
	CHECK_INT(fcntl(raw, F_GETFD), -1);
}

struct heard {
	unsigned n;
	char line[128];
};

static void hear(void *user, enum fz_log_level level, const char *event, const char *detail)
{
	struct heard *h = user;
	h->n++;
	snprintf(h->line, sizeof(h->line), "%d %s %s", (int)level, event, detail);
}

TEST(log, a_sink_hears_what_the_level_lets_through)
{
	struct heard h = { 0 };
	fz_log_set_sink(hear, &h);
	fz_log_set_level(FZ_LOG_WARNING);
	fz_log(FZ_LOG_INFO, "quiet", "n=%d", 1);
	CHECK_UINT(h.n, 0);
	fz_log(FZ_LOG_WARNING, "loud", "n=%d", 2);
	CHECK_UINT(h.n, 1);
	CHECK_STR(h.line, "2 loud n=2");
	fz_log_set_level(FZ_LOG_SILENT);
	fz_log(FZ_LOG_ERR, "mute", "%s", "");
	CHECK_UINT(h.n, 1);
	fz_log_set_sink(NULL, NULL);
}

TEST(err, every_code_of_ours_and_of_libc_has_words)
{
	CHECK_STR(fz_strerror(-ENOENT), "No such file or directory");
	for (int e = FZ_ERR_SELFTEST; e >= FZ_ERR_LIMIT; e--)
		CHECK(!strstr(fz_strerror(e), "Unknown"));
	CHECK(strstr(fz_strerror(-9999), "Unknown"));
}
