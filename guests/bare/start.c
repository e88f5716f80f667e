/* SPDX-License-Identifier: BSD-3-Clause */
/* From the start code to bare_main(): the machine's description, memory, then the end. */
#include "guests/bare/bare_priv.h"

#define LOW_END	 UINT64_C(0x100000)  /* x86: below are the firmware's and the loader's things */
#define STALL_NS UINT64_C(100000000) /* later than expected: the computer stood still */

struct bare_machine bare;

void bare_set_cmdline(const char *text, size_t max)
{
	size_t n = 0;

	while (text && n < max && n < sizeof(bare.cmdline) - 1 && text[n]) {
		bare.cmdline[n] = text[n];
		n++;
	}
	bare.cmdline[n] = '\0';
}

void bare_add_ram(uint64_t addr, uint64_t len)
{
	struct bare_info *info = &bare.info;
	uint64_t end;

	if (__builtin_add_overflow(addr, len, &end))
		return;
	if (addr < LOW_END)
		addr = LOW_END;
	if (addr < end && info->nram < BARE_RAM_MAX)
		info->ram[info->nram++] = (struct bare_range){ addr, end - addr };
}

void bare_reserve(uint64_t addr, uint64_t len)
{
	uint64_t end;

	if (!len)
		return;
	if (bare.nreserved == BARE_RESERVED_MAX || __builtin_add_overflow(addr, len, &end))
		bare_fatal("too much memory is in use before the start, at", addr);
	bare.reserved[bare.nreserved++] = (struct bare_range){ addr, len };
}

/* By address: a device tree may have them in any order, QEMU's has the last one first. */
void bare_add_mmio(uint64_t base, uint64_t len, const struct bare_line *line)
{
	struct bare_info *info = &bare.info;
	unsigned at = info->nmmio;

	for (unsigned i = 0; i < info->nmmio; i++)
		if (info->mmio[i].base == base)
			return;
	if (!base || !len || at == BARE_MMIO_MAX)
		return;
	for (; at && info->mmio[at - 1].base > base; at--)
		info->mmio[at] = info->mmio[at - 1];
	info->mmio[at] = (struct bare_mmio){ base, len, *line };
	info->nmmio++;
}

/* Takes [r, r + len) out of range i; what is left behind it becomes a range of its own. */
static void cut(struct bare_info *info, unsigned i, const struct bare_range *r)
{
	uint64_t start = info->ram[i].addr, end = start + info->ram[i].len;
	uint64_t from = r->addr, to = r->addr + r->len;

	if (from >= end || to <= start)
		return;
	info->ram[i].len = from > start ? from - start : 0;
	if (to < end)
		bare_add_ram(to, end - to);
}

/* RAM without what is in use; the largest piece is what bare_alloc() gives out. */
static void find_heap(struct bare_info *info)
{
	struct bare_range best = { 0 };

	for (unsigned r = 0; r < bare.nreserved; r++)
		for (unsigned i = info->nram; i-- > 0;)
			cut(info, i, &bare.reserved[r]);
	for (unsigned i = 0; i < info->nram; i++)
		if (info->ram[i].len > best.len)
			best = info->ram[i];
	if (!best.len || !bare_arch_map(best.addr, best.len))
		bare_fatal("no usable RAM; ranges known", info->nram);
	bare.heap = best.addr;
	bare.heap_end = best.addr + best.len;
}

void *bare_alloc(size_t len, size_t align)
{
	uint64_t at = (bare.heap + align - 1) & ~(uint64_t)(align - 1);

	if (at > bare.heap_end || len > bare.heap_end - at)
		return NULL;
	bare.heap = at + len;
	return memset((void *)(uintptr_t)at, 0, len);
}

void *bare_map(uint64_t addr, uint64_t len)
{
	return len && addr + (len - 1) >= addr ? bare_arch_map(addr, len) : NULL;
}

/* True if a guest's command line says that its computer stands still at times. */
static bool may_stall(void)
{
	char value[2];

	return bare_word(bare.cmdline, "stalls", value, sizeof(value)) > 0 && value[0] == '1';
}

void bare_start(void)
{
	struct bare_info *info = &bare.info;
	int result;

	info->cmdline = bare.cmdline;
	if (!info->off && bare.efi_reset)
		info->off = "EFI";
	/* A device tree has been read already: its user needed to know where the RAM is. */
	if (info->dtb || (info->rsdp && !bare_acpi(info->rsdp)))
		info->rsdp = 0;
	bare_arch_describe();
	find_heap(info);
	bare_arch_init();
	bare.stalls = may_stall();
	bare.seen = bare_arch_time();
	result = bare_main(info);
	if (result) {
		bare_put("bare: main returned ");
		bare_put_hex((uint64_t)(int64_t)result);
		bare_put("\n");
	}
	bare_power_off();
}

uint64_t bare_time(void)
{
	uint64_t now = bare_arch_time(), due = bare.due > bare.seen ? bare.due : bare.seen;

	if (!bare.stalls)
		return now;
	if (now > due && now - due > STALL_NS)
		bare.stood += now - bare.seen;
	bare.seen = now;
	bare.due = 0;
	return now - bare.stood;
}

uint64_t bare_due(uint64_t until)
{
	if (__builtin_add_overflow(until, bare.stood, &bare.due))
		bare.due = UINT64_MAX;
	return bare.due;
}

uint32_t bare_clock_rate(void)
{
	return bare_arch_clock_rate();
}

bool bare_random(uint64_t *v)
{
	return bare_arch_random(v);
}

int bare_word(const char *line, const char *key, char *value, size_t size)
{
	const char *s = line;

	while (*s) {
		size_t k = 0, n = 0;

		while (*s && *s <= ' ')
			s++;
		while (key[k] && s[k] == key[k])
			k++;
		if (!key[k] && s[k] == '=') {
			for (s += k + 1; *s > ' ' && n + 1 < size; s++)
				value[n++] = *s;
			if (size)
				value[n] = '\0';
			return (int)n;
		}
		while (*s > ' ')
			s++;
	}
	return -1;
}

void bare_power_off(void)
{
	if (bare.efi_reset)
		bare.efi_reset(true);
	bare_arch_power_off();
	bare_put("bare: the machine cannot be switched off\n");
	bare_arch_halt();
}

void bare_reset(void)
{
	if (bare.efi_reset)
		bare.efi_reset(false);
	bare_arch_reset();
	bare_put("bare: the machine cannot be reset\n");
	bare_arch_halt();
}

void bare_fatal(const char *what, uint64_t value)
{
	bare_put("bare: ");
	bare_put(what);
	bare_put(" ");
	bare_put_hex(value);
	bare_put("\n");
	bare_power_off();
}
