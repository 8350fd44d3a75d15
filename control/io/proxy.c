/* CONNECT through a web proxy, with Basic credentials (RFC 7617) from the proxy's URL. */
#include "control/io/proxy.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/ct.h"
#include "control/http1.h"

void fzp_proxy_wipep(struct fzp_proxy *p)
{
	fz_wipe(p, sizeof(*p));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX to bytes; neither control characters nor half an escape. Here '+' is a plus. */
static bool decode_userinfo(const char *in, size_t n, char *ret)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		char c = in[i];
		if (c == '%') {
			if (n - i < 3)
				return false;
			int hi = hex_digit(in[i + 1]), lo = hex_digit(in[i + 2]);
			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if ((unsigned char)c < ' ' || c == 0x7f || len == FZP_PROXY_USERINFO_MAX)
			return false;
		ret[len++] = c;
	}
	ret[len] = '\0';
	return true;
}

static bool is_host(const char *host)
{
	if (!host[0])
		return false;
	for (const char *p = host; *p; p++)
		if (!((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') && !(*p >= '0' && *p <= '9') &&
			!strchr("-._:", *p))
			return false;
	return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool take_authority(const char *in, size_t n, struct fzp_proxy *p)
{
	char text[FZP_HOST_MAX + 16];
	if (n >= sizeof(text))
		return false;
	memcpy(text, in, n);
	text[n] = '\0';
	char *host = text, *port = NULL;
	if (text[0] == '[') {
		host = text + 1;
		char *end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if ((port = strchr(text, ':'))) {
		*port++ = '\0';
	}
	uint64_t number = 80;
	if (port && (fz_parse_uint(port, 65'535, &number) < 0 || number == 0))
		return false;
	struct fz_ip ip;
	p->host_is_ip = fz_ip_parse(host, &ip) == 0;
	if (strlen(host) > FZP_HOST_MAX || !is_host(host) || (text[0] == '[' && !p->host_is_ip))
		return false;
	p->port = (uint16_t)number;
	memcpy(p->host, host, strlen(host) + 1);
	return true;
}

int fzp_proxy_parse(const char *text, struct fzp_proxy *ret_proxy)
{
	const char *rest = strstr(text, "://");
	if (rest && strncasecmp(text, "http://", 7) != 0)
		return -EPROTONOSUPPORT;
	rest = rest ? rest + 3 : text;
	size_t n = strcspn(rest, "/?#");
	if (rest[n] && strcmp(rest + n, "/") != 0)
		return -EINVAL;
	FZ_CLEANUP(fzp_proxy_wipep) struct fzp_proxy p = { 0 };
	/* The last one: a password may have others in it. */
	const char *at = memrchr(rest, '@', n);
	if (at) {
		if (!decode_userinfo(rest, (size_t)(at - rest), p.userinfo))
			return -EINVAL;
		/* RFC 7617 wants the colon even without a password. */
		size_t len = strlen(p.userinfo);
		if (len > 0 && !strchr(p.userinfo, ':')) {
			if (len == FZP_PROXY_USERINFO_MAX)
				return -EINVAL;
			p.userinfo[len] = ':';
		}
		n -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	if (!take_authority(rest, n, &p))
		return -EINVAL;
	*ret_proxy = p;
	return 0;
}

/* ".b.example" and "b.example" both except the domain and what is below it. */
static bool item_excepts(const char *item, size_t n, const char *host)
{
	if (n == 1 && item[0] == '*')
		return true;
	if (n > 0 && item[0] == '.') {
		item++;
		n--;
	}
	size_t host_len = strlen(host);
	if (n == 0 || n > host_len || strncasecmp(host + host_len - n, item, n) != 0)
		return false;
	return n == host_len || host[host_len - n - 1] == '.';
}

bool fzp_proxy_is_excepted(const char *no_proxy, const char *host)
{
	while (*no_proxy) {
		no_proxy += strspn(no_proxy, ", \t");
		size_t n = strcspn(no_proxy, ", \t");
		if (item_excepts(no_proxy, n, host))
			return true;
		no_proxy += n;
	}
	return false;
}

void fzp_proxy_request(struct fz_writer *w, const struct fzp_proxy *p, const char *host,
	bool host_is_ipv6, uint16_t port)
{
	const char *open = host_is_ipv6 ? "[" : "", *close = host_is_ipv6 ? "]" : "";
	fz_writer_format(w, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, host, close,
		port, open, host, close, port);
	if (p->userinfo[0]) {
		fz_writer_format(w, "Proxy-Authorization: Basic ");
		fzp_base64_encode(w, fz_bytes_of_str(p->userinfo));
		fz_writer_format(w, "\r\n");
	}
	fz_writer_format(w, "\r\n");
}

enum fzp_proxy_verdict fzp_proxy_reply(struct fz_bytes in, uint16_t *ret_status)
{
	struct fzp_head head;
	switch (fzp_head_parse(in, &head)) {
	case FZP_HEAD_MORE: return FZP_PROXY_MORE;
	case FZP_HEAD_BAD: return FZP_PROXY_BAD;
	case FZP_HEAD_OK: break;
	}
	if (head.status < 200)
		return FZP_PROXY_BAD;
	if (head.status >= 300) {
		*ret_status = head.status;
		return FZP_PROXY_REFUSED;
	}
	/* Neither TLS nor HTTP servers speak first. */
	return in.n == head.len ? FZP_PROXY_OK : FZP_PROXY_BAD;
}
