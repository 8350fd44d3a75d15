/* DNS questions and answers by ldns; resolv.conf and hosts line by line. Search domains are not applied: a portal has a full name. */
#include "control/io/dns.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>

#define ALIASES_MAX 16

/* ---- DNS ---- */

static void pkt_freep(ldns_pkt **p)
{
	ldns_pkt_free(*p);
}

static void rdf_freep(ldns_rdf **p)
{
	ldns_rdf_deep_free(*p);
}

static ldns_rr_type type_of(enum fz_family family)
{
	return family == FZ_IP4 ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA;
}

static ldns_rdf *name_of(const char *host)
{
	ldns_rdf *name = NULL;
	/* An escape in a host name is never meant. */
	if (strchr(host, '\\') || ldns_str2rdf_dname(&name, host) != LDNS_STATUS_OK)
		return NULL;
	return name;
}

int fzp_dns_query(const char *host, enum fz_family family, uint16_t id, struct fz_writer *w)
{
	FZ_CLEANUP(rdf_freep) ldns_rdf *name = name_of(host);
	if (!name)
		return -EINVAL;
	fz_writer_be16(w, id);
	fz_writer_be16(w, 0x0100); /* recursion desired */
	fz_writer_be16(w, 1); /* one question */
	fz_writer_zeros(w, 6);
	fz_writer_bytes(w, fz_bytes_of(ldns_rdf_data(name), ldns_rdf_size(name)));
	fz_writer_be16(w, (uint16_t)type_of(family));
	fz_writer_be16(w, LDNS_RR_CLASS_IN);
	return w->bad ? -EINVAL : 0;
}

static bool is_our_question(const ldns_pkt *pkt, const ldns_rdf *name, enum fz_family family)
{
	const ldns_rr_list *questions = ldns_pkt_question(pkt);
	if (ldns_rr_list_rr_count(questions) != 1)
		return false;
	const ldns_rr *q = ldns_rr_list_rr(questions, 0);
	return ldns_rr_get_type(q) == type_of(family) && ldns_rr_get_class(q) == LDNS_RR_CLASS_IN &&
	       ldns_dname_compare(ldns_rr_owner(q), name) == 0;
}

/* The i-th answer if it is of the name and type, else NULL. */
static const ldns_rdf *data_of(
	const ldns_rr_list *answers, size_t i, const ldns_rdf *name, ldns_rr_type type)
{
	const ldns_rr *rr = ldns_rr_list_rr(answers, i);
	if (ldns_rr_get_type(rr) != type || ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN ||
		ldns_dname_compare(ldns_rr_owner(rr), name) != 0)
		return NULL;
	return ldns_rr_rdf(rr, 0);
}

/* The end of the chain of aliases that begins at `name`; a loop of them ends somewhere. */
static const ldns_rdf *follow(const ldns_rr_list *answers, const ldns_rdf *name)
{
	for (unsigned hop = 0; hop < ALIASES_MAX; hop++) {
		const ldns_rdf *target = NULL;
		for (size_t i = 0; i < ldns_rr_list_rr_count(answers) && !target; i++)
			target = data_of(answers, i, name, LDNS_RR_TYPE_CNAME);
		if (!target)
			return name;
		name = target;
	}
	return name;
}

static size_t collect(const ldns_rr_list *answers, const ldns_rdf *name, enum fz_family family,
	struct fz_ip *ret_ips)
{
	size_t n = 0, len = family == FZ_IP4 ? 4 : 16;
	for (size_t i = 0; i < ldns_rr_list_rr_count(answers) && n < FZP_DNS_ADDRS_MAX; i++) {
		const ldns_rdf *data = data_of(answers, i, name, type_of(family));
		if (data && ldns_rdf_size(data) == len)
			ret_ips[n++] = fz_ip_of(family, ldns_rdf_data(data));
	}
	return n;
}

static enum fzp_dns_verdict judge(const ldns_pkt *pkt, const char *host, enum fz_family family,
	struct fz_ip *ret_ips, size_t *ret_n)
{
	FZ_CLEANUP(rdf_freep) ldns_rdf *name = name_of(host);
	bool refused = ldns_pkt_get_rcode(pkt) != LDNS_RCODE_NOERROR &&
		       ldns_pkt_get_rcode(pkt) != LDNS_RCODE_NXDOMAIN;
	/* A server that does not understand may leave the question out of what it says. */
	if (!name || (!is_our_question(pkt, name, family) &&
			     !(refused && ldns_rr_list_rr_count(ldns_pkt_question(pkt)) == 0)))
		return FZP_DNS_FOREIGN;
	if (ldns_pkt_tc(pkt))
		return FZP_DNS_TRUNCATED;
	if (refused)
		return FZP_DNS_FAILED;
	if (ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN)
		return FZP_DNS_NO_NAME;
	const ldns_rr_list *answers = ldns_pkt_answer(pkt);
	*ret_n = collect(answers, follow(answers, name), family, ret_ips);
	return FZP_DNS_OK;
}

enum fzp_dns_verdict fzp_dns_answer(struct fz_bytes in, const char *host, enum fz_family family,
	uint16_t id, struct fz_ip ret_ips[static FZP_DNS_ADDRS_MAX], size_t *ret_n)
{
	/* The head by hand: what is not for us is not worth parsing, and what is cut off need not parse. */
	struct fz_reader r = fz_reader_of(in);
	uint16_t got_id = fz_reader_be16(&r), flags = fz_reader_be16(&r);
	if (r.bad || got_id != id || !(flags & 0x8000u) || (flags & 0x7800u))
		return FZP_DNS_FOREIGN;
	FZ_CLEANUP(pkt_freep) ldns_pkt *pkt = NULL;
	if (ldns_wire2pkt(&pkt, in.p, in.n) != LDNS_STATUS_OK) {
		pkt = NULL;
		return flags & 0x0200u ? FZP_DNS_TRUNCATED : FZP_DNS_FAILED;
	}
	return judge(pkt, host, family, ret_ips, ret_n);
}

/* ---- lines of words ---- */

static struct fz_bytes take_until(struct fz_bytes *rest, const char *stops)
{
	size_t n = 0;
	while (n < rest->n && !strchr(stops, rest->p[n]) && rest->p[n] != '\0')
		n++;
	struct fz_bytes taken = fz_bytes_of(rest->p, n);
	size_t skip = n < rest->n ? n + 1 : n;
	*rest = fz_bytes_of(rest->p + skip, rest->n - skip);
	return taken;
}

/* The next line without its comment; false at the end. */
static bool take_line(struct fz_bytes *text, const char *comment, struct fz_bytes *ret_line)
{
	if (text->n == 0)
		return false;
	struct fz_bytes line = take_until(text, "\n");
	*ret_line = take_until(&line, comment);
	return true;
}

static bool take_word(struct fz_bytes *line, char *ret, size_t cap)
{
	while (line->n > 0) {
		struct fz_bytes w = take_until(line, " \t\r");
		if (w.n == 0)
			continue;
		/* One that is too long is no word we know. */
		size_t n = w.n < cap ? w.n : 0;
		memcpy(ret, w.p, n);
		ret[n] = '\0';
		return true;
	}
	return false;
}

static bool parse_server(char *text, struct fz_addr *ret)
{
	struct fz_addr a = { .port = 53 };
	char *zone = strchr(text, '%');
	if (zone) {
		*zone++ = '\0';
		a.scope = if_nametoindex(zone);
	}
	if (fz_ip_parse(text, &a.ip) < 0)
		return false;
	*ret = a;
	return true;
}

static void take_option(const char *word, struct fzp_resolv_conf *c)
{
	uint64_t v;
	if (strncmp(word, "timeout:", 8) == 0 && fz_parse_uint(word + 8, 30, &v) == 0 && v > 0)
		c->timeout = FZ_SECONDS(v);
	else if (strncmp(word, "attempts:", 9) == 0 && fz_parse_uint(word + 9, 5, &v) == 0 && v > 0)
		c->attempts = (uint32_t)v;
	else if (strcmp(word, "use-vc") == 0)
		c->use_tcp = true;
}

void fzp_resolv_conf_parse(struct fz_bytes text, struct fzp_resolv_conf *ret)
{
	/* An attempt at the portal has 15 s for everything: a dead server may take two of them, not five. */
	struct fzp_resolv_conf c = { .timeout = FZ_SECONDS(2), .attempts = 2 };
	struct fz_bytes line;
	while (take_line(&text, "#;", &line)) {
		char word[128];
		if (!take_word(&line, word, sizeof(word)))
			continue;
		if (strcmp(word, "nameserver") == 0) {
			if (c.n < FZP_DNS_SERVERS_MAX && take_word(&line, word, sizeof(word)) &&
				parse_server(word, &c.servers[c.n]))
				c.n++;
		} else if (strcmp(word, "options") == 0) {
			while (take_word(&line, word, sizeof(word)))
				take_option(word, &c);
		}
	}
	if (c.n == 0)
		c.servers[c.n++] = (struct fz_addr){ .ip = fz_ip4(127, 0, 0, 1), .port = 53 };
	*ret = c;
}

size_t fzp_hosts_find(struct fz_bytes text, const char *host, struct fz_ip *ret_ips, size_t cap)
{
	size_t n = 0;
	struct fz_bytes line;
	while (n < cap && take_line(&text, "#", &line)) {
		char word[256];
		struct fz_ip ip;
		if (!take_word(&line, word, sizeof(word)) || fz_ip_parse(word, &ip) < 0)
			continue;
		bool found = false;
		while (!found && take_word(&line, word, sizeof(word)))
			found = strcasecmp(word, host) == 0;
		if (found)
			ret_ips[n++] = ip;
	}
	return n;
}
