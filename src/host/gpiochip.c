/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of the host's GPIO chips. See gpiochip.h. */
#include "host/gpiochip.h"

#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CONSUMER "avp"
/* How often to look whether a chip is still, or again, there. */
#define CHECK_NS UINT64_C(1000000000)
/* Edges that are read at once: as many as the kernel keeps (uAPI v1). */
#define EDGES 16u

struct gpiochip {
	struct gpiochips *set;
	char *name; /* as it was configured */
	struct gpiod_chip *chip;
	struct chipline *lines;
	struct ev_timer check;
	bool jailed; /* said that it cannot be opened again */
	struct gpiochip *next;
};

struct gpiochips {
	const struct gpiochips_host *host;
	struct ev_loop *loop;
	const struct log *log;
	struct gpiochip *chips;
};

static void tell(struct gpiochip *c, const char *event)
{
	const struct gpiochips_host *host = c->set->host;

	if (host->event)
		host->event(host->arg, event, c->name);
}

/* Requests. */

static int flags_of(const struct chipline_config *c, bool out)
{
	static const int bias[] = { 0, GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE,
		GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP, GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN };
	static const int drive[] = { 0, GPIOD_LINE_REQUEST_FLAG_OPEN_DRAIN,
		GPIOD_LINE_REQUEST_FLAG_OPEN_SOURCE };

	return bias[c->bias] | (out ? drive[c->drive] : 0) |
	       (c->active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0);
}

static void release(struct chipline *l)
{
	ev_fd_del(&l->watch);
	if (l->is != CHIPLINE_OFF)
		gpiod_line_release(l->line);
	l->is = CHIPLINE_OFF;
}

static int request(struct chipline *l, enum chipline_use use, bool value)
{
	int flags = flags_of(&l->config, use == CHIPLINE_OUT);
	int r = use == CHIPLINE_OUT
			? gpiod_line_request_output_flags(l->line, CONSUMER, flags, value)
		: use == CHIPLINE_EDGES
			? gpiod_line_request_both_edges_events_flags(l->line, CONSUMER, flags)
			: gpiod_line_request_input_flags(l->line, CONSUMER, flags);

	if (r)
		return -errno;
	l->is = use;
	return 0;
}

static void gone(struct gpiochip *c);

/* True if it is the chip that failed, which is dealt with. */
static bool chip_failed(struct gpiochip *c, int r)
{
	if (r != -ENODEV && r != -ENXIO)
		return false;
	gone(c);
	return true;
}

static void on_edges(void *arg, uint32_t events)
{
	struct chipline *l = arg;
	struct gpiod_line_event edge[EDGES];
	int n;

	if (!(events & EPOLLIN)) {
		gone(l->chip);
		return;
	}
	n = gpiod_line_event_read_fd_multiple(l->watch.fd, edge, EDGES);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		gone(l->chip);
		return;
	}
	for (int i = 0; i < n; i++) {
		l->level = edge[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE;
		l->changed(l, l->level);
	}
}

static int watch(struct chipline *l)
{
	int fd = gpiod_line_event_get_fd(l->line);
	int r = fd < 0 ? -errno
		       : ev_fd_add(l->chip->set->loop, &l->watch, fd, EPOLLIN, on_edges, l);
	int level = r ? 0 : gpiod_line_get_value(l->line);

	if (!r && level < 0)
		r = -errno;
	if (r)
		release(l);
	else
		l->level = level;
	return r;
}

/* From input to output and back without letting go of the line in between. */
static int turn(struct chipline *l, enum chipline_use use, bool value)
{
	int r = use == CHIPLINE_OUT ? gpiod_line_set_direction_output(l->line, value)
				    : gpiod_line_set_direction_input(l->line);

	if (r)
		return -errno;
	l->is = use;
	return 0;
}

/* Makes the line what it is asked for. */
static int apply(struct chipline *l)
{
	bool simple = l->use != CHIPLINE_EDGES && l->is != CHIPLINE_EDGES;
	int r;

	if (l->use == l->is && l->use == CHIPLINE_OUT)
		return gpiod_line_set_value(l->line, l->value) ? -errno : 0;
	if (l->use == l->is)
		return 0;
	if (simple && l->use != CHIPLINE_OFF && l->is != CHIPLINE_OFF)
		return turn(l, l->use, l->value);
	release(l);
	if (l->use == CHIPLINE_OFF)
		return 0;
	r = request(l, l->use, l->value);
	return r || l->use != CHIPLINE_EDGES ? r : watch(l);
}

int chipline_use(struct chipline *l, enum chipline_use use, bool value)
{
	int r;

	l->use = use;
	l->value = value;
	if (!l->line)
		return use == CHIPLINE_OFF ? 0 : -ENODEV;
	r = apply(l);
	return chip_failed(l->chip, r) ? -ENODEV : r;
}

/* The level of a line that is not in use: asked for as it is, and let go of again. */
static int peek(struct chipline *l)
{
	const struct gpiod_line_request_config config = { .consumer = CONSUMER,
		.request_type = GPIOD_LINE_REQUEST_DIRECTION_AS_IS,
		.flags = flags_of(&l->config, false) & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW };
	int level;

	if (gpiod_line_request(l->line, &config, 0))
		return -errno;
	level = gpiod_line_get_value(l->line);
	if (level < 0)
		level = -errno;
	gpiod_line_release(l->line);
	return level;
}

int chipline_get(struct chipline *l)
{
	int r;

	if (!l->line)
		return -ENODEV;
	if (l->is == CHIPLINE_OFF) {
		r = peek(l);
	} else {
		r = gpiod_line_get_value(l->line);
		r = r < 0 ? -errno : r;
	}
	return chip_failed(l->chip, r) ? -ENODEV : r;
}

/* Chips. */

static struct gpiod_line *find_line(struct gpiochip *c, const char *name, struct err *e)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);
	struct gpiod_line *line;

	if (*name >= '0' && *name <= '9' && !*end) {
		line = n < gpiod_chip_num_lines(c->chip) ? gpiod_chip_get_line(c->chip, (unsigned)n)
							 : NULL;
		if (!line)
			err_set(e, -EINVAL, "GPIO chip %s has lines 0 to %u, not %s", c->name,
				gpiod_chip_num_lines(c->chip) - 1, name);
		return line;
	}
	line = gpiod_chip_find_line(c->chip, name);
	if (!line)
		err_set(e, -EINVAL, "GPIO chip %s has no line '%s' (gpioinfo lists them)", c->name,
			name);
	return line;
}

static void gone(struct gpiochip *c)
{
	if (!c->chip)
		return;
	for (struct chipline *l = c->lines; l; l = l->next) {
		release(l);
		l->line = NULL;
	}
	gpiod_chip_close(c->chip);
	c->chip = NULL;
	log_warn(c->set->log, "GPIO chip %s is gone", c->name);
	tell(c, "host-gone");
}

/* A line of a chip that is back. An edge that nobody saw is made up for. */
static void restore(struct chipline *l)
{
	bool before = l->level;
	int r;

	l->line = gpiod_chip_get_line(l->chip->chip, l->offset);
	r = l->line ? apply(l) : -errno;
	if (r)
		log_error(l->chip->set->log, "line %u of GPIO chip %s: %s", l->offset,
			l->chip->name, strerror(-r));
	else if (l->is == CHIPLINE_EDGES && l->level != before)
		l->changed(l, l->level);
}

static void come_back(struct gpiochip *c)
{
	c->chip = gpiod_chip_open_lookup(c->name);
	if (!c->chip && errno == EACCES && !c->jailed) {
		log_warn(c->set->log, "the jail keeps this process from opening GPIO chip %s again",
			c->name);
		c->jailed = true;
	}
	if (!c->chip)
		return;
	log_info(c->set->log, "GPIO chip %s is back", c->name);
	for (struct chipline *l = c->lines; l && c->chip; l = l->next)
		restore(l);
	tell(c, "host-back");
}

/* A chip whose lines nobody moves has no other way to say that it is gone. */
static void check(void *arg)
{
	struct gpiochip *c = arg;

	if (!c->chip)
		come_back(c);
	else if (c->lines && c->lines->line && gpiod_line_update(c->lines->line) && errno == ENODEV)
		gone(c);
	ev_timer_set(&c->check, CHECK_NS);
}

static struct gpiochip *chip_open(struct gpiochips *set, const char *name, struct err *e)
{
	struct gpiochip *c = calloc(1, sizeof(*c));

	if (c)
		c->name = strdup(name);
	if (!c || !c->name) {
		free(c);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	c->chip = gpiod_chip_open_lookup(name);
	if (!c->chip) {
		err_sys(e, -errno, "cannot open GPIO chip %s (gpiodetect lists names and labels)",
			name);
		free(c->name);
		free(c);
		return NULL;
	}
	c->set = set;
	c->next = set->chips;
	set->chips = c;
	ev_timer_init(set->loop, &c->check, check, c);
	ev_timer_set(&c->check, CHECK_NS);
	return c;
}

static struct gpiochip *chip_get(struct gpiochips *set, const char *name, struct err *e)
{
	for (struct gpiochip *c = set->chips; c; c = c->next)
		if (!strcmp(c->name, name))
			return c;
	return chip_open(set, name, e);
}

int chipline_open(struct chipline *l, struct gpiochips *set, const char *where,
	const struct chipline_config *config, struct err *e)
{
	const char *slash = strrchr(where, '/');
	autofree char *name = slash ? strndup(where, (size_t)(slash - where)) : NULL;
	struct gpiochip *c;

	if (!name || !*name || !slash[1])
		return err_set(e, -EINVAL, "'%.80s' is no CHIP/LINE, as gpiochip0/5", where);
	c = chip_get(set, name, e);
	if (!c)
		return -ENODEV;
	l->line = find_line(c, slash + 1, e);
	if (!l->line)
		return -EINVAL;
	l->offset = gpiod_line_offset(l->line);
	for (const struct chipline *other = c->lines; other; other = other->next)
		if (other->offset == l->offset)
			return err_set(e, -EINVAL, "line %u of GPIO chip %s is used twice",
				l->offset, name);
	l->chip = c;
	l->config = *config;
	l->next = c->lines;
	c->lines = l;
	return 0;
}

void chipline_close(struct chipline *l)
{
	if (!l->chip)
		return;
	if (l->chip->chip)
		release(l);
	for (struct chipline **p = &l->chip->lines; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	l->chip = NULL;
}

int gpiochips_create(struct gpiochips **out, const struct gpiochips_host *host,
	struct ev_loop *loop, const struct log *log)
{
	struct gpiochips *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->host = host;
	set->loop = loop;
	set->log = log;
	*out = set;
	return 0;
}

void gpiochips_destroy(struct gpiochips *set)
{
	struct gpiochip *next;

	if (!set)
		return;
	for (struct gpiochip *c = set->chips; c; c = next) {
		next = c->next;
		ev_timer_stop(&c->check);
		if (c->chip)
			gpiod_chip_close(c->chip);
		free(c->name);
		free(c);
	}
	free(set);
}
