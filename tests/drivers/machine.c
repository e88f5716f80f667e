/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine. See machine.h. */
#include "machine.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

static struct machine *current; /* registers have no other way to find it */

uint32_t machine_io_read(uintptr_t at, unsigned width)
{
	uint32_t v = 0;

	bus_read(&current->vmm.vmm.mmio, at, &v, width);
	return v;
}

void machine_io_write(uintptr_t at, unsigned width, uint32_t v)
{
	bus_write(&current->vmm.vmm.mmio, at, &v, width);
}

static uint64_t map(void *ctx, const void *p, size_t len)
{
	const struct machine *m = ctx;
	uintptr_t off = (uintptr_t)p - (uintptr_t)m->ram;

	return off <= MACHINE_LEN && len <= MACHINE_LEN - off ? MACHINE_RAM + off : UINT64_MAX;
}

static void barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t now(void *ctx)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t machine_until(void)
{
	return now(NULL) + MACHINE_WAIT;
}

/* What the interrupt controller does: a line is high until its cause is gone, a message comes once.
 */
static void deliver(struct machine *m)
{
	fake_run(&m->vmm);
	if (m->vmm.line[MACHINE_GSI] && m->kind == MMIO_IRQ)
		drv_mmio_interrupt(&m->dm);
	if (m->vmm.line[MACHINE_GSI] && m->kind == PCI_INTX)
		drv_pci_interrupt(&m->dp);
	for (unsigned i = 0; i < m->vmm.nmsis; i++)
		if (m->vmm.msis[i].fd >= 0 && fd_event_clear(m->vmm.msis[i].fd))
			drv_pci_message(&m->dp, (uint16_t)m->vmm.msis[i].data);
}

static void wait(void *ctx, struct drv_dev *dev, uint64_t until)
{
	struct machine *m = ctx;

	m->waits++;
	deliver(m);
	usleep(20);
}

static int start_device(struct vbackend **be, const struct vdev_class *cls, const struct gm *gm,
	va_list ap, struct err *e)
{
	struct ev_loop *loop = NULL;
	struct vdev *dev = NULL;
	const char *key;
	int ret = ev_loop_create(&loop);

	if (!ret)
		ret = vdev_new(&dev, cls, e);
	while (!ret && (key = va_arg(ap, const char *)))
		ret = opt_set(cls->opts, dev, key, va_arg(ap, const char *), e);
	if (!ret)
		ret = vdev_init(dev, loop, NULL, e);
	if (!ret)
		ret = vb_local_create(be, dev, loop, gm, NULL, e);
	if (ret) {
		vdev_destroy(dev);
		ev_loop_destroy(loop);
	}
	return ret;
}

static int plug_in(struct machine *m, struct vbackend *be, struct err *e)
{
	const struct pci_place place = {
		.requester = MACHINE_SLOT << 3, .bar = MACHINE_BAR, .gsi = MACHINE_GSI, .pin = 1
	};
	struct pci_slot slot;
	int ret;

	if (!m->is_pci)
		return virtio_mmio_init(
			&m->mmio, &m->vmm.vmm, be, "dev", MACHINE_MMIO, MACHINE_GSI, e);
	ret = pci_host_init(&m->host, &m->vmm.vmm, MACHINE_ECAM, 1u << 20, e);
	if (!ret)
		ret = virtio_pci_init(&m->pci, &m->vmm.vmm, be, "dev", be->device_id << 16, e);
	if (ret)
		return ret;
	virtio_pci_place(&m->pci, &place);
	slot = virtio_pci_slot(&m->pci);
	pci_host_set(&m->host, place.requester, &slot);
	return 0;
}

static int open_pci(struct machine *m)
{
	static const struct drv_pci_msi msi[FAKE_MSIS] = { { 0xfee00000, 0 }, { 0xfee00000, 1 },
		{ 0xfee00000, 2 }, { 0xfee00000, 3 }, { 0xfee00000, 4 }, { 0xfee00000, 5 },
		{ 0xfee00000, 6 }, { 0xfee00000, 7 } };
	struct drv_pci_function f = { 0 };
	int r;

	drv_pci_ecam(&m->dh, MACHINE_ECAM, 0, 0);
	if (drv_pci_scan(&m->dh, &f, 1) != 1)
		return DRV_GONE;
	r = drv_pci_open(&m->dp, &m->platform, &m->dh, f.bdf, m->ram, MACHINE_RINGS);
	if (!r && m->kind == PCI_INTX)
		drv_pci_use_intx(&m->dp);
	if (!r && m->kind == PCI_MSIX)
		r = drv_pci_use_msix(&m->dp, msi, FAKE_MSIS);
	m->dev = &m->dp.dev;
	return r;
}

static int open_mmio(struct machine *m)
{
	int r = drv_mmio_open(&m->dm, &m->platform, MACHINE_MMIO, m->ram, MACHINE_RINGS);

	if (!r && m->kind == MMIO_IRQ)
		drv_mmio_use_interrupts(&m->dm);
	m->dev = &m->dm.dev;
	return r;
}

static int visible_features(struct drv_dev *dev, uint64_t *offered)
{
	int r = current->features(dev, offered);

	*offered &= ~current->hide;
	return r;
}

void machine_hide(struct machine *m, uint64_t features)
{
	struct drv_ops *ops = m->is_pci ? &m->dp.regs.ops : &m->dm.regs.ops;

	m->hide = features;
	if (!m->features)
		m->features = ops->features;
	ops->features = visible_features;
}

struct machine *machine_open(enum machine_kind kind, const struct vdev_class *cls, ...)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct vbackend *be = NULL;
	struct err e = { 0 };
	va_list ap;
	int r;

	current = m;
	m->kind = kind;
	m->is_pci = kind >= PCI_POLL;
	fake_vmm_init(&m->vmm);
	m->ram =
		mmap(NULL, MACHINE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->platform = (struct drv_platform){ .ctx = m,
		.map = map,
		.barrier = barrier,
		.wait = kind == MMIO_POLL || kind == PCI_POLL ? NULL : wait,
		.time = now };
	r = gm_add(&m->vmm.vmm.gm,
		&(struct gm_region){
			.gpa = MACHINE_RAM, .size = MACHINE_LEN, .hva = m->ram, .fd = -1 },
		&e);
	va_start(ap, cls);
	if (!r)
		r = start_device(&be, cls, &m->vmm.vmm.gm, ap, &e);
	va_end(ap);
	if (!r)
		r = plug_in(m, be, &e);
	if (!r)
		r = m->is_pci ? open_pci(m) : open_mmio(m);
	if (r) {
		printf("# %s: %d %s\n", cls->name, r, e.msg);
		exit(1);
	}
	return m;
}

void machine_close(struct machine *m)
{
	virtio_mmio_finish(&m->mmio);
	virtio_pci_finish(&m->pci);
	if (m->is_pci)
		pci_host_finish(&m->host);
	gm_clear(&m->vmm.vmm.gm);
	fake_vmm_finish(&m->vmm);
	munmap(m->ram, MACHINE_LEN);
	free(m);
}
