/* SPDX-License-Identifier: BSD-3-Clause */
/* The CAN device (VIRTIO 1.4, 5.20) as its driver sees it, alone on the bus or not. */
#include "conformance/cases/can.h"

#define OK	 VIRTIO_CAN_RESULT_OK
#define NOT_OK	 VIRTIO_CAN_RESULT_NOT_OK
#define RTR	 VIRTIO_CAN_FLAGS_RTR
#define FD	 VIRTIO_CAN_FLAGS_FD
#define EXTENDED VIRTIO_CAN_FLAGS_EXTENDED
#define ALL	 (CAN_BIT(CAN_FD) | CAN_BIT(RTR_FRAMES) | CAN_BIT(LATE_TX_ACK))
#define FLIGHT	 24u

/* Features and configuration. */

/* Fails unless the choice is refused. */
static void refused(struct cf *c, uint64_t choice, const char *what)
{
	struct drv_dev *dev = cf_dev(c);
	uint8_t status = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;
	bool taken;

	if (!cf_check(c, !drv_reset(dev), "the device cannot be reset"))
		return;
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	dev->ops->set_status(dev, status);
	taken = !dev->ops->accept(dev, choice);
	dev->ops->set_status(dev, status | VIRTIO_S_FEATURES_OK);
	if (taken && cf_status(c, &status))
		taken = status & VIRTIO_S_FEATURES_OK;
	cf_check(c, !taken, "%s is accepted", what);
}

static void needs_a_frame_type(struct cf *c)
{
	uint64_t none = cf_features(c, 0) & ~(CAN_BIT(CAN_CLASSIC) | CAN_BIT(CAN_FD));

	refused(c, none, "a choice without CAN_CLASSIC and CAN_FD");
}

static void rtr_needs_classic(struct cf *c)
{
	uint64_t all = cf_features(c, ALL) & ~CAN_BIT(CAN_CLASSIC);

	refused(c, all, "RTR_FRAMES without CAN_CLASSIC");
}

static void no_bus_off_at_first(struct cf *c)
{
	struct can_node n;

	if (!can_up(c, &n, ALL) || !cf_eq(c, cf_config(c, 0, 2), 0, "status") || !can_start(c, &n))
		return;
	cf_eq(c, cf_config(c, 0, 2), 0, "status after a start");
}

/* Control messages (5.20.5.1). */

static void start_and_stop(struct cf *c)
{
	struct can_node n;

	if (!can_up(c, &n, ALL))
		return;
	/* A request for the mode that is there succeeds, too. */
	for (unsigned i = 0; i < 4; i++)
		if (!can_control(c, &n, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK) || !can_start(c, &n) ||
			!can_start(c, &n) || !can_control(c, &n, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK))
			return;
}

static void unknown_control(struct cf *c)
{
	static const uint16_t types[] = { 0, 1, 0x0101, 0x0200, 0x0203, 0x0102, 0x8201, 0xffff };
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct can_node n;

	if (!can_up(c, &n, 0) || !can_start(c, &n))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!can_control(c, &n, types[i], NOT_OK))
			return;
	cf_eq(c, can_send(c, &n, &m), OK, "the result of a frame afterwards");
}

static void stopped(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct can_node n;

	if (!can_up(c, &n, ALL))
		return;
	if (!cf_eq(c, can_send(c, &n, &m), NOT_OK, "the result before a start") ||
		!can_start(c, &n) || !cf_eq(c, can_send(c, &n, &m), OK, "the result of a frame") ||
		!can_control(c, &n, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK))
		return;
	if (!cf_eq(c, can_send(c, &n, &m), NOT_OK, "the result after a stop") || !can_up(c, &n, 0))
		return;
	cf_eq(c, can_send(c, &n, &m), NOT_OK, "the result after a reset");
}

/* Takes the next answer of those under way; its result is counted. */
static bool answered(struct cf *c, const struct can_node *n, unsigned results[2])
{
	void *cookie;
	uint32_t used;
	uint8_t result;

	if (!cf_used(c, n->tx, &cookie, &used) || !cf_eq(c, used, 1, "the used length"))
		return false;
	result = *(uint8_t *)cookie;
	if (!cf_check(c, result <= NOT_OK, "a result is 0x%x", result))
		return false;
	results[result]++;
	return true;
}

/* What waits comes back, and before the stop is confirmed. */
static void stop_cancels(struct cf *c)
{
	const struct can_msg m = can_frame(EXTENDED, 0x1fffffff, 8);
	uint8_t *out = cf_buf(c, CAN_HEADER + 8), *in = cf_buf(c, FLIGHT);
	unsigned results[2] = { 0 };
	struct can_node n;
	struct drv_sg sg[2];

	if (!out || !in || !can_up(c, &n, ALL) || !can_start(c, &n))
		return;
	cf_copy(out, &m, CAN_HEADER + 8);
	for (unsigned i = 0; i < FLIGHT; i++) {
		sg[0] = cf_sg(c, out, CAN_HEADER + 8);
		sg[1] = cf_sg(c, &in[i], 1);
		in[i] = 0xff;
		if (!cf_submit(c, n.tx, sg, 1, 1, &in[i]))
			return;
	}
	/* The others are on their way by then. */
	if (!answered(c, &n, results) || !can_control(c, &n, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK))
		return;
	for (unsigned i = 1; i < FLIGHT; i++)
		if (!answered(c, &n, results))
			return;
	cf_note(c, "%u of %u frames were cancelled", results[NOT_OK], FLIGHT);
}

/* Transmission (5.20.5.2). */

static bool all_refused(struct cf *c, const struct can_node *n, const struct can_msg *m, unsigned k)
{
	for (unsigned i = 0; i < k; i++) {
		uint8_t result = can_send(c, n, &m[i]);

		if (!cf_check(c, result == NOT_OK,
			    "the result is %u for flags 0x%x, can_id 0x%x, length %u", result,
			    m[i].flags, m[i].can_id, m[i].length))
			return false;
	}
	return true;
}

static void types_not_negotiated(struct cf *c)
{
	const struct can_msg wrong[] = { can_frame(FD, 0x123, 8),
		can_frame(FD | EXTENDED, 0x123, 0), can_frame(RTR, 0x123, 0),
		can_frame(RTR | EXTENDED, 0x123, 8) };
	const struct can_msg right = can_frame(0, 0x123, 8);
	struct can_node n;

	if (!can_up(c, &n, 0) || !can_start(c, &n) || !all_refused(c, &n, wrong, 4))
		return;
	cf_eq(c, can_send(c, &n, &right), OK, "the result of a classic frame");
}

static void classic_not_negotiated(struct cf *c)
{
	const struct can_msg wrong[] = { can_frame(0, 0x123, 8), can_frame(EXTENDED, 0x123, 0) };
	const struct can_msg right = can_frame(FD, 0x123, 8);
	struct can_node n;
	int r = drv_begin(cf_dev(c), cf_features(c, CAN_BIT(CAN_FD)) & ~CAN_BIT(CAN_CLASSIC), 0);

	if (!cf_check(c, !r, "the device refuses CAN_FD alone"))
		return;
	n.tx = cf_queue(c, CAN_TXQ, 0);
	n.rx = cf_queue(c, CAN_RXQ, 0);
	n.control = cf_queue(c, CAN_CONTROLQ, 0);
	if (!n.tx || !n.rx || !n.control || !cf_run_device(c) || !can_start(c, &n))
		return;
	if (all_refused(c, &n, wrong, 2))
		cf_eq(c, can_send(c, &n, &right), OK, "the result of a CAN FD frame");
}

static void undefined_flags(struct cf *c)
{
	const struct can_msg right = can_frame(0, 0x123, 8);
	struct can_node n;

	if (!can_up(c, &n, ALL) || !can_start(c, &n))
		return;
	for (unsigned bit = 0; bit < 32; bit++) {
		const struct can_msg m = can_frame(UINT32_C(1) << bit, 0x123, 8);

		if (bit >= 13 && bit <= 15)
			continue;
		if (!all_refused(c, &n, &m, 1))
			return;
	}
	cf_eq(c, can_send(c, &n, &right), OK, "the result of a frame without them");
}

static void out_of_range(struct cf *c)
{
	const struct can_msg wrong[] = { can_frame(0, 0x800, 8), can_frame(0, 0x1fffffff, 8),
		can_frame(EXTENDED, 0x20000000, 8), can_frame(EXTENDED, 0x80000123, 8),
		can_frame(0, 0x40000123, 8), can_frame(0, 0x123, 9), can_frame(0, 0x123, 64),
		can_frame(EXTENDED, 0x123, 2048), can_frame(EXTENDED, 0x123, 65535) };
	const struct can_msg fd[] = { can_frame(FD, 0x123, 65), can_frame(FD, 0x123, 2048),
		can_frame(FD, 0x123, 65535), can_frame(FD, 0x800, 8) };
	const struct can_msg rtr[] = { can_frame(RTR, 0x123, 9), can_frame(RTR | FD, 0x123, 0) };
	const struct can_msg right = can_frame(EXTENDED, 0x1fffffff, 8);
	struct can_node n;

	if (!can_up(c, &n, ALL) || !can_start(c, &n) || !all_refused(c, &n, wrong, 9))
		return;
	if (cf_offered(c, VIRTIO_CAN_F_CAN_FD) && !all_refused(c, &n, fd, 4))
		return;
	if (cf_offered(c, VIRTIO_CAN_F_RTR_FRAMES) && !all_refused(c, &n, rtr, 2))
		return;
	cf_eq(c, can_send(c, &n, &right), OK, "the result of a frame in range");
}

/* A message that ends before its length, or its header, does. */
static void cut_off(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct can_msg other = m;
	struct can_node n;

	other.msg_type = VIRTIO_CAN_RX;
	if (!can_up(c, &n, ALL) || !can_start(c, &n))
		return;
	for (uint32_t len = 1; len < CAN_HEADER + 8; len++) {
		uint8_t result = can_send_len(c, &n, &m, len);

		if (!cf_check(c, result == NOT_OK, "the result is %u for %u of 24 bytes", result,
			    len))
			return;
	}
	if (!cf_eq(c, can_send(c, &n, &other), NOT_OK, "the result for another msg_type"))
		return;
	cf_eq(c, can_send(c, &n, &m), OK, "the result of a whole message");
}

/* More than the message is no fault: the length says what belongs to it (5.20.5.2). */
static void longer(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 3);
	struct can_node n;

	if (can_up(c, &n, ALL) && can_start(c, &n))
		cf_eq(c, can_send_len(c, &n, &m, sizeof(m)), OK, "the result");
}

static void all_lengths(struct cf *c)
{
	struct can_node n;

	if (!can_up(c, &n, ALL) || !can_start(c, &n))
		return;
	for (uint16_t len = 0; len <= 64; len++) {
		uint32_t flags = len > 8 ? FD : 0;
		const struct can_msg m = can_frame(flags, 0x7ff, len);

		if (flags && !cf_offered(c, VIRTIO_CAN_F_CAN_FD))
			return;
		if (!cf_eq(c, can_send(c, &n, &m), OK, "the result"))
			return;
	}
}

/* What breaks the framing. */

static void no_result(struct cf *c, unsigned q)
{
	uint8_t *out = cf_buf(c, CAN_HEADER);
	const struct can_msg m = can_frame(0, 0x123, 0);
	struct can_node n;
	struct drv_sg sg;

	if (!out || !can_up(c, &n, ALL))
		return;
	cf_copy(out, &m, CAN_HEADER);
	sg = cf_sg(c, out, CAN_HEADER);
	if (cf_submit(c, cf_q(c, q), &sg, 1, 0, out))
		cf_must_break(c, cf_q(c, q));
}

static void tx_without_result(struct cf *c)
{
	no_result(c, CAN_TXQ);
}

static void control_without_result(struct cf *c)
{
	no_result(c, CAN_CONTROLQ);
}

static void short_control(struct cf *c)
{
	uint8_t *out = cf_buf(c, 1), *in = cf_buf(c, 1);
	struct can_node n;

	if (!out || !in || !can_up(c, &n, ALL))
		return;
	*out = 1;
	if (!cf_do(c, n.control, out, 1, in, 1, 1) ||
		!cf_eq(c, *in, NOT_OK, "the result of one byte") ||
		!cf_do(c, n.control, NULL, 0, in, 1, 1) ||
		!cf_eq(c, *in, NOT_OK, "the result of no byte"))
		return;
	can_start(c, &n);
}

/* A controller that runs goes on running in the process that takes over. */
static void killed(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct cf_target *t = cf_target(c);
	struct can_node n;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!can_up(c, &n, ALL) || !can_start(c, &n))
		return;
	for (unsigned round = 0; round < 4; round++)
		if (!cf_eq(c, can_send(c, &n, &m), OK, "the result of a frame") ||
			!cf_check(c, t->kill(t), "the back-end cannot be replaced"))
			return;
	cf_eq(c, can_send(c, &n, &m), OK, "the result of a frame in another process");
}

const struct cf_case cf_cases_can[] = {
	{ "can.features.frame_type", "V2.2.2-3", needs_a_frame_type, DRV_ID_CAN,
		.flags = CF_STATUS | CF_HOSTILE },
	{ "can.features.rtr_needs_classic", "V2.2.2-3", rtr_needs_classic, DRV_ID_CAN,
		.flags = CF_STATUS | CF_HOSTILE, .needs = CAN_BIT(RTR_FRAMES) | CAN_BIT(CAN_FD) },
	{ "can.config.no_bus_off", "BUS-1", no_bus_off_at_first, DRV_ID_CAN },
	{ "can.control.start_stop", "BUS-1", start_and_stop, DRV_ID_CAN, .flags = CF_RINGS },
	{ "can.control.unknown", "ROB-10", unknown_control, DRV_ID_CAN },
	{ "can.control.short", "ROB-25", short_control, DRV_ID_CAN, .flags = CF_HOSTILE },
	{ "can.control.no_result", "ROB-25", control_without_result, DRV_ID_CAN,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "can.control.stop_cancels", "V5.20.5.2-3", stop_cancels, DRV_ID_CAN, .flags = CF_RINGS },
	{ "can.tx.stopped", "V5.20.5.2-3", stopped, DRV_ID_CAN, .flags = CF_RINGS },
	{ "can.tx.types", "V5.20.5.2-1", types_not_negotiated, DRV_ID_CAN, .flags = CF_RINGS },
	{ "can.tx.classic", "V5.20.5.2-1", classic_not_negotiated, DRV_ID_CAN,
		.needs = CAN_BIT(CAN_FD) },
	{ "can.tx.flags", "V5.20.5.2-1", undefined_flags, DRV_ID_CAN },
	{ "can.tx.range", "V5.20.5.2-3", out_of_range, DRV_ID_CAN, .flags = CF_RINGS },
	{ "can.tx.cut_off", "V5.20.5.2-3", cut_off, DRV_ID_CAN, .flags = CF_HOSTILE },
	{ "can.tx.longer", "V5.20.5.2-6", longer, DRV_ID_CAN },
	{ "can.tx.lengths", "V5.20.5.2-3", all_lengths, DRV_ID_CAN },
	{ "can.tx.no_result", "ROB-25", tx_without_result, DRV_ID_CAN,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "can.kill.goes_on", "ROB-7", killed, DRV_ID_CAN, .flags = CF_RINGS },
	{ 0 },
};
