/* SPDX-License-Identifier: BSD-3-Clause */
/* What a vhost-user front-end says, and in which order. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/util.h"
#include "transport/vhost_user_frontend_priv.h"
#include "transport/vhost_user_recover.h"

#define PF(name) FEATURE(VHOST_USER_PROTOCOL_F_##name)

#define WANTED_PROTOCOL_FEATURES                                                                   \
	(PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(INFLIGHT_SHMFD) |              \
		PF(RESET_DEVICE) | PF(CONFIGURE_MEM_SLOTS) | PF(STATUS))

static int agree_protocol(struct vhu_link *l)
{
	uint64_t offered, wanted;
	int ret = vhu_link_get_u64(l, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (ret)
		return ret;
	wanted = offered & WANTED_PROTOCOL_FEATURES;
	/* Not acknowledged: whether it can be is what this message settles. */
	ret = vhu_link_set_u64(l, VHOST_USER_SET_PROTOCOL_FEATURES, wanted);
	if (!ret)
		l->protocol = wanted;
	return ret;
}

static int open_channel(struct vhu_link *l, int *channel)
{
	int pair[2];
	int ret;

	if (!vhu_link_has(l, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	ret = vhu_link_set(l, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	if (ret)
		close(pair[0]);
	else
		*channel = pair[0];
	return ret;
}

int fe_handshake(
	struct frontend *f, struct vhu_link *l, uint64_t *offered, int *channel, struct err *e)
{
	int ret;

	*channel = -1;
	/* What asks comes first: an answer shows that somebody is there. */
	ret = vhu_link_get_u64(l, VHOST_USER_GET_FEATURES, offered);
	if (!ret)
		ret = vhu_link_set(l, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
	if (!ret && *offered & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))
		ret = agree_protocol(l);
	if (!ret)
		ret = open_channel(l, channel);
	if (ret)
		return err_sys(e, ret, "negotiating with the back-end at '%s'", f->path);
	if (!(*offered & FEATURE(VIRTIO_F_VERSION_1)))
		return err_set(e, -EPROTO,
			"the back-end at '%s' offers features 0x%llx without VERSION_1", f->path,
			(unsigned long long)*offered);
	return 0;
}

int fe_fetch_config(struct frontend *f)
{
	struct vhost_user_config cfg = { .size = f->base.config_len };
	uint32_t whole = VHOST_USER_CONFIG_HDR_SIZE + cfg.size;
	int ret;

	if (!cfg.size || !vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	ret = vhu_link_get(&f->link, VHOST_USER_GET_CONFIG, &cfg, whole);
	if (ret)
		return ret;
	if (f->link.rx.msg.hdr.size != whole)
		return -EREMOTEIO;
	memcpy(f->config, f->link.rx.msg.payload.config.data, cfg.size);
	return 0;
}

int fe_send_config(struct frontend *f, uint32_t offset, const void *buf, uint32_t len)
{
	struct vhost_user_config cfg = { .offset = offset, .size = len };

	if (!vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	memcpy(cfg.data, buf, len);
	return vhu_link_set(
		&f->link, VHOST_USER_SET_CONFIG, &cfg, VHOST_USER_CONFIG_HDR_SIZE + len, NULL, 0);
}

int fe_send_features(struct frontend *f)
{
	uint64_t bits = f->features & f->offered;
	uint64_t status;
	int ret;

	bits |= f->offered & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
	ret = vhu_link_set_u64(&f->link, VHOST_USER_SET_FEATURES, bits);
	if (ret || !vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_STATUS))
		return ret;
	ret = vhu_link_set_u64(&f->link, VHOST_USER_SET_STATUS,
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	if (!ret)
		ret = vhu_link_get_u64(&f->link, VHOST_USER_GET_STATUS, &status);
	if (!ret && !(status & VIRTIO_S_FEATURES_OK))
		ret = -EREMOTEIO;
	return ret;
}

static struct vhost_user_region region_of(const struct gm_region *r)
{
	return (struct vhost_user_region){
		.gpa = r->gpa,
		.size = r->size,
		.uva = (uintptr_t)r->hva,
		.mmap_offset = r->fd_offset,
	};
}

/* One message for all regions. */
static int share_table(struct frontend *f)
{
	struct vhost_user_mem_table t = { 0 };
	int fds[VHOST_USER_MEM_REGIONS_MAX];

	for (unsigned i = 0; i < f->base.gm->n; i++) {
		const struct gm_region *r = &f->base.gm->r[i];

		if (r->fd < 0)
			continue;
		fds[t.nregions] = r->fd;
		t.regions[t.nregions++] = region_of(r);
	}
	return vhu_link_set(&f->link, VHOST_USER_SET_MEM_TABLE, &t,
		(uint32_t)(8 + t.nregions * sizeof(t.regions[0])), fds, t.nregions);
}

/* A message for each region. */
static int share_slots(struct frontend *f)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < f->base.gm->n; i++) {
		const struct gm_region *r = &f->base.gm->r[i];
		struct vhost_user_mem_reg reg = { .region = region_of(r) };

		if (r->fd >= 0)
			ret = vhu_link_set(
				&f->link, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), &r->fd, 1);
	}
	return ret;
}

static int share_memory(struct frontend *f)
{
	unsigned shared = 0;
	int ret;

	if (f->mem_shared)
		return 0;
	for (unsigned i = 0; i < f->base.gm->n; i++)
		shared += f->base.gm->r[i].fd >= 0;
	if (shared <= VHOST_USER_MEM_REGIONS_MAX)
		ret = share_table(f);
	else if (vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = share_slots(f);
	else
		ret = -E2BIG;
	f->mem_shared = !ret;
	return ret;
}

void fe_inflight_drop(struct frontend *f)
{
	if (f->inflight.map)
		munmap(f->inflight.map, f->inflight.desc.mmap_size);
	close_fd(&f->inflight.fd);
	f->inflight = (struct fe_inflight){ .fd = -1 };
}

void fe_inflight_clear(struct frontend *f, unsigned q)
{
	if (f->inflight.map && q < f->inflight.desc.num_queues)
		memset(f->inflight.map + q * f->inflight.stride, 0, f->inflight.stride);
}

/* Asks the back-end for a record. That it gives none is no error: requests in flight at its death
 * are then done again, as far as the rings tell. */
static int inflight_get(struct frontend *f)
{
	struct vhost_user_inflight want = {
		.num_queues = f->base.nqueues,
		.queue_size = f->base.queue_size_max,
	};
	struct vhost_user_inflight got;
	autoclose int fd = -1;
	struct stat st;
	void *map;
	int ret = vhu_link_get(&f->link, VHOST_USER_GET_INFLIGHT_FD, &want, sizeof(want));

	if (ret)
		return ret;
	got = f->link.rx.msg.payload.inflight;
	fd = vhu_rx_take_fd(&f->link.rx, 0);
	if (fd < 0 || !got.mmap_size || got.num_queues != want.num_queues || fstat(fd, &st) < 0 ||
		!range_in(got.mmap_offset, got.mmap_size, (uint64_t)st.st_size)) {
		log_warn(f->base.log, "the back-end gives no usable in-flight record");
		return 0;
	}
	map = mmap(NULL, got.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		(off_t)got.mmap_offset);
	if (map == MAP_FAILED)
		return -errno;
	f->inflight = (struct fe_inflight){
		.fd = steal_fd(&fd),
		.desc = got,
		.map = map,
		.stride = got.mmap_size / got.num_queues,
	};
	return 0;
}

static int share_inflight(struct frontend *f)
{
	int ret = 0;

	if (f->inflight_shared || !vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (f->inflight.fd < 0)
		ret = inflight_get(f);
	if (!ret && f->inflight.fd >= 0)
		ret = vhu_link_set(&f->link, VHOST_USER_SET_INFLIGHT_FD, &f->inflight.desc,
			sizeof(f->inflight.desc), &f->inflight.fd, 1);
	f->inflight_shared = !ret;
	return ret;
}

static int send_vring_fd(struct frontend *f, uint32_t request, unsigned q, int fd)
{
	const uint64_t v = q | (fd < 0 ? VHOST_USER_VRING_NOFD : 0);

	return vhu_link_set(&f->link, request, &v, sizeof(v), &fd, fd >= 0);
}

/* The ring's addresses in this process, which are its user addresses. */
static int ring_addr(struct frontend *f, unsigned q, struct vhost_user_vring_addr *a)
{
	const struct vb_queue *s = &f->q[q].setup;
	const struct gm *gm = f->base.gm;
	uint32_t desc, driver, device;

	vq_ring_sizes(
		s->size, f->features & FEATURE(VIRTIO_F_RING_PACKED), &desc, &driver, &device);
	*a = (struct vhost_user_vring_addr){
		.index = q,
		.desc = (uintptr_t)gm_ptr(gm, s->desc, desc),
		.avail = (uintptr_t)gm_ptr(gm, s->driver, driver),
		.used = (uintptr_t)gm_ptr(gm, s->device, device),
	};
	return a->desc && a->avail && a->used ? 0 : -EFAULT;
}

static uint32_t start_base(struct frontend *f, unsigned q, const void *used_ring, bool fresh)
{
	bool packed = f->features & FEATURE(VIRTIO_F_RING_PACKED);
	const uint8_t *region = NULL;

	if (fresh)
		return packed ? VHU_BASE_PACKED_FRESH : 0;
	if (f->inflight.map && q < f->inflight.desc.num_queues &&
		f->inflight.stride >= sizeof(struct vhu_packed_region))
		region = f->inflight.map + q * f->inflight.stride;
	return vhu_recovered_base(packed, used_ring, region);
}

int fe_start_queue(struct frontend *f, unsigned q, bool fresh)
{
	const struct vb_queue *s = &f->q[q].setup;
	struct vhu_link *l = &f->link;
	struct vhost_user_vring_addr addr;
	uint32_t base;
	int ret = ring_addr(f, q, &addr);

	if (ret)
		return ret;
	base = start_base(f, q, (const void *)(uintptr_t)addr.used, fresh);
	if (base == VHU_BASE_UNKNOWN)
		return -ENODATA;
	ret = vhu_link_set_state(l, VHOST_USER_SET_VRING_NUM, q, s->size);
	if (!ret)
		ret = vhu_link_set_state(l, VHOST_USER_SET_VRING_BASE, q, base);
	if (!ret)
		ret = vhu_link_set(l, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (!ret)
		ret = send_vring_fd(f, VHOST_USER_SET_VRING_ERR, q, f->err_fd);
	if (!ret)
		ret = send_vring_fd(f, VHOST_USER_SET_VRING_CALL, q, s->call_fd);
	if (!ret)
		ret = send_vring_fd(f, VHOST_USER_SET_VRING_KICK, q, s->kick_fd);
	if (!ret && f->offered & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))
		ret = vhu_link_set_state(l, VHOST_USER_SET_VRING_ENABLE, q, 1);
	/* "The back-end must start ring upon receiving a kick." */
	if (!ret)
		fd_event_signal(s->kick_fd);
	return ret;
}

int fe_prepare_queues(struct frontend *f)
{
	int ret;

	ret = share_inflight(f);
	return ret ? ret : share_memory(f);
}

static int replay_queues(struct frontend *f)
{
	int ret = fe_prepare_queues(f);

	for (unsigned i = 0; !ret && i < f->base.nqueues; i++) {
		if (!f->q[i].running)
			continue;
		ret = fe_start_queue(f, i, false);
		/* What the dead one used last may not have been announced. */
		if (!ret && f->q[i].setup.call_fd >= 0)
			fd_event_signal(f->q[i].setup.call_fd);
	}
	return ret;
}

static bool any_running(const struct frontend *f)
{
	for (unsigned i = 0; i < f->base.nqueues; i++)
		if (f->q[i].running)
			return true;
	return false;
}

int fe_replay(struct frontend *f, struct err *e)
{
	const struct fe_config_state *c = &f->config_state;
	uint64_t missing = f->has_features ? f->features & ~f->offered : 0;
	int ret = 0;

	if (missing & ~FEATURE(VIRTIO_F_ACCESS_PLATFORM))
		return err_set(e, -ENOTSUP,
			"the new back-end lacks features 0x%llx that the driver uses",
			(unsigned long long)missing);
	if (f->has_features)
		ret = fe_send_features(f);
	if (!ret && c->written)
		ret = fe_send_config(f, c->offset, f->config + c->offset, c->len);
	if (!ret && any_running(f))
		ret = replay_queues(f);
	if (!ret && f->status & VIRTIO_S_DRIVER_OK &&
		vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_STATUS))
		ret = vhu_link_set_u64(&f->link, VHOST_USER_SET_STATUS, f->status);
	return ret ? err_sys(e, ret, "setting up the back-end at '%s' again", f->path) : 0;
}
