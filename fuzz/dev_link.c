/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of consoles of two guests that are the ends of a serial link. */
#include <stdlib.h>

#include "base/opt.h"
#include "device.h"
#include "devices/console_link.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ NULL }, /* a pair */
	(const char *const[]){ NULL }, /* a bus */
	NULL,
};

struct state {
	struct link_config config;
	struct link_owner owner;
	struct link *link;
	struct console_plug plugs[FUZZ_GUESTS];
};

static int open_link(struct fuzz_bed *b)
{
	struct state *s = b->state = calloc(1, sizeof(*s));
	int ret = opt_defaults(link_opts, &s->config, NULL);

	if (!ret)
		ret = opt_set(link_opts, &s->config, "mode", b->setup ? "bus" : "pair", NULL);
	if (!ret)
		ret = link_create(
			&s->link, "link", &s->config, &s->owner, b->loop, fuzz_log(), NULL);
	return ret;
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;

	return console_plug_in(
		&s->plugs[guest], b->guests[guest].dev, s->link, guest ? "b" : "a", NULL);
}

static int command(struct fuzz_bed *b, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct state *s = b->state;

	return link_command(s->link, argc, argv, answer, e);
}

static void close_link(struct fuzz_bed *b)
{
	struct state *s = b->state;

	link_destroy(s->link);
	opt_free(link_opts, &s->config);
	free(s);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_console,
	.guests = 2,
	.setups = setups,
	.open = open_link,
	.attach = attach,
	.command = command,
	.close = close_link,
};
