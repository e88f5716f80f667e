/* SPDX-License-Identifier: BSD-3-Clause */
/* Serial output, interrupts, PCI configuration. */
#include "rt.h"

#define COM1	   0x3f8
#define PM1_CNT	   0x604
#define LAPIC_SPIV 0xfee000f0ull
#define VECTOR	   0x40u
#define NMI	   2u

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t mid;
	uint32_t high, zero;
};

static struct gate idt[256];

void put(const char *s)
{
	for (; *s; s++) {
		while (!(inb(COM1 + 5) & 0x20))
			;
		outb(COM1, (uint8_t)*s);
	}
}

void put_hex(uint64_t v)
{
	char text[17];
	unsigned i = 16;

	text[16] = '\0';
	do {
		text[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	put(text + i);
}

void put_value(const char *name, uint64_t v)
{
	put(name);
	put(" ");
	put_hex(v);
	put("\n");
}

void check(bool ok, const char *name)
{
	put(ok ? "ok " : "FAILED ");
	put(name);
	put("\n");
}

bool same(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

void irq_setup(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) desc = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned i = 0; i < 256; i++) {
		uint64_t to = (uint64_t)(i == VECTOR || i == NMI ? isr_count : isr_other);

		idt[i] = (struct gate){ (uint16_t)to, 0x08, 0, 0x8e, (uint16_t)(to >> 16),
			(uint32_t)(to >> 32), 0 };
	}
	__asm__ volatile("lidt %0" ::"m"(desc));
	/* Mask the old interrupt controllers, enable the local APIC. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	write32(LAPIC_SPIV, 0x1ff);
	__asm__ volatile("sti");
}

bool irq_wait(uint32_t n)
{
	uint64_t limit = rdtsc() + 20000000000ull;

	while (irq_count < n && rdtsc() < limit)
		__asm__ volatile("pause");
	return irq_count >= n;
}

void delay(void)
{
	uint64_t until = rdtsc() + 50000000;

	while (rdtsc() < until)
		__asm__ volatile("pause");
}

void power_off(void)
{
	outw(PM1_CNT, 5u << 10 | 1u << 13);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void payload_fault(uint64_t where)
{
	put_value("unexpected interrupt or exception, stack top", where);
	power_off();
}

uint32_t pci_read(unsigned devfn, unsigned reg)
{
	outl(0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

void pci_write(unsigned devfn, unsigned reg, uint32_t v)
{
	outl(0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
	outl(0xcfc, v);
}
