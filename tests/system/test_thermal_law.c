/* SPDX-License-Identifier: BSD-3-Clause */
/* Thresholds of temperature: hysteresis, order, several for one VM, a source that is lost. */
#include <errno.h>
#include <limits.h>

#include "base/util.h"
#include "system/thermal_law.h"
#include "tap.h"

/* VM 0 is slowed down at 80 and 90 degrees, VM 1 stopped at 90, and everybody slowed down at 100.
 */
static struct conf_threshold thresholds[] = {
	{ .at = 80,
		.action = CONF_THERMAL_THROTTLE,
		.vm = (char[]){ "a" },
		.number = 0,
		.cpu = 60 },
	{ .at = 90, .action = CONF_THERMAL_STOP, .vm = (char[]){ "b" }, .number = 1 },
	{ .at = 90,
		.action = CONF_THERMAL_THROTTLE,
		.vm = (char[]){ "a" },
		.number = 0,
		.cpu = 20 },
	{ .at = 100, .action = CONF_THERMAL_THROTTLE, .cpu = 40 },
};

static struct conf_thermal policy(int lost)
{
	return (struct conf_thermal){
		.hysteresis = 5, .lost = lost, .thresholds = thresholds, .n = ARRAY_LEN(thresholds)
	};
}

/* Takes a reading; the changes as bits, bit i of threshold i. */
static unsigned take(struct thermal_law *law, int32_t millidegrees)
{
	struct thermal_change c[CONF_THRESHOLDS_MAX];
	unsigned n = thermal_law_take(law, &millidegrees, c), bits = 0;

	for (unsigned i = 0; i < n; i++)
		bits |= 1u << (c[i].threshold - thresholds);
	return bits;
}

static unsigned miss(struct thermal_law *law)
{
	struct thermal_change c[CONF_THRESHOLDS_MAX];

	return thermal_law_take(law, NULL, c);
}

static void exceeded_at_and_over_below(struct tap *t)
{
	struct conf_thermal conf = policy(CONF_LOST_HOLD);
	struct thermal_law law = { .conf = &conf };

	CHECK_EQ(t, take(&law, 79999), 0);
	CHECK_EQ(t, take(&law, 80000), 1);
	CHECK_EQ(t, take(&law, 80000), 0);
	CHECK_EQ(t, take(&law, 75000), 0);
	CHECK_EQ(t, take(&law, 79000), 0);
	CHECK_EQ(t, take(&law, 74999), 1);
	CHECK(t, !law.exceeded[0]);
	CHECK_EQ(t, take(&law, 79999), 0);
	CHECK_EQ(t, take(&law, -40000), 0);
}

/* What is exceeded at once comes in the order of the file, what is over in the reverse order. */
static void order_of_changes(struct tap *t)
{
	struct conf_thermal conf = policy(CONF_LOST_HOLD);
	struct thermal_law law = { .conf = &conf };
	struct thermal_change c[CONF_THRESHOLDS_MAX];
	int32_t hot = 120000, cold = 20000;

	REQUIRE(t, thermal_law_take(&law, &hot, c) == 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK(t, c[i].threshold == &thresholds[i] && c[i].exceeded);
	REQUIRE(t, thermal_law_take(&law, &cold, c) == 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK(t, c[i].threshold == &thresholds[3 - i] && !c[i].exceeded);
}

/* The slowest counts. */
static void processor_time_that_is_left(struct tap *t)
{
	struct conf_thermal conf = policy(CONF_LOST_HOLD);
	struct thermal_law law = { .conf = &conf };

	CHECK(t, thermal_law_cpu(&law, 0) == 100 && thermal_law_cpu(&law, 1) == 100);
	take(&law, 85000);
	CHECK(t, thermal_law_cpu(&law, 0) == 60 && thermal_law_cpu(&law, 1) == 100);
	take(&law, 95000);
	CHECK(t, thermal_law_cpu(&law, 0) == 20 && thermal_law_cpu(&law, 1) == 100);
	take(&law, 100000);
	CHECK(t, thermal_law_cpu(&law, 0) == 20 && thermal_law_cpu(&law, 1) == 40);
	take(&law, 84000);
	CHECK(t, thermal_law_cpu(&law, 0) == 60 && thermal_law_cpu(&law, 1) == 100);
	CHECK(t, conf_thermal_throttles(&conf));
	conf.n = 0;
	CHECK(t, !conf_thermal_throttles(&conf));
}

/* One reading that fails is nothing; three in a row are. */
static void lost_and_found(struct tap *t)
{
	static const unsigned at_once[] = {
		[CONF_LOST_HOLD] = 0, [CONF_LOST_THROTTLE] = 2, [CONF_LOST_STOP] = 3
	};

	for (int lost = CONF_LOST_HOLD; lost <= CONF_LOST_STOP; lost++) {
		struct conf_thermal conf = policy(lost);
		struct thermal_law law = { .conf = &conf };

		CHECK_EQ(t, take(&law, 85000), 1);
		CHECK(t, !miss(&law) && !miss(&law) && !law.lost);
		CHECK_EQ(t, take(&law, 85000), 0);
		CHECK(t, !miss(&law) && !miss(&law));
		CHECK_EQ(t, miss(&law), at_once[lost]);
		CHECK(t, law.lost && law.exceeded[0]);
		CHECK_EQ(t, law.exceeded[1], lost == CONF_LOST_STOP);
		CHECK_EQ(t, miss(&law), 0);
		take(&law, 20000);
		CHECK(t, !law.lost && thermal_law_cpu(&law, 0) == 100);
	}
}

static void numbers_of_a_source(struct tap *t)
{
	static const char *const wrong[] = { "", "\n", "hot", "45000 x", "4.5e4",
		"99999999999999999999", "2000000", "-300000", "0x10", "--5" };
	int32_t n = 0;

	CHECK(t, !thermal_parse("45000\n", &n) && n == 45000);
	CHECK(t, !thermal_parse("-12500", &n) && n == -12500);
	CHECK(t, !thermal_parse("0", &n) && n == 0);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_EQ(t, thermal_parse(wrong[i], &n), -EINVAL);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, exceeded_at_and_over_below);
	TAP_RUN(&t, order_of_changes);
	TAP_RUN(&t, processor_time_that_is_left);
	TAP_RUN(&t, lost_and_found);
	TAP_RUN(&t, numbers_of_a_source);
	return tap_done(&t);
}
