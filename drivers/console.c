/* SPDX-License-Identifier: BSD-3-Clause */
/* Console device. See console.h. */
#include "console.h"

#define TIMEOUT_NS UINT64_C(1000000000)
#define BUFFERS	   4u
#define CTRL_LEN   64u
#define HEADER	   8u

/* Offsets in the configuration (5.3.4). */
enum {
	SIZE = 0,
	MAX_PORTS = 4,
	EMERGENCY = 8,
};

struct control {
	uint32_t id;
	uint16_t event, value;
};

static bool multiport(const struct drv_console *c)
{
	return drv_has(c->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

static int tell(struct drv_console *c, uint32_t port, uint16_t event, uint16_t value)
{
	struct control m = { port, event, value };

	return drv_req_do(&c->ctrl_tx, &m, sizeof(m), NULL, 0, NULL, drv_now(c->dev) + c->timeout);
}

/* Queues 0 and 1 are port 0's, 2 and 3 the control queues, then the other ports' (5.3.2). */
static int open_queues(struct drv_console *c)
{
	int r = 0;

	for (unsigned i = 0; !r && i < c->nports; i++) {
		uint16_t q = (uint16_t)(i ? 2 * i + 2 : 0);

		r = drv_pool_open(&c->ports[i].rx, c->dev, q, BUFFERS, 1, DRV_CONSOLE_CHUNK);
		if (!r)
			r = drv_pool_open(
				&c->ports[i].tx, c->dev, q + 1, BUFFERS, 1, DRV_CONSOLE_CHUNK);
	}
	if (!r && multiport(c))
		r = drv_pool_open(&c->ctrl_rx, c->dev, 2, BUFFERS, 1, CTRL_LEN);
	if (!r && multiport(c))
		r = drv_req_queue(&c->ctrl_tx, c->dev, 3, HEADER);
	return r;
}

static int start(struct drv_console *c)
{
	int r = drv_run(c->dev);

	for (unsigned i = 0; !r && i < c->nports; i++)
		r = drv_pool_fill(&c->ports[i].rx);
	if (r || !multiport(c))
		return r;
	r = drv_pool_fill(&c->ctrl_rx);
	return r ? r : tell(c, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

int drv_console_open(struct drv_console *c, struct drv_dev *dev, unsigned ports)
{
	uint64_t want = DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_CONSOLE_F_SIZE);
	uint32_t max = 1;
	int r;

	if (dev->id != DRV_ID_CONSOLE || !ports || ports > DRV_CONSOLE_PORTS)
		return DRV_INVALID;
	*c = (struct drv_console){ .dev = dev, .timeout = TIMEOUT_NS };
	r = drv_begin(dev, want | (ports > 1 ? DRV_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT) : 0), 0);
	if (!r && multiport(c))
		r = drv_config(dev, MAX_PORTS, &max, 4);
	c->nports = ports < max ? ports : max;
	c->ports[0].exists = c->ports[0].host_open = !multiport(c);
	if (!r)
		r = max ? open_queues(c) : DRV_BROKEN;
	return r ? r : start(c);
}

/* Copies a name, without the control characters that a device might want to see printed. */
static void set_name(struct drv_console_port *p, const uint8_t *name, uint32_t len)
{
	uint32_t n = 0;

	for (; n < len && n < DRV_CONSOLE_NAME - 1; n++)
		p->name[n] = (char)(name[n] < ' ' || name[n] == 0x7f ? '?' : name[n]);
	p->name[n] = 0;
}

/* One message about port `m->id`, of which there may be more than we use. */
static int handle(struct drv_console *c, const struct control *m, const uint8_t *rest, uint32_t len)
{
	struct drv_console_port *p = m->id < c->nports ? &c->ports[m->id] : NULL;

	if (m->event == VIRTIO_CONSOLE_DEVICE_ADD) {
		if (p)
			p->exists = true;
		return tell(c, m->id, VIRTIO_CONSOLE_PORT_READY, p != NULL);
	}
	if (!p || !p->exists)
		return 0;
	if (m->event == VIRTIO_CONSOLE_DEVICE_REMOVE) {
		p->exists = p->console = p->host_open = false;
	} else if (m->event == VIRTIO_CONSOLE_CONSOLE_PORT) {
		p->console = true;
		return tell(c, m->id, VIRTIO_CONSOLE_PORT_OPEN, 1);
	} else if (m->event == VIRTIO_CONSOLE_PORT_OPEN) {
		p->host_open = m->value == 1;
	} else if (m->event == VIRTIO_CONSOLE_RESIZE && len >= 4) {
		__builtin_memcpy(&p->cols, rest, 2);
		__builtin_memcpy(&p->rows, rest + 2, 2);
	} else if (m->event == VIRTIO_CONSOLE_PORT_NAME) {
		set_name(p, rest, len);
	}
	return 0;
}

int drv_console_poll(struct drv_console *c)
{
	uint8_t *buf, copy[CTRL_LEN];
	struct control m;
	uint32_t len;
	int r = 0;

	for (unsigned i = 0; !r && multiport(c) && i < DRV_POOL_MAX; i++) {
		r = drv_pool_take(&c->ctrl_rx, &buf, &len, 0);
		if (r)
			return r == DRV_TIMEOUT ? 0 : r;
		__builtin_memcpy(copy, buf, len);
		r = drv_pool_offer(&c->ctrl_rx, buf, 0, CTRL_LEN);
		if (r || len < HEADER)
			continue;
		__builtin_memcpy(&m, copy, HEADER);
		r = handle(c, &m, copy + HEADER, len - HEADER);
	}
	return r;
}

int drv_console_write(struct drv_console *c, unsigned port, const void *buf, uint32_t len)
{
	uint64_t until = drv_now(c->dev) + c->timeout;
	struct drv_pool *tx = &c->ports[port < c->nports ? port : 0].tx;
	const uint8_t *from = buf;
	uint8_t *chunk;
	int r = 0;

	if (port >= c->nports || !c->ports[port].exists)
		return DRV_GONE;
	for (uint32_t n; !r && len; from += n, len -= n) {
		n = len < DRV_CONSOLE_CHUNK ? len : DRV_CONSOLE_CHUNK;
		r = drv_pool_get(tx, &chunk, until);
		if (r)
			return r;
		__builtin_memcpy(chunk, from, n);
		r = drv_pool_offer(tx, chunk, n, 0);
	}
	while (!r && tx->nfree < tx->n) {
		r = drv_pool_take(tx, &chunk, NULL, until);
		if (!r)
			drv_pool_free(tx, chunk);
	}
	return r;
}

int drv_console_read(struct drv_console *c, unsigned port, void *buf, uint32_t size, uint32_t *len,
	uint64_t until)
{
	struct drv_console_port *p = &c->ports[port < c->nports ? port : 0];
	uint32_t n;
	int r;

	if (port >= c->nports || !p->exists)
		return DRV_GONE;
	/* Buffers that the device returns empty say nothing. */
	while (!p->in || p->in_at == p->in_len) {
		if (p->in) {
			r = drv_pool_offer(&p->rx, p->in, 0, DRV_CONSOLE_CHUNK);
			p->in = NULL;
			if (r)
				return r;
		}
		r = drv_pool_take(&p->rx, &p->in, &p->in_len, until);
		p->in_at = 0;
		if (!r && !p->in_len && drv_now(c->dev) > until)
			r = DRV_TIMEOUT;
		if (r)
			return r;
	}
	n = p->in_len - p->in_at < size ? p->in_len - p->in_at : size;
	__builtin_memcpy(buf, p->in + p->in_at, n);
	p->in_at += n;
	*len = n;
	return 0;
}

int drv_console_port_open(struct drv_console *c, unsigned port, bool open)
{
	if (!multiport(c))
		return DRV_UNSUPPORTED;
	if (port >= c->nports || !c->ports[port].exists)
		return DRV_GONE;
	return tell(c, port, VIRTIO_CONSOLE_PORT_OPEN, open);
}

int drv_console_size(struct drv_console *c, unsigned port, uint16_t *cols, uint16_t *rows)
{
	uint16_t size[2];
	int r;

	if (port >= c->nports || !c->ports[port].exists)
		return DRV_GONE;
	size[0] = c->ports[port].cols;
	size[1] = c->ports[port].rows;
	if (!size[0] && (port || !drv_has(c->dev, VIRTIO_CONSOLE_F_SIZE)))
		return DRV_UNSUPPORTED;
	r = size[0] ? 0 : drv_config(c->dev, SIZE, size, 4);
	*cols = size[0];
	*rows = size[1];
	return r;
}

int drv_console_emergency(struct drv_dev *dev, char ch)
{
	uint32_t v = (uint8_t)ch;
	uint64_t offered;
	int r = dev->ops->features(dev, &offered);

	if (!r && !(offered & DRV_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE)))
		r = DRV_UNSUPPORTED;
	return r ? r : dev->ops->config_write(dev, EMERGENCY, &v, 4);
}
