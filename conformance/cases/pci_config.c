/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space of virtio-pci: IDs and capabilities (VIRTIO 1.4, 4.1.2 and 4.1.4). */
#include "conformance/cases/cases.h"
#include "conformance/cases/pci.h"

#define VENDOR	     0x1af4u
#define MODERN	     0x1040u /* plus the virtio device ID */
#define MODERN_LAST  0x107fu
#define TRANSITIONAL 0x1000u
#define REVISION     0x08
#define CAPS_MAX     48u /* that fit into 192 bytes */
#define CAPS_FIRST   0x40u
#define SHM_CAP	     8u /* its type (4.1.4) */
#define SHM_LEN	     24u
#define CFG_VENDOR   9u
#define COMMON_LEN   56u /* without what only some features bring */

static bool is_transitional(struct cf *c)
{
	return drv_pci_read(pci_of(c), DRV_PCI_ID, 4) >> 16 < MODERN;
}

/* IDs of transitional devices (4.1.2, table). */
static uint32_t transitional_id(uint16_t device)
{
	static const uint8_t classes[] = { 1, 2, 5, 3, 8, 4 };

	for (unsigned i = 0; i < sizeof(classes); i++)
		if (classes[i] == device)
			return TRANSITIONAL + i;
	return device == 9 ? TRANSITIONAL + 9 : 0;
}

static void ids(struct cf *c)
{
	uint32_t id = drv_pci_read(pci_of(c), DRV_PCI_ID, 4);
	uint16_t device = cf_dev(c)->id;

	cf_eq(c, id & 0xffff, VENDOR, "the PCI vendor ID");
	if (is_transitional(c))
		cf_eq(c, id >> 16, transitional_id(device), "the transitional PCI device ID");
	else
		cf_eq(c, id >> 16, MODERN + device, "the PCI device ID");
}

static void modern_ids(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);
	uint32_t id = drv_pci_read(p, DRV_PCI_ID, 4) >> 16, subsystem;

	if (is_transitional(c)) {
		cf_skip(c, "a transitional device");
		return;
	}
	subsystem = drv_pci_read(p, DRV_PCI_SUBSYSTEM_ID, 2);
	cf_check(c, id <= MODERN_LAST, "the PCI device ID is 0x%x, must be 0x1040 to 0x107f", id);
	cf_check(c, drv_pci_read(p, REVISION, 1) >= 1, "the PCI revision is 0, must be at least 1");
	cf_check(
		c, subsystem >= 0x40, "the subsystem ID is 0x%x, must be at least 0x40", subsystem);
}

/* A function with a header of type 0, and BARs that are aligned to their length. */
static void header(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);

	cf_eq(c, drv_pci_read(p, DRV_PCI_HEADER, 1) & 0x7f, 0, "the type of the header");
	for (unsigned i = 0; i < 6; i++) {
		const struct drv_pci_bar *b = &p->bars[i];

		cf_check(c, !b->len || b->addr % b->len == 0,
			"BAR %u is at 0x%llx, not aligned to its length 0x%llx", i,
			(unsigned long long)b->addr, (unsigned long long)b->len);
	}
}

/* The list of capabilities: in the configuration space, aligned, each once, and ends. */
static void list_ends(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);
	uint64_t seen = 0; /* by dword */
	uint32_t at = drv_pci_read(p, DRV_PCI_CAPS, 1);

	for (unsigned n = 0; at; n++) {
		if (!cf_check(c, at >= CAPS_FIRST && at % 4 == 0,
			    "a capability is at 0x%x, must be aligned and beyond 0x3f", at) ||
			!cf_check(c, n < CAPS_MAX && !(seen >> at / 4 & 1),
				"the list of capabilities goes round at 0x%x", at))
			return;
		seen |= UINT64_C(1) << at / 4;
		at = drv_pci_read(p, (uint16_t)(at + 1), 1);
	}
}

/* Lengths of capabilities, and what they point to is in a BAR. */
static void caps_valid(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);
	struct pci_vcap cap = { 0 };

	for (unsigned n = 0; n < CAPS_MAX && pci_next_vcap(c, &cap); n++) {
		bool longer = cap.type == DRV_PCI_CFG_NOTIFY || cap.type == DRV_PCI_CFG_PCI;
		unsigned least = longer ? PCI_CAP_NOTIFY_LEN : PCI_CAP_LEN_MIN;
		const struct drv_pci_bar *b = &p->bars[cap.bar < 6 ? cap.bar : 0];

		cf_check(c, cap.len >= least && cap.at + cap.len <= 0x100,
			"the capability at 0x%x, type %u, has length %u", cap.at, cap.type,
			cap.len);
		if (cap.type < DRV_PCI_CFG_COMMON || cap.type > DRV_PCI_CFG_DEVICE || cap.bar > 5)
			continue;
		cf_check(c, cap.offset <= b->len && cap.length <= b->len - cap.offset,
			"the structure of type %u, 0x%x bytes at 0x%x, is not in BAR %u of 0x%llx",
			cap.type, cap.length, cap.offset, cap.bar, (unsigned long long)b->len);
	}
}

static void common(struct cf *c)
{
	struct pci_vcap cap;

	if (!pci_find_vcap(c, DRV_PCI_CFG_COMMON, &cap))
		return;
	cf_eq(c, cap.offset % 4, 0, "the offset of the common configuration, modulo 4,");
	cf_check(c, cap.length >= COMMON_LEN,
		"the common configuration has %u bytes, must be at least %u", cap.length,
		COMMON_LEN);
}

static void isr(struct cf *c)
{
	struct pci_vcap cap;

	if (pci_find_vcap(c, DRV_PCI_CFG_ISR, &cap))
		cf_check(c, cap.length >= 1, "the ISR structure is empty");
}

static void device(struct cf *c)
{
	struct pci_vcap cap = { 0 };

	for (unsigned n = 0; n < CAPS_MAX && pci_next_vcap(c, &cap); n++)
		if (cap.type == DRV_PCI_CFG_DEVICE)
			cf_eq(c, cap.offset % 4, 0,
				"the offset of the device configuration, modulo 4,");
}

/* Regions of shared memory: in their BAR, each with an ID of its own. */
static void shared_memory(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);
	struct pci_vcap cap = { 0 };
	uint64_t ids[4] = { 0 };
	unsigned found = 0;

	for (unsigned n = 0; n < CAPS_MAX && pci_next_vcap(c, &cap); n++) {
		const struct drv_pci_bar *b = &p->bars[cap.bar < 6 ? cap.bar : 0];
		uint64_t offset, length;
		uint8_t id;

		if (cap.type != SHM_CAP)
			continue;
		if (!cf_check(c, cap.len >= SHM_LEN && cap.at <= 0x100 - SHM_LEN,
			    "the capability at 0x%x has length %u", cap.at, cap.len))
			return;
		found++;
		id = (uint8_t)drv_pci_read(p, cap.at + 5, 1);
		offset = cap.offset | (uint64_t)cap.extra << 32;
		length = cap.length | (uint64_t)drv_pci_read(p, cap.at + 20, 4) << 32;
		cf_check(c, cap.bar < 6 && offset <= b->len && length <= b->len - offset,
			"shared memory %u, 0x%llx bytes at 0x%llx, is not in BAR %u", id,
			(unsigned long long)length, (unsigned long long)offset, cap.bar);
		cf_check(c, !(ids[id / 64] >> id % 64 & 1), "two shared memories have ID %u", id);
		ids[id / 64] |= UINT64_C(1) << id % 64;
	}
	if (!found)
		cf_skip(c, "the device has no shared memory");
}

static void vendor_data(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);
	struct pci_vcap cap = { 0 };
	unsigned found = 0;

	for (unsigned n = 0; n < CAPS_MAX && pci_next_vcap(c, &cap); n++) {
		if (cap.type != CFG_VENDOR)
			continue;
		found++;
		cf_check(c, drv_pci_read(p, cap.at + 4, 2) != VENDOR,
			"the vendor of the data at 0x%x is 0x1af4", cap.at);
		cf_eq(c, cap.len % 4, 0, "the length of vendor data, modulo 4,");
	}
	if (!found)
		cf_skip(c, "the device has no vendor data");
}

static void config_access(struct cf *c)
{
	struct pci_vcap cap;

	pci_find_vcap(c, DRV_PCI_CFG_PCI, &cap);
}

/* Place and room for the notifications of all queues. */
static void notify(struct cf *c)
{
	bool data = cf_offered(c, VIRTIO_F_NOTIFICATION_DATA);
	unsigned width = data ? 4 : 2, queues = pci_num_queues(c);
	struct pci_vcap cap;

	if (!pci_find_vcap(c, DRV_PCI_CFG_NOTIFY, &cap))
		return;
	cf_eq(c, cap.offset % width, 0, "the offset of notifications, modulo their width,");
	cf_check(c, !cap.extra || (!(cap.extra & (cap.extra - 1)) && cap.extra % width == 0),
		"notify_off_multiplier is %u, must be 0 or a power of two from %u on", cap.extra,
		width);
	cf_check(c, cap.length >= width, "the notification structure has %u bytes", cap.length);
	for (unsigned q = 0; q < queues && !cf_failed(c); q++) {
		uint64_t end;

		pci_select(c, (uint16_t)q);
		end = (uint64_t)pci_get(c, DRV_PCI_QUEUE_NOTIFY_OFF, 2) * cap.extra + width;
		cf_check(c, end <= cap.length, "queue %u is notified at 0x%llx of 0x%x bytes", q,
			(unsigned long long)(end - width), cap.length);
	}
}

const struct cf_case cf_cases_pci_config[] = {
	{ "pci.id.class", "V4.1.2.1-1 V4.1.2.1-2", ids, .flags = CF_PCI },
	{ "pci.id.modern", "V4.1.2.1-4 V4.1.2.1-5 V4.1.2.1-6", modern_ids, .flags = CF_PCI },
	{ "pci.header.type", "V4.1.1-1", header, .flags = CF_PCI },
	{ "pci.caps.list_ends", "V4.1.1-1", list_ends, .flags = CF_PCI },
	{ "pci.caps.valid", "V4.1.4.2-1", caps_valid, .flags = CF_PCI },
	{ "pci.caps.common", "V4.1.4.3.1-1 V4.1.4.3.1-2", common, .flags = CF_PCI },
	{ "pci.caps.isr", "V4.1.4.5.1-1", isr, .flags = CF_PCI },
	{ "pci.caps.device", "V4.1.4.6.1-1", device, .flags = CF_PCI },
	{ "pci.caps.shared_memory", "V4.1.4.7.1-1 V4.1.4.7.1-2", shared_memory, .flags = CF_PCI },
	{ "pci.caps.vendor_data", "V4.1.4.8.1-1 V4.1.4.8.1-2", vendor_data, .flags = CF_PCI },
	{ "pci.caps.config_access", "V4.1.4.9.1-1", config_access, .flags = CF_PCI },
	{ "pci.caps.notify",
		"V4.1.4.4.1-1 V4.1.4.4.1-2 V4.1.4.4.1-3 V4.1.4.4.1-4 V4.1.4.4.1-5 V4.1.4.4.1-6 "
		"V4.1.4.4.1-7 V4.1.4.4.1-8 V4.1.4.4.1-9",
		notify, .flags = CF_PCI },
	{ 0 },
};
