/* SPDX-License-Identifier: BSD-3-Clause */
/* The capability that reaches BARs through configuration space (VIRTIO 1.4, 4.1.4.9). */
#include "conformance/cases/cases.h"
#include "conformance/cases/pci.h"

/* Fields of the capability. */
#define BAR    4u
#define OFFSET 8u
#define LENGTH 12u
#define DATA   16u

static void aim(struct cf *c, uint8_t bar, uint32_t offset, uint32_t length)
{
	const struct drv_pci *p = pci_of(c);
	uint16_t at = p->cfg_cap;

	drv_pci_write(p, at + BAR, 1, bar);
	drv_pci_write(p, at + OFFSET, 4, offset);
	drv_pci_write(p, at + LENGTH, 4, length);
}

static uint32_t get(struct cf *c, const struct pci_vcap *common, uint32_t at, unsigned width)
{
	const struct drv_pci *p = pci_of(c);

	aim(c, common->bar, common->offset + at, width);
	return drv_pci_read(p, p->cfg_cap + DATA, width);
}

static void put(
	struct cf *c, const struct pci_vcap *common, uint32_t at, unsigned width, uint32_t v)
{
	const struct drv_pci *p = pci_of(c);

	aim(c, common->bar, common->offset + at, width);
	drv_pci_write(p, p->cfg_cap + DATA, width, v);
}

/* The capability, and where the common configuration is. */
static bool find(struct cf *c, struct pci_vcap *common)
{
	return cf_check(c, pci_of(c)->cfg_cap, "there is no configuration access capability") &&
	       pci_find_vcap(c, DRV_PCI_CFG_COMMON, common);
}

static void reads(struct cf *c)
{
	static const struct {
		uint32_t at;
		unsigned width;
		const char *name;
	} fields[] = {
		{ DRV_PCI_DEVICE_FEATURE, 4, "device_feature through the capability" },
		{ DRV_PCI_NUM_QUEUES, 2, "num_queues through the capability" },
		{ DRV_PCI_QUEUE_SIZE, 2, "queue_size through the capability" },
		{ DRV_PCI_DEVICE_STATUS, 1, "device_status through the capability" },
		{ DRV_PCI_CONFIG_GENERATION, 1, "config_generation through the capability" },
	};
	struct pci_vcap common;

	if (!find(c, &common) || !cf_begin(c, 0))
		return;
	pci_select(c, 0);
	pci_put(c, DRV_PCI_DEVICE_FEATURE_SELECT, 4, 1);
	for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		cf_eq(c, get(c, &common, fields[i].at, fields[i].width),
			pci_get(c, fields[i].at, fields[i].width), fields[i].name);
}

static void writes(struct cf *c)
{
	struct pci_vcap common;

	if (!find(c, &common))
		return;
	put(c, &common, DRV_PCI_DRIVER_FEATURE_SELECT, 4, 1);
	cf_eq(c, pci_get(c, DRV_PCI_DRIVER_FEATURE_SELECT, 4), 1,
		"driver_feature_select, written through the capability,");
	put(c, &common, DRV_PCI_QUEUE_SELECT, 2, 3);
	cf_eq(c, pci_get(c, DRV_PCI_QUEUE_SELECT, 2), 3,
		"queue_select, written through the capability,");
	put(c, &common, DRV_PCI_DEVICE_STATUS, 1, VIRTIO_S_ACKNOWLEDGE);
	cf_eq(c, pci_get(c, DRV_PCI_DEVICE_STATUS, 1), VIRTIO_S_ACKNOWLEDGE,
		"device_status, written through the capability,");
}

static void nowhere(struct cf *c)
{
	static const struct {
		uint8_t bar;
		uint32_t offset, length;
	} places[] = {
		{ 0, 0xfffffffc, 4 },
		{ 0, 0x7fffffff, 4 },
		{ 0, 1, 4 },
		{ 0, 0, 0 },
		{ 0, 0, 3 },
		{ 0, 0, 0xffffffff },
		{ 4, 0xffffffff, 4 },
		{ 6, 0, 4 },
		{ 255, 0, 4 },
	};
	struct drv_queue *q = cf_up_probe(c, 0);
	const struct drv_pci *p = pci_of(c);

	if (!q || !cf_check(c, p->cfg_cap, "there is no configuration access capability"))
		return;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		aim(c, places[i].bar, places[i].offset, places[i].length);
		drv_pci_read(p, p->cfg_cap + DATA, 4);
		/* Where a BAR is, a write would be one like any other. */
		if (places[i].offset > 0xffff || places[i].bar > 5)
			drv_pci_write(p, p->cfg_cap + DATA, 4, 0);
	}
	cf_must_go_on(c, q);
}

const struct cf_case cf_cases_pci_access[] = {
	{ "pci.access.reads", "V4.1.4.9.1-3", reads, .flags = CF_PCI },
	{ "pci.access.writes", "V4.1.4.9.1-2", writes, .flags = CF_PCI },
	{ "pci.access.nowhere", "ROB-1", nowhere, .flags = CF_PCI | CF_HOSTILE },
	{ 0 },
};
