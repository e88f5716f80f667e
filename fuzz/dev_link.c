/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of consoles of two guests that are the ends of a serial link. */
#include <stdlib.h>

#include "base/opt.h"
#include "device.h"
#include "devices/console.h"
#include "devices/devices.h"
#include "host/link.h"

static const char *const *const setups[] = {
	(const char *const[]){ NULL }, /* a pair */
	(const char *const[]){ NULL }, /* a bus */
	NULL,
};

struct plug {
	struct vdev *dev;
	struct link_end *end;
	struct chardev_carrier carrier;
};

struct state {
	struct link_config config;
	struct link_owner owner;
	struct link *link;
	struct plug plugs[FUZZ_GUESTS];
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

static size_t carrier_room(void *arg)
{
	return link_room(((struct plug *)arg)->end);
}

static void carrier_send(void *arg, const struct iovec *iov, unsigned n)
{
	struct plug *p = arg;

	for (unsigned i = 0; i < n; i++)
		link_send(p->end, iov[i].iov_base, iov[i].iov_len);
}

static size_t heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct plug *p = arg;

	return chardev_feed(console_stream(p->dev), bytes, len);
}

static void room(void *arg)
{
	struct plug *p = arg;

	chardev_more_room(console_stream(p->dev));
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;
	struct plug *p = &s->plugs[guest];
	const struct link_end_ops ops = { heard, room, p };

	p->dev = b->guests[guest].dev;
	p->carrier = (struct chardev_carrier){ carrier_room, carrier_send, p };
	console_attach(p->dev, &p->carrier);
	return link_add(s->link, guest ? "b" : "a", &ops, &p->end, NULL);
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
