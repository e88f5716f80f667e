/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI PM1 event and control registers, the reset register at 0xcf9, and the i8042's reset line. */
#include "machine/x86/pm.h"

#include <string.h>

#include "machine/x86/layout.h"

#define PM1_STATUS  0 /* 16 bits */
#define PM1_ENABLE  2
#define PM1_CONTROL 4
#define PM1_LEN	    6

#define STATUS_BUTTON (1u << 8)
#define STATUS_SLEEP  (1u << 9) /* the sleep button */
#define STATUS_WAKE   (1u << 15)
#define STATUS_SCI    (STATUS_BUTTON | STATUS_SLEEP)

#define CONTROL_SCI	(1u << 0)
#define CONTROL_TYPE(c) (((c) >> 10) & 7)
#define CONTROL_ENABLE	(1u << 13)

#define RESET_HARD	  0x04u
#define I8042_PULSE_RESET 0xfeu
#define I8042_COMMAND	  4u

static void update_line(struct pm *pm)
{
	bool level = pm->status & pm->enable & STATUS_SCI;

	if (level == pm->line)
		return;
	pm->line = level;
	pm->vmm->ops->irq_line(pm->vmm, BOARD_IRQ_SCI, level);
}

static void pm1_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pm *pm = arg;
	uint8_t regs[PM1_LEN];

	pthread_mutex_lock(&pm->lock);
	memcpy(regs + PM1_STATUS, &pm->status, 2);
	memcpy(regs + PM1_ENABLE, &pm->enable, 2);
	memcpy(regs + PM1_CONTROL, &pm->control, 2);
	pthread_mutex_unlock(&pm->lock);
	memcpy(data, regs + offset, len);
}

/* Bytes of `old` replaced by what an access at `offset` writes; register bytes that it does not
 * touch come from `keep`. */
static uint16_t merge(unsigned reg, uint64_t offset, const void *data, unsigned len, uint16_t keep)
{
	uint8_t bytes[2] = { keep & 0xff, keep >> 8 };

	for (unsigned i = 0; i < len; i++)
		if (offset + i >= reg && offset + i < reg + 2)
			bytes[offset + i - reg] = ((const uint8_t *)data)[i];
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static void pm1_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pm *pm = arg;
	uint16_t control;

	pthread_mutex_lock(&pm->lock);
	/* Status bits are cleared by writing ones. */
	pm->status &= (uint16_t)~merge(PM1_STATUS, offset, data, len, 0);
	pm->enable = merge(PM1_ENABLE, offset, data, len, pm->enable);
	control = merge(PM1_CONTROL, offset, data, len, pm->control);
	/* There is no legacy mode to go back to, and the sleep bit reads as zero. */
	pm->control = (uint16_t)((control | CONTROL_SCI) & ~CONTROL_ENABLE);
	update_line(pm);
	pthread_mutex_unlock(&pm->lock);

	if (!(control & CONTROL_ENABLE))
		return;
	if (CONTROL_TYPE(control) == PM_SLEEP_OFF)
		pm->event(pm->arg, MACHINE_POWER_OFF);
	else if (CONTROL_TYPE(control) == PM_SLEEP_RAM)
		pm->event(pm->arg, MACHINE_SUSPEND);
}

static void zero_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	memset(data, 0, len);
}

static void reset_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pm *pm = arg;

	if (((const uint8_t *)data)[0] & RESET_HARD)
		pm->event(pm->arg, MACHINE_RESET);
}

static void i8042_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pm *pm = arg;

	if (offset == I8042_COMMAND && ((const uint8_t *)data)[0] == I8042_PULSE_RESET)
		pm->event(pm->arg, MACHINE_RESET);
}

int pm_init(struct pm *pm, struct vmm *vmm, machine_event_fn *event, void *arg, struct err *e)
{
	int rc;

	*pm = (struct pm){
		.vmm = vmm,
		.event = event,
		.arg = arg,
		.control = CONTROL_SCI,
		.pm1 = { .len = PM1_LEN,
			.name = "PM1",
			.read = pm1_read,
			.write = pm1_write,
			.arg = pm },
		.reset = { .len = 1,
			.name = "reset register",
			.read = zero_read,
			.write = reset_write,
			.arg = pm },
		.i8042 = { .len = 5,
			.name = "i8042",
			.read = zero_read,
			.write = i8042_write,
			.arg = pm },
	};
	pthread_mutex_init(&pm->lock, NULL);
	rc = bus_add(&vmm->pio, &pm->pm1, BOARD_PORT_PM1, e);
	if (!rc)
		rc = bus_add(&vmm->pio, &pm->i8042, BOARD_PORT_I8042, e);
	return rc;
}

void pm_finish(struct pm *pm)
{
	if (!pm->vmm)
		return;
	bus_del(&pm->vmm->pio, &pm->pm1);
	bus_del(&pm->vmm->pio, &pm->i8042);
	pthread_mutex_destroy(&pm->lock);
	pm->vmm = NULL;
}

/* Sets a bit of the status register; true if the guest has it enabled. */
static bool raise(struct pm *pm, uint16_t bit)
{
	bool enabled;

	pthread_mutex_lock(&pm->lock);
	pm->status |= bit;
	enabled = pm->enable & bit;
	update_line(pm);
	pthread_mutex_unlock(&pm->lock);
	return enabled;
}

bool pm_power_button(struct pm *pm)
{
	return raise(pm, STATUS_BUTTON);
}

bool pm_sleep_button(struct pm *pm)
{
	return raise(pm, STATUS_SLEEP);
}

void pm_wake(struct pm *pm)
{
	raise(pm, STATUS_WAKE);
}
