/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk on failing storage. See disk_rig.h. */
#include "disk_rig.h"

#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"

#define SECTOR 512u

static int start(struct disk_rig *r, const char *cache, struct err *e)
{
	const char *const words[] = { "device", "blk", "--image", r->fs.path, "--cache", cache,
		"--discard", "false", NULL };
	int ret = server_init(&r->srv, e);

	if (!ret)
		ret = server_start(&r->srv, words, NULL, 1, e);
	if (!ret)
		ret = seat_open(&r->seat, r->srv.path[0], DRV_ID_BLK, 1, 0);
	if (!ret && drv_blk_open(&r->blk, &r->seat.dev))
		ret = err_set(e, -EIO, "the driver cannot open the disk");
	r->blk.timeout = seat_until() - ev_now_ns();
	return ret;
}

bool rig_open(struct disk_rig *r, struct tap *t, const char *cache)
{
	struct err e = { 0 };
	int ret;

	memset(r, 0, sizeof(*r));
	ret = faultfs_open(&r->fs, strncmp(cache, "write", 5) != 0, &e);
	if (ret) {
		faultfs_close(&r->fs);
		if (ret == -EPERM || ret == -ENOENT || ret == -ENODEV || ret == -EACCES)
			tap_skip(t, "FUSE cannot be mounted here (needs root and /dev/fuse)");
		else if (!CHECK(t, !ret))
			printf("# %s\n", e.msg);
		return false;
	}
	if (!start(r, cache, &e))
		return true;
	CHECK(t, !e.code);
	printf("# %s\n", e.msg);
	rig_close(r, t);
	return false;
}

void rig_close(struct disk_rig *r, struct tap *t)
{
	seat_close(&r->seat);
	CHECK_EQ(t, server_end(&r->srv), 0);
	faultfs_close(&r->fs);
}

bool rig_kill(struct disk_rig *r)
{
	struct err e = { 0 };

	if (!server_kill(&r->srv, &e) && !server_replace(&r->srv, &e))
		return true;
	printf("# %s\n", e.msg);
	return false;
}

static uint32_t word(unsigned block, unsigned sector, uint32_t version, unsigned i)
{
	return (block * 8 + sector) * 0x9e3779b1u + version * 0x85ebca77u + i;
}

void rig_fill(uint8_t *p, unsigned block, uint32_t version)
{
	if (!version) {
		memset(p, 0, RIG_BLOCK);
		return;
	}
	for (unsigned s = 0; s < RIG_BLOCK / SECTOR; s++, p += SECTOR) {
		memcpy(p, &version, 4);
		for (unsigned i = 1; i < SECTOR / 4; i++) {
			uint32_t w = word(block, s, version, i);

			memcpy(p + 4 * (size_t)i, &w, 4);
		}
	}
}

uint32_t rig_version(const uint8_t *sector, unsigned block, unsigned number)
{
	uint32_t version, w;

	memcpy(&version, sector, 4);
	for (unsigned i = 1; i < SECTOR / 4; i++) {
		memcpy(&w, sector + 4 * (size_t)i, 4);
		if (w != (version ? word(block, number, version, i) : 0))
			return UINT32_MAX;
	}
	return version;
}
