/* SPDX-License-Identifier: BSD-3-Clause */
/* Uplinks: a tap interface and passt in a network namespace of their own, and a passt of the test's
 * own that misbehaves. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/loop.h"
#include "guests.h"
#include "host/passt.h"
#include "host/uplink.h"
#include "packets.h"
#include "tap.h"

#define TAP_NAME "avptest0"
#define LONG_NS	 UINT64_C(10000000000)

/* One uplink with the test at its other end. */
struct link {
	struct ev_loop *loop;
	struct uplink uplink;
	struct end end;
};

static bool link_open(struct tap *t, struct link *b, const char *spec)
{
	struct err e = { 0 };

	memset(b, 0, sizeof(*b));
	end_init(&b->end);
	if (!CHECK(t, !ev_loop_create(&b->loop)))
		return false;
	if (!CHECK_EQ(t, uplink_open(&b->uplink, spec, b->loop, NULL, &e), 0)) {
		printf("# %s\n", e.msg);
		return false;
	}
	netport_connect(&b->end.port, uplink_end(&b->uplink));
	return true;
}

static void link_close(struct link *b)
{
	uplink_close(&b->uplink);
	ev_loop_destroy(b->loop);
}

/* Runs the loop until frame `n` is there and returns it; NULL after a generous time. */
static const struct end_frame *frame(struct link *b, unsigned n)
{
	uint64_t end = ev_now_ns() + LONG_NS;

	while (b->end.n <= n && ev_now_ns() < end)
		ev_run_once(b->loop, 100);
	return b->end.n > n ? &b->end.got[n % END_FRAMES] : NULL;
}

/* The next frame from number *n on that has this type and, at `at`, these bytes. */
static const struct end_frame *find(
	struct link *b, unsigned *n, unsigned type, size_t at, const void *bytes, size_t len)
{
	const struct end_frame *f;

	while ((f = frame(b, (*n)++)))
		if (net_be16(f->data + 12) == type && !memcmp(f->data + at, bytes, len))
			return f;
	return NULL;
}

static bool is_up(struct link *b, bool up)
{
	uint64_t end = ev_now_ns() + LONG_NS;

	while (netport_peer_up(&b->end.port) != up && ev_now_ns() < end)
		ev_run_once(b->loop, 100);
	return netport_peer_up(&b->end.port) == up;
}

/* "Who has this address?" */
static int ask(struct link *b, const uint8_t own[4], const uint8_t address[4])
{
	uint8_t f[42] = { 0 };

	memset(f, 0xff, 6);
	put_mac(f + 6, 7);
	memcpy(f + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	put_mac(f + 22, 7);
	memcpy(f + 28, own, 4);
	memcpy(f + 38, address, 4);
	return end_send(&b->end, f, sizeof(f), NULL);
}

/* Namespaces of our own, if they are allowed; a reason if not. */
static const char *enter_namespace(void)
{
	char map[64];
	unsigned uid = getuid();
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			return "no network namespace: neither root nor user namespaces are allowed";
		snprintf(map, sizeof(map), "0 %u 1", uid);
		fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, map, strlen(map)) < 0)
			return "no network namespace: user namespaces are restricted";
		close(fd);
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return "no /dev/net/tun";
	close(fd);
	return NULL;
}

static void set_address(struct ifreq *ifr, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &in.sin_addr);
	memcpy(&ifr->ifr_addr, &in, sizeof(in));
}

/* Gives the interface the address 10.9.0.1/24 and sets it up, with a default route. */
static bool configure(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	struct rtentry rt = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct sockaddr_in gw = { .sin_family = AF_INET }, any = { .sin_family = AF_INET };
	bool ok;

	strcpy(ifr.ifr_name, TAP_NAME);
	set_address(&ifr, "10.9.0.1");
	ok = ioctl(s, SIOCSIFADDR, &ifr) == 0;
	set_address(&ifr, "255.255.255.0");
	ok &= ioctl(s, SIOCSIFNETMASK, &ifr) == 0;
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ok &= ioctl(s, SIOCSIFFLAGS, &ifr) == 0;
	inet_pton(AF_INET, "10.9.0.254", &gw.sin_addr);
	memcpy(&rt.rt_gateway, &gw, sizeof(gw));
	memcpy(&rt.rt_dst, &any, sizeof(any));
	memcpy(&rt.rt_genmask, &any, sizeof(any));
	ok &= ioctl(s, SIOCADDRT, &rt) == 0;
	close(s);
	return ok;
}

static bool open_tap_link(struct tap *t, struct link *b)
{
	return link_open(t, b, "tap:" TAP_NAME) && CHECK(t, configure());
}

static void tap_answers(struct tap *t)
{
	const struct end_frame *f;
	unsigned n = 0;
	struct link b;

	REQUIRE(t, open_tap_link(t, &b));
	CHECK_EQ(t, ask(&b, (uint8_t[]){ 10, 9, 0, 7 }, (uint8_t[]){ 10, 9, 0, 1 }), 0);
	f = find(&b, &n, 0x0806, 20, "\0\2", 2);
	REQUIRE(t, f);
	CHECK(t, !memcmp(f->data + 28, "\x0a\x09\0\1", 4));
	link_close(&b);
}

/* Frames with work left: the kernel takes them, and its own reach us with work left. */
static void tap_offloads(struct tap *t)
{
	struct packet k = { 0xff, 7, -1, false, true, 0, 0, 900 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(2000) };
	uint8_t p[1024], got[1024];
	struct net_hdr hdr = { .flags = 1, .csum_start = 34, .csum_offset = 6 };
	const struct end_frame *f;
	struct layout l;
	unsigned n = 0;
	struct link b;
	int s;

	REQUIRE(t, open_tap_link(t, &b));
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	REQUIRE(t, !bind(s, (void *)&in, sizeof(in)));
	CHECK_EQ(t, ask(&b, (uint8_t[]){ 10, 9, 0, 7 }, (uint8_t[]){ 10, 9, 0, 1 }), 0);
	f = find(&b, &n, 0x0806, 20, "\0\2", 2);
	REQUIRE(t, f);
	l = make_packet(p, &k, true);
	memcpy(p, f->data + 6, 6);
	memcpy(p + 26, "\x0a\x09\0\7\x0a\x09\0\1", 8);
	net_put_be16(p + 24, 0);
	net_put_be16(p + 24, (uint16_t)~slow_sum(p + 14, 20, 0));
	net_put_be16(p + 40, slow_pseudo(p + 14, false, 17, 908));
	CHECK_EQ(t, end_send(&b.end, p, l.len, &hdr), 0);
	REQUIRE(t, poll(&(struct pollfd){ s, POLLIN, 0 }, 1, 10000) == 1);
	CHECK_EQ(t, recv(s, got, sizeof(got), 0), 900);
	CHECK(t, !memcmp(got, p + l.payload, 900));
	/* And back: the kernel leaves the checksum to us. */
	b.end.port.accepts = NET_ACCEPT_CSUM;
	inet_pton(AF_INET, "10.9.0.7", &in.sin_addr);
	CHECK_EQ(t, sendto(s, got, 900, 0, (void *)&in, sizeof(in)), 900);
	f = find(&b, &n, 0x0800, 30, "\x0a\x09\0\7", 4);
	REQUIRE(t, f);
	CHECK_EQ(t, f->len, l.len);
	CHECK_EQ(t, f->hdr.flags, 1);
	/* A receiver that cannot take it gets it whole. */
	b.end.port.accepts = 0;
	CHECK_EQ(t, sendto(s, got, 900, 0, (void *)&in, sizeof(in)), 900);
	f = find(&b, &n, 0x0800, 30, "\x0a\x09\0\7", 4);
	REQUIRE(t, f);
	CHECK_EQ(t, f->hdr.flags, 0);
	CHECK(t, checksums_ok(f->data, 14, 34, f->len));
	close(s);
	link_close(&b);
}

static void tap_waits_for_room(struct tap *t)
{
	struct link b;

	REQUIRE(t, open_tap_link(t, &b));
	b.end.room = 0;
	CHECK_EQ(t, ask(&b, (uint8_t[]){ 10, 9, 0, 7 }, (uint8_t[]){ 10, 9, 0, 1 }), 0);
	for (unsigned i = 0; i < 20; i++)
		ev_run_once(b.loop, 10);
	CHECK_EQ(t, b.end.n, 0);
	b.end.room = 1000;
	netport_room(&b.end.port);
	CHECK(t, frame(&b, 0));
	link_close(&b);
}

/* A device of its own: `avp device net --tap`. */
static void device_on_tap(struct tap *t)
{
	const struct guest_opts none = { 0 };
	struct vhud_proc p;
	struct guest g;
	uint8_t f[42] = { 0 }, up;
	bool answered = false;

	if (!getenv("AVP")) {
		tap_skip(t, "the environment has no AVP, the program to test");
		return;
	}
	REQUIRE(t, !vhud_spawn(&p, "net", "--tap", TAP_NAME, NULL));
	REQUIRE(t, configure());
	memset(&g, 0, sizeof(g));
	REQUIRE(t, !guest_start(&g, fd_unix_connect(p.path, SOCK_STREAM, NULL), &none));
	CHECK(t, !vhud_config_read(g.d, 6, &up, 1) && up == 1);
	memset(f, 0xff, 6);
	put_mac(f + 6, 7);
	memcpy(f + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	put_mac(f + 22, 7);
	memcpy(f + 28, "\x0a\x09\0\7", 4);
	memcpy(f + 38, "\x0a\x09\0\1", 4);
	CHECK_EQ(t, guest_ctrl(&g, 0, 0, "\1", 1), 0); /* promiscuous: address 7 is not its own */
	CHECK_EQ(t, guest_send(&g, 0, f, sizeof(f), NULL), 0);
	for (unsigned i = 0; i < 50 && !answered && guest_recv(&g, 10000); i++)
		answered = net_be16(g.got->data + 12) == 0x0806 && g.got->data[21] == 2;
	CHECK(t, answered);
	guest_stop(&g);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

static bool have_passt(void)
{
	return !system("passt --version >/dev/null 2>&1");
}

static void passt_answers(struct tap *t)
{
	/* A DHCP request is answered by passt itself. */
	uint8_t p[342 - 42 + 42] = { 0 };
	const struct end_frame *f;
	struct link host, b;
	unsigned n = 0;

	if (!have_passt()) {
		tap_skip(t, "passt is not installed (make deps)");
		return;
	}
	REQUIRE(t, open_tap_link(t, &host)); /* passt wants an interface with a default route */
	REQUIRE(t, link_open(t, &b, "passt"));
	CHECK(t, is_up(&b, true));
	memset(p, 0xff, 6);
	put_mac(p + 6, 7);
	memcpy(p + 12, "\x08\0\x45\0\1\x48\0\0\0\0\x40\x11\0\0\0\0\0\0\xff\xff\xff\xff", 22);
	net_put_be16(p + 24, (uint16_t)~slow_sum(p + 14, 20, 0));
	memcpy(p + 34, "\0\x44\0\x43\1\x34\0\0\1\1\6\0\x12\x34\x56\x78", 16);
	put_mac(p + 70, 7);
	memcpy(p + 278, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	CHECK_EQ(t, end_send(&b.end, p, sizeof(p), NULL), 0);
	f = find(&b, &n, 0x0800, 46, "\x12\x34\x56\x78", 4);
	REQUIRE(t, f);
	CHECK_EQ(t, net_be16(f->data + 34), 67);
	CHECK(t, !memcmp(f->data + 58, "\x0a\x09\0\1", 4)); /* the host's own address */
	link_close(&b);
	link_close(&host);
}

/* Sends a frame to us as passt would. */
static void passt_send(int sock, const void *frame_, uint32_t len, size_t piece)
{
	uint8_t buf[2048];

	net_put_be16(buf, 0);
	net_put_be16(buf + 2, len);
	memcpy(buf + 4, frame_, len);
	for (size_t at = 0; at < len + 4; at += piece)
		fd_write_full(sock, buf + at, min_u64(piece, len + 4 - at));
}

static int accept_one(struct link *b, int listener)
{
	int sock = -1;

	fd_nonblock(listener);
	for (uint64_t end = ev_now_ns() + LONG_NS; sock < 0 && ev_now_ns() < end;) {
		sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		ev_run_once(b->loop, 10);
	}
	return sock;
}

static void passt_stream(struct tap *t)
{
	char path[] = "/tmp/avp-passt-XXXXXX", spec[64];
	int listener, sock, fd = mkstemp(path);
	uint8_t f[1514], got[2048];
	struct link b;

	REQUIRE(t, fd >= 0);
	close(fd);
	unlink(path);
	snprintf(spec, sizeof(spec), "passt:%s", path);
	REQUIRE(t, link_open(t, &b, spec)); /* nobody listens yet */
	CHECK(t, !netport_peer_up(&b.end.port));
	CHECK_EQ(t, end_send(&b.end, f, 60, NULL), -ENETDOWN);
	listener = fd_unix_listen(path, SOCK_STREAM, NULL);
	REQUIRE(t, listener >= 0);
	sock = accept_one(&b, listener);
	REQUIRE(t, sock >= 0 && is_up(&b, true));
	/* Frames in pieces, also of the length. */
	for (unsigned i = 0; i < 20; i++) {
		make_frame(f, 60 + i * 70, 7, 1, -1, 0, (uint8_t)i);
		passt_send(sock, f, 60 + i * 70, i % 2 ? 3 + i : 4096);
		REQUIRE(t, frame(&b, i));
		CHECK_EQ(t, b.end.got[i].len, 60 + i * 70);
		CHECK(t, !memcmp(b.end.got[i].data, f, 60 + i * 70));
	}
	/* The other way. */
	make_frame(f, 100, 1, 7, -1, 0, 3);
	CHECK_EQ(t, end_send(&b.end, f, 100, NULL), 0);
	ev_run_once(b.loop, 0);
	ev_run_once(b.loop, 0);
	CHECK_EQ(t, fd_read_full(sock, got, 104), 0);
	CHECK(t, !memcmp(got, "\0\0\0\x64", 4) && !memcmp(got + 4, f, 100));
	/* Without room here the stream waits, and nothing is lost. */
	b.end.room = 5;
	for (unsigned i = 0; i < 10; i++)
		passt_send(sock, f, 100, 4096);
	REQUIRE(t, frame(&b, 24));
	ev_run_once(b.loop, 10);
	CHECK_EQ(t, b.end.n, 25);
	b.end.room = 100;
	netport_room(&b.end.port);
	CHECK(t, frame(&b, 29));
	/* One that does not read: we are told to wait, and then to go on. */
	fd = 0;
	while (end_send(&b.end, f, 100, NULL) == 0 && fd < 100000) {
		fd++;
		ev_run_once(b.loop, 0);
	}
	CHECK(t, fd > 1000 && fd < 100000);
	for (unsigned i = 0; !b.end.rooms && i < 100000; i++) {
		CHECK(t, recv(sock, got, sizeof(got), MSG_DONTWAIT) != 0);
		ev_run_once(b.loop, 0);
	}
	CHECK(t, b.end.rooms > 0);
	/* A length that no frame has ends the connection, and there is a new one. */
	CHECK_EQ(t, fd_write_full(sock, "\0\1\xff\xff", 4), 0);
	CHECK(t, is_up(&b, false));
	close(sock);
	sock = accept_one(&b, listener);
	CHECK(t, sock >= 0 && is_up(&b, true));
	close(sock);
	CHECK(t, is_up(&b, false));
	close(listener);
	link_close(&b);
	unlink(path);
}

/* A buffer full of frames for a guest that goes away does not stop the stream for the next one. */
static void passt_outlives_a_guest(struct tap *t)
{
	enum { FRAME = 1514, FRAMES = 260 };
	static uint8_t many[FRAMES * (4 + FRAME)];
	char path[] = "/tmp/avp-passt-XXXXXX", spec[64];
	int listener, sock, size = 1 << 20, fd = mkstemp(path);
	struct link b;
	ssize_t sent;

	REQUIRE(t, fd >= 0);
	close(fd);
	unlink(path);
	listener = fd_unix_listen(path, SOCK_STREAM, NULL);
	REQUIRE(t, listener >= 0);
	snprintf(spec, sizeof(spec), "passt:%s", path);
	REQUIRE(t, link_open(t, &b, spec));
	sock = accept_one(&b, listener);
	REQUIRE(t, sock >= 0 && is_up(&b, true));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (unsigned i = 0; i < FRAMES; i++) {
		net_put_be16(many + i * (4 + FRAME) + 2, FRAME);
		make_frame(many + i * (4 + FRAME) + 4, FRAME, 7, 1, -1, 0, (uint8_t)i);
	}
	b.end.room = 0;
	sent = send(sock, many, sizeof(many), MSG_DONTWAIT);
	/* More than is read at a time. */
	REQUIRE(t, sent > (256 << 10) + 2 * FRAME);
	ev_run_once(b.loop, 100);
	CHECK_EQ(t, b.end.n, 0);
	netport_set_up(&b.end.port, false);
	ev_run_once(b.loop, 0);
	b.end.room = 1000;
	netport_set_up(&b.end.port, true);
	CHECK(t, frame(&b, 0));
	close(sock);
	close(listener);
	link_close(&b);
	unlink(path);
}

static void wrong_names(struct tap *t)
{
	static const char *const specs[] = { "", "tap", "tap:", "tap:0123456789abcdef", "passtt",
		"passt:x", "x" };
	struct ev_loop *loop;

	REQUIRE(t, !ev_loop_create(&loop));
	for (unsigned i = 0; i < ARRAY_LEN(specs); i++) {
		struct uplink u = { 0 };
		struct err e = { 0 };

		CHECK_EQ(t, uplink_open(&u, specs[i], loop, NULL, &e), -EINVAL);
		CHECK(t, *e.msg && !uplink_end(&u));
	}
	ev_loop_destroy(loop);
}

/* Each in a process of its own, which may enter a namespace. */
static void in_namespace(struct tap *t, const char *name, void (*fn)(struct tap *))
{
	struct tap inner = { .n = t->n };
	pid_t pid;
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		const char *why = enter_namespace();

		if (why) {
			printf("ok %d - %s # SKIP %s\n", ++inner.n, name, why);
			fflush(stdout);
			_exit(0);
		}
		tap_run(&inner, name, fn);
		_exit(inner.failed != 0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		printf("not ok %d - %s\n", t->n + 1, name);
	t->failed += status != 0;
	t->n++;
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, wrong_names);
	TAP_RUN(&t, passt_stream);
	TAP_RUN(&t, passt_outlives_a_guest);
	in_namespace(&t, "tap_answers", tap_answers);
	in_namespace(&t, "tap_offloads", tap_offloads);
	in_namespace(&t, "tap_waits_for_room", tap_waits_for_room);
	in_namespace(&t, "device_on_tap", device_on_tap);
	in_namespace(&t, "passt_answers", passt_answers);
	return tap_done(&t);
}
