/* Verbs done without the daemon: completion and help. And the hidden one that completions ask for live values. */
#include <string.h>

#include "cli/completions.h"
#include "cli/run.h"
#include "ipc/methods.h"

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

static bool on_settings(void *user, struct fzctl_run *run, const ProtobufCMessage *msg)
{
	const Fzpb__SettingList *list = (const Fzpb__SettingList *)(const void *)msg;
	(void)user;
	(void)run;
	for (size_t i = 0; i < list->n_settings; i++) {
		if (list->settings[i]->key)
			printf("%s\n", list->settings[i]->key);
	}
	return true;
}

/* Live values for completions, one a line. Failures are silent: a prompt is no place for errors. */
static int complete(struct fzctl_run *run)
{
	int os_errno;
	run->deadline = fz_time_add(fzipc_link_now(), FZ_MILLISECONDS(800));
	if (run->n_rest != 1 || strcmp(run->rest[0], "settings") != 0)
		return FZCTL_OK;
	if (fzipc_link_open(&run->link, run->socket, "firezonectl", FZ_VERSION, run->deadline,
		    &os_errno) != FZIPC_LINK_FINE)
		return FZCTL_OK;
	Fzpb__SettingsRequest request = FZPB__SETTINGS_REQUEST__INIT;
	(void)!freopen("/dev/null", "w", stderr);
	(void)!fzctl_call(
		run, &fzipc_methods[FZIPC_GET_SETTINGS], &request.base, -1, on_settings, NULL);
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
