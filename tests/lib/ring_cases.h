/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of a device that are run over every kind of ring. */
#pragma once

#include <stdint.h>

#include "tap.h"
#include "virtio/device.h"

#define EVENT_RING (FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))

struct ring_case {
	const char *name;
	void (*fn)(struct tap *t);
};

/* Runs the cases for each kind; *ring is then the feature bits of the ring that they negotiate. */
static inline void tap_run_rings(
	struct tap *t, const struct ring_case *cases, unsigned n, uint64_t *ring)
{
	static const struct {
		const char *name;
		uint64_t features;
	} kinds[] = {
		{ "split", 0 },
		{ "split event index", EVENT_RING },
		{ "packed", EVENT_RING | FEATURE(VIRTIO_F_RING_PACKED) },
	};
	char name[100];

	for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		*ring = kinds[k].features;
		for (unsigned i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "%s: %s", kinds[k].name, cases[i].name);
			tap_run(t, name, cases[i].fn);
		}
	}
}
