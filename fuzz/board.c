/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the registers of both boards: PCI and what is on it, virtio-mmio, serial ports, power,
 * clock, keys, watchdogs, flash. A guest may access any address with any width.
 *
 *     again and again   what u8, device u8, offset u32, value u64 (writes only)
 *
 * What: bit 0: a write; bits 1..2: log2 of the width; bit 3: a port; bits 4..5 time that passes
 * before it. Device: which range, or 255 for any address.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "fuzz.h"
#include "machine/arm64/layout.h"
#include "machine/arm64/pl011.h"
#include "machine/arm64/pl031.h"
#include "machine/arm64/pl061.h"
#include "machine/arm64/sbsa_wdt.h"
#include "machine/i6300esb.h"
#include "machine/pci_host.h"
#include "machine/pflash.h"
#include "machine/x86/layout.h"
#include "machine/x86/pci_ports.h"
#include "machine/x86/pm.h"
#include "machine/x86/serial.h"
#include "monitor/fake.h"
#include "transport/mmio.h"
#include "transport/pci.h"

#define RAM	  (1u << 20)
#define ACCESSES  300u
#define FLASH	  UINT64_C(0x8000000000)
#define MMIO	  UINT64_C(0x0a000000)
#define VIRTIO_AT UINT64_C(0x20000000)
#define WDT_BAR	  0x21000000u
#define SLOT	  (1u << 3)
#define WDT_SLOT  (PCI_HOST_BOARD_SLOT << 3)

struct board {
	struct fake_vmm vmm;
	struct fake_backend pci_dev, mmio_dev;
	struct pci_host host;
	struct pci_ports ports;
	struct virtio_pci pci;
	struct virtio_mmio mmio;
	struct serial serial;
	struct pm pm;
	struct i6300esb wdt;
	struct pl011 pl011;
	struct pl031 pl031;
	struct pl061 pl061;
	struct sbsa_wdt sbsa;
	struct pflash flash;
	int flash_fd;
};

static void happened(void *arg, enum machine_event event)
{
}

static uint64_t counter(void *arg)
{
	return ev_now_ns() / 16;
}

static uint8_t *ram(void)
{
	static uint8_t *mem;

	if (!mem)
		mem = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static int common_init(struct board *b, struct vmm *v)
{
	const struct pci_place at = { .requester = SLOT, .bar = VIRTIO_AT, .gsi = 17, .pin = 1 };
	const struct pci_place wdt = { .requester = WDT_SLOT, .bar = WDT_BAR, .gsi = 18, .pin = 1 };
	struct pci_slot slot;

	if (pci_host_init(&b->host, v, BOARD_ECAM, BOARD_ECAM_SIZE, NULL) ||
		virtio_pci_init(&b->pci, v, &b->pci_dev.be, "dev", 0x018000, NULL) ||
		virtio_mmio_init(&b->mmio, v, &b->mmio_dev.be, "mmio", MMIO, 5, NULL) ||
		i6300esb_init(&b->wdt, v, &wdt, happened, b, NULL))
		return -1;
	virtio_pci_place(&b->pci, &at);
	slot = virtio_pci_slot(&b->pci);
	pci_host_set(&b->host, SLOT, &slot);
	slot = i6300esb_slot(&b->wdt);
	pci_host_set(&b->host, WDT_SLOT, &slot);
	return pflash_init(&b->flash, v, FLASH, "flash", b->flash_fd, true, NULL);
}

static int x86_init(struct board *b, struct vmm *v)
{
	return pm_init(&b->pm, v, happened, b, NULL) ||
	       pci_ports_init(&b->ports, v, &b->host, &b->pm.reset, NULL) ||
	       serial_init(&b->serial, v, BOARD_PORT_COM1, BOARD_IRQ_COM1, -1, -1, NULL);
}

static int arm64_init(struct board *b, struct vmm *v)
{
	const struct sbsa_wdt_conf wdt = { .refresh = ARM64_WDT_REFRESH,
		.control = ARM64_WDT_CONTROL,
		.irq = 12,
		.frequency = 62500000,
		.counter = counter,
		.event = happened };

	return pl011_init(&b->pl011, v, ARM64_GPIO + 0x10000, 1, -1, -1, NULL) ||
	       pl031_init(&b->pl031, v, ARM64_GPIO + 0x20000, 2, NULL) ||
	       pl061_init(&b->pl061, v, ARM64_GPIO, 7, NULL) ||
	       sbsa_wdt_init(&b->sbsa, v, &wdt, NULL);
}

static void board_init(struct board *b)
{
	struct vmm *v = &b->vmm.vmm;
	const struct gm_region r = { .size = RAM, .hva = ram(), .fd = -1 };

	memset(b, 0, sizeof(*b));
	fake_vmm_init(&b->vmm);
	b->vmm.vmm.log = fuzz_log();
	b->vmm.vmm.addr_bits = 40;
	if (!r.hva || gm_add(&v->gm, &r, NULL))
		abort();
	fake_backend_init(&b->pci_dev, &v->gm);
	fake_backend_init(&b->mmio_dev, &v->gm);
	b->flash_fd = memfd_create("flash", MFD_CLOEXEC);
	if (b->flash_fd < 0 || ftruncate(b->flash_fd, 2 * PFLASH_BLOCK) || common_init(b, v) ||
		x86_init(b, v) || arm64_init(b, v))
		abort();
}

static void board_finish(struct board *b)
{
	pflash_finish(&b->flash);
	close(b->flash_fd);
	sbsa_wdt_finish(&b->sbsa);
	pl061_finish(&b->pl061);
	pl031_finish(&b->pl031);
	pl011_finish(&b->pl011);
	serial_finish(&b->serial);
	pci_ports_finish(&b->ports);
	pm_finish(&b->pm);
	i6300esb_finish(&b->wdt);
	virtio_mmio_finish(&b->mmio);
	virtio_pci_finish(&b->pci);
	pci_host_finish(&b->host);
	b->vmm.vmm.gm.n = 0;
	fake_vmm_finish(&b->vmm);
}

/* Where the device's registers are, and how many bytes. */
static const struct {
	uint64_t at;
	uint32_t len;
} mmio_ranges[] = {
	{ BOARD_ECAM, 0x1000 },
	{ BOARD_ECAM + SLOT * 0x1000, 0x1000 },
	{ BOARD_ECAM + WDT_SLOT * 0x1000, 0x1000 },
	{ VIRTIO_AT, VIRTIO_PCI_BAR_LEN },
	{ WDT_BAR, 16 },
	{ MMIO, VIRTIO_MMIO_LEN },
	{ ARM64_GPIO, 0x1000 },
	{ ARM64_GPIO + 0x10000, 0x1000 },
	{ ARM64_GPIO + 0x20000, 0x1000 },
	{ ARM64_WDT_REFRESH, 0x1000 },
	{ ARM64_WDT_CONTROL, 0x1000 },
	{ FLASH, 3 * PFLASH_BLOCK },
}, port_ranges[] = {
	{ BOARD_PORT_COM1, 8 },
	{ BOARD_PORT_I8042, 8 },
	{ BOARD_PORT_PCI, 8 },
	{ BOARD_PORT_PM1, 8 },
};

static uint64_t address(bool port, unsigned device, uint32_t offset)
{
	unsigned n = port ? ARRAY_LEN(port_ranges) : ARRAY_LEN(mmio_ranges);

	if (device == UINT8_MAX)
		return port ? offset % 0x10000 : (uint64_t)offset << 8;
	device %= n;
	return port ? port_ranges[device].at + offset % port_ranges[device].len
		    : mmio_ranges[device].at + offset % mmio_ranges[device].len;
}

static void access_one(struct board *b, struct fuzz_in *in)
{
	unsigned what = fuzz_u8(in), device = fuzz_u8(in), len = 1u << (what >> 1 & 3);
	bool port = what & 8;
	struct bus *bus = port ? &b->vmm.vmm.pio : &b->vmm.vmm.mmio;
	uint64_t at = address(port, device, fuzz_u32(in)), value = 0;

	/* Ports have no 8-byte access. */
	if (port && len == 8)
		len = 4;
	fuzz_clock_advance((what >> 4 & 3) * UINT64_C(1000000000));
	if (what & 1) {
		value = fuzz_u64(in);
		bus_write(bus, at, &value, len);
	} else {
		bus_read(bus, at, &value, len);
	}
	fake_run(&b->vmm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct board *b = malloc(sizeof(*b));

	if (!b)
		return 0;
	fuzz_clock_start();
	board_init(b);
	for (unsigned i = 0; i < ACCESSES && in.left; i++)
		access_one(b, &in);
	board_finish(b);
	fuzz_clock_stop();
	free(b);
	return 0;
}
