/* SPDX-License-Identifier: BSD-3-Clause */
/* The SCMI device: transport, message engine, agents. The protocols are in test_protocols.c. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "scmi/rig.h"

static const char *const keys[] = { "clocks",
	"uart rates=24000000/48000000 rate=48000000 latency=20ms", "clocks", "fixed rate=1000",
	"power-domains", "gpu", "resets", "camera", NULL };

static void common_commands(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_VERSION), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 1);
	CHECK_EQ(t, r.ret[0], 0x20001);
	CHECK_EQ(t, CMD0(&r, SCMI_PROTOCOL_BASE, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 3 | 2 << 8);
	CHECK_EQ(t, CMD(&r, SCMI_PROTOCOL_BASE, 6, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 2);
	CHECK_EQ(t, r.ret[0], 3);
	CHECK_EQ(t, r.ret[1], 0x161411);
	rig_close(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, common_commands);
	return tap_done(&t);
}
