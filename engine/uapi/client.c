/* Lines in, replies out: which request a client is in, what it waits for, and when it is wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/ct.h"
#include "base/err.h"
#include "uapi/internal.h"
#include "uapi/uapi.h"

#define OTHER_ERROR 55 /* what the protocol says for all that has no errno of its own */

struct uapi *uapi_new(struct wg_device *device)
{
	struct uapi *u = fz_new(struct uapi);
	if (!u)
		return NULL;
	u->device = device;
	fz_list_init(&u->dumps);
	return u;
}

void uapi_free(struct uapi *u)
{
	fz_assert(!u || fz_list_is_empty(&u->dumps));
	free(u);
}

void uapi_note_sockets(struct uapi *u, uint16_t listen_port, uint32_t fwmark)
{
	u->listen_port = listen_port;
	u->fwmark = fwmark;
}

struct uapi_client *uapi_client_new(struct uapi *u)
{
	struct uapi_client *c = fz_new(struct uapi_client);
	if (c)
		c->uapi = u;
	return c;
}

void uapi_client_free(struct uapi_client *c)
{
	if (!c)
		return;
	uapi_dump_stop(&c->dump);
	fz_wipe(c, sizeof(*c));
	free(c);
}

enum uapi_want uapi_client_want(const struct uapi_client *c)
{
	if (c->is_asking)
		return UAPI_WANT_ANSWER;
	if (c->reply != UAPI_REPLY_NONE)
		return UAPI_WANT_OUTPUT;
	return c->input == UAPI_IN_OVER ? UAPI_WANT_CLOSE : UAPI_WANT_INPUT;
}

bool uapi_client_is_idle(const struct uapi_client *c)
{
	return c->input == UAPI_IN_REQUEST && c->line_len == 0 && c->reply == UAPI_REPLY_NONE;
}

/* Replies to the request under way: error is negative or 0. */
static void reply(struct uapi_client *c, int error)
{
	bool is_get = c->input == UAPI_IN_GET;
	if (error <= FZ_ERR_SELFTEST)
		error = -OTHER_ERROR;
	c->error = is_get ? -error : error;
	c->reply = UAPI_REPLY_ERRNO;
}

static void refuse(struct uapi_client *c, int error)
{
	reply(c, error);
	c->input = UAPI_IN_REST;
}

static void take_request(struct uapi_client *c, const char *line)
{
	if (strcmp(line, "get=1") == 0) {
		c->input = UAPI_IN_GET;
	} else if (strcmp(line, "set=1") == 0) {
		c->input = UAPI_IN_SET;
		c->block = (struct uapi_block){ 0 };
	} else {
		c->input = UAPI_IN_OVER;
	}
}

static void take_set_line(struct uapi_client *c, struct fz_now now)
{
	int r = c->line_len == 0 ? uapi_set_finish(c) : uapi_set_line(c, now, c->line);
	if (r < 0) {
		refuse(c, r);
		if (c->line_len == 0)
			c->input = UAPI_IN_REQUEST;
	} else if (c->line_len == 0) {
		reply(c, 0);
		c->input = UAPI_IN_REQUEST;
	}
}

/* A finished line, not longer than what is stored. */
static void take_line(struct uapi_client *c, struct fz_now now)
{
	c->line[c->line_len] = '\0';
	bool has_nul = strlen(c->line) != c->line_len;
	switch (c->input) {
	case UAPI_IN_REQUEST: take_request(c, has_nul ? "" : c->line); break;
	case UAPI_IN_GET:
		if (c->line_len == 0) {
			uapi_dump_start(c);
			c->reply = UAPI_REPLY_DUMP;
			c->input = UAPI_IN_REQUEST;
		} else {
			refuse(c, -EINVAL);
		}
		break;
	case UAPI_IN_SET:
		if (has_nul)
			refuse(c, -EINVAL);
		else
			take_set_line(c, now);
		break;
	case UAPI_IN_REST:
		if (c->line_len == 0)
			c->input = UAPI_IN_REQUEST;
		break;
	case UAPI_IN_OVER: break;
	}
}

/* Judged by its beginning, as soon as it can't be a line of ours any more; its end is waited for, but not kept. */
static void refuse_long_line(struct uapi_client *c)
{
	if (c->input == UAPI_IN_REQUEST)
		c->input = UAPI_IN_OVER;
	else if (c->input == UAPI_IN_SET)
		refuse(c, memchr(c->line, '=', UAPI_LINE_MAX - 1) ? -EINVAL : -EPROTO);
	else if (c->input == UAPI_IN_GET)
		refuse(c, -EINVAL);
}

static void store(struct uapi_client *c, const uint8_t *p, size_t n)
{
	size_t room = UAPI_LINE_MAX - 1; /* for a NUL */
	bool was_long = c->line_len > room;
	if (c->line_len < room)
		memcpy(c->line + c->line_len, p, n < room - c->line_len ? n : room - c->line_len);
	c->line_len = n > room - (was_long ? room : c->line_len) ? room + 1 : c->line_len + n;
	if (c->line_len > room && !was_long)
		refuse_long_line(c);
}

static void end_line(struct uapi_client *c, struct fz_now now)
{
	if (c->line_len < UAPI_LINE_MAX)
		take_line(c, now);
	c->line_len = 0;
	fz_wipe(c->line, sizeof(c->line));
}

size_t uapi_client_feed(struct uapi_client *c, struct fz_now now, struct fz_bytes in)
{
	size_t used = 0;
	uapi_set_resume(c);
	while (used < in.n && uapi_client_want(c) == UAPI_WANT_INPUT) {
		const uint8_t *start = in.p + used;
		const uint8_t *newline = memchr(start, '\n', in.n - used);
		size_t n = newline ? (size_t)(newline - start) : in.n - used;
		if (n > 0)
			store(c, start, n);
		used += n;
		/* A long line is answered before its end is looked for. */
		if (newline && uapi_client_want(c) == UAPI_WANT_INPUT) {
			end_line(c, now);
			used++;
		}
	}
	return used;
}

void uapi_client_end(struct uapi_client *c)
{
	if (c->input == UAPI_IN_SET || c->input == UAPI_IN_GET)
		reply(c, -EIO);
	c->input = UAPI_IN_OVER;
}

struct uapi_question uapi_client_question(const struct uapi_client *c)
{
	fz_assert(c->is_asking);
	struct uapi_question q = c->question;
	q.zone = c->zone;
	return q;
}

void uapi_client_answer(struct uapi_client *c, struct fz_now now, int64_t answer)
{
	(void)now;
	fz_assert(c->is_asking);
	c->is_asking = false;
	uapi_set_resume(c);
	int r = 0;
	if (c->question.ask == UAPI_ASK_ZONE)
		r = uapi_set_zone(c, answer);
	else if (answer < 0)
		r = (int)answer;
	if (r < 0)
		refuse(c, r);
}

size_t uapi_client_output(struct uapi_client *c, struct fz_now now, struct fz_span out)
{
	fz_assert(out.n >= UAPI_OUTPUT_MIN);
	struct fz_writer w = fz_writer_of(out);
	if (c->reply == UAPI_REPLY_DUMP && uapi_dump_print(c, now, &w)) {
		uapi_dump_stop(&c->dump);
		c->reply = UAPI_REPLY_ERRNO;
		c->error = 0;
	}
	if (c->reply == UAPI_REPLY_ERRNO && w.cap - w.len >= 32) {
		fz_writer_format(&w, "errno=%d\n\n", c->error);
		c->reply = UAPI_REPLY_NONE;
	}
	fz_assert(!w.bad);
	return w.len;
}
