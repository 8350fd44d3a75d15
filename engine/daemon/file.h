/*
 * Small files that decide something: read only if nobody but their owner can have written them, written whole or not
 * at all. Shell; control thread.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/bytes.h"

/*
 * Appends the file to `buf`, whose maximum bounds it. 0; -ENOENT; -ENOMEM; otherwise *ret_why says what is wrong and
 * what to do (static): -EPERM for owner or mode, -EFBIG, -ELOOP for a symbolic link, or what the system said. `owner`
 * or root may own it.
 */
int fzd_file_read_trusted(const char *path, uid_t owner, struct fz_bytebuf *buf,
	const char **ret_why) FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;
/* The same judgement of a directory. */
int fzd_dir_check_trusted(const char *path, uid_t owner, const char **ret_why)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;
/* Replaces the file at once, mode 0600: new file, fsync, rename, fsync of the directory. */
int fzd_file_write(const char *path, struct fz_bytes text) FZ_NONNULL(1) FZ_MUST_CHECK;
/* 0 also if there is none. */
int fzd_file_remove(const char *path) FZ_NONNULL(1) FZ_MUST_CHECK;
