/*
 * The daemon's log: to journald with a field for each key where the service manager connected us to it, else to
 * stderr; and the latest 256 KiB of it in memory, for `firezonectl logs` and bug reports. One per process: it becomes
 * fz_log's sink. Writing: any thread. Reading: control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/time.h"

#define FZD_EVENT_MAX  64
#define FZD_DETAIL_MAX 1024

struct fzd_record {
	fz_wall at;
	enum fz_log_level level;
	char event[FZD_EVENT_MAX], detail[FZD_DETAIL_MAX];
};

/* A reader's place. */
struct fzd_cursor {
	uint64_t at, seq;
};

struct fzd_journal;

void fzd_journal_free(struct fzd_journal *j); /* the default sink returns */
/* 0 or negative errno. */
int fzd_journal_new(struct fzd_journal **ret_journal) FZ_NONNULL(1) FZ_MUST_CHECK;

/*
 * Copies the next record and moves on; false at the end. *ret_lost: records overwritten since the cursor was there.
 */
bool fzd_journal_read(struct fzd_journal *j, struct fzd_cursor *cursor,
	struct fzd_record *ret_record, uint64_t *ret_lost) FZ_NONNULL(1, 2, 3, 4);
/* The place of the oldest record there is, and the one behind the latest. */
struct fzd_cursor fzd_journal_begin(struct fzd_journal *j) FZ_NONNULL(1);
struct fzd_cursor fzd_journal_end(struct fzd_journal *j) FZ_NONNULL(1);

/* Readable after new records while somebody follows; fzd_journal_settle makes it unreadable. */
int fzd_journal_fd(const struct fzd_journal *j) FZ_NONNULL(1);
void fzd_journal_settle(struct fzd_journal *j) FZ_NONNULL(1);
void fzd_journal_follow(struct fzd_journal *j, bool is_wanted) FZ_NONNULL(1);

struct fzd_journal_counts {
	uint64_t records[FZ_LOG_DEBUG + 1]; /* by level */
	bool is_journald;
};

void fzd_journal_counts(struct fzd_journal *j, struct fzd_journal_counts *ret_counts)
	FZ_NONNULL(1, 2);

/* Cuts "a=1 b=\"x y\"" into pairs; for the journal's fields. Returns how many were put in. */
struct fzd_pair {
	const char *key, *value; /* not NUL-terminated */
	int key_len, value_len;
};

int fzd_journal_pairs(const char *detail, struct fzd_pair *ret_pairs, int cap) FZ_NONNULL(1, 2);
