/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine and a device for tests of the transports without KVM: both remember what they were
 * told. */
#pragma once

#include "tap.h"
#include "transport/vmm.h"
#include "virtio/backend.h"

#define FAKE_QUEUES 2u
#define FAKE_CONFIG 20u
#define FAKE_BELLS  16u
#define FAKE_MSIS   8u

struct fake_msi {
	uint64_t addr;
	uint32_t data;
	uint16_t requester;
	int fd; /* connected, or -1 */
	unsigned disconnects;
};

/* The machine. */
struct fake_vmm {
	struct vmm vmm;
	struct log log;
	struct vmm_doorbell bells[FAKE_BELLS];
	unsigned nbells;
	bool line[32];
	unsigned line_changes;
	struct fake_msi msis[FAKE_MSIS];
	unsigned nmsis;
	const uint8_t *rom; /* what the guest reads by itself, NULL: nothing */
	unsigned rom_changes;
};

/* The device. */
struct fake_backend {
	struct vbackend be;
	uint64_t offered, accepted;
	uint8_t status;
	bool refuse_features, fail_start, destroyed;
	bool running[FAKE_QUEUES];
	struct vb_queue setup[FAKE_QUEUES];
	unsigned starts, stops;
	uint8_t config[FAKE_CONFIG];
};

void fake_vmm_init(struct fake_vmm *f);
void fake_vmm_finish(struct fake_vmm *f);
void fake_backend_init(struct fake_backend *b, const struct gm *gm);
/* Lets the main loop handle what is waiting. */
void fake_run(struct fake_vmm *f);
