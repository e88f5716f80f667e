/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/netoffload.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define IPV4_HEADER  20u
#define IPV6_HEADER  40u
#define TCP_HEADER   20u
#define IPV6_EXT_MAX 8 /* extension headers looked through */
#define TAGS_MAX     2
#define PROTO_TCP    6u
#define TCP_FIN_PSH  0x09u
#define TCP_CWR	     0x80u
#define TCP_SEQ	     4u /* offsets in the TCP header */
#define TCP_FLAGS    13u
#define TCP_CSUM     16u
#define IPV4_LEN     2u /* offsets in the IPv4 header */
#define IPV4_ID	     4u
#define IPV4_CSUM    10u
#define IPV4_ADDRS   12u
#define IPV6_LEN     4u /* offsets in the IPv6 header */
#define IPV6_ADDRS   8u

static void layers_ipv4(struct net_layers *l, const uint8_t *p, uint32_t len)
{
	const uint8_t *ip = p + l->l3;
	uint32_t header;

	if (l->l3 + IPV4_HEADER > len || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 15u) * 4;
	if (header < IPV4_HEADER || l->l3 + header > len)
		return;
	l->fragment = net_be16(ip + 6) & 0x3fffu;
	l->proto = ip[9];
	l->l4 = l->l3 + header;
}

static bool is_extension(uint8_t next)
{
	return next == 0 || next == 43 || next == 44 || next == 60; /* RFC 8200, 4.1 */
}

static void layers_ipv6(struct net_layers *l, const uint8_t *p, uint32_t len)
{
	uint32_t at = l->l3 + IPV6_HEADER;
	uint8_t next;

	if (at > len || p[l->l3] >> 4 != 6)
		return;
	next = p[l->l3 + 6];
	for (int i = 0; is_extension(next); i++) {
		bool fragment = next == 44;

		if (i == IPV6_EXT_MAX || at + 8 > len)
			return;
		l->fragment |= fragment;
		next = p[at];
		at += fragment ? 8 : (p[at + 1] + 1u) * 8;
	}
	if (at > len)
		return;
	l->proto = next;
	l->l4 = at;
}

void net_layers(struct net_layers *l, const uint8_t *p, uint32_t len)
{
	uint32_t at = 12;

	*l = (struct net_layers){ 0 };
	for (int tags = 0; at + 2 <= len; tags++, at += NET_VLAN_LEN) {
		l->ethertype = net_be16(p + at);
		if (l->ethertype != NET_ETHERTYPE_VLAN && l->ethertype != NET_ETHERTYPE_QINQ)
			break;
		if (tags == TAGS_MAX)
			return;
	}
	if (at + 2 > len)
		return;
	l->l3 = at + 2;
	if (l->ethertype == NET_ETHERTYPE_IPV4)
		layers_ipv4(l, p, len);
	else if (l->ethertype == NET_ETHERTYPE_IPV6)
		layers_ipv6(l, p, len);
	if (l->proto == PROTO_TCP && l->l4 + TCP_HEADER <= len) {
		uint32_t header = (uint32_t)(p[l->l4 + 12] >> 4) * 4;

		if (header >= TCP_HEADER && l->l4 + header <= len)
			l->payload = l->l4 + header;
	}
}

/* Sums in the machine's byte order, which RFC 1071 allows, and swaps the result. */
uint32_t net_sum(uint32_t sum, const void *data, size_t len, bool odd)
{
	const uint8_t *p = data;
	uint64_t wide = 0;
	uint32_t word;
	uint16_t half;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		wide += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		wide += half;
		p += 2;
		len -= 2;
	}
	if (len)
		wide += htobe16((uint16_t)(*p << 8));
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	half = be16toh((uint16_t)wide);
	return net_fold(sum) + (odd ? __builtin_bswap16(half) : half);
}

uint16_t net_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The sum of the frame from `start` (inside its head) to its end. */
static uint32_t sum_from(const struct net_frame *f, uint32_t start)
{
	uint32_t rest = f->len - f->head_len;
	bool odd = (f->head_len - start) & 1;
	struct iov_iter tail = f->tail;
	struct iovec iov[16];
	uint32_t sum = net_sum(0, f->head + start, f->head_len - start, false);

	while (rest) {
		size_t taken;
		unsigned n = iov_take(&tail, rest, iov, ARRAY_LEN(iov), &taken);

		if (!taken)
			break;
		for (unsigned i = 0; i < n; i++) {
			sum = net_sum(sum, iov[i].iov_base, iov[i].iov_len, odd);
			odd ^= iov[i].iov_len & 1;
		}
		rest -= (uint32_t)taken;
	}
	return sum;
}

static void copy_head(struct net_frame *to, const struct net_frame *from)
{
	to->head = to->head_buf + NET_HEAD_ROOM;
	to->head_len = from->head_len;
	memcpy(to->head, from->head, from->head_len);
	memset(&to->hdr, 0, sizeof(to->hdr));
}

/* A UDP checksum of zero would mean "none" (RFC 768). */
static uint16_t udp_never_zero(const struct net_frame *f, uint16_t csum)
{
	return !csum && f->hdr.csum_offset == 6 ? 0xffff : csum;
}

/* Fills in the checksum of a frame that is not to be segmented. */
static int finish_csum(const struct net_frame *f, net_segment_fn fn, void *arg)
{
	uint32_t start = f->hdr.csum_start;
	struct net_frame out;
	uint16_t csum;

	copy_head(&out, f);
	out.len = f->len;
	out.tail = f->tail;
	csum = (uint16_t)~net_fold(sum_from(f, start));
	net_put_be16(out.head + start + f->hdr.csum_offset, udp_never_zero(f, csum));
	return fn(arg, &out);
}

/* The sum of the pseudo header for `len` bytes of TCP (RFC 9293, 3.1; RFC 8200, 8.1). */
static uint32_t pseudo_sum(const uint8_t *ip, bool v6, uint32_t len)
{
	uint32_t sum =
		v6 ? net_sum(0, ip + IPV6_ADDRS, 32, false) : net_sum(0, ip + IPV4_ADDRS, 8, false);

	return sum + PROTO_TCP + len;
}

/* Segment `index` of a frame: `payload` bytes, the last one or not. */
static void patch_headers(struct net_frame *seg, const struct net_layers *l, unsigned index,
	uint32_t offset, bool last)
{
	bool v6 = l->ethertype == NET_ETHERTYPE_IPV6;
	uint8_t *ip = seg->head + l->l3, *tcp = seg->head + l->l4;
	uint32_t seq;
	uint16_t csum;

	if (v6) {
		net_put_be16(ip + IPV6_LEN, seg->len - l->l3 - IPV6_HEADER);
	} else {
		net_put_be16(ip + IPV4_LEN, seg->len - l->l3);
		net_put_be16(ip + IPV4_ID, net_be16(ip + IPV4_ID) + index);
		net_put_be16(ip + IPV4_CSUM, 0);
		csum = (uint16_t)~net_fold(net_sum(0, ip, l->l4 - l->l3, false));
		net_put_be16(ip + IPV4_CSUM, csum);
	}
	memcpy(&seq, tcp + TCP_SEQ, 4);
	seq = htobe32(be32toh(seq) + offset);
	memcpy(tcp + TCP_SEQ, &seq, 4);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
	if (index)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR; /* RFC 3168, 6.1.2: once */
	net_put_be16(tcp + TCP_CSUM, 0);
	csum = net_fold(pseudo_sum(ip, v6, seg->len - l->l4) + net_fold(sum_from(seg, l->l4)));
	net_put_be16(tcp + TCP_CSUM, (uint16_t)~csum);
}

static int segment(const struct net_frame *f, net_segment_fn fn, void *arg)
{
	uint32_t total = f->len - f->head_len;
	struct iov_iter at = f->tail;
	struct net_layers l;
	uint32_t offset = 0;
	int ret;

	net_layers(&l, f->head, f->head_len);
	if (l.payload != f->head_len)
		return -EBADMSG;
	for (unsigned index = 0;; index++) {
		uint32_t part = (uint32_t)min_u64(f->hdr.gso_size, total - offset);
		struct net_frame seg;

		copy_head(&seg, f);
		seg.len = f->head_len + part;
		seg.tail = at;
		patch_headers(&seg, &l, index, offset, offset + part == total);
		ret = fn(arg, &seg);
		offset += part;
		if (ret || offset == total)
			return ret;
		iov_skip(&at, part);
	}
}

int net_offload(const struct net_frame *f, net_segment_fn fn, void *arg)
{
	return f->hdr.gso_type ? segment(f, fn, arg) : finish_csum(f, fn, arg);
}
