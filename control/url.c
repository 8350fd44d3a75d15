/*
 * Portal URLs: docs/protocol/portal.md, "Address". The query is rebuilt from nothing, as upstream's components do; a port left out
 * is 443 whatever the scheme, because that is what every deployed portal is reached at.
 */
#include "control/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"

static bool take_prefix(const char **text, const char *prefix)
{
	size_t n = strlen(prefix);
	if (strncmp(*text, prefix, n) != 0)
		return false;
	*text += n;
	return true;
}

static int parse_scheme(const char **text, bool *ret_tls)
{
	if (take_prefix(text, "wss://") || take_prefix(text, "https://"))
		*ret_tls = true;
	else if (take_prefix(text, "ws://") || take_prefix(text, "http://"))
		*ret_tls = false;
	else
		return -EINVAL;
	return 0;
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

static int copy_host(struct fzp_url *u, const char *start, size_t n)
{
	if (n == 0 || n > FZP_HOST_MAX)
		return -EINVAL;
	memcpy(u->host, start, n);
	u->host[n] = '\0';
	struct fz_ip ip;
	if (u->host_is_ipv6)
		return fz_ip_parse(u->host, &ip) == 0 && ip.family == FZ_IP6 ? 0 : -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!is_host_char(start[i]))
			return -EINVAL;
	return 0;
}

static int parse_authority(struct fzp_url *u, const char *text, size_t n)
{
	const char *end = text + n, *host = text, *host_end, *after;
	if (n > 0 && text[0] == '[') {
		host = text + 1;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return -EINVAL;
		u->host_is_ipv6 = true;
		after = host_end + 1;
	} else {
		host_end = memchr(text, ':', n);
		if (!host_end)
			host_end = end;
		after = host_end;
	}
	int r = copy_host(u, host, (size_t)(host_end - host));
	if (r < 0)
		return r;
	u->port = 443;
	if (after == end)
		return 0;
	char digits[6];
	size_t len = (size_t)(end - after - 1);
	if (*after != ':' || len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, after + 1, len);
	digits[len] = '\0';
	uint64_t port;
	if (fz_parse_uint(digits, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	u->port = (uint16_t)port;
	return 0;
}

int fzp_url_parse(const char *text, struct fzp_url *ret_url)
{
	struct fzp_url u = { 0 };
	int r = parse_scheme(&text, &u.tls);
	if (r < 0)
		return r;
	size_t authority = strcspn(text, "/?#");
	r = parse_authority(&u, text, authority);
	if (r < 0)
		return r;
	const char *path = text + authority;
	size_t n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n > FZP_PATH_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (path[i] <= ' ' || path[i] > '~' || path[i] == '?' || path[i] == '#')
			return -EINVAL;
	memcpy(u.path, path, n);
	u.path[n] = '\0';
	*ret_url = u;
	return 0;
}

void fzp_form_encode(struct fz_writer *w, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	for (; *text; text++) {
		uint8_t c = (uint8_t)*text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '*';
		if (plain) {
			fz_writer_u8(w, c);
		} else if (c == ' ') {
			fz_writer_u8(w, '+');
		} else {
			fz_writer_u8(w, '%');
			fz_writer_u8(w, (uint8_t)hex[c >> 4]);
			fz_writer_u8(w, (uint8_t)hex[c & 15]);
		}
	}
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int fzp_form_decode(struct fz_bytes in, char *ret_text, size_t cap)
{
	size_t n = 0;
	for (size_t i = 0; i < in.n; i++) {
		int c = in.p[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (in.n - i < 3)
				return -EINVAL;
			int high = hex_value(in.p[i + 1]), low = hex_value(in.p[i + 2]);
			if (high < 0 || low < 0)
				return -EINVAL;
			c = high << 4 | low;
			i += 2;
		}
		if (c == 0)
			return -EINVAL;
		if (cap - n < 2)
			return -ENOSPC;
		ret_text[n++] = (char)c;
	}
	if (cap == 0)
		return -ENOSPC;
	ret_text[n] = '\0';
	return 0;
}

void fzp_base64_encode(struct fz_writer *w, struct fz_bytes in)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16;
		if (left > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (left > 2)
			v |= in.p[i + 2];
		fz_writer_u8(w, (uint8_t)digits[v >> 18]);
		fz_writer_u8(w, (uint8_t)digits[v >> 12 & 63]);
		fz_writer_u8(w, left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=');
		fz_writer_u8(w, left > 2 ? (uint8_t)digits[v & 63] : '=');
	}
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int fzp_base64_decode(const char *text, uint8_t *ret_bytes, size_t n)
{
	size_t digits = (n * 4 + 2) / 3, padded = (n + 2) / 3 * 4;
	if (strlen(text) != padded)
		return -EINVAL;
	for (size_t i = digits; i < padded; i++)
		if (text[i] != '=')
			return -EINVAL;
	uint32_t acc = 0;
	unsigned bits = 0;
	uint8_t out[64];
	size_t len = 0;
	if (n > sizeof(out))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++) {
		int v = base64_value(text[i]);
		if (v < 0)
			return -EINVAL;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[len++] = (uint8_t)(acc >> bits);
		}
	}
	if ((acc & ((1u << bits) - 1)) != 0)
		return -EINVAL; /* not canonical: unused bits are set */
	memcpy(ret_bytes, out, n);
	return 0;
}

static void add_query(struct fz_writer *w, bool *first, const char *name, const char *value)
{
	if (!value)
		return;
	fz_writer_format(w, "%c%s=", *first ? '?' : '&', name);
	fzp_form_encode(w, value);
	*first = false;
}

int fzp_login_target(const struct fzp_url *url, const struct fzp_login *login,
	char ret_target[static FZP_TARGET_MAX])
{
	char text[FZP_TARGET_MAX], key[FZP_KEY_TEXT_LEN] = "";
	struct fz_writer k = fz_writer_of(fz_span_of(key, sizeof(key) - 1));
	fzp_base64_encode(&k, fz_bytes_of(login->public_key, 32));

	struct fz_writer w = fz_writer_of(fz_span_of(text, sizeof(text) - 1));
	bool first = true, is_client = login->role == FZP_CLIENT;
	fz_writer_bytes(&w, fz_bytes_of_str(url->path));
	fz_writer_format(&w, "/%s/v2/websocket", is_client ? "client" : "gateway");
	add_query(&w, &first, "external_id", login->external_id);
	add_query(&w, &first, "name", login->name);
	if (is_client) {
		add_query(&w, &first, "device_serial", login->device_serial);
		add_query(&w, &first, "device_uuid", login->device_uuid);
	}
	add_query(&w, &first, "public_key", key);
	if (w.bad)
		return -ENOSPC;
	memcpy(ret_target, text, w.len);
	ret_target[w.len] = '\0';
	return 0;
}

static void add_printable(struct fz_writer *w, const char *text)
{
	for (; *text; text++)
		if (*text > ' ' && *text <= '~' && *text != '(' && *text != ')' && *text != ';')
			fz_writer_u8(w, (uint8_t)*text);
}

/* Three numbers if the text starts with a digit: missing ones are 0, leading zeros go. */
static void add_version(struct fz_writer *w, const char *text)
{
	if (*text < '0' || *text > '9') {
		add_printable(w, *text ? text : "0.0.0");
		return;
	}
	for (int part = 0; part < 3; part++) {
		uint32_t v = 0;
		while (*text >= '0' && *text <= '9' && v < 100'000'000)
			v = v * 10 + (uint32_t)(*text++ - '0');
		fz_writer_format(w, "%s%u", part ? "." : "", v);
		if (*text == '.')
			text++;
	}
}

void fzp_user_agent(const struct fzp_agent *a, char ret_text[static FZP_AGENT_MAX])
{
	struct fz_writer w = fz_writer_of(fz_span_of(ret_text, FZP_AGENT_MAX - 1));
	add_printable(&w, a->os_name && *a->os_name ? a->os_name : "Linux");
	fz_writer_u8(&w, '/');
	add_version(&w, a->os_version ? a->os_version : "");
	fz_writer_format(&w, " %s/%s", a->component, a->version);
	bool has_arch = a->arch && *a->arch, has_kernel = a->kernel && *a->kernel;
	if (has_arch || has_kernel) {
		fz_writer_format(&w, " (");
		if (has_arch)
			add_printable(&w, a->arch);
		if (has_arch && has_kernel)
			fz_writer_format(&w, "; ");
		if (has_kernel)
			add_printable(&w, a->kernel);
		fz_writer_u8(&w, ')');
	}
	ret_text[w.len] = '\0';
}
