/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One PCI function: its configuration space with one 32-bit memory BAR and a list of capabilities.
 * The PCI host (machine/pci_host.h) reaches it by `struct pci_slot`.
 */
#pragma once

#include "transport/vmm.h"

#define PCI_CONFIG_LEN 256u

/* Configuration space registers (PCI Local Bus 3.0, chapter 6). */
#define PCI_VENDOR	  0x00u
#define PCI_DEVICE	  0x02u
#define PCI_COMMAND	  0x04u
#define PCI_STATUS	  0x06u
#define PCI_REVISION	  0x08u
#define PCI_CLASS	  0x09u
#define PCI_BAR0	  0x10u
#define PCI_SUBSYS_VENDOR 0x2cu
#define PCI_SUBSYS_DEVICE 0x2eu
#define PCI_CAP_POINTER	  0x34u
#define PCI_INT_LINE	  0x3cu
#define PCI_INT_PIN	  0x3du

#define PCI_COMMAND_MEMORY	(1u << 1)
#define PCI_COMMAND_MASTER	(1u << 2)
#define PCI_COMMAND_NO_INTX	(1u << 10)
#define PCI_STATUS_INTERRUPT	(1u << 3)
#define PCI_STATUS_CAPABILITIES (1u << 4)

/* What the PCI host needs of a function: accesses of 1, 2 or 4 aligned bytes inside the first
 * PCI_CONFIG_LEN. From any vCPU thread. */
struct pci_slot {
	void (*config_read)(void *arg, unsigned offset, void *data, unsigned len);
	void (*config_write)(void *arg, unsigned offset, const void *data, unsigned len);
	void *arg;
};

struct pci_ids {
	uint16_t vendor, device, subsys_vendor, subsys_device;
	uint8_t revision;
	uint32_t class_code; /* 24 bits */
};

/* What the board decides about a function. */
struct pci_place {
	uint16_t requester; /* bus << 8 | device << 3 | function */
	uint32_t bar;	    /* where a firmware would have put its BAR, a multiple of its size */
	uint32_t gsi;	    /* the line that its pin leads to */
	uint8_t pin;	    /* 1 to 4: INTA# to INTD# */
};

/* A function; the owner's lock guards it. Private fields, except those of `bar` that
 * pci_func_set_bar() does not set. */
struct pci_func {
	struct vmm *vmm;
	uint16_t requester; /* bus, device and function number, as messages carry it */
	uint8_t config[PCI_CONFIG_LEN];
	uint8_t writable[PCI_CONFIG_LEN]; /* mask of the bits that the guest may change */
	uint8_t last_cap, caps_end;
	struct bus_range bar;
	uint32_t bar_at; /* where the BAR answers, 0: nowhere */
	/* The BAR has come to / is about to leave `bar_at`. May be NULL. */
	void (*mapped)(void *owner, bool on);
	void *owner;
};

void pci_func_init(struct pci_func *f, struct vmm *vmm, const struct pci_ids *ids);
/* A memory BAR of `size` bytes, a power of two; bar->read, write, name and arg are set. */
void pci_func_set_bar(struct pci_func *f, uint32_t size);
/* Tells the function its place, before the guest runs. */
void pci_func_place(struct pci_func *f, const struct pci_place *at);
/* Adds a capability of `len` bytes (id and link are filled in, `cap` has them too) and returns its
 * offset, or 0 if the space is full. */
unsigned pci_func_add_cap(struct pci_func *f, const void *cap, uint8_t len);
/* Lets the guest write `len` bytes at `offset`. */
void pci_func_allow(struct pci_func *f, unsigned offset, unsigned len);
void pci_func_read(const struct pci_func *f, unsigned offset, void *data, unsigned len);
/* Changes the bits that may be changed, and moves the BAR if that says so. */
void pci_func_write(struct pci_func *f, unsigned offset, const void *data, unsigned len);
uint16_t pci_func_get16(const struct pci_func *f, unsigned offset);
void pci_func_set16(struct pci_func *f, unsigned offset, uint16_t v);
/* Takes the BAR off the bus. */
void pci_func_finish(struct pci_func *f);
