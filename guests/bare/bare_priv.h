/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the platform share. */
#pragma once

#include "drivers/io.h"
#include "guests/bare/bare.h"

#define BARE_CMDLINE_MAX  2048
#define BARE_RESERVED_MAX 16
#define BARE_SLOTS	  192

/* How to switch off by ACPI (6.5: 4.8.3.2, 4.8.3.7). */
struct bare_acpi_off {
	bool known;
	uint8_t type_a, type_b; /* of \_S5 */
	uint16_t port_a, port_b;
	uint16_t events;	/* PM1 event registers: status, enable (4.8.3.1); 0: none */
	uint64_t sleep_control; /* hardware-reduced: a register in memory; 0: none */
	bool reset;
	uint8_t reset_space, reset_value;
	uint64_t reset_addr;
};

/* An interrupt controller of arm64. */
struct bare_gic {
	unsigned version; /* 2 or 3; 0: none */
	uint64_t distributor;
	uint64_t cpu;		  /* version 2: processor interface */
	struct bare_range redist; /* version 3: redistributors */
};

/* An I/O APIC, and where the ISA lines are. */
struct bare_ioapic {
	uint64_t base;
	uint32_t gsi_base;
};

/* An SBSA generic watchdog. */
struct bare_watchdog {
	uint64_t control, refresh; /* its frames; 0: none */
};

/* The machine, beyond what guests see. There is one; it is filled in before bare_main(). */
struct bare_machine {
	struct bare_info info;
	char cmdline[BARE_CMDLINE_MAX];
	struct bare_range reserved[BARE_RESERVED_MAX]; /* RAM that is in use */
	unsigned nreserved;
	uint64_t heap, heap_end;
	uint64_t uart;	   /* arm64: PL011; 0: none */
	uint64_t gpio;	   /* arm64: PL061; 0: none */
	uint8_t power_key; /* its line of the power button, from 1; 0: none */
	struct bare_watchdog watchdog;
	uint16_t pm_timer;
	struct bare_acpi_off acpi;
	struct bare_gic gic;
	struct bare_ioapic ioapics[4];
	unsigned nioapics;
	bool psci, psci_smc;
	bool own_tables;	     /* page tables are ours, not the firmware's */
	void (*efi_reset)(bool off); /* [opt] */
	/* Time, as bare_arch_time() has it. */
	bool stalls;		   /* what the computer stands still does not count */
	uint64_t seen, due, stood; /* last look, next one at the latest; what did not count */
};

extern struct bare_machine bare;

/* Of start.c. */

/* Called by the start code once the boot protocol's information is in `bare`. */
void bare_start(void) __attribute__((noreturn));
void bare_set_cmdline(const char *text, size_t max);
/* bare_time()'s `until` as bare_arch_time() has it; the guest sleeps until then. */
uint64_t bare_due(uint64_t until);
/* RAM of the machine's memory map; parts below 1 MiB and beyond the last free entry are not used.
 */
void bare_add_ram(uint64_t addr, uint64_t len);
/* RAM that must not be given out. */
void bare_reserve(uint64_t addr, uint64_t len);
void bare_add_mmio(uint64_t base, uint64_t len, const struct bare_line *line);
/* Writes a message and ends. */
void bare_fatal(const char *what, uint64_t value) __attribute__((noreturn));

/* Of fdt.c and acpi.c: what the machine says of itself. False: there is no such description. */
bool bare_fdt(const void *dtb);
/* Bytes of a device tree; 0: it is none. */
uint32_t bare_fdt_size(const void *dtb);
bool bare_acpi(uint64_t rsdp);

/* Of irq.c: slot `slot` has fired. Called with interrupts off. */
void bare_irq_fire(unsigned slot);
/* The number of interrupts until now. */
uint32_t bare_irq_total(void);

/* Of the architecture. */
void bare_arch_init(void);			    /* interrupts, time; the description is known */
void bare_arch_describe(void);			    /* finds what no description told */
void bare_arch_write(const char *text, size_t len); /* to the serial port */
uint64_t bare_arch_time(void);
/* Sleeps unless `total` interrupts is not the count any more. */
void bare_arch_sleep(uint32_t total, uint64_t until);
void *bare_arch_map(uint64_t addr, uint64_t len);
bool bare_arch_line(const struct bare_line *line, unsigned slot);
bool bare_arch_msi(unsigned slot, uint64_t *addr, uint32_t *data);
void bare_arch_irq_off(void);
void bare_arch_irq_on(void);
uint32_t bare_arch_clock_rate(void);
bool bare_arch_random(uint64_t *v);
/* PCI configuration space where there is no ECAM: x86's ports; elsewhere all ones. */
uint32_t bare_arch_pci_read(uint16_t bdf, uint16_t offset, unsigned width);
void bare_arch_pci_write(uint16_t bdf, uint16_t offset, unsigned width, uint32_t v);
/* They return if they do not work. */
void bare_arch_power_off(void);
void bare_arch_reset(void);
void bare_arch_halt(void) __attribute__((noreturn));

/* The freestanding runtime that compilers rely on. */
void *memcpy(void *to, const void *from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);

static inline bool bare_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Registers. One plain instruction each on Arm: a hypervisor cannot decode others (drivers/io.h).
 */
static inline uint8_t bare_read8(uint64_t addr)
{
	return drv_io_read((uintptr_t)addr, 1);
}

static inline uint32_t bare_read32(uint64_t addr)
{
	return drv_io_read((uintptr_t)addr, 4);
}

static inline void bare_write8(uint64_t addr, uint8_t v)
{
	drv_io_write((uintptr_t)addr, 1, v);
}

static inline void bare_write16(uint64_t addr, uint16_t v)
{
	drv_io_write((uintptr_t)addr, 2, v);
}

static inline void bare_write32(uint64_t addr, uint32_t v)
{
	drv_io_write((uintptr_t)addr, 4, v);
}
