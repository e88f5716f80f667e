/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver side of a socket device for tests. */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"

#define LIMIT_MS 10000

static void encode(uint8_t out[sizeof(struct vsock_hdr)], const struct vsock_pkt *p)
{
	const struct vsock_hdr h = { p->src_cid, p->dst_cid, p->src_port, p->dst_port, p->len,
		p->type, p->op, p->flags, p->buf_alloc, p->fwd_cnt };

	memcpy(out, &h, sizeof(h));
}

static void decode(struct vsock_pkt *p, const uint8_t *in)
{
	struct vsock_hdr h;

	memcpy(&h, in, sizeof(h));
	*p = (struct vsock_pkt){ h.src_cid, h.dst_cid, h.src_port, h.dst_port, h.len, h.type, h.op,
		h.flags, h.buf_alloc, h.fwd_cnt };
}

static void post_rx(struct guest *g, unsigned i)
{
	/* The header apart from the payload, and payload in two pieces, as drivers may do. */
	struct iovec iov[] = {
		{ g->rx[i], sizeof(struct vsock_hdr) },
		{ g->rx[i] + sizeof(struct vsock_hdr), 1000 },
		{ g->rx[i] + sizeof(struct vsock_hdr) + 1000, GUEST_RXLEN - 1000 },
	};

	vhud_add(g->d, VSOCK_RXQ, iov, 0, 3, (void *)(uintptr_t)(i + 1));
}

int guest_start(struct guest *g, uint64_t features)
{
	const struct vhud_opts opts = { .features = features, .nqueues = 3, .queue_size = 1024 };
	int r = vhud_start(g->d, &opts);

	if (r)
		return r;
	g->tx = vhud_alloc(g->d, 128 * 1024);
	for (unsigned i = 0; i < GUEST_RX; i++) {
		g->rx[i] = vhud_alloc(g->d, sizeof(struct vsock_hdr) + GUEST_RXLEN);
		if (!g->rx[i] || !g->tx)
			return -ENOMEM;
		post_rx(g, i);
	}
	vhud_kick(g->d, VSOCK_RXQ);
	return 0;
}

int guest_open_at(struct guest *g, uint64_t features, uint32_t cid, const char *dir,
	const char *key, const char *value, const char *key2, const char *value2)
{
	char cid_text[16];
	int r;

	memset(g, 0, sizeof(*g));
	g->cid = cid;
	strcpy(g->dir, dir ? dir : "/tmp/avp-vsock-XXXXXX");
	if (!dir && !mkdtemp(g->dir))
		return -errno;
	snprintf(g->uds, sizeof(g->uds), "%s/v%u", g->dir, cid);
	snprintf(cid_text, sizeof(cid_text), "%u", cid);
	r = vhud_serve(&g->srv, &vdev_vsock, "cid", cid_text, "uds", g->uds, key, value, key2,
		value2, NULL);
	if (r)
		return r;
	g->d = vhud_open(g->srv.path);
	return g->d ? guest_start(g, features) : -ENOTCONN;
}

int guest_open(struct guest *g, uint64_t features, ...)
{
	const char *kv[4] = { NULL };
	va_list ap;

	va_start(ap, features);
	for (unsigned i = 0; i < 4; i++) {
		kv[i] = va_arg(ap, const char *);
		if (!kv[i])
			break;
	}
	va_end(ap);
	return guest_open_at(g, features, GUEST_CID, NULL, kv[0], kv[1], kv[2], kv[3]);
}

void guest_close(struct guest *g)
{
	char cmd[96];

	vhud_close(g->d);
	vhud_serve_end(&g->srv);
	if (!strncmp(g->dir, "/tmp/avp-vsock-", 15)) {
		snprintf(cmd, sizeof(cmd), "rm -rf %s", g->dir);
		if (system(cmd))
			printf("# cannot remove %s\n", g->dir);
	}
}

void guest_send_raw(struct guest *g, const struct vsock_pkt *pkt, const void *data, size_t len)
{
	const size_t head = sizeof(struct vsock_hdr);
	struct iovec iov[] = { { g->tx, head }, { g->tx + head, len } };

	encode(g->tx, pkt);
	if (len)
		memcpy(g->tx + head, data, len);
	vhud_add(g->d, VSOCK_TXQ, iov, len ? 2 : 1, 0, NULL);
	vhud_kick(g->d, VSOCK_TXQ);
	/* The scratch is free again when the device has taken the packet. */
	if (vhud_wait(g->d, VSOCK_TXQ, NULL, NULL, LIMIT_MS) != 1)
		printf("# packet was not taken\n");
}

void guest_send(struct guest *g, const struct vsock_key *key, uint16_t op, uint32_t flags,
	const void *data, uint32_t len)
{
	const struct vsock_pkt pkt = {
		.src_cid = g->cid,
		.src_port = key->guest_port,
		.dst_cid = key->peer_cid,
		.dst_port = key->peer_port,
		.len = len,
		.type = key->type,
		.op = op,
		.flags = flags,
		.buf_alloc = 262144,
		.fwd_cnt = 0,
	};

	guest_send_raw(g, &pkt, data, len);
}

int guest_recv(struct guest *g, struct vsock_pkt *pkt, void *data, int timeout_ms)
{
	void *token;
	uint32_t len;
	unsigned i;

	if (vhud_wait(g->d, VSOCK_RXQ, &token, &len, timeout_ms) != 1)
		return 0;
	i = (unsigned)(uintptr_t)token - 1;
	decode(pkt, g->rx[i]);
	if (len != sizeof(struct vsock_hdr) + pkt->len)
		printf("# used length %u, header says %u\n", len, pkt->len);
	if (data)
		memcpy(data, g->rx[i] + sizeof(struct vsock_hdr), pkt->len);
	post_rx(g, i);
	vhud_kick(g->d, VSOCK_RXQ);
	return 1;
}

bool guest_expect(struct guest *g, const struct vsock_key *key, uint16_t op, struct vsock_pkt *out,
	void *data)
{
	struct vsock_pkt pkt;

	if (!guest_recv(g, &pkt, data, LIMIT_MS)) {
		printf("# no packet; op %u was expected\n", op);
		return false;
	}
	if (out)
		*out = pkt;
	if (pkt.op == op && pkt.src_cid == key->peer_cid && pkt.src_port == key->peer_port &&
		pkt.dst_cid == g->cid && pkt.dst_port == key->guest_port && pkt.type == key->type)
		return true;
	printf("# got op %u type %u of %u:%u to %u:%u; op %u was expected\n", pkt.op, pkt.type,
		(unsigned)pkt.src_cid, pkt.src_port, (unsigned)pkt.dst_cid, pkt.dst_port, op);
	return false;
}

int host_listen(const struct guest *g, uint32_t port, int type)
{
	char path[108];

	snprintf(path, sizeof(path), "%s_%u", g->uds, port);
	return fd_unix_listen(path, type, NULL);
}

int host_connect(const struct guest *g, uint32_t port, int type)
{
	char path[108], line[32];
	int fd, n;

	snprintf(path, sizeof(path), "%s%s", g->uds, type == SOCK_SEQPACKET ? ".seqpacket" : "");
	fd = fd_unix_connect(path, type, NULL);
	n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	if (fd >= 0 && send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
		close(fd);
		return -errno;
	}
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, LIMIT_MS) == 1;
}

int host_accept(int listener)
{
	return readable(listener) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

ssize_t host_read(int fd, void *buf, size_t len)
{
	errno = ETIMEDOUT;
	return readable(fd) ? read(fd, buf, len) : -1;
}

bool host_line(int fd, char *line, size_t size)
{
	for (size_t n = 0; n < size; n++) {
		if (host_read(fd, line + n, 1) != 1)
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
	}
	return false;
}

int connect_to_host(struct guest *g, uint16_t type, uint32_t port, struct vsock_key *key)
{
	bool seq = type == VIRTIO_VSOCK_TYPE_SEQPACKET;
	autoclose int listener = host_listen(g, 1000, seq ? SOCK_SEQPACKET : SOCK_STREAM);

	*key = (struct vsock_key){ VSOCK_HOST_CID, 1000, port, type };
	guest_send(g, key, VSOCK_OP_REQUEST, 0, NULL, 0);
	if (!guest_expect(g, key, VSOCK_OP_RESPONSE, NULL, NULL))
		return -1;
	return host_accept(listener);
}
