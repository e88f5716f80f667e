/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays the drivers of two or four network cards, never sleeps, and sends numbered frames between
 * each two of them.
 *
 *     netpoll [-s SIZE] [-t SECONDS] [-b BATCH] [-o] [-p] [-i] [-v VID] SOCKET SOCKET [SOCKET
 * SOCKET]
 *
 * -o: one way only, from the first of each two to the second; -p: packed rings; -i: with an
 * in-flight record; -v: the second of each two sends and receives tagged frames, the first one
 * untagged ones. At most the ring's length of frames is on its way in each direction, so that none
 * need be lost. Every frame is checked for its number at both ends and for its length. Prints
 * frames, seconds, kicks, interrupts, and the share of a processor it had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "host/netport.h"
#include "ring.h"
#include "transport/vhost_user.h"

#define PORTS_MAX   4u
#define RING_SIZE   256u
#define BUF_LEN	    1600u
#define HDR_LEN	    12u
#define TEST_TYPE   0x88b5u /* IEEE 802 local experimental */
#define HELLO_TYPE  0x88b6u
#define PATIENCE_NS UINT64_C(5000000000)

struct port {
	struct vhud *d;
	struct ring rx, tx;
	struct port *peer;
	bool sends;
	unsigned index;
	uint32_t tag_len; /* bytes of the tag in its frames */
	uint64_t sent, received;
};

struct load {
	struct port port[PORTS_MAX];
	unsigned nports;
	uint32_t size, batch;
	unsigned vid;
	double seconds, share;
	bool one_way, packed, inflight;
};

static void fail(const char *why)
{
	fprintf(stderr, "netpoll: %s\n", why);
	exit(1);
}

/* Everything of a frame but its numbers. */
static void write_head(const struct load *l, const struct port *p, uint8_t *frame, unsigned type)
{
	const uint8_t addresses[12] = { 2, 0, 0, 0, 0, (uint8_t)p->peer->index, 2, 0, 0, 0, 0,
		(uint8_t)p->index };

	memcpy(frame, addresses, sizeof(addresses));
	if (p->tag_len) {
		net_put_be16(frame + 12, NET_ETHERTYPE_VLAN);
		net_put_be16(frame + 14, l->vid);
	}
	net_put_be16(frame + 12 + p->tag_len, type);
}

static void post(struct port *p, bool all)
{
	while (ring_next(&p->rx) && all)
		ring_add(&p->rx, BUF_LEN);
	ring_publish(&p->rx);
}

static void open_port(const struct load *l, struct port *p, const char *path)
{
	struct vhud_opts opts = {
		.features = FEATURE(15) | (l->packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0),
		.protocol = FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			    FEATURE(VHOST_USER_PROTOCOL_F_STATUS),
	};

	if (l->inflight) {
		opts.protocol |= FEATURE(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
		opts.nqueues = 2;
		opts.queue_size = RING_SIZE;
	}
	p->d = vhud_open(path);
	if (!p->d || vhud_negotiate(p->d, &opts))
		fail("cannot open a port");
	if (l->packed && !(vhud_negotiated(p->d) & FEATURE(VIRTIO_F_RING_PACKED)))
		fail("the other side has no packed rings");
	if (ring_start(&p->rx, p->d, 0, RING_SIZE, BUF_LEN, true) ||
		ring_start(&p->tx, p->d, 1, RING_SIZE, BUF_LEN, false) || vhud_driver_ok(p->d))
		fail("cannot start a port");
	post(p, true);
}

static void take_back(struct port *p)
{
	uint32_t len;

	while (ring_get(&p->tx, &len))
		;
}

/* So that the switch knows the addresses, and whoever floods these frames gets rid of them. */
static void introduce(struct load *l)
{
	uint64_t end = ev_now_ns() + 200000000;
	uint32_t len;

	for (unsigned i = 0; i < l->nports; i++) {
		struct port *p = &l->port[i];

		write_head(l, p, ring_buf(&p->tx, 0) + HDR_LEN, HELLO_TYPE);
		ring_add(&p->tx, HDR_LEN + l->size + p->tag_len);
		ring_publish(&p->tx);
	}
	while (ev_now_ns() < end) {
		for (unsigned i = 0; i < l->nports; i++) {
			while (ring_get(&l->port[i].rx, &len))
				;
			post(&l->port[i], true);
			take_back(&l->port[i]);
		}
	}
}

/* A frame's head stays in its buffer. */
static void prepare(const struct load *l, struct port *p)
{
	for (unsigned i = 0; i < RING_SIZE; i++)
		write_head(l, p, ring_buf(&p->tx, i) + HDR_LEN, TEST_TYPE);
}

static void number_frame(const struct load *l, const struct port *p, uint8_t *frame)
{
	uint64_t at_end = ~p->sent;

	memcpy(frame + NET_ETH_LEN + p->tag_len, &p->sent, 8);
	memcpy(frame + l->size + p->tag_len - 8, &at_end, 8);
}

static void send_some(const struct load *l, struct port *p)
{
	uint8_t *buf;

	take_back(p);
	for (unsigned n = 0; n < l->batch; n++) {
		if (p->sent - p->peer->received == RING_SIZE)
			break;
		buf = ring_next(&p->tx);
		if (!buf)
			break;
		number_frame(l, p, buf + HDR_LEN);
		ring_add(&p->tx, HDR_LEN + l->size + p->tag_len);
		p->sent++;
	}
	ring_publish(&p->tx);
}

/* Who learns slowly still sends these when the others come. */
static bool is_hello(const struct port *p, const uint8_t *frame)
{
	return net_be16(frame + 12 + p->tag_len) == HELLO_TYPE;
}

static void check_frame(
	const struct load *l, const struct port *p, const uint8_t *frame, uint32_t len)
{
	uint32_t size = l->size + p->tag_len;
	uint64_t number, at_end;

	memcpy(&number, frame + NET_ETH_LEN + p->tag_len, 8);
	memcpy(&at_end, frame + size - 8, 8);
	if (len != size + HDR_LEN || number != p->received || at_end != ~number ||
		net_be16(frame + 12 + p->tag_len) != TEST_TYPE) {
		fprintf(stderr,
			"netpoll: port %u: a frame is lost, out of order or damaged: number %llu, "
			"%u bytes, instead of number %llu, %u bytes\n",
			p->index, (unsigned long long)number, len, (unsigned long long)p->received,
			size + HDR_LEN);
		exit(1);
	}
}

static void receive_some(const struct load *l, struct port *p)
{
	const uint8_t *buf;
	uint32_t len;

	for (unsigned n = 0; n < l->batch && (buf = ring_get(&p->rx, &len)); n++) {
		if (!is_hello(p, buf + HDR_LEN)) {
			check_frame(l, p, buf + HDR_LEN, len);
			p->received++;
		}
		ring_add(&p->rx, BUF_LEN);
	}
	ring_publish(&p->rx);
}

static uint64_t total(const struct load *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < l->nports; i++)
		n += l->port[i].received;
	return n;
}

/* One turn; how many frames are on their way. */
static uint64_t turn(const struct load *l, struct port *p, bool more)
{
	if (more && p->sends)
		send_some(l, p);
	else
		take_back(p);
	if (p->peer->sends)
		receive_some(l, p);
	return p->sent - p->peer->received;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void run(struct load *l)
{
	uint64_t start = ev_now_ns(), now = start, last = start, before = 0, out = 0;
	uint64_t cpu = cpu_ns();
	uint64_t end = start + (uint64_t)(l->seconds * 1e9);

	do {
		for (unsigned round = 0; round < 64; round++) {
			out = 0;
			for (unsigned i = 0; i < l->nports; i++)
				out += turn(l, &l->port[i], now < end);
		}
		now = ev_now_ns();
		if (total(l) != before)
			last = now;
		before = total(l);
		if (now - last > PATIENCE_NS)
			fail("frames do not arrive");
	} while (now < end || out);
	l->seconds = (double)(now - start) / 1e9;
	l->share = (double)(cpu_ns() - cpu) / (double)(now - start);
}

static void parse(struct load *l, int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "s:t:b:v:opi")) != -1;) {
		switch (c) {
		case 's':
			l->size = (uint32_t)atoi(optarg);
			break;
		case 't':
			l->seconds = strtod(optarg, NULL);
			break;
		case 'b':
			l->batch = (uint32_t)atoi(optarg);
			break;
		case 'v':
			l->vid = (unsigned)atoi(optarg);
			break;
		case 'o':
			l->one_way = true;
			break;
		case 'p':
			l->packed = true;
			break;
		case 'i':
			l->inflight = true;
			break;
		default:
			exit(2);
		}
	}
	l->nports = (unsigned)(argc - optind);
	if (l->nports != 2 && l->nports != 4)
		fail("it takes two or four sockets");
	if (l->size < 60 || l->size > 1514 || !l->batch || l->batch > RING_SIZE)
		fail("SIZE is 60 to 1514, BATCH 1 to 256");
}

/* Signals that nobody took. */
static uint64_t signals(int fd)
{
	uint64_t n = 0;

	return fd_nonblock(fd) || read(fd, &n, sizeof(n)) != sizeof(n) ? 0 : n;
}

static void print_result(const struct load *l)
{
	uint64_t kicks = 0, interrupts = 0;

	for (unsigned i = 0; i < l->nports; i++) {
		const struct port *p = &l->port[i];

		kicks += p->rx.kicks + p->tx.kicks;
		interrupts += signals(p->rx.call) + signals(p->tx.call);
	}
	printf("%llu %.6f %llu %llu %.3f\n", (unsigned long long)total(l), l->seconds,
		(unsigned long long)kicks, (unsigned long long)interrupts, l->share);
}

int main(int argc, char **argv)
{
	struct load l = { .size = 64, .batch = 32, .seconds = 1 };

	parse(&l, argc, argv);
	for (unsigned i = 0; i < l.nports; i++) {
		struct port *p = &l.port[i];

		p->index = i;
		p->peer = &l.port[i ^ 1];
		p->sends = !l.one_way || !(i & 1);
		p->tag_len = l.vid && (i & 1) ? NET_VLAN_LEN : 0;
		open_port(&l, p, argv[optind + (int)i]);
	}
	introduce(&l);
	for (unsigned i = 0; i < l.nports; i++)
		prepare(&l, &l.port[i]);
	run(&l);
	print_result(&l);
	for (unsigned i = 0; i < l.nports; i++)
		vhud_close(l.port[i].d);
	return 0;
}
