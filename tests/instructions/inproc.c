/* SPDX-License-Identifier: BSD-3-Clause */
/* A device and its driver on one thread. See inproc.h. */
#include "inproc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/util.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT      (void)0
#define CALLGRIND_ZERO_STATS	      (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#define RAM_GPA	 UINT64_C(0x40000000)
#define RAM_LEN	 0x400000u
#define RINGS	 0x100000u /* of it for the driver, the rest is for buffers */
#define WARM_UP	 32u
#define REQUESTS 100u /* as in run.py */

static bool counting;

static void toggle(void)
{
	if (counting)
		CALLGRIND_TOGGLE_COLLECT;
}

/* The device's turn: a kick of queue q if there is one (-1: none), and one round of its loop. */
static void turn(struct inproc *p, int q)
{
	toggle();
	if (q >= 0)
		vdev_kick(p->dev, (unsigned)q);
	ev_run_once(p->loop, 0);
	toggle();
}

void must(int ret, const char *what)
{
	if (!ret)
		return;
	printf("Bail out! %s: %d\n", what, ret);
	exit(1);
}

/* The transport. */

static struct inproc *inproc(struct drv_dev *dev)
{
	return container_of(dev, struct inproc, drv);
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	*offered = vdev_features(inproc(dev)->dev) & ~inproc(dev)->hide;
	return 0;
}

static int accept_features(struct drv_dev *dev, uint64_t v)
{
	return vdev_set_features(inproc(dev)->dev, v, NULL) ? DRV_REFUSED : 0;
}

static int status(struct drv_dev *dev, uint8_t *v)
{
	*v = inproc(dev)->dev->status;
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	struct inproc *p = inproc(dev);

	vdev_set_status(p->dev, v);
	turn(p, -1);
	return 0;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	vdev_config_read(inproc(dev)->dev, offset, buf, len);
	return 0;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	vdev_config_write(inproc(dev)->dev, offset, buf, len);
	return 0;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	const struct vdev *v = inproc(dev)->dev;

	*max = q >= v->nqueues ? 0 : v->queue_size_max ? v->queue_size_max : 256;
	return 0;
}

/* With an in-flight record, as device processes have it. */
static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	struct inproc *p = inproc(dev);
	uint64_t len = vq_inflight_size(addr->size, drv_has(dev, VIRTIO_F_RING_PACKED));
	struct vq_setup setup = {
		.size = addr->size,
		.desc = p->ram + (addr->desc - RAM_GPA),
		.driver = p->ram + (addr->driver - RAM_GPA),
		.device = p->ram + (addr->device - RAM_GPA),
		.gm = &p->gm,
		.inflight_len = len,
		.avail_base = drv_has(dev, VIRTIO_F_RING_PACKED) ? 0x8000 : 0,
		.used_base = drv_has(dev, VIRTIO_F_RING_PACKED) ? 0x8000 : 0,
	};
	struct err e = { 0 };

	if (q >= INPROC_QUEUES)
		return DRV_INVALID;
	free(p->inflight[q]);
	setup.inflight = p->inflight[q] = calloc(1, len);
	setup.call_fd = p->call[q];
	if (!setup.inflight || vdev_queue_start(p->dev, q, &setup, &e)) {
		printf("# queue %u: %s\n", q, e.msg);
		return DRV_REFUSED;
	}
	turn(p, q);
	return 0;
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	turn(inproc(dev), q);
	return 0;
}

static const struct drv_ops ops = {
	.name = "inproc",
	.features = features,
	.accept = accept_features,
	.status = status,
	.set_status = set_status,
	.config_read = config_read,
	.config_write = config_write,
	.queue_max = queue_max,
	.queue_start = queue_start,
	.notify = notify,
};

/* The platform. */

static uint64_t platform_map(void *ctx, const void *ptr, size_t len)
{
	const struct inproc *p = ctx;
	uintptr_t at = (uintptr_t)ptr - (uintptr_t)p->ram;

	return range_in(at, len, RAM_LEN) ? RAM_GPA + at : UINT64_MAX;
}

static void platform_barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void platform_wait(void *ctx, struct drv_dev *dev, uint64_t until)
{
	turn(ctx, -1);
}

static uint64_t platform_time(void *ctx)
{
	return ev_now_ns();
}

/* The host of the device: the drivers ask for what they want to know. */

static void ignore(struct vdev_host *host)
{
}

void inproc_new(struct inproc *p, struct ev_loop *loop, const struct vdev_class *cls, ...)
{
	struct err e = { 0 };
	const char *key;
	va_list ap;
	int ret;

	*p = (struct inproc){ .loop = loop, .host = { ignore, ignore } };
	p->platform = (struct drv_platform){ .ctx = p,
		.map = platform_map,
		.barrier = platform_barrier,
		.wait = platform_wait,
		.time = platform_time };
	p->ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p->ram == MAP_FAILED, "mmap");
	must(gm_add(&p->gm,
		     &(struct gm_region){
			     .gpa = RAM_GPA, .size = RAM_LEN, .hva = p->ram, .fd = -1 },
		     &e),
		e.msg);
	ret = vdev_new(&p->dev, cls, &e);
	va_start(ap, cls);
	while (!ret && (key = va_arg(ap, const char *)))
		ret = opt_set(cls->opts, p->dev, key, va_arg(ap, const char *), &e);
	va_end(ap);
	must(ret, e.msg);
}

void inproc_start(struct inproc *p, uint64_t hide)
{
	struct err e = { 0 };

	must(vdev_init(p->dev, p->loop, NULL, &e), e.msg);
	vdev_attach(p->dev, &p->host);
	p->hide = hide;
	for (unsigned i = 0; i < INPROC_QUEUES; i++)
		p->call[i] = fd_event();
	p->drv = (struct drv_dev){ .ops = &ops,
		.platform = &p->platform,
		.mem = p->ram,
		.mem_len = RINGS,
		.id = p->dev->cls->id };
}

void inproc_close(struct inproc *p)
{
	vdev_destroy(p->dev);
	for (unsigned i = 0; i < INPROC_QUEUES; i++) {
		close_fd(&p->call[i]);
		free(p->inflight[i]);
	}
	gm_clear(&p->gm);
	munmap(p->ram, RAM_LEN);
}

uint8_t *inproc_buf(struct inproc *p)
{
	return p->ram + RINGS;
}

void inproc_tell(struct inproc *p, unsigned argc, char **argv)
{
	autofclose FILE *answer = fopen("/dev/null", "w");
	struct err e = { 0 };
	int ret;

	must(!answer, "opening /dev/null");
	toggle();
	ret = p->dev->cls->command(p->dev, argc, argv, answer, &e);
	toggle();
	must(ret, e.msg);
}

void inproc_count(const char *name, void (*once)(void *arg), void *arg)
{
	for (unsigned i = 0; i < WARM_UP; i++)
		once(arg);
	CALLGRIND_ZERO_STATS;
	counting = true;
	for (unsigned i = 0; i < REQUESTS; i++)
		once(arg);
	counting = false;
	CALLGRIND_DUMP_STATS_AT(name);
	printf("counted: %s\n", name);
}
