/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the GPIO device: two guests whose lines are wired to each other, or each to its own
 * nets. */
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "device.h"
#include "devices/devices.h"
#include "devices/gpio.h"

/* The setup with nets of each guest's own. */
#define OWN 2u

static const char *const *const setups[] = {
	(const char *const[]){ "lines", "a sim", "lines", "gap 2", "lines", "b wire:w", "lines",
		"c wire:w in", "lines", "d wire:x open-drain", NULL },
	(const char *const[]){ "lines", "a wire:w out=1", "lines", "gap", "lines", "b wire:x in",
		"lines", "c sim =1", NULL },
	(const char *const[]){ "lines", "a sim", "lines", "b wire:own", "nets", "own pull=up",
		"replay", "@moves", "replay-loop", "true", "trace", "@trace.vcd", NULL },
	NULL,
};

static int prepare(void)
{
	static const char moves[] = "0.0 own 0\n0.1 a 1\n0.2 own z\n";

	return fuzz_file("moves", moves, strlen(moves));
}

struct state {
	struct wires_config config;
	struct wires_host host;
	struct wires *wires;
};

static int open_wires(struct fuzz_bed *b)
{
	struct state *s = b->state = calloc(1, sizeof(*s));
	int ret = opt_defaults(wires_opts, &s->config, NULL);

	for (unsigned i = 0; !ret && i < 2; i++)
		ret = opt_set(wires_opts, &s->config, "nets", i ? "x pull=up" : "w float =0", NULL);
	if (!ret)
		ret = wires_create(
			&s->wires, "wires", &s->config, &s->host, b->loop, fuzz_log(), NULL);
	return ret;
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;

	if (b->setup != OWN)
		gpio_attach(b->guests[guest].dev, s->wires, guest ? "b" : "a");
	return 0;
}

static int complete(struct fuzz_bed *b)
{
	struct state *s = b->state;

	return wires_start(s->wires, NULL);
}

static int command(struct fuzz_bed *b, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = b->state;

	return wires_command(s->wires, argc, argv, answer, e);
}

static void close_wires(struct fuzz_bed *b)
{
	struct state *s = b->state;

	wires_destroy(s->wires);
	opt_free(wires_opts, &s->config);
	free(s);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_gpio,
	.guests = 2,
	.setups = setups,
	.prepare = prepare,
	.open = open_wires,
	.attach = attach,
	.complete = complete,
	.command = command,
	.close = close_wires,
};
