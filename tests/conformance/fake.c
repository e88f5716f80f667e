/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

#include <string.h>
#include <time.h>

#define ANSWER	  0x77
#define CHAIN_MAX 64 /* descriptors, before a chain counts as a loop */

static struct fake *from(struct drv_dev *dev)
{
	return dev->platform->ctx;
}

/* The device. */

static const struct drv_split_desc *descriptor(const struct fake *f, uint16_t i)
{
	return (const struct drv_split_desc *)(uintptr_t)f->queue.desc + i % f->queue.size;
}

static void put_used(struct fake *f, uint32_t id, uint32_t len)
{
	struct drv_used *used = (struct drv_used *)(uintptr_t)f->queue.device;

	used->ring[f->used % f->queue.size] = (struct drv_used_elem){ id, len };
	__atomic_store_n(&used->idx, ++f->used, __ATOMIC_RELEASE);
	f->interrupts += f->fault != FAKE_NO_INTERRUPT;
}

static uint32_t write_buffer(const struct fake *f, const struct drv_split_desc *d)
{
	uint8_t *p = (uint8_t *)(uintptr_t)d->addr;

	memset(p, ANSWER, d->len);
	if (f->fault == FAKE_WRITES_BEFORE)
		p[-1] = ANSWER;
	if (f->fault == FAKE_WRITES_BEHIND)
		p[d->len] = ANSWER;
	return d->len;
}

/* A chain that loops: DEVICE_NEEDS_RESET, and no answer. */
static void break_down(struct fake *f, uint16_t head)
{
	if (f->fault == FAKE_USES_LOOP)
		put_used(f, head, 0);
	if (f->fault != FAKE_NO_NEEDS_RESET)
		f->status |= VIRTIO_S_NEEDS_RESET;
	f->wrecked = f->fault == FAKE_STAYS_BROKEN;
}

static void answer(struct fake *f, uint16_t head)
{
	uint32_t len = 0;
	uint16_t i = head;

	for (unsigned n = 0; n < CHAIN_MAX; n++) {
		const struct drv_split_desc *d = descriptor(f, i);

		if (d->flags & VIRTQ_DESC_F_WRITE && !(d->flags & VIRTQ_DESC_F_NEXT))
			len += write_buffer(f, d);
		if (!(d->flags & VIRTQ_DESC_F_NEXT)) {
			put_used(f, f->fault == FAKE_WRONG_ID ? head + 1u : head,
				len + (f->fault == FAKE_LONG_USED));
			return;
		}
		i = d->next;
	}
	break_down(f, head);
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	struct fake *f = from(dev);
	const struct drv_avail *avail = (const struct drv_avail *)(uintptr_t)f->queue.driver;

	f->gone |= f->fault == FAKE_DIES;
	if (f->gone || f->wrecked || f->fault == FAKE_SILENT)
		return 0;
	while (f->seen != avail->idx && !(f->status & VIRTIO_S_NEEDS_RESET))
		answer(f, avail->ring[f->seen++ % f->queue.size]);
	return 0;
}

/* The transport. */

static int features(struct drv_dev *dev, uint64_t *offered)
{
	*offered = DRV_FEATURE(VIRTIO_F_VERSION_1) | DRV_FEATURE(VIRTIO_F_INDIRECT_DESC);
	return 0;
}

static int accept_features(struct drv_dev *dev, uint64_t bits)
{
	from(dev)->features = bits;
	return 0;
}

static int get_status(struct drv_dev *dev, uint8_t *status)
{
	*status = from(dev)->status;
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t status)
{
	struct fake *f = from(dev);

	if (f->fault == FAKE_NO_FEATURES_OK)
		status &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	if (status || f->fault != FAKE_NO_RESET)
		f->status = status;
	else
		f->status = VIRTIO_S_ACKNOWLEDGE;
	if (!status)
		f->seen = f->used = 0;
	return 0;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	return DRV_UNSUPPORTED;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	return DRV_UNSUPPORTED;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	*max = q ? 0 : 64;
	return 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	from(dev)->queue = *addr;
	return 0;
}

static int interrupts(struct drv_dev *dev, uint16_t q, uint32_t *count)
{
	struct fake *f = from(dev);

	*count = q == DRV_CONFIG ? 0 : f->interrupts;
	f->interrupts = 0;
	return 0;
}

static const struct drv_ops ops = {
	.name = "fake",
	.features = features,
	.accept = accept_features,
	.status = get_status,
	.set_status = set_status,
	.config_read = config_read,
	.config_write = config_write,
	.queue_max = queue_max,
	.queue_start = queue_start,
	.notify = notify,
	.interrupts = interrupts,
};

/* The platform. */

static uint64_t map(void *ctx, const void *p, size_t len)
{
	return (uintptr_t)p;
}

static void barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t now(void *ctx)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool alive(struct cf_target *t, const char **why)
{
	const struct fake *f = t->ctx;

	if (f->gone)
		*why = "the fake is gone";
	return !f->gone;
}

static bool revive(struct cf_target *t)
{
	struct fake *f = t->ctx;

	f->gone = false;
	f->fault = FAKE_GOOD;
	f->revived++;
	return true;
}

void fake_init(struct fake *f, enum fake_fault fault)
{
	*f = (struct fake){ .fault = fault };
	f->platform = (struct drv_platform){
		.ctx = f,
		.map = map,
		.barrier = barrier,
		.time = now,
	};
	f->dev = (struct drv_dev){
		.ops = &ops,
		.platform = &f->platform,
		.mem = f->dev_mem,
		.mem_len = sizeof(f->dev_mem),
		.id = 4,
	};
	f->target = (struct cf_target){
		.platform = &f->platform,
		.dev = &f->dev,
		.mem = f->mem,
		.mem_len = sizeof(f->mem),
		.limit = 20000000,
		.alive = alive,
		.revive = revive,
		.ctx = f,
	};
}
