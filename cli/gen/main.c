/*
 * protoc-gen-fzctl: protoc's plugin that turns ipc/firezone.proto into the daemon's dispatch table, firezonectl's
 * verbs, help, completions, manual page and JSON Schema, and the client library's functions. protoc starts it with a
 * request on standard input. Parameter golden=FILE: the released descriptor to keep.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/emit.h"

#define MAX_FILES 24

struct output {
	Google__Protobuf__Compiler__CodeGeneratorResponse__File files[MAX_FILES], *list[MAX_FILES];
	size_t n;
};

static void add_file(struct output *o, const struct model *m, const char *name,
	void (*emit)(const struct model *, struct text *))
{
	struct text t = { 0 };
	emit(m, &t);
	if (o->n == MAX_FILES)
		text_die("too many files");
	Google__Protobuf__Compiler__CodeGeneratorResponse__File *f = &o->files[o->n];
	google__protobuf__compiler__code_generator_response__file__init(f);
	f->name = text_format("%s", name);
	f->content = t.p ? t.p : text_format("%s", "");
	o->list[o->n++] = f;
}

static char *read_all(FILE *in, size_t *ret_len)
{
	size_t cap = 1 << 16, len = 0;
	char *buf = text_alloc(cap, 1);
	for (;;) {
		size_t n = fread(buf + len, 1, cap - len - 1, in);
		if (n == 0)
			break;
		len += n;
		if (len < cap - 1)
			continue;
		cap *= 2;
		buf = realloc(buf, cap);
		if (!buf)
			text_die("no memory");
	}
	buf[len] = '\0';
	*ret_len = len;
	return buf;
}

/* Every promise of the golden listing must still be there, as a whole line. */
static void check_promises(const struct model *m, const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file)
		text_die("cannot read %s", path);
	struct text now = { 0 };
	text_add(&now, "\n");
	emit_golden(m, &now);
	size_t len;
	unsigned broken = 0;
	char *released = read_all(file, &len);
	fclose(file);
	for (const char *line = released; *line;) {
		size_t n = strcspn(line, "\n");
		char *promise = text_format("%.*s", (int)n, line);
		line += n + (line[n] == '\n');
		if (n == 0 || strncmp(promise, "rule ", 5) == 0 ||
			strstr(now.p, text_format("\n%s\n", promise)))
			continue;
		fprintf(stderr, "ipc/firezone.proto: released and now gone or changed: %s\n",
			promise);
		broken++;
	}
	if (broken > 0)
		text_die("%u released fields or ids changed; add new ones instead", broken);
}

static const Google__Protobuf__FileDescriptorProto *wanted_file(
	const Google__Protobuf__Compiler__CodeGeneratorRequest *request)
{
	for (size_t i = 0; i < request->n_proto_file; i++) {
		if (request->n_file_to_generate == 1 &&
			strcmp(request->proto_file[i]->name, request->file_to_generate[0]) == 0)
			return request->proto_file[i];
	}
	text_die("wants exactly one file");
}

static void respond(struct output *o)
{
	Google__Protobuf__Compiler__CodeGeneratorResponse response;
	google__protobuf__compiler__code_generator_response__init(&response);
	response.n_file = o->n;
	response.file = o->list;
	size_t n = protobuf_c_message_get_packed_size(&response.base);
	uint8_t *packed = text_alloc(n, 1);
	protobuf_c_message_pack(&response.base, packed);
	if (fwrite(packed, 1, n, stdout) != n || fflush(stdout) != 0)
		text_die("cannot write");
}

int main(void)
{
	size_t len;
	const char *in = read_all(stdin, &len);
	Google__Protobuf__Compiler__CodeGeneratorRequest *request =
		google__protobuf__compiler__code_generator_request__unpack(
			NULL, len, (const uint8_t *)in);
	if (!request)
		text_die("protoc's request cannot be read");
	struct model m;
	model_load(&m, wanted_file(request));
	lint_check(&m);
	if (request->parameter && strncmp(request->parameter, "golden=", 7) == 0)
		check_promises(&m, request->parameter + 7);
	struct output o = { .n = 0 };
	add_file(&o, &m, "ipc/methods.h", emit_methods_h);
	add_file(&o, &m, "ipc/methods.c", emit_methods_c);
	add_file(&o, &m, "ipc/handlers.h", emit_handlers_h);
	add_file(&o, &m, "ipc/handlers.c", emit_handlers_c);
	add_file(&o, &m, "ipc/meta.c", emit_meta_c);
	add_file(&o, &m, "cli/verbs.c", emit_verbs_c);
	add_file(&o, &m, "cli/firezonectl.bash", emit_completion_bash);
	add_file(&o, &m, "cli/_firezonectl", emit_completion_zsh);
	add_file(&o, &m, "cli/firezonectl.fish", emit_completion_fish);
	add_file(&o, &m, "cli/completions.c", emit_completions_c);
	add_file(&o, &m, "cli/firezonectl.1", emit_man);
	add_file(&o, &m, "cli/firezonectl.schema.json", emit_schema);
	add_file(&o, &m, "firezone/messages.h", emit_client_h);
	add_file(&o, &m, "firezone/calls.c", emit_client_c);
	add_file(&o, &m, "golden.txt", emit_golden);
	respond(&o);
	return 0;
}
