/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtqueue with both of its sides in one process. See rig.h. */
#include "rig.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

#define GUARD 65536u

/* Where the areas of the ring are, from the start of guest memory. */
#define OFF_DESC   0u
#define OFF_DRIVER 0x20000u
#define OFF_DEVICE 0x28000u

static uint8_t *map_guarded(size_t len)
{
	uint8_t *p = mmap(NULL, len + 2 * GUARD, PROT_NONE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	return mprotect(p + GUARD, len, PROT_READ | PROT_WRITE) ? NULL : p + GUARD;
}

static bool map_memory(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++) {
		struct gm_region reg = {
			.gpa = RIG_GPA + i * RIG_REGION, .size = RIG_REGION, .fd = -1
		};

		r->host[i] = map_guarded(RIG_REGION);
		reg.hva = r->host[i];
		if (!r->host[i] || gm_add(&r->gm, &reg, NULL))
			return false;
	}
	return true;
}

bool rig_init(struct rig *r, uint16_t size, uint64_t features, void *inflight)
{
	bool packed = features & RIG_BIT(VIRTIO_F_RING_PACKED);

	*r = (struct rig){ .rnd = 1 };
	r->call_fd = fd_event();
	if (r->call_fd < 0 || !map_memory(r) || vq_create(&r->vq))
		return false;
	r->drv_state = malloc(drv_ring_state_size(size));
	if (!r->drv_state || drv_ring_init(&r->drv, &(struct drv_ring_config){
							    .size = size,
							    .features = features,
							    .desc = r->host[0] + OFF_DESC,
							    .driver = r->host[0] + OFF_DRIVER,
							    .device = r->host[0] + OFF_DEVICE,
							    .state = r->drv_state,
							    .tables = rig_ptr(r, RIG_TABLES),
							    .tables_addr = RIG_TABLES,
							    .table_len = RIG_TABLE_LEN,
						    }))
		return false;
	r->setup = (struct vq_setup){
		.size = size,
		.desc = r->host[0] + OFF_DESC,
		.driver = r->host[0] + OFF_DRIVER,
		.device = r->host[0] + OFF_DEVICE,
		.features = features,
		.gm = &r->gm,
		.call_fd = r->call_fd,
		.inflight = inflight,
		.inflight_len = vq_inflight_size(size, packed),
	};
	return !rig_start(r, packed ? 0x8000 : 0, packed ? 0x8000 : 0);
}

void rig_finish(struct rig *r)
{
	vq_destroy(r->vq);
	free(r->drv_state);
	close_fd(&r->call_fd);
	for (unsigned i = 0; i < 2; i++)
		if (r->host[i])
			munmap(r->host[i] - GUARD, RIG_REGION + 2 * GUARD);
}

int rig_start(struct rig *r, uint16_t avail_base, uint16_t used_base)
{
	r->setup.avail_base = avail_base;
	r->setup.used_base = used_base;
	return vq_start(r->vq, &r->setup, NULL);
}

uint64_t rig_interrupts(struct rig *r)
{
	uint64_t n = 0;

	return read(r->call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

uint8_t *rig_ptr(struct rig *r, uint64_t gpa)
{
	return gm_ptr(&r->gm, gpa, 1);
}

uint32_t rig_rand(struct rig *r, uint32_t n)
{
	/* xorshift64* */
	r->rnd ^= r->rnd >> 12;
	r->rnd ^= r->rnd << 25;
	r->rnd ^= r->rnd >> 27;
	return (uint32_t)(r->rnd * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}
