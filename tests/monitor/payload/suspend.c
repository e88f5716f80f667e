/* SPDX-License-Identifier: BSD-3-Clause */
/* Suspend to RAM: ACPI S3, asked for by the sleep button, and the way back in real mode. */
#include "rt.h"

#define PM1_STATUS 0x600
#define PM1_ENABLE 0x602
#define PM1_CNT	   0x604
#define POWER	   (1u << 8)
#define SLEEP	   (1u << 9)
#define WAKE	   (1u << 15)
#define WAKE_AT	   0x8000u

static volatile uint32_t kept;

/* The table with this signature; ACPI 6.5, 5.2.8. */
static uint64_t find_table(const struct start_info *info, const char *signature)
{
	uint64_t xsdt = *(uint64_t *)ptr(info->rsdp + 24);
	uint32_t n = (read32(xsdt + 4) - 36) / 8;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = *(uint64_t *)ptr(xsdt + 36 + 8 * i);

		if (same(ptr(at), signature, 4))
			return at;
	}
	return 0;
}

static void wait_for(uint16_t bit)
{
	outw(PM1_ENABLE, bit);
	while (!(inw(PM1_STATUS) & bit))
		__asm__ volatile("pause");
	outw(PM1_STATUS, bit);
}

static void woken(void)
{
	check(kept == 0x5eed, "memory-kept");
	check(inw(PM1_STATUS) & WAKE, "wake-status");
	outw(PM1_STATUS, WAKE);
	check(!(inw(PM1_STATUS) & WAKE), "wake-status-cleared");
	put("woken\n");
	wait_for(POWER);
	power_off();
}

static void suspend(const struct start_info *info, uint32_t vector)
{
	uint64_t fadt = find_table(info, "FACP"), facs = fadt ? read32(fadt + 36) : 0;
	uint8_t *low = ptr(WAKE_AT);

	check(facs && same(ptr(facs), "FACS", 4), "facs");
	for (size_t i = 0; i < (size_t)(ap_end - ap_start); i++)
		low[i] = ap_start[i];
	kept = 0x5eed;
	put("waiting\n");
	wait_for(SLEEP);
	write32(facs + 12, vector);
	ap_entry = woken;
	put("sleeping\n");
	outw(PM1_CNT, 1u << 10 | 1u << 13);
	put("FAILED still here\n");
	power_off();
}

void case_suspend(const struct start_info *info)
{
	suspend(info, WAKE_AT);
}

void case_lost(const struct start_info *info)
{
	suspend(info, 0);
}
