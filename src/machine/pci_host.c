/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration accesses: which function, and are they well formed. */
#include "machine/pci_host.h"

#include <string.h>

#define PORT_DATA      4u /* from 0xcf8 */
#define PORT_RESET     1u
#define PORTS_LEN      8u
#define ADDRESS_ENABLE 0x80000000u

/* A PCI Express host bridge with nothing to configure. */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.class_code = 0x060000,
};

static void bridge_read(void *arg, unsigned offset, void *data, unsigned len)
{
	struct pci_host *h = arg;

	pthread_mutex_lock(&h->lock);
	pci_func_read(&h->bridge, offset, data, len);
	pthread_mutex_unlock(&h->lock);
}

static void bridge_write(void *arg, unsigned offset, const void *data, unsigned len)
{
	struct pci_host *h = arg;

	pthread_mutex_lock(&h->lock);
	pci_func_write(&h->bridge, offset, data, len);
	pthread_mutex_unlock(&h->lock);
}

/* The function that an address of bus 0 means, if the access is one that it can take. */
static const struct pci_slot *function(
	const struct pci_host *h, unsigned devfn, unsigned offset, unsigned len)
{
	const struct pci_slot *s = &h->slots[devfn >> 3];

	if ((devfn & 7) || !s->config_read)
		return NULL;
	if ((len != 1 && len != 2 && len != 4) || offset % len || offset + len > PCI_CONFIG_LEN)
		return NULL;
	return s;
}

static void config_read(
	struct pci_host *h, unsigned devfn, unsigned offset, void *data, unsigned len)
{
	const struct pci_slot *s = function(h, devfn, offset, len);

	if (s)
		s->config_read(s->arg, offset, data, len);
	else
		memset(data, 0xff, len);
}

static void config_write(
	struct pci_host *h, unsigned devfn, unsigned offset, const void *data, unsigned len)
{
	const struct pci_slot *s = function(h, devfn, offset, len);

	if (s)
		s->config_write(s->arg, offset, data, len);
}

static void ecam_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	config_read(arg, (offset >> 12) & 0xff, offset & 0xfff, data, len);
}

static void ecam_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	config_write(arg, (offset >> 12) & 0xff, offset & 0xfff, data, len);
}

/* Where the data port leads now; false: nowhere. */
static bool selected(struct pci_host *h, unsigned *devfn, unsigned *offset)
{
	uint32_t address;

	pthread_mutex_lock(&h->lock);
	address = h->address;
	pthread_mutex_unlock(&h->lock);
	*devfn = (address >> 8) & 0xff;
	*offset = address & 0xfc;
	return (address & ADDRESS_ENABLE) && !(address & 0x00ff0000);
}

static void ports_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pci_host *h = arg;
	unsigned devfn, reg;

	memset(data, 0xff, len);
	if (offset == PORT_RESET && len == 1) {
		h->reset->read(h->reset->arg, 0, data, len);
	} else if (offset == 0 && len == 4) {
		pthread_mutex_lock(&h->lock);
		memcpy(data, &h->address, len);
		pthread_mutex_unlock(&h->lock);
	} else if (offset >= PORT_DATA && selected(h, &devfn, &reg)) {
		config_read(h, devfn, reg + (unsigned)offset - PORT_DATA, data, len);
	}
}

static void ports_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pci_host *h = arg;
	unsigned devfn, reg;

	if (offset == PORT_RESET && len == 1) {
		h->reset->write(h->reset->arg, 0, data, len);
	} else if (offset == 0 && len == 4) {
		pthread_mutex_lock(&h->lock);
		memcpy(&h->address, data, len);
		pthread_mutex_unlock(&h->lock);
	} else if (offset >= PORT_DATA && selected(h, &devfn, &reg)) {
		config_write(h, devfn, reg + (unsigned)offset - PORT_DATA, data, len);
	}
}

int pci_host_init(struct pci_host *h, struct vmm *vmm, const struct bus_range *reset, struct err *e)
{
	int rc;

	*h = (struct pci_host){
		.vmm = vmm,
		.reset = reset,
		.ports = { .len = PORTS_LEN,
			.name = "PCI ports",
			.read = ports_read,
			.write = ports_write,
			.arg = h },
		.ecam = { .len = BOARD_ECAM_SIZE,
			.name = "PCI ECAM",
			.read = ecam_read,
			.write = ecam_write,
			.arg = h },
	};
	pthread_mutex_init(&h->lock, NULL);
	pci_func_init(&h->bridge, vmm, &bridge_ids);
	h->slots[0] = (struct pci_slot){ bridge_read, bridge_write, h };
	rc = bus_add(&vmm->pio, &h->ports, BOARD_PORT_PCI, e);
	return rc ? rc : bus_add(&vmm->mmio, &h->ecam, BOARD_ECAM, e);
}

void pci_host_finish(struct pci_host *h)
{
	if (!h->vmm)
		return;
	bus_del(&h->vmm->pio, &h->ports);
	bus_del(&h->vmm->mmio, &h->ecam);
	pci_func_finish(&h->bridge);
	pthread_mutex_destroy(&h->lock);
	h->vmm = NULL;
}

void pci_host_set(struct pci_host *h, unsigned slot, const struct pci_slot *s)
{
	h->slots[slot] = *s;
}
