/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs an input on a device: see device.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "device.h"

/* Bounds the time of one input. */
#define ACTIONS_MAX 400u
#define WORDS_MAX   16u
#define ROUNDS_MAX  16u
#define SECOND	    0x80u /* of a code */
#define POLLED	    0x80u /* of the first byte */

/* Time, and the loop: what is due is done, nothing is waited for. */
static void rounds(struct fuzz_bed *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (fuzz_device.tick)
			fuzz_device.tick(b);
		ev_run_once(b->loop, 0);
	}
}

static void set_status(struct fuzz_guest *g, uint8_t status)
{
	vdev_set_status(g->dev, status);
	if (!status)
		fuzz_rings_forget(g);
}

static void boot(struct fuzz_guest *g, struct fuzz_in *in)
{
	uint64_t features = vdev_features(g->dev) & ~fuzz_u64(in);
	uint16_t size = (uint16_t)(1u << fuzz_u8(in) % 7);

	set_status(g, 0);
	vdev_set_status(g->dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	vdev_set_features(g->dev, features | FEATURE(VIRTIO_F_VERSION_1), NULL);
	vdev_set_status(g->dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	for (unsigned q = 0; q < g->dev->nqueues; q++)
		fuzz_queue_start(g, q, size);
	vdev_set_status(g->dev,
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
}

static void request(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in), shape = fuzz_u8(in);

	if (fuzz_request(g, q, shape, in) && !(shape & FUZZ_SHAPE_NO_KICK))
		vdev_kick(g->dev, q);
}

static void chain(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in), shape = fuzz_u8(in);

	if (fuzz_chain(g, q, shape, in) && !(shape & FUZZ_SHAPE_NO_KICK))
		vdev_kick(g->dev, q);
}

static void fill(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in), n = fuzz_u8(in) % (FUZZ_RING_MAX + 1);
	uint16_t len = fuzz_u16(in);

	while (n-- && fuzz_fill(g, q, len))
		;
	vdev_kick(g->dev, q);
}

static void kick(struct fuzz_guest *g, struct fuzz_in *in)
{
	vdev_kick(g->dev, fuzz_u8(in));
}

static void run_loop(struct fuzz_guest *g, struct fuzz_in *in)
{
	rounds(g->bed, fuzz_u8(in) % ROUNDS_MAX);
}

static void pass_time(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_clock_advance(fuzz_u32(in) * UINT64_C(1000000));
	rounds(g->bed, 1);
}

static void host(struct fuzz_guest *g, struct fuzz_in *in)
{
	if (fuzz_device.host)
		fuzz_device.host(g->bed, (unsigned)(g - g->bed->guests), in);
}

static unsigned split_words(char *text, char *words[WORDS_MAX + 1])
{
	unsigned n = 0;
	char *at;

	for (char *w = strtok_r(text, " ", &at); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &at))
		words[n++] = w;
	words[n] = NULL;
	return n;
}

static void tell(struct fuzz_guest *g, struct fuzz_in *in)
{
	autofree char *text = fuzz_text(in);
	autofree char *answer = NULL;
	char *words[WORDS_MAX + 1];
	struct err e = { 0 };
	size_t len;
	unsigned n = text ? split_words(text, words) : 0;
	FILE *f = n ? open_memstream(&answer, &len) : NULL;
	int ret = 0;

	if (!f)
		return;
	if (strcmp(words[0], "medium") != 0 && g->dev->cls->command)
		ret = g->dev->cls->command(g->dev, n, words, f, &e);
	else if (fuzz_device.command && n > 1)
		ret = fuzz_device.command(g->bed, n - 1, words + 1, f, &e);
	if (ret && !e.msg[0])
		fuzz_fail("a command was refused without a reason");
	fclose(f);
}

static void config_read(struct fuzz_guest *g, struct fuzz_in *in)
{
	uint16_t offset = fuzz_u16(in);
	uint8_t buf[256], len = fuzz_u8(in);

	vdev_config_read(g->dev, offset, buf, len);
}

static void config_write(struct fuzz_guest *g, struct fuzz_in *in)
{
	uint16_t offset = fuzz_u16(in);

	vdev_config_write(g->dev, offset, in->p, (uint32_t)in->left);
}

static void stop(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_queue_stop(g, fuzz_u8(in));
}

static void resume(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_queue_resume(g, fuzz_u8(in));
}

static void enable(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in);

	if (q >= g->dev->nqueues || !vq_running(g->dev->queues[q]))
		return;
	vq_set_enabled(g->dev->queues[q], fuzz_u8(in) & 1);
	vdev_kick(g->dev, q);
}

static void reset(struct fuzz_guest *g, struct fuzz_in *in)
{
	set_status(g, 0);
}

static void unmap(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_unmap(g, fuzz_u8(in) % FUZZ_REGIONS);
}

static void map(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_map(g, fuzz_u8(in) % FUZZ_REGIONS);
}

static void poke(struct fuzz_guest *g, struct fuzz_in *in)
{
	uint64_t gpa = fuzz_address(fuzz_u32(in));

	fuzz_poke(g, gpa, in->p, in->left);
}

static void avail(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in);

	fuzz_avail(g, q, fuzz_u16(in));
}

static void features(struct fuzz_guest *g, struct fuzz_in *in)
{
	vdev_set_features(g->dev, fuzz_u64(in), NULL);
}

static void status(struct fuzz_guest *g, struct fuzz_in *in)
{
	set_status(g, fuzz_u8(in));
}

static void queue(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in);

	fuzz_queue_start(g, q, (uint16_t)(1u << fuzz_u8(in) % 7));
	vdev_kick(g->dev, q);
}

static void queue_at(struct fuzz_guest *g, struct fuzz_in *in)
{
	unsigned q = fuzz_u8(in);

	fuzz_queue_start_at(g, q, in);
	vdev_kick(g->dev, q);
}

static void inflight(struct fuzz_guest *g, struct fuzz_in *in)
{
	g->inflight = fuzz_u8(in) & 1;
}

static void crash(struct fuzz_guest *g, struct fuzz_in *in)
{
	fuzz_queue_crash(g, fuzz_u8(in));
}

static void (*const actions[FUZZ_ACTIONS])(struct fuzz_guest *g, struct fuzz_in *in) = {
	[FUZZ_BOOT] = boot,
	[FUZZ_REQUEST] = request,
	[FUZZ_CHAIN] = chain,
	[FUZZ_FILL] = fill,
	[FUZZ_KICK] = kick,
	[FUZZ_RUN] = run_loop,
	[FUZZ_TIME] = pass_time,
	[FUZZ_HOST] = host,
	[FUZZ_TELL] = tell,
	[FUZZ_CONFIG_READ] = config_read,
	[FUZZ_CONFIG_WRITE] = config_write,
	[FUZZ_STOP] = stop,
	[FUZZ_RESUME] = resume,
	[FUZZ_ENABLE] = enable,
	[FUZZ_RESET] = reset,
	[FUZZ_UNMAP] = unmap,
	[FUZZ_MAP] = map,
	[FUZZ_POKE] = poke,
	[FUZZ_AVAIL] = avail,
	[FUZZ_FEATURES] = features,
	[FUZZ_STATUS] = status,
	[FUZZ_QUEUE] = queue,
	[FUZZ_QUEUE_AT] = queue_at,
	[FUZZ_INFLIGHT] = inflight,
	[FUZZ_CRASH] = crash,
};

static void run(struct fuzz_bed *b, struct fuzz_in *in)
{
	for (unsigned i = 0; in->left && i < ACTIONS_MAX; i++) {
		uint8_t code = fuzz_u8(in);
		uint8_t wanted = fuzz_u8(in);
		size_t len = min_u64(wanted, in->left);
		struct fuzz_in operands = { in->p, len };

		in->p += len;
		in->left -= len;
		actions[(code & ~SECOND) % FUZZ_ACTIONS](
			&b->guests[code & SECOND && fuzz_device.guests > 1], &operands);
		rounds(b, 1);
		for (unsigned k = 0; k < fuzz_device.guests; k++)
			fuzz_collect(&b->guests[k]);
	}
}

/* Sets a key; "@name" is a path in the folder. */
static int set_key(struct vdev *dev, const char *key, const char *value, struct err *e)
{
	const char *at = strchr(value, '@');
	autofree char *path = NULL;

	if (at && asprintf(&path, "%.*s%s/%s", (int)(at - value), value, fuzz_folder(), at + 1) < 0)
		return -ENOMEM;
	return opt_set(dev->cls->opts, dev, key, path ? path : value, e);
}

static int open_guest(struct fuzz_bed *b, unsigned i, struct err *e)
{
	struct fuzz_guest *g = &b->guests[i];
	const char *const *keys = fuzz_device.setups[b->setup];
	int ret;

	fuzz_guest_init(g, b);
	ret = vdev_new(&g->dev, fuzz_device.cls, e);
	for (; !ret && keys[0]; keys += 2)
		ret = set_key(g->dev, keys[0], keys[1], e);
	if (!ret && fuzz_device.attach)
		ret = fuzz_device.attach(b, i);
	if (!ret)
		ret = vdev_init(g->dev, b->loop, fuzz_log(), e);
	if (!ret)
		vdev_attach(g->dev, &g->host);
	return ret;
}

static void open_bed(struct fuzz_bed *b, struct fuzz_in *in)
{
	unsigned setups = 0, first = fuzz_u8(in);
	struct err e = { 0 };
	int ret;

	while (fuzz_device.setups[setups])
		setups++;
	b->setup = (first & ~POLLED) % setups;
	ret = ev_loop_create(&b->loop);
	if (!ret && first & POLLED)
		vdev_set_poll(b->loop, 1);
	if (!ret && fuzz_device.open)
		ret = fuzz_device.open(b);
	for (unsigned i = 0; !ret && i < fuzz_device.guests; i++)
		ret = open_guest(b, i, &e);
	if (!ret && fuzz_device.complete)
		ret = fuzz_device.complete(b);
	if (ret)
		fuzz_fail("setup %u: error %d: %s", b->setup, ret, e.msg);
}

static void close_bed(struct fuzz_bed *b)
{
	for (unsigned i = 0; i < fuzz_device.guests; i++) {
		vdev_destroy(b->guests[i].dev);
		fuzz_guest_finish(&b->guests[i]);
	}
	if (fuzz_device.close)
		fuzz_device.close(b);
	ev_loop_destroy(b->loop);
}

/* What lasts for the life of the process. */
static struct fuzz_bed *bed(void)
{
	static struct fuzz_bed *b;

	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (fuzz_device.prepare && fuzz_device.prepare())
		fuzz_fail("files of the target cannot be made");
	for (unsigned i = 0; b && i < fuzz_device.guests; i++)
		if (!fuzz_guest_memory(&b->guests[i]))
			fuzz_fail("no memory for a guest");
	return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct fuzz_bed *b = bed();

	fuzz_clock_start();
	open_bed(b, &in);
	run(b, &in);
	close_bed(b);
	b->state = NULL;
	fuzz_clock_stop();
	return 0;
}
