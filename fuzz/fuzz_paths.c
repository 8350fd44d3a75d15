/*
 * A device's paths under a script: datagrams from relays and strangers (signed where the script says so, else nothing would
 * ever get past the signature), candidates, authorizations, time. Nothing may crash or grow without bound, and poll and
 * take_event must come to an end.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "path/demux.h"
#include "path/paths.h"

#define MAX_STEPS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fz_ice_credentials creds[2] = { { "abcd", "0123456789abcdefghijkl" },
	{ "efgh", "lkjihgfedcba9876543210" } };

struct script {
	struct fz_paths *paths;
	struct fz_conn *conn;
	fz_time now;
	uint64_t rng;
	struct fz_stun_id last; /* transaction id of the last request sent */
	uint16_t last_method;
};

static void random_bytes(void *user, struct fz_span out)
{
	struct script *s = user;
	for (size_t i = 0; i < out.n; i++) {
		s->rng = s->rng * 6364136223846793005u + 1442695040888963407u;
		out.p[i] = (uint8_t)(s->rng >> 56);
	}
}

static struct fz_addr server(void)
{
	return (struct fz_addr){ .ip = fz_ip4(192, 0, 2, 1), .port = FZ_TURN_PORT };
}

static void drain(struct script *s)
{
	struct fz_paths_datagram d;
	struct fz_paths_event e;
	struct fz_stun m;
	for (unsigned budget = 2000; fz_paths_poll(s->paths, s->now, &d); budget--) {
		fz_assert(budget > 0 && d.pkt.n > 0);
		if (fz_stun_parse(d.pkt, &m) == FZ_STUN_OK && m.class == FZ_STUN_REQUEST) {
			s->last = m.id;
			s->last_method = m.method;
		}
	}
	for (unsigned budget = 500; fz_paths_take_event(s->paths, &e); budget--) {
		fz_assert(budget > 0);
		if (e.kind == FZ_PATHS_FAILED) {
			fz_paths_remove(s->paths, e.conn);
			s->conn = NULL;
		}
	}
}

/* The script's attributes in a message that is signed with the key the receiver wants. */
static size_t signed_message(struct script *s, struct fz_reader *r, uint8_t buf[static FZ_STUN_MAX])
{
	uint8_t kind = fz_reader_u8(r), key[16];
	struct fz_bytes attributes = fz_reader_take(r, fz_reader_u8(r) & 0x7cu);
	struct fz_writer w = fz_writer_of(fz_span_of(buf, FZ_STUN_MAX));
	bool is_relay = (kind & 4) != 0;
	fz_stun_begin(&w, (enum fz_stun_class)(kind & 3),
		is_relay ? s->last_method : FZ_STUN_BINDING, &s->last);
	if (!is_relay && (kind & 3) == FZ_STUN_REQUEST) {
		fz_stun_put(&w, FZ_STUN_USERNAME, fz_bytes_of("abcd:efgh", 9));
		fz_stun_put_u32(&w, FZ_STUN_PRIORITY, kind);
	}
	fz_writer_bytes(&w, attributes);
	fz_stun_long_term_key(
		fz_bytes_of("u", 1), fz_bytes_of_str(FZ_TURN_REALM), fz_bytes_of("p", 1), key);
	if (is_relay)
		fz_stun_put_integrity(&w, fz_bytes_of(key, sizeof(key)));
	else
		fz_stun_put_integrity(
			&w, fz_bytes_of_str(creds[(kind & 3) != FZ_STUN_REQUEST].password));
	return fz_stun_finish(&w);
}

static void receive(struct script *s, struct fz_reader *r, bool is_signed)
{
	uint8_t buf[FZ_STUN_MAX];
	struct fz_paths_rx rx;
	struct fz_addr local = { .ip = fz_ip4(10, 0, 0, 1), .port = 52625 };
	uint8_t from = fz_reader_u8(r);
	struct fz_addr remote = { .ip = fz_ip4(203, 0, 113, from), .port = from };
	if (from & 1)
		remote = server();
	struct fz_bytes pkt;
	if (is_signed)
		pkt = fz_bytes_of(buf, signed_message(s, r, buf));
	else
		pkt = fz_reader_take(r, fz_reader_u8(r));
	if (fz_paths_receive(s->paths, s->now, &local, &remote, pkt, &rx) == FZ_PATHS_WIREGUARD)
		fz_assert(rx.payload.n <= pkt.n);
}

static void add_candidate(struct script *s, struct fz_reader *r)
{
	char text[256];
	struct fz_bytes b = fz_reader_take(r, fz_reader_u8(r));
	if (b.n >= sizeof(text) || !s->conn)
		return;
	if (b.n > 0)
		memcpy(text, b.p, b.n);
	text[b.n] = '\0';
	(void)!fz_conn_add_candidate(s->conn, text, s->now);
}

static void authorize(struct script *s, uint8_t how)
{
	static const uint8_t public_key[FZ_KEY_LEN];
	struct fz_key psk = { { how & 1 } };
	struct fz_conn_params cp = { .id = "peer",
		.is_controlling = (how & 2) != 0,
		.local = &creds[0],
		.remote = &creds[1],
		.public_key = public_key,
		.preshared_key = &psk };
	(void)!fz_paths_upsert(s->paths, &cp, s->now, &s->conn);
}

static void step(struct script *s, struct fz_reader *r)
{
	switch (fz_reader_u8(r) % 8) {
	case 0: receive(s, r, false); break;
	case 1:
	case 2: receive(s, r, true); break;
	case 3: add_candidate(s, r); break;
	case 4: authorize(s, fz_reader_u8(r)); break;
	case 5: s->now = fz_time_add(s->now, FZ_MILLISECONDS(fz_reader_be16(r) * 16u)); break;
	case 6:
		if (s->conn)
			fz_conn_packet(s->conn, s->now);
		break;
	default:
		if (fz_time_reached(fz_paths_deadline(s->paths), s->now) &&
			!fz_time_is_never(fz_paths_deadline(s->paths)))
			s->now = fz_paths_deadline(s->paths);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script s;
	struct fz_reader r = fz_reader_of(fz_bytes_of(data, size));
	s = (struct script){ .now = { 1 }, .rng = size };
	struct fz_paths_params pp = { .random = random_bytes, .user = &s, .is_gateway = size % 2 };
	struct fz_paths_relay relay = {
		.id = "r", .v4 = server(), .username = "u", .password = "p"
	};
	struct fz_addr host = { .ip = fz_ip4(10, 0, 0, 1), .port = 52625 };
	s.paths = fz_paths_new(&pp);
	if (!s.paths || fz_paths_set_relay(s.paths, &relay, s.now) < 0 ||
		fz_paths_add_host(s.paths, &host, s.now) < 0)
		return 0;
	drain(&s);
	for (unsigned i = 0; i < MAX_STEPS && r.left > 0; i++) {
		step(&s, &r);
		drain(&s);
	}
	fz_paths_free(s.paths);
	return 0;
}
