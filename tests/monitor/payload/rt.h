/* SPDX-License-Identifier: BSD-3-Clause */
/* The payload's runtime: no library, integer code only, identity-mapped memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PVH (xen/include/public/arch-x86/hvm/start_info.h). */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct module_entry {
	uint64_t addr, size, cmdline, reserved;
};

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void *ptr(uint64_t addr)
{
	return (void *)addr;
}

static inline uint32_t read32(uint64_t addr)
{
	return *(volatile uint32_t *)ptr(addr);
}

static inline uint16_t read16(uint64_t addr)
{
	return *(volatile uint16_t *)ptr(addr);
}

static inline uint8_t read8(uint64_t addr)
{
	return *(volatile uint8_t *)ptr(addr);
}

static inline void write32(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)ptr(addr) = v;
}

static inline void write16(uint64_t addr, uint16_t v)
{
	*(volatile uint16_t *)ptr(addr) = v;
}

static inline void write8(uint64_t addr, uint8_t v)
{
	*(volatile uint8_t *)ptr(addr) = v;
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Of start.S. */
extern uint8_t ap_start[], ap_end[];
extern volatile uint32_t irq_count;
extern volatile uint32_t irq_ack; /* register that the handler writes 3 to, or 0 */
void isr_count(void);
void isr_other(void);

/* Of rt.c. */
void put(const char *s);
void put_hex(uint64_t v);
/* "name value\n" in hexadecimal. */
void put_value(const char *name, uint64_t v);
bool same(const char *a, const char *b, size_t n);
size_t length(const char *s);
/* Loads an interrupt table in which vector 0x40 and an NMI count in irq_count, and enables the
 * local APIC. */
void irq_setup(void);
/* Waits for an interrupt until irq_count is `n`, or gives up. */
bool irq_wait(uint32_t n);
/* Some 20 ms. */
void delay(void);
void power_off(void) __attribute__((noreturn));

/* Checks one fact; the serial port says "ok NAME" or "FAILED NAME". */
void check(bool ok, const char *name);

/* `devfn` is 8 times the slot plus the function. */
uint32_t pci_read(unsigned devfn, unsigned reg);
void pci_write(unsigned devfn, unsigned reg, uint32_t v);

/* Of virtio.c: the cases that drive an entropy device. */
void case_pci(const struct start_info *info);
void case_intx(const struct start_info *info);
void case_mmio(const struct start_info *info);

/* Of many.c: the same of as many devices as there are. */
void case_many_pci(const struct start_info *info);
void case_many_mmio(const struct start_info *info);
void case_pins(const struct start_info *info);

/* Of watchdog.c. */
void case_watchdog_hang(const struct start_info *info);
void case_watchdog_late(const struct start_info *info);
void case_watchdog_nmi(const struct start_info *info);
void case_watchdog_count(const struct start_info *info);

/* Of suspend.c: suspend to RAM with and without a place to be woken at. */
void case_suspend(const struct start_info *info);
void case_lost(const struct start_info *info);

/* What a processor that starts at ap_start does; NULL: it says that it is there. */
extern void (*volatile ap_entry)(void);

/* Called from start.S. */
void payload_main(const struct start_info *info);
void payload_ap(void);
void payload_fault(uint64_t where);
