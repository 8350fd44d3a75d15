/*
 * What the files here share of the system: marked non-blocking sockets, clocks, randomness, bounded file reading. Shell;
 * control thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

/* One exact sentence for people about what went wrong. */
#define FZP_DETAIL_MAX 512

struct fz_now fzp_now(void);
/* getrandom; never fails. `user` is not used. */
void fzp_random(void *user, struct fz_span out);

/*
 * A non-blocking socket of `type` that carries `mark` (0: none) before anything is done with it, connected (or on its way)
 * to `to`. 0 or negative errno; -EPERM: we may not mark.
 */
int fzp_sock_connect(int type, uint32_t mark, const struct fz_addr *to, int *ret_fd)
	FZ_NONNULL(3, 4) FZ_MUST_CHECK;
/* What became of the connection: 0 or negative errno. */
int fzp_sock_error(int fd) FZ_MUST_CHECK;
/* recv and send without SIGPIPE: a count, 0 (recv: the end), or negative errno (-EAGAIN). */
ssize_t fzp_sock_recv(int fd, struct fz_span out) FZ_MUST_CHECK;
ssize_t fzp_sock_send(int fd, struct fz_bytes in) FZ_MUST_CHECK;

/* The whole file, at most `max` bytes, NUL-terminated, to be freed; 0, -EFBIG or what open and read said. */
int fzp_read_file(const char *path, size_t max, uint8_t **ret_text, size_t *ret_len)
	FZ_NONNULL(1, 3, 4) FZ_MUST_CHECK;

/* Replaces the file as a whole or not at all: a new one in its directory, mode 0600, synced, renamed. 0 or negative errno. */
int fzp_write_file(const char *path, struct fz_bytes text) FZ_NONNULL(1) FZ_MUST_CHECK;

/* Moves a one-shot CLOCK_BOOTTIME timer, made at first use; FZ_NEVER switches it off. 0 or negative errno. */
int fzp_timer_set(sd_event *event, sd_event_source **timer, fz_time when,
	sd_event_time_handler_t fn, void *user) FZ_NONNULL(1, 2, 4) FZ_MUST_CHECK;
/* Switches a source off before the reference is dropped, so that nothing of it is called any more. For FZ_CLEANUP, too. */
void fzp_source_freep(sd_event_source **source) FZ_NONNULL(1);
