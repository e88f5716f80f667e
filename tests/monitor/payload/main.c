/* SPDX-License-Identifier: BSD-3-Clause */
/* The test payload: the command line names the case; the serial port tells what was found. */
#include "rt.h"

static void on_info(const struct start_info *info)
{
	const struct memmap_entry *map = ptr(info->memmap);
	const struct module_entry *mod = ptr(info->modlist);

	put_value("magic", info->magic);
	put_value("version", info->version);
	for (uint32_t i = 0; i < info->memmap_entries; i++) {
		put("map ");
		put_hex(map[i].addr);
		put(" ");
		put_hex(map[i].size);
		put_value("", map[i].type);
	}
	put_value("modules", info->nr_modules);
	if (info->nr_modules) {
		put_value("module-size", mod->size);
		put("module-text ");
		put(ptr(mod->addr)); /* the test ends its file with a zero byte */
		put("\n");
	}
	put_value("rsdp", info->rsdp);
	power_off();
}

static void on_reset(const struct start_info *info)
{
	outb(0xcf9, 6);
	put("still here\n");
}

static void on_i8042(const struct start_info *info)
{
	outb(0x64, 0xfe);
	put("still here\n");
}

static void on_triple(const struct start_info *info)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

static void on_spin(const struct start_info *info)
{
	put("spinning\n");
	for (;;)
		__asm__ volatile("pause");
}

static volatile uint32_t ap_alive;
void (*volatile ap_entry)(void);

void payload_ap(void)
{
	if (ap_entry)
		ap_entry();
	/* Its local APIC id, so that it is known to be another one. */
	ap_alive = 1 + (read32(0xfee00020) >> 24);
}

/* Starts the second processor as the MP specification says: INIT, SIPI. */
static void on_ap(const struct start_info *info)
{
	uint8_t *low = ptr(0x8000);
	uint64_t limit;

	irq_setup();
	for (size_t i = 0; i < (size_t)(ap_end - ap_start); i++)
		low[i] = ap_start[i];
	write32(0xfee00310, 1u << 24);
	write32(0xfee00300, 0x4500);
	delay();
	write32(0xfee00310, 1u << 24);
	write32(0xfee00300, 0x4608);
	limit = rdtsc() + 20000000000ull;
	while (!ap_alive && rdtsc() < limit)
		__asm__ volatile("pause");
	put_value("second-cpu", ap_alive);
	power_off();
}

/* The power button: SCI is line 9 of the IOAPIC, its status is PM1. */
static void on_button(const struct start_info *info)
{
	outw(0x602, 1 << 8);
	put("waiting\n");
	while (!(inw(0x600) & (1 << 8)))
		__asm__ volatile("pause");
	put("pressed\n");
	outw(0x600, 1 << 8);
	check(!(inw(0x600) & (1 << 8)), "status-cleared");
	power_off();
}

static void on_tables(const struct start_info *info)
{
	const char *rsdp = ptr(info->rsdp);
	uint8_t sum = 0;

	for (unsigned i = 0; i < 36; i++)
		sum = (uint8_t)(sum + (uint8_t)rsdp[i]);
	check(same(rsdp, "RSD PTR ", 8), "rsdp-signature");
	check(!sum, "rsdp-checksum");
	check(same(ptr(*(uint64_t *)ptr(info->rsdp + 24)), "XSDT", 4), "xsdt-signature");
	power_off();
}

static void on_cpuid(const struct start_info *info)
{
	uint32_t eax, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
	put_value("cpus", (ebx >> 16) & 0xff);
	check(ecx >> 31, "hypervisor");
	__asm__ volatile("cpuid"
			 : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx)
			 : "a"(0x40000000), "c"(0));
	check(ebx == 0x4b4d564b, "kvm-signature");
	power_off();
}

static void on_counter(const struct start_info *info)
{
	put_value("counter", rdtsc());
	power_off();
}

/* Addresses where nothing is read as ones, and swallow writes. */
static void on_nothing(const struct start_info *info)
{
	write32(0xfd000000, 0x12345678);
	check(read32(0xfd000000) == 0xffffffff, "mmio-nothing");
	outb(0x2f8, 1);
	check(inb(0x2f8) == 0xff, "port-nothing");
	check(pci_read(9 << 3, 0) == 0xffffffff, "slot-empty");
	power_off();
}

static void on_off(const struct start_info *info)
{
	power_off();
}

static const struct {
	const char *name;
	void (*run)(const struct start_info *info);
} cases[] = {
	{ "info", on_info },
	{ "reset", on_reset },
	{ "i8042", on_i8042 },
	{ "triple", on_triple },
	{ "spin", on_spin },
	{ "off", on_off },
	{ "ap", on_ap },
	{ "button", on_button },
	{ "tables", on_tables },
	{ "cpuid", on_cpuid },
	{ "counter", on_counter },
	{ "nothing", on_nothing },
	{ "pci", case_pci },
	{ "intx", case_intx },
	{ "mmio", case_mmio },
	{ "suspend", case_suspend },
	{ "suspend-lost", case_lost },
	{ "many-pci", case_many_pci },
	{ "many-mmio", case_many_mmio },
	{ "pins", case_pins },
	{ "watchdog-hang", case_watchdog_hang },
	{ "watchdog-late", case_watchdog_late },
	{ "watchdog-nmi", case_watchdog_nmi },
	{ "watchdog-count", case_watchdog_count },
};

void payload_main(const struct start_info *info)
{
	const char *word = ptr(info->cmdline);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (same(cases[i].name, word, length(cases[i].name) + 1))
			cases[i].run(info);
	put("no such case: ");
	put(word);
	put("\n");
	power_off();
}
