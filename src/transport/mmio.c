/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio registers (VIRTIO 1.4, 4.2.2). */
#include "transport/mmio.h"

#include <string.h>

#include "virtio/device.h"

#define MAGIC  0x74726976u
#define VENDOR 0x1af4u

enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_SIZE_MAX = 0x034,
	REG_QUEUE_SIZE = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_SEL = 0x0ac,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_QUEUE_RESET = 0x0c0,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

static uint32_t read_reg(struct virtio_mmio *m, uint64_t reg)
{
	struct vio *vio = &m->vio;
	const struct vio_queue *q = vio_selected(vio);

	switch (reg) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return 2;
	case REG_DEVICE_ID:
		return vio->be->device_id;
	case REG_VENDOR_ID:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return vio_device_features(vio);
	case REG_QUEUE_SIZE_MAX:
		return q ? vio->be->queue_size_max : 0;
	case REG_QUEUE_READY:
		return q && q->enabled;
	case REG_INTERRUPT_STATUS:
		return vio_isr(vio);
	case REG_STATUS:
		return vio_status(vio);
	case REG_SHM_LEN_LOW:
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return 0xffffffff; /* no shared memory region of any id */
	case REG_CONFIG_GENERATION:
		return vio_generation(vio);
	default:
		/* Write-only and undefined registers. QueueReset is done before anyone can look. */
		return 0;
	}
}

static void set_half(uint64_t *address, uint32_t v, bool high)
{
	if (high)
		*address = (*address & 0xffffffff) | (uint64_t)v << 32;
	else
		*address = (*address & ~UINT64_C(0xffffffff)) | v;
}

/* Registers of the selected queue, which must not be enabled. */
static void write_queue_reg(struct vio *vio, uint64_t reg, uint32_t v)
{
	struct vio_queue *q = vio_configurable(vio);

	if (!q)
		return;
	switch (reg) {
	case REG_QUEUE_SIZE:
		q->size = v <= UINT16_MAX ? (uint16_t)v : 0;
		break;
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
		set_half(&q->desc, v, reg == REG_QUEUE_DESC_HIGH);
		break;
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
		set_half(&q->driver, v, reg == REG_QUEUE_DRIVER_HIGH);
		break;
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		set_half(&q->device, v, reg == REG_QUEUE_DEVICE_HIGH);
		break;
	default:
		break;
	}
}

static void write_ready(struct vio *vio, uint32_t v)
{
	struct vio_queue *q = vio_selected(vio);

	if (q && v == 1)
		vio_queue_enable(vio, q);
	else if (q && v == 0)
		vio_queue_disable(vio, q);
}

static void write_reset(struct vio *vio, uint32_t v)
{
	struct vio_queue *q = vio_selected(vio);

	if (q && v == 1)
		vio_queue_reset(vio, q);
}

static void write_reg(struct virtio_mmio *m, uint64_t reg, uint32_t v)
{
	struct vio *vio = &m->vio;

	switch (reg) {
	case REG_DEVICE_FEATURES_SEL:
		vio->device_sel = v;
		break;
	case REG_DRIVER_FEATURES:
		vio_set_driver_features(vio, v);
		break;
	case REG_DRIVER_FEATURES_SEL:
		vio->driver_sel = v;
		break;
	case REG_QUEUE_SEL:
		vio->queue_sel = v <= UINT16_MAX ? (uint16_t)v : UINT16_MAX;
		break;
	case REG_QUEUE_READY:
		write_ready(vio, v);
		break;
	case REG_QUEUE_NOTIFY:
		vio_kick(vio, v);
		break;
	case REG_INTERRUPT_ACK:
		vio_isr_ack(vio, (uint8_t)v);
		break;
	case REG_STATUS:
		vio_set_status(vio, (uint8_t)v);
		break;
	case REG_QUEUE_RESET:
		write_reset(vio, v);
		break;
	default:
		write_queue_reg(vio, reg, v);
		break;
	}
}

/* Control registers take aligned 32-bit accesses only (VIRTIO 1.4, 4.2.2.2). */
static bool is_reg(uint64_t offset, unsigned len)
{
	return offset < REG_CONFIG && len == 4 && !(offset & 3);
}

static void mmio_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct virtio_mmio *m = arg;
	uint32_t v = 0;

	pthread_mutex_lock(&m->vio.lock);
	if (offset >= REG_CONFIG) {
		vio_config_read(&m->vio, offset - REG_CONFIG, data, len);
	} else {
		if (is_reg(offset, len))
			v = read_reg(m, offset);
		memset(data, 0, len);
		memcpy(data, &v, len < sizeof(v) ? len : sizeof(v));
	}
	pthread_mutex_unlock(&m->vio.lock);
}

static void mmio_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct virtio_mmio *m = arg;
	uint32_t v;

	pthread_mutex_lock(&m->vio.lock);
	if (offset >= REG_CONFIG) {
		vio_config_write(&m->vio, offset - REG_CONFIG, data, len);
	} else if (is_reg(offset, len)) {
		memcpy(&v, data, sizeof(v));
		write_reg(m, offset, v);
	}
	pthread_mutex_unlock(&m->vio.lock);
}

static int set_doorbell(struct virtio_mmio *m, unsigned q, bool on)
{
	struct vmm_doorbell bell = {
		.addr = m->base + REG_QUEUE_NOTIFY,
		.len = 4,
		.match = true,
		.value = q,
		.fd = m->vio.queues[q].kick_fd,
	};

	return m->vio.vmm->ops->doorbell(m->vio.vmm, &bell, on);
}

int virtio_mmio_init(struct virtio_mmio *m, struct vmm *vmm, struct vbackend *be, const char *name,
	uint64_t base, uint32_t gsi, struct err *e)
{
	int rc;

	*m = (struct virtio_mmio){
		.base = base,
		.range = { .len = VIRTIO_MMIO_LEN,
			.name = "virtio-mmio",
			.read = mmio_read,
			.write = mmio_write,
			.arg = m },
	};
	rc = bus_add(&vmm->mmio, &m->range, base, e);
	if (!rc)
		rc = vio_init(&m->vio, vmm, be, name, gsi, e);
	for (unsigned i = 0; !rc && i < be->nqueues; i++) {
		rc = set_doorbell(m, i, true);
		if (rc)
			err_sys(e, rc, "%s: cannot connect its notification register", name);
		else
			m->ndoorbells++;
	}
	if (rc) {
		m->vio.be = NULL; /* stays the caller's */
		bus_del(&vmm->mmio, &m->range);
		virtio_mmio_finish(m);
	}
	return rc;
}

void virtio_mmio_finish(struct virtio_mmio *m)
{
	if (!m->vio.vmm)
		return;
	bus_del(&m->vio.vmm->mmio, &m->range);
	for (unsigned i = 0; i < m->ndoorbells; i++)
		set_doorbell(m, i, false);
	m->ndoorbells = 0;
	vio_finish(&m->vio);
	m->vio.vmm = NULL;
}
