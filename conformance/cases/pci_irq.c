/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts of virtio-pci: the ISR register (VIRTIO 1.4, 4.1.4.5) and MSI-X (4.1.5.1.2). */
#include "conformance/cases/cases.h"
#include "conformance/cases/pci.h"

#define INTERRUPT_STATUS 8u /* in the PCI status register */
#define ISR_QUEUE	 1u
#define ISR_CONFIG	 2u
#define MSIX_CONTROL	 2u
#define MSIX_ENABLE	 0x8000u
#define MSIX_MASK_ALL	 0x4000u
#define MSIX_ENTRY	 16u
#define MSIX_MASK	 12u		    /* vector control in an entry */
#define QUIET_NS	 UINT64_C(20000000) /* in which an interrupt that must not come would */
#define VECTORS_MAX	 64u		    /* to map to */

/* Waits for `ns`; interrupts are handled meanwhile. */
static void pass_time(struct cf *c, uint64_t ns)
{
	struct drv_dev *dev = cf_dev(c);
	uint64_t until = drv_now(dev) + ns;

	while (drv_now(dev) < until)
		if (dev->platform->wait)
			dev->platform->wait(dev->platform->ctx, dev, until);
}

/* ISR. The device's interrupts are off at the function, so that only these cases read ISR. */

struct silence {
	uint32_t command, control;
	bool msix;
};

static void silence(struct cf *c, struct silence *s)
{
	struct drv_pci *p = pci_of(c);

	*s = (struct silence){ .command = drv_pci_read(p, DRV_PCI_COMMAND, 2), .msix = p->msix };
	drv_pci_write(p, DRV_PCI_COMMAND, 2, s->command | DRV_PCI_COMMAND_NO_INTX);
	if (p->msix_cap) {
		s->control = drv_pci_read(p, p->msix_cap + MSIX_CONTROL, 2);
		drv_pci_write(p, p->msix_cap + MSIX_CONTROL, 2, s->control & ~MSIX_ENABLE);
	}
	p->msix = false;
}

static void end_silence(struct cf *c, const struct silence *s)
{
	struct drv_pci *p = pci_of(c);

	drv_reset(cf_dev(c));
	drv_io_read(p->isr, 1);
	p->msix = s->msix;
	if (p->msix_cap)
		drv_pci_write(p, p->msix_cap + MSIX_CONTROL, 2, s->control);
	drv_pci_write(p, DRV_PCI_COMMAND, 2, s->command);
}

/* PCI's Interrupt Status becomes 1. */
static bool pending(struct cf *c)
{
	uint64_t limit = cf_limit(c);

	while (!(drv_pci_read(pci_of(c), DRV_PCI_STATUS, 2) & INTERRUPT_STATUS))
		if (drv_now(cf_dev(c)) > limit)
			return cf_check(c, false,
				"the Interrupt Status bit stays 0 after an event (ISR is %u)",
				drv_io_read(pci_of(c)->isr, 1));
	return true;
}

static void check_isr(struct cf *c, uint8_t want)
{
	const struct drv_pci *p = pci_of(c);
	uint8_t isr;

	if (!pending(c))
		return;
	isr = drv_io_read(p->isr, 1);
	cf_check(c, isr & want, "ISR is %u, must have bit 0x%x", isr, want);
	cf_eq(c, drv_io_read(p->isr, 1), 0, "ISR, read again,");
	cf_eq(c, drv_pci_read(p, DRV_PCI_STATUS, 2) & INTERRUPT_STATUS, 0,
		"the Interrupt Status bit after ISR was read");
}

static void isr_used(struct cf *c)
{
	struct drv_queue *q;
	struct silence s;

	silence(c, &s);
	q = cf_up_probe(c, 0);
	if (q) {
		drv_io_read(pci_of(c)->isr, 1); /* whatever starting the device brought */
		if (cf_probe_works(c, q))
			check_isr(c, ISR_QUEUE);
	}
	end_silence(c, &s);
}

static void isr_config(struct cf *c)
{
	struct drv_queue *q;
	struct silence s;

	silence(c, &s);
	q = cf_up_probe(c, 0);
	if (q) {
		drv_io_read(pci_of(c)->isr, 1);
		if (pci_break(c, q))
			check_isr(c, ISR_CONFIG);
	}
	end_silence(c, &s);
}

/* MSI-X. */

static bool has_msix(struct cf *c)
{
	if (!pci_of(c)->msix)
		cf_skip(c, "the guest does not use MSI-X here");
	return pci_of(c)->msix;
}

static void table_size(struct cf *c)
{
	const struct drv_pci *p = pci_of(c);

	if (!p->msix_cap) {
		cf_skip(c, "the device has no MSI-X");
		return;
	}
	cf_check(c, p->msix_vectors >= 2,
		"there is one vector, for two kinds of events: 2 is the least");
	cf_check(c, p->msix_table && p->msix_pba, "table or pending bits are not in a BAR");
}

/* Maps one event to a vector and reads it back. */
static void map_one(struct cf *c, uint32_t field, uint16_t vector, uint16_t want)
{
	pci_put(c, field, 2, vector);
	cf_check(c, pci_get(c, field, 2) == want,
		"%s is 0x%x after writing 0x%x, must be 0x%x; there are %u vectors",
		field == DRV_PCI_CONFIG_MSIX_VECTOR ? "config_msix_vector" : "queue_msix_vector",
		pci_get(c, field, 2), vector, want, pci_of(c)->msix_vectors);
}

/* Every event to every vector, and to none. */
static void map_every(struct cf *c)
{
	unsigned n = pci_of(c)->msix_vectors, queues = pci_num_queues(c);

	if (!has_msix(c) || !cf_begin(c, 0))
		return;
	for (unsigned v = 0; v < n && v < VECTORS_MAX && !cf_failed(c); v++) {
		uint16_t vector = (uint16_t)(v + 1 < VECTORS_MAX ? v : n - 1);

		map_one(c, DRV_PCI_CONFIG_MSIX_VECTOR, vector, vector);
		for (unsigned q = 0; q < queues && q < 8; q++) {
			pci_select(c, (uint16_t)q);
			map_one(c, DRV_PCI_QUEUE_MSIX_VECTOR, vector, vector);
		}
	}
	map_one(c, DRV_PCI_CONFIG_MSIX_VECTOR, PCI_NO_VECTOR, PCI_NO_VECTOR);
	pci_select(c, 0);
	map_one(c, DRV_PCI_QUEUE_MSIX_VECTOR, PCI_NO_VECTOR, PCI_NO_VECTOR);
}

static void map_invalid(struct cf *c)
{
	uint16_t n = pci_of(c)->msix_vectors;
	uint16_t invalid[] = { n, 0x800, 0xfffe };

	if (!has_msix(c) || !cf_begin(c, 0))
		return;
	pci_select(c, 0);
	for (unsigned i = 0; i < sizeof(invalid) / sizeof(*invalid); i++) {
		map_one(c, DRV_PCI_CONFIG_MSIX_VECTOR, 0, 0);
		map_one(c, DRV_PCI_CONFIG_MSIX_VECTOR, invalid[i], PCI_NO_VECTOR);
		map_one(c, DRV_PCI_QUEUE_MSIX_VECTOR, 0, 0);
		map_one(c, DRV_PCI_QUEUE_MSIX_VECTOR, invalid[i], PCI_NO_VECTOR);
	}
}

static void reset_unmaps(struct cf *c)
{
	unsigned queues = pci_num_queues(c);

	if (!has_msix(c) || !cf_begin(c, 0))
		return;
	pci_put(c, DRV_PCI_CONFIG_MSIX_VECTOR, 2, 0);
	for (unsigned q = 0; q < queues && q < 64; q++) {
		pci_select(c, (uint16_t)q);
		pci_put(c, DRV_PCI_QUEUE_MSIX_VECTOR, 2, 0);
	}
	drv_reset(cf_dev(c));
	cf_eq(c, pci_get(c, DRV_PCI_CONFIG_MSIX_VECTOR, 2), PCI_NO_VECTOR,
		"config_msix_vector after a reset");
	for (unsigned q = 0; q < queues && q < 64; q++) {
		pci_select(c, (uint16_t)q);
		cf_eq(c, pci_get(c, DRV_PCI_QUEUE_MSIX_VECTOR, 2), PCI_NO_VECTOR,
			"queue_msix_vector after a reset");
	}
}

/* Counts of all vectors. */
struct counts {
	uint32_t n[DRV_IRQ_VECTORS];
};

static struct counts count(struct cf *c)
{
	const struct drv_irq *irq = &pci_of(c)->regs.irq;
	struct counts k;

	for (unsigned v = 0; v < DRV_IRQ_VECTORS; v++)
		k.n[v] = irq->count[v];
	return k;
}

/* Since `before`, `vector` has fired as often as `times` says and no other vector has. */
static void check_counts(struct cf *c, const struct counts *before, unsigned vector, uint32_t times)
{
	struct counts now = count(c);

	for (unsigned v = 0; v < DRV_IRQ_VECTORS; v++)
		cf_check(c, now.n[v] - before->n[v] == (v == vector ? times : 0),
			"vector %u fired %u times, must be %u", v, now.n[v] - before->n[v],
			v == vector ? times : 0);
}

static void wait_for_vector(struct cf *c, const struct counts *before, unsigned vector)
{
	struct drv_dev *dev = cf_dev(c);
	uint64_t limit = cf_limit(c);

	while (pci_of(c)->regs.irq.count[vector] == before->n[vector] && drv_now(dev) < limit)
		if (dev->platform->wait)
			dev->platform->wait(dev->platform->ctx, dev, limit);
}

/* The device with the probe's queue mapped to a vector; configuration changes are mapped to none.
 */
static struct drv_queue *up_on(struct cf *c, uint16_t vector)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return NULL;
	pci_put(c, DRV_PCI_CONFIG_MSIX_VECTOR, 2, PCI_NO_VECTOR);
	pci_select(c, q->index);
	pci_put(c, DRV_PCI_QUEUE_MSIX_VECTOR, 2, vector);
	return q;
}

static void delivered(struct cf *c)
{
	unsigned n = pci_of(c)->regs.irq.nvectors;

	if (!has_msix(c))
		return;
	for (unsigned v = 0; v < n && !cf_failed(c); v++) {
		struct drv_queue *q = up_on(c, (uint16_t)v);
		struct counts before = count(c);

		if (!q || !cf_probe_works(c, q))
			return;
		wait_for_vector(c, &before, v);
		check_counts(c, &before, v, 1);
	}
	cf_note(c, "%u vectors", n);
}

static void unmapped_queue(struct cf *c)
{
	struct counts before;
	struct drv_queue *q;

	if (!has_msix(c))
		return;
	q = up_on(c, PCI_NO_VECTOR);
	before = count(c);
	if (!q || !cf_probe_works(c, q))
		return;
	pass_time(c, QUIET_NS);
	check_counts(c, &before, 0, 0);
}

static void unmapped_config(struct cf *c)
{
	struct counts before;
	struct drv_queue *q;

	if (!has_msix(c))
		return;
	q = up_on(c, PCI_NO_VECTOR);
	before = count(c);
	if (!q || !pci_break(c, q))
		return;
	pass_time(c, QUIET_NS);
	check_counts(c, &before, 0, 0);
}

static void config_delivered(struct cf *c)
{
	struct counts before;
	struct drv_queue *q;
	unsigned last = pci_of(c)->regs.irq.nvectors - 1u;

	if (!has_msix(c))
		return;
	q = up_on(c, PCI_NO_VECTOR);
	pci_put(c, DRV_PCI_CONFIG_MSIX_VECTOR, 2, last);
	before = count(c);
	if (!q || !pci_break(c, q))
		return;
	wait_for_vector(c, &before, last);
	check_counts(c, &before, last, 1);
}

static bool pending_bit(struct cf *c, unsigned vector)
{
	return drv_io_read(pci_of(c)->msix_pba + vector / 32 * 4, 4) >> vector % 32 & 1;
}

/* A masked vector is remembered in its pending bit, and fires when the mask goes. */
static void masked(struct cf *c, void (*mask)(struct cf *c, bool on))
{
	struct counts before;
	struct drv_queue *q;

	if (!has_msix(c))
		return;
	q = up_on(c, 0);
	before = count(c);
	mask(c, true);
	if (q && cf_probe_works(c, q)) {
		pass_time(c, QUIET_NS);
		check_counts(c, &before, 0, 0);
		cf_check(c, pending_bit(c, 0), "the pending bit of a masked vector stays 0");
	}
	mask(c, false);
	if (!q || cf_failed(c))
		return;
	wait_for_vector(c, &before, 0);
	check_counts(c, &before, 0, 1);
	cf_check(c, !pending_bit(c, 0), "the pending bit stays after the message");
}

static void mask_vector(struct cf *c, bool on)
{
	drv_io_write(pci_of(c)->msix_table + MSIX_MASK, 4, on);
}

static void mask_function(struct cf *c, bool on)
{
	const struct drv_pci *p = pci_of(c);
	uint32_t v = drv_pci_read(p, p->msix_cap + MSIX_CONTROL, 2);

	v = on ? v | MSIX_MASK_ALL : v & ~MSIX_MASK_ALL;
	drv_pci_write(p, p->msix_cap + MSIX_CONTROL, 2, v);
}

static void vector_masked(struct cf *c)
{
	masked(c, mask_vector);
}

static void function_masked(struct cf *c)
{
	masked(c, mask_function);
}

static void intx_delivered(struct cf *c)
{
	struct drv_queue *q;
	uint32_t n;

	if (pci_of(c)->msix) {
		cf_skip(c, "the guest uses MSI-X here");
		return;
	}
	q = cf_up_probe(c, 0);
	if (!q || !cf_interrupts(c, q->index, &n) || !cf_probe_works(c, q))
		return;
	cf_interrupted(c, q->index);
}

const struct cf_case cf_cases_pci_irq[] = {
	{ "pci.isr.used", "V4.1.4.5.1-3 V4.1.4.5.1-4 V4.1.4.5.1-5", isr_used, .flags = CF_PCI },
	{ "pci.isr.config", "V4.1.4.5.1-2 V4.1.4.5.1-4 V4.1.4.5.1-5", isr_config,
		.flags = CF_PCI | CF_HOSTILE },
	{ "pci.intx.delivered", "PLAT-10", intx_delivered, .flags = CF_PCI | CF_IRQ },
	{ "pci.msix.table_size", "V4.1.5.1.2.1-1 V4.1.5.1.2.1-2", table_size, .flags = CF_PCI },
	{ "pci.msix.map_every",
		"V4.1.5.1.2.1-2 V4.1.5.1.2.1-4 V4.1.5.1.2.1-5 V4.1.5.1.2.1-6 V4.1.5.1.2.1-8",
		map_every, .flags = CF_PCI },
	{ "pci.msix.map_invalid", "V4.1.5.1.2.1-2 V4.1.5.1.2.1-9", map_invalid,
		.flags = CF_PCI | CF_HOSTILE },
	{ "pci.msix.reset_unmaps", "V4.1.5.1.2.1-7", reset_unmaps, .flags = CF_PCI },
	{ "pci.msix.delivered", "PLAT-10 ROB-22 V4.1.5.1.2.1-4", delivered,
		.flags = CF_PCI | CF_IRQ },
	{ "pci.msix.config_delivered", "PLAT-10 ROB-22", config_delivered,
		.flags = CF_PCI | CF_IRQ | CF_HOSTILE },
	{ "pci.msix.unmapped_queue", "V4.1.5.3.1-1", unmapped_queue, .flags = CF_PCI | CF_IRQ },
	{ "pci.msix.unmapped_config", "V4.1.5.4.1-1", unmapped_config,
		.flags = CF_PCI | CF_IRQ | CF_HOSTILE },
	{ "pci.msix.vector_masked", "V4.1.1-1", vector_masked, .flags = CF_PCI | CF_IRQ },
	{ "pci.msix.function_masked", "V4.1.1-1", function_masked, .flags = CF_PCI | CF_IRQ },
	{ 0 },
};
