/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the network device: two guests and a port of the host on a switch. */
#include <errno.h>
#include <stdlib.h>

#include "base/opt.h"
#include "device.h"
#include "devices/devices.h"
#include "devices/net.h"

/* The setup whose first guest has an address at its port. */
#define STATIC 3u

static const char *const *const setups[] = {
	(const char *const[]){ NULL },
	(const char *const[]){ "vlan", "5", "trunk", "10,20-29", "pcp", "3", "queues", "2", NULL },
	(const char *const[]){ "rate-in", "1000", "rate-out", "1000", "burst", "2K", "flood-rate",
		"10", "queue", "128K", NULL },
	(const char *const[]){ "anti-spoof", "true", "allowed-macs", "02:00:00:00:00:99",
		"deny-macs", "02:00:00:00:00:66", "mtu", "9000", NULL },
	NULL,
};

struct state {
	struct switch_config config;
	struct switch_port_config port;
	struct netswitch *sw;
	struct netport uplink; /* the host's end */
	bool full;
};

static int receive(struct netport *p, const struct net_frame *f)
{
	const struct state *s = (const void *)((const char *)p - offsetof(struct state, uplink));
	uint8_t bytes[NET_FRAME_MAX];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct iov_iter at;

	if (s->full)
		return -EAGAIN;
	iov_iter_init(&at, &iov, 1);
	if (net_frame_copy(&at, f) != f->len)
		fuzz_fail("a frame of %u bytes has less", f->len);
	return 0;
}

static const struct netport_ops uplink_ops = { .receive = receive };

static int open_switch(struct fuzz_bed *b)
{
	struct state *s = b->state = calloc(1, sizeof(*s));
	struct netport *end;
	int ret = opt_defaults(switch_opts, &s->config, NULL);

	switch_port_defaults(&s->port);
	if (!ret)
		ret = switch_create(&s->sw, &s->config, b->loop, fuzz_log(), NULL);
	if (!ret)
		ret = switch_add_port(s->sw, "uplink", &s->port, &end, NULL);
	if (ret)
		return ret;
	s->uplink = (struct netport){ .ops = &uplink_ops, .up = true };
	netport_connect(end, &s->uplink);
	return 0;
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct state *s = b->state;
	struct vdev *dev = b->guests[guest].dev;
	struct netport *end;
	int ret = opt_set(dev->cls->opts, dev, "mac",
		guest ? "02:00:00:00:00:02" : "02:00:00:00:00:01", NULL);

	/* An address has its place at one port only. */
	if (!ret && !guest && b->setup == STATIC)
		ret = opt_set(dev->cls->opts, dev, "static-macs", "02:00:00:00:00:77", NULL);
	if (!ret)
		ret = switch_add_port(s->sw, guest ? "b" : "a", net_port_config(dev), &end, NULL);
	if (!ret)
		net_attach(dev, end);
	return ret;
}

/* What u8: sends a frame (0), with work left to do, as in the 12 bytes before it (1), has no room
 * (2), has room again (3). */
static void host(struct fuzz_bed *b, unsigned guest, struct fuzz_in *in)
{
	struct state *s = b->state;
	unsigned what = fuzz_u8(in) % 4;
	struct net_hdr hdr = { 0 };
	struct net_frame f;
	struct iov_iter at;
	struct iovec iov;

	if (what == 1) {
		hdr.flags = fuzz_u8(in);
		hdr.gso_type = fuzz_u8(in);
		hdr.hdr_len = fuzz_u16(in);
		hdr.gso_size = fuzz_u16(in);
		hdr.csum_start = fuzz_u16(in);
		hdr.csum_offset = fuzz_u16(in);
	}
	iov = (struct iovec){ (void *)(uintptr_t)in->p, in->left };
	iov_iter_init(&at, &iov, 1);
	if (what <= 1 && !net_frame_init(&f, &at, (uint32_t)in->left, what ? &hdr : NULL))
		netport_send(&s->uplink, &f);
	s->full = what == 2;
	if (what == 3)
		netport_room(&s->uplink);
}

static void close_switch(struct fuzz_bed *b)
{
	struct state *s = b->state;

	netport_disconnect(&s->uplink);
	switch_destroy(s->sw);
	opt_free(switch_opts, &s->config);
	free(s);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_net,
	.guests = 2,
	.setups = setups,
	.open = open_switch,
	.attach = attach,
	.host = host,
	.close = close_switch,
};
