/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests of a front-end: checked against one table, handled, acknowledged. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "transport/vhost_user_backend_priv.h"

#define PF(name) FEATURE(VHOST_USER_PROTOCOL_F_##name)

/* The bits that the core serves whether or not a front-end passes them on; see set_features(). */
#define RING_FEATURES                                                                              \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_INDIRECT_DESC) |                           \
		FEATURE(VIRTIO_F_EVENT_IDX))

#define ALL_STATUS_BITS 0xffu

uint64_t vhu_protocol_features(const struct vhu_backend *b)
{
	return PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(INFLIGHT_SHMFD) |
	       PF(RESET_DEVICE) | PF(CONFIGURE_MEM_SLOTS) | PF(STATUS);
}

/* ACCESS_PLATFORM over vhost-user means translation by IOTLB messages, which are not served. */
static uint64_t offered_features(const struct vhu_backend *b)
{
	return (vdev_features(b->dev) & ~FEATURE(VIRTIO_F_ACCESS_PLATFORM)) |
	       FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
}

int vhu_reply(struct vhu_backend *b, struct vhu_call *c, const void *payload, uint32_t size,
	const int *fd, struct err *e)
{
	int ret = vhu_send(
		b->sock, c->rx->msg.hdr.request, VHOST_USER_REPLY, payload, size, fd, fd ? 1 : 0);

	c->replied = true;
	if (ret == -EAGAIN)
		return err_set(e, ret, "it does not read its replies");
	return ret ? err_sys(e, ret, "sending a reply") : 0;
}

static int reply_u64(struct vhu_backend *b, struct vhu_call *c, uint64_t v, struct err *e)
{
	return vhu_reply(b, c, &v, sizeof(v), NULL, e);
}

static struct vhu_ring *find_ring(struct vhu_backend *b, uint64_t index, struct err *e)
{
	if (index < b->dev->nqueues)
		return &b->rings[index];
	err_set(e, -EINVAL, "ring %llu; the device has %u", (unsigned long long)index,
		b->dev->nqueues);
	return NULL;
}

static int get_features(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return reply_u64(b, c, offered_features(b), e);
}

/*
 * What the device is to be told. Front-ends pass on only those of the driver's bits that they have
 * on a list for the device type, and not all lists have the bits of the ring. Without VERSION_1 it
 * and its two companions, which every driver in use accepts, are taken as agreed; a legacy driver,
 * the other explanation, is not served anyway.
 */
static uint64_t device_features(const struct vhu_backend *b, uint64_t sent)
{
	uint64_t f = sent & ~FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);

	if (!(f & FEATURE(VIRTIO_F_VERSION_1)))
		f |= RING_FEATURES & vdev_features(b->dev);
	return f;
}

static int set_features(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	uint64_t sent = c->p->u64;
	uint64_t extra = sent & ~offered_features(b);
	int ret;

	if (extra)
		return err_set(e, -EINVAL, "SET_FEATURES with bits 0x%llx that are not offered",
			(unsigned long long)extra);
	/* Front-ends with several queue pairs, and those that pause, send the same again. */
	if (b->has_features && sent == b->features)
		return 0;
	if (vhu_rings_any_running(b))
		return err_set(e, -EBUSY, "SET_FEATURES changes features while a ring runs");
	/* Other features can only come from a driver that started over. */
	if (b->dev->status & VIRTIO_S_FEATURES_OK)
		vdev_reset(b->dev);
	b->implicit_ok = false;
	b->has_features = false;
	ret = vdev_set_features(b->dev, device_features(b, sent), e);
	if (ret)
		return ret;
	b->has_features = true;
	b->features = sent;
	return 0;
}

static int get_protocol_features(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return reply_u64(b, c, vhu_protocol_features(b), e);
}

static int set_protocol_features(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	uint64_t extra = c->p->u64 & ~vhu_protocol_features(b);

	if (extra)
		return err_set(e, -EINVAL,
			"SET_PROTOCOL_FEATURES with bits 0x%llx that are not offered",
			(unsigned long long)extra);
	b->protocol = c->p->u64;
	return 0;
}

/* SET_OWNER says that a session starts, which the connection has said; RESET_OWNER is deprecated,
 * and to be ignored. */
static int ignore(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return 0;
}

static int set_vring_num(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_vring_state s = c->p->state;
	uint32_t max = b->dev->queue_size_max;
	struct vhu_ring *r = find_ring(b, s.index, e);

	if (!r)
		return -EINVAL;
	if (!s.num || s.num > max)
		return err_set(
			e, -EINVAL, "ring %u: size %u; 1 to %u are possible", s.index, s.num, max);
	if (vhu_ring_running(r) && s.num != r->size)
		return err_set(e, -EBUSY, "ring %u: SET_VRING_NUM while it runs", s.index);
	r->size = (uint16_t)s.num;
	return 0;
}

static int set_vring_addr(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_vring_addr a = c->p->addr;
	struct vhu_ring *r = find_ring(b, a.index, e);
	bool running;

	if (!r)
		return -EINVAL;
	if (a.flags & VHOST_USER_VRING_F_LOG)
		return err_set(e, -EINVAL, "ring %u: logging is not offered", a.index);
	running = vhu_ring_running(r);
	vhu_ring_stop(r);
	r->addr = a;
	r->has_addr = true;
	return running ? vhu_ring_start(r, e) : 0;
}

/*
 * Who does not say DRIVER_OK does not say either that the driver was reset. A ring that starts from
 * the beginning, after it was stopped elsewhere and with no other ring running, says so.
 */
static int driver_started_over(struct vhu_backend *b, struct err *e)
{
	b->implicit_ok = false;
	vdev_reset(b->dev);
	return vdev_set_features(b->dev, device_features(b, b->features), e);
}

static int set_vring_base(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_vring_state s = c->p->state;
	bool packed = vdev_has(b->dev, VIRTIO_F_RING_PACKED);
	uint32_t fresh = packed ? 0x80008000u : 0;
	struct vhu_ring *r = find_ring(b, s.index, e);

	if (!r)
		return -EINVAL;
	if (vhu_ring_running(r))
		return err_set(e, -EBUSY, "ring %u: SET_VRING_BASE while it runs", s.index);
	if (b->has_features && s.num == fresh && r->has_base && vhu_ring_base(r) != fresh &&
		b->implicit_ok && !vhu_rings_any_running(b)) {
		int ret = driver_started_over(b, e);

		if (ret)
			return ret;
	}
	return vhu_ring_set_base(r, s.num, e);
}

static int get_vring_base(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_vring_state s = c->p->state;
	struct vhu_ring *r = find_ring(b, s.index, e);

	if (!r)
		return -EINVAL;
	vhu_ring_stop(r);
	vhu_ring_drop_kick(r);
	s.num = vhu_ring_base(r);
	return vhu_reply(b, c, &s, sizeof(s), NULL, e);
}

/* The ring and the descriptor of SET_VRING_KICK, _CALL, _ERR; the descriptor is the caller's. */
static int vring_fd(
	struct vhu_backend *b, struct vhu_call *c, struct vhu_ring **r, int *fd, struct err *e)
{
	uint64_t v = c->p->u64;
	bool none = v & VHOST_USER_VRING_NOFD;

	if (v & ~(uint64_t)(VHOST_USER_VRING_IDX_MASK | VHOST_USER_VRING_NOFD))
		return err_set(e, -EINVAL, "a ring's descriptor with unknown bits 0x%llx",
			(unsigned long long)v);
	if (none != !c->rx->nfds)
		return err_set(e, -EINVAL, "a ring's descriptor %s, but %u are attached",
			none ? "is said not to be there" : "is promised", c->rx->nfds);
	*r = find_ring(b, v & VHOST_USER_VRING_IDX_MASK, e);
	if (!*r)
		return -EINVAL;
	*fd = vhu_rx_take_fd(c->rx, 0);
	return 0;
}

static int set_vring_kick(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhu_ring *r;
	int fd;
	int ret = vring_fd(b, c, &r, &fd, e);

	return ret ? ret : vhu_ring_set_kick(r, fd, e);
}

static int set_vring_call(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhu_ring *r;
	int fd;
	int ret = vring_fd(b, c, &r, &fd, e);

	if (!ret)
		vhu_ring_set_call(r, fd);
	return ret;
}

static int set_vring_err(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhu_ring *r;
	int fd;
	int ret = vring_fd(b, c, &r, &fd, e);

	if (!ret)
		vhu_ring_set_err(r, fd);
	return ret;
}

static int get_queue_num(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return reply_u64(b, c, b->dev->nqueues, e);
}

static int set_vring_enable(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_vring_state s = c->p->state;
	struct vhu_ring *r = find_ring(b, s.index, e);

	if (!r)
		return -EINVAL;
	if (s.num > 1)
		return err_set(e, -EINVAL, "ring %u: SET_VRING_ENABLE %u; 0 or 1", s.index, s.num);
	return vhu_ring_set_enabled(r, s.num, e);
}

static int set_backend_req_fd(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return vhu_channel_set(b, vhu_rx_take_fd(c->rx, 0), e);
}

/* An answer without payload says that the request was wrong. */
static int get_config(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	struct vhost_user_config *cfg = &c->p->config;
	uint32_t whole = VHOST_USER_CONFIG_HDR_SIZE + cfg->size;

	if (!cfg->size || !range_in(cfg->offset, cfg->size, VHOST_USER_CONFIG_MAX) ||
		(c->size != whole && c->size != VHOST_USER_CONFIG_HDR_SIZE)) {
		if (vhu_may_complain(b))
			log_warn(b->log,
				"GET_CONFIG refused: %u bytes at %u in a message of %u; at most %d",
				cfg->size, cfg->offset, c->size, VHOST_USER_CONFIG_MAX);
		return vhu_reply(b, c, NULL, 0, NULL, e);
	}
	vdev_config_read(b->dev, cfg->offset, cfg->data, cfg->size);
	return vhu_reply(b, c, cfg, whole, NULL, e);
}

static int set_config(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	const struct vhost_user_config *cfg = &c->p->config;

	if (!cfg->size || !range_in(cfg->offset, cfg->size, VHOST_USER_CONFIG_MAX) ||
		c->size != VHOST_USER_CONFIG_HDR_SIZE + cfg->size)
		return err_set(e, -EINVAL,
			"SET_CONFIG: %u bytes at %u in a message of %u; at most %d", cfg->size,
			cfg->offset, c->size, VHOST_USER_CONFIG_MAX);
	if (cfg->flags)
		return err_set(e, -EINVAL,
			"SET_CONFIG for live migration (flags 0x%x) is not offered", cfg->flags);
	vdev_config_write(b->dev, cfg->offset, cfg->data, cfg->size);
	return 0;
}

/* All rings and the device to the initial state; memory and protocol features stay. */
static void reset_all(struct vhu_backend *b)
{
	for (unsigned i = 0; i < b->dev->nqueues; i++)
		vhu_ring_reset(&b->rings[i]);
	vdev_reset(b->dev);
	vhu_inflight_drop(b);
	b->has_features = false;
	b->features = 0;
	b->implicit_ok = false;
}

static int reset_device(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	reset_all(b);
	return 0;
}

static int get_max_mem_slots(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return reply_u64(b, c, GM_REGIONS_MAX, e);
}

static int set_status(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	uint64_t status = c->p->u64;

	if (status > ALL_STATUS_BITS)
		return err_set(e, -EINVAL, "SET_STATUS 0x%llx; a status has 8 bits",
			(unsigned long long)status);
	if (!status) {
		reset_all(b);
		return 0;
	}
	vdev_set_status(b->dev, (uint8_t)status);
	return 0;
}

static int get_status(struct vhu_backend *b, struct vhu_call *c, struct err *e)
{
	return reply_u64(b, c, b->dev->status, e);
}

struct request {
	const char *name;
	uint16_t min_size, max_size; /* bytes of payload */
	uint8_t min_fds, max_fds;
	bool answers;	/* has an answer of its own, which replaces the acknowledgement */
	uint64_t needs; /* protocol features without which it is not legal */
	int (*fn)(struct vhu_backend *b, struct vhu_call *c, struct err *e);
};

#define SIZE(type)    sizeof(struct vhost_user_##type), sizeof(struct vhost_user_##type)
#define U64_SIZE      sizeof(uint64_t), sizeof(uint64_t)
#define CONFIG_SIZE   VHOST_USER_CONFIG_HDR_SIZE, sizeof(struct vhost_user_config)
#define INFLIGHT_SIZE VHOST_USER_INFLIGHT_SIZE_MIN, sizeof(struct vhost_user_inflight)

/* clang-format off */
static const struct request requests[] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", 0, 0, 0, 0, true, 0, get_features },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", U64_SIZE, 0, 0, false, 0, set_features },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", 0, 0, 0, 0, false, 0, ignore },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", 0, 0, 0, 0, false, 0, ignore },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", 8, sizeof(struct vhost_user_mem_table),
		0, VHOST_USER_MEM_REGIONS_MAX, false, 0, vhu_set_mem_table },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", SIZE(vring_state), 0, 0, false, 0,
		set_vring_num },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", SIZE(vring_addr), 0, 0, false, 0,
		set_vring_addr },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", SIZE(vring_state), 0, 0, false, 0,
		set_vring_base },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", SIZE(vring_state), 0, 0, true, 0,
		get_vring_base },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", U64_SIZE, 0, 1, false, 0,
		set_vring_kick },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", U64_SIZE, 0, 1, false, 0,
		set_vring_call },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", U64_SIZE, 0, 1, false, 0, set_vring_err },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, true, 0,
		get_protocol_features },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", U64_SIZE, 0, 0, false, 0,
		set_protocol_features },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0, 0, true, PF(MQ), get_queue_num },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", SIZE(vring_state), 0, 0, false, 0,
		set_vring_enable },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 8, 1, 1, false,
		PF(BACKEND_REQ), set_backend_req_fd },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", CONFIG_SIZE, 0, 0, true, PF(CONFIG), get_config },
	[VHOST_USER_SET_CONFIG] = { "SET_CONFIG", CONFIG_SIZE, 0, 0, false, PF(CONFIG),
		set_config },
	[VHOST_USER_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", INFLIGHT_SIZE, 0, 0, true,
		PF(INFLIGHT_SHMFD), vhu_get_inflight_fd },
	[VHOST_USER_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", INFLIGHT_SIZE, 1, 1, false,
		PF(INFLIGHT_SHMFD), vhu_set_inflight_fd },
	[VHOST_USER_RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0, 0, false, PF(RESET_DEVICE),
		reset_device },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, true,
		PF(CONFIGURE_MEM_SLOTS), get_max_mem_slots },
	[VHOST_USER_ADD_MEM_REG] = { "ADD_MEM_REG", SIZE(mem_reg), 1, 1, false,
		PF(CONFIGURE_MEM_SLOTS), vhu_add_mem_reg },
	/* Old front-ends attach a descriptor by mistake. */
	[VHOST_USER_REM_MEM_REG] = { "REM_MEM_REG", SIZE(mem_reg), 0, 1, false,
		PF(CONFIGURE_MEM_SLOTS), vhu_rem_mem_reg },
	[VHOST_USER_SET_STATUS] = { "SET_STATUS", U64_SIZE, 0, 0, false, PF(STATUS), set_status },
	[VHOST_USER_GET_STATUS] = { "GET_STATUS", 0, 0, 0, 0, true, PF(STATUS), get_status },
};
/* clang-format on */

/* The form of a message. A peer that gets it wrong is not worth talking to. */
static int check_form(const struct request *r, const struct vhu_rx *rx, struct err *e)
{
	const struct vhost_user_hdr *hdr = &rx->msg.hdr;

	if (hdr->flags & VHOST_USER_REPLY)
		return err_set(e, -EPROTO, "request %u is marked as a reply", hdr->request);
	if (!r)
		return 0;
	if (hdr->size < r->min_size || hdr->size > r->max_size)
		return err_set(e, -EPROTO, "%s with %u bytes of payload; %u to %u are right",
			r->name, hdr->size, r->min_size, r->max_size);
	if (rx->nfds < r->min_fds || rx->nfds > r->max_fds)
		return err_set(e, -EPROTO, "%s with %u descriptors; %u to %u are right", r->name,
			rx->nfds, r->min_fds, r->max_fds);
	return 0;
}

static int handle(struct vhu_backend *b, const struct request *r, struct vhu_call *c, struct err *e)
{
	if (!r)
		return err_set(e, -EOPNOTSUPP, "request %u is not known", c->rx->msg.hdr.request);
	if (r->needs & ~b->protocol)
		return err_set(e, -EOPNOTSUPP, "%s without its protocol feature", r->name);
	return r->fn(b, c, e);
}

/* REPLY_ACK: a failure is told to who asked; nobody else could know, so the connection ends. */
static int acknowledge(struct vhu_backend *b, struct vhu_call *c, int result, struct err *e)
{
	if (result && vhu_may_complain(b))
		log_warn(b->log, "refused: %s", e->msg);
	return reply_u64(b, c, (uint64_t)-result, e);
}

int vhu_request(struct vhu_backend *b, struct err *e)
{
	struct vhost_user_msg *msg = &b->rx.msg;
	const struct request *r = NULL;
	struct vhu_call c = { .rx = &b->rx, .p = &msg->payload, .size = msg->hdr.size };
	int ret;

	if (msg->hdr.request < ARRAY_LEN(requests) && requests[msg->hdr.request].fn)
		r = &requests[msg->hdr.request];
	ret = check_form(r, &b->rx, e);
	if (ret)
		return ret;
	log_debug(b->log, "%s, %u bytes, %u descriptors", r ? r->name : "unknown request",
		msg->hdr.size, b->rx.nfds);
	ret = handle(b, r, &c, e);
	if (c.replied || (r && r->answers))
		return ret;
	if (msg->hdr.flags & VHOST_USER_NEED_REPLY && vhu_has(b, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return acknowledge(b, &c, ret, e);
	return ret;
}
