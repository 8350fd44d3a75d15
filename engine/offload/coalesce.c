/*
 * Each packet is classified once. A candidate (whole, without IP options, with payload, of a protocol the TUN takes
 * merged) may extend the last item of its flow, found through a small direct-mapped table; what fails any comparison
 * starts an item of its own, and the older one takes no more. Anything of a flow that is no candidate closes that
 * flow's item, so nothing overtakes. Two flows that share a slot merely shorten each other's trains.
 * Payloads stay where they are: items are chains of packets until fz_coalesce_end lays out their iovecs.
 */
#include "offload/coalesce.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"
#include "offload/csum.h"
#include "offload/vnet.h"

#define IP4_LEN     20
#define IP6_LEN     40
#define TCP_LEN     20
#define UDP_LEN     8
#define IP_LEN_MAX  65535
#define TCP_ACK     0x010
#define TCP_PSH     0x008
#define TCP_CSUM    16
#define UDP_CSUM    6
#define N_SLOTS     64
#define HEADER_MAX  (IP6_LEN + 60)
#define HEADER_ROOM ((FZ_VNET_HDR_LEN + HEADER_MAX + 15) & ~15)
/* Only an item of two or more packets needs headers of its own. */
#define N_HEADERS   (FZ_COALESCE_PACKETS_MAX / 2)
#define NONE        UINT16_MAX

struct packet {
	struct fz_span bytes;
	uint16_t next; /* of the same item, or NONE */
	uint16_t header_len; /* of candidates */
};

/* An item while it grows. Its flow is read from its first packet's header. */
struct train {
	uint16_t first, last, n;
	uint16_t gso_size;
	uint32_t len; /* headers once, all payloads */
	uint32_t next_seq;
	uint8_t l4_at;
	uint8_t gso_type; /* 0: not a candidate */
	bool is_tcp, is_v6, is_open, is_verified, has_push;
};

struct fz_coalesce {
	unsigned caps;
	uint32_t n_packets, n_trains;
	uint16_t slot[N_SLOTS]; /* the train that a flow may extend, or NONE */
	uint8_t no_offload[FZ_VNET_HDR_LEN];
	struct packet packets[FZ_COALESCE_PACKETS_MAX];
	struct train trains[FZ_COALESCE_PACKETS_MAX];
	struct fz_coalesce_item items[FZ_COALESCE_PACKETS_MAX];
	/* A single is two, a merged item one and one per packet: never more than two per packet. */
	struct iovec iov[2 * FZ_COALESCE_PACKETS_MAX];
	uint8_t headers[N_HEADERS][HEADER_ROOM];
};

enum kind {
	KIND_OTHER, /* no order to keep */
	KIND_PAIR, /* part of some flow between two addresses: closes them all */
	KIND_CLOSES, /* of a known flow, not to be merged */
	KIND_CANDIDATE
};

/* What classification learnt about a packet. `ports_at` is its TCP or UDP header. */
struct candidate {
	struct fz_span bytes;
	uint32_t payload_len, seq;
	uint32_t ports_at;
	uint16_t header_len;
	uint8_t gso_type;
	bool is_tcp, is_v6, has_push;
};

struct fz_coalesce *fz_coalesce_new(void)
{
	return fz_new(struct fz_coalesce);
}

void fz_coalesce_free(struct fz_coalesce *c)
{
	free(c);
}

void fz_coalesce_begin(struct fz_coalesce *c, unsigned caps)
{
	c->caps = caps & FZ_COALESCE_VNET ? caps : 0;
	c->n_packets = c->n_trains = 0;
	memset(c->slot, 0xff, sizeof(c->slot));
}

static enum kind classify_tcp(struct candidate *k, uint32_t l4_len)
{
	const uint8_t *l4 = k->bytes.p + k->ports_at;
	if (l4_len < TCP_LEN)
		return KIND_CLOSES;
	uint16_t word = fz_be16_load(l4 + 12);
	uint32_t header_len = (uint32_t)(word >> 12) * 4, flags = word & 0xfff;
	if (header_len < TCP_LEN || header_len >= l4_len ||
		(flags | TCP_PSH) != (TCP_ACK | TCP_PSH))
		return KIND_CLOSES;
	k->seq = fz_be32_load(l4 + 4);
	k->has_push = flags & TCP_PSH;
	k->header_len = (uint16_t)(k->ports_at + header_len);
	k->payload_len = l4_len - header_len;
	return KIND_CANDIDATE;
}

static enum kind classify_udp(struct candidate *k, uint32_t l4_len)
{
	const uint8_t *l4 = k->bytes.p + k->ports_at;
	/* A merged datagram has a checksum, so one without must stay alone. */
	if (l4_len <= UDP_LEN || fz_be16_load(l4 + 4) != l4_len || fz_native16_load(l4 + 6) == 0)
		return KIND_CLOSES;
	k->header_len = (uint16_t)(k->ports_at + UDP_LEN);
	k->payload_len = l4_len - UDP_LEN;
	return KIND_CANDIDATE;
}

/* A flow is known from four bytes of ports on; `is_plain` says that nothing in the IP header forbids merging. */
static enum kind classify_l4(struct candidate *k, unsigned caps, uint8_t proto, bool is_plain)
{
	size_t n = k->bytes.n;
	if (proto != FZ_PROTO_TCP && proto != FZ_PROTO_UDP)
		return is_plain ? KIND_OTHER : KIND_PAIR;
	k->is_tcp = proto == FZ_PROTO_TCP;
	if (n < k->ports_at + UDP_LEN)
		return KIND_PAIR;
	unsigned cap = !k->is_tcp ? FZ_COALESCE_USO
		       : k->is_v6 ? FZ_COALESCE_TCP6
				  : FZ_COALESCE_TCP4;
	if (!(caps & cap))
		return KIND_OTHER;
	if (!is_plain)
		return KIND_CLOSES;
	k->gso_type = !k->is_tcp ? FZ_VNET_GSO_UDP : k->is_v6 ? FZ_VNET_GSO_TCP6 : FZ_VNET_GSO_TCP4;
	uint32_t l4_len = (uint32_t)n - k->ports_at;
	return k->is_tcp ? classify_tcp(k, l4_len) : classify_udp(k, l4_len);
}

static enum kind classify(struct candidate *k, unsigned caps)
{
	const uint8_t *p = k->bytes.p;
	size_t n = k->bytes.n;
	if (n < IP4_LEN || n > IP_LEN_MAX)
		return KIND_OTHER;
	if (p[0] >> 4 == 4) {
		k->ports_at = (uint32_t)(p[0] & 15) * 4;
		if (k->ports_at < IP4_LEN || (fz_be16_load(p + 6) & 0x3fff))
			return KIND_PAIR;
		return classify_l4(k, caps, p[9], p[0] == 0x45 && fz_be16_load(p + 2) == n);
	}
	if (p[0] >> 4 != 6 || n < IP6_LEN)
		return KIND_OTHER;
	k->is_v6 = true;
	k->ports_at = IP6_LEN;
	/* Behind an extension header anything may hide, a fragment of a datagram among them. */
	if (p[6] != FZ_PROTO_TCP && p[6] != FZ_PROTO_UDP && p[6] != FZ_PROTO_ICMPV6)
		return KIND_PAIR;
	return classify_l4(k, caps, p[6], fz_be16_load(p + 4) + (size_t)IP6_LEN == n);
}

static bool same_addresses(const uint8_t *a, const uint8_t *b, bool is_v6)
{
	return is_v6 ? memcmp(a + 8, b + 8, 32) == 0 : memcmp(a + 12, b + 12, 8) == 0;
}

static size_t slot_of(const struct candidate *k)
{
	const uint8_t *p = k->bytes.p;
	uint64_t h = fz_native32_load(p + k->ports_at);
	if (k->is_v6)
		h ^= fz_native64_load(p + 8) ^ fz_native64_load(p + 16) * 3 ^
		     fz_native64_load(p + 24) * 5 ^ fz_native64_load(p + 32) * 7;
	else
		h ^= fz_native64_load(p + 12) * 3;
	return (size_t)(h * 0x9e3779b97f4a7c15u >> 58);
}

/* The train of k's flow that may still grow, in k's slot. */
static struct train *find(struct fz_coalesce *c, const struct candidate *k, size_t slot)
{
	if (c->slot[slot] == NONE)
		return NULL;
	struct train *t = &c->trains[c->slot[slot]];
	const uint8_t *a = c->packets[t->first].bytes.p, *b = k->bytes.p;
	return t->is_tcp == k->is_tcp && t->is_v6 == k->is_v6 &&
			       fz_native32_load(a + t->l4_at) ==
				       fz_native32_load(b + k->ports_at) &&
			       same_addresses(a, b, k->is_v6)
		       ? t
		       : NULL;
}

/* Version, TOS or class and flow label, hop limit, fragment bits: what one IP header stands for in all segments. */
static bool same_ip(const struct train *t, const uint8_t *a, const uint8_t *b)
{
	if (t->is_v6)
		return fz_native32_load(a) == fz_native32_load(b) && a[7] == b[7];
	bool same = fz_native16_load(a) == fz_native16_load(b) &&
		    fz_native16_load(a + 6) == fz_native16_load(b + 6) && a[8] == b[8];
	/* Without DF the identification has a meaning: segments will be given consecutive ones (RFC 6864). */
	bool has_df = a[6] & 0x40;
	return same && (has_df || fz_be16_load(b + 4) == (uint16_t)(fz_be16_load(a + 4) + t->n));
}

/* Acknowledgement, header length, window, urgent pointer and every option byte are equal, and the sequence goes on. */
static bool continues(const struct train *t, const struct candidate *k, const uint8_t *a)
{
	const uint8_t *b = k->bytes.p + k->ports_at;
	size_t header_len = (size_t)k->header_len - k->ports_at;
	a += t->l4_at;
	return k->seq == t->next_seq && a[12] == b[12] &&
	       fz_native32_load(a + 8) == fz_native32_load(b + 8) &&
	       fz_native16_load(a + 14) == fz_native16_load(b + 14) &&
	       fz_native16_load(a + 18) == fz_native16_load(b + 18) &&
	       memcmp(a + TCP_LEN, b + TCP_LEN, header_len - TCP_LEN) == 0;
}

/* The checksums that merging would replace: of the IPv4 header and of the whole TCP or UDP packet. */
static bool is_intact(struct fz_span packet, bool is_v6, bool is_tcp, uint32_t l4_at)
{
	const uint8_t *p = packet.p;
	uint32_t l4_len = (uint32_t)packet.n - l4_at;
	uint8_t proto = is_tcp ? FZ_PROTO_TCP : FZ_PROTO_UDP;
	if (!is_v6 && fz_csum_finish(fz_csum_add(0, fz_bytes_of(p, IP4_LEN))) != 0)
		return false;
	uint64_t sum = is_v6 ? fz_csum_pseudo6(p + 8, proto, l4_len)
			     : fz_csum_pseudo4(p + 12, proto, l4_len);
	return fz_csum_finish(fz_csum_add(sum, fz_bytes_of(p + l4_at, l4_len))) == 0;
}

static bool fits(const struct fz_coalesce *c, const struct train *t, const struct candidate *k)
{
	const uint8_t *a = c->packets[t->first].bytes.p;
	return t->is_open && t->n < FZ_COALESCE_SEGMENTS_MAX && k->payload_len <= t->gso_size &&
	       t->len + k->payload_len <= IP_LEN_MAX && same_ip(t, a, k->bytes.p) &&
	       (!t->is_tcp || continues(t, k, a));
}

static void extend(struct fz_coalesce *c, struct train *t, const struct candidate *k, uint16_t i)
{
	c->packets[t->last].next = i;
	t->last = i;
	t->n++;
	t->len += k->payload_len;
	t->next_seq += k->payload_len;
	t->has_push = k->has_push;
	t->is_open = k->payload_len == t->gso_size && !k->has_push;
}

/* False: k needs a train of its own. */
static bool try_extend(
	struct fz_coalesce *c, struct train *t, const struct candidate *k, uint16_t i)
{
	if (!fits(c, t, k))
		return false;
	if (!t->is_verified) {
		t->is_verified = true;
		t->is_open = is_intact(c->packets[t->first].bytes, t->is_v6, t->is_tcp, t->l4_at);
		if (!t->is_open)
			return false;
	}
	/* A damaged one starts a train that will never grow: its own verification will fail. */
	if (!is_intact(k->bytes, k->is_v6, k->is_tcp, k->ports_at))
		return false;
	extend(c, t, k, i);
	return true;
}

static void start(struct fz_coalesce *c, const struct candidate *k, uint16_t i, size_t slot)
{
	bool may_grow = !k->has_push;
	c->slot[slot] = may_grow ? (uint16_t)c->n_trains : NONE;
	c->trains[c->n_trains++] = (struct train){ .first = i,
		.last = i,
		.n = 1,
		.gso_size = (uint16_t)k->payload_len,
		.len = (uint32_t)k->bytes.n,
		.next_seq = k->seq + k->payload_len,
		.l4_at = (uint8_t)k->ports_at,
		.gso_type = k->gso_type,
		.is_tcp = k->is_tcp,
		.is_v6 = k->is_v6,
		.is_open = may_grow };
}

static void start_plain(struct fz_coalesce *c, uint16_t i)
{
	c->trains[c->n_trains++] = (struct train){
		.first = i, .last = i, .n = 1, .len = (uint32_t)c->packets[i].bytes.n
	};
}

static void close_pair(struct fz_coalesce *c, const struct candidate *k)
{
	for (size_t s = 0; s < N_SLOTS; s++) {
		if (c->slot[s] == NONE)
			continue;
		const struct train *t = &c->trains[c->slot[s]];
		if (t->is_v6 == k->is_v6 &&
			same_addresses(c->packets[t->first].bytes.p, k->bytes.p, t->is_v6))
			c->slot[s] = NONE;
	}
}

bool fz_coalesce_add(struct fz_coalesce *c, struct fz_span packet)
{
	if (c->n_packets == FZ_COALESCE_PACKETS_MAX)
		return false;
	uint16_t i = (uint16_t)c->n_packets++;
	c->packets[i] = (struct packet){ .bytes = packet, .next = NONE };
	struct candidate k = { .bytes = packet };
	enum kind kind = c->caps ? classify(&k, c->caps) : KIND_OTHER;
	c->packets[i].header_len = k.header_len;
	if (kind == KIND_OTHER || kind == KIND_PAIR) {
		if (kind == KIND_PAIR)
			close_pair(c, &k);
		start_plain(c, i);
		return true;
	}
	size_t slot = slot_of(&k);
	struct train *t = find(c, &k, slot);
	if (kind == KIND_CLOSES) {
		if (t)
			c->slot[slot] = NONE;
		start_plain(c, i);
		return true;
	}
	if (!t || !try_extend(c, t, &k, i))
		start(c, &k, i, slot);
	return true;
}

/* The vnet header and one set of headers for all segments. */
static void write_headers(const struct fz_coalesce *c, const struct train *t, uint8_t *out)
{
	const struct packet *a = &c->packets[t->first];
	uint32_t l4_len = t->len - t->l4_at;
	struct fz_vnet_hdr vnet = { .flags = FZ_VNET_NEEDS_CSUM,
		.gso_type = t->gso_type,
		.hdr_len = a->header_len,
		.gso_size = t->gso_size,
		.csum_start = t->l4_at,
		.csum_offset = t->is_tcp ? TCP_CSUM : UDP_CSUM };
	memcpy(out, &vnet, sizeof(vnet));
	uint8_t *ip = out + FZ_VNET_HDR_LEN, *l4 = ip + t->l4_at;
	memcpy(ip, a->bytes.p, a->header_len);
	uint64_t sum;
	if (t->is_v6) {
		fz_be16_store(ip + 4, (uint16_t)l4_len);
		sum = fz_csum_pseudo6(ip + 8, ip[6], l4_len);
	} else {
		fz_be16_store(ip + 2, (uint16_t)t->len);
		fz_native16_store(ip + 10, 0);
		fz_native16_store(
			ip + 10, fz_csum_finish(fz_csum_add(0, fz_bytes_of(ip, IP4_LEN))));
		sum = fz_csum_pseudo4(ip + 12, ip[9], l4_len);
	}
	if (!t->is_tcp)
		fz_be16_store(l4 + 4, (uint16_t)l4_len);
	else if (t->has_push)
		l4[13] |= TCP_PSH;
	fz_native16_store(l4 + vnet.csum_offset, fz_csum_fold(sum));
}

static struct iovec iovec_of(uint8_t *p, size_t n)
{
	return (struct iovec){ .iov_base = p, .iov_len = n };
}

static uint32_t lay_out_merged(
	struct fz_coalesce *c, const struct train *t, struct iovec *iov, uint8_t *header)
{
	uint32_t n = 0;
	write_headers(c, t, header);
	iov[n++] = iovec_of(header, (size_t)FZ_VNET_HDR_LEN + c->packets[t->first].header_len);
	for (uint16_t i = t->first; i != NONE; i = c->packets[i].next) {
		const struct packet *p = &c->packets[i];
		iov[n++] = iovec_of(p->bytes.p + p->header_len, p->bytes.n - p->header_len);
	}
	return n;
}

static uint32_t lay_out_single(
	struct fz_coalesce *c, struct fz_span packet, size_t vnet_len, struct iovec *iov)
{
	uint32_t n = 0;
	if (vnet_len > 0 && c->caps & FZ_COALESCE_HEADROOM) {
		packet.p -= vnet_len;
		packet.n += vnet_len;
		memset(packet.p, 0, vnet_len);
	} else if (vnet_len > 0) {
		iov[n++] = iovec_of(c->no_offload, vnet_len);
	}
	iov[n++] = iovec_of(packet.p, packet.n);
	return n;
}

size_t fz_coalesce_end(struct fz_coalesce *c)
{
	struct iovec *iov = c->iov;
	size_t n_headers = 0, vnet_len = c->caps ? FZ_VNET_HDR_LEN : 0;
	for (size_t i = 0; i < c->n_trains; i++) {
		const struct train *t = &c->trains[i];
		uint32_t n = 0;
		if (t->n > 1) {
			n = lay_out_merged(c, t, iov, c->headers[n_headers++]);
		} else {
			n = lay_out_single(c, c->packets[t->first].bytes, vnet_len, iov);
		}
		c->items[i] = (struct fz_coalesce_item){ .iov = iov,
			.n_iov = n,
			.n_packets = t->n,
			.len = t->len + (uint32_t)vnet_len };
		iov += n;
	}
	return c->n_trains;
}

const struct fz_coalesce_item *fz_coalesce_item(const struct fz_coalesce *c, size_t i)
{
	fz_assert(i < c->n_trains);
	return &c->items[i];
}

struct fz_bytes fz_coalesce_packet(const struct fz_coalesce *c, size_t i, size_t k)
{
	fz_assert(i < c->n_trains && k < c->trains[i].n);
	uint16_t at = c->trains[i].first;
	while (k-- > 0)
		at = c->packets[at].next;
	return fz_span_bytes(c->packets[at].bytes);
}

struct fz_bytes fz_coalesce_no_offload(void)
{
	static const uint8_t zero[FZ_VNET_HDR_LEN];
	return fz_bytes_of(zero, sizeof(zero));
}
