/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots of interrupts: counters and handlers. The architecture says which slots fire. */
#include "guests/bare/bare_priv.h"

struct slot {
	bare_handler handler;
	void *arg;
	uint32_t line;
	bool is_line;
	volatile uint32_t count; /* written by the interrupt only */
	uint32_t taken;
	int next; /* another slot on the same line, or -1 */
};

/* There is one set of interrupts. */
static struct {
	struct slot slots[BARE_SLOTS];
	unsigned n;
	volatile uint32_t total;
	uint32_t seen; /* total when bare_wait() returned last */
	bool held;
} irqs;

void bare_irq_fire(unsigned slot)
{
	irqs.total++;
	for (int i = (int)slot; i >= 0 && i < (int)irqs.n; i = irqs.slots[i].next) {
		struct slot *s = &irqs.slots[i];

		s->count++;
		if (s->handler)
			s->handler(s->arg);
	}
}

uint32_t bare_irq_total(void)
{
	return irqs.total;
}

/* Chains a slot to the one that has the line already; false if none has. */
static bool share(uint32_t line, unsigned slot)
{
	for (unsigned i = 0; i < slot; i++) {
		struct slot *s = &irqs.slots[i];

		if (s->is_line && s->line == line) {
			irqs.slots[slot].next = s->next;
			s->next = (int)slot;
			return true;
		}
	}
	return false;
}

int bare_irq_line(const struct bare_line *line, bare_handler handler, void *arg)
{
	unsigned i = irqs.n;

	if (!line->valid || i == BARE_SLOTS)
		return -1;
	irqs.slots[i] = (struct slot){
		.handler = handler, .arg = arg, .line = line->number, .is_line = true, .next = -1
	};
	irqs.n++;
	if (share(line->number, i) || bare_arch_line(line, i))
		return (int)i;
	irqs.n--;
	return -1;
}

int bare_irq_msi(bare_handler handler, void *arg, uint64_t *addr, uint32_t *data)
{
	unsigned i = irqs.n;

	if (i == BARE_SLOTS || !bare_arch_msi(i, addr, data))
		return -1;
	irqs.slots[i] = (struct slot){ .handler = handler, .arg = arg, .next = -1 };
	irqs.n++;
	return (int)i;
}

void bare_irq_hold(bool on)
{
	irqs.held = on;
	if (on)
		bare_arch_irq_off();
	else
		bare_arch_irq_on();
}

uint32_t bare_irq_count(int slot)
{
	struct slot *s;
	uint32_t now, n;

	if (slot < 0 || slot >= (int)irqs.n)
		return 0;
	s = &irqs.slots[slot];
	now = s->count;
	n = now - s->taken;
	s->taken = now;
	return n;
}

void bare_wait(uint64_t until)
{
	if (irqs.held)
		return;
	if (irqs.total == irqs.seen && bare_time() < until)
		bare_arch_sleep(irqs.seen, bare_due(until));
	irqs.seen = irqs.total;
}
