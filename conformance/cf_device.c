/* SPDX-License-Identifier: BSD-3-Clause */
/* What cases do with a device: memory, initialization, requests, waiting. */
#include "conformance/cf_core.h"

#define GUARD_BYTE	   0x5c
#define FRESH_BYTE	   0xa5
#define DEFAULT_QUEUE_SIZE 64
#define TABLE_LEN	   16 /* of indirect tables */

uint64_t cf_limit(const struct cf *c)
{
	return drv_now(c->target->dev) + c->target->limit;
}

/* Memory. */

void *cf_buf(struct cf *c, uint32_t len)
{
	struct cf_target *t = c->target;
	size_t whole = (size_t)CF_GUARD + len + CF_GUARD;
	size_t at = (c->mem_used + CF_GUARD - 1) / CF_GUARD * CF_GUARD;
	uint8_t *p = t->mem + at;

	if (!cf_check(c, c->nbufs < CF_BUFS_MAX && at <= t->mem_len && whole <= t->mem_len - at,
		    "the runner has no memory for a buffer of %u bytes", len))
		return NULL;
	c->mem_used = at + whole;
	cf_fill(p, GUARD_BYTE, CF_GUARD);
	cf_fill(p + CF_GUARD, FRESH_BYTE, len);
	cf_fill(p + CF_GUARD + len, GUARD_BYTE, CF_GUARD);
	c->bufs[c->nbufs++] = (struct cf_guarded){ p + CF_GUARD, len };
	return p + CF_GUARD;
}

void cf_check_guards(struct cf *c)
{
	for (unsigned i = 0; i < c->nbufs; i++) {
		const struct cf_guarded *b = &c->bufs[i];

		cf_check(c, cf_filled(b->p - CF_GUARD, GUARD_BYTE, CF_GUARD),
			"the device wrote before buffer %u (of %u bytes)", i, b->len);
		cf_check(c, cf_filled(b->p + b->len, GUARD_BYTE, CF_GUARD),
			"the device wrote behind buffer %u (of %u bytes)", i, b->len);
	}
}

struct drv_sg cf_sg(struct cf *c, const void *p, uint32_t len)
{
	return drv_sg(c->target->dev, p, len);
}

/* Initialization. */

uint64_t cf_features(const struct cf *c, uint64_t want)
{
	const struct cf_probe *p = cf_probe(c);

	want |= p ? p->features : 0;
	want |= DRV_FEATURE(VIRTIO_F_VERSION_1) | DRV_FEATURE(VIRTIO_F_ACCESS_PLATFORM) |
		DRV_FEATURE(VIRTIO_F_ORDER_PLATFORM);
	want &= ~DRV_FEATURE(VIRTIO_F_RING_PACKED);
	if (c->packed)
		want |= DRV_FEATURE(VIRTIO_F_RING_PACKED);
	return want & c->offered;
}

/* Why the device is gone says more than what failed because of it. */
static void check_gone(struct cf *c, int r)
{
	const char *why = "the device is gone";

	if (r != DRV_GONE)
		return;
	if (c->target->alive)
		c->target->alive(c->target, &why);
	cf_check(c, false, "%s", why);
}

bool cf_begin(struct cf *c, uint64_t want)
{
	uint64_t features = cf_features(c, want);
	int r;

	for (unsigned i = 0; i < CF_QUEUES_MAX; i++)
		c->open[i] = false;
	r = drv_begin(c->target->dev, features, 0);
	check_gone(c, r);
	return cf_check(c, !r, "the device refuses features 0x%llx", (unsigned long long)features);
}

struct drv_queue *cf_queue(struct cf *c, uint16_t index, uint16_t size)
{
	int r;

	if (!cf_check(c, index < CF_QUEUES_MAX, "the suite has no room for queue %u", index))
		return NULL;
	r = drv_queue_open(&c->queues[index], c->target->dev, index,
		size ? size : DEFAULT_QUEUE_SIZE, TABLE_LEN);
	c->open[index] = !r;
	check_gone(c, r);
	return cf_check(c, !r, "queue %u cannot be started (%d)", index, r) ? &c->queues[index]
									    : NULL;
}

bool cf_run_device(struct cf *c)
{
	int r = drv_run(c->target->dev);

	check_gone(c, r);
	return cf_check(c, !r, "DRIVER_OK cannot be set");
}

struct drv_queue *cf_up(struct cf *c, uint64_t want, unsigned n)
{
	if (!cf_begin(c, want))
		return NULL;
	for (unsigned i = 0; i < n; i++)
		if (!cf_queue(c, (uint16_t)i, 0))
			return NULL;
	return cf_run_device(c) ? &c->queues[0] : NULL;
}

struct drv_queue *cf_q(struct cf *c, unsigned index)
{
	return index < CF_QUEUES_MAX && c->open[index] ? &c->queues[index] : NULL;
}

bool cf_up_other(
	struct cf *c, struct drv_dev *dev, uint64_t want, struct drv_queue *queues, unsigned n)
{
	int r = drv_begin(dev,
		want | DRV_FEATURE(VIRTIO_F_ACCESS_PLATFORM) | DRV_FEATURE(VIRTIO_F_ORDER_PLATFORM),
		0);

	for (unsigned i = 0; !r && i < n; i++)
		r = drv_queue_open(&queues[i], dev, (uint16_t)i, DEFAULT_QUEUE_SIZE, TABLE_LEN);
	if (!r)
		r = drv_run(dev);
	return cf_check(c, !r, "the second device cannot be started (%d)", r);
}

/* Requests. */

bool cf_submit(struct cf *c, struct drv_queue *q, const struct drv_sg *sg, unsigned n_out,
	unsigned n_in, void *cookie)
{
	int r = drv_ring_add(&q->ring, sg, n_out, n_in, cookie);

	if (r == DRV_INVALID && n_out + n_in > q->ring.size) {
		cf_skip(c, "queue %u has %u entries, the case has a buffer of %u elements",
			q->index, q->ring.size, n_out + n_in);
		return false;
	}
	if (!cf_check(c, !r, "queue %u: no room for a request of %u elements (%d)", q->index,
		    n_out + n_in, r))
		return false;
	return cf_check(
		c, !drv_queue_publish(q), "queue %u: the device cannot be notified", q->index);
}

#define POLL_NS	  UINT64_C(1000000)
#define SILENT_NS UINT64_C(100000000)

/* Waits a little, for an interrupt if there is one. */
static void pause_a_little(struct cf *c)
{
	const struct drv_platform *pf = c->target->platform;

	if (pf->wait)
		pf->wait(pf->ctx, c->target->dev, pf->time(pf->ctx) + POLL_NS);
}

bool cf_has_used(struct cf *c, struct drv_queue *q, uint64_t ns)
{
	const struct drv_platform *pf = c->target->platform;
	uint64_t limit = drv_now(q->dev) + ns;

	while (!drv_ring_used(&q->ring)) {
		if (drv_now(q->dev) > limit)
			return false;
		pause_a_little(c);
		pf->barrier(pf->ctx);
	}
	return true;
}

/* As drv_queue_wait(), which also asks for interrupts: that is the cases' to do. */
static int wait_used(struct cf *c, struct drv_queue *q, void **cookie, uint32_t *len)
{
	const struct drv_platform *pf = c->target->platform;
	uint64_t limit = cf_limit(c);
	uint32_t ignored;
	void *nothing;

	for (;;) {
		int r = drv_ring_get(&q->ring, cookie ? cookie : &nothing, len ? len : &ignored);

		if (r)
			return r < 0 ? r : 0;
		if (drv_now(q->dev) > limit)
			return DRV_TIMEOUT;
		pause_a_little(c);
		pf->barrier(pf->ctx);
	}
}

bool cf_used(struct cf *c, struct drv_queue *q, void **cookie, uint32_t *len)
{
	int r = wait_used(c, q, cookie, len);

	cf_check(c, r != DRV_TIMEOUT, "queue %u: no buffer used in %u ms", q->index,
		(unsigned)(c->target->limit / 1000000));
	cf_check(c, r != DRV_BROKEN, "queue %u: the used entry matches no buffer", q->index);
	return cf_check(c, !r, "queue %u: waiting failed (%d)", q->index, r);
}

bool cf_do_len(struct cf *c, struct drv_queue *q, const void *out, uint32_t out_len, void *in,
	uint32_t in_len, uint32_t *used)
{
	struct drv_sg sg[2];
	unsigned n_out = 0, n_in = 0;
	void *cookie;

	if (out_len)
		sg[n_out++] = drv_sg(q->dev, out, out_len);
	if (in_len)
		sg[n_out + n_in++] = drv_sg(q->dev, in, in_len);
	if (!cf_submit(c, q, sg, n_out, n_in, sg) || !cf_used(c, q, &cookie, used))
		return false;
	return cf_check(
		c, cookie == sg, "queue %u: another buffer was used than the one given", q->index);
}

bool cf_do(struct cf *c, struct drv_queue *q, const void *out, uint32_t out_len, void *in,
	uint32_t in_len, uint32_t used)
{
	uint32_t got;

	return cf_do_len(c, q, out, out_len, in, in_len, &got) &&
	       cf_eq(c, got, used, "the used length");
}

/* Probes. */

struct drv_queue *cf_up_probe(struct cf *c, uint64_t want)
{
	const struct cf_probe *p = cf_probe(c);

	if (!p) {
		cf_skip(c, "no probe for device ID %u", c->target->dev->id);
		return NULL;
	}
	return cf_up(c, want, p->queue + 1u) ? cf_q(c, p->queue) : NULL;
}

bool cf_probe_works(struct cf *c, struct drv_queue *q)
{
	const struct cf_probe *p = cf_probe(c);
	uint8_t *out = NULL, *in = NULL;
	uint32_t used;

	if (!p)
		return false;
	if (p->out_len && !(out = cf_buf(c, p->out_len)))
		return false;
	if (p->in_len && !(in = cf_buf(c, p->in_len)))
		return false;
	if (out)
		cf_copy(out, p->out, p->out_len);
	return cf_do_len(c, q, out, p->out_len, in, p->in_len, &used) &&
	       cf_check(c, used >= p->used_min && used <= p->used,
		       "the used length is %u, must be %u to %u", used, p->used_min, p->used);
}

/* Status. */

bool cf_status(struct cf *c, uint8_t *status)
{
	int r = c->target->dev->ops->status(c->target->dev, status);

	if (r == DRV_UNSUPPORTED) {
		cf_skip(c, "the device status cannot be read");
		return false;
	}
	return cf_check(c, !r, "the device status cannot be read (%d)", r);
}

bool cf_status_becomes(struct cf *c, uint8_t mask, uint8_t value)
{
	uint64_t limit = cf_limit(c);
	uint8_t status;

	for (;;) {
		if (!cf_status(c, &status))
			return false;
		if ((status & mask) == value)
			return true;
		if (!cf_check(c, drv_now(c->target->dev) < limit,
			    "the device status stays 0x%x, bits 0x%x must become 0x%x", status,
			    mask, value))
			return false;
		pause_a_little(c);
	}
}

static void must_recover(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		cf_probe_works(c, q);
}

static bool hung_up(struct cf_target *t)
{
	const char *why;

	return t->alive && t->reconnect && !t->alive(t, &why) && t->reconnect(t);
}

bool cf_hung_up(struct cf *c)
{
	uint64_t bits;

	/* An answer, or none, to a message that comes later. */
	c->target->dev->ops->features(c->target->dev, &bits);
	return hung_up(c->target);
}

/* Time for a device that says nothing to do what it must not do, or to hang up. */
static void see_what_comes(struct cf *c, struct drv_queue *q)
{
	struct cf_target *t = c->target;
	uint64_t until = drv_now(t->dev) + SILENT_NS;
	const char *why;

	while (drv_now(t->dev) < until && (!t->alive || t->alive(t, &why)) &&
		!(q && drv_ring_used(&q->ring)))
		pause_a_little(c);
}

void cf_must_break(struct cf *c, struct drv_queue *q)
{
	struct cf_target *t = c->target;
	uint8_t status;
	bool tells = t->dev->ops->status(t->dev, &status) != DRV_UNSUPPORTED;

	if (tells)
		cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET);
	else
		see_what_comes(c, q);
	if (q)
		cf_check(c, !drv_ring_used(&q->ring),
			"queue %u: the device used a buffer that breaks the rules", q->index);
	if (cf_failed(c))
		return;
	must_recover(c);
	if (!cf_failed(c) || tells || !hung_up(t))
		return;
	c->verdict = CF_PASS;
	c->evidence[0] = 0;
	must_recover(c);
}

void cf_must_go_on(struct cf *c, struct drv_queue *q)
{
	cf_probe_works(c, q);
}

/* Interrupts. */

bool cf_interrupts(struct cf *c, uint16_t q, uint32_t *count)
{
	struct drv_dev *dev = c->target->dev;
	int r = dev->ops->interrupts ? dev->ops->interrupts(dev, q, count) : DRV_UNSUPPORTED;

	if (r == DRV_UNSUPPORTED) {
		cf_skip(c, "interrupts cannot be counted");
		return false;
	}
	return cf_check(c, !r, "interrupts cannot be counted (%d)", r);
}

bool cf_interrupted(struct cf *c, uint16_t q)
{
	uint64_t limit = cf_limit(c);
	uint32_t count;

	for (;;) {
		if (!cf_interrupts(c, q, &count))
			return false;
		if (count)
			return true;
		if (!cf_check(c, drv_now(c->target->dev) < limit, "queue %u: no interrupt came", q))
			return false;
		pause_a_little(c);
	}
}

/* Configuration. */

uint64_t cf_config(struct cf *c, uint32_t offset, unsigned len)
{
	uint64_t v = 0;

	cf_check(c, len <= sizeof(v) && !drv_config(c->target->dev, offset, &v, len),
		"configuration bytes %u to %u cannot be read", offset, offset + len);
	return v;
}
