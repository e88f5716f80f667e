/* SPDX-License-Identifier: BSD-3-Clause */
/* arm64: serial port, time, power. */
#include "guests/bare/arm64/arm64.h"

#define UART_DATA	  0x00u
#define UART_FLAGS	  0x18u
#define UART_BAUD	  0x24u
#define UART_LINE	  0x2cu
#define UART_CONTROL	  0x30u
#define UART_FULL	  (1u << 5)
#define UART_8_BITS_FIFO  0x70u
#define UART_ON		  0x301u
#define WAIT_MAX	  1000000u
#define GPIO_EVENT	  0x40cu /* PL061: which edge of a line counts, */
#define GPIO_STATUS	  0x414u /* came since, */
#define GPIO_CLEAR	  0x41cu /* and is forgotten */
#define NS_PER_S	  UINT64_C(1000000000)
#define NAP_NS		  UINT64_C(2000000) /* the longest sleep without a look */
#define PSCI_SYSTEM_OFF	  UINT64_C(0x84000008)
#define PSCI_SYSTEM_RESET UINT64_C(0x84000009)

extern const uint8_t bare_vectors[];

void bare_arm64_fault(uint64_t vector, uint64_t syndrome, uint64_t address, uint64_t fault)
	__attribute__((noreturn));

/* The counter. */
static struct {
	uint64_t start, multiplier; /* nanoseconds << 32 per tick */
} counter;

static uint64_t ticks(void)
{
	uint64_t v;

	isb();
	READ_REG("cntvct_el0", v);
	return v;
}

uint64_t bare_arch_time(void)
{
	return (uint64_t)((unsigned __int128)(ticks() - counter.start) * counter.multiplier >> 32);
}

static void time_init(void)
{
	struct bare_info *info = &bare.info;

	READ_REG("cntfrq_el0", info->clock_hz);
	info->clock = "generic timer, CNTFRQ";
	if (!info->clock_hz)
		bare_fatal("the frequency of the generic timer (CNTFRQ_EL0) is", 0);
	counter.start = ticks();
	counter.multiplier = (NS_PER_S << 32) / info->clock_hz;
}

void bare_arch_write(const char *text, size_t len)
{
	for (; bare.uart && len; len--) {
		for (unsigned i = 0;
			i < WAIT_MAX && bare_read32(bare.uart + UART_FLAGS) & UART_FULL; i++)
			;
		bare_write32(bare.uart + UART_DATA, (uint8_t)*text++);
	}
}

/* What is printed before this goes out as the firmware, or nobody, set it up. */
static void serial_init(void)
{
	if (!bare.uart || !bare_map(bare.uart, 0x1000))
		return;
	bare_write32(bare.uart + UART_LINE, UART_8_BITS_FIFO);
	bare_write32(bare.uart + UART_CONTROL, UART_ON);
}

/* Everything that matters is in the description. */
void bare_arch_describe(void)
{
}

uint32_t bare_arch_pci_read(uint16_t bdf, uint16_t offset, unsigned width)
{
	return UINT32_MAX;
}

void bare_arch_pci_write(uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
}

/* The generic timer is the only one that every machine has. */
uint32_t bare_arch_clock_rate(void)
{
	return 0;
}

bool bare_arch_random(uint64_t *v)
{
	uint64_t isar, failed;

	READ_REG("id_aa64isar0_el1", isar);
	if (!(isar >> 60))
		return false;
	__asm__ volatile("mrs %0, s3_3_c2_c4_0; cset %1, eq" : "=r"(*v), "=r"(failed)::"cc");
	return !failed;
}

/* Edges are remembered, whether they are to interrupt or not. */
static void button_init(void)
{
	uint32_t line;

	if (!bare.gpio || !bare.power_key || !bare_map(bare.gpio, 0x1000))
		return;
	line = 1u << (bare.power_key - 1);
	bare_write32(bare.gpio + GPIO_EVENT, bare_read32(bare.gpio + GPIO_EVENT) | line);
	bare_write32(bare.gpio + GPIO_CLEAR, line);
}

void bare_arch_init(void)
{
	uint64_t level;

	READ_REG("CurrentEL", level);
	serial_init();
	if (level >> 2 != 1)
		bare_fatal("this guest runs at EL1; it was started at EL", level >> 2);
	bare_arch_irq_off();
	WRITE_REG("vbar_el1", (uint64_t)(uintptr_t)bare_vectors);
	isb();
	time_init();
	arm64_gic_init();
	button_init();
	bare_arch_irq_on();
}

void bare_arch_irq_off(void)
{
	__asm__ volatile("msr daifset, #2" ::: "memory");
}

void bare_arch_irq_on(void)
{
	__asm__ volatile("msr daifclr, #2" ::: "memory");
}

/* wfi ends with an interrupt that is pending, masked or not. */
void bare_arch_sleep(uint32_t total, uint64_t until)
{
	uint64_t now = bare_time(), ns = until > now ? until - now : 0;

	bare_arch_irq_off();
	if (bare_irq_total() == total && ns) {
		uint64_t wait = (ns < NAP_NS ? ns : NAP_NS) * (bare.info.clock_hz / 1000000) / 1000;

		WRITE_REG("cntv_cval_el0", ticks() + wait);
		WRITE_REG("cntv_ctl_el0", UINT64_C(1));
		isb();
		__asm__ volatile("dsb sy; wfi" ::: "memory");
		WRITE_REG("cntv_ctl_el0", UINT64_C(0));
		isb();
	}
	bare_arch_irq_on();
}

/* Messages of arm64 are for its ITS, which this platform does not drive. */
bool bare_arch_msi(unsigned slot, uint64_t *addr, uint32_t *data)
{
	return false;
}

static void psci(uint64_t function)
{
	register uint64_t x0 __asm__("x0") = function;

	if (bare.psci && bare.psci_smc)
		__asm__ volatile("smc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
	else if (bare.psci)
		__asm__ volatile("hvc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
}

bool bare_button(void)
{
	uint32_t line = bare.gpio && bare.power_key ? 1u << (bare.power_key - 1) : 0;

	if (!line || !(bare_read32(bare.gpio + GPIO_STATUS) & line))
		return false;
	bare_write32(bare.gpio + GPIO_CLEAR, line);
	return true;
}

void bare_arch_power_off(void)
{
	psci(PSCI_SYSTEM_OFF);
}

void bare_arch_reset(void)
{
	psci(PSCI_SYSTEM_RESET);
}

void bare_arch_halt(void)
{
	bare_arch_irq_off();
	for (;;)
		__asm__ volatile("wfi");
}

void bare_arm64_fault(uint64_t vector, uint64_t syndrome, uint64_t address, uint64_t fault)
{
	bare_put("bare: exception ");
	bare_put_dec(vector);
	bare_put(" syndrome ");
	bare_put_hex(syndrome);
	bare_put(" at ");
	bare_put_hex(address);
	bare_put(" address ");
	bare_put_hex(fault);
	bare_put("\n");
	bare_power_off();
}
