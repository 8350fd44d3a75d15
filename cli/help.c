/* --help: of the program, of a group of commands, of one command. From the same tables as the parser. */
#include <string.h>

#include "cli/run.h"

static const char *const sections[] = { "Connection", "Account", "Resources", "Host", "Settings",
	"Diagnosis", "Other" };

#define LEFT   25u /* the widest command */
#define NARROW 60u /* below this, what is said of a word stands under it */

struct page {
	FILE *out;
	unsigned columns; /* to fill; 0: as many as it takes */
};

static void put_newline(const struct page *p, unsigned indent)
{
	fprintf(p->out, "\n%*s", (int)indent, "");
}

/* Words up to the end, which ends the line; those that do not fit go on at `indent`, where the first one stands. */
static void print_text(const struct page *p, const char *text, unsigned indent)
{
	unsigned at = indent;
	for (bool is_first = true; *text; is_first = false) {
		size_t n = strcspn(text, " \n"), width = fzctl_width(text, n);
		bool breaks = p->columns == 0 ? !is_first && text[-1] == '\n'
					      : at + 1 + width > p->columns;
		if (breaks && !is_first) {
			put_newline(p, indent);
			at = indent;
		} else if (!is_first) {
			fputc(' ', p->out);
			at++;
		}
		fprintf(p->out, "%.*s", (int)n, text);
		at += (unsigned)width;
		text += n + (text[n] != '\0');
	}
	fputc('\n', p->out);
}

static void print_row(const struct page *p, const char *left, const char *right)
{
	bool is_narrow = p->columns > 0 && p->columns < NARROW;
	unsigned indent = is_narrow ? 6 : LEFT + 4;
	fprintf(p->out, "  %-*s", is_narrow ? 0 : (int)LEFT, left);
	if (is_narrow || strlen(left) > LEFT)
		put_newline(p, indent);
	else
		fputs("  ", p->out);
	print_text(p, right, indent);
}

static void print_flag(const struct page *p, const struct fzctl_flag *f)
{
	char left[80], short_name[8] = "";
	if (f->short_name)
		snprintf(short_name, sizeof(short_name), "-%c, ", f->short_name);
	snprintf(left, sizeof(left), "%s--%s%s%s", short_name, f->name, f->metavar ? " " : "",
		f->metavar ? f->metavar : "");
	print_row(p, left, f->help ? f->help : "");
}

static void print_verbs(const struct page *p, const char *section, const char *group_maybe)
{
	const struct fzctl_verb *v;
	bool has_heading = false;
	size_t n = group_maybe ? strlen(group_maybe) : 0;
	for (size_t i = 0; (v = fzctl_verb_at_maybe(i)); i++) {
		if (v->is_hidden || strcmp(v->section, section) != 0)
			continue;
		if (group_maybe &&
			(strncmp(v->command, group_maybe, n) != 0 || v->command[n] != ' '))
			continue;
		if (!has_heading)
			fprintf(p->out, "\n%s\n", section);
		has_heading = true;
		print_row(p, v->command, v->summary);
	}
}

static const struct fzctl_flag global_help[] = {
	{ .name = "output",
		.short_name = 'o',
		.metavar = "FORM",
		.help = "human, json, jsonl or terse" },
	{ .name = "json", .help = "the same as --output json" },
	{ .name = "fields",
		.metavar = "LIST",
		.help = "with terse: these values, e.g. state,tunnel.ipv4" },
	{ .name = "quiet", .short_name = 'q', .help = "no hints and remarks" },
	{ .name = "verbose", .short_name = 'v', .help = "say more" },
	{ .name = "no-color", .help = "no colors (also NO_COLOR)" },
	{ .name = "socket",
		.metavar = "PATH",
		.help = "the daemon's socket (also FIREZONE_SOCKET)" },
	{ .name = "timeout", .metavar = "DUR", .help = "give up after DUR, e.g. 10s" },
	{ .name = "yes", .short_name = 'y', .help = "answer questions with yes" },
	{ .name = "help", .short_name = 'h', .help = "this text" },
	{ .name = "version", .short_name = 'V', .help = "show versions" },
	{ 0 },
};

static void print_globals(const struct page *p)
{
	fputs("\nFlags of every command\n", p->out);
	for (const struct fzctl_flag *f = global_help; f->name; f++)
		print_flag(p, f);
}

static void print_program(const struct page *p, const char *group_maybe)
{
	fprintf(p->out,
		"Usage: firezonectl [FLAGS] %s%sCOMMAND [ARGUMENTS]\n\nSees and steers the "
		"Firezone daemon.\n",
		group_maybe ? group_maybe : "", group_maybe ? " " : "");
	for (size_t i = 0; i < FZ_ARRAY_LEN(sections); i++)
		print_verbs(p, sections[i], group_maybe);
	print_globals(p);
	fputc('\n', p->out);
	print_text(p,
		"Exit status: 0 done, 1 failed, 2 usage, 3 timeout, 4 sign-in failed, 5 permission "
		"denied, 6 not signed in,\n"
		"7 refused by policy or service mode, 8 no daemon, 9 the answer is no, 10 not "
		"found, 11 incompatible.",
		0);
}

static void print_usage(const struct page *p, const struct fzctl_verb *v)
{
	fprintf(p->out, "Usage: firezonectl %s", v->command);
	for (const struct fzctl_positional *x = v->positionals; x && x->flag; x++)
		fprintf(p->out, x->is_optional ? " [%s]%s" : " %s%s", x->flag->metavar,
			x->is_rest ? "..." : "");
	fprintf(p->out, "%s\n\n", v->flags && v->flags[0].name ? " [FLAGS]" : "");
}

static void print_verb(const struct page *p, const struct fzctl_verb *v)
{
	print_usage(p, v);
	print_text(p, v->description, 0);
	for (const char *const *a = v->aliases; *a; a++)
		fprintf(p->out, "%s%s%s", a == v->aliases ? "\nAlso: " : ", ", *a,
			a[1] ? "" : "\n");
	for (const struct fzctl_positional *x = v->positionals; x && x->flag; x++) {
		if (x == v->positionals)
			fputs("\nArguments\n", p->out);
		print_row(p, x->flag->metavar, x->flag->help);
	}
	for (const struct fzctl_flag *f = v->flags; f && f->name; f++) {
		if (f == v->flags)
			fputs("\nFlags\n", p->out);
		print_flag(p, f);
	}
	for (const char *const *e = v->examples; *e; e++)
		fprintf(p->out, "%s  %s\n", e == v->examples ? "\nExamples\n" : "", *e);
	print_globals(p);
}

void fzctl_help(const struct fzctl_run *run, const struct fzctl_verb *verb_maybe,
	const char *group_maybe, FILE *out)
{
	struct page p = { .out = out, .columns = run->columns };
	if (verb_maybe)
		print_verb(&p, verb_maybe);
	else
		print_program(&p, group_maybe);
}
