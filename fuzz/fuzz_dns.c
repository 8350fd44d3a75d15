/* DNS answers, resolv.conf and hosts as the resolver reads them: any bytes, bounded results, nothing beyond the caller's arrays. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "control/io/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct fz_bytes in, enum fz_family family)
{
	struct fz_ip ips[FZP_DNS_ADDRS_MAX];
	size_t n = 0;
	/* The id is taken from the answer, so that more than one in 65,536 gets further. */
	struct fz_reader r = fz_reader_of(in);
	uint16_t id = fz_reader_be16(&r);
	if (fzp_dns_answer(in, "portal.example", family, id, ips, &n) != FZP_DNS_OK)
		return;
	fz_assert(n <= FZP_DNS_ADDRS_MAX);
	for (size_t i = 0; i < n; i++)
		fz_assert(ips[i].family == family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fz_bytes in = fz_bytes_of(data, size);
	struct fzp_resolv_conf conf;
	struct fz_ip ips[4];
	check_answer(in, FZ_IP4);
	check_answer(in, FZ_IP6);
	fzp_resolv_conf_parse(in, &conf);
	fz_assert(conf.n >= 1 && conf.n <= FZP_DNS_SERVERS_MAX && conf.attempts >= 1);
	fz_assert(
		fzp_hosts_find(in, "portal.example", ips, FZ_ARRAY_LEN(ips)) <= FZ_ARRAY_LEN(ips));
	return 0;
}
