/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices whose other end is the host's: a network card on a tap interface, and a CAN controller
 * with a bus of its own, which writes a log.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/util.h"
#include "drivers/can.h"
#include "drivers/net.h"
#include "load_classes.h"

#define TAP	  "avpfault0"
#define ETHERTYPE 0x88b5 /* for local experiments */
#define HEAD	  14u
#define LENGTH	  600u
#define BURST	  4u
#define PATIENCE  UINT64_C(2000000) /* ns that a frame may take before others are sent */

struct state {
	union {
		struct drv_net net;
		struct drv_can can;
	};
	int host; /* packet socket on the tap */
	struct load_flow to_host, to_guest;
	uint64_t number; /* of CAN frames */
	uint8_t frame[2048];
};

static uint16_t be16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

/* A tap that outlives the process, in a network of this program's own. */
static int net_prepare(struct load *l)
{
	struct ifreq r = { .ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	autoclose int tun = -1, sock = -1;

	if (unshare(CLONE_NEWNET) < 0)
		return load_fail(l, LOAD_SKIP "a network namespace needs root");
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &r) < 0 || ioctl(tun, TUNSETPERSIST, 1) < 0)
		return load_fail(l, LOAD_SKIP "no tap interface can be made: %m");
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r.ifr_flags = IFF_UP;
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &r) < 0)
		return load_fail(l, "interface " TAP ": %m");
	return 0;
}

static int open_host(struct load *l)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = be16(ETHERTYPE) };
	struct state *st = l->state;

	a.sll_ifindex = (int)if_nametoindex(TAP);
	st->host = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, be16(ETHERTYPE));
	if (st->host < 0 || bind(st->host, (struct sockaddr *)&a, sizeof(a)) < 0)
		return load_fail(l, "packet socket on " TAP ": %m");
	return 0;
}

static int net_open(struct load *l)
{
	struct state *st = l->state = calloc(1, sizeof(*st));
	int r = st ? drv_net_open(&st->net, &l->seat[0].dev, 1, 32) : DRV_NO_MEMORY;

	if (st)
		st->host = -1;
	return r ? load_fail(l, "opening the network card: %d", r) : open_host(l);
}

static void make_frame(struct state *st, bool to_host, uint64_t number)
{
	memset(st->frame, 0xff, 6);
	memcpy(st->frame + 6, st->net.mac, 6);
	st->frame[6] = to_host ? st->net.mac[0] : 0x02;
	st->frame[12] = ETHERTYPE >> 8;
	st->frame[13] = ETHERTYPE & 0xff;
	load_record(st->frame + HEAD, LENGTH - HEAD, number);
}

static int took(struct load *l, struct load_flow *f, uint32_t len)
{
	struct state *st = l->state;
	uint64_t number, time;

	if (len != LENGTH || !load_record_check(st->frame + HEAD, len - HEAD, &number, &time))
		return load_fail(l, "a frame of %u bytes is wrong", len);
	return load_flow_got(l, f, number, time);
}

static int receive_host(struct load *l)
{
	struct state *st = l->state;
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	ssize_t n =
		recvfrom(st->host, st->frame, sizeof(st->frame), 0, (struct sockaddr *)&from, &len);

	if (n <= 0 || from.sll_pkttype == PACKET_OUTGOING)
		return 0;
	return took(l, &st->to_host, (uint32_t)n);
}

/* Frames that the host itself sends are passed over. */
static int receive_guest(struct load *l, uint64_t until)
{
	struct state *st = l->state;
	uint32_t len;
	int r = drv_net_recv(&st->net, 0, st->frame, sizeof(st->frame), &len, until);

	if (r == DRV_TIMEOUT)
		return 0;
	if (r)
		return load_fail(l, "receiving: %d", r);
	if (st->frame[12] != ETHERTYPE >> 8 || st->frame[13] != (ETHERTYPE & 0xff))
		return 0;
	return took(l, &st->to_guest, len);
}

static int net_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t until;
	int ret = 0;

	for (unsigned i = 0; i < BURST; i++) {
		make_frame(st, true, ++st->to_host.sent);
		ret = drv_net_send(&st->net, 0, st->frame, LENGTH, seat_until());
		if (ret)
			return load_fail(l, "sending: %d", ret);
		make_frame(st, false, ++st->to_guest.sent);
		/* While nobody has the tap open there is no link. */
		if (send(st->host, st->frame, LENGTH, 0) < 0)
			st->to_guest.sent--;
	}
	until = ev_now_ns() + PATIENCE;
	while (!ret && ev_now_ns() < until &&
		(st->to_host.got < st->to_host.sent || st->to_guest.got < st->to_guest.sent)) {
		ret = receive_host(l);
		if (!ret)
			ret = receive_guest(l, ev_now_ns());
	}
	return ret;
}

static void net_close(struct load *l)
{
	struct state *st = l->state;

	if (st)
		close_fd(&st->host);
}

static int can_open(struct load *l)
{
	struct state *st = l->state = calloc(1, sizeof(*st));
	int r = st ? drv_can_open(&st->can, &l->seat[0].dev) : DRV_NO_MEMORY;

	if (st)
		st->host = -1;
	if (!r) {
		st->can.timeout = seat_until() - ev_now_ns();
		r = drv_can_start(&st->can);
	}
	return r ? load_fail(l, "opening the controller: %d", r) : 0;
}

static int can_step(struct load *l)
{
	struct drv_can_frame f = { .id = 0x123, .flags = VIRTIO_CAN_FLAGS_FD, .len = 64 };
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	int r;

	load_record(f.data, f.len, ++st->number);
	r = drv_can_send(&st->can, &f, seat_until());
	if (!r)
		r = drv_can_sync(&st->can, seat_until());
	if (r)
		return load_fail(l, "sending frame %" PRIu64 ": %d", st->number, r);
	l->begun = begun;
	l->done++;
	return 0;
}

/* "(TIME) NAME 123##1AABB...": the number of the frame; 0 if the line is none. */
static uint64_t log_number(const char *line)
{
	const char *at = strstr(line, " 123##");
	uint8_t data[64];
	uint64_t number, time;

	if (!at)
		return 0;
	for (unsigned i = 0; i < sizeof(data); i++)
		if (sscanf(at + 7 + 2 * i, "%2hhx", &data[i]) != 1)
			return 0;
	return load_record_check(data, sizeof(data), &number, &time) ? number : 0;
}

/* Every frame that was answered was on the bus, so it is in the log: but for what the process had
 * not written when it died. */
static int can_finish(struct load *l)
{
	struct state *st = l->state;
	char path[128], line[256];
	uint64_t last = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", l->srv.dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		uint64_t number = log_number(line);

		if (number > last + 1)
			l->lost += number - last - 1;
		if (number && number <= last)
			l->twice++;
		if (number > last)
			last = number;
	}
	if (f)
		fclose(f);
	return last && last <= st->number ? 0 : load_fail(l, "the log ends with %" PRIu64, last);
}

static const char *const net_words[] = { "device", "net", "--tap", TAP, NULL };
static const char *const can_words[] = { "device", "can", "--bitrate", "0", "--log", "{dir}/log",
	NULL };

const struct load_class load_tap = { .name = "net",
	.words = net_words,
	.nports = 1,
	.id = DRV_ID_NET,
	.nqueues = 3,
	.prepare = net_prepare,
	.open = net_open,
	.step = net_step,
	.close = net_close };

const struct load_class load_can_own = { .name = "can",
	.words = can_words,
	.nports = 1,
	.id = DRV_ID_CAN,
	.nqueues = 3,
	.open = can_open,
	.step = can_step,
	.finish = can_finish };
