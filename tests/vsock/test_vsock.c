/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device: connections, disconnects, limits, and packets that break the rules. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"
#include "guest.h"
#include "tap.h"

#define STREAM VIRTIO_VSOCK_TYPE_STREAM

/* The ring layout of this run of the cases. */
static uint64_t ring;

static void open_guest(struct tap *t, struct guest *g)
{
	CHECK_EQ(t, guest_open(g, ring | VSOCK_ALL, NULL), 0);
}

static void offers_cid_and_features(struct tap *t)
{
	struct guest g;
	uint64_t cid = 0;

	open_guest(t, &g);
	CHECK_EQ(t, vhud_config_read(g.d, 0, &cid, sizeof(cid)), 0);
	CHECK_EQ(t, cid, GUEST_CID);
	CHECK_EQ(t, vhud_features(g.d) & VSOCK_ALL, VSOCK_ALL);
	guest_close(&g);
}

static void guest_reaches_host(struct tap *t)
{
	struct vsock_pkt pkt;
	struct vsock_key key;
	struct guest g;
	char buf[GUEST_RXLEN];

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "hello", 5);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 5);
	CHECK(t, !memcmp(buf, "hello", 5));
	CHECK_EQ(t, write(fd, "answer", 6), 6);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RW, &pkt, buf));
	CHECK_EQ(t, pkt.len, 6);
	CHECK_EQ(t, pkt.fwd_cnt, 5);
	CHECK_EQ(t, pkt.buf_alloc, 262144);
	CHECK(t, !memcmp(buf, "answer", 6));
	/* Clean disconnect: RST answers, the host sees the end. */
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 0);
	guest_close(&g);
}

static void request_without_listener_is_refused(struct tap *t)
{
	const struct vsock_key key = { VSOCK_HOST_CID, 4711, 2000, STREAM };
	struct guest g;

	open_guest(t, &g);
	guest_send(&g, &key, VSOCK_OP_REQUEST, 0, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

/* A client of the host asks for guest port 52; returns its descriptor and the key. */
static int client_asks(struct tap *t, struct guest *g, struct vsock_key *key)
{
	struct vsock_pkt pkt = { 0 };
	int fd = host_connect(g, 52, SOCK_STREAM);

	CHECK(t, fd >= 0);
	CHECK(t, guest_recv(g, &pkt, NULL, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, pkt.op, VSOCK_OP_REQUEST);
	CHECK_EQ(t, pkt.src_cid, VSOCK_HOST_CID);
	CHECK_EQ(t, pkt.dst_cid, GUEST_CID);
	CHECK_EQ(t, pkt.dst_port, 52);
	CHECK(t, pkt.buf_alloc > 0);
	*key = (struct vsock_key){ pkt.src_cid, pkt.src_port, 52, STREAM };
	return fd;
}

static void host_reaches_guest(struct tap *t)
{
	char line[64], want[64], buf[GUEST_RXLEN];
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	autoclose int fd = client_asks(t, &g, &key);

	/* What the client sends before the OK must not be lost. */
	CHECK_EQ(t, write(fd, "early", 5), 5);
	guest_send(&g, &key, VSOCK_OP_RESPONSE, 0, NULL, 0);
	CHECK(t, host_line(fd, line, sizeof(line)));
	snprintf(want, sizeof(want), "OK %u", key.peer_port);
	CHECK(t, !strcmp(line, want));
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RW, NULL, buf));
	CHECK(t, !memcmp(buf, "early", 5));
	guest_send(&g, &key, VSOCK_OP_RW, 0, "reply", 5);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 5);
	guest_close(&g);
}

static void guest_refuses_client(struct tap *t)
{
	struct vsock_key key;
	struct guest g;
	char c;

	open_guest(t, &g);
	autoclose int fd = client_asks(t, &g, &key);

	guest_send(&g, &key, VSOCK_OP_RST, 0, NULL, 0);
	CHECK_EQ(t, host_read(fd, &c, 1), 0);
	/* An RST is never answered with one. */
	CHECK_EQ(t, guest_recv(&g, &(struct vsock_pkt){ 0 }, NULL, 100), 0);
	guest_close(&g);
}

static void nonsense_of_a_client_closes_it(struct tap *t)
{
	static const char *const lines[] = { "HELLO\n", "CONNECT\n", "CONNECT x\n", "CONNECT 1 2\n",
		"CONNECT 4294967296\n", "CONNECT -1\n",
		"CONNECT 00000000000000000000000000000000000000000000000000000000000000000001\n" };
	struct guest g;

	open_guest(t, &g);
	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		autoclose int fd = fd_unix_connect(g.uds, SOCK_STREAM, NULL);
		char c;
		ssize_t n;

		CHECK(t, write(fd, lines[i], strlen(lines[i])) > 0);
		n = host_read(fd, &c, 1);
		CHECK(t, n == 0 || (n < 0 && errno == ECONNRESET));
	}
	CHECK_EQ(t, guest_recv(&g, &(struct vsock_pkt){ 0 }, NULL, 50), 0);
	guest_close(&g);
}

static void guest_half_closes(struct tap *t)
{
	char buf[GUEST_RXLEN];
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "last", 4);
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND, NULL, 0);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 4);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 0);
	CHECK_EQ(t, write(fd, "still", 5), 5);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RW, NULL, buf));
	CHECK(t, !memcmp(buf, "still", 5));
	/* The flags are permanent: the other one completes the disconnect. */
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_RECEIVE, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void data_after_shutdown_is_reset(struct tap *t)
{
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND, NULL, 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "no", 2);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void host_half_closes(struct tap *t)
{
	struct vsock_pkt pkt = { 0 };
	char buf[GUEST_RXLEN];
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK_EQ(t, write(fd, "bye", 3), 3);
	shutdown(fd, SHUT_WR);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RW, NULL, buf));
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_SHUTDOWN, &pkt, NULL));
	CHECK_EQ(t, pkt.flags, VSOCK_SHUT_SEND);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "ok", 2);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 2);
	close(fd);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_SHUTDOWN, &pkt, NULL));
	CHECK_EQ(t, pkt.flags, VSOCK_SHUT_BOTH);
	/* Sent before the guest knew: no harm. */
	guest_send(&g, &key, VSOCK_OP_RW, 0, "late", 4);
	guest_send(&g, &key, VSOCK_OP_RST, 0, NULL, 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "gone", 4);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void host_closes_with_data_unread(struct tap *t)
{
	struct vsock_pkt pkt = { 0 };
	char buf[GUEST_RXLEN];
	struct vsock_key key;
	struct guest g;
	uint32_t got = 0;
	char big[20000];

	memset(big, 'x', sizeof(big));
	open_guest(t, &g);
	int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK_EQ(t, write(fd, big, sizeof(big)), sizeof(big));
	close(fd);
	while (guest_recv(&g, &pkt, buf, VHUD_TIMEOUT_MS) && pkt.op == VSOCK_OP_RW)
		got += pkt.len;
	CHECK_EQ(t, got, sizeof(big));
	CHECK_EQ(t, pkt.op, VSOCK_OP_SHUTDOWN);
	CHECK_EQ(t, pkt.flags, VSOCK_SHUT_BOTH);
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void guest_resets(struct tap *t)
{
	struct vsock_key key;
	struct guest g;
	char buf[16];

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_send(&g, &key, VSOCK_OP_RST, 0, NULL, 0);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 0);
	guest_close(&g);
}

/* Packets that belong to no connection are answered with an RST of the same addresses and type. */
static void strangers_are_reset(struct tap *t)
{
	static const struct vsock_pkt bad[] = {
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_RW, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_RESPONSE, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_SHUTDOWN, 3, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_CREDIT_UPDATE, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_CREDIT_REQUEST, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, VSOCK_OP_INVALID, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, STREAM, 99, 0, 0, 0 },
		{ 3, 2, 5, 6, 0, 7, VSOCK_OP_REQUEST, 0, 0, 0 }, /* unknown type */
		{ 3, 2, 5, 6, 0, 0, VSOCK_OP_REQUEST, 0, 0, 0 },
		{ 3, 9, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 }, /* a guest not in peers */
		{ 3, 1, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 },
		{ 3, 3, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 },
		{ 3, 0x100000002, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 },
		{ 4, 2, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 }, /* not its own CID */
		{ 0x100000003, 2, 5, 6, 0, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 },
		{ 3, 2, 5, 6, 100, STREAM, VSOCK_OP_RW, 0, 0, 0 }, /* len beyond the buffer */
		{ 3, 2, 5, 6, UINT32_MAX, STREAM, VSOCK_OP_REQUEST, 0, 0, 0 },
	};
	struct vsock_pkt pkt;
	struct guest g;

	open_guest(t, &g);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		guest_send_raw(&g, &bad[i], NULL, 0);
		memset(&pkt, 0, sizeof(pkt));
		CHECK(t, guest_recv(&g, &pkt, NULL, VHUD_TIMEOUT_MS));
		CHECK_EQ(t, pkt.op, VSOCK_OP_RST);
		CHECK(t, pkt.src_cid == bad[i].dst_cid && pkt.src_port == bad[i].dst_port);
		CHECK(t, pkt.dst_cid == bad[i].src_cid && pkt.dst_port == bad[i].src_port);
		CHECK_EQ(t, pkt.type, bad[i].type);
	}
	guest_close(&g);
}

/* What a packet of the guest does to an open connection: RST, and the host sees the end. */
static void rules_of_a_connection(struct tap *t)
{
	static const struct {
		uint16_t op;
		uint32_t len; /* claimed */
	} bad[] = {
		{ VSOCK_OP_REQUEST, 0 }, /* of a connection that exists */
		{ VSOCK_OP_RESPONSE, 0 }, { VSOCK_OP_INVALID, 0 }, { 8, 0 },
		{ VSOCK_OP_RW, 10 }, /* without these bytes */
	};
	struct guest g;
	char c;

	open_guest(t, &g);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vsock_key key;
		autoclose int fd = connect_to_host(&g, STREAM, 2000 + i, &key);
		const struct vsock_pkt pkt = { GUEST_CID, 2, key.guest_port, key.peer_port,
			bad[i].len, STREAM, bad[i].op, 0, 4096, 0 };

		guest_send_raw(&g, &pkt, NULL, 0);
		CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
		CHECK_EQ(t, host_read(fd, &c, 1), 0);
	}
	guest_close(&g);
}

static void credit_request_is_answered(struct tap *t)
{
	struct vsock_pkt pkt = { 0 };
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "12345678", 8);
	guest_send(&g, &key, VSOCK_OP_CREDIT_REQUEST, 0, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_CREDIT_UPDATE, &pkt, NULL));
	CHECK_EQ(t, pkt.fwd_cnt, 8);
	guest_close(&g);
}

static void credit_violation_is_reset(struct tap *t)
{
	static char data[8192];
	struct vsock_pkt pkt = { 0 };
	struct vsock_key key;
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, "buffer", "4096", NULL), 0);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	/* Exactly the credit is fine, and is given back. */
	guest_send(&g, &key, VSOCK_OP_RW, 0, data, 4096);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_CREDIT_UPDATE, &pkt, NULL));
	CHECK_EQ(t, pkt.fwd_cnt, 4096);
	CHECK_EQ(t, pkt.buf_alloc, 4096);
	guest_send(&g, &key, VSOCK_OP_RW, 0, data, 4097);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void connections_are_bounded(struct tap *t)
{
	struct vsock_key key[4], more = { VSOCK_HOST_CID, 1000, 9999, STREAM };
	int fd[4];
	struct guest g;
	char c;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, "connections", "4", NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		fd[i] = connect_to_host(&g, STREAM, 2000 + i, &key[i]);
	autoclose int listener = host_listen(&g, 1000, SOCK_STREAM);

	CHECK(t, listener >= 0);
	guest_send(&g, &more, VSOCK_OP_REQUEST, 0, NULL, 0);
	CHECK(t, guest_expect(&g, &more, VSOCK_OP_RST, NULL, NULL));
	autoclose int client = fd_unix_connect(g.uds, SOCK_STREAM, NULL);

	CHECK_EQ(t, host_read(client, &c, 1), 0);
	/* One ends, and there is room again. */
	guest_send(&g, &key[0], VSOCK_OP_RST, 0, NULL, 0);
	guest_send(&g, &more, VSOCK_OP_REQUEST, 0, NULL, 0);
	CHECK(t, guest_expect(&g, &more, VSOCK_OP_RESPONSE, NULL, NULL));
	for (unsigned i = 0; i < 4; i++)
		close(fd[i]);
	guest_close(&g);
}

static void device_reset_drops_connections(struct tap *t)
{
	struct vsock_key key;
	struct guest g;
	char c;

	open_guest(t, &g);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	CHECK_EQ(t, write(fd, "lost", 4), 4);
	CHECK_EQ(t, vhud_reset(g.d), 0);
	while (host_read(fd, &c, 1) > 0)
		;
	CHECK_EQ(t, guest_start(&g, ring | VSOCK_ALL), 0);
	/* The old connection is not known any more; new ones work. */
	guest_send(&g, &key, VSOCK_OP_RW, 0, "x", 1);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	autoclose int again = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, again >= 0);
	guest_close(&g);
}

/* The device's process is replaced under a running driver: its connections are gone, and it is told
 * so by an event (5.10.6.7). A fresh driver gets no such event. */
static void new_process_announces_the_loss(struct tap *t)
{
	struct vhud_server second;
	struct vsock_key key;
	uint32_t len = 0;
	struct guest g;

	open_guest(t, &g);
	struct iovec event = { vhud_alloc(g.d, 8), 8 };

	memset(event.iov_base, 0xff, 8);
	CHECK_EQ(t, vhud_add(g.d, VSOCK_EVENTQ, &event, 0, 1, NULL), 0);
	vhud_kick(g.d, VSOCK_EVENTQ);
	int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK_EQ(t, vhud_wait(g.d, VSOCK_EVENTQ, NULL, NULL, 50), 0);
	vhud_serve_end(&g.srv);
	close(fd);
	REQUIRE(t, !vhud_serve(&second, &vdev_vsock, "cid", "3", "uds", g.uds, NULL));
	REQUIRE(t, !vhud_reconnect_fd(g.d, fd_unix_connect(second.path, SOCK_STREAM, NULL)));
	g.srv = second;
	vhud_kick(g.d, VSOCK_EVENTQ);
	CHECK_EQ(t, vhud_wait(g.d, VSOCK_EVENTQ, NULL, &len, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, len, 4);
	CHECK_EQ(t, *(uint32_t *)event.iov_base, 0);
	guest_send(&g, &key, VSOCK_OP_RW, 0, "x", 1);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	fd = connect_to_host(&g, STREAM, 2001, &key);
	CHECK(t, fd >= 0);
	close(fd);
	guest_close(&g);
}

/* The tx queue is served while no rx buffer is there (5.10.6.1.2); answers come later. */
static void tx_goes_on_without_rx_buffers(struct tap *t)
{
	const struct vsock_key key = { VSOCK_HOST_CID, 4711, 2000, STREAM };
	const unsigned extra = 40;
	struct vsock_pkt pkt;
	struct guest g;
	unsigned n = 0;

	open_guest(t, &g);
	for (unsigned i = 0; i < GUEST_RX + extra; i++)
		guest_send(&g, &key, VSOCK_OP_RW, 0, NULL, 0);
	while (n < GUEST_RX + extra && guest_recv(&g, &pkt, NULL, VHUD_TIMEOUT_MS))
		n += pkt.op == VSOCK_OP_RST;
	CHECK_EQ(t, n, GUEST_RX + extra);
	guest_close(&g);
}

/* A flood of packets to answer without rx buffers stops the tx queue in the end, and nothing else;
 * no answer is lost. */
static void answers_are_bounded(struct tap *t)
{
	const struct vsock_pkt stray = { GUEST_CID, 2, 5, 6, 0, STREAM, VSOCK_OP_RW, 0, 0, 0 };
	const unsigned total = 200;
	unsigned sent = 0, taken = 0, got = 0;
	struct vsock_pkt pkt;
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, "connections", "1", NULL), 0);
	const struct vsock_hdr h = { stray.src_cid, stray.dst_cid, stray.src_port, stray.dst_port,
		0, stray.type, stray.op, 0, 0, 0 };
	struct iovec iov = { g.tx, sizeof(h) };

	memcpy(g.tx, &h, sizeof(h));
	while (sent < total && !vhud_add(g.d, VSOCK_TXQ, &iov, 1, 0, NULL))
		sent++;
	vhud_kick(g.d, VSOCK_TXQ);
	CHECK_EQ(t, sent, total);
	while (vhud_wait(g.d, VSOCK_TXQ, NULL, NULL, 200) == 1)
		taken++;
	CHECK(t, taken >= GUEST_RX && taken < total);
	while (got < total && guest_recv(&g, &pkt, NULL, VHUD_TIMEOUT_MS))
		got += pkt.op == VSOCK_OP_RST;
	CHECK_EQ(t, got, total);
	guest_close(&g);
}

static void short_header_needs_reset(struct tap *t)
{
	struct guest g;
	struct vsock_key key;

	open_guest(t, &g);
	struct iovec iov = { g.tx, sizeof(struct vsock_hdr) - 1 };

	CHECK_EQ(t, vhud_add(g.d, VSOCK_TXQ, &iov, 1, 0, NULL), 0);
	vhud_kick(g.d, VSOCK_TXQ);
	CHECK(t, vhud_needs_reset(g.d));
	/* A reset heals it. */
	CHECK_EQ(t, vhud_reset(g.d), 0);
	CHECK_EQ(t, guest_start(&g, ring | VSOCK_ALL), 0);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	guest_close(&g);
}

static void writable_tx_buffer_needs_reset(struct tap *t)
{
	struct guest g;

	open_guest(t, &g);
	struct iovec iov[] = { { g.tx, 44 }, { g.tx + 64, 44 } };

	CHECK_EQ(t, vhud_add(g.d, VSOCK_TXQ, iov, 1, 1, NULL), 0);
	vhud_kick(g.d, VSOCK_TXQ);
	CHECK(t, vhud_needs_reset(g.d));
	guest_close(&g);
}

static void types_follow_the_features(struct tap *t)
{
	static const struct {
		uint64_t features;
		bool stream, seqpacket;
	} cases[] = {
		{ 0, true, false }, /* 5.10.3.2: no bit means STREAM */
		{ 1, true, false },
		{ 2, true, true }, /* STREAM implied */
		{ 2 | 4, false, true },
		{ 1 | 4, true, false },
		{ 1 | 2 | 4, true, true },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest g;

		CHECK_EQ(t, guest_open(&g, ring | cases[i].features, NULL), 0);
		for (uint16_t type = 1; type <= 2; type++) {
			const struct vsock_key key = { VSOCK_HOST_CID, 1000, 2000, type };
			bool ok = type == STREAM ? cases[i].stream : cases[i].seqpacket;
			autoclose int l = host_listen(
				&g, 1000, type == STREAM ? SOCK_STREAM : SOCK_SEQPACKET);

			CHECK(t, l >= 0);
			guest_send(&g, &key, VSOCK_OP_REQUEST, 0, NULL, 0);
			CHECK(t, guest_expect(&g, &key, ok ? VSOCK_OP_RESPONSE : VSOCK_OP_RST, NULL,
					 NULL));
			guest_send(&g, &key, VSOCK_OP_RST, 0, NULL, 0);
		}
		guest_close(&g);
	}
}

static void bad_keys_are_explained(struct tap *t)
{
	static const char *const bad[][4] = {
		{ "cid", "2", NULL, NULL },
		{ "cid", "4294967295", NULL, NULL },
		{ "peers", "4", NULL, NULL },			     /* without peer-uds */
		{ "peers", "3", "peer-uds", "/tmp/avp-vsock-peer" }, /* its own CID */
		{ "peers", "2", "peer-uds", "/tmp/avp-vsock-peer" },
		{ "peers", "x", "peer-uds", "/tmp/avp-vsock-peer" },
		{ "uds", "/nonexistent/folder/v", NULL, NULL },
		{ "buffer", "1", NULL, NULL },
		{ "connections", "0", NULL, NULL },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vhud_server s;

		memset(&s, 0, sizeof(s));
		CHECK(t, vhud_serve(&s, &vdev_vsock, "cid", "3", bad[i][0], bad[i][1], bad[i][2],
				 bad[i][3], NULL) < 0);
	}
}

static void no_descriptor_is_left(struct tap *t)
{
	unsigned before = vhud_count_fds();
	struct vsock_key key;
	struct guest g;

	open_guest(t, &g);
	int fd = connect_to_host(&g, STREAM, 2000, &key);

	CHECK(t, fd >= 0);
	close(fd);
	guest_close(&g);
	CHECK_EQ(t, vhud_count_fds(), before);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct tap *t);
	} cases[] = {
#define CASE(fn) { #fn, fn }
		CASE(offers_cid_and_features),
		CASE(guest_reaches_host),
		CASE(request_without_listener_is_refused),
		CASE(host_reaches_guest),
		CASE(guest_refuses_client),
		CASE(nonsense_of_a_client_closes_it),
		CASE(guest_half_closes),
		CASE(data_after_shutdown_is_reset),
		CASE(host_half_closes),
		CASE(host_closes_with_data_unread),
		CASE(guest_resets),
		CASE(strangers_are_reset),
		CASE(rules_of_a_connection),
		CASE(credit_request_is_answered),
		CASE(credit_violation_is_reset),
		CASE(connections_are_bounded),
		CASE(device_reset_drops_connections),
		CASE(new_process_announces_the_loss),
		CASE(tx_goes_on_without_rx_buffers),
		CASE(answers_are_bounded),
		CASE(short_header_needs_reset),
		CASE(writable_tx_buffer_needs_reset),
		CASE(types_follow_the_features),
		CASE(no_descriptor_is_left),
	};
	struct tap t = { 0 };
	char name[80];

	for (int packed = 0; packed < 2; packed++) {
		ring = packed ? PACKED : SPLIT;
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			snprintf(name, sizeof(name), "%s: %s", packed ? "packed" : "split",
				cases[i].name);
			tap_run(&t, name, cases[i].fn);
		}
	}
	TAP_RUN(&t, bad_keys_are_explained);
	return tap_done(&t);
}
