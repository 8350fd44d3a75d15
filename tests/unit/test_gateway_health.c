/* The health endpoint on a real socket of the loopback interface, the event loop turned by hand. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/health.h"
#include "support/test.h"

#define PLACES 16

static bool is_ready;

static void state(void *user, struct gw_health_state *ret)
{
	CHECK(user == &is_ready);
	*ret = (struct gw_health_state){ is_ready, "portal=up" };
}

static struct gw_health *make(sd_event *event)
{
	struct gw_health *h;
	struct gw_health_params params = {
		.listen = { .ip = fz_ip4(127, 0, 0, 1) },
		.state = state,
		.user = &is_ready,
	};
	CHECK_INT(gw_health_new(event, &params, &h), 0);
	CHECK(gw_health_port(h) != 0);
	return h;
}

static int dial(const struct gw_health *h)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(gw_health_port(h)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK_INT(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until it has nothing to do. */
static void turn(sd_event *event)
{
	for (int i = 0; i < 1000 && sd_event_run(event, 0) > 0; i++)
		continue;
}

/* What was answered before the connection ended; "" if it has not ended. */
static const char *hear(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, buf + n, cap - 1 - n, MSG_DONTWAIT);
		if (got < 0)
			return "";
		if (got == 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return buf;
}

#define BEGINS(got, want) (strncmp((got), (want), strlen(want)) == 0)

TEST(gateway_health_socket, answers_and_closes)
{
	sd_event *event;
	CHECK(sd_event_new(&event) >= 0);
	struct gw_health *h = make(event);
	char buf[GW_ANSWER_MAX];
	for (int i = 0; i < 2; i++) {
		is_ready = i == 1;
		int fd = dial(h);
		say(fd, "GET /readyz HT");
		turn(event);
		CHECK_STR(hear(fd, buf, sizeof(buf)), "");
		say(fd, "TP/1.1\r\n\r\n");
		turn(event);
		CHECK(BEGINS(
			hear(fd, buf, sizeof(buf)), is_ready ? "HTTP/1.1 200 " : "HTTP/1.1 503 "));
		close(fd);
	}
	gw_health_free(h);
	sd_event_unref(event);
}

TEST(gateway_health_socket, who_says_nothing_holds_a_place_only_while_there_are_some)
{
	sd_event *event;
	CHECK(sd_event_new(&event) >= 0);
	struct gw_health *h = make(event);
	char buf[GW_ANSWER_MAX];
	int silent[PLACES];
	for (int i = 0; i < PLACES; i++)
		silent[i] = dial(h);
	turn(event);
	int fd = dial(h);
	say(fd, "GET /healthz HTTP/1.1\r\n\r\n");
	turn(event);
	CHECK_STR(hear(fd, buf, sizeof(buf)), "");
	close(silent[3]);
	turn(event);
	CHECK(BEGINS(hear(fd, buf, sizeof(buf)), "HTTP/1.1 200 "));
	for (int i = 0; i < PLACES; i++)
		if (i != 3)
			close(silent[i]);
	close(fd);
	gw_health_free(h);
	sd_event_unref(event);
}

TEST(gateway_health_socket, a_port_in_use_is_told)
{
	sd_event *event;
	CHECK(sd_event_new(&event) >= 0);
	struct gw_health *h = make(event), *second;
	struct gw_health_params params = {
		.listen = { .ip = fz_ip4(127, 0, 0, 1), .port = gw_health_port(h) },
		.state = state,
		.user = &is_ready,
	};
	CHECK_INT(gw_health_new(event, &params, &second), -EADDRINUSE);
	gw_health_free(h);
	sd_event_unref(event);
}
