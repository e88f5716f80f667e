/* SPDX-License-Identifier: BSD-3-Clause */
/* The log of a serial link: a line for bytes that follow each other, with the time of the first,
 * as candump writes frames: "(1700000000.123456) lin1 body 55 c1". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "host/link_priv.h"

#define NS UINT64_C(1000000000)
/* Byte times of silence after which a line ends. */
#define SILENCE 2u

static void flush(struct link *link)
{
	struct link_log *l = &link->trace;
	char line[160 + 3 * LINK_LOG_BYTES];
	size_t n;

	if (!l->n)
		return;
	n = (size_t)snprintf(line, sizeof(line), "(%" PRIu64 ".%06" PRIu64 ") %.48s %.64s",
		l->start_ns / NS, l->start_ns % NS / 1000, link->name, l->by->name);
	for (unsigned i = 0; i < l->n; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %02x", l->bytes[i]);
	line[n++] = '\n';
	l->n = 0;
	if (write(l->fd, line, n) != (ssize_t)n && log_allowed(&l->failed, 1))
		log_warn(link->log, "writing the log %s failed: %s", link->config->log,
			strerror(errno));
}

static void on_idle(void *arg)
{
	flush(arg);
}

static void begin(struct link *link, const struct link_end *by, uint64_t done)
{
	struct link_log *l = &link->trace;
	struct timespec now;
	uint64_t age = ev_now_ns() - (done - link->char_ns);

	clock_gettime(CLOCK_REALTIME, &now);
	l->by = by;
	l->start_ns = (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec - age;
}

void link_log_byte(struct link *link, const struct link_end *by, uint8_t byte, uint64_t done)
{
	struct link_log *l = &link->trace;

	if (l->fd < 0)
		return;
	if (l->n == LINK_LOG_BYTES || l->by != by || done > l->end + (SILENCE + 1) * link->char_ns)
		flush(link);
	if (!l->n)
		begin(link, by, done);
	l->bytes[l->n++] = byte;
	l->end = done;
	ev_timer_set(&l->idle, (SILENCE + 1) * link->char_ns);
}

int link_log_open(struct link *link, struct err *e)
{
	struct link_log *l = &link->trace;

	ev_timer_init(link->loop, &l->idle, on_idle, link);
	if (!link->config->log)
		return 0;
	l->fd = open(link->config->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	return l->fd < 0 ? err_sys(e, -errno, "opening %s to append to it", link->config->log) : 0;
}

void link_log_close(struct link *link)
{
	ev_timer_stop(&link->trace.idle);
	if (link->trace.fd >= 0)
		flush(link);
	close_fd(&link->trace.fd);
}
