/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device: megabytes under exact credit, messages, many connections, guest to guest. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"
#include "guest.h"
#include "tap.h"

#define STREAM	  VIRTIO_VSOCK_TYPE_STREAM
#define SEQPACKET VIRTIO_VSOCK_TYPE_SEQPACKET
#define MIB	  (1024u * 1024u)
#define TX_MAX	  65536u

/* The ring layout of this run of the cases. */
static uint64_t ring;

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

static void fill(uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern(from + i);
}

static bool equals(const uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern(from + i))
			return false;
	return true;
}

/* A host program that reads everything in gulps with pauses, so that backlogs form. */
struct reader {
	int fd;
	bool messages;
	uint64_t bytes;
	unsigned count; /* messages */
	bool bad;
	pthread_t thread;
};

static void *reader_run(void *arg)
{
	static _Thread_local uint8_t buf[TX_MAX];
	struct reader *r = arg;
	ssize_t n;

	while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
		uint64_t from = r->messages ? r->count : r->bytes;

		r->bad |= !equals(buf, from, (size_t)n);
		if (r->messages)
			r->bad |= (size_t)n != 1 + (r->count * 7919u) % 20000;
		r->bytes += (uint64_t)n;
		r->count++;
		if (r->count % 16 == 0)
			usleep(2000);
	}
	return NULL;
}

static void reader_start(struct reader *r, int fd, bool messages)
{
	*r = (struct reader){ .fd = fd, .messages = messages };
	pthread_create(&r->thread, NULL, reader_run, r);
}

/* The sending side of a guest's connection: keeps to the credit, as 5.10.6.3 computes it. */
struct sender {
	uint32_t buf_alloc, fwd_cnt, tx_cnt;
	unsigned updates;
};

static uint32_t credit(const struct sender *s)
{
	return s->buf_alloc - (s->tx_cnt - s->fwd_cnt);
}

/* Takes packets until there is credit. False: the device gave none, or something unexpected. */
static bool await_credit(struct guest *g, struct sender *s)
{
	struct vsock_pkt pkt;

	while (!credit(s)) {
		if (!guest_recv(g, &pkt, NULL, VHUD_TIMEOUT_MS) || pkt.op != VSOCK_OP_CREDIT_UPDATE)
			return false;
		if (pkt.fwd_cnt - s->fwd_cnt > s->tx_cnt - s->fwd_cnt)
			return false; /* more than was sent */
		s->fwd_cnt = pkt.fwd_cnt;
		s->updates++;
	}
	return true;
}

static void stream_to_host_within_credit(struct tap *t)
{
	static uint8_t buf[TX_MAX];
	const uint64_t total = 6 * MIB;
	struct sender s = { .buf_alloc = 65536 };
	struct vsock_key key;
	struct reader r;
	struct guest g;
	uint64_t sent = 0;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, "buffer", "64K", NULL), 0);
	autoclose int fd = connect_to_host(&g, STREAM, 2000, &key);

	reader_start(&r, fd, false);
	for (unsigned i = 0; sent < total; i++) {
		REQUIRE(t, await_credit(&g, &s));
		uint32_t n = (uint32_t)min_u64(
			min_u64(credit(&s), 1 + (i * 7919u) % TX_MAX), total - sent);

		fill(buf, sent, n);
		guest_send(&g, &key, VSOCK_OP_RW, 0, buf, n);
		s.tx_cnt += n;
		sent += n;
	}
	/* The end comes after all data, however slow the reader. */
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL, 0);
	pthread_join(r.thread, NULL);
	CHECK_EQ(t, r.bytes, total);
	CHECK(t, !r.bad);
	CHECK(t, s.updates > 0);
	guest_close(&g);
}

/* A host program that writes everything and closes. */
struct writer {
	int fd;
	uint64_t total;
	pthread_t thread;
};

static void *writer_run(void *arg)
{
	static _Thread_local uint8_t buf[50000];
	struct writer *w = arg;

	for (uint64_t at = 0; at < w->total;) {
		size_t n = min_u64(sizeof(buf), w->total - at);

		fill(buf, at, n);
		if (fd_write_full(w->fd, buf, n))
			break;
		at += n;
	}
	shutdown(w->fd, SHUT_WR);
	return NULL;
}

/* The guest's buffer is small and emptied in steps: the device must never send more than it was
 * told there is, must ask when there is none, and must lose nothing. */
static void stream_to_guest_within_credit(struct tap *t)
{
	static uint8_t buf[GUEST_RXLEN];
	struct vsock_pkt pkt, tell = { 0 };
	uint32_t received = 0, told = 0, asked = 0;
	const uint32_t room = 10000;
	struct vsock_key key = { VSOCK_HOST_CID, 1000, 2000, STREAM };
	struct writer w = { .total = 2 * MIB };
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	autoclose int l = host_listen(&g, 1000, SOCK_STREAM);

	tell = (struct vsock_pkt){ GUEST_CID, 2, 2000, 1000, 0, STREAM, VSOCK_OP_REQUEST, 0, room,
		0 };
	guest_send_raw(&g, &tell, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RESPONSE, NULL, NULL));
	w.fd = host_accept(l);
	pthread_create(&w.thread, NULL, writer_run, &w);
	tell.op = VSOCK_OP_CREDIT_UPDATE;
	for (;;) {
		REQUIRE(t, guest_recv(&g, &pkt, buf, VHUD_TIMEOUT_MS));
		if (pkt.op == VSOCK_OP_SHUTDOWN)
			break;
		if (pkt.op == VSOCK_OP_CREDIT_REQUEST) {
			asked++;
			/* Only when all room is used up. */
			CHECK_EQ(t, received - told, room);
			told = tell.fwd_cnt = received - (asked % 3 ? 0 : 100);
			guest_send_raw(&g, &tell, NULL, 0);
			continue;
		}
		REQUIRE(t, pkt.op == VSOCK_OP_RW);
		CHECK(t, equals(buf, received, pkt.len));
		received += pkt.len;
		REQUIRE(t, received - told <= room);
	}
	pthread_join(w.thread, NULL);
	close(w.fd);
	CHECK_EQ(t, received, w.total);
	CHECK(t, asked > 100);
	guest_close(&g);
}

/* A guest that takes back what it promised gets nothing more, and the device survives it. */
static void absurd_credit_is_no_credit(struct tap *t)
{
	static const struct {
		uint32_t buf_alloc, fwd_cnt;
	} absurd[] = { { 0, 0 }, { 10, 5000 }, { 100, 0x80000000u }, { 1000, UINT32_MAX - 2000 } };
	struct vsock_key key;
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	for (unsigned i = 0; i < ARRAY_LEN(absurd); i++) {
		struct vsock_pkt pkt = { 0 };
		autoclose int fd = connect_to_host(&g, STREAM, 2000 + i, &key);
		const struct vsock_pkt tell = { GUEST_CID, 2, 2000 + i, 1000, 0, STREAM,
			VSOCK_OP_CREDIT_UPDATE, 0, absurd[i].buf_alloc, absurd[i].fwd_cnt };

		guest_send_raw(&g, &tell, NULL, 0);
		CHECK_EQ(t, write(fd, "data", 4), 4);
		CHECK(t, guest_expect(&g, &key, VSOCK_OP_CREDIT_REQUEST, NULL, NULL));
		CHECK_EQ(t, guest_recv(&g, &pkt, NULL, 30), 0);
		guest_send(&g, &key, VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
		CHECK(t, guest_expect(&g, &key, VSOCK_OP_RW, &pkt, NULL));
		CHECK_EQ(t, pkt.len, 4);
		guest_send(&g, &key, VSOCK_OP_RST, 0, NULL, 0);
	}
	guest_close(&g);
}

static void many_connections(struct tap *t)
{
	enum { N = 200 };
	static struct vsock_key key[N];
	static int fd[N];
	char buf[GUEST_RXLEN], text[32];
	struct guest g;
	unsigned ok = 0;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	for (unsigned i = 0; i < N; i++)
		fd[i] = connect_to_host(&g, STREAM, 3000 + i, &key[i]);
	for (unsigned i = 0; i < N; i++) {
		int n = snprintf(text, sizeof(text), "to host %u", i);

		guest_send(&g, &key[i], VSOCK_OP_RW, 0, text, (uint32_t)n);
		ok += host_read(fd[i], buf, sizeof(buf)) == n && !memcmp(buf, text, (size_t)n);
	}
	CHECK_EQ(t, ok, N);
	for (unsigned i = 0; i < N; i++)
		CHECK_EQ(t, write(fd[i], &i, sizeof(i)), sizeof(i));
	for (unsigned i = 0, id; i < N; i++) {
		struct vsock_pkt pkt = { 0 };

		REQUIRE(t, guest_recv(&g, &pkt, buf, VHUD_TIMEOUT_MS));
		memcpy(&id, buf, sizeof(id));
		ok += pkt.op == VSOCK_OP_RW && pkt.dst_port == 3000 + id;
	}
	CHECK_EQ(t, ok, 2 * N);
	for (unsigned i = 0; i < N; i++)
		close(fd[i]);
	for (unsigned i = 0; i < N; i++) {
		struct vsock_pkt pkt = { 0 };

		REQUIRE(t, guest_recv(&g, &pkt, buf, VHUD_TIMEOUT_MS));
		CHECK_EQ(t, pkt.op, VSOCK_OP_SHUTDOWN);
	}
	guest_close(&g);
}

/* No connection starves: with two that always have data, packets of both come. */
static void connections_take_turns(struct tap *t)
{
	static uint8_t data[150000];
	struct vsock_key key[2];
	unsigned count[2] = { 0 };
	struct vsock_pkt pkt;
	struct guest g;
	int fd[2];

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		fd[i] = connect_to_host(&g, STREAM, 2000 + i, &key[i]);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(t, write(fd[i], data, sizeof(data)), sizeof(data));
	while (count[0] + count[1] < 2 * sizeof(data) &&
		guest_recv(&g, &pkt, NULL, VHUD_TIMEOUT_MS)) {
		count[pkt.dst_port - 2000] += pkt.len;
		/* The first is ahead by what fit the rx buffers before the second wrote, not more.
		 */
		if (count[0] == sizeof(data))
			CHECK(t, count[1] > 0);
	}
	CHECK_EQ(t, count[0], sizeof(data));
	CHECK_EQ(t, count[1], sizeof(data));
	close(fd[0]);
	close(fd[1]);
	guest_close(&g);
}

/* Message i begins with pattern(i) and has this length; sent in fragments. */
static uint32_t message_len(unsigned i)
{
	return 1 + (i * 7919u) % 20000;
}

static void messages_to_host(struct tap *t)
{
	static uint8_t buf[TX_MAX];
	struct sender s = { .buf_alloc = 32768 };
	const unsigned count = 300;
	struct vsock_key key;
	struct reader r;
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, "buffer", "32K", NULL), 0);
	autoclose int fd = connect_to_host(&g, SEQPACKET, 2000, &key);

	CHECK(t, fd >= 0);
	reader_start(&r, fd, true);
	for (unsigned i = 0; i < count; i++) {
		uint32_t len = message_len(i), at = 0;

		fill(buf, i, len);
		while (at < len) {
			REQUIRE(t, await_credit(&g, &s));
			uint32_t n = (uint32_t)min_u64(min_u64(credit(&s), len - at), 6000);
			bool last = at + n == len;
			uint32_t flags = last ? VSOCK_SEQ_EOM | (i % 2 ? VSOCK_SEQ_EOR : 0) : 0;

			guest_send(&g, &key, VSOCK_OP_RW, flags, buf + at, n);
			s.tx_cnt += n;
			at += n;
		}
	}
	guest_send(&g, &key, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL, 0);
	pthread_join(r.thread, NULL);
	CHECK_EQ(t, r.count, count);
	CHECK(t, !r.bad);
	guest_close(&g);
}

static void messages_to_guest(struct tap *t)
{
	static const uint32_t lens[] = { 1, 100, GUEST_RXLEN, GUEST_RXLEN + 1, 10000, 100000 };
	static uint8_t msg[100000], buf[GUEST_RXLEN];
	struct vsock_pkt pkt = { 0 };
	struct vsock_key key;
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	autoclose int fd = connect_to_host(&g, SEQPACKET, 2000, &key);

	for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
		uint32_t at = 0;

		fill(msg, i, lens[i]);
		CHECK_EQ(t, send(fd, msg, lens[i], 0), lens[i]);
		do {
			REQUIRE(t, guest_expect(&g, &key, VSOCK_OP_RW, &pkt, buf));
			CHECK(t, equals(buf, i + at, pkt.len));
			at += pkt.len;
			CHECK_EQ(t, pkt.flags & VSOCK_SEQ_EOM, at == lens[i] ? VSOCK_SEQ_EOM : 0);
		} while (at < lens[i]);
		CHECK_EQ(t, at, lens[i]);
	}
	guest_close(&g);
}

/* The guest's buffer is what one message must fit: it delivers only whole ones. */
static void message_beyond_the_guests_buffer_resets(struct tap *t)
{
	static char msg[5000];
	const struct vsock_pkt req = { GUEST_CID, 2, 2000, 1000, 0, SEQPACKET, VSOCK_OP_REQUEST, 0,
		4096, 0 };
	const struct vsock_key key = { VSOCK_HOST_CID, 1000, 2000, SEQPACKET };
	struct guest g;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	autoclose int l = host_listen(&g, 1000, SOCK_SEQPACKET);

	guest_send_raw(&g, &req, NULL, 0);
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RESPONSE, NULL, NULL));
	autoclose int fd = host_accept(l);

	CHECK_EQ(t, send(fd, msg, sizeof(msg), 0), sizeof(msg));
	CHECK(t, guest_expect(&g, &key, VSOCK_OP_RST, NULL, NULL));
	guest_close(&g);
}

static void host_connects_by_messages(struct tap *t)
{
	struct vsock_pkt pkt = { 0 };
	struct vsock_key key;
	char buf[64], want[64];
	struct guest g;
	ssize_t n;

	CHECK_EQ(t, guest_open(&g, ring | VSOCK_ALL, NULL), 0);
	autoclose int fd = host_connect(&g, 52, SOCK_SEQPACKET);

	CHECK(t, guest_recv(&g, &pkt, NULL, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, pkt.op, VSOCK_OP_REQUEST);
	CHECK_EQ(t, pkt.type, SEQPACKET);
	key = (struct vsock_key){ VSOCK_HOST_CID, pkt.src_port, 52, SEQPACKET };
	guest_send(&g, &key, VSOCK_OP_RESPONSE, 0, NULL, 0);
	n = host_read(fd, buf, sizeof(buf));
	CHECK_EQ(t, n, snprintf(want, sizeof(want), "OK %u\n", pkt.src_port));
	CHECK(t, n > 0 && !memcmp(buf, want, (size_t)n));
	guest_send(&g, &key, VSOCK_OP_RW, VSOCK_SEQ_EOM, "one", 3);
	guest_send(&g, &key, VSOCK_OP_RW, VSOCK_SEQ_EOM, "two!", 4);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 3);
	CHECK_EQ(t, host_read(fd, buf, sizeof(buf)), 4);
	guest_close(&g);
}

/* Guest to guest. */

struct pair {
	char dir[64];
	struct guest a, b; /* CIDs 3 and 4 */
};

static void pair_open(struct tap *t, struct pair *p, const char *peers_a, const char *peers_b)
{
	char peer[80];

	strcpy(p->dir, "/tmp/avp-vsock-XXXXXX");
	CHECK(t, mkdtemp(p->dir));
	snprintf(peer, sizeof(peer), "%s/peer", p->dir);
	CHECK_EQ(t,
		guest_open_at(&p->a, ring | VSOCK_ALL, 3, p->dir, "peer-uds", peer,
			peers_a ? "peers" : NULL, peers_a),
		0);
	CHECK_EQ(t,
		guest_open_at(&p->b, ring | VSOCK_ALL, 4, p->dir, "peer-uds", peer,
			peers_b ? "peers" : NULL, peers_b),
		0);
}

static void pair_close(struct pair *p)
{
	guest_close(&p->a);
	guest_close(&p->b);
}

/* A opens a connection to port 80 of B; the keys as each side sees it. */
static bool pair_connect(
	struct tap *t, struct pair *p, uint16_t type, struct vsock_key *ka, struct vsock_key *kb)
{
	*ka = (struct vsock_key){ 4, 80, 2000, type };
	*kb = (struct vsock_key){ 3, 2000, 80, type };
	guest_send(&p->a, ka, VSOCK_OP_REQUEST, 0, NULL, 0);
	/* B sees the true source. */
	if (!CHECK(t, guest_expect(&p->b, kb, VSOCK_OP_REQUEST, NULL, NULL)))
		return false;
	guest_send(&p->b, kb, VSOCK_OP_RESPONSE, 0, NULL, 0);
	return CHECK(t, guest_expect(&p->a, ka, VSOCK_OP_RESPONSE, NULL, NULL));
}

static void guest_reaches_guest(struct tap *t)
{
	struct vsock_pkt pkt = { 0 };
	char buf[GUEST_RXLEN];
	struct vsock_key ka, kb;
	struct pair p;

	pair_open(t, &p, "4", "3");
	REQUIRE(t, pair_connect(t, &p, STREAM, &ka, &kb));
	guest_send(&p.a, &ka, VSOCK_OP_RW, 0, "from a", 6);
	CHECK(t, guest_expect(&p.b, &kb, VSOCK_OP_RW, NULL, buf));
	CHECK(t, !memcmp(buf, "from a", 6));
	guest_send(&p.b, &kb, VSOCK_OP_RW, 0, "from b", 6);
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_RW, NULL, buf));
	/* Half-close goes through, and then the other half. */
	guest_send(&p.a, &ka, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_SEND, NULL, 0);
	CHECK(t, guest_expect(&p.b, &kb, VSOCK_OP_SHUTDOWN, &pkt, NULL));
	CHECK_EQ(t, pkt.flags, VSOCK_SHUT_SEND);
	guest_send(&p.b, &kb, VSOCK_OP_RW, 0, "last", 4);
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_RW, NULL, buf));
	guest_send(&p.b, &kb, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH, NULL, 0);
	CHECK(t, guest_expect(&p.b, &kb, VSOCK_OP_RST, NULL, NULL));
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_SHUTDOWN, &pkt, NULL));
	CHECK_EQ(t, pkt.flags, VSOCK_SHUT_BOTH);
	pair_close(&p);
}

static void messages_between_guests(struct tap *t)
{
	static const uint32_t flags[] = { VSOCK_SEQ_EOM, VSOCK_SEQ_EOM | VSOCK_SEQ_EOR };
	static uint8_t msg[3000];
	struct vsock_pkt pkt = { 0 };
	char buf[GUEST_RXLEN];
	struct vsock_key ka, kb;
	struct pair p;

	pair_open(t, &p, "4", "3");
	REQUIRE(t, pair_connect(t, &p, SEQPACKET, &ka, &kb));
	for (unsigned i = 0; i < 2; i++) {
		/* In two fragments, which may become one; end of message and record stay. */
		guest_send(&p.a, &ka, VSOCK_OP_RW, 0, msg, 1000);
		guest_send(&p.a, &ka, VSOCK_OP_RW, flags[i], msg, 2000);
		CHECK(t, guest_expect(&p.b, &kb, VSOCK_OP_RW, &pkt, buf));
		CHECK_EQ(t, pkt.len, 3000);
		CHECK_EQ(t, pkt.flags, flags[i]);
	}
	guest_send(&p.b, &kb, VSOCK_OP_RW, VSOCK_SEQ_EOM, "x", 1);
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_RW, &pkt, buf));
	CHECK_EQ(t, pkt.len, 1);
	guest_send(&p.b, &kb, VSOCK_OP_RST, 0, NULL, 0);
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_SHUTDOWN, &pkt, NULL));
	pair_close(&p);
}

static void guest_refuses_guest(struct tap *t)
{
	const struct vsock_key ka = { 4, 80, 2000, STREAM }, kb = { 3, 2000, 80, STREAM };
	struct pair p;

	pair_open(t, &p, "4", "3");
	guest_send(&p.a, &ka, VSOCK_OP_REQUEST, 0, NULL, 0);
	CHECK(t, guest_expect(&p.b, &kb, VSOCK_OP_REQUEST, NULL, NULL));
	guest_send(&p.b, &kb, VSOCK_OP_RST, 0, NULL, 0);
	CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_RST, NULL, NULL));
	pair_close(&p);
}

/* Both must list the other; without, nobody gets through, and B's guest hears nothing. */
static void policy_is_deny(struct tap *t)
{
	static const char *const lists[][2] = { { NULL, "3" }, { "4", NULL }, { "4", "5" },
		{ "5", "3" }, { NULL, NULL } };
	const struct vsock_key ka = { 4, 80, 2000, STREAM };
	struct vsock_pkt pkt;
	struct pair p;

	for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
		pair_open(t, &p, lists[i][0], lists[i][1]);
		guest_send(&p.a, &ka, VSOCK_OP_REQUEST, 0, NULL, 0);
		CHECK(t, guest_expect(&p.a, &ka, VSOCK_OP_RST, NULL, NULL));
		CHECK_EQ(t, guest_recv(&p.b, &pkt, NULL, 20), 0);
		pair_close(&p);
	}
}

/* A peer socket only believes CIDs that it lists. */
static void forged_source_is_refused(struct tap *t)
{
	static const char *const lines[] = { "CONNECT 80 5 1\n", "CONNECT 80 2 1\n", "CONNECT 80\n",
		"CONNECT 80 3\n", "CONNECT 80 4294967299 1\n" };
	struct vsock_pkt pkt;
	char path[108], c;
	struct pair p;

	pair_open(t, &p, "4", "3");
	snprintf(path, sizeof(path), "%s/peer.4", p.dir);
	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		autoclose int fd = fd_unix_connect(path, SOCK_STREAM, NULL);

		CHECK(t, write(fd, lines[i], strlen(lines[i])) > 0);
		CHECK_EQ(t, host_read(fd, &c, 1), 0);
	}
	CHECK_EQ(t, guest_recv(&p.b, &pkt, NULL, 20), 0);
	pair_close(&p);
}

static void bulk_between_guests(struct tap *t)
{
	static uint8_t out[TX_MAX], in[GUEST_RXLEN];
	const uint32_t total = 2 * MIB;
	struct sender s = { .buf_alloc = 131072 };
	struct vsock_pkt pkt, tell;
	struct vsock_key ka, kb;
	uint32_t sent = 0, got = 0;
	struct pair p;

	pair_open(t, &p, "4", "3");
	REQUIRE(t, pair_connect(t, &p, STREAM, &ka, &kb));
	tell = (struct vsock_pkt){ 4, 3, 80, 2000, 0, STREAM, VSOCK_OP_CREDIT_UPDATE, 0, 262144,
		0 };
	while (got < total) {
		if (sent < total && credit(&s)) {
			uint32_t n = (uint32_t)min_u64(min_u64(credit(&s), 30000), total - sent);

			fill(out, sent, n);
			guest_send(&p.a, &ka, VSOCK_OP_RW, 0, out, n);
			s.tx_cnt += n;
			sent += n;
		}
		while (guest_recv(&p.a, &pkt, NULL, 0))
			s.fwd_cnt = pkt.fwd_cnt;
		if (!guest_recv(&p.b, &pkt, in, 0))
			continue;
		if (pkt.op == VSOCK_OP_RW) {
			REQUIRE(t, equals(in, got, pkt.len));
			got += pkt.len;
		}
		if (pkt.op == VSOCK_OP_CREDIT_REQUEST || got - tell.fwd_cnt > 100000) {
			tell.fwd_cnt = got;
			guest_send_raw(&p.b, &tell, NULL, 0);
		}
	}
	CHECK_EQ(t, got, total);
	pair_close(&p);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct tap *t);
	} cases[] = {
		{ "stream to host within credit", stream_to_host_within_credit },
		{ "stream to guest within credit", stream_to_guest_within_credit },
		{ "absurd credit is no credit", absurd_credit_is_no_credit },
		{ "many connections", many_connections },
		{ "connections take turns", connections_take_turns },
		{ "messages to host", messages_to_host },
		{ "messages to guest", messages_to_guest },
		{ "message beyond the guest's buffer", message_beyond_the_guests_buffer_resets },
		{ "host connects by messages", host_connects_by_messages },
		{ "guest reaches guest", guest_reaches_guest },
		{ "messages between guests", messages_between_guests },
		{ "guest refuses guest", guest_refuses_guest },
		{ "policy is deny", policy_is_deny },
		{ "forged source is refused", forged_source_is_refused },
		{ "bulk between guests", bulk_between_guests },
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
	return tap_done(&t);
}
