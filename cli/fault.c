/* What failed, in words a person can act on, and as a number a script can. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/run.h"
#include "ipc/json.h"
#include "ipc/reflect.h"

enum fzctl_exit fzctl_exit_of(Fzpb__Error__Code code)
{
	switch (code) {
	case FZPB__ERROR__CODE__INVALID_ARGUMENT: return FZCTL_USAGE;
	case FZPB__ERROR__CODE__NOT_SIGNED_IN: return FZCTL_NOT_SIGNED_IN;
	case FZPB__ERROR__CODE__PERMISSION_DENIED: return FZCTL_DENIED;
	case FZPB__ERROR__CODE__SERVICE_MODE:
	case FZPB__ERROR__CODE__POLICY: return FZCTL_REFUSED;
	case FZPB__ERROR__CODE__NOT_FOUND: return FZCTL_NOT_FOUND;
	case FZPB__ERROR__CODE__TIMEOUT: return FZCTL_TIMEOUT;
	case FZPB__ERROR__CODE__UNAVAILABLE: return FZCTL_NO_DAEMON;
	case FZPB__ERROR__CODE__UNSUPPORTED:
	case FZPB__ERROR__CODE__UNKNOWN_METHOD:
	case FZPB__ERROR__CODE__BAD_FRAME:
	case FZPB__ERROR__CODE__BAD_ENVELOPE:
	case FZPB__ERROR__CODE__BAD_WIRE_TYPE: return FZCTL_INCOMPATIBLE;
	case FZPB__ERROR__CODE__PORTAL: return FZCTL_SIGN_IN_FAILED;
	case FZPB__ERROR__CODE__UNKNOWN:
	case FZPB__ERROR__CODE__CONFLICT:
	case FZPB__ERROR__CODE__SYSTEM:
	case FZPB__ERROR__CODE__CANCELLED:
	case FZPB__ERROR__CODE__LIMIT:
	case FZPB__ERROR__CODE__BAD_TEXT:
	case FZPB__ERROR__CODE__BAD_DESCRIPTOR:
	case FZPB__ERROR__CODE__TOO_LARGE:
	case _FZPB__ERROR__CODE_IS_INT_SIZE: break;
	}
	return FZCTL_FAILED;
}

static void put_member(struct fz_bytebuf *out, const char *name, const char *value)
{
	fzctl_put(out, ",\"");
	fzctl_put(out, name);
	fzctl_put(out, "\":");
	(void)!fzipc_json_write_text(value, out);
}

int fzctl_fail(const struct fzctl_run *run, enum fzctl_exit code, const char *name,
	const char *message, const char *hint_maybe)
{
	FZ_CLEANUP(fz_bytebuf_done) struct fz_bytebuf out;
	fz_bytebuf_init(&out, 65536);
	(void)fflush(stdout);
	if (run->output == FZCTL_JSON || run->output == FZCTL_JSONL) {
		char number[32];
		snprintf(number, sizeof(number), ",\"exit\":%d", (int)code);
		fzctl_put(&out, "{\"schema\":\"firezone.Error/1\"");
		put_member(&out, "code", name);
		fzctl_put(&out, number);
		put_member(&out, "message", message);
		if (hint_maybe)
			put_member(&out, "hint", hint_maybe);
		fzctl_put(&out, "}\n");
	} else {
		fzctl_put(&out, "firezonectl: ");
		fzctl_put_clean(&out, message);
		fzctl_put(&out, "\n");
		if (hint_maybe && !run->is_quiet) {
			fzctl_put_clean(&out, hint_maybe);
			fzctl_put(&out, "\n");
		}
	}
	(void)!fwrite(out.p, 1, out.len, stderr);
	return (int)code;
}

static bool is_member_by_file(const struct group *g, const char *user, gid_t primary)
{
	if (g->gr_gid == primary)
		return true;
	for (char **m = g->gr_mem; m && *m; m++) {
		if (strcmp(*m, user) == 0)
			return true;
	}
	return false;
}

/* Why the group does not let us in: not a member, or one whose login is older than the membership. */
static const char *group_hint(char *buf, size_t cap)
{
	const struct passwd *pw = getpwuid(getuid());
	if (!pw)
		return "Run it with sudo.";
	char user[64];
	gid_t primary = pw->pw_gid;
	snprintf(user, sizeof(user), "%s", pw->pw_name);
	const struct group *g = getgrnam(FZIPC_GROUP);
	if (!g)
		return "The group firezone does not exist: is Firezone installed properly? Or run "
		       "it with sudo.";
	if (is_member_by_file(g, user, primary))
		snprintf(buf, cap,
			"You (%s) were added to the group firezone after you logged in: log out "
			"and in again.",
			user);
	else
		snprintf(buf, cap, "Run: sudo usermod -aG firezone %s, then log out and in again.",
			user);
	return buf;
}

static bool is_in_group_now(void)
{
	const struct group *g = getgrnam(FZIPC_GROUP);
	gid_t groups[256];
	int n = getgroups(256, groups);
	if (!g)
		return false;
	for (int i = 0; i < n; i++) {
		if (groups[i] == g->gr_gid)
			return true;
	}
	return getegid() == g->gr_gid;
}

int fzctl_fail_with(const struct fzctl_run *run, const Fzpb__Error *error)
{
	char name[64], buf[256];
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(error->base.descriptor, "code");
	struct fzipc_value v = { .field = f,
		.i = error->has_code ? (int64_t)error->code : FZPB__ERROR__CODE__UNKNOWN };
	fzipc_reflect_enum_name(&v, name, sizeof(name));
	const char *hint = error->hint;
	if (error->code == FZPB__ERROR__CODE__PERMISSION_DENIED && getuid() != 0 &&
		!is_in_group_now())
		hint = group_hint(buf, sizeof(buf));
	if (error->code == FZPB__ERROR__CODE__UNKNOWN_METHOD && run->verb && run->verb->method) {
		snprintf(buf, sizeof(buf),
			"It needs a daemon that speaks protocol %u.%u or later: update firezoned.",
			FZIPC_MAJOR, run->verb->method->since);
		hint = buf;
	}
	return fzctl_fail(run, fzctl_exit_of((Fzpb__Error__Code)v.i), name,
		error->message ? error->message : "failed", hint);
}

static int fail_version(struct fzctl_run *run, const Fzpb__Error *error)
{
	char message[200];
	snprintf(message, sizeof(message),
		"firezonectl speaks protocol %u.%u and the daemon%s%s speaks %u.%u.", FZIPC_MAJOR,
		FZIPC_MINOR, error && error->daemon_version ? " " : "",
		error && error->daemon_version ? error->daemon_version : "",
		error ? error->major : 0, error ? error->minor : 0);
	return fzctl_fail(run, FZCTL_INCOMPATIBLE, "unsupported", message,
		"Update the older of the two; after an update, restart the daemon: sudo systemctl "
		"restart firezoned");
}

int fzctl_fail_link(struct fzctl_run *run, enum fzipc_link_fault fault, int os_errno)
{
	char buf[256];
	const Fzpb__Error *error =
		run->link ? fzipc_caller_error_maybe(fzipc_link_caller(run->link)) : NULL;
	switch (fault) {
	case FZIPC_LINK_FINE: break;
	case FZIPC_LINK_NOT_RUNNING:
		return fzctl_fail(run, FZCTL_NO_DAEMON, "unavailable", "The daemon is not running.",
			"Start it with: sudo systemctl start firezoned");
	case FZIPC_LINK_DENIED:
		return fzctl_fail(run, FZCTL_DENIED, "permission_denied",
			"You may not talk to the daemon.", group_hint(buf, sizeof(buf)));
	case FZIPC_LINK_UNTRUSTED:
		return fzctl_fail(run, FZCTL_NO_DAEMON, "untrusted",
			"The socket is not the daemon's: it, its directory or who listens does not "
			"belong to root.",
			NULL);
	case FZIPC_LINK_TIMEOUT:
		return fzctl_fail(run, run->timeout_ns ? FZCTL_TIMEOUT : FZCTL_NO_DAEMON,
			run->timeout_ns ? "timeout" : "unavailable", "The daemon does not answer.",
			"See: journalctl -u firezoned");
	case FZIPC_LINK_VERSION: return fail_version(run, error);
	case FZIPC_LINK_REFUSED:
		fz_assert(error != NULL); /* a refusal is one */
		return fzctl_fail_with(run, error);
	case FZIPC_LINK_BROKEN:
		return fzctl_fail(run, FZCTL_NO_DAEMON, "unavailable",
			"The daemon closed the connection.", "See: journalctl -u firezoned");
	case FZIPC_LINK_SYSTEM: break;
	}
	snprintf(buf, sizeof(buf), "Cannot connect to the daemon: %s.",
		strerror(os_errno ? os_errno : EIO));
	return fzctl_fail(run, FZCTL_FAILED, "system", buf, NULL);
}
