/* SPDX-License-Identifier: BSD-3-Clause */
/* A serial link: the wire, and when bytes are complete. */
#include "host/link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/link_priv.h"

#define NS	 UINT64_C(1000000000)
#define FIFO_MIN 16u
/* Collisions that are events, per second. */
#define TOLD_MAX 2u

static const char *const mode_words[] = { "pair", "bus", NULL };
static const char *const host_words[] = { "none", "tty", "pty", "socket", NULL };

const struct opt link_opts[] = {
	{ "mode", OPT_ENUM, offsetof(struct link_config, mode), .words = mode_words,
		.help = "two ends, or one wire for all" },
	TTY_OPTS(struct link_config, line),
	{ "fifo", OPT_U32, offsetof(struct link_config, fifo), .max = LINK_FIFO_MAX,
		.help = "transmit buffer of an end, bytes; 0: 16, or what passes in 2 ms if that "
			"is more" },
	{ "host", OPT_ENUM, offsetof(struct link_config, host), .words = host_words,
		.help = "an end of the link on the host" },
	{ "path", OPT_PATH, offsetof(struct link_config, path),
		.help = "the terminal device, the link to the PTY, or the socket of that end" },
	{ "log", OPT_PATH, offsetof(struct link_config, log),
		.help = "file that gets what is on the wire, with time stamps" },
	OPT_END,
};

void link_event(struct link *link, const char *event, const char *fmt, ...)
{
	char detail[160];
	va_list ap;

	if (!link->owner->event)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	link->owner->event(link->owner->arg, event, detail);
}

/* Hearing. */

static void hear(struct link_end *end, uint8_t byte)
{
	if (end->cut)
		return;
	if (end->ops.heard(end->ops.arg, &byte, 1))
		end->count.heard++;
	else
		end->count.lost++;
}

/* The operator's faults; false: nobody hears the byte. */
static bool pass_faults(struct link *link, uint8_t *byte)
{
	struct link_faults *f = &link->faults;

	if (f->drop) {
		f->drop--;
		link->count.dropped++;
		return false;
	}
	if (f->corrupt) {
		f->corrupt--;
		link->count.corrupted++;
		*byte ^= f->mask & link->mask;
	}
	return true;
}

/* The byte on `wire` is complete. */
static void complete(struct link *link, struct link_wire *wire)
{
	uint8_t byte = wire->byte;

	wire->busy = false;
	for (unsigned i = 0; i < link->nends; i++)
		link->ends[i].on_bus = false;
	link->count.bytes++;
	if (!pass_faults(link, &byte))
		return;
	link_log_byte(link, wire->by, byte, wire->done);
	for (unsigned i = 0; i < link->nends; i++)
		if (link->config->mode == LINK_BUS || &link->ends[i] != wire->by)
			hear(&link->ends[i], byte);
}

/* Sending. */

static bool take(struct link_end *end, uint8_t *byte)
{
	/* Nothing of an end that is cut off reaches the wire. */
	if (end->cut)
		fifo_reset(&end->out);
	if (!fifo_get(&end->out, byte, 1))
		return false;
	end->count.sent++;
	if (end->full) {
		end->full = false;
		end->ops.room(end->ops.arg);
	}
	return true;
}

static void put(struct link *link, struct link_wire *wire, struct link_end *by, uint8_t byte,
	uint64_t start)
{
	byte &= link->mask;
	by->on_bus = true;
	if (!wire->busy) {
		*wire = (struct link_wire){ true, byte, by, start + link->char_ns };
		return;
	}
	wire->byte &= byte;
	link->count.collisions++;
	if (log_allowed(&link->told, TOLD_MAX))
		link_event(link, "collision", "%s and %s send at the same time", wire->by->name,
			by->name);
}

/* Starts what ends have to send on an idle wire, at `start`. */
static void start_bus(struct link *link, uint64_t start)
{
	uint8_t byte;

	for (unsigned i = 0; i < link->nends; i++)
		if (take(&link->ends[i], &byte))
			put(link, &link->bus, &link->ends[i], byte, start);
}

/* Everything that was complete by `now`; a byte that follows another begins where that ended. */
static void advance_wire(
	struct link *link, struct link_wire *wire, struct link_end *only, uint64_t now)
{
	while (wire->busy && wire->done <= now) {
		uint64_t done = wire->done;
		uint8_t byte;

		complete(link, wire);
		if (!only)
			start_bus(link, done);
		else if (take(only, &byte))
			put(link, wire, only, byte, done);
	}
}

static void advance(struct link *link, uint64_t now)
{
	if (link->config->mode == LINK_BUS) {
		advance_wire(link, &link->bus, NULL, now);
		return;
	}
	for (unsigned i = 0; i < link->nends; i++)
		advance_wire(link, &link->ends[i].wire, &link->ends[i], now);
}

static void set_timer(struct link *link, uint64_t now)
{
	uint64_t next = link->bus.busy ? link->bus.done : UINT64_MAX;

	for (unsigned i = 0; i < link->nends; i++)
		if (link->ends[i].wire.busy)
			next = min_u64(next, link->ends[i].wire.done);
	if (next == UINT64_MAX)
		ev_timer_stop(&link->next);
	else
		ev_timer_set(&link->next, next > now ? next - now : 0);
}

static void on_time(void *arg)
{
	struct link *link = arg;
	uint64_t now = ev_now_ns();

	advance(link, now);
	set_timer(link, now);
}

size_t link_room(const struct link_end *end)
{
	return end->cut ? end->link->fifo : end->link->fifo - fifo_used(&end->out);
}

size_t link_send(struct link_end *end, const uint8_t *bytes, size_t len)
{
	struct link *link = end->link;
	uint64_t now = ev_now_ns();
	size_t n = min_u64(len, link_room(end));
	uint8_t byte;

	if (!n)
		return 0;
	/* What has ended by now does not collide. */
	advance(link, now);
	fifo_put(&end->out, bytes, n);
	end->full = !link_room(end);
	if (link->config->mode == LINK_PAIR && !end->wire.busy && take(end, &byte))
		put(link, &end->wire, end, byte, now);
	else if (link->config->mode == LINK_BUS && !end->on_bus && take(end, &byte))
		put(link, &link->bus, end, byte, now);
	set_timer(link, now);
	return n;
}

/* Life. */

int link_add(struct link *link, const char *name, const struct link_end_ops *ops,
	struct link_end **out, struct err *e)
{
	unsigned max = link->config->mode == LINK_PAIR ? 2 : LINK_ENDS_MAX;
	struct link_end *end = &link->ends[link->nends];

	if (link->nends == max)
		return err_set(e, -EINVAL,
			"%s cannot be an end of link %s, which has %u: at most %u with mode %s",
			name, link->name, link->nends, max, mode_words[link->config->mode]);
	if (fifo_init(&end->out, link->fifo) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	end->link = link;
	end->name = name;
	end->ops = *ops;
	link->nends++;
	*out = end;
	return 0;
}

/* A sender fills the buffer once for each turn of the loop, whose timers go by milliseconds: with
 * less the wire would stand still until then. */
static uint32_t fifo_size(const struct link_config *config, uint64_t char_ns)
{
	return config->fifo ? config->fifo : (uint32_t)max_u64(FIFO_MIN, NS / 500 / char_ns);
}

int link_create(struct link **out, const char *name, const struct link_config *config,
	const struct link_owner *owner, struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return err_set(e, -ENOMEM, "out of memory");
	*link = (struct link){
		.name = name,
		.config = config,
		.owner = owner,
		.loop = loop,
		.log = log,
		.char_ns = tty_char_bits(&config->line) * NS / config->line.baud,
		.mask = (uint8_t)((1u << config->line.bits) - 1),
		.trace.fd = -1,
	};
	link->fifo = fifo_size(config, link->char_ns);
	ev_timer_init(loop, &link->next, on_time, link);
	r = link_log_open(link, e);
	if (!r)
		r = link_host_open(link, e);
	if (r < 0) {
		link_destroy(link);
		return r;
	}
	*out = link;
	return 0;
}

void link_destroy(struct link *link)
{
	if (!link)
		return;
	ev_timer_stop(&link->next);
	link_host_close(link);
	link_log_close(link);
	for (unsigned i = 0; i < link->nends; i++)
		fifo_finish(&link->ends[i].out);
	free(link);
}

uint64_t link_char_ns(const struct link *link)
{
	return link->char_ns;
}

const struct link_counters *link_counters(const struct link *link)
{
	return &link->count;
}

const struct link_end_counters *link_end_counters(const struct link_end *end)
{
	return &end->count;
}
