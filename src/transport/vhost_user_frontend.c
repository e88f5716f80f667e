/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user front-end as a backend of the monitor's transports (virtio/backend.h). */
#include "transport/vhost_user_frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "transport/vhost_user_frontend_priv.h"

#define DEFAULT_QUEUE_SIZE 256
#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_REQUEST_MS 5000
#define DEFAULT_GIVE_UP_S  30

#define RETRY_NS 5000000 /* between attempts to reach a back-end that does not listen yet */

/*
 * Bits between back-end and front-end, or whose service would need more than this front-end has:
 * legacy and vhost's own ones (24, 26, 27, 30), SR_IOV, NOTIFICATION_DATA, NOTIF_CONFIG_DATA,
 * ADMIN_VQ (VIRTIO 1.4, 6).
 */
#define HIDDEN_FEATURES                                                                            \
	(FEATURE(24) | FEATURE(26) | FEATURE(27) | FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) |       \
		FEATURE(37) | FEATURE(38) | FEATURE(39) | FEATURE(41))

/* What VIRTIO 1.4, 5 says of the configuration space, since vhost-user has no message for it. */
static const struct config_layout {
	uint16_t device_id;
	uint16_t len;
	uint16_t state_offset, state_len; /* writable field that holds state */
} config_layouts[] = {
	{ 1, 28, 0, 0 },   /* net */
	{ 2, 96, 32, 1 },  /* blk: writeback */
	{ 3, 12, 0, 0 },   /* console: emerg_wr is an act, no state */
	{ 4, 0, 0, 0 },	   /* rng */
	{ 8, 36, 0, 0 },   /* scsi host */
	{ 16, 16, 0, 0 },  /* gpu */
	{ 18, 136, 0, 2 }, /* input: select, subsel */
	{ 19, 8, 0, 0 },   /* vsock */
	{ 20, 56, 0, 0 },  /* crypto */
	{ 25, 16, 0, 0 },  /* sound */
	{ 26, 44, 0, 0 },  /* fs */
	{ 36, 2, 0, 0 },   /* can */
	{ 41, 8, 0, 0 },   /* gpio */
	{ 45, 32, 0, 0 },  /* spi */
};

static struct frontend *to_frontend(struct vbackend *b)
{
	return container_of(b, struct frontend, base);
}

static bool connected(const struct frontend *f)
{
	return f->link.sock >= 0 && !f->link.broken;
}

/*
 * The result of an operation that the driver is told. If the connection ended, what the driver
 * wants is remembered, and the watcher will tell the next back-end: that is no failure.
 */
static int outcome(const struct frontend *f, int ret)
{
	if (!ret || !connected(f))
		return 0;
	return ret == -EREMOTEIO ? -EINVAL : ret;
}

/* Our machine has no IOMMU, so that a driver's platform addresses are guest-physical ones and
 * ACCESS_PLATFORM is the transport's to offer. To a back-end it would mean IOTLB messages. */
static uint64_t guest_features(const struct frontend *f)
{
	return (f->offered & ~HIDDEN_FEATURES) | FEATURE(VIRTIO_F_ACCESS_PLATFORM);
}

static int fe_features(struct vbackend *b, uint64_t *features)
{
	struct frontend *f = to_frontend(b);

	pthread_mutex_lock(&f->lock);
	*features = guest_features(f);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fe_set_features(struct vbackend *b, uint64_t features)
{
	struct frontend *f = to_frontend(b);
	int ret = -EINVAL;

	pthread_mutex_lock(&f->lock);
	fe_watch_go(f);
	if (!(features & ~guest_features(f))) {
		f->features = features & ~FEATURE(VIRTIO_F_ACCESS_PLATFORM);
		ret = connected(f) ? outcome(f, fe_send_features(f)) : 0;
	}
	f->has_features = !ret;
	pthread_mutex_unlock(&f->lock);
	return ret;
}

/* GET_VRING_BASE: the position is of no use, since a queue that the driver stops starts afresh. */
static int stop_queue(struct frontend *f, unsigned q)
{
	const struct vhost_user_vring_state s = { q, 0 };

	f->q[q].running = false;
	if (!connected(f))
		return 0;
	return vhu_link_get(&f->link, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
}

static int reset(struct frontend *f)
{
	int ret = 0;

	for (unsigned i = 0; i < f->base.nqueues; i++)
		if (f->q[i].running && !ret)
			ret = stop_queue(f, i);
	for (unsigned i = 0; i < f->base.nqueues; i++)
		f->q[i].running = false;
	if (!ret && connected(f) && vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_STATUS))
		ret = vhu_link_set_u64(&f->link, VHOST_USER_SET_STATUS, 0);
	else if (!ret && connected(f) && vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		ret = vhu_link_set(&f->link, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
	fe_inflight_drop(f);
	f->inflight_shared = false;
	f->has_features = false;
	f->features = 0;
	f->config_state.written = false;
	f->told_reset = false;
	fd_event_clear(f->err_fd);
	return ret;
}

static int fe_set_status(struct vbackend *b, uint8_t status)
{
	struct frontend *f = to_frontend(b);
	int ret = 0;

	pthread_mutex_lock(&f->lock);
	f->status = status;
	if (!status)
		ret = reset(f);
	else if (connected(f) && vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_STATUS))
		ret = vhu_link_set_u64(&f->link, VHOST_USER_SET_STATUS, status);
	ret = outcome(f, ret);
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static int fe_queue_start(struct vbackend *b, unsigned q, const struct vb_queue *setup)
{
	struct frontend *f = to_frontend(b);
	int ret = 0;

	if (q >= b->nqueues)
		return -EINVAL;
	pthread_mutex_lock(&f->lock);
	f->q[q].setup = *setup;
	f->q[q].running = true;
	fe_inflight_clear(f, q);
	if (connected(f))
		ret = fe_prepare_queues(f);
	if (!ret && connected(f))
		ret = fe_start_queue(f, q, true);
	ret = outcome(f, ret);
	if (ret)
		f->q[q].running = false;
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static int fe_queue_stop(struct vbackend *b, unsigned q)
{
	struct frontend *f = to_frontend(b);
	int ret = 0;

	if (q >= b->nqueues)
		return -EINVAL;
	pthread_mutex_lock(&f->lock);
	if (f->q[q].running)
		ret = outcome(f, stop_queue(f, q));
	pthread_mutex_unlock(&f->lock);
	return ret;
}

/* The back-end's answer, or what it answered last if it is not there. */
static int fe_config_read(struct vbackend *b, uint32_t offset, void *buf, uint32_t len)
{
	struct frontend *f = to_frontend(b);
	int ret = 0;

	if (!range_in(offset, len, b->config_len))
		return -EINVAL;
	pthread_mutex_lock(&f->lock);
	if (connected(f))
		ret = outcome(f, fe_fetch_config(f));
	memcpy(buf, f->config + offset, len);
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static int fe_config_write(struct vbackend *b, uint32_t offset, const void *buf, uint32_t len)
{
	struct frontend *f = to_frontend(b);
	struct fe_config_state *c = &f->config_state;
	int ret = 0;

	if (!range_in(offset, len, b->config_len))
		return -EINVAL;
	pthread_mutex_lock(&f->lock);
	memcpy(f->config + offset, buf, len);
	if (offset < c->offset + c->len && c->offset < offset + len)
		c->written = true;
	if (connected(f))
		ret = outcome(f, fe_send_config(f, offset, buf, len));
	pthread_mutex_unlock(&f->lock);
	return ret;
}

static void fe_free(struct frontend *f)
{
	vhu_link_close(&f->link);
	close_fd(&f->channel);
	vhu_rx_reset(&f->channel_rx);
	close_fd(&f->wake_fd);
	close_fd(&f->err_fd);
	fe_inflight_drop(f);
	pthread_mutex_destroy(&f->lock);
	sem_destroy(&f->go);
	free(f->path);
	free(f);
}

static void fe_destroy(struct vbackend *b)
{
	struct frontend *f = to_frontend(b);

	fe_watch_stop(f);
	fe_free(f);
}

static const struct vbackend_ops frontend_ops = {
	.features = fe_features,
	.set_features = fe_set_features,
	.set_status = fe_set_status,
	.queue_start = fe_queue_start,
	.queue_stop = fe_queue_stop,
	.config_read = fe_config_read,
	.config_write = fe_config_write,
	.destroy = fe_destroy,
};

static unsigned or_default(unsigned v, unsigned def)
{
	return v ? v : def;
}

static void set_config_layout(struct frontend *f)
{
	f->base.config_len = f->opts.config_len;
	for (unsigned i = 0; i < ARRAY_LEN(config_layouts); i++) {
		const struct config_layout *l = &config_layouts[i];

		if (l->device_id != f->opts.device_id)
			continue;
		if (!f->base.config_len)
			f->base.config_len = l->len;
		f->config_state.offset = l->state_offset;
		f->config_state.len = l->state_len;
	}
	if (f->base.config_len > VHOST_USER_CONFIG_MAX)
		f->base.config_len = VHOST_USER_CONFIG_MAX;
}

static struct frontend *fe_new(
	const struct vhu_frontend_opts *opts, const struct gm *gm, const struct log *log)
{
	struct frontend *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->base = (struct vbackend){
		.ops = &frontend_ops,
		.device_id = opts->device_id,
		.queue_size_max = (uint16_t)or_default(opts->queue_size_max, DEFAULT_QUEUE_SIZE),
		.gm = gm,
		.log = log,
	};
	f->opts = *opts;
	f->opts.connect_ms = or_default(opts->connect_ms, DEFAULT_CONNECT_MS);
	f->opts.request_ms = or_default(opts->request_ms, DEFAULT_REQUEST_MS);
	f->opts.give_up_s = or_default(opts->give_up_s, DEFAULT_GIVE_UP_S);
	set_config_layout(f);
	pthread_mutex_init(&f->lock, NULL);
	sem_init(&f->go, 0, 0);
	f->link.sock = -1;
	f->channel = -1;
	f->inflight.fd = -1;
	f->path = strdup(opts->path);
	f->opts.path = f->path;
	f->wake_fd = fd_event();
	f->err_fd = fd_event();
	if (f->path && f->wake_fd >= 0 && f->err_fd >= 0)
		return f;
	fe_free(f);
	return NULL;
}

/* The first connection; the back-end may still be starting. */
static int connect_first(struct frontend *f, struct err *e)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	uint64_t deadline = ev_now_ns() + f->opts.connect_ms * UINT64_C(1000000);
	int ret;

	for (;;) {
		ret = vhu_link_open(&f->link, f->path, f->opts.request_ms, f->wake_fd, e);
		if (ret != -ENOENT && ret != -ECONNREFUSED && ret != -EAGAIN)
			return ret;
		if (ev_now_ns() >= deadline)
			return err_prefix(e, "no back-end within %u ms", f->opts.connect_ms);
		nanosleep(&pause, NULL);
	}
}

static int ask_queue_num(struct frontend *f, struct err *e)
{
	uint64_t n = f->opts.nqueues;
	int ret = 0;

	if (vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_MQ))
		ret = vhu_link_get_u64(&f->link, VHOST_USER_GET_QUEUE_NUM, &n);
	if (ret)
		return err_sys(e, ret, "asking the back-end at '%s' for its queues", f->path);
	if (f->opts.nqueues)
		n = f->opts.nqueues;
	if (!n || n > VDEV_QUEUES_MAX)
		return err_set(e, -EPROTO,
			"the back-end at '%s' has %llu queues; 1 to %u are possible", f->path,
			(unsigned long long)n, VDEV_QUEUES_MAX);
	f->base.nqueues = (uint16_t)n;
	return 0;
}

/* A back-end may know an older, shorter configuration space, and refuse to read more of it. */
static int first_config(struct frontend *f)
{
	int ret = fe_fetch_config(f);

	while (ret == -EREMOTEIO && f->base.config_len > 4) {
		f->base.config_len = (f->base.config_len - 1) & ~3u;
		ret = fe_fetch_config(f);
	}
	return ret;
}

static int begin(struct frontend *f, struct err *e)
{
	int ret = connect_first(f, e);

	if (ret)
		return ret;
	/* Somebody else may hold the listening socket while the back-end starts. */
	f->link.timeout_ms = f->opts.connect_ms;
	ret = fe_handshake(f, &f->link, &f->offered, &f->channel, e);
	f->link.timeout_ms = f->opts.request_ms;
	if (!ret)
		ret = ask_queue_num(f, e);
	if (ret)
		return ret;
	ret = first_config(f);
	if (ret)
		return err_sys(e, ret,
			"reading %u bytes of configuration from the back-end at '%s'",
			f->base.config_len, f->path);
	ret = fe_watch_start(f);
	return ret ? err_sys(e, ret, "starting the thread that watches '%s'", f->path) : 0;
}

int vhu_frontend_create(struct vbackend **b, const struct vhu_frontend_opts *opts,
	const struct gm *gm, const struct log *log, struct err *e)
{
	struct frontend *f = fe_new(opts, gm, log);
	int ret;

	if (!f)
		return err_set(e, -ENOMEM, "no memory or descriptors for a vhost-user front-end");
	ret = begin(f, e);
	if (ret) {
		fe_free(f);
		return ret;
	}
	*b = &f->base;
	return 0;
}
