/* SPDX-License-Identifier: BSD-3-Clause */
/* The board without KVM: ACPI tables, COM1, power registers, register ranges. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "fake.h"
#include "machine/board.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"
#include "machine/x86/pm.h"
#include "machine/x86/serial.h"

#define ACPI_LEN 0x8000u

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static bool contains(const uint8_t *hay, size_t len, const char *needle, size_t n)
{
	for (size_t i = 0; i + n <= len; i++)
		if (!memcmp(hay + i, needle, n))
			return true;
	return false;
}

/* The table that the XSDT lists under `name`; NULL if none. Checks all of them. */
static const uint8_t *find_table(struct tap *t, const uint8_t *buf, const char *name)
{
	const uint8_t *found = NULL, *xsdt = buf + (get64(buf + 24) - BOARD_ACPI);
	uint32_t n = (get32(xsdt + 4) - 36) / 8;

	CHECK_EQ(t, sum(xsdt, get32(xsdt + 4)), 0);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *table = buf + (get64(xsdt + 36 + 8 * i) - BOARD_ACPI);

		CHECK_EQ(t, sum(table, get32(table + 4)), 0);
		if (!memcmp(table, name, 4))
			found = table;
	}
	return found;
}

static void acpi_tables(struct tap *t)
{
	struct acpi_board board = { .ncpus = 3, .com1 = true, .nvirtio = 2 };
	const uint8_t *fadt, *madt, *mcfg, *dsdt;
	static uint8_t buf[ACPI_LEN];
	unsigned cpus = 0;

	REQUIRE(t, !acpi_build(&board, buf, sizeof(buf), BOARD_ACPI, NULL));
	CHECK(t, !memcmp(buf, "RSD PTR ", 8));
	CHECK_EQ(t, sum(buf, 20), 0);
	CHECK_EQ(t, sum(buf, 36), 0);
	fadt = find_table(t, buf, "FACP");
	madt = find_table(t, buf, "APIC");
	mcfg = find_table(t, buf, "MCFG");
	REQUIRE(t, fadt && madt && mcfg);
	CHECK_EQ(t, get32(fadt + 4), 276);		   /* revision 6 */
	CHECK_EQ(t, get32(fadt + 56), BOARD_PORT_PM1);	   /* PM1a_EVT_BLK */
	CHECK_EQ(t, get32(fadt + 64), BOARD_PORT_PM1 + 4); /* PM1a_CNT_BLK */
	CHECK_EQ(t, get64(fadt + 120), BOARD_PORT_RESET);
	CHECK_EQ(t, get64(mcfg + 44), BOARD_ECAM);
	for (const uint8_t *p = madt + 44; p < madt + get32(madt + 4) && p[1]; p += p[1])
		cpus += p[0] == 0 && p[3] == cpus;
	CHECK_EQ(t, cpus, 3);
	dsdt = buf + (get64(fadt + 140) - BOARD_ACPI);
	CHECK(t, !memcmp(dsdt, "DSDT", 4));
	CHECK_EQ(t, sum(dsdt, get32(dsdt + 4)), 0);
	CHECK(t, contains(dsdt, get32(dsdt + 4), "VR01", 4));
	CHECK(t, !contains(dsdt, get32(dsdt + 4), "VR02", 4));
	CHECK(t, contains(dsdt, get32(dsdt + 4), "COM1", 4));
	/* EisaId("PNP0A08"), as every ACPI dump shows it. */
	CHECK(t, contains(dsdt, get32(dsdt + 4), "\x41\xd0\x0a\x08", 4));
}

static void acpi_limits(struct tap *t)
{
	struct acpi_board board = { .ncpus = 64, .com1 = true, .nvirtio = BOARD_MMIO_MAX };
	static uint8_t buf[BOARD_ACPI_SIZE];
	struct err e = { 0 };

	CHECK_EQ(t, acpi_build(&board, buf, sizeof(buf), BOARD_ACPI, &e), 0);
	for (size_t len = 0; len < 2000; len++)
		CHECK_EQ(t, acpi_build(&board, buf, len, BOARD_ACPI, &e), -ENOSPC);
}

struct port_rig {
	struct fake_vmm f;
	struct serial s;
	struct pm pm;
	int in[2], out[2];
	enum machine_event what;
	unsigned events;
};

static uint32_t in(struct port_rig *r, uint16_t port, unsigned len)
{
	uint32_t v = 0;

	bus_read(&r->f.vmm.pio, port, &v, len);
	return v;
}

static void out(struct port_rig *r, uint16_t port, unsigned len, uint32_t v)
{
	bus_write(&r->f.vmm.pio, port, &v, len);
}

static void serial_up(struct port_rig *r)
{
	fake_vmm_init(&r->f);
	if (pipe2(r->in, O_NONBLOCK) || pipe2(r->out, O_NONBLOCK) ||
		serial_init(&r->s, &r->f.vmm, 0x3f8, 4, r->in[0], r->out[1], NULL))
		exit(1);
}

static void serial_down(struct port_rig *r)
{
	serial_finish(&r->s);
	fake_vmm_finish(&r->f);
	for (unsigned i = 0; i < 2; i++) {
		close(r->in[i]);
		close(r->out[i]);
	}
}

static void serial_output(struct tap *t)
{
	struct port_rig r;
	char buf[8] = "";

	serial_up(&r);
	CHECK_EQ(t, in(&r, 0x3fd, 1) & 0x60, 0x60);
	out(&r, 0x3f8, 1, 'A');
	CHECK_EQ(t, read(r.out[0], buf, sizeof(buf)), 1);
	CHECK_EQ(t, buf[0], 'A');
	/* The divisor is behind the same register. */
	out(&r, 0x3fb, 1, 0x83);
	out(&r, 0x3f8, 1, 12);
	CHECK_EQ(t, in(&r, 0x3f8, 1), 12);
	CHECK_EQ(t, read(r.out[0], buf, sizeof(buf)), -1);
	out(&r, 0x3fb, 1, 3);
	/* Nobody reads: bytes are lost, the guest is not held up. */
	for (unsigned i = 0; i < 70000; i++)
		out(&r, 0x3f8, 1, 'x');
	CHECK_EQ(t, in(&r, 0x3fd, 1) & 0x60, 0x60);
	serial_down(&r);
}

static void serial_interrupts(struct tap *t)
{
	struct port_rig r;

	serial_up(&r);
	CHECK_EQ(t, in(&r, 0x3fa, 1), 1);
	out(&r, 0x3f9, 1, 2);
	CHECK(t, r.f.line[4]);
	CHECK_EQ(t, in(&r, 0x3fa, 1), 2); /* reading it takes it away */
	CHECK(t, !r.f.line[4]);
	CHECK_EQ(t, in(&r, 0x3fa, 1), 1);
	out(&r, 0x3f8, 1, 'A');
	CHECK_EQ(t, in(&r, 0x3fa, 1), 2);
	serial_down(&r);
}

static void serial_input(struct tap *t)
{
	struct port_rig r;
	char text[41];

	memset(text, 'a', 40);
	text[40] = '\0';
	serial_up(&r);
	out(&r, 0x3fa, 1, 1); /* FIFOs on */
	out(&r, 0x3f9, 1, 1);
	CHECK_EQ(t, write(r.in[1], text, 40), 40);
	fake_run(&r.f);
	CHECK(t, r.f.line[4]);
	CHECK_EQ(t, in(&r, 0x3fa, 1), 0xc4);
	/* 16 fit; the rest waits outside until there is room. */
	for (unsigned i = 0; i < 40; i++) {
		fake_run(&r.f);
		CHECK_EQ(t, in(&r, 0x3fd, 1) & 1, 1);
		CHECK_EQ(t, in(&r, 0x3f8, 1), 'a');
	}
	fake_run(&r.f);
	CHECK_EQ(t, in(&r, 0x3fd, 1) & 1, 0);
	CHECK(t, !r.f.line[4]);
	serial_down(&r);
}

/* What drivers do to see whether there is a port at all. */
static void serial_loopback(struct tap *t)
{
	struct port_rig r;

	serial_up(&r);
	out(&r, 0x3fc, 1, 0x1a);
	CHECK_EQ(t, in(&r, 0x3fe, 1) & 0xf0, 0x90);
	out(&r, 0x3f8, 1, 'L');
	CHECK_EQ(t, in(&r, 0x3f8, 1), 'L');
	out(&r, 0x3ff, 1, 0x5a);
	CHECK_EQ(t, in(&r, 0x3ff, 1), 0x5a);
	serial_down(&r);
}

static void on_power(void *arg, enum machine_event what)
{
	struct port_rig *r = arg;

	r->what = what;
	r->events++;
}

static void power(struct tap *t)
{
	struct port_rig r = { .events = 0 };

	fake_vmm_init(&r.f);
	REQUIRE(t, !pm_init(&r.pm, &r.f.vmm, on_power, &r, NULL));
	CHECK_EQ(t, in(&r, 0x604, 2) & 1, 1); /* ACPI mode */
	CHECK(t, !pm_power_button(&r.pm));    /* not enabled: nobody listens */
	CHECK(t, !r.f.line[9]);
	out(&r, 0x600, 2, 0x100);
	out(&r, 0x602, 2, 0x100);
	CHECK(t, pm_power_button(&r.pm));
	CHECK(t, r.f.line[9]);
	CHECK_EQ(t, in(&r, 0x600, 2), 0x100);
	out(&r, 0x600, 2, 0x100);
	CHECK(t, !r.f.line[9]);
	CHECK(t, !pm_sleep_button(&r.pm));
	CHECK(t, !r.f.line[9]);
	out(&r, 0x602, 2, 0x200);
	CHECK(t, r.f.line[9]);
	CHECK(t, pm_sleep_button(&r.pm));
	out(&r, 0x600, 2, 0x200);
	CHECK(t, !r.f.line[9]);
	/* Another sleep type, or no enable bit: nothing. */
	out(&r, 0x604, 2, 1 << 13 | 3 << 10);
	out(&r, 0x604, 2, 1 << 10);
	out(&r, 0x604, 2, 5 << 10);
	CHECK_EQ(t, r.events, 0);
	out(&r, 0x604, 2, 1 << 13 | 1 << 10);
	CHECK(t, r.events == 1 && r.what == MACHINE_SUSPEND);
	r.events = 0;
	pm_wake(&r.pm);
	CHECK_EQ(t, in(&r, 0x600, 2), 0x8000);
	out(&r, 0x600, 2, 0x8000);
	CHECK_EQ(t, in(&r, 0x600, 2), 0);
	out(&r, 0x604, 2, 1 << 13 | 5 << 10);
	CHECK(t, r.events == 1 && r.what == MACHINE_POWER_OFF);
	CHECK_EQ(t, in(&r, 0x604, 2) & (1 << 13), 0);
	out(&r, 0x64, 1, 0xfe);
	CHECK(t, r.events == 2 && r.what == MACHINE_RESET);
	pm_finish(&r.pm);
	fake_vmm_finish(&r.f);
}

static void touch(void *arg, uint64_t offset, void *data, unsigned len)
{
	memset(data, *(int *)arg, len);
}

static void bus_ranges(struct tap *t)
{
	int one = 1, two = 2;
	struct bus_range a = { .len = 0x10, .name = "a", .read = touch, .arg = &one };
	struct bus_range b = { .len = 0x10, .name = "b", .read = touch, .arg = &two };
	struct bus_range top = { .len = 0x10, .name = "top", .read = touch, .arg = &two };
	struct bus bus;
	uint8_t v[8];

	CHECK_EQ(t, bus_init(&bus), 0);
	CHECK_EQ(t, bus_add(&bus, &a, 0x100, NULL), 0);
	CHECK_EQ(t, bus_add(&bus, &b, 0x10f, NULL), -EBUSY);
	CHECK_EQ(t, bus_add(&bus, &b, 0xf1, NULL), -EBUSY);
	CHECK_EQ(t, bus_add(&bus, &b, 0x110, NULL), 0);
	CHECK_EQ(t, bus_add(&bus, &top, UINT64_MAX - 3, NULL), -EINVAL);
	CHECK_EQ(t, bus_add(&bus, &top, UINT64_MAX - 15, NULL), 0);
	CHECK(t, bus_read(&bus, 0x10f, v, 1) && v[0] == 1);
	CHECK(t, bus_read(&bus, 0x110, v, 1) && v[0] == 2);
	CHECK(t, bus_read(&bus, UINT64_MAX, v, 1) && v[0] == 2);
	CHECK(t, !bus_read(&bus, 0x10c, v, 8) && v[0] == 0xff); /* across both */
	CHECK(t, !bus_read(&bus, 0xff, v, 1));
	CHECK(t, !bus_read(&bus, 0x120, v, 1));
	bus_del(&bus, &a);
	bus_del(&bus, &a);
	CHECK(t, !bus_read(&bus, 0x100, v, 1));
	bus_finish(&bus);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, acpi_tables);
	TAP_RUN(&t, acpi_limits);
	TAP_RUN(&t, serial_output);
	TAP_RUN(&t, serial_interrupts);
	TAP_RUN(&t, serial_input);
	TAP_RUN(&t, serial_loopback);
	TAP_RUN(&t, power);
	TAP_RUN(&t, bus_ranges);
	return tap_done(&t);
}
