/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The neighbour of a hostile guest: writes to its disk and reads it back, sends frames from one of
 * its ports to the other, watches over its memory, and tells twice a second how far it is. Whatever
 * is not as it was left is an error; a frame that got lost is not, but then none is counted.
 */
#include "conformance/neighbour.h"

#include "conformance/guest/role.h"
#include "drivers/blk.h"
#include "drivers/net.h"

#define BEAT_NS	   UINT64_C(500000000)
#define FRAME_NS   UINT64_C(1000000000) /* that a frame may take */
#define WATCHED	   (1u << 20)		/* bytes of memory with a pattern */
#define PIECE	   4096u
#define SECTORS	   (NEIGHBOUR_BLOCK / DRV_BLK_SECTOR)
#define FRAME	   256u
#define HEADER	   14u
#define DATA	   (HEADER + 4) /* behind the number */
#define ETHERTYPE  0x88b5u	/* IEEE 802: for local experiments */
#define NEIGHBOURS 2u

struct neighbour {
	struct drv_blk blk;
	struct drv_net port[NEIGHBOURS];
	uint8_t *memory, *block;
	uint64_t writes, disk, frames, errors, beats;
	uint64_t given_up; /* frames that may come yet */
	unsigned piece;
};

static void error(struct neighbour *n, const char *what)
{
	if (!n->errors++)
		role_say("error: %s", what);
}

/* The next block, and back; then one that was written half a round ago. */
static void use_disk(struct neighbour *n)
{
	uint32_t block = n->writes % NEIGHBOUR_BLOCKS, old = (block + 32) % NEIGHBOUR_BLOCKS;

	cf_pattern(n->block, neighbour_seed(block, n->writes + 1), NEIGHBOUR_BLOCK);
	if (drv_blk_write(&n->blk, block * SECTORS, n->block, NEIGHBOUR_BLOCK))
		error(n, "a write to the disk failed");
	n->writes++;
	if (old >= n->writes)
		old = block;
	cf_fill(n->block, 0, NEIGHBOUR_BLOCK);
	if (drv_blk_read(&n->blk, old * SECTORS, n->block, NEIGHBOUR_BLOCK))
		error(n, "a read from the disk failed");
	else if (!cf_is_pattern(n->block, neighbour_seed(old, n->writes), NEIGHBOUR_BLOCK))
		error(n, "a block of the disk is not what was written");
	if (block == 0 && drv_blk_flush(&n->blk))
		error(n, "a flush of the disk failed");
	n->disk += 2;
}

static void make_frame(uint8_t *f, const struct neighbour *n, unsigned from, uint32_t number)
{
	cf_copy(f, n->port[!from].mac, 6);
	cf_copy(f + 6, n->port[from].mac, 6);
	f[12] = ETHERTYPE >> 8;
	f[13] = ETHERTYPE & 0xff;
	__builtin_memcpy(f + HEADER, &number, sizeof(number));
	cf_pattern(f + DATA, number, FRAME - DATA);
}

/* A frame that came after it was given up; more of them would be frames that came twice. */
static bool is_late(struct neighbour *n, const uint8_t *f, uint32_t len, uint32_t number)
{
	uint32_t got;

	__builtin_memcpy(&got, f + HEADER, sizeof(got));
	if (!n->given_up || len != FRAME || (int32_t)(got - number) >= 0 ||
		!cf_is_pattern(f + DATA, got, FRAME - DATA))
		return false;
	n->given_up--;
	return true;
}

/* Others may send frames, too: only those from the other port count. */
static bool is_ours(const struct neighbour *n, const uint8_t *f, uint32_t len, unsigned from)
{
	return len >= HEADER && cf_same(f, n->port[!from].mac, 6) &&
	       cf_same(f + 6, n->port[from].mac, 6) && f[12] == ETHERTYPE >> 8 &&
	       f[13] == (ETHERTYPE & 0xff);
}

static void use_net(struct neighbour *n, unsigned from)
{
	uint64_t until = bare_time() + FRAME_NS;
	uint32_t len, number = (uint32_t)n->frames + from;
	uint8_t sent[FRAME], got[2048];

	make_frame(sent, n, from, number);
	if (drv_net_send(&n->port[from], 0, sent, FRAME, until)) {
		error(n, "a frame cannot be sent");
		return;
	}
	while (!drv_net_recv(&n->port[!from], 0, got, sizeof(got), &len, until)) {
		if (!is_ours(n, got, len, from) || is_late(n, got, len, number))
			continue;
		if (len != FRAME || !cf_same(got, sent, FRAME))
			error(n, "a frame is not what was sent");
		n->frames++;
		return;
	}
	n->given_up++;
}

static void watch_memory(struct neighbour *n)
{
	uint8_t *p = n->memory + n->piece * PIECE;

	if (!cf_is_pattern(p, n->piece, PIECE)) {
		error(n, "memory has changed");
		cf_pattern(p, n->piece, PIECE);
	}
	n->piece = (n->piece + 1) % (WATCHED / PIECE);
}

static bool start(struct neighbour *n, struct bare_virtio_list *devices)
{
	struct bare_virtio *blk = bare_virtio_get(devices, DRV_ID_BLK, 0);

	n->memory = bare_alloc(WATCHED, PIECE);
	n->block = bare_alloc(NEIGHBOUR_BLOCK, DRV_BLK_SECTOR);
	if (!n->memory || !n->block || !blk || drv_blk_open(&n->blk, blk->dev))
		return false;
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct bare_virtio *net = bare_virtio_get(devices, DRV_ID_NET, i);

		if (!net || drv_net_open(&n->port[i], net->dev, 1, 0))
			return false;
	}
	for (unsigned i = 0; i < WATCHED / PIECE; i++)
		cf_pattern(n->memory + i * PIECE, i, PIECE);
	return true;
}

int role_neighbour(struct bare_virtio_list *devices)
{
	static struct neighbour n;
	uint64_t next = 0;

	if (!start(&n, devices)) {
		role_say("error: the neighbour needs memory, a disk and two network devices");
		return DRV_GONE;
	}
	while (!bare_button()) {
		use_disk(&n);
		use_net(&n, 0);
		use_net(&n, 1);
		watch_memory(&n);
		if (bare_time() < next)
			continue;
		role_say("beat %llu %llu %llu %llu", (unsigned long long)++n.beats,
			(unsigned long long)n.disk, (unsigned long long)n.frames,
			(unsigned long long)n.errors);
		next = bare_time() + BEAT_NS;
	}
	if (drv_blk_flush(&n.blk))
		error(&n, "the last flush of the disk failed");
	role_say("bye %llu", (unsigned long long)n.writes);
	return 0;
}
