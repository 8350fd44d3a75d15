/* What protoc-gen-fzctl writes: one function per kind of file. `out` is empty before. */
#pragma once

#include "base/attr.h"
#include "gen/model.h"

/* Ends the program with every mistake in the file on stderr: missing permissions, reused numbers, bad templates. */
void lint_check(const struct model *m) FZ_NONNULL(1);
/* Ids, names, types and options that may not change once released, one a line. */
void emit_golden(const struct model *m, struct text *out) FZ_NONNULL(1, 2);

/* ipc/methods.h, methods.c: the table; ipc/handlers.h, handlers.c: typed handlers and replies. */
void emit_methods_h(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_methods_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_handlers_h(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_handlers_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);

/* ipc/meta.c and cli/verbs.c: what people see of messages, and firezonectl's commands. */
void emit_meta_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_verbs_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);

/* Completion scripts, and all three as C strings. */
void emit_completion_bash(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_completion_zsh(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_completion_fish(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_completions_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);

/* firezonectl.1 and the JSON Schema of all answers. */
void emit_man(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_schema(const struct model *m, struct text *out) FZ_NONNULL(1, 2);

/* The client library's <firezone/messages.h>, and its tables and functions. */
void emit_client_h(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
void emit_client_c(const struct model *m, struct text *out) FZ_NONNULL(1, 2);
