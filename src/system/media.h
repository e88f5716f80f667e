/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Media: what several VMs share, each a process with devices of VMs as its ports (cli/medium.h).
 * One row says how a kind of them is written in the system file and started.
 */
#pragma once

#include "base/opt.h"

struct medium_class {
	const char *section; /* of the system file: "switches" */
	const char *device;  /* the type of device that can be plugged in */
	const char *plug;    /* the device's key that names the medium */
	const char *command; /* of avp, and the kind's name */
	const struct opt *opts;
	size_t config_size; /* of the structure that `opts` fill */
};

/* Ends with a row without `section`. */
extern const struct medium_class medium_classes[];

/* The kind that a type of device can be plugged into, or NULL. */
const struct medium_class *medium_class_for(const char *device);
