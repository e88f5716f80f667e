/* SPDX-License-Identifier: BSD-3-Clause */
/* The common configuration of virtio-pci (VIRTIO 1.4, 4.1.4.3), and notifications. */
#include "conformance/cases/cases.h"
#include "conformance/cases/pci.h"

#define NET	   1
#define QUEUES_MAX 1024u /* to look at */

static uint32_t window(struct cf *c, uint32_t select)
{
	pci_put(c, DRV_PCI_DEVICE_FEATURE_SELECT, 4, select);
	return pci_get(c, DRV_PCI_DEVICE_FEATURE, 4);
}

/* 128 feature bits, of which the upper 64 belong to a few classes only. */
static void features_window(struct cf *c)
{
	static const uint32_t beyond[] = { 4, 5, 31, 32, 0x7fffffff, 0xffffffff };

	for (unsigned i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
		cf_check(c, !window(c, beyond[i]), "device_feature is 0x%x for select 0x%x",
			window(c, beyond[i]), beyond[i]);
	for (uint32_t i = 2; i < 4 && cf_dev(c)->id != NET; i++)
		cf_eq(c, window(c, i), 0, "device_feature for bits that the class has not");
	cf_check(c, window(c, 1) & 1, "VIRTIO_F_VERSION_1 is not seen in bit 0 of select 1");
	cf_eq(c, window(c, 0), window(c, 0), "device_feature, read again,");
}

static void driver_features(struct cf *c)
{
	uint32_t half[2] = { window(c, 0), window(c, 1) };
	uint32_t masks[] = { UINT32_MAX, 0x55555555, 0xaaaaaaaa, 0 };

	for (unsigned m = 0; m < 4; m++) {
		for (uint32_t i = 0; i < 2; i++) {
			pci_put(c, DRV_PCI_DRIVER_FEATURE_SELECT, 4, i);
			pci_put(c, DRV_PCI_DRIVER_FEATURE, 4, half[i] & masks[m]);
		}
		for (uint32_t i = 0; i < 2; i++) {
			pci_put(c, DRV_PCI_DRIVER_FEATURE_SELECT, 4, i);
			cf_eq(c, pci_get(c, DRV_PCI_DRIVER_FEATURE, 4), half[i] & masks[m],
				"driver_feature");
		}
	}
}

static unsigned queues_to_look_at(struct cf *c)
{
	unsigned n = pci_num_queues(c);

	return n < QUEUES_MAX ? n : QUEUES_MAX;
}

static void reset_clears(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, UINT64_MAX);

	if (!q || !cf_check(c, !drv_reset(cf_dev(c)), "the reset does not end"))
		return;
	cf_eq(c, pci_get(c, DRV_PCI_DEVICE_STATUS, 1), 0, "device_status after a reset");
	for (unsigned i = 0; i < queues_to_look_at(c) && !cf_failed(c); i++) {
		pci_select(c, (uint16_t)i);
		cf_eq(c, pci_get(c, DRV_PCI_QUEUE_ENABLE, 2), 0, "queue_enable after a reset");
	}
}

static void reset_clears_queue_reset(struct cf *c)
{
	if (!cf_up_probe(c, UINT64_MAX) ||
		!cf_check(c, !drv_reset(cf_dev(c)), "the reset does not end"))
		return;
	for (unsigned i = 0; i < queues_to_look_at(c) && !cf_failed(c); i++) {
		pci_select(c, (uint16_t)i);
		cf_eq(c, pci_get(c, DRV_PCI_QUEUE_RESET, 2), 0, "queue_reset after a reset");
	}
}

static void queue_reset(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, DRV_FEATURE(VIRTIO_F_RING_RESET));
	uint64_t limit = cf_limit(c);

	if (!q || !cf_probe_works(c, q))
		return;
	pci_select(c, q->index);
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_RESET, 2), 0, "queue_reset of a queue in use");
	pci_put(c, DRV_PCI_QUEUE_RESET, 2, 1);
	while (pci_get(c, DRV_PCI_QUEUE_RESET, 2) && drv_now(cf_dev(c)) < limit)
		;
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_RESET, 2), 0, "queue_reset at the end of the time");
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_ENABLE, 2), 0, "queue_enable of a queue that was reset");
	if (cf_failed(c))
		return;
	/* Once more, and started again with the driver's own means. */
	if (!cf_check(c, !drv_queue_restart(q), "the queue cannot be started again"))
		return;
	pci_select(c, q->index);
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_ENABLE, 2), 1, "queue_enable of a queue started again");
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_RESET, 2), 0, "queue_reset of a queue started again");
	cf_probe_works(c, q);
}

static void no_such_queue(struct cf *c)
{
	uint16_t n = pci_num_queues(c);
	uint16_t beyond[] = { n, (uint16_t)(n + 1), 0x7fff, 0x8000, 0xffff };

	for (unsigned i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
		if (beyond[i] < n)
			continue;
		pci_select(c, beyond[i]);
		cf_eq(c, pci_get(c, DRV_PCI_QUEUE_SIZE, 2), 0,
			"queue_size of a queue that does not exist");
	}
}

static void queue_sizes(struct cf *c)
{
	if (!cf_begin(c, 0))
		return;
	for (unsigned i = 0; i < queues_to_look_at(c) && !cf_failed(c); i++) {
		uint32_t size;

		pci_select(c, (uint16_t)i);
		size = pci_get(c, DRV_PCI_QUEUE_SIZE, 2);
		cf_check(c, size <= 32768 && !(size & (size - 1)),
			"queue_size of queue %u is %u, no power of two", i, size);
	}
}

/* Each half of an address by itself. */
static void halves(struct cf *c)
{
	static const uint32_t at[] = { DRV_PCI_QUEUE_DESC, DRV_PCI_QUEUE_DRIVER,
		DRV_PCI_QUEUE_DEVICE };

	if (!cf_begin(c, 0))
		return;
	pci_select(c, 0);
	for (unsigned i = 0; i < 3; i++) {
		pci_put(c, at[i] + 4, 4, 0x12 + i);
		pci_put(c, at[i], 4, 0x3456000 + i * 0x1000);
		cf_eq(c, pci_get(c, at[i] + 4, 4), 0x12 + i, "the upper half of an address");
		pci_put(c, at[i], 4, 0x789a000);
		cf_eq(c, pci_get(c, at[i] + 4, 4), 0x12 + i,
			"the upper half after the lower one was written");
		pci_put(c, at[i] + 4, 4, 0);
		cf_eq(c, pci_get(c, at[i], 4), 0x789a000,
			"the lower half after the upper one was written");
	}
}

/* Fields that only the device sets. */
static void read_only(struct cf *c)
{
	static const struct {
		uint32_t at;
		unsigned width;
		const char *name;
	} fields[] = {
		{ DRV_PCI_DEVICE_FEATURE, 4, "device_feature after a write" },
		{ DRV_PCI_NUM_QUEUES, 2, "num_queues after a write" },
		{ DRV_PCI_CONFIG_GENERATION, 1, "config_generation after a write" },
		{ DRV_PCI_QUEUE_NOTIFY_OFF, 2, "queue_notify_off after a write" },
	};

	if (!cf_begin(c, 0))
		return;
	pci_select(c, 0);
	pci_put(c, DRV_PCI_DEVICE_FEATURE_SELECT, 4, 0);
	for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		uint32_t before = pci_get(c, fields[i].at, fields[i].width);

		pci_put(c, fields[i].at, fields[i].width, ~before);
		cf_eq(c, pci_get(c, fields[i].at, fields[i].width), before, fields[i].name);
	}
}

static void write_to_no_queue(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return;
	pci_select(c, 0xffff);
	if (!cf_eq(c, pci_get(c, DRV_PCI_QUEUE_SIZE, 2), 0,
		    "queue_size of a queue that does not exist, selected after another,"))
		return;
	pci_put(c, DRV_PCI_QUEUE_SIZE, 2, 64);
	for (uint32_t at = DRV_PCI_QUEUE_DESC; at < DRV_PCI_QUEUE_NOTIF_CONFIG_DATA; at += 4)
		pci_put(c, at, 4, 0x1000);
	pci_put(c, DRV_PCI_QUEUE_ENABLE, 2, 1);
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_ENABLE, 2), 0,
		"queue_enable of a queue that does not exist");
	cf_must_go_on(c, q);
}

static void notify_no_queue(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uintptr_t at = q ? drv_pci_notify_addr(pci_of(c), q->index) : 0;
	uint16_t n = pci_num_queues(c);

	if (!q || !cf_check(c, at, "queue_notify_off leads out of the structure"))
		return;
	drv_io_write(at, 2, n);
	drv_io_write(at, 2, 0x7fff);
	drv_io_write(at, 2, 0xffff);
	cf_must_go_on(c, q);
}

/* Every width at every byte that nothing depends on. */
static void odd_widths(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uintptr_t base = pci_of(c)->regs.base;

	if (!q)
		return;
	for (uint32_t at = 0; at < DRV_PCI_QUEUE_NOTIF_CONFIG_DATA; at++) {
		drv_io_read(base + at, 1);
		if (at % 2 == 0)
			drv_io_read(base + at, 2);
		if (at % 4 == 0)
			drv_io_read(base + at, 4);
	}
	drv_io_write(base + DRV_PCI_DEVICE_FEATURE_SELECT, 1, 0xff);
	drv_io_write(base + DRV_PCI_DRIVER_FEATURE_SELECT, 2, 0xffff);
	drv_io_write(base + DRV_PCI_NUM_QUEUES, 1, 0xff);
	drv_io_write(base + DRV_PCI_QUEUE_SELECT + 1, 1, 0xff);
	pci_select(c, q->index);
	cf_must_go_on(c, q);
}

const struct cf_case cf_cases_pci_common[] = {
	{ "pci.common.features_window", "V4.1.4.3.1-3", features_window, .flags = CF_PCI },
	{ "pci.common.driver_features", "V4.1.4.3.1-4", driver_features, .flags = CF_PCI },
	{ "pci.common.reset_clears", "V4.1.4.3.1-7 V4.1.4.3.1-8", reset_clears, .flags = CF_PCI },
	{ "pci.common.reset_clears_queue_reset", "V4.1.4.3.1-9", reset_clears_queue_reset,
		.flags = CF_PCI, .needs = DRV_FEATURE(VIRTIO_F_RING_RESET) },
	{ "pci.common.queue_reset", "V4.1.4.3.1-10 V4.1.4.3.1-11 V4.1.4.3.1-12 V4.1.4.3.1-13",
		queue_reset, .flags = CF_PCI, .needs = DRV_FEATURE(VIRTIO_F_RING_RESET) },
	{ "pci.common.no_such_queue", "V4.1.4.3.1-14", no_such_queue, .flags = CF_PCI },
	{ "pci.common.queue_sizes", "V4.1.4.3.1-15", queue_sizes, .flags = CF_PCI },
	{ "pci.common.halves", "V4.1.3.2-1", halves, .flags = CF_PCI },
	{ "pci.common.read_only", "ROB-16", read_only, .flags = CF_PCI | CF_HOSTILE },
	{ "pci.common.write_to_no_queue", "ROB-26 V4.1.4.3.1-14", write_to_no_queue,
		.flags = CF_PCI | CF_HOSTILE },
	{ "pci.common.odd_widths", "ROB-1", odd_widths, .flags = CF_PCI | CF_HOSTILE },
	{ "pci.notify.no_such_queue", "ROB-15", notify_no_queue, .flags = CF_PCI | CF_HOSTILE },
	{ 0 },
};
