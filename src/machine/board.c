/* SPDX-License-Identifier: BSD-3-Clause */
/* What all boards have: PCI and virtio-mmio slots. */
#include "machine/board.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

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
	int rc;

	if (b->npci == ARRAY_LEN(b->pci_devs))
		return err_set(e, -ENOSPC, "%s: all %zu PCI functions are taken", name,
			ARRAY_LEN(b->pci_devs));
	if (!p)
		return err_set(e, -ENOMEM, "%s: no memory", name);
	rc = virtio_pci_init(p, b->vmm, be, name, pci_class, e);
	if (!rc)
		b->pci_devs[b->npci++] = steal_ptr(&p);
	return rc;
}

void board_place(struct board *b)
{
	for (unsigned i = 0; i < b->npci; i++) {
		unsigned devfn = pci_host_devfn(i, b->npci);
		uint8_t pin = pci_host_pin(devfn);
		struct pci_place at = {
			.requester = (uint16_t)devfn,
			.bar = board_places.pci_window + devfn * VIRTIO_PCI_BAR_LEN,
			.gsi = board_places.pci_irq +
			       pci_host_line(devfn / PCI_HOST_FUNCTIONS, pin),
			.pin = pin,
		};
		struct pci_slot s = virtio_pci_slot(b->pci_devs[i]);

		virtio_pci_place(b->pci_devs[i], &at);
		pci_host_set(&b->pci, devfn, &s);
	}
}

void board_set_scmi(struct board *b, uint32_t protocols, uint32_t voltages)
{
	b->scmi_protocols = protocols;
	b->scmi_voltages = voltages;
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
