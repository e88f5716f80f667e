/* SPDX-License-Identifier: BSD-3-Clause */
/* The x86-64 board: COM1, power, PCI ports, ACPI. */
#include "machine/board.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "machine/i6300esb.h"
#include "machine/x86/acpi.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"
#include "machine/x86/pci_ports.h"
#include "machine/x86/pm.h"
#include "machine/x86/serial.h"

struct board_own {
	struct pm pm;
	struct pci_ports ports;
	struct serial serial;
	struct i6300esb watchdog;
	bool has_serial, has_watchdog;
};

const struct board_places board_places = {
	.ecam = BOARD_ECAM,
	.ecam_len = BOARD_ECAM_SIZE,
	.pci_window = BOARD_PCI_WINDOW,
	.pci_irq = BOARD_IRQ_PCI,
	.mmio = BOARD_VIRTIO_MMIO,
	.mmio_stride = BOARD_VIRTIO_STRIDE,
	.mmio_irq = BOARD_IRQ_VIRTIO,
	.mmio_nirqs = BOARD_IRQ_SHARE,
};

int board_ram(uint64_t size, struct board_ram ram[BOARD_RAM_MAX], struct err *e)
{
	uint64_t low = min_u64(size, BOARD_LOW_RAM_END);

	ram[0] = (struct board_ram){ 0, low };
	if (size == low)
		return 1;
	ram[1] = (struct board_ram){ BOARD_HIGH_RAM, size - low };
	return 2;
}

int board_own_init(struct board *b, machine_event_fn *event, void *arg, struct err *e)
{
	struct board_own *own = calloc(1, sizeof(*own));
	int rc;

	if (!own)
		return err_set(e, -ENOMEM, "no memory for the board");
	b->own = own;
	rc = pm_init(&own->pm, b->vmm, event, arg, e);
	return rc ? rc : pci_ports_init(&own->ports, b->vmm, &b->pci, &own->pm.reset, e);
}

void board_own_finish(struct board *b)
{
	if (!b->own)
		return;
	i6300esb_finish(&b->own->watchdog);
	serial_finish(&b->own->serial);
	pci_ports_finish(&b->own->ports);
	pm_finish(&b->own->pm);
	free(b->own);
	b->own = NULL;
}

int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e)
{
	int rc = serial_init(
		&b->own->serial, b->vmm, BOARD_PORT_COM1, BOARD_IRQ_COM1, in_fd, out_fd, e);

	b->own->has_serial = !rc;
	return rc;
}

int board_add_watchdog(struct board *b, machine_event_fn *event, void *arg, struct err *e)
{
	const unsigned devfn = PCI_HOST_BOARD_SLOT * PCI_HOST_FUNCTIONS;
	const uint8_t pin = pci_host_pin(devfn);
	const struct pci_place at = {
		.requester = (uint16_t)devfn,
		.bar = board_places.pci_window + devfn * VIRTIO_PCI_BAR_LEN,
		.gsi = board_places.pci_irq + pci_host_line(PCI_HOST_BOARD_SLOT, pin),
		.pin = pin,
	};
	struct pci_slot slot = i6300esb_slot(&b->own->watchdog);
	int rc = i6300esb_init(&b->own->watchdog, b->vmm, &at, event, arg, e);

	if (rc)
		return rc;
	b->own->has_watchdog = true;
	pci_host_set(&b->pci, devfn, &slot);
	return 0;
}

int board_load(struct board *b, struct err *e)
{
	b->boot.gm = &b->vmm->gm;
	b->boot.rsdp = BOARD_ACPI;
	if (b->boot.firmware)
		return err_set(e, -ENOTSUP, "%s: this board starts kernels, not firmware",
			b->boot.firmware);
	return boot_load_x86(&b->boot, e);
}

int board_describe(struct board *b, unsigned ncpus, struct err *e)
{
	struct acpi_board a = { .ncpus = ncpus, .com1 = b->own->has_serial, .nvirtio = b->nmmio };
	uint8_t *tables = gm_ptr(&b->vmm->gm, BOARD_ACPI, BOARD_ACPI_SIZE);

	if (!tables)
		return err_set(e, -ENOSPC, "no RAM for the ACPI tables at 0x%x", BOARD_ACPI);
	return acpi_build(&a, tables, BOARD_ACPI_SIZE, BOARD_ACPI, e);
}

void board_hold(struct board *b, bool hold)
{
	if (b->own->has_watchdog)
		i6300esb_hold(&b->own->watchdog, hold);
}

bool board_power_button(struct board *b)
{
	return pm_power_button(&b->own->pm);
}

bool board_sleep_button(struct board *b)
{
	return pm_sleep_button(&b->own->pm);
}

uint32_t board_wake(struct board *b)
{
	const uint8_t *tables = gm_ptr(&b->vmm->gm, BOARD_ACPI, BOARD_ACPI_SIZE);

	pm_wake(&b->own->pm);
	return tables ? acpi_waking_vector(tables) : 0;
}
