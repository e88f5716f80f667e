/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio-pci transport (VIRTIO 1.4, 4.1), modern devices, with an enumeration of its own for
 * platforms that have none.
 *
 *     struct drv_pci_host host;
 *     struct drv_pci_function found[8];
 *
 *     drv_pci_ecam(&host, 0x3f000000, 0, 15);
 *     n = drv_pci_scan(&host, found, 8);
 *     drv_pci_open(&p, &platform, &host, found[0].bdf, memory, sizeof(memory));
 */
#pragma once

#include "regs.h"

#define DRV_PCI_QUEUES 64u /* that can be notified */

/* Registers of a function's configuration space. */
enum {
	DRV_PCI_ID = 0x00,
	DRV_PCI_COMMAND = 0x04,
	DRV_PCI_STATUS = 0x06,
	DRV_PCI_HEADER = 0x0e,
	DRV_PCI_BAR0 = 0x10,
	DRV_PCI_BUSES = 0x18,
	DRV_PCI_SUBSYSTEM_ID = 0x2e,
	DRV_PCI_CAPS = 0x34,
};

#define DRV_PCI_COMMAND_IO	1u
#define DRV_PCI_COMMAND_MEMORY	2u
#define DRV_PCI_COMMAND_MASTER	4u
#define DRV_PCI_COMMAND_NO_INTX (1u << 10)

#define DRV_PCI_CAP_VENDOR 0x09
#define DRV_PCI_CAP_MSIX   0x11

/* Types of virtio's capabilities (4.1.4). */
enum {
	DRV_PCI_CFG_COMMON = 1,
	DRV_PCI_CFG_NOTIFY = 2,
	DRV_PCI_CFG_ISR = 3,
	DRV_PCI_CFG_DEVICE = 4,
	DRV_PCI_CFG_PCI = 5,
};

/* Offsets in the common configuration (4.1.4.3). */
enum {
	DRV_PCI_DEVICE_FEATURE_SELECT = 0,
	DRV_PCI_DEVICE_FEATURE = 4,
	DRV_PCI_DRIVER_FEATURE_SELECT = 8,
	DRV_PCI_DRIVER_FEATURE = 12,
	DRV_PCI_CONFIG_MSIX_VECTOR = 16,
	DRV_PCI_NUM_QUEUES = 18,
	DRV_PCI_DEVICE_STATUS = 20,
	DRV_PCI_CONFIG_GENERATION = 21,
	DRV_PCI_QUEUE_SELECT = 22,
	DRV_PCI_QUEUE_SIZE = 24,
	DRV_PCI_QUEUE_MSIX_VECTOR = 26,
	DRV_PCI_QUEUE_ENABLE = 28,
	DRV_PCI_QUEUE_NOTIFY_OFF = 30,
	DRV_PCI_QUEUE_DESC = 32,
	DRV_PCI_QUEUE_DRIVER = 40,
	DRV_PCI_QUEUE_DEVICE = 48,
	DRV_PCI_QUEUE_NOTIF_CONFIG_DATA = 56,
	DRV_PCI_QUEUE_RESET = 58,
};

/* Access to configuration space. `bdf` is bus << 8 | device << 3 | function, `width` 1, 2 or 4,
 * `offset` a multiple of it. Registers that nobody answers for read as ones. */
struct drv_pci_host {
	uint32_t (*read)(void *ctx, uint16_t bdf, uint16_t offset, unsigned width);
	void (*write)(void *ctx, uint16_t bdf, uint16_t offset, unsigned width, uint32_t value);
	void *ctx;
	uint8_t first_bus, last_bus;
	/* Bus addresses for BARs that have none, below 4 GiB; moves on while it is used up. Empty:
	 * BARs stay as firmware left them. */
	uint64_t window, window_end;
	uint64_t cpu_offset; /* address for the processor minus address on the bus */
};

/* A virtio function. */
struct drv_pci_function {
	uint16_t bdf, id; /* id: device ID (5) */
};

/* A message-signalled interrupt, as the interrupt controller wants it. */
struct drv_pci_msi {
	uint64_t addr;
	uint32_t data;
};

struct drv_pci_bar {
	uint64_t addr, len; /* on the bus; len 0: none, or in I/O space */
};

struct drv_pci {
	struct drv_dev dev; /* what the classes want */
	const struct drv_pci_host *host;
	uint16_t bdf;
	struct drv_pci_bar bars[6];
	/* Registers, as addresses for the processor; 0: none. */
	struct drv_regs regs; /* common and device-specific configuration */
	uintptr_t notify, isr, msix_table, msix_pba;
	uint32_t notify_len, notify_multiplier;
	uint8_t cfg_cap, msix_cap; /* in configuration space; 0: none */
	uint16_t msix_vectors;	   /* of the device; regs.irq.nvectors is how many are in use */
	bool msix;		   /* in use */
	struct {
		uintptr_t at; /* notification address; 0: not looked up yet */
		uint16_t data;
	} queues[DRV_PCI_QUEUES];
};

/* Makes a host of a memory-mapped configuration space (ECAM); `base` belongs to `first_bus`. No
 * window, no offset. */
void drv_pci_ecam(struct drv_pci_host *h, uintptr_t base, uint8_t first_bus, uint8_t last_bus);
/* Looks for virtio functions on all buses. Bridges without bus numbers, and BARs of virtio
 * functions without addresses, get some. Returns how many were found, of which at most `max` are
 * stored. */
unsigned drv_pci_scan(struct drv_pci_host *h, struct drv_pci_function *found, unsigned max);
/* What register i of a function's BARs says; returns how many registers it takes. Decoding must be
 * off meanwhile. */
unsigned drv_pci_bar(
	const struct drv_pci_host *h, uint16_t bdf, unsigned i, struct drv_pci_bar *bar);
/* Prepares a function, to poll; `mem` is for rings and requests. DRV_GONE: no virtio function,
 * DRV_UNSUPPORTED: not a modern one, or its registers cannot be reached. */
int drv_pci_open(struct drv_pci *p, const struct drv_platform *platform,
	const struct drv_pci_host *host, uint16_t bdf, void *mem, size_t len);

/* MSI-X with messages for vectors 0 (configuration), 1 (queue 0) and so on; what has none of its
 * own gets the last. The platform calls drv_pci_message() when one arrives. Before drv_begin(). */
int drv_pci_use_msix(struct drv_pci *p, const struct drv_pci_msi *msi, unsigned n);
/* INTx: the platform calls drv_pci_interrupt() from the handler of the line. Before drv_begin(). */
void drv_pci_use_intx(struct drv_pci *p);
/* For the handlers. The second is false if it was not this device. */
void drv_pci_message(struct drv_pci *p, uint16_t vector);
bool drv_pci_interrupt(struct drv_pci *p);

/* Configuration space of the function. */
uint32_t drv_pci_read(const struct drv_pci *p, uint16_t offset, unsigned width);
void drv_pci_write(const struct drv_pci *p, uint16_t offset, unsigned width, uint32_t v);
/* The next capability `id` behind the one at `after` (0: the first one); 0: there is none. */
uint8_t drv_pci_cap(const struct drv_pci *p, uint8_t id, uint8_t after);
/* Where queue q is notified; 0 if the device says nothing valid. */
uintptr_t drv_pci_notify_addr(struct drv_pci *p, uint16_t q);
