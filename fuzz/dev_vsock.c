/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the socket device: two guests that may talk to each other, and programs of the host
 * that connect (to the first guest) and are connected to (at port 80). */
#include <stdlib.h>

#include "base/opt.h"
#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ "cid", "3", "peer-uds", "@peer", NULL },
	(const char *const[]){
		"cid", "3", "peer-uds", "@peer", "connections", "2", "buffer", "4K", NULL },
	NULL,
};

static int open_clients(struct fuzz_bed *b)
{
	b->state = calloc(1, sizeof(struct fuzz_clients));
	fuzz_clients_init(b->state);
	return fuzz_clients_listen(b->state, "uds_80");
}

static int attach(struct fuzz_bed *b, unsigned guest)
{
	struct vdev *dev = b->guests[guest].dev;
	char *path = fuzz_path("uds");
	int ret = guest ? opt_set(dev->cls->opts, dev, "cid", "4", NULL)
			: opt_set(dev->cls->opts, dev, "uds", path, NULL);

	if (!ret)
		ret = opt_set(dev->cls->opts, dev, "peers", guest ? "3" : "4", NULL);
	free(path);
	return ret;
}

static void host(struct fuzz_bed *b, unsigned guest, struct fuzz_in *in)
{
	fuzz_clients_act(b->state, guest ? "uds.seqpacket" : "uds", in);
}

static void close_clients(struct fuzz_bed *b)
{
	fuzz_clients_close(b->state);
	free(b->state);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_vsock,
	.guests = 2,
	.setups = setups,
	.open = open_clients,
	.attach = attach,
	.host = host,
	.close = close_clients,
};
