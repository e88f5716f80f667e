/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers of virtio-mmio and virtio-pci. See regs.h. */
#include "regs.h"

static uint32_t get(const struct drv_dev *dev, struct drv_reg r)
{
	return drv_io_read(dev->regs->base + r.at, r.width);
}

static void put(const struct drv_dev *dev, struct drv_reg r, uint32_t v)
{
	drv_io_write(dev->regs->base + r.at, r.width, v);
}

static void put64(const struct drv_dev *dev, uint16_t at, uint64_t v)
{
	drv_io_write(dev->regs->base + at, 4, (uint32_t)v);
	drv_io_write(dev->regs->base + at + 4, 4, (uint32_t)(v >> 32));
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	const struct drv_reg_map *map = dev->regs->map;

	put(dev, map->offered_sel, 0);
	*offered = get(dev, map->offered);
	put(dev, map->offered_sel, 1);
	*offered |= (uint64_t)get(dev, map->offered) << 32;
	return 0;
}

static int accept(struct drv_dev *dev, uint64_t v)
{
	const struct drv_reg_map *map = dev->regs->map;

	put(dev, map->accepted_sel, 0);
	put(dev, map->accepted, (uint32_t)v);
	put(dev, map->accepted_sel, 1);
	put(dev, map->accepted, (uint32_t)(v >> 32));
	return 0;
}

static int status(struct drv_dev *dev, uint8_t *v)
{
	*v = (uint8_t)get(dev, dev->regs->map->status);
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	put(dev, dev->regs->map->status, v);
	return 0;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct drv_regs *regs = dev->regs;

	if (offset > regs->config_len || len > regs->config_len - offset)
		return DRV_INVALID;
	drv_io_get(regs->config, offset, buf, len);
	return 0;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	const struct drv_regs *regs = dev->regs;

	if (offset > regs->config_len || len > regs->config_len - offset)
		return DRV_INVALID;
	drv_io_put(regs->config, offset, buf, len);
	return 0;
}

static int generation(struct drv_dev *dev, uint32_t *v)
{
	*v = get(dev, dev->regs->map->generation);
	return 0;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	uint32_t v;

	put(dev, dev->regs->map->queue_sel, q);
	v = get(dev, dev->regs->map->queue_max);
	*max = (uint16_t)(v < 32768 ? v : 32768);
	return 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	const struct drv_reg_map *map = dev->regs->map;

	put(dev, map->queue_sel, q);
	if (get(dev, map->queue_ready))
		return DRV_REFUSED; /* in use (4.2.3.2) */
	put(dev, map->queue_size, addr->size);
	put64(dev, map->queue_desc, addr->desc);
	put64(dev, map->queue_driver, addr->driver);
	put64(dev, map->queue_device, addr->device);
	put(dev, map->queue_ready, 1);
	return get(dev, map->queue_ready) == 1 ? 0 : DRV_REFUSED;
}

static int queue_reset(struct drv_dev *dev, uint16_t q, uint64_t until)
{
	const struct drv_reg_map *map = dev->regs->map;

	if (dev->regs->len < map->queue_reset.at + map->queue_reset.width)
		return DRV_UNSUPPORTED;
	put(dev, map->queue_sel, q);
	put(dev, map->queue_reset, 1);
	while (get(dev, map->queue_reset))
		if (drv_now(dev) > until)
			return DRV_TIMEOUT;
	return get(dev, map->queue_ready) ? DRV_REFUSED : 0;
}

const struct drv_ops drv_regs_ops = {
	.features = features,
	.accept = accept,
	.status = status,
	.set_status = set_status,
	.config_read = config_read,
	.config_write = config_write,
	.generation = generation,
	.queue_max = queue_max,
	.queue_start = queue_start,
	.queue_reset = queue_reset,
};

/* Interrupts. */

uint16_t drv_irq_vector(const struct drv_irq *irq, uint16_t q)
{
	uint32_t v = q == DRV_CONFIG ? 0 : q + 1u;

	return (uint16_t)(v < irq->nvectors ? v : irq->nvectors - 1u);
}

static int interrupts(struct drv_dev *dev, uint16_t q, uint32_t *count)
{
	struct drv_irq *irq = &dev->regs->irq;
	uint32_t slot = q == DRV_CONFIG ? 0 : q + 1u, now;

	if (slot >= DRV_IRQ_VECTORS)
		return DRV_UNSUPPORTED;
	now = irq->count[drv_irq_vector(irq, q)];
	*count = now - irq->seen[slot];
	irq->seen[slot] = now;
	return 0;
}

void drv_regs_use_irq(struct drv_regs *regs, uint16_t nvectors)
{
	regs->irq.nvectors = nvectors;
	regs->ops.interrupts = interrupts;
}

void drv_irq_status(struct drv_irq *irq, uint32_t v)
{
	if (v & 1)
		irq->count[1]++;
	if (v & 2)
		irq->count[0]++;
}
