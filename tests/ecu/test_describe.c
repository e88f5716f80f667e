/* SPDX-License-Identifier: BSD-3-Clause */
/* What guests/bare makes of a machine's description: our ACPI tables, QEMU's device tree, and both
 * with every kind of damage. */
#include <stdint.h>
#include <unistd.h>

#include "guests/bare/bare_priv.h"
#include "machine/board.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"
#include "tap.h"

#define TREE_MAX  (2u << 20)
#define ROUNDS	  3000u
#define TABLES_AT 64u /* behind the root pointer */

/* The only memory that the code under test may read. */
static uint8_t *memory;
static size_t memory_len;

/* The platform around it. */

int bare_main(struct bare_info *info)
{
	return 0;
}

void *bare_arch_map(uint64_t addr, uint64_t len)
{
	uint64_t start = (uintptr_t)memory;

	return addr >= start && addr - start <= memory_len && len <= memory_len - (addr - start)
		       ? (void *)(uintptr_t)addr
		       : NULL;
}

void bare_arch_init(void)
{
}

void bare_arch_describe(void)
{
}

void bare_arch_write(const char *text, size_t len)
{
	fwrite(text, 1, len, stderr);
}

uint64_t bare_arch_time(void)
{
	return 0;
}

uint32_t bare_arch_clock_rate(void)
{
	return 0;
}

bool bare_arch_random(uint64_t *v)
{
	return false;
}

void bare_arch_power_off(void)
{
}

void bare_arch_reset(void)
{
}

/* The code under test gave up: no description may make it do so. */
void bare_arch_halt(void)
{
	_exit(3);
}

static void forget(void)
{
	bare = (struct bare_machine){ .info = { .cmdline = bare.cmdline } };
}

/* ACPI: the tables of our own board. */

static bool build(uint8_t *buf, size_t len, const struct acpi_board *board)
{
	struct err e = { 0 };

	memory = buf;
	memory_len = len;
	memset(buf, 0, len);
	return acpi_build(board, buf, len, (uintptr_t)buf, &e) == 0;
}

static void our_tables(struct tap *t)
{
	const struct acpi_board board = { .ncpus = 3, .com1 = true, .nvirtio = 5 };
	uint8_t *buf = aligned_alloc(64, 16384);

	REQUIRE(t, buf && build(buf, 16384, &board));
	forget();
	CHECK(t, bare_acpi((uintptr_t)buf));
	CHECK_EQ(t, bare.info.ncpus, 3);
	CHECK_EQ(t, bare.info.nmmio, 5);
	for (unsigned i = 0; i < bare.info.nmmio; i++) {
		const struct bare_mmio *m = &bare.info.mmio[i];

		CHECK_EQ(t, m->base, BOARD_VIRTIO_MMIO + i * BOARD_VIRTIO_STRIDE);
		CHECK_EQ(t, m->len, BOARD_VIRTIO_STRIDE);
		CHECK_EQ(t, m->line.number, BOARD_IRQ_VIRTIO + i % BOARD_IRQ_SHARE);
		CHECK(t, m->line.valid && m->line.level && !m->line.low);
	}
	CHECK(t, bare.info.has_pci);
	CHECK_EQ(t, bare.info.pci.ecam, BOARD_ECAM);
	CHECK_EQ(t, bare.info.pci.nintx, (PCI_HOST_SLOTS - 1) * PCI_HOST_PINS);
	CHECK_EQ(t, bare.info.pci.intx[0].device, 1);
	CHECK_EQ(t, bare.info.pci.intx[0].pin, 1);
	CHECK_EQ(t, bare.info.pci.intx[0].line.number, BOARD_IRQ_PCI + 1);
	CHECK_EQ(t, bare.info.pci.intx[1].pin, 2);
	CHECK_EQ(t, bare.info.pci.intx[1].line.number, BOARD_IRQ_PCI + 2);
	CHECK_EQ(t, bare.nioapics, 1);
	CHECK_EQ(t, bare.ioapics[0].base, BOARD_IOAPIC);
	CHECK(t, bare.acpi.known && bare.acpi.reset);
	CHECK_EQ(t, bare.acpi.type_a, 5);
	CHECK_EQ(t, bare.acpi.port_a, BOARD_PORT_PM1 + 4);
	CHECK_EQ(t, bare.acpi.reset_addr, BOARD_PORT_RESET);
	CHECK(t, bare.info.off && !strcmp(bare.info.off, "ACPI"));
	free(buf);
}

/* A table's checksum, so that damage gets past it. */
static void repair(uint8_t *table, size_t left)
{
	uint32_t len;
	uint8_t sum = 0;

	memcpy(&len, table + 4, sizeof(len));
	if (len < 36 || len > left)
		return;
	table[9] = 0;
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

static void damaged_tables(struct tap *t)
{
	static const char *const names[] = { "DSDT", "FACP", "APIC", "MCFG", "XSDT" };
	const struct acpi_board board = { .ncpus = 2, .com1 = true, .nvirtio = 4 };
	size_t len = 8192;
	uint8_t *buf = aligned_alloc(64, len);

	srandom(3);
	for (unsigned round = 0; round < ROUNDS; round++) {
		REQUIRE(t, build(buf, len, &board));
		for (unsigned i = 0; i <= round % 4; i++)
			buf[TABLES_AT + (size_t)random() % (len - TABLES_AT)] = (uint8_t)random();
		for (size_t at = TABLES_AT; at + 36 < len; at++)
			for (unsigned n = 0; n < 5; n++)
				if (!memcmp(buf + at, names[n], 4))
					repair(buf + at, len - at);
		forget();
		bare_acpi((uintptr_t)buf);
		CHECK(t, bare.info.nmmio <= BARE_MMIO_MAX && bare.nioapics <= 4 &&
				 bare.info.pci.nintx <= BARE_INTX_MAX);
	}
	free(buf);
}

/* The device tree of QEMU's virt machine. */

static size_t get_tree(struct tap *t, uint8_t **tree)
{
	char path[] = "/tmp/avp-tree-XXXXXX", command[200];
	int fd = mkstemp(path);
	FILE *f = NULL;
	size_t n = 0;

	*tree = aligned_alloc(64, TREE_MAX);
	if (fd < 0 || !*tree)
		return 0;
	close(fd);
	snprintf(command, sizeof(command),
		"qemu-system-aarch64 -M virt,dumpdtb=%s -smp 2 -m 128M >/dev/null 2>&1", path);
	/* QEMU makes a new file of that name. */
	if (system(command) == 0)
		f = fopen(path, "re");
	if (f) {
		n = fread(*tree, 1, TREE_MAX, f);
		fclose(f);
	}
	unlink(path);
	if (!n)
		tap_skip(t, "qemu-system-aarch64 gave no device tree (make deps)");
	return n;
}

static void a_tree(struct tap *t)
{
	uint8_t *tree;
	size_t len = get_tree(t, &tree);
	const struct bare_pci *pci = &bare.info.pci;

	if (!len) {
		free(tree);
		return;
	}
	forget();
	CHECK(t, bare_fdt(tree));
	CHECK_EQ(t, bare.info.ncpus, 2);
	REQUIRE(t, bare.info.nram == 1);
	CHECK_EQ(t, bare.info.ram[0].addr, 0x40000000);
	CHECK_EQ(t, bare.info.ram[0].len, 128 << 20);
	CHECK_EQ(t, bare.info.nmmio, 32);
	CHECK(t, bare.info.has_pci && pci->window.addr == 0x10000000 && pci->window64.len);
	/* QEMU's map: four devices and four pins, the line is 35 + (device + pin - 1) % 4. */
	CHECK_EQ(t, pci->nintx, 128);
	for (unsigned i = 0; i < pci->nintx; i++) {
		const struct bare_intx *x = &pci->intx[i];

		CHECK_EQ(t, x->line.number, 35 + (x->device + x->pin - 1u) % 4);
		CHECK(t, x->line.level && !x->line.low);
	}
	CHECK_EQ(t, bare.gic.version, 2);
	CHECK_EQ(t, bare.gic.distributor, 0x8000000);
	CHECK_EQ(t, bare.gic.cpu, 0x8010000);
	CHECK_EQ(t, bare.uart, 0x9000000);
	CHECK(t, bare.psci && !bare.psci_smc);
	CHECK_EQ(t, bare.gpio, 0x9030000);
	CHECK_EQ(t, bare.power_key, 3 + 1);
	free(tree);
}

/* A word of the header. */
static size_t field(const uint8_t *tree, unsigned at)
{
	return (size_t)tree[at] << 24 | (size_t)tree[at + 1] << 16 | (size_t)tree[at + 2] << 8 |
	       tree[at + 3];
}

static void damaged_trees(struct tap *t)
{
	uint8_t *tree, *copy;
	size_t len = get_tree(t, &tree), n;

	if (!len) {
		free(tree);
		return;
	}
	srandom(5);
	/* Of this length exactly, so that the sanitizer sees a step beyond it: up to the end of the
	 * strings, which come last. */
	n = field(tree, 12) + field(tree, 32);
	REQUIRE(t, n <= len);
	tree[4] = tree[5] = 0;
	tree[6] = (uint8_t)(n >> 8);
	tree[7] = (uint8_t)n;
	for (unsigned round = 0; round < ROUNDS; round++) {
		static const uint8_t values[] = { 0, 1, 4, 0x7f, 0x80, 0xff };

		copy = malloc(n);
		REQUIRE(t, copy);
		memcpy(copy, tree, n);
		for (unsigned i = 0; i < round % 9; i++)
			copy[8 + (size_t)random() % (n - 8)] = values[random() % 6];
		forget();
		CHECK(t, bare_fdt(copy) || round % 9);
		CHECK(t, bare.info.nmmio <= BARE_MMIO_MAX && bare.info.nram <= BARE_RAM_MAX &&
				 bare.info.pci.nintx <= BARE_INTX_MAX);
		free(copy);
	}
	free(tree);
}

static void no_tree(struct tap *t)
{
	_Alignas(8) uint8_t nothing[64] = { 0 };

	forget();
	CHECK_EQ(t, bare_fdt_size(nothing), 0);
	CHECK_EQ(t, bare_fdt_size(NULL), 0);
	CHECK(t, !bare_fdt(nothing));
}

static void words(struct tap *t)
{
	const char *line = "one=1 two=second  three= only=a.*,b.? one=again";
	char v[8];

	CHECK_EQ(t, bare_word(line, "one", v, sizeof(v)), 1);
	CHECK(t, !strcmp(v, "1"));
	CHECK_EQ(t, bare_word(line, "two", v, sizeof(v)), 6);
	CHECK(t, !strcmp(v, "second"));
	CHECK_EQ(t, bare_word(line, "three", v, sizeof(v)), 0);
	CHECK_EQ(t, bare_word(line, "only", v, sizeof(v)), 7);
	CHECK(t, !strcmp(v, "a.*,b.?"));
	CHECK_EQ(t, bare_word(line, "only", v, 4), 3);
	CHECK_EQ(t, bare_word(line, "tw", v, sizeof(v)), -1);
	CHECK_EQ(t, bare_word(line, "four", v, sizeof(v)), -1);
	CHECK_EQ(t, bare_word("", "one", v, sizeof(v)), -1);
}

int main(void)
{
	struct tap t = { 0 };

	tap_run(&t, "our ACPI tables", our_tables);
	tap_run(&t, "damaged ACPI tables", damaged_tables);
	tap_run(&t, "the device tree of QEMU's virt machine", a_tree);
	tap_run(&t, "damaged device trees", damaged_trees);
	tap_run(&t, "no device tree", no_tree);
	tap_run(&t, "words of a command line", words);
	return tap_done(&t);
}
