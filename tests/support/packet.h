/*
 * TCP and UDP packets for tests of the offload code, with an own, plain checksum (one byte after the other), so that
 * nothing is checked against itself. Payload bytes follow from the position in the stream, so that a lost or swapped
 * byte shows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_PACKET_MAX 65600

struct test_packet {
	bool is_v6, is_udp;
	uint8_t tos, ttl; /* ttl 0: 64 */
	uint16_t id, fragment; /* IPv4; 0x4000 is DF */
	uint32_t flow_label;
	uint8_t src, dst; /* last byte of the addresses */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t flags; /* TCP: 0 stands for ACK */
	uint16_t window, urgent;
	uint8_t options[40], options_len; /* TCP; a multiple of 4 */
	uint8_t ip_options_len; /* IPv4; a multiple of 4 */
	uint32_t payload_len;
	bool has_no_csum; /* UDP */
};

#define TEST_FIN 0x001
#define TEST_SYN 0x002
#define TEST_RST 0x004
#define TEST_PSH 0x008
#define TEST_ACK 0x010
#define TEST_URG 0x020
#define TEST_ECE 0x040
#define TEST_CWR 0x080

/* Writes the packet, complete; returns its length. `out` has TEST_PACKET_MAX bytes. */
size_t test_packet_write(const struct test_packet *t, uint8_t *out);
/* The byte at `offset` of a stream. */
uint8_t test_packet_payload(uint32_t offset);
/* Are all lengths and checksums right? (TCP and UDP without extension headers.) */
bool test_packet_is_whole(const uint8_t *p, size_t n);
/* Finishes both checksums after a change; the IP and UDP lengths stay. */
void test_packet_finish(uint8_t *p, size_t n);
/*
 * The frame a kernel would give for it: vnet header, partial checksum; gso_size 0 asks for a single packet. Returns
 * its length; `out` has ten bytes more.
 */
size_t test_packet_write_frame(const struct test_packet *t, uint16_t gso_size, uint8_t *out);
/* Where the TCP or UDP header starts (no extension headers). */
size_t test_packet_l4_at(const uint8_t *p);
