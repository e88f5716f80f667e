/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSI-X (PCI Local Bus 3.0, 6.8.2) for virtio sources. An unmasked vector is an irqfd of KVM on the
 * source's eventfd; while it is masked the eventfd simply keeps what was signalled, which makes it
 * the pending bit.
 */
#pragma once

#include "transport/pci_func.h"
#include "transport/vio.h"

#define MSIX_VECTORS_MAX 256u
#define MSIX_ENTRY_LEN	 16u
#define MSIX_NO_VECTOR	 0xffffu

struct msix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

/* Private fields; vio->lock guards them. */
struct msix {
	struct vio *vio;
	struct pci_func *func;
	unsigned cap; /* offset of the capability */
	unsigned n;   /* vectors */
	struct msix_entry *entries;
	int *gsis;   /* message of each vector, -1: none yet */
	bool *stale; /* the message differs from what the engine knows */
};

/* Adds the capability: `nvectors` vectors, table and pending bits at these offsets of BAR 0. */
int msix_init(struct msix *m, struct vio *vio, struct pci_func *func, unsigned nvectors,
	uint32_t table, uint32_t pba, struct err *e);
/* Disconnects everything. */
void msix_finish(struct msix *m);

bool msix_enabled(const struct msix *m);
/* After a write to the configuration space. */
void msix_config_written(struct msix *m);
/* Maps a source to a vector or to MSIX_NO_VECTOR; one that does not exist unmaps it. */
void msix_set_vector(struct msix *m, struct vio_source *s, uint16_t vector);
/*
 * Takes a source off its vector for a while. What it signalled before has reached the guest when
 * this returns: KVM delivers some messages from a work queue (those of arm64's ITS), and waits for
 * that when they are disconnected.
 */
void msix_detach(struct msix *m, struct vio_source *s);
/* Puts it back, as table and masks say. */
void msix_attach(struct msix *m, struct vio_source *s);
/* The device was reset: nothing is mapped. */
void msix_reset_vectors(struct msix *m);

/* Accesses to the table and the pending bits, any offset. */
void msix_table_read(struct msix *m, uint64_t offset, void *data, unsigned len);
void msix_table_write(struct msix *m, uint64_t offset, const void *data, unsigned len);
void msix_pba_read(struct msix *m, uint64_t offset, void *data, unsigned len);
