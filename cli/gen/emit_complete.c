/*
 * Completion scripts for bash, zsh and fish. Each finds the command in the words before the cursor, then offers what
 * may follow: commands, flags, or values. Values that only the daemon knows come from `firezonectl __complete`.
 */
#include <string.h>

#include "gen/emit.h"

/* What a word or a flag's value may be: a dynamic list, files, or fixed words. */
static bool is_dynamic(const char *complete)
{
	return complete &&
	       (strcmp(complete, "settings") == 0 || strcmp(complete, "resources") == 0 ||
		       strcmp(complete, "accounts") == 0 || strcmp(complete, "peers") == 0);
}

/* One thing to complete, whether it comes from the request or is local. */
struct item {
	const char *flag, *metavar, *help;
	char short_flag; /* 0: none */
	const char *complete;
};

struct command {
	const char *words, *summary;
	struct item *flags, *arguments;
	size_t n_flags, n_arguments;
};

static const char *words_of(const struct field *f)
{
	if (f->opt->complete || !f->enumeration)
		return f->opt->complete;
	struct text words = { 0 };
	for (size_t i = 0; i < f->enumeration->proto->n_value; i++)
		text_add(&words, "%s%s", i ? " " : "",
			text_dashes(text_lower(f->enumeration->proto->value[i]->name)));
	return words.p;
}

static struct item item_of(const struct field *f)
{
	bool is_switch =
		f->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL &&
		!f->opt->metavar;
	return (struct item){ .flag = model_flag(f),
		.metavar = is_switch ? NULL : "VALUE",
		.help = f->opt->help,
		.short_flag = f->opt->short_flag ? f->opt->short_flag[0] : 0,
		.complete = words_of(f) };
}

static struct command command_of(const struct method *m, const char *words)
{
	struct command c = { .words = words, .summary = m->cli->summary };
	c.flags = text_alloc(m->in->n_fields + m->cli->n_local, sizeof(*c.flags));
	c.arguments = text_alloc(m->cli->n_positional, sizeof(*c.arguments));
	for (size_t i = 0; i < m->in->n_fields; i++) {
		const struct field *f = &m->in->fields[i];
		if (!f->opt->no_flag && !model_is_positional(m, f))
			c.flags[c.n_flags++] = item_of(f);
	}
	for (size_t i = 0; i < m->cli->n_local; i++) {
		const Fzopt__CliLocal *l = m->cli->local[i];
		c.flags[c.n_flags++] = (struct item){ .flag = l->flag,
			.metavar = l->metavar && l->metavar[0] != '[' ? l->metavar : NULL,
			.help = l->help,
			.short_flag = l->short_flag ? l->short_flag[0] : 0,
			.complete = l->complete };
	}
	for (size_t i = 0; i < m->cli->n_positional; i++) {
		char mark;
		const struct field *f =
			model_field_maybe(m->in, model_positional(m->cli->positional[i], &mark));
		c.arguments[c.n_arguments++] = item_of(f);
	}
	return c;
}

/* Every command, by its name and by its aliases, and those without a method. */
static struct command *all_commands(const struct model *m, size_t *ret_n)
{
	static struct item shells = { .flag = "shell", .complete = "bash zsh fish" };
	struct command *list = text_alloc(m->n_served * 4 + 2, sizeof(*list));
	size_t n = 0;
	for (size_t i = 0; i < m->n_served; i++) {
		const struct method *x = m->served[i];
		if (x->cli->hidden)
			continue;
		list[n++] = command_of(x, x->cli->command);
		for (size_t k = 0; k < x->cli->n_alias && k < 3; k++)
			list[n++] = command_of(x, x->cli->alias[k]);
	}
	list[n++] = (struct command){ .words = "completion",
		.summary = "Print a shell's completion script",
		.arguments = &shells,
		.n_arguments = 1 };
	list[n++] = (struct command){ .words = "help", .summary = "Show help" };
	*ret_n = n;
	return list;
}

static const struct item global_flags[] = {
	{ "output", "FORM", "human, json, jsonl or terse", 'o', "human json jsonl terse" },
	{ "json", NULL, "the same as --output json", 0, NULL },
	{ "fields", "LIST", "with terse: these values", 0, NULL },
	{ "quiet", NULL, "no hints and remarks", 'q', NULL },
	{ "verbose", NULL, "say more", 'v', NULL },
	{ "no-color", NULL, "no colors", 0, NULL },
	{ "socket", "PATH", "the daemon's socket", 0, "file" },
	{ "timeout", "DUR", "give up after DUR", 0, NULL },
	{ "yes", NULL, "answer questions with yes", 'y', NULL },
	{ "help", NULL, "show help", 'h', NULL },
	{ "version", NULL, "show versions", 'V', NULL },
};
#define N_GLOBAL (sizeof(global_flags) / sizeof(global_flags[0]))

/* The first word of commands of two, once: "host" for "host show". */
static bool is_new_group(const struct command *list, size_t i, char **ret_group)
{
	size_t n = strcspn(list[i].words, " ");
	if (list[i].words[n] == '\0')
		return false;
	for (size_t k = 0; k < i; k++) {
		if (strncmp(list[k].words, list[i].words, n + 1) == 0)
			return false;
	}
	*ret_group = text_format("%.*s", (int)n, list[i].words);
	return true;
}

static void add_group_members(struct text *out, const struct command *list, size_t n,
	const char *group, const char *between)
{
	size_t len = strlen(group);
	bool is_first = true;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(list[i].words, group, len) != 0 || list[i].words[len] != ' ')
			continue;
		text_add(out, "%s%s", is_first ? "" : between, list[i].words + len + 1);
		is_first = false;
	}
}

static void add_top(struct text *out, const struct command *list, size_t n, const char *between)
{
	bool is_first = true;
	for (size_t i = 0; i < n; i++) {
		char *group = NULL;
		bool is_single = !strchr(list[i].words, ' ');
		if (!is_single && !is_new_group(list, i, &group))
			continue;
		text_add(out, "%s%s", is_first ? "" : between, is_single ? list[i].words : group);
		is_first = false;
	}
}

/* Patterns of flags that take a value, for finding the command. */
static void add_valued_flags(struct text *out, const struct command *list, size_t n)
{
	text_add(out, "-o");
	for (size_t i = 0; i < N_GLOBAL; i++) {
		if (global_flags[i].metavar)
			text_add(out, "|--%s", global_flags[i].flag);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < list[i].n_flags; k++) {
			if (list[i].flags[k].metavar)
				text_add(out, "|--%s", list[i].flags[k].flag);
		}
	}
}

static void add_command_patterns(struct text *out, const struct command *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *group;
		if (is_new_group(list, i, &group))
			text_add(out, "%s'%s'", i ? "|" : "", group);
		text_add(out, "%s'%s'", i || strchr(list[i].words, ' ') ? "|" : "", list[i].words);
	}
}

static void add_flag_names(struct text *out, const struct command *c)
{
	for (size_t i = 0; c && i < c->n_flags; i++)
		text_add(out, "--%s ", c->flags[i].flag);
	for (size_t i = 0; i < N_GLOBAL; i++)
		text_add(out, "%s--%s", i ? " " : "", global_flags[i].flag);
}

/* ---- bash ---- */

/*
 * What every call needs. Values come from outside (the portal names resources), so nothing here is expanded or split: words
 * are taken from the line by hand, and what is offered is quoted the way the line is where it goes.
 */
static const char bash_helpers[] =
	"# The line up to the cursor as words[], the last one being typed; open: the quote it is "
	"in, if any;\n"
	"# kept: how many of its characters stay, as readline replaces only what follows a break "
	"or an open quote.\n"
	"_firezonectl_words()\n{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} word= begun= before=0 c i\n"
	"\twords=() open= kept=0\n"
	"\tfor ((i = 0; i < ${#line}; i++)); do\n"
	"\t\tc=${line:i:1}\n"
	"\t\tif [[ $open && $c == \"$open\" ]]; then\n"
	"\t\t\topen= kept=$before\n"
	"\t\telif [[ $open == \\' ]]; then\n"
	"\t\t\tword+=$c\n"
	"\t\telif [[ $c == \\\\ ]]; then\n"
	"\t\t\ti=$((i + 1)) begun=1\n"
	"\t\t\t[[ $open && ${line:i:1} != [\\\"\\$\\`\\\\] ]] && word+=$c\n"
	"\t\t\tword+=${line:i:1}\n"
	"\t\telif [[ $open ]]; then\n"
	"\t\t\tword+=$c\n"
	"\t\telif [[ $c == [\\'\\\"] ]]; then\n"
	"\t\t\topen=$c before=$kept kept=${#word} begun=1\n"
	"\t\telif [[ $c == [[:blank:]] ]]; then\n"
	"\t\t\t[[ $begun ]] && words+=(\"$word\")\n"
	"\t\t\tword= begun= kept=0\n"
	"\t\telse\n"
	"\t\t\tword+=$c begun=1\n"
	"\t\t\t[[ $COMP_WORDBREAKS == *\"$c\"* ]] && kept=${#word}\n"
	"\t\tfi\n"
	"\tdone\n"
	"\twords+=(\"$word\")\n"
	"}\n"
	"# Sets REPLY to the text with every character quoted that the shell would not take as it "
	"is.\n"
	"_firezonectl_quote()\n{\n"
	"\tlocal text=$1 c i\n"
	"\tREPLY=$text\n"
	"\t[[ $text != *[!a-zA-Z0-9_./%+,-]* ]] && return\n"
	"\tREPLY=\n"
	"\tfor ((i = 0; i < ${#text}; i++)); do\n"
	"\t\tc=${text:i:1}\n"
	"\t\tcase $open,$c in\n"
	"\t\t\\',\\') c=\"'\\\\''\" ;;\n"
	"\t\t\\\",!) c='\"\\!\"' ;;\n"
	"\t\t\\\",[\\\"\\$\\`\\\\]) c=\\\\$c ;;\n"
	"\t\t[\\'\\\"],*) ;;\n"
	"\t\t,[a-zA-Z0-9_./%+,-]) ;;\n"
	"\t\t*) c=\\\\$c ;;\n"
	"\t\tesac\n"
	"\t\tREPLY+=$c\n"
	"\tdone\n"
	"\t# Readline closes an open quote, except after what looks as if it did already.\n"
	"\t[[ $open && $REPLY == *\"$open\" ]] && REPLY+=$open\n"
	"}\n"
	"_firezonectl_offer()\n{\n"
	"\tlocal value\n"
	"\tfor value; do\n"
	"\t\t[[ $value == \"$cur\"* ]] || continue\n"
	"\t\tvalue=$lead$value\n"
	"\t\t_firezonectl_quote \"${value:kept}\"\n"
	"\t\tCOMPREPLY+=(\"$REPLY\")\n"
	"\tdone\n"
	"}\n"
	"_firezonectl_live()\n{\n"
	"\tlocal values\n"
	"\tmapfile -t values < <(firezonectl __complete \"$1\" 2>/dev/null)\n"
	"\t_firezonectl_offer \"${values[@]}\"\n"
	"}\n"
	"# Readline quotes names of files by itself.\n"
	"_firezonectl_files()\n{\n"
	"\tlocal values value\n"
	"\tmapfile -t values < <(compgen -f -- \"$cur\")\n"
	"\tfor value in \"${values[@]}\"; do\n"
	"\t\tvalue=$lead$value\n"
	"\t\tCOMPREPLY+=(\"${value:kept}\")\n"
	"\tdone\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"}\n";

static void add_bash_values(struct text *out, const char *complete)
{
	if (!complete)
		text_add(out, ":");
	else if (strcmp(complete, "file") == 0)
		text_add(out, "_firezonectl_files");
	else if (is_dynamic(complete))
		text_add(out, "_firezonectl_live %s", complete);
	else
		text_add(out, "_firezonectl_offer %s", complete);
}

static void add_bash_flag(struct text *out, const char *words, const struct item *f)
{
	if (!f->metavar)
		return;
	text_add(out, "\t'%s,--%s'", words, f->flag);
	if (f->short_flag)
		text_add(out, "|'%s,-%c'", words, f->short_flag);
	text_add(out, ") ");
	add_bash_values(out, f->complete);
	text_add(out, "; return ;;\n");
}

static void add_bash_global(struct text *out, const struct item *f)
{
	if (!f->metavar)
		return;
	text_add(out, "\t*,--%s", f->flag);
	if (f->short_flag)
		text_add(out, "|*,-%c", f->short_flag);
	text_add(out, ") ");
	add_bash_values(out, f->complete);
	text_add(out, "; return ;;\n");
}

static void add_bash_command(struct text *out, const struct command *c)
{
	text_add(out, "\t'%s')\n\t\tif [[ $cur == -* ]]; then _firezonectl_offer ", c->words);
	add_flag_names(out, c);
	text_add(out, "; return; fi\n\t\tcase $n in\n");
	for (size_t i = 0; i < c->n_arguments; i++) {
		text_add(out, "\t\t%zu) ", i);
		add_bash_values(out, c->arguments[i].complete);
		text_add(out, " ;;\n");
	}
	text_add(out, "\t\tesac ;;\n");
}

static void add_bash_group(
	struct text *out, const struct command *list, size_t n, const char *group)
{
	text_add(out, "\t'%s') _firezonectl_offer ", group);
	add_group_members(out, list, n, group, " ");
	text_add(out, " ;;\n");
}

void emit_completion_bash(const struct model *m, struct text *out)
{
	size_t n;
	struct command *list = all_commands(m, &n);
	text_add(out, "# bash completion for firezonectl, made from ipc/firezone.proto\n%s",
		bash_helpers);
	text_add(out, "_firezonectl()\n{\n"
		      "\tlocal words open kept cur prev lead= cmd= w i n=0 REPLY\n"
		      "\tCOMPREPLY=()\n\t_firezonectl_words\n"
		      "\tcur=${words[-1]} prev=${words[-2]-}\n"
		      "\tif [[ $cur == --*=* ]]; then\n"
		      "\t\tprev=${cur%%%%=*} cur=${cur#*=}\n\t\tlead=$prev=\n\tfi\n"
		      "\tfor ((i = 1; i < ${#words[@]} - 1; i++)); do\n\t\tw=${words[i]}\n"
		      "\t\tcase $w in\n\t\t");
	add_valued_flags(out, list, n);
	text_add(out,
		") i=$((i + 1)) ;;\n\t\t-*) ;;\n\t\t*)\n\t\t\tcase \"${cmd:+$cmd }$w\" in\n\t\t\t");
	add_command_patterns(out, list, n);
	text_add(out, ") cmd=\"${cmd:+$cmd }$w\" ;;\n\t\t\t*) n=$((n + 1)) ;;\n\t\t\tesac "
		      ";;\n\t\tesac\n\tdone\n"
		      "\tcase \"$cmd,$prev\" in\n");
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < list[i].n_flags; k++)
			add_bash_flag(out, list[i].words, &list[i].flags[k]);
	}
	for (size_t i = 0; i < N_GLOBAL; i++)
		add_bash_global(out, &global_flags[i]);
	text_add(out, "\tesac\n\tcase $cmd in\n\t'')\n\t\tif [[ $cur == -* ]]; then "
		      "_firezonectl_offer ");
	add_flag_names(out, NULL);
	text_add(out, "; return; fi\n\t\t_firezonectl_offer ");
	add_top(out, list, n, " ");
	text_add(out, " ;;\n");
	for (size_t i = 0; i < n; i++) {
		char *group;
		if (is_new_group(list, i, &group))
			add_bash_group(out, list, n, group);
		add_bash_command(out, &list[i]);
	}
	text_add(out, "\tesac\n}\ncomplete -F _firezonectl firezonectl\n");
}

/* ---- zsh ---- */

static char *zsh_quoted(const char *s)
{
	struct text t = { 0 };
	for (text_add(&t, "'"); *s; s++)
		text_add(&t, *s == '\'' ? "'\\''" : *s == ':' ? "\\:" : "%c", *s);
	text_add(&t, "'");
	return t.p;
}

static void add_zsh_values(struct text *out, const char *complete)
{
	if (!complete)
		text_add(out, "_message 'value'");
	else if (strcmp(complete, "file") == 0)
		text_add(out, "_files");
	else if (is_dynamic(complete))
		text_add(out, "compadd -- ${(f)\"$(firezonectl __complete %s 2>/dev/null)\"}",
			complete);
	else
		text_add(out, "compadd -- %s", complete);
}

static void add_zsh_flags(struct text *out, const struct item *flags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text_add(out, " %s", zsh_quoted(text_format("--%s", flags[i].flag)));
}

static void add_zsh_valued(struct text *out, const char *words, const struct item *f)
{
	if (!f->metavar)
		return;
	text_add(out, "\t%s,--%s", words[0] ? text_format("'%s'", words) : "*", f->flag);
	if (f->short_flag)
		text_add(
			out, "|%s,-%c", words[0] ? text_format("'%s'", words) : "*", f->short_flag);
	text_add(out, ") ");
	add_zsh_values(out, f->complete);
	text_add(out, "; return ;;\n");
}

static void add_zsh_command(struct text *out, const struct command *c)
{
	text_add(out, "\t'%s')\n\t\tif [[ $cur == -* ]]; then compadd --", c->words);
	add_zsh_flags(out, c->flags, c->n_flags);
	add_zsh_flags(out, global_flags, N_GLOBAL);
	text_add(out, "; return; fi\n\t\tcase $n in\n");
	for (size_t i = 0; i < c->n_arguments; i++) {
		text_add(out, "\t\t%zu) ", i);
		add_zsh_values(out, c->arguments[i].complete);
		text_add(out, " ;;\n");
	}
	text_add(out, "\t\t*) ;;\n\t\tesac ;;\n");
}

void emit_completion_zsh(const struct model *m, struct text *out)
{
	size_t n;
	struct command *list = all_commands(m, &n);
	text_add(out,
		"#compdef firezonectl\n# zsh completion for firezonectl, made from "
		"ipc/firezone.proto\n_firezonectl()\n{\n"
		"\tlocal cur=${words[CURRENT]} prev=${words[CURRENT-1]} cmd= w\n\tlocal -i i n=0\n"
		"\tif [[ $cur == --*=* ]]; then\n\t\tprev=${cur%%%%=*} cur=${cur#*=}\n"
		"\t\tcompset -P 1 '*='\n\tfi\n"
		"\tfor ((i = 2; i < CURRENT; i++)); do\n\t\tw=${words[i]}\n\t\tcase $w in\n\t\t");
	add_valued_flags(out, list, n);
	text_add(out,
		") i=$((i + 1)) ;;\n\t\t-*) ;;\n\t\t*)\n\t\t\tcase \"${cmd:+$cmd }$w\" in\n\t\t\t");
	add_command_patterns(out, list, n);
	text_add(out, ") cmd=\"${cmd:+$cmd }$w\" ;;\n\t\t\t*) n=$((n + 1)) ;;\n\t\t\tesac "
		      ";;\n\t\tesac\n\tdone\n"
		      "\tcase \"$cmd,$prev\" in\n");
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < list[i].n_flags; k++)
			add_zsh_valued(out, list[i].words, &list[i].flags[k]);
	}
	for (size_t i = 0; i < N_GLOBAL; i++)
		add_zsh_valued(out, "", &global_flags[i]);
	text_add(out, "\tesac\n\tcase $cmd in\n\t'')\n\t\tif [[ $cur == -* ]]; then compadd --");
	add_zsh_flags(out, global_flags, N_GLOBAL);
	text_add(out, "; return; fi\n\t\tcompadd -- ");
	add_top(out, list, n, " ");
	text_add(out, " ;;\n");
	for (size_t i = 0; i < n; i++) {
		char *group;
		if (is_new_group(list, i, &group)) {
			text_add(out, "\t'%s') compadd -- ", group);
			add_group_members(out, list, n, group, " ");
			text_add(out, " ;;\n");
		}
		add_zsh_command(out, &list[i]);
	}
	text_add(out, "\tesac\n}\nif [[ ${funcstack[1]} == _firezonectl ]]; then _firezonectl "
		      "\"$@\"; else compdef _firezonectl firezonectl; fi\n");
}

/* ---- fish ---- */

static char *fish_quoted(const char *s)
{
	struct text t = { 0 };
	for (text_add(&t, "'"); *s; s++)
		text_add(&t, *s == '\'' ? "\\'" : "%c", *s);
	text_add(&t, "'");
	return t.p;
}

static void add_fish_flag(struct text *out, const char *condition, const struct item *f)
{
	text_add(out, "complete -c firezonectl%s -l %s", condition, f->flag);
	if (f->short_flag)
		text_add(out, " -s %c", f->short_flag);
	if (f->metavar && f->complete && strcmp(f->complete, "file") == 0)
		text_add(out, " -r -F");
	else if (f->metavar && is_dynamic(f->complete))
		text_add(out, " -x -a '(firezonectl __complete %s 2>/dev/null)'", f->complete);
	else if (f->metavar)
		text_add(out, " -x%s%s", f->complete ? " -a " : "",
			f->complete ? fish_quoted(f->complete) : "");
	text_add(out, " -d %s\n", fish_quoted(f->help ? f->help : ""));
}

static void add_fish_command(struct text *out, const struct command *c)
{
	const char *space = strchr(c->words, ' ');
	const char *above = space ? text_format("%.*s", (int)(space - c->words), c->words) : "";
	text_add(out, "complete -c firezonectl -n '__firezonectl_at \"%s\"' -a %s -d %s\n", above,
		fish_quoted(space ? space + 1 : c->words), fish_quoted(c->summary));
	char *condition = text_format(" -n '__firezonectl_at \"%s\"'", c->words);
	for (size_t i = 0; i < c->n_flags; i++)
		add_fish_flag(out, condition, &c->flags[i]);
	for (size_t i = 0; i < c->n_arguments; i++) {
		const char *values = c->arguments[i].complete;
		if (!values)
			continue;
		char *where = text_format(" -n '__firezonectl_at \"%s\" %zu'", c->words, i);
		if (strcmp(values, "file") == 0)
			text_add(out, "complete -c firezonectl%s -F\n", where);
		else if (is_dynamic(values))
			text_add(out,
				"complete -c firezonectl%s -a '(firezonectl __complete %s "
				"2>/dev/null)'\n",
				where, values);
		else
			text_add(out, "complete -c firezonectl%s -a %s\n", where,
				fish_quoted(values));
	}
}

static void add_fish_case(struct text *out, const char *patterns)
{
	if (!patterns)
		text_die("a case without patterns");
	for (const char *c = patterns; *c; c++)
		text_add(out, "%c", *c == '|' ? ' ' : *c);
}

void emit_completion_fish(const struct model *m, struct text *out)
{
	size_t n;
	struct command *list = all_commands(m, &n);
	struct text valued = { 0 }, commands = { 0 };
	add_valued_flags(&valued, list, n);
	add_command_patterns(&commands, list, n);
	text_add(out, "# fish completion for firezonectl, made from ipc/firezone.proto\n"
		      "# True when the words before the cursor are this command and, if given, "
		      "this many words after it.\n"
		      "function __firezonectl_at\n\tset -l cmd\n\tset -l n 0\n\tset -l skip 0\n"
		      "\tfor w in (commandline -opc)[2..-1]\n\t\tif test $skip = 1\n\t\t\tset skip "
		      "0\n\t\t\tcontinue\n\t\tend\n"
		      "\t\tswitch $w\n\t\t\tcase ");
	add_fish_case(out, valued.p);
	text_add(out, "\n\t\t\t\tset skip 1\n\t\t\tcase '-*'\n\t\t\tcase '*'\n\t\t\t\tset -l "
		      "longer (string join ' ' $cmd $w)\n"
		      "\t\t\t\tif contains -- $longer ");
	add_fish_case(out, commands.p);
	text_add(out, "\n\t\t\t\t\tset cmd $longer\n\t\t\t\telse\n\t\t\t\t\tset n (math $n + "
		      "1)\n\t\t\t\tend\n\t\tend\n\tend\n"
		      "\ttest \"$cmd\" = \"$argv[1]\"; and begin; test (count $argv) -lt 2; or "
		      "test $n = $argv[2]; end\nend\n"
		      "complete -c firezonectl -f\n");
	for (size_t i = 0; i < N_GLOBAL; i++)
		add_fish_flag(out, "", &global_flags[i]);
	for (size_t i = 0; i < n; i++) {
		char *group;
		if (is_new_group(list, i, &group))
			text_add(out, "complete -c firezonectl -n '__firezonectl_at \"\"' -a %s\n",
				fish_quoted(group));
		add_fish_command(out, &list[i]);
	}
}

/* The scripts as C strings, for `firezonectl completion`. */
void emit_completions_c(const struct model *m, struct text *out)
{
	static const struct {
		const char *name;
		void (*emit)(const struct model *, struct text *);
	} scripts[] = {
		{ "bash", emit_completion_bash },
		{ "zsh", emit_completion_zsh },
		{ "fish", emit_completion_fish },
	};

	text_add(out, "/* Made by protoc-gen-fzctl from ipc/firezone.proto. Not to be edited. "
		      "*/\n#include \"cli/completions.h\"\n");
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct text script = { 0 };
		scripts[i].emit(m, &script);
		text_add(out, "\nconst char fzctl_completion_%s[] =\n", scripts[i].name);
		for (const char *line = script.p; *line;) {
			size_t n = strcspn(line, "\n");
			text_add(out, "\t");
			text_add_c(out, text_format("%.*s\n", (int)n, line));
			text_add(out, "\n");
			line += n + (line[n] == '\n');
		}
		text_add(out, "\t;\n");
	}
}
