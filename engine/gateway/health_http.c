/*
 * Paths: /healthz says that the process runs, /readyz whether it can serve. The head is read to its end before the
 * answer, so that closing does not reset the connection under the asker; what it says besides the first line is not
 * looked at.
 */
#include "gateway/health_http.h"

#include <string.h>

#define METHOD_MAX 8
#define PATH_MAX_  64

/* The length of the head with its empty line, or 0. Bare line feeds are accepted (RFC 9112, 2.2). */
static size_t head_len(struct fz_bytes in)
{
	size_t line = 0;
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '\n')
			continue;
		size_t n = i - line;
		if (n == 0 || (n == 1 && in.p[line] == '\r')) {
			if (line > 0)
				return i + 1;
		}
		line = i + 1;
	}
	return 0;
}

/* Up to `stop` or a blank, into a text; false if that is empty or too long. */
static bool take_word(struct fz_reader *r, char *ret_word, size_t cap)
{
	size_t n = 0;
	while (r->left > 0) {
		char c = (char)fz_reader_u8(r);
		if (c == ' ' || c == '\r' || c == '\n')
			break;
		if (n + 1 == cap || c == '\0')
			return false;
		ret_word[n++] = c;
	}
	ret_word[n] = '\0';
	return n > 0;
}

static void answer(struct fz_writer *w, const char *status, const char *body, bool with_body)
{
	fz_writer_format(w,
		"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		status, strlen(body), with_body ? body : "");
}

static void answer_path(struct fz_writer *w, const char *method, const char *path,
	const struct gw_health_state *state)
{
	bool is_get = strcmp(method, "GET") == 0;
	if (!is_get && strcmp(method, "HEAD") != 0) {
		answer(w, "405 Method Not Allowed\r\nAllow: GET, HEAD", "method not allowed\n",
			true);
		return;
	}
	if (strcmp(path, "/healthz") == 0) {
		answer(w, "200 OK", "ok\n", is_get);
		return;
	}
	if (strcmp(path, "/readyz") == 0) {
		char body[160];
		struct fz_writer b = fz_writer_of(fz_span_of(body, sizeof(body) - 1));
		fz_writer_format(
			&b, "%s %.120s\n", state->is_ready ? "ready" : "not-ready", state->text);
		body[b.len] = '\0';
		answer(w, state->is_ready ? "200 OK" : "503 Service Unavailable", body, is_get);
		return;
	}
	answer(w, "404 Not Found", "there is /healthz and /readyz\n", is_get);
}

enum gw_request_verdict gw_health_answer(
	struct fz_bytes in, const struct gw_health_state *state, struct fz_writer *w)
{
	size_t n = head_len(in);
	if (n == 0 && in.n < GW_REQUEST_MAX)
		return GW_REQUEST_MORE;
	struct fz_reader r = fz_reader_of(in);
	char method[METHOD_MAX], path[PATH_MAX_], version[16];
	if (n == 0)
		answer(w, "431 Request Header Fields Too Large", "too long\n", true);
	else if (!take_word(&r, method, sizeof(method)) || !take_word(&r, path, sizeof(path)) ||
		 !take_word(&r, version, sizeof(version)) || strncmp(version, "HTTP/1.", 7) != 0)
		answer(w, "400 Bad Request", "bad request\n", true);
	else
		answer_path(w, method, path, state);
	return GW_REQUEST_ANSWERED;
}
