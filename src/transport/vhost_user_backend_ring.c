/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rings of the vhost-user back-end ("Ring states" in the document). A ring starts as soon as
 * SET_VRING_KICK has completed what there is to know, as all front-ends in use expect; the kick
 * that the document wants first may then be there already or come later.
 */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "transport/vhost_user_backend_priv.h"

/* How often a ring without a kick descriptor is looked at, or one with too many kicks. */
#define POLL_NS UINT64_C(1000000)

/* Kicks in a row for which the device took nothing. Beyond them a ring is heard only every POLL_NS:
 * on a medium, a guest that kicks without end takes the time of all the others. */
#define IDLE_KICKS 64u

/* The position of a packed ring that was never used: index 0, wrap counter 1. */
#define PACKED_FRESH 0x8000u

static bool packed(const struct vhu_ring *r)
{
	return vdev_has(r->b->dev, VIRTIO_F_RING_PACKED);
}

static struct vq *ring_vq(const struct vhu_ring *r)
{
	return r->b->dev->queues[r->index];
}

bool vhu_ring_running(const struct vhu_ring *r)
{
	return vq_running(ring_vq(r));
}

bool vhu_rings_any_running(const struct vhu_backend *b)
{
	for (unsigned i = 0; i < b->dev->nqueues; i++)
		if (vhu_ring_running(&b->rings[i]))
			return true;
	return false;
}

void vhu_ring_init(struct vhu_backend *b, unsigned index)
{
	b->rings[index] = (struct vhu_ring){
		.b = b,
		.index = index,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
	};
}

/* Rings are disabled at first, unless the front-end knows no SET_VRING_ENABLE. */
static bool effective_enabled(const struct vhu_ring *r)
{
	return r->enabled || !(r->b->features & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES));
}

/* Finds the ring's three areas in guest memory. */
static int translate(const struct vhu_ring *r, struct vq_setup *s, struct err *e)
{
	const struct gm *gm = &r->b->gm;
	uint32_t desc, driver, device;

	vq_ring_sizes(r->size, packed(r), &desc, &driver, &device);
	s->desc = gm_ptr_uva(gm, r->addr.desc, desc);
	s->driver = gm_ptr_uva(gm, r->addr.avail, driver);
	s->device = gm_ptr_uva(gm, r->addr.used, device);
	if (s->desc && s->driver && s->device)
		return 0;
	return err_set(e, -EFAULT,
		"ring %u is not in shared memory: descriptors 0x%llx, available 0x%llx, used "
		"0x%llx, %u entries",
		r->index, (unsigned long long)r->addr.desc, (unsigned long long)r->addr.avail,
		(unsigned long long)r->addr.used, r->size);
}

static int ring_setup(struct vhu_ring *r, struct vq_setup *s, struct err *e)
{
	if (!r->has_base && packed(r))
		r->avail_base = r->used_base = PACKED_FRESH;
	*s = (struct vq_setup){
		.size = r->size,
		.gm = &r->b->gm,
		.call_fd = r->call_fd,
		.avail_base = r->avail_base,
		.used_base = r->used_base,
	};
	s->inflight = vhu_inflight(r->b, r->index, &s->inflight_len);
	return translate(r, s, e);
}

/*
 * A front-end without STATUS says DRIVER_OK by starting a ring. So does QEMU 7.2 for all devices
 * but network cards, although it has STATUS: it sets FEATURES_OK and no more. One that sets DRIVER
 * is going to set DRIVER_OK, too.
 */
static void driver_ok(struct vhu_backend *b)
{
	if (b->dev->status & (VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK))
		return;
	b->implicit_ok = true;
	vdev_set_status(b->dev,
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
}

static void poll_soon(struct vhu_backend *b)
{
	if (!b->poll.armed)
		ev_timer_set(&b->poll, POLL_NS);
}

int vhu_ring_start(struct vhu_ring *r, struct err *e)
{
	struct vhu_backend *b = r->b;
	struct vq_setup setup;
	int ret;

	if (vhu_ring_running(r) || !r->size || !r->has_addr || !r->has_kick)
		return 0;
	ret = ring_setup(r, &setup, e);
	if (!ret)
		ret = vdev_queue_start(b->dev, r->index, &setup, e);
	if (ret)
		return ret;
	vq_set_enabled(ring_vq(r), effective_enabled(r));
	driver_ok(b);
	if (r->kick_fd < 0)
		poll_soon(b);
	vdev_kick(b->dev, r->index);
	return 0;
}

void vhu_ring_stop(struct vhu_ring *r)
{
	if (!vhu_ring_running(r))
		return;
	vdev_queue_stop(r->b->dev, r->index, &r->avail_base, &r->used_base);
	r->has_base = true;
}

void vhu_ring_drop_kick(struct vhu_ring *r)
{
	ev_fd_del(&r->kick_watch);
	close_fd(&r->kick_fd);
	r->has_kick = false;
	r->muted = false;
	r->idle_kicks = 0;
}

void vhu_ring_reset(struct vhu_ring *r)
{
	vhu_ring_stop(r);
	vhu_ring_drop_kick(r);
	r->size = 0;
	r->has_addr = false;
	r->has_base = false;
	r->enabled = false;
	r->resume = false;
	r->avail_base = 0;
	r->used_base = 0;
}

void vhu_ring_clear(struct vhu_ring *r)
{
	vhu_ring_reset(r);
	close_fd(&r->call_fd);
	close_fd(&r->err_fd);
}

/* A ring that was muted is on probation until the device has taken something. */
static void mute_if_idle(struct vhu_ring *r)
{
	uint16_t position = vq_position(ring_vq(r));

	r->idle_kicks = position == r->position ? r->idle_kicks + 1 : 0;
	r->position = position;
	if (r->idle_kicks < IDLE_KICKS)
		return;
	r->idle_kicks = IDLE_KICKS - 1;
	r->muted = true;
	ev_fd_del(&r->kick_watch);
	poll_soon(r->b);
}

static void kicked(void *arg, uint32_t events)
{
	struct vhu_ring *r = arg;
	struct err e = { 0 };
	int ret = fd_event_clear(r->kick_fd);

	/* Something that is no eventfd could be ready for ever. */
	if (ret < 0 || (!ret && events & (EPOLLHUP | EPOLLERR))) {
		if (vhu_may_complain(r->b))
			log_warn(r->b->log,
				"ring %u: the kick descriptor is unusable; not watched any more",
				r->index);
		ev_fd_del(&r->kick_watch);
		return;
	}
	if (!ret)
		return;
	if (vhu_ring_running(r))
		vdev_kick(r->b->dev, r->index);
	else if (vhu_ring_start(r, &e) && vhu_may_complain(r->b))
		log_warn(r->b->log, "a kick cannot start ring %u: %s", r->index, e.msg);
	mute_if_idle(r);
}

/* Kicks that came meanwhile are still in the descriptor. True if that did not work. */
static bool unmute(struct vhu_ring *r)
{
	r->muted = ev_fd_add(r->b->loop, &r->kick_watch, r->kick_fd, EPOLLIN, kicked, r) != 0;
	return r->muted;
}

int vhu_ring_set_kick(struct vhu_ring *r, int fd, struct err *e)
{
	int ret = fd < 0 ? 0 : fd_nonblock(fd);

	vhu_ring_drop_kick(r);
	if (fd >= 0 && !ret)
		ret = ev_fd_add(r->b->loop, &r->kick_watch, fd, EPOLLIN, kicked, r);
	if (ret) {
		close(fd);
		return err_sys(e, ret, "ring %u: watching the kick descriptor", r->index);
	}
	r->kick_fd = fd;
	r->has_kick = true;
	if (!vhu_ring_running(r))
		return vhu_ring_start(r, e);
	if (fd < 0)
		poll_soon(r->b);
	/* For kicks that the old descriptor took with it. */
	vdev_kick(r->b->dev, r->index);
	return 0;
}

void vhu_ring_set_call(struct vhu_ring *r, int fd)
{
	bool running = vhu_ring_running(r);

	/* A write to a full pipe or counter must not block us. */
	if (fd >= 0)
		fd_nonblock(fd);
	if (running)
		vq_set_call_fd(ring_vq(r), fd);
	close_fd(&r->call_fd);
	r->call_fd = fd;
	/* What was used between the old descriptor's end and now may not have been noticed: QEMU
	 * changes descriptors when the guest masks and unmasks an interrupt. */
	if (running && fd >= 0)
		fd_event_signal(fd);
}

void vhu_ring_set_err(struct vhu_ring *r, int fd)
{
	if (fd >= 0)
		fd_nonblock(fd);
	close_fd(&r->err_fd);
	r->err_fd = fd;
}

int vhu_ring_set_enabled(struct vhu_ring *r, bool enabled, struct err *e)
{
	r->enabled = enabled;
	if (!vhu_ring_running(r))
		return enabled ? vhu_ring_start(r, e) : 0;
	vq_set_enabled(ring_vq(r), effective_enabled(r));
	vdev_kick(r->b->dev, r->index);
	return 0;
}

int vhu_ring_set_base(struct vhu_ring *r, uint32_t base, struct err *e)
{
	if (!packed(r) && base > UINT16_MAX)
		return err_set(e, -EINVAL,
			"ring %u: position 0x%x of a split ring has over 16 bits", r->index, base);
	r->avail_base = (uint16_t)base;
	r->used_base = packed(r) ? (uint16_t)(base >> 16) : 0;
	r->has_base = true;
	return 0;
}

uint32_t vhu_ring_base(const struct vhu_ring *r)
{
	return packed(r) ? r->avail_base | (uint32_t)r->used_base << 16 : r->avail_base;
}

void vhu_rings_quiesce(struct vhu_backend *b)
{
	for (unsigned i = 0; i < b->dev->nqueues; i++) {
		struct vhu_ring *r = &b->rings[i];

		r->resume = vhu_ring_running(r);
		vhu_ring_stop(r);
	}
}

int vhu_rings_resume(struct vhu_backend *b, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; i < b->dev->nqueues; i++) {
		struct vhu_ring *r = &b->rings[i];

		if (r->resume) {
			int result = vhu_ring_start(r, ret ? NULL : e);

			ret = ret ? ret : result;
		}
		r->resume = false;
	}
	return ret;
}

static void poll_rings(void *arg)
{
	struct vhu_backend *b = arg;
	bool again = false;

	for (unsigned i = 0; i < b->dev->nqueues; i++) {
		struct vhu_ring *r = &b->rings[i];

		if (r->muted)
			again |= unmute(r);
		if (!r->has_kick || r->kick_fd >= 0 || !vhu_ring_running(r))
			continue;
		again = true;
		if (vq_pending(ring_vq(r)))
			vdev_kick(b->dev, i);
	}
	if (again)
		poll_soon(b);
}

void vhu_poll_init(struct vhu_backend *b)
{
	ev_timer_init(b->loop, &b->poll, poll_rings, b);
}
