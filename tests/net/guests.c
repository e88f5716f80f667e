/* SPDX-License-Identifier: BSD-3-Clause */
#include "guests.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/util.h"
#include "devices/devices.h"
#include "devices/net.h"
#include "transport/vhost_user_backend.h"

#define HDR_LEN sizeof(struct net_hdr)

struct bed {
	struct ev_loop *loop;
	pthread_t thread;
	struct log log[GUESTS_MAX];
	struct switch_config config;
	struct netswitch *sw;
	struct vdev *dev[GUESTS_MAX];
	struct vhu_backend *backend[GUESTS_MAX];
	unsigned n;
	struct guest g[GUESTS_MAX];
	struct netport *end[GUESTS_MAX]; /* the switch's ends */
};

static int set_keys(struct vdev *dev, const char *words, struct err *e)
{
	autofree char *copy = strdup(words ? words : "");
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');
		int ret;

		*value++ = '\0';
		ret = opt_set(vdev_net.opts, dev, w, value, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_guest(struct bed *b, unsigned i, const char *keys, struct err *e)
{
	struct netport *end;
	char name[16];
	int ret = vdev_new(&b->dev[i], &vdev_net, e);

	if (!ret)
		ret = set_keys(b->dev[i], keys, e);
	snprintf(name, sizeof(name), "g%u", i);
	log_init(&b->log[i], STDERR_FILENO, name);
	if (!ret)
		ret = switch_add_port(b->sw, name, net_port_config(b->dev[i]), &end, e);
	if (ret)
		return ret;
	b->end[i] = end;
	net_attach(b->dev[i], end);
	return vdev_init(b->dev[i], b->loop, &b->log[i], e);
}

static void bed_free(struct bed *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		vhu_backend_destroy(b->backend[i]);
		vdev_destroy(b->dev[i]);
	}
	switch_destroy(b->sw);
	opt_free(switch_opts, &b->config);
	ev_loop_destroy(b->loop);
	free(b);
}

struct bed *bed_open(unsigned n, const char *const *keys)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct err e = { 0 };
	int ret;

	b->n = n;
	opt_defaults(switch_opts, &b->config, NULL);
	ret = ev_loop_create(&b->loop);
	if (!ret)
		ret = switch_create(&b->sw, &b->config, b->loop, NULL, &e);
	for (unsigned i = 0; !ret && i < n; i++)
		ret = add_guest(b, i, keys ? keys[i] : NULL, &e);
	if (!ret)
		ret = vhud_loop_start(&b->thread, b->loop);
	if (ret) {
		printf("# %s\n", e.msg);
		bed_free(b);
		return NULL;
	}
	return b;
}

struct serve {
	struct bed *b;
	unsigned i;
	int sock, ret;
};

static void serve(void *arg)
{
	struct serve *s = arg;
	struct err e = { 0 };

	vhu_backend_destroy(s->b->backend[s->i]);
	s->b->backend[s->i] = NULL;
	s->ret = vhu_backend_create(&s->b->backend[s->i], s->b->dev[s->i], s->sock, NULL, &e);
}

int bed_connect(struct bed *b, unsigned i)
{
	struct serve s = { b, i, -1, -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	s.sock = pair[0];
	ev_call(b->loop, serve, &s);
	return s.ret ? -1 : pair[1];
}

struct link {
	struct netport *end;
	bool up;
};

static void set_link(void *arg)
{
	const struct link *l = arg;

	netport_set_up(l->end, l->up);
}

void bed_link(struct bed *b, unsigned i, bool up)
{
	struct link l = { b->end[i], up };

	ev_call(b->loop, set_link, &l);
}

void bed_close(struct bed *b)
{
	ev_stop(b->loop);
	pthread_join(b->thread, NULL);
	bed_free(b);
}

struct ask {
	struct bed *b;
	unsigned i;
	const char *name;
	uint64_t value;
};

static void read_metric(void *arg)
{
	struct ask *a = arg;

	a->value = UINT64_MAX;
	for (const struct vdev_metric *m = vdev_net.metrics; m->name; m++)
		if (!strcmp(m->name, a->name))
			memcpy(&a->value, (char *)a->b->dev[a->i] + m->offset, 8);
}

static void read_counter(void *arg)
{
	struct ask *a = arg;

	a->value = UINT64_MAX;
	for (const struct switch_counter_name *c = switch_counter_names; c->name; c++)
		if (!strcmp(c->name, a->name))
			memcpy(&a->value,
				(const char *)switch_port_counters(a->b->sw, a->i) + c->offset, 8);
}

uint64_t bed_metric(struct bed *b, unsigned i, const char *name)
{
	struct ask a = { b, i, name, 0 };

	ev_call(b->loop, read_metric, &a);
	return a.value;
}

uint64_t bed_counter(struct bed *b, unsigned i, const char *name)
{
	struct ask a = { b, i, name, 0 };

	ev_call(b->loop, read_counter, &a);
	return a.value;
}

static void post(struct guest *g, unsigned pair, uint8_t *buf)
{
	struct iovec iov = { buf, g->buf_len };

	if (vhud_add(g->d, RXQ(pair), &iov, 0, 1, buf))
		printf("# cannot post a receive buffer\n");
}

void guest_post(struct guest *g, unsigned pair, unsigned n)
{
	while (n--)
		post(g, pair, vhud_alloc(g->d, g->buf_len));
	vhud_kick(g->d, RXQ(pair));
}

int guest_restart(struct guest *g, const struct guest_opts *o)
{
	struct vhud_opts opts = {
		.features =
			UINT64_MAX & ~(FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_IN_ORDER) |
					     FEATURE(VIRTIO_F_ACCESS_PLATFORM)),
		.queue_size = GUEST_BUFS,
	};
	int ret;

	g->pairs = o->pairs ? o->pairs : 1;
	opts.features = (opts.features | o->with) & ~o->without;
	opts.nqueues = (uint16_t)(2 * g->pairs + 1);
	g->ctrl = 2 * g->pairs;
	g->buf_len = o->buf_len ? o->buf_len : 1526;
	g->nbufs = o->nbufs ? o->nbufs : GUEST_BUFS;
	ret = vhud_start(g->d, &opts);
	if (ret)
		return ret;
	if (!g->tx)
		g->tx = vhud_alloc(g->d, GUEST_TX_LEN);
	for (unsigned p = 0; p < g->pairs && !o->no_buffers; p++)
		guest_post(g, p, g->nbufs);
	return g->tx ? 0 : -ENOMEM;
}

int guest_start(struct guest *g, int sock, const struct guest_opts *o)
{
	memset(g, 0, sizeof(*g));
	g->d = vhud_open_fd(sock);
	g->got = calloc(1, sizeof(*g->got));
	return g->d && g->got ? guest_restart(g, o) : -EIO;
}

void guest_stop(struct guest *g)
{
	vhud_close(g->d);
	free(g->got);
	memset(g, 0, sizeof(*g));
}

int guest_send(
	struct guest *g, unsigned pair, const void *frame, size_t len, const struct net_hdr *hdr)
{
	struct net_hdr none = { 0 };
	struct iovec iov = { g->tx, HDR_LEN + len };
	int ret;

	memcpy(g->tx, hdr ? hdr : &none, HDR_LEN);
	memcpy(g->tx + HDR_LEN, frame, len);
	ret = vhud_add(g->d, TXQ(pair), &iov, 1, 0, NULL);
	if (ret)
		return ret;
	vhud_kick(g->d, TXQ(pair));
	ret = vhud_wait(g->d, TXQ(pair), NULL, NULL, VHUD_TIMEOUT_MS);
	return ret == 1 ? 0 : ret ? ret : -ETIMEDOUT;
}

/* The next buffer of a queue. */
static uint8_t *next_buffer(struct guest *g, unsigned pair, uint32_t *len, int timeout_ms)
{
	void *token;

	return vhud_wait(g->d, RXQ(pair), &token, len, timeout_ms) == 1 ? token : NULL;
}

static bool collect(struct guest *g, unsigned pair, uint8_t *buf, uint32_t len)
{
	struct got *got = g->got;
	unsigned buffers = 1;

	memset(got, 0, sizeof(*got));
	got->queue = RXQ(pair);
	for (unsigned i = 0; i < buffers; i++) {
		uint32_t skip = i ? 0 : HDR_LEN;

		if (i)
			buf = next_buffer(g, pair, &len, VHUD_TIMEOUT_MS);
		if (!buf || len < skip || len > g->buf_len || got->len + len > NET_FRAME_MAX)
			return false;
		if (!i) {
			memcpy(&got->hdr, buf, HDR_LEN);
			buffers = got->hdr.num_buffers;
		}
		got->used[i] = len;
		memcpy(got->data + got->len, buf + skip, len - skip);
		got->len += len - skip;
		post(g, pair, buf);
	}
	vhud_kick(g->d, RXQ(pair));
	return buffers > 0;
}

bool guest_recv(struct guest *g, int timeout_ms)
{
	uint64_t deadline = ev_now_ns() + (uint64_t)timeout_ms * 1000000u;
	int each = g->pairs > 1 && timeout_ms ? 1 : timeout_ms; /* the pairs take turns */

	do {
		for (unsigned p = 0; p < g->pairs; p++) {
			uint32_t len;
			uint8_t *buf = next_buffer(g, p, &len, each);

			if (buf)
				return collect(g, p, buf, len);
		}
	} while (ev_now_ns() < deadline);
	return false;
}

int guest_ctrl(struct guest *g, uint8_t class, uint8_t command, const void *data, size_t len)
{
	uint8_t out[4096] = { class, command }, ack = 0xaa;

	memcpy(out + 2, data, len);
	return vhud_do(g->d, g->ctrl, out, len + 2, &ack, 1) == 1 ? ack : -1;
}
