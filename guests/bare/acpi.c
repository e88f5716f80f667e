/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI (6.5, chapter 5) as far as this platform needs it: fixed tables, and three patterns of AML
 * that are found without an interpreter: \_S5, virtio-mmio devices (LNRO0005) and literal _PRT
 * packages. Tables come from outside: nothing in them is taken for granted.
 */
#include "guests/bare/bare_priv.h"

#define TABLE_MAX   (256u << 10)
#define TABLES_MAX  64u
#define DEVICES_MAX 1024u /* in one table; each may hold others */
#define HEADER_LEN  36u
#define AML_NAME    0x08u
#define AML_BYTE    0x0au
#define AML_WORD    0x0bu
#define AML_DWORD   0x0cu
#define AML_STRING  0x0du
#define AML_PACKAGE 0x12u
#define AML_BUFFER  0x11u
#define AML_EXT	    0x5bu
#define AML_DEVICE  0x82u
#define GAS_MEMORY  0u
#define GAS_IO	    1u

/* A table, or a part of one; reads beyond its end give 0. */
struct bytes {
	const uint8_t *p;
	uint32_t len;
};

static uint64_t get(const struct bytes *b, uint32_t at, unsigned n)
{
	uint64_t v = 0;

	if (at > b->len || n > b->len - at)
		return 0;
	for (unsigned i = n; i-- > 0;)
		v = v << 8 | b->p[at + i];
	return v;
}

static bool is(const struct bytes *b, uint32_t at, const char *text, unsigned n)
{
	return at <= b->len && n <= b->len - at && !memcmp(b->p + at, text, n);
}

static bool sums_up(const uint8_t *p, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return !sum;
}

/* The table at an address; empty if it is none. */
static struct bytes table(uint64_t addr)
{
	struct bytes none = { 0 };
	const uint8_t *p;
	struct bytes b;

	if (!addr || !bare_map(addr, HEADER_LEN))
		return none;
	p = (const uint8_t *)(uintptr_t)addr;
	b = (struct bytes){ p, HEADER_LEN };
	b.len = (uint32_t)get(&b, 4, 4);
	if (b.len < HEADER_LEN || b.len > TABLE_MAX || !bare_map(addr, b.len) || !sums_up(p, b.len))
		return none;
	return b;
}

/* AML. */

/* PkgLength (20.2.4) at `at`: where the package ends, and in *at what follows the length. */
static uint32_t package_end(const struct bytes *b, uint32_t *at)
{
	uint32_t start = *at, lead = (uint32_t)get(b, start, 1), more = lead >> 6;
	uint32_t len = more ? (lead & 0xf) | (uint32_t)get(b, start + 1, more) << 4 : lead & 0x3f;

	*at = start + 1 + more;
	return len <= b->len - (start < b->len ? start : b->len) ? start + len : b->len;
}

/* An integer constant; false if there is something else. */
static bool constant(const struct bytes *b, uint32_t *at, uint32_t *v)
{
	uint8_t op = (uint8_t)get(b, *at, 1);
	unsigned n = op == AML_BYTE ? 1 : op == AML_WORD ? 2 : op == AML_DWORD ? 4 : 0;

	if (*at >= b->len || (op > 1 && !n))
		return false;
	*v = n ? (uint32_t)get(b, *at + 1, n) : op;
	*at += 1 + n;
	return true;
}

/* \_S5: the sleep types of PM1a and PM1b. */
static void find_s5(const struct bytes *b, struct bare_acpi_off *off)
{
	for (uint32_t i = HEADER_LEN; i + 8 < b->len; i++) {
		uint32_t at = i + 5, a = 0, bb = 0;

		if (!is(b, i, "_S5_", 4) || get(b, i + 4, 1) != AML_PACKAGE)
			continue;
		package_end(b, &at);
		at++; /* number of elements */
		if (!constant(b, &at, &a) || !constant(b, &at, &bb))
			continue;
		off->type_a = a & 7;
		off->type_b = bb & 7;
		off->known = true;
		return;
	}
}

/* Resources (6.4) of a device: the first memory range and interrupt. */
static void read_resources(const struct bytes *b, struct bare_mmio *m)
{
	uint32_t at = 0;

	while (at < b->len) {
		uint8_t tag = (uint8_t)get(b, at, 1);
		uint32_t len = tag & 0x80 ? 3 + (uint32_t)get(b, at + 1, 2) : 1 + (tag & 7u);

		if (tag == 0x86 && !m->len) { /* 32-bit fixed memory */
			m->base = get(b, at + 4, 4);
			m->len = get(b, at + 8, 4);
		} else if (tag == 0x8a && !m->len && get(b, at + 3, 1) == 0) { /* QWord memory */
			m->base = get(b, at + 14, 8);
			m->len = get(b, at + 38, 8);
		} else if (tag == 0x89 && !m->line.valid) { /* extended interrupt */
			uint8_t flags = (uint8_t)get(b, at + 3, 1);

			m->line = (struct bare_line){ (uint32_t)get(b, at + 5, 4), true,
				!(flags & 2), flags & 4 };
		} else if ((tag & 0xf8) == 0x78) {
			return;
		}
		at += len;
	}
}

/* A device object: a virtio-mmio device if LNRO0005 is in it. */
static void read_device(const struct bytes *b)
{
	struct bare_mmio m = { 0 };
	bool virtio = false;

	for (uint32_t i = 0; i < b->len; i++) {
		uint32_t at = i + 6, end, len;
		struct bytes resources;

		virtio |= is(b, i, "LNRO0005", 8);
		if (!is(b, i, "_CRS", 4) || get(b, i + 4, 1) != AML_BUFFER)
			continue;
		at = i + 5;
		end = package_end(b, &at);
		if (!constant(b, &at, &len) || at > end)
			continue;
		resources = (struct bytes){ b->p + at, end - at };
		read_resources(&resources, &m);
	}
	if (virtio)
		bare_add_mmio(m.base, m.len, &m.line);
}

/* One entry of a _PRT: {address, pin, 0, GSI}, all of them literal. */
static void read_route(const struct bytes *b, struct bare_pci *pci)
{
	uint32_t at = 1, v[4]; /* after the number of elements */

	for (unsigned i = 0; i < 4; i++)
		if (!constant(b, &at, &v[i]))
			return;
	if (v[2] == 0 && v[1] < 4 && pci->nintx < BARE_INTX_MAX)
		pci->intx[pci->nintx++] = (struct bare_intx){ v[0] >> 16 & 0x1f,
			(uint8_t)(v[1] + 1), { v[3], true, true, false } };
}

static void read_prt(const struct bytes *b, struct bare_pci *pci)
{
	uint32_t at = 1;

	while (at < b->len && get(b, at, 1) == AML_PACKAGE) {
		struct bytes entry;
		uint32_t end;

		at++;
		end = package_end(b, &at);
		if (end < at)
			return;
		entry = (struct bytes){ b->p + at, end - at };
		read_route(&entry, pci);
		at = end;
	}
}

static void find_prt(const struct bytes *b, struct bare_pci *pci)
{
	for (uint32_t i = HEADER_LEN; i + 8 < b->len; i++) {
		uint32_t at = i + 6, end;

		if (get(b, i, 1) != AML_NAME || !is(b, i + 1, "_PRT", 4) ||
			get(b, i + 5, 1) != AML_PACKAGE)
			continue;
		end = package_end(b, &at);
		if (end > at) {
			struct bytes body = { b->p + at, end - at };

			read_prt(&body, pci);
		}
	}
}

static void read_aml(const struct bytes *b)
{
	unsigned devices = 0;

	find_s5(b, &bare.acpi);
	find_prt(b, &bare.info.pci);
	for (uint32_t i = HEADER_LEN; i + 8 < b->len && devices < DEVICES_MAX; i++) {
		uint32_t at = i + 2, end;

		if (get(b, i, 1) != AML_EXT || get(b, i + 1, 1) != AML_DEVICE)
			continue;
		end = package_end(b, &at);
		if (end > at) {
			struct bytes device = { b->p + at, end - at };

			read_device(&device);
			devices++;
		}
	}
}

/* Fixed tables. */

/* A Generic Address Structure: the port, or 0. */
static uint16_t gas_port(const struct bytes *t, uint32_t at)
{
	return get(t, at, 1) == GAS_IO ? (uint16_t)get(t, at + 4, 8) : 0;
}

static void read_fadt(const struct bytes *t)
{
	struct bare_acpi_off *off = &bare.acpi;
	uint64_t dsdt = get(t, 140, 8);
	uint32_t flags = (uint32_t)get(t, 112, 4);
	uint16_t arm = (uint16_t)get(t, 129, 2);
	struct bytes b = table(dsdt ? dsdt : get(t, 40, 4));

	if (b.len && is(&b, 0, "DSDT", 4))
		read_aml(&b);
	off->port_a = gas_port(t, 172);
	off->port_b = gas_port(t, 184);
	if (!off->port_a)
		off->port_a = (uint16_t)get(t, 64, 4);
	if (!off->port_b)
		off->port_b = (uint16_t)get(t, 68, 4);
	off->events = gas_port(t, 148);
	if (!off->events)
		off->events = (uint16_t)get(t, 56, 4);
	bare.pm_timer = (uint16_t)get(t, 76, 4);
	if (flags & 1u << 20) { /* hardware-reduced */
		off->sleep_control = get(t, 244, 1) == GAS_MEMORY ? get(t, 248, 8) : 0;
		off->port_a = gas_port(t, 244);
		off->port_b = 0;
		off->events = 0;
		bare.pm_timer = 0;
	}
	off->reset = flags & 1u << 10;
	off->reset_space = (uint8_t)get(t, 116, 1);
	off->reset_addr = get(t, 120, 8);
	off->reset_value = (uint8_t)get(t, 128, 1);
	if (arm & 1) {
		bare.psci = true;
		bare.psci_smc = !(arm & 2);
		bare.info.off = "PSCI";
	} else if (off->known && (off->port_a || off->sleep_control)) {
		bare.info.off = "ACPI";
	}
}

static void read_madt(const struct bytes *t)
{
	uint32_t at = 44, len;

	for (; at + 2 <= t->len; at += len) {
		uint8_t type = (uint8_t)get(t, at, 1);

		len = (uint32_t)get(t, at + 1, 1);
		if (len < 2)
			return;
		if (type == 0 || type == 9) { /* a processor, enabled */
			bare.info.ncpus += get(t, at + (type ? 8 : 4), 4) & 1;
		} else if (type == 1 && bare.nioapics < 4) {
			bare.ioapics[bare.nioapics++] = (struct bare_ioapic){ get(t, at + 4, 4),
				(uint32_t)get(t, at + 8, 4) };
		} else if (type == 11) { /* GIC processor interface */
			bare.info.ncpus += get(t, at + 12, 4) & 1;
			bare.gic.cpu = get(t, at + 32, 8);
		} else if (type == 12) {
			bare.gic.distributor = get(t, at + 8, 8);
			bare.gic.version = (unsigned)get(t, at + 20, 1);
		} else if (type == 14) {
			bare.gic.redist =
				(struct bare_range){ get(t, at + 4, 8), get(t, at + 12, 4) };
		}
	}
}

static void read_mcfg(const struct bytes *t)
{
	struct bare_pci *pci = &bare.info.pci;

	if (t->len < 60 || get(t, 52, 2) != 0)
		return;
	pci->ecam = get(t, 44, 8);
	pci->first_bus = (uint8_t)get(t, 54, 1);
	pci->last_bus = (uint8_t)get(t, 55, 1);
	bare.info.has_pci = pci->ecam != 0;
}

/* Serial port console: a PL011 (or SBSA's subset of it) in memory. */
static void read_spcr(const struct bytes *t)
{
	uint8_t type = (uint8_t)get(t, 36, 1);

	if ((type == 3 || type == 0xd || type == 0xe) && get(t, 40, 1) == GAS_MEMORY)
		bare.uart = get(t, 44, 8);
}

static void read_table(uint64_t addr)
{
	struct bytes t = table(addr);

	if (is(&t, 0, "FACP", 4))
		read_fadt(&t);
	else if (is(&t, 0, "APIC", 4))
		read_madt(&t);
	else if (is(&t, 0, "MCFG", 4))
		read_mcfg(&t);
	else if (is(&t, 0, "SPCR", 4))
		read_spcr(&t);
	else if (is(&t, 0, "SSDT", 4))
		read_aml(&t);
}

bool bare_acpi(uint64_t rsdp)
{
	struct bytes r = { (const uint8_t *)(uintptr_t)rsdp, HEADER_LEN };
	unsigned width = 4, n;
	struct bytes root;

	if (!bare_map(rsdp, HEADER_LEN) || !is(&r, 0, "RSD PTR ", 8) || !sums_up(r.p, 20))
		return false;
	root = (struct bytes){ 0 };
	if (get(&r, 15, 1) >= 2) {
		root = table(get(&r, 24, 8));
		width = 8;
	}
	if (!root.len) {
		root = table(get(&r, 16, 4));
		width = 4;
	}
	if (!root.len)
		return false;
	n = (root.len - HEADER_LEN) / width;
	for (unsigned i = 0; i < n && i < TABLES_MAX; i++)
		read_table(get(&root, HEADER_LEN + i * width, width));
	return true;
}
