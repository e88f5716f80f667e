/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hostile guest does to its neighbours with means that nobody takes from it: its own virtual
 * CPU, its disk, its port on the common switch.
 *
 *     idle      nothing; its devices are started
 *     spin      computes: no attack, but what an honest neighbour may do
 *     kicks     notifies all queues without end, with nothing in them
 *     abuse     chains outside its memory, a reset after each
 *     full      all queues full at any time: long reads, frames for everybody of full length
 *     storm     single requests and single frames to its neighbour, each with an interrupt
 *     thrash    writes to 64 MiB, a word in each cache line, and reads its disk into them
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "guestload.h"

#define READ_LEN   (128u << 10)
#define READS	   32u
#define FRAME_LEN  1514u
#define FRAMES	   256u
#define CACHE_LINE 64u
#define THRASH	   (64u << 20)
#define BURST	   256u /* frames or lines between two looks at the other device */

struct hostile {
	const char *disk_path;
	struct vhud *disk, *port;
	struct vhud_opts opts; /* of the disk */
	struct iovec reads[READS][3];
	uint8_t *frames;
	unsigned next_frame;
	uint8_t *memory;
};

static void open_disk(struct hostile *h, uint64_t features)
{
	h->opts = (struct vhud_opts){ .features = features, .nqueues = 1, .queue_size = 128 };
	h->disk = vhud_open(h->disk_path);
	if (!h->disk || vhud_start(h->disk, &h->opts))
		guestload_fail("cannot start the attacker's disk");
	for (unsigned i = 0; i < READS; i++) {
		h->reads[i][0] = (struct iovec){ vhud_alloc(h->disk, 16), 16 };
		h->reads[i][1] = (struct iovec){ vhud_alloc(h->disk, READ_LEN), READ_LEN };
		h->reads[i][2] = (struct iovec){ vhud_alloc(h->disk, 1), 1 };
	}
}

/* Frames from 02:..:03 to everybody, or to the neighbour's second port. */
static void make_frames(struct hostile *h, const char *to)
{
	h->frames = vhud_alloc(h->port, FRAMES * 2048u);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t *p = h->frames + i * 2048u + GUESTLOAD_HDR;

		memcpy(p, to, 6);
		memcpy(p + 6, "\2\0\0\0\0\3\x88\xb6", 8);
	}
}

/* False if the queue is full. */
static bool send_frame(struct hostile *h, uint32_t len)
{
	struct iovec iov = { h->frames + h->next_frame % FRAMES * 2048u, GUESTLOAD_HDR + len };

	if (vhud_add(h->port, 1, &iov, 1, 0, NULL))
		return false;
	h->next_frame++;
	return true;
}

static void take_back(struct vhud *d, unsigned q)
{
	while (vhud_wait(d, q, NULL, NULL, 0) == 1)
		;
}

static void spin(struct hostile *h)
{
	for (volatile unsigned n = 0; n < 100000; n++)
		;
}

static void sleep_well(struct hostile *h)
{
	pause();
}

static void kicks(struct hostile *h)
{
	for (unsigned i = 0; i < BURST; i++) {
		fd_event_signal(vhud_kick_fd(h->disk, 0));
		fd_event_signal(vhud_kick_fd(h->port, 0));
		fd_event_signal(vhud_kick_fd(h->port, 1));
	}
}

static void abuse(struct hostile *h)
{
	struct iovec outside = { (uint8_t *)h->reads[0][0].iov_base + (UINT64_C(1) << 40), 16 };

	vhud_add(h->disk, 0, &outside, 1, 0, NULL);
	fd_event_signal(vhud_kick_fd(h->disk, 0));
	if (!vhud_needs_reset(h->disk) || vhud_reset(h->disk) || vhud_start(h->disk, &h->opts))
		guestload_fail("the attacker's disk does not survive it");
}

static void read_all(struct hostile *h, uint32_t len)
{
	for (unsigned i = 0; i < READS; i++) {
		h->reads[i][1].iov_len = len;
		if (vhud_add(h->disk, 0, h->reads[i], 1, 2, NULL))
			return;
	}
}

static void full(struct hostile *h)
{
	take_back(h->disk, 0);
	take_back(h->port, 1);
	read_all(h, READ_LEN);
	for (unsigned i = 0; i < BURST && send_frame(h, FRAME_LEN); i++)
		;
	vhud_kick(h->disk, 0);
	vhud_kick(h->port, 1);
}

/* Without EVENT_IDX each kick may be answered by an interrupt. */
static void storm(struct hostile *h)
{
	take_back(h->disk, 0);
	take_back(h->port, 1);
	if (!vhud_add(h->disk, 0, h->reads[0], 1, 2, NULL))
		fd_event_signal(vhud_kick_fd(h->disk, 0));
	if (send_frame(h, 60))
		fd_event_signal(vhud_kick_fd(h->port, 1));
}

static void thrash(struct hostile *h)
{
	if (!h->memory)
		h->memory = mmap(
			NULL, THRASH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h->memory == MAP_FAILED)
		guestload_fail("no memory");
	for (unsigned i = 0; i < THRASH; i += CACHE_LINE)
		h->memory[i]++;
	take_back(h->disk, 0);
	read_all(h, READ_LEN);
	vhud_kick(h->disk, 0);
}

static const struct {
	const char *name;
	void (*turn)(struct hostile *h);
	const char *to; /* of its frames */
	bool event_idx;
} kinds[] = {
	{ "idle", sleep_well, "\xff\xff\xff\xff\xff\xff", true },
	{ "spin", spin, "\xff\xff\xff\xff\xff\xff", true },
	{ "kicks", kicks, "\xff\xff\xff\xff\xff\xff", false },
	{ "abuse", abuse, "\xff\xff\xff\xff\xff\xff", true },
	{ "full", full, "\xff\xff\xff\xff\xff\xff", true },
	{ "storm", storm, "\2\0\0\0\0\2", false },
	{ "thrash", thrash, "\xff\xff\xff\xff\xff\xff", true },
};

void attack(const char *kind, const char *disk, const char *port)
{
	static struct hostile h;
	unsigned i = 0;

	while (i < ARRAY_LEN(kinds) && strcmp(kind, kinds[i].name) != 0)
		i++;
	if (i == ARRAY_LEN(kinds))
		guestload_fail("no such attack");
	h.disk_path = disk;
	open_disk(&h, kinds[i].event_idx ? FEATURE(VIRTIO_F_EVENT_IDX) : 0);
	h.port = guestload_port(port, kinds[i].event_idx ? FEATURE(VIRTIO_F_EVENT_IDX) : 0);
	make_frames(&h, kinds[i].to);
	for (;;)
		kinds[i].turn(&h);
}
