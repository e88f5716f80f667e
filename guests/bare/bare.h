/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The platform of bare-metal guests: start code, serial output, time, interrupts, memory, power.
 * One thread on one processor, no library. A guest is one function:
 *
 *     int bare_main(struct bare_info *info)
 *     {
 *             bare_put("hello\n");
 *             return 0;
 *     }
 *
 * When it returns, the machine is switched off. The same source makes four images
 * (guests/bare/meson.build): an x86-64 ELF file with a PVH entry, an arm64 Image, and EFI
 * applications for both. What differs between machines is found out from the device tree or ACPI.
 *
 * Everything is mapped at its physical address. Integer code only: no floating point, no SIMD.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BARE_RAM_MAX  32
#define BARE_MMIO_MAX 128
#define BARE_INTX_MAX 128

/* How the guest was started. */
enum bare_boot { BARE_PVH, BARE_LINUX, BARE_EFI };

struct bare_range {
	uint64_t addr, len;
};

/* An interrupt line: a GSI (x86) or an interrupt number of the GIC, as the machine describes it. */
struct bare_line {
	uint32_t number;
	bool valid, level, low; /* level-triggered, active low */
};

/* A place where a virtio-mmio device may be. Its DeviceID is 0 if there is none. */
struct bare_mmio {
	uint64_t base, len;
	struct bare_line line;
};

/* The line of INTA#..INTD# (pin 1..4) of a device. */
struct bare_intx {
	uint8_t device, pin;
	struct bare_line line;
};

/* A PCI host bridge. */
struct bare_pci {
	uint64_t ecam; /* configuration space; 0: ports 0xcf8 and 0xcfc */
	uint8_t first_bus, last_bus;
	struct bare_range window;   /* for BARs below 4 GiB; length 0: firmware assigned them */
	struct bare_range window64; /* for 64-bit BARs; length 0: none */
	struct bare_intx intx[BARE_INTX_MAX]; /* of the first bus */
	unsigned nintx;
};

/* What is known of the machine. */
struct bare_info {
	enum bare_boot boot;
	const char *cmdline; /* never NULL */
	const void *dtb;     /* NULL: none */
	uint64_t rsdp;	     /* address of ACPI's root pointer; 0: none */
	const char *clock;   /* what the time is measured with */
	uint64_t clock_hz;   /* its frequency */
	const char *off; /* how the machine is switched off: "ACPI", "PSCI" or "EFI"; NULL: nothing
			    describes it, and usual ports are tried */
	struct bare_range ram[BARE_RAM_MAX]; /* free to use */
	unsigned nram;
	struct bare_mmio mmio[BARE_MMIO_MAX];
	unsigned nmmio;
	struct bare_pci pci;
	bool has_pci;
	unsigned ncpus; /* as described; 0: not known */
};

/* The guest's own main function. Its result goes to the serial port if it is not 0. */
int bare_main(struct bare_info *info);

/* Text to the serial port; '\n' becomes CR LF. */
void bare_put(const char *s);
void bare_put_hex(uint64_t v);
void bare_put_dec(uint64_t v);

/* Nanoseconds since the start; never goes back. With stalls=1 on the command line it does not count
 * that the computer stood still, so that no time limit passes while nobody could do anything: for
 * hosts that are frozen, or much too busy, at times. */
uint64_t bare_time(void);
/* Sleeps until an interrupt comes, or `until` at the latest. Returns at once if one came since the
 * last call. */
void bare_wait(uint64_t until);
/* The rate of the clock in parts per million of `clock_hz`, measured with another timer; 0: the
 * machine has none. */
uint32_t bare_clock_rate(void);
/* A random number of the processor's; false: it has no such instruction, or nothing to give now. */
bool bare_random(uint64_t *v);

/* Memory, zeroed, never given back; `align` is a power of two. NULL if there is no more. */
void *bare_alloc(size_t len, size_t align);
/* Makes device registers accessible and returns `addr`; NULL if it is out of reach. */
void *bare_map(uint64_t addr, uint64_t len);

/*
 * Interrupts. An interrupt is known by a small number, its slot. The handler runs with interrupts
 * off and makes a level-triggered device take its line back; without one, a line is only counted.
 * Lines that are used twice get a slot each, and handlers are called in turn.
 */
typedef void (*bare_handler)(void *arg);

/* The slot, or -1: no such line, or no slot left. */
int bare_irq_line(const struct bare_line *line, bare_handler handler, void *arg);
/* A message-signalled interrupt: `data` written to `addr`. The slot, or -1: not on this machine. */
int bare_irq_msi(bare_handler handler, void *arg, uint64_t *addr, uint32_t *data);
/* Keeps interrupts from being handled until it is called with false. bare_wait() does not sleep
 * meanwhile. */
void bare_irq_hold(bool on);
/* How often it came since the last call. */
uint32_t bare_irq_count(int slot);

/* The value of KEY=VALUE in a line of words, such as the command line: its length; -1: not there.
 * It is cut if the buffer is too small. */
int bare_word(const char *line, const char *key, char *value, size_t size);

/* The machine's watchdog, if it has one that this platform knows: from now on the machine is reset
 * unless it is fed again within `ms`. Returns the kind of it; NULL: none. */
const char *bare_watchdog_start(uint32_t ms);
void bare_watchdog_feed(void);

/* True if the power button was pressed since the last call; never where neither fixed ACPI
 * registers nor a key on a PL061 tell of it. */
bool bare_button(void);
void bare_power_off(void) __attribute__((noreturn));
void bare_reset(void) __attribute__((noreturn));
