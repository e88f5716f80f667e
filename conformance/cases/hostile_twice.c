/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same buffer made available twice. A device cannot see that of buffers that it uses one by
 * one, but it can where it needs two at once: for a frame that fills more than one receive buffer.
 */
#include "conformance/cases/net_nic.h"
#include "conformance/cases/vq_util.h"

#define MRG_RXBUF DRV_FEATURE(15)
#define ID	  5

static void twice(struct cf *c)
{
	struct nic_link l;
	struct drv_queue *rx;
	struct vq_elem e[2];
	uint8_t *bufs, *packet;

	if (!nic_up(c, &l, MRG_RXBUF, 0) || !(bufs = cf_buf(c, 2048)))
		return;
	for (unsigned i = 0; i < 2; i++)
		e[i] = (struct vq_elem){ cf_sg(c, bufs + 1024 * i, 1024).addr, 1024,
			VIRTQ_DESC_F_WRITE };
	rx = l.dut.rx;
	vq_raw_list(rx, ID, &e[0], 1);
	vq_raw_list(rx, ID, &e[1], 1);
	vq_raw_show(rx);
	packet = nic_plain(c, l.dut.mac, l.peer.mac, 1500, 1);
	if (packet && nic_send(&l.peer, packet, 1500))
		cf_must_break(c, rx);
}

#define ROW(name) name, "ROB-2", twice, .device = 1, .needs = MRG_RXBUF

const struct cf_case cf_cases_hostile_twice[] = {
	{ ROW("hostile_split.head.twice_at_once"), .flags = CF_PEER | CF_HOSTILE },
	{ ROW("hostile_packed.id.twice_at_once"), .flags = CF_PEER | CF_HOSTILE | CF_PACKED },
	{ 0 },
};
