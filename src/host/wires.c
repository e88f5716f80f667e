/* SPDX-License-Identifier: BSD-3-Clause */
/* Nets and what they read as. See wires.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/wires_priv.h"

/* How long a change may stay out of the trace's file. */
#define FLUSH_NS UINT64_C(1000000000)
/* Events about conflicts per second. */
#define CONFLICT_BURST 2u

/* Trace. */

static void flush_trace(void *arg)
{
	struct wires *w = arg;
	int r = vcd_flush(w->trace);

	if (r == -EFBIG)
		log_warn(w->log, "the trace %s has %llu bytes and ends (trace-size)",
			w->config->trace, (unsigned long long)w->config->trace_size);
	else if (r)
		log_error(w->log, "writing the trace %s: %s", w->config->trace, strerror(-r));
}

static void trace(struct wire *wire, uint64_t now_ns)
{
	struct wires *w = wire->set;

	if (!w->trace)
		return;
	vcd_change(w->trace, wire->var, wire->state, now_ns);
	if (!w->flush.armed)
		ev_timer_set(&w->flush, FLUSH_NS);
}

/* Levels. */

/* Who drives a net to what, as text for an event. */
static void list_drivers(const struct wire *wire, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "net %s: ", wire->name);

	for (const struct wire_end *end = wire->ends; end && n < size; end = end->next)
		if (end->drive != WIRE_Z)
			n += (size_t)snprintf(buf + n, size - n, "%s drives %d, ", end->name,
				end->drive == WIRE_HIGH);
	if (n < size)
		snprintf(buf + n, size - n, "so it reads %d", wire->level);
}

static void conflict(struct wire *wire)
{
	struct wires *w = wire->set;
	char detail[200];

	w->counters.conflicts++;
	if (!log_allowed(&w->conflicts, CONFLICT_BURST))
		return;
	list_drivers(wire, detail, sizeof(detail));
	if (w->host->event)
		w->host->event(w->host->arg, "wire-conflict", detail);
}

static char resolve(const struct wire *wire)
{
	bool low = false, high = false;

	if (wire->stuck != WIRE_Z)
		return wire->stuck == WIRE_HIGH ? '1' : '0';
	for (const struct wire_end *end = wire->ends; end; end = end->next) {
		low |= end->drive == WIRE_LOW;
		high |= end->drive == WIRE_HIGH;
	}
	if (low || high)
		return low && high ? 'x' : high ? '1' : '0';
	return wire->pull == WIRE_PULL_UP ? '1' : wire->pull == WIRE_PULL_DOWN ? '0' : 'z';
}

/* Something about the net has changed. */
static void settle(struct wire *wire)
{
	char state = resolve(wire), before = wire->state;
	bool level = state == 'z' ? wire->level : state == '1';
	bool changed = level != wire->level;

	if (state == before)
		return;
	wire->state = state;
	wire->level = level;
	trace(wire, ev_now_ns());
	if (state == 'x')
		conflict(wire);
	if (!changed)
		return;
	wire->set->counters.changes++;
	for (struct wire_end *end = wire->ends; end; end = end->next)
		if (end->changed)
			end->changed(end, level);
}

void wire_attach(struct wire *wire, struct wire_end *end)
{
	struct wire_end **last = &wire->ends;

	while (*last)
		last = &(*last)->next;
	*last = end;
	end->wire = wire;
	end->drive = WIRE_Z;
	end->next = NULL;
}

void wire_detach(struct wire_end *end)
{
	struct wire *wire = end->wire;

	if (!wire)
		return;
	for (struct wire_end **p = &wire->ends; *p; p = &(*p)->next)
		if (*p == end) {
			*p = end->next;
			break;
		}
	end->wire = NULL;
	end->drive = WIRE_Z;
	settle(wire);
}

void wire_drive(struct wire_end *end, enum wire_drive drive)
{
	if (!end->wire || end->drive == drive)
		return;
	end->drive = drive;
	settle(end->wire);
}

bool wire_level(const struct wire *wire)
{
	return wire->level;
}

const char *wire_name(const struct wire *wire)
{
	return wire->name;
}

void wire_set(struct wire *wire, enum wire_drive drive)
{
	wire_drive(&wire->operator, drive);
}

void wire_stick(struct wire *wire, enum wire_drive level)
{
	wire->stuck = level;
	settle(wire);
}

/* Sets. */

static struct wire *lookup(const struct wires *w, const char *name)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!strcmp(w->nets[i]->name, name))
			return w->nets[i];
	return NULL;
}

int wires_find(struct wires *w, const char *name, struct wire **wire, struct err *e)
{
	autofree const char **names = NULL;
	const char *near;

	*wire = lookup(w, name);
	if (*wire)
		return 0;
	if (!w->n)
		return err_set(e, -EINVAL, "there is no net '%.64s', nor any other", name);
	names = calloc(w->n, sizeof(*names));
	for (unsigned i = 0; names && i < w->n; i++)
		names[i] = w->nets[i]->name;
	near = names ? opt_nearest(name, names, w->n) : NULL;
	return err_set(e, -EINVAL, "there is no net '%.64s'%s%s%s", name,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

int wires_add_net(struct wires *w, const char *name, enum wire_pull pull, enum wire_drive start,
	struct wire **out, struct err *e)
{
	struct wire **nets, *wire;

	if (strlen(name) > WIRES_NAME_MAX)
		return err_set(e, -EINVAL, "net '%.80s': a name has at most %u characters", name,
			WIRES_NAME_MAX);
	if (lookup(w, name))
		return err_set(e, -EINVAL, "there are two nets '%s'", name);
	if (w->n == WIRES_MAX)
		return err_set(e, -EINVAL, "net '%s': there are %u already, the most there can be",
			name, WIRES_MAX);
	nets = realloc(w->nets, (w->n + 1) * sizeof(struct wire *));
	if (!nets)
		return err_set(e, -ENOMEM, "out of memory");
	w->nets = nets;
	wire = calloc(1, sizeof(*wire));
	if (!wire)
		return err_set(e, -ENOMEM, "out of memory");
	nets[w->n++] = wire;
	snprintf(wire->name, sizeof(wire->name), "%s", name);
	wire->set = w;
	wire->pull = pull;
	wire->operator.name = "the operator";
	if (w->trace)
		wire->var = vcd_variable(w->trace, name);
	wire_attach(wire, &wire->operator);
	wire->operator.drive = start;
	wire->state = resolve(wire);
	wire->level = wire->state == '1';
	if (out)
		*out = wire;
	return 0;
}

int wires_create(struct wires **out, const char *name, const struct wires_config *config,
	const struct wires_host *host, struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct wires *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->config = config;
	w->host = host;
	w->loop = loop;
	w->log = log;
	ev_timer_init(loop, &w->flush, flush_trace, w);
	if (config->trace)
		r = vcd_open(&w->trace, config->trace, name, config->trace_size, e);
	for (unsigned i = 0; !r && i < config->nets.n; i++)
		r = wires_add(w, config->nets.v[i], NULL, e);
	if (r)
		wires_destroy(w);
	else
		*out = w;
	return r;
}

void wires_destroy(struct wires *w)
{
	if (!w)
		return;
	replay_close(w->replay);
	ev_timer_stop(&w->flush);
	vcd_close(w->trace);
	for (unsigned i = 0; i < w->n; i++)
		free(w->nets[i]);
	free(w->nets);
	free(w);
}

int wires_start(struct wires *w, struct err *e)
{
	int r = w->config->replay.file ? wires_script_open(w, e) : 0;
	uint64_t now = ev_now_ns();

	if (r || !w->trace)
		return r;
	vcd_begin(w->trace, now);
	for (unsigned i = 0; i < w->n; i++)
		trace(w->nets[i], now);
	return 0;
}

const struct wires_counters *wires_counters(const struct wires *w)
{
	return &w->counters;
}
