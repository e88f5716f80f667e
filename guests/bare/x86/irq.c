/* SPDX-License-Identifier: BSD-3-Clause */
/* Exceptions, the local APIC, I/O APICs, messages. */
#include "guests/bare/x86/x86.h"

#define VECTOR_FIRST  48u /* of slot 0 */
#define VECTOR_TIMER  0xf0u
#define VECTOR_SPARE  0xffu
#define EXCEPTIONS    32u
#define STUB_SIZE     16u
#define APIC_BASE_MSR 0x1bu
#define APIC_ENABLE   (1u << 11)
#define APIC_X2	      (1u << 10)
#define X2_MSR	      0x800u

/* Registers of the local APIC. */
#define APIC_ID	      0x20u
#define APIC_TPR      0x80u
#define APIC_EOI      0xb0u
#define APIC_SPURIOUS 0xf0u
#define APIC_TIMER    0x320u
#define APIC_COUNT    0x380u
#define APIC_NOW      0x390u
#define APIC_DIVIDE   0x3e0u
#define DIVIDE_BY_1   0xbu
#define NAP_NS	      UINT64_C(2000000) /* the longest sleep without a look */
#define MEASURE_NS    UINT64_C(500000)

#define IOAPIC_VERSION	1u
#define IOAPIC_REDIRECT 0x10u
#define REDIRECT_LOW	(1u << 13)
#define REDIRECT_LEVEL	(1u << 15)

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t mid;
	uint32_t high, zero;
};

/* What the stubs leave on the stack. */
struct frame {
	uint64_t vector, error, address, cs, flags, sp, ss;
};

extern const uint8_t bare_isr_stubs[];
X86_ASM void bare_x86_interrupt(const struct frame *f);

/* The processor's interrupts. */
static struct {
	struct gate idt[256];
	bool x2;
	uint64_t base;
	uint32_t ticks_per_us;
} apic;

static void apic_write(unsigned reg, uint32_t v)
{
	if (apic.x2)
		wrmsr(X2_MSR + reg / 16, v);
	else
		bare_write32(apic.base + reg, v);
}

static uint32_t apic_read(unsigned reg)
{
	return apic.x2 ? (uint32_t)rdmsr(X2_MSR + reg / 16) : bare_read32(apic.base + reg);
}

static uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return apic.x2 ? id : id >> 24;
}

static void exception(const struct frame *f)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	bare_put("bare: exception ");
	bare_put_dec(f->vector);
	bare_put(" error ");
	bare_put_hex(f->error);
	bare_put(" at ");
	bare_put_hex(f->address);
	bare_put(" cr2 ");
	bare_put_hex(cr2);
	bare_put("\n");
	bare_power_off();
}

X86_ASM void bare_x86_interrupt(const struct frame *f)
{
	if (f->vector < EXCEPTIONS)
		exception(f);
	if (f->vector == VECTOR_SPARE)
		return;
	if (f->vector >= VECTOR_FIRST && f->vector < VECTOR_FIRST + BARE_SLOTS)
		bare_irq_fire((unsigned)f->vector - VECTOR_FIRST);
	apic_write(APIC_EOI, 0);
}

static void load_idt(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) desc = { sizeof(apic.idt) - 1, (uintptr_t)apic.idt };
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	for (unsigned i = 0; i < 256; i++) {
		uint64_t to = (uintptr_t)bare_isr_stubs + i * STUB_SIZE;

		apic.idt[i] = (struct gate){ (uint16_t)to, cs, 0, 0x8e, (uint16_t)(to >> 16),
			(uint32_t)(to >> 32), 0 };
	}
	__asm__ volatile("lidt %0" ::"m"(desc));
}

/* How fast the timer counts; it only wakes from sleep, so that a rough measure is enough. */
static void measure_timer(void)
{
	uint64_t until = bare_time() + MEASURE_NS;

	apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_TIMER, 1u << 16 | VECTOR_TIMER); /* masked */
	apic_write(APIC_COUNT, UINT32_MAX);
	while (bare_time() < until)
		;
	apic.ticks_per_us = (UINT32_MAX - apic_read(APIC_NOW)) / (uint32_t)(MEASURE_NS / 1000);
	apic_write(APIC_COUNT, 0);
	apic_write(APIC_TIMER, VECTOR_TIMER);
}

void x86_irq_init(void)
{
	uint64_t base = rdmsr(APIC_BASE_MSR);

	bare_arch_irq_off();
	load_idt();
	/* The old interrupt controllers are not used. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	apic.x2 = base & APIC_X2;
	apic.base = base & ~UINT64_C(0xfff);
	if (!(base & APIC_ENABLE))
		wrmsr(APIC_BASE_MSR, base | APIC_ENABLE);
	if (!apic.x2 && !bare_map(apic.base, 0x1000))
		bare_fatal("the local APIC is out of reach, at", apic.base);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPARE);
	measure_timer();
	bare_arch_irq_on();
}

void bare_arch_irq_off(void)
{
	__asm__ volatile("cli" ::: "memory");
}

void bare_arch_irq_on(void)
{
	__asm__ volatile("sti" ::: "memory");
}

void bare_arch_sleep(uint32_t total, uint64_t until)
{
	uint64_t now = bare_time(), ns = until > now ? until - now : 0;
	uint64_t ticks = (ns < NAP_NS ? ns : NAP_NS) * apic.ticks_per_us / 1000;

	bare_arch_irq_off();
	if (bare_irq_total() == total && ticks) {
		apic_write(APIC_COUNT, (uint32_t)ticks);
		/* Interrupts are let in after the instruction that follows. */
		__asm__ volatile("sti; hlt" ::: "memory");
		apic_write(APIC_COUNT, 0);
	}
	bare_arch_irq_on();
}

static uint32_t ioapic_read(const struct bare_ioapic *io, uint32_t reg)
{
	bare_write32(io->base, reg);
	return bare_read32(io->base + 0x10);
}

static void ioapic_write(const struct bare_ioapic *io, uint32_t reg, uint32_t v)
{
	bare_write32(io->base, reg);
	bare_write32(io->base + 0x10, v);
}

bool bare_arch_line(const struct bare_line *line, unsigned slot)
{
	for (unsigned i = 0; i < bare.nioapics; i++) {
		const struct bare_ioapic *io = &bare.ioapics[i];
		uint32_t n = line->number - io->gsi_base, reg = IOAPIC_REDIRECT + 2 * n;

		if (line->number < io->gsi_base || !bare_map(io->base, 0x1000) ||
			n > (ioapic_read(io, IOAPIC_VERSION) >> 16 & 0xff))
			continue;
		ioapic_write(io, reg + 1, apic_id() << 24);
		ioapic_write(io, reg,
			(VECTOR_FIRST + slot) | (line->low ? REDIRECT_LOW : 0) |
				(line->level ? REDIRECT_LEVEL : 0));
		return true;
	}
	return false;
}

bool bare_arch_msi(unsigned slot, uint64_t *addr, uint32_t *data)
{
	uint32_t id = apic_id();

	if (id > 0xff)
		return false;
	*addr = UINT64_C(0xfee00000) | (uint64_t)id << 12;
	*data = VECTOR_FIRST + slot;
	return true;
}
