/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest writes to its console goes over a serial link, and what is heard there comes back.
 */
#include "devices/console_link.h"

/* From the guest to the link. */

static size_t carrier_room(void *arg)
{
	return link_room(((struct console_plug *)arg)->end);
}

static void carrier_send(void *arg, const struct iovec *iov, unsigned n)
{
	struct console_plug *p = arg;

	for (unsigned i = 0; i < n; i++)
		link_send(p->end, iov[i].iov_base, iov[i].iov_len);
}

/* From the link to the guest. */

static size_t on_heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct console_plug *p = arg;

	return chardev_feed(console_stream(p->dev), bytes, len);
}

static void on_room(void *arg)
{
	struct console_plug *p = arg;

	chardev_more_room(console_stream(p->dev));
}

int console_plug_in(struct console_plug *p, struct vdev *dev, struct link *link, const char *name,
	struct err *e)
{
	const struct link_end_ops ops = { on_heard, on_room, p };

	p->dev = dev;
	p->carrier = (struct chardev_carrier){ carrier_room, carrier_send, p };
	console_attach(dev, &p->carrier);
	return link_add(link, name, &ops, &p->end, e);
}
