/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory and in-flight records of the vhost-user back-end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"
#include "transport/vhost_user_backend_priv.h"

/* Queue regions of a record begin at cache lines. */
#define INFLIGHT_ALIGN 64u

/* With require_sealed: memory that its owner could shrink under us is refused. */
static int check_seal(const struct vhu_backend *b, int fd, struct err *e)
{
	int seals;

	if (!b->opts.require_sealed)
		return 0;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && seals & F_SEAL_SHRINK)
		return 0;
	return err_set(e, -EPERM,
		"shared memory has to be sealed against shrinking (a memfd with F_SEAL_SHRINK)");
}

static int map_region(struct vhu_backend *b, struct gm *gm, const struct vhost_user_region *from,
	int fd, struct err *e)
{
	const struct gm_region r = {
		.gpa = from->gpa,
		.size = from->size,
		.uva = from->uva,
		.fd = fd,
		.fd_offset = from->mmap_offset,
	};
	int ret = check_seal(b, fd, e);

	return ret ? ret : gm_map(gm, &r, e);
}

/* Maps all regions of the message into an empty table, or none. */
static int map_table(struct vhu_backend *b, struct gm *gm, struct vhu_call *c, struct err *e)
{
	for (unsigned i = 0; i < c->p->mem_table.nregions; i++) {
		struct vhost_user_region region = c->p->mem_table.regions[i];
		int ret = map_region(b, gm, &region, c->rx->fds[i], e);

		if (ret) {
			gm_clear(gm);
			return ret;
		}
	}
	return 0;
}

int vhu_set_mem_table(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	uint32_t n = c->p->mem_table.nregions;
	autofree struct gm *fresh = NULL;
	int ret;

	if (n > VHOST_USER_MEM_REGIONS_MAX || n != c->rx->nfds ||
		c->size < 8 + n * sizeof(struct vhost_user_region))
		return err_set(e, -EPROTO,
			"SET_MEM_TABLE with %u regions, %u descriptors and %u bytes; at most %d "
			"regions, one descriptor each",
			n, c->rx->nfds, c->size, VHOST_USER_MEM_REGIONS_MAX);
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return err_set(e, -ENOMEM, "no memory for a memory table");
	ret = map_table(b, fresh, c, e);
	if (ret)
		return ret;
	vhu_rings_quiesce(b);
	gm_clear(&b->gm);
	b->gm = *fresh;
	return vhu_rings_resume(b, e);
}

int vhu_add_mem_reg(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_region region = c->p->mem_reg.region;
	int ret;

	/* The table moves its rows, which a running ring may be looking at only on this thread. */
	ret = map_region(b, &b->gm, &region, c->rx->fds[0], e);
	return ret ? err_prefix(e, "ADD_MEM_REG") : 0;
}

int vhu_rem_mem_reg(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_region region = c->p->mem_reg.region;
	int ret;

	vhu_rings_quiesce(b);
	ret = gm_del(&b->gm, region.gpa, region.size, region.uva);
	if (ret)
		err_set(e, ret,
			"REM_MEM_REG: there is no region at 0x%llx with size 0x%llx and user "
			"address 0x%llx",
			(unsigned long long)region.gpa, (unsigned long long)region.size,
			(unsigned long long)region.uva);
	/* A ring that was in the removed region stays stopped, and that is an error of the caller.
	 */
	return vhu_rings_resume(b, ret ? NULL : e) ?: ret;
}

/* Bytes of one queue's region in a record of ours. */
static uint64_t inflight_stride(const struct vhu_backend *b, uint16_t queue_size)
{
	bool packed = b->features & FEATURE(VIRTIO_F_RING_PACKED);

	return align_up(vq_inflight_size(queue_size, packed), INFLIGHT_ALIGN);
}

/* 0 in mmap_size, without a descriptor, says that there is none. */
static int refuse_inflight(
	struct vhu_backend *b, struct vhu_call *c, const char *why, struct err *e)
{
	if (vhu_may_complain(b))
		log_warn(b->log, "GET_INFLIGHT_FD refused: %s", why);
	c->p->inflight.mmap_size = 0;
	return vhu_reply(b, c, c->p, c->size, NULL, e);
}

int vhu_get_inflight_fd(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_inflight *in = &c->p->inflight;
	autoclose int fd = -1;
	struct err why = { 0 };

	if (!in->num_queues || in->num_queues > b->dev->nqueues || !in->queue_size ||
		in->queue_size > VQ_SIZE_MAX)
		return refuse_inflight(b, c, "number or size of queues out of range", e);
	in->mmap_offset = 0;
	in->mmap_size = inflight_stride(b, in->queue_size) * in->num_queues;
	fd = fd_memfd("inflight", in->mmap_size, 0, &why);
	if (fd < 0)
		return refuse_inflight(b, c, why.msg, e);
	return vhu_reply(b, c, c->p, c->size, &fd, e);
}

void vhu_inflight_drop(struct vhu_backend *b)
{
	if (b->inflight)
		munmap(b->inflight, b->inflight_len);
	b->inflight = NULL;
	b->inflight_len = 0;
}

static int check_inflight(
	const struct vhu_backend *b, const struct vhost_user_inflight *in, int fd, struct err *e)
{
	struct stat st;

	if (vhu_rings_any_running(b))
		return err_set(e, -EBUSY, "SET_INFLIGHT_FD while a ring runs");
	if (!in->num_queues || in->num_queues > b->dev->nqueues)
		return err_set(e, -EINVAL, "SET_INFLIGHT_FD for %u queues; the device has %u",
			in->num_queues, b->dev->nqueues);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "SET_INFLIGHT_FD");
	if (!in->mmap_size || st.st_size < 0 ||
		!range_in(in->mmap_offset, in->mmap_size, (uint64_t)st.st_size))
		return err_set(e, -EINVAL,
			"SET_INFLIGHT_FD: 0x%llx bytes at 0x%llx do not fit the file of 0x%llx",
			(unsigned long long)in->mmap_size, (unsigned long long)in->mmap_offset,
			(unsigned long long)st.st_size);
	return check_seal(b, fd, e);
}

int vhu_set_inflight_fd(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_inflight in = c->p->inflight;
	int fd = c->rx->fds[0];
	int ret = check_inflight(b, &in, fd, e);
	uint64_t stride;
	void *map;

	if (ret)
		return ret;
	/* Whoever made the record laid it out: equal parts, at least as aligned as its fields. */
	stride = in.mmap_size / in.num_queues;
	if (stride % sizeof(uint64_t))
		return err_set(e, -EINVAL, "SET_INFLIGHT_FD: %llu bytes are no %u aligned parts",
			(unsigned long long)in.mmap_size, in.num_queues);
	map = mmap(
		NULL, in.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)in.mmap_offset);
	if (map == MAP_FAILED)
		return err_sys(e, -errno, "SET_INFLIGHT_FD: mapping 0x%llx bytes at 0x%llx",
			(unsigned long long)in.mmap_size, (unsigned long long)in.mmap_offset);
	vhu_inflight_drop(b);
	b->inflight = map;
	b->inflight_len = in.mmap_size;
	b->inflight_stride = stride;
	b->inflight_queues = in.num_queues;
	return 0;
}

void *vhu_inflight(const struct vhu_backend *b, unsigned index, uint64_t *len)
{
	*len = 0;
	if (!b->inflight || index >= b->inflight_queues)
		return NULL;
	*len = b->inflight_stride;
	return b->inflight + index * b->inflight_stride;
}
