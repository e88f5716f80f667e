/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding path: what comes in at a port is checked, tagged with a VLAN and a priority,
 * learned from, and sent on; what a port cannot take now waits in one queue per priority.
 */
#include "host/switch.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "host/netoffload.h"
#include "host/pcapng.h"
#include "host/switch_priv.h"

#define WAIT_MIN_NS UINT64_C(1000000)
#define FLOOD_TURN  128u /* frames to several ports that one port may send in WAIT_MIN_NS */

/* A frame in a queue: this, then its bytes. */
struct queued {
	uint32_t len;
	struct net_hdr hdr;
	uint32_t from; /* index of the port that it came in at */
};

/* VLAN and priority of a frame inside the switch. */
struct tag {
	uint16_t vid;
	uint8_t pcp;
	bool present; /* the frame carries a tag */
};

void switch_refresh(struct netswitch *s)
{
	s->fresh = true;
	s->now_ns = s->clock(s->clock_arg, CLOCK_MONOTONIC);
	s->now_s = (uint32_t)(s->now_ns / UINT64_C(1000000000));
	if (s->mirror)
		s->wall_ns = s->clock(s->clock_arg, CLOCK_REALTIME);
	ev_task_post(&s->round);
}

void switch_end_of_round(void *arg)
{
	struct netswitch *s = arg;

	s->fresh = false;
	if (s->mirror)
		pcapng_flush(s->mirror);
}

/* The queue of a priority: 802.1Q puts background (1) below best effort (0). */
static unsigned rank(unsigned pcp)
{
	return pcp > 1 ? pcp : !pcp;
}

/* Reads the tag, or takes the port's. VLAN 0 if the port may not send such frames. */
static inline struct tag classify(const struct port *p, const struct net_frame *f)
{
	static const struct tag none;
	struct tag tag = { p->native, p->pcp, false };
	unsigned tci;

	if (net_be16(f->head + 12) == NET_ETHERTYPE_VLAN) {
		if (f->head_len < NET_ETH_LEN + NET_VLAN_LEN)
			return none;
		tci = net_be16(f->head + NET_ETH_LEN);
		tag.present = true;
		tag.pcp = (uint8_t)(tci >> 13);
		if (tci & 0xfff)
			tag.vid = tci & 0xfff;
		if ((tci & 0xfff) && !p->trunk)
			return none;
	}
	return switch_in_vlan(p, tag.vid) ? tag : none;
}

static bool denied(const struct port *p, const uint8_t *mac)
{
	for (unsigned i = 0; i < p->ndeny; i++)
		if (!memcmp(p->deny[i], mac, 6))
			return true;
	return false;
}

/* Group addresses that a bridge keeps to itself (802.1Q, 8.6.3). */
static bool reserved(const uint8_t *dst)
{
	static const uint8_t group[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	return !memcmp(dst, group, 5) && dst[5] < 0x10;
}

/* Checks and learns a source that is not the port's last one. False if the frame must not pass. */
static __attribute__((noinline)) bool learn_new(struct port *p, const uint8_t *src, uint64_t key)
{
	static const uint8_t zero[6];
	struct netswitch *s = p->sw;
	int ret;

	if (src[0] & 1 || !memcmp(src, zero, 6) || denied(p, src))
		return false;
	p->last = NULL;
	ret = mac_learn(&s->macs, key, p->index, s->now_s, &p->last);
	p->last_key = key;
	if (ret == -ENOSPC)
		p->count.not_learned++;
	return ret != -EPERM;
}

static inline bool learn(struct port *p, const uint8_t *src, unsigned vid)
{
	uint64_t key = mac_key(src, vid);

	if (!p->last || p->last_key != key || p->last->key != key || p->last->port != p->index)
		return learn_new(p, src, key);
	p->last->seen = p->sw->now_s;
	return true;
}

/* The frame with another tag: `tci` < 0 removes it. */
static void retag(struct net_frame *to, const struct net_frame *f, bool present, int tci)
{
	int shift = (tci >= 0) - present;
	uint32_t skip = present ? NET_ETH_LEN - 2 + NET_VLAN_LEN : NET_ETH_LEN - 2;
	uint32_t keep = tci >= 0 ? NET_ETH_LEN - 2 + NET_VLAN_LEN : NET_ETH_LEN - 2;
	int bytes = shift * (int)NET_VLAN_LEN;

	to->head = to->head_buf + NET_HEAD_ROOM - NET_VLAN_LEN;
	memcpy(to->head, f->head, NET_ETH_LEN - 2);
	if (tci >= 0) {
		net_put_be16(to->head + 12, NET_ETHERTYPE_VLAN);
		net_put_be16(to->head + 14, (uint32_t)tci);
	}
	memcpy(to->head + keep, f->head + skip, f->head_len - skip);
	to->head_len = f->head_len - skip + keep;
	to->len = (uint32_t)((int)f->len + bytes);
	to->tail = f->tail;
	to->hdr = f->hdr;
	if (f->hdr.flags & NET_HDR_F_NEEDS_CSUM)
		to->hdr.csum_start = (uint16_t)(f->hdr.csum_start + bytes);
	if (f->hdr.gso_type)
		to->hdr.hdr_len = (uint16_t)(f->hdr.hdr_len + bytes);
}

/* A sender has at most twice as much of a queue as is free, so that nobody fills it alone: whoever
 * sends little finds room beside one who floods. */
static bool has_share(const struct fifo *fifo, uint32_t used, size_t need)
{
	size_t room = fifo_free(fifo);

	return room >= need && used + need <= 2 * room;
}

static void enqueue(struct port *p, const struct net_frame *f, unsigned pcp, unsigned from)
{
	struct queued q = { f->len, f->hdr, from };
	struct fifo *fifo = &p->queues[rank(pcp)];
	uint32_t *used = &p->shares[rank(pcp)][from];
	struct iovec room[2];
	struct iov_iter at;

	if (!has_share(fifo, *used, sizeof(q) + f->len)) {
		p->count.drop_queue++;
		return;
	}
	iov_iter_init(&at, room, fifo_writable(fifo, room));
	iov_write(&at, &q, sizeof(q));
	net_frame_copy(&at, f);
	fifo_filled(fifo, sizeof(q) + f->len);
	*used += (uint32_t)sizeof(q) + f->len;
	p->waiting |= 1u << rank(pcp);
	p->count.tx_queued++;
}

static void wait_for(struct port *p, struct ev_timer *timer, const struct tokens *t)
{
	if (!timer->armed)
		ev_timer_set(timer, max_u64(tokens_wait_ns(t), WAIT_MIN_NS));
}

/* Counts what became of a frame: `ret` is the result of netport_send(), and returned. */
static inline int transmitted(struct port *p, const struct net_frame *f, int ret)
{
	if (!ret) {
		tokens_take(&p->out, f->len);
		p->count.tx_frames++;
		p->count.tx_bytes += f->len;
	} else if (ret != -EAGAIN) {
		p->count.drop_down++;
	}
	return ret;
}

/* Sends now; the results of netport_send(). */
static int transmit(struct port *p, const struct net_frame *f)
{
	return transmitted(p, f, netport_send(&p->end, f));
}

/* One frame of a queue: sends it if possible; false if it has to wait. */
static bool drain_one(struct port *p, struct fifo *fifo)
{
	struct net_frame f;
	struct queued q;
	struct iovec used[2];
	struct iov_iter at;

	iov_iter_init(&at, used, fifo_readable(fifo, used));
	iov_read(&at, &q, sizeof(q));
	if (!net_frame_init(&f, &at, q.len, &q.hdr) && transmit(p, &f) == -EAGAIN)
		return false;
	if (!p->waiting)
		return false; /* the other side went down meanwhile */
	fifo_took(fifo, sizeof(q) + q.len);
	p->shares[fifo - p->queues][q.from] -= (uint32_t)sizeof(q) + q.len;
	return true;
}

static void drain(struct port *p)
{
	while (p->waiting) {
		unsigned first = 31u - (unsigned)__builtin_clz(p->waiting);
		struct fifo *fifo = &p->queues[first];

		if (!tokens_ready(&p->out, p->sw->now_ns)) {
			wait_for(p, &p->out_timer, &p->out);
			return;
		}
		if (!drain_one(p, fifo))
			return;
		if (fifo_used(fifo))
			continue;
		fifo_reset(fifo);
		p->waiting &= ~(1u << first);
	}
}

static void clear_queues(struct port *p)
{
	for (unsigned i = 0; i < PRIORITIES; i++)
		fifo_reset(&p->queues[i]);
	memset(p->shares, 0, sizeof(p->shares));
	p->waiting = 0;
}

struct egress {
	struct port *port;
	unsigned pcp, from; /* index of the port that it came in at */
};

/* A frame that the port's other side accepts as it is. */
static int egress_finished(void *arg, const struct net_frame *f)
{
	const struct egress *e = arg;
	struct port *p = e->port;

	if (!p->waiting && tokens_ready(&p->out, p->sw->now_ns) && transmit(p, f) != -EAGAIN)
		return 0;
	enqueue(p, f, e->pcp, e->from);
	if (!tokens_ready(&p->out, p->sw->now_ns))
		wait_for(p, &p->out_timer, &p->out);
	return 0;
}

static __attribute__((noinline)) void egress_any(
	struct port *p, const struct net_frame *f, struct tag tag, unsigned from)
{
	bool tagged = tag.vid != p->native;
	struct egress e = { p, tag.pcp, from };
	struct net_frame changed;

	if (!netport_peer_up(&p->end)) {
		p->count.drop_down++;
		return;
	}
	if (p->ndeny && denied(p, f->head)) {
		p->count.drop_mac++;
		return;
	}
	if (tagged || tag.present) {
		retag(&changed, f, tag.present, tagged ? tag.pcp << 13 | tag.vid : -1);
		f = &changed;
	}
	if (net_offload_needed(f, p->end.peer->accepts))
		net_offload(f, egress_finished, &e);
	else
		egress_finished(&e, f);
}

/* The usual case needs no change of the frame, and nothing is in its way: it is handed on at once.
 */
static inline void egress(struct port *p, const struct net_frame *f, struct tag tag, unsigned from)
{
	struct netport *to = p->end.peer;

	if (p->waiting || p->out.rate || p->ndeny || tag.vid != p->native || tag.present ||
		f->hdr.flags || !to || !to->up) {
		egress_any(p, f, tag, from);
		return;
	}
	if (transmitted(p, f, to->ops->receive(to, f)) == -EAGAIN)
		enqueue(p, f, tag.pcp, from);
}

/* A frame to several ports is work for all of them: who has sent a turn of those waits. */
static bool has_flooded(const struct port *p)
{
	return p->flooded >= FLOOD_TURN && p->sw->now_ns - p->flooded_at_ns < WAIT_MIN_NS;
}

static void count_flooded(struct port *p)
{
	if (p->sw->now_ns - p->flooded_at_ns >= WAIT_MIN_NS) {
		p->flooded_at_ns = p->sw->now_ns;
		p->flooded = 0;
	}
	p->flooded++;
}

static void flood(struct port *from, const struct net_frame *f, struct tag tag)
{
	struct netswitch *s = from->sw;
	unsigned copies = 0;

	if (!tokens_ready(&from->flood, s->now_ns)) {
		from->count.drop_flood++;
		return;
	}
	tokens_take(&from->flood, 1);
	from->count.rx_flooded++;
	for (unsigned i = 0; i < s->nports; i++) {
		if (s->ports[i] == from || !switch_in_vlan(s->ports[i], tag.vid))
			continue;
		egress_any(s->ports[i], f, tag, from->index);
		copies++;
	}
	if (copies > 1)
		count_flooded(from);
}

/* The port of an address, or -1. */
static inline int destination(struct port *from, uint64_t key)
{
	struct netswitch *s = from->sw;

	if (!from->last_to || from->last_to->key != key)
		from->last_to = mac_find(&s->macs, key);
	return mac_port(&s->macs, from->last_to, s->now_s);
}

static inline void forward(struct port *from, const struct net_frame *f, struct tag tag)
{
	struct netswitch *s = from->sw;
	int to = -1;

	if (!(f->head[0] & 1))
		to = destination(from, mac_key(f->head, tag.vid));
	if (to < 0)
		flood(from, f, tag);
	else if (s->ports[to] == from)
		from->count.drop_self++;
	else
		egress(s->ports[to], f, tag, from->index);
}

static void capture(struct port *p, const struct net_frame *f)
{
	struct netswitch *s = p->sw;
	int ret = pcapng_frame(s->mirror, (unsigned)p->mirror, s->wall_ns, true, f);

	if (!ret || s->mirror_warned)
		return;
	s->mirror_warned = true;
	log_warn(s->log, "capture ended: %s",
		ret == -ENOSPC ? "mirror-size is reached" : strerror(-ret));
}

/* netport_ops.receive: a frame from the port's other side. */
static int ingress(struct netport *end, const struct net_frame *f)
{
	struct port *p = container_of(end, struct port, end);
	struct netswitch *s = p->sw;
	struct tag tag;

	if (!s->fresh)
		switch_refresh(s);
	if (!tokens_ready(&p->in, s->now_ns)) {
		wait_for(p, &p->in_timer, &p->in);
		return -EAGAIN;
	}
	if (has_flooded(p)) {
		if (!p->in_timer.armed)
			ev_timer_set(&p->in_timer, WAIT_MIN_NS);
		return -EAGAIN;
	}
	tokens_take(&p->in, f->len);
	p->count.rx_frames++;
	p->count.rx_bytes += f->len;
	if (p->mirror >= 0)
		capture(p, f);
	tag = classify(p, f);
	if (!tag.vid) {
		p->count.drop_vlan++;
		return 0;
	}
	if (!learn(p, f->head + 6, tag.vid) || reserved(f->head) ||
		(p->ndeny && denied(p, f->head))) {
		p->count.drop_mac++;
		return 0;
	}
	forward(p, f, tag);
	return 0;
}

static void port_room(struct netport *end)
{
	struct port *p = container_of(end, struct port, end);

	switch_refresh(p->sw);
	drain(p);
}

static void port_state(struct netport *end)
{
	struct port *p = container_of(end, struct port, end);

	if (netport_peer_up(end))
		return;
	clear_queues(p);
	mac_forget(&p->sw->macs, p->index);
}

void switch_in_ready(void *arg)
{
	struct port *p = arg;

	netport_room(&p->end);
}

void switch_out_ready(void *arg)
{
	struct port *p = arg;

	switch_refresh(p->sw);
	drain(p);
}

const struct netport_ops switch_port_ops = {
	.receive = ingress,
	.room = port_room,
	.state = port_state,
};
