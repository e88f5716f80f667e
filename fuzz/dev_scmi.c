/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the SCMI device: two agents of one platform, or each with its own. */
#include <stdlib.h>

#include "base/opt.h"
#include "device.h"
#include "devices/devices.h"
#include "devices/scmi.h"

/* From here on each has a platform of its own. */
#define OWN 2u

static const char *const *const setups[] = {
	(const char *const[]){ "grants", "*", "trusted", "true", "agent", "a", NULL },
	(const char *const[]){ "grants", "power:gpu", "grants", "clock:*=read", "grants",
		"sensor:*", "grants", "system", NULL },
	(const char *const[]){ "clocks", "uart rates=1000/2000/4000", "sensors",
		"cabin unit=celsius exponent=-1 value=21.5", NULL },
	NULL,
};

static const char *const platform[] = { "clocks", "cam rates=24000000/48000000 latency=100us",
	"clocks", "pll range=1000/9000/500", "power-domains", "gpu state=on", "power-domains",
	"camera latency=100us", "perf", "cpu levels=400:50:20/800:210:20", "resets",
	"camera latency=50us", "voltages", "vdd range=800000/1200000/12500", "voltages",
	"io levels=1800000/3300000", "powercaps", "soc caps=1000/15000/100", "powercaps",
	"cpu caps=500/1000/10 parent=soc", "sensors", "cabin unit=celsius exponent=-1 value=21.5",
	"system-power", "true", "devices", "camera clock:cam power:camera", NULL };

struct state {
	struct scmi_config config;
	struct scmi_platform *platform;
};

static int open_platform(struct fuzz_bed *b)
{
	struct state *s = b->state = calloc(1, sizeof(*s));
	struct err e = { 0 };
	int ret = opt_defaults(scmi_platform_opts, &s->config, &e);

	for (unsigned i = 0; !ret && platform[i]; i += 2)
		ret = opt_set(scmi_platform_opts, &s->config, platform[i], platform[i + 1], &e);
	if (!ret && b->setup < OWN)
		ret = scmi_platform_open(&s->platform, &s->config, b->loop, fuzz_log(), &e);
	if (ret)
		fuzz_fail("%s", e.msg);
	return ret;
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;

	if (s->platform)
		scmi_attach(b->guests[guest].dev, s->platform);
	return 0;
}

static int command(struct fuzz_bed *b, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = b->state;

	return s->platform ? scmi_platform_command(s->platform, argc, argv, answer, e) : 0;
}

static void close_platform(struct fuzz_bed *b)
{
	struct state *s = b->state;

	scmi_platform_close(s->platform);
	opt_free(scmi_platform_opts, &s->config);
	free(s);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_scmi,
	.guests = 2,
	.setups = setups,
	.open = open_platform,
	.attach = attach,
	.command = command,
	.close = close_platform,
};
