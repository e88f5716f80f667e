/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio (VIRTIO 1.4, 4.2). See mmio.h. */
#include "mmio.h"

#define MAGIC	   0x74726976u
#define CONFIG_MAX 0xf00u /* what is left of a page */

static struct drv_mmio *mmio(struct drv_dev *dev)
{
	return (struct drv_mmio *)(void *)dev; /* its first field */
}

static uint64_t read64(const struct drv_mmio *m, uint32_t low)
{
	return drv_mmio_read(m, low) | (uint64_t)drv_mmio_read(m, low + 4) << 32;
}

static void write64(const struct drv_mmio *m, uint32_t low, uint64_t v)
{
	drv_mmio_write(m, low, (uint32_t)v);
	drv_mmio_write(m, low + 4, (uint32_t)(v >> 32));
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	struct drv_mmio *m = mmio(dev);

	drv_mmio_write(m, DRV_MMIO_DEVICE_FEATURES_SEL, 0);
	*offered = drv_mmio_read(m, DRV_MMIO_DEVICE_FEATURES);
	drv_mmio_write(m, DRV_MMIO_DEVICE_FEATURES_SEL, 1);
	*offered |= (uint64_t)drv_mmio_read(m, DRV_MMIO_DEVICE_FEATURES) << 32;
	return 0;
}

static int accept(struct drv_dev *dev, uint64_t v)
{
	struct drv_mmio *m = mmio(dev);

	drv_mmio_write(m, DRV_MMIO_DRIVER_FEATURES_SEL, 0);
	drv_mmio_write(m, DRV_MMIO_DRIVER_FEATURES, (uint32_t)v);
	drv_mmio_write(m, DRV_MMIO_DRIVER_FEATURES_SEL, 1);
	drv_mmio_write(m, DRV_MMIO_DRIVER_FEATURES, (uint32_t)(v >> 32));
	return 0;
}

static int status(struct drv_dev *dev, uint8_t *v)
{
	*v = (uint8_t)drv_mmio_read(mmio(dev), DRV_MMIO_STATUS);
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	drv_mmio_write(mmio(dev), DRV_MMIO_STATUS, v);
	return 0;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	if (offset > CONFIG_MAX || len > CONFIG_MAX - offset)
		return DRV_INVALID;
	drv_io_get(mmio(dev)->base + DRV_MMIO_CONFIG, offset, buf, len);
	return 0;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	if (offset > CONFIG_MAX || len > CONFIG_MAX - offset)
		return DRV_INVALID;
	drv_io_put(mmio(dev)->base + DRV_MMIO_CONFIG, offset, buf, len);
	return 0;
}

static int generation(struct drv_dev *dev, uint32_t *v)
{
	*v = drv_mmio_read(mmio(dev), DRV_MMIO_CONFIG_GENERATION);
	return 0;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	uint32_t v;

	drv_mmio_write(mmio(dev), DRV_MMIO_QUEUE_SEL, q);
	v = drv_mmio_read(mmio(dev), DRV_MMIO_QUEUE_SIZE_MAX);
	*max = (uint16_t)(v < 32768 ? v : 32768);
	return 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	struct drv_mmio *m = mmio(dev);

	drv_mmio_write(m, DRV_MMIO_QUEUE_SEL, q);
	if (drv_mmio_read(m, DRV_MMIO_QUEUE_READY))
		return DRV_REFUSED; /* in use (4.2.3.2) */
	drv_mmio_write(m, DRV_MMIO_QUEUE_SIZE, addr->size);
	write64(m, DRV_MMIO_QUEUE_DESC, addr->desc);
	write64(m, DRV_MMIO_QUEUE_DRIVER, addr->driver);
	write64(m, DRV_MMIO_QUEUE_DEVICE, addr->device);
	drv_mmio_write(m, DRV_MMIO_QUEUE_READY, 1);
	return drv_mmio_read(m, DRV_MMIO_QUEUE_READY) == 1 ? 0 : DRV_REFUSED;
}

static int queue_reset(struct drv_dev *dev, uint16_t q, uint64_t until)
{
	struct drv_mmio *m = mmio(dev);

	drv_mmio_write(m, DRV_MMIO_QUEUE_SEL, q);
	drv_mmio_write(m, DRV_MMIO_QUEUE_RESET, 1);
	while (drv_mmio_read(m, DRV_MMIO_QUEUE_RESET))
		if (drv_now(dev) > until)
			return DRV_TIMEOUT;
	return drv_mmio_read(m, DRV_MMIO_QUEUE_READY) ? DRV_REFUSED : 0;
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	uint32_t v = drv_has(dev, VIRTIO_F_NOTIFICATION_DATA) ? q | next << 16 : q;

	drv_mmio_write(mmio(dev), DRV_MMIO_QUEUE_NOTIFY, v);
	return 0;
}

static int interrupts(struct drv_dev *dev, uint16_t q, uint32_t *count)
{
	return drv_irq_take(&mmio(dev)->irq, q, count);
}

static int shm(struct drv_dev *dev, uint8_t id, void **p, uint64_t *len)
{
	struct drv_mmio *m = mmio(dev);
	uint64_t base;

	drv_mmio_write(m, DRV_MMIO_SHM_SEL, id);
	*len = read64(m, DRV_MMIO_SHM_LEN);
	base = read64(m, DRV_MMIO_SHM_BASE);
	if (*len == UINT64_MAX || base > UINTPTR_MAX || *len > UINTPTR_MAX - base)
		return DRV_UNSUPPORTED;
	*p = (void *)(uintptr_t)base;
	return 0;
}

static const struct drv_ops mmio_ops = {
	.name = "mmio",
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
	.notify = notify,
	.shm = shm,
};

int drv_mmio_open(struct drv_mmio *m, const struct drv_platform *platform, uintptr_t base,
	void *mem, size_t len)
{
	uint32_t id;

	*m = (struct drv_mmio){ .base = base, .ops = mmio_ops };
	m->dev = (struct drv_dev){
		.ops = &m->ops, .platform = platform, .mem = mem, .mem_len = len
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
	m->irq.nvectors = 2;
	m->ops.interrupts = interrupts;
}

bool drv_mmio_interrupt(struct drv_mmio *m)
{
	uint32_t v = drv_mmio_read(m, DRV_MMIO_INTERRUPT_STATUS) & 3;

	if (v)
		drv_mmio_write(m, DRV_MMIO_INTERRUPT_ACK, v);
	drv_irq_status(&m->irq, v);
	return v;
}
