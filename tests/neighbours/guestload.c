/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays guests that share a computer, without a computer each: drivers on vhost-user sockets.
 *
 *     guestload fill FILE                            the image that `blk` reads
 *     guestload blk TALLY PER_MS SOCKET              reads 4 KiB blocks at random, and checks them
 *     guestload net TALLY PER_MS SOCKET SOCKET       sends frames from one port to the other
 *     guestload attack KIND BLK_SOCKET NET_SOCKET    does harm (attack.c)
 *
 * PER_MS operations are begun every millisecond, at most BURST; with 0 there are always DEPTH under
 * way. They run until they are killed; TALLY is a file in which they count (struct tally).
 */
#include "guestload.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

#define BLOCK	4096u
#define BLOCKS	8192u /* of the image */
#define DEPTH	32u
#define BURST	128u /* operations of a millisecond, at most */
#define FRAME	64u
#define BUF_LEN 2048u
#define LOST_MS 20		      /* a frame that takes longer is lost */
#define LATE	(64 * GUESTLOAD_RING) /* frames after which none comes any more */
#define TICK_NS UINT64_C(1000000)

struct pace {
	unsigned per_ms; /* 0: as fast as possible */
	uint64_t next_ns;
};

void guestload_fail(const char *why)
{
	fprintf(stderr, "guestload: %s\n", why);
	exit(1);
}

static struct tally *open_tally(const char *path)
{
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct tally *t = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(*t)))
		t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t == MAP_FAILED)
		guestload_fail("cannot map the tally");
	return t;
}

/* Sleeps until the next millisecond; what was missed meanwhile is not made up for. */
static void await(struct pace *p)
{
	uint64_t now = ev_now_ns();
	struct timespec ts;

	if (!p->per_ms)
		return;
	p->next_ns = max_u64(p->next_ns + TICK_NS, now);
	ts = (struct timespec){ (time_t)(p->next_ns / 1000000000u),
		(long)(p->next_ns % 1000000000u) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static unsigned at_once(const struct pace *p)
{
	return p->per_ms ? p->per_ms : DEPTH;
}

/* Disk. */

static uint64_t word(uint64_t block, unsigned i)
{
	return (block + 1) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

static void fill(const char *path)
{
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t data[BLOCK / 8];

	for (unsigned b = 0; b < BLOCKS; b++) {
		for (unsigned i = 0; i < BLOCK / 8; i++)
			data[i] = word(b, i);
		if (pwrite(fd, data, BLOCK, (off_t)b * BLOCK) != BLOCK)
			guestload_fail("cannot write the image");
	}
}

struct request {
	struct iovec iov[3]; /* header, data, status */
	uint64_t block;
};

struct disk {
	struct vhud *d;
	struct tally *tally;
	struct request requests[BURST];
	uint64_t random;
};

static void open_disk(struct disk *k, const char *path)
{
	const struct vhud_opts opts = { .features = FEATURE(VIRTIO_F_INDIRECT_DESC) |
						    FEATURE(VIRTIO_F_EVENT_IDX),
		.nqueues = 1,
		.queue_size = BURST };

	k->d = vhud_open(path);
	if (!k->d || vhud_start(k->d, &opts))
		guestload_fail("cannot start the disk");
	for (unsigned i = 0; i < BURST; i++) {
		struct request *r = &k->requests[i];

		r->iov[0] = (struct iovec){ vhud_alloc(k->d, 16), 16 };
		r->iov[1] = (struct iovec){ vhud_alloc(k->d, BLOCK), BLOCK };
		r->iov[2] = (struct iovec){ vhud_alloc(k->d, 1), 1 };
	}
}

static void submit(struct disk *k, struct request *r)
{
	uint64_t header[2] = { 0 };

	k->random = k->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	r->block = (k->random >> 33) % BLOCKS;
	header[1] = r->block * (BLOCK / 512);
	memcpy(r->iov[0].iov_base, header, sizeof(header));
	*(uint8_t *)r->iov[2].iov_base = 0xff;
	if (vhud_add(k->d, 0, r->iov, 1, 2, r))
		guestload_fail("the disk's queue has no room");
}

static void check_block(struct disk *k, const struct request *r)
{
	const uint64_t *data = r->iov[1].iov_base;

	if (*(const uint8_t *)r->iov[2].iov_base || data[0] != word(r->block, 0) ||
		data[BLOCK / 8 - 1] != word(r->block, BLOCK / 8 - 1))
		k->tally->bad++;
	k->tally->done++;
}

/* Takes what is answered, at least one; each answer is followed by a new request if `again`. */
static unsigned reap(struct disk *k, bool again)
{
	int timeout = VHUD_TIMEOUT_MS;
	void *token;
	unsigned n = 0;

	for (; vhud_wait(k->d, 0, &token, NULL, timeout) == 1; timeout = 0, n++) {
		check_block(k, token);
		if (again)
			submit(k, token);
	}
	if (!n)
		guestload_fail("the disk does not answer");
	return n;
}

static void run_disk(struct tally *tally, struct pace *pace, const char *path)
{
	struct disk k = { .tally = tally, .random = 7 };

	open_disk(&k, path);
	for (bool first = true;; first = false) {
		unsigned left = at_once(pace);

		await(pace);
		for (unsigned i = 0; (first || pace->per_ms) && i < left; i++)
			submit(&k, &k.requests[i]);
		vhud_kick(k.d, 0);
		if (!pace->per_ms)
			reap(&k, true);
		while (pace->per_ms && left)
			left -= reap(&k, false);
	}
}

/* Network. */

struct vhud *guestload_port(const char *path, uint64_t features)
{
	const struct vhud_opts opts = {
		.features = features | FEATURE(15), .nqueues = 2, .queue_size = GUESTLOAD_RING
	};
	struct vhud *d = vhud_open(path);

	if (!d || vhud_start(d, &opts))
		guestload_fail("cannot start a port");
	return d;
}

static void post(struct vhud *d, uint8_t *buf)
{
	struct iovec iov = { buf, BUF_LEN };

	if (vhud_add(d, 0, &iov, 0, 1, buf))
		guestload_fail("cannot post a receive buffer");
}

struct net {
	struct vhud *from, *to;
	struct tally *tally;
	uint8_t *frames;
	uint64_t sent, seen; /* numbers of frames */
	uint64_t heard_ns;   /* when the last one came */
};

/* Addresses 02:..:01 (from) and 02:..:02 (to). */
static void send_frames(struct net *n, unsigned window)
{
	while (vhud_wait(n->from, 1, NULL, NULL, 0) == 1)
		;
	for (; n->sent - n->seen < window; n->sent++) {
		uint8_t *p = n->frames + n->sent % GUESTLOAD_RING * BUF_LEN;
		struct iovec iov = { p, GUESTLOAD_HDR + FRAME };

		memcpy(p + GUESTLOAD_HDR, "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5", 14);
		memcpy(p + GUESTLOAD_HDR + 14, &n->sent, sizeof(n->sent));
		if (vhud_add(n->from, 1, &iov, 1, 0, NULL))
			break;
	}
	vhud_kick(n->from, 1);
}

/* Others send, too: what is not from the first port does not count. */
static void take_frame(struct net *n, const uint8_t *p, uint32_t len)
{
	uint64_t number;

	if (len < 14 || memcmp(p + 6, "\2\0\0\0\0\1\x88\xb5", 8) != 0)
		return;
	memcpy(&number, p + 14, sizeof(number));
	if (len != FRAME || number >= n->sent || number + LATE < n->sent) {
		n->tally->bad++;
		return;
	}
	n->tally->done++;
	if (number < n->seen) { /* after it was given up */
		n->tally->lost--;
		return;
	}
	n->tally->lost += number - n->seen;
	n->seen = number + 1;
	n->heard_ns = ev_now_ns();
}

/* Takes up to a ring of what is there. None of ours for LOST_MS: what was under way is lost. */
static void receive(struct net *n)
{
	int timeout = LOST_MS;
	unsigned left = GUESTLOAD_RING;
	void *token;
	uint32_t len;

	for (; left && vhud_wait(n->to, 0, &token, &len, timeout) == 1; timeout = 0, left--) {
		take_frame(n, (uint8_t *)token + GUESTLOAD_HDR, len - GUESTLOAD_HDR);
		post(n->to, token);
	}
	vhud_kick(n->to, 0);
	if (ev_now_ns() - n->heard_ns < LOST_MS * UINT64_C(1000000))
		return;
	n->tally->lost += n->sent - n->seen;
	n->seen = n->sent;
	n->heard_ns = ev_now_ns();
}

/* So that the switch knows where the second address is. */
static void introduce(struct vhud *d)
{
	uint8_t *p = vhud_alloc(d, GUESTLOAD_HDR + FRAME);
	struct iovec iov = { p, GUESTLOAD_HDR + FRAME };

	memcpy(p + GUESTLOAD_HDR, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\xb5", 14);
	if (vhud_add(d, 1, &iov, 1, 0, NULL))
		guestload_fail("cannot send a frame");
	vhud_kick(d, 1);
	vhud_wait(d, 1, NULL, NULL, VHUD_TIMEOUT_MS);
}

static void run_net(struct tally *tally, struct pace *pace, char **path)
{
	struct net n = { .tally = tally };
	uint8_t *rx;

	n.from = guestload_port(path[0], FEATURE(VIRTIO_F_EVENT_IDX));
	n.to = guestload_port(path[1], FEATURE(VIRTIO_F_EVENT_IDX));
	n.frames = vhud_alloc(n.from, GUESTLOAD_RING * BUF_LEN);
	rx = vhud_alloc(n.to, GUESTLOAD_RING * BUF_LEN);
	for (unsigned i = 0; i < GUESTLOAD_RING; i++)
		post(n.to, rx + i * BUF_LEN);
	vhud_kick(n.to, 0);
	introduce(n.to);
	for (;;) {
		await(pace);
		send_frames(&n, pace->per_ms ? pace->per_ms : GUESTLOAD_RING / 2);
		do
			receive(&n);
		while (pace->per_ms && n.seen < n.sent);
	}
}

int main(int argc, char **argv)
{
	struct pace pace = { 0 };

	if (argc == 3 && !strcmp(argv[1], "fill")) {
		fill(argv[2]);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "attack"))
		attack(argv[2], argv[3], argv[4]);
	if (argc < 5 || argc > 6)
		guestload_fail("usage: fill FILE | blk TALLY PER_MS SOCKET | net TALLY PER_MS "
			       "SOCKET SOCKET | attack KIND SOCKET SOCKET");
	pace.per_ms = (unsigned)min_u64(strtoul(argv[3], NULL, 10), BURST);
	if (!strcmp(argv[1], "blk"))
		run_disk(open_tally(argv[2]), &pace, argv[4]);
	if (!strcmp(argv[1], "net") && argc == 6)
		run_net(open_tally(argv[2]), &pace, argv + 4);
	guestload_fail("unknown command");
}
