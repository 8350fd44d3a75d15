/* Prints the state of the connection and the first event. */
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
	if (!error && event && event->status && *n_left > 0)
		printf("event %u: account %s\n", (*n_left)--, event->status->account->slug);
}

int main(void)
{
	struct firezone_options options = { .struct_size = sizeof(options), .name = "example" };
	struct firezone_client *client;
	unsigned n_left = 1;
	enum firezone_result r = firezone_client_open(&client, &options);
	if (r != FIREZONE_OK) {
		fprintf(stderr, "%s\n", firezone_result_text(r));
		return 1;
	}
	firezone_get_status(client, NULL, on_status, NULL);
	firezone_watch(client, NULL, on_event, &n_left);
	while (n_left > 0 && firezone_client_wait(client, 1000) == FIREZONE_TIMEOUT)
		;
	firezone_client_free(client);
	return n_left > 0;
}
