/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus: timing, arbitration, errors, bus-off, limits, and the operator's words. */
#include <errno.h>

#include "bed.h"

#define BIT 2000u /* ns at 500 kbit/s */

static uint64_t length_ns(const char *text)
{
	const struct canfd_frame f = bed_frame(text);
	struct can_bits b = can_frame_bits(&f);

	return b.nominal * UINT64_C(2000) + b.data * UINT64_C(500);
}

static void a_frame_takes_its_time(struct tap *t)
{
	struct bed *b = bed_new(3);
	uint64_t ns = length_ns("123#1122334455667788");

	REQUIRE(t, bed_start(b));
	CHECK_EQ(t, bed_send(b, 0, "123#1122334455667788"), 0);
	bed_pass(b, 0);
	bed_pass(b, ns - 1);
	CHECK_EQ(t, b->node[1].n, 0);
	CHECK_EQ(t, b->node[0].sent, 0);
	bed_pass(b, 1);
	CHECK_EQ(t, b->node[1].n, 1);
	CHECK_EQ(t, b->node[2].n, 1);
	CHECK_EQ(t, b->node[0].n, 0); /* not to its sender */
	CHECK_EQ(t, b->node[0].sent, 1);
	CHECK(t, b->node[0].last == &b->node[0]);
	CHECK(t, !memcmp(b->node[1].got[0].data, "\x11\x22\x33\x44\x55\x66\x77\x88", 8));
	bed_free(b);
}

static void fd_uses_both_bit_rates(struct tap *t)
{
	static const char text[] = "123##1112233445566778899AABBCC";
	struct bed *b = bed_new(2);
	uint64_t ns = length_ns(text);

	REQUIRE(t, bed_start(b));
	CHECK(t, ns < 100 * BIT + 200 * 500);
	CHECK_EQ(t, bed_send(b, 0, text), 0);
	bed_pass(b, ns - 1);
	CHECK_EQ(t, b->node[1].n, 0);
	bed_pass(b, 1);
	CHECK_EQ(t, b->node[1].n, 1);
	bed_free(b);
}

/* A loop that comes late does not slow the bus down: what was due has happened at its time. */
static void catches_up(struct tap *t)
{
	struct bed *b = bed_new(2);
	uint64_t ns = length_ns("123#AA") + 3 * BIT;

	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(t, bed_send(b, 0, "123#AA"), 0);
	CHECK_EQ(t, bed_send(b, 0, "123#AA"), -EAGAIN);
	bed_pass(b, 10 * ns);
	CHECK_EQ(t, b->node[1].n, 10);
	bed_pass(b, 6 * ns);
	CHECK_EQ(t, b->node[1].n, 16);
	CHECK_EQ(t, b->node[0].sent, 16);
	bed_free(b);
}

static void the_lowest_identifier_wins(struct tap *t)
{
	static const char *const texts[] = { "300#00", "100#01", "200#02", "100#R" };
	static const uint32_t order[] = { 0x100, 0x100 | CAN_RTR_FLAG, 0x200, 0x300 };
	struct bed *b = bed_new(4);

	REQUIRE(t, bed_start(b));
	/* One keeps the bus busy while the others queue up. */
	CHECK_EQ(t, bed_send(b, 0, "7FF#"), 0);
	bed_pass(b, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(t, bed_send(b, i, texts[i]), 0);
	bed_run(b, 2 * MS);
	/* Node 2 got all but its own. */
	CHECK_EQ(t, b->node[2].got[0].can_id, 0x7ff);
	CHECK_EQ(t, b->node[2].got[1].can_id, order[0]);
	CHECK_EQ(t, b->node[2].got[2].can_id, order[1]);
	CHECK_EQ(t, b->node[2].got[3].can_id, order[3]);
	CHECK_EQ(t, b->node[1].got[2].can_id, order[2]);
	CHECK_EQ(t, canport_counters(b->node[0].port)->arbitration_lost, 3);
	CHECK_EQ(t, canport_counters(b->node[1].port)->arbitration_lost, 0);
	bed_free(b);
}

/* Who comes while a frame is on the bus has to wait, however urgent. */
static void nobody_interrupts(struct tap *t)
{
	struct bed *b = bed_new(2);
	uint64_t ns = length_ns("7FF#0102");

	REQUIRE(t, bed_start(b));
	bed_send(b, 0, "7FF#0102");
	bed_pass(b, 1000);
	bed_send(b, 1, "001#");
	bed_pass(b, ns - 1000);
	CHECK_EQ(t, b->node[1].n, 1);
	CHECK_EQ(t, b->node[0].n, 0);
	bed_run(b, MS);
	CHECK_EQ(t, b->node[0].n, 1);
	bed_free(b);
}

static void order_at_a_node(struct tap *t)
{
	static const char *const texts[] = { "300#", "100#01", "200#", "100#02" };

	for (int order = CANPORT_FIFO; order <= CANPORT_ID; order++) {
		struct bed *b = bed_new(2);
		const struct canfd_frame *got = b->node[1].got;

		b->port[0].tx_order = order;
		REQUIRE(t, bed_start(b));
		bed_send(b, 1, "000#");
		bed_pass(b, 1);
		for (unsigned i = 0; i < 4; i++)
			bed_send(b, 0, texts[i]);
		bed_run(b, 2 * MS);
		CHECK_EQ(t, b->node[1].n, 4);
		CHECK_EQ(t, got[0].can_id, order == CANPORT_FIFO ? 0x300 : 0x100);
		CHECK_EQ(t, got[3].can_id, order == CANPORT_FIFO ? 0x100 : 0x300);
		/* Of one identifier the older goes first. */
		CHECK_EQ(t, got[order == CANPORT_FIFO ? 1 : 0].data[0], 1);
		bed_free(b);
	}
}

static void without_pace(struct tap *t)
{
	struct bed *b = bed_new(2);

	b->config.bitrate = 0;
	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(t, bed_send(b, 0, "123##1AABB"), 0);
		bed_pass(b, 0);
	}
	CHECK_EQ(t, b->node[1].n, 100);
	CHECK_EQ(t, canbus_counters(b->bus)->frames, 100);
	bed_free(b);
}

static void refuses(struct tap *t)
{
	static const char *const words[] = { "200:700" };
	struct bed *b = bed_new(3);
	struct canfd_frame f = { .can_id = 0x800 };

	b->config.fd = false;
	b->port[0].tx_filters = (struct opt_list){ (char **)(uintptr_t)words, 1 };
	b->port[1].listen_only = true;
	REQUIRE(t, bed_start(b));
	CHECK_EQ(t, canport_send(b->node[2].port, &f, NULL), -EINVAL);
	f = (struct canfd_frame){ .can_id = CAN_ERR_FLAG | 4, .len = 8 };
	CHECK_EQ(t, canport_send(b->node[2].port, &f, NULL), -EINVAL);
	f = (struct canfd_frame){ .can_id = 1, .len = 9 };
	CHECK_EQ(t, canport_send(b->node[2].port, &f, NULL), -EINVAL);
	CHECK_EQ(t, bed_send(b, 2, "123##1AA"), -EINVAL);
	CHECK_EQ(t, bed_send(b, 0, "123#AA"), -EPERM);
	CHECK_EQ(t, bed_send(b, 0, "223#AA"), 0);
	CHECK_EQ(t, bed_send(b, 1, "223#AA"), -EPERM);
	canport_stop(b->node[2].port);
	CHECK_EQ(t, bed_send(b, 2, "223#AA"), -ENETDOWN);
	bed_run(b, MS);
	CHECK_EQ(t, b->node[1].n, 1);
	CHECK_EQ(t, b->node[2].n, 0);
	CHECK_EQ(t, canport_counters(b->node[0].port)->tx_denied, 1);
	bed_free(b);
}

static void filters_at_the_receiver(struct tap *t)
{
	static const char *const words[] = { "100:700", "00000200:80000700" };
	struct bed *b = bed_new(2);

	b->port[1].filters = (struct opt_list){ (char **)(uintptr_t)words, 2 };
	REQUIRE(t, bed_start(b));
	bed_send(b, 0, "123#");
	bed_send(b, 0, "223#");
	bed_send(b, 0, "00000223#");
	bed_run(b, 2 * MS);
	CHECK_EQ(t, b->node[1].n, 2);
	CHECK_EQ(t, canport_counters(b->node[1].port)->rx_filtered, 1);
	bed_free(b);
}

static void stop_gives_back(struct tap *t)
{
	struct bed *b = bed_new(2);

	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 5; i++)
		bed_send(b, 0, "123#11");
	bed_pass(b, 1000);
	canport_stop(b->node[0].port);
	CHECK_EQ(t, b->node[0].lost, 5);
	bed_run(b, 2 * MS);
	CHECK_EQ(t, b->node[1].n, 0);
	/* The bus is free for others at once. */
	bed_send(b, 1, "111#");
	CHECK(t, canport_start(b->node[0].port));
	bed_run(b, MS);
	CHECK_EQ(t, b->node[0].n, 1);
	bed_free(b);
}

/* Errors: 8 for each attempt that fails, 1 off for each that succeeds (12.1.4.2). */
static void error_counters(struct tap *t)
{
	struct bed *b = bed_new(2);
	char text[400];

	REQUIRE(t, bed_start(b));
	CHECK_EQ(t, bed_tell(b, 0, text, sizeof(text), "error 3"), 0);
	bed_send(b, 0, "123#11");
	bed_run(b, 2 * MS);
	CHECK_EQ(t, b->node[0].sent, 1);
	CHECK_EQ(t, b->node[1].n, 1);
	CHECK_EQ(t, canport_counters(b->node[0].port)->tx_errors, 3);
	bed_tell(b, 0, text, sizeof(text), "show");
	CHECK(t, strstr(text, "error-active     23    0"));
	bed_tell(b, 1, text, sizeof(text), "show");
	CHECK(t, strstr(text, "error-active      0    2"));
	bed_tell(b, 0, text, sizeof(text), "error 14");
	bed_send(b, 0, "123#11");
	bed_run(b, 10 * MS);
	CHECK_EQ(t, canport_state(b->node[0].port), CAN_STATE_ERROR_PASSIVE);
	CHECK_EQ(t, b->node[0].sent, 2);
	bed_free(b);
}

static void bus_off_and_recovery(struct tap *t)
{
	struct bed *b = bed_new(2);
	char text[400];

	REQUIRE(t, bed_start(b));
	bed_tell(b, 0, text, sizeof(text), "error 1000");
	bed_send(b, 0, "123#11");
	bed_send(b, 0, "124#11");
	bed_run(b, 10 * MS);
	CHECK_EQ(t, canport_state(b->node[0].port), CAN_STATE_BUS_OFF);
	CHECK_EQ(t, canport_counters(b->node[0].port)->tx_errors, 32);
	CHECK_EQ(t, b->node[0].offs, 1);
	CHECK_EQ(t, b->node[0].lost, 2);
	CHECK(t, !strcmp(b->node[0].event, "bus-off"));
	CHECK_EQ(t, bed_send(b, 0, "123#11"), -ENETDOWN);
	/* The others go on. */
	bed_send(b, 1, "111#");
	bed_run(b, MS);
	CHECK_EQ(t, b->node[1].sent, 1);
	CHECK_EQ(t, b->node[0].n, 0);
	/* 128 times 11 recessive bits until it is back. */
	CHECK(t, !canport_start(b->node[0].port));
	bed_pass(b, 1408 * BIT - 1);
	CHECK_EQ(t, b->node[0].started, 0);
	CHECK_EQ(t, bed_send(b, 0, "123#11"), -ENETDOWN);
	bed_pass(b, 1);
	CHECK_EQ(t, b->node[0].started, 1);
	CHECK_EQ(t, canport_state(b->node[0].port), CAN_STATE_ERROR_ACTIVE);
	/* A stop and a start do not make that shorter. */
	bed_tell(b, 0, text, sizeof(text), "bus-off");
	CHECK_EQ(t, b->node[0].offs, 2);
	canport_stop(b->node[0].port);
	CHECK(t, !canport_start(b->node[0].port));
	canport_stop(b->node[0].port);
	bed_run(b, 4 * MS);
	CHECK_EQ(t, b->node[0].started, 1);
	bed_free(b);
}

static void who_acknowledges(struct tap *t)
{
	struct bed *b = bed_new(2);

	b->config.ack = CANBUS_ACK_NODES;
	b->port[1].listen_only = true;
	REQUIRE(t, bed_start(b));
	bed_send(b, 0, "123#11");
	bed_run(b, 50 * MS);
	/* It tries for ever, and does not go bus-off for that. */
	CHECK_EQ(t, b->node[0].sent, 0);
	CHECK_EQ(t, b->node[1].n, 0);
	CHECK_EQ(t, canport_state(b->node[0].port), CAN_STATE_ERROR_PASSIVE);
	CHECK(t, canport_counters(b->node[0].port)->tx_errors > 32);
	bed_free(b);

	b = bed_new(2);
	b->config.ack = CANBUS_ACK_NODES;
	REQUIRE(t, bed_start(b));
	canport_stop(b->node[1].port);
	bed_send(b, 0, "123#11");
	bed_run(b, 2 * MS);
	CHECK_EQ(t, b->node[0].sent, 0);
	CHECK(t, canport_start(b->node[1].port));
	bed_run(b, 2 * MS);
	CHECK_EQ(t, b->node[0].sent, 1);
	bed_free(b);
}

static void short_circuit(struct tap *t)
{
	struct bed *b = bed_new(3);
	char text[400];

	REQUIRE(t, bed_start(b));
	CHECK_EQ(t, bed_tell(b, -1, text, sizeof(text), "short on"), 0);
	bed_send(b, 0, "123#11");
	bed_run(b, 10 * MS);
	CHECK_EQ(t, b->node[0].offs, 1);
	CHECK_EQ(t, b->node[0].lost, 1);
	CHECK_EQ(t, b->node[1].offs, 0); /* has sent nothing */
	CHECK_EQ(t, bed_tell(b, -1, text, sizeof(text), "short off"), 0);
	bed_send(b, 1, "123#22");
	bed_run(b, MS);
	CHECK_EQ(t, b->node[2].n, 1);
	bed_free(b);
}

static void babbling_is_held_back(struct tap *t)
{
	struct bed *b = bed_new(2);
	char text[400];
	unsigned first;

	b->port[0].max_rate = 100;
	REQUIRE(t, bed_start(b));
	CHECK_EQ(t, bed_tell(b, 0, text, sizeof(text), "babble 001#FF 5000"), 0);
	bed_run(b, 500 * MS);
	/* A tenth of a second's worth at once, then as many as it may. */
	first = b->node[1].n;
	CHECK(t, first >= 55 && first <= 65);
	CHECK(t, !strcmp(b->node[0].event, "babbling"));
	/* The other node is heard all the time. */
	bed_send(b, 1, "7FF#");
	bed_run(b, MS);
	CHECK_EQ(t, b->node[0].n, 1);
	CHECK_EQ(t, bed_tell(b, 0, text, sizeof(text), "quiet"), 0);
	first = b->node[1].n;
	bed_run(b, 50 * MS);
	CHECK_EQ(t, b->node[1].n, first);
	CHECK_EQ(t, b->node[0].sent, 0); /* none of it was the guest's */
	bed_free(b);
}

static void babbling_without_limit(struct tap *t)
{
	struct bed *b = bed_new(2);
	char text[400];

	REQUIRE(t, bed_start(b));
	bed_tell(b, 0, text, sizeof(text), "babble 001#FF 100000");
	bed_pass(b, 0);
	bed_send(b, 1, "7FF#");
	bed_run(b, 20 * MS);
	CHECK_EQ(t, b->node[0].n, 0); /* the bus is lost */
	bed_tell(b, -1, text, sizeof(text), "show");
	bed_free(b);
}

static void limit_on_load(struct tap *t)
{
	struct bed *b = bed_new(2);
	uint64_t busy;

	b->port[0].max_load = 25;
	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 4000; i++) {
		bed_send(b, 0, "123#1122334455667788");
		bed_pass(b, MS / 2);
	}
	busy = canbus_counters(b->bus)->busy_ns;
	CHECK(t, busy > 2 * S * 24 / 100 && busy < 2 * S * 30 / 100);
	bed_free(b);

	b = bed_new(2);
	b->port[0].max_load = 25;
	b->port[0].on_babbling = CANPORT_BUS_OFF;
	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 2000 && !b->node[0].offs; i++) {
		bed_send(b, 0, "123#1122334455667788");
		bed_pass(b, 200000);
	}
	CHECK_EQ(t, b->node[0].offs, 1);
	bed_free(b);
}

static void figures(struct tap *t)
{
	struct bed *b = bed_new(2);
	char text[1000];

	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 1200; i++) {
		bed_send(b, 0, "123#1122334455667788");
		bed_pass(b, MS);
	}
	CHECK_EQ(t, bed_tell(b, -1, text, sizeof(text), "show"), 0);
	/* 1000 frames a second, each about 0.24 ms. */
	CHECK(t, strstr(text, "500000 bit/s, data 2000000 bit/s; load 2"));
	CHECK(t, strstr(text, "1200 frames, 0 errors"));
	CHECK(t, strstr(text, "n0 ") && strstr(text, "n1 ") && strstr(text, "operator"));
	CHECK_EQ(t, bed_tell(b, -1, text, sizeof(text), "send 321##1AABB"), 0);
	bed_run(b, MS);
	CHECK_EQ(t, b->node[0].n, 1);
	CHECK_EQ(t, b->node[0].got[0].len, 2);
	CHECK(t, can_is_fd(&b->node[0].got[0]));
	bed_free(b);
}

static void wrong_words(struct tap *t)
{
	static const char *const bus[] = { "", "shw", "send", "send 123", "send 800#", "error",
		"error 0", "error -1", "error x", "error 99999999", "short", "short maybe",
		"send 20000004#00" };
	static const char *const port[] = { "", "off", "error", "error 1 2", "babble", "babble 123",
		"babble 123# 0", "babble 123# 1000000", "quiet now", "bus-off now" };
	struct bed *b = bed_new(2);
	char text[400];

	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < sizeof(bus) / sizeof(*bus); i++)
		CHECK_EQ(t, bed_tell(b, -1, text, sizeof(text), bus[i]), -EINVAL);
	for (unsigned i = 0; i < sizeof(port) / sizeof(*port); i++)
		CHECK_EQ(t, bed_tell(b, 0, text, sizeof(text), port[i]), -EINVAL);
	CHECK(t, strstr(text, "bus-off, error N"));
	canport_stop(b->node[0].port);
	CHECK_EQ(t, bed_tell(b, 0, text, sizeof(text), "bus-off"), -EINVAL);
	bed_free(b);
}

static void wrong_configuration(struct tap *t)
{
	static const char *const bad[] = { "12" };
	struct err e = { 0 };
	struct bed *b;

	for (unsigned i = 0; i < 6; i++) {
		b = bed_new(2);
		b->config.bitrate = i == 0 ? 999 : 500000;
		b->config.data_bitrate = i == 1 ? 250000 : 500000;
		if (i == 2)
			b->port[1].filters = (struct opt_list){ (char **)(uintptr_t)bad, 1 };
		if (i == 3)
			b->port[1].tx_filters = (struct opt_list){ (char **)(uintptr_t)bad, 1 };
		if (i == 4) {
			b->config.bitrate = 0;
			b->port[0].max_load = 10;
		}
		CHECK_EQ(t, bed_open(b, &e), i == 5 ? 0 : -EINVAL);
		if (i == 5)
			CHECK_EQ(t,
				canbus_add_port(b->bus, "n1", &b->port[0], &b->node[3].port, &e),
				-EINVAL);
		bed_free(b);
	}
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, a_frame_takes_its_time);
	TAP_RUN(&t, fd_uses_both_bit_rates);
	TAP_RUN(&t, catches_up);
	TAP_RUN(&t, the_lowest_identifier_wins);
	TAP_RUN(&t, nobody_interrupts);
	TAP_RUN(&t, order_at_a_node);
	TAP_RUN(&t, without_pace);
	TAP_RUN(&t, refuses);
	TAP_RUN(&t, filters_at_the_receiver);
	TAP_RUN(&t, stop_gives_back);
	TAP_RUN(&t, error_counters);
	TAP_RUN(&t, bus_off_and_recovery);
	TAP_RUN(&t, who_acknowledges);
	TAP_RUN(&t, short_circuit);
	TAP_RUN(&t, babbling_is_held_back);
	TAP_RUN(&t, babbling_without_limit);
	TAP_RUN(&t, limit_on_load);
	TAP_RUN(&t, figures);
	TAP_RUN(&t, wrong_words);
	TAP_RUN(&t, wrong_configuration);
	return tap_done(&t);
}
