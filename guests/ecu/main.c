/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A control unit on bare metal: reads its configuration from the first sector of its disk, sends a
 * cyclic status frame, answers on its console, and switches itself off.
 */
#include "drivers/blk.h"
#include "drivers/console.h"
#include "drivers/net.h"
#include "drivers/rng.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define ETHERTYPE     0x88b5u /* IEEE 802: for local experiments */
#define DEVICE_MEMORY (192u << 10)
#define NUMBER_MAX    1000000u

/* The status frame; numbers are little-endian. */
struct status_frame {
	uint8_t to[6], from[6], type[2];
	char name[16];
	uint32_t session; /* random, of this start */
	uint32_t number;  /* 0, 1, 2, ... */
	uint64_t uptime;  /* nanoseconds */
	uint8_t padding[60 - 46];
} __attribute__((packed));

struct ecu {
	struct drv_blk disk;
	struct drv_net net;
	struct drv_console console;
	struct drv_rng rng;
	uint32_t period_ms, frames; /* configuration */
	struct status_frame frame;
};

static struct bare_virtio_list devices;
static struct ecu ecu;

/* The value of a word as a number; `missing` if there is none. */
static uint32_t number(const char *line, const char *key, uint32_t missing)
{
	char text[16];
	uint32_t v = 0;

	if (bare_word(line, key, text, sizeof(text)) < 1)
		return missing;
	for (const char *s = text; *s >= '0' && *s <= '9' && v < NUMBER_MAX; s++)
		v = 10 * v + (uint32_t)(*s - '0');
	return v;
}

static int open_devices(struct ecu *e)
{
	struct bare_virtio *disk = bare_virtio_get(&devices, DRV_ID_BLK, 0);
	struct bare_virtio *net = bare_virtio_get(&devices, DRV_ID_NET, 0);
	struct bare_virtio *console = bare_virtio_get(&devices, DRV_ID_CONSOLE, 0);
	struct bare_virtio *rng = bare_virtio_get(&devices, DRV_ID_RNG, 0);
	int r;

	if (!disk || !net || !console || !rng)
		return DRV_GONE;
	r = drv_blk_open(&e->disk, disk->dev);
	if (!r)
		r = drv_net_open(&e->net, net->dev, 1, 0);
	if (!r)
		r = drv_console_open(&e->console, console->dev, 1);
	return r ? r : drv_rng_open(&e->rng, rng->dev);
}

/* "name=brake-left period=20 frames=50", text up to the first 0. */
static int configure(struct ecu *e)
{
	struct status_frame *f = &e->frame;
	char *sector = bare_alloc(DRV_BLK_SECTOR + 1, DRV_BLK_SECTOR);
	int r = sector ? drv_blk_read(&e->disk, 0, sector, DRV_BLK_SECTOR) : DRV_NO_MEMORY;

	if (!r)
		r = drv_rng_read(&e->rng, &f->session, sizeof(f->session), bare_time() + 1000 * MS);
	if (r)
		return r;
	for (unsigned i = 0; i < 6; i++) {
		f->to[i] = 0xff;
		f->from[i] = e->net.mac[i];
	}
	f->type[0] = ETHERTYPE >> 8;
	f->type[1] = ETHERTYPE & 0xff;
	e->period_ms = number(sector, "period", 100);
	e->frames = number(sector, "frames", 10);
	return bare_word(sector, "name", f->name, sizeof(f->name)) > 0 ? 0 : DRV_INVALID;
}

/* Answers what somebody types, until `until`: each key gets the unit's name. False on 'q'. */
static bool serve_console(struct ecu *e, uint64_t until)
{
	static const char end[] = " is running\r\n";
	uint32_t len, n = 0;
	char key;

	while (drv_console_read(&e->console, 0, &key, 1, &len, until) == 0) {
		if (key == 'q')
			return false;
		while (n < sizeof(e->frame.name) && e->frame.name[n])
			n++;
		drv_console_write(&e->console, 0, e->frame.name, n);
		drv_console_write(&e->console, 0, end, sizeof(end) - 1);
	}
	return true;
}

int bare_main(struct bare_info *info)
{
	uint64_t next = bare_time();
	int r;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	r = open_devices(&ecu);
	if (!r)
		r = configure(&ecu);
	bare_put(r ? "ecu: cannot start\n" : "ecu: ");
	bare_put(r ? "" : ecu.frame.name);
	bare_put(r ? "" : " starts\n");
	while (!r && ecu.frame.number < ecu.frames) {
		ecu.frame.uptime = bare_time();
		next += ecu.period_ms * MS;
		r = drv_net_send(&ecu.net, 0, &ecu.frame, sizeof(ecu.frame), next);
		ecu.frame.number++;
		if (!serve_console(&ecu, next))
			break;
	}
	if (!r)
		r = drv_net_drain(&ecu.net, 0, bare_time() + 1000 * MS);
	bare_put("ecu: frames sent: ");
	bare_put_dec(ecu.frame.number);
	bare_put("\n");
	return r;
}
