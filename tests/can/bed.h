/* SPDX-License-Identifier: BSD-3-Clause */
/* A bus between nodes that keep what they get; time is the test's. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "host/canbus.h"
#include "tap.h"

#define NODES 4u
#define KEEP  256u
#define MS    UINT64_C(1000000)
#define S     UINT64_C(1000000000)
/* Of 2001-09-09, when the clock of a bed begins. */
#define EPOCH (UINT64_C(1000000000) * S)

struct node {
	struct canport *port;
	struct canfd_frame got[KEEP];
	uint64_t got_at[KEEP];
	unsigned n, sent, lost, started, offs;
	uint64_t sent_at; /* of the last one */
	void *last;	  /* cookie of the last one sent or lost */
	char event[64], detail[200];
	struct bed *bed;
};

struct bed {
	struct ev_loop *loop;
	struct canbus *bus;
	struct canbus_config config;
	struct canport_config port[NODES];
	struct node node[NODES];
	unsigned nodes;
	uint64_t now;
	char event[64];
};

static inline uint64_t bed_clock(void *arg, clockid_t id)
{
	const struct bed *b = arg;

	return id == CLOCK_REALTIME ? EPOCH + b->now : b->now;
}

static inline void on_receive(void *arg, const struct canfd_frame *f)
{
	struct node *n = arg;

	if (n->n < KEEP) {
		n->got_at[n->n] = n->bed->now;
		n->got[n->n++] = *f;
	}
}

static inline void on_sent(void *arg, void *cookie, bool ok)
{
	struct node *n = arg;

	*(ok ? &n->sent : &n->lost) += 1;
	n->sent_at = n->bed->now;
	n->last = cookie;
}

static inline void on_started(void *arg)
{
	((struct node *)arg)->started++;
}

static inline void on_bus_off(void *arg)
{
	((struct node *)arg)->offs++;
}

static inline void on_event(void *arg, const char *event, const char *detail)
{
	struct node *n = arg;

	snprintf(n->event, sizeof(n->event), "%s", event);
	snprintf(n->detail, sizeof(n->detail), "%s", detail);
}

static inline void on_bus_event(void *arg, const char *event, const char *detail)
{
	struct bed *b = arg;

	snprintf(b->event, sizeof(b->event), "%s", event);
}

static const struct canport_ops node_ops = { on_receive, on_sent, on_started, on_bus_off,
	on_event };

static inline struct bed *bed_new(unsigned nodes)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->config = (struct canbus_config){ .bitrate = 500000,
		.data_bitrate = 2000000,
		.fd = true,
		.log_size = 1 << 20,
		.log_files = 3 };
	b->nodes = nodes;
	for (unsigned i = 0; i < nodes; i++)
		canport_defaults(&b->port[i]);
	b->now = 1000 * S;
	ev_loop_create(&b->loop);
	return b;
}

static inline int bed_open(struct bed *b, struct err *e)
{
	int ret = canbus_create(&b->bus, &b->config, "body", b->loop, NULL, e);

	if (ret)
		return ret;
	canbus_set_clock(b->bus, bed_clock, b);
	canbus_on_event(b->bus, on_bus_event, b);
	for (unsigned i = 0; i < b->nodes && !ret; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		b->node[i].bed = b;
		ret = canbus_add_port(b->bus, name, &b->port[i], &b->node[i].port, e);
		if (!ret)
			canport_connect(b->node[i].port, &node_ops, &b->node[i]);
	}
	return ret;
}

static inline bool bed_start(struct bed *b)
{
	struct err e = { 0 };

	if (bed_open(b, &e)) {
		printf("# %s\n", e.msg);
		return false;
	}
	for (unsigned i = 0; i < b->nodes; i++)
		if (!canport_start(b->node[i].port))
			return false;
	return true;
}

static inline void bed_free(struct bed *b)
{
	canbus_destroy(b->bus);
	ev_loop_destroy(b->loop);
	free(b);
}

/* Lets `ns` pass at once. */
static inline void bed_pass(struct bed *b, uint64_t ns)
{
	b->now += ns;
	canbus_poll(b->bus);
}

/* Lets it pass in steps of a microsecond. */
static inline void bed_run(struct bed *b, uint64_t ns)
{
	for (uint64_t end = b->now + ns; b->now < end;)
		bed_pass(b, 1000);
}

static inline struct canfd_frame bed_frame(const char *text)
{
	struct canfd_frame f;
	const char *end;

	if (can_frame_parse(text, &end, &f, NULL))
		abort();
	return f;
}

static inline int bed_send(struct bed *b, unsigned node, const char *text)
{
	struct canfd_frame f = bed_frame(text);

	return canport_send(b->node[node].port, &f, &b->node[node]);
}

static inline int bed_tell(struct bed *b, int node, char *out, size_t size, const char *words)
{
	char copy[128], *argv[8], *save = NULL;
	FILE *f = fmemopen(out, size, "w");
	struct err e = { 0 };
	unsigned argc = 0;
	int ret;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	ret = node < 0 ? canbus_tell(b->bus, argc, argv, f, &e)
		       : canport_tell(b->node[node].port, argc, argv, f, &e);
	if (ret)
		fprintf(f, "%s", e.msg);
	fclose(f);
	return ret;
}
