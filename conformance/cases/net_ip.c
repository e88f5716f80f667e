/* SPDX-License-Identifier: BSD-3-Clause */
/* IP packets with TCP and UDP for the cases of the network device's offloads. */
#include "conformance/cases/net_nic.h"

#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define TCP_LEN	 20u
#define UDP_LEN	 8u

#define PROTO_TCP 6u
#define PROTO_UDP 17u

#define IPV4_AT_ID   4u
#define IPV4_AT_CSUM 10u

#define HDR_MIN 54u /* the shortest headers of a TCP frame */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint16_t ip_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i + 1 < len; i += 2) {
		sum += get16(p + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t l4_len(const struct net_ip *p)
{
	return p->udp ? UDP_LEN : TCP_LEN;
}

uint16_t ip_csum_start(const struct net_ip *p)
{
	return (uint16_t)(ETH_LEN + (p->v6 ? IPV6_LEN : IPV4_LEN));
}

uint16_t ip_csum_offset(const struct net_ip *p)
{
	return p->udp ? 6 : 16;
}

uint32_t ip_headers(const struct net_ip *p)
{
	return ip_csum_start(p) + l4_len(p);
}

static void make_ipv4(uint8_t *ip, const struct net_ip *p)
{
	static const uint8_t header[IPV4_LEN] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0, 192, 0,
		2, 1, 192, 0, 2, 2 };

	cf_copy(ip, header, IPV4_LEN);
	put16(ip + 2, IPV4_LEN + l4_len(p) + p->len);
	put16(ip + IPV4_AT_ID, p->id);
	ip[9] = p->udp ? PROTO_UDP : PROTO_TCP;
	put16(ip + IPV4_AT_CSUM, (uint16_t)~ip_sum(0, ip, IPV4_LEN));
}

static void make_ipv6(uint8_t *ip, const struct net_ip *p)
{
	static const uint8_t header[8] = { 0x60, 0, 0, 0, 0, 0, 0, 64 };

	cf_copy(ip, header, 8);
	put16(ip + 4, l4_len(p) + p->len);
	ip[6] = p->udp ? PROTO_UDP : PROTO_TCP;
	for (unsigned i = 0; i < 32; i++)
		ip[8 + i] = (uint8_t)(i % 16 ? i : 0xfd);
}

static void make_tcp(uint8_t *tcp, const struct net_ip *p)
{
	cf_fill(tcp, 0, TCP_LEN);
	put16(tcp, 40000);
	put16(tcp + 2, 5001);
	put16(tcp + 4, p->seq >> 16);
	put16(tcp + 6, p->seq);
	put16(tcp + 8, 0x1234);
	put16(tcp + 10, 0x5678);
	tcp[12] = (TCP_LEN / 4) << 4;
	tcp[13] = p->flags;
	put16(tcp + 14, 0x7000);
}

static void make_udp(uint8_t *udp, const struct net_ip *p)
{
	put16(udp, 40000);
	put16(udp + 2, 5001);
	put16(udp + 4, UDP_LEN + p->len);
	put16(udp + 6, 0);
}

/* The pseudo header (RFC 9293, 3.1; RFC 8200, 8.1). */
static uint16_t pseudo_sum(const uint8_t *ip, const struct net_ip *p)
{
	uint32_t sum = (p->udp ? PROTO_UDP : PROTO_TCP) + l4_len(p) + p->len;

	return p->v6 ? ip_sum(sum, ip + 8, 32) : ip_sum(sum, ip + 12, 8);
}

uint32_t ip_make(uint8_t *frame, const struct net_ip *p)
{
	uint8_t *ip = frame + ETH_LEN, *l4 = frame + ip_csum_start(p), *data = l4 + l4_len(p);
	uint8_t *csum = l4 + ip_csum_offset(p);
	uint16_t sum;

	cf_copy(frame, p->dst, 6);
	cf_copy(frame + 6, p->src, 6);
	put16(frame + 12, p->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	if (p->v6)
		make_ipv6(ip, p);
	else
		make_ipv4(ip, p);
	if (p->udp)
		make_udp(l4, p);
	else
		make_tcp(l4, p);
	for (uint32_t i = 0; i < p->len; i++)
		data[i] = (uint8_t)((p->at + i) * 13 + ((p->at + i) >> 8) * 5);
	sum = pseudo_sum(ip, p);
	if (!p->partial) {
		sum = (uint16_t)~ip_sum(sum, l4, l4_len(p) + p->len);
		if (p->udp && !sum)
			sum = 0xffff; /* zero means none (RFC 768) */
	}
	put16(csum, sum);
	return ip_headers(p) + p->len;
}

uint8_t *ip_packet(struct cf *c, const struct net_ip *p, uint16_t gso_size)
{
	uint8_t *packet = nic_packet(c, ip_headers(p) + p->len);
	struct net_hdr h = { 0 };

	if (!packet)
		return NULL;
	if (p->partial) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = ip_csum_start(p);
		h.csum_offset = ip_csum_offset(p);
		h.hdr_len = (uint16_t)ip_headers(p);
	}
	if (gso_size) {
		h.gso_type = p->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h.gso_size = gso_size;
	}
	cf_copy(packet, &h, NET_HDR_LEN);
	ip_make(packet + NET_HDR_LEN, p);
	return packet;
}

/* The header of an unsegmented frame says what the sender said (5.1.9.4.1). */
static bool check_gso(struct nic *n, const struct net_ip *part, uint16_t mss)
{
	uint8_t type = part->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;

	if (part->flags & TCP_CWR)
		type |= VIRTIO_NET_HDR_GSO_ECN;
	return cf_eq(n->c, n->hdr.gso_type, type, "gso_type") &&
	       cf_eq(n->c, n->hdr.gso_size, mss, "gso_size") &&
	       cf_eq(n->c, n->hdr.csum_start, ip_csum_start(part), "csum_start") &&
	       cf_eq(n->c, n->hdr.csum_offset, ip_csum_offset(part), "csum_offset") &&
	       cf_check(n->c, n->hdr.hdr_len >= ip_headers(part),
		       "hdr_len is %u, less than the headers of %u bytes", n->hdr.hdr_len,
		       ip_headers(part));
}

/* The frame in `n` is the part of `whole` from `at` on. `want` has room for it. */
static bool check_part(
	struct nic *n, const struct net_ip *whole, uint32_t at, uint16_t mss, uint8_t *want)
{
	struct net_ip part = *whole;
	uint32_t headers = ip_headers(whole), payload = n->len - headers;
	bool last = at + payload == whole->len, gso = n->hdr.gso_type;

	if (!cf_check(n->c, payload <= whole->len - at && (gso || last || payload == mss),
		    "%s got %u bytes of TCP payload at byte %u of %u, mss is %u", n->name, payload,
		    at, whole->len, mss) ||
		!cf_check(n->c, gso || payload <= mss,
			"%s got a segment of %u bytes, more than the mss of %u", n->name, payload,
			mss))
		return false;
	part.seq += at;
	part.at += at;
	part.len = payload;
	part.partial = gso;
	part.id = get16(n->frame + ETH_LEN + IPV4_AT_ID);
	if (!last)
		part.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (at)
		part.flags &= (uint8_t)~TCP_CWR; /* once (RFC 3168, 6.1.2) */
	ip_make(want, &part);
	if (gso && !check_gso(n, &part, mss))
		return false;
	return nic_is(n, want, n->len);
}

bool nic_expect_tcp(struct nic *n, const struct net_ip *p, uint16_t mss)
{
	uint8_t *packet = nic_packet(n->c, ip_headers(p) + p->len);
	uint32_t at = 0;

	if (!packet)
		return false;
	while (at < p->len) {
		if (!nic_take_finished(n))
			return false;
		if (!cf_check(n->c, n->len > ip_headers(p) && n->len >= HDR_MIN,
			    "%s got a frame of %u bytes in place of a TCP segment", n->name,
			    n->len))
			return false;
		if (!check_part(n, p, at, mss, packet + NET_HDR_LEN))
			return false;
		at += n->len - ip_headers(p);
	}
	return true;
}
