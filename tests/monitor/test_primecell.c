/* SPDX-License-Identifier: BSD-3-Clause */
/* The small devices of the arm64 board without KVM: PL011, PL031, PL061. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "machine/arm64/pl011.h"
#include "machine/arm64/pl031.h"
#include "machine/arm64/pl061.h"

#define AT  0x09000000u
#define IRQ 1u

struct rig {
	struct fake_vmm f;
	struct pl011 uart;
	struct pl031 rtc;
	struct pl061 gpio;
	int in[2], out[2];
};

static uint32_t get(struct rig *r, uint32_t reg)
{
	uint32_t v = 0xdeadbeef;

	bus_read(&r->f.vmm.mmio, AT + reg, &v, 4);
	return v;
}

static void set(struct rig *r, uint32_t reg, uint32_t v)
{
	bus_write(&r->f.vmm.mmio, AT + reg, &v, 4);
}

/* The peripheral and cell ids by which drivers are found. */
static void check_ids(struct tap *t, struct rig *r, uint32_t part)
{
	uint32_t id = 0, cell = 0;

	for (unsigned i = 0; i < 4; i++) {
		id |= get(r, 0xfe0 + 4 * i) << (8 * i);
		cell |= get(r, 0xff0 + 4 * i) << (8 * i);
	}
	CHECK_EQ(t, id & 0x000fffff, part);
	CHECK_EQ(t, cell, 0xb105f00d);
}

/* Whatever a guest does to 4 KiB of registers, in any width: nothing but an answer. */
static void hammer(struct rig *r)
{
	uint64_t v = 0x9e3779b97f4a7c15, x = 1;

	for (unsigned i = 0; i < 200000; i++) {
		unsigned len = 1u << (x >> 60 & 3);
		uint64_t at = AT + (x >> 20) % (0x1000 - len);

		x = x * 6364136223846793005u + 1442695040888963407u;
		if (x >> 63)
			bus_write(&r->f.vmm.mmio, at, &v, len);
		else
			bus_read(&r->f.vmm.mmio, at, &v, len);
		v ^= x;
	}
	fake_run(&r->f);
}

static void uart_up(struct rig *r)
{
	fake_vmm_init(&r->f);
	if (pipe2(r->in, O_NONBLOCK) || pipe2(r->out, O_NONBLOCK) ||
		pl011_init(&r->uart, &r->f.vmm, AT, IRQ, r->in[0], r->out[1], NULL))
		exit(1);
}

static void uart_down(struct rig *r)
{
	pl011_finish(&r->uart);
	fake_vmm_finish(&r->f);
	for (unsigned i = 0; i < 2; i++) {
		close(r->in[i]);
		close(r->out[i]);
	}
}

static void uart_output(struct tap *t)
{
	struct rig r;
	char buf[8] = "";
	uint16_t two = 'C';
	uint8_t one = 'B';

	uart_up(&r);
	check_ids(t, &r, 0x41011);
	CHECK_EQ(t, get(&r, 0x18) & 0xb8, 0x90); /* FR: nothing in, nothing to go out */
	set(&r, 0x00, 'A');
	bus_write(&r.f.vmm.mmio, AT, &one, 1);
	bus_write(&r.f.vmm.mmio, AT, &two, 2);
	CHECK_EQ(t, read(r.out[0], buf, sizeof(buf)), 3);
	CHECK(t, !memcmp(buf, "ABC", 3));
	/* What Linux does to send: a byte, then the interrupt for more. */
	CHECK(t, !r.f.line[IRQ]);
	set(&r, 0x38, 0x20);
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x40), 0x20);
	set(&r, 0x38, 0);
	CHECK(t, !r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x3c), 0x20);
	set(&r, 0x44, 0x7ff);
	CHECK_EQ(t, get(&r, 0x3c), 0);
	/* Nobody reads: bytes are lost, the guest is not held up. */
	for (unsigned i = 0; i < 70000; i++)
		set(&r, 0x00, 'x');
	CHECK_EQ(t, get(&r, 0x18) & 0xb8, 0x90);
	uart_down(&r);
}

static void uart_settings(struct tap *t)
{
	struct rig r;

	uart_up(&r);
	set(&r, 0x24, 0x12345);
	set(&r, 0x28, 0xff);
	set(&r, 0x2c, 0x70);
	CHECK_EQ(t, get(&r, 0x24), 0x2345);
	CHECK_EQ(t, get(&r, 0x28), 0x3f);
	CHECK_EQ(t, get(&r, 0x2c), 0x70);
	CHECK_EQ(t, get(&r, 0x30), 0x301);
	CHECK_EQ(t, get(&r, 0x34), 0x12);
	/* Loopback: what is sent comes back, modem lines too. */
	set(&r, 0x30, 0x380 | 0x800);
	CHECK_EQ(t, get(&r, 0x18) & 0x107, 1);
	set(&r, 0x00, 'L');
	CHECK_EQ(t, get(&r, 0x00), 'L');
	uart_down(&r);
}

static void uart_input(struct tap *t)
{
	struct rig r;
	char text[40];

	uart_up(&r);
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	set(&r, 0x2c, 0x70); /* FIFOs on */
	set(&r, 0x38, 0x50);
	CHECK_EQ(t, write(r.in[1], text, sizeof(text)), sizeof(text));
	fake_run(&r.f);
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x40), 0x50);
	CHECK_EQ(t, get(&r, 0x18) & 0x50, 0x40); /* full */
	/* 16 fit; the rest waits outside until there is room. */
	for (unsigned i = 0; i < sizeof(text); i++) {
		fake_run(&r.f);
		CHECK_EQ(t, get(&r, 0x18) & 0x10, 0);
		CHECK_EQ(t, get(&r, 0x00), text[i]);
	}
	fake_run(&r.f);
	CHECK_EQ(t, get(&r, 0x18) & 0x10, 0x10);
	CHECK(t, !r.f.line[IRQ]);
	/* Without FIFOs one byte fits. */
	set(&r, 0x2c, 0x60);
	CHECK_EQ(t, write(r.in[1], "xy", 2), 2);
	fake_run(&r.f);
	CHECK_EQ(t, get(&r, 0x18) & 0x50, 0x40);
	CHECK_EQ(t, get(&r, 0x00), 'x');
	fake_run(&r.f);
	CHECK_EQ(t, get(&r, 0x00), 'y');
	uart_down(&r);
}

static void uart_end_of_input(struct tap *t)
{
	struct rig r;

	uart_up(&r);
	CHECK_EQ(t, write(r.in[1], "z", 1), 1);
	close(r.in[1]);
	fake_run(&r.f);
	CHECK_EQ(t, get(&r, 0x00), 'z');
	fake_run(&r.f); /* returns: the end is not reported for ever */
	CHECK_EQ(t, get(&r, 0x18) & 0x10, 0x10);
	r.in[1] = dup(r.in[0]);
	uart_down(&r);
}

static void uart_hostile(struct tap *t)
{
	struct rig r;

	uart_up(&r);
	hammer(&r);
	CHECK_EQ(t, get(&r, 0xfe0), 0x11);
	uart_down(&r);
}

static void rtc_time(struct tap *t)
{
	struct rig r;
	uint32_t host;

	fake_vmm_init(&r.f);
	REQUIRE(t, !pl031_init(&r.rtc, &r.f.vmm, AT, IRQ, NULL));
	check_ids(t, &r, 0x41031);
	host = (uint32_t)time(NULL);
	CHECK(t, get(&r, 0x00) - host <= 5);
	CHECK_EQ(t, get(&r, 0x0c), 1);
	set(&r, 0x08, 1000);
	CHECK(t, get(&r, 0x00) - 1000 <= 5);
	CHECK_EQ(t, get(&r, 0x08), 1000);
	hammer(&r);
	pl031_finish(&r.rtc);
	fake_vmm_finish(&r.f);
}

static void rtc_alarm(struct tap *t)
{
	struct rig r;

	fake_vmm_init(&r.f);
	REQUIRE(t, !pl031_init(&r.rtc, &r.f.vmm, AT, IRQ, NULL));
	set(&r, 0x10, 1);
	set(&r, 0x08, 5000);
	set(&r, 0x04, 4000); /* in the past: not in our time */
	fake_run(&r.f);
	CHECK_EQ(t, get(&r, 0x14), 0);
	set(&r, 0x04, get(&r, 0x00) + 1);
	for (unsigned i = 0; i < 60 && !r.f.line[IRQ]; i++)
		ev_run_once(r.f.vmm.loop, 1000);
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x18), 1);
	CHECK(t, get(&r, 0x00) >= get(&r, 0x04));
	set(&r, 0x10, 0);
	CHECK(t, !r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x14), 1);
	set(&r, 0x1c, 1);
	CHECK_EQ(t, get(&r, 0x14), 0);
	set(&r, 0x04, get(&r, 0x00)); /* now is at once, unless the second just ended */
	CHECK(t, get(&r, 0x14) == 1 || get(&r, 0x00) != get(&r, 0x04));
	pl031_finish(&r.rtc);
	fake_vmm_finish(&r.f);
}

static void gpio_key(struct tap *t)
{
	struct rig r;

	fake_vmm_init(&r.f);
	REQUIRE(t, !pl061_init(&r.gpio, &r.f.vmm, AT, IRQ, NULL));
	check_ids(t, &r, 0x41061);
	CHECK(t, !pl061_press(&r.gpio, 3)); /* nobody listens */
	CHECK_EQ(t, get(&r, 0x3fc), 8);
	CHECK_EQ(t, get(&r, 0x3fc & ~0x20u), 0); /* the address is a mask */
	for (unsigned i = 0; i < 60 && get(&r, 0x3fc); i++)
		ev_run_once(r.f.vmm.loop, 1000);
	CHECK_EQ(t, get(&r, 0x3fc), 0);
	set(&r, 0x41c, 0xff);
	/* Both edges, as Linux's gpio-keys asks for. */
	set(&r, 0x408, 8);
	set(&r, 0x410, 8);
	CHECK(t, !r.f.line[IRQ]);
	CHECK(t, pl061_press(&r.gpio, 3));
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x418), 8);
	set(&r, 0x41c, 8);
	CHECK(t, !r.f.line[IRQ]);
	for (unsigned i = 0; i < 60 && !r.f.line[IRQ]; i++)
		ev_run_once(r.f.vmm.loop, 1000);
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, 0x3fc), 0);
	pl061_finish(&r.gpio);
	fake_vmm_finish(&r.f);
}

static void gpio_lines(struct tap *t)
{
	struct rig r;

	fake_vmm_init(&r.f);
	REQUIRE(t, !pl061_init(&r.gpio, &r.f.vmm, AT, IRQ, NULL));
	/* Level-triggered, high: follows the line. */
	set(&r, 0x404, 8);
	set(&r, 0x40c, 8);
	set(&r, 0x410, 8);
	CHECK(t, !r.f.line[IRQ]);
	CHECK(t, pl061_press(&r.gpio, 3));
	CHECK(t, r.f.line[IRQ]);
	set(&r, 0x41c, 8);
	CHECK(t, r.f.line[IRQ]);
	for (unsigned i = 0; i < 60 && r.f.line[IRQ]; i++)
		ev_run_once(r.f.vmm.loop, 1000);
	CHECK(t, !r.f.line[IRQ]);
	/* An output is what the guest wrote, under its mask. */
	set(&r, 0x400, 0xf0);
	set(&r, 0x3fc, 0xa5);
	CHECK_EQ(t, get(&r, 0x3fc), 0xa0);
	set(&r, 0x10 << 2, 0x10);
	CHECK_EQ(t, get(&r, 0x3fc), 0xb0);
	hammer(&r);
	pl061_press(&r.gpio, 3);
	pl061_finish(&r.gpio);
	fake_vmm_finish(&r.f);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, uart_output);
	TAP_RUN(&t, uart_settings);
	TAP_RUN(&t, uart_input);
	TAP_RUN(&t, uart_end_of_input);
	TAP_RUN(&t, uart_hostile);
	TAP_RUN(&t, rtc_time);
	TAP_RUN(&t, rtc_alarm);
	TAP_RUN(&t, gpio_key);
	TAP_RUN(&t, gpio_lines);
	return tap_done(&t);
}
