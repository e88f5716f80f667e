/* SPDX-License-Identifier: BSD-3-Clause */
/* IN_ORDER (VIRTIO 1.4, 2.7.9, 2.8.8, 6.2): used in the order of becoming available. */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define IN_ORDER  DRV_FEATURE(VIRTIO_F_IN_ORDER)
#define BLK_FLUSH DRV_FEATURE(9)

/* As many requests as there is room for, again and again: buffers come back in their order. */
static void order(struct cf *c, uint64_t want)
{
	uint8_t cookies[64];
	struct vq_req r;
	struct drv_queue *q;
	unsigned n;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, want | IN_ORDER)))
		return;
	n = q->ring.table_len ? q->ring.size : q->ring.size / (r.n_out + r.n_in);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < n; i++)
			if (!cf_check(c,
				    !drv_ring_add(&q->ring, r.sg, r.n_out, r.n_in, &cookies[i]),
				    "no room for request %u of %u", i, n))
				return;
		if (!cf_check(c, !drv_queue_publish(q), "notifying failed"))
			return;
		for (unsigned i = 0; i < n; i++) {
			void *cookie;
			uint32_t len;

			if (!vq_wait(c, q, &cookie, &len) ||
				!cf_eq(c, (uint64_t)((uint8_t *)cookie - cookies), i,
					"the place of the buffer used next"))
				return;
		}
	}
}

static void direct(struct cf *c)
{
	order(c, 0);
}

static void with_tables(struct cf *c)
{
	order(c, DRV_FEATURE(VIRTIO_F_INDIRECT_DESC));
}

static void with_event_idx(struct cf *c)
{
	order(c, DRV_FEATURE(VIRTIO_F_EVENT_IDX));
}

/* A request that takes its time, and quick ones behind it: they wait for it. */
static void behind_a_flush(struct cf *c)
{
	static const uint8_t flush[16] = { 4 }; /* VIRTIO_BLK_T_FLUSH */
	struct drv_queue *q;
	struct vq_req r;
	struct drv_sg sg[2];
	uint8_t *out, *status;
	uint8_t cookies[8];

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, IN_ORDER | BLK_FLUSH)))
		return;
	out = cf_buf(c, sizeof(flush));
	status = cf_buf(c, 1);
	if (!out || !status)
		return;
	cf_copy(out, flush, sizeof(flush));
	sg[0] = cf_sg(c, out, sizeof(flush));
	sg[1] = cf_sg(c, status, 1);
	for (unsigned round = 0; round < 20; round++) {
		drv_ring_add(&q->ring, sg, 1, 1, &cookies[0]);
		for (unsigned i = 1; i < sizeof(cookies); i++)
			drv_ring_add(&q->ring, r.sg, r.n_out, r.n_in, &cookies[i]);
		if (!cf_check(c, !drv_queue_publish(q), "notifying failed"))
			return;
		for (unsigned i = 0; i < sizeof(cookies); i++) {
			uint32_t len;
			void *cookie;

			if (!vq_wait(c, q, &cookie, &len) ||
				!cf_eq(c, (uint64_t)((uint8_t *)cookie - cookies), i,
					"the place of the buffer used next") ||
				!cf_eq(c, len, i ? 513 : 1, "its used length"))
				return;
		}
	}
}

/* One by one: each used entry names its own buffer, with its own length. */
static void one_by_one(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, IN_ORDER)))
		return;
	for (unsigned i = 0; i < 200; i++)
		if (!vq_req_do(c, q, &r))
			return;
}

#define ROW(name, fn) name, "V6.2-5", fn, .flags = CF_RINGS
#define ALSO(bit)     .needs = IN_ORDER | DRV_FEATURE(bit)

const struct cf_case cf_cases_inorder[] = {
	{ ROW("inorder.used.one_by_one", one_by_one), .needs = IN_ORDER },
	{ ROW("inorder.used.many", direct), .needs = IN_ORDER },
	{ ROW("inorder.used.indirect", with_tables), ALSO(VIRTIO_F_INDIRECT_DESC) },
	{ ROW("inorder.used.event_idx", with_event_idx), ALSO(VIRTIO_F_EVENT_IDX) },
	{ ROW("inorder.used.behind_a_flush", behind_a_flush), .device = 2,
		.needs = IN_ORDER | BLK_FLUSH },
	{ 0 },
};
