/* Settings as a table. A family the kernel does not have has no files here and needs none. */
#include "gateway/forward.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define VALUE_MAX 64
#define NAME_LEN  512

struct setting {
	const char *format; /* of the path; %s is the interface */
	const char *wanted;
	const char *why;
	bool is_fatal;
};

static const struct setting settings[] = {
	{ "net/ipv4/ip_forward", "1", "no IPv4 packet is forwarded to Resources", true },
	{ "net/ipv4/conf/all/src_valid_mark", "1",
		"a strict reverse path filter drops packets of clients when a client runs here, "
		"too",
		false },
	{ "net/ipv4/conf/%s/rp_filter", "2",
		"a strict reverse path filter drops packets of a client on this host", false },
	{ "net/ipv4/conf/%s/accept_local", "1",
		"a client on this host cannot use this gateway over IPv4", false },
	{ "net/ipv6/conf/%s/disable_ipv6", "0", "there is no IPv6 inside the tunnel", false },
	{ "net/ipv6/conf/all/forwarding", "1", "no IPv6 packet is forwarded to Resources", false },
};

/* The text without its line end, or a negative errno. */
static int read_value(const char *path, char ret_value[static VALUE_MAX])
{
	FZ_CLEANUP(fz_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, ret_value, VALUE_MAX - 1);
	if (n < 0)
		return -errno;
	ret_value[n] = '\0';
	ret_value[strcspn(ret_value, "\n")] = '\0';
	return 0;
}

static int write_value(const char *path, const char *value)
{
	FZ_CLEANUP(fz_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = strlen(value);
	ssize_t written = write(fd, value, n);
	if (written < 0)
		return -errno;
	return (size_t)written == n ? 0 : -EIO;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/*
 * A host that forwards stops listening to router advertisements, and with them loses its default route, unless
 * accept_ra is 2.
 */
static void keep_advertisements(const char *root)
{
	char dir[NAME_LEN], path[NAME_LEN], value[VALUE_MAX];
	snprintf(dir, sizeof(dir), "%s/net/ipv6/conf", root);
	FZ_CLEANUP(closedirp) DIR *d = opendir(dir);
	if (!d)
		return;
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "all") == 0)
			continue;
		int n = snprintf(path, sizeof(path), "%s/%s/accept_ra", dir, e->d_name);
		if (n < 0 || (size_t)n >= sizeof(path) || read_value(path, value) < 0 ||
			strcmp(value, "1") != 0)
			continue;
		int r = write_value(path, "2");
		if (r < 0)
			fz_log(FZ_LOG_WARNING, "sysctl-not-set",
				"name=net.ipv6.conf.%s.accept_ra wanted=2 errno=%d", e->d_name, -r);
	}
}

/* As sysctl(8) has it: dots between words, and a slash for a dot inside one. */
static void spell(const char *path, char *ret_name, size_t cap)
{
	size_t n = strnlen(path, cap - 1);
	for (size_t i = 0; i < n; i++)
		ret_name[i] = (char)(path[i] == '/' ? '.' : path[i] == '.' ? '/' : path[i]);
	ret_name[n] = '\0';
}

static bool ensure_one(const char *root, const char *interface, const struct setting *s,
	gw_forward_fn fn, void *user)
{
	char relative[256], path[NAME_LEN], value[VALUE_MAX], name[256];
	const char *mark = strstr(s->format, "%s");
	if (mark)
		snprintf(relative, sizeof(relative), "%.*s%s%s", (int)(mark - s->format), s->format,
			interface, mark + 2);
	else
		snprintf(relative, sizeof(relative), "%s", s->format);
	snprintf(path, sizeof(path), "%s/%s", root, relative);
	spell(relative, name, sizeof(name));
	int r = read_value(path, value);
	if (r == -ENOENT && !s->is_fatal)
		return true;
	if (r == 0 && strcmp(value, s->wanted) == 0)
		return true;
	if (strcmp(s->format, "net/ipv6/conf/all/forwarding") == 0)
		keep_advertisements(root);
	r = write_value(path, s->wanted);
	if (r == 0) {
		fz_log(FZ_LOG_INFO, "sysctl-set", "name=%s value=%s", name, s->wanted);
		return true;
	}
	fn(user, &(struct gw_forward_problem){
			 .name = name,
			 .wanted = s->wanted,
			 .why = s->why,
			 .is_fatal = s->is_fatal,
			 .err = r,
		 });
	return !s->is_fatal;
}

int gw_forward_ensure(const char *root, const char *interface, gw_forward_fn fn, void *user)
{
	bool is_fine = true;
	for (size_t i = 0; i < FZ_ARRAY_LEN(settings); i++)
		is_fine &= ensure_one(root, interface, &settings[i], fn, user);
	return is_fine ? 0 : -EPERM;
}
