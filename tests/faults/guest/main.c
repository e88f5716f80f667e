/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest for tests that kill its monitor or all of the system: it writes its disk round after
 * round, block after block, and says so on its console. Each write is waited for, so whenever it
 * starts anew, the blocks from the first on are of one round and the rest of the one before; only
 * the block that was being written may be of either. It looks whether that is so and says
 *
 *     up ROUND      the disk is what it must be, and the work goes on from there
 *     tick N        some more blocks were written and read back
 *     wrong WHAT N  block N is not what it must be; then it stops
 */
#include "drivers/blk.h"
#include "drivers/console.h"
#include "guests/bare/virtio.h"

#define BLOCKS	      64u
#define WORDS	      (DRV_BLK_SECTOR / 4)
#define TICK	      8u
#define DEVICE_MEMORY (256u << 10)
#define LIMIT	      UINT64_C(60000000000) /* ns */

static struct bare_virtio_list devices;
static struct drv_blk blk;
static struct drv_console console;
static uint32_t *block;

static void say(const char *what, uint32_t n)
{
	char line[48], digits[10];
	unsigned at = 0, d = 0;

	while (what[at]) {
		line[at] = what[at];
		at++;
	}
	line[at++] = ' ';
	do {
		digits[d++] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	while (d)
		line[at++] = digits[--d];
	line[at++] = '\n';
	drv_console_write(&console, 0, line, at);
}

static uint32_t word(uint32_t n, uint32_t round, uint32_t i)
{
	return round ? (round * 0x9e3779b1u + n * 0x85ebca77u) ^ i : 0;
}

/* The round of block n, as it is on the disk; UINT32_MAX: it is not what was ever written there. */
static uint32_t read_round(uint32_t n)
{
	if (drv_blk_read(&blk, n, block, DRV_BLK_SECTOR))
		return UINT32_MAX;
	for (uint32_t i = 1; i < WORDS; i++)
		if (block[i] != word(n, block[0], i))
			return UINT32_MAX;
	return block[0];
}

static int write_round(uint32_t n, uint32_t round)
{
	block[0] = round;
	for (uint32_t i = 1; i < WORDS; i++)
		block[i] = word(n, round, i);
	return drv_blk_write(&blk, n, block, DRV_BLK_SECTOR);
}

/* Where the work stopped: the first block that is not of the round of block 0. */
static bool look(uint32_t *round, uint32_t *next)
{
	uint32_t before = read_round(0);

	*round = before;
	*next = BLOCKS;
	for (uint32_t n = 0; n < BLOCKS; n++) {
		uint32_t r = read_round(n);

		if (r == UINT32_MAX || (r != before && (*next != BLOCKS || r + 1 != before))) {
			say("wrong content", n);
			return false;
		}
		if (r != before)
			*next = n;
		before = r;
	}
	return true;
}

static bool work(uint32_t round, uint32_t next)
{
	for (uint32_t n = next; n < BLOCKS; n++) {
		if (write_round(n, round) || read_round(n) != round) {
			say("wrong answer", n);
			return false;
		}
		if (n % TICK == TICK - 1)
			say("tick", round);
		if (bare_button())
			bare_power_off();
	}
	return !drv_blk_flush(&blk);
}

static int open_devices(struct bare_info *info)
{
	struct bare_virtio *c, *b;
	int r;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	c = bare_virtio_get(&devices, DRV_ID_CONSOLE, 0);
	b = bare_virtio_get(&devices, DRV_ID_BLK, 0);
	if (!c || !b)
		return DRV_GONE;
	r = drv_console_open(&console, c->dev, 1);
	if (!r)
		r = drv_blk_open(&blk, b->dev);
	console.timeout = LIMIT;
	blk.timeout = LIMIT;
	block = bare_alloc(DRV_BLK_SECTOR, DRV_BLK_SECTOR);
	return r || !block ? DRV_GONE : 0;
}

int bare_main(struct bare_info *info)
{
	uint32_t round, next;

	if (open_devices(info) || !look(&round, &next))
		return 1;
	say("up", round);
	if (next == BLOCKS)
		next = 0;
	if (!next)
		round++;
	while (work(round, next)) {
		round++;
		next = 0;
	}
	return 1;
}
