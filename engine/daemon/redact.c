/* Replaces word by word. A word begins where a letter or digit follows something else, and ends likewise. */
#include "daemon/redact.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/alloc.h"
#include "base/err.h"

#define WORDS_MAX 8192
#define WORD_MIN  2
#define IPS_MAX   4096

struct word {
	char *text;
	size_t len;
	enum fz_redact kind;
	unsigned number;
	struct word *next; /* with the same first byte */
};

struct fz_redactor {
	unsigned what;
	struct word *words[256];
	size_t n_words;
	unsigned n_names;
	struct fz_ip *ips;
	size_t n_ips;
};

void fz_redactor_free(struct fz_redactor *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < FZ_ARRAY_LEN(r->words); i++) {
		for (struct word *w = r->words[i], *next; w; w = next) {
			next = w->next;
			free(w->text);
			free(w);
		}
	}
	free(r->ips);
	free(r);
}

struct fz_redactor *fz_redactor_new_maybe(unsigned what)
{
	struct fz_redactor *r = fz_new(struct fz_redactor);
	if (!r)
		return NULL;
	r->what = what;
	r->ips = fz_new_array(struct fz_ip, IPS_MAX);
	if (!r->ips) {
		fz_redactor_free(r);
		return NULL;
	}
	return r;
}

int fz_redactor_add(struct fz_redactor *r, enum fz_redact kind, const char *text)
{
	size_t len = strlen(text);
	struct word **slot = &r->words[(unsigned char)text[0]];
	if (!(r->what & kind) || len < WORD_MIN)
		return 0;
	/* Longer ones first: "web" must not break "web server". */
	while (*slot && (*slot)->len >= len) {
		if (strcmp((*slot)->text, text) == 0)
			return 0;
		slot = &(*slot)->next;
	}
	if (r->n_words == WORDS_MAX)
		return FZ_ERR_LIMIT;
	struct word *w = fz_new(struct word);
	char *copy = fz_strdup(text);
	if (!w || !copy) {
		free(w);
		free(copy);
		return -ENOMEM;
	}
	*w = (struct word){ .text = copy,
		.len = len,
		.kind = kind,
		.number = kind == FZ_REDACT_NAMES ? ++r->n_names : 0,
		.next = *slot };
	*slot = w;
	r->n_words++;
	return 0;
}

static bool is_word_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c >= 0x80;
}

static bool is_ip_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
	       c == ':' || c == '.';
}

/* The length of the longest address at the start of the text; 0 if there is none. */
static size_t find_ip(struct fz_bytes text, struct fz_ip *ret_ip)
{
	char buf[FZ_IP_TEXT_LEN];
	size_t n = 0;
	while (n < text.n && n < sizeof(buf) - 1 && is_ip_char(text.p[n]))
		n++;
	/* "192.0.2.1:443" and "2001:db8::1." end in something else: cut piece by piece. */
	while (n > 2) {
		memcpy(buf, text.p, n);
		buf[n] = '\0';
		if (fz_ip_parse(buf, ret_ip) == 0)
			return n;
		do
			n--;
		while (n > 2 && text.p[n] != ':' && text.p[n] != '.');
	}
	return 0;
}

static size_t number_of(struct fz_redactor *r, const struct fz_ip *ip)
{
	for (size_t i = 0; i < r->n_ips; i++) {
		if (fz_ip_equal(&r->ips[i], ip))
			return i + 1;
	}
	if (r->n_ips < IPS_MAX)
		r->ips[r->n_ips++] = *ip;
	return r->n_ips;
}

static const struct word *find_word(const struct fz_redactor *r, struct fz_bytes text)
{
	for (const struct word *w = r->words[text.p[0]]; w; w = w->next) {
		if (w->len <= text.n && memcmp(text.p, w->text, w->len) == 0 &&
			(w->len == text.n || !is_word_char(text.p[w->len])))
			return w;
	}
	return NULL;
}

/* How much of the text's start `out` stands for. 0: nothing is to be replaced. */
static size_t replace(struct fz_redactor *r, struct fz_bytes text, char *ret_out, size_t cap)
{
	struct fz_ip ip;
	const struct word *w = find_word(r, text);
	if (w) {
		if (w->kind == FZ_REDACT_SLUG)
			snprintf(ret_out, cap, "account");
		else
			snprintf(ret_out, cap, "name-%u", w->number);
		return w->len;
	}
	if (!(r->what & FZ_REDACT_IPS) || !is_ip_char(text.p[0]))
		return 0;
	size_t n = find_ip(text, &ip);
	if (n)
		snprintf(ret_out, cap, "ipv%u-%zu", ip.family, number_of(r, &ip));
	return n;
}

int fz_redactor_run(struct fz_redactor *r, struct fz_bytes text, struct fz_bytebuf *out)
{
	size_t from = 0;
	bool is_inside = false;
	for (size_t i = 0; i < text.n;) {
		char word[32];
		struct fz_bytes rest = fz_bytes_of(text.p + i, text.n - i);
		size_t n = is_inside ? 0 : replace(r, rest, word, sizeof(word));
		if (n == 0) {
			is_inside = is_word_char(text.p[i]);
			i++;
			continue;
		}
		int e = fz_bytebuf_append(out, fz_bytes_of(text.p + from, i - from));
		if (e == 0)
			e = fz_bytebuf_append(out, fz_bytes_of_str(word));
		if (e < 0)
			return e;
		i += n;
		from = i;
		is_inside = false;
	}
	return fz_bytebuf_append(out, fz_bytes_of(text.p + from, text.n - from));
}
