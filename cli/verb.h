/* firezonectl's commands as generated tables: constant data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "ipc/method.h"

struct fzctl_run;

/* A flag that sets a request field. */
struct fzctl_flag {
	const char *name; /* "dry-run" */
	char short_name; /* 'n' or 0 */
	const char *metavar; /* NULL: a switch */
	const char *help;
	const char *complete; /* "file", a dynamic list's name, words, or NULL */
	int field; /* index in the request's descriptor; -1: known to firezonectl only */
	int format; /* enum fzipc_format of the field */
};

struct fzctl_positional {
	const struct fzctl_flag *flag;
	bool is_optional, is_rest;
};

struct fzctl_verb {
	const char *command; /* "host show" */
	const char *const *aliases; /* NULL-terminated */
	const char *summary, *description, *section;
	const struct fzipc_method *method; /* NULL: done without the daemon */
	const struct fzctl_flag *flags; /* name NULL-terminated; positionals are not among them */
	const struct fzctl_positional *positionals; /* flag NULL-terminated */
	const char *const *examples; /* NULL-terminated */
	const unsigned *exit_codes; /* 0-terminated: beyond 0 1 2 3 5 8 11 */
	int (*hook)(struct fzctl_run *run); /* NULL: one call, print the answer */
	bool is_hidden;
};

extern const struct fzctl_verb fzctl_verbs[];
extern const size_t fzctl_n_verbs;
