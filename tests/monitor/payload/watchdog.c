/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases that drive the watchdog (i6300esb): feed it for longer than it lasts, then stop. */
#include "rt.h"

#define DEVFN	 (31u << 3)
#define ID	 0x25ab8086u
#define STAGE	 1000u /* ticks of 983 us: it lasts twice that */
#define FEEDS	 150u
#define REG_LOAD 0x0cu

static uint64_t bar;

static void unlock(void)
{
	write16(bar + REG_LOAD, 0x80);
	write16(bar + REG_LOAD, 0x86);
}

static void feed(void)
{
	unlock();
	write16(bar + REG_LOAD, 0x100);
}

static bool timed_out(void)
{
	return read16(bar + REG_LOAD) & 0x200;
}

static void start(void)
{
	check(pci_read(DEVFN, 0) == ID, "watchdog-id");
	bar = pci_read(DEVFN, 0x10) & ~0xfu;
	pci_write(DEVFN, 4, 2);
	pci_write(DEVFN, 0x60, 3); /* no interrupt, 1 kHz */
	unlock();
	write32(bar, STAGE);
	unlock();
	write32(bar + 4, STAGE);
	feed();
	pci_write(DEVFN, 0x68, 2);
}

static void feed_for_long(void)
{
	for (unsigned i = 0; i < FEEDS; i++) {
		delay();
		feed();
	}
	check(!timed_out(), "fed");
}

/* Hangs, with a number in a register by which the dump is known. */
void case_watchdog_hang(const struct start_info *info)
{
	start();
	feed_for_long();
	put("hanging\n");
	__asm__ volatile("movabs $0x5afe5afe5afe5afe, %%r14; 1: cli; hlt; jmp 1b" ::: "r14");
}

/* Stops feeding, and sees it expire. */
void case_watchdog_late(const struct start_info *info)
{
	start();
	put("late\n");
	while (!timed_out())
		delay();
	put("expired\n");
	power_off();
}

/* Is warned by an NMI, and comes to its senses. */
void case_watchdog_nmi(const struct start_info *info)
{
	irq_setup();
	start();
	check(irq_wait(1), "nmi");
	feed_for_long();
	power_off();
}

/* Feeds, and counts aloud. */
void case_watchdog_count(const struct start_info *info)
{
	start();
	for (uint64_t n = 0;; n++) {
		feed();
		put_value("count", n);
		delay();
	}
}
