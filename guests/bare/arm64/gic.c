/* SPDX-License-Identifier: BSD-3-Clause */
/* The Generic Interrupt Controller, versions 2 and 3: lines, and the timer of this processor. */
#include "guests/bare/arm64/arm64.h"

#define INTIDS_MAX 1020u
#define SPURIOUS   1020u
#define PRIORITY   0x80u
#define WAIT_MAX   1000000u

/* Distributor. The registers of private interrupts are in the redistributor in version 3. */
#define GICD_CTLR      0x000u
#define GICD_TYPER     0x004u
#define GICD_IGROUPR   0x080u
#define GICD_ISENABLER 0x100u
#define GICD_ICENABLER 0x180u
#define GICD_PRIORITY  0x400u
#define GICD_TARGETS   0x800u
#define GICD_CONFIG    0xc00u
#define GICD_ROUTER    0x6000u
#define CTLR_V2	       1u
#define CTLR_V3	       0x12u /* affinity routing, group 1 */

/* Processor interface of version 2. */
#define GICC_CTLR 0x000u
#define GICC_PMR  0x004u
#define GICC_IAR  0x00cu
#define GICC_EOIR 0x010u

/* Redistributor: two frames of 64 KiB, more in version 4. */
#define GICR_TYPER    0x008u
#define GICR_WAKER    0x014u
#define GICR_SGI      0x10000u
#define GICR_STRIDE   0x20000u
#define GICR_STRIDE4  0x40000u
#define WAKER_SLEEP   2u
#define WAKER_ASLEEP  4u
#define TYPER_LAST    (1u << 4)
#define TYPER_VIRTUAL (1u << 1)

/* Which slot an interrupt belongs to, plus one. */
static struct {
	uint8_t slot[INTIDS_MAX];
	uint64_t private_base; /* where the registers of private interrupts are */
	unsigned lines;
} gic;

void bare_arm64_interrupt(void);

static uint64_t base_of(uint32_t intid)
{
	return intid < 32 ? gic.private_base : bare.gic.distributor;
}

static void set_bit(uint32_t reg, uint32_t intid)
{
	bare_write32(base_of(intid) + reg + intid / 32 * 4, 1u << intid % 32);
}

/* A field of `bits` in an array of registers. */
static void set_field(uint32_t reg, uint32_t intid, unsigned bits, uint32_t v)
{
	uint32_t per = 32 / bits, shift = intid % per * bits;
	uint64_t at = base_of(intid) + reg + intid / per * 4;
	uint32_t mask = ((1u << bits) - 1) << shift;

	bare_write32(at, (bare_read32(at) & ~mask) | v << shift);
}

static void enable(uint32_t intid, bool level)
{
	uint64_t mpidr;

	set_field(GICD_PRIORITY, intid, 8, PRIORITY);
	if (intid >= 16)
		set_field(GICD_CONFIG, intid, 2, level ? 0 : 2);
	if (bare.gic.version == 3) {
		uint64_t at = base_of(intid) + GICD_IGROUPR + intid / 32 * 4;

		bare_write32(at, bare_read32(at) | 1u << intid % 32);
		if (intid >= 32) {
			READ_REG("mpidr_el1", mpidr);
			bare_write32(bare.gic.distributor + GICD_ROUTER + 8 * intid,
				(uint32_t)(mpidr & 0xffffff));
			bare_write32(bare.gic.distributor + GICD_ROUTER + 8 * intid + 4,
				(uint32_t)(mpidr >> 32 & 0xff));
		}
	} else if (intid >= 32) {
		/* To this processor: what its own private interrupts show (4.3.12). */
		uint32_t self = bare_read32(bare.gic.distributor + GICD_TARGETS) & 0xff;

		set_field(GICD_TARGETS, intid, 8, self ? self : 1);
	}
	set_bit(GICD_ISENABLER, intid);
}

/* The redistributor of this processor, by its affinity. */
static uint64_t find_redistributor(void)
{
	const struct bare_range *r = &bare.gic.redist;
	uint64_t mpidr, at = r->addr;
	uint32_t self;

	READ_REG("mpidr_el1", mpidr);
	self = (uint32_t)(mpidr & 0xffffff) | (uint32_t)(mpidr >> 32 & 0xff) << 24;
	while (r->len >= GICR_STRIDE && at - r->addr <= r->len - GICR_STRIDE) {
		uint32_t type = bare_read32(at + GICR_TYPER);

		if (bare_read32(at + GICR_TYPER + 4) == self)
			return at;
		if (type & TYPER_LAST)
			return 0;
		at += type & TYPER_VIRTUAL ? GICR_STRIDE4 : GICR_STRIDE;
	}
	return 0;
}

static bool init_v3(void)
{
	uint64_t redist, sre;

	if (!bare_map(bare.gic.redist.addr, bare.gic.redist.len))
		return false;
	redist = find_redistributor();
	if (!redist)
		return false;
	gic.private_base = redist + GICR_SGI;
	bare_write32(bare.gic.distributor + GICD_CTLR, CTLR_V3);
	bare_write32(redist + GICR_WAKER, bare_read32(redist + GICR_WAKER) & ~WAKER_SLEEP);
	for (unsigned i = 0; i < WAIT_MAX; i++)
		if (!(bare_read32(redist + GICR_WAKER) & WAKER_ASLEEP))
			break;
	READ_REG("s3_0_c12_c12_5", sre); /* ICC_SRE_EL1 */
	WRITE_REG("s3_0_c12_c12_5", sre | 1);
	isb();
	WRITE_REG("s3_0_c4_c6_0", UINT64_C(0xff)); /* ICC_PMR_EL1 */
	WRITE_REG("s3_0_c12_c12_7", UINT64_C(1));  /* ICC_IGRPEN1_EL1 */
	isb();
	return true;
}

static bool init_v2(void)
{
	if (!bare.gic.cpu || !bare_map(bare.gic.cpu, 0x1000))
		return false;
	gic.private_base = bare.gic.distributor;
	bare_write32(bare.gic.distributor + GICD_CTLR, CTLR_V2);
	bare_write32(bare.gic.cpu + GICC_PMR, 0xff);
	bare_write32(bare.gic.cpu + GICC_CTLR, 1);
	return true;
}

void arm64_gic_init(void)
{
	uint64_t distributor = bare.gic.distributor;
	bool ok = distributor && bare_map(distributor, 0x10000);

	if (ok && bare.gic.version == 3)
		ok = init_v3();
	else if (ok)
		ok = bare.gic.version == 2 && init_v2();
	if (!ok)
		bare_fatal("no interrupt controller of version 2 or 3 at", distributor);
	gic.lines = 32 * ((bare_read32(distributor + GICD_TYPER) & 0x1f) + 1);
	if (gic.lines > INTIDS_MAX)
		gic.lines = INTIDS_MAX;
	enable(ARM64_TIMER_INTID, true);
}

static uint32_t acknowledge(void)
{
	uint64_t v;

	if (bare.gic.version == 2)
		return bare_read32(bare.gic.cpu + GICC_IAR);
	READ_REG("s3_0_c12_c12_0", v); /* ICC_IAR1_EL1 */
	dsb();
	return (uint32_t)v;
}

static void end(uint32_t v)
{
	if (bare.gic.version == 2)
		bare_write32(bare.gic.cpu + GICC_EOIR, v);
	else
		WRITE_REG("s3_0_c12_c12_1", (uint64_t)v); /* ICC_EOIR1_EL1 */
	isb();
}

void bare_arm64_interrupt(void)
{
	uint32_t v = acknowledge(), intid = v & 0x3ff;

	if (intid >= SPURIOUS)
		return;
	if (intid == ARM64_TIMER_INTID)
		WRITE_REG("cntv_ctl_el0", UINT64_C(0));
	else if (intid < INTIDS_MAX && gic.slot[intid])
		bare_irq_fire(gic.slot[intid] - 1u);
	end(v);
}

bool bare_arch_line(const struct bare_line *line, unsigned slot)
{
	if (line->number < 16 || line->number >= gic.lines)
		return false;
	gic.slot[line->number] = (uint8_t)(slot + 1);
	enable(line->number, line->level);
	return true;
}
