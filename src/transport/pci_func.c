/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space as bytes with a mask of what the guest may change. */
#include "transport/pci_func.h"

#include <string.h>

#include "base/util.h"

#define CAPS_START 0x40u

static uint32_t get32(const struct pci_func *f, unsigned offset)
{
	uint32_t v;

	memcpy(&v, f->config + offset, sizeof(v));
	return v;
}

uint16_t pci_func_get16(const struct pci_func *f, unsigned offset)
{
	uint16_t v;

	memcpy(&v, f->config + offset, sizeof(v));
	return v;
}

void pci_func_set16(struct pci_func *f, unsigned offset, uint16_t v)
{
	memcpy(f->config + offset, &v, sizeof(v));
}

void pci_func_init(struct pci_func *f, struct vmm *vmm, const struct pci_ids *ids)
{
	*f = (struct pci_func){ .vmm = vmm, .caps_end = CAPS_START };
	pci_func_set16(f, PCI_VENDOR, ids->vendor);
	pci_func_set16(f, PCI_DEVICE, ids->device);
	pci_func_set16(f, PCI_SUBSYS_VENDOR, ids->subsys_vendor);
	pci_func_set16(f, PCI_SUBSYS_DEVICE, ids->subsys_device);
	f->config[PCI_REVISION] = ids->revision;
	for (unsigned i = 0; i < 3; i++)
		f->config[PCI_CLASS + i] = (uint8_t)(ids->class_code >> (8 * i));
	pci_func_allow(f, PCI_INT_LINE, 1);
}

void pci_func_set_bar(struct pci_func *f, uint32_t size)
{
	uint32_t mask = ~(size - 1);
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX;

	f->bar.len = size;
	memcpy(f->writable + PCI_BAR0, &mask, sizeof(mask));
	memcpy(f->writable + PCI_COMMAND, &command, sizeof(command));
}

void pci_func_place(struct pci_func *f, const struct pci_place *at)
{
	f->requester = at->requester;
	memcpy(f->config + PCI_BAR0, &at->bar, sizeof(at->bar));
	f->config[PCI_INT_PIN] = at->pin;
	f->config[PCI_INT_LINE] = (uint8_t)at->gsi;
}

unsigned pci_func_add_cap(struct pci_func *f, const void *cap, uint8_t len)
{
	unsigned at = f->caps_end;

	if (!range_in(at, len, PCI_CONFIG_LEN))
		return 0;
	memcpy(f->config + at, cap, len);
	f->config[at + 1] = 0;
	f->config[f->last_cap ? f->last_cap + 1u : PCI_CAP_POINTER] = (uint8_t)at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->last_cap = (uint8_t)at;
	f->caps_end = (uint8_t)min_u64(align_up(at + len, 4), 0xfc);
	return at;
}

void pci_func_allow(struct pci_func *f, unsigned offset, unsigned len)
{
	memset(f->writable + offset, 0xff, len);
}

void pci_func_read(const struct pci_func *f, unsigned offset, void *data, unsigned len)
{
	memcpy(data, f->config + offset, len);
}

static void unmap_bar(struct pci_func *f)
{
	if (!f->bar_at)
		return;
	if (f->mapped)
		f->mapped(f->owner, false);
	bus_del(&f->vmm->mmio, &f->bar);
	f->bar_at = 0;
}

static void update_bar(struct pci_func *f)
{
	uint32_t addr = get32(f, PCI_BAR0) & ~0xfu;
	struct err e = { 0 };

	if (!(pci_func_get16(f, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		addr = 0;
	if (!f->bar.len || addr == f->bar_at)
		return;
	unmap_bar(f);
	if (!addr)
		return;
	if (bus_add(&f->vmm->mmio, &f->bar, addr, &e)) {
		log_debug(f->vmm->log, "%s", e.msg);
		return;
	}
	f->bar_at = addr;
	if (f->mapped)
		f->mapped(f->owner, true);
}

void pci_func_write(struct pci_func *f, unsigned offset, const void *data, unsigned len)
{
	const uint8_t *bytes = data;

	for (unsigned i = 0; i < len; i++) {
		uint8_t mask = f->writable[offset + i];
		uint8_t *reg = &f->config[offset + i];

		*reg = (uint8_t)((*reg & ~mask) | (bytes[i] & mask));
	}
	update_bar(f);
}

void pci_func_finish(struct pci_func *f)
{
	if (!f->vmm)
		return;
	unmap_bar(f);
	f->vmm = NULL;
}
