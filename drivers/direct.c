/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct rings. See direct.h. */
#include "direct.h"

#define TIMEOUT_NS UINT64_C(1000000000)

static struct drv_direct *direct(struct drv_dev *dev)
{
	return (struct drv_direct *)(void *)dev; /* its first field */
}

/* The other side writes at any time. */
#define GET(field)    __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define PUT(field, v) __atomic_store_n(&(field), (v), __ATOMIC_RELEASE)

static void ring(struct drv_dev *dev, uint16_t q)
{
	const struct drv_platform *pf = dev->platform;

	pf->barrier(pf->ctx);
	pf->notify(pf->ctx, dev, q);
}

/* Tells the device of a change and waits until it has seen it. */
static int changed(struct drv_dev *dev)
{
	struct drv_direct_area *a = direct(dev)->area;
	uint64_t until = drv_now(dev) + TIMEOUT_NS;
	uint32_t n = a->changes + 1;

	PUT(a->changes, n);
	ring(dev, DRV_CONFIG);
	while (GET(a->seen) != n) {
		if (drv_now(dev) > until)
			return DRV_TIMEOUT;
		dev->platform->barrier(dev->platform->ctx);
	}
	return 0;
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	*offered = direct(dev)->area->offered;
	return 0;
}

static int accept(struct drv_dev *dev, uint64_t v)
{
	direct(dev)->area->accepted = v;
	return changed(dev);
}

static int status(struct drv_dev *dev, uint8_t *v)
{
	*v = GET(direct(dev)->area->status);
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	PUT(direct(dev)->area->wanted, v);
	return changed(dev);
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct drv_direct *d = direct(dev);

	if (offset > d->config_len || len > d->config_len - offset)
		return DRV_INVALID;
	__builtin_memcpy(buf, d->config + offset, len);
	return 0;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct drv_direct *d = direct(dev);

	if (offset > d->config_len || len > d->config_len - offset)
		return DRV_INVALID;
	__builtin_memcpy(d->config + offset, buf, len);
	return changed(dev);
}

static int generation(struct drv_dev *dev, uint32_t *v)
{
	*v = GET(direct(dev)->area->generation);
	return 0;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	struct drv_direct *d = direct(dev);

	*max = q < d->nqueues ? d->area->queues[q].max : 0;
	return 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	struct drv_direct_queue *to = &direct(dev)->area->queues[q];

	if (q >= direct(dev)->nqueues)
		return DRV_REFUSED;
	to->size = addr->size;
	to->desc = addr->desc;
	to->driver = addr->driver;
	to->device = addr->device;
	PUT(to->enabled, 1);
	return changed(dev);
}

static int queue_reset(struct drv_dev *dev, uint16_t q, uint64_t until)
{
	(void)until; /* changed() has its own limit */
	if (q >= direct(dev)->nqueues)
		return DRV_INVALID;
	PUT(direct(dev)->area->queues[q].enabled, 0);
	return changed(dev);
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	(void)next;
	ring(dev, q);
	return 0;
}

static const struct drv_ops ops = {
	.name = "direct",
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
};

int drv_direct_open(struct drv_direct *d, const struct drv_platform *platform, void *area,
	size_t area_len, void *mem, size_t len)
{
	struct drv_direct_area *a = area;
	size_t queues, config;

	if (area_len < sizeof(*a) || !platform->notify)
		return DRV_INVALID;
	if (GET(a->magic) != DRV_DIRECT_MAGIC)
		return DRV_GONE;
	*d = (struct drv_direct){ .area = a, .config_len = a->config_len, .nqueues = a->nqueues };
	d->dev = (struct drv_dev){
		.ops = &ops, .platform = platform, .mem = mem, .mem_len = len, .id = a->id
	};
	queues = d->nqueues * sizeof(a->queues[0]);
	config = a->config_offset;
	if (queues > area_len - sizeof(*a) || config > area_len ||
		d->config_len > area_len - config)
		return DRV_INVALID;
	d->config = (uint8_t *)area + config;
	return 0;
}
