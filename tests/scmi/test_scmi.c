/* SPDX-License-Identifier: BSD-3-Clause */
/* The SCMI device: transport, message engine, agents. The protocols are in test_protocols.c. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/devices.h"
#include "scmi/rig.h"

#define LONG_MS 10000
#define NONE_MS 60

/* Messages of the protocols that are used here. */
#define CLOCK_RATE_SET	  0x5
#define CLOCK_RATE_GET	  0x6
#define CLOCK_RATE_NOTIFY 0x9
#define POWER_STATE_SET	  0x4
#define POWER_STATE_GET	  0x5
#define POWER_NOTIFY	  0x6
#define POWER_OFF	  (1u << 30)
#define ASYNC		  1u

static const char *const all[] = { "clocks",
	"uart rates=24000000/48000000 rate=48000000 latency=20ms", "clocks", "fixed rate=1000",
	"power-domains", "gpu state=on", "resets", "camera", "perf", "cpu levels=400:50:20/800:210",
	"voltages", "vdd range=800000/1200000/12500", "powercaps", "soc caps=1000/15000/100",
	"system-power", "true", NULL };

static uint64_t ring; /* layout of this run of the cases */

static void open_all(struct tap *t, struct scmi_rig *r, uint64_t features, unsigned events)
{
	rig_open(t, r, ring | features, events, all);
}

static void every_protocol_says_its_version(struct tap *t)
{
	static const struct {
		uint8_t id;
		uint32_t version;
	} p[] = { { 0x10, 0x20001 }, { 0x11, 0x30001 }, { 0x12, 0x20001 }, { 0x13, 0x40000 },
		{ 0x14, 0x30000 }, { 0x16, 0x30001 }, { 0x17, 0x20001 }, { 0x18, 0x20000 } };
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		CHECK_EQ(t, CMD0(&r, p[i].id, SCMI_VERSION), SCMI_SUCCESS);
		CHECK_EQ(t, r.n, 1);
		CHECK_EQ(t, r.ret[0], p[i].version);
		CHECK_EQ(t, CMD(&r, p[i].id, SCMI_NEGOTIATE, p[i].version), SCMI_SUCCESS);
		CHECK_EQ(t, r.n, 0);
		CHECK_EQ(t, CMD(&r, p[i].id, SCMI_NEGOTIATE, 0x10000), SCMI_NOT_SUPPORTED);
		CHECK_EQ(t, CMD(&r, p[i].id, SCMI_MSG_ATTRIBUTES, SCMI_NEGOTIATE), SCMI_SUCCESS);
	}
	CHECK_EQ(t, CMD0(&r, 0x15, SCMI_VERSION), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD0(&r, 0x19, SCMI_VERSION), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD0(&r, 0x00, SCMI_VERSION), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD0(&r, 0xff, SCMI_VERSION), SCMI_NOT_SUPPORTED);
	rig_close(&r);
}

static void base_protocol(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 7 | 2 << 8);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, 3), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 4);
	CHECK(t, rig_text_is(r.ret, "avp"));
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, 4), SCMI_SUCCESS);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, 5), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 1);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 3);
	CHECK_EQ(t, r.ret[0], 7);
	CHECK_EQ(t, r.ret[1], 0x14131211);
	CHECK_EQ(t, r.ret[2], 0x181716);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 5), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 2);
	CHECK_EQ(t, r.ret[1], 0x1817);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 7), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 8), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 7, 0), SCMI_SUCCESS);
	CHECK(t, r.ret[0] == 0 && rig_text_is(r.ret + 1, "platform"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 7, SCMI_AGENT_SELF), SCMI_SUCCESS);
	CHECK(t, r.ret[0] == 1 && rig_text_is(r.ret + 1, "scmi"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 7, 2), SCMI_NOT_FOUND);
	/* It is not trusted with what others may do. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 9, 1, 0, 1), SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 10, 1, 0, 0x14, 1), SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 11, 1, 0), SCMI_DENIED);
	rig_close(&r);
}

/* Every command there is, in every wrong length: one answer. */
static void lengths_are_exact(struct tap *t)
{
	const uint32_t words[SCMI_PARAMS_MAX / 4 + 8] = { 0 };
	unsigned wrong = 0, seen = 0;
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned s = 0; s < SCMI_SLOTS; s++) {
		const struct scmi_command *c;

		if (!scmi_protocols[s] || s == SCMI_SLOT(SCMI_PROTOCOL_SENSOR))
			continue;
		for (c = scmi_protocols[s]->commands; c->run; c++, seen++) {
			for (unsigned n = 0; n < ARRAY_LEN(words); n++)
				if (n * 4 != c->len)
					wrong += rig_do(&r, scmi_protocols[s]->id, c->id, words,
							 n) != SCMI_PROTOCOL_ERROR;
			CHECK_EQ(t, r.n, 0);
		}
		wrong += CMD(&r, scmi_protocols[s]->id, SCMI_VERSION, 0) != SCMI_PROTOCOL_ERROR;
		wrong +=
			CMD0(&r, scmi_protocols[s]->id, SCMI_MSG_ATTRIBUTES) != SCMI_PROTOCOL_ERROR;
	}
	CHECK_EQ(t, wrong, 0);
	CHECK(t, seen > 40);
	rig_close(&r);
}

/* MESSAGE_ATTRIBUTES and the commands themselves agree on what there is. */
static void commands_and_their_attributes_agree(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned p = 0; p < 0x100; p++) {
		for (unsigned id = 0; id < 0x100; id += p < 0x10 || p > 0x18 ? 16 : 1) {
			int32_t told = CMD(&r, (uint8_t)p, SCMI_MSG_ATTRIBUTES, id);
			/* No command has so many parameters: that it is there shows. */
			const uint32_t many[18] = { 0 };
			int32_t done = rig_do(&r, (uint8_t)p, (uint8_t)id, many, 18);

			if (told == SCMI_SUCCESS && done == SCMI_PROTOCOL_ERROR)
				continue;
			if (told == SCMI_NOT_FOUND && done == SCMI_NOT_SUPPORTED)
				continue;
			if (told == SCMI_NOT_SUPPORTED && done == SCMI_NOT_SUPPORTED)
				continue;
			printf("# protocol %x message %x: %d, %d\n", p, id, told, done);
			CHECK(t, false);
		}
	}
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, SCMI_MSG_ATTRIBUTES, 0x100), SCMI_NOT_FOUND);
	rig_close(&r);
}

static void headers_are_checked(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned type = 0; type < 4; type++) {
		for (unsigned upper = 0; upper < 16; upper += 5) {
			uint32_t out = SCMI_HDR(SCMI_VERSION, type, SCMI_PROTOCOL_BASE) |
				       upper << 28,
				 in[3] = { 0 };
			bool good = !type && !upper;

			CHECK_EQ(t, vhud_do(r.d, CMDQ, &out, 4, in, 12), good ? 12 : 8);
			CHECK_EQ(t, in[0], out);
			CHECK_EQ(t, (int32_t)in[1], good ? SCMI_SUCCESS : SCMI_PROTOCOL_ERROR);
		}
	}
	rig_close(&r);
}

/* Less than a header is answered, too. */
static void short_headers(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned len = 0; len < 4; len++) {
		uint32_t out = SCMI_HDR(SCMI_VERSION, 0, SCMI_PROTOCOL_BASE), in[3] = { 0 };

		CHECK_EQ(t, vhud_do(r.d, CMDQ, &out, len, in, 12), 8);
		CHECK_EQ(t, (int32_t)in[1], SCMI_PROTOCOL_ERROR);
	}
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION), SCMI_SUCCESS);
	rig_close(&r);
}

/* Header and status fit, the values do not; then nothing is changed either. */
static void room_for_the_answer(struct tap *t)
{
	const uint32_t zero = 0;
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned room = 0; room < 4; room++)
		CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION, NULL, 0, room),
			SCMI_COMMS_ERROR);
	CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION, NULL, 0, 4), SCMI_SUCCESS);
	CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_BASE, 6, &zero, 1, 7), SCMI_COMMS_ERROR);
	CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_BASE, 6, &zero, 1, 8), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 4);
	/* An answer in several parts takes what fits: one rate of two. */
	CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_CLOCK, 4, (uint32_t[]){ 0, 0 }, 2, 12),
		SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 1 | 1 << 16);
	CHECK_EQ(t, r.ret[1], 24000000);
	CHECK_EQ(t, rig_do_room(&r, SCMI_PROTOCOL_CLOCK, 4, (uint32_t[]){ 0, 0 }, 2, 11),
		SCMI_COMMS_ERROR);
	rig_close(&r);
}

/* Buffers that cannot hold a message at all. */
static void buffers_without_room_need_a_reset(struct tap *t)
{
	static const struct {
		unsigned out, in;
	} bad[] = { { 4, 0 }, { 4, 7 }, { 64, 0 }, { 0, 7 } };
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t *mem = vhud_alloc(r.d, 128);
		struct iovec iov[2] = { { mem, bad[i].out }, { mem + 64, bad[i].in } };
		unsigned first = bad[i].out ? 0 : 1;

		CHECK_EQ(t, vhud_add(r.d, CMDQ, iov + first, !!bad[i].out, !!bad[i].in, NULL), 0);
		vhud_kick(r.d, CMDQ);
		CHECK(t, vhud_needs_reset(r.d));
		CHECK_EQ(t, vhud_reset(r.d), 0);
		rig_start(t, &r, ring | P2A, 2);
		CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION), SCMI_SUCCESS);
	}
	rig_close(&r);
}

static void bad_event_buffers_need_a_reset(struct tap *t)
{
	struct scmi_rig r;

	for (unsigned i = 0; i < 2; i++) {
		open_all(t, &r, P2A, 0);
		uint8_t *mem = vhud_alloc(r.d, 256);
		struct iovec iov[2] = { { mem, 128 }, { mem + 128, 7 } };

		/* One that is read only, and one too small for anything. */
		CHECK_EQ(t, vhud_add(r.d, EVENTQ, iov + i, !i, i, NULL), 0);
		vhud_kick(r.d, EVENTQ);
		CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, ASYNC, 0, 24000000, 0),
			SCMI_SUCCESS);
		CHECK(t, vhud_needs_reset(r.d));
		rig_close(&r);
	}
}

/* Without P2A_CHANNELS neither notifications nor delayed responses exist (5.17.6.1.1). */
static void without_p2a_there_are_no_notifications(struct tap *t)
{
	const uint32_t words[16] = { 0 };
	unsigned asked = 0;
	struct scmi_rig r;

	open_all(t, &r, 0, 0);
	for (unsigned s = 0; s < SCMI_SLOTS; s++) {
		const struct scmi_command *c =
			scmi_protocols[s] ? scmi_protocols[s]->commands : NULL;
		uint8_t id = (uint8_t)(SCMI_PROTOCOL_BASE + s);

		for (; c && c->run; c++) {
			if (!(c->flags & SCMI_NOTIFY))
				continue;
			asked++;
			CHECK_EQ(t, rig_do(&r, id, c->id, words, c->len / 4), SCMI_NOT_SUPPORTED);
			if (s != SCMI_SLOT(SCMI_PROTOCOL_SENSOR))
				CHECK_EQ(
					t, CMD(&r, id, SCMI_MSG_ATTRIBUTES, c->id), SCMI_NOT_FOUND);
		}
	}
	CHECK(t, asked >= 9);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, ASYNC, 0, 24000000, 0),
		SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 48000000);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 5, 0), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 0, ASYNC, 812500), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 0, 2, 5000), SCMI_NOT_SUPPORTED);
	/* Attributes do not promise them either. */
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_CLOCK, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 2);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 3, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 3, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 0);
	rig_close(&r);
}

static void a_delayed_response(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, ASYNC, 0, 24000000, 0),
		SCMI_SUCCESS);
	uint32_t hdr =
		SCMI_HDR(CLOCK_RATE_SET, SCMI_TYPE_DELAYED, SCMI_PROTOCOL_CLOCK) | r.token << 18;

	/* It takes the clock's 20 ms. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, hdr);
	CHECK_EQ(t, r.event_n, 4);
	CHECK(t, !r.event[0] && !r.event[1] && r.event[2] == 24000000 && !r.event[3]);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 24000000);
	/* "Ignore delayed response" */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, 3, 0, 48000000, 0), SCMI_SUCCESS);
	CHECK(t, !rig_event(&r, NONE_MS));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 48000000);
	rig_close(&r);
}

/* They wait for buffers, and come all; too many at a time are refused. */
static void delayed_responses_are_never_lost(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 0);
	for (unsigned i = 0; i < SCMI_DELAYED_MAX; i++)
		CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 5, 0), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 5, 0), SCMI_BUSY);
	/* Others do not take their places. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 5, 0, 1), SCMI_SUCCESS);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 1, 0), SCMI_SUCCESS);
	for (unsigned i = 0; i < EVENTS; i++)
		rig_feed(&r, EVENT_SIZE);
	unsigned delayed = 0, notified = 0;

	while (delayed < SCMI_DELAYED_MAX && rig_event(&r, LONG_MS)) {
		delayed += SCMI_HDR_TYPE(r.event_hdr) == SCMI_TYPE_DELAYED;
		notified += SCMI_HDR_TYPE(r.event_hdr) == SCMI_TYPE_NOTIFICATION;
	}
	CHECK_EQ(t, delayed, SCMI_DELAYED_MAX);
	while (rig_event(&r, NONE_MS))
		notified++;
	/* Of the notifications those are left for which there was a place. */
	CHECK_EQ(t, notified, 96);
	CHECK(t, vhud_serve_metric(&r.srv, "dropped") >= 100);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 5, 0), SCMI_SUCCESS);
	CHECK(t, rig_event(&r, LONG_MS));
	rig_close(&r);
}

/* A later state takes the place of an earlier one that is still to be sent. */
static void notifications_are_the_latest(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_NOTIFY, 0, 1), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, POWER_OFF), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, 0), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, POWER_OFF), SCMI_SUCCESS);
	/* One that is too small is passed over by a notification, and stays. */
	rig_feed(&r, 12);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION), SCMI_SUCCESS);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped"), 1);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, 0), SCMI_SUCCESS);
	CHECK(t, !rig_event(&r, NONE_MS));
	rig_close(&r);

	open_all(t, &r, P2A, 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_NOTIFY, 0, 1), SCMI_SUCCESS);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(t,
			CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, i & 1 ? 0 : POWER_OFF),
			SCMI_SUCCESS);
	rig_feed(&r, EVENT_SIZE);
	rig_feed(&r, EVENT_SIZE);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_POWER));
	CHECK_EQ(t, r.event_n, 3);
	CHECK(t, r.event[0] == 1 && r.event[1] == 0 && r.event[2] == POWER_OFF);
	CHECK(t, !rig_event(&r, NONE_MS));
	rig_close(&r);
}

/* A delayed response for which the buffer is too small still ends the wait. */
static void a_small_buffer_gets_an_error(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, ASYNC, 0, 24000000, 0),
		SCMI_SUCCESS);
	rig_feed(&r, 8);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_n, 1);
	CHECK_EQ(t, (int32_t)r.event[0], SCMI_COMMS_ERROR);
	rig_close(&r);
}

static void a_reset_forgets(struct tap *t)
{
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_NOTIFY, 0, 1), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, POWER_OFF), SCMI_SUCCESS);
	CHECK(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, ASYNC, 0, 24000000, 0),
		SCMI_SUCCESS);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	rig_start(t, &r, ring | P2A, 4);
	/* The domain is as it was at first, and nobody asked for notifications any more. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, POWER_STATE_SET, 0, 0, POWER_OFF), SCMI_SUCCESS);
	CHECK(t, !rig_event(&r, NONE_MS));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 48000000);
	rig_close(&r);
}

/* More commands at once than one turn of the loop takes. */
static void bursts(struct tap *t)
{
	enum { AT_ONCE = 30, ROUNDS = 20 };
	const uint32_t hdr = SCMI_HDR(SCMI_VERSION, SCMI_TYPE_COMMAND, SCMI_PROTOCOL_BASE);
	struct scmi_rig r;
	unsigned good = 0;

	open_all(t, &r, P2A, 4);
	uint32_t *mem = vhud_alloc(r.d, AT_ONCE * 64);

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < AT_ONCE; i++) {
			uint32_t *at = mem + i * 16;
			struct iovec iov[2] = { { at, 4 }, { at + 8, 12 } };

			at[0] = hdr | (round * AT_ONCE + i) << 18;
			CHECK_EQ(t, vhud_add(r.d, CMDQ, iov, 1, 1, at), 0);
		}
		vhud_kick(r.d, CMDQ);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			uint32_t len, *at;
			void *token;

			REQUIRE(t, vhud_wait(r.d, CMDQ, &token, &len, LONG_MS) == 1);
			at = token;
			good += len == 12 && at[8] == at[0] && !at[9] && at[10] == 0x20001;
		}
	}
	CHECK_EQ(t, good, AT_ONCE * ROUNDS);
	rig_close(&r);
}

/* Messages in as many pieces as there are bytes. */
static void scattered_buffers(struct tap *t)
{
	const uint32_t out[5] = { SCMI_HDR(CLOCK_RATE_SET, SCMI_TYPE_COMMAND, SCMI_PROTOCOL_CLOCK),
		0, 0, 24000000, 0 };
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	uint8_t *mem = vhud_alloc(r.d, 64);
	struct iovec iov[28];

	memcpy(mem, out, sizeof(out));
	for (unsigned i = 0; i < 20; i++)
		iov[i] = (struct iovec){ mem + i, 1 };
	for (unsigned i = 0; i < 8; i++)
		iov[20 + i] = (struct iovec){ mem + 32 + i, 1 };
	CHECK_EQ(t, vhud_add(r.d, CMDQ, iov, 20, 8, NULL), 0);
	vhud_kick(r.d, CMDQ);
	uint32_t len = 0, in[2];

	CHECK_EQ(t, vhud_wait(r.d, CMDQ, NULL, &len, LONG_MS), 1);
	memcpy(in, mem + 32, sizeof(in));
	CHECK_EQ(t, len, 8);
	CHECK(t, in[0] == out[0] && !in[1]);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 24000000);
	rig_close(&r);
}

/* An agent sees what it was granted, under ids of its own. */
static void grants(struct tap *t)
{
	static const char *const keys[] = { "clocks", "a rate=1", "clocks", "b rates=2/20",
		"clocks", "c rates=3/30", "power-domains", "gpu", "grants", "clock:*=read",
		"grants", "clock:c=write", "grants", "clock:a=none", NULL };
	struct scmi_rig r;

	rig_open(t, &r, ring | P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 0), SCMI_SUCCESS);
	CHECK(t, r.ret[0] == 1 && r.ret[1] == 0x14);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_POWER, SCMI_VERSION), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_CLOCK, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0] & 0xffff, 3);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, 8), SCMI_PROTOCOL_ERROR);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 8, 1), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 0), SCMI_DENIED);
	uint32_t hdr = SCMI_HDR(CLOCK_RATE_GET, 0, SCMI_PROTOCOL_CLOCK) | r.token << 18;

	/* BASE_ERROR_EVENT */
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_BASE));
	CHECK_EQ(t, r.event_n, 4);
	CHECK(t, r.event[0] == 1 && r.event[1] == 1 && r.event[2] == hdr &&
			 (int32_t)r.event[3] == SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 1), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, 0, 1, 20, 0), SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_SET, 0, 2, 30, 0), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, 3), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_GET, UINT32_MAX), SCMI_NOT_FOUND);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "denied"), 2);
	rig_close(&r);
}

static void operator_commands(struct tap *t)
{
	char text[1024];
	struct scmi_rig r;

	open_all(t, &r, P2A, 4);
	CHECK_EQ(t, rig_tell(&r, "show", text, sizeof(text)), 0);
	CHECK(t, strstr(text, "agent 1 scmi denied=0\n"));
	CHECK(t, strstr(text, "clock uart rate=48000000 state=off\n"));
	CHECK(t, strstr(text, "power gpu state=on\n"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, CLOCK_RATE_NOTIFY, 0, 1), SCMI_SUCCESS);
	CHECK_EQ(t, rig_tell(&r, "clock uart rate 24000000", text, sizeof(text)), 0);
	CHECK(t, !strcmp(text, "clock uart rate=24000000 state=off\n"));
	REQUIRE(t, rig_event(&r, LONG_MS));
	/* The platform did it. */
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_CLOCK));
	CHECK(t, !r.event[0] && !r.event[1] && r.event[2] == 24000000 && !r.event[3]);
	CHECK_EQ(t, rig_tell(&r, "clock uart rate 5", text, sizeof(text)), -EINVAL);
	CHECK_EQ(t, rig_tell(&r, "clock none", text, sizeof(text)), -EINVAL);
	CHECK_EQ(t, rig_tell(&r, "clock", text, sizeof(text)), -EINVAL);
	CHECK_EQ(t, rig_tell(&r, "base x y", text, sizeof(text)), -EINVAL);
	CHECK_EQ(t, rig_tell(&r, "nonsense", text, sizeof(text)), -EINVAL);
	CHECK(t, strstr(text, "'nonsense' is no command; possible: show"));
	rig_close(&r);
}

/* Whatever comes, there is a status of the standard's. */
static void random_messages(struct tap *t)
{
	uint64_t x = 88172645463325252u;
	unsigned bad = 0, good = 0;
	struct scmi_rig r;

	open_all(t, &r, P2A, EVENTS);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t words[20];
		int32_t status;

		for (unsigned k = 0; k < ARRAY_LEN(words); k++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			words[k] = (uint32_t)(x >> 33) >> (x >> 60) * 2;
		}
		status = rig_do_room(&r, (uint8_t)(0x10 + words[0] % 10), words[1] % 0x12,
			words + 2, words[19] % 6, words[18] % 200);
		bad += status > 0 || status < SCMI_PROTOCOL_ERROR;
		good += status == SCMI_SUCCESS;
		while (i % 64 == 0 && rig_event(&r, 0))
			;
	}
	CHECK_EQ(t, bad, 0);
	CHECK(t, good > 100);
	rig_close(&r);
}

/* Not what can be served: refused at the start, with a reason. */
static void bad_descriptions(struct tap *t)
{
	static const struct {
		const char *key, *value, *says;
	} bad[] = {
		{ "clocks", "uart", "rate, rates or range is needed" },
		{ "clocks", "uart rate=x", "whole one" },
		{ "clocks", "uart rates=2/1", "ascending" },
		{ "clocks", "uart rates=1/2 rate=3", "not one of the possible" },
		{ "clocks", "uart range=1/9", "LOWEST/HIGHEST/STEP" },
		{ "clocks", "uart range=1/9/2 rates=1", "exclude" },
		{ "clocks", "uart rate=1 rate=2", "twice" },
		{ "clocks", "uart rate=1 colour=red", "'colour=' is not known" },
		{ "clocks", "uart rate=1 latency=5h", "is not a time" },
		{ "clocks", "rate=1", "does not begin with a name" },
		{ "clocks", "a:b rate=1", "one of ':'" },
		{ "power-domains", "gpu state=of", "try on" },
		{ "perf", "cpu", "levels=" },
		{ "perf", "cpu levels=2/1", "ascending" },
		{ "perf", "cpu levels=1:2:3:4", "whole one" },
		{ "perf", "cpu levels=1:2:70000", "latency" },
		{ "perf", "cpu levels=1/2 level=3", "among the levels" },
		{ "perf", "cpu levels=4000000000 khz=2", "above 2^32" },
		{ "voltages", "vdd", "levels or range" },
		{ "voltages", "vdd range=9/1/1", "LOWEST/HIGHEST/STEP" },
		{ "voltages", "vdd levels=1/2 level=3", "not one of" },
		{ "powercaps", "soc", "LOWEST/HIGHEST/STEP" },
		{ "powercaps", "soc caps=1/9/1 cap=10", "not one of" },
		{ "powercaps", "soc caps=1/9/1 parent=x", "is not there" },
		{ "resets", "", "list" },
		{ "devices", "camera clock:x", "nothing that the platform has" },
		{ "grants", "clock:x", "fits nothing" },
		{ "grants", "clock=all", "possible: none, read, write" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct ev_loop *loop;
		struct err e = { 0 };
		struct vdev *dev;
		int ret;

		REQUIRE(t, !ev_loop_create(&loop) && !vdev_new(&dev, &vdev_scmi, &e));
		ret = opt_set(vdev_scmi.opts, dev, bad[i].key, bad[i].value, &e);
		if (!ret)
			ret = vdev_init(dev, loop, NULL, &e);
		if (*bad[i].value)
			CHECK_EQ(t, ret, -EINVAL);
		if (ret && !CHECK(t, strstr(e.msg, bad[i].says)))
			printf("# %s: %s\n", bad[i].value, e.msg);
		vdev_destroy(dev);
		ev_loop_destroy(loop);
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct tap *t);
	} cases[] = {
		{ "every protocol says its version", every_protocol_says_its_version },
		{ "base protocol", base_protocol },
		{ "headers are checked", headers_are_checked },
		{ "short headers", short_headers },
		{ "room for the answer", room_for_the_answer },
		{ "buffers without room need a reset", buffers_without_room_need_a_reset },
		{ "bad event buffers need a reset", bad_event_buffers_need_a_reset },
		{ "a delayed response", a_delayed_response },
		{ "delayed responses are never lost", delayed_responses_are_never_lost },
		{ "notifications are the latest", notifications_are_the_latest },
		{ "a small buffer gets an error", a_small_buffer_gets_an_error },
		{ "a reset forgets", a_reset_forgets },
		{ "bursts", bursts },
		{ "scattered buffers", scattered_buffers },
	};
	static const uint64_t rings[] = { 0, FEATURE(VIRTIO_F_RING_PACKED) |
						     FEATURE(VIRTIO_F_EVENT_IDX) |
						     FEATURE(VIRTIO_F_INDIRECT_DESC) };
	struct tap t = { 0 };
	char name[80];

	for (unsigned k = 0; k < ARRAY_LEN(rings); k++) {
		ring = rings[k];
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			snprintf(name, sizeof(name), "%s: %s", k ? "packed" : "split",
				cases[i].name);
			tap_run(&t, name, cases[i].fn);
		}
	}
	ring = 0;
	TAP_RUN(&t, lengths_are_exact);
	TAP_RUN(&t, commands_and_their_attributes_agree);
	TAP_RUN(&t, without_p2a_there_are_no_notifications);
	TAP_RUN(&t, grants);
	TAP_RUN(&t, operator_commands);
	TAP_RUN(&t, random_messages);
	TAP_RUN(&t, bad_descriptions);
	return tap_done(&t);
}
