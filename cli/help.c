/* --help: of the program, of a group of commands, of one command. From the same tables as the parser. */
#include <string.h>

#include "cli/run.h"

static const char *const sections[] = { "Connection", "Account", "Resources", "Host", "Settings",
	"Diagnosis", "Other" };

static void print_row(FILE *out, const char *left, const char *right)
{
	if (strlen(left) > 24)
		fprintf(out, "  %s\n  %-24s  %s\n", left, "", right);
	else
		fprintf(out, "  %-24s  %s\n", left, right);
}

static void print_flag(FILE *out, const struct fzctl_flag *f)
{
	char left[80], short_name[8] = "";
	if (f->short_name)
		snprintf(short_name, sizeof(short_name), "-%c, ", f->short_name);
	snprintf(left, sizeof(left), "%s--%s%s%s", short_name, f->name, f->metavar ? " " : "",
		f->metavar ? f->metavar : "");
	print_row(out, left, f->help ? f->help : "");
}

static void print_verbs(FILE *out, const char *section, const char *group_maybe)
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
			fprintf(out, "\n%s\n", section);
		has_heading = true;
		print_row(out, v->command, v->summary);
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

static void print_globals(FILE *out)
{
	fputs("\nFlags of every command\n", out);
	for (const struct fzctl_flag *f = global_help; f->name; f++)
		print_flag(out, f);
}

static void print_program(const char *group_maybe, FILE *out)
{
	fprintf(out,
		"Usage: firezonectl [FLAGS] %s%sCOMMAND [ARGUMENTS]\n\nSees and steers the "
		"Firezone daemon.\n",
		group_maybe ? group_maybe : "", group_maybe ? " " : "");
	for (size_t i = 0; i < FZ_ARRAY_LEN(sections); i++)
		print_verbs(out, sections[i], group_maybe);
	print_globals(out);
	fputs("\nExit status: 0 done, 1 failed, 2 usage, 3 timeout, 4 sign-in failed, 5 permission "
	      "denied, 6 not signed in,\n"
	      "7 refused by policy or service mode, 8 no daemon, 9 the answer is no, 10 not found, "
	      "11 incompatible.\n",
		out);
}

static void print_verb(const struct fzctl_verb *v, FILE *out)
{
	fprintf(out, "Usage: firezonectl %s", v->command);
	for (const struct fzctl_positional *p = v->positionals; p && p->flag; p++)
		fprintf(out, p->is_optional ? " [%s]%s" : " %s%s", p->flag->metavar,
			p->is_rest ? "..." : "");
	fprintf(out, "%s\n\n%s\n", v->flags && v->flags[0].name ? " [FLAGS]" : "", v->description);
	for (const char *const *a = v->aliases; *a; a++)
		fprintf(out, "%s%s%s", a == v->aliases ? "\nAlso: " : ", ", *a, a[1] ? "" : "\n");
	for (const struct fzctl_positional *p = v->positionals; p && p->flag; p++) {
		if (p == v->positionals)
			fputs("\nArguments\n", out);
		print_row(out, p->flag->metavar, p->flag->help);
	}
	for (const struct fzctl_flag *f = v->flags; f && f->name; f++) {
		if (f == v->flags)
			fputs("\nFlags\n", out);
		print_flag(out, f);
	}
	for (const char *const *e = v->examples; *e; e++)
		fprintf(out, "%s  %s\n", e == v->examples ? "\nExamples\n" : "", *e);
	print_globals(out);
}

void fzctl_help(const struct fzctl_run *run, const struct fzctl_verb *verb_maybe,
	const char *group_maybe, FILE *out)
{
	(void)run;
	if (verb_maybe)
		print_verb(verb_maybe, out);
	else
		print_program(group_maybe, out);
}
