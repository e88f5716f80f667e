/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random valid traffic over every kind of ring: each request is handed out once with the right
 * buffers and data, comes back once with the right answer, and both sides are notified exactly when
 * they asked for it.
 */
#include <errno.h>
#include <string.h>

#include "rig.h"
#include "tap.h"

#define V1     RIG_BIT(VIRTIO_F_VERSION_1)
#define PACKED RIG_BIT(VIRTIO_F_RING_PACKED)
#define EVENT  RIG_BIT(VIRTIO_F_EVENT_IDX)
#define INDIR  RIG_BIT(VIRTIO_F_INDIRECT_DESC)
#define ORDER  RIG_BIT(VIRTIO_F_IN_ORDER)

#define STEPS	400
#define REQ_MAX 64 /* requests on their way */
/* Each request has memory of its own; one of these areas lies across the two ranges. */
#define AREA	  8192u
#define AREAS_GPA (RIG_GPA + RIG_REGION - 16 * AREA - AREA / 2)

enum state { FREE, ADDED, TAKEN, PUSHED };

struct request {
	enum state state;
	uint32_t serial;
	struct drv_sg sg[12];
	unsigned n_out, n_in;
	uint32_t out_len, in_len, written;
	unsigned ndesc; /* what it takes of a packed ring */
	struct vq_chain *chain;
};

/* One run. Positions count up for ever: requests on split rings, descriptors on packed ones. */
struct run {
	struct rig r;
	struct request req[REQ_MAX];
	uint32_t serial, next_taken, next_used;
	uint64_t used_shown, irq_at;
	uint64_t added, published, kick_at;
	bool irq_on, kick_on;
	bool irq_all; /* as packed rings start: no position asked for */
	bool in_order, event;
	const char *wrong;
};

static void wrong(struct run *run, const char *what)
{
	if (!run->wrong)
		run->wrong = what;
}

static uint8_t pattern(uint32_t serial, uint32_t i)
{
	return (uint8_t)(serial * 31 + i * 7 + (i >> 8));
}

/* Writes or compares bytes of a request over guest memory, byte by byte. */
static bool bytes(struct run *run, const struct request *q, bool in, uint32_t len, bool write)
{
	unsigned first = in ? q->n_out : 0, n = in ? q->n_in : q->n_out;
	uint32_t at = 0;

	for (unsigned k = first; k < first + n; k++)
		for (uint32_t i = 0; i < q->sg[k].len && at < len; i++, at++) {
			uint8_t *p = rig_ptr(&run->r, q->sg[k].addr + i);
			uint8_t want = pattern(q->serial + in, at);

			if (write)
				*p = want;
			else if (*p != want)
				return false;
		}
	return true;
}

static void request_make(struct run *run, struct request *q, uint64_t area)
{
	struct rig *r = &run->r;
	uint32_t at = rig_rand(r, 64);

	q->n_out = rig_rand(r, 5);
	q->n_in = rig_rand(r, 5) + !q->n_out;
	q->out_len = 0;
	q->in_len = 0;
	for (unsigned i = 0; i < q->n_out + q->n_in; i++) {
		uint32_t len = rig_rand(r, 8) ? rig_rand(r, 700) : 0;

		q->sg[i] = (struct drv_sg){ area + at, len };
		*(i < q->n_out ? &q->out_len : &q->in_len) += len;
		at += len + rig_rand(r, 16);
	}
	q->ndesc = q->n_out + q->n_in;
	if (r->setup.features & INDIR && q->ndesc > 1)
		q->ndesc = 1;
}

static void driver_adds(struct run *run)
{
	for (unsigned n = rig_rand(&run->r, 6); n--;) {
		unsigned i = rig_rand(&run->r, REQ_MAX);
		struct request *q = &run->req[i];
		int ret;

		if (q->state != FREE)
			continue;
		request_make(run, q, AREAS_GPA + i * AREA);
		if (q->ndesc > run->r.drv.size)
			continue;
		q->serial = run->serial;
		ret = drv_ring_add(&run->r.drv, q->sg, q->n_out, q->n_in, q);
		if (ret == DRV_FULL)
			return;
		if (ret)
			wrong(run, "a valid request was refused");
		bytes(run, q, false, q->out_len, true);
		q->state = ADDED;
		run->serial++;
		run->added += run->r.drv.packed ? q->ndesc : 1;
	}
}

/* True if the half-open range [from, to) holds `at` or one of its images: an event word that stays
 * behind comes round again. */
static bool passes(const struct run *run, uint64_t at, uint64_t from, uint64_t to)
{
	uint64_t round = run->r.drv.packed ? 2u * run->r.drv.size : 65536;

	while (at + round <= from)
		at += round;
	if (at < from)
		at += round;
	return at < to;
}

static void driver_publishes(struct run *run)
{
	bool kick = drv_ring_publish(&run->r.drv), want;

	if (run->added == run->published)
		want = false;
	else if (!run->event || run->r.drv.packed)
		want = run->kick_on &&
		       (!run->event || passes(run, run->kick_at, run->published, run->added));
	else /* nothing turns avail_event off; it just stays behind */
		want = passes(run, run->kick_at, run->published, run->added);
	if (kick != want)
		wrong(run, kick ? "a kick that nobody asked for" : "a kick is missing");
	run->published = run->added;
}

static struct request *find_taken(struct run *run)
{
	/* Requests are handed out in the order in which they were added (2.8.12). */
	for (unsigned i = 0; i < REQ_MAX; i++)
		if (run->req[i].state == ADDED && run->req[i].serial == run->next_taken)
			return &run->req[i];
	return NULL;
}

static uint64_t taken(const struct run *run)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < REQ_MAX; i++)
		if (run->req[i].state == ADDED)
			left += run->r.drv.packed ? run->req[i].ndesc : 1;
	return run->added - left;
}

static void device_pops(struct run *run)
{
	struct vq_chain *c[8];
	int n = vq_pop_batch(run->r.vq, c, 1 + rig_rand(&run->r, 8));

	if (n < 0)
		wrong(run, vq_broken(run->r.vq));
	for (int i = 0; i < n; i++) {
		struct request *q = find_taken(run);
		uint32_t len = 0;

		if (!q) {
			wrong(run, "a request that was not added");
			return;
		}
		run->next_taken++;
		if (c[i]->out_len != q->out_len || c[i]->in_len != q->in_len ||
			!bytes(run, q, false, q->out_len, false))
			wrong(run, "a request with other buffers or data");
		for (uint32_t k = 0; k < c[i]->n_out + c[i]->n_in; k++)
			len += (uint32_t)c[i]->iov[k].iov_len;
		if (len != q->out_len + q->in_len)
			wrong(run, "buffers do not add up");
		q->state = TAKEN;
		q->chain = c[i];
	}
	/* Sometimes it changes its mind. */
	while (n > 0 && !rig_rand(&run->r, 10)) {
		for (unsigned i = 0; i < REQ_MAX; i++)
			if (run->req[i].state == TAKEN && run->req[i].chain == c[n - 1])
				run->req[i].state = ADDED;
		vq_rewind(run->r.vq, c[--n]);
		run->next_taken--;
	}
}

static void device_pushes(struct run *run)
{
	for (unsigned n = rig_rand(&run->r, 20); n--;) {
		struct request *q = &run->req[rig_rand(&run->r, REQ_MAX)];
		uint32_t left;

		if (q->state != TAKEN)
			continue;
		q->written = rig_rand(&run->r, q->in_len + 1);
		left = q->written;
		for (uint32_t k = 0, at = 0; k < q->chain->n_in; k++) {
			struct iovec *v = &vq_in(q->chain)[k];

			for (size_t i = 0; i < v->iov_len && left; i++, left--)
				((uint8_t *)v->iov_base)[i] = pattern(q->serial + 1, at++);
		}
		vq_push(run->r.vq, q->chain, q->written);
		q->state = PUSHED;
	}
}

/* The oldest request that the device is not done with: in order, it holds back all after it. */
static uint32_t first_unfinished(const struct run *run)
{
	uint32_t first = run->serial;

	for (unsigned i = 0; i < REQ_MAX; i++)
		if ((run->req[i].state == TAKEN || run->req[i].state == ADDED) &&
			run->req[i].serial < first)
			first = run->req[i].serial;
	return first;
}

/* Positions taken by requests that are pushed and not held back, or by all those that are out but
 * not so. */
static uint64_t count(const struct run *run, bool pushed)
{
	uint32_t first = first_unfinished(run);
	uint64_t n = 0;

	for (unsigned i = 0; i < REQ_MAX; i++) {
		const struct request *q = &run->req[i];
		bool is = q->state == PUSHED && !(run->in_order && q->serial > first);

		if (q->state != FREE && is == pushed)
			n += run->r.drv.packed ? q->ndesc : 1;
	}
	return n;
}

/* Position up to which used buffers are visible after a flush. */
static uint64_t used_position(const struct run *run)
{
	return run->added - count(run, false);
}

static void device_flushes(struct run *run)
{
	uint64_t now = used_position(run), n;
	bool want = now != run->used_shown && run->irq_on;

	if (run->event && want && !run->irq_all)
		want = passes(run, run->irq_at, run->used_shown, now);
	vq_flush(run->r.vq);
	n = rig_interrupts(&run->r);
	if (n != want)
		wrong(run, n > want ? "an interrupt that nobody asked for"
				    : "an interrupt is missing");
	run->used_shown = now;
}

static void driver_gets(struct run *run)
{
	for (unsigned n = rig_rand(&run->r, 30); n--;) {
		void *cookie;
		uint32_t len;
		int ret = drv_ring_get(&run->r.drv, &cookie, &len);
		struct request *q = cookie;

		if (!ret)
			return;
		if (ret < 0 || q->state != PUSHED) {
			wrong(run, "a used entry for nothing");
			return;
		}
		if (run->in_order && q->serial != run->next_used++)
			wrong(run, "not in order");
		if (len != q->written || !bytes(run, q, true, len, false))
			wrong(run, "an answer with other data");
		q->state = FREE;
	}
}

/* The driver turns interrupts on (with EVENT_IDX after some more) or off. */
static void driver_arms(struct run *run)
{
	struct drv_ring *d = &run->r.drv;
	uint16_t after = run->event ? (uint16_t)rig_rand(&run->r, 4) : 0;
	uint64_t got = run->used_shown - count(run, true);
	bool already;

	if (after >= d->size)
		after = 0;
	/* `got` is only right if everything pushed is shown. */
	if (used_position(run) != run->used_shown)
		return;
	run->irq_all = false;
	if (!rig_rand(&run->r, 3)) {
		drv_ring_disable_interrupts(d);
		run->irq_on = run->event && !d->packed;
		run->irq_at = got + 65535;
		return;
	}
	already = drv_ring_enable_interrupts(d, after);
	run->irq_on = true;
	run->irq_at = got + after;
	/* Whether the descriptor `after` further on starts a used entry is not known here. */
	if ((!d->packed || !after) && already != (run->used_shown > run->irq_at))
		wrong(run, "enabling interrupts tells a lie");
}

static void device_arms(struct run *run)
{
	if (!rig_rand(&run->r, 3)) {
		vq_disable_kick(run->r.vq);
		run->kick_on = false;
		return;
	}
	run->kick_on = true;
	run->kick_at = taken(run);
	if (vq_enable_kick(run->r.vq) != (run->published > run->kick_at))
		wrong(run, "enabling kicks tells a lie");
}

static void drain(struct run *run)
{
	for (unsigned i = 0; i < 1000 && !run->wrong; i++) {
		bool busy = false;

		driver_publishes(run);
		device_pops(run);
		device_pushes(run);
		device_flushes(run);
		driver_gets(run);
		for (unsigned k = 0; k < REQ_MAX; k++)
			busy |= run->req[k].state != FREE;
		if (!busy)
			return;
	}
	wrong(run, "requests are left over");
}

static const char *run_one(uint16_t size, uint64_t features, uint64_t seed)
{
	static void (*const steps[])(struct run *) = { driver_adds, driver_adds, driver_publishes,
		device_pops, device_pushes, device_flushes, driver_gets, driver_arms, device_arms };
	struct run *run = calloc(1, sizeof(*run));
	const char *result;

	if (!run || !rig_init(&run->r, size, features, NULL))
		return "no memory";
	run->r.rnd = seed;
	run->in_order = features & ORDER;
	run->event = features & EVENT;
	run->irq_on = run->kick_on = true;
	run->irq_all = features & PACKED;
	for (unsigned i = 0; i < STEPS && !run->wrong; i++)
		steps[rig_rand(&run->r, sizeof(steps) / sizeof(steps[0]))](run);
	drain(run);
	if (vq_outstanding(run->r.vq) || run->r.drv.nfree != size)
		wrong(run, "something was lost");
	result = run->wrong;
	rig_finish(&run->r);
	free(run);
	return result;
}

static void all_seeds(struct tap *t, uint64_t layout)
{
	static const uint16_t split_sizes[] = { 1, 2, 8, 64, 256 };
	static const uint16_t packed_sizes[] = { 1, 3, 7, 64, 200 };
	const uint64_t bits[] = { EVENT, INDIR, ORDER };

	for (uint64_t seed = 1; seed <= 240; seed++) {
		unsigned i = (unsigned)seed % 5;
		uint16_t size = layout & PACKED ? packed_sizes[i] : split_sizes[i];
		uint64_t features = V1 | layout;
		const char *what;

		for (unsigned b = 0; b < 3; b++)
			features |= seed >> b & 1 ? bits[b] : 0;
		what = run_one(size, features, seed * 7919);
		if (what)
			printf("# seed %u, size %u, features 0x%llx: %s\n", (unsigned)seed, size,
				(unsigned long long)features, what);
		CHECK(t, !what);
	}
}

static void split_rings_keep_their_promises(struct tap *t)
{
	all_seeds(t, 0);
}

static void packed_rings_keep_their_promises(struct tap *t)
{
	all_seeds(t, PACKED);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, split_rings_keep_their_promises);
	TAP_RUN(&t, packed_rings_keep_their_promises);
	return tap_done(&t);
}
