/* Aligned tables: columns as wide as their widest cell; on a terminal that is too narrow the widest give way. */
#include <string.h>

#include "base/alloc.h"
#include "cli/run.h"
#include "ipc/meta.h"
#include "ipc/reflect.h"

#define MAX_COLUMNS 12
#define CELL_MAX    4096
#define GAP         2
#define LEAST       4

struct table {
	const struct fzctl_run *run;
	const struct fzipc_column *columns;
	size_t n_columns, n_rows;
	struct fz_bytebuf *cells; /* row by row; the first row are headings */
	size_t widths[MAX_COLUMNS];
};

static struct fz_bytebuf *cell(const struct table *t, size_t row, size_t column)
{
	return &t->cells[row * t->n_columns + column];
}

static void fill_row(struct table *t, size_t row, const ProtobufCMessage *element_maybe)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		struct fz_bytebuf *c = cell(t, row, i);
		fz_bytebuf_init(c, CELL_MAX);
		if (!element_maybe)
			fzctl_put(c, t->columns[i].heading);
		else if (!fzctl_value_render(t->run, element_maybe, t->columns[i].path,
				 strlen(t->columns[i].path), c))
			fzctl_put(c, "-");
		size_t width = fzctl_width((const char *)c->p, c->len);
		if (width > t->widths[i])
			t->widths[i] = width;
	}
}

/* Takes from the widest column until the table fits the terminal or nothing can be taken. */
static void shrink(struct table *t)
{
	if (t->run->columns == 0)
		return;
	for (;;) {
		size_t total = 0, widest = 0;
		for (size_t i = 0; i < t->n_columns; i++) {
			total += t->widths[i] + (i > 0 ? GAP : 0);
			widest = t->widths[i] > t->widths[widest] ? i : widest;
		}
		if (total <= t->run->columns || t->widths[widest] <= LEAST)
			return;
		t->widths[widest]--;
	}
}

/* Bytes of text that fit into `width` columns. */
static size_t fitting(const char *text, size_t len, size_t width)
{
	size_t n = 0;
	while (n < len) {
		size_t next = n + 1;
		while (next < len && ((unsigned char)text[next] & 0xc0) == 0x80)
			next++;
		if (fzctl_width(text, next) > width)
			break;
		n = next;
	}
	return n;
}

static void put_cell(
	const struct table *t, const struct fz_bytebuf *c, size_t column, struct fz_bytebuf *out)
{
	size_t width = fzctl_width((const char *)c->p, c->len), limit = t->widths[column];
	bool is_last = column + 1 == t->n_columns;
	if (width > limit) {
		size_t n = fitting((const char *)c->p, c->len, limit - 1);
		(void)!fz_bytebuf_append(out, fz_bytes_of(c->p, n));
		fzctl_put(out, "~");
		width = fzctl_width((const char *)c->p, n) + 1;
	} else {
		(void)!fz_bytebuf_append(out, fz_bytebuf_bytes(c));
	}
	for (; !is_last && width < limit + GAP; width++)
		fzctl_put(out, " ");
}

static void put_rows(const struct table *t, struct fz_bytebuf *out)
{
	for (size_t row = 0; row < t->n_rows; row++) {
		if (row == 0 && t->run->has_color)
			fzctl_put(out, "\033[1m");
		for (size_t i = 0; i < t->n_columns; i++)
			put_cell(t, cell(t, row, i), i, out);
		if (row == 0 && t->run->has_color)
			fzctl_put(out, "\033[0m");
		fzctl_put(out, "\n");
	}
}

void fzctl_table_render(const struct fzctl_run *run, const ProtobufCMessage *msg, const char *list,
	struct fz_bytebuf *out)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(msg->descriptor, list);
	const struct fzipc_message_meta *meta = fzipc_meta_find_maybe(f->descriptor);
	size_t n = fzipc_reflect_count(msg, f);
	if (n == 0 || !meta)
		return;
	struct table t = { .run = run, .columns = meta->columns, .n_rows = n + 1 };
	while (t.n_columns < MAX_COLUMNS && meta->columns[t.n_columns].heading)
		t.n_columns++;
	t.cells = fz_new_array(struct fz_bytebuf, t.n_rows * t.n_columns);
	if (!t.cells)
		return;
	fill_row(&t, 0, NULL);
	for (size_t i = 0; i < n; i++)
		fill_row(&t, i + 1, fzipc_reflect_get(msg, f, i).msg);
	shrink(&t);
	put_rows(&t, out);
	for (size_t i = 0; i < t.n_rows * t.n_columns; i++)
		fz_bytebuf_done(&t.cells[i]);
	free(t.cells);
}
