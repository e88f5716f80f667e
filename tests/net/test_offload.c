/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksum and segmentation in software, against sums computed the slow way. */
#include "host/netoffload.h"
#include "packets.h"
#include "tap.h"

#define ALL (NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_ECN)

/* The frame in pieces of `piece` bytes, so that sums cross their borders at odd places. */
static int cut_and_init(struct net_frame *f, const uint8_t *p, size_t len, size_t piece,
	const struct net_hdr *hdr, struct iovec *iov)
{
	struct iov_iter at;
	unsigned n = 0;

	for (size_t i = 0; i < len; i += piece)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)(p + i), min_u64(piece, len - i) };
	iov_iter_init(&at, iov, n);
	return net_frame_init(f, &at, (uint32_t)len, hdr);
}

static void sums(struct tap *t)
{
	uint8_t data[300];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 200);
	for (size_t len = 0; len < 260; len++)
		for (size_t from = 0; from < 9; from++) {
			uint32_t even = net_sum(0, data + from, len, false);
			uint8_t shifted[301] = { 0 };

			memcpy(shifted + 1, data + from, len);
			if (!CHECK_EQ(t, net_fold(even), slow_sum(data + from, len, 0)))
				return;
			if (!CHECK_EQ(t, net_fold(net_sum(5, data + from, len, true)),
				    slow_sum(shifted, len + 1, 5)))
				return;
		}
	memset(data, 0xff, sizeof(data));
	CHECK_EQ(t, net_fold(net_sum(0xffff, data, 300, false)), 0xffff);
}

static void layers(struct tap *t)
{
	static const struct packet k[] = {
		{ 1, 2, -1, false, false, 0, 12, 100 },
		{ 1, 2, 5, false, true, 8, 0, 100 },
		{ 1, 2, -1, true, false, 0, 0, 100 },
		{ 1, 2, 5, true, false, 64, 40, 100 },
	};
	uint8_t p[600];
	struct net_layers l;

	for (unsigned i = 0; i < ARRAY_LEN(k); i++) {
		struct layout want = make_packet(p, &k[i], false);

		net_layers(&l, p, (uint32_t)want.len);
		CHECK_EQ(t, l.l3, want.l3);
		CHECK_EQ(t, l.l4, want.l4);
		CHECK_EQ(t, l.proto, k[i].udp ? 17 : 6);
		CHECK_EQ(t, l.payload, k[i].udp ? 0 : want.payload);
		CHECK(t, !l.fragment);
		for (uint32_t cut = 0; cut < want.payload; cut++) {
			net_layers(&l, p, cut); /* never beyond the end */
			CHECK(t, l.l3 <= cut && l.l4 <= cut && l.payload == 0);
		}
	}
	/* Too many extension headers, and one that claims to be longer than there is. */
	make_packet(p, &k[2], false);
	for (int i = 0; i < 12; i++) {
		p[14 + 6 + (i ? 34 + (i - 1) * 8 : 0)] = 60;
		p[14 + 40 + i * 8 + 1] = 0;
	}
	net_layers(&l, p, sizeof(p));
	CHECK_EQ(t, l.l4, 0);
	p[14 + 41] = 255;
	net_layers(&l, p, sizeof(p));
	CHECK_EQ(t, l.l4, 0);
}

static void one_checksum(struct tap *t, const struct packet *k, size_t piece)
{
	uint8_t p[2048], want[2048];
	struct layout l = make_packet(p, k, true);
	struct net_hdr hdr = { .flags = NET_HDR_F_NEEDS_CSUM,
		.csum_start = (le16)l.l4,
		.csum_offset = k->udp ? 6 : 16 };
	struct iovec iov[2048];
	struct net_frame f;
	struct end a, b;

	make_packet(want, k, false);
	end_init(&a);
	end_init(&b);
	netport_connect(&a.port, &b.port);
	REQUIRE(t, !cut_and_init(&f, p, l.len, piece, &hdr, iov));
	CHECK_EQ(t, netport_send(&a.port, &f), 0);
	REQUIRE(t, b.n == 1);
	CHECK_EQ(t, b.got[0].len, l.len);
	CHECK_EQ(t, b.got[0].hdr.flags, 0);
	CHECK(t, !memcmp(b.got[0].data, want, l.len));
	CHECK(t, checksums_ok(b.got[0].data, l.l3, l.l4, l.len));
}

static void checksums(struct tap *t)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned udp = 0; udp < 2; udp++)
			for (unsigned payload = 0; payload < 300; payload += 7) {
				struct packet k = { 1, 2, payload % 2 ? 7 : -1, v6, udp,
					payload % 3 ? 8 : 0, udp ? 0 : 12, payload };

				one_checksum(t, &k, payload % 5 ? 1 + payload % 37 : 4096);
				if (t->case_failed)
					return;
			}
}

/* What a receiver that takes it all sees. */
static void passes_through(struct tap *t)
{
	const struct packet k = { 1, 2, -1, false, false, 0, 12, 1900 };
	uint8_t p[2048];
	struct layout l = make_packet(p, &k, true);
	struct net_hdr hdr = { .flags = NET_HDR_F_NEEDS_CSUM,
		.gso_type = NET_GSO_TCPV4,
		.gso_size = 500,
		.csum_start = (le16)l.l4,
		.csum_offset = 16 };
	struct end a, b;

	end_init(&a);
	end_init(&b);
	b.port.accepts = ALL;
	netport_connect(&a.port, &b.port);
	CHECK_EQ(t, end_send(&a, p, l.len, &hdr), 0);
	REQUIRE(t, b.n == 1);
	CHECK_EQ(t, b.got[0].len, l.len);
	CHECK(t, !memcmp(b.got[0].data, p, l.len));
	CHECK_EQ(t, b.got[0].hdr.gso_type, NET_GSO_TCPV4);
	CHECK_EQ(t, b.got[0].hdr.gso_size, 500);
	CHECK_EQ(t, b.got[0].hdr.hdr_len, l.payload);
	b.port.accepts = ALL & ~NET_ACCEPT_TSO4;
	CHECK_EQ(t, end_send(&a, p, l.len, &hdr), 0);
	CHECK_EQ(t, b.n, 5);
}

/* Every segment of a frame, put together again, must be the frame. */
static void check_segments(struct tap *t, const struct end *b, const struct packet *k,
	const uint8_t *whole, const struct layout *l, unsigned mss)
{
	size_t at = 0;
	uint32_t seq0, seq;
	unsigned last = (k->payload + mss - 1) / mss - 1;

	memcpy(&seq0, whole + l->l4 + 4, 4);
	for (unsigned i = 0; i <= last; i++) {
		const struct end_frame *s = &b->got[i];
		size_t part = s->len - l->payload;

		CHECK_EQ(t, part, i < last ? mss : k->payload - mss * last);
		CHECK(t, !memcmp(s->data + l->payload, whole + l->payload + at, part));
		CHECK(t, !memcmp(s->data, whole, l->l3));
		CHECK(t, checksums_ok(s->data, l->l3, l->l4, s->len));
		memcpy(&seq, s->data + l->l4 + 4, 4);
		CHECK_EQ(t, be32toh(seq), (uint32_t)(be32toh(seq0) + at));
		CHECK_EQ(t, s->data[l->l4 + 13],
			(k->tcp_flags & (i < last ? 0xf6 : 0xff) & (i ? 0x7f : 0xff)));
		if (k->v6)
			CHECK_EQ(t, net_be16(s->data + l->l3 + 4), s->len - l->l3 - 40);
		else
			CHECK_EQ(t, net_be16(s->data + l->l3 + 2), s->len - l->l3);
		if (!k->v6)
			CHECK_EQ(t, net_be16(s->data + l->l3 + 4), (0xfffe + i) & 0xffff);
		CHECK_EQ(t, s->hdr.flags | s->hdr.gso_type, 0);
		at += part;
	}
	CHECK_EQ(t, at, k->payload);
}

static void one_segmentation(struct tap *t, const struct packet *k, unsigned mss, size_t piece)
{
	static uint8_t p[66000];
	static struct iovec iov[66000];
	static struct end a, b;
	struct layout l = make_packet(p, k, true);
	struct net_hdr hdr = { .flags = NET_HDR_F_NEEDS_CSUM,
		.gso_type = (uint8_t)((k->v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4) |
				      (k->tcp_flags & 0x80 ? NET_GSO_ECN : 0)),
		.gso_size = (le16)mss,
		.csum_start = (le16)l.l4,
		.csum_offset = 16 };
	struct net_frame f;

	end_init(&a);
	end_init(&b);
	netport_connect(&a.port, &b.port);
	REQUIRE(t, !cut_and_init(&f, p, l.len, piece, &hdr, iov));
	CHECK_EQ(t, netport_send(&a.port, &f), 0);
	CHECK_EQ(t, b.n, (k->payload + mss - 1) / mss);
	check_segments(t, &b, k, p, &l, mss);
}

static void segments(struct tap *t)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < 12; i++) {
			struct packet k = { 1, 2, i % 2 ? 100 : -1, v6, false, i % 3 ? 16 : 0,
				i % 4 ? 12 : 0, 1 + i * 1733, i % 5 ? 0x18 : 0x99 };

			one_segmentation(t, &k, 100 + i * 130, i % 2 ? 61 : 4096);
			if (t->case_failed)
				return;
		}
}

static void longest_frame(struct tap *t)
{
	const struct packet k = { 1, 2, -1, false, false, 0, 0, 65535 - 40, 0x18 };

	one_segmentation(t, &k, 1460, 4096);
}

/* One header that must be refused for a TCP frame that is fine otherwise. */
static void refuse(struct tap *t, const uint8_t *p, size_t len, struct net_hdr hdr)
{
	struct iovec iov[64];
	struct net_frame f;

	CHECK_EQ(t, cut_and_init(&f, p, len, 1024, &hdr, iov), -EBADMSG);
}

static void hostile_headers(struct tap *t)
{
	struct packet k = { 1, 2, -1, false, false, 0, 0, 1000 };
	const uint8_t csum = NET_HDR_F_NEEDS_CSUM;
	uint8_t p[2048];
	struct layout l = make_packet(p, &k, true);

	refuse(t, p, 13, (struct net_hdr){ 0 });
	refuse(t, p, l.len, (struct net_hdr){ .flags = csum, .csum_start = 0, .csum_offset = 16 });
	refuse(t, p, l.len, (struct net_hdr){ csum, 0, 0, 0, 65535, 65535, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, 0, 0, 0, (le16)l.len, 0, 0 });
	refuse(t, p, 40, (struct net_hdr){ csum, 0, 0, 0, 34, 5, 0 });
	/* Segmentation without checksum, without or with a tiny size, of an unknown kind. */
	refuse(t, p, l.len, (struct net_hdr){ 0, NET_GSO_TCPV4, 54, 500, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 0, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 1, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, 3, 54, 500, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, 5, 54, 500, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_ECN, 54, 500, 34, 16, 0 });
	/* Not what it says: another version, other offsets, UDP, a fragment, bad lengths. */
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV6, 54, 500, 34, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 36, 16, 0 });
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 18, 0 });
	refuse(t, p, 50, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 14, 0 });
	p[14 + 6] = 0x20;
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 16, 0 });
	make_packet(p, &k, true);
	p[14] = 0x44;
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 16, 0 });
	make_packet(p, &k, true);
	p[l.l4 + 12] = 0x40;
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 16, 0 });
	k.udp = true;
	make_packet(p, &k, true);
	refuse(t, p, l.len, (struct net_hdr){ csum, NET_GSO_TCPV4, 54, 500, 34, 6, 0 });
}

static void no_room_in_the_middle(struct tap *t)
{
	const struct packet k = { 1, 2, -1, false, false, 0, 0, 1000 };
	uint8_t p[2048];
	struct layout l = make_packet(p, &k, true);
	struct net_hdr hdr = { NET_HDR_F_NEEDS_CSUM, NET_GSO_TCPV4, 54, 100, (le16)l.l4, 16, 0 };
	struct end a, b;

	end_init(&a);
	end_init(&b);
	b.room = 3;
	netport_connect(&a.port, &b.port);
	CHECK_EQ(t, end_send(&a, p, l.len, &hdr), -EAGAIN);
	CHECK_EQ(t, b.n, 3);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, sums);
	TAP_RUN(&t, layers);
	TAP_RUN(&t, checksums);
	TAP_RUN(&t, passes_through);
	TAP_RUN(&t, segments);
	TAP_RUN(&t, longest_frame);
	TAP_RUN(&t, hostile_headers);
	TAP_RUN(&t, no_room_in_the_middle);
	return tap_done(&t);
}
