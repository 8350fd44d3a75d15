/* The device as the portal knows it. The version in the user agent is that of the protocol we speak, not ours. */
#include "daemon/device.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/paths.h"

#define COMPONENT "headless-client"
#define PROTOCOL  "1.5.12"
#define DMI       "/sys/class/dmi/id/"

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

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

static void describe_agent(char ret_text[static FZP_AGENT_MAX])
{
	char name[64] = "Linux", version[32] = "0.0.0", line[256];
	struct utsname u = { 0 };
	(void)uname(&u);
	FZ_CLEANUP(fclosep) FILE *f = fopen("/etc/os-release", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (take_value(line, "NAME", name, sizeof(name)))
			name[strcspn(name, " /")] = '\0'; /* "Debian GNU/Linux" */
		(void)take_value(line, "VERSION_ID", version, sizeof(version));
	}
	fzp_user_agent(&(struct fzp_agent){ .os_name = name,
			       .os_version = version,
			       .component = COMPONENT,
			       .version = PROTOCOL,
			       .arch = u.machine,
			       .kernel = u.release },
		ret_text);
}

static bool is_filler(const char *text)
{
	static const char *const fillers[] = { "", "123456789", "0123456789", "none",
		"to be filled by o.e.m.", "default string", "not specified", "system serial number",
		"00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009" };
	for (size_t i = 0; i < FZ_ARRAY_LEN(fillers); i++) {
		if (strcasecmp(text, fillers[i]) == 0)
			return true;
	}
	return false;
}

/* Root alone may read these; for others there is none. */
static void read_line(const char *path, char *ret_text, size_t cap)
{
	char line[128] = "";
	ret_text[0] = '\0';
	FZ_CLEANUP(fclosep) FILE *f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return;
	line[strcspn(line, "\n")] = '\0';
	for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
		line[n - 1] = '\0';
	if (!is_filler(line))
		snprintf(ret_text, cap, "%s", line);
}

int fzd_device_get(const struct fzd_settings *settings, struct fzd_device *ret_device)
{
	char id[FZP_DEVICE_ID_MAX + 1];
	struct fzp_device_id_params params = { .role = FZP_CLIENT,
		.configured = fzd_settings_get(settings, FZ_SETTING_DEVICE_ID).value,
		.file = FZD_DEVICE_FILE };
	int r = fzp_device_id_get(&params, id);
	if (r == 0)
		r = fzp_external_id(id, ret_device->external_id);
	if (r < 0)
		return r;
	snprintf(ret_device->name, sizeof(ret_device->name), "%s",
		fzd_settings_get(settings, FZ_SETTING_DEVICE_NAME).value);
	if (!ret_device->name[0] &&
		gethostname(ret_device->name, sizeof(ret_device->name) - 1) != 0)
		snprintf(ret_device->name, sizeof(ret_device->name), "linux");
	ret_device->name[sizeof(ret_device->name) - 1] = '\0';
	describe_agent(ret_device->agent);
	read_line(DMI "product_serial", ret_device->serial, sizeof(ret_device->serial));
	read_line(DMI "product_uuid", ret_device->uuid, sizeof(ret_device->uuid));
	return 0;
}
