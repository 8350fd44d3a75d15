/*
 * A ring of records: each is a header, the event and the detail, byte by byte modulo the ring's size. Offsets only grow, so
 * that a reader's place is never ambiguous.
 */
#include "daemon/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "io/clock.h"

#define RING      (256u << 10)
#define PAIRS_MAX 12
#define FIELD_MAX 300

struct head {
	int64_t at;
	uint16_t event_len, detail_len;
	uint8_t level;
};

struct fzd_journal {
	pthread_mutex_t lock;
	uint64_t start, end; /* offsets of the oldest record and behind the latest */
	uint64_t start_seq, end_seq;
	struct fzd_journal_counts counts;
	bool is_journald;
	int event_fd;
	_Atomic bool is_followed;
	uint8_t ring[RING];
};

/* ---- the ring; the lock is held ---- */

static void copy_in(struct fzd_journal *j, uint64_t at, const void *from, size_t n)
{
	size_t i = at % RING, first = n < RING - i ? n : RING - i;
	memcpy(j->ring + i, from, first);
	memcpy(j->ring, (const uint8_t *)from + first, n - first);
}

static void copy_out(const struct fzd_journal *j, uint64_t at, void *to, size_t n)
{
	size_t i = at % RING, first = n < RING - i ? n : RING - i;
	memcpy(to, j->ring + i, first);
	memcpy((uint8_t *)to + first, j->ring, n - first);
}

static uint64_t size_of(const struct head *h)
{
	return sizeof(*h) + h->event_len + h->detail_len;
}

static void put(struct fzd_journal *j, const struct head *h, const char *event, const char *detail)
{
	while (j->end + size_of(h) - j->start > RING) {
		struct head oldest;
		copy_out(j, j->start, &oldest, sizeof(oldest));
		j->start += size_of(&oldest);
		j->start_seq++;
	}
	copy_in(j, j->end, h, sizeof(*h));
	copy_in(j, j->end + sizeof(*h), event, h->event_len);
	copy_in(j, j->end + sizeof(*h) + h->event_len, detail, h->detail_len);
	j->end += size_of(h);
	j->end_seq++;
	j->counts.records[h->level]++;
}

bool fzd_journal_read(struct fzd_journal *j, struct fzd_cursor *cursor,
	struct fzd_record *ret_record, uint64_t *ret_lost)
{
	pthread_mutex_lock(&j->lock);
	*ret_lost = 0;
	if (cursor->at < j->start) {
		*ret_lost = j->start_seq - cursor->seq;
		*cursor = (struct fzd_cursor){ j->start, j->start_seq };
	}
	bool is_there = cursor->at < j->end;
	if (is_there) {
		struct head h;
		copy_out(j, cursor->at, &h, sizeof(h));
		ret_record->at = (fz_wall){ h.at };
		ret_record->level = (enum fz_log_level)h.level;
		copy_out(j, cursor->at + sizeof(h), ret_record->event, h.event_len);
		copy_out(j, cursor->at + sizeof(h) + h.event_len, ret_record->detail, h.detail_len);
		ret_record->event[h.event_len] = ret_record->detail[h.detail_len] = '\0';
		cursor->at += size_of(&h);
		cursor->seq++;
	}
	pthread_mutex_unlock(&j->lock);
	return is_there;
}

struct fzd_cursor fzd_journal_begin(struct fzd_journal *j)
{
	pthread_mutex_lock(&j->lock);
	struct fzd_cursor begin = { j->start, j->start_seq };
	pthread_mutex_unlock(&j->lock);
	return begin;
}

struct fzd_cursor fzd_journal_end(struct fzd_journal *j)
{
	pthread_mutex_lock(&j->lock);
	struct fzd_cursor end = { j->end, j->end_seq };
	pthread_mutex_unlock(&j->lock);
	return end;
}

void fzd_journal_counts(struct fzd_journal *j, struct fzd_journal_counts *ret_counts)
{
	pthread_mutex_lock(&j->lock);
	*ret_counts = j->counts;
	pthread_mutex_unlock(&j->lock);
	ret_counts->is_journald = j->is_journald;
}

/* ---- where lines go ---- */

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static const char *cut_value(const char *p, struct fzd_pair *pair)
{
	char end = ' ';
	if (*p == '"') {
		end = '"';
		p++;
	}
	pair->value = p;
	while (*p && *p != end)
		p++;
	pair->value_len = (int)(p - pair->value);
	return *p == '"' ? p + 1 : p;
}

int fzd_journal_pairs(const char *detail, struct fzd_pair *ret_pairs, int cap)
{
	int n = 0;
	for (const char *p = detail; *p && n < cap;) {
		const char *key = p;
		while (is_key_char(*p))
			p++;
		if (p > key && *p == '=') {
			struct fzd_pair *pair = &ret_pairs[n++];
			pair->key = key;
			pair->key_len = (int)(p - key);
			p = cut_value(p + 1, pair);
		}
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	return n;
}

static int priority_of(enum fz_log_level level)
{
	switch (level) {
	case FZ_LOG_SILENT:
	case FZ_LOG_ERR: return 3;
	case FZ_LOG_WARNING: return 4;
	case FZ_LOG_INFO: return 6;
	case FZ_LOG_DEBUG: return 7;
	}
	return 6;
}

struct fields {
	char text[PAIRS_MAX + 3][FIELD_MAX];
	char message[FZD_EVENT_MAX + FZD_DETAIL_MAX + 16];
	struct iovec iov[PAIRS_MAX + 4];
	int n;
};

static void end_field(struct fields *f, char *text, int len, size_t cap)
{
	if (len < 0)
		return;
	f->iov[f->n++] = (struct iovec){ text, (size_t)len < cap ? (size_t)len : cap - 1 };
}

static void add_pair(struct fields *f, const struct fzd_pair *p, size_t i)
{
	char *text = f->text[i];
	int n = snprintf(
		text, FIELD_MAX, "FIREZONE_%.*s=%.*s", p->key_len, p->key, p->value_len, p->value);
	for (int k = 9; k < 9 + p->key_len && k < FIELD_MAX - 1; k++) {
		if (text[k] >= 'a' && text[k] <= 'z')
			text[k] = (char)(text[k] - 'a' + 'A');
	}
	end_field(f, text, n, FIELD_MAX);
}

/* Fields FIREZONE_EVENT and one FIREZONE_<KEY> for each key=value, beside the message people read. */
static void to_journald(enum fz_log_level level, const char *event, const char *detail)
{
	struct fields f;
	struct fzd_pair pairs[PAIRS_MAX];
	f.n = 0;
	end_field(&f, f.message,
		snprintf(f.message, sizeof(f.message), "MESSAGE=%s%s%s", event, *detail ? " " : "",
			detail),
		sizeof(f.message));
	end_field(&f, f.text[PAIRS_MAX],
		snprintf(f.text[PAIRS_MAX], FIELD_MAX, "PRIORITY=%d", priority_of(level)),
		FIELD_MAX);
	end_field(&f, f.text[PAIRS_MAX + 1],
		snprintf(f.text[PAIRS_MAX + 1], FIELD_MAX, "FIREZONE_EVENT=%s", event), FIELD_MAX);
	end_field(&f, f.text[PAIRS_MAX + 2],
		snprintf(f.text[PAIRS_MAX + 2], FIELD_MAX, "SYSLOG_IDENTIFIER=firezoned"),
		FIELD_MAX);
	int n = fzd_journal_pairs(detail, pairs, PAIRS_MAX);
	for (int i = 0; i < n; i++)
		add_pair(&f, &pairs[i], (size_t)i);
	(void)sd_journal_sendv(f.iov, f.n);
}

static void to_stderr(enum fz_log_level level, const char *event, const char *detail)
{
	static const char *const names[] = { "silent", "err", "warning", "info", "debug" };
	char line[FZD_EVENT_MAX + FZD_DETAIL_MAX + 32];
	int n = snprintf(line, sizeof(line), "%s: %s%s%s\n", names[level], event,
		*detail ? " " : "", detail);
	if (n > 0)
		(void)!write(STDERR_FILENO, line,
			(size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* What came from outside may hold anything; a record is one line. */
static void one_line(char *to, const char *from, size_t cap)
{
	size_t n = 0;
	for (; n < cap - 1 && from[n]; n++)
		to[n] = (unsigned char)from[n] < ' ' || from[n] == 0x7f ? ' ' : from[n];
	to[n] = '\0';
}

static void sink(void *user, enum fz_log_level level, const char *event, const char *raw)
{
	struct fzd_journal *j = user;
	char detail[FZD_DETAIL_MAX];
	one_line(detail, raw, sizeof(detail));
	struct head h = { .at = fz_clock_now().wall.ns,
		.event_len = (uint16_t)strnlen(event, FZD_EVENT_MAX - 1),
		.detail_len = (uint16_t)strnlen(detail, FZD_DETAIL_MAX - 1),
		.level = (uint8_t)level };
	pthread_mutex_lock(&j->lock);
	put(j, &h, event, detail);
	pthread_mutex_unlock(&j->lock);
	if (j->is_journald)
		to_journald(level, event, detail);
	else
		to_stderr(level, event, detail);
	uint64_t one = 1;
	if (atomic_load_explicit(&j->is_followed, memory_order_relaxed))
		(void)!write(j->event_fd, &one, sizeof(one));
}

/* The service manager says in JOURNAL_STREAM which file it gave us as stderr, and it still is. */
static bool is_connected_to_journald(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char text[64];
	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	return strcmp(text, stream) == 0;
}

/* ---- life ---- */

int fzd_journal_fd(const struct fzd_journal *j)
{
	return j->event_fd;
}

void fzd_journal_settle(struct fzd_journal *j)
{
	uint64_t n;
	(void)!read(j->event_fd, &n, sizeof(n));
}

void fzd_journal_follow(struct fzd_journal *j, bool is_wanted)
{
	atomic_store_explicit(&j->is_followed, is_wanted, memory_order_relaxed);
}

void fzd_journal_free(struct fzd_journal *j)
{
	if (!j)
		return;
	fz_log_set_sink(NULL, NULL);
	fz_closep(&j->event_fd);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int fzd_journal_new(struct fzd_journal **ret_journal)
{
	struct fzd_journal *j = fz_new(struct fzd_journal);
	if (!j)
		return -ENOMEM;
	pthread_mutex_init(&j->lock, NULL);
	j->is_journald = is_connected_to_journald();
	j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->event_fd < 0) {
		int r = -errno;
		fzd_journal_free(j);
		return r;
	}
	fz_log_set_sink(sink, j);
	*ret_journal = j;
	return 0;
}
