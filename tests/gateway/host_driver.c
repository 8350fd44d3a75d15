/*
 * The part of firezone-gateway that changes the host, by itself: makes the table, the settings, addresses, routes and
 * rules, says "ready", and undoes them when its input ends. host_driver INTERFACE JOURNAL [own-table-only]
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host.h"
#include "gateway/forward.h"
#include "gateway/nft.h"
#include "gateway/routes.h"

static void tell_setting(void *user, const struct gw_forward_problem *p)
{
	(void)user;
	printf("setting %s=%s %s\n", p->name, p->wanted, p->is_fatal ? "fatal" : "missing");
}

static void tell_chain(void *user, const char *family, const char *table, const char *chain)
{
	(void)user;
	printf("drops %s %s %s\n", family, table, chain);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct gw_nft *nft;
	int r = gw_nft_new(&(struct gw_nft_params){ .interface = argv[1],
				   .client_interface = fz_host_client.interface,
				   .mark = fz_host_gateway.mark },
		&nft);
	if (r < 0) {
		printf("refused %d %s\n", r, gw_nft_explain(r));
		return 1;
	}
	struct fz_host *host = NULL;
	struct fz_host_item items[GW_HOST_ITEMS];
	struct fz_ip v4 = fz_ip4(100, 64, 0, 1), v6;
	if (argc == 3) {
		if (fz_ip_parse("fd00:2021:1111::1", &v6) < 0 ||
			gw_forward_ensure("/proc/sys", argv[1], tell_setting, NULL) < 0 ||
			fz_host_new(argv[2], &fz_host_gateway, &host) < 0)
			return 1;
		size_t n = gw_host_items(&v4, &v6, items);
		r = fz_host_apply(host, if_nametoindex(argv[1]), items, n);
		if (r < 0) {
			printf("host %d\n", r);
			return 1;
		}
	}
	r = gw_nft_each_forward_drop(nft, tell_chain, NULL);
	printf("ready %s %d\n", gw_nft_is_owned(nft) ? "owned" : "shared", r);
	fflush(stdout);
	char c;
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	if (host && fz_host_revert(host) < 0)
		return 1;
	fz_host_free(host);
	r = gw_nft_remove(nft);
	gw_nft_free(nft);
	return r < 0;
}
