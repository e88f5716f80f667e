/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gateway on bare metal between two CAN buses: what is on its list goes from the first to the
 * second, nothing else does, and nothing goes back.
 */
#include "guests/ecu/signals.h"

#define LIMIT	 (10 * SECOND)
#define PATIENCE (120 * SECOND) /* without any frame */

static const uint32_t routes[] = { SIGNAL_ENGINE, SIGNAL_SPEED, SIGNAL_COOLANT, SIGNAL_END };

static struct gateway {
	struct bare_virtio_list devices;
	struct teller teller;
	struct drv_can from, to;
	uint64_t forwarded, blocked;
} gateway;

static bool is_routed(uint32_t id)
{
	for (unsigned i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (routes[i] == id)
			return true;
	return false;
}

static int forward(struct gateway *g)
{
	struct drv_can_frame f = { 0 };
	int r = 0;

	while (!r && f.id != SIGNAL_END) {
		r = drv_can_recv(&g->from, &f, bare_time() + PATIENCE);
		if (r || !is_routed(f.id)) {
			g->blocked += !r;
			continue;
		}
		r = drv_can_send(&g->to, &f, bare_time() + LIMIT);
		g->forwarded += !r;
	}
	return r ? r : drv_can_sync(&g->to, bare_time() + LIMIT);
}

int bare_main(struct bare_info *info)
{
	struct gateway *g = &gateway;
	int r;

	teller_open(&g->teller, "gateway", info, &g->devices);
	r = open_can(&g->from, &g->devices, 0);
	if (!r)
		r = open_can(&g->to, &g->devices, 1);
	if (r)
		return failed(&g->teller, "joining two CAN buses", r);
	tell(&g->teller, "ready");
	r = forward(g);
	if (r)
		return failed(&g->teller, "forwarding", r);
	tell(&g->teller, "drive over, forwarded %u frames, blocked %u", g->forwarded, g->blocked);
	return 0;
}
