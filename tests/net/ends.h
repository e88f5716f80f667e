/* SPDX-License-Identifier: BSD-3-Clause */
/* Link ends for tests: they keep the frames that they receive, and make frames. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "host/netport.h"

#define END_FRAMES 256

/* A received frame. */
struct end_frame {
	uint32_t len;
	struct net_hdr hdr;
	uint8_t data[2048]; /* the first bytes */
};

/* The owner of one end. */
struct end {
	struct netport port;
	unsigned n;	 /* frames received */
	unsigned room;	 /* how many more are taken before -EAGAIN */
	unsigned rooms;	 /* calls of room() */
	unsigned states; /* calls of state() */
	struct end_frame got[END_FRAMES];
};

static inline int end_receive(struct netport *p, const struct net_frame *f)
{
	struct end *e = container_of(p, struct end, port);
	struct end_frame *g = &e->got[e->n % END_FRAMES];
	struct iovec iov = { g->data, sizeof(g->data) };
	struct iov_iter at;

	if (!e->room)
		return -EAGAIN;
	e->room--;
	g->len = f->len;
	g->hdr = f->hdr;
	iov_iter_init(&at, &iov, 1);
	net_frame_copy(&at, f);
	e->n++;
	return 0;
}

static inline void end_room(struct netport *p)
{
	container_of(p, struct end, port)->rooms++;
}

static inline void end_state(struct netport *p)
{
	container_of(p, struct end, port)->states++;
}

static const struct netport_ops end_ops = { end_receive, end_room, end_state };

static inline void end_init(struct end *e)
{
	memset(e, 0, sizeof(*e));
	e->port.ops = &end_ops;
	e->port.up = true;
	e->room = 1u << 30;
}

/* Sends `len` bytes of plain frame. */
static inline int end_send(struct end *e, const void *data, size_t len, const struct net_hdr *hdr)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct net_frame f;
	struct iov_iter at;

	iov_iter_init(&at, &iov, 1);
	if (net_frame_init(&f, &at, (uint32_t)len, hdr))
		return -EBADMSG;
	return netport_send(&e->port, &f);
}

/* Addresses of tests: 02:00:00:00:00:N. */
static inline void put_mac(uint8_t *p, unsigned n)
{
	memset(p, 0, 6);
	p[0] = n == 0xff ? 0xff : 2;
	if (n == 0xff)
		memset(p, 0xff, 6);
	else
		p[4] = (uint8_t)(n >> 8), p[5] = (uint8_t)n;
}

/* A frame of `len` bytes; vid < 0: untagged. The payload counts up from `mark`. Returns len. */
static inline size_t make_frame(
	uint8_t *p, size_t len, unsigned dst, unsigned src, int vid, unsigned pcp, uint8_t mark)
{
	size_t at = 12;

	put_mac(p, dst);
	put_mac(p + 6, src);
	if (vid >= 0) {
		net_put_be16(p + at, NET_ETHERTYPE_VLAN);
		net_put_be16(p + at + 2, pcp << 13 | (unsigned)vid);
		at += 4;
	}
	net_put_be16(p + at, 0x88b5); /* for local experiments */
	for (at += 2; at < len; at++)
		p[at] = mark++;
	return len;
}
