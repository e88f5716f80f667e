/* SPDX-License-Identifier: BSD-3-Clause */
/* MSI-X table, masks and pending bits. */
#include "transport/pci_msix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"

#define CAP_ID	     0x11u
#define CAP_LEN	     12u
#define CAP_CONTROL  2u
#define CONTROL_MASK (1u << 14)
#define CONTROL_ON   (1u << 15)
#define ENTRY_MASKED 1u

/* One capability as the guest sees it. */
struct msix_cap {
	uint8_t id, next;
	uint16_t control;
	uint32_t table, pba; /* offset, and the BAR's number in the lowest bits */
};

static uint16_t control(const struct msix *m)
{
	return pci_func_get16(m->func, m->cap + CAP_CONTROL);
}

bool msix_enabled(const struct msix *m)
{
	return m->cap && (control(m) & CONTROL_ON);
}

static bool live(const struct msix *m, uint16_t vector)
{
	return vector < m->n && (control(m) & (CONTROL_ON | CONTROL_MASK)) == CONTROL_ON &&
	       !(m->entries[vector].control & ENTRY_MASKED);
}

/* The message of a vector, made known to the engine; -1 if that failed. */
static int message(struct msix *m, uint16_t vector)
{
	const struct vmm_ops *ops = m->vio->vmm->ops;
	const struct vmm_msi msi = {
		.addr = m->entries[vector].addr,
		.data = m->entries[vector].data,
		.requester = m->func->requester,
	};
	uint32_t gsi;

	if (m->gsis[vector] < 0) {
		if (ops->msi_alloc(m->vio->vmm, &gsi))
			return -1;
		m->gsis[vector] = (int)gsi;
	}
	if (!m->stale[vector])
		return m->gsis[vector];
	if (ops->msi_set(m->vio->vmm, (uint32_t)m->gsis[vector], &msi))
		return -1;
	m->stale[vector] = false;
	return m->gsis[vector];
}

void msix_detach(struct msix *m, struct vio_source *s)
{
	struct vmm *vmm = m->vio->vmm;

	if (s->gsi >= 0)
		vmm->ops->msi_connect(vmm, (uint32_t)s->gsi, s->fd, false);
	s->gsi = -1;
}

/* Connects or disconnects a source as table and masks say. */
static void update(struct msix *m, struct vio_source *s)
{
	struct vmm *vmm = m->vio->vmm;
	int gsi = live(m, s->vector) ? message(m, s->vector) : -1;

	if (gsi == s->gsi)
		return;
	msix_detach(m, s);
	if (gsi < 0)
		return;
	if (vmm->ops->msi_connect(vmm, (uint32_t)gsi, s->fd, true))
		log_error(vmm->log, "%s: cannot connect an interrupt", m->vio->name);
	else
		s->gsi = gsi;
}

void msix_attach(struct msix *m, struct vio_source *s)
{
	update(m, s);
}

static struct vio_source *source(const struct msix *m, unsigned i)
{
	return i < m->vio->nqueues ? &m->vio->queues[i].irq : &m->vio->config;
}

static void update_all(struct msix *m)
{
	for (unsigned i = 0; i <= m->vio->nqueues; i++)
		update(m, source(m, i));
}

int msix_init(struct msix *m, struct vio *vio, struct pci_func *func, unsigned nvectors,
	uint32_t table, uint32_t pba, struct err *e)
{
	struct msix_cap cap = {
		.id = CAP_ID,
		.control = (uint16_t)(nvectors - 1),
		.table = table,
		.pba = pba,
	};
	const uint16_t mask = CONTROL_ON | CONTROL_MASK;

	*m = (struct msix){ .vio = vio, .func = func, .n = nvectors };
	m->entries = calloc(nvectors, sizeof(*m->entries));
	m->gsis = calloc(nvectors, sizeof(*m->gsis));
	m->stale = calloc(nvectors, sizeof(*m->stale));
	if (!m->entries || !m->gsis || !m->stale)
		return err_set(e, -ENOMEM, "%s: no memory for its interrupts", vio->name);
	for (unsigned i = 0; i < nvectors; i++) {
		m->entries[i].control = ENTRY_MASKED;
		m->gsis[i] = -1;
		m->stale[i] = true;
	}
	m->cap = pci_func_add_cap(func, &cap, CAP_LEN);
	memcpy(func->writable + m->cap + CAP_CONTROL, &mask, sizeof(mask));
	return 0;
}

void msix_finish(struct msix *m)
{
	if (m->cap)
		msix_reset_vectors(m);
	free(m->entries);
	free(m->gsis);
	free(m->stale);
	*m = (struct msix){ 0 };
}

void msix_config_written(struct msix *m)
{
	bool on = msix_enabled(m);

	if (on == m->vio->watching)
		vio_watch(m->vio, !on);
	update_all(m);
}

void msix_set_vector(struct msix *m, struct vio_source *s, uint16_t vector)
{
	/* What was signalled while nobody was to be told is not to be told now. */
	if (s->vector == MSIX_NO_VECTOR && msix_enabled(m))
		fd_event_clear(s->fd);
	s->vector = vector < m->n ? vector : MSIX_NO_VECTOR;
	update(m, s);
}

void msix_reset_vectors(struct msix *m)
{
	for (unsigned i = 0; i <= m->vio->nqueues; i++) {
		source(m, i)->vector = MSIX_NO_VECTOR;
		update(m, source(m, i));
	}
}

void msix_table_read(struct msix *m, uint64_t offset, void *data, unsigned len)
{
	memset(data, 0, len);
	if (range_in(offset, len, m->n * sizeof(*m->entries)))
		memcpy(data, (const uint8_t *)m->entries + offset, len);
}

void msix_table_write(struct msix *m, uint64_t offset, const void *data, unsigned len)
{
	unsigned vector = (unsigned)(offset / MSIX_ENTRY_LEN);
	struct msix_entry before;

	/* Aligned accesses of 4 or 8 bytes only (PCI Local Bus 3.0, 6.8.2). */
	if ((len != 4 && len != 8) || offset % len ||
		!range_in(offset, len, m->n * sizeof(*m->entries)))
		return;
	before = m->entries[vector];
	memcpy((uint8_t *)m->entries + offset, data, len);
	m->entries[vector].control &= ENTRY_MASKED;
	if (before.addr != m->entries[vector].addr || before.data != m->entries[vector].data) {
		m->stale[vector] = true;
		if (live(m, (uint16_t)vector))
			message(m, (uint16_t)vector);
	}
	if (before.control == m->entries[vector].control)
		return;
	for (unsigned i = 0; i <= m->vio->nqueues; i++)
		if (source(m, i)->vector == vector)
			update(m, source(m, i));
}

/* Signalled and not connected: waiting to be sent. */
static bool pending(const struct vio_source *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return s->gsi < 0 && poll(&p, 1, 0) == 1;
}

void msix_pba_read(struct msix *m, uint64_t offset, void *data, unsigned len)
{
	uint8_t bits[MSIX_VECTORS_MAX / 8] = { 0 };

	memset(data, 0, len);
	if (!range_in(offset, len, sizeof(bits)) || !msix_enabled(m))
		return;
	for (unsigned i = 0; i <= m->vio->nqueues; i++) {
		const struct vio_source *s = source(m, i);

		if (s->vector < m->n && pending(s))
			bits[s->vector / 8] |= (uint8_t)(1u << (s->vector % 8));
	}
	memcpy(data, bits + offset, len);
}
