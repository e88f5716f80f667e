/* SPDX-License-Identifier: BSD-3-Clause */
/* The fakes behind the transports. */
#include "fake.h"

#include <errno.h>

#include "base/util.h"
#include "virtio/device.h"

static struct fake_vmm *fake(struct vmm *vmm)
{
	return container_of(vmm, struct fake_vmm, vmm);
}

static int doorbell(struct vmm *vmm, const struct vmm_doorbell *bell, bool on)
{
	struct fake_vmm *f = fake(vmm);

	for (unsigned i = 0; i < f->nbells; i++)
		if (f->bells[i].addr == bell->addr && f->bells[i].value == bell->value) {
			if (on)
				return -EEXIST;
			f->bells[i] = f->bells[--f->nbells];
			return 0;
		}
	if (!on)
		return -ENOENT;
	if (f->nbells == FAKE_BELLS)
		return -ENOSPC;
	f->bells[f->nbells++] = *bell;
	return 0;
}

static int irq_line(struct vmm *vmm, uint32_t gsi, bool level)
{
	fake(vmm)->line[gsi] = level;
	fake(vmm)->line_changes++;
	return 0;
}

static int msi_alloc(struct vmm *vmm, uint32_t *gsi)
{
	struct fake_vmm *f = fake(vmm);

	if (f->nmsis == FAKE_MSIS)
		return -ENOSPC;
	f->msis[f->nmsis].fd = -1;
	*gsi = 24 + f->nmsis++;
	return 0;
}

static int msi_set(struct vmm *vmm, uint32_t gsi, const struct vmm_msi *msi)
{
	fake(vmm)->msis[gsi - 24].addr = msi->addr;
	fake(vmm)->msis[gsi - 24].data = msi->data;
	fake(vmm)->msis[gsi - 24].requester = msi->requester;
	return 0;
}

static int msi_connect(struct vmm *vmm, uint32_t gsi, int fd, bool on)
{
	fake(vmm)->msis[gsi - 24].fd = on ? fd : -1;
	fake(vmm)->msis[gsi - 24].disconnects += !on;
	return 0;
}

static int rom(struct vmm *vmm, uint64_t gpa, void *mem, uint64_t len, bool on)
{
	if (on == !!fake(vmm)->rom)
		return -EINVAL;
	fake(vmm)->rom = on ? mem : NULL;
	fake(vmm)->rom_changes++;
	return 0;
}

static const struct vmm_ops vmm_ops = { doorbell, irq_line, msi_alloc, msi_set, msi_connect, rom };

void fake_vmm_init(struct fake_vmm *f)
{
	*f = (struct fake_vmm){ .vmm = { .ops = &vmm_ops, .log = &f->log } };
	log_init(&f->log, 2, "test");
	f->log.level = LOG_LEVEL_ERROR;
	bus_init(&f->vmm.mmio);
	bus_init(&f->vmm.pio);
	if (ev_loop_create(&f->vmm.loop))
		exit(1);
}

void fake_vmm_finish(struct fake_vmm *f)
{
	bus_finish(&f->vmm.mmio);
	bus_finish(&f->vmm.pio);
	ev_loop_destroy(f->vmm.loop);
}

void fake_run(struct fake_vmm *f)
{
	while (ev_run_once(f->vmm.loop, 0) > 0)
		;
}

static struct fake_backend *dev(struct vbackend *be)
{
	return container_of(be, struct fake_backend, be);
}

static int features(struct vbackend *be, uint64_t *out)
{
	*out = dev(be)->offered;
	return 0;
}

static int set_features(struct vbackend *be, uint64_t v)
{
	dev(be)->accepted = v;
	return dev(be)->refuse_features ? -EINVAL : 0;
}

static int set_status(struct vbackend *be, uint8_t status)
{
	dev(be)->status = status;
	return 0;
}

static int queue_start(struct vbackend *be, unsigned q, const struct vb_queue *setup)
{
	if (dev(be)->fail_start)
		return -EIO;
	dev(be)->running[q] = true;
	dev(be)->setup[q] = *setup;
	dev(be)->starts++;
	return 0;
}

static int queue_stop(struct vbackend *be, unsigned q)
{
	dev(be)->running[q] = false;
	dev(be)->stops++;
	return 0;
}

static int config_read(struct vbackend *be, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, dev(be)->config + offset, len);
	return 0;
}

static int config_write(struct vbackend *be, uint32_t offset, const void *buf, uint32_t len)
{
	memcpy(dev(be)->config + offset, buf, len);
	return 0;
}

static void destroy(struct vbackend *be)
{
	dev(be)->destroyed = true;
}

static const struct vbackend_ops be_ops = { features, set_features, set_status, queue_start,
	queue_stop, config_read, config_write, destroy };

void fake_backend_init(struct fake_backend *b, const struct gm *gm)
{
	*b = (struct fake_backend){
		.be = { .ops = &be_ops,
			.device_id = 2,
			.nqueues = FAKE_QUEUES,
			.queue_size_max = 256,
			.config_len = FAKE_CONFIG,
			.gm = gm },
		.offered = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_RING_RESET) | FEATURE(3),
	};
	for (unsigned i = 0; i < FAKE_CONFIG; i++)
		b->config[i] = (uint8_t)(0x10 + i);
}
