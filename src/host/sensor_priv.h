/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a set of sensors. */
#pragma once

#include "host/sensor.h"

#define SENSOR_FEEDS_MAX 8u
#define SENSOR_LINE_MAX	 256u /* bytes of a line with its newline */

/* A process that gives values. */
struct sensor_feed {
	struct sensors *set;
	struct ev_fd watch;
	int fd;		  /* -1: free */
	unsigned sources; /* bits of enum sensor_source that it may give values for */
	char line[SENSOR_LINE_MAX];
	unsigned len;
	bool skipping; /* the rest of a line that is too long */
	struct log_limit complaints;
};

struct sensors {
	const struct sensors_config *config;
	struct ev_loop *loop;
	const struct log *log;
	sensors_event_fn event;
	void *event_arg;
	struct log_limit events;
	uint64_t start_ns; /* CLOCK_MONOTONIC: phase 0 of the scripts */
	struct sensor *first, **end;
	bool ready;

	/* sensor_replay.c */
	struct replay *replay;
	struct replay_ops replay_ops;
	struct sensor_column *columns; /* of the recording that are in use */
	unsigned ncolumns;
	bool have_header;

	/* sensor_feed.c */
	int listener;
	struct ev_fd listening;
	struct sensor_feed feeds[SENSOR_FEEDS_MAX];
};

/* The recording; nothing without one. */
int recording_open(struct sensors *set, struct err *e);
void recording_close(struct sensors *set);

void feeds_init(struct sensors *set);
int feeds_open(struct sensors *set, struct err *e);
void feeds_close(struct sensors *set);
