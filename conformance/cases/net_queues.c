/* SPDX-License-Identifier: BSD-3-Clause */
/* Several pairs of queues of the network device, and queues that are reset (VIRTIO 1.4, 5.1.9.5.6,
 * 2.6.1). */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

#define MQ	 (BIT(MQ) | BIT(CTRL_VQ))
#define PAIRS	 2u
#define BUFFERS	 8u
#define FLOWS	 32u
#define BUF_LEN	 256u
#define FLOW_LEN 100u

/* The device under test with two pairs, the first receive queue in l->dut.rx as always. */
struct pairs {
	struct nic_link l;
	struct drv_queue *rx[PAIRS], *tx[PAIRS];
};

static bool post(struct nic *n, struct drv_queue *rx)
{
	struct drv_queue *first = n->rx;
	bool ok;

	n->rx = rx;
	ok = nic_post(n, BUFFERS, BUF_LEN);
	n->rx = first;
	return ok;
}

static bool pairs_set(struct pairs *p, uint16_t pairs)
{
	return nic_ctrl(&p->l.dut, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, 2,
		VIRTIO_NET_OK);
}

static bool up(struct cf *c, struct pairs *p)
{
	struct nic *n = &p->l.dut;

	/* First as usual, for addresses and peer; then again, with all queues. */
	if (!nic_up(c, &p->l, MQ, 0) || !nic_post(&p->l.peer, BUFFERS, BUF_LEN) ||
		!cf_begin(c, MQ | BIT(MAC)))
		return false;
	for (unsigned i = 0; i < PAIRS; i++) {
		p->rx[i] = cf_queue(c, (uint16_t)(2 * i), 0);
		p->tx[i] = cf_queue(c, (uint16_t)(2 * i + 1), 0);
	}
	n->ctrl = cf_queue(c, (uint16_t)(2 * cf_config(c, NET_CONFIG_MAX_PAIRS, 2)), 0);
	if (cf_failed(c) || !cf_run_device(c))
		return false;
	n->rx = p->rx[0];
	n->tx = p->tx[0];
	n->nbufs = 0;
	return post(n, p->rx[0]) && post(n, p->rx[1]);
}

static bool pairs_there(struct cf *c)
{
	if (cf_begin(c, MQ) && cf_config(c, NET_CONFIG_MAX_PAIRS, 2) < PAIRS)
		cf_skip(c, "the device has one pair of queues");
	else if (!cf_failed(c))
		return true;
	return false;
}

/* A UDP packet of flow `flow` from the peer; the other direction with `back`. */
static bool send_flow(struct pairs *p, unsigned flow, bool back)
{
	struct nic *from = back ? &p->l.dut : &p->l.peer, *to = back ? &p->l.peer : &p->l.dut;
	struct net_ip ip = { .dst = to->mac, .src = from->mac, .udp = true, .len = FLOW_LEN };
	uint8_t *packet = ip_packet(from->c, &ip, 0);
	uint8_t *ports;

	if (!packet)
		return false;
	ports = packet + NET_HDR_LEN + ip_csum_start(&ip) + (back ? 2 : 0);
	ports[1] = (uint8_t)flow;
	return nic_send(from, packet, ip_headers(&ip) + FLOW_LEN);
}

/* Frames go to the first queue only, of whatever flow. */
static bool first_only(struct pairs *p)
{
	for (unsigned flow = 0; flow < FLOWS; flow++)
		if (!send_flow(p, flow, false) || !nic_take(&p->l.dut))
			return false;
	return cf_check(p->l.c, !drv_ring_used(&p->rx[1]->ring),
		"a frame came on the second receive queue, which is not enabled");
}

static void first_after_reset(struct cf *c)
{
	struct pairs p;

	if (pairs_there(c) && up(c, &p))
		first_only(&p);
}

/* Flows sent on the second pair would come back there, but not after it is disabled. */
static void disabled_unused(struct cf *c)
{
	struct nic *n;
	struct pairs p;

	if (!pairs_there(c) || !up(c, &p) || !pairs_set(&p, PAIRS))
		return;
	n = &p.l.dut;
	n->tx = p.tx[1];
	for (unsigned flow = 0; flow < FLOWS; flow++)
		if (!send_flow(&p, flow, true) || !nic_take(&p.l.peer))
			return;
	n->tx = p.tx[0];
	if (pairs_set(&p, 1))
		first_only(&p);
}

/* With two pairs enabled everything sent on either goes out, and what comes in is received. */
static void both_work(struct cf *c)
{
	struct pairs p;
	struct nic *n = &p.l.dut;

	if (!pairs_there(c) || !up(c, &p) || !pairs_set(&p, PAIRS))
		return;
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		uint64_t limit = cf_limit(c);

		n->tx = p.tx[flow % PAIRS];
		n->rx = NULL;
		if (!send_flow(&p, flow, true) || !nic_take(&p.l.peer) ||
			!send_flow(&p, flow, false))
			return;
		while (!n->rx && drv_now(n->dev) < limit)
			for (unsigned i = 0; i < PAIRS; i++)
				if (drv_ring_used(&p.rx[i]->ring))
					n->rx = p.rx[i];
		if (!cf_check(c, n->rx, "a frame came on no receive queue") || !nic_take(n))
			return;
	}
}

/* Queue reset. */

#define RESET DRV_FEATURE(VIRTIO_F_RING_RESET)

/* Nothing is received while the queue is away; afterwards all is as before. */
static void reset_receive(struct cf *c)
{
	struct nic_link l;
	struct nic *n = &l.dut;
	uint8_t *p;
	int r;

	if (!nic_up_ready(c, &l, RESET, 0, 4) || !nic_pass(&l.peer, n, 64, 1))
		return;
	if (!n->dev->ops->queue_reset) {
		cf_skip(c, "the transport resets no queues");
		return;
	}
	r = n->dev->ops->queue_reset(n->dev, n->rx->index, cf_limit(c));
	p = nic_plain(c, n->mac, l.peer.mac, 64, 2);
	if (!cf_check(c, !r, "the receive queue cannot be reset (%d)", r) || !p ||
		!nic_send(&l.peer, p, 64) || !nic_marker(&l, n, &l.peer))
		return;
	for (unsigned i = 0; i < n->nbufs; i++)
		if (!cf_check(c, cf_filled(n->bufs[i].p, 0xa5, n->bufs[i].len),
			    "a buffer was written after its queue was reset"))
			return;
	r = drv_queue_restart(n->rx);
	n->nbufs = 0;
	if (cf_check(c, !r, "the receive queue cannot be started again (%d)", r) &&
		nic_post(n, 4, BUF_LEN))
		nic_marker(&l, &l.peer, n);
}

#define NET DRV_ID_NET

const struct cf_case cf_cases_net_queues[] = {
	{ "net.mq.first_after_reset", "V5.1.9.5.6.2-1", first_after_reset, NET, CF_PEER, MQ },
	{ "net.mq.disabled_unused", "V5.1.9.5.6.2-2", disabled_unused, NET, CF_PEER, MQ },
	{ "net.mq.both_work", "NET-1", both_work, NET, CF_PEER | CF_RINGS, MQ },
	{ "net.queue_reset.receive", "V5.1.9.5.6.2-4", reset_receive, NET, CF_PEER, RESET },
	{ 0 },
};
