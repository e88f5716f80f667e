/* SPDX-License-Identifier: BSD-3-Clause */
/* The arm64 board: console, clock, power key, device tree. Its GIC and timers are KVM's. */
#include "machine/board.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "machine/arm64/boot.h"
#include "machine/arm64/dtree.h"
#include "machine/arm64/layout.h"
#include "machine/arm64/pl011.h"
#include "machine/arm64/pl031.h"
#include "machine/arm64/pl061.h"
#include "machine/arm64/sbsa_wdt.h"
#include "machine/pflash.h"

struct board_own {
	struct pl011 uart;
	struct pl031 rtc;
	struct pl061 gpio;
	struct sbsa_wdt watchdog;
	struct pflash flash[2]; /* a firmware's code and variables */
	bool has_uart, has_watchdog, has_flash;
	uint8_t *dtb; /* the user's device tree, or NULL */
	size_t dtb_len;
};

const struct board_places board_places = {
	.ecam = ARM64_ECAM,
	.ecam_len = ARM64_ECAM_SIZE,
	.pci_window = ARM64_PCI_WINDOW,
	.pci_irq = ARM64_SPI_PCI,
	.mmio = ARM64_MMIO,
	.mmio_stride = ARM64_MMIO_STRIDE,
	.mmio_irq = ARM64_SPI_MMIO,
	.mmio_nirqs = BOARD_MMIO_MAX,
};

int board_ram(uint64_t size, struct board_ram ram[BOARD_RAM_MAX], struct err *e)
{
	if (size > ARM64_RAM_MAX)
		return err_set(e, -ENOSPC,
			"memory: this board has room for %" PRIu64
			" bytes of RAM, not for %" PRIu64,
			ARM64_RAM_MAX, size);
	ram[0] = (struct board_ram){ ARM64_RAM, size };
	return 1;
}

int board_own_init(struct board *b, machine_event_fn *event, void *arg, struct err *e)
{
	struct board_own *own = calloc(1, sizeof(*own));
	int rc;

	if (!own)
		return err_set(e, -ENOMEM, "no memory for the board");
	b->own = own;
	rc = pl031_init(&own->rtc, b->vmm, ARM64_RTC, ARM64_SPI_RTC, e);
	return rc ? rc : pl061_init(&own->gpio, b->vmm, ARM64_GPIO, ARM64_SPI_GPIO, e);
}

void board_own_finish(struct board *b)
{
	if (!b->own)
		return;
	sbsa_wdt_finish(&b->own->watchdog);
	pflash_finish(&b->own->flash[1]);
	pflash_finish(&b->own->flash[0]);
	pl011_finish(&b->own->uart);
	pl061_finish(&b->own->gpio);
	pl031_finish(&b->own->rtc);
	free(b->own->dtb);
	free(b->own);
	b->own = NULL;
}

int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e)
{
	int rc = pl011_init(&b->own->uart, b->vmm, ARM64_UART, ARM64_SPI_UART, in_fd, out_fd, e);

	b->own->has_uart = !rc;
	return rc;
}

/* The host's virtual counter is its physical one, that of the guest is behind it (CNTVOFF_EL2). */
static uint64_t guest_counter(void *arg)
{
	const struct vmm *vmm = arg;
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v)::"memory");
	return v - vmm->counter_offset;
}

int board_add_watchdog(struct board *b, machine_event_fn *event, void *arg, struct err *e)
{
	struct sbsa_wdt_conf conf = {
		.refresh = ARM64_WDT_REFRESH,
		.control = ARM64_WDT_CONTROL,
		.irq = ARM64_SPI_WDT,
		.counter = guest_counter,
		.counter_arg = b->vmm,
		.event = event,
		.arg = arg,
	};
	uint64_t frequency;
	int rc;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
	conf.frequency = (uint32_t)frequency;
	if (!conf.frequency)
		return err_set(e, -ENOTSUP,
			"watchdog: the host does not say how fast its counter is (CNTFRQ_EL0)");
	rc = sbsa_wdt_init(&b->own->watchdog, b->vmm, &conf, e);
	b->own->has_watchdog = !rc;
	return rc;
}

/* The file is read before the jail closes; it goes to the guest when all devices are known. */
static int read_dtb(struct board *b, struct err *e)
{
	struct boot_file f = { .fd = -1 };
	autoclose int fd = -1;
	int rc = boot_open(&b->boot, &f, b->boot.dtb, "dtb", e);

	fd = f.fd;
	if (rc)
		return rc;
	if (!f.size || f.size > ARM64_DTB_SIZE / 2)
		return err_set(e, -EINVAL,
			"the device tree %s has %" PRIu64 " bytes; it may have %u", f.path, f.size,
			ARM64_DTB_SIZE / 2);
	b->own->dtb_len = f.size;
	b->own->dtb = malloc(f.size);
	if (!b->own->dtb)
		return err_set(e, -ENOMEM, "no memory for the device tree");
	return boot_read(&f, 0, b->own->dtb, f.size, "device tree", e);
}

/* A firmware runs from flash; it finds the device tree at the start of RAM. */
static int load_firmware(struct board *b, struct err *e)
{
	struct pflash *flash = b->own->flash;
	struct boot_file f = { .fd = -1 };
	autoclose int fd = -1;
	int rc = boot_open(&b->boot, &f, b->boot.firmware, "firmware", e);

	fd = f.fd;
	if (rc)
		return rc;
	if (!f.size || f.size > ARM64_FLASH_SIZE)
		return err_set(e, -EINVAL,
			"the firmware %s has %" PRIu64 " bytes; the flash takes 1 to %u", f.path,
			f.size, ARM64_FLASH_SIZE);
	rc = pflash_init(&flash[0], b->vmm, ARM64_FLASH, "firmware", fd, false, e);
	if (!rc)
		rc = pflash_init(&flash[1], b->vmm, ARM64_FLASH + ARM64_FLASH_SIZE,
			"UEFI variables", b->boot.vars_fd, b->boot.vars_fd >= 0, e);
	b->own->has_flash = !rc;
	b->boot.protocol = BOOT_ARM64;
	b->boot.entry = ARM64_FLASH;
	b->boot.info = ARM64_DTB;
	return rc;
}

int board_load(struct board *b, struct err *e)
{
	int rc;

	b->boot.gm = &b->vmm->gm;
	rc = b->boot.firmware ? load_firmware(b, e) : boot_load_arm64(&b->boot, e);
	return rc || !b->boot.dtb ? rc : read_dtb(b, e);
}

static int make_chosen(const struct boot *boot, struct dtree_chosen *c, struct err *e)
{
	*c = (struct dtree_chosen){
		.cmdline = boot->cmdline,
		.initrd_addr = boot->initrd_addr,
		.initrd_len = boot->initrd_len,
		.seeded = true,
	};
	if (getrandom(&c->kaslr_seed, sizeof(c->kaslr_seed), 0) != sizeof(c->kaslr_seed) ||
		getrandom(c->rng_seed, sizeof(c->rng_seed), 0) != sizeof(c->rng_seed))
		return err_sys(e, -EIO, "the host gives no random numbers for the guest's seeds");
	return 0;
}

int board_describe(struct board *b, unsigned ncpus, struct err *e)
{
	struct dtree_board t = {
		.ncpus = ncpus,
		.ram = b->vmm->gm.r[0].size,
		.uart = b->own->has_uart,
		.watchdog = b->own->has_watchdog,
		.flash = b->own->has_flash,
		.pci_high = b->vmm->addr_bits >= ARM64_PCI_HIGH_BITS,
		.nmmio = b->nmmio,
		.scmi_protocols = b->scmi_protocols,
		.scmi_voltages = b->scmi_voltages,
	};
	void *at = gm_ptr(&b->vmm->gm, b->boot.info, ARM64_DTB_SIZE);
	int rc;

	if (!at)
		return err_set(
			e, -ENOSPC, "no RAM for the device tree, 2M at 0x%" PRIx64, b->boot.info);
	rc = make_chosen(&b->boot, &t.chosen, e);
	if (rc)
		return rc;
	if (!b->own->dtb)
		return dtree_build(&t, at, ARM64_DTB_SIZE, e);
	memcpy(at, b->own->dtb, b->own->dtb_len);
	return dtree_adopt(&t.chosen, at, b->own->dtb_len, ARM64_DTB_SIZE, b->boot.dtb, e);
}

void board_hold(struct board *b, bool hold)
{
	if (b->own->has_watchdog)
		sbsa_wdt_hold(&b->own->watchdog, hold);
}

bool board_power_button(struct board *b)
{
	return pl061_press(&b->own->gpio, ARM64_GPIO_POWER_KEY);
}

bool board_sleep_button(struct board *b)
{
	return pl061_press(&b->own->gpio, ARM64_GPIO_SLEEP_KEY);
}
