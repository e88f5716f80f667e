/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's side of a bus on a SocketCAN interface of the kernel (vcan): frames both ways, the
 * interface's own pace, an interface that goes and comes back. Needs root and vcan: run by
 * tests/interop/test_can.py in a guest that has it.
 */
#include <errno.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bed.h"

#define IFACE	"avpcan0"
#define WAIT_NS (10 * S)

static char iface[] = IFACE;

static bool shell(const char *command)
{
	return !system(command);
}

static bool make_interface(void)
{
	return shell("ip link add " IFACE " type vcan && ip link set " IFACE " mtu 72 up");
}

/* Another program of the host that is on the interface. */
static int other(void)
{
	const int on = 1;
	struct sockaddr_can addr = { .can_family = AF_CAN,
		.can_ifindex = (int)if_nametoindex(IFACE) };
	const struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);

	if (fd < 0 || setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof(on)) ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		exit(1);
	return fd;
}

/* A bed with the interface, and the real clock. */
static uint64_t real_clock(void *arg, clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * S + (uint64_t)ts.tv_nsec;
}

static struct bed *with_host(struct tap *t, uint32_t bitrate)
{
	struct bed *b = bed_new(2);

	b->config.host = iface;
	b->config.bitrate = bitrate;
	if (!CHECK(t, bed_start(b)))
		exit(1);
	canbus_set_clock(b->bus, real_clock, NULL);
	return b;
}

/* Runs the loop until *what has changed from `old`, for ten seconds at most. */
static bool turns(struct bed *b, const unsigned *what, unsigned old)
{
	uint64_t end = ev_now_ns() + WAIT_NS;

	while (*what == old && ev_now_ns() < end)
		ev_run_once(b->loop, 10);
	return *what != old;
}

static bool event(struct bed *b, const char *name)
{
	uint64_t end = ev_now_ns() + WAIT_NS;

	while (strcmp(b->event, name) != 0 && ev_now_ns() < end)
		ev_run_once(b->loop, 10);
	return !strcmp(b->event, name);
}

static void both_ways(struct tap *t, uint32_t bitrate)
{
	static const char *const texts[] = { "123#1122334455667788", "1ABCDEF0#", "7FF#R4",
		"321##1112233445566778899AABBCC" };
	struct bed *b = with_host(t, bitrate);
	int fd = other();

	REQUIRE(t, event(b, "host-back"));
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const struct canfd_frame want = bed_frame(texts[i]);
		size_t len = can_is_fd(&want) ? CANFD_MTU : CAN_MTU;
		struct canfd_frame f = { 0 };
		unsigned sent = b->node[0].sent, n = b->node[1].n;

		CHECK_EQ(t, bed_send(b, 0, texts[i]), 0);
		CHECK(t, turns(b, &b->node[0].sent, sent));
		CHECK_EQ(t, recv(fd, &f, sizeof(f), 0), len);
		CHECK(t, f.can_id == want.can_id && f.len == want.len);
		CHECK(t, !memcmp(f.data, want.data, want.len));
		CHECK_EQ(t, b->node[1].n, n + 1);
		/* And back, where both nodes hear it. Our own frames do not come back. */
		f = want;
		f.flags &= (uint8_t)~CANFD_FDF;
		n = b->node[0].n;
		CHECK_EQ(t, send(fd, &f, len, 0), len);
		CHECK(t, turns(b, &b->node[0].n, n));
		CHECK_EQ(t, b->node[0].n, n + 1);
		CHECK_EQ(t, b->node[0].got[n].can_id, want.can_id);
		CHECK_EQ(t, can_is_fd(&b->node[0].got[n]), can_is_fd(&want));
		CHECK_EQ(t, b->node[1].n, 2 * (i + 1));
	}
	CHECK_EQ(t, canbus_counters(b->bus)->host_rx, 4);
	CHECK_EQ(t, canbus_counters(b->bus)->host_tx, 4);
	CHECK_EQ(t, canbus_counters(b->bus)->host_dropped, 0);
	close(fd);
	bed_free(b);
}

static void at_our_pace(struct tap *t)
{
	both_ways(t, 500000);
}

/* Without a bit rate a frame is sent when the interface says so. */
static void at_its_pace(struct tap *t)
{
	both_ways(t, 0);
}

static void goes_down(struct tap *t, uint32_t bitrate)
{
	struct bed *b = with_host(t, bitrate);

	REQUIRE(t, event(b, "host-back"));
	CHECK(t, shell("ip link set " IFACE " down"));
	CHECK(t, event(b, "host-gone"));
	/* A fault of the bus for whoever sends. */
	CHECK_EQ(t, bed_send(b, 0, "123#11"), 0);
	CHECK(t, turns(b, &b->node[0].offs, 0));
	CHECK_EQ(t, b->node[0].lost, 1);
	CHECK(t, shell("ip link set " IFACE " up"));
	CHECK(t, event(b, "host-back"));
	if (!canport_start(b->node[0].port))
		CHECK(t, turns(b, &b->node[0].started, 0));
	CHECK_EQ(t, bed_send(b, 0, "123#11"), 0);
	CHECK(t, turns(b, &b->node[0].sent, 0));
	bed_free(b);
}

static void down_and_up(struct tap *t)
{
	goes_down(t, 500000);
	goes_down(t, 0);
}

/* The interface is removed, and another one of its name appears. */
static void removed_and_new(struct tap *t)
{
	struct bed *b = with_host(t, 500000);
	unsigned n = 0;
	int fd;

	REQUIRE(t, event(b, "host-back"));
	CHECK(t, shell("ip link del " IFACE));
	CHECK(t, event(b, "host-gone"));
	CHECK(t, make_interface());
	CHECK(t, event(b, "host-back"));
	fd = other();
	CHECK_EQ(t, send(fd, &(struct canfd_frame){ .can_id = 5 }, CAN_MTU, 0), CAN_MTU);
	CHECK(t, turns(b, &b->node[0].n, n));
	close(fd);
	bed_free(b);
}

static void comes_later(struct tap *t)
{
	struct bed *b;

	CHECK(t, shell("ip link del " IFACE));
	b = with_host(t, 500000);
	b->event[0] = 0;
	CHECK_EQ(t, bed_send(b, 0, "123#11"), 0);
	CHECK(t, turns(b, &b->node[0].offs, 0));
	CHECK(t, make_interface());
	CHECK(t, event(b, "host-back"));
	bed_free(b);
}

static void goes_on_alone(struct tap *t)
{
	struct bed *b = bed_new(2);

	CHECK(t, shell("ip link del " IFACE));
	b->config.host = iface;
	b->config.host_gone = CANBUS_GONE_CONTINUE;
	REQUIRE(t, bed_start(b));
	canbus_set_clock(b->bus, real_clock, NULL);
	CHECK_EQ(t, bed_send(b, 0, "123#11"), 0);
	CHECK(t, turns(b, &b->node[1].n, 0));
	CHECK(t, turns(b, &b->node[0].sent, 0));
	bed_free(b);
}

int main(void)
{
	struct tap t = { 0 };

	if (!make_interface()) {
		printf("1..0 # SKIP no vcan interface can be made here\n");
		return 0;
	}
	TAP_RUN(&t, at_our_pace);
	TAP_RUN(&t, at_its_pace);
	TAP_RUN(&t, down_and_up);
	TAP_RUN(&t, removed_and_new);
	TAP_RUN(&t, comes_later);
	TAP_RUN(&t, goes_on_alone);
	return tap_done(&t);
}
