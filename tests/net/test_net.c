/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device, as drivers see it over vhost-user: two or three guests on one switch. */
#include <errno.h>

#include "devices/net_priv.h"
#include "guests.h"
#include "packets.h"

#define QUIET_MS 150 /* nothing is expected to come */
#define LONG_MS	 10000

#define CLASS_RX       0
#define CLASS_MAC      1
#define CLASS_VLAN     2
#define CLASS_ANNOUNCE 3
#define CLASS_MQ       4
#define CLASS_OFFLOADS 5

#define RING_PACKED FEATURE(VIRTIO_F_RING_PACKED)
#define OFFLOADS                                                                                   \
	(FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6) |                     \
		FEATURE(VIRTIO_NET_F_GUEST_ECN))

/* Two guests, ready. */
struct duo {
	struct bed *b;
	struct guest g[2];
};

static bool duo_open(struct tap *t, struct duo *d, const char *const *keys,
	const struct guest_opts *first, const struct guest_opts *second)
{
	const struct guest_opts none = { 0 };

	d->b = bed_open(2, keys);
	return CHECK(t, d->b) &&
	       CHECK_EQ(t, guest_start(&d->g[0], bed_connect(d->b, 0), first ? first : &none), 0) &&
	       CHECK_EQ(t, guest_start(&d->g[1], bed_connect(d->b, 1), second ? second : &none), 0);
}

static void duo_close(struct duo *d)
{
	guest_stop(&d->g[0]);
	guest_stop(&d->g[1]);
	bed_close(d->b);
}

/* A frame from one guest arrives at the other. */
static bool passes(struct tap *t, struct duo *d, unsigned from, const uint8_t *f, size_t len)
{
	const struct got *got = d->g[!from].got;

	if (!CHECK_EQ(t, guest_send(&d->g[from], 0, f, len, NULL), 0) ||
		!CHECK(t, guest_recv(&d->g[!from], LONG_MS)))
		return false;
	return CHECK_EQ(t, got->len, len) && CHECK(t, !memcmp(got->data, f, len));
}

static bool ping(struct tap *t, struct duo *d)
{
	uint8_t f[60];

	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 1);
	if (!passes(t, d, 0, f, sizeof(f)))
		return false;
	make_frame(f, sizeof(f), 0xff, 2, -1, 0, 2);
	return passes(t, d, 1, f, sizeof(f));
}

static void configuration(struct tap *t)
{
	const char *keys[] = { "mac=02:11:22:33:44:55 mtu=9000 queues=2 speed=2500", NULL };
	uint8_t c[20], mac0[6], again[6];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, &(struct guest_opts){ .pairs = 2 }, NULL));
	REQUIRE(t, !vhud_config_read(d.g[0].d, 0, c, 17));
	CHECK(t, !memcmp(c, "\x02\x11\x22\x33\x44\x55", 6));
	CHECK_EQ(t, c[6], 1); /* link up */
	CHECK_EQ(t, c[8], 2); /* pairs */
	CHECK_EQ(t, c[10] | c[11] << 8, 9000);
	CHECK_EQ(t, c[12] | c[13] << 8, 2500);
	CHECK_EQ(t, c[16], 1); /* full duplex */
	CHECK(t, vhud_features(d.g[0].d) & FEATURE(VIRTIO_NET_F_MQ));
	CHECK(t, !(vhud_features(d.g[1].d) & FEATURE(VIRTIO_NET_F_MQ)));
	/* An address made from the name is local, no group, and always the same. */
	REQUIRE(t, !vhud_config_read(d.g[1].d, 0, mac0, 6));
	CHECK_EQ(t, mac0[0], 2);
	duo_close(&d);
	REQUIRE(t, duo_open(t, &d, NULL, NULL, NULL));
	REQUIRE(t, !vhud_config_read(d.g[1].d, 0, again, 6));
	CHECK(t, !memcmp(mac0, again, 6));
	REQUIRE(t, !vhud_config_read(d.g[0].d, 0, again, 6));
	CHECK(t, memcmp(mac0, again, 6));
	duo_close(&d);
}

static void frames_of_all_lengths(struct tap *t)
{
	static const uint64_t rings[] = { 0, RING_PACKED, FEATURE(VIRTIO_F_IN_ORDER),
		RING_PACKED | FEATURE(VIRTIO_F_IN_ORDER) };
	uint8_t f[1514];

	for (unsigned i = 0; i < ARRAY_LEN(rings); i++) {
		const struct guest_opts o = { .with = rings[i] };
		struct duo d;

		REQUIRE(t, duo_open(t, &d, NULL, &o, &o));
		for (size_t len = 14; len <= sizeof(f); len += 20) {
			make_frame(f, len, 0xff, 1, -1, 0, (uint8_t)len);
			if (!passes(t, &d, len & 1, f, len))
				break;
			CHECK_EQ(t, d.g[!(len & 1)].got->hdr.num_buffers, 1);
			CHECK_EQ(t, d.g[!(len & 1)].got->hdr.flags, 0);
		}
		duo_close(&d);
	}
}

static void many_frames_in_order(struct tap *t)
{
	const struct guest_opts packed = { .with = RING_PACKED };
	uint8_t f[600];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &packed));
	for (unsigned i = 0; i < 2000; i++) {
		make_frame(f, 60 + i % 500, 0xff, 1, -1, 0, (uint8_t)i);
		if (!passes(t, &d, 0, f, 60 + i % 500))
			break;
	}
	CHECK_EQ(t, bed_metric(d.b, 1, "rx_frames"), 2000);
	CHECK_EQ(t, bed_metric(d.b, 0, "tx_frames"), 2000);
	CHECK_EQ(t, bed_counter(d.b, 0, "rx_frames"), 2000);
	duo_close(&d);
}

static void merges_buffers(struct tap *t)
{
	const struct guest_opts small = { .buf_len = 256 };
	struct duo d;
	uint8_t f[1514];

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &small));
	for (size_t len = 240; len <= 1514; len += 49) {
		size_t buffers = (len + 12 + 255) / 256;

		make_frame(f, len, 0xff, 1, -1, 0, (uint8_t)len);
		if (!passes(t, &d, 0, f, len))
			break;
		CHECK_EQ(t, d.g[1].got->hdr.num_buffers, buffers);
		for (size_t i = 0; i + 1 < buffers; i++)
			CHECK_EQ(t, d.g[1].got->used[i], 256);
	}
	duo_close(&d);
}

static void frame_larger_than_the_ring(struct tap *t)
{
	const struct guest_opts small = { .buf_len = 16 };
	struct duo d;
	uint8_t f[1514];

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &small));
	make_frame(f, 1514, 0xff, 1, -1, 0, 0);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, 1514, NULL), 0);
	make_frame(f, 60, 0xff, 1, -1, 0, 7);
	CHECK(t, passes(t, &d, 0, f, 60)); /* the next one is not held up */
	CHECK_EQ(t, bed_metric(d.b, 1, "rx_too_long"), 1);
	duo_close(&d);
}

static void small_buffers_without_merging(struct tap *t)
{
	const struct guest_opts o = { .without = FEATURE(VIRTIO_NET_F_MRG_RXBUF), .buf_len = 200 };
	struct duo d;
	uint8_t f[300];

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &o));
	make_frame(f, 189, 0xff, 1, -1, 0, 0);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, 189, NULL), 0);
	make_frame(f, 188, 0xff, 1, -1, 0, 3);
	CHECK(t, passes(t, &d, 0, f, 188));
	CHECK_EQ(t, d.g[1].got->hdr.num_buffers, 1);
	CHECK_EQ(t, bed_metric(d.b, 1, "rx_too_long"), 1);
	duo_close(&d);
}

static void waits_for_buffers(struct tap *t)
{
	const struct guest_opts o = { .no_buffers = true };
	struct duo d;
	uint8_t f[60];

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &o));
	for (unsigned i = 0; i < 20; i++) {
		make_frame(f, 60, 0xff, 1, -1, 0, (uint8_t)i);
		CHECK_EQ(t, guest_send(&d.g[0], 0, f, 60, NULL), 0);
	}
	CHECK_EQ(t, bed_counter(d.b, 1, "tx_queued"), 20);
	guest_post(&d.g[1], 0, 8);
	for (unsigned i = 0; i < 20; i++) {
		if (!CHECK(t, guest_recv(&d.g[1], LONG_MS)))
			break;
		CHECK_EQ(t, d.g[1].got->data[14], i);
	}
	duo_close(&d);
}

/* A frame of 15 buffers waits for them while they come one by one, with a kick only when the ring
 * asks for one. */
static void buffers_trickle_in(struct tap *t)
{
	static const uint64_t rings[] = { 0, RING_PACKED };
	const struct packet k = { 0xff, 1, -1, false, false, 0, 12, 60000, 0x18 };
	static uint8_t p[65536];
	struct layout l = make_packet(p, &k, true);
	const struct net_hdr hdr = { 1, 1, (le16)l.payload, 1400, (le16)l.l4, 16, 0 };

	for (unsigned i = 0; i < ARRAY_LEN(rings); i++) {
		const struct guest_opts o = {
			.with = rings[i], .buf_len = 4096, .no_buffers = true
		};
		struct duo d;

		REQUIRE(t, duo_open(t, &d, NULL, NULL, &o));
		REQUIRE(t, vhud_negotiated(d.g[1].d) & FEATURE(VIRTIO_F_EVENT_IDX));
		for (unsigned n = 0; n < 10; n++) {
			CHECK_EQ(t, guest_send(&d.g[0], 0, p, l.len, &hdr), 0);
			for (unsigned buf = 0; !n && buf < 15; buf++) {
				guest_post(&d.g[1], 0, 1);
				bed_metric(d.b, 1, "rx_frames"); /* it gets a turn */
			}
			if (!CHECK(t, guest_recv(&d.g[1], LONG_MS)))
				break;
			CHECK_EQ(t, d.g[1].got->hdr.num_buffers, 15);
			CHECK(t, !memcmp(d.g[1].got->data, p, l.len));
		}
		duo_close(&d);
	}
}

static void checksum_travels_or_is_made(struct tap *t)
{
	const struct guest_opts plain = { .without = FEATURE(VIRTIO_NET_F_GUEST_CSUM) | OFFLOADS };
	const struct packet k = { 0xff, 1, -1, false, true, 0, 0, 700 };
	uint8_t p[1514], want[1514];
	struct layout l = make_packet(p, &k, true);
	const struct net_hdr hdr = { .flags = 1, .csum_start = (le16)l.l4, .csum_offset = 6 };
	struct duo d;

	make_packet(want, &k, false);
	REQUIRE(t, duo_open(t, &d, NULL, NULL, &plain));
	CHECK_EQ(t, guest_send(&d.g[0], 0, p, l.len, &hdr), 0);
	REQUIRE(t, guest_recv(&d.g[1], LONG_MS));
	CHECK_EQ(t, d.g[1].got->hdr.flags, 0);
	CHECK(t, !memcmp(d.g[1].got->data, want, l.len));
	CHECK_EQ(t, guest_send(&d.g[1], 0, p, l.len, &hdr), 0); /* and the other way */
	REQUIRE(t, guest_recv(&d.g[0], LONG_MS));
	CHECK_EQ(t, d.g[0].got->hdr.flags, 1);
	CHECK_EQ(t, d.g[0].got->hdr.csum_start, l.l4);
	CHECK_EQ(t, d.g[0].got->hdr.csum_offset, 6);
	CHECK(t, !memcmp(d.g[0].got->data, p, l.len));
	duo_close(&d);
}

static void segments_travel_or_are_made(struct tap *t)
{
	const struct guest_opts plain = { .without = OFFLOADS };
	const struct guest_opts takes = { .buf_len = 4096, .with = RING_PACKED };
	static uint8_t p[65536], all[65536];
	size_t at;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct packet k = { 0xff, 1, -1, v6, false, 0, 12, 60000, 0x18 };
		struct layout l = make_packet(p, &k, true);
		const struct net_hdr hdr = { .flags = 1,
			.gso_type = v6 ? 4 : 1,
			.gso_size = 1400,
			.hdr_len = 1,
			.csum_start = (le16)l.l4,
			.csum_offset = 16 };
		struct duo d;

		REQUIRE(t, duo_open(t, &d, NULL, &takes, &plain));
		CHECK_EQ(t, guest_send(&d.g[0], 0, p, l.len, &hdr), 0);
		for (at = 0; at < k.payload;) {
			const struct got *got = d.g[1].got;

			if (!CHECK(t, guest_recv(&d.g[1], LONG_MS)))
				break;
			CHECK(t, checksums_ok(got->data, l.l3, l.l4, got->len));
			CHECK(t, got->len <= 1514);
			memcpy(all + at, got->data + l.payload, got->len - l.payload);
			at += got->len - l.payload;
		}
		CHECK_EQ(t, at, k.payload);
		CHECK(t, !memcmp(all, p + l.payload, k.payload));
		CHECK_EQ(t, guest_send(&d.g[1], 0, p, l.len, &hdr), 0); /* whole to the other */
		REQUIRE(t, guest_recv(&d.g[0], LONG_MS));
		CHECK_EQ(t, d.g[0].got->len, l.len);
		CHECK_EQ(t, d.g[0].got->hdr.gso_type, v6 ? 4 : 1);
		CHECK_EQ(t, d.g[0].got->hdr.gso_size, 1400);
		CHECK_EQ(t, d.g[0].got->hdr.hdr_len, l.payload); /* not the sender's word */
		CHECK_EQ(t, d.g[0].got->hdr.num_buffers, (l.len + 12 + 4095) / 4096);
		CHECK(t, !memcmp(d.g[0].got->data, p, l.len));
		duo_close(&d);
	}
}

/* Sends 60 times what is in g->tx and counts the turns of the loop in which some went. */
static unsigned turns_for_60(struct tap *t, struct duo *d, size_t len)
{
	const struct iovec iov = { d->g[0].tx, len };
	uint64_t start = bed_metric(d->b, 0, "tx_frames"), sent = start, before;
	uint64_t end = ev_now_ns() + LONG_MS * UINT64_C(1000000);
	unsigned turns = 0;

	for (unsigned i = 0; i < 60; i++)
		CHECK_EQ(t, vhud_add(d->g[0].d, TXQ(0), &iov, 1, 0, NULL), 0);
	vhud_kick(d->g[0].d, TXQ(0));
	while (sent < start + 60 && ev_now_ns() < end) {
		before = sent;
		sent = bed_metric(d->b, 0, "tx_frames");
		turns += sent > before;
	}
	CHECK_EQ(t, sent, start + 60);
	while (vhud_wait(d->g[0].d, TXQ(0), NULL, NULL, 0) == 1)
		;
	return turns;
}

/* Frames to be cut into very many pieces take a guest several turns, so that others get theirs. */
static void small_segments_leave_turns(struct tap *t)
{
	const struct packet k = { 0xff, 1, -1, false, false, 0, 12, 60000, 0x18 };
	const struct guest_opts plain = { .without = OFFLOADS };
	struct layout l;
	struct duo d;
	unsigned turns = 0;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &plain));
	l = make_packet(d.g[0].tx + 12, &k, true);
	memcpy(d.g[0].tx, &(struct net_hdr){ 1, 1, 54, 32, (le16)l.l4, 16, 0 }, 12);
	/* If we are slow, some go unseen. */
	for (unsigned i = 0; i < 50 && turns < 2; i++)
		turns = turns_for_60(t, &d, 12 + l.len);
	CHECK(t, turns > 1);
	duo_close(&d);
}

/* One frame with this header must be dropped, and the device go on. */
static void dropped(struct tap *t, struct duo *d, const void *p, size_t len, struct net_hdr hdr)
{
	uint64_t before = bed_metric(d->b, 0, "tx_malformed");

	CHECK_EQ(t, guest_send(&d->g[0], 0, p, len, &hdr), 0);
	CHECK_EQ(t, bed_metric(d->b, 0, "tx_malformed"), before + 1);
}

static void hostile_frames(struct tap *t)
{
	const struct packet k = { 0xff, 1, -1, false, false, 0, 0, 1000 };
	static uint8_t p[70000];
	struct layout l = make_packet(p, &k, true);
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, NULL));
	for (size_t len = 0; len < 14; len++)
		dropped(t, &d, p, len, (struct net_hdr){ 0 });
	dropped(t, &d, p, 66000, (struct net_hdr){ 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 0, 0, 0, 2000, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 0, 0, 0, 34, 65535, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 1, 54, 0, 34, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 0, 1, 54, 500, 34, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 3, 54, 500, 34, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 0x21, 54, 500, 34, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 4, 54, 500, 34, 16, 0 });
	CHECK(t, !guest_recv(&d.g[1], 0));
	/* Flags that nobody knows are ignored (5.1.9.2.2). */
	CHECK_EQ(t, guest_send(&d.g[0], 0, p, l.len, &(struct net_hdr){ .flags = 0xfe }), 0);
	CHECK(t, guest_recv(&d.g[1], LONG_MS));
	CHECK_EQ(t, d.g[1].got->hdr.flags, 0);
	/* Above the MTU. */
	CHECK_EQ(t, guest_send(&d.g[0], 0, p, 1515, NULL), 0);
	CHECK_EQ(t, bed_metric(d.b, 0, "tx_too_long"), 1);
	CHECK(t, ping(t, &d));
	duo_close(&d);
}

/* A tag makes a frame longer, not its packet. */
static void longest_tagged_frame(struct tap *t)
{
	const char *keys[] = { "trunk=5 mtu=1600", "trunk=5" };
	uint8_t f[1600];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, NULL, NULL));
	CHECK_EQ(t, guest_ctrl(&d.g[1], CLASS_VLAN, 0, "\5\0", 2), 0);
	make_frame(f, 1518, 0xff, 1, 5, 0, 0);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, 1519, NULL), 0); /* fine for the sender only */
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, 1518, NULL), 0);
	REQUIRE(t, guest_recv(&d.g[1], LONG_MS));
	CHECK_EQ(t, d.g[1].got->len, 1518);
	CHECK_EQ(t, bed_metric(d.b, 1, "rx_too_long"), 1);
	duo_close(&d);
}

static void offloads_not_negotiated(struct tap *t)
{
	const struct guest_opts o = { .without = FEATURE(VIRTIO_NET_F_CSUM) |
						 FEATURE(VIRTIO_NET_F_HOST_TSO4) |
						 FEATURE(VIRTIO_NET_F_HOST_TSO6) |
						 FEATURE(VIRTIO_NET_F_HOST_ECN) };
	const struct packet k = { 0xff, 1, -1, false, false, 0, 0, 1000 };
	uint8_t p[2000];
	struct layout l = make_packet(p, &k, true);
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, &o, NULL));
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 0, 0, 0, 34, 16, 0 });
	dropped(t, &d, p, l.len, (struct net_hdr){ 1, 1, 54, 500, 34, 16, 0 });
	CHECK(t, ping(t, &d));
	duo_close(&d);
}

static void feature_dependencies(struct tap *t)
{
	static const uint64_t without[] = { FEATURE(VIRTIO_NET_F_GUEST_CSUM),
		FEATURE(VIRTIO_NET_F_CSUM),
		FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6),
		FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6) };
	struct bed *b = bed_open(1, NULL);

	REQUIRE(t, b);
	for (unsigned i = 0; i < ARRAY_LEN(without); i++) {
		struct guest g;

		CHECK(t, guest_start(&g, bed_connect(b, 0),
				 &(struct guest_opts){ .without = without[i] }) < 0);
		guest_stop(&g);
	}
	bed_close(b);
}

/* A transmit buffer without room for the header breaks the device; its neighbour notices nothing.
 */
static void framing_broken(struct tap *t)
{
	struct bed *b = bed_open(3, NULL);
	struct guest g[3];
	uint8_t f[60], status = 0;
	struct iovec iov;

	REQUIRE(t, b);
	for (unsigned i = 0; i < 3; i++)
		REQUIRE(t, !guest_start(&g[i], bed_connect(b, i), &(struct guest_opts){ 0 }));
	iov = (struct iovec){ g[0].tx, 11 };
	REQUIRE(t, !vhud_add(g[0].d, TXQ(0), &iov, 1, 0, NULL));
	vhud_kick(g[0].d, TXQ(0));
	CHECK_EQ(t, vhud_config_changed(g[0].d, LONG_MS), 1);
	REQUIRE(t, !vhud_get_status(g[0].d, &status));
	CHECK(t, status & VIRTIO_S_NEEDS_RESET);
	make_frame(f, sizeof(f), 0xff, 2, -1, 0, 5);
	CHECK_EQ(t, guest_send(&g[1], 0, f, sizeof(f), NULL), 0);
	CHECK(t, guest_recv(&g[2], LONG_MS));
	/* After a reset it is as new. */
	REQUIRE(t, !vhud_reset(g[0].d));
	REQUIRE(t, !guest_restart(&g[0], &(struct guest_opts){ 0 }));
	CHECK_EQ(t, guest_send(&g[1], 0, f, sizeof(f), NULL), 0);
	CHECK(t, guest_recv(&g[0], LONG_MS));
	for (unsigned i = 0; i < 3; i++)
		guest_stop(&g[i]);
	bed_close(b);
}

static int ctrl1(struct guest *g, uint8_t class, uint8_t command, uint8_t value)
{
	return guest_ctrl(g, class, command, &value, 1);
}

static void control_commands(struct tap *t)
{
	const char *keys[] = { "queues=2 mac=02:00:00:00:00:09 allowed-macs=02:00:00:00:00:0a",
		NULL };
	uint8_t mac[6], config[6], vlan[2] = { 10, 0 }, data[2048] = { 0 };
	struct guest *g;
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, &(struct guest_opts){ .pairs = 2 }, NULL));
	g = &d.g[0];
	for (uint8_t c = 0; c <= 5; c++) {
		CHECK_EQ(t, ctrl1(g, CLASS_RX, c, 1), 0);
		CHECK_EQ(t, ctrl1(g, CLASS_RX, c, 0), 0);
		CHECK_EQ(t, ctrl1(g, CLASS_RX, c, 2), 1);
		CHECK_EQ(t, guest_ctrl(g, CLASS_RX, c, data, 0), 1);
		CHECK_EQ(t, guest_ctrl(g, CLASS_RX, c, data, 2), 1);
	}
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 6, 0), 1);

	/* Addresses: its own and the allowed one. */
	put_mac(mac, 10);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 1, mac, 6), 0);
	REQUIRE(t, !vhud_config_read(g->d, 0, config, 6));
	CHECK(t, !memcmp(config, mac, 6));
	put_mac(mac, 11);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 1, mac, 6), 1);
	put_mac(mac, 9);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 1, mac, 6), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 1, mac, 5), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 1, "\xff\xff\xff\xff\xff\xff", 6), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 2, mac, 6), 1);

	/* Tables: empty, one each, too short, too long, a count that lies. */
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 8), 0);
	data[0] = 1;
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 14), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 13), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 15), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 3), 1);
	data[0] = 200; /* more than are kept */
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 8 + 200 * 6), 0);
	data[3] = 0xff;
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, data, 8 + 200 * 6), 1);

	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 0, vlan, 2), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 1, vlan, 2), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 2, vlan, 2), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 0, vlan, 1), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 0, "\x00\x10", 2), 1); /* 4096 */

	CHECK_EQ(t, guest_ctrl(g, CLASS_ANNOUNCE, 0, data, 0), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_ANNOUNCE, 1, data, 0), 1);

	CHECK_EQ(t, guest_ctrl(g, CLASS_MQ, 0, "\x02\x00", 2), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MQ, 0, "\x01\x00", 2), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MQ, 0, "\x00\x00", 2), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MQ, 0, "\x03\x00", 2), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_MQ, 1, "\x01\x00", 2), 1);

	CHECK_EQ(t, guest_ctrl(g, CLASS_OFFLOADS, 0, "\x02\0\0\0\0\0\0\0", 8), 0);
	CHECK_EQ(t, guest_ctrl(g, CLASS_OFFLOADS, 0, "\x01\0\0\0\0\0\0\0", 8), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_OFFLOADS, 0, "\x02\0\0\0\0\0\0", 7), 1);
	CHECK_EQ(t, guest_ctrl(g, CLASS_OFFLOADS, 1, "\x02\0\0\0\0\0\0\0", 8), 1);

	CHECK_EQ(t, guest_ctrl(g, 99, 0, data, 0), 1);
	data[0] = 0xaa; /* one byte is not even a command */
	CHECK_EQ(t, vhud_do(g->d, g->ctrl, data, 1, mac, 1), 1);
	CHECK_EQ(t, mac[0], 1);
	CHECK_EQ(t, vhud_do(g->d, g->ctrl, NULL, 0, mac, 1), 1);
	CHECK_EQ(t, mac[0], 1);
	CHECK(t, bed_metric(d.b, 0, "ctrl_refused") > 20);
	duo_close(&d);
}

/* VIRTIO 1.4, 5.1.4.1, 5.1.9.5.4: the driver is told of the link, and asked to announce itself. */
static void link_goes_and_comes(struct tap *t)
{
	uint8_t status[2], f[60];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, NULL));
	bed_link(d.b, 0, false);
	CHECK_EQ(t, vhud_config_changed(d.g[0].d, LONG_MS), 1);
	REQUIRE(t, !vhud_config_read(d.g[0].d, 6, status, 2));
	CHECK_EQ(t, status[0], 0);
	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 1);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, sizeof(f), NULL), 0); /* taken, and lost */
	CHECK(t, !guest_recv(&d.g[1], 0));
	bed_link(d.b, 0, true);
	CHECK_EQ(t, vhud_config_changed(d.g[0].d, LONG_MS), 1);
	REQUIRE(t, !vhud_config_read(d.g[0].d, 6, status, 2));
	CHECK_EQ(t, status[0], 3); /* LINK_UP, ANNOUNCE */
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_ANNOUNCE, 0, "", 0), 0);
	REQUIRE(t, !vhud_config_read(d.g[0].d, 6, status, 2));
	CHECK_EQ(t, status[0], 1);
	CHECK(t, ping(t, &d));
	duo_close(&d);
}

static void control_without_features(struct tap *t)
{
	const struct guest_opts o = { .without = FEATURE(VIRTIO_NET_F_CTRL_RX) |
						 FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) |
						 FEATURE(VIRTIO_NET_F_CTRL_VLAN) |
						 FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) |
						 FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) |
						 FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) };
	uint8_t zero[8] = { 0 };
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, &o, NULL));
	for (uint8_t c = 0; c <= 5; c++)
		CHECK_EQ(t, ctrl1(&d.g[0], CLASS_RX, c, 1), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_MAC, 0, zero, 8), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_MAC, 1, "\2\0\0\0\0\1", 6), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_VLAN, 0, zero, 2), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_ANNOUNCE, 0, zero, 0), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_MQ, 0, "\1\0", 2), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_OFFLOADS, 0, zero, 8), 1);
	CHECK(t, ping(t, &d));
	duo_close(&d);
}

/* Whether a frame to `dst` reaches guest 1. */
static bool reaches(struct duo *d, unsigned dst, int vid, bool multicast)
{
	uint64_t before = bed_metric(d->b, 1, "rx_filtered");
	uint8_t f[60];

	make_frame(f, sizeof(f), dst, 1, vid, 0, 0);
	if (multicast)
		f[0] = 3;
	if (guest_send(&d->g[0], 0, f, sizeof(f), NULL))
		return false;
	if (bed_metric(d->b, 1, "rx_filtered") > before)
		return false;
	return guest_recv(&d->g[1], LONG_MS);
}

static void receive_filter(struct tap *t)
{
	const char *keys[] = { "trunk=10,20 vlan=1", "mac=02:00:00:00:00:09 trunk=10,20 vlan=1" };
	uint8_t tables[4 + 6 + 4 + 6] = { 1, 0, 0, 0, 2, 0, 0, 0, 0, 7, 1, 0, 0, 0, 3, 0, 0, 0, 0,
		8 };
	struct guest *g;
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, NULL, NULL));
	g = &d.g[1];
	/* As after a reset: its own address and broadcasts. */
	CHECK(t, reaches(&d, 9, -1, false));
	CHECK(t, reaches(&d, 0xff, -1, false));
	CHECK(t, !reaches(&d, 7, -1, false));
	CHECK(t, !reaches(&d, 8, -1, true));
	CHECK_EQ(t, guest_ctrl(g, CLASS_MAC, 0, tables, sizeof(tables)), 0);
	CHECK(t, reaches(&d, 7, -1, false));
	CHECK(t, reaches(&d, 8, -1, true));
	CHECK(t, !reaches(&d, 6, -1, false));
	CHECK(t, !reaches(&d, 6, -1, true));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 1, 1), 0); /* all multicast */
	CHECK(t, reaches(&d, 6, -1, true));
	CHECK(t, !reaches(&d, 6, -1, false));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 2, 1), 0); /* all unicast */
	CHECK(t, reaches(&d, 6, -1, false));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 3, 1), 0); /* no multicast */
	CHECK(t, !reaches(&d, 8, -1, true));
	CHECK(t, reaches(&d, 0xff, -1, false));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 4, 1), 0); /* no unicast */
	CHECK(t, !reaches(&d, 9, -1, false));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 5, 1), 0); /* no broadcast */
	CHECK(t, !reaches(&d, 0xff, -1, false));
	CHECK_EQ(t, ctrl1(g, CLASS_RX, 0, 1), 0); /* promiscuous beats all */
	CHECK(t, reaches(&d, 6, -1, false));
	CHECK(t, reaches(&d, 8, -1, true));
	for (uint8_t c = 0; c <= 5; c++)
		CHECK_EQ(t, ctrl1(g, CLASS_RX, c, 0), 0);
	/* The VLAN table is about tagged frames. */
	CHECK(t, !reaches(&d, 9, 10, false));
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 0, "\x0a\x00", 2), 0);
	CHECK(t, reaches(&d, 9, 10, false));
	CHECK(t, !reaches(&d, 9, 20, false));
	CHECK_EQ(t, guest_ctrl(g, CLASS_VLAN, 1, "\x0a\x00", 2), 0);
	CHECK(t, !reaches(&d, 9, 10, false));
	/* A reset empties the tables (5.1.9.5.2.1). */
	REQUIRE(t, !vhud_reset(g->d));
	REQUIRE(t, !guest_restart(g, &(struct guest_opts){ 0 }));
	CHECK(t, !reaches(&d, 7, -1, false));
	CHECK(t, reaches(&d, 9, -1, false));
	duo_close(&d);
}

static void spoofing(struct tap *t)
{
	const char *keys[] = { "mac=02:00:00:00:00:09 anti-spoof=true", NULL };
	uint8_t f[60];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, NULL, NULL));
	make_frame(f, sizeof(f), 0xff, 9, -1, 0, 0);
	CHECK(t, passes(t, &d, 0, f, sizeof(f)));
	make_frame(f, sizeof(f), 0xff, 8, -1, 0, 0);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, sizeof(f), NULL), 0);
	CHECK_EQ(t, bed_metric(d.b, 0, "tx_spoofed"), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_MAC, 1, f + 6, 6), 1);
	CHECK(t, !guest_recv(&d.g[1], 0));
	duo_close(&d);
}

static void steering(struct tap *t)
{
	const char *keys[] = { "queues=2", NULL };
	struct packet k = { 0xff, 1, -1, false, true, 0, 0, 64, 0, 0 };
	uint8_t p[300], mac[6];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, &(struct guest_opts){ .pairs = 2 }, NULL));
	for (unsigned port = 1; port < 40; port++) {
		struct layout l;
		unsigned pair = port & 1;

		/* One pair until the driver asks for two. */
		if (port == 20)
			CHECK_EQ(t, guest_ctrl(&d.g[0], CLASS_MQ, 0, "\2\0", 2), 0);
		if (port < 20)
			pair = 0;
		k.port = 5000 + port;
		l = make_packet(p, &k, false);
		CHECK_EQ(t, guest_send(&d.g[0], pair, p, l.len, NULL), 0);
		REQUIRE(t, guest_recv(&d.g[1], LONG_MS));
		/* The answer: addresses and ports the other way round. */
		memcpy(mac, p + 6, 6);
		put_mac(p + 6, 2);
		put_mac(p, 0xff);
		memcpy(p + l.l3 + 12, "\x0a\0\0\2\x0a\0\0\1", 8);
		net_put_be16(p + l.l4 + 2, k.port);
		net_put_be16(p + l.l4, 2000);
		CHECK_EQ(t, guest_send(&d.g[1], 0, p, l.len, NULL), 0);
		REQUIRE(t, guest_recv(&d.g[0], LONG_MS));
		CHECK_EQ(t, d.g[0].got->queue, RXQ(pair));
	}
	/* While the second pair's receive queue is reset, the first takes over (5.1.9.5.6.2). */
	REQUIRE(t, !vhud_queue_stop(d.g[0].d, RXQ(1), NULL));
	for (unsigned i = 0; i < 10; i++) {
		net_put_be16(p + 14 + 20 + 2, 5021 + 2 * i);
		CHECK_EQ(t, guest_send(&d.g[1], 0, p, 106, NULL), 0);
		d.g[0].pairs = 1;
		CHECK(t, guest_recv(&d.g[0], LONG_MS));
	}
	duo_close(&d);
}

/* A frame that waits for a queue goes to another one when its queue is gone. */
static void waiting_frame_changes_queues(struct tap *t)
{
	const char *keys[] = { NULL, "queues=2" };
	const struct guest_opts two = { .pairs = 2, .no_buffers = true };
	uint8_t f[60];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, keys, NULL, &two));
	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 3);
	CHECK_EQ(t, guest_ctrl(&d.g[1], CLASS_MQ, 0, "\2\0", 2), 0);
	guest_post(&d.g[1], 1, 4);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, sizeof(f), NULL), 0);
	CHECK_EQ(t, bed_counter(d.b, 1, "tx_queued"), 1);
	CHECK_EQ(t, vhud_queue_stop(d.g[1].d, RXQ(0), NULL), 0);
	CHECK(t, guest_recv(&d.g[1], LONG_MS));
	CHECK_EQ(t, d.g[1].got->queue, RXQ(1));
	duo_close(&d);

	REQUIRE(t, duo_open(t, &d, keys, NULL, &two));
	CHECK_EQ(t, guest_ctrl(&d.g[1], CLASS_MQ, 0, "\2\0", 2), 0);
	guest_post(&d.g[1], 0, 4);
	CHECK_EQ(t, guest_send(&d.g[1], 1, f, sizeof(f), NULL), 0); /* steers to pair 1 */
	make_frame(f, sizeof(f), 0xff, 2, -1, 0, 3);
	CHECK_EQ(t, guest_send(&d.g[0], 0, f, sizeof(f), NULL), 0);
	CHECK_EQ(t, bed_counter(d.b, 1, "tx_queued"), 1);
	CHECK_EQ(t, guest_ctrl(&d.g[1], CLASS_MQ, 0, "\1\0", 2), 0);
	CHECK(t, guest_recv(&d.g[1], LONG_MS));
	CHECK_EQ(t, d.g[1].got->queue, RXQ(0));
	duo_close(&d);
}

static void reset_in_mid_traffic(struct tap *t)
{
	const struct guest_opts o = { .with = RING_PACKED };
	uint8_t f[200];
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, &o));
	for (unsigned round = 0; round < 20; round++) {
		struct iovec iov = { d.g[0].tx, 12 + sizeof(f) };

		memset(d.g[0].tx, 0, 12);
		make_frame(d.g[0].tx + 12, sizeof(f), 0xff, 1, -1, 0, 0);
		for (unsigned i = 0; i < 40; i++)
			CHECK_EQ(t, vhud_add(d.g[0].d, TXQ(0), &iov, 1, 0, NULL), 0);
		vhud_kick(d.g[0].d, TXQ(0));
		if (!CHECK_EQ(t, vhud_reset(d.g[round & 1].d), 0))
			break;
		if (!CHECK_EQ(t,
			    guest_restart(
				    &d.g[round & 1], round & 1 ? &o : &(struct guest_opts){ 0 }),
			    0))
			break;
		while (guest_recv(&d.g[1], round & 1 ? QUIET_MS : 10))
			;
		while (vhud_wait(d.g[0].d, TXQ(0), NULL, NULL, 10) == 1)
			;
	}
	CHECK(t, ping(t, &d));
	duo_close(&d);
}

static void queue_stopped_and_resumed(struct tap *t)
{
	uint32_t base;
	struct duo d;

	REQUIRE(t, duo_open(t, &d, NULL, NULL, NULL));
	for (unsigned i = 0; i < 10; i++) {
		if (!ping(t, &d))
			break;
		for (unsigned q = 0; q < 2; q++) {
			CHECK_EQ(t, vhud_queue_stop(d.g[1].d, q, &base), 0);
			CHECK_EQ(t, vhud_queue_resume(d.g[1].d, q, base), 0);
		}
	}
	duo_close(&d);
}

static void front_end_goes_and_comes(struct tap *t)
{
	unsigned fds = vhud_count_fds();
	struct duo d;
	uint8_t f[60];

	REQUIRE(t, duo_open(t, &d, NULL, NULL, NULL));
	for (unsigned i = 0; i < 5; i++) {
		guest_stop(&d.g[1]);
		make_frame(f, sizeof(f), 0xff, 1, -1, 0, 0);
		CHECK_EQ(t, guest_send(&d.g[0], 0, f, sizeof(f), NULL), 0);
		REQUIRE(t, !guest_start(&d.g[1], bed_connect(d.b, 1), &(struct guest_opts){ 0 }));
		if (!ping(t, &d))
			break;
	}
	duo_close(&d);
	CHECK_EQ(t, vhud_count_fds(), fds);
}

static void wrong_keys(struct tap *t)
{
	static const char *const keys[] = { "vlan=5 trunk=x", "mac=03:00:00:00:00:01",
		"allowed-macs=1:2", "mtu=67", "queues=0", "queues=9" };

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
		CHECK(t, !bed_open(1, &keys[i]));
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, configuration);
	TAP_RUN(&t, frames_of_all_lengths);
	TAP_RUN(&t, many_frames_in_order);
	TAP_RUN(&t, merges_buffers);
	TAP_RUN(&t, frame_larger_than_the_ring);
	TAP_RUN(&t, small_buffers_without_merging);
	TAP_RUN(&t, waits_for_buffers);
	TAP_RUN(&t, buffers_trickle_in);
	TAP_RUN(&t, checksum_travels_or_is_made);
	TAP_RUN(&t, segments_travel_or_are_made);
	TAP_RUN(&t, small_segments_leave_turns);
	TAP_RUN(&t, hostile_frames);
	TAP_RUN(&t, longest_tagged_frame);
	TAP_RUN(&t, offloads_not_negotiated);
	TAP_RUN(&t, feature_dependencies);
	TAP_RUN(&t, framing_broken);
	TAP_RUN(&t, control_commands);
	TAP_RUN(&t, control_without_features);
	TAP_RUN(&t, receive_filter);
	TAP_RUN(&t, spoofing);
	TAP_RUN(&t, steering);
	TAP_RUN(&t, waiting_frame_changes_queues);
	TAP_RUN(&t, link_goes_and_comes);
	TAP_RUN(&t, reset_in_mid_traffic);
	TAP_RUN(&t, queue_stopped_and_resumed);
	TAP_RUN(&t, front_end_goes_and_comes);
	TAP_RUN(&t, wrong_keys);
	return tap_done(&t);
}
