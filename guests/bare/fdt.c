/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flattened device tree (Devicetree Specification 0.4, chapter 5): one walk that picks up what
 * this platform uses. The tree comes from outside: nothing in it is taken for granted.
 */
#include "guests/bare/bare_priv.h"

#define MAGIC	   0xd00dfeedu
#define TREE_MAX   (4u << 20)
#define DEPTH_MAX  16
#define CELLS_MAX  4u
#define KEY_POWER  116u /* Linux's code of a key */
#define GPIO_LINES 8u	/* of a PL061 */
#define TOKEN_NODE 1u
#define TOKEN_END  2u
#define TOKEN_PROP 3u
#define TOKEN_NOP  4u

struct header {
	uint32_t magic, totalsize, off_struct, off_strings, off_rsvmap, version, last_comp_version;
	uint32_t boot_cpu, size_strings, size_struct;
};

struct prop {
	const uint8_t *data;
	uint32_t len;
};

/* What is remembered of a node while it is open. */
struct node {
	const char *name;
	uint32_t address_cells, size_cells; /* for its children */
	struct prop compatible, reg, interrupts, device_type, method;
	struct prop ranges, bus_range, map, map_mask, gpios, code;
};

struct fdt {
	const uint8_t *structs, *strings;
	uint32_t struct_len, strings_len;
	uint32_t at;
	struct node nodes[DEPTH_MAX];
	unsigned depth; /* open nodes */
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Cell i of a property; 0 beyond its end. */
static uint32_t cell(const struct prop *p, uint32_t i)
{
	return i < p->len / 4 ? be32(p->data + 4 * i) : 0;
}

/* A number of `n` cells; more than two cannot be used and count as the last two. */
static uint64_t number(const struct prop *p, uint32_t i, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t k = 0; k < n; k++)
		v = v << 32 | cell(p, i + k);
	return v;
}

/* True if one of the strings of a property is `text`. */
static bool has(const struct prop *p, const char *text)
{
	uint32_t start = 0;

	for (uint32_t i = 0; i < p->len; i++) {
		if (p->data[i])
			continue;
		if (bare_same((const char *)p->data + start, text))
			return true;
		start = i + 1;
	}
	return false;
}

static struct bare_range range(const struct prop *p, uint32_t i, const struct node *parent)
{
	uint32_t a = parent->address_cells;

	return (struct bare_range){ number(p, i, a), number(p, i + a, parent->size_cells) };
}

/* Interrupt specifier of the GIC: kind, number, flags. */
static struct bare_line gic_line(const struct prop *p, uint32_t i)
{
	uint32_t flags = cell(p, i + 2);
	uint32_t base = cell(p, i) ? 16 : 32; /* private or shared */

	return (struct bare_line){ .number = base + cell(p, i + 1),
		.valid = p->len / 4 >= i + 3,
		.level = flags & 0xc,
		.low = flags & 0xa };
}

static void found_gic(const struct node *n, const struct node *parent, unsigned version)
{
	uint32_t step = parent->address_cells + parent->size_cells;
	struct bare_range second = range(&n->reg, step, parent);

	bare.gic.version = version;
	bare.gic.distributor = range(&n->reg, 0, parent).addr;
	bare.gic.cpu = second.addr;
	bare.gic.redist = second;
}

/* `ranges` of a PCI bridge: three cells of PCI address, parent's address, two cells of size. */
static void found_windows(const struct node *n, const struct node *parent, struct bare_pci *pci)
{
	uint32_t step = 3 + parent->address_cells + 2;

	for (uint32_t i = 0; (i + step) * 4 <= n->ranges.len; i += step) {
		uint32_t space = cell(&n->ranges, i) >> 24 & 3;
		struct bare_range r = { number(&n->ranges, i + 1, 2),
			number(&n->ranges, i + step - 2, 2) };

		/* Only windows where both sides have the same address. */
		if (number(&n->ranges, i + 3, parent->address_cells) != r.addr)
			continue;
		if (space == 2)
			pci->window = r;
		else if (space == 3)
			pci->window64 = r;
	}
}

/* `interrupt-map`: PCI address (3), pin, controller, its unit address, its specifier (3). */
static void found_intx(const struct node *n, struct bare_pci *pci)
{
	uint32_t words = n->map.len / 4, mask = cell(&n->map_mask, 0) >> 11 & 0x1f;
	/* The controller's address cells are not known here; the entry length tells them: pins 1
	 * and 2 of the first device follow each other. */
	uint32_t step = 0;

	for (uint32_t s = 8; s <= 10 && !step; s++)
		if (cell(&n->map, 0) == cell(&n->map, s) && cell(&n->map, 3) == 1 &&
			cell(&n->map, s + 3) == 2)
			step = s;
	for (uint32_t i = 0; step && i + step <= words; i += step)
		for (unsigned device = 0; device < 32; device++) {
			if ((device & mask) != (cell(&n->map, i) >> 11 & mask) ||
				pci->nintx == BARE_INTX_MAX)
				continue;
			pci->intx[pci->nintx++] = (struct bare_intx){ (uint8_t)device,
				(uint8_t)cell(&n->map, i + 3), gic_line(&n->map, i + step - 3) };
		}
}

static void found_pci(const struct node *n, const struct node *parent)
{
	struct bare_pci *pci = &bare.info.pci;

	if (bare.info.has_pci)
		return;
	pci->ecam = range(&n->reg, 0, parent).addr;
	pci->first_bus = (uint8_t)cell(&n->bus_range, 0);
	pci->last_bus = (uint8_t)cell(&n->bus_range, 1);
	found_windows(n, parent, pci);
	found_intx(n, pci);
	bare.info.has_pci = pci->ecam != 0;
}

static void found_memory(const struct node *n, const struct node *parent)
{
	uint32_t step = parent->address_cells + parent->size_cells;

	for (uint32_t i = 0; step && (i + step) * 4 <= n->reg.len; i += step) {
		struct bare_range r = range(&n->reg, i, parent);

		bare_add_ram(r.addr, r.len);
	}
}

/* Two frames: control, refresh. */
static void found_watchdog(const struct node *n, const struct node *parent)
{
	uint32_t step = parent->address_cells + parent->size_cells;

	bare.watchdog.control = range(&n->reg, 0, parent).addr;
	bare.watchdog.refresh = range(&n->reg, step, parent).addr;
}

/* A node is complete. */
static void close_node(const struct node *n, const struct node *parent)
{
	const struct prop *c = &n->compatible;

	if (has(&n->device_type, "memory") && bare.info.boot != BARE_EFI)
		found_memory(n, parent);
	else if (has(&n->device_type, "cpu"))
		bare.info.ncpus++;
	else if (has(c, "virtio,mmio")) {
		struct bare_range r = range(&n->reg, 0, parent);
		struct bare_line line = gic_line(&n->interrupts, 0);

		bare_add_mmio(r.addr, r.len, &line);
	} else if (has(c, "arm,pl011") && !bare.uart)
		bare.uart = range(&n->reg, 0, parent).addr;
	else if (has(c, "arm,pl061"))
		bare.gpio = range(&n->reg, 0, parent).addr;
	else if (cell(&n->code, 0) == KEY_POWER && cell(&n->gpios, 1) < GPIO_LINES)
		bare.power_key = (uint8_t)(1 + cell(&n->gpios, 1));
	else if (has(c, "arm,sbsa-gwdt"))
		found_watchdog(n, parent);
	else if (has(c, "arm,cortex-a15-gic") || has(c, "arm,gic-400"))
		found_gic(n, parent, 2);
	else if (has(c, "arm,gic-v3"))
		found_gic(n, parent, 3);
	else if (has(c, "pci-host-ecam-generic"))
		found_pci(n, parent);
	else if (has(c, "arm,psci-0.2") || has(c, "arm,psci-1.0")) {
		bare.psci = true;
		bare.psci_smc = has(&n->method, "smc");
		bare.info.off = "PSCI";
	}
}

/* How many cells a number has; more than CELLS_MAX are in no bus's addresses. */
static uint32_t cells(const struct prop *p)
{
	uint32_t n = cell(p, 0);

	return n <= CELLS_MAX ? n : CELLS_MAX;
}

/* Properties of a node that are kept until it is complete. */
static void set_prop(struct node *n, const char *name, struct prop p)
{
	const struct {
		const char *name;
		struct prop *prop;
	} known[] = {
		{ "compatible", &n->compatible },
		{ "reg", &n->reg },
		{ "interrupts", &n->interrupts },
		{ "device_type", &n->device_type },
		{ "method", &n->method },
		{ "ranges", &n->ranges },
		{ "bus-range", &n->bus_range },
		{ "interrupt-map", &n->map },
		{ "interrupt-map-mask", &n->map_mask },
		{ "gpios", &n->gpios },
		{ "linux,code", &n->code },
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (bare_same(name, known[i].name))
			*known[i].prop = p;
	if (bare_same(name, "#address-cells"))
		n->address_cells = cells(&p);
	else if (bare_same(name, "#size-cells"))
		n->size_cells = cells(&p);
}

/* What /chosen says: the command line, and where an initial RAM disk is. */
static void set_chosen(const char *name, struct prop p, struct bare_range *initrd)
{
	if (bare_same(name, "bootargs"))
		bare_set_cmdline((const char *)p.data, p.len);
	else if (bare_same(name, "linux,initrd-start"))
		initrd->addr = number(&p, 0, p.len / 4);
	else if (bare_same(name, "linux,initrd-end"))
		initrd->len = number(&p, 0, p.len / 4);
}

/* The next token of the structure block; TOKEN_NOP is skipped. 0 at its end. */
static uint32_t token(struct fdt *f)
{
	while (f->at + 4 <= f->struct_len) {
		uint32_t t = be32(f->structs + f->at);

		f->at += 4;
		if (t != TOKEN_NOP)
			return t;
	}
	return 0;
}

/* The name of a node that begins; NULL if it does not end. */
static const char *node_name(struct fdt *f)
{
	const char *name = (const char *)f->structs + f->at;

	while (f->at < f->struct_len)
		if (!f->structs[f->at++]) {
			f->at = (f->at + 3) & ~3u;
			return name;
		}
	return NULL;
}

/* The value of a property, and its name; NULL: broken. */
static const char *read_prop(struct fdt *f, struct prop *p)
{
	uint32_t len, name;

	if (f->struct_len - f->at < 8 || f->at > f->struct_len)
		return NULL;
	len = be32(f->structs + f->at);
	name = be32(f->structs + f->at + 4);
	f->at += 8;
	if (len > f->struct_len - f->at || name >= f->strings_len)
		return NULL;
	*p = (struct prop){ f->structs + f->at, len };
	f->at += (len + 3) & ~3u;
	return (const char *)f->strings + name;
}

static bool open_node(struct fdt *f)
{
	const char *name = node_name(f);

	if (!name || f->depth == DEPTH_MAX)
		return false;
	f->nodes[f->depth++] = (struct node){ .name = name, .address_cells = 2, .size_cells = 1 };
	return true;
}

static bool walk(struct fdt *f, struct bare_range *initrd)
{
	for (;;) {
		uint32_t t = token(f);
		struct node *n = f->depth ? &f->nodes[f->depth - 1] : NULL;
		const char *name;
		struct prop p;

		if (t == TOKEN_NODE) {
			if (!open_node(f))
				return false;
		} else if (t == TOKEN_END && n) {
			if (--f->depth == 0)
				return true;
			close_node(n, n - 1);
		} else if (t == TOKEN_PROP && n) {
			name = read_prop(f, &p);
			if (!name)
				return false;
			set_prop(n, name, p);
			if (f->depth == 2 && bare_same(n->name, "chosen"))
				set_chosen(name, p, initrd);
		} else {
			return false;
		}
	}
}

uint32_t bare_fdt_size(const void *dtb)
{
	uint32_t size;

	if (!dtb || ((uintptr_t)dtb & 3) || be32(dtb) != MAGIC)
		return 0;
	size = be32((const uint8_t *)dtb + offsetof(struct header, totalsize));
	return size <= TREE_MAX ? size : 0;
}

bool bare_fdt(const void *dtb)
{
	const uint8_t *d = dtb;
	uint32_t size = bare_fdt_size(dtb), at_structs, at_strings;
	struct bare_range initrd = { 0 };
	struct fdt f = { 0 };

	if (size < sizeof(struct header))
		return false;
	at_structs = be32(d + offsetof(struct header, off_struct));
	at_strings = be32(d + offsetof(struct header, off_strings));
	f.struct_len = be32(d + offsetof(struct header, size_struct));
	f.strings_len = be32(d + offsetof(struct header, size_strings));
	/* The last byte of the strings ends a name, so that every name ends. */
	if (at_structs > size || f.struct_len > size - at_structs || at_structs % 4 ||
		at_strings > size || f.strings_len > size - at_strings || !f.strings_len ||
		d[at_strings + f.strings_len - 1])
		return false;
	f.structs = d + at_structs;
	f.strings = d + at_strings;
	bare_reserve((uintptr_t)dtb, size);
	if (!walk(&f, &initrd))
		return false;
	if (initrd.len > initrd.addr)
		bare_reserve(initrd.addr, initrd.len - initrd.addr);
	return true;
}
