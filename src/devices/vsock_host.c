/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device's host side: who may connect to whom, listening, dialling, first lines. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/util.h"
#include "devices/vsock.h"

/* Ports of host-initiated connections: as Firecracker's, above those that programs choose. */
#define HOST_PORT_FIRST 0x40000000u
#define HOST_PORT_COUNT 0x40000000u
/* Connections taken from a listener before other work. */
#define ACCEPT_BATCH 16

static bool peer_allowed(const struct vsock *vs, uint64_t cid)
{
	for (unsigned i = 0; i < vs->peers.n; i++)
		if (vs->peer_cids[i] == cid)
			return true;
	return false;
}

/* Policy and limits are worth a line; that nobody listens is everyday, for those who poll. */
static void refuse(
	struct vsock *vs, const struct vsock_key *key, enum log_level level, const char *why)
{
	vs->refused++;
	if (log_allowed(&vs->complaints, 5))
		log_at(vs->dev.log, level,
			"connection of guest port %u with %" PRIu64 ":%u refused: %s",
			key->guest_port, key->peer_cid, key->peer_port, why);
}

/* Guest to host or to another guest. */

static int dial(struct vsock *vs, const struct vsock_key *key, struct err *e)
{
	if (key->peer_cid == VSOCK_HOST_CID) {
		if (!vs->uds)
			return err_set(e, -ECONNREFUSED, "no uds is configured");
		return vsock_uds_connect_port(vs->uds, key->peer_port, key->type, e);
	}
	if (!peer_allowed(vs, key->peer_cid))
		return err_set(e, -EACCES, "peers does not list that CID");
	return vsock_uds_connect_peer(vs->peer_uds, key->peer_cid, key->type, e);
}

void vsock_host_dial(struct vsock *vs, const struct vsock_key *key, const struct vsock_pkt *pkt)
{
	bool peer = key->peer_cid != VSOCK_HOST_CID;
	struct err e = { 0 };
	struct vsock_conn *c = NULL;
	int fd;

	if (vs->nconns >= vs->max_conns)
		fd = err_set(&e, -ENOSPC, "all %u connections are in use", vs->max_conns);
	else
		fd = dial(vs, key, &e);
	if (fd >= 0)
		c = vsock_conn_new(vs, fd, key->type, peer ? VSOCK_DIALLED : VSOCK_OPEN);
	if (!c) {
		refuse(vs, key, fd == -EACCES || fd == -ENOSPC ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
			e.code ? e.msg : "out of memory");
		vsock_send_rst(vs, key);
		return;
	}
	vsock_conn_set_key(c, key);
	c->peer = peer;
	c->peer_buf_alloc = pkt->buf_alloc;
	c->peer_fwd_cnt = pkt->fwd_cnt;
	if (peer) {
		if (vsock_line_send(
			    fd, "CONNECT %u %u %u", key->peer_port, vs->cid, key->guest_port) < 0)
			vsock_conn_reset(c);
		return;
	}
	vs->opened++;
	c->readable = c->writable = true;
	c->due |= VSOCK_DUE_RESPONSE;
	vsock_conn_ready(c);
}

/* The other guest's process answered. 0 or -errno. */
static int line_answer(struct vsock_conn *c)
{
	if (strncmp(c->line.text, "OK ", 3))
		return -EPROTO;
	c->vs->opened++;
	c->readable = c->writable = true;
	c->due |= VSOCK_DUE_RESPONSE;
	vsock_conn_set_state(c, VSOCK_OPEN);
	vsock_conn_ready(c);
	return 0;
}

/* Host or another guest to this guest. */

static uint32_t free_port(struct vsock *vs, struct vsock_key *key)
{
	do {
		vs->next_port = (vs->next_port + 1) % HOST_PORT_COUNT;
		key->peer_port = HOST_PORT_FIRST + vs->next_port;
	} while (vsock_conn_find(vs, key));
	return key->peer_port;
}

/* A client said what it wants: the guest is asked. 0 or -errno. */
static int line_ask(struct vsock_conn *c)
{
	struct vsock *vs = c->vs;
	struct vsock_key key = { .peer_cid = VSOCK_HOST_CID, .type = c->key.type };
	struct vsock_ask ask;
	int r = vsock_ask_parse(c->line.text, c->peer, &ask);

	if (r < 0)
		return r;
	key.guest_port = ask.port;
	if (c->peer) {
		key.peer_cid = ask.src_cid;
		key.peer_port = ask.src_port;
	} else {
		free_port(vs, &key);
	}
	if (c->peer && !peer_allowed(vs, ask.src_cid))
		return refuse(vs, &key, LOG_LEVEL_INFO, "peers does not list that CID"), -EACCES;
	if (!vs->dev.queues[VSOCK_RXQ] || !vq_running(vs->dev.queues[VSOCK_RXQ]))
		return refuse(vs, &key, LOG_LEVEL_DEBUG, "the guest's driver is not running"),
		       -ENOTCONN;
	if (vsock_conn_find(vs, &key))
		return refuse(vs, &key, LOG_LEVEL_DEBUG, "that connection exists"), -EADDRINUSE;
	vsock_conn_set_key(c, &key);
	vsock_conn_set_state(c, VSOCK_REQUESTED);
	c->due |= VSOCK_DUE_REQUEST;
	vsock_conn_ready(c);
	return 0;
}

void vsock_host_line(struct vsock_conn *c)
{
	int r = vsock_line_read(&c->line, c->fd, c->key.type);

	if (r == 1)
		r = c->state == VSOCK_ASKED ? line_ask(c) : line_answer(c);
	else if (r == 0 && c->hup)
		r = -EPIPE;
	if (r < 0)
		vsock_conn_reset(c);
}

int vsock_host_accepted(struct vsock_conn *c)
{
	uint32_t port = c->peer ? c->key.guest_port : c->key.peer_port;

	return vsock_line_send(c->fd, "OK %u", port);
}

/* Listening. */

static void take_client(struct vsock_listener *l, int fd)
{
	struct vsock *vs = l->vs;
	struct vsock_conn *c = NULL;

	if (vs->nconns >= vs->max_conns || !vsock_room(vs)) {
		close(fd);
		vs->refused++;
		if (log_allowed(&vs->complaints, 5))
			log_warn(vs->dev.log, "client refused: all %u connections are in use",
				vs->max_conns);
		return;
	}
	c = vsock_conn_new(vs, fd, l->type, VSOCK_ASKED);
	if (c)
		c->peer = l->peer;
}

static void listener_event(void *arg, uint32_t events)
{
	struct vsock_listener *l = arg;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		take_client(l, fd);
	}
}

static int listen_at(struct vsock *vs, const char *base, unsigned type, bool peer, struct err *e)
{
	struct vsock_listener *l = &vs->listeners[vs->nlisteners];
	int fd = vsock_uds_listen(base, type, e);
	int r;

	if (fd < 0)
		return fd;
	*l = (struct vsock_listener){ .vs = vs, .fd = fd, .type = type, .peer = peer };
	r = ev_fd_add(vs->dev.loop, &l->watch, fd, EPOLLIN, listener_event, l);
	if (r < 0) {
		close(fd);
		return err_sys(e, r, "watching %s", base);
	}
	vs->nlisteners++;
	return 0;
}

static int listen_both(struct vsock *vs, const char *base, bool peer, struct err *e)
{
	int r = listen_at(vs, base, VIRTIO_VSOCK_TYPE_STREAM, peer, e);

	return r < 0 ? r : listen_at(vs, base, VIRTIO_VSOCK_TYPE_SEQPACKET, peer, e);
}

/* Configuration. */

static int parse_peers(struct vsock *vs, struct err *e)
{
	if (vs->peers.n && !vs->peer_uds)
		return err_set(e, -EINVAL, "peers needs peer-uds, the path by which guests meet");
	vs->peer_cids = calloc(vs->peers.n + 1, sizeof(*vs->peer_cids));
	if (!vs->peer_cids)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < vs->peers.n; i++) {
		char *end;
		unsigned long cid = strtoul(vs->peers.v[i], &end, 10);

		if (*end || cid <= VSOCK_HOST_CID || cid >= UINT32_MAX || cid == vs->cid)
			return err_set(e, -EINVAL,
				"peers has '%s'; a CID of another guest is wanted: 3 to "
				"4294967294, not "
				"%u, this guest's own",
				vs->peers.v[i], vs->cid);
		vs->peer_cids[i] = (uint32_t)cid;
	}
	return 0;
}

/* So that accept() can never fail for want of descriptors. */
static int raise_fd_limit(unsigned want, struct err *e)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return err_sys(e, -errno, "reading the limit of open files");
	if (lim.rlim_cur >= want)
		return 0;
	if (lim.rlim_max < want)
		return err_set(e, -EMFILE,
			"connections needs %u open files, and this process may have %lu; lower it "
			"or "
			"raise the limit",
			want, (unsigned long)lim.rlim_max);
	lim.rlim_cur = want;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		return err_sys(e, -errno, "raising the limit of open files to %u", want);
	return 0;
}

static int listen_peer(struct vsock *vs, struct err *e)
{
	char path[128];
	int r = vsock_uds_peer_path(path, sizeof(path), vs->peer_uds, vs->cid);

	if (r < 0)
		return err_sys(e, r, "peer-uds %s", vs->peer_uds);
	vs->peer_base = strdup(path);
	if (!vs->peer_base)
		return err_set(e, -ENOMEM, "out of memory");
	return listen_both(vs, vs->peer_base, true, e);
}

int vsock_host_init(struct vsock *vs, struct err *e)
{
	int r = parse_peers(vs, e);

	if (!r)
		r = raise_fd_limit(vs->max_conns + 64, e);
	if (!r && vs->uds)
		r = listen_both(vs, vs->uds, false, e);
	if (!r && vs->peers.n)
		r = listen_peer(vs, e);
	if (r < 0)
		vsock_host_finish(vs);
	return r;
}

void vsock_host_finish(struct vsock *vs)
{
	for (unsigned i = 0; i < vs->nlisteners; i++) {
		struct vsock_listener *l = &vs->listeners[i];

		ev_fd_del(&l->watch);
		close(l->fd);
		vsock_uds_unlink(l->peer ? vs->peer_base : vs->uds, l->type);
	}
	vs->nlisteners = 0;
	free(vs->peer_cids);
	free(vs->peer_base);
	vs->peer_cids = NULL;
	vs->peer_base = NULL;
}
