/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instrument cluster on bare metal: shows each signal from its CAN bus with the time of its
 * measurement, and how old it is by the clock that all guests share (virtio-rtc); and the brake
 * lamp, a wire from the body controller.
 */
#include "drivers/gpio.h"
#include "drivers/rtc.h"
#include "guests/ecu/signals.h"

#define PATIENCE (120 * SECOND) /* without any frame */
#define TURN	 (20 * MS)	/* between two looks at the lamp */

static struct cluster {
	struct bare_virtio_list devices;
	struct teller teller;
	struct drv_can can;
	struct drv_gpio gpio;
	struct drv_rtc rtc;
	uint16_t lamp, clock;
	uint64_t speeds, coolants, engines, lost;
	uint32_t next[2];
} cluster;

static int open_lamp(struct cluster *c)
{
	struct bare_virtio *v = bare_virtio_get(&c->devices, DRV_ID_GPIO, 0);
	int r = v ? drv_gpio_open(&c->gpio, v->dev) : DRV_GONE;

	if (!r)
		r = drv_gpio_find(&c->gpio, "brake", &c->lamp);
	if (!r)
		r = drv_gpio_set_direction(&c->gpio, c->lamp, VIRTIO_GPIO_DIRECTION_IN);
	return r ? r : drv_gpio_irq(&c->gpio, c->lamp, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH);
}

/* The clock on which the measurements are timed. */
static int open_clock(struct cluster *c)
{
	struct bare_virtio *v = bare_virtio_get(&c->devices, DRV_ID_RTC, 0);
	struct drv_rtc_clock clock;
	int r = v ? drv_rtc_open(&c->rtc, v->dev) : DRV_GONE;

	for (c->clock = 0; !r && c->clock < c->rtc.nclocks; c->clock++) {
		r = drv_rtc_clock(&c->rtc, c->clock, &clock);
		if (!r && clock.type == VIRTIO_RTC_CLOCK_MONOTONIC)
			return 0;
	}
	return r ? r : DRV_UNSUPPORTED;
}

static int show_lamp(struct cluster *c)
{
	uint16_t line;
	bool on;
	int r = drv_gpio_wait(&c->gpio, &line, 0);

	if (r)
		return r == DRV_TIMEOUT ? 0 : r;
	r = drv_gpio_get(&c->gpio, c->lamp, &on);
	if (!r)
		r = drv_gpio_unmask(&c->gpio, c->lamp);
	if (!r)
		tell(&c->teller, "brake lamp %s", on ? "on" : "off");
	return r;
}

/* Counts what is missing between this signal and the one before it. */
static void count(struct cluster *c, unsigned which, const struct signal *s)
{
	if (s->number != c->next[which])
		c->lost += s->number - c->next[which];
	c->next[which] = s->number + 1;
}

static int show(struct cluster *c, const struct drv_can_frame *f)
{
	bool speed = f->id == SIGNAL_SPEED;
	struct signal s;
	uint64_t now;
	int r;

	c->engines += f->id == SIGNAL_ENGINE;
	if ((!speed && f->id != SIGNAL_COOLANT) || f->len != sizeof(s))
		return 0;
	__builtin_memcpy(&s, f->data, sizeof(s));
	c->speeds += speed;
	c->coolants += !speed;
	count(c, speed, &s);
	r = drv_rtc_read(&c->rtc, c->clock, &now);
	if (r)
		return r;
	tell(&c->teller,
		speed ? "speed %h m/s, measured at %t s, %u us ago"
		      : "coolant %h C, measured at %t s, %u us ago",
		(int64_t)s.value * (speed ? 1 : 10), s.time,
		now > s.time ? (now - s.time) / 1000 : (uint64_t)0);
	return 0;
}

static int drive(struct cluster *c)
{
	uint64_t end = bare_time() + PATIENCE;
	struct drv_can_frame f = { 0 };
	int r = 0;

	while (!r && f.id != SIGNAL_END && bare_time() < end) {
		r = drv_can_recv(&c->can, &f, bare_time() + TURN);
		if (!r) {
			end = bare_time() + PATIENCE;
			r = show(c, &f);
		} else if (r == DRV_TIMEOUT) {
			r = 0;
		}
		if (!r)
			r = show_lamp(c);
	}
	return r || f.id == SIGNAL_END ? r : DRV_TIMEOUT;
}

int bare_main(struct bare_info *info)
{
	struct cluster *c = &cluster;
	int r;

	teller_open(&c->teller, "cluster", info, &c->devices);
	r = open_lamp(c);
	if (r)
		return failed(&c->teller, "opening the brake lamp", r);
	r = open_clock(c);
	if (r)
		return failed(&c->teller, "opening the common clock", r);
	r = open_can(&c->can, &c->devices, 0);
	if (r)
		return failed(&c->teller, "joining the CAN bus", r);
	tell(&c->teller, "ready");
	r = drive(c);
	if (r)
		return failed(&c->teller, "the drive", r);
	tell(&c->teller, "drive over, got %u of speed, %u of coolant, %u of the engine, %u lost",
		c->speeds, c->coolants, c->engines, c->lost);
	return 0;
}
