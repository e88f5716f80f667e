/* SPDX-License-Identifier: BSD-3-Clause */
/* RSDP, XSDT, FADT, MADT, MCFG and DSDT (ACPI 6.5, chapter 5), written field by field. */
#include "machine/x86/acpi.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine/pci_host.h"
#include "machine/x86/aml.h"
#include "machine/x86/layout.h"
#include "machine/x86/pm.h"

#define TABLE_ALIGN 16u
#define TABLES_MAX  4u

#define FACS_AT	    64u /* behind the root pointer */
#define FACS_VECTOR 12u /* firmware waking vector (5.2.10) */

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
} __attribute__((packed));

/* Generic Address Structure; access size 0 is undefined, 1 a byte, 2 a word. */
struct gas {
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

struct fadt {
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base;
	uint8_t cst_cnt;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
		x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

#define FADT_WBINVD	 (1u << 0)
#define FADT_RESET_REG	 (1u << 10)
#define FADT_HEADLESS	 (1u << 12)
#define BOOT_NO_VGA	 (1u << 2)
#define BOOT_NO_CMOS_RTC (1u << 5)
#define RESET_VALUE	 6u
#define NO_C2		 0xfffu
#define NO_C3		 0xfffu
#define SPACE_IO	 1u

struct madt {
	struct header h;
	uint32_t lapic, flags;
} __attribute__((packed));

struct madt_cpu {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

#define MADT_PCAT	1u
#define MADT_ENABLED	1u
#define MADT_ALL_CPUS	0xffu
#define MADT_LEVEL_HIGH 0x0du

struct mcfg {
	struct header h;
	uint64_t reserved0, base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} __attribute__((packed));

/* The area being filled. */
struct writer {
	struct aml a;
	uint64_t gpa;
	uint64_t tables[TABLES_MAX]; /* for the XSDT */
	unsigned ntables;
};

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

static struct header make_header(const char *signature, uint8_t revision, size_t len)
{
	struct header h = { .length = (uint32_t)len,
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, "AVP   ", sizeof(h.oem_id));
	memcpy(h.oem_table_id, "AVPX86  ", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "AVP ", sizeof(h.creator_id));
	return h;
}

/* The start of a table, aligned. */
static size_t table_begin(struct writer *w)
{
	const uint8_t zeros[TABLE_ALIGN] = { 0 };

	aml_bytes(&w->a, zeros, (TABLE_ALIGN - w->a.len % TABLE_ALIGN) % TABLE_ALIGN);
	return w->a.len;
}

/* Its length and checksum, now that all is there. Returns its address. */
static uint64_t table_end(struct writer *w, size_t at)
{
	uint32_t len = (uint32_t)(w->a.len - at);
	uint8_t sum;

	if (w->a.full)
		return 0;
	memcpy(w->a.buf + at + offsetof(struct header, length), &len, sizeof(len));
	w->a.buf[at + offsetof(struct header, checksum)] = 0;
	sum = checksum(w->a.buf + at, len);
	w->a.buf[at + offsetof(struct header, checksum)] = sum;
	return w->gpa + at;
}

static void listed(struct writer *w, size_t at)
{
	w->tables[w->ntables++] = table_end(w, at);
}

/* Where a pin of a slot leads: {address, pin from 0, source, gsi}. */
static void put_route(struct aml *a, unsigned slot, uint8_t pin)
{
	size_t entry = aml_package(a, 4);

	aml_int(a, slot << 16 | 0xffff);
	aml_int(a, pin - 1u);
	aml_int(a, 0);
	aml_int(a, BOARD_IRQ_PCI + pci_host_line(slot, pin));
	aml_end(a, entry);
}

static void put_prt(struct aml *a)
{
	size_t prt;

	aml_name(a, "_PRT");
	prt = aml_package(a, (PCI_HOST_SLOTS - 1) * PCI_HOST_PINS);
	for (unsigned slot = 1; slot < PCI_HOST_SLOTS; slot++)
		for (uint8_t pin = 1; pin <= PCI_HOST_PINS; pin++)
			put_route(a, slot, pin);
	aml_end(a, prt);
}

static void put_pci(struct aml *a)
{
	size_t dev = aml_device(a, "PCI0"), crs;

	aml_name_eisa(a, "_HID", "PNP0A08");
	aml_name_eisa(a, "_CID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	aml_name_int(a, "_CCA", 1);
	crs = aml_crs(a);
	aml_res_bus0(a);
	aml_res_io(a, BOARD_PORT_PCI, 8);
	aml_res_mem_window(a, BOARD_PCI_WINDOW, BOARD_PCI_WINDOW + (BOARD_PCI_SIZE - 1));
	aml_crs_end(a, crs);
	put_prt(a);
	aml_end(a, dev);
}

/* What no driver may claim: ECAM, and the ports of power and reset. */
static void put_reserved(struct aml *a)
{
	size_t dev = aml_device(a, "RSVD"), crs;

	aml_name_eisa(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 1);
	crs = aml_crs(a);
	aml_res_mem32_fixed(a, BOARD_ECAM, BOARD_ECAM_SIZE);
	aml_res_io(a, BOARD_PORT_PM1, 8);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static void put_com1(struct aml *a)
{
	size_t dev = aml_device(a, "COM1"), crs;

	aml_name_eisa(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", 1);
	crs = aml_crs(a);
	aml_res_io(a, BOARD_PORT_COM1, 8);
	aml_res_irq(a, BOARD_IRQ_COM1, false, false);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static void put_virtio(struct aml *a, unsigned i)
{
	char name[5];
	size_t dev, crs;

	snprintf(name, sizeof(name), "VR%02X", i & 0xff);
	dev = aml_device(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_int(a, "_UID", i);
	aml_name_int(a, "_CCA", 1);
	crs = aml_crs(a);
	aml_res_mem32_fixed(a, BOARD_VIRTIO_MMIO + i * BOARD_VIRTIO_STRIDE, BOARD_VIRTIO_STRIDE);
	aml_res_irq(a, BOARD_IRQ_VIRTIO + i % BOARD_IRQ_SHARE, true, true);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

/* A sleeping state: its sleep types of PM1a and PM1b. */
static void put_sleep(struct aml *a, const char *name, uint8_t type)
{
	size_t package;

	aml_name(a, name);
	package = aml_package(a, 4);
	aml_int(a, type);
	aml_int(a, type);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_end(a, package);
}

static uint64_t put_dsdt(struct writer *w, const struct acpi_board *b)
{
	struct header h = make_header("DSDT", 2, sizeof(h));
	size_t at = table_begin(w), scope;

	aml_bytes(&w->a, &h, sizeof(h));
	put_sleep(&w->a, "_S3_", PM_SLEEP_RAM);
	put_sleep(&w->a, "_S5_", PM_SLEEP_OFF);
	scope = aml_scope(&w->a, "\\_SB_");
	put_pci(&w->a);
	put_reserved(&w->a);
	if (b->com1)
		put_com1(&w->a);
	for (unsigned i = 0; i < b->nvirtio; i++)
		put_virtio(&w->a, i);
	aml_end(&w->a, scope);
	return table_end(w, at);
}

/* Where the guest puts its waking vector; aligned to 64 bytes (5.2.10). */
static uint64_t put_facs(struct writer *w)
{
	uint8_t facs[64] = "FACS";

	facs[4] = sizeof(facs);
	facs[32] = 2; /* version */
	while (w->a.len < FACS_AT && !w->a.full)
		aml_byte(&w->a, 0);
	aml_bytes(&w->a, facs, sizeof(facs));
	return w->gpa + FACS_AT;
}

uint32_t acpi_waking_vector(const uint8_t *tables)
{
	uint32_t vector;

	memcpy(&vector, tables + FACS_AT + FACS_VECTOR, sizeof(vector));
	return le32toh(vector);
}

static struct gas io_gas(uint16_t port, uint8_t bytes)
{
	return (struct gas){ SPACE_IO, (uint8_t)(8 * bytes), 0, bytes == 1 ? 1 : 2, port };
}

static void put_fadt(struct writer *w, uint64_t dsdt, uint64_t facs)
{
	struct fadt f = {
		.h = make_header("FACP", 6, sizeof(f)),
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.sci_int = BOARD_IRQ_SCI,
		.pm1a_evt = BOARD_PORT_PM1,
		.pm1a_cnt = BOARD_PORT_PM1 + 4,
		.pm1_evt_len = 4,
		.pm1_cnt_len = 2,
		.c2_latency = NO_C2,
		.c3_latency = NO_C3,
		.boot_arch = BOOT_NO_VGA | BOOT_NO_CMOS_RTC,
		.flags = FADT_WBINVD | FADT_RESET_REG | FADT_HEADLESS,
		.reset_reg = io_gas(BOARD_PORT_RESET, 1),
		.reset_value = RESET_VALUE,
		.minor_version = 5,
		.x_dsdt = dsdt,
		.x_pm1a_evt = io_gas(BOARD_PORT_PM1, 4),
		.x_pm1a_cnt = io_gas(BOARD_PORT_PM1 + 4, 2),
	};
	size_t at = table_begin(w);

	memcpy(&f.hypervisor, "AVP     ", sizeof(f.hypervisor));
	aml_bytes(&w->a, &f, sizeof(f));
	listed(w, at);
}

static void put_madt(struct writer *w, const struct acpi_board *b)
{
	struct madt m = { make_header("APIC", 5, sizeof(m)), BOARD_LAPIC, MADT_PCAT };
	struct madt_ioapic io = { 1, sizeof(io), 0, 0, BOARD_IOAPIC, 0 };
	/* The SCI is level-triggered, active high as everything on this board. */
	struct madt_override sci = { 2, sizeof(sci), 0, BOARD_IRQ_SCI, BOARD_IRQ_SCI,
		MADT_LEVEL_HIGH };
	struct madt_nmi nmi = { 4, sizeof(nmi), MADT_ALL_CPUS, 0, 1 };
	size_t at = table_begin(w);

	aml_bytes(&w->a, &m, sizeof(m));
	for (unsigned i = 0; i < b->ncpus; i++) {
		struct madt_cpu cpu = { 0, sizeof(cpu), (uint8_t)i, (uint8_t)i, MADT_ENABLED };

		aml_bytes(&w->a, &cpu, sizeof(cpu));
	}
	aml_bytes(&w->a, &io, sizeof(io));
	aml_bytes(&w->a, &sci, sizeof(sci));
	aml_bytes(&w->a, &nmi, sizeof(nmi));
	listed(w, at);
}

static void put_mcfg(struct writer *w)
{
	struct mcfg m = { .h = make_header("MCFG", 1, sizeof(m)), .base = BOARD_ECAM };
	size_t at = table_begin(w);

	aml_bytes(&w->a, &m, sizeof(m));
	listed(w, at);
}

static uint64_t put_xsdt(struct writer *w)
{
	struct header h = make_header("XSDT", 1, sizeof(h));
	size_t at = table_begin(w);

	aml_bytes(&w->a, &h, sizeof(h));
	aml_bytes(&w->a, w->tables, w->ntables * sizeof(w->tables[0]));
	return table_end(w, at);
}

int acpi_build(
	const struct acpi_board *board, uint8_t *buf, size_t len, uint64_t gpa, struct err *e)
{
	struct writer w = { .a = { .buf = buf, .cap = len }, .gpa = gpa };
	struct rsdp r = { .revision = 2, .length = sizeof(r) };
	uint64_t dsdt, facs;

	aml_bytes(&w.a, &r, sizeof(r));
	facs = put_facs(&w);
	dsdt = put_dsdt(&w, board);
	put_fadt(&w, dsdt, facs);
	put_madt(&w, board);
	put_mcfg(&w);
	r.xsdt = put_xsdt(&w);
	if (w.a.full)
		return err_set(e, -ENOSPC, "the ACPI tables need more than %zu bytes", len);
	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, "AVP   ", sizeof(r.oem_id));
	r.checksum = checksum(&r, offsetof(struct rsdp, length));
	r.checksum_all = checksum(&r, sizeof(r));
	memcpy(buf, &r, sizeof(r));
	return 0;
}
