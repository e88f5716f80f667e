/* SPDX-License-Identifier: BSD-3-Clause */
/* The time stamp counter, and how fast it runs: from CPUID, from KVM, or measured. */
#include "guests/bare/x86/x86.h"

#define NS_PER_S      UINT64_C(1000000000)
#define KVM_LEAF      0x40000000u
#define KVM_CLOCK     (1u << 3) /* in EAX of the leaf after it */
#define KVM_CLOCK_MSR 0x4b564d01u
#define TIMING_LEAF   0x40000010u
#define PM_HZ	      UINT64_C(3579545)
#define PM_MASK	      0xffffffu
#define PIT_HZ	      UINT64_C(1193182)
#define PIT_TICKS     11932u /* 10 ms */
#define PIT_DATA      0x40u
#define PIT_COMMAND   0x43u
#define TRIES	      100000u

/* How KVM describes the counter (Linux, Documentation/virt/kvm/x86/msr.rst). */
struct kvm_clock {
	uint32_t version, pad0;
	uint64_t tsc, ns;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags, pad[2];
} __attribute__((aligned(64)));

/* There is one counter. */
static struct {
	uint64_t start, multiplier; /* nanoseconds << 32 per tick */
} tsc;

static uint64_t hz_of_cpuid(void)
{
	struct x86_cpuid c;

	if (x86_cpuid(0).a < 0x15)
		return 0;
	c = x86_cpuid(0x15);
	return c.a && c.b && c.c ? (uint64_t)c.c * c.b / c.a : 0;
}

/* The generic timing leaf of several hypervisors: kHz. */
static uint64_t hz_of_hypervisor(void)
{
	if (!(x86_cpuid(1).c >> 31) || x86_cpuid(KVM_LEAF).a < TIMING_LEAF)
		return 0;
	return (uint64_t)x86_cpuid(TIMING_LEAF).a * 1000;
}

static uint64_t hz_of_kvm(void)
{
	static struct kvm_clock clock;
	struct x86_cpuid c = x86_cpuid(KVM_LEAF);
	uint64_t hz;

	/* "KVMKVMKVM" */
	if (!(x86_cpuid(1).c >> 31) || c.b != 0x4b4d564b || c.c != 0x564b4d56 || c.d != 0x4d ||
		!(x86_cpuid(KVM_LEAF + 1).a & KVM_CLOCK))
		return 0;
	wrmsr(KVM_CLOCK_MSR, (uintptr_t)&clock | 1);
	__asm__ volatile("" ::: "memory");
	wrmsr(KVM_CLOCK_MSR, 0);
	if (!clock.multiplier)
		return 0;
	/* ns = (ticks << shift) * multiplier >> 32 */
	hz = (NS_PER_S << 32) / clock.multiplier;
	return clock.shift < 0 ? hz << -clock.shift : hz >> clock.shift;
}

static uint64_t hz_of_pm_timer(void)
{
	uint32_t first, now, ticks = 0;
	uint64_t from, to;

	if (!bare.pm_timer)
		return 0;
	first = inl(bare.pm_timer);
	from = rdtsc();
	for (unsigned i = 0; i < TRIES && ticks < PM_HZ / 100; i++) {
		now = inl(bare.pm_timer);
		ticks = (now - first) & PM_MASK;
	}
	to = rdtsc();
	return ticks >= PM_HZ / 100 ? (to - from) * PM_HZ / ticks : 0;
}

static uint16_t pit_now(void)
{
	uint8_t low;

	outb(PIT_COMMAND, 0); /* latch channel 0 */
	low = inb(PIT_DATA);
	return (uint16_t)(low | inb(PIT_DATA) << 8);
}

/* Channel 0 counts down; nobody gets its interrupt. */
static uint64_t hz_of_pit(void)
{
	uint16_t first, ticks = 0;
	uint64_t from, to;

	outb(PIT_COMMAND, 0x30); /* low and high byte, count down once */
	outb(PIT_DATA, 0xff);
	outb(PIT_DATA, 0xff);
	first = pit_now();
	from = rdtsc();
	for (unsigned i = 0; i < TRIES && ticks < PIT_TICKS; i++)
		ticks = (uint16_t)(first - pit_now());
	to = rdtsc();
	return ticks >= PIT_TICKS ? (to - from) * PIT_HZ / ticks : 0;
}

static const struct {
	const char *name;
	uint64_t (*hz)(void);
	bool measured;
} sources[] = {
	{ "TSC, CPUID leaf 0x15", hz_of_cpuid, false },
	{ "TSC, CPUID leaf 0x40000010", hz_of_hypervisor, false },
	{ "TSC, KVM clock", hz_of_kvm, false },
	{ "TSC, measured with the ACPI timer", hz_of_pm_timer, true },
	{ "TSC, measured with the PIT", hz_of_pit, true },
};

#define NSOURCES (sizeof(sources) / sizeof(sources[0]))

void x86_time_init(void)
{
	struct bare_info *info = &bare.info;

	for (unsigned i = 0; i < NSOURCES && !info->clock_hz; i++) {
		info->clock = sources[i].name;
		info->clock_hz = sources[i].hz();
	}
	if (!info->clock_hz)
		bare_fatal("nothing tells the frequency of the time stamp counter, CPUID",
			x86_cpuid(1).a);
	tsc.start = rdtsc();
	tsc.multiplier = (NS_PER_S << 32) / info->clock_hz;
}

uint32_t bare_arch_clock_rate(void)
{
	for (unsigned i = 0; i < NSOURCES; i++) {
		uint64_t hz = sources[i].measured && sources[i].name != bare.info.clock
				      ? sources[i].hz()
				      : 0;

		if (hz)
			return (uint32_t)(hz * 1000 / (bare.info.clock_hz / 1000));
	}
	return 0;
}

uint64_t bare_arch_time(void)
{
	return (uint64_t)((unsigned __int128)(rdtsc() - tsc.start) * tsc.multiplier >> 32);
}
