/* SPDX-License-Identifier: BSD-3-Clause */
/* The arm64 board's device tree, read back with libfdt as a guest would, and foreign trees. */
#include <errno.h>
#include <libfdt.h>

#include "base/util.h"
#include "machine/arm64/dtree.h"
#include "machine/arm64/layout.h"
#include "machine/board.h"
#include "tap.h"

#define ROUNDS	  3000u
#define CELLS_MAX 256u
#define REGS_MAX  200u

static uint8_t tree[ARM64_DTB_SIZE];

static const struct dtree_board full = {
	.ncpus = 17,
	.ram = UINT64_C(5) << 30,
	.uart = true,
	.watchdog = true,
	.flash = true,
	.pci_high = true,
	.nmmio = BOARD_MMIO_MAX,
	.chosen = { .cmdline = "console=ttyAMA0",
		.initrd_addr = 0x148000000,
		.initrd_len = 12345,
		.seeded = true,
		.kaslr_seed = 0x1122334455667788,
		.rng_seed = { 7, 8, 9 } },
};

static int node_at(struct tap *t, const char *path)
{
	int node = fdt_path_offset(tree, path);

	if (!CHECK(t, node >= 0))
		printf("# no %s\n", path);
	return node;
}

/* A property as numbers; their count, 0 if there is none. */
static unsigned cells(int node, const char *name, uint32_t *v)
{
	int len = 0;
	const fdt32_t *p = fdt_getprop(tree, node, name, &len);

	if (!p || len % 4 || len / 4 > (int)CELLS_MAX)
		return 0;
	for (int i = 0; i < len / 4; i++)
		v[i] = fdt32_to_cpu(p[i]);
	return (unsigned)len / 4;
}

static uint32_t cell(int node, const char *name, unsigned i)
{
	uint32_t v[CELLS_MAX];

	return i < cells(node, name, v) ? v[i] : 0xdeadbeef;
}

/* Two cells. */
static uint64_t wide(int node, const char *name, unsigned i)
{
	return (uint64_t)cell(node, name, i) << 32 | cell(node, name, i + 1);
}

static bool is_compatible(int node, const char *what)
{
	return !fdt_node_check_compatible(tree, node, what);
}

static void check_spi(struct tap *t, int node, uint32_t spi)
{
	CHECK_EQ(t, cell(node, "interrupts", 0), 0);
	CHECK_EQ(t, cell(node, "interrupts", 1), spi);
	CHECK_EQ(t, cell(node, "interrupts", 2), 4);
	CHECK(t, spi < ARM64_SPIS);
}

static void processors(struct tap *t)
{
	int cpus, gic, last;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	CHECK_EQ(t, fdt_check_full(tree, dtree_size(tree)), 0);
	cpus = node_at(t, "/cpus");
	for (unsigned i = 0; i < full.ncpus; i++) {
		char path[32];
		int cpu;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", (unsigned)dtree_mpidr(i));
		cpu = node_at(t, path);
		CHECK_EQ(t, cell(cpu, "reg", 0), dtree_mpidr(i));
		CHECK(t, !strcmp(fdt_getprop(tree, cpu, "enable-method", NULL), "psci"));
	}
	last = node_at(t, "/cpus/cpu@100");
	CHECK_EQ(t, fdt_next_subnode(tree, last), -FDT_ERR_NOTFOUND);
	CHECK_EQ(t, cell(cpus, "#address-cells", 0), 1);
	CHECK(t, is_compatible(node_at(t, "/psci"), "arm,psci-1.0"));
	CHECK(t, is_compatible(node_at(t, "/timer"), "arm,armv8-timer"));
	CHECK_EQ(t, cell(node_at(t, "/timer"), "interrupts", 7), 11);

	gic = node_at(t, "/intc@8000000");
	CHECK_EQ(t, cell(0, "interrupt-parent", 0), fdt_get_phandle(tree, gic));
	CHECK_EQ(t, wide(gic, "reg", 4), ARM64_GICR);
	CHECK_EQ(t, wide(gic, "reg", 6), full.ncpus * ARM64_GICR_SIZE);
	CHECK(t, is_compatible(node_at(t, "/intc@8000000/its@8080000"), "arm,gic-v3-its"));
}

static void start(struct tap *t)
{
	const char *path;
	const void *seed;
	int chosen, memory, len = 0;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	memory = node_at(t, "/memory@40000000");
	CHECK_EQ(t, wide(memory, "reg", 0), ARM64_RAM);
	CHECK_EQ(t, wide(memory, "reg", 2), full.ram);
	chosen = node_at(t, "/chosen");
	CHECK(t, !strcmp(fdt_getprop(tree, chosen, "bootargs", NULL), "console=ttyAMA0"));
	CHECK_EQ(t, wide(chosen, "linux,initrd-start", 0), full.chosen.initrd_addr);
	CHECK_EQ(t, wide(chosen, "linux,initrd-end", 0), full.chosen.initrd_addr + 12345);
	CHECK_EQ(t, wide(chosen, "kaslr-seed", 0), full.chosen.kaslr_seed);
	seed = fdt_getprop(tree, chosen, "rng-seed", &len);
	CHECK_EQ(t, len, DTREE_RNG_SEED);
	CHECK(t, seed && !memcmp(seed, full.chosen.rng_seed, DTREE_RNG_SEED));
	path = fdt_getprop(tree, chosen, "stdout-path", NULL);
	REQUIRE(t, path);
	CHECK(t, is_compatible(node_at(t, path), "arm,pl011"));
}

static void devices(struct tap *t)
{
	static const struct {
		const char *path, *compatible;
		uint32_t spi;
	} fixed[] = {
		{ "/pl011@9000000", "arm,pl011", ARM64_SPI_UART },
		{ "/pl031@9010000", "arm,pl031", ARM64_SPI_RTC },
		{ "/pl061@9030000", "arm,pl061", ARM64_SPI_GPIO },
		{ "/watchdog@b001000", "arm,sbsa-gwdt", ARM64_SPI_WDT },
	};
	int node, clock;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	clock = node_at(t, "/apb-pclk");
	for (unsigned i = 0; i < ARRAY_LEN(fixed); i++) {
		node = node_at(t, fixed[i].path);
		CHECK(t, is_compatible(node, fixed[i].compatible));
		check_spi(t, node, fixed[i].spi);
		if (fdt_getprop(tree, node, "clocks", NULL))
			CHECK_EQ(t, cell(node, "clocks", 0), fdt_get_phandle(tree, clock));
	}
	/* The control frame comes first. */
	CHECK_EQ(t, wide(node, "reg", 0), ARM64_WDT_CONTROL);
	CHECK_EQ(t, wide(node, "reg", 4), ARM64_WDT_REFRESH);
	node = node_at(t, "/gpio-keys/poweroff");
	CHECK_EQ(t, cell(node, "gpios", 0), fdt_get_phandle(tree, node_at(t, "/pl061@9030000")));
	CHECK_EQ(t, cell(node, "gpios", 1), ARM64_GPIO_POWER_KEY);
	CHECK_EQ(t, cell(node, "linux,code", 0), 116);
	for (unsigned i = 0; i < full.nmmio; i++) {
		char path[40];

		snprintf(path, sizeof(path), "/virtio_mmio@%x", ARM64_MMIO + i * ARM64_MMIO_STRIDE);
		node = node_at(t, path);
		CHECK(t, is_compatible(node, "virtio,mmio"));
		CHECK_EQ(t, wide(node, "reg", 0), ARM64_MMIO + i * ARM64_MMIO_STRIDE);
		CHECK(t, fdt_getprop(tree, node, "dma-coherent", NULL) != NULL);
		check_spi(t, node, ARM64_SPI_MMIO + i);
	}
}

/* What a machine does not have is not described. */
static void absent(struct tap *t)
{
	const struct dtree_board least = { .ncpus = 1, .ram = 2u << 20 };
	int len = 0;

	REQUIRE(t, !dtree_build(&least, tree, sizeof(tree), NULL));
	CHECK(t, fdt_path_offset(tree, "/pl011@9000000") < 0);
	CHECK(t, fdt_path_offset(tree, "/watchdog@b001000") < 0);
	CHECK(t, fdt_path_offset(tree, "/flash@0") < 0);
	CHECK(t, fdt_path_offset(tree, "/virtio_mmio@a000000") < 0);
	CHECK(t, !fdt_getprop(tree, node_at(t, "/chosen"), "stdout-path", NULL));
	CHECK(t, !fdt_getprop(tree, node_at(t, "/chosen"), "kaslr-seed", NULL));
	CHECK(t, !fdt_getprop(tree, node_at(t, "/chosen"), "linux,initrd-start", NULL));
	/* No window of 64-bit BARs: the host's processor has too few bits of address. */
	fdt_getprop(tree, node_at(t, "/pcie@10000000"), "ranges", &len);
	CHECK_EQ(t, len, 2 * 7 * 4);
}

static void pci_windows(struct tap *t)
{
	const uint32_t last_bar =
		ARM64_PCI_WINDOW + (PCI_HOST_SLOTS * PCI_HOST_FUNCTIONS) * VIRTIO_PCI_BAR_LEN;
	int pci;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	pci = node_at(t, "/pcie@10000000");
	CHECK(t, is_compatible(pci, "pci-host-ecam-generic"));
	CHECK_EQ(t, wide(pci, "reg", 0), ARM64_ECAM);
	CHECK_EQ(t, wide(pci, "reg", 2), (cell(pci, "bus-range", 1) + UINT64_C(1)) << 20);
	/* Type, PCI address, processor's address, length. */
	CHECK_EQ(t, cell(pci, "ranges", 0), 0x01000000);
	CHECK_EQ(t, wide(pci, "ranges", 3), ARM64_PCI_IO);
	CHECK_EQ(t, cell(pci, "ranges", 7), 0x02000000);
	CHECK_EQ(t, wide(pci, "ranges", 8), ARM64_PCI_WINDOW);
	CHECK_EQ(t, wide(pci, "ranges", 10), ARM64_PCI_WINDOW);
	CHECK_EQ(t, wide(pci, "ranges", 12), ARM64_PCI_WINDOW_SIZE);
	CHECK(t, last_bar <= ARM64_PCI_WINDOW + ARM64_PCI_WINDOW_SIZE);
	CHECK_EQ(t, cell(pci, "ranges", 14), 0x03000000);
	CHECK_EQ(t, wide(pci, "ranges", 15), ARM64_PCI_HIGH);
	CHECK_EQ(t, wide(pci, "ranges", 17), ARM64_PCI_HIGH);
	CHECK_EQ(t, wide(pci, "ranges", 19), ARM64_PCI_HIGH_SIZE);
	CHECK(t, ARM64_RAM + ARM64_RAM_MAX <= ARM64_PCI_HIGH);
	/* Each requester sends its own id to the ITS. */
	CHECK_EQ(t, cell(pci, "msi-map", 0), 0);
	CHECK_EQ(t, cell(pci, "msi-map", 1),
		fdt_get_phandle(tree, node_at(t, "/intc@8000000/its@8080000")));
	CHECK_EQ(t, cell(pci, "msi-map", 2), 0);
	CHECK_EQ(t, cell(pci, "msi-map", 3), 0x10000);
}

/* The line that the tree names for a function is the one that the board gives it. */
static void pci_interrupts(struct tap *t)
{
	static uint32_t map[CELLS_MAX];
	unsigned n, mask;
	int pci;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	pci = node_at(t, "/pcie@10000000");
	n = cells(pci, "interrupt-map", map);
	REQUIRE(t, CHECK_EQ(t, n, 160));
	mask = cell(pci, "interrupt-map-mask", 0);
	for (unsigned slot = 1; slot < PCI_HOST_SLOTS; slot++) {
		for (uint8_t pin = 1; pin <= PCI_HOST_PINS; pin++) {
			unsigned found = 0;

			for (unsigned i = 0; i < n; i += 10) {
				if (map[i] != ((slot << 11) & mask) || map[i + 3] != pin)
					continue;
				CHECK_EQ(t, map[i + 4], cell(0, "interrupt-parent", 0));
				CHECK_EQ(t, map[i + 8], ARM64_SPI_PCI + pci_host_line(slot, pin));
				CHECK_EQ(t, map[i + 9], 4);
				found++;
			}
			CHECK_EQ(t, found, 1);
		}
	}
}

/* No two nodes claim the same addresses, and none lies in RAM. */
static void no_overlap(struct tap *t)
{
	static uint64_t start[REGS_MAX], end[REGS_MAX];
	unsigned n = 0;
	int node, depth = 0;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	for (node = 0; node >= 0 && depth >= 0; node = fdt_next_node(tree, node, &depth)) {
		uint32_t v[CELLS_MAX];
		unsigned len = cells(node, "reg", v);

		for (unsigned i = 0; len % 4 == 0 && i < len && n < REGS_MAX; i += 4) {
			start[n] = (uint64_t)v[i] << 32 | v[i + 1];
			end[n] = start[n] + ((uint64_t)v[i + 2] << 32 | v[i + 3]);
			n++;
		}
	}
	CHECK(t, n > BOARD_MMIO_MAX);
	start[n] = ARM64_PCI_WINDOW;
	end[n++] = ARM64_PCI_IO + ARM64_PCI_IO_SIZE;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			if (!CHECK(t, start[i] >= end[j] || start[j] >= end[i]))
				printf("# %llx and %llx\n", (unsigned long long)start[i],
					(unsigned long long)start[j]);
}

static void too_small(struct tap *t)
{
	struct err e = { 0 };
	size_t size;

	REQUIRE(t, !dtree_build(&full, tree, sizeof(tree), NULL));
	size = dtree_size(tree);
	for (size_t len = 0; len < size; len += 61)
		if (!CHECK_EQ(t, dtree_build(&full, tree, len, &e), -ENOSPC))
			break;
	CHECK_EQ(t, dtree_build(&full, tree, size + 64, &e), 0);
}

static void adopt(struct tap *t)
{
	const struct dtree_board other = {
		.ncpus = 1, .ram = 1u << 30, .chosen = { .cmdline = "theirs" }
	};
	struct dtree_chosen c = full.chosen;
	struct err e = { 0 };
	int chosen;

	REQUIRE(t, !dtree_build(&other, tree, sizeof(tree), NULL));
	CHECK_EQ(t, dtree_adopt(&c, tree, dtree_size(tree), sizeof(tree), "x.dtb", &e), 0);
	CHECK_EQ(t, fdt_check_full(tree, dtree_size(tree)), 0);
	chosen = node_at(t, "/chosen");
	CHECK(t, !strcmp(fdt_getprop(tree, chosen, "bootargs", NULL), "console=ttyAMA0"));
	CHECK_EQ(t, wide(chosen, "linux,initrd-end", 0), c.initrd_addr + c.initrd_len);
	CHECK_EQ(t, wide(node_at(t, "/memory@40000000"), "reg", 2), other.ram);

	/* Without a command line of ours theirs stays; /chosen is made if there is none. */
	c = (struct dtree_chosen){ .seeded = true };
	REQUIRE(t, !dtree_build(&other, tree, sizeof(tree), NULL));
	CHECK_EQ(t, dtree_adopt(&c, tree, dtree_size(tree), sizeof(tree), "x.dtb", &e), 0);
	CHECK(t, !strcmp(fdt_getprop(tree, node_at(t, "/chosen"), "bootargs", NULL), "theirs"));
	REQUIRE(t, !fdt_create_empty_tree(tree, 1024));
	CHECK_EQ(t, dtree_adopt(&full.chosen, tree, 1024, sizeof(tree), "x.dtb", &e), 0);
	CHECK_EQ(t, wide(node_at(t, "/chosen"), "kaslr-seed", 0), full.chosen.kaslr_seed);
	REQUIRE(t, !fdt_create_empty_tree(tree, 128));
	CHECK_EQ(t, dtree_adopt(&full.chosen, tree, 128, 160, "x.dtb", &e), -ENOSPC);
	CHECK(t, strstr(e.msg, "x.dtb") != NULL);
}

/* A tree of somebody else, damaged: refused, or a tree that holds together; read from memory of
 * exactly its size at first. */
static void damaged(struct tap *t)
{
	autofree uint8_t *good = NULL, *work = malloc(sizeof(tree));
	struct err e = { 0 };
	uint64_t x = 1;
	size_t size;
	unsigned refused = 0;

	REQUIRE(t, work && !dtree_build(&full, tree, sizeof(tree), NULL));
	size = dtree_size(tree);
	good = malloc(size);
	REQUIRE(t, good);
	memcpy(good, tree, size);
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t len = size;

		memcpy(work, good, size);
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (round % 4 == 0)
			len = (x >> 20) % size;
		for (unsigned i = 0; i < round % 5; i++) {
			size_t at = round % 2 ? (x >> 33) % 40 : (x >> 33) % size;

			work[at] ^= (uint8_t)(x >> 24 | 1);
			x = x * 6364136223846793005u + 1442695040888963407u;
		}
		if (dtree_adopt(&full.chosen, work, len, sizeof(tree), "x.dtb", &e))
			refused++;
		else
			CHECK_EQ(t, fdt_check_full(work, dtree_size(work)), 0);
	}
	CHECK(t, refused > ROUNDS / 4);
	CHECK_EQ(t, dtree_adopt(&full.chosen, work, 0, sizeof(tree), "x.dtb", &e), -EINVAL);
}

/* Linux's binding for SCMI over virtio: a node for each protocol but the base one. */
static void scmi(struct tap *t)
{
	static const char path[] = "/firmware/scmi";
	struct dtree_board b = full;
	char name[64];

	CHECK_EQ(t, fdt_path_offset(tree, path), -FDT_ERR_NOTFOUND);
	b.scmi_protocols = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 7;
	b.scmi_voltages = 2;
	REQUIRE(t, !dtree_build(&b, tree, sizeof(tree), NULL));
	CHECK_EQ(t, fdt_check_full(tree, dtree_size(tree)), 0);
	CHECK(t, is_compatible(node_at(t, path), "arm,scmi-virtio"));
	CHECK_EQ(t, cell(node_at(t, path), "#address-cells", 0), 1);
	CHECK_EQ(t, cell(node_at(t, path), "#size-cells", 0), 0);
	for (unsigned id = 0x10; id < 0x20; id++) {
		snprintf(name, sizeof(name), "%s/protocol@%x", path, id);
		CHECK_EQ(t, fdt_path_offset(tree, name) >= 0,
			id != 0x10 && (b.scmi_protocols >> (id - 0x10) & 1));
	}
	CHECK_EQ(t, cell(node_at(t, "/firmware/scmi/protocol@14"), "#clock-cells", 0), 1);
	CHECK_EQ(t, cell(node_at(t, "/firmware/scmi/protocol@11"), "#power-domain-cells", 0), 1);
	CHECK_EQ(t, cell(node_at(t, "/firmware/scmi/protocol@17"), "reg", 0), 0x17);
	CHECK_EQ(t, cell(node_at(t, "/firmware/scmi/protocol@17/regulators/regulator@1"), "reg", 0),
		1);
	CHECK_EQ(t, fdt_path_offset(tree, "/firmware/scmi/protocol@17/regulators/regulator@2"),
		-FDT_ERR_NOTFOUND);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, processors);
	TAP_RUN(&t, start);
	TAP_RUN(&t, devices);
	TAP_RUN(&t, absent);
	TAP_RUN(&t, pci_windows);
	TAP_RUN(&t, pci_interrupts);
	TAP_RUN(&t, no_overlap);
	TAP_RUN(&t, scmi);
	TAP_RUN(&t, too_small);
	TAP_RUN(&t, adopt);
	TAP_RUN(&t, damaged);
	return tap_done(&t);
}
