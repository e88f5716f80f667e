/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long an event takes to the driver that waits for it.
 *
 *     latency pingpong N                 eventfds to another process and back: the limit
 *     latency gpio SOCKET SOCKET N       an output changes; an input of another guest interrupts
 *     latency can SOCKET SOCKET N        a frame, to another guest's controller
 *     latency scmi SOCKET FEED N         a sample of a sensor crosses a trip point: a notification
 *
 * The sockets are those of guests' devices, FEED is the sensors' socket; this program plays the
 * drivers. What is timed ends when the driver has the event in its hands: one wake-up of the device
 * and one of the driver, as in the ping-pong. Prints nanoseconds: median, 99th percentile, largest.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/vhu_dev.h"
#include "drivers/can.h"
#include "drivers/gpio.h"
#include "drivers/scmi.h"

#define MEM_GPA	   UINT64_C(0x40000000)
#define MEM_LEN	   (UINT64_C(4) << 20)
#define QUEUE_SIZE 64u
#define MESSAGE_MS 10000
#define EVENT_NS   (UINT64_C(10) * 1000000000)
#define EVENTS_MAX 1000000u
#define WARM_UP	   100u

static void fail(const char *what, int ret)
{
	fprintf(stderr, "latency: %s failed with %d\n", what, ret);
	exit(1);
}

/* A guest's driver of a device behind a socket. */
struct guest {
	struct vhu_mem mem;
	struct vhu_dev dev;
	struct drv_platform platform;
};

static uint64_t platform_map(void *ctx, const void *p, size_t len)
{
	const struct guest *g = ctx;
	uintptr_t at = (uintptr_t)p - (uintptr_t)g->mem.base;

	return range_in(at, len, g->mem.len) ? g->mem.gpa + at : UINT64_MAX;
}

static void platform_barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void platform_wait(void *ctx, struct drv_dev *dev, uint64_t until)
{
	vhu_dev_wait(container_of(dev, struct vhu_dev, dev), until);
}

static uint64_t platform_time(void *ctx)
{
	return ev_now_ns();
}

static void connect_guest(struct guest *g, const char *path, uint16_t id, uint16_t queues)
{
	struct err e = { 0 };
	int sock = fd_unix_connect(path, SOCK_STREAM, &e);

	g->mem = (struct vhu_mem){ .len = MEM_LEN, .split = MEM_LEN / 2, .gpa = MEM_GPA };
	g->mem.fd = fd_memfd("latency", MEM_LEN, 0, &e);
	if (sock < 0 || g->mem.fd < 0) {
		fprintf(stderr, "latency: %s\n", e.msg);
		exit(1);
	}
	g->mem.base = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, g->mem.fd, 0);
	if (g->mem.base == MAP_FAILED)
		fail("mmap", -errno);
	g->platform = (struct drv_platform){ .ctx = g,
		.map = platform_map,
		.barrier = platform_barrier,
		.wait = platform_wait,
		.time = platform_time };
	if (vhu_dev_open(&g->dev, &g->mem, sock, id, queues, QUEUE_SIZE, MESSAGE_MS))
		fail(g->dev.gone, 0);
	g->dev.dev.platform = &g->platform;
	g->dev.dev.mem = g->mem.base;
	g->dev.dev.mem_len = MEM_LEN / 2;
}

/* Results. */

static uint64_t times[EVENTS_MAX];

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report(unsigned n)
{
	qsort(times, n, sizeof(*times), compare);
	printf("%llu %llu %llu\n", (unsigned long long)times[n / 2],
		(unsigned long long)times[n - 1 - n / 100], (unsigned long long)times[n - 1]);
}

/* Runs `once`, which returns a time, n times, after a few that do not count. */
static void measure(uint64_t (*once)(void *arg), void *arg, unsigned n)
{
	for (unsigned i = 0; i < WARM_UP; i++)
		once(arg);
	for (unsigned i = 0; i < n; i++)
		times[i] = once(arg);
	report(n);
}

/* The limit: what two wake-ups between processes cost. */

struct pingpong {
	int there, back;
};

static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t v;

	if (poll(&p, 1, -1) != 1 || read(fd, &v, sizeof(v)) != sizeof(v))
		fail("waiting", -errno);
}

static void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		fail("writing", -errno);
}

static uint64_t ping(void *arg)
{
	const struct pingpong *p = arg;
	uint64_t start = ev_now_ns();

	ring(p->there);
	wait_for(p->back);
	return ev_now_ns() - start;
}

static void run_pingpong(unsigned n)
{
	struct pingpong p = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			wait_for(p.there);
			ring(p.back);
		}
	}
	if (child < 0)
		fail("fork", -errno);
	measure(ping, &p, n);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* GPIO: line 0 of the first guest is wired to line 0 of the second. */

struct gpio {
	struct guest a, b;
	struct drv_gpio from, to;
	bool level;
};

static uint64_t edge(void *arg)
{
	struct gpio *g = arg;
	uint64_t start = ev_now_ns(), end;
	uint16_t line;
	int ret;

	/* The device answers the first guest and interrupts the second in one go. */
	g->level = !g->level;
	ret = drv_gpio_set(&g->from, 0, g->level);
	if (!ret)
		ret = drv_gpio_wait(&g->to, &line, start + EVENT_NS);
	end = ev_now_ns();
	if (!ret)
		ret = drv_gpio_unmask(&g->to, line);
	if (ret)
		fail("an edge", ret);
	return end - start;
}

static void run_gpio(char **paths, unsigned n)
{
	static struct gpio g;
	int ret;

	connect_guest(&g.a, paths[0], DRV_ID_GPIO, 2);
	connect_guest(&g.b, paths[1], DRV_ID_GPIO, 2);
	ret = drv_gpio_open(&g.from, &g.a.dev.dev);
	if (!ret)
		ret = drv_gpio_open(&g.to, &g.b.dev.dev);
	if (!ret)
		ret = drv_gpio_output(&g.from, 0, false);
	if (!ret)
		ret = drv_gpio_set_direction(&g.to, 0, VIRTIO_GPIO_DIRECTION_IN);
	if (!ret)
		ret = drv_gpio_irq(&g.to, 0, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH);
	if (ret)
		fail("starting", ret);
	measure(edge, &g, n);
}

/* CAN: both guests on one bus without a bit rate. */

struct can {
	struct guest a, b;
	struct drv_can from, to;
	uint32_t number;
};

static uint64_t frame(void *arg)
{
	struct can *c = arg;
	struct drv_can_frame f = { .id = 0x123, .len = 4 }, got;
	uint64_t start = ev_now_ns(), end;
	int ret;

	c->number++;
	memcpy(f.data, &c->number, sizeof(c->number));
	ret = drv_can_send(&c->from, &f, start + EVENT_NS);
	if (!ret)
		ret = drv_can_recv(&c->to, &got, start + EVENT_NS);
	end = ev_now_ns();
	if (!ret)
		ret = drv_can_sync(&c->from, end + EVENT_NS);
	if (ret || got.len != f.len || memcmp(got.data, f.data, f.len) != 0)
		fail("a frame", ret);
	return end - start;
}

static void run_can(char **paths, unsigned n)
{
	static struct can c;
	int ret;

	connect_guest(&c.a, paths[0], DRV_ID_CAN, 3);
	connect_guest(&c.b, paths[1], DRV_ID_CAN, 3);
	ret = drv_can_open(&c.from, &c.a.dev.dev);
	if (!ret)
		ret = drv_can_open(&c.to, &c.b.dev.dev);
	if (!ret)
		ret = drv_can_start(&c.from);
	if (!ret)
		ret = drv_can_start(&c.to);
	if (ret)
		fail("starting", ret);
	measure(frame, &c, n);
}

/* SCMI: sensor 0 is fed by a socket, its trip point 0 lies between two values (SCMI 4.7.2.5 to 7).
 */

#define TRIP_POINT_NOTIFY 0x4
#define TRIP_POINT_CONFIG 0x5
#define TRIP_BOTH	  3u
#define THRESHOLD	  10

struct scmi {
	struct guest guest;
	struct drv_scmi agent;
	int feed;
	bool above;
};

static uint64_t crossing(void *arg)
{
	static const char *const samples[] = { "s 5\n", "s 15\n" };
	struct scmi *s = arg;
	struct drv_scmi_event event;
	const char *sample;
	uint64_t start = ev_now_ns();
	int ret;

	s->above = !s->above;
	sample = samples[s->above];
	if (write(s->feed, sample, strlen(sample)) != (ssize_t)strlen(sample))
		fail("a sample", -errno);
	ret = drv_scmi_event(&s->agent, &event, start + EVENT_NS);
	if (ret || event.protocol != DRV_SCMI_SENSOR || event.message)
		fail("a notification", ret);
	return ev_now_ns() - start;
}

static void run_scmi(char **paths, unsigned n)
{
	const uint32_t config[] = { 0, TRIP_BOTH, THRESHOLD, 0 }, notify[] = { 0, 1 };
	static struct scmi s;
	struct err e = { 0 };
	uint64_t until = ev_now_ns() + EVENT_NS, stamp;
	int64_t value = 0;
	int ret;

	connect_guest(&s.guest, paths[0], DRV_ID_SCMI, 2);
	s.feed = fd_unix_connect(paths[1], SOCK_STREAM, &e);
	if (s.feed < 0)
		fail(e.msg, s.feed);
	ret = drv_scmi_open(&s.agent, &s.guest.dev.dev);
	if (!ret)
		ret = drv_scmi_do(&s.agent, DRV_SCMI_SENSOR, TRIP_POINT_CONFIG, config,
			ARRAY_LEN(config), NULL, 0, until);
	if (!ret)
		ret = drv_scmi_do(&s.agent, DRV_SCMI_SENSOR, TRIP_POINT_NOTIFY, notify,
			ARRAY_LEN(notify), NULL, 0, until);
	if (ret)
		fail("starting", ret);
	if (write(s.feed, "s 5\n", 4) != 4)
		fail("a sample", -errno);
	/* Until there is a first sample, no other can cross anything. */
	while (drv_scmi_sensor_read(&s.agent, 0, &value, &stamp, until) || value != 5)
		if (ev_now_ns() > until)
			fail("the first sample", -ETIMEDOUT);
	measure(crossing, &s, n);
}

int main(int argc, char **argv)
{
	unsigned n =
		argc > 2 ? (unsigned)min_u64(strtoul(argv[argc - 1], NULL, 10), EVENTS_MAX) : 0;

	if (n && argc == 3 && !strcmp(argv[1], "pingpong"))
		run_pingpong(n);
	else if (n && argc == 5 && !strcmp(argv[1], "gpio"))
		run_gpio(argv + 2, n);
	else if (n && argc == 5 && !strcmp(argv[1], "can"))
		run_can(argv + 2, n);
	else if (n && argc == 5 && !strcmp(argv[1], "scmi"))
		run_scmi(argv + 2, n);
	else
		fail("reading the arguments", -EINVAL);
	return 0;
}
