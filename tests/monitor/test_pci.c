/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci (VIRTIO 1.4, 4.1) and the PCI host against a fake device. */
#include "base/fd.h"
#include "fake.h"
#include "machine/x86/layout.h"
#include "machine/x86/pci_ports.h"
#include "transport/pci.h"
#include "virtio/device.h"

#define BAR    0xc0008000u
#define GSI    17u
#define SLOT   3u
#define CONFIG (BOARD_ECAM + (SLOT << 15))
#define TABLE  0x4000u
#define PBA    0x5000u

struct rig {
	struct fake_vmm vmm;
	struct fake_backend dev;
	struct virtio_pci p;
	struct pci_host host;
	struct pci_ports ports;
	struct bus_range reset;
	unsigned resets;
	unsigned msix; /* offset of the capability */
};

static uint32_t rd(struct rig *r, uint64_t addr, unsigned len)
{
	uint32_t v = 0;

	bus_read(&r->vmm.vmm.mmio, addr, &v, len);
	return v;
}

static void wr(struct rig *r, uint64_t addr, unsigned len, uint32_t v)
{
	bus_write(&r->vmm.vmm.mmio, addr, &v, len);
}

static uint32_t port(struct rig *r, uint16_t at, unsigned len)
{
	uint32_t v = 0;

	bus_read(&r->vmm.vmm.pio, at, &v, len);
	return v;
}

static void set_port(struct rig *r, uint16_t at, unsigned len, uint32_t v)
{
	bus_write(&r->vmm.vmm.pio, at, &v, len);
}

static void reset_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	memset(data, 0, len);
}

static void reset_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct rig *r = arg;

	r->resets++;
}

/* The capability of this id and, for vendor ones, type. */
static unsigned find_cap(struct rig *r, unsigned id, unsigned type)
{
	unsigned at = rd(r, CONFIG + 0x34, 1);

	for (unsigned n = 0; at && n < 48; n++, at = rd(r, CONFIG + at + 1, 1))
		if (rd(r, CONFIG + at, 1) == id && (id != 9 || rd(r, CONFIG + at + 3, 1) == type))
			return at;
	return 0;
}

static void set_up(struct rig *r)
{
	const struct pci_place place = { .requester = SLOT << 3, .bar = BAR, .gsi = GSI, .pin = 1 };
	struct err e = { 0 };
	struct pci_slot slot;

	memset(r, 0, sizeof(*r));
	fake_vmm_init(&r->vmm);
	fake_backend_init(&r->dev, &r->vmm.vmm.gm);
	r->reset =
		(struct bus_range){ .len = 1, .read = reset_read, .write = reset_write, .arg = r };
	if (pci_host_init(&r->host, &r->vmm.vmm, BOARD_ECAM, BOARD_ECAM_SIZE, &e) ||
		pci_ports_init(&r->ports, &r->vmm.vmm, &r->host, &r->reset, &e) ||
		virtio_pci_init(&r->p, &r->vmm.vmm, &r->dev.be, "dev", 0x018000, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		exit(1);
	}
	virtio_pci_place(&r->p, &place);
	slot = virtio_pci_slot(&r->p);
	pci_host_set(&r->host, place.requester, &slot);
	r->msix = find_cap(r, 0x11, 0);
}

static void tear_down(struct tap *t, struct rig *r)
{
	virtio_pci_finish(&r->p);
	pci_ports_finish(&r->ports);
	pci_host_finish(&r->host);
	CHECK(t, r->dev.destroyed);
	CHECK_EQ(t, r->vmm.nbells, 0);
	CHECK_EQ(t, r->vmm.vmm.mmio.n, 0);
	for (unsigned i = 0; i < r->vmm.nmsis; i++)
		CHECK_EQ(t, r->vmm.msis[i].fd, -1);
	fake_vmm_finish(&r->vmm);
}

static void map(struct rig *r)
{
	wr(r, CONFIG + 4, 2, 6);
}

static void drive(struct rig *r, uint64_t accept)
{
	map(r);
	wr(r, BAR + 20, 1, 3);
	wr(r, BAR + 8, 4, 0);
	wr(r, BAR + 12, 4, (uint32_t)accept);
	wr(r, BAR + 8, 4, 1);
	wr(r, BAR + 12, 4, (uint32_t)(accept >> 32));
	wr(r, BAR + 20, 1, 11);
}

static void start_queue(struct rig *r, unsigned q)
{
	wr(r, BAR + 22, 2, q);
	wr(r, BAR + 24, 2, 32);
	wr(r, BAR + 32, 4, 0x1000);
	wr(r, BAR + 36, 4, 1);
	wr(r, BAR + 40, 4, 0x2000);
	wr(r, BAR + 48, 4, 0x3000);
	wr(r, BAR + 28, 2, 1);
}

static const uint64_t v1 = FEATURE(VIRTIO_F_VERSION_1);

static void identity(struct tap *t)
{
	struct rig r;

	set_up(&r);
	CHECK_EQ(t, rd(&r, CONFIG, 4), 0x10421af4);
	CHECK_EQ(t, rd(&r, CONFIG + 8, 4), 0x01800001);
	CHECK_EQ(t, rd(&r, CONFIG + 0x2e, 2) >= 0x40, 1);
	CHECK_EQ(t, rd(&r, CONFIG + 0x3d, 1), 1);
	CHECK_EQ(t, rd(&r, CONFIG + 6, 2) & 0x10, 0x10);
	for (unsigned type = 1; type <= 5; type++)
		CHECK(t, find_cap(&r, 9, type) != 0);
	CHECK_EQ(t, rd(&r, CONFIG + r.msix + 2, 2), FAKE_QUEUES);
	/* Nothing here may change. */
	wr(&r, CONFIG, 4, 0);
	wr(&r, CONFIG + 8, 4, 0);
	CHECK_EQ(t, rd(&r, CONFIG, 4), 0x10421af4);
	CHECK_EQ(t, rd(&r, CONFIG + 8, 4), 0x01800001);
	tear_down(t, &r);
}

static void config_mechanisms(struct tap *t)
{
	struct rig r;

	set_up(&r);
	set_port(&r, 0xcf8, 4, 0x80000000u | SLOT << 11);
	CHECK_EQ(t, port(&r, 0xcf8, 4), 0x80000000u | SLOT << 11);
	CHECK_EQ(t, port(&r, 0xcfc, 4), 0x10421af4);
	CHECK_EQ(t, port(&r, 0xcfe, 2), 0x1042);
	CHECK_EQ(t, port(&r, 0xcff, 1), 0x10);
	CHECK_EQ(t, port(&r, 0xcfd, 2), 0xffff); /* not aligned */
	set_port(&r, 0xcf8, 4, SLOT << 11);	 /* not enabled */
	CHECK_EQ(t, port(&r, 0xcfc, 4), 0xffffffff);
	set_port(&r, 0xcf8, 4, 0x80010000u | SLOT << 11); /* another bus */
	CHECK_EQ(t, port(&r, 0xcfc, 4), 0xffffffff);
	set_port(&r, 0xcf9, 1, 6);
	CHECK_EQ(t, r.resets, 1);
	CHECK_EQ(t, rd(&r, BOARD_ECAM, 4), 0x00081b36);
	CHECK_EQ(t, rd(&r, CONFIG + 0x1000, 4), 0xffffffff); /* function 1 */
	CHECK_EQ(t, rd(&r, CONFIG + 0x100, 4), 0xffffffff);
	CHECK_EQ(t, rd(&r, CONFIG + 1, 2), 0xffff);
	tear_down(t, &r);
}

/* One device to a slot as long as they last, then as many functions in each as it takes. */
static void places(struct tap *t)
{
	bool taken[PCI_HOST_SLOTS * PCI_HOST_FUNCTIONS];

	for (unsigned n = 1; n <= PCI_HOST_DEVICES * PCI_HOST_FUNCTIONS; n++) {
		unsigned last = 0;

		memset(taken, 0, sizeof(taken));
		for (unsigned i = 0; i < n; i++) {
			unsigned devfn = pci_host_devfn(i, n);

			REQUIRE(t,
				devfn > last && devfn / PCI_HOST_FUNCTIONS < PCI_HOST_BOARD_SLOT);
			/* A slot without function 0 is not looked at. */
			CHECK(t, devfn % PCI_HOST_FUNCTIONS == 0 || taken[devfn - 1]);
			taken[devfn] = true;
			last = devfn;
		}
		CHECK(t, n > PCI_HOST_DEVICES || last == n * PCI_HOST_FUNCTIONS);
	}
	CHECK_EQ(t, pci_host_pin(3 * PCI_HOST_FUNCTIONS), 1);
	CHECK_EQ(t, pci_host_pin(3 * PCI_HOST_FUNCTIONS + 5), 2);
	CHECK_EQ(t, pci_host_line(3, 1), 3);
	CHECK_EQ(t, pci_host_line(3, 2), 0);
}

static void functions(struct tap *t)
{
	struct pci_slot other;
	struct rig r;

	set_up(&r);
	CHECK_EQ(t, rd(&r, CONFIG + 0x0e, 1), 0);
	other = r.host.functions[SLOT * PCI_HOST_FUNCTIONS];
	pci_host_set(&r.host, SLOT * PCI_HOST_FUNCTIONS + 7, &other);
	for (unsigned fn = 0; fn < 8; fn += 7) {
		uint64_t config = CONFIG + fn * 0x1000;

		CHECK_EQ(t, rd(&r, config, 4), 0x10421af4);
		CHECK_EQ(t, rd(&r, config + 0x0e, 1), 0x80);
		CHECK_EQ(t, rd(&r, config + 0x0c, 4), 0x00800000);
		CHECK_EQ(t, rd(&r, config + 0x0e, 2), 0x0080);
		CHECK_EQ(t, rd(&r, config + 0x0f, 1), 0);
		CHECK_EQ(t, rd(&r, config + 0x10, 4), BAR);
	}
	CHECK_EQ(t, rd(&r, CONFIG + 0x1000, 4), 0xffffffff);
	CHECK_EQ(t, rd(&r, BOARD_ECAM + 0x0e, 1), 0);
	set_port(&r, 0xcf8, 4, 0x80000700u | SLOT << 11);
	CHECK_EQ(t, port(&r, 0xcfc, 4), 0x10421af4);
	tear_down(t, &r);
}

static void bar(struct tap *t)
{
	struct rig r;

	set_up(&r);
	CHECK_EQ(t, rd(&r, CONFIG + 0x10, 4), BAR);
	CHECK_EQ(t, rd(&r, BAR + 18, 2), 0xffff); /* decoding is off */
	wr(&r, CONFIG + 0x10, 4, 0xffffffff);
	CHECK_EQ(t, rd(&r, CONFIG + 0x10, 4), 0xffff8000);
	wr(&r, CONFIG + 0x14, 4, 0xffffffff);
	CHECK_EQ(t, rd(&r, CONFIG + 0x14, 4), 0);
	wr(&r, CONFIG + 0x10, 4, BAR);
	map(&r);
	CHECK_EQ(t, rd(&r, BAR + 18, 2), FAKE_QUEUES);
	CHECK_EQ(t, r.vmm.nbells, 2);
	CHECK_EQ(t, r.vmm.bells[1].addr, BAR + 0x3004);
	/* Moved while decoding: registers and doorbells go along. */
	wr(&r, CONFIG + 0x10, 4, 0xd0000000);
	CHECK_EQ(t, rd(&r, 0xd0000000 + 18, 2), FAKE_QUEUES);
	CHECK_EQ(t, rd(&r, BAR + 18, 2), 0xffff);
	CHECK_EQ(t, r.vmm.nbells, 2);
	/* On top of something else: it does not answer, and comes back. */
	wr(&r, CONFIG + 0x10, 4, BOARD_ECAM);
	CHECK_EQ(t, rd(&r, CONFIG, 4), 0x10421af4);
	CHECK_EQ(t, r.vmm.nbells, 0);
	wr(&r, CONFIG + 0x10, 4, BAR);
	CHECK_EQ(t, rd(&r, BAR + 18, 2), FAKE_QUEUES);
	wr(&r, CONFIG + 4, 2, 0);
	CHECK_EQ(t, r.vmm.nbells, 0);
	tear_down(t, &r);
}

static void queue_life(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1);
	CHECK_EQ(t, rd(&r, BAR + 20, 1), 11);
	wr(&r, BAR + 22, 2, 2);
	CHECK_EQ(t, rd(&r, BAR + 24, 2), 0);
	start_queue(&r, 1);
	CHECK_EQ(t, rd(&r, BAR + 30, 2), 1);
	wr(&r, BAR + 24, 2, 16); /* too late */
	wr(&r, BAR + 32, 4, 0x9000);
	CHECK_EQ(t, rd(&r, BAR + 24, 2), 32);
	CHECK(t, !r.dev.running[1]);
	wr(&r, BAR + 20, 1, 15);
	CHECK(t, r.dev.running[1] && !r.dev.running[0]);
	CHECK(t, r.dev.setup[1].desc == 0x100001000);
	CHECK_EQ(t, r.dev.setup[1].size, 32);
	wr(&r, BAR + 28, 2, 0); /* the driver must not; nothing happens */
	CHECK_EQ(t, rd(&r, BAR + 28, 2), 1);
	wr(&r, BAR + 20, 1, 0);
	CHECK(t, !r.dev.running[1]);
	CHECK_EQ(t, rd(&r, BAR + 20, 1), 0);
	wr(&r, BAR + 22, 2, 1);
	CHECK_EQ(t, rd(&r, BAR + 28, 2), 0);
	CHECK_EQ(t, rd(&r, BAR + 24, 2), 256);
	tear_down(t, &r);
}

static void queue_reset(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1 | FEATURE(VIRTIO_F_RING_RESET));
	start_queue(&r, 0);
	wr(&r, BAR + 20, 1, 15);
	wr(&r, BAR + 58, 2, 1);
	CHECK_EQ(t, rd(&r, BAR + 58, 2), 0);
	CHECK_EQ(t, rd(&r, BAR + 28, 2), 0);
	CHECK(t, !r.dev.running[0]);
	start_queue(&r, 0);
	CHECK(t, r.dev.running[0]);
	tear_down(t, &r);
}

static void set_vector(
	struct rig *r, unsigned vector, uint32_t addr, uint32_t data, uint32_t control)
{
	wr(r, BAR + TABLE + 16 * vector, 4, addr);
	wr(r, BAR + TABLE + 16 * vector + 4, 4, 0);
	wr(r, BAR + TABLE + 16 * vector + 8, 4, data);
	wr(r, BAR + TABLE + 16 * vector + 12, 4, control);
}

static void msix(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1);
	CHECK_EQ(t, rd(&r, BAR + TABLE + 12, 4), 1); /* masked at first */
	set_vector(&r, 1, 0xfee00000, 0x41, 0);
	wr(&r, CONFIG + r.msix + 2, 2, 0x8000);
	wr(&r, BAR + 22, 2, 0);
	wr(&r, BAR + 26, 2, 7); /* there are three */
	CHECK_EQ(t, rd(&r, BAR + 26, 2), 0xffff);
	wr(&r, BAR + 26, 2, 1);
	CHECK_EQ(t, rd(&r, BAR + 26, 2), 1);
	start_queue(&r, 0);
	wr(&r, BAR + 20, 1, 15);
	CHECK_EQ(t, r.vmm.nmsis, 1);
	CHECK_EQ(t, r.vmm.msis[0].addr, 0xfee00000);
	CHECK_EQ(t, r.vmm.msis[0].data, 0x41);
	CHECK_EQ(t, r.vmm.msis[0].fd, r.dev.setup[0].call_fd);
	/* A new message, while unmasked. */
	wr(&r, BAR + TABLE + 16 + 8, 4, 0x42);
	CHECK_EQ(t, r.vmm.msis[0].data, 0x42);
	/* The mask of the vector, and that of the function. */
	wr(&r, BAR + TABLE + 16 + 12, 4, 1);
	CHECK_EQ(t, r.vmm.msis[0].fd, -1);
	fd_event_signal(r.dev.setup[0].call_fd);
	CHECK_EQ(t, rd(&r, BAR + PBA, 4), 2);
	wr(&r, CONFIG + r.msix + 2, 2, 0xc000);
	wr(&r, BAR + TABLE + 16 + 12, 4, 0);
	CHECK_EQ(t, r.vmm.msis[0].fd, -1);
	wr(&r, CONFIG + r.msix + 2, 2, 0x8000);
	CHECK_EQ(t, r.vmm.msis[0].fd, r.dev.setup[0].call_fd);
	CHECK_EQ(t, rd(&r, BAR + PBA, 4), 0);
	/* With MSI-X there is no INTA#. */
	fake_run(&r.vmm);
	CHECK(t, !r.vmm.line[GSI]);
	wr(&r, BAR + 20, 1, 0);
	CHECK_EQ(t, rd(&r, BAR + 26, 2), 0xffff);
	CHECK_EQ(t, r.vmm.msis[0].fd, -1);
	tear_down(t, &r);
}

/* What is signalled while a queue is reset reaches nobody, and what KVM still has to deliver, it
 * delivers when the vector is disconnected: before the driver goes on. */
static void msix_queue_reset(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1 | FEATURE(VIRTIO_F_RING_RESET));
	set_vector(&r, 1, 0xfee00000, 0x41, 0);
	wr(&r, CONFIG + r.msix + 2, 2, 0x8000);
	wr(&r, BAR + 22, 2, 0);
	wr(&r, BAR + 26, 2, 1);
	start_queue(&r, 0);
	wr(&r, BAR + 20, 1, 15);
	fd_event_signal(r.dev.setup[0].call_fd);
	CHECK_EQ(t, r.vmm.msis[0].disconnects, 0);
	wr(&r, BAR + 58, 2, 1);
	CHECK_EQ(t, r.vmm.msis[0].disconnects, 1);
	CHECK_EQ(t, r.vmm.msis[0].fd, r.dev.setup[0].call_fd);
	CHECK(t, !fd_event_clear(r.dev.setup[0].call_fd));
	CHECK_EQ(t, rd(&r, BAR + 26, 2), 1);
	tear_down(t, &r);
}

static void msix_config_vector(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1);
	wr(&r, CONFIG + r.msix + 2, 2, 0x8000);
	r.dev.be.events.config_changed(r.dev.be.events.arg);
	set_vector(&r, 0, 0xfee01000, 0x50, 0);
	/* What happened before it was mapped is not told. */
	wr(&r, BAR + 16, 2, 0);
	CHECK_EQ(t, rd(&r, BAR + 16, 2), 0);
	CHECK_EQ(t, r.vmm.msis[0].fd, r.p.vio.config.fd);
	CHECK_EQ(t, fd_event_clear(r.p.vio.config.fd), 0);
	r.dev.be.events.config_changed(r.dev.be.events.arg);
	CHECK_EQ(t, fd_event_clear(r.p.vio.config.fd), 1);
	wr(&r, BAR + 16, 2, 0xffff);
	CHECK_EQ(t, r.vmm.msis[0].fd, -1);
	tear_down(t, &r);
}

static void intx(struct tap *t)
{
	struct rig r;

	set_up(&r);
	drive(&r, v1);
	start_queue(&r, 0);
	wr(&r, BAR + 20, 1, 15);
	fd_event_signal(r.dev.setup[0].call_fd);
	r.dev.be.events.config_changed(r.dev.be.events.arg);
	fake_run(&r.vmm);
	CHECK(t, r.vmm.line[GSI]);
	CHECK_EQ(t, rd(&r, CONFIG + 6, 2) & 8, 8);
	wr(&r, CONFIG + 4, 2, 6 | 1 << 10);
	CHECK(t, !r.vmm.line[GSI]);
	wr(&r, CONFIG + 4, 2, 6);
	CHECK(t, r.vmm.line[GSI]);
	CHECK_EQ(t, rd(&r, BAR + 0x1000, 1), 3);
	CHECK(t, !r.vmm.line[GSI]);
	CHECK_EQ(t, rd(&r, BAR + 0x1000, 1), 0);
	CHECK_EQ(t, rd(&r, CONFIG + 6, 2) & 8, 0);
	tear_down(t, &r);
}

static void cfg_access(struct tap *t)
{
	static const uint32_t bad[][3] = { { 1, 20, 1 }, { 0, 20, 3 }, { 0, 21, 2 },
		{ 0, 0x6000, 4 }, { 0, 0xfffffffc, 4 }, { 0, 0, 0 } };
	struct rig r;
	unsigned cap;

	set_up(&r);
	cap = find_cap(&r, 9, 5);
	wr(&r, CONFIG + cap + 4, 1, 0);
	wr(&r, CONFIG + cap + 8, 4, 18);
	wr(&r, CONFIG + cap + 12, 4, 2);
	CHECK_EQ(t, rd(&r, CONFIG + cap + 16, 2), FAKE_QUEUES);
	wr(&r, CONFIG + cap + 8, 4, 20);
	wr(&r, CONFIG + cap + 12, 4, 1);
	wr(&r, CONFIG + cap + 16, 1, 1);
	CHECK_EQ(t, vio_status(&r.p.vio), 1);
	for (unsigned i = 0; i < 6; i++) {
		wr(&r, CONFIG + cap + 4, 1, bad[i][0]);
		wr(&r, CONFIG + cap + 8, 4, bad[i][1]);
		wr(&r, CONFIG + cap + 12, 4, bad[i][2]);
		wr(&r, CONFIG + cap + 16, 4, 0);
		rd(&r, CONFIG + cap + 16, 4);
	}
	CHECK_EQ(t, vio_status(&r.p.vio), 1);
	tear_down(t, &r);
}

static void slow_kick(struct tap *t)
{
	struct rig r;

	set_up(&r);
	map(&r);
	wr(&r, BAR + 0x3004, 2, 1);
	wr(&r, BAR + 0x3008, 2, 2);
	wr(&r, BAR + 0x3ffc, 2, 0);
	CHECK_EQ(t, fd_event_clear(r.p.vio.queues[0].kick_fd), 0);
	CHECK_EQ(t, fd_event_clear(r.p.vio.queues[1].kick_fd), 1);
	tear_down(t, &r);
}

/* Any value, anywhere, in any width, many times: no crash, and a reset still works. */
static void random_accesses(struct tap *t)
{
	uint64_t seed = 1;
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned len, at;
		uint64_t v;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		len = 1u << ((seed >> 20) & 3);
		at = (seed >> 40) & 0x7fff;
		v = seed >> 13;
		if ((seed >> 60) < 4)
			bus_write(&r.vmm.vmm.mmio, CONFIG + (at & 0xff), &v, len);
		else if ((seed >> 60) < 10)
			bus_write(&r.vmm.vmm.mmio, BAR + (at & 0x703f), &v, len);
		else
			bus_read(&r.vmm.vmm.mmio, BAR + at, &v, len);
		if (i % 64 == 0) {
			wr(&r, CONFIG + 0x10, 4, BAR);
			map(&r);
		}
		fake_run(&r.vmm);
	}
	wr(&r, CONFIG + 0x10, 4, BAR);
	map(&r);
	wr(&r, BAR + 20, 1, 0);
	CHECK_EQ(t, rd(&r, BAR + 20, 1), 0);
	CHECK(t, !r.dev.running[0] && !r.dev.running[1]);
	tear_down(t, &r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, identity);
	TAP_RUN(&t, config_mechanisms);
	TAP_RUN(&t, places);
	TAP_RUN(&t, functions);
	TAP_RUN(&t, bar);
	TAP_RUN(&t, queue_life);
	TAP_RUN(&t, queue_reset);
	TAP_RUN(&t, msix);
	TAP_RUN(&t, msix_queue_reset);
	TAP_RUN(&t, msix_config_vector);
	TAP_RUN(&t, intx);
	TAP_RUN(&t, cfg_access);
	TAP_RUN(&t, slow_kick);
	TAP_RUN(&t, random_accesses);
	return tap_done(&t);
}
