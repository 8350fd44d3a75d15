/*
 * Sockets for fzipc_serve. What is decided here is only who gets a connection at all and how much of the machine
 * all of them together may use; what a frame means is fzipc_serve's.
 */
#include "ipc/io/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "ipc/io/listen.h"

#define MAX_USERS        128
#define MAX_FRAME_FDS    4
/* Fairness: so much is done for one connection, and so many are accepted, before the others have their turn. */
#define READS_PER_TURN   32
#define ACCEPTS_PER_TURN 16
#define EVENTS_PER_TURN  32
#define LOGS_PER_MINUTE  30

/* One uid's share; kept after its connections so that reconnecting refills nothing. */
struct user {
	bool is_used;
	uint32_t uid;
	unsigned connections;
	fz_time last;
	struct fzipc_rates rates;
	struct fzipc_bucket logs;
};

struct connection {
	struct fz_node node;
	struct fzipc_server *server;
	int fd;
	struct fzipc_who who;
	struct user *user;
	struct fzipc_serve *serve;
	uint32_t events; /* in the epoll set */
	int fds[MAX_FRAME_FDS];
	size_t n_fds;
};

struct fzipc_server {
	struct fzipc_server_config config;
	int listen_fd, epoll_fd;
	bool is_bound_here, is_stopping, is_processing;
	fz_time now, accept_again;
	struct fz_list connections;
	unsigned n_connections;
	struct user users[MAX_USERS];
	struct fzipc_server_stats stats;
};

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

/* ---- users ---- */

static struct user *find_user(struct fzipc_server *s, uint32_t uid)
{
	struct user *oldest = NULL;
	for (size_t i = 0; i < MAX_USERS; i++) {
		struct user *u = &s->users[i];
		if (u->is_used && u->uid == uid)
			return u;
		if (u->is_used && u->connections > 0)
			continue;
		if (!oldest || !u->is_used || (oldest->is_used && u->last.ns < oldest->last.ns))
			oldest = u;
	}
	if (!oldest)
		return NULL;
	struct fzipc_bucket *methods = oldest->rates.methods
					       ? oldest->rates.methods
					       : fz_new_array(struct fzipc_bucket, fzipc_n_methods);
	if (!methods)
		return NULL;
	memset(methods, 0, fzipc_n_methods * sizeof(*methods));
	*oldest = (struct user){ .is_used = true, .uid = uid, .rates.methods = methods };
	return oldest;
}

/* True if this user's next log line may be written: what strangers do must not fill the log. */
static bool may_log(struct fzipc_server *s, struct user *u)
{
	return fzipc_bucket_take(&u->logs, s->now, LOGS_PER_MINUTE, LOGS_PER_MINUTE);
}

/* ---- connections ---- */

static void close_fds(struct connection *c)
{
	for (size_t i = 0; i < c->n_fds; i++)
		fz_closep(&c->fds[i]);
	c->n_fds = 0;
}

static void free_connection(struct connection *c)
{
	struct fzipc_server *s = c->server;
	fzipc_serve_free(c->serve);
	close_fds(c);
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	fz_closep(&c->fd);
	if (fz_node_is_linked(&c->node)) {
		fz_list_remove(&c->node);
		s->n_connections--;
		c->user->connections--;
		c->user->last = s->now;
	}
	free(c);
}

static void arm(struct connection *c)
{
	uint32_t events = 0;
	if (fzipc_serve_want(c->serve) > 0)
		events |= EPOLLIN | EPOLLRDHUP;
	if (fzipc_serve_output(c->serve).n > 0)
		events |= EPOLLOUT;
	if (events == c->events)
		return;
	struct epoll_event e = { .events = events, .data.ptr = c };
	if (epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &e) == 0)
		c->events = events;
}

static void on_queued(void *user, struct fzipc_serve *serve)
{
	struct connection *c = user;
	(void)serve;
	/* Inside processing all connections are looked after at its end; outside, the descriptor must wake us. */
	if (!c->server->is_processing && c->serve)
		arm(c);
}

static void on_world(void *user, struct fzipc_world *ret_world)
{
	struct connection *c = user;
	c->server->config.world(c->server->config.user, ret_world);
}

/*
 * A pipe, a terminal or a file of somebody's own file system could keep the daemon waiting for as long as its owner
 * likes. Memory files cannot; only they have seals.
 */
static bool is_memory_file(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static void on_dispatch(
	void *user, size_t index, struct fzipc_call *call, const ProtobufCMessage *request)
{
	struct connection *c = user;
	struct fzipc_server *s = c->server;
	s->stats.calls++;
	if (fzipc_call_method(call)->fd != FZIPC_NO_FD && !is_memory_file(fzipc_call_fd(call))) {
		fzipc_call_fail(call, FZPB__ERROR__CODE__BAD_DESCRIPTOR,
			"The descriptor must be a memory file (memfd).", NULL);
		return;
	}
	fzipc_handlers_dispatch(s->config.handlers, s->config.user, index, call, request);
}

static void on_refused(void *user, const struct fzipc_who *who, const struct fzipc_refused *refused)
{
	struct connection *c = user;
	c->server->stats.refused++;
	if (may_log(c->server, c->user))
		fz_log(FZ_LOG_WARNING, "ipc-refused", "uid=%u pid=%d method=%s why=%s", who->uid,
			who->pid, refused->method ? refused->method->name : "unknown",
			refused->why);
}

static const struct fzipc_serve_ops serve_ops = {
	.world = on_world,
	.dispatch = on_dispatch,
	.refused = on_refused,
	.queued = on_queued,
};

static bool has_group(int fd, const struct ucred *cred, gid_t group)
{
	if (group == (gid_t)-1)
		return false;
	if (cred->gid == group)
		return true;
	gid_t few[64], *groups = few;
	socklen_t len = sizeof(few);
	FZ_CLEANUP(fz_freep) gid_t *many = NULL;
	int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	if (r < 0 && errno == ERANGE) {
		many = fz_alloc(len, 1);
		groups = many;
		r = many ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) : -1;
	}
	for (size_t i = 0; r == 0 && i < len / sizeof(gid_t); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static int identify(const struct fzipc_server *s, int fd, struct fzipc_who *ret_who)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret_who = (struct fzipc_who){
		.uid = cred.uid,
		.gid = cred.gid,
		.pid = cred.pid,
		.is_root = cred.uid == s->config.root,
		.is_member = has_group(fd, &cred, s->config.group),
	};
	return 0;
}

/* NULL if there is room for one more of this user's, else why not. */
static const char *no_room(
	const struct fzipc_server *s, const struct fzipc_who *who, const struct user *u)
{
	unsigned all = or_default(s->config.limits.connections, 64);
	unsigned reserved = or_default(s->config.limits.reserved_for_root, 8);
	if (s->n_connections >= (who->is_root || reserved >= all ? all : all - reserved))
		return "The daemon has too many connections.";
	if (u->connections >= or_default(s->config.limits.per_user, 8))
		return "This user has too many connections.";
	return NULL;
}

/* One frame with the reason, if the socket takes it at once. */
static void turn_away(struct fzipc_server *s, int fd, const struct fzipc_who *who, struct user *u,
	const char *why)
{
	static const struct fzipc_serve_ops none = { 0 };
	s->stats.turned_away++;
	if (u && may_log(s, u))
		fz_log(FZ_LOG_WARNING, "ipc-turned-away", "uid=%u pid=%d why=connections", who->uid,
			who->pid);
	struct fzipc_serve *serve =
		fzipc_serve_new(&none, NULL, who, NULL, &s->config.daemon, s->now);
	if (!serve)
		return;
	fzipc_serve_close(serve, FZPB__ERROR__CODE__LIMIT, why,
		"Close other programs that use it, or try again.");
	struct fz_bytes out = fzipc_serve_output(serve);
	if (out.n > 0)
		(void)!send(fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	fzipc_serve_free(serve);
}

static struct connection *new_connection(
	struct fzipc_server *s, const struct fzipc_who *who, struct user *u)
{
	struct connection *c = fz_new(struct connection);
	if (!c)
		return NULL;
	c->server = s;
	c->fd = -1;
	c->who = *who;
	c->user = u;
	c->serve = fzipc_serve_new(&serve_ops, c, &c->who, &u->rates, &s->config.daemon, s->now);
	if (!c->serve) {
		free(c);
		return NULL;
	}
	return c;
}

static void admit(struct fzipc_server *s, int *fd)
{
	struct fzipc_who who = { 0 };
	if (identify(s, *fd, &who) < 0)
		return;
	struct user *u = find_user(s, who.uid);
	const char *why = u ? no_room(s, &who, u) : "The daemon has too many users.";
	if (why) {
		turn_away(s, *fd, &who, u, why);
		return;
	}
	struct connection *c = new_connection(s, &who, u);
	if (!c)
		return;
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, *fd, &e) < 0) {
		fzipc_serve_free(c->serve);
		free(c);
		return;
	}
	c->fd = fz_take_fd(fd);
	c->events = e.events;
	fz_list_push_back(&s->connections, &c->node);
	s->n_connections++;
	u->connections++;
	s->stats.accepted++;
}

static void watch_listener(struct fzipc_server *s, bool on)
{
	struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = NULL };
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listen_fd, &e);
}

static void accept_some(struct fzipc_server *s)
{
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		FZ_CLEANUP(fz_closep)
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			admit(s, &fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Out of descriptors or memory: spinning on the listener would help nobody. */
		fz_log(FZ_LOG_WARNING, "ipc-accept", "errno=%d", errno);
		s->accept_again = fz_time_add(s->now, FZ_SECONDS(1));
		watch_listener(s, false);
		return;
	}
}

/* ---- reading and writing ---- */

/* Takes the descriptors out of a message; false if there were more than any call may have. */
static bool take_fds(struct connection *c, struct msghdr *msg, size_t *ret_n)
{
	size_t before = c->n_fds;
	bool fits = !(msg->msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < MAX_FRAME_FDS) {
				c->fds[c->n_fds++] = fd;
			} else {
				fz_closep(&fd);
				fits = false;
			}
		}
	}
	*ret_n = c->n_fds - before;
	return fits;
}

/* One read, never past the end of a frame. False when there is nothing more to do for now. */
static bool read_once(struct connection *c)
{
	uint8_t buf[4096];

	union {
		char space[CMSG_SPACE(MAX_FRAME_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;

	size_t want = fzipc_serve_want(c->serve);
	if (want == 0)
		return false;
	struct iovec iov = { .iov_base = buf, .iov_len = want < sizeof(buf) ? want : sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		fzipc_serve_hang_up(c->serve);
		return false;
	}
	size_t n_new;
	if (!take_fds(c, &msg, &n_new)) {
		close_fds(c);
		fzipc_serve_close(
			c->serve, FZPB__ERROR__CODE__BAD_DESCRIPTOR, "Too many descriptors.", NULL);
		return false;
	}
	fzipc_serve_feed(
		c->serve, c->server->now, fz_bytes_of(buf, (size_t)n), c->fds, c->n_fds, n_new);
	if (fzipc_serve_is_at_start(c->serve) || fzipc_serve_is_closing(c->serve))
		close_fds(c);
	return true;
}

static void write_some(struct connection *c)
{
	struct fz_bytes out = fzipc_serve_output(c->serve);
	while (out.n > 0) {
		ssize_t n = send(c->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fzipc_serve_hang_up(c->serve);
			return;
		}
		fzipc_serve_wrote(c->serve, c->server->now, (size_t)n);
		out = fzipc_serve_output(c->serve);
	}
}

static void on_event(struct connection *c, uint32_t events)
{
	if (events & EPOLLOUT)
		write_some(c);
	if (events & (EPOLLIN | EPOLLRDHUP)) {
		for (unsigned i = 0; i < READS_PER_TURN && read_once(c); i++)
			;
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		fzipc_serve_hang_up(c->serve);
	}
}

/* ---- a turn ---- */

static bool is_finished(const struct connection *c)
{
	return fzipc_serve_is_broken(c->serve) ||
	       (fzipc_serve_is_closing(c->serve) && fzipc_serve_output(c->serve).n == 0);
}

/* Over the bound: the connection that holds most of it goes. */
static void keep_within_memory(struct fzipc_server *s)
{
	size_t max = s->config.limits.memory ? s->config.limits.memory : 16u << 20;
	size_t sum = 0, most = 0;
	struct connection *largest = NULL;
	FZ_LIST_EACH(&s->connections, node) {
		struct connection *c = FZ_CONTAINER_OF(node, struct connection, node);
		size_t n = fzipc_serve_memory(c->serve);
		sum += n;
		if (n > most) {
			most = n;
			largest = c;
		}
	}
	s->stats.memory = sum;
	if (sum <= max || !largest)
		return;
	if (may_log(s, largest->user))
		fz_log(FZ_LOG_WARNING, "ipc-closed", "uid=%u pid=%d why=memory", largest->who.uid,
			largest->who.pid);
	fzipc_serve_hang_up(largest->serve);
}

/* Writes what the turn queued and lets go of what is over. */
static void tidy(struct fzipc_server *s)
{
	keep_within_memory(s);
	FZ_LIST_EACH_SAFE(&s->connections, node, after) {
		struct connection *c = FZ_CONTAINER_OF(node, struct connection, node);
		fzipc_serve_expire(c->serve, s->now);
		if (!fzipc_serve_is_broken(c->serve) && !(c->events & EPOLLOUT))
			write_some(c);
		if (is_finished(c))
			free_connection(c);
		else
			arm(c);
	}
}

void fzipc_server_process(struct fzipc_server *s, fz_time now)
{
	struct epoll_event events[EVENTS_PER_TURN];
	s->now = now;
	s->is_processing = true;
	if (fz_time_reached(now, s->accept_again)) {
		s->accept_again = FZ_NEVER;
		watch_listener(s, !s->is_stopping);
	}
	int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN, 0);
	for (int i = 0; i < n; i++) {
		if (!events[i].data.ptr)
			accept_some(s);
		else
			on_event(events[i].data.ptr, events[i].events);
	}
	tidy(s);
	s->is_processing = false;
}

fz_time fzipc_server_deadline(const struct fzipc_server *s)
{
	fz_time at = s->accept_again;
	for (const struct fz_node *node = s->connections.head.next; node != &s->connections.head;
		node = node->next) {
		const struct connection *c =
			(const struct connection *)(const void *)((const char *)node -
								  offsetof(
									  struct connection, node));
		at = fz_time_min(at, fzipc_serve_deadline(c->serve));
	}
	return at;
}

int fzipc_server_fd(const struct fzipc_server *s)
{
	return s->epoll_fd;
}

void fzipc_server_stop(struct fzipc_server *s, fz_time now, const char *why)
{
	s->now = now;
	s->is_stopping = true;
	watch_listener(s, false);
	FZ_LIST_EACH(&s->connections, node)
		fzipc_serve_close(FZ_CONTAINER_OF(node, struct connection, node)->serve,
			FZPB__ERROR__CODE__UNAVAILABLE, why, NULL);
}

void fzipc_server_stats(const struct fzipc_server *s, struct fzipc_server_stats *ret_stats)
{
	*ret_stats = s->stats;
	ret_stats->connections = s->n_connections;
}

/* ---- life ---- */

static int open_listener(struct fzipc_server *s)
{
	if (s->config.listen_fd >= 0) {
		s->listen_fd = s->config.listen_fd;
		return fzipc_listen_adopt(s->listen_fd);
	}
	int r = fzipc_listen_bind(s->config.path, s->config.group, &s->listen_fd);
	s->is_bound_here = r == 0;
	return r;
}

int fzipc_server_new(
	struct fzipc_server **ret_server, const struct fzipc_server_config *config, fz_time now)
{
	fz_assert(config->world && fzipc_handlers_are_complete(config->handlers));
	struct fzipc_server *s = fz_new(struct fzipc_server);
	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->config.path = config->path ? config->path : FZIPC_SOCKET_PATH;
	s->listen_fd = -1;
	s->now = now;
	s->accept_again = FZ_NEVER;
	fz_list_init(&s->connections);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int r = s->epoll_fd < 0 ? -errno : open_listener(s);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	if (r == 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &e) < 0)
		r = -errno;
	if (r < 0) {
		fzipc_server_free(s);
		return r;
	}
	*ret_server = s;
	return 0;
}

void fzipc_server_free(struct fzipc_server *s)
{
	if (!s)
		return;
	s->is_processing = true; /* nothing is armed any more */
	FZ_LIST_EACH_SAFE(&s->connections, node, after)
		free_connection(FZ_CONTAINER_OF(node, struct connection, node));
	if (s->is_bound_here)
		fzipc_listen_remove(s->listen_fd, s->config.path);
	fz_closep(&s->listen_fd);
	fz_closep(&s->epoll_fd);
	for (size_t i = 0; i < MAX_USERS; i++)
		free(s->users[i].rates.methods);
	free(s);
}
