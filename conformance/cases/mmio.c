/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers and interrupts of virtio-mmio (VIRTIO 1.4, 4.2.2). */
#include "drivers/mmio.h"
#include "conformance/cases/cases.h"
#include "conformance/raw.h"

#define MAGIC	   0x74726976u
#define NET	   1
#define USED	   1u /* bits of InterruptStatus */
#define CONFIG	   2u
#define QUEUES_MAX 64u		      /* to look at */
#define QUIET_NS   UINT64_C(20000000) /* in which something that must not happen would */

static struct drv_mmio *mmio_of(struct cf *c)
{
	return (struct drv_mmio *)(void *)cf_dev(c); /* its first field */
}

static uint32_t get(struct cf *c, uint32_t reg)
{
	return drv_mmio_read(mmio_of(c), reg);
}

static void put(struct cf *c, uint32_t reg, uint32_t v)
{
	drv_mmio_write(mmio_of(c), reg, v);
}

static void identity(struct cf *c)
{
	cf_eq(c, get(c, DRV_MMIO_MAGIC), MAGIC, "MagicValue");
	cf_eq(c, get(c, DRV_MMIO_VERSION), 2, "Version");
	cf_eq(c, get(c, DRV_MMIO_DEVICE_ID), cf_dev(c)->id, "DeviceID");
}

static uint32_t window(struct cf *c, uint32_t select)
{
	put(c, DRV_MMIO_DEVICE_FEATURES_SEL, select);
	return get(c, DRV_MMIO_DEVICE_FEATURES);
}

/* 128 feature bits, of which the upper 64 belong to a few classes only. */
static void features_window(struct cf *c)
{
	static const uint32_t beyond[] = { 4, 5, 31, 32, 0x7fffffff, 0xffffffff };

	for (unsigned i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
		cf_check(c, !window(c, beyond[i]), "DeviceFeatures is 0x%x for selector 0x%x",
			window(c, beyond[i]), beyond[i]);
	for (uint32_t i = 2; i < 4 && cf_dev(c)->id != NET; i++)
		cf_eq(c, window(c, i), 0, "DeviceFeatures for bits that the class has not");
	cf_check(c, window(c, 1) & 1, "VIRTIO_F_VERSION_1 is not seen in bit 0 of selector 1");
}

static void no_such_queue(struct cf *c)
{
	static const uint32_t beyond[] = { 0x7fff, 0x8000, 0xffff };

	for (unsigned i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
		put(c, DRV_MMIO_QUEUE_SEL, beyond[i]);
		cf_eq(c, get(c, DRV_MMIO_QUEUE_SIZE_MAX), 0,
			"QueueSizeMax of a queue that does not exist");
		put(c, DRV_MMIO_QUEUE_READY, 1);
		cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 0,
			"QueueReady of a queue that does not exist");
	}
}

/* Waits for bits of InterruptStatus. */
static bool interrupt_status(struct cf *c, uint32_t want)
{
	uint64_t limit = cf_limit(c);
	uint32_t v;

	do {
		v = get(c, DRV_MMIO_INTERRUPT_STATUS);
	} while (!(v & want) && drv_now(cf_dev(c)) < limit);
	return cf_eq(c, v, want, "InterruptStatus");
}

/* Looks at InterruptStatus with nobody else doing so; false (skipped) where that cannot be. */
static bool hold(struct cf *c)
{
	const struct cf_target *t = cf_target(c);

	if (!t->hold_interrupts) {
		cf_skip(c, "interrupts cannot be held back");
		return false;
	}
	t->hold_interrupts(true);
	return true;
}

static void let_go(struct cf *c)
{
	put(c, DRV_MMIO_INTERRUPT_ACK, USED | CONFIG);
	cf_target(c)->hold_interrupts(false);
}

static void acknowledge(struct cf *c, uint32_t event)
{
	put(c, DRV_MMIO_INTERRUPT_ACK, event ^ (USED | CONFIG));
	cf_eq(c, get(c, DRV_MMIO_INTERRUPT_STATUS), event,
		"InterruptStatus after the other event was acknowledged");
	put(c, DRV_MMIO_INTERRUPT_ACK, event);
	cf_eq(c, get(c, DRV_MMIO_INTERRUPT_STATUS), 0, "InterruptStatus once acknowledged");
}

/* Until here an interrupt that is waited for would not be counted: the answers are polled for. */
static void status_used(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q || !hold(c))
		return;
	cf_eq(c, get(c, DRV_MMIO_INTERRUPT_STATUS), 0, "InterruptStatus before any event");
	if (!cf_failed(c) && cf_probe_works(c, q) && interrupt_status(c, USED))
		acknowledge(c, USED);
	let_go(c);
}

static bool break_device(struct cf *c, struct drv_queue *q)
{
	struct drv_ring *r = &q->ring;

	/* More buffers than there are descriptors. */
	drv_raw_publish(r, (uint16_t)(r->next_avail + r->size + 1));
	put(c, DRV_MMIO_QUEUE_NOTIFY, q->index);
	return cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET);
}

static void status_config(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q || !hold(c))
		return;
	if (break_device(c, q) && interrupt_status(c, CONFIG))
		acknowledge(c, CONFIG);
	let_go(c);
}

static void reset_clears(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q || !hold(c))
		return;
	if (cf_probe_works(c, q) && interrupt_status(c, USED)) {
		cf_check(c, !drv_reset(cf_dev(c)), "the reset does not end");
		cf_eq(c, get(c, DRV_MMIO_INTERRUPT_STATUS), 0, "InterruptStatus after a reset");
		cf_eq(c, get(c, DRV_MMIO_STATUS), 0, "Status after a reset");
	}
	let_go(c);
	for (uint32_t i = 0; i < QUEUES_MAX && !cf_failed(c); i++) {
		put(c, DRV_MMIO_QUEUE_SEL, i);
		cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 0, "QueueReady after a reset");
	}
}

static void ready_reads_back(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 1, "QueueReady of a queue in use");
	put(c, DRV_MMIO_QUEUE_READY, 0);
	cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 0, "QueueReady after 0 was written");
}

static void pass_time(struct cf *c, uint64_t ns)
{
	struct drv_dev *dev = cf_dev(c);
	uint64_t until = drv_now(dev) + ns;

	while (drv_now(dev) < until)
		if (dev->platform->wait)
			dev->platform->wait(dev->platform->ctx, dev, until);
}

/* A buffer in a queue that is not ready stays there. */
static void not_ready(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uint8_t *buf = cf_buf(c, 64);
	struct drv_sg sg;

	if (!q || !buf)
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	put(c, DRV_MMIO_QUEUE_READY, 0);
	sg = cf_sg(c, buf, 64);
	if (!cf_check(c, !drv_ring_add(&q->ring, &sg, 0, 1, buf), "no room for a buffer"))
		return;
	drv_ring_publish(&q->ring);
	put(c, DRV_MMIO_QUEUE_NOTIFY, q->index);
	pass_time(c, QUIET_NS);
	cf_check(c, !drv_ring_used(&q->ring), "a queue with QueueReady 0 was used");
	cf_check(c, cf_filled(buf, 0xa5, 64), "a buffer of a queue with QueueReady 0 was written");
}

static void reset_clears_queue_reset(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, DRV_FEATURE(VIRTIO_F_RING_RESET));

	if (!q)
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	put(c, DRV_MMIO_QUEUE_RESET, 1);
	if (!cf_check(c, !drv_reset(cf_dev(c)), "the reset does not end"))
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	cf_eq(c, get(c, DRV_MMIO_QUEUE_RESET), 0, "QueueReset after a reset");
}

static void queue_reset(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, DRV_FEATURE(VIRTIO_F_RING_RESET));
	uint64_t limit = cf_limit(c);

	if (!q || !cf_probe_works(c, q))
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	cf_eq(c, get(c, DRV_MMIO_QUEUE_RESET), 0, "QueueReset of a queue in use");
	put(c, DRV_MMIO_QUEUE_RESET, 1);
	while (get(c, DRV_MMIO_QUEUE_RESET) && drv_now(cf_dev(c)) < limit)
		;
	cf_eq(c, get(c, DRV_MMIO_QUEUE_RESET), 0, "QueueReset at the end of the time");
	cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 0, "QueueReady of a queue that was reset");
	if (cf_failed(c) ||
		!cf_check(c, !drv_queue_restart(q), "the queue cannot be started again"))
		return;
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	cf_eq(c, get(c, DRV_MMIO_QUEUE_READY), 1, "QueueReady of a queue started again");
	cf_eq(c, get(c, DRV_MMIO_QUEUE_RESET), 0, "QueueReset of a queue started again");
	cf_probe_works(c, q);
}

static void delivered(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uint32_t n;

	if (!q || !cf_interrupts(c, q->index, &n) || !cf_probe_works(c, q))
		return;
	if (!cf_interrupted(c, q->index))
		return;
	pass_time(c, QUIET_NS);
	if (cf_interrupts(c, q->index, &n))
		cf_eq(c, n, 0, "the number of further interrupts");
}

static void notify_no_queue(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return;
	put(c, DRV_MMIO_QUEUE_NOTIFY, 0x7fff);
	put(c, DRV_MMIO_QUEUE_NOTIFY, 0xffff);
	put(c, DRV_MMIO_QUEUE_NOTIFY, 0xffffffff);
	cf_must_go_on(c, q);
}

/* Registers that do not exist, and accesses of every width; nothing of it has a meaning. */
static void odd_accesses(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uintptr_t base = mmio_of(c)->regs.base;

	if (!q)
		return;
	for (uint32_t at = 0; at < DRV_MMIO_CONFIG; at++) {
		drv_io_read(base + at, 1);
		if (at % 2 == 0)
			drv_io_read(base + at, 2);
		if (at % 4 == 0)
			drv_io_read(base + at, 4);
	}
	drv_io_write(base + DRV_MMIO_QUEUE_SEL, 1, 0xff);
	drv_io_write(base + DRV_MMIO_QUEUE_SIZE, 2, 0xffff);
	put(c, DRV_MMIO_MAGIC, 0);
	put(c, DRV_MMIO_DEVICE_ID, 0xffffffff);
	put(c, DRV_MMIO_QUEUE_SIZE_MAX, 0xffffffff);
	put(c, DRV_MMIO_CONFIG_GENERATION, 0xffffffff);
	put(c, DRV_MMIO_QUEUE_SEL, q->index);
	identity(c);
	cf_must_go_on(c, q);
}

const struct cf_case cf_cases_mmio[] = {
	{ "mmio.regs.identity", "V4.2.2.1-1 V4.2.2.1-2", identity, .flags = CF_MMIO },
	{ "mmio.regs.features_window", "V2.2.2-4", features_window, .flags = CF_MMIO },
	{ "mmio.regs.no_such_queue", "ROB-26", no_such_queue, .flags = CF_MMIO | CF_HOSTILE },
	{ "mmio.regs.odd_accesses", "ROB-1", odd_accesses, .flags = CF_MMIO | CF_HOSTILE },
	{ "mmio.interrupt.used", "V4.2.2.1-3 V4.2.2.1-4", status_used, .flags = CF_MMIO },
	{ "mmio.interrupt.config", "V4.2.2.1-3 V4.2.2.1-4", status_config,
		.flags = CF_MMIO | CF_HOSTILE },
	{ "mmio.interrupt.delivered", "PLAT-10 ROB-22", delivered, .flags = CF_MMIO | CF_IRQ },
	{ "mmio.reset.clears", "V4.2.2.1-5", reset_clears, .flags = CF_MMIO },
	{ "mmio.reset.clears_queue_reset", "V4.2.2.1-8", reset_clears_queue_reset, .flags = CF_MMIO,
		.needs = DRV_FEATURE(VIRTIO_F_RING_RESET) },
	{ "mmio.queue.ready", "V4.2.2.1-7", ready_reads_back, .flags = CF_MMIO },
	{ "mmio.queue.not_ready", "V4.2.2.1-7 ROB-14", not_ready, .flags = CF_MMIO },
	{ "mmio.queue.reset", "V4.2.2.1-9 V4.2.2.1-10 V4.2.2.1-11 V4.2.2.1-12", queue_reset,
		.flags = CF_MMIO, .needs = DRV_FEATURE(VIRTIO_F_RING_RESET) },
	{ "mmio.notify.no_such_queue", "ROB-15", notify_no_queue, .flags = CF_MMIO | CF_HOSTILE },
	{ 0 },
};
