/* The handshake's head, written and read. Header names are matched without case; folded lines are refused (RFC 9112, 5.2). */
#include "control/http1.h"

#include <string.h>

#include "base/addr.h"

void fzp_upgrade_request(struct fz_writer *w, const struct fzp_upgrade *u)
{
	fz_writer_bytes(w, fz_bytes_of_str("GET "));
	fz_writer_bytes(w, fz_bytes_of_str(u->target));
	fz_writer_format(w,
		" HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
		u->host, u->key);
	if (u->token.n > 0) {
		fz_writer_format(w, "x-authorization: Bearer ");
		for (size_t i = 0; i < u->token.n; i++)
			if (u->token.p[i] > ' ' && u->token.p[i] != 0x7f)
				fz_writer_u8(w, u->token.p[i]);
		fz_writer_format(w, "\r\n");
	}
	fz_writer_format(w, "user-agent: %s\r\n\r\n", u->user_agent);
}

static bool equals_nocase(struct fz_bytes a, const char *b)
{
	return a.n == strlen(b) && strncasecmp((const char *)a.p, b, a.n) == 0;
}

static struct fz_bytes trimmed(struct fz_bytes v)
{
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t')) {
		v.p++;
		v.n--;
	}
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

/* One element of a comma-separated list equals `want`. */
static bool list_has(struct fz_bytes v, const char *want)
{
	while (v.n > 0) {
		const uint8_t *comma = memchr(v.p, ',', v.n);
		size_t n = comma ? (size_t)(comma - v.p) : v.n;
		if (equals_nocase(trimmed(fz_bytes_of(v.p, n)), want))
			return true;
		size_t used = comma ? n + 1 : n;
		v.p += used;
		v.n -= used;
	}
	return false;
}

static bool copy_value(struct fz_bytes v, char *ret_text, size_t cap)
{
	if (v.n >= cap)
		return false;
	memcpy(ret_text, v.p, v.n);
	ret_text[v.n] = '\0';
	return true;
}

static bool parse_length(struct fz_bytes v, struct fzp_head *h)
{
	char digits[20];
	uint64_t n;
	if (!copy_value(v, digits, sizeof(digits)) || fz_parse_uint(digits, UINT64_MAX, &n) < 0)
		return false;
	if (h->has_length && h->content_length != n)
		return false;
	h->has_length = true;
	h->content_length = n;
	return true;
}

struct found {
	bool upgrade, connection, coding;
};

static bool take_header(struct fz_bytes line, struct fzp_head *h, struct found *found)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);
	if (!colon || colon == line.p)
		return false;
	struct fz_bytes name = fz_bytes_of(line.p, (size_t)(colon - line.p));
	struct fz_bytes value = trimmed(fz_bytes_of(colon + 1, line.n - name.n - 1));
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	if (equals_nocase(name, "upgrade"))
		found->upgrade = list_has(value, "websocket");
	else if (equals_nocase(name, "connection"))
		found->connection = list_has(value, "upgrade");
	else if (equals_nocase(name, "content-length"))
		return parse_length(value, h);
	else if (equals_nocase(name, "transfer-encoding")) {
		/* Any other coding, or several, we did not ask for and cannot undo. */
		h->is_chunked = !found->coding && equals_nocase(value, "chunked");
		found->coding = true;
	} else if (equals_nocase(name, "sec-websocket-accept"))
		return copy_value(value, h->accept, sizeof(h->accept));
	else if (equals_nocase(name, "retry-after"))
		(void)copy_value(value, h->retry_after, sizeof(h->retry_after));
	else if (equals_nocase(name, "content-type")) {
		static const char problem[] = "application/problem+json";
		size_t n = sizeof(problem) - 1;
		h->is_problem = value.n >= n && equals_nocase(fz_bytes_of(value.p, n), problem);
	}
	return true;
}

static bool take_status(struct fz_bytes line, struct fzp_head *h)
{
	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || line.p[8] != ' ')
		return false;
	if (line.n > 12 && line.p[12] != ' ')
		return false;
	uint32_t status = 0;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return false;
		status = status * 10u + (uint32_t)(line.p[i] - '0');
	}
	h->status = (uint16_t)status;
	return status >= 100;
}

enum fzp_head_verdict fzp_head_parse(struct fz_bytes in, struct fzp_head *ret_head)
{
	const uint8_t *end = in.n > 0 ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
	if (!end)
		return in.n >= FZP_HEAD_MAX ? FZP_HEAD_BAD : FZP_HEAD_MORE;
	size_t len = (size_t)(end - in.p) + 4;
	if (len > FZP_HEAD_MAX)
		return FZP_HEAD_BAD;
	struct fzp_head h = { .len = len };
	struct found found = { 0 };
	bool first = true;
	for (size_t at = 0; at < len - 2;) {
		const uint8_t *eol = memmem(in.p + at, len - at, "\r\n", 2);
		struct fz_bytes line = fz_bytes_of(in.p + at, (size_t)(eol - in.p) - at);
		at += line.n + 2;
		if (memchr(line.p, '\0', line.n) || memchr(line.p, '\n', line.n))
			return FZP_HEAD_BAD;
		if (first ? !take_status(line, &h) : !take_header(line, &h, &found))
			return FZP_HEAD_BAD;
		first = false;
	}
	h.upgrades = found.upgrade && found.connection;
	h.is_problem &= h.is_chunked || !found.coding;
	*ret_head = h;
	return FZP_HEAD_OK;
}

/* ---- chunked bodies ---- */

static bool hex_digit(uint8_t c, size_t *ret)
{
	if (c >= '0' && c <= '9')
		*ret = (size_t)(c - '0');
	else if ((c | 0x20u) >= 'a' && (c | 0x20u) <= 'f')
		*ret = (c | 0x20u) - 'a' + 10;
	else
		return false;
	return true;
}

/* The line without its end; MORE if the end is not there yet. */
static enum fzp_head_verdict take_line(struct fz_reader *r, struct fz_bytes *ret_line)
{
	struct fz_bytes rest = fz_bytes_of(r->p, r->left);
	const uint8_t *eol = rest.n > 0 ? memmem(rest.p, rest.n, "\r\n", 2) : NULL;
	if (!eol)
		return rest.n > FZP_HEAD_MAX ? FZP_HEAD_BAD : FZP_HEAD_MORE;
	*ret_line = fz_reader_take(r, (size_t)(eol - rest.p));
	fz_reader_skip(r, 2);
	return FZP_HEAD_OK;
}

/* Hex digits, then nothing, white space or an extension, which is ignored. */
static bool parse_size(struct fz_bytes line, size_t *ret_size)
{
	size_t n = 0, digits = 0, digit;
	for (; digits < line.n && hex_digit(line.p[digits], &digit); digits++) {
		if (n > FZP_BODY_MAX)
			return false;
		n = n * 16 + digit;
	}
	bool ends = digits == line.n || line.p[digits] == ';' || line.p[digits] == ' ' ||
		    line.p[digits] == '\t';
	*ret_size = n;
	return digits > 0 && ends && n <= FZP_BODY_MAX;
}

/* Behind the last chunk: fields that are of no interest, up to an empty line. */
static enum fzp_head_verdict skip_trailer(struct fz_reader *r)
{
	struct fz_bytes line = { .n = 1 };
	enum fzp_head_verdict v = FZP_HEAD_OK;
	while (v == FZP_HEAD_OK && line.n > 0)
		v = take_line(r, &line);
	return v;
}

enum fzp_head_verdict fzp_chunked_read(struct fz_bytes in, struct fz_writer *w)
{
	struct fz_reader r = fz_reader_of(in);
	for (;;) {
		struct fz_bytes line;
		size_t size;
		enum fzp_head_verdict v = take_line(&r, &line);
		if (v != FZP_HEAD_OK)
			return v;
		if (!parse_size(line, &size))
			return FZP_HEAD_BAD;
		if (size == 0)
			return skip_trailer(&r);
		struct fz_bytes data = fz_reader_take(&r, size < r.left ? size : r.left);
		if (w)
			fz_writer_bytes(w, data);
		if (data.n < size || r.left < 2)
			return FZP_HEAD_MORE;
		struct fz_bytes end = fz_reader_take(&r, 2);
		if (memcmp(end.p, "\r\n", 2) != 0)
			return FZP_HEAD_BAD;
	}
}

/* ---- Retry-After ---- */

/* Days from 1970 to a civil date (proleptic Gregorian, March-based years). */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = y / 400, year = y - era * 400;
	int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146'097 + year * 365 + year / 4 - year / 100 + day - 719'468;
}

static bool two_digits(const char *p, int64_t *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return true;
}

/* IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7). */
static bool parse_date(const char *t, int64_t *ret_unix)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t day, century, year, hour, minute, second;
	if (strlen(t) != 29 || t[3] != ',' || strcmp(t + 25, " GMT") != 0)
		return false;
	if (!two_digits(t + 5, &day) || !two_digits(t + 12, &century) ||
		!two_digits(t + 14, &year) || !two_digits(t + 17, &hour) ||
		!two_digits(t + 20, &minute) || !two_digits(t + 23, &second))
		return false;
	for (int64_t m = 0; m < 12; m++) {
		if (memcmp(months + m * 3, t + 8, 3) != 0)
			continue;
		int64_t days = days_from_civil(century * 100 + year, m + 1, day);
		*ret_unix = days * 86'400 + hour * 3600 + minute * 60 + second;
		return true;
	}
	return false;
}

bool fzp_retry_after(const char *text, fz_wall now, fz_dur *ret_wait)
{
	uint64_t seconds;
	int64_t when;
	if (fz_parse_uint(text, UINT32_MAX, &seconds) < 0) {
		if (!parse_date(text, &when))
			return false;
		int64_t left = when - now.ns / 1'000'000'000;
		seconds = left > 0 ? (uint64_t)left : 0;
	}
	*ret_wait = FZ_SECONDS(seconds < 86'400 ? seconds : 86'400);
	return true;
}
