/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases on virtio-pci share. */
#pragma once

#include "conformance/cf.h"
#include "drivers/pci.h"

#define PCI_CAP_LEN_MIN	   16u
#define PCI_CAP_NOTIFY_LEN 20u
#define PCI_NO_VECTOR	   0xffffu

/* A virtio capability (VIRTIO 1.4, 4.1.4). */
struct pci_vcap {
	uint8_t at, len, type, bar;
	uint32_t offset, length, extra; /* extra: what follows, if there is */
};

/* The device; cases with CF_PCI have one. */
struct drv_pci *pci_of(struct cf *c);
/* Goes through the vendor capabilities: false behind the last one. Begin with *cap all zero. */
bool pci_next_vcap(struct cf *c, struct pci_vcap *cap);
/* The first one of a type. Recorded if there is none. */
bool pci_find_vcap(struct cf *c, uint8_t type, struct pci_vcap *cap);

/* Registers of the common configuration. */
uint32_t pci_get(struct cf *c, uint32_t at, unsigned width);
void pci_put(struct cf *c, uint32_t at, unsigned width, uint32_t v);
void pci_select(struct cf *c, uint16_t q);
uint16_t pci_num_queues(struct cf *c);

/* Makes the device say DEVICE_NEEDS_RESET by a ring that it cannot use: q is a split ring. */
bool pci_break(struct cf *c, struct drv_queue *q);
