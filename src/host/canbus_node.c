/* SPDX-License-Identifier: BSD-3-Clause */
/* A controller's part: its state and error counters (ISO 11898-1, 12.1.4), and what limits it. */
#include <errno.h>
#include <stdio.h>

#include "base/util.h"
#include "host/canbus_priv.h"

#define SECOND UINT64_C(1000000000)
/* How far ahead of its limits a port may be. */
#define BURST_NS (SECOND / 10)

bool canport_active(const struct canport *p)
{
	return p->state < CAN_STATE_BUS_OFF;
}

/* Recording and operator are no nodes; the host's interface stands for those behind it. */
bool canport_acks(const struct canport *p)
{
	if (p == p->bus->host_port)
		return p->bus->host_up;
	return canport_active(p) && !p->config.listen_only && !canbus_is_side(p->bus, p);
}

enum can_state canport_state(const struct canport *p)
{
	return p->state;
}

void canport_event(struct canport *p, const char *event, const char *detail)
{
	if (p->ops->event && log_allowed(&p->events, 5))
		p->ops->event(p->arg, event, detail);
}

/* Error counters. */

static void update_state(struct canport *p)
{
	uint32_t worst = (uint32_t)max_u64(p->tec, p->rec);

	if (!canport_active(p))
		return;
	if (p->tec >= CAN_OFF)
		canport_go_off(p, "its error counter reached 256");
	else
		p->state = worst >= CAN_PASSIVE	  ? CAN_STATE_ERROR_PASSIVE
			   : worst >= CAN_WARNING ? CAN_STATE_ERROR_WARNING
						  : CAN_STATE_ERROR_ACTIVE;
}

void canport_sent_ok(struct canport *p)
{
	p->tec -= !!p->tec;
	update_state(p);
}

void canport_sent_error(struct canport *p, bool no_ack)
{
	/* A lone node stays error-passive, and does not go bus-off. */
	if (!no_ack || p->state < CAN_STATE_ERROR_PASSIVE)
		p->tec += 8;
	update_state(p);
}

void canport_received_ok(struct canport *p)
{
	if (p->config.listen_only)
		return;
	p->rec = p->rec >= CAN_PASSIVE ? CAN_PASSIVE - 8 : p->rec - !!p->rec;
	update_state(p);
}

void canport_received_error(struct canport *p)
{
	if (!p->config.listen_only && p->rec < CAN_PASSIVE)
		p->rec++;
	update_state(p);
}

void canport_go_off(struct canport *p, const char *why)
{
	if (!canport_active(p))
		return;
	p->state = CAN_STATE_BUS_OFF;
	p->was_off = true;
	p->count.bus_off++;
	if (p->ops->bus_off)
		p->ops->bus_off(p->arg);
	canport_cancel(p);
	canport_event(p, "bus-off", why);
}

/* Start and stop. */

static void join(struct canport *p)
{
	p->starting = p->was_off = false;
	p->state = CAN_STATE_ERROR_ACTIVE;
	p->tec = p->rec = 0;
	p->not_before_ns = 0;
	p->joined = true;
	canbus_port_joined(p->bus);
	canbus_wake(p->bus);
}

bool canport_start(struct canport *p)
{
	uint32_t bitrate = p->bus->config.bitrate;

	if (canport_active(p))
		return true;
	if (!p->was_off || !bitrate) {
		join(p);
		return true;
	}
	if (!p->starting)
		p->start_ns = canbus_now(p->bus) + CAN_RECOVERY_BITS * SECOND / bitrate;
	p->starting = true;
	canbus_wake(p->bus);
	return false;
}

void canport_stop(struct canport *p)
{
	p->starting = false;
	if (p->state == CAN_STATE_STOPPED)
		return;
	p->state = CAN_STATE_STOPPED;
	canport_cancel(p);
}

uint64_t canbus_finish_starts(struct canbus *b, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < b->nports; i++) {
		struct canport *p = b->ports[i];

		if (!p->starting)
			continue;
		if (p->start_ns > now) {
			next = min_u64(next, p->start_ns);
			continue;
		}
		join(p);
		if (p->ops->started)
			p->ops->started(p->arg);
	}
	return next;
}

/* Limits. */

static uint64_t limit_allows(const struct limit *l)
{
	return l->tat_ns - min_u64(l->tat_ns, BURST_NS);
}

uint64_t canport_allowed_ns(const struct canport *p)
{
	return max_u64(limit_allows(&p->rate), limit_allows(&p->load));
}

void canport_charge(struct canport *p, uint64_t start_ns, uint64_t ns)
{
	const struct canport_config *c = &p->config;

	if (start_ns >= p->rate.tat_ns && start_ns >= p->load.tat_ns)
		p->babbling = false; /* used less than it may */
	if (c->max_rate)
		p->rate.tat_ns = max_u64(p->rate.tat_ns, start_ns) + SECOND / c->max_rate;
	if (c->max_load)
		p->load.tat_ns = max_u64(p->load.tat_ns, start_ns) + ns * 100 / c->max_load;
}

void canport_exceeded(struct canport *p, struct pending *what)
{
	char detail[96];

	if (!what->held)
		p->count.held++;
	what->held = true;
	if (p->babbling)
		return;
	p->babbling = true;
	snprintf(detail, sizeof(detail), "sends more than max-rate %u/s, max-load %u%% allow",
		p->config.max_rate, p->config.max_load);
	canport_event(p, "babbling", detail);
	if (p->config.on_babbling == CANPORT_BUS_OFF)
		canport_go_off(p, "it sent more than its limits allow");
}
