/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a serial link on the host: a terminal device, or a program behind a PTY or socket. */
#include <errno.h>

#include "base/util.h"
#include "host/link_priv.h"

/* Moves what came from the host into the end's buffer, as far as there is room. */
static void take_input(void *arg)
{
	struct link *link = arg;
	size_t room;

	while ((room = link_room(link->host_end)) && chardev_has_input(link->host)) {
		uint8_t bytes[64];
		const struct iovec iov = { bytes, min_u64(room, sizeof(bytes)) };
		size_t n = chardev_read(link->host, &iov, 1);

		if (n)
			link_send(link->host_end, bytes, n);
	}
}

/* Not from inside of link_send(), which take_input() is about to call. */
static void on_room(void *arg)
{
	chardev_more_room(((struct link *)arg)->host);
}

static size_t on_heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct link *link = arg;
	const struct iovec iov = { (uint8_t *)(uintptr_t)bytes, len };

	if (!chardev_attached(link->host) || chardev_room(link->host) < len)
		return 0;
	chardev_write(link->host, &iov, 1);
	return len;
}

static void on_host(void *arg, bool there, const char *why)
{
	link_event(arg, there ? "host-back" : "host-gone", "%s", why);
}

int link_host_open(struct link *link, struct err *e)
{
	static const enum chardev_kind kinds[] = { CHARDEV_NULL, CHARDEV_TTY, CHARDEV_PTY,
		CHARDEV_SOCKET };
	const struct chardev_config config = {
		.kind = kinds[link->config->host],
		.path = link->config->path,
		.line = link->config->line,
		.stats = &link->host_stats,
	};
	const struct chardev_events events = {
		.input = take_input,
		.host = on_host,
		.arg = link,
	};
	const struct link_end_ops ops = { on_heard, on_room, link };
	int r;

	if (link->config->host == LINK_HOST_NONE)
		return link->config->path ? err_set(e, -EINVAL,
						    "path says where the end on the host is, but "
						    "host is none")
					  : 0;
	r = chardev_open(&link->host, link->loop, &config, &events, link->log, e);
	if (r < 0)
		return err_prefix(e, "host");
	return link_add(link, "host", &ops, &link->host_end, e);
}

void link_host_close(struct link *link)
{
	chardev_close(link->host);
}
