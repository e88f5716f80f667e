/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was flushed survives a power cut (VIRTIO 1.4, 5.2.6.2; BLK-11), in two boots of the guest
 * between which the runner kills everything.
 */
#include "conformance/guest/role.h"
#include "drivers/blk.h"

#define CASE	"blk.power.flushed"
#define FIRST	64u /* sector */
#define CHUNK	4096u
#define CHUNKS	64u
#define SECTORS (CHUNK / DRV_BLK_SECTOR)
#define SEED	0x5eedu

/* What failed, and the driver's result; no text: nothing did. */
struct trouble {
	const char *text;
	int result;
};

static int verdict(uint64_t start, struct trouble t)
{
	uint64_t ns = bare_time() - start;

	if (t.text)
		role_say("case " CASE " - fail %llu %s (%d)", (unsigned long long)ns, t.text,
			t.result);
	else
		role_say("case " CASE " - pass %llu", (unsigned long long)ns);
	role_say("done");
	return 0;
}

static struct trouble write_all(struct drv_blk *b, uint8_t *buf)
{
	int r = 0;

	for (unsigned i = 0; !r && i < CHUNKS; i++) {
		cf_pattern(buf, SEED + i, CHUNK);
		r = drv_blk_write(b, FIRST + i * SECTORS, buf, CHUNK);
	}
	if (r)
		return (struct trouble){ "a write before the flush failed", r };
	r = drv_blk_flush(b);
	return (struct trouble){ r ? "the flush failed" : NULL, r };
}

static struct trouble check_all(struct drv_blk *b, uint8_t *buf)
{
	for (unsigned i = 0; i < CHUNKS; i++) {
		int r;

		cf_fill(buf, 0, CHUNK);
		r = drv_blk_read(b, FIRST + i * SECTORS, buf, CHUNK);
		if (r)
			return (struct trouble){ "a read after the power cut failed", r };
		if (!cf_is_pattern(buf, SEED + i, CHUNK))
			return (struct trouble){ "what was flushed before the power cut is gone" };
	}
	return (struct trouble){ NULL };
}

int role_persist(struct bare_virtio_list *devices, bool check)
{
	struct bare_virtio *v = bare_virtio_get(devices, DRV_ID_BLK, 0);
	uint8_t *buf = bare_alloc(CHUNK, CHUNK);
	uint64_t start = bare_time();
	static struct drv_blk blk;
	struct trouble wrong = { NULL };

	if (!v || !buf) {
		role_say("error: no block device");
		return DRV_GONE;
	}
	role_say("begin %s %u 0", v->dev->ops->name, v->dev->id);
	role_say("run " CASE);
	wrong.result = drv_blk_open(&blk, v->dev);
	if (wrong.result)
		wrong.text = "the device cannot be opened";
	else
		wrong = check ? check_all(&blk, buf) : write_all(&blk, buf);
	if (wrong.text || check)
		return verdict(start, wrong);
	role_say("ready flushed");
	for (;;)
		bare_wait(UINT64_MAX);
}
