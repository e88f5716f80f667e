/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user back-end: every request, right and wrong. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "echo.h"
#include "tap.h"
#include "transport/vhost_user_backend.h"
#include "vhud_server.h"

#define PF(name) FEATURE(VHOST_USER_PROTOCOL_F_##name)

static const struct vhud_opts plain_opts = { .nqueues = 1 };

/* All cases share one server; each has its own connection. */
static struct vhud_server *server(void)
{
	static struct vhud_server srv;

	return &srv;
}

/* A connection on which features are agreed; NULL on failure. */
static struct vhud *greet(void)
{
	struct vhud *d = vhud_open(server()->path);

	if (d && !vhud_negotiate(d, &plain_opts))
		return d;
	vhud_close(d);
	return NULL;
}

static struct vhud *start(void)
{
	struct vhud *d = vhud_open(server()->path);

	if (d && !vhud_start(d, &plain_opts))
		return d;
	vhud_close(d);
	return NULL;
}

static bool echoes(struct vhud *d)
{
	uint32_t word = 0x12345678, back = 0;

	return vhud_do(d, 0, &word, sizeof(word), &back, sizeof(back)) == sizeof(back) &&
	       back == word;
}

static void says_what_it_has(struct tap *t)
{
	struct vhud *d = greet();
	uint64_t v = 0;

	REQUIRE(t, d);
	CHECK(t, vhud_features(d) & FEATURE(VIRTIO_F_VERSION_1));
	CHECK(t, vhud_features(d) & FEATURE(VIRTIO_F_RING_PACKED));
	CHECK(t, vhud_features(d) & FEATURE(ECHO_F_ONE));
	/* There is no IOTLB. */
	CHECK(t, !(vhud_features(d) & FEATURE(VIRTIO_F_ACCESS_PLATFORM)));
	CHECK_EQ(t, vhud_protocol(d),
		PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(INFLIGHT_SHMFD) |
			PF(RESET_DEVICE) | PF(CONFIGURE_MEM_SLOTS) | PF(STATUS));
	CHECK(t, !vhud_get_u64(d, VHOST_USER_GET_QUEUE_NUM, &v));
	CHECK_EQ(t, v, ECHO_QUEUES);
	CHECK(t, !vhud_get_u64(d, VHOST_USER_GET_MAX_MEM_SLOTS, &v));
	CHECK(t, v >= 8);
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0));
	CHECK(t, !vhud_ack(d, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0));
	vhud_close(d);
}

static void features_are_checked(struct tap *t)
{
	struct vhud *d = greet();
	uint64_t v;

	REQUIRE(t, d);
	/* The same again, as front-ends with several queue pairs do. */
	v = vhud_negotiated(d);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_FEATURES, &v, sizeof(v), NULL, 0), 0);
	/* Others, while nothing runs: a driver that starts over. */
	v |= FEATURE(ECHO_F_ONE);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_FEATURES, &v, sizeof(v), NULL, 0), 0);
	v |= FEATURE(60);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_FEATURES, &v, sizeof(v), NULL, 0), -EREMOTEIO);
	v = vhud_negotiated(d) | FEATURE(ECHO_F_REFUSE);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_FEATURES, &v, sizeof(v), NULL, 0), -EREMOTEIO);
	v = FEATURE(40);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_PROTOCOL_FEATURES, &v, sizeof(v), NULL, 0),
		-EREMOTEIO);
	vhud_close(d);

	d = start();
	REQUIRE(t, d);
	v = vhud_negotiated(d) | FEATURE(ECHO_F_ONE);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_FEATURES, &v, sizeof(v), NULL, 0), -EREMOTEIO);
	CHECK(t, echoes(d));
	vhud_close(d);
}

/* A failure that was not asked about can only be told by disconnecting. */
static void failure_without_need_reply_disconnects(struct tap *t)
{
	const struct vhost_user_vring_state s = { ECHO_QUEUES, 64 };
	struct vhud *d = greet();

	REQUIRE(t, d);
	CHECK(t, !vhud_send(d, VHOST_USER_SET_VRING_NUM, 0, &s, sizeof(s), NULL, 0));
	CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
	vhud_close(d);
}

/* The acknowledgement belongs to REPLY_ACK: without it the flag means nothing. */
static void need_reply_needs_reply_ack(struct tap *t)
{
	const struct vhud_opts opts = { .protocol = PF(MQ) };
	const struct vhost_user_vring_state s = { 0, 64 };
	struct vhud *d = vhud_open(server()->path);
	uint64_t v = 0;

	REQUIRE(t, d && !vhud_negotiate(d, &opts));
	CHECK(t, !vhud_send(d, VHOST_USER_SET_VRING_NUM, VHOST_USER_NEED_REPLY, &s, sizeof(s), NULL,
			 0));
	/* The next thing that comes is the answer to this. */
	CHECK(t, !vhud_get_u64(d, VHOST_USER_GET_QUEUE_NUM, &v));
	CHECK_EQ(t, v, ECHO_QUEUES);
	vhud_close(d);
}

/* Requests with an answer of their own are answered once, NEED_REPLY or not. */
static void answers_come_once(struct tap *t)
{
	struct vhud *d = greet();
	struct vhost_user_msg msg;

	REQUIRE(t, d);
	CHECK(t, !vhud_send(d, VHOST_USER_GET_FEATURES, VHOST_USER_NEED_REPLY, NULL, 0, NULL, 0));
	CHECK(t, !vhud_recv(d, &msg, NULL, NULL, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, msg.payload.u64, vhud_features(d));
	CHECK_EQ(t, msg.hdr.flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
	CHECK_EQ(t, vhud_recv(d, &msg, NULL, NULL, 50), -ETIMEDOUT);
	vhud_close(d);
}

static void unknown_requests_are_refused(struct tap *t)
{
	static const uint32_t unknown[] = { 0, VHOST_USER_SET_LOG_BASE, VHOST_USER_SET_LOG_FD,
		VHOST_USER_SEND_RARP, VHOST_USER_NET_SET_MTU, VHOST_USER_IOTLB_MSG,
		VHOST_USER_VRING_KICK, 41, 1000, UINT32_MAX };
	struct vhud *d = start();
	uint64_t v = 0;

	REQUIRE(t, d);
	for (unsigned i = 0; i < ARRAY_LEN(unknown); i++)
		CHECK_EQ(t, vhud_ack(d, unknown[i], &v, sizeof(v), NULL, 0), -EREMOTEIO);
	CHECK(t, echoes(d));
	CHECK(t, !vhud_send(d, 1000, 0, NULL, 0, NULL, 0));
	CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
	vhud_close(d);
}

/* Protocol features gate requests. */
static void requests_need_their_feature(struct tap *t)
{
	static const struct {
		uint32_t request, size;
	} gated[] = {
		{ VHOST_USER_RESET_DEVICE, 0 },
		{ VHOST_USER_SET_STATUS, 8 },
		{ VHOST_USER_SET_CONFIG, 13 },
		{ VHOST_USER_REM_MEM_REG, 40 },
	};
	const struct vhud_opts opts = { .protocol = PF(REPLY_ACK) };
	const uint8_t zeroes[64] = { 0 };
	struct vhud *d = vhud_open(server()->path);
	uint64_t v;

	REQUIRE(t, d && !vhud_negotiate(d, &opts));
	for (unsigned i = 0; i < ARRAY_LEN(gated); i++)
		CHECK_EQ(t, vhud_ack(d, gated[i].request, zeroes, gated[i].size, NULL, 0),
			-EREMOTEIO);
	CHECK_EQ(t, vhud_get_u64(d, VHOST_USER_GET_STATUS, &v), -EPIPE);
	vhud_close(d);
}

/* What one request looks like. */
static const struct form {
	uint32_t request, size;
	unsigned nfds;
} forms[] = {
	{ VHOST_USER_GET_FEATURES, 0, 0 },
	{ VHOST_USER_SET_FEATURES, 8, 0 },
	{ VHOST_USER_SET_OWNER, 0, 0 },
	{ VHOST_USER_RESET_OWNER, 0, 0 },
	{ VHOST_USER_SET_VRING_NUM, 8, 0 },
	{ VHOST_USER_SET_VRING_ADDR, 40, 0 },
	{ VHOST_USER_SET_VRING_BASE, 8, 0 },
	{ VHOST_USER_GET_VRING_BASE, 8, 0 },
	{ VHOST_USER_SET_VRING_KICK, 8, 1 },
	{ VHOST_USER_SET_VRING_CALL, 8, 1 },
	{ VHOST_USER_SET_VRING_ERR, 8, 1 },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0 },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0 },
	{ VHOST_USER_GET_QUEUE_NUM, 0, 0 },
	{ VHOST_USER_SET_VRING_ENABLE, 8, 0 },
	{ VHOST_USER_RESET_DEVICE, 0, 0 },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0 },
	{ VHOST_USER_ADD_MEM_REG, 40, 1 },
	{ VHOST_USER_SET_STATUS, 8, 0 },
	{ VHOST_USER_GET_STATUS, 0, 0 },
	{ VHOST_USER_SET_INFLIGHT_FD, 24, 1 },
	{ VHOST_USER_GET_INFLIGHT_FD, 24, 0 },
	{ VHOST_USER_SET_MEM_TABLE, 264, 8 },
	{ VHOST_USER_GET_CONFIG, 268, 0 },
	{ VHOST_USER_SET_CONFIG, 268, 0 },
};

static void expect_closed(struct tap *t, const struct form *f, uint32_t size, unsigned nfds)
{
	static const uint8_t zeroes[512];
	autoclose int fd = fd_event();
	const int fds[FD_PASS_MAX] = { fd, fd, fd, fd, fd, fd, fd, fd };
	struct vhud *d = greet();

	REQUIRE(t, d);
	CHECK(t, !vhud_send(d, f->request, VHOST_USER_NEED_REPLY, zeroes, size, fds, nfds));
	if (!CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS)))
		printf("# request %u with %u bytes, %u descriptors\n", f->request, size, nfds);
	vhud_close(d);
}

static void malformed_messages_disconnect(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *f = &forms[i];

		expect_closed(t, f, f->size + 1, f->nfds);
		if (f->size)
			expect_closed(t, f, 3, f->nfds);
		if (f->nfds < FD_PASS_MAX)
			expect_closed(t, f, f->size, f->nfds + 1);
	}
}

static void bad_headers_disconnect(struct tap *t)
{
	static const struct vhost_user_hdr bad[] = {
		{ VHOST_USER_GET_FEATURES, 0, 0 }, /* version 0 */
		{ VHOST_USER_GET_FEATURES, 2, 0 }, /* version 2 */
		{ VHOST_USER_GET_FEATURES, VHOST_USER_VERSION | VHOST_USER_REPLY, 0 }, /* reply */
		{ VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 513 }, /* too long */
		{ VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, UINT32_MAX },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vhud *d = greet();

		REQUIRE(t, d);
		CHECK_EQ(
			t, fd_send(vhud_sock(d), &bad[i], sizeof(bad[i]), NULL, 0), sizeof(bad[i]));
		CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
		vhud_close(d);
	}
}

/* Half a message does not keep the device from serving its queues. */
static void messages_come_in_pieces(struct tap *t)
{
	const struct {
		struct vhost_user_hdr hdr;
		uint64_t v;
	} __attribute__((packed)) msg = {
		{ VHOST_USER_SET_STATUS, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 8 },
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK,
	};
	struct vhud *d = start();
	struct vhost_user_msg reply;

	REQUIRE(t, d);
	for (unsigned i = 0; i < sizeof(msg); i++) {
		CHECK_EQ(t, fd_send(vhud_sock(d), (const uint8_t *)&msg + i, 1, NULL, 0), 1);
		CHECK(t, echoes(d));
	}
	CHECK(t, !vhud_recv(d, &reply, NULL, NULL, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, reply.hdr.request, VHOST_USER_SET_STATUS);
	CHECK_EQ(t, reply.payload.u64, 0);
	vhud_close(d);
}

static void rings_are_checked(struct tap *t)
{
	struct vhost_user_vring_addr addr = { .index = ECHO_QUEUES };
	struct vhost_user_vring_state s = { ECHO_QUEUES, 64 };
	struct vhud *d = greet();
	autoclose int fd = fd_event();
	uint64_t v = ECHO_QUEUES;

	REQUIRE(t, d);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_BASE, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_ENABLE, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		-EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_CALL, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_ERR, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	/* A descriptor promised and not attached, one attached and denied, unknown bits. */
	v = 0;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), NULL, 0), -EREMOTEIO);
	v = VHOST_USER_VRING_NOFD;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	v = 0x200;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_CALL, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	/* Sizes and positions. */
	s = (struct vhost_user_vring_state){ 0, 0 };
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	s.num = ECHO_QUEUE_MAX + 1;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	s.num = 0x10000;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_BASE, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	s.num = 2;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_ENABLE, &s, sizeof(s), NULL, 0), -EREMOTEIO);
	addr = (struct vhost_user_vring_addr){ .flags = VHOST_USER_VRING_F_LOG };
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		-EREMOTEIO);
	vhud_close(d);
	d = greet();
	s = (struct vhost_user_vring_state){ ECHO_QUEUES, 0 };
	REQUIRE(t, d && !vhud_send(d, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0));
	CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
	vhud_close(d);
}

/* A ring outside shared memory, or of a size that split rings do not have, does not start. */
static void rings_must_be_in_memory(struct tap *t)
{
	const struct vhost_user_vring_addr outside = { .desc = 4096, .avail = 8192, .used = 16384 };
	const struct vhost_user_vring_state odd = { 0, 63 };
	autoclose int fd = fd_event();
	struct vhud *d = start();
	uint64_t v = 0;

	REQUIRE(t, d);
	CHECK(t, !vhud_queue_stop(d, 0, NULL));
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_VRING_NUM, &odd, sizeof(odd), NULL, 0));
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	CHECK(t, !vhud_queue_stop(d, 0, NULL));
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_VRING_ADDR, &outside, sizeof(outside), NULL, 0));
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &fd, 1), -EREMOTEIO);
	vhud_close(d);
}

/* Kick descriptors that are no eventfds neither block nor spin nor crash. */
static void strange_kick_descriptors(struct tap *t)
{
	struct vhud *d = start();
	autoclose int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t v = 0;
	int pipe_fds[2], pair[2];

	REQUIRE(t, d && file >= 0);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &file, 1), -EREMOTEIO);
	REQUIRE(t, !pipe2(pipe_fds, O_CLOEXEC) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &pipe_fds[0], 1));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_VRING_KICK, &v, sizeof(v), &pair[0], 1));
	CHECK_EQ(t, write(pair[1], "abc", 3), 3);
	close(pair[0]);
	close(pair[1]);
	CHECK(t, !vhud_queue_stop(d, 0, NULL));
	CHECK(t, !vhud_queue_start(d, 0, 64));
	CHECK(t, echoes(d));
	vhud_close(d);
}

static void memory_is_checked(struct tap *t)
{
	struct vhost_user_mem_table table = { .nregions = 2 };
	struct err e = { 0 };
	autoclose int fd = fd_memfd("small", 65536, 0, &e);
	const int fds[] = { fd, fd };
	struct vhud *d = start();
	const uint32_t two = 8 + 2 * sizeof(table.regions[0]);

	REQUIRE(t, d && fd >= 0);
	table.regions[0] = (struct vhost_user_region){ 0x1000, 0x1000, 0x1000, 0 };
	table.regions[1] = (struct vhost_user_region){ 0x1800, 0x1000, 0x9000, 0 };
	/* Overlap, too few descriptors, too many regions, longer than the file, wrapping around. */
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	table.regions[1].gpa = 0x4000;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 1), -EREMOTEIO);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two - 32, fds, 2), -EREMOTEIO);
	table.nregions = 9;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	table.nregions = 2;
	table.regions[1].mmap_offset = 65536;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	table.regions[1].mmap_offset = UINT64_MAX - 0xfff;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	table.regions[1].mmap_offset = 0;
	table.regions[1].size = 0;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	table.regions[1].size = UINT64_MAX;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_MEM_TABLE, &table, two, fds, 2), -EREMOTEIO);
	/* A refused table leaves the old one. */
	CHECK(t, echoes(d));
	vhud_close(d);
}

static void memory_slots(struct tap *t)
{
	struct err e = { 0 };
	autoclose int fd = fd_memfd("slot", 65536, 0, &e);
	struct vhost_user_mem_reg reg = { .region = { 0x1000, 0x2000, 0x5000, 0x1000 } };
	struct vhud *d = start();

	REQUIRE(t, d && fd >= 0);
	CHECK(t, !vhud_ack(d, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1));
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), -EREMOTEIO);
	CHECK(t, echoes(d));
	reg.region.size = 0x1000;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), NULL, 0), -EREMOTEIO);
	reg.region.size = 0x2000;
	reg.region.mmap_offset = 7;
	CHECK(t, !vhud_ack(d, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), NULL, 0));
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), NULL, 0), -EREMOTEIO);
	CHECK(t, echoes(d));
	/* Old front-ends attach a descriptor to the removal. */
	reg.region.mmap_offset = 0;
	CHECK(t, !vhud_ack(d, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1));
	CHECK(t, !vhud_ack(d, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), &fd, 1));
	/* A region that a ring needs. */
	vhud_region(d, 0, &reg.region);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), NULL, 0), -EREMOTEIO);
	vhud_close(d);
}

static void inflight_records(struct tap *t)
{
	struct vhost_user_inflight in = { .num_queues = ECHO_QUEUES, .queue_size = 128 };
	struct vhud *d = greet();
	struct vhost_user_msg msg;
	int fds[FD_PASS_MAX];
	unsigned nfds = 0;

	REQUIRE(t, d);
	CHECK(t, !vhud_send(d, VHOST_USER_GET_INFLIGHT_FD, 0, &in, sizeof(in), NULL, 0));
	REQUIRE(t, !vhud_recv(d, &msg, fds, &nfds, VHUD_TIMEOUT_MS) && nfds == 1);
	in = msg.payload.inflight;
	CHECK(t, in.mmap_size >= ECHO_QUEUES * vq_inflight_size(128, false));
	CHECK_EQ(t, msg.hdr.size, sizeof(in));
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1));
	/* 20 bytes, as the document has it. */
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, 20, fds, 1));
	in.num_queues = ECHO_QUEUES + 1;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1), -EREMOTEIO);
	in.num_queues = 0;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1), -EREMOTEIO);
	in.num_queues = 1;
	in.mmap_size *= 2;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1), -EREMOTEIO);
	in.mmap_size = 100;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1), -EREMOTEIO);
	in.mmap_size = 4096;
	in.mmap_offset = 8;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_INFLIGHT_FD, &in, sizeof(in), fds, 1), -EREMOTEIO);
	close(fds[0]);
	/* "None" for what cannot be. */
	in = (struct vhost_user_inflight){ .num_queues = 1000, .queue_size = 128 };
	CHECK(t, !vhud_send(d, VHOST_USER_GET_INFLIGHT_FD, 0, &in, sizeof(in), NULL, 0));
	CHECK(t, !vhud_recv(d, &msg, fds, &nfds, VHUD_TIMEOUT_MS) && nfds == 0);
	CHECK_EQ(t, msg.payload.inflight.mmap_size, 0);
	vhud_close(d);
}

/* The channel's socket is the front-end's, too, who may let it fill up and make it a blocking one.
 */
static void channel_that_nobody_reads(struct tap *t)
{
	struct vhud *d = greet();
	int pair[2], size = 4096;

	REQUIRE(t, d && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	CHECK(t, !vhud_ack(d, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1));
	CHECK(t, !fcntl(pair[1], F_SETFL, 0));
	for (unsigned i = 0; i < 100; i++)
		if (!CHECK(t, !vhud_config_write(d, 0, "x", 1)))
			break;
	close(pair[0]);
	close(pair[1]);
	vhud_close(d);
}

static void configuration_space(struct tap *t)
{
	struct vhost_user_config cfg = { .offset = 250, .size = 7 };
	struct vhud *d = greet();
	struct vhost_user_msg msg;
	uint8_t buf[64] = { 0 };

	REQUIRE(t, d);
	CHECK(t, !vhud_config_read(d, 4, buf, 8));
	CHECK_EQ(t, buf[0], 4);
	CHECK_EQ(t, buf[7], 11);
	/* Front-ends ask for the whole of what they know the device to have; zeroes follow. */
	CHECK(t, !vhud_config_read(d, 0, buf, sizeof(buf)));
	CHECK_EQ(t, buf[39], 39);
	CHECK_EQ(t, buf[40], 0);
	CHECK(t, !vhud_config_write(d, 8, "abc", 3));
	CHECK(t, !vhud_config_read(d, 8, buf, 3));
	CHECK(t, !memcmp(buf, "abc", 3));
	CHECK(t, !vhud_config_changed(d, 20));
	CHECK(t, !vhud_config_write(d, 0, "x", 1));
	CHECK(t, vhud_config_changed(d, VHUD_TIMEOUT_MS));
	CHECK(t, !vhud_config_write(d, 0, "\0", 1));
	/* Beyond the end: GET_CONFIG says so with an empty answer. */
	CHECK(t, !vhud_send(d, VHOST_USER_GET_CONFIG, 0, &cfg, 12 + 7, NULL, 0));
	CHECK(t, !vhud_recv(d, &msg, NULL, NULL, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, msg.hdr.size, 0);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_CONFIG, &cfg, 12 + 7, NULL, 0), -EREMOTEIO);
	/* Live migration is not offered; sizes must agree. */
	cfg = (struct vhost_user_config){ .offset = 8, .size = 3, .flags = 1 };
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_CONFIG, &cfg, 12 + 3, NULL, 0), -EREMOTEIO);
	cfg.flags = 0;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_CONFIG, &cfg, 12 + 5, NULL, 0), -EREMOTEIO);
	cfg.size = UINT32_MAX;
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_CONFIG, &cfg, 12 + 5, NULL, 0), -EREMOTEIO);
	vhud_close(d);
}

static void device_status(struct tap *t)
{
	struct vhud *d = greet();
	uint64_t v = 0x100;
	uint8_t status = 0;

	REQUIRE(t, d);
	CHECK(t, !vhud_get_status(d, &status));
	CHECK_EQ(t, status, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_SET_STATUS, &v, sizeof(v), NULL, 0), -EREMOTEIO);
	CHECK(t, !vhud_set_status(d, 0));
	CHECK(t, !vhud_get_status(d, &status));
	CHECK_EQ(t, status, 0);
	/* FEATURES_OK is not set when no features were accepted. */
	CHECK(t, !vhud_set_status(d, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_FEATURES_OK));
	CHECK(t, !vhud_get_status(d, &status));
	CHECK_EQ(t, status, VIRTIO_S_ACKNOWLEDGE);
	vhud_close(d);
}

struct sealed_end {
	struct vhud_server *srv;
	struct vhu_backend *b;
	int sock;
	int result;
};

static void sealed_begin(void *arg)
{
	const struct vhu_backend_opts opts = { .require_sealed = true };
	struct sealed_end *s = arg;
	struct err e = { 0 };

	s->result = vhu_backend_create(&s->b, s->srv->dev, s->sock, &opts, &e);
}

static void sealed_finish(void *arg)
{
	vhu_backend_destroy(((struct sealed_end *)arg)->b);
}

/* Processes that serve several guests take no memory that one of them could cut off under them. */
static void unsealed_memory_can_be_refused(struct tap *t)
{
	struct vhost_user_mem_reg reg = { .region = { 0x1000, 0x1000, 0x5000, 0 } };
	autoclose int fd = memfd_create("unsealed", MFD_CLOEXEC);
	struct vhud_server srv;
	struct sealed_end end = { .srv = &srv };
	struct vhud *d;
	int pair[2];

	REQUIRE(t, !vhud_serve(&srv, &echo_class, NULL));
	REQUIRE(t, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	end.sock = pair[0];
	vhud_serve_call(&srv, sealed_begin, &end);
	REQUIRE(t, !end.result);
	d = vhud_open_fd(pair[1]);
	REQUIRE(t, d && !vhud_start(d, &plain_opts));
	CHECK(t, echoes(d));
	CHECK(t, !ftruncate(fd, 4096));
	CHECK_EQ(t, vhud_ack(d, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), -EREMOTEIO);
	vhud_close(d);
	vhud_serve_call(&srv, sealed_finish, &end);
	vhud_serve_end(&srv);
}

int main(void)
{
	struct tap t = { 0 };

	if (vhud_serve(server(), &echo_class, NULL))
		return 1;
	TAP_RUN(&t, says_what_it_has);
	TAP_RUN(&t, features_are_checked);
	TAP_RUN(&t, failure_without_need_reply_disconnects);
	TAP_RUN(&t, need_reply_needs_reply_ack);
	TAP_RUN(&t, answers_come_once);
	TAP_RUN(&t, unknown_requests_are_refused);
	TAP_RUN(&t, requests_need_their_feature);
	TAP_RUN(&t, malformed_messages_disconnect);
	TAP_RUN(&t, bad_headers_disconnect);
	TAP_RUN(&t, messages_come_in_pieces);
	TAP_RUN(&t, rings_are_checked);
	TAP_RUN(&t, rings_must_be_in_memory);
	TAP_RUN(&t, strange_kick_descriptors);
	TAP_RUN(&t, memory_is_checked);
	TAP_RUN(&t, memory_slots);
	TAP_RUN(&t, inflight_records);
	TAP_RUN(&t, channel_that_nobody_reads);
	TAP_RUN(&t, configuration_space);
	TAP_RUN(&t, device_status);
	TAP_RUN(&t, unsealed_memory_can_be_refused);
	vhud_serve_end(server());
	return tap_done(&t);
}
