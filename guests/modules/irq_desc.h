/* SPDX-License-Identifier: BSD-3-Clause */
/* For irq_sim.c as part of a module: irq_to_desc() is not exported, but what leads to the same is. */
#ifndef IRQ_DESC_H
#define IRQ_DESC_H

#include <linux/irqnr.h>

struct irq_desc;
static inline struct irq_desc *module_irq_to_desc(unsigned int irq);
#define irq_to_desc module_irq_to_desc

#include <linux/irq.h>
#include <linux/irqdesc.h>

static inline struct irq_desc *module_irq_to_desc(unsigned int irq)
{
	return irq_data_to_desc(irq_get_irq_data(irq));
}

#endif
