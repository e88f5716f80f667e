/* SPDX-License-Identifier: BSD-3-Clause */
/* What all boards have: PCI and virtio-mmio slots. */
#include "machine/board.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

/* INTA# of slot n is line n mod 4, as a PC's boards are wired. */
#define PCI_LINES 4u

int board_init(struct board *b, struct vmm *vmm, machine_event_fn *event, void *arg, struct err *e)
{
	int rc;

	*b = (struct board){ .vmm = vmm };
	rc = pci_host_init(&b->pci, vmm, board_places.ecam, board_places.ecam_len, e);
	return rc ? rc : board_own_init(b, event, arg, e);
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
	board_own_finish(b);
	pci_host_finish(&b->pci);
}

int board_add_pci(
	struct board *b, struct vbackend *be, const char *name, uint32_t pci_class, struct err *e)
{
	autofree struct virtio_pci *p = calloc(1, sizeof(*p));
	unsigned slot = b->npci + 1;
	struct pci_place place = {
		.requester = (uint16_t)(slot << 3),
		.bar = board_places.pci_window + slot * VIRTIO_PCI_BAR_LEN,
		.gsi = board_places.pci_irq + slot % PCI_LINES,
	};
	struct pci_slot s;
	int rc;

	if (slot >= PCI_HOST_SLOTS)
		return err_set(
			e, -ENOSPC, "%s: all %u PCI slots are taken", name, PCI_HOST_SLOTS - 1);
	if (!p)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	rc = virtio_pci_init(p, b->vmm, be, name, pci_class, &place, e);
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

	if (slot >= BOARD_MMIO_MAX)
		return err_set(
			e, -ENOSPC, "%s: all %u virtio-mmio slots are taken", name, BOARD_MMIO_MAX);
	if (!m)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	rc = virtio_mmio_init(m, b->vmm, be, name,
		board_places.mmio + slot * (uint64_t)board_places.mmio_stride,
		board_places.mmio_irq + slot % board_places.mmio_nirqs, e);
	if (!rc)
		b->mmio_devs[b->nmmio++] = steal_ptr(&m);
	return rc;
}
