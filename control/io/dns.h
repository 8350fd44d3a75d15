/*
 * What the resolver reads and writes: DNS questions and answers (RFC 1035), resolv.conf(5), hosts(5). Bytes in, values
 * out; no system calls but the lookup of an interface's index for a scoped name server. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

#define FZP_DNS_QUERY_MAX   300
#define FZP_DNS_SERVERS_MAX 3
#define FZP_DNS_ADDRS_MAX   16 /* of one family; more are left out */

/* Writes the question for the host's addresses of that family; -EINVAL if it is no name. */
int fzp_dns_query(const char *host, enum fz_family family, uint16_t id, struct fz_writer *w)
	FZ_NONNULL(1, 4) FZ_MUST_CHECK;

enum fzp_dns_verdict {
	FZP_DNS_OK, /* *ret_n addresses, which may be 0 */
	FZP_DNS_NO_NAME, /* there is no such name */
	FZP_DNS_TRUNCATED, /* ask again by TCP */
	FZP_DNS_FAILED, /* this server cannot or will not answer: ask another */
	FZP_DNS_FOREIGN, /* no answer to this question: as if it had not come */
};

/* Follows aliases within the answer. The outputs are set for OK only. */
enum fzp_dns_verdict fzp_dns_answer(struct fz_bytes in, const char *host, enum fz_family family,
	uint16_t id, struct fz_ip ret_ips[static FZP_DNS_ADDRS_MAX], size_t *ret_n)
	FZ_NONNULL(2, 6) FZ_MUST_CHECK;

struct fzp_resolv_conf {
	uint32_t n;
	struct fz_addr servers[FZP_DNS_SERVERS_MAX]; /* port 53 */
	fz_dur timeout; /* of one question to one server */
	uint32_t attempts; /* rounds over the servers */
	bool use_tcp;
};

/* Lines that make no sense are skipped; without a server it is the one on this host. */
void fzp_resolv_conf_parse(struct fz_bytes text, struct fzp_resolv_conf *ret) FZ_NONNULL(2);

/* The addresses hosts(5) has for a name; how many. */
size_t fzp_hosts_find(struct fz_bytes text, const char *host, struct fz_ip *ret_ips, size_t cap)
	FZ_NONNULL(2, 3);
