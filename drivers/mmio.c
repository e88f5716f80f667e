/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio (VIRTIO 1.4, 4.2). See mmio.h. */
#include "mmio.h"

#define MAGIC	   0x74726976u
#define CONFIG_MAX 0xf00u /* what is left of a page */

static const struct drv_reg_map map = {
	.offered_sel = { DRV_MMIO_DEVICE_FEATURES_SEL, 4 },
	.offered = { DRV_MMIO_DEVICE_FEATURES, 4 },
	.accepted_sel = { DRV_MMIO_DRIVER_FEATURES_SEL, 4 },
	.accepted = { DRV_MMIO_DRIVER_FEATURES, 4 },
	.status = { DRV_MMIO_STATUS, 4 },
	.generation = { DRV_MMIO_CONFIG_GENERATION, 4 },
	.queue_sel = { DRV_MMIO_QUEUE_SEL, 4 },
	.queue_max = { DRV_MMIO_QUEUE_SIZE_MAX, 4 },
	.queue_size = { DRV_MMIO_QUEUE_SIZE, 4 },
	.queue_ready = { DRV_MMIO_QUEUE_READY, 4 },
	.queue_reset = { DRV_MMIO_QUEUE_RESET, 4 },
	.queue_desc = DRV_MMIO_QUEUE_DESC,
	.queue_driver = DRV_MMIO_QUEUE_DRIVER,
	.queue_device = DRV_MMIO_QUEUE_DEVICE,
};

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	uint32_t v = drv_has(dev, VIRTIO_F_NOTIFICATION_DATA) ? q | next << 16 : q;

	drv_io_write(dev->regs->base + DRV_MMIO_QUEUE_NOTIFY, 4, v);
	return 0;
}

int drv_mmio_open(struct drv_mmio *m, const struct drv_platform *platform, uintptr_t base,
	void *mem, size_t len)
{
	uint32_t id;

	*m = (struct drv_mmio){ .regs = { .map = &map, .base = base, .ops = drv_regs_ops } };
	m->regs.len = DRV_MMIO_CONFIG;
	m->regs.config = base + DRV_MMIO_CONFIG;
	m->regs.config_len = CONFIG_MAX;
	m->regs.ops.name = "mmio";
	m->regs.ops.notify = notify;
	m->dev = (struct drv_dev){
		.ops = &m->regs.ops,
		.regs = &m->regs,
		.platform = platform,
		.mem = mem,
		.mem_len = len,
	};
	if (drv_mmio_read(m, DRV_MMIO_MAGIC) != MAGIC)
		return DRV_GONE;
	if (drv_mmio_read(m, DRV_MMIO_VERSION) != 2) {
		drv_log(platform, "mmio: a legacy device; only version 2 is supported");
		return DRV_UNSUPPORTED;
	}
	id = drv_mmio_read(m, DRV_MMIO_DEVICE_ID);
	m->dev.id = (uint16_t)id;
	return id && id <= UINT16_MAX ? 0 : DRV_GONE;
}

void drv_mmio_use_interrupts(struct drv_mmio *m)
{
	drv_regs_use_irq(&m->regs, 2);
}

bool drv_mmio_interrupt(struct drv_mmio *m)
{
	uint32_t v = drv_mmio_read(m, DRV_MMIO_INTERRUPT_STATUS) & 3;

	if (v)
		drv_mmio_write(m, DRV_MMIO_INTERRUPT_ACK, v);
	drv_irq_status(&m->regs.irq, v);
	return v;
}
