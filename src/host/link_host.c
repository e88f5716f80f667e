/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a serial link on the host: a terminal device, or a program behind a PTY or socket. */
#include <errno.h>

#include "base/util.h"
#include "host/link_priv.h"

#define HEARD_MAX 4096u

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

/* Bytes come one by one, and are written together at the end of the loop's turn: a socket's buffer
 * holds few hundred writes, of whatever length. */
static void write_heard(void *arg)
{
	struct link *link = arg;
	struct iovec iov[2];
	unsigned n = fifo_readable(&link->heard, iov);

	if (!n)
		return;
	chardev_write(link->host, iov, n);
	fifo_reset(&link->heard);
}

static size_t on_heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct link *link = arg;

	if (!chardev_attached(link->host) ||
		chardev_room(link->host) < fifo_used(&link->heard) + len)
		return 0;
	if (fifo_free(&link->heard) < len)
		write_heard(link);
	ev_task_post(&link->write);
	return fifo_put(&link->heard, bytes, len);
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
	if (fifo_init(&link->heard, HEARD_MAX) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	ev_task_init(link->loop, &link->write, write_heard, link);
	r = chardev_open(&link->host, link->loop, &config, &events, link->log, e);
	if (r < 0)
		return err_prefix(e, "host");
	return link_add(link, "host", &ops, &link->host_end, e);
}

void link_host_close(struct link *link)
{
	if (link->host) {
		ev_task_cancel(&link->write);
		write_heard(link);
	}
	chardev_close(link->host);
	fifo_finish(&link->heard);
}
