/* Candidate text and priorities: RFC 8839 5.1, RFC 8445 5.1.2 and 6.1.2.3, with Firezone's numbers. */
#include "path/candidate.h"

#include <errno.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/err.h"

#define PREFIX         "candidate:"
#define WORD_MAX       64
#define FOUNDATION_MAX 32 /* RFC 8839 5.1: 1*32ice-char */

static const char *const names[FZ_CANDIDATE_KIND_COUNT_] = {
	[FZ_CANDIDATE_HOST] = "host",
	[FZ_CANDIDATE_PRFLX] = "prflx",
	[FZ_CANDIDATE_SRFLX] = "srflx",
	[FZ_CANDIDATE_RELAY] = "relay",
};

/* RFC 8445 5.1.2.1; relay is 2 in Firezone. */
static const uint8_t type_preference[FZ_CANDIDATE_KIND_COUNT_] = {
	[FZ_CANDIDATE_HOST] = 126,
	[FZ_CANDIDATE_PRFLX] = 110,
	[FZ_CANDIDATE_SRFLX] = 100,
	[FZ_CANDIDATE_RELAY] = 2,
};

/* Local preference of the first IPv6 candidate of a kind; the kinds have a quarter of the range each. */
static const uint16_t first_local_preference[FZ_CANDIDATE_KIND_COUNT_] = {
	[FZ_CANDIDATE_HOST] = 65535,
	[FZ_CANDIDATE_PRFLX] = 49151,
	[FZ_CANDIDATE_SRFLX] = 32767,
	[FZ_CANDIDATE_RELAY] = 16383,
};
#define LOCAL_PREFERENCE_RANGE 16384u
#define CROSSING_COST          1000u

const char *fz_candidate_kind_name(enum fz_candidate_kind kind)
{
	return kind < FZ_CANDIDATE_KIND_COUNT_ ? names[kind] : "unknown";
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* The next word, NUL-terminated in `word`; false at the end of the text, or if the word is too long for any of ours. */
static bool next_word(const char **at, char word[static WORD_MAX])
{
	const char *p = *at;
	while (*p == ' ')
		p++;
	size_t n = strcspn(p, " ");
	if (n == 0 || n >= WORD_MAX)
		return false;
	memcpy(word, p, n);
	word[n] = '\0';
	*at = p + n;
	return true;
}

static bool next_number(const char **at, uint64_t max, uint64_t *ret)
{
	char word[WORD_MAX];
	return next_word(at, word) && fz_parse_uint(word, max, ret) == 0;
}

static bool next_addr(const char **at, struct fz_addr *ret)
{
	char word[WORD_MAX];
	struct fz_addr a = { .scope = 0 };
	uint64_t port;
	if (!next_word(at, word) || fz_ip_parse(word, &a.ip) < 0 ||
		!next_number(at, UINT16_MAX, &port))
		return false;
	a.port = (uint16_t)port;
	*ret = a;
	return true;
}

static bool next_kind(const char **at, enum fz_candidate_kind *ret)
{
	char word[WORD_MAX];
	if (!next_word(at, word) || strcmp(word, "typ") != 0 || !next_word(at, word))
		return false;
	for (unsigned k = 0; k < FZ_CANDIDATE_KIND_COUNT_; k++) {
		if (strcmp(word, names[k]) == 0) {
			*ret = (enum fz_candidate_kind)k;
			return true;
		}
	}
	return false;
}

/* "raddr <ip> rport <port>" among any other pairs; a broken one is as good as none. */
static void read_base(const char *at, struct fz_addr *ret)
{
	char name[WORD_MAX], value[WORD_MAX];
	struct fz_addr a = { .scope = 0 };
	uint64_t port = 0;
	while (next_word(&at, name) && next_word(&at, value)) {
		if (strcmp(name, "raddr") == 0 && fz_ip_parse(value, &a.ip) < 0)
			return;
		if (strcmp(name, "rport") == 0 && fz_parse_uint(value, UINT16_MAX, &port) < 0)
			return;
	}
	a.port = (uint16_t)port;
	if (fz_candidate_is_reachable(&a))
		*ret = a;
}

int fz_candidate_parse(const char *text, struct fz_candidate *ret_candidate)
{
	struct fz_candidate c = { .kind = FZ_CANDIDATE_HOST };
	char word[WORD_MAX];
	uint64_t component, priority;
	const char *at = text + strlen(PREFIX);
	if (strnlen(text, FZ_CANDIDATE_TEXT_LEN) >= FZ_CANDIDATE_TEXT_LEN)
		return -EINVAL;
	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return -EINVAL;
	if (!next_word(&at, word) || strlen(word) > FOUNDATION_MAX)
		return -EINVAL;
	if (!next_number(&at, 256, &component) || component != 1)
		return -EINVAL;
	if (!next_word(&at, word) || strcasecmp(word, "udp") != 0)
		return -EINVAL;
	if (!next_number(&at, UINT32_MAX, &priority) || !next_addr(&at, &c.addr))
		return -EINVAL;
	if (!next_kind(&at, &c.kind) || !fz_candidate_is_reachable(&c.addr))
		return -EINVAL;
	c.priority = (uint32_t)priority;
	read_base(at, &c.base);
	*ret_candidate = c;
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* Candidates of one kind, base address and IP version share a foundation (RFC 8445 5.1.1.3); FNV-1a names it. */
static uint32_t foundation_of(const struct fz_candidate *c)
{
	const struct fz_ip *base = c->base.ip.family != FZ_NO_FAMILY ? &c->base.ip : &c->addr.ip;
	uint32_t h = (2166136261u ^ (uint32_t)c->kind) * 16777619u;
	h = (h ^ c->addr.ip.family) * 16777619u;
	for (size_t i = 0; i < fz_ip_len(base); i++)
		h = (h ^ base->b[i]) * 16777619u;
	return h;
}

int fz_candidate_format(const struct fz_candidate *c, const char *ufrag,
	char ret_text[static FZ_CANDIDATE_TEXT_LEN])
{
	char ip[FZ_IP_TEXT_LEN], text[FZ_CANDIDATE_TEXT_LEN];
	struct fz_writer w = fz_writer_of(fz_span_of(text, sizeof(text)));
	fz_writer_format(&w, PREFIX "%08x 1 udp %u %s %u typ %s", foundation_of(c), c->priority,
		fz_ip_format(&c->addr.ip, ip), c->addr.port, fz_candidate_kind_name(c->kind));
	if (c->kind != FZ_CANDIDATE_HOST)
		fz_writer_format(
			&w, " raddr %s rport 0", c->addr.ip.family == FZ_IP4 ? "0.0.0.0" : "::");
	fz_writer_format(&w, " ufrag %s", ufrag);
	fz_writer_u8(&w, 0);
	if (w.bad)
		return FZ_ERR_LIMIT;
	memcpy(ret_text, text, w.len);
	return 0;
}

/* ---- meaning ------------------------------------------------------------------------------------------------- */

static bool is_unicast4(const uint8_t *b)
{
	return b[0] != 0 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
}

static bool is_unicast6(const struct fz_ip *ip)
{
	static const struct fz_ip none = { .family = FZ_IP6 };
	bool is_link_local = ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
	return ip->b[0] != 0xff && !is_link_local && !fz_ip_equal(ip, &none);
}

bool fz_candidate_is_reachable(const struct fz_addr *a)
{
	if (a->port == 0 || a->ip.family == FZ_NO_FAMILY)
		return false;
	return a->ip.family == FZ_IP4 ? is_unicast4(a->ip.b) : is_unicast6(&a->ip);
}

uint32_t fz_candidate_priority(
	enum fz_candidate_kind kind, enum fz_family family, uint32_t nth, bool crosses_family)
{
	uint32_t below = (family == FZ_IP4 ? 1u : 0u) + (crosses_family ? CROSSING_COST : 0u);
	uint32_t room = LOCAL_PREFERENCE_RANGE - 1 - below;
	below += nth > room / 2 ? room / 2 * 2 : nth * 2;
	uint32_t local = first_local_preference[kind] - below;
	return (uint32_t)type_preference[kind] << 24 | local << 8 | 255u;
}

uint32_t fz_candidate_prflx_priority(uint32_t priority)
{
	return (uint32_t)type_preference[FZ_CANDIDATE_PRFLX] << 24 | (priority & 0x00ffffffu);
}

uint64_t fz_candidate_pair_priority(uint32_t controlling, uint32_t controlled)
{
	uint64_t low = controlling < controlled ? controlling : controlled;
	uint64_t high = controlling < controlled ? controlled : controlling;
	return (low << 32) + 2 * high + (controlling > controlled ? 1 : 0);
}
