/* SPDX-License-Identifier: BSD-3-Clause */
/* drivers/ on this platform. See virtio.h. */
#include "guests/bare/virtio.h"

#include "guests/bare/bare_priv.h"

#define RING_ALIGN 4096u

static uint64_t hook_map(void *ctx, const void *p, size_t len)
{
	return (uintptr_t)p;
}

static void hook_barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void hook_wait(void *ctx, struct drv_dev *dev, uint64_t until)
{
	/* A device that cannot interrupt is polled. */
	if (dev->ops->interrupts)
		bare_wait(until);
}

static uint64_t hook_time(void *ctx)
{
	return bare_time();
}

static void hook_log(void *ctx, const char *text)
{
	bare_put(text);
	bare_put("\n");
}

void bare_drv_platform(struct drv_platform *platform)
{
	*platform = (struct drv_platform){
		.map = hook_map,
		.barrier = hook_barrier,
		.wait = hook_wait,
		.time = hook_time,
		.log = hook_log,
	};
}

static void on_message(void *arg)
{
	const struct bare_message *m = arg;

	drv_pci_message(&m->device->pci, m->vector);
}

static void on_intx(void *arg)
{
	drv_pci_interrupt(arg);
}

static void on_line(void *arg)
{
	drv_mmio_interrupt(arg);
}

static uint32_t ports_read(void *ctx, uint16_t bdf, uint16_t offset, unsigned width)
{
	return bare_arch_pci_read(bdf, offset, width);
}

static void ports_write(void *ctx, uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
	bare_arch_pci_write(bdf, offset, width, v);
}

bool bare_pci_host(struct drv_pci_host *h, const struct bare_pci *pci)
{
	uint64_t len = ((uint64_t)pci->last_bus - pci->first_bus + 1) << 20;

	if (!pci->ecam) {
		*h = (struct drv_pci_host){
			.read = ports_read, .write = ports_write, .last_bus = pci->last_bus
		};
		return true;
	}
	if (!bare_map(pci->ecam, len))
		return false;
	drv_pci_ecam(h, (uintptr_t)pci->ecam, pci->first_bus, pci->last_bus);
	if (pci->window.len && bare_map(pci->window.addr, pci->window.len)) {
		h->window = pci->window.addr;
		h->window_end = pci->window.addr + pci->window.len;
	}
	return true;
}

/* Registers may be anywhere; reading BARs needs decoding to be off for a moment. */
static void map_bars(const struct drv_pci_host *h, uint16_t bdf)
{
	uint32_t command = h->read(h->ctx, bdf, DRV_PCI_COMMAND, 2);
	struct drv_pci_bar bar;

	h->write(h->ctx, bdf, DRV_PCI_COMMAND, 2, command & ~3u);
	for (unsigned i = 0; i < 6;) {
		i += drv_pci_bar(h, bdf, i, &bar);
		if (bar.len && bar.addr)
			bare_map(bar.addr, bar.len);
	}
	h->write(h->ctx, bdf, DRV_PCI_COMMAND, 2, command);
}

static bool use_msix(struct bare_virtio *v)
{
	struct drv_pci_msi msi[BARE_VIRTIO_VECTORS];
	unsigned n = v->pci.msix_vectors;

	if (n > BARE_VIRTIO_VECTORS)
		n = BARE_VIRTIO_VECTORS;
	for (unsigned i = 0; i < n; i++) {
		v->messages[i] = (struct bare_message){ v, (uint16_t)i };
		if (bare_irq_msi(on_message, &v->messages[i], &msi[i].addr, &msi[i].data) < 0)
			return false;
	}
	return n && !drv_pci_use_msix(&v->pci, msi, n);
}

static bool use_intx(struct bare_virtio *v, const struct bare_pci *pci)
{
	uint8_t pin = (uint8_t)drv_pci_read(&v->pci, 0x3d, 1), device = v->pci.bdf >> 3 & 0x1f;

	/* Lines of devices behind bridges are not described. */
	if (v->pci.bdf >> 8 != pci->first_bus)
		return false;
	for (unsigned i = 0; i < pci->nintx; i++) {
		const struct bare_intx *x = &pci->intx[i];

		if (x->device != device || x->pin != pin)
			continue;
		drv_pci_use_intx(&v->pci);
		return bare_irq_line(&x->line, on_intx, &v->pci) >= 0;
	}
	return false;
}

static void add_pci(struct bare_virtio_list *list, uint16_t bdf, const struct bare_pci *pci,
	void *memory, size_t len)
{
	struct bare_virtio *v = &list->devices[list->n];

	map_bars(&list->host, bdf);
	if (drv_pci_open(&v->pci, &list->platform, &list->host, bdf, memory, len))
		return;
	v->dev = &v->pci.dev;
	v->is_pci = true;
	v->where = bdf;
	v->interrupts = "none";
	if (!list->intx && use_msix(v))
		v->interrupts = "MSI-X";
	else if (use_intx(v, pci))
		v->interrupts = "INTx";
	list->n++;
}

static void add_mmio(
	struct bare_virtio_list *list, const struct bare_mmio *m, void *memory, size_t len)
{
	struct bare_virtio *v = &list->devices[list->n];

	v->dev = &v->mmio.dev;
	v->where = m->base;
	v->interrupts = "none";
	if (bare_irq_line(&m->line, on_line, &v->mmio) >= 0) {
		drv_mmio_use_interrupts(&v->mmio);
		v->interrupts = "line";
	}
	list->n++;
}

static void find_pci(struct bare_virtio_list *list, const struct bare_pci *pci, size_t memory)
{
	struct drv_pci_function found[BARE_VIRTIO_MAX];
	unsigned n;

	if (!bare_pci_host(&list->host, pci))
		return;
	n = drv_pci_scan(&list->host, found, BARE_VIRTIO_MAX);
	for (unsigned i = 0; i < n && list->n < BARE_VIRTIO_MAX; i++) {
		void *p = bare_alloc(memory, RING_ALIGN);

		if (p)
			add_pci(list, found[i].bdf, pci, p, memory);
	}
}

void bare_virtio_find(struct bare_virtio_list *list, const struct bare_info *info, size_t memory)
{
	list->n = 0;
	bare_drv_platform(&list->platform);
	if (info->has_pci)
		find_pci(list, &info->pci, memory);
	for (unsigned i = 0; i < info->nmmio && list->n < BARE_VIRTIO_MAX; i++) {
		const struct bare_mmio *m = &info->mmio[i];
		struct drv_mmio *mmio = &list->devices[list->n].mmio;

		if (!bare_map(m->base, m->len) ||
			drv_mmio_open(mmio, &list->platform, (uintptr_t)m->base, NULL, 0))
			continue;
		/* Only what is there gets memory. */
		mmio->dev.mem = bare_alloc(memory, RING_ALIGN);
		mmio->dev.mem_len = mmio->dev.mem ? memory : 0;
		add_mmio(list, m, mmio->dev.mem, memory);
	}
}

struct bare_virtio *bare_virtio_get(struct bare_virtio_list *list, uint16_t id, unsigned n)
{
	for (unsigned i = 0; i < list->n; i++)
		if (list->devices[i].dev->id == id && n-- == 0)
			return &list->devices[i];
	return NULL;
}
