/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two ports of a switch, or of a CAN bus, that send each other numbered frames. With a crash frames
 * may be lost, or come twice when they were forwarded but not yet answered; without one they may
 * not, and nothing ever comes changed.
 */
#include <inttypes.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "drivers/can.h"
#include "drivers/net.h"
#include "load_classes.h"

#define BURST	 8u
#define PATIENCE UINT64_C(2000000) /* ns that a frame may take before others are sent */
#define HEAD	 14u

struct state {
	union {
		struct drv_net net[2];
		struct drv_can can[2];
	};
	struct load_flow flow[2]; /* to port 0, to port 1 */
	uint8_t frame[2048];
};

/* Sends the next record from a port. 0 or DRV_*. */
typedef int (*send_fn)(struct state *st, unsigned from, uint64_t number);
/* Receives: 1 with a record, 0 for none, below 0 if it is wrong. */
typedef int (*recv_fn)(
	struct load *l, struct state *st, unsigned at, uint64_t until, uint64_t *n, uint64_t *time);

static int receive_all(struct load *l, unsigned at, uint64_t until, recv_fn recv)
{
	struct state *st = l->state;
	uint64_t number, time;
	int r;

	while ((r = recv(l, st, at, until, &number, &time)) > 0) {
		if (load_flow_got(l, &st->flow[at], number, time))
			return -1;
		if (st->flow[at].got == st->flow[at].sent)
			break;
	}
	return r < 0 ? -1 : 0;
}

static int exchange(struct load *l, send_fn send, recv_fn recv)
{
	struct state *st = l->state;
	int ret = 0;

	for (unsigned at = 0; !ret && at < 2; at++) {
		unsigned n = 1 + load_random(l) % BURST;

		for (unsigned i = 0; !ret && i < n; i++) {
			int r = send(st, !at, ++st->flow[at].sent);

			if (r)
				ret = load_fail(l, "sending: %d", r);
		}
		if (!ret)
			ret = receive_all(l, at, ev_now_ns() + PATIENCE, recv);
	}
	return ret;
}

/* Waits until the last frame of each direction has come, or some time after a crash has passed. */
static int settle(struct load *l, send_fn send, recv_fn recv)
{
	struct state *st = l->state;
	uint64_t until = seat_until();

	while (st->flow[0].got < st->flow[0].sent || st->flow[1].got < st->flow[1].sent) {
		if (ev_now_ns() > until)
			return load_fail(l, "frames stopped coming: %" PRIu64 " of %" PRIu64,
				st->flow[0].got, st->flow[0].sent);
		if (exchange(l, send, recv))
			return -1;
	}
	return 0;
}

static int net_send(struct state *st, unsigned from, uint64_t number)
{
	static const uint16_t lengths[] = { 60, 64, 200, 590, 1514 };
	uint32_t len = lengths[number % ARRAY_LEN(lengths)];

	memcpy(st->frame, st->net[!from].mac, 6);
	memcpy(st->frame + 6, st->net[from].mac, 6);
	st->frame[12] = 0x88; /* for local experiments */
	st->frame[13] = 0xb5;
	load_record(st->frame + HEAD, len - HEAD, number);
	return drv_net_send(&st->net[from], 0, st->frame, len, seat_until());
}

static int net_recv(
	struct load *l, struct state *st, unsigned at, uint64_t until, uint64_t *n, uint64_t *time)
{
	uint32_t len;
	int r = drv_net_recv(&st->net[at], 0, st->frame, sizeof(st->frame), &len, until);

	if (r == DRV_TIMEOUT)
		return 0;
	if (r || len < HEAD || memcmp(st->frame, st->net[at].mac, 6) ||
		!load_record_check(st->frame + HEAD, len - HEAD, n, time))
		return load_fail(l, "a frame of %u bytes is wrong (%d)", r ? 0 : len, r);
	return 1;
}

/* A CAN FD frame whose identifier is of its direction. */
static int can_send(struct state *st, unsigned from, uint64_t number)
{
	struct drv_can_frame f = { .id = 0x100 + from, .flags = VIRTIO_CAN_FLAGS_FD, .len = 64 };

	load_record(f.data, f.len, number);
	return drv_can_send(&st->can[from], &f, seat_until());
}

static int can_recv(
	struct load *l, struct state *st, unsigned at, uint64_t until, uint64_t *n, uint64_t *time)
{
	struct drv_can_frame f;
	int r = drv_can_recv(&st->can[at], &f, until);

	if (r == DRV_TIMEOUT)
		return 0;
	if (r || f.id != 0x100 + !at || f.len != 64 || !load_record_check(f.data, f.len, n, time))
		return load_fail(l, "a frame is wrong (%d)", r);
	return 1;
}

static int new_state(struct load *l)
{
	l->state = calloc(1, sizeof(struct state));
	return l->state ? 0 : load_fail(l, "out of memory");
}

static int net_open(struct load *l)
{
	int r = new_state(l);
	struct state *st = l->state;

	for (unsigned i = 0; !r && i < 2; i++)
		r = drv_net_open(&st->net[i], &l->seat[i].dev, 1, 32);
	return r ? load_fail(l, "opening the network card: %d", r) : 0;
}

static int can_open(struct load *l)
{
	int r = new_state(l);
	struct state *st = l->state;

	for (unsigned i = 0; !r && i < 2; i++) {
		r = drv_can_open(&st->can[i], &l->seat[i].dev);
		st->can[i].timeout = seat_until() - ev_now_ns();
		if (!r)
			r = drv_can_start(&st->can[i]);
	}
	return r ? load_fail(l, "opening the controller: %d", r) : 0;
}

static int net_step(struct load *l)
{
	return exchange(l, net_send, net_recv);
}

static int net_finish(struct load *l)
{
	return settle(l, net_send, net_recv);
}

static int can_step(struct load *l)
{
	return exchange(l, can_send, can_recv);
}

static int can_finish(struct load *l)
{
	struct state *st = l->state;

	if (settle(l, can_send, can_recv))
		return -1;
	for (unsigned i = 0; i < 2; i++)
		if (drv_can_sync(&st->can[i], seat_until()) || st->can[i].failed)
			return load_fail(l, "%u frames failed", st->can[i].failed);
	return 0;
}

static const char *const net_words[] = { "switch", NULL };
static const char *const net_keys[] = { "mac=02:00:00:00:00:01", "mac=02:00:00:00:00:02" };
static const char *const can_words[] = { "can-bus", "--bitrate", "0", NULL };
static const char *const can_keys[] = { NULL, NULL };

const struct load_class load_net = { .name = "switch",
	.words = net_words,
	.keys = net_keys,
	.nports = 2,
	.id = DRV_ID_NET,
	.nqueues = 3,
	.open = net_open,
	.step = net_step,
	.finish = net_finish };

const struct load_class load_can = { .name = "can-bus",
	.words = can_words,
	.keys = can_keys,
	.nports = 2,
	.id = DRV_ID_CAN,
	.nqueues = 3,
	.open = can_open,
	.step = can_step,
	.finish = can_finish };
