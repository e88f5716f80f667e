/* SPDX-License-Identifier: BSD-3-Clause */
/* The device status (VIRTIO 1.4, 2.1) and the steps of initialization (3.1). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define ACK	    VIRTIO_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_S_DRIVER
#define FEATURES_OK VIRTIO_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_S_DRIVER_OK
#define SUSPEND	    16u
#define F_SUSPEND   43u

static bool set(struct cf *c, uint8_t status)
{
	return cf_check(c, !cf_dev(c)->ops->set_status(cf_dev(c), status),
		"status 0x%x cannot be written", status);
}

static bool is(struct cf *c, uint8_t want, const char *when)
{
	uint8_t status;

	return cf_status(c, &status) &&
	       cf_check(c, status == want, "the device status is 0x%x %s, must be 0x%x", status,
		       when, want);
}

/* Each step is there when it is read back, and nothing else. */
static void step_by_step(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	const uint8_t all = ACK | DRIVER | FEATURES_OK;

	if (!is(c, 0, "after reset") || !set(c, ACK) || !is(c, ACK, "after ACKNOWLEDGE") ||
		!set(c, ACK | DRIVER) || !is(c, ACK | DRIVER, "after DRIVER"))
		return;
	if (!cf_check(c, !dev->ops->accept(dev, cf_features(c, 0)), "features are refused") ||
		!is(c, ACK | DRIVER, "after the choice of features") || !set(c, all) ||
		!is(c, all, "after FEATURES_OK") || !set(c, all | DRIVER_OK))
		return;
	is(c, all | DRIVER_OK, "after DRIVER_OK");
}

/* FAILED can be set at any time, and goes with a reset. */
static void failed(struct cf *c)
{
	if (!set(c, ACK) || !set(c, ACK | VIRTIO_S_FAILED) ||
		!is(c, ACK | VIRTIO_S_FAILED, "after FAILED") || !set(c, 0) ||
		!cf_status_becomes(c, 0xff, 0) || !cf_up_probe(c, 0))
		return;
	if (set(c, ACK | DRIVER | FEATURES_OK | DRIVER_OK | VIRTIO_S_FAILED))
		is(c, ACK | DRIVER | FEATURES_OK | DRIVER_OK | VIRTIO_S_FAILED, "after FAILED");
}

/* A write that clears bits changes nothing. */
static void not_cleared(struct cf *c)
{
	static const uint8_t less[] = { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK, DRIVER_OK,
		ACK | DRIVER | DRIVER_OK };
	const uint8_t all = ACK | DRIVER | FEATURES_OK | DRIVER_OK;
	struct drv_queue *q = cf_up_probe(c, 0);

	for (unsigned i = 0; q && i < sizeof(less); i++)
		if (!set(c, less[i]) || !is(c, all, "after a write with fewer bits"))
			return;
	if (q)
		cf_probe_works(c, q);
}

/* The same status again starts nothing anew. */
static void again(struct cf *c)
{
	const uint8_t all = ACK | DRIVER | FEATURES_OK | DRIVER_OK;
	struct drv_queue *q = cf_up_probe(c, 0);
	struct vq_req r;

	if (!q || !vq_req_make(c, &r))
		return;
	for (unsigned i = 0; i < 20; i++)
		if (!set(c, all) || !is(c, all, "after the same again") || !vq_req_do(c, q, &r))
			return;
}

/* DRIVER_OK without FEATURES_OK: the bit is not taken and nothing runs. */
static void driver_ok_without_features(struct cf *c)
{
	uint8_t status;

	if (!set(c, ACK | DRIVER) || !set(c, ACK | DRIVER | DRIVER_OK) || !cf_status(c, &status))
		return;
	cf_eq(c, status & DRIVER_OK, 0, "DRIVER_OK without FEATURES_OK");
	cf_must_go_on(c, cf_up_probe(c, 0));
}

/* NEEDS_RESET is the device's own. */
static void needs_reset_is_the_devices(struct cf *c)
{
	const uint8_t all = ACK | DRIVER | FEATURES_OK | DRIVER_OK;
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q && set(c, all | VIRTIO_S_NEEDS_RESET) && is(c, all, "after a write of NEEDS_RESET"))
		cf_probe_works(c, q);
}

/* SUSPEND before initialization is complete. */
static void suspend_ignored(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	const uint8_t negotiated = ACK | DRIVER | FEATURES_OK;

	if (!set(c, SUSPEND) || !is(c, 0, "after SUSPEND alone") || !set(c, ACK) ||
		!set(c, ACK | SUSPEND) || !is(c, ACK, "after SUSPEND") || !set(c, ACK | DRIVER))
		return;
	dev->ops->accept(dev, cf_features(c, 0));
	if (set(c, negotiated) && set(c, negotiated | SUSPEND) &&
		is(c, negotiated, "after SUSPEND"))
		cf_must_go_on(c, cf_up_probe(c, 0));
}

/* Bits without a meaning. */
static void reserved_bit(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	const uint8_t all = ACK | DRIVER | FEATURES_OK | DRIVER_OK;

	if (q && set(c, all | 32) && is(c, all, "after a write of a reserved bit"))
		cf_probe_works(c, q);
}

/* Buffers that are there before DRIVER_OK wait for it. */
static void before_driver_ok(struct cf *c)
{
	const struct cf_probe *p = cf_probe(c);
	struct drv_queue *q;
	struct vq_req r;
	uint32_t len, count;
	void *cookie;

	if (!vq_req_make(c, &r) || !cf_begin(c, 0))
		return;
	for (uint16_t i = 0; i <= p->queue; i++)
		if (!cf_queue(c, i, 0))
			return;
	q = cf_q(c, p->queue);
	if (q->dev->ops->interrupts && !cf_interrupts(c, q->index, &count))
		return;
	if (!cf_submit(c, q, r.sg, r.n_out, r.n_in, &r))
		return;
	vq_kick(q);
	if (!vq_quiet(c, q) || !vq_req_untouched(c, &r))
		return;
	if (q->dev->ops->interrupts && (!cf_interrupts(c, q->index, &count) ||
					       !cf_eq(c, count, 0, "interrupts before DRIVER_OK")))
		return;
	if (!cf_run_device(c))
		return;
	vq_kick(q);
	if (vq_wait(c, q, &cookie, &len) && vq_req_answered(c, &r, len))
		vq_req_do(c, q, &r);
}

/* Writes a descriptor that no device can follow, and shows it. */
static void break_ring(struct cf *c, struct drv_queue *q)
{
	const uint8_t *p = cf_buf(c, 64);
	struct vq_elem e[2];

	if (!p)
		return;
	e[0] = (struct vq_elem){ cf_sg(c, p, 32).addr, 32, VIRTQ_DESC_F_WRITE };
	e[1] = (struct vq_elem){ cf_sg(c, p + 32, 32).addr, 32, 0 };
	vq_raw_list(q, 0, e, 2);
	vq_raw_show(q);
}

static void needs_reset(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return;
	break_ring(c, q);
	cf_must_break(c, q);
}

/* Exactly one configuration change tells of it. */
static void needs_reset_is_told(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	uint32_t total = 0, count = 0;

	/* What the start has caused. */
	vq_linger(c);
	if (!q || !cf_interrupts(c, DRV_CONFIG, &count))
		return;
	break_ring(c, q);
	if (!cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET))
		return;
	for (unsigned i = 0; i < 20; i++) {
		vq_linger(c);
		if (!cf_interrupts(c, DRV_CONFIG, &count))
			return;
		total += count;
	}
	cf_eq(c, total, 1, "the number of configuration change notifications");
}

/* A device that asks for a reset does nothing else. */
static void needs_reset_stops(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	struct vq_req r;

	if (!q || !vq_req_make(c, &r))
		return;
	break_ring(c, q);
	if (!cf_status_becomes(c, VIRTIO_S_NEEDS_RESET, VIRTIO_S_NEEDS_RESET))
		return;
	if (!cf_submit(c, q, r.sg, r.n_out, r.n_in, &r))
		return;
	vq_kick(q);
	if (vq_quiet(c, q) && vq_req_untouched(c, &r))
		cf_must_break(c, q);
}

const struct cf_case cf_cases_status[] = {
	{ "status.bits.step_by_step", "V2.4.1-1", step_by_step, .flags = CF_STATUS },
	{ "status.bits.failed", "V2.4.1-1", failed, .flags = CF_STATUS },
	{ "status.bits.not_cleared", "ROB-24", not_cleared, .flags = CF_STATUS | CF_HOSTILE },
	{ "status.bits.again", "ROB-1", again, .flags = CF_RINGS | CF_STATUS },
	{ "status.bits.suspend_early", "V3.4.2-1", suspend_ignored, .flags = CF_STATUS | CF_HOSTILE,
		.needs = DRV_FEATURE(F_SUSPEND) },
	{ "status.bits.suspend_ignored", "ROB-24", suspend_ignored,
		.flags = CF_STATUS | CF_HOSTILE },
	{ "status.bits.reserved", "ROB-24", reserved_bit, .flags = CF_STATUS | CF_HOSTILE },
	{ "status.driver_ok.without_features", "ROB-24", driver_ok_without_features,
		.flags = CF_STATUS | CF_HOSTILE },
	{ "status.driver_ok.buffers_before", "V2.1.2-1", before_driver_ok,
		.flags = CF_RINGS | CF_STATUS },
	{ "status.needs_reset.set", "V2.1.2-2 ROB-6", needs_reset,
		.flags = CF_RINGS | CF_STATUS | CF_HOSTILE },
	{ "status.needs_reset.told", "V2.1.2-3 ROB-22", needs_reset_is_told,
		.flags = CF_RINGS | CF_STATUS | CF_IRQ | CF_HOSTILE },
	{ "status.needs_reset.stops", "ROB-2", needs_reset_stops,
		.flags = CF_RINGS | CF_STATUS | CF_HOSTILE },
	{ "status.needs_reset.driver_sets", "ROB-24", needs_reset_is_the_devices,
		.flags = CF_STATUS | CF_HOSTILE },
	{ 0 },
};
