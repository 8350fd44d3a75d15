/* Verbs done without the daemon: completion and help. And the hidden one that completions ask for live values. */
#include <string.h>

#include "cli/completions.h"
#include "cli/run.h"
#include "ipc/methods.h"
#include "ipc/reflect.h"

static const char *const no_strings[] = { NULL };
static const unsigned no_codes[] = { 0 };
static const struct fzctl_flag no_flags[] = { { 0 } };

static int completion(struct fzctl_run *run)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {
		{ "bash", fzctl_completion_bash },
		{ "zsh", fzctl_completion_zsh },
		{ "fish", fzctl_completion_fish },
	};

	for (size_t i = 0; run->n_rest == 1 && i < FZ_ARRAY_LEN(scripts); i++) {
		if (strcmp(scripts[i].shell, run->rest[0]) == 0)
			return fputs(scripts[i].script, stdout) < 0 ? FZCTL_FAILED : FZCTL_OK;
	}
	return fzctl_fail(run, FZCTL_USAGE, "usage", "Which shell? bash, zsh or fish.", NULL);
}

static int help(struct fzctl_run *run)
{
	char words[128] = "";
	for (size_t i = 0; i < run->n_rest; i++) {
		size_t n = strlen(words);
		snprintf(words + n, sizeof(words) - n, "%s%s", n ? " " : "", run->rest[i]);
	}
	const struct fzctl_verb *v, *found = NULL;
	for (size_t i = 0; words[0] && (v = fzctl_verb_at_maybe(i)); i++) {
		if (strcmp(v->command, words) == 0)
			found = v;
	}
	if (words[0] && !found && !fzctl_is_group(words))
		return fzctl_fail(
			run, FZCTL_USAGE, "usage", "No such command.", "See: firezonectl --help");
	fzctl_help(run, found, words[0] ? words : NULL, stdout);
	return FZCTL_OK;
}

/*
 * True if text can be a word on a command line: not a flag, and without control characters, which would end the line it
 * is printed on.
 */
static bool is_word(const char *text_maybe)
{
	if (!text_maybe || *text_maybe == '\0' || *text_maybe == '-')
		return false;
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf clean;
	fz_bytebuf_init(&clean, 65536);
	fzctl_put_clean(&clean, text_maybe);
	return fz_bytes_equal(fz_bytebuf_bytes(&clean), fz_bytes_of_str(text_maybe));
}

/* What is named by others may have a name that is no word; then its id stands for it. */
static void offer(const char *name_maybe, const char *id_maybe)
{
	const char *word = is_word(name_maybe) ? name_maybe : id_maybe;
	if (is_word(word))
		printf("%s\n", word);
}

static bool on_settings(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__SettingList *list = (const Fzpb__SettingList *)(const void *)msg;
	(void)user;
	(void)run;
	for (size_t i = 0; i < list->n_settings; i++)
		offer(list->settings[i]->key, NULL);
	return true;
}

static bool on_resources(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__ResourceList *list = (const Fzpb__ResourceList *)(const void *)msg;
	(void)user;
	(void)run;
	for (size_t i = 0; i < list->n_resources; i++)
		offer(list->resources[i]->name, list->resources[i]->id);
	return true;
}

static bool on_peers(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__PeerList *list = (const Fzpb__PeerList *)(const void *)msg;
	(void)user;
	(void)run;
	for (size_t i = 0; i < list->n_peers; i++)
		offer(list->peers[i]->name, list->peers[i]->id);
	return true;
}

static bool on_account(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__Status *s = (const Fzpb__Status *)(const void *)msg;
	(void)user;
	(void)run;
	if (s->account)
		offer(s->account->slug, NULL);
	return true;
}

/* What there is to be completed, and who knows it. */
static const struct {
	const char *what;
	size_t method;
	fzctl_on_message print;
} live[] = {
	{ "settings", FZIPC_GET_SETTINGS, on_settings },
	{ "resources", FZIPC_LIST_RESOURCES, on_resources },
	{ "peers", FZIPC_LIST_PEERS, on_peers },
	{ "accounts", FZIPC_GET_STATUS, on_account },
};

/* Live values for completions, one a line. Failures are silent: a prompt is no place for errors. */
static int complete(struct fzctl_run *run)
{
	int os_errno;
	run->deadline = fz_time_add(fzipc_link_now(), FZ_SECONDS(2));
	size_t i = 0;
	while (run->n_rest == 1 && i < FZ_ARRAY_LEN(live) &&
		strcmp(run->rest[0], live[i].what) != 0)
		i++;
	if (run->n_rest != 1 || i == FZ_ARRAY_LEN(live))
		return FZCTL_OK;
	if (fzipc_link_open(&run->link, run->socket, "firezonectl", FZ_VERSION, run->deadline,
		    &os_errno) != FZIPC_LINK_FINE)
		return FZCTL_OK;
	/* An empty request fits each of them. */
	const struct fzipc_method *method = &fzipc_methods[live[i].method];
	ProtobufCMessage *request = fzipc_reflect_new_maybe(method->request, &run->arena);
	(void)!freopen("/dev/null", "w", stderr);
	if (request)
		(void)!fzctl_call(run, method, request, -1, live[i].print, NULL);
	return FZCTL_OK;
}

static const struct fzctl_flag shell_flag = { .name = "shell",
	.metavar = "SHELL",
	.help = "bash, zsh or fish",
	.complete = "bash zsh fish",
	.field = -1 };
static const struct fzctl_positional shell[] = { { &shell_flag, false, false }, { 0 } };
static const char *const completion_examples[] = {
	"firezonectl completion bash > /etc/bash_completion.d/firezonectl", NULL
};
static const struct fzctl_flag command_flag = {
	.name = "command", .metavar = "COMMAND", .help = "which command", .field = -1
};
static const struct fzctl_positional command[] = { { &command_flag, true, true }, { 0 } };

const struct fzctl_verb fzctl_local_verbs[] = {
	{ .command = "completion",
		.aliases = no_strings,
		.summary = "Print a shell's completion script",
		.section = "Other",
		.description =
			"Prints a script that completes firezonectl's commands, flags and values.",
		.flags = no_flags,
		.positionals = shell,
		.examples = completion_examples,
		.exit_codes = no_codes,
		.hook = completion },
	{ .command = "help",
		.aliases = no_strings,
		.summary = "Show help",
		.section = "Other",
		.description = "Shows what firezonectl can do, or one command.",
		.flags = no_flags,
		.positionals = command,
		.examples = no_strings,
		.exit_codes = no_codes,
		.hook = help },
	{ .command = "__complete",
		.aliases = no_strings,
		.summary = "Values for completions",
		.section = "Other",
		.description = "Prints values for completion scripts.",
		.flags = no_flags,
		.positionals = command,
		.examples = no_strings,
		.exit_codes = no_codes,
		.hook = complete,
		.is_hidden = true },
};
const size_t fzctl_n_local_verbs = FZ_ARRAY_LEN(fzctl_local_verbs);
