/* SPDX-License-Identifier: BSD-3-Clause */
/* PL061 registers (Arm DDI 0190B, chapter 3). */
#include "machine/arm64/pl061.h"

#include "machine/arm64/primecell.h"
#include "machine/reg32.h"

#define GPIODATA_END 0x400u /* below: data, bits 9:2 of the address being a mask */
#define GPIODIR	     0x400u
#define GPIOIS	     0x404u
#define GPIOIBE	     0x408u
#define GPIOIEV	     0x40cu
#define GPIOIE	     0x410u
#define GPIORIS	     0x414u
#define GPIOMIS	     0x418u
#define GPIOIC	     0x41cu
#define GPIOAFSEL    0x420u

#define PERIPH_ID 0x00041061u
#define PINS	  8u
#define PRESS_NS  100000000u

static uint8_t levels(const struct pl061 *g)
{
	return (uint8_t)((g->input & ~g->dir) | (g->output & g->dir));
}

/* Interrupts from a change of the inputs' levels (2.3.3): edges are latched, levels are not. */
static void update(struct pl061 *g, uint8_t before)
{
	uint8_t after = levels(g), changed = before ^ after;
	uint8_t edges = changed & (uint8_t)~g->is & (g->ibe | (uint8_t) ~(after ^ g->iev));
	uint8_t active = (uint8_t) ~(after ^ g->iev);
	bool level;

	g->ris |= edges;
	g->ris = (uint8_t)((g->ris & ~g->is) | (active & g->is));
	level = g->ris & g->ie;
	if (level == g->line)
		return;
	g->line = level;
	g->vmm->ops->irq_line(g->vmm, g->irq, level);
}

static uint32_t read_reg(void *arg, uint32_t reg)
{
	struct pl061 *g = arg;

	if (reg < GPIODATA_END)
		return levels(g) & (reg >> 2);
	switch (reg) {
	case GPIODIR:
		return g->dir;
	case GPIOIS:
		return g->is;
	case GPIOIBE:
		return g->ibe;
	case GPIOIEV:
		return g->iev;
	case GPIOIE:
		return g->ie;
	case GPIORIS:
		return g->ris;
	case GPIOMIS:
		return g->ris & g->ie;
	case GPIOAFSEL:
		return g->afsel;
	default:
		return reg >= PRIMECELL_IDS ? primecell_id(reg, PERIPH_ID) : 0;
	}
}

static void write_data(struct pl061 *g, uint8_t mask, uint8_t v)
{
	g->output = (uint8_t)((g->output & ~mask) | (v & mask));
}

static void write_reg(void *arg, uint32_t reg, uint32_t value)
{
	struct pl061 *g = arg;
	uint8_t v = (uint8_t)value, before = levels(g);

	if (reg < GPIODATA_END)
		write_data(g, (uint8_t)(reg >> 2), v);
	switch (reg) {
	case GPIODIR:
		g->dir = v;
		break;
	case GPIOIS:
		g->is = v;
		break;
	case GPIOIBE:
		g->ibe = v;
		break;
	case GPIOIEV:
		g->iev = v;
		break;
	case GPIOIE:
		g->ie = v;
		break;
	case GPIOIC:
		g->ris &= (uint8_t)~v;
		break;
	case GPIOAFSEL:
		g->afsel = v;
		break;
	default:
		break;
	}
	update(g, before);
}

static void pl061_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pl061 *g = arg;

	pthread_mutex_lock(&g->lock);
	reg32_read(read_reg, g, offset, data, len);
	pthread_mutex_unlock(&g->lock);
}

static void pl061_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pl061 *g = arg;

	pthread_mutex_lock(&g->lock);
	reg32_write(write_reg, g, offset, data, len);
	pthread_mutex_unlock(&g->lock);
}

static void set_input(struct pl061 *g, uint8_t levels_now)
{
	uint8_t before;

	pthread_mutex_lock(&g->lock);
	before = levels(g);
	g->input = levels_now;
	update(g, before);
	pthread_mutex_unlock(&g->lock);
}

static void on_release(void *arg)
{
	struct pl061 *g = arg;

	g->pressed = 0;
	set_input(g, 0);
}

int pl061_init(struct pl061 *g, struct vmm *vmm, uint64_t addr, uint32_t irq, struct err *e)
{
	*g = (struct pl061){
		.vmm = vmm,
		.irq = irq,
		.range = { .len = PRIMECELL_LEN,
			.name = "PL061",
			.read = pl061_read,
			.write = pl061_write,
			.arg = g },
	};
	pthread_mutex_init(&g->lock, NULL);
	ev_timer_init(vmm->loop, &g->release, on_release, g);
	return bus_add(&vmm->mmio, &g->range, addr, e);
}

void pl061_finish(struct pl061 *g)
{
	if (!g->vmm)
		return;
	ev_timer_stop(&g->release);
	bus_del(&g->vmm->mmio, &g->range);
	pthread_mutex_destroy(&g->lock);
	g->vmm = NULL;
}

bool pl061_press(struct pl061 *g, unsigned pin)
{
	uint8_t bit = (uint8_t)(1u << (pin % PINS));
	bool listens;

	g->pressed |= bit;
	set_input(g, g->pressed);
	ev_timer_set(&g->release, PRESS_NS);
	pthread_mutex_lock(&g->lock);
	listens = g->ie & bit;
	pthread_mutex_unlock(&g->lock);
	return listens;
}
