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
};

void payload_ap(void)
{
}

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
