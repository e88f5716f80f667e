/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration accesses: which function, and are they well formed. */
#include "machine/pci_host.h"

#include <string.h>

#define HEADER_TYPE 0x0eu
#define MANY	    0x80u /* "multi-function" */

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
	const struct pci_slot *s = &h->functions[devfn];

	if (!s->config_read)
		return NULL;
	if ((len != 1 && len != 2 && len != 4) || offset % len || offset + len > PCI_CONFIG_LEN)
		return NULL;
	return s;
}

static bool has_many(const struct pci_host *h, unsigned devfn)
{
	const struct pci_slot *first = &h->functions[devfn - devfn % PCI_HOST_FUNCTIONS];

	for (unsigned i = 1; i < PCI_HOST_FUNCTIONS; i++)
		if (first[i].config_read)
			return true;
	return false;
}

void pci_host_read(struct pci_host *h, unsigned devfn, unsigned offset, void *data, unsigned len)
{
	const struct pci_slot *s = function(h, devfn, offset, len);

	if (!s) {
		memset(data, 0xff, len);
		return;
	}
	s->config_read(s->arg, offset, data, len);
	/* Only the host knows what else is in a slot. */
	if (HEADER_TYPE - offset < len && has_many(h, devfn))
		((uint8_t *)data)[HEADER_TYPE - offset] |= MANY;
}

void pci_host_write(
	struct pci_host *h, unsigned devfn, unsigned offset, const void *data, unsigned len)
{
	const struct pci_slot *s = function(h, devfn, offset, len);

	if (s)
		s->config_write(s->arg, offset, data, len);
}

/* Only bus 0 has anything on it. */
static bool on_bus0(uint64_t offset)
{
	return !(offset >> 20);
}

static void ecam_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	memset(data, 0xff, len);
	if (on_bus0(offset))
		pci_host_read(arg, (offset >> 12) & 0xff, offset & 0xfff, data, len);
}

static void ecam_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	if (on_bus0(offset))
		pci_host_write(arg, (offset >> 12) & 0xff, offset & 0xfff, data, len);
}

int pci_host_init(struct pci_host *h, struct vmm *vmm, uint64_t ecam, uint64_t len, struct err *e)
{
	*h = (struct pci_host){
		.vmm = vmm,
		.ecam = { .len = len,
			.name = "PCI ECAM",
			.read = ecam_read,
			.write = ecam_write,
			.arg = h },
	};
	pthread_mutex_init(&h->lock, NULL);
	pci_func_init(&h->bridge, vmm, &bridge_ids);
	h->functions[0] = (struct pci_slot){ bridge_read, bridge_write, h };
	return bus_add(&vmm->mmio, &h->ecam, ecam, e);
}

void pci_host_finish(struct pci_host *h)
{
	if (!h->vmm)
		return;
	bus_del(&h->vmm->mmio, &h->ecam);
	pci_func_finish(&h->bridge);
	pthread_mutex_destroy(&h->lock);
	h->vmm = NULL;
}

void pci_host_set(struct pci_host *h, unsigned devfn, const struct pci_slot *s)
{
	h->functions[devfn] = *s;
}

unsigned pci_host_devfn(unsigned i, unsigned n)
{
	unsigned each = n > PCI_HOST_DEVICES ? (n + PCI_HOST_DEVICES - 1) / PCI_HOST_DEVICES : 1;

	return (1 + i / each) * PCI_HOST_FUNCTIONS + i % each;
}

uint8_t pci_host_pin(unsigned devfn)
{
	return (uint8_t)(1 + devfn % PCI_HOST_FUNCTIONS % PCI_HOST_PINS);
}

unsigned pci_host_line(unsigned slot, uint8_t pin)
{
	return (slot + pin - 1) % PCI_HOST_PINS;
}
