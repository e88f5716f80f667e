/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci: capabilities, common configuration, notifications (VIRTIO 1.4, 4.1.4). */
#include "transport/pci.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/le.h"
#include "base/util.h"
#include "virtio/device.h"

#define VENDOR	    0x1af4u
#define DEVICE_BASE 0x1040u
#define CAP_VENDOR  0x09u

/* The parts of BAR 0. */
#define AT_COMMON   0x0000u
#define AT_ISR	    0x1000u
#define AT_DEVICE   0x2000u
#define AT_NOTIFY   0x3000u
#define AT_TABLE    0x4000u
#define AT_PBA	    0x5000u
#define AT_END	    0x6000u
#define PART_LEN    0x1000u
#define NOTIFY_STEP 4u

enum {
	CFG_COMMON = 1,
	CFG_NOTIFY = 2,
	CFG_ISR = 3,
	CFG_DEVICE = 4,
	CFG_PCI = 5,
};

/* struct virtio_pci_cap, with the extra word that notify and PCI access capabilities have. */
struct vcap {
	uint8_t vndr, next, len, type;
	uint8_t bar, id, padding[2];
	le32 offset, length;
	le32 extra;
};

/* struct virtio_pci_common_cfg (4.1.4.3), up to what exists without administration queues. */
struct common {
	le32 device_feature_select, device_feature;
	le32 driver_feature_select, driver_feature;
	le16 config_msix_vector, num_queues;
	uint8_t device_status, config_generation;
	le16 queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	le32 queue_desc[2], queue_driver[2], queue_device[2];
	le16 queue_notif_config_data, queue_reset;
};

#define AT(field) offsetof(struct common, field)

/* The registers as they read now. */
static void fill_common(struct virtio_pci *p, struct common *c)
{
	struct vio *vio = &p->vio;
	const struct vio_queue *q = vio_selected(vio);

	*c = (struct common){
		.device_feature_select = vio->device_sel,
		.device_feature = vio_device_features(vio),
		.driver_feature_select = vio->driver_sel,
		.driver_feature = vio_driver_features(vio),
		.config_msix_vector = vio->config.vector,
		.num_queues = (le16)vio->nqueues,
		.device_status = vio_status(vio),
		.queue_select = vio->queue_sel,
		.queue_msix_vector = MSIX_NO_VECTOR,
	};
	if (!q)
		return;
	c->queue_size = q->size;
	c->queue_msix_vector = q->irq.vector;
	c->queue_enable = q->enabled;
	c->queue_notify_off = vio->queue_sel;
	memcpy(c->queue_desc, &q->desc, sizeof(q->desc));
	memcpy(c->queue_driver, &q->driver, sizeof(q->driver));
	memcpy(c->queue_device, &q->device, sizeof(q->device));
}

static void common_read(struct virtio_pci *p, uint64_t offset, void *data, unsigned len)
{
	struct common c;

	memset(data, 0, len);
	if (!range_in(offset, len, sizeof(c)))
		return;
	fill_common(p, &c);
	if (offset == AT(config_generation))
		c.config_generation = vio_generation(&p->vio);
	memcpy(data, (const uint8_t *)&c + offset, len);
}

/* A half, or all, of a 64-bit register of the selected queue. */
static void write_address(struct vio *vio, uint64_t offset, const void *data, unsigned len)
{
	struct vio_queue *q = vio_configurable(vio);
	uint64_t at = offset - AT(queue_desc);
	uint64_t *regs[] = { q ? &q->desc : NULL, q ? &q->driver : NULL, q ? &q->device : NULL };

	if (q && len >= 4 && at % 4 == 0 && at % 8 + len <= 8)
		memcpy((uint8_t *)regs[at / 8] + at % 8, data, len);
}

static void write_status(struct virtio_pci *p, uint8_t status)
{
	vio_set_status(&p->vio, status);
	if (!status)
		msix_reset_vectors(&p->msix);
}

/* No interrupt of before comes once the driver sees that the queue was reset (VIRTIO 1.4,
 * 2.6.1.1.1). */
static void reset_queue(struct virtio_pci *p, struct vio_queue *q)
{
	msix_detach(&p->msix, &q->irq);
	vio_queue_reset(&p->vio, q);
	msix_attach(&p->msix, &q->irq);
}

static void write_queue16(struct virtio_pci *p, uint64_t offset, uint16_t v)
{
	struct vio_queue *q = vio_selected(&p->vio);

	if (!q)
		return;
	switch (offset) {
	case AT(queue_size):
		if (!q->enabled)
			q->size = v;
		break;
	case AT(queue_msix_vector):
		msix_set_vector(&p->msix, &q->irq, v);
		break;
	case AT(queue_enable):
		if (v == 1)
			vio_queue_enable(&p->vio, q);
		break;
	case AT(queue_reset):
		if (v == 1)
			reset_queue(p, q);
		break;
	default:
		break;
	}
}

static void write16(struct virtio_pci *p, uint64_t offset, uint16_t v)
{
	if (offset == AT(queue_select))
		p->vio.queue_sel = v;
	else if (offset == AT(config_msix_vector))
		msix_set_vector(&p->msix, &p->vio.config, v);
	else
		write_queue16(p, offset, v);
}

static void write32(struct virtio_pci *p, uint64_t offset, uint32_t v)
{
	if (offset == AT(device_feature_select))
		p->vio.device_sel = v;
	else if (offset == AT(driver_feature_select))
		p->vio.driver_sel = v;
	else if (offset == AT(driver_feature))
		vio_set_driver_features(&p->vio, v);
}

/* Fields are written whole (VIRTIO 1.4, 4.1.3.1); anything else is ignored. */
static void common_write(struct virtio_pci *p, uint64_t offset, const void *data, unsigned len)
{
	uint32_t v = 0;

	if (offset >= AT(queue_desc) && offset < AT(queue_notif_config_data)) {
		write_address(&p->vio, offset, data, len);
		return;
	}
	memcpy(&v, data, len < sizeof(v) ? len : sizeof(v));
	if (len == 1 && offset == AT(device_status))
		write_status(p, (uint8_t)v);
	else if (len == 2)
		write16(p, offset, (uint16_t)v);
	else if (len == 4)
		write32(p, offset, v);
}

/* Reading takes the status away and lets INTA# fall (4.1.4.5). */
static void isr_read(struct virtio_pci *p, uint64_t offset, void *data, unsigned len)
{
	uint8_t isr = vio_isr(&p->vio);

	memset(data, 0, len);
	if (offset)
		return;
	vio_isr_ack(&p->vio, isr);
	*(uint8_t *)data = isr;
}

static void bar_read_locked(struct virtio_pci *p, uint64_t offset, void *data, unsigned len)
{
	uint64_t part = offset & ~(uint64_t)(PART_LEN - 1), at = offset - part;

	switch (part) {
	case AT_COMMON:
		common_read(p, at, data, len);
		break;
	case AT_ISR:
		isr_read(p, at, data, len);
		break;
	case AT_DEVICE:
		vio_config_read(&p->vio, at, data, len);
		break;
	case AT_TABLE:
		msix_table_read(&p->msix, at, data, len);
		break;
	case AT_PBA:
		msix_pba_read(&p->msix, at, data, len);
		break;
	default:
		memset(data, 0, len);
		break;
	}
}

static void bar_write_locked(struct virtio_pci *p, uint64_t offset, const void *data, unsigned len)
{
	uint64_t part = offset & ~(uint64_t)(PART_LEN - 1), at = offset - part;

	switch (part) {
	case AT_COMMON:
		common_write(p, at, data, len);
		break;
	case AT_DEVICE:
		vio_config_write(&p->vio, at, data, len);
		break;
	case AT_NOTIFY:
		vio_kick(&p->vio, (uint32_t)(at / NOTIFY_STEP));
		break;
	case AT_TABLE:
		msix_table_write(&p->msix, at, data, len);
		break;
	default:
		break;
	}
}

static void bar_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct virtio_pci *p = arg;

	pthread_mutex_lock(&p->vio.lock);
	bar_read_locked(p, offset, data, len);
	pthread_mutex_unlock(&p->vio.lock);
}

static void bar_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct virtio_pci *p = arg;

	pthread_mutex_lock(&p->vio.lock);
	bar_write_locked(p, offset, data, len);
	pthread_mutex_unlock(&p->vio.lock);
}

/* The registers' BAR came or goes: so do the doorbells in it. */
static void on_mapped(void *owner, bool on)
{
	struct virtio_pci *p = owner;
	struct vmm *vmm = p->vio.vmm;

	for (unsigned i = 0; i < p->vio.nqueues; i++) {
		struct vmm_doorbell bell = {
			.addr = p->func.bar_at + AT_NOTIFY + i * NOTIFY_STEP,
			.fd = p->vio.queues[i].kick_fd,
		};

		if (vmm->ops->doorbell(vmm, &bell, on) && on)
			/* Not lost: bar_write() kicks as well, only slower. */
			log_debug(vmm->log, "%s: queue %u has no doorbell", p->vio.name, i);
	}
}

/* The window of the configuration access capability: does an access touch its data, and what does
 * it point at (4.1.4.9)? */
static bool cfg_window(
	const struct virtio_pci *p, unsigned offset, unsigned len, uint32_t *at, uint32_t *size)
{
	unsigned data = p->cfg_cap + (unsigned)offsetof(struct vcap, extra);
	struct vcap cap;

	if (offset + len <= data || offset >= data + 4)
		return false;
	memcpy(&cap, p->func.config + p->cfg_cap, sizeof(cap));
	*at = cap.offset;
	*size = cap.length;
	return cap.bar == 0 && (cap.length == 1 || cap.length == 2 || cap.length == 4) &&
	       cap.offset % cap.length == 0 && range_in(cap.offset, cap.length, AT_END);
}

static void config_read(void *arg, unsigned offset, void *data, unsigned len)
{
	struct virtio_pci *p = arg;
	uint32_t at, size;
	uint16_t status;

	pthread_mutex_lock(&p->vio.lock);
	if (cfg_window(p, offset, len, &at, &size))
		bar_read_locked(
			p, at, p->func.config + p->cfg_cap + offsetof(struct vcap, extra), size);
	status = pci_func_get16(&p->func, PCI_STATUS) & (uint16_t)~PCI_STATUS_INTERRUPT;
	if (vio_isr(&p->vio))
		status |= PCI_STATUS_INTERRUPT;
	pci_func_set16(&p->func, PCI_STATUS, status);
	pci_func_read(&p->func, offset, data, len);
	pthread_mutex_unlock(&p->vio.lock);
}

static void config_write(void *arg, unsigned offset, const void *data, unsigned len)
{
	struct virtio_pci *p = arg;
	uint32_t at, size;

	pthread_mutex_lock(&p->vio.lock);
	pci_func_write(&p->func, offset, data, len);
	if (cfg_window(p, offset, len, &at, &size))
		bar_write_locked(
			p, at, p->func.config + p->cfg_cap + offsetof(struct vcap, extra), size);
	msix_config_written(&p->msix);
	vio_mask_line(&p->vio, pci_func_get16(&p->func, PCI_COMMAND) & PCI_COMMAND_NO_INTX);
	pthread_mutex_unlock(&p->vio.lock);
}

struct pci_slot virtio_pci_slot(struct virtio_pci *p)
{
	return (struct pci_slot){ config_read, config_write, p };
}

static unsigned add_cap(
	struct virtio_pci *p, uint8_t type, uint32_t offset, uint32_t length, uint32_t extra)
{
	bool has_extra = type == CFG_NOTIFY || type == CFG_PCI;
	struct vcap cap = {
		.vndr = CAP_VENDOR,
		.len = has_extra ? sizeof(struct vcap) : offsetof(struct vcap, extra),
		.type = type,
		.offset = offset,
		.length = length,
		.extra = extra,
	};

	return pci_func_add_cap(&p->func, &cap, cap.len);
}

static void add_caps(struct virtio_pci *p)
{
	const struct vbackend *be = p->vio.be;

	add_cap(p, CFG_COMMON, AT_COMMON, sizeof(struct common), 0);
	add_cap(p, CFG_NOTIFY, AT_NOTIFY, p->vio.nqueues * NOTIFY_STEP, NOTIFY_STEP);
	add_cap(p, CFG_ISR, AT_ISR, 1, 0);
	if (be->config_len)
		add_cap(p, CFG_DEVICE, AT_DEVICE, be->config_len, 0);
	p->cfg_cap = add_cap(p, CFG_PCI, 0, 0, 0);
	pci_func_allow(&p->func, p->cfg_cap + offsetof(struct vcap, bar), 1);
	pci_func_allow(&p->func, p->cfg_cap + offsetof(struct vcap, offset), 12);
}

static int init_func(struct virtio_pci *p, uint32_t pci_class, struct err *e)
{
	unsigned vectors = (unsigned)min_u64(p->vio.nqueues + 1u, MSIX_VECTORS_MAX);
	struct pci_ids ids = {
		.vendor = VENDOR,
		.device = (uint16_t)(DEVICE_BASE + p->vio.be->device_id),
		.subsys_vendor = VENDOR,
		.subsys_device = (uint16_t)(DEVICE_BASE + p->vio.be->device_id),
		.revision = 1,
		.class_code = pci_class,
	};

	pci_func_init(&p->func, p->vio.vmm, &ids);
	p->func.owner = p;
	p->func.mapped = on_mapped;
	p->func.bar = (struct bus_range){
		.name = p->vio.name, .read = bar_read, .write = bar_write, .arg = p
	};
	pci_func_set_bar(&p->func, VIRTIO_PCI_BAR_LEN);
	add_caps(p);
	return msix_init(&p->msix, &p->vio, &p->func, vectors, AT_TABLE, AT_PBA, e);
}

int virtio_pci_init(struct virtio_pci *p, struct vmm *vmm, struct vbackend *be, const char *name,
	uint32_t pci_class, struct err *e)
{
	int rc;

	*p = (struct virtio_pci){ 0 };
	rc = vio_init(&p->vio, vmm, be, name, 0, e);
	if (!rc)
		rc = init_func(p, pci_class, e);
	if (rc) {
		p->vio.be = NULL; /* stays the caller's */
		virtio_pci_finish(p);
	}
	return rc;
}

void virtio_pci_place(struct virtio_pci *p, const struct pci_place *at)
{
	p->vio.gsi = at->gsi;
	pci_func_place(&p->func, at);
}

void virtio_pci_finish(struct virtio_pci *p)
{
	if (!p->vio.vmm)
		return;
	pci_func_finish(&p->func);
	if (p->msix.vio)
		msix_finish(&p->msix);
	vio_finish(&p->vio);
	p->vio.vmm = NULL;
}
