/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices: life cycle, memory, queues. See drv.h. */
#include "drv.h"

#define RESET_TIMEOUT_NS UINT64_C(1000000000)
#define DEFAULT_SIZE	 256u

/* From `len` bytes at `mem`, of which `used` are taken; zeroed. */
static void *take(uint8_t *mem, size_t mem_len, size_t *used, size_t len, size_t align)
{
	uintptr_t base = (uintptr_t)mem;
	size_t at = ((base + *used + align - 1) & ~(uintptr_t)(align - 1)) - base;

	if (at > mem_len || len > mem_len - at)
		return NULL;
	*used = at + len;
	return __builtin_memset(mem + at, 0, len);
}

void *drv_alloc(struct drv_dev *dev, size_t len, size_t align)
{
	return take(dev->mem, dev->mem_len, &dev->mem_used, len, align);
}

/* For what devices have no business with. */
static void *alloc_private(struct drv_dev *dev, size_t len)
{
	if (!dev->priv)
		return drv_alloc(dev, len, sizeof(void *));
	return take(dev->priv, dev->priv_len, &dev->priv_used, len, sizeof(void *));
}

struct drv_sg drv_sg(const struct drv_dev *dev, const void *p, uint32_t len)
{
	const struct drv_platform *pf = dev->platform;

	return (struct drv_sg){ pf->map(pf->ctx, p, len), len };
}

/* Life cycle. */

int drv_reset(struct drv_dev *dev)
{
	uint64_t until = drv_now(dev) + RESET_TIMEOUT_NS;
	uint8_t status;
	int r = dev->ops->set_status(dev, 0);

	while (!r) {
		r = dev->ops->status(dev, &status);
		/* Where the status cannot be read, set_status() has waited. */
		if (r == DRV_UNSUPPORTED || (!r && !status))
			return 0;
		if (!r && drv_now(dev) > until)
			r = DRV_TIMEOUT;
	}
	return r;
}

/* Status before and after the negotiation. */
#define DRIVER	   (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER)
#define NEGOTIATED (DRIVER | VIRTIO_S_FEATURES_OK)

/* 3.1.1, steps 4 to 6. */
static int negotiate(struct drv_dev *dev, uint64_t want, uint64_t need)
{
	uint8_t status;
	int r;

	need |= DRV_FEATURE(VIRTIO_F_VERSION_1);
	r = dev->ops->features(dev, &dev->offered);
	if (r)
		return r;
	if (need & ~dev->offered) {
		dev->ops->set_status(dev, DRIVER | VIRTIO_S_FAILED); /* 2.2.1 */
		return DRV_REFUSED;
	}
	dev->features = (want | need) & dev->offered;
	r = dev->ops->accept(dev, dev->features);
	if (!r)
		r = dev->ops->set_status(dev, NEGOTIATED);
	if (r)
		return r;
	r = dev->ops->status(dev, &status);
	if (r == DRV_UNSUPPORTED)
		return 0;
	return r ? r : (status & VIRTIO_S_FEATURES_OK) ? 0 : DRV_REFUSED;
}

int drv_begin(struct drv_dev *dev, uint64_t want, uint64_t need)
{
	int r = drv_reset(dev);

	dev->mem_used = 0;
	dev->priv_used = 0;
	dev->features = 0;
	if (!r)
		r = dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	if (!r)
		r = dev->ops->set_status(dev, DRIVER);
	return r ? r : negotiate(dev, want, need);
}

int drv_run(struct drv_dev *dev)
{
	return dev->ops->set_status(dev, NEGOTIATED | VIRTIO_S_DRIVER_OK);
}

/* Queues. */

/* Memory for the device, and where it sees it. */
static int alloc_shared(struct drv_dev *dev, uint32_t len, size_t align, void **p, uint64_t *addr)
{
	*p = drv_alloc(dev, len, align);
	if (!*p)
		return DRV_NO_MEMORY;
	*addr = drv_sg(dev, *p, len).addr;
	return *addr == UINT64_MAX ? DRV_INVALID : 0;
}

static int ring_setup(struct drv_queue *q, uint16_t size, uint16_t table_len)
{
	struct drv_dev *dev = q->dev;
	struct drv_ring_config *c = &q->config;
	uint32_t desc_len, driver_len, device_len;
	int r;

	*c = (struct drv_ring_config){ .size = size, .features = dev->features };
	q->addr.size = size;
	drv_ring_sizes(
		size, drv_has(dev, VIRTIO_F_RING_PACKED), &desc_len, &driver_len, &device_len);
	r = alloc_shared(dev, desc_len, 16, &c->desc, &q->addr.desc);
	if (!r)
		r = alloc_shared(dev, driver_len, 4, &c->driver, &q->addr.driver);
	if (!r)
		r = alloc_shared(dev, device_len, 4, &c->device, &q->addr.device);
	if (!r && table_len && drv_has(dev, VIRTIO_F_INDIRECT_DESC)) {
		c->table_len = table_len;
		r = alloc_shared(dev, 16u * size * table_len, 16, &c->tables, &c->tables_addr);
	}
	c->state = alloc_private(dev, drv_ring_state_size(size));
	if (!r && !c->state)
		r = DRV_NO_MEMORY;
	return r ? r : drv_ring_init(&q->ring, c);
}

/* Split rings have sizes that are powers of two (2.7). */
static uint16_t fitting_size(const struct drv_dev *dev, uint16_t size, uint16_t max)
{
	if (!size)
		size = DEFAULT_SIZE;
	if (size > max)
		size = max;
	while (!drv_has(dev, VIRTIO_F_RING_PACKED) && (size & (size - 1)))
		size &= (uint16_t)(size - 1);
	return size;
}

int drv_queue_open(
	struct drv_queue *q, struct drv_dev *dev, uint16_t index, uint16_t size, uint16_t table_len)
{
	uint16_t max;
	int r = dev->ops->queue_max(dev, index, &max);

	if (r)
		return r;
	if (!max)
		return DRV_REFUSED;
	q->dev = dev;
	q->index = index;
	r = ring_setup(q, fitting_size(dev, size, max), table_len);
	return r ? r : dev->ops->queue_start(dev, index, &q->addr);
}

/* What the doorbell says with NOTIFICATION_DATA (2.9): the index to come, of a packed ring with its
 * wrap counter. */
static uint32_t next_position(const struct drv_ring *r)
{
	uint32_t wrap = r->packed && r->avail_wrap;

	return (uint32_t)r->next_avail | wrap << 15;
}

int drv_queue_publish(struct drv_queue *q)
{
	const struct drv_platform *pf = q->dev->platform;

	pf->barrier(pf->ctx);
	if (!drv_ring_publish(&q->ring))
		return 0;
	if (pf->notify) {
		pf->notify(pf->ctx, q->dev, q->index);
		return 0;
	}
	return q->dev->ops->notify(q->dev, q->index, next_position(&q->ring));
}

int drv_queue_wait(struct drv_queue *q, void **cookie, uint32_t *len, uint64_t until)
{
	const struct drv_platform *pf = q->dev->platform;
	uint32_t ignored;
	void *nothing;
	int r;

	for (;;) {
		r = drv_ring_get(&q->ring, cookie ? cookie : &nothing, len ? len : &ignored);
		if (r)
			return r < 0 ? r : 0;
		if (drv_now(q->dev) > until)
			return DRV_TIMEOUT;
		/* Not without having asked for the interrupt that ends the wait. */
		if (pf->wait && !drv_ring_enable_interrupts(&q->ring, 0))
			pf->wait(pf->ctx, q->dev, until);
		pf->barrier(pf->ctx);
	}
}

int drv_queue_restart(struct drv_queue *q)
{
	struct drv_dev *dev = q->dev;
	int r;

	if (!drv_has(dev, VIRTIO_F_RING_RESET) || !dev->ops->queue_reset)
		return DRV_UNSUPPORTED;
	r = dev->ops->queue_reset(dev, q->index, drv_now(dev) + RESET_TIMEOUT_NS);
	if (!r)
		r = drv_ring_init(&q->ring, &q->config);
	return r ? r : dev->ops->queue_start(dev, q->index, &q->addr);
}

/* Configuration. */

#define CONFIG_TRIES 16

int drv_config(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	uint32_t before, after;
	int r;

	if (!dev->ops->generation)
		return dev->ops->config_read(dev, offset, buf, len);
	for (unsigned i = 0; i < CONFIG_TRIES; i++) {
		r = dev->ops->generation(dev, &before);
		if (!r)
			r = dev->ops->config_read(dev, offset, buf, len);
		if (!r)
			r = dev->ops->generation(dev, &after);
		if (r || before == after)
			return r;
	}
	return DRV_TIMEOUT;
}
