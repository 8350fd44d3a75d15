/* Prints the state of the connection, then every change, until the daemon ends. */
#include <firezone/client.h>
#include <stdio.h>

static void on_status(
	void *user, const struct firezone_status *status, const struct firezone_error *error)
{
	(void)user;
	if (error)
		printf("error: %s\n", error->message);
	else
		printf("state %d, %zu warnings\n", (int)status->state, status->n_warnings);
}

static void on_event(
	void *user, const struct firezone_event *event, const struct firezone_error *error)
{
	unsigned *n_left = user;
	(void)error;
	if (event && event->status && *n_left > 0)
		printf("event %u: account %s\n", (*n_left)--, event->status->account->slug);
}

int main(void)
{
	struct firezone_options options = {
		.struct_size = sizeof(options), .name = "example", .version = "1"
	};
	struct firezone_client *client;
	enum firezone_result r = firezone_client_open(&client, &options);
	if (r != FIREZONE_OK) {
		fprintf(stderr, "%s\n", firezone_result_text(r));
		return 1;
	}
	unsigned n_left = 1;
	firezone_get_status(client, NULL, on_status, NULL);
	if (firezone_client_wait(client, 5000) != FIREZONE_OK)
		return 1;
	firezone_watch(client, NULL, on_event, &n_left);
	while (n_left > 0 && firezone_client_wait(client, 100) == FIREZONE_TIMEOUT)
		;
	firezone_client_free(client);
	return 0;
}
