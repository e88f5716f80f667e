/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocols of the SCMI device, message by message. Sensors are in tests/sensors. */
#include <string.h>

#include "base/util.h"
#include "scmi/rig.h"

#define LONG_MS 10000
#define NONE_MS 60
#define OFF	(1u << 30)
#define NAME	4u /* words of a short name */

static void power(struct tap *t)
{
	static const char *const keys[] = { "power-domains", "gpu latency=5ms", "power-domains",
		"a-domain-with-a-long-name state=on", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_POWER, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 4 && r.ret[0] == 2 && !r.ret[1] && !r.ret[2] && !r.ret[3]);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 3, 0), 0);
	CHECK(t, r.n == 1 + NAME && r.ret[0] == 0xf0000000 && rig_text_is(r.ret + 1, "gpu"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 3, 1), 0);
	CHECK(t, r.ret[0] == 0xf8000000 && rig_text_is(r.ret + 1, "a-domain-with-a"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 8, 1), 0);
	CHECK(t, r.n == 17 && !r.ret[0] && rig_text_is(r.ret + 1, "a-domain-with-a-long-name"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 5, 0), 0);
	CHECK(t, r.n == 1 && r.ret[0] == OFF);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 5, 1), 0);
	CHECK_EQ(t, r.ret[0], 0);
	/* Asynchronously: after its 5 ms. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 6, 0, 1), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 1, 0, 0), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_POWER));
	CHECK(t, r.event[0] == 1 && r.event[1] == 0 && r.event[2] == 0);
	/* No change, no notification; nor without asking for it. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 0, 0, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 6, 0, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 0, 0, OFF), 0);
	CHECK(t, !rig_event(&r, NONE_MS));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 2, 0, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 0, 0, 1), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 4, 0, 2, 0), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWER, 6, 0, 2), SCMI_INVALID_PARAMETERS);
	rig_close(&r);
}

static void perf(struct tap *t)
{
	static const char *const keys[] = { "perf",
		"cpu levels=400:50:20/800:210:30/1200:400:40/1600 sustained=1200 khz=2000", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_PERF, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 4 && r.ret[0] == (1 | 1 << 16));
	/* No fast channels: not in the attributes, nor as a message. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 3, 0), 0);
	CHECK(t, r.n == 4 + NAME && r.ret[0] == 0xf0000000 && r.ret[2] == 2400000 &&
			 r.ret[3] == 1200 && rig_text_is(r.ret + 4, "cpu"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, SCMI_MSG_ATTRIBUTES, 7), 0);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, SCMI_MSG_ATTRIBUTES, 0xb), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 4, 0, 1), 0);
	CHECK(t, r.n == 16 && r.ret[0] == 3 && r.ret[1] == 800 && r.ret[2] == 210 &&
			 r.ret[3] == 30 && r.ret[4] == 1600000 && r.ret[5] == 1);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 4, 0, 4), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 8, 0), 0);
	CHECK_EQ(t, r.ret[0], 400);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 7, 0, 1600), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 7, 0, 500), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 7, 0, 1700), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 5, 0, 1000, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 6, 0), 0);
	CHECK(t, r.ret[0] == 1000 && r.ret[1] == 400);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 8, 0), 0);
	CHECK_EQ(t, r.ret[0], 800);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 5, 0, 0, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 5, 0, 400, 800), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 5, 0, 1700, 400), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 5, 0, 1600, 399), SCMI_OUT_OF_RANGE);
	/* The platform's own limits. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 9, 0, 1), 0);
	CHECK_EQ(t, rig_tell(&r, "perf cpu limits 400 400", NULL, 0), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK(t, r.event_n == 4 && !r.event[0] && r.event[2] == 400 && r.event[3] == 400);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_PERF, 8, 0), 0);
	CHECK_EQ(t, r.ret[0], 400);
	rig_close(&r);
}

static void clock_rates(struct tap *t)
{
	static const char *const keys[] = { "clocks", "list rates=10/20/40 rate=20", "clocks",
		"range range=100/200/25", "clocks", "fixed rate=7", NULL };
	static const struct {
		uint32_t flags, id, ask;
		int32_t status;
		uint32_t rate;
	} cases[] = {
		{ 0, 0, 10, 0, 10 },
		{ 0, 0, 39, 0, 20 },
		{ 0, 0, 41, 0, 40 },
		{ 0, 0, 9, SCMI_INVALID_PARAMETERS, 40 },
		{ 4, 0, 11, 0, 20 },
		{ 4, 0, 1, 0, 10 },
		{ 4, 0, 41, SCMI_INVALID_PARAMETERS, 10 },
		{ 8, 0, 41, 0, 40 },
		{ 8, 0, 1, 0, 10 },
		{ 16, 0, 10, SCMI_INVALID_PARAMETERS, 10 },
		{ 0, 1, 100, 0, 100 },
		{ 0, 1, 199, 0, 175 },
		{ 4, 1, 176, 0, 200 },
		{ 0, 1, 99, SCMI_INVALID_PARAMETERS, 200 },
		{ 4, 1, 201, SCMI_INVALID_PARAMETERS, 200 },
		{ 8, 1, 1000, 0, 200 },
		{ 0, 2, 7, 0, 7 },
		{ 0, 2, 6, SCMI_INVALID_PARAMETERS, 7 },
		{ 0, 3, 7, SCMI_NOT_FOUND, 0 },
	};
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_EQ(t,
			CMD(&r, SCMI_PROTOCOL_CLOCK, 5, cases[i].flags, cases[i].id, cases[i].ask,
				0),
			cases[i].status);
		if (!CMD(&r, SCMI_PROTOCOL_CLOCK, 6, cases[i].id))
			CHECK_EQ(t, r.ret[0], cases[i].rate);
	}
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 4, 1, 0), 0);
	CHECK(t, r.n == 7 && r.ret[0] == (3 | 1 << 12) && r.ret[1] == 100 && r.ret[3] == 200 &&
			 r.ret[5] == 25);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 4, 1, 1), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 4, 0, 2), 0);
	CHECK(t, r.n == 3 && r.ret[0] == 1 && r.ret[1] == 40);
	rig_close(&r);
}

static void clock_gates(struct tap *t)
{
	static const char *const keys[] = { "clocks", "a-clock-with-a-long-name rate=7 latency=3us",
		"clocks", "on rate=1 state=on", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_CLOCK, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 1 && r.ret[0] == (2 | 32 << 16));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 3, 0), 0);
	CHECK(t, r.n == 2 + NAME && r.ret[0] == 0xa0000000 && r.ret[5] == 3);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 8, 0), 0);
	CHECK(t, rig_text_is(r.ret + 1, "a-clock-with-a-long-name"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 3, 1), 0);
	CHECK_EQ(t, r.ret[0], 0x80000001);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 1, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 0xb, 0, 0), 0);
	CHECK(t, r.n == 3 && !r.ret[0] && r.ret[1] == 1 && !r.ret[2]);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 0, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 0xb, 0, 0), 0);
	CHECK_EQ(t, r.ret[1], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 2, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 3, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 4, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 7, 0, 1 << 16, 50), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 0xb, 0, 1), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 0xb, 0, 256), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_CLOCK, 0xf, 0), 0);
	CHECK_EQ(t, r.ret[0], 0xa0000000);
	rig_close(&r);
}

static void reset(struct tap *t)
{
	static const char *const keys[] = { "resets", "camera latency=50us", "resets",
		"isp asserted", NULL };
	char text[256];
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_RESET, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 1 && r.ret[0] == 2);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 3, 0), 0);
	CHECK(t, r.n == 2 + NAME && r.ret[0] == 0xc0000000 && r.ret[1] == 50 &&
			 rig_text_is(r.ret + 2, "camera"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 5, 0, 1), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 1, 0), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_RESET));
	CHECK(t, r.event_n == 3 && r.event[0] == 1 && !r.event[1] && !r.event[2]);
	/* Assert, deassert: one reset. */
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 2, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 2, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 0, 0), 0);
	CHECK(t, rig_event(&r, LONG_MS));
	CHECK(t, !rig_event(&r, NONE_MS));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 5, 0), 0);
	CHECK(t, rig_event(&r, LONG_MS));
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK(t, SCMI_HDR_TYPE(r.event_hdr) == SCMI_TYPE_DELAYED && r.event_n == 2 && !r.event[0] &&
			 !r.event[1]);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 4, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 8, 0), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_RESET, 4, 0, 1, 1), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, rig_tell(&r, "show", text, sizeof(text)), 0);
	CHECK(t, strstr(text, "reset camera line=deasserted resets=3\n"));
	CHECK(t, strstr(text, "reset isp line=asserted resets=0\n"));
	rig_close(&r);
}

static void voltage(struct tap *t)
{
	static const char *const keys[] = { "voltages",
		"vdd levels=-5/1800000/3300000 level=1800000", "voltages",
		"range range=800000/1200000/12500 state=on latency=1ms", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_VOLTAGE, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 1 && r.ret[0] == 2);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 3, 0), 0);
	CHECK(t, r.n == 1 + NAME && r.ret[0] == 1u << 31 && rig_text_is(r.ret + 1, "vdd"));
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 4, 0, 0), 0);
	CHECK(t, r.n == 4 && r.ret[0] == 3 && (int32_t)r.ret[1] == -5 && r.ret[3] == 3300000);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 4, 1, 0), 0);
	CHECK(t, r.n == 4 && r.ret[0] == (3 | 1 << 12) && r.ret[3] == 12500);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 4, 0, 3), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 4, 1, 1), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 0, 0, (uint32_t)-5), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 8, 0), 0);
	CHECK_EQ(t, (int32_t)r.ret[0], -5);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 0, 0, 5), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 1, 0, 812501), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 1, 2, 812500), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 7, 1, 1, 812500), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK(t, r.event_n == 3 && !r.event[0] && r.event[1] == 1 && r.event[2] == 812500);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 6, 1), 0);
	CHECK_EQ(t, r.ret[0], 7);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 5, 1, 0), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 6, 1), 0);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_VOLTAGE, 5, 1, 3), SCMI_INVALID_PARAMETERS);
	rig_close(&r);
}

static void powercap(struct tap *t)
{
	static const char *const keys[] = { "powercaps",
		"soc caps=1000/15000/100 power=4000 accuracy=10", "powercaps",
		"gpu caps=500/5000/50 pais=1000/9000/1000 parent=soc latency=1ms", "powercaps",
		"fixed caps=2000", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_POWERCAP, SCMI_ATTRIBUTES), 0);
	CHECK(t, r.n == 1 && r.ret[0] == 3);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 3, 0), 0);
	CHECK_EQ(t, r.n, 14);
	CHECK_EQ(t, r.ret[0], 0xed000000);
	CHECK(t, r.ret[5] == 1000000 && r.ret[6] == 1000000 && r.ret[8] == 1000 &&
			 r.ret[9] == 15000 && r.ret[10] == 100 && r.ret[11] == 15000 &&
			 r.ret[12] == 10 && r.ret[13] == UINT32_MAX);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 3, 1), 0);
	CHECK(t, r.ret[0] == 0xef000000 && r.ret[13] == 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 4, 0), 0);
	CHECK_EQ(t, r.ret[0], 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 0xa, 0, 1), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 0, 0, 5000), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK(t, r.event_n == 4 && r.event[0] == 1 && r.event[2] == 5000 && r.event[3] == 1000000);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 0, 0, 5050), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 0, 0, 900), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 0, 4, 5000), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 2, 0, 2000), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 5, 1, 2, 600), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK(t, r.event_n == 3 && !r.event[0] && r.event[1] == 1 && r.event[2] == 600);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 7, 1, 0, 2000), 0);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 7, 1, 0, 2500), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 7, 0, 0, 2000), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 6, 1), 0);
	CHECK_EQ(t, r.ret[0], 2000);
	rig_close(&r);
}

static void measurements(struct tap *t)
{
	static const char *const keys[] = { "powercaps", "soc caps=1000/15000/100 power=4000",
		NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 9, 0), 0);
	CHECK(t, r.n == 2 && r.ret[0] == 4000 && r.ret[1] == 1000000);
	CHECK_EQ(
		t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 0xb, 0, 1, 5000, 3000), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_POWERCAP, 0xb, 0, 1, 3000, 5000), 0);
	CHECK_EQ(t, rig_tell(&r, "powercap soc power 4500", NULL, 0), 0);
	CHECK(t, !rig_event(&r, NONE_MS));
	/* Once each time a threshold is crossed. */
	CHECK_EQ(t, rig_tell(&r, "powercap soc power 5001", NULL, 0), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, SCMI_HDR(1, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_POWERCAP));
	CHECK(t, r.event_n == 3 && !r.event[0] && !r.event[1] && r.event[2] == 5001);
	CHECK_EQ(t, rig_tell(&r, "powercap soc power 6000", NULL, 0), 0);
	CHECK(t, !rig_event(&r, NONE_MS));
	CHECK_EQ(t, rig_tell(&r, "powercap soc power 1", NULL, 0), 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event[2], 1);
	rig_close(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, power);
	TAP_RUN(&t, perf);
	TAP_RUN(&t, clock_rates);
	TAP_RUN(&t, clock_gates);
	TAP_RUN(&t, reset);
	TAP_RUN(&t, voltage);
	TAP_RUN(&t, powercap);
	TAP_RUN(&t, measurements);
	return tap_done(&t);
}
