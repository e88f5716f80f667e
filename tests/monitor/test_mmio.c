/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio registers (VIRTIO 1.4, 4.2) against a fake device. */
#include "base/fd.h"
#include "fake.h"
#include "transport/mmio.h"
#include "virtio/device.h"

#define BASE 0x10000u
#define GSI  5u

struct rig {
	struct fake_vmm vmm;
	struct fake_backend dev;
	struct virtio_mmio m;
};

static uint32_t rd(struct rig *r, unsigned reg)
{
	uint32_t v = 0;

	bus_read(&r->vmm.vmm.mmio, BASE + reg, &v, 4);
	return v;
}

static void wr(struct rig *r, unsigned reg, uint32_t v)
{
	bus_write(&r->vmm.vmm.mmio, BASE + reg, &v, 4);
}

static void set_up(struct rig *r)
{
	struct err e = { 0 };

	fake_vmm_init(&r->vmm);
	fake_backend_init(&r->dev, &r->vmm.vmm.gm);
	if (virtio_mmio_init(&r->m, &r->vmm.vmm, &r->dev.be, "dev", BASE, GSI, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		exit(1);
	}
}

static void tear_down(struct tap *t, struct rig *r)
{
	virtio_mmio_finish(&r->m);
	CHECK(t, r->dev.destroyed);
	CHECK_EQ(t, r->vmm.nbells, 0);
	CHECK_EQ(t, r->vmm.vmm.mmio.n, 0);
	fake_vmm_finish(&r->vmm);
}

/* Up to FEATURES_OK. */
static void negotiate(struct rig *r, uint64_t accept)
{
	wr(r, 0x70, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	wr(r, 0x24, 0);
	wr(r, 0x20, (uint32_t)accept);
	wr(r, 0x24, 1);
	wr(r, 0x20, (uint32_t)(accept >> 32));
	wr(r, 0x70, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
}

static void start_queue(struct rig *r, unsigned q)
{
	wr(r, 0x30, q);
	wr(r, 0x38, 64);
	wr(r, 0x80, 0x1000);
	wr(r, 0x84, 1);
	wr(r, 0x90, 0x2000);
	wr(r, 0xa0, 0x3000);
	wr(r, 0x44, 1);
}

static const uint64_t v1 = FEATURE(VIRTIO_F_VERSION_1);

static void identity(struct tap *t)
{
	struct rig r;

	set_up(&r);
	CHECK_EQ(t, rd(&r, 0), 0x74726976);
	CHECK_EQ(t, rd(&r, 4), 2);
	CHECK_EQ(t, rd(&r, 8), 2);
	CHECK_EQ(t, rd(&r, 0x70), 0);
	CHECK_EQ(t, rd(&r, 0xb0), 0xffffffff);
	CHECK_EQ(t, rd(&r, 0xbc), 0xffffffff);
	tear_down(t, &r);
}

static void features(struct tap *t)
{
	struct rig r;

	set_up(&r);
	wr(&r, 0x14, 0);
	CHECK_EQ(t, rd(&r, 0x10), 8);
	wr(&r, 0x14, 1);
	CHECK_EQ(t, rd(&r, 0x10), (v1 | FEATURE(VIRTIO_F_RING_RESET)) >> 32);
	wr(&r, 0x14, 2);
	CHECK_EQ(t, rd(&r, 0x10), 0);
	negotiate(&r, v1 | 8);
	CHECK_EQ(t, rd(&r, 0x70), 11);
	CHECK(t, r.dev.accepted == (v1 | 8));
	/* Fixed once they are accepted. */
	wr(&r, 0x24, 0);
	wr(&r, 0x20, 0xffffffff);
	CHECK(t, r.dev.accepted == (v1 | 8));
	tear_down(t, &r);
}

static void features_refused(struct tap *t)
{
	struct rig r;

	set_up(&r);
	negotiate(&r, 8); /* no VERSION_1 */
	CHECK_EQ(t, rd(&r, 0x70), 3);
	wr(&r, 0x70, 0);
	negotiate(&r, v1 | 16); /* not offered */
	CHECK_EQ(t, rd(&r, 0x70), 3);
	wr(&r, 0x70, 0);
	r.dev.refuse_features = true;
	negotiate(&r, v1);
	CHECK_EQ(t, rd(&r, 0x70), 3);
	/* And no way around it. */
	wr(&r, 0x70, 7);
	CHECK_EQ(t, rd(&r, 0x70), 3);
	CHECK_EQ(t, r.dev.status, 0);
	tear_down(t, &r);
}

static void transport_features_hidden(struct tap *t)
{
	struct rig r;
	struct err e = { 0 };

	fake_vmm_init(&r.vmm);
	fake_backend_init(&r.dev, &r.vmm.vmm.gm);
	/* NOTIFICATION_DATA and ADMIN_VQ are the transport's to offer. */
	r.dev.offered |= FEATURE(38) | FEATURE(41);
	CHECK_EQ(t, virtio_mmio_init(&r.m, &r.vmm.vmm, &r.dev.be, "dev", BASE, GSI, &e), 0);
	wr(&r, 0x14, 1);
	CHECK_EQ(t, rd(&r, 0x10) & ((1u << 6) | (1u << 9)), 0);
	tear_down(t, &r);
}

static void queue_life(struct tap *t)
{
	struct rig r;

	set_up(&r);
	wr(&r, 0x30, 2);
	CHECK_EQ(t, rd(&r, 0x34), 0);
	wr(&r, 0x30, 0x10000); /* must not wrap to queue 0 */
	CHECK_EQ(t, rd(&r, 0x34), 0);
	negotiate(&r, v1);
	start_queue(&r, 1);
	CHECK_EQ(t, rd(&r, 0x44), 1);
	CHECK(t, !r.dev.running[1]); /* not before DRIVER_OK */
	wr(&r, 0x80, 0x9000);	     /* too late */
	wr(&r, 0x70, 15);
	CHECK(t, r.dev.running[1] && !r.dev.running[0]);
	CHECK_EQ(t, r.dev.status, 15);
	CHECK_EQ(t, r.dev.setup[1].size, 64);
	CHECK(t, r.dev.setup[1].desc == 0x100001000);
	CHECK_EQ(t, r.dev.setup[1].driver, 0x2000);
	CHECK_EQ(t, r.dev.setup[1].device, 0x3000);
	wr(&r, 0x44, 0);
	CHECK_EQ(t, rd(&r, 0x44), 0);
	CHECK(t, !r.dev.running[1]);
	start_queue(&r, 1);
	CHECK(t, r.dev.running[1]);
	wr(&r, 0x70, 0);
	CHECK(t, !r.dev.running[1]);
	CHECK_EQ(t, rd(&r, 0x44), 0);
	CHECK_EQ(t, rd(&r, 0x70), 0);
	tear_down(t, &r);
}

static void queue_bad(struct tap *t)
{
	static const uint32_t sizes[] = { 0, 3, 512, 0x10040, 0xffffffff };

	for (unsigned i = 0; i < 5; i++) {
		struct rig r;

		set_up(&r);
		negotiate(&r, v1);
		wr(&r, 0x30, 0);
		wr(&r, 0x38, sizes[i]);
		wr(&r, 0x44, 1);
		CHECK_EQ(t, rd(&r, 0x44), 0);
		CHECK(t, rd(&r, 0x70) & VIRTIO_S_NEEDS_RESET);
		wr(&r, 0x70, 0);
		CHECK_EQ(t, rd(&r, 0x70), 0);
		tear_down(t, &r);
	}
}

static void queue_fails_to_start(struct tap *t)
{
	struct rig r;

	set_up(&r);
	r.dev.fail_start = true;
	negotiate(&r, v1);
	start_queue(&r, 0);
	wr(&r, 0x70, 15);
	CHECK(t, rd(&r, 0x70) & VIRTIO_S_NEEDS_RESET);
	fake_run(&r.vmm);
	CHECK_EQ(t, rd(&r, 0x60), 2);
	tear_down(t, &r);
}

static void queue_reset(struct tap *t)
{
	struct rig r;

	set_up(&r);
	negotiate(&r, v1);
	start_queue(&r, 0);
	wr(&r, 0x70, 15);
	wr(&r, 0xc0, 1); /* not negotiated */
	CHECK_EQ(t, rd(&r, 0x44), 1);
	wr(&r, 0x70, 0);
	negotiate(&r, v1 | FEATURE(VIRTIO_F_RING_RESET));
	start_queue(&r, 0);
	wr(&r, 0x70, 15);
	wr(&r, 0xc0, 1);
	CHECK_EQ(t, rd(&r, 0xc0), 0);
	CHECK_EQ(t, rd(&r, 0x44), 0);
	CHECK(t, !r.dev.running[0]);
	wr(&r, 0x38, 128);
	wr(&r, 0x44, 1);
	CHECK(t, r.dev.running[0]);
	CHECK_EQ(t, r.dev.setup[0].size, 128);
	tear_down(t, &r);
}

/* What the device said before a reset, and the loop had not heard, is not said afterwards. */
static void queue_reset_forgets(struct tap *t)
{
	struct rig r;

	set_up(&r);
	negotiate(&r, v1 | FEATURE(VIRTIO_F_RING_RESET));
	start_queue(&r, 0);
	wr(&r, 0x70, 15);
	fd_event_signal(r.dev.setup[0].call_fd);
	wr(&r, 0xc0, 1);
	fake_run(&r.vmm);
	CHECK_EQ(t, rd(&r, 0x60), 0);
	CHECK(t, !r.vmm.line[GSI]);
	tear_down(t, &r);
}

static void doorbells(struct tap *t)
{
	struct rig r;

	set_up(&r);
	CHECK_EQ(t, r.vmm.nbells, 2);
	CHECK_EQ(t, r.vmm.bells[1].addr, BASE + 0x50);
	CHECK(t, r.vmm.bells[1].match && r.vmm.bells[1].len == 4);
	CHECK_EQ(t, r.vmm.bells[1].value, 1);
	/* The slow path signals the same descriptor; a queue that is not there signals none. */
	wr(&r, 0x50, 1);
	wr(&r, 0x50, 2);
	CHECK_EQ(t, fd_event_clear(r.vmm.bells[1].fd), 1);
	CHECK_EQ(t, fd_event_clear(r.vmm.bells[0].fd), 0);
	tear_down(t, &r);
}

static void interrupts(struct tap *t)
{
	struct rig r;

	set_up(&r);
	negotiate(&r, v1);
	start_queue(&r, 0);
	wr(&r, 0x70, 15);
	fd_event_signal(r.dev.setup[0].call_fd);
	fake_run(&r.vmm);
	CHECK_EQ(t, rd(&r, 0x60), 1);
	CHECK(t, r.vmm.line[GSI]);
	r.dev.be.events.config_changed(r.dev.be.events.arg);
	fake_run(&r.vmm);
	CHECK_EQ(t, rd(&r, 0x60), 3);
	wr(&r, 0x64, 1);
	CHECK(t, r.vmm.line[GSI]);
	wr(&r, 0x64, 2);
	CHECK_EQ(t, rd(&r, 0x60), 0);
	CHECK(t, !r.vmm.line[GSI]);
	CHECK_EQ(t, r.vmm.line_changes, 2);
	/* Reset takes a pending interrupt along. */
	fd_event_signal(r.dev.setup[0].call_fd);
	wr(&r, 0x70, 0);
	fake_run(&r.vmm);
	CHECK_EQ(t, rd(&r, 0x60), 0);
	tear_down(t, &r);
}

static void configuration(struct tap *t)
{
	struct rig r;
	uint32_t generation;
	uint8_t byte = 0;
	uint64_t wide;

	set_up(&r);
	CHECK_EQ(t, rd(&r, 0x100), 0x13121110);
	bus_read(&r.vmm.vmm.mmio, BASE + 0x105, &byte, 1);
	CHECK_EQ(t, byte, 0x15);
	bus_read(&r.vmm.vmm.mmio, BASE + 0x108, &wide, 8);
	CHECK(t, wide == 0x1f1e1d1c1b1a1918);
	CHECK_EQ(t, rd(&r, 0x100 + FAKE_CONFIG), 0);
	CHECK_EQ(t, rd(&r, 0x100 + FAKE_CONFIG - 2), 0); /* partly outside */
	wr(&r, 0x104, 0xaabbccdd);
	CHECK_EQ(t, r.dev.config[4], 0xdd);
	wr(&r, 0x100 + FAKE_CONFIG, 1);
	generation = rd(&r, 0xfc);
	CHECK_EQ(t, rd(&r, 0xfc), generation);
	r.dev.be.events.config_changed(r.dev.be.events.arg);
	CHECK(t, rd(&r, 0xfc) != generation);

	/* What changes without being announced shows as well, when it is read. */
	rd(&r, 0x100);
	generation = rd(&r, 0xfc);
	r.dev.config[8] ^= 1;
	rd(&r, 0x100);
	CHECK(t, rd(&r, 0xfc) != generation);
	generation = rd(&r, 0xfc);
	rd(&r, 0x108);
	CHECK_EQ(t, rd(&r, 0xfc), generation);
	tear_down(t, &r);
}

/* Accesses that the standard forbids, at every offset and width: nothing happens. */
static void odd_accesses(struct tap *t)
{
	struct rig r;

	set_up(&r);
	negotiate(&r, v1);
	for (unsigned at = 0; at < 0x100; at++)
		for (unsigned len = 1; len <= 8; len *= 2) {
			uint8_t data[8] = { 0 };

			if (len == 4 && at % 4 == 0)
				continue;
			bus_write(&r.vmm.vmm.mmio, BASE + at, data, len);
			memset(data, 0xee, sizeof(data));
			bus_read(&r.vmm.vmm.mmio, BASE + at, data, len);
			for (unsigned i = 0; i < len; i++)
				CHECK_EQ(t, data[i], 0);
		}
	CHECK_EQ(t, rd(&r, 0x70), 11);
	tear_down(t, &r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, identity);
	TAP_RUN(&t, features);
	TAP_RUN(&t, features_refused);
	TAP_RUN(&t, transport_features_hidden);
	TAP_RUN(&t, queue_life);
	TAP_RUN(&t, queue_bad);
	TAP_RUN(&t, queue_fails_to_start);
	TAP_RUN(&t, queue_reset);
	TAP_RUN(&t, queue_reset_forgets);
	TAP_RUN(&t, doorbells);
	TAP_RUN(&t, interrupts);
	TAP_RUN(&t, configuration);
	TAP_RUN(&t, odd_accesses);
	return tap_done(&t);
}
