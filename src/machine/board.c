/* SPDX-License-Identifier: BSD-3-Clause */
/* The board put together. */
#include "machine/board.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "machine/acpi.h"
#include "machine/layout.h"

int board_init(struct board *b, struct vmm *vmm, void (*event)(void *arg, enum pm_event what),
	void *arg, struct err *e)
{
	int rc;

	*b = (struct board){ .vmm = vmm };
	rc = pm_init(&b->pm, vmm, event, arg, e);
	return rc ? rc : pci_host_init(&b->pci, vmm, &b->pm.reset, e);
}

void board_finish(struct board *b)
{
	for (unsigned i = 0; i < b->npci; i++) {
		virtio_pci_finish(b->pci_devs[i]);
		free(b->pci_devs[i]);
	}
	for (unsigned i = 0; i < b->nmmio; i++) {
		virtio_mmio_finish(b->mmio_devs[i]);
		free(b->mmio_devs[i]);
	}
	b->npci = b->nmmio = 0;
	serial_finish(&b->serial);
	pci_host_finish(&b->pci);
	pm_finish(&b->pm);
}

int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e)
{
	int rc = serial_init(&b->serial, b->vmm, BOARD_PORT_COM1, BOARD_IRQ_COM1, in_fd, out_fd, e);

	b->has_serial = !rc;
	return rc;
}

int board_add_pci(
	struct board *b, struct vbackend *be, const char *name, uint32_t pci_class, struct err *e)
{
	autofree struct virtio_pci *p = calloc(1, sizeof(*p));
	unsigned slot = b->npci + 1;
	struct pci_slot s;
	int rc;

	if (slot >= BOARD_PCI_SLOTS)
		return err_set(
			e, -ENOSPC, "%s: all %u PCI slots are taken", name, BOARD_PCI_SLOTS - 1);
	if (!p)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	rc = virtio_pci_init(p, b->vmm, be, name, pci_class,
		BOARD_PCI_WINDOW + slot * VIRTIO_PCI_BAR_LEN,
		BOARD_IRQ_PCI + slot % BOARD_IRQ_SHARE, e);
	if (rc)
		return rc;
	s = virtio_pci_slot(p);
	pci_host_set(&b->pci, slot, &s);
	b->pci_devs[b->npci++] = steal_ptr(&p);
	return 0;
}

int board_add_mmio(struct board *b, struct vbackend *be, const char *name, struct err *e)
{
	autofree struct virtio_mmio *m = calloc(1, sizeof(*m));
	unsigned slot = b->nmmio;
	int rc;

	if (slot >= BOARD_VIRTIO_SLOTS)
		return err_set(e, -ENOSPC, "%s: all %u virtio-mmio slots are taken", name,
			BOARD_VIRTIO_SLOTS);
	if (!m)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	rc = virtio_mmio_init(m, b->vmm, be, name, BOARD_VIRTIO_MMIO + slot * BOARD_VIRTIO_STRIDE,
		BOARD_IRQ_VIRTIO + slot % BOARD_IRQ_SHARE, e);
	if (!rc)
		b->mmio_devs[b->nmmio++] = steal_ptr(&m);
	return rc;
}

int board_load(struct board *b, struct err *e)
{
	b->boot.gm = &b->vmm->gm;
	b->boot.rsdp = BOARD_ACPI;
	return boot_load(&b->boot, e);
}

int board_describe(struct board *b, unsigned ncpus, struct err *e)
{
	struct acpi_board a = { .ncpus = ncpus, .com1 = b->has_serial, .nvirtio = b->nmmio };
	uint8_t *tables = gm_ptr(&b->vmm->gm, BOARD_ACPI, BOARD_ACPI_SIZE);

	if (!tables)
		return err_set(e, -ENOSPC, "no RAM for the ACPI tables at 0x%x", BOARD_ACPI);
	return acpi_build(&a, tables, BOARD_ACPI_SIZE, BOARD_ACPI, e);
}
