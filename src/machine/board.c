/* SPDX-License-Identifier: BSD-3-Clause */
/* The board put together. */
#include "machine/board.h"

#include "machine/layout.h"

int board_init(struct board *b, struct vmm *vmm, void (*event)(void *arg, enum pm_event what),
	void *arg, struct err *e)
{
	*b = (struct board){ .vmm = vmm };
	return pm_init(&b->pm, vmm, event, arg, e);
}

void board_finish(struct board *b)
{
	serial_finish(&b->serial);
	pm_finish(&b->pm);
}

int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e)
{
	int rc = serial_init(&b->serial, b->vmm, BOARD_PORT_COM1, BOARD_IRQ_COM1, in_fd, out_fd, e);

	b->has_serial = !rc;
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
	return 0;
}
