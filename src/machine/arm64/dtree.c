/* SPDX-License-Identifier: BSD-3-Clause */
/* The device tree, node by node, written front to back with libfdt. */
#include "machine/arm64/dtree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "machine/arm64/layout.h"
#include "machine/pci_host.h"

/* Phandles: numbers by which nodes refer to each other. */
#define PH_GIC	 1u
#define PH_ITS	 2u
#define PH_CLOCK 3u
#define PH_GPIO	 4u

/* Interrupt specifiers of the GIC (bindings/interrupt-controller/arm,gic-v3.yaml). */
#define GIC_SPI	       0u
#define GIC_PPI	       1u
#define GIC_LEVEL_HIGH 4u

/* Generic timer and GIC maintenance: PPIs as the Server Base System Architecture has them. */
#define PPI_TIMER_SECURE  13u
#define PPI_TIMER	  14u
#define PPI_TIMER_VIRTUAL 11u
#define PPI_TIMER_HYP	  10u

#define PL_CLOCK_HZ 24000000u
/* Linux, input-event-codes.h */
#define KEY_POWER 116u
#define KEY_SLEEP 142u

/* PCI address cells (IEEE 1275 PCI binding, 2.2.1.1). */
#define PCI_SPACE_IO	0x01000000u
#define PCI_SPACE_MEM32 0x02000000u
#define PCI_SPACE_MEM64 0x03000000u
#define PCI_SLOT_SHIFT	11u
#define CELLS_MAX	24u

/* Protocol numbers of SCMI (DEN0056E, 4.1.2.1). */
#define SCMI_PROTOCOL_FIRST 0x10u
#define SCMI_VOLTAGE	    7u

#define HI(v) ((uint32_t)((uint64_t)(v) >> 32))
#define LO(v) ((uint32_t)(v))

/* A tree that is being written; the first failure counts. */
struct writer {
	void *fdt;
	int rc; /* of libfdt */
};

static void begin(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void begin(struct writer *w, const char *fmt, ...)
{
	char name[48];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (!w->rc)
		w->rc = fdt_begin_node(w->fdt, name);
}

static void end(struct writer *w)
{
	if (!w->rc)
		w->rc = fdt_end_node(w->fdt);
}

static void prop(struct writer *w, const char *name, const void *data, size_t len)
{
	if (!w->rc)
		w->rc = fdt_property(w->fdt, name, data, (int)len);
}

static void prop_empty(struct writer *w, const char *name)
{
	prop(w, name, NULL, 0);
}

static void prop_string(struct writer *w, const char *name, const char *s)
{
	prop(w, name, s, strlen(s) + 1);
}

static void prop_u64(struct writer *w, const char *name, uint64_t v)
{
	fdt64_t cells = cpu_to_fdt64(v);

	prop(w, name, &cells, sizeof(cells));
}

static void prop_cells(struct writer *w, const char *name, const uint32_t *v, unsigned n)
{
	fdt32_t cells[CELLS_MAX];

	for (unsigned i = 0; i < n; i++)
		cells[i] = cpu_to_fdt32(v[i]);
	prop(w, name, cells, n * sizeof(cells[0]));
}

static void prop_u32(struct writer *w, const char *name, uint32_t v)
{
	prop_cells(w, name, &v, 1);
}

/* Address and length of one range of registers. */
static void prop_reg(struct writer *w, uint64_t addr, uint64_t len)
{
	prop_cells(w, "reg", (const uint32_t[]){ HI(addr), LO(addr), HI(len), LO(len) }, 4);
}

/* Of two. */
static void prop_reg2(struct writer *w, uint64_t addr, uint64_t len, uint64_t addr2, uint64_t len2)
{
	prop_cells(w, "reg",
		(const uint32_t[]){ HI(addr), LO(addr), HI(len), LO(len), HI(addr2), LO(addr2),
			HI(len2), LO(len2) },
		8);
}

static void prop_spi(struct writer *w, uint32_t spi)
{
	prop_cells(w, "interrupts", (const uint32_t[]){ GIC_SPI, spi, GIC_LEVEL_HIGH }, 3);
}

static void add_chosen(struct writer *w, const struct dtree_board *b)
{
	const struct dtree_chosen *c = &b->chosen;

	begin(w, "chosen");
	prop_string(w, "bootargs", c->cmdline ? c->cmdline : "");
	if (b->uart)
		prop_string(w, "stdout-path", "/pl011@9000000");
	if (c->initrd_len) {
		prop_u64(w, "linux,initrd-start", c->initrd_addr);
		prop_u64(w, "linux,initrd-end", c->initrd_addr + c->initrd_len);
	}
	if (c->seeded) {
		prop_u64(w, "kaslr-seed", c->kaslr_seed);
		prop(w, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
	}
	end(w);
}

uint64_t dtree_mpidr(unsigned id)
{
	return (id & 0xf) | (uint64_t)(id >> 4 & 0xff) << 8 | (uint64_t)(id >> 12 & 0xff) << 16;
}

static void add_cpus(struct writer *w, unsigned ncpus)
{
	begin(w, "cpus");
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	for (unsigned i = 0; i < ncpus; i++) {
		begin(w, "cpu@%x", LO(dtree_mpidr(i)));
		prop_string(w, "device_type", "cpu");
		prop_string(w, "compatible", "arm,armv8");
		prop_u32(w, "reg", LO(dtree_mpidr(i)));
		prop_string(w, "enable-method", "psci");
		end(w);
	}
	end(w);
}

static void add_psci(struct writer *w)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(w, "psci");
	prop(w, "compatible", compatible, sizeof(compatible));
	prop_string(w, "method", "hvc");
	end(w);
}

static void add_memory(struct writer *w, uint64_t size)
{
	begin(w, "memory@%x", ARM64_RAM);
	prop_string(w, "device_type", "memory");
	prop_reg(w, ARM64_RAM, size);
	end(w);
}

static void add_timer(struct writer *w)
{
	static const char compatible[] = "arm,armv8-timer\0arm,armv7-timer";

	begin(w, "timer");
	prop(w, "compatible", compatible, sizeof(compatible));
	prop_empty(w, "always-on");
	prop_cells(w, "interrupts",
		(const uint32_t[]){ GIC_PPI, PPI_TIMER_SECURE, GIC_LEVEL_HIGH, GIC_PPI, PPI_TIMER,
			GIC_LEVEL_HIGH, GIC_PPI, PPI_TIMER_VIRTUAL, GIC_LEVEL_HIGH, GIC_PPI,
			PPI_TIMER_HYP, GIC_LEVEL_HIGH },
		12);
	end(w);
}

static void add_gic(struct writer *w, unsigned ncpus)
{
	begin(w, "intc@%x", ARM64_GICD);
	prop_string(w, "compatible", "arm,gic-v3");
	prop_u32(w, "#interrupt-cells", 3);
	prop_empty(w, "interrupt-controller");
	prop_reg2(w, ARM64_GICD, ARM64_GICD_SIZE, ARM64_GICR, (uint64_t)ncpus * ARM64_GICR_SIZE);
	prop_u32(w, "#redistributor-regions", 1);
	prop_u32(w, "phandle", PH_GIC);
	prop_u32(w, "#address-cells", 2);
	prop_u32(w, "#size-cells", 2);
	prop_empty(w, "ranges");
	begin(w, "its@%x", ARM64_ITS);
	prop_string(w, "compatible", "arm,gic-v3-its");
	prop_empty(w, "msi-controller");
	prop_u32(w, "#msi-cells", 1);
	prop_reg(w, ARM64_ITS, ARM64_ITS_SIZE);
	prop_u32(w, "phandle", PH_ITS);
	end(w);
	end(w);
}

static void add_clock(struct writer *w)
{
	begin(w, "apb-pclk");
	prop_string(w, "compatible", "fixed-clock");
	prop_u32(w, "#clock-cells", 0);
	prop_u32(w, "clock-frequency", PL_CLOCK_HZ);
	prop_string(w, "clock-output-names", "clk24mhz");
	prop_u32(w, "phandle", PH_CLOCK);
	end(w);
}

/* A PrimeCell but for what only its kind has; the node stays open. */
static void begin_primecell(struct writer *w, const char *part, uint32_t addr, uint32_t spi)
{
	char compatible[32];
	int n = snprintf(compatible, sizeof(compatible), "arm,%s%carm,primecell", part, 0);

	begin(w, "%s@%x", part, addr);
	prop(w, "compatible", compatible, (size_t)n + 1);
	prop_reg(w, addr, ARM64_PL_SIZE);
	prop_spi(w, spi);
}

static void add_uart(struct writer *w)
{
	static const char names[] = "uartclk\0apb_pclk";

	begin_primecell(w, "pl011", ARM64_UART, ARM64_SPI_UART);
	prop_cells(w, "clocks", (const uint32_t[]){ PH_CLOCK, PH_CLOCK }, 2);
	prop(w, "clock-names", names, sizeof(names));
	end(w);
}

static void add_rtc(struct writer *w)
{
	begin_primecell(w, "pl031", ARM64_RTC, ARM64_SPI_RTC);
	prop_u32(w, "clocks", PH_CLOCK);
	prop_string(w, "clock-names", "apb_pclk");
	end(w);
}

/* Each also wakes a guest that sleeps. */
static void add_key(
	struct writer *w, const char *name, const char *label, uint32_t code, uint32_t line)
{
	begin(w, "%s", name);
	prop_string(w, "label", label);
	prop_u32(w, "linux,code", code);
	prop_cells(w, "gpios", (const uint32_t[]){ PH_GPIO, line, 0 }, 3);
	prop_empty(w, "wakeup-source");
	end(w);
}

static void add_keys(struct writer *w)
{
	begin_primecell(w, "pl061", ARM64_GPIO, ARM64_SPI_GPIO);
	prop_empty(w, "gpio-controller");
	prop_u32(w, "#gpio-cells", 2);
	prop_u32(w, "clocks", PH_CLOCK);
	prop_string(w, "clock-names", "apb_pclk");
	prop_u32(w, "phandle", PH_GPIO);
	end(w);

	begin(w, "gpio-keys");
	prop_string(w, "compatible", "gpio-keys");
	add_key(w, "poweroff", "GPIO Key Poweroff", KEY_POWER, ARM64_GPIO_POWER_KEY);
	add_key(w, "sleep", "GPIO Key Sleep", KEY_SLEEP, ARM64_GPIO_SLEEP_KEY);
	end(w);
}

static void add_flash(struct writer *w)
{
	begin(w, "flash@%x", ARM64_FLASH);
	prop_string(w, "compatible", "cfi-flash");
	prop_reg2(
		w, ARM64_FLASH, ARM64_FLASH_SIZE, ARM64_FLASH + ARM64_FLASH_SIZE, ARM64_FLASH_SIZE);
	prop_u32(w, "bank-width", 4);
	end(w);
}

static void add_watchdog(struct writer *w)
{
	begin(w, "watchdog@%x", ARM64_WDT_CONTROL);
	prop_string(w, "compatible", "arm,sbsa-gwdt");
	prop_reg2(w, ARM64_WDT_CONTROL, ARM64_WDT_SIZE, ARM64_WDT_REFRESH, ARM64_WDT_SIZE);
	prop_spi(w, ARM64_SPI_WDT);
	end(w);
}

static void add_virtio_mmio(struct writer *w, unsigned i)
{
	uint32_t addr = ARM64_MMIO + i * ARM64_MMIO_STRIDE;

	begin(w, "virtio_mmio@%x", addr);
	prop_string(w, "compatible", "virtio,mmio");
	prop_reg(w, addr, ARM64_MMIO_STRIDE);
	prop_spi(w, ARM64_SPI_MMIO + i);
	prop_empty(w, "dma-coherent");
	end(w);
}

/* Four lines shared by all slots, in a pattern that comes again after four of them. */
static void add_interrupt_map(struct writer *w)
{
	fdt32_t map[PCI_HOST_PINS * PCI_HOST_PINS * 10], *at = map;

	for (uint32_t slot = 0; slot < PCI_HOST_PINS; slot++) {
		for (uint32_t pin = 0; pin < PCI_HOST_PINS; pin++) {
			const uint32_t row[] = { slot << PCI_SLOT_SHIFT, 0, 0, pin + 1, PH_GIC, 0,
				0, GIC_SPI, ARM64_SPI_PCI + pci_host_line(slot, (uint8_t)(pin + 1)),
				GIC_LEVEL_HIGH };

			for (unsigned i = 0; i < ARRAY_LEN(row); i++)
				*at++ = cpu_to_fdt32(row[i]);
		}
	}
	prop(w, "interrupt-map", map, sizeof(map));
	prop_cells(w, "interrupt-map-mask",
		(const uint32_t[]){ (PCI_HOST_PINS - 1) << PCI_SLOT_SHIFT, 0, 0, 7 }, 4);
}

static void add_ranges(struct writer *w, bool high)
{
	const uint32_t ranges[] = { PCI_SPACE_IO, 0, 0, 0, ARM64_PCI_IO, 0, ARM64_PCI_IO_SIZE, /* */
		PCI_SPACE_MEM32, 0, ARM64_PCI_WINDOW, 0, ARM64_PCI_WINDOW, 0,
		ARM64_PCI_WINDOW_SIZE, /* */
		PCI_SPACE_MEM64, HI(ARM64_PCI_HIGH), LO(ARM64_PCI_HIGH), HI(ARM64_PCI_HIGH),
		LO(ARM64_PCI_HIGH), HI(ARM64_PCI_HIGH_SIZE), LO(ARM64_PCI_HIGH_SIZE) };

	prop_cells(w, "ranges", ranges, high ? 21 : 14);
}

static void add_pci(struct writer *w, bool high)
{
	begin(w, "pcie@%x", ARM64_PCI_WINDOW);
	prop_string(w, "compatible", "pci-host-ecam-generic");
	prop_string(w, "device_type", "pci");
	prop_u32(w, "#address-cells", 3);
	prop_u32(w, "#size-cells", 2);
	prop_u32(w, "#interrupt-cells", 1);
	prop_u32(w, "linux,pci-domain", 0);
	prop_cells(w, "bus-range", (const uint32_t[]){ 0, ARM64_ECAM_BUSES - 1 }, 2);
	prop_reg(w, ARM64_ECAM, ARM64_ECAM_SIZE);
	add_ranges(w, high);
	add_interrupt_map(w);
	prop_cells(w, "msi-map", (const uint32_t[]){ 0, PH_ITS, 0, 0x10000 }, 4);
	prop_empty(w, "dma-coherent");
	end(w);
}

/* A protocol of SCMI, with what others need to refer to its resources (Linux,
 * bindings/firmware/arm,scmi.yaml). The node stays open. */
static void begin_protocol(struct writer *w, unsigned i)
{
	static const char *const cells[] = {
		[1] = "#power-domain-cells",
		[3] = "#power-domain-cells",
		[4] = "#clock-cells",
		[5] = "#thermal-sensor-cells",
		[6] = "#reset-cells",
	};

	begin(w, "protocol@%x", SCMI_PROTOCOL_FIRST + i);
	prop_u32(w, "reg", SCMI_PROTOCOL_FIRST + i);
	if (i < ARRAY_LEN(cells) && cells[i])
		prop_u32(w, cells[i], 1);
}

/* Linux has a regulator for each of these that has a node. */
static void add_regulators(struct writer *w, uint32_t n)
{
	begin(w, "regulators");
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	for (uint32_t i = 0; i < n; i++) {
		begin(w, "regulator@%x", i);
		prop_u32(w, "reg", i);
		end(w);
	}
	end(w);
}

static void add_scmi(struct writer *w, uint32_t protocols, uint32_t voltages)
{
	begin(w, "firmware");
	begin(w, "scmi");
	prop_string(w, "compatible", "arm,scmi-virtio");
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	/* The base protocol has no node. */
	for (unsigned i = 1; i < 32; i++) {
		if (!(protocols >> i & 1))
			continue;
		begin_protocol(w, i);
		if (i == SCMI_VOLTAGE && voltages)
			add_regulators(w, voltages);
		end(w);
	}
	end(w);
	end(w);
}

static void add_machine(struct writer *w, const struct dtree_board *b)
{
	add_cpus(w, b->ncpus);
	add_psci(w);
	add_memory(w, b->ram);
	add_timer(w);
	add_gic(w, b->ncpus);
	add_clock(w);
	if (b->uart)
		add_uart(w);
	add_rtc(w);
	add_keys(w);
	if (b->flash)
		add_flash(w);
	if (b->watchdog)
		add_watchdog(w);
	for (unsigned i = 0; i < b->nmmio; i++)
		add_virtio_mmio(w, i);
	add_pci(w, b->pci_high);
	if (b->scmi_protocols)
		add_scmi(w, b->scmi_protocols, b->scmi_voltages);
}

static int failed(int rc, struct err *e)
{
	if (rc == -FDT_ERR_NOSPACE)
		return err_set(e, -ENOSPC, "the device tree is too large");
	return err_set(e, -EINVAL, "cannot write the device tree: %s", fdt_strerror(rc));
}

int dtree_build(const struct dtree_board *b, void *buf, size_t len, struct err *e)
{
	struct writer w = { .fdt = buf };

	w.rc = fdt_create(buf, (int)len);
	if (!w.rc)
		w.rc = fdt_finish_reservemap(buf);
	begin(&w, "%s", "");
	prop_string(&w, "compatible", "linux,dummy-virt");
	prop_string(&w, "model", "avp");
	prop_u32(&w, "#address-cells", 2);
	prop_u32(&w, "#size-cells", 2);
	prop_u32(&w, "interrupt-parent", PH_GIC);
	begin(&w, "aliases");
	if (b->uart)
		prop_string(&w, "serial0", "/pl011@9000000");
	end(&w);
	add_chosen(&w, b);
	add_machine(&w, b);
	end(&w);
	if (!w.rc)
		w.rc = fdt_finish(buf);
	return w.rc ? failed(w.rc, e) : 0;
}

size_t dtree_size(const void *fdt)
{
	return fdt_totalsize(fdt);
}

/* The node /chosen, made if it is not there; or a failure of libfdt. */
static int find_chosen(void *fdt)
{
	int node = fdt_subnode_offset(fdt, 0, "chosen");

	return node == -FDT_ERR_NOTFOUND ? fdt_add_subnode(fdt, 0, "chosen") : node;
}

/* Each change may move what is behind it, but /chosen itself stays. */
static int set_chosen(void *fdt, int node, const struct dtree_chosen *c)
{
	int rc = 0;

	if (c->cmdline)
		rc = fdt_setprop_string(fdt, node, "bootargs", c->cmdline);
	if (!rc && c->initrd_len)
		rc = fdt_setprop_u64(fdt, node, "linux,initrd-start", c->initrd_addr);
	if (!rc && c->initrd_len)
		rc = fdt_setprop_u64(fdt, node, "linux,initrd-end", c->initrd_addr + c->initrd_len);
	if (!rc && c->seeded)
		rc = fdt_setprop_u64(fdt, node, "kaslr-seed", c->kaslr_seed);
	if (!rc && c->seeded)
		rc = fdt_setprop(fdt, node, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
	return rc;
}

int dtree_adopt(const struct dtree_chosen *chosen, void *buf, size_t size, size_t len,
	const char *name, struct err *e)
{
	int node, rc = fdt_check_full(buf, size);

	if (rc)
		return err_set(
			e, -EINVAL, "%s is not a device tree blob: %s", name, fdt_strerror(rc));
	rc = fdt_open_into(buf, buf, (int)len);
	node = rc ? rc : find_chosen(buf);
	if (node >= 0)
		rc = set_chosen(buf, node, chosen);
	else
		rc = node;
	if (!rc)
		rc = fdt_pack(buf);
	if (!rc)
		return 0;
	failed(rc, e);
	return err_prefix(e, "%s", name);
}
