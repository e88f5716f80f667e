/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the console device, with programs of the host at its sockets. */
#include <stdlib.h>

#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ "path", "@con", "scrollback", "4K", NULL },
	(const char *const[]){ "path", "@con", "ports", "gps", "ports", "trace=null:", NULL },
	(const char *const[]){ "host", "null", "ports", "log=file:@out", NULL },
	(const char *const[]){ "host", "pty", "path", "@pty", "log", "@log", NULL },
	NULL,
};

static int open_clients(struct fuzz_bed *b)
{
	b->state = calloc(1, sizeof(struct fuzz_clients));
	fuzz_clients_init(b->state);
	return 0;
}

static void host(struct fuzz_bed *b, unsigned guest, struct fuzz_in *in)
{
	fuzz_clients_act(b->state, fuzz_u8(in) & 1 ? "con.gps" : "con", in);
}

static void close_clients(struct fuzz_bed *b)
{
	fuzz_clients_close(b->state);
	free(b->state);
}

const struct fuzz_device fuzz_device = {
	.cls = &vdev_console,
	.guests = 1,
	.setups = setups,
	.open = open_clients,
	.host = host,
	.close = close_clients,
};
