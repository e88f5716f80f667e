/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine without a processor: one of our devices, on its thread, behind our own virtio-mmio or
 * virtio-pci; and a driver of drivers/ that runs in the test program. There is one at a time.
 */
#pragma once

#include "drivers/mmio.h"
#include "drivers/pci.h"
#include "machine/pci_host.h"
#include "monitor/fake.h"
#include "transport/mmio.h"
#include "transport/pci.h"
#include "virtio/device.h"

#define MACHINE_MMIO  0x10000u
#define MACHINE_ECAM  0xe0000000u
#define MACHINE_BAR   0xc0008000u
#define MACHINE_GSI   5u
#define MACHINE_SLOT  3u
#define MACHINE_RAM   0x40000000u /* where it is for the device */
#define MACHINE_LEN   0x400000u
#define MACHINE_RINGS 0x100000u		    /* of it for the driver, the rest is for buffers */
#define MACHINE_WAIT  UINT64_C(10000000000) /* ns */

enum machine_kind { MMIO_POLL, MMIO_IRQ, PCI_POLL, PCI_INTX, PCI_MSIX, MACHINE_KINDS };

struct machine {
	enum machine_kind kind;
	struct fake_vmm vmm;
	struct virtio_mmio mmio;
	struct virtio_pci pci;
	struct pci_host host;
	bool is_pci;
	uint8_t *ram;
	unsigned waits; /* calls of the platform's wait() */

	struct drv_platform platform;
	struct drv_mmio dm;
	struct drv_pci dp;
	struct drv_pci_host dh;
	struct drv_dev *dev; /* opened */
	uint64_t hide;	     /* features that the driver shall not see offered */
	int (*features)(struct drv_dev *dev, uint64_t *offered);
};

/* Starts a device of this class with keys ("image", path, ..., NULL) and opens its transport. NULL
 * after saying why. */
struct machine *machine_open(enum machine_kind kind, const struct vdev_class *cls, ...);
void machine_close(struct machine *m);
/* Hides features from the driver. */
void machine_hide(struct machine *m, uint64_t features);
/* Memory for buffers, which the device reaches. */
static inline uint8_t *machine_buf(struct machine *m)
{
	return m->ram + MACHINE_RINGS;
}
/* When the driver gives up. */
uint64_t machine_until(void);
