/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A medium: what several VMs share, as one process. Its ports are devices of the VMs, each behind a
 * vhost-user socket of its own; all live on one loop, so that devices and medium call each other as
 * functions. A command of this kind (`avp switch`) gives a struct medium_spec; arguments, ports,
 * jail, control line and signals are here. The system file's side is system/media.h.
 */
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "cli/line.h"
#include "system/jail.h"
#include "transport/vhost_user_backend.h"
#include "virtio/device.h"

#define MEDIUM_PORTS_MAX 64u

struct medium;

/* A port, as --port says it. */
struct medium_port {
	char *name;   /* in a system "VM/DEVICE" */
	char *socket; /* of two, one is given */
	uint32_t fd;
	struct vdev *dev;
	struct vhu_backend *backend;
	struct log log;
};

/* Constant data. Callbacks marked [opt] may be NULL. All run on the loop's thread, or before it. */
struct medium_spec {
	const char *command;	      /* "switch" */
	const char *about;	      /* for --help */
	const struct vdev_class *cls; /* of the ports' devices */
	unsigned ports_max;	      /* up to MEDIUM_PORTS_MAX */
	const struct opt *opts;	      /* of the medium itself, into m->config */
	size_t config_size, state_size;

	/* Makes the medium, in m->state. */
	int (*open)(struct medium *m, struct err *e);
	/* Plugs the device of a port in, between its vdev_new() and vdev_init(). */
	int (*attach)(struct medium *m, struct medium_port *p, struct err *e);
	/* [opt] All ports are there. */
	int (*complete)(struct medium *m, struct err *e);
	/* [opt] Adds what it needs later to the jail; paths are to be strdup()ed. */
	int (*jail)(struct medium *m, struct jail_profile *profile, struct err *e);
	/* [opt] Counters of the medium: members of a JSON object without braces. */
	void (*stats)(struct medium *m, FILE *f);
	/* [opt] The same for a port, instead of its device's counters. */
	void (*port_stats)(struct medium *m, unsigned port, FILE *f);
	/* [opt] Words of the operator. "port NAME WORDS..." goes to the port's device instead,
	 * unless the medium takes that itself and `own_ports` is set. */
	int (*obey)(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e);
	bool own_ports;
	/* [opt] Frees it, after the devices and before the loop; also if open() failed. */
	void (*close)(struct medium *m);
};

struct medium {
	const struct medium_spec *spec;
	void *config, *state; /* zeroed, then filled by `opts`; zeroed */
	/* Keys of all media. */
	char *name;
	int jail;
	uint32_t control_fd; /* 0: none */
	uint32_t poll;

	struct log log;
	struct ev_loop *loop;
	struct line line;
	int signal_fd;
	struct ev_fd signals;
	unsigned nports;
	struct medium_port ports[MEDIUM_PORTS_MAX];
};

/* The whole command; returns the exit status. */
int medium_main(const struct medium_spec *spec, int argc, char **argv);
/* The port with this name, or NULL. */
struct medium_port *medium_find_port(struct medium *m, const char *name);
/* Records an event of the medium itself, as vdev_event() does for a device. */
void medium_event(struct medium *m, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
