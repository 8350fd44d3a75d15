/*
 * One run of firezonectl: what was asked, and how the answer is shown. Everything here ends with the process; one
 * thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/bytebuf.h"
#include "base/time.h"
#include "cli/verb.h"
#include "ipc/firezone.pb-c.h"
#include "ipc/io/link.h"
#include "ipc/wire.h"

#define FZCTL_VERSION_TEXT FZ_VERSION
#define FZCTL_MAX_LOCALS   12

/* docs: clients depend on these numbers. */
enum fzctl_exit {
	FZCTL_OK = 0,
	FZCTL_FAILED = 1,
	FZCTL_USAGE = 2,
	FZCTL_TIMEOUT = 3,
	FZCTL_SIGN_IN_FAILED = 4,
	FZCTL_DENIED = 5,
	FZCTL_NOT_SIGNED_IN = 6,
	FZCTL_REFUSED = 7,
	FZCTL_NO_DAEMON = 8,
	FZCTL_NO = 9,
	FZCTL_NOT_FOUND = 10,
	FZCTL_INCOMPATIBLE = 11,
	FZCTL_SIGNALLED = 128, /* plus the signal */
};

enum fzctl_output { FZCTL_HUMAN, FZCTL_JSON, FZCTL_JSONL, FZCTL_TERSE };

struct fzctl_run {
	const struct fzctl_verb *verb;
	enum fzctl_output output;
	bool is_quiet, is_verbose, has_color, is_tty, wants_help, says_yes;
	unsigned columns; /* of the terminal; 0: not one */
	const char *socket, *fields;
	uint64_t timeout_ns; /* 0: none */
	fz_time deadline;
	ProtobufCMessage *request; /* filled from the command line; NULL for local verbs */
	const char *locals[FZCTL_MAX_LOCALS]; /* by the flag's index among the verb's flags */
	const char *rest[8]; /* words left for a local verb */
	size_t n_rest;
	struct fzipc_arena arena;
	struct fzipc_link *link;
	int signal_fd;
};

/* ---- args.c ---- */

/* Fills run from argv; FZCTL_OK, or an exit code after saying what is wrong. */
int fzctl_args_parse(struct fzctl_run *run, int argc, char **argv) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The text of a flag only firezonectl knows: NULL if not given, "" for a switch. */
const char *fzctl_local_maybe(const struct fzctl_run *run, const char *flag) FZ_NONNULL(1, 2);
/* True if `words` begin a command, e.g. "host". */
bool fzctl_is_group(const char *words) FZ_NONNULL(1);

/* ---- call.c ---- */

/* Connects once; FZCTL_OK or an exit code after saying why not. */
int fzctl_connect(struct fzctl_run *run) FZ_NONNULL(1) FZ_MUST_CHECK;
/* What to do with an answer or an event: false stops the stream. */
typedef bool (*fzctl_on_message)(void *user, struct fzctl_run *run, const ProtobufCMessage *msg);
/*
 * Connects if need be, calls, and hands on messages until the end. FZCTL_OK, also when on_message stopped it, or an
 * exit code after saying why. fd: passed along, -1 for none.
 */
int fzctl_call(struct fzctl_run *run, const struct fzipc_method *method,
	const ProtobufCMessage *request, int fd, fzctl_on_message on_message, void *user)
	FZ_NONNULL(1, 2, 3, 5) FZ_MUST_CHECK;
/* The verb's own call with its answer printed: what a verb without a hook does. */
int fzctl_call_and_print(struct fzctl_run *run, int fd) FZ_NONNULL(1) FZ_MUST_CHECK;
/* fzctl_on_message that prints. */
bool fzctl_print_message(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
	FZ_NONNULL(2, 3);

/* ---- verb_session.c: --wait ---- */

enum fzctl_await {
	FZCTL_UNTIL_UP,
	FZCTL_UNTIL_DOWN,
	FZCTL_UNTIL_AFRESH /* connected to the portal again */
};

bool fzctl_waits(const struct fzctl_run *run) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Before anything is done: FZCTL_OK, or an exit code after saying that --wait's value is no length of time. */
int fzctl_wait_check(const struct fzctl_run *run) FZ_NONNULL(1) FZ_MUST_CHECK;
/* Does what --wait asks for, and nothing without it: waits, and prints the state that came. */
int fzctl_wait(struct fzctl_run *run, enum fzctl_await what) FZ_NONNULL(1) FZ_MUST_CHECK;
/* The verb's own call, then fzctl_wait. */
int fzctl_call_and_wait(struct fzctl_run *run, int fd, enum fzctl_await what)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* WaitFor, with the state printed that came. */
int fzctl_wait_for(struct fzctl_run *run, Fzpb__WaitRequest__Condition condition)
	FZ_NONNULL(1) FZ_MUST_CHECK;
/* From now on, for all calls together. */
void fzctl_limit_time(struct fzctl_run *run, uint64_t ns) FZ_NONNULL(1);
/* What to do with an answer that --wait makes a step on the way. */
fzctl_on_message fzctl_print_unless_waiting(const struct fzctl_run *run) FZ_NONNULL(1);
/* fzctl_on_message that does nothing. */
bool fzctl_ignore_message(void *user, struct fzctl_run *run, const ProtobufCMessage *msg);

/* ---- fault.c ---- */

/* Says what failed, as JSON on stderr if JSON was asked for; returns `code`. hint may be NULL. */
int fzctl_fail(const struct fzctl_run *run, enum fzctl_exit code, const char *name,
	const char *message, const char *hint_maybe) FZ_NONNULL(1, 3, 4);
/* The same of an error the daemon answered with. */
int fzctl_fail_with(const struct fzctl_run *run, const Fzpb__Error *error) FZ_NONNULL(1, 2);
/* The same of a connection that failed. */
int fzctl_fail_link(struct fzctl_run *run, enum fzipc_link_fault fault, int os_errno) FZ_NONNULL(1);
enum fzctl_exit fzctl_exit_of(Fzpb__Error__Code code) FZ_MUST_CHECK;

/* ---- output.c, template.c, table.c, value.c ---- */

/* Prints one message on stdout in the wanted form. False if stdout cannot be written. */
bool fzctl_print(struct fzctl_run *run, const ProtobufCMessage *msg) FZ_NONNULL(1, 2);
/* The lines of a message by its templates, each with '\n'. */
void fzctl_template_render(const struct fzctl_run *run, const ProtobufCMessage *msg,
	struct fz_bytebuf *out) FZ_NONNULL(1, 2, 3);
/* The repeated field as an aligned table with headings. */
void fzctl_table_render(const struct fzctl_run *run, const ProtobufCMessage *msg, const char *list,
	struct fz_bytebuf *out) FZ_NONNULL(1, 2, 3, 4);
/* The values at a path as people read them, ", " between several; false if absent or empty. */
bool fzctl_value_render(const struct fzctl_run *run, const ProtobufCMessage *msg, const char *path,
	size_t path_len, struct fz_bytebuf *out) FZ_NONNULL(1, 2, 3, 5);
/* The same for machines: no units, RFC 3339 times. */
bool fzctl_value_render_plain(const ProtobufCMessage *msg, const char *path, size_t path_len,
	struct fz_bytebuf *out) FZ_NONNULL(1, 2, 4);
/* The message that holds the path's last part, and that part; false if a part above it is absent. */
bool fzctl_value_find(const ProtobufCMessage *msg, const char *path, size_t path_len,
	const ProtobufCMessage **ret_in, const ProtobufCFieldDescriptor **ret_field)
	FZ_NONNULL(1, 2, 4, 5);
/* Appends text; without memory the output is cut, never wrong. */
void fzctl_put(struct fz_bytebuf *out, const char *text) FZ_NONNULL(1, 2);
/* Appends text from outside: control characters, which could steer a terminal, become '?'. */
void fzctl_put_clean(struct fz_bytebuf *out, const char *text) FZ_NONNULL(1, 2);
/* Columns the text takes. */
size_t fzctl_width(const char *text, size_t len) FZ_NONNULL(1);

/* ---- help.c ---- */

void fzctl_help(const struct fzctl_run *run, const struct fzctl_verb *verb_maybe,
	const char *group_maybe, FILE *out) FZ_NONNULL(1, 4);

/* Verbs done without the daemon: completion, help. */
extern const struct fzctl_verb fzctl_local_verbs[];
extern const size_t fzctl_n_local_verbs;
/* The i-th of all verbs, generated ones first; NULL past the end. */
const struct fzctl_verb *fzctl_verb_at_maybe(size_t i);
