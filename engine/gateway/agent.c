/*
 * The portal compares versions of gateways and clients, and refuses pairs that are too far apart: the version is that
 * of the protocol we speak, not ours (docs/protocol/portal.md, "Address and user agent").
 */
#include "gateway/agent.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COMPONENT "gateway"
#define VERSION   "1.6.1"

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* KEY=value or KEY="value"; what is inside the quotes needs no unescaping for a name and a number. */
static bool take_value(const char *line, const char *key, char *ret_value, size_t cap)
{
	size_t n = strlen(key);
	if (strncmp(line, key, n) != 0 || line[n] != '=')
		return false;
	const char *from = line + n + 1;
	from += strspn(from, "\"'");
	snprintf(ret_value, cap, "%.*s", (int)strcspn(from, "\"'\n"), from);
	return true;
}

void gw_agent_get(const char *os_release, char ret_text[static FZP_AGENT_MAX])
{
	char name[64] = "Linux", version[32] = "", line[256];
	struct utsname u = { 0 };
	(void)uname(&u);
	FZ_CLEANUP(fclosep) FILE *f = fopen(os_release, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (take_value(line, "NAME", name, sizeof(name)))
			name[strcspn(name, " /")] = '\0'; /* "Debian GNU/Linux" */
		(void)take_value(line, "VERSION_ID", version, sizeof(version));
	}
	if (version[0] == '\0')
		snprintf(version, sizeof(version), "0.0.0");
	fzp_user_agent(
		&(struct fzp_agent){
			.os_name = name,
			.os_version = version,
			.component = COMPONENT,
			.version = VERSION,
			.arch = u.machine,
			.kernel = u.release,
		},
		ret_text);
}

void gw_agent_name(char ret_name[static GW_NAME_LEN])
{
	if (gethostname(ret_name, GW_NAME_LEN) != 0 || ret_name[0] == '\0')
		snprintf(ret_name, GW_NAME_LEN, "gateway");
	ret_name[GW_NAME_LEN - 1] = '\0';
}
