/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the CAN controller: two guests on a bus, or each on its own. */
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "device.h"
#include "devices/can.h"
#include "devices/devices.h"

/* From here on each has a bus of its own. */
#define OWN 3u

static const char *const *const setups[] = {
	(const char *const[]){ NULL },
	(const char *const[]){
		"filters", "100:700", "tx-queue", "4", "tx-order", "id", "rx-queue", "2", NULL },
	(const char *const[]){ "max-rate", "100", "on-babbling", "bus-off", "brs", "false", NULL },
	(const char *const[]){ "ack", "nodes", "bitrate", "125000", "data-bitrate", "0", NULL },
	(const char *const[]){ "can-fd", "false", "listen-only", "true", NULL },
	(const char *const[]){ "log", "@can.log", "replay", "@recording", "replay-start", "now",
		"replay-loop", "true", NULL },
	NULL,
};

static int prepare(void)
{
	static const char recording[] = "(1.000000) can0 123#1122\n(1.000300) can0 1ABCDEF0#R8\n"
					"(1.500000) can0 7FF##1aabbccdd\n";

	return fuzz_file("recording", recording, strlen(recording));
}

struct state {
	struct canbus_config config;
	struct canbus *bus;
};

static int open_bus(struct fuzz_bed *b)
{
	struct state *s = b->state = calloc(1, sizeof(*s));
	int ret = opt_defaults(canbus_opts, &s->config, NULL);

	if (!ret && b->setup < OWN)
		ret = canbus_create(&s->bus, &s->config, "can0", b->loop, fuzz_log(), NULL);
	return ret;
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;
	struct vdev *dev = b->guests[guest].dev;
	struct canport *port;
	int ret;

	if (!s->bus)
		return 0;
	ret = canbus_add_port(s->bus, guest ? "b" : "a", can_port_config(dev), &port, NULL);
	if (!ret)
		can_attach(dev, port);
	return ret;
}

static void tick(struct fuzz_bed *b)
{
	for (unsigned i = 0; i < FUZZ_GUESTS; i++)
		canbus_poll(canport_bus(can_port(b->guests[i].dev)));
}

static int command(struct fuzz_bed *b, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = b->state;

	return s->bus ? canbus_tell(s->bus, argc, argv, answer, e) : 0;
}

static void close_bus(struct fuzz_bed *b)
{
	struct state *s = b->state;

	canbus_destroy(s->bus);
	opt_free(canbus_opts, &s->config);
	free(s);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_can,
	.guests = 2,
	.setups = setups,
	.prepare = prepare,
	.open = open_bus,
	.attach = attach,
	.command = command,
	.tick = tick,
	.close = close_bus,
};
