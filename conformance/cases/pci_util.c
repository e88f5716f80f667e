/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases on virtio-pci share. See pci.h. */
#include "conformance/cases/pci.h"
#include "conformance/raw.h"

#define CAPS_MAX 48u /* that fit into 192 bytes */

struct drv_pci *pci_of(struct cf *c)
{
	return (struct drv_pci *)(void *)cf_dev(c); /* its first field */
}

bool pci_next_vcap(struct cf *c, struct pci_vcap *cap)
{
	const struct drv_pci *p = pci_of(c);
	uint8_t at = drv_pci_cap(p, DRV_PCI_CAP_VENDOR, cap->at);

	if (!at)
		return false;
	*cap = (struct pci_vcap){
		.at = at,
		.len = (uint8_t)drv_pci_read(p, at + 2, 1),
		.type = (uint8_t)drv_pci_read(p, at + 3, 1),
		.bar = (uint8_t)drv_pci_read(p, at + 4, 1),
		.offset = drv_pci_read(p, at + 8, 4),
		.length = drv_pci_read(p, at + 12, 4),
	};
	if (cap->len >= PCI_CAP_NOTIFY_LEN && at <= 0x100 - PCI_CAP_NOTIFY_LEN)
		cap->extra = drv_pci_read(p, at + 16, 4);
	return true;
}

bool pci_find_vcap(struct cf *c, uint8_t type, struct pci_vcap *cap)
{
	*cap = (struct pci_vcap){ 0 };
	for (unsigned n = 0; n < CAPS_MAX && pci_next_vcap(c, cap); n++)
		if (cap->type == type)
			return true;
	return cf_check(c, false, "there is no virtio capability of type %u", type);
}

uint32_t pci_get(struct cf *c, uint32_t at, unsigned width)
{
	return drv_io_read(pci_of(c)->regs.base + at, width);
}

void pci_put(struct cf *c, uint32_t at, unsigned width, uint32_t v)
{
	drv_io_write(pci_of(c)->regs.base + at, width, v);
}

void pci_select(struct cf *c, uint16_t q)
{
	pci_put(c, DRV_PCI_QUEUE_SELECT, 2, q);
}

uint16_t pci_num_queues(struct cf *c)
{
	return (uint16_t)pci_get(c, DRV_PCI_NUM_QUEUES, 2);
}

bool pci_break(struct cf *c, struct drv_queue *q)
{
	struct drv_ring *r = &q->ring;

	/* More buffers than there are descriptors. */
	drv_raw_publish(r, (uint16_t)(r->next_avail + r->size + 1));
	return cf_check(c, !cf_dev(c)->ops->notify(cf_dev(c), q->index, 0),
		       "queue %u cannot be notified", q->index) &&
	       cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET);
}
