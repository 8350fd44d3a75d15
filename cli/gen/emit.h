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
