/* See support.h. */
#include "unit/link/support.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/test.h"

#define MODES_MAX 8

static void enter_namespace(void)
{
	/* As root the network alone: a user namespace cannot be entered once there are threads. */
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		TEST_SKIP("no network namespace can be made here");
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0);
	close(fd);
}

void world_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0);
	CHECK_INT(fclose(f), 0);
}

void world_read(const struct world *w, const char *name, char *ret, size_t cap)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(ret, 1, cap - 1, f) : 0;
	ret[n] = '\0';
	if (f)
		fclose(f);
}

static void spawn_servers(struct world *w, const char *const *modes)
{
	char *argv[MODES_MAX + 4] = { (char[]){ "python3" }, (char[]){ FZ_LINK_SERVERS }, w->dir };
	char words[MODES_MAX][64];
	for (size_t i = 0; modes[i]; i++) {
		CHECK(i < MODES_MAX);
		snprintf(words[i], sizeof(words[i]), "%s", modes[i]);
		argv[i + 3] = words[i];
	}
	int in[2], out[2];
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	CHECK_INT(posix_spawnp(&w->pid, "python3", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	char line[8] = "";
	for (size_t at = 0; at < 6;) { /* "ready\n", maybe in pieces */
		ssize_t n = read(out[0], line + at, 6 - at);
		if (n == 0 || (n < 0 && errno != EINTR))
			TEST_FAIL("servers.py did not start");
		at += n > 0 ? (size_t)n : 0;
	}
	CHECK_STR(line, "ready\n");
	close(out[0]);
}

void world_start(struct world *w, const char *const *modes)
{
	*w = (struct world){ .in = -1 };
	enter_namespace();
	snprintf(w->dir, sizeof(w->dir), "/tmp/fz-link-XXXXXX");
	CHECK(mkdtemp(w->dir));
	snprintf(w->ca, sizeof(w->ca), "%s/ca.pem", w->dir);
	snprintf(w->resolv_conf, sizeof(w->resolv_conf), "%s/resolv.conf", w->dir);
	snprintf(w->hosts, sizeof(w->hosts), "%s/hosts", w->dir);
	world_write(w->resolv_conf, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
	world_write(w->hosts, "127.0.0.1\tportal.example a.wild.example\n");
	CHECK(sd_event_new(&w->event) >= 0);
	spawn_servers(w, modes);
}

void world_ip(const char *words)
{
	char copy[256], *argv[32] = { (char[]){ "ip" } }, *rest = copy;
	pid_t pid;
	int status = -1;
	snprintf(copy, sizeof(copy), "%s", words);
	for (size_t n = 1; n < FZ_ARRAY_LEN(argv) - 1 && rest; n++)
		argv[n] = strsep(&rest, " ");
	if (posix_spawnp(&pid, "ip", NULL, NULL, argv, environ) != 0 ||
		waitpid(pid, &status, 0) != pid || status != 0)
		TEST_SKIP("ip(8) cannot do this here");
}

static void remove_dir(const char *dir)
{
	char *argv[] = { (char[]){ "rm" }, (char[]){ "-rf" }, NULL, NULL };
	char copy[64];
	pid_t pid;
	snprintf(copy, sizeof(copy), "%s", dir);
	argv[2] = copy;
	if (strncmp(copy, "/tmp/fz-link-", 13) == 0 &&
		posix_spawnp(&pid, "rm", NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

void world_stop(struct world *w)
{
	if (w->in >= 0)
		close(w->in);
	if (w->pid > 0)
		waitpid(w->pid, NULL, 0);
	w->event = sd_event_unref(w->event);
	if (w->dir[0])
		remove_dir(w->dir);
}

void world_run_until(struct world *w, const bool *happened)
{
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!*happened) {
		CHECK(sd_event_run(w->event, 1'000'000) >= 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > 30)
			TEST_FAIL("it did not happen in 30 s");
	}
}
