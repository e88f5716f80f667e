/* SPDX-License-Identifier: BSD-3-Clause */
/* IP packets for tests, and checksums computed the slow and obvious way. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ends.h"

/* What a TCP or UDP frame is to look like. */
struct packet {
	unsigned dst, src; /* for put_mac() */
	int vid;	   /* < 0: untagged */
	bool v6;
	bool udp;
	unsigned ip_extra;  /* bytes of IPv4 options or IPv6 extension headers, a multiple of 8 */
	unsigned tcp_extra; /* bytes of TCP options, a multiple of 4 */
	unsigned payload;
	uint8_t tcp_flags;
	unsigned port; /* source port */
};

/* Where things are in a frame. */
struct layout {
	size_t l3, l4, payload, len;
};

/* The one's complement sum of big-endian words, as in RFC 1071. */
static inline uint16_t slow_sum(const uint8_t *p, size_t len, uint32_t start)
{
	uint64_t sum = start;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint16_t slow_pseudo(const uint8_t *ip, bool v6, unsigned proto, size_t len)
{
	uint32_t start = proto + (uint32_t)(len & 0xffff) + (uint32_t)(len >> 16);

	return v6 ? slow_sum(ip + 8, 32, start) : slow_sum(ip + 12, 8, start);
}

/* Writes the frame; with `partial` the checksum is the pseudo header's sum only. */
static inline struct layout make_packet(uint8_t *p, const struct packet *k, bool partial)
{
	unsigned proto = k->udp ? 17 : 6;
	struct layout l;
	size_t l4_len;
	uint16_t sum;
	uint8_t *ip, *th;

	memset(p, 0, 256);
	put_mac(p, k->dst);
	put_mac(p + 6, k->src);
	l.l3 = 14;
	if (k->vid >= 0) {
		net_put_be16(p + 12, NET_ETHERTYPE_VLAN);
		net_put_be16(p + 14, (unsigned)k->vid);
		l.l3 = 18;
	}
	net_put_be16(p + l.l3 - 2, k->v6 ? NET_ETHERTYPE_IPV6 : NET_ETHERTYPE_IPV4);
	l.l4 = l.l3 + (k->v6 ? 40 : 20) + k->ip_extra;
	l.payload = l.l4 + (k->udp ? 8 : 20 + k->tcp_extra);
	l.len = l.payload + k->payload;
	l4_len = l.len - l.l4;
	ip = p + l.l3;
	th = p + l.l4;
	if (k->v6) {
		ip[0] = 0x60;
		net_put_be16(ip + 4, (uint32_t)(l4_len + k->ip_extra));
		ip[6] = k->ip_extra ? 60 : (uint8_t)proto;
		ip[7] = 64;
		memcpy(ip + 8,
			"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
		if (k->ip_extra) { /* destination options, padded */
			ip[40] = (uint8_t)proto;
			ip[41] = (uint8_t)(k->ip_extra / 8 - 1);
			ip[42] = 1;
			ip[43] = (uint8_t)(k->ip_extra - 4);
		}
	} else {
		ip[0] = (uint8_t)(0x40 | (5 + k->ip_extra / 4));
		net_put_be16(ip + 2, (uint32_t)(l.len - l.l3));
		net_put_be16(ip + 4, 0xfffe); /* the id wraps */
		ip[8] = 64;
		ip[9] = (uint8_t)proto;
		memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
		memset(ip + 20, 1, k->ip_extra);
		net_put_be16(ip + 10, (uint16_t)~slow_sum(ip, l.l4 - l.l3, 0));
	}
	net_put_be16(th, k->port ? k->port : 1000);
	net_put_be16(th + 2, 2000);
	if (k->udp) {
		net_put_be16(th + 4, (uint32_t)l4_len);
	} else {
		memcpy(th + 4, "\xff\xff\xff\0", 4); /* the sequence number wraps */
		th[12] = (uint8_t)((5 + k->tcp_extra / 4) << 4);
		th[13] = k->tcp_flags;
		memset(th + 20, 1, k->tcp_extra);
	}
	for (size_t i = l.payload; i < l.len; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8));
	sum = slow_pseudo(ip, k->v6, proto, l4_len);
	if (!partial)
		sum = (uint16_t)~slow_sum(th, l4_len, sum);
	net_put_be16(th + (k->udp ? 6 : 16), sum);
	return l;
}

/* True if the transport checksum, and the IPv4 header's, are right. */
static inline bool checksums_ok(const uint8_t *p, size_t l3, size_t l4, size_t len)
{
	bool v6 = p[l3] >> 4 == 6;
	unsigned proto = v6 ? (l4 - l3 > 40 ? p[l3 + 40] : p[l3 + 6]) : p[l3 + 9];

	if (!v6 && slow_sum(p + l3, l4 - l3, 0) != 0xffff)
		return false;
	return slow_sum(p + l4, len - l4, slow_pseudo(p + l3, v6, proto, len - l4)) == 0xffff;
}
