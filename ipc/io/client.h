/*
 * libfirezone-client: talk to the Firezone daemon of this machine. Installed as <firezone/client.h>.
 *
 * A client is one connection and belongs to one thread. Calls are made with the functions of <firezone/messages.h>;
 * their answers arrive in callbacks, run by firezone_client_process (for event loops) or firezone_client_wait.
 * Before a byte is sent the library makes sure that the socket, its directory and the process behind it are root's.
 */
#pragma once

#include <firezone/messages.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum firezone_result {
	FIREZONE_OK = 0,
	FIREZONE_NOT_RUNNING = 1, /* no daemon listens */
	FIREZONE_DENIED = 2, /* not root and not in the group firezone */
	FIREZONE_UNTRUSTED = 3, /* the socket is not root's */
	FIREZONE_TIMEOUT = 4,
	FIREZONE_VERSION = 5, /* library and daemon do not fit together */
	FIREZONE_REFUSED = 6, /* the daemon said no, e.g. too many connections */
	FIREZONE_BROKEN = 7, /* the connection is over */
	FIREZONE_SYSTEM = 8, /* no memory, no descriptors */
};

struct firezone_options {
	size_t struct_size; /* sizeof(struct firezone_options) */
	const char *socket_path; /* NULL: FIREZONE_SOCKET or /run/firezone/firezoned.sock */
	const char *name, *version; /* of your program, for the daemon's log; may be NULL */
	unsigned timeout_ms; /* for connecting; 0: ten seconds */
};

/* What the daemon said of itself; strings live as long as the client. */
struct firezone_daemon {
	size_t struct_size;
	const char *version, *boot_id;
	unsigned protocol_major, protocol_minor;
	bool service_mode; /* when the connection was made */
	int permission; /* 0 none, 1 may look, 2 may control, 3 may administer */
};

/*
 * Connects. options may be NULL. On FIREZONE_OK *ret_client is the caller's to free; else it is NULL. Blocks for at most
 * the timeout.
 */
enum firezone_result firezone_client_open(
	struct firezone_client **ret_client, const struct firezone_options *options);
/* Ends the connection; open calls end without an answer. Accepts NULL. Not from inside a callback. */
void firezone_client_free(struct firezone_client *client);
/* Fills *ret_daemon up to its struct_size. */
void firezone_client_daemon(
	const struct firezone_client *client, struct firezone_daemon *ret_daemon);

/* For event loops: wait until the descriptor has one of these poll(2) events, then process. */
int firezone_client_fd(const struct firezone_client *client);
short firezone_client_events(const struct firezone_client *client);
enum firezone_result firezone_client_process(struct firezone_client *client);
/* Processes until no call is open, or timeout_ms (-1: no limit) has passed. */
enum firezone_result firezone_client_wait(struct firezone_client *client, int timeout_ms);
/* Asks for the end of a call; its callback gets an error with code FIREZONE_ERROR_CODE_CANCELLED. */
void firezone_client_cancel(struct firezone_client *client, uint32_t call);

/* A sentence for people; static. */
const char *firezone_result_text(enum firezone_result result);
/* Version of the library, such as "0.1.0"; static. */
const char *firezone_client_version(void);

#ifdef __cplusplus
}
#endif
