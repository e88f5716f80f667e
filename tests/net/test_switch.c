/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch between link ends that keep what they get; time is the test's. */
#include "ends.h"
#include "host/switch.h"
#include "tap.h"

#define PORTS 4
#define S     UINT64_C(1000000000)

struct bed {
	struct ev_loop *loop;
	struct netswitch *sw;
	struct switch_config config;
	struct switch_port_config port[PORTS];
	struct end end[PORTS];
	uint64_t now;
};

static uint64_t fake_clock(void *arg, clockid_t id)
{
	const struct bed *b = arg;

	return b->now;
}

static struct bed *bed_new(void)
{
	struct bed *b = calloc(1, sizeof(*b));

	opt_defaults(switch_opts, &b->config, NULL);
	for (unsigned i = 0; i < PORTS; i++)
		switch_port_defaults(&b->port[i]);
	b->now = 1000 * S;
	ev_loop_create(&b->loop);
	return b;
}

static int bed_start(struct bed *b, struct err *e)
{
	int ret = switch_create(&b->sw, &b->config, b->loop, NULL, e);

	if (ret)
		return ret;
	switch_set_clock(b->sw, fake_clock, b);
	for (unsigned i = 0; i < PORTS; i++) {
		char name[16];
		struct netport *end;

		snprintf(name, sizeof(name), "p%u", i);
		ret = switch_add_port(b->sw, name, &b->port[i], &end, e);
		if (ret)
			return ret;
		end_init(&b->end[i]);
		netport_connect(&b->end[i].port, end);
	}
	return 0;
}

static void bed_free(struct bed *b)
{
	switch_destroy(b->sw);
	opt_free(switch_opts, &b->config);
	for (unsigned i = 0; i < PORTS; i++) {
		static const struct opt lists[] = {
			{ .name = "t",
				.type = OPT_LIST,
				.offset = offsetof(struct switch_port_config, trunk) },
			{ .name = "s",
				.type = OPT_LIST,
				.offset = offsetof(struct switch_port_config, static_macs) },
			{ .name = "d",
				.type = OPT_LIST,
				.offset = offsetof(struct switch_port_config, deny_macs) },
			OPT_END,
		};

		opt_free(lists, &b->port[i]);
	}
	ev_loop_destroy(b->loop);
	free(b);
}

/* Adds a word to a list that bed_free() frees. */
static void add(struct opt_list *l, const char *word)
{
	l->v = reallocarray(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = strdup(word);
}

/* Goes to a new round of the loop after `ns`. */
static void later(struct bed *b, uint64_t ns)
{
	b->now += ns;
	ev_run_once(b->loop, 0);
	ev_run_once(b->loop, 0);
}

static int send_tagged(
	struct bed *b, unsigned port, unsigned dst, unsigned src, int vid, unsigned pcp)
{
	uint8_t f[100];

	make_frame(f, sizeof(f), dst, src, vid, pcp, 1);
	return end_send(&b->end[port], f, sizeof(f), NULL);
}

static int send(struct bed *b, unsigned port, unsigned dst, unsigned src)
{
	return send_tagged(b, port, dst, src, -1, 0);
}

static const struct switch_counters *count(const struct bed *b, unsigned port)
{
	return switch_port_counters(b->sw, port);
}

static void learns_and_floods(struct tap *t)
{
	struct bed *b = bed_new();

	REQUIRE(t, !bed_start(b, NULL));
	CHECK_EQ(t, send(b, 0, 2, 1), 0); /* 2 is unknown */
	CHECK_EQ(t, b->end[0].n, 0);
	CHECK_EQ(t, b->end[1].n, 1);
	CHECK_EQ(t, b->end[2].n, 1);
	CHECK_EQ(t, b->end[3].n, 1);
	send(b, 1, 1, 2); /* 1 is at port 0 */
	CHECK_EQ(t, b->end[0].n, 1);
	CHECK_EQ(t, b->end[2].n, 1);
	send(b, 0, 2, 1); /* and now 2 at port 1 */
	CHECK_EQ(t, b->end[1].n, 2);
	CHECK_EQ(t, b->end[2].n, 1);
	send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[3].n, 2);
	CHECK_EQ(t, count(b, 0)->rx_frames, 3);
	CHECK_EQ(t, count(b, 0)->rx_bytes, 300);
	CHECK_EQ(t, count(b, 0)->rx_flooded, 2);
	CHECK_EQ(t, switch_macs(b->sw), 2);
	bed_free(b);
}

static void content_arrives(struct tap *t)
{
	struct bed *b = bed_new();
	uint8_t f[1514];

	REQUIRE(t, !bed_start(b, NULL));
	for (size_t len = 14; len <= sizeof(f); len += 50) {
		make_frame(f, len, 2, 1, -1, 0, (uint8_t)len);
		CHECK_EQ(t, end_send(&b->end[0], f, len, NULL), 0);
		CHECK_EQ(t, b->end[1].got[b->end[1].n - 1].len, len);
		CHECK(t, !memcmp(b->end[1].got[b->end[1].n - 1].data, f, len));
	}
	bed_free(b);
}

static void ages(struct tap *t)
{
	struct bed *b = bed_new();

	b->config.age = 10;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	later(b, 9 * S);
	send(b, 0, 2, 1);
	CHECK_EQ(t, b->end[1].n, 1);
	CHECK_EQ(t, b->end[2].n, 1); /* the first one only */
	later(b, 2 * S);
	send(b, 0, 2, 1);
	CHECK_EQ(t, b->end[2].n, 2); /* flooded */
	later(b, 60 * S);
	CHECK_EQ(t, switch_macs(b->sw), 0);
	bed_free(b);
}

static void addresses_move(struct tap *t)
{
	struct bed *b = bed_new();

	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	send(b, 3, 9, 2);
	send(b, 0, 2, 1);
	CHECK_EQ(t, b->end[1].n, 1); /* from port 3 */
	CHECK_EQ(t, b->end[3].n, 2); /* from port 1, and the last */
	send(b, 3, 2, 2);
	CHECK_EQ(t, count(b, 3)->drop_self, 1);
	bed_free(b);
}

static void table_is_bounded(struct tap *t)
{
	struct bed *b = bed_new();

	b->config.macs = 256;
	b->config.macs_per_port = 16;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	for (unsigned i = 0; i < 5000; i++)
		send(b, 0, 2, 0x1000 + i);
	CHECK(t, switch_macs(b->sw) <= 17);
	CHECK(t, count(b, 0)->not_learned > 4000);
	b->end[2].n = 0;
	send(b, 3, 2, 3); /* the neighbour's address is still known */
	CHECK_EQ(t, b->end[2].n, 0);
	/* After ageing the port may learn again. */
	later(b, 1000 * S);
	send(b, 0, 0xff, 0x42);
	send(b, 1, 0x42, 2);
	CHECK_EQ(t, b->end[2].n, 1); /* the broadcast only */
	bed_free(b);
}

static void bad_frames_are_dropped(struct tap *t)
{
	struct bed *b = bed_new();
	uint8_t f[64];

	REQUIRE(t, !bed_start(b, NULL));
	make_frame(f, sizeof(f), 2, 1, -1, 0, 0);
	CHECK_EQ(t, end_send(&b->end[0], f, 13, NULL), -EBADMSG);
	f[6] |= 1; /* a group address as source */
	end_send(&b->end[0], f, sizeof(f), NULL);
	memset(f + 6, 0, 6);
	end_send(&b->end[0], f, sizeof(f), NULL);
	put_mac(f + 6, 1);
	memcpy(f, "\x01\x80\xc2\x00\x00\x0e", 6); /* LLDP stays on its link */
	end_send(&b->end[0], f, sizeof(f), NULL);
	make_frame(f, sizeof(f), 2, 1, 5, 0, 0); /* a tag that ends too early */
	end_send(&b->end[0], f, 16, NULL);
	CHECK_EQ(t, b->end[1].n, 0);
	CHECK_EQ(t, count(b, 0)->drop_mac, 3);
	CHECK_EQ(t, count(b, 0)->drop_vlan, 1);
	bed_free(b);
}

static void vlans_are_apart(struct tap *t)
{
	struct bed *b = bed_new();

	b->port[0].vlan = b->port[1].vlan = 10;
	b->port[2].vlan = 20;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 1);
	CHECK_EQ(t, b->end[2].n, 0);
	CHECK_EQ(t, b->end[3].n, 0); /* VLAN 1 */
	send(b, 2, 1, 3);	     /* the address is known, but in another VLAN */
	CHECK_EQ(t, b->end[0].n, 0);
	send_tagged(b, 0, 0xff, 1, 20, 0); /* access ports may not tag */
	send_tagged(b, 0, 0xff, 1, 10, 0);
	CHECK_EQ(t, count(b, 0)->drop_vlan, 2);
	CHECK_EQ(t, b->end[2].n, 0);
	send_tagged(b, 0, 0xff, 1, 0, 5); /* a priority tag is fine, and is taken off */
	CHECK_EQ(t, b->end[1].n, 2);
	CHECK_EQ(t, b->end[1].got[1].len, 96);
	CHECK_EQ(t, net_be16(b->end[1].got[1].data + 12), 0x88b5);
	bed_free(b);
}

static void trunks_tag(struct tap *t)
{
	struct bed *b = bed_new();
	const uint8_t *got = b->end[2].got[0].data;

	b->port[0].vlan = 10;
	b->port[0].pcp = 3;
	b->port[1].vlan = 20;
	add(&b->port[2].trunk, "10-12");
	add(&b->port[2].trunk, "20");
	b->port[3].vlan = 10; /* native */
	add(&b->port[3].trunk, "20");
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 0, 0xff, 1);
	REQUIRE(t, b->end[2].n == 1);
	CHECK_EQ(t, b->end[2].got[0].len, 104);
	CHECK_EQ(t, net_be16(got + 12), NET_ETHERTYPE_VLAN);
	CHECK_EQ(t, net_be16(got + 14), 3 << 13 | 10);
	CHECK_EQ(t, net_be16(got + 16), 0x88b5);
	CHECK_EQ(t, got[18], 1);
	CHECK_EQ(t, got[103], 86);
	CHECK_EQ(t, b->end[3].n, 1);
	CHECK_EQ(t, b->end[3].got[0].len, 100); /* untagged: native there */
	CHECK_EQ(t, b->end[1].n, 0);

	send_tagged(b, 2, 0xff, 2, 20, 6);
	REQUIRE(t, b->end[1].n == 1);
	CHECK_EQ(t, b->end[1].got[0].len, 96);
	CHECK_EQ(t, net_be16(b->end[1].got[0].data + 12), 0x88b5);
	CHECK_EQ(t, b->end[1].got[0].data[14], 1);
	CHECK_EQ(t, net_be16(b->end[3].got[1].data + 14), 6 << 13 | 20);
	CHECK_EQ(t, b->end[0].n, 0);

	send(b, 2, 0xff, 2);		   /* a trunk without native VLAN */
	send_tagged(b, 2, 0xff, 2, 13, 0); /* not in its list */
	CHECK_EQ(t, count(b, 2)->drop_vlan, 2);
	bed_free(b);
}

static void tag_moves_offload_fields(struct tap *t)
{
	const struct net_hdr hdr = {
		.flags = NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6
	};
	struct bed *b = bed_new();
	uint8_t f[100];

	b->port[0].vlan = 10;
	add(&b->port[1].trunk, "10");
	REQUIRE(t, !bed_start(b, NULL));
	b->end[0].port.accepts = b->end[1].port.accepts = NET_ACCEPT_CSUM;
	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 0);
	end_send(&b->end[0], f, sizeof(f), &hdr);
	CHECK_EQ(t, b->end[1].got[0].hdr.csum_start, 38);
	CHECK_EQ(t, b->end[1].got[0].hdr.csum_offset, 6);
	make_frame(f, sizeof(f), 1, 2, 10, 0, 0);
	end_send(&b->end[1], f, sizeof(f), &hdr);
	CHECK_EQ(t, b->end[0].got[0].hdr.csum_start, 30);
	bed_free(b);
}

static void queues_by_priority(struct tap *t)
{
	/* Strict: 7 to 2, then best effort (0), then background (1). */
	static const unsigned sent[] = { 1, 0, 2, 3, 7, 4, 6, 5 };
	static const unsigned expected[] = { 7, 6, 5, 4, 3, 2, 0, 1 };
	struct bed *b = bed_new();

	for (unsigned i = 0; i < 2; i++)
		add(&b->port[i].trunk, "10");
	REQUIRE(t, !bed_start(b, NULL));
	b->end[1].room = 0;
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(t, send_tagged(b, 0, 0xff, 1, 10, sent[i]), 0);
	CHECK_EQ(t, b->end[1].n, 0);
	CHECK_EQ(t, count(b, 1)->tx_queued, 8);
	CHECK(t, switch_port_queued(b->sw, 1) >= 800);
	b->end[1].room = 3; /* in two goes */
	netport_room(&b->end[1].port);
	CHECK_EQ(t, b->end[1].n, 3);
	b->end[1].room = 100;
	netport_room(&b->end[1].port);
	REQUIRE(t, b->end[1].n == 8);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(t, net_be16(b->end[1].got[i].data + 14) >> 13, expected[i]);
	CHECK_EQ(t, switch_port_queued(b->sw, 1), 0);
	send_tagged(b, 0, 0xff, 1, 10, 0);
	CHECK_EQ(t, b->end[1].n, 9);
	bed_free(b);
}

static void queue_is_bounded(struct tap *t)
{
	struct bed *b = bed_new();
	unsigned taken = 0;

	b->port[1].queue = 128 << 10;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	b->end[1].room = 0;
	for (unsigned i = 0; i < 3000; i++)
		send(b, 0, 2, 1);
	taken = (unsigned)count(b, 1)->tx_queued;
	CHECK(t, taken > 600 && taken < 1000); /* one sender has two thirds of it */
	CHECK_EQ(t, count(b, 1)->drop_queue, 3000 - taken);
	CHECK(t, switch_port_queued(b->sw, 1) <= 128 << 10);
	netport_set_up(&b->end[1].port, false); /* what waits for a dead guest is gone */
	CHECK_EQ(t, switch_port_queued(b->sw, 1), 0);
	netport_set_up(&b->end[1].port, true);
	b->end[1].room = 10;
	netport_room(&b->end[1].port);
	CHECK_EQ(t, b->end[1].n, 0);
	bed_free(b);
}

/* Whoever sends little has room beside somebody who floods. */
static void queue_is_shared(struct tap *t)
{
	struct bed *b = bed_new();
	uint64_t dropped;

	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	b->end[1].room = 0;
	for (unsigned i = 0; i < 5000; i++)
		send(b, 0, 2, 1);
	dropped = count(b, 1)->drop_queue;
	CHECK(t, dropped > 0);
	for (unsigned i = 0; i < 200; i++)
		send(b, 2, 2, 3);
	CHECK_EQ(t, count(b, 1)->drop_queue, dropped);
	b->end[1].room = 10000;
	netport_room(&b->end[1].port);
	CHECK_EQ(t, switch_port_queued(b->sw, 1), 0);
	for (unsigned i = 0; i < 200; i++) /* nothing of the old shares is left */
		send(b, 0, 2, 1);
	CHECK_EQ(t, count(b, 1)->drop_queue, dropped);
	bed_free(b);
}

static void rate_in_holds_back(struct tap *t)
{
	struct bed *b = bed_new();
	unsigned n;

	b->port[0].rate_in = 800; /* 100,000 bytes per second: 1000 frames */
	b->port[0].burst = 2048;
	REQUIRE(t, !bed_start(b, NULL));
	for (n = 0; n < 1000 && !send(b, 0, 0xff, 1); n++)
		;
	CHECK_EQ(t, n, 21); /* 2048 bytes, the last frame into debt */
	CHECK_EQ(t, send(b, 0, 0xff, 1), -EAGAIN);
	CHECK_EQ(t, b->end[1].n, 21);
	later(b, S / 100); /* 1000 bytes more, less the debt of 52 */
	for (n = 0; n < 1000 && !send(b, 0, 0xff, 1); n++)
		;
	CHECK_EQ(t, n, 10);
	later(b, 3600 * S); /* saves up no more than the burst */
	for (n = 0; n < 1000 && !send(b, 0, 0xff, 1); n++)
		;
	CHECK_EQ(t, n, 21);
	CHECK_EQ(t, send(b, 2, 0xff, 2), 0); /* others are not held back */
	while (!b->end[0].rooms && ev_run_once(b->loop, 1000) >= 0)
		; /* the timer says when to go on */
	CHECK(t, b->end[0].rooms > 0);
	bed_free(b);
}

/* Looked at every 2 ms, it lets pass what comes in meanwhile, whatever the burst. */
static void fast_rate_is_reached(struct tap *t)
{
	struct bed *b = bed_new();

	b->port[0].rate_in = 1000000; /* 125 million bytes per second */
	b->port[0].burst = 2048;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 0xff, 2);
	for (unsigned turn = 0; turn < 3; turn++, later(b, S / 500)) {
		unsigned n = 0;

		while (n < 10000 && !send(b, 0, 2, 1))
			n++;
		CHECK_EQ(t, n, 2500);
	}
	bed_free(b);
}

static void rate_out_queues(struct tap *t)
{
	struct bed *b = bed_new();

	b->port[1].rate_out = 800;
	b->port[1].burst = 2048;
	REQUIRE(t, !bed_start(b, NULL));
	for (unsigned i = 0; i < 100; i++)
		send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 21);
	CHECK_EQ(t, b->end[2].n, 100);
	CHECK_EQ(t, count(b, 1)->tx_queued, 79);
	b->now += S / 100;
	netport_room(&b->end[1].port);
	CHECK_EQ(t, b->end[1].n, 31);
	b->now += S;
	for (unsigned i = 0; i < 10; i++, b->now += S / 50)
		netport_room(&b->end[1].port);
	CHECK_EQ(t, b->end[1].n, 100);
	bed_free(b);
}

/* Without a limit, too: it is held back, not dropped, and others are not. */
static void floods_take_turns(struct tap *t)
{
	struct bed *b = bed_new();
	unsigned sent = 0;

	bed_start(b, NULL);
	send(b, 2, 0xff, 3);
	while (sent < 1000 && !send(b, 0, 0xff, 1))
		sent++;
	CHECK(t, sent > 1 && sent < 1000);
	CHECK_EQ(t, send(b, 0, 3, 1), -EAGAIN);
	CHECK_EQ(t, send(b, 1, 3, 2), 0);
	CHECK_EQ(t, send(b, 1, 0xff, 2), 0);
	CHECK_EQ(t, count(b, 0)->rx_frames, sent);
	CHECK_EQ(t, count(b, 0)->drop_flood, 0);
	later(b, S / 1000);
	CHECK_EQ(t, send(b, 0, 0xff, 1), 0);
	bed_free(b);
}

static void flood_rate_limits_storms(struct tap *t)
{
	struct bed *b = bed_new();

	b->port[0].flood_rate = 10;
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 9, 2);
	for (unsigned i = 0; i < 100; i++)
		send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 10);
	CHECK_EQ(t, count(b, 0)->drop_flood, 90);
	send(b, 0, 2, 1); /* known addresses are not limited */
	CHECK_EQ(t, b->end[1].n, 11);
	later(b, S / 2);
	for (unsigned i = 0; i < 100; i++)
		send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 16);
	bed_free(b);
}

static void static_and_denied(struct tap *t)
{
	struct bed *b = bed_new();

	add(&b->port[1].static_macs, "02:00:00:00:00:02");
	add(&b->port[2].deny_macs, "02:00:00:00:00:01");
	REQUIRE(t, !bed_start(b, NULL));
	send(b, 0, 2, 1); /* never flooded */
	CHECK_EQ(t, b->end[1].n, 1);
	CHECK_EQ(t, b->end[3].n, 0);
	send(b, 3, 1, 2); /* an impostor */
	CHECK_EQ(t, count(b, 3)->drop_mac, 1);
	CHECK_EQ(t, b->end[0].n, 0);
	send(b, 0, 2, 1);
	CHECK_EQ(t, b->end[1].n, 2);
	send(b, 2, 2, 1); /* denied as source */
	CHECK_EQ(t, count(b, 2)->drop_mac, 1);
	send(b, 2, 1, 5); /* denied as destination */
	CHECK_EQ(t, count(b, 2)->drop_mac, 2);
	CHECK_EQ(t, b->end[0].n, 0);
	bed_free(b);
}

/* One configuration that must be refused with a text that contains `word`. */
static void refused(struct tap *t, struct bed *b, const char *word)
{
	struct err e = { 0 };

	CHECK(t, bed_start(b, &e) < 0);
	if (!CHECK(t, strstr(e.msg, word)))
		printf("# got: %s\n", e.msg);
	bed_free(b);
}

static void bad_configuration(struct tap *t)
{
	static const char *const vlans[] = { "0", "4095", "x", "10-", "20-10", "10x", "" };
	struct bed *b;

	for (unsigned i = 0; i < ARRAY_LEN(vlans); i++) {
		b = bed_new();
		add(&b->port[1].trunk, vlans[i]);
		refused(t, b, "no VLAN");
	}
	b = bed_new();
	add(&b->port[1].static_macs, "02:00");
	refused(t, b, "static-macs");
	b = bed_new();
	add(&b->port[1].static_macs, "02:00:00:00:00:02");
	add(&b->port[2].static_macs, "02:00:00:00:00:02");
	refused(t, b, "another port");
	b = bed_new();
	b->config.mirror = strdup("/nowhere/at/all.pcapng");
	refused(t, b, "/nowhere/at/all.pcapng");
}

static void ports_go_and_come(struct tap *t)
{
	struct bed *b = bed_new();

	REQUIRE(t, !bed_start(b, NULL));
	send(b, 1, 0xff, 2);
	CHECK_EQ(t, switch_macs(b->sw), 1);
	netport_set_up(&b->end[1].port, false);
	CHECK_EQ(t, switch_macs(b->sw), 0); /* who was there may come back elsewhere */
	b->end[0].n = b->end[2].n = b->end[3].n = 0;
	send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 0);
	CHECK_EQ(t, count(b, 1)->drop_down, 1);
	CHECK(t, !switch_port_up(b->sw, 1));
	netport_set_up(&b->end[1].port, true);
	send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[1].n, 1);
	netport_disconnect(&b->end[2].port);
	send(b, 0, 0xff, 1);
	CHECK_EQ(t, b->end[2].n, 2);
	CHECK_EQ(t, count(b, 2)->drop_down, 1);
	bed_free(b);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, learns_and_floods);
	TAP_RUN(&t, content_arrives);
	TAP_RUN(&t, ages);
	TAP_RUN(&t, addresses_move);
	TAP_RUN(&t, table_is_bounded);
	TAP_RUN(&t, bad_frames_are_dropped);
	TAP_RUN(&t, vlans_are_apart);
	TAP_RUN(&t, trunks_tag);
	TAP_RUN(&t, tag_moves_offload_fields);
	TAP_RUN(&t, queues_by_priority);
	TAP_RUN(&t, queue_is_bounded);
	TAP_RUN(&t, queue_is_shared);
	TAP_RUN(&t, rate_in_holds_back);
	TAP_RUN(&t, fast_rate_is_reached);
	TAP_RUN(&t, rate_out_queues);
	TAP_RUN(&t, floods_take_turns);
	TAP_RUN(&t, flood_rate_limits_storms);
	TAP_RUN(&t, static_and_denied);
	TAP_RUN(&t, bad_configuration);
	TAP_RUN(&t, ports_go_and_come);
	return tap_done(&t);
}
