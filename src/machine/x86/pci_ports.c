/* SPDX-License-Identifier: BSD-3-Clause */
/* The address port, the data port, and the reset register between them. */
#include "machine/x86/pci_ports.h"

#include <string.h>

#include "machine/x86/layout.h"

#define PORT_DATA      4u /* from 0xcf8 */
#define PORT_RESET     1u
#define PORTS_LEN      8u
#define ADDRESS_ENABLE 0x80000000u

/* Where the data port leads now; false: nowhere. */
static bool selected(struct pci_ports *p, unsigned *devfn, unsigned *offset)
{
	uint32_t address;

	pthread_mutex_lock(&p->lock);
	address = p->address;
	pthread_mutex_unlock(&p->lock);
	*devfn = (address >> 8) & 0xff;
	*offset = address & 0xfc;
	return (address & ADDRESS_ENABLE) && !(address & 0x00ff0000);
}

static void ports_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pci_ports *p = arg;
	unsigned devfn, reg;

	memset(data, 0xff, len);
	if (offset == PORT_RESET && len == 1) {
		p->reset->read(p->reset->arg, 0, data, len);
	} else if (offset == 0 && len == 4) {
		pthread_mutex_lock(&p->lock);
		memcpy(data, &p->address, len);
		pthread_mutex_unlock(&p->lock);
	} else if (offset >= PORT_DATA && selected(p, &devfn, &reg)) {
		pci_host_read(p->host, devfn, reg + (unsigned)offset - PORT_DATA, data, len);
	}
}

static void ports_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pci_ports *p = arg;
	unsigned devfn, reg;

	if (offset == PORT_RESET && len == 1) {
		p->reset->write(p->reset->arg, 0, data, len);
	} else if (offset == 0 && len == 4) {
		pthread_mutex_lock(&p->lock);
		memcpy(&p->address, data, len);
		pthread_mutex_unlock(&p->lock);
	} else if (offset >= PORT_DATA && selected(p, &devfn, &reg)) {
		pci_host_write(p->host, devfn, reg + (unsigned)offset - PORT_DATA, data, len);
	}
}

int pci_ports_init(struct pci_ports *p, struct vmm *vmm, struct pci_host *host,
	const struct bus_range *reset, struct err *e)
{
	*p = (struct pci_ports){
		.vmm = vmm,
		.host = host,
		.reset = reset,
		.range = { .len = PORTS_LEN,
			.name = "PCI ports",
			.read = ports_read,
			.write = ports_write,
			.arg = p },
	};
	pthread_mutex_init(&p->lock, NULL);
	return bus_add(&vmm->pio, &p->range, BOARD_PORT_PCI, e);
}

void pci_ports_finish(struct pci_ports *p)
{
	if (!p->vmm)
		return;
	bus_del(&p->vmm->pio, &p->range);
	pthread_mutex_destroy(&p->lock);
	p->vmm = NULL;
}
