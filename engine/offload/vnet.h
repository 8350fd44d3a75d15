/*
 * struct virtio_net_hdr as a TUN with IFF_VNET_HDR and its default header size of 10 speaks it (virtio 1.1, 5.1.6;
 * Linux tuntap.rst): it stands before every packet read and written, in native byte order. A plain value. The USO
 * names are ours because headers before Linux 6.2 lack them.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define FZ_VNET_HDR_LEN 10

/* Copied in and out with memcpy; a frame has no alignment. */
struct fz_vnet_hdr {
	uint8_t flags; /* FZ_VNET_NEEDS_CSUM, FZ_VNET_DATA_VALID */
	uint8_t gso_type; /* FZ_VNET_GSO_*, maybe with FZ_VNET_GSO_ECN */
	uint16_t hdr_len; /* a hint, not to be trusted on read */
	uint16_t gso_size; /* payload bytes per segment */
	uint16_t csum_start; /* where the TCP or UDP header starts, from the IP header */
	uint16_t csum_offset; /* of the checksum field from there: 16 TCP, 6 UDP */
};

static_assert(sizeof(struct fz_vnet_hdr) == FZ_VNET_HDR_LEN, "ten bytes on the TUN");
static_assert(offsetof(struct fz_vnet_hdr, hdr_len) == 2, "hdr_len at 2");
static_assert(offsetof(struct fz_vnet_hdr, csum_offset) == 8, "csum_offset at 8");

#define FZ_VNET_NEEDS_CSUM 0x01
#define FZ_VNET_DATA_VALID 0x02

#define FZ_VNET_GSO_NONE 0
#define FZ_VNET_GSO_TCP4 1
#define FZ_VNET_GSO_TCP6 4
#define FZ_VNET_GSO_UDP  5 /* UDP_L4: USO, for IPv4 and IPv6 */
#define FZ_VNET_GSO_ECN  0x80

/* TUNSETOFFLOAD bits. Linux takes both USO bits or none, and no segmentation without CSUM. */
#define FZ_TUN_CSUM    0x01u
#define FZ_TUN_TSO4    0x02u
#define FZ_TUN_TSO6    0x04u
#define FZ_TUN_TSO_ECN 0x08u
#define FZ_TUN_USO4    0x20u
#define FZ_TUN_USO6    0x40u

/* The longest frame a TUN with these offloads gives, and one byte more to notice a longer one. */
#define FZ_VNET_FRAME_MAX (FZ_VNET_HDR_LEN + 65535)
