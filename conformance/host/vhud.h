/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhud: a vhost-user driver without a VM. It connects to a backend's socket, shares a sealed memfd
 * as guest memory, negotiates, sets queues up and plays the guest driver on them.
 *
 *	struct vhud *d = vhud_open(path);
 *
 *	if (d && !vhud_start(d, &(struct vhud_opts){ .nqueues = 1 }))
 *		len = vhud_do(d, 0, &req, sizeof(req), &resp, sizeof(resp));
 *	vhud_close(d);
 *
 * The conformance suite has drivers of its own (target_vhu.c) and uses the messages and
 * vhud_hello() only.
 *
 * Functions return 0 or -errno unless they say otherwise, and print the reason of a failure as a
 * TAP comment. Everything that waits takes at most VHUD_TIMEOUT_MS. One thread per vhud.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "transport/vhost_user.h"
#include "virtio/device.h"

#define VHUD_TIMEOUT_MS 20000

struct vhud;
struct drv_ring;

struct vhud_opts {
	uint64_t features;   /* wanted; what is offered of them is negotiated, with VERSION_1 */
	uint64_t protocol;   /* protocol features wanted; 0: all that vhud knows */
	uint16_t nqueues;    /* queues to start: 0..nqueues-1 */
	uint16_t queue_size; /* 0: 64 */
	uint64_t mem_size;   /* bytes of guest memory; 0: 32 MiB */
	bool disabled;	     /* leave the rings disabled */
	bool plain;	     /* act as a front-end that knows no protocol features */
	bool lazy_status;    /* with STATUS, set FEATURES_OK and no more, as QEMU 7.2 */
	/* Bits that the driver uses without SET_FEATURES saying so: front-ends filter them. */
	uint64_t unsaid;
};

/* Connects; retries while nobody listens yet. NULL on failure. */
struct vhud *vhud_open(const char *path);
/* The same on a connected socket, which is taken over. */
struct vhud *vhud_open_fd(int sock);
/* Failures are not printed from now on, and nothing takes longer than `timeout_ms`. */
void vhud_quiet(struct vhud *d, int timeout_ms);
/* What failed last, "" if nothing did. */
const char *vhud_why(const struct vhud *d);
/* Disconnects and frees; accepts NULL. */
void vhud_close(struct vhud *d);

/* Negotiates, shares memory, starts the queues, sets DRIVER_OK: ready for vhud_do(). */
int vhud_start(struct vhud *d, const struct vhud_opts *opts);
/* vhud_start() in steps: features and memory; one queue from scratch; DRIVER_OK. */
int vhud_negotiate(struct vhud *d, const struct vhud_opts *opts);
int vhud_queue_start(struct vhud *d, unsigned q, uint16_t size);
int vhud_driver_ok(struct vhud *d);
/* GET_VRING_BASE; `base` may be NULL. vhud_queue_resume() starts it again from there. */
int vhud_queue_stop(struct vhud *d, unsigned q, uint32_t *base);
int vhud_queue_resume(struct vhud *d, unsigned q, uint32_t base);
int vhud_queue_enable(struct vhud *d, unsigned q, bool enable);
/* SET_MEM_TABLE again, with the same memory. */
int vhud_share_memory(struct vhud *d);
/* Region i (0 or 1) of the two in the memory table. The rings are in the first. */
void vhud_region(const struct vhud *d, unsigned i, struct vhost_user_region *r);
/* Full device reset (RESET_DEVICE, and status 0); then vhud_start() again. */
int vhud_reset(struct vhud *d);
/* Connects again after the backend died and goes on with what was in flight: same memory, same
 * in-flight record, queues continued from their used index. */
int vhud_reconnect(struct vhud *d);
/* The same on a connected socket, which is taken over. */
int vhud_reconnect_fd(struct vhud *d, int sock);

uint64_t vhud_features(const struct vhud *d);	/* offered */
uint64_t vhud_negotiated(const struct vhud *d); /* agreed */
uint64_t vhud_protocol(const struct vhud *d);	/* protocol features agreed */

/* Zeroed guest memory, aligned to 64 bytes, until vhud_close(); NULL if used up. */
void *vhud_alloc(struct vhud *d, uint64_t len);
/* The guest-physical address of a pointer from vhud_alloc(). */
uint64_t vhud_gpa(const struct vhud *d, const void *p);

/*
 * Makes one request available: `n_out` buffers the device reads, then `n_in` it writes, all from
 * vhud_alloc(). `token` comes back from vhud_wait(). With INDIRECT_DESC negotiated and more than
 * one buffer it is an indirect one. -ENOSPC when the ring is full. The device hears of it from
 * vhud_kick(), which kicks if the device wants it.
 */
int vhud_add(struct vhud *d, unsigned q, const struct iovec *iov, unsigned n_out, unsigned n_in,
	void *token);
void vhud_kick(struct vhud *d, unsigned q);
/* Waits for the next used request. 1: got one; 0: none within `timeout_ms` (0: only looks);
 * -EPROTO: the used ring is wrong. `token` and `len` may be NULL. */
int vhud_wait(struct vhud *d, unsigned q, void **token, uint32_t *len, int timeout_ms);

/* One request from and into ordinary memory, up to its completion (copies through guest memory).
 * Either part may be empty. Returns the used length or -errno. */
ssize_t vhud_do(
	struct vhud *d, unsigned q, const void *out, size_t out_len, void *in, size_t in_len);

/* The driver's side of a started queue, for those that drive it without waiting in vhud_wait(). */
struct drv_ring *vhud_ring(struct vhud *d, unsigned q);
/* The eventfds of a queue, for tests of notifications. */
int vhud_kick_fd(const struct vhud *d, unsigned q);
int vhud_call_fd(const struct vhud *d, unsigned q);

int vhud_config_read(struct vhud *d, uint32_t offset, void *buf, uint32_t len);
int vhud_config_write(struct vhud *d, uint32_t offset, const void *buf, uint32_t len);
/* Waits for CONFIG_CHANGE_MSG on the backend channel: 1, or 0 after `timeout_ms`. */
int vhud_config_changed(struct vhud *d, int timeout_ms);
int vhud_set_status(struct vhud *d, uint8_t status);
int vhud_get_status(struct vhud *d, uint8_t *status);
/* Asks for the status until it has DEVICE_NEEDS_RESET; false after VHUD_TIMEOUT_MS. */
bool vhud_needs_reset(struct vhud *d);

/* For those that play the driver themselves. */

/* A ring: areas as addresses of SET_MEM_TABLE's user address space, and its eventfds. */
struct vhud_vring {
	uint16_t size;
	uint64_t desc, avail, used;
	uint32_t base; /* VRING_BASE */
	int kick, call;
};

/* The start of a connection: SET_OWNER, features offered, protocol features, back-end channel. */
int vhud_hello(struct vhud *d);
/* Agrees on features; PROTOCOL_FEATURES is added. -EREMOTEIO: the backend refuses them. */
int vhud_accept(struct vhud *d, uint64_t features);
/* SET_VRING_*, from size to kick, enabled, and the kick that starts it. */
int vhud_vring_start(struct vhud *d, unsigned q, const struct vhud_vring *v);
/* The in-flight record for `nqueues` queues of `queue_size`: the one that is there, or a new one
 * from the backend. Nothing without INFLIGHT_SHMFD. */
int vhud_inflight_share(struct vhud *d, uint16_t nqueues, uint16_t queue_size);
/* Forgets the record, as a reset does; clears one queue's part, as a queue reset does. */
void vhud_inflight_drop(struct vhud *d);
void vhud_inflight_clear(struct vhud *d, unsigned q);
/* The VRING_BASE from which a ring goes on after its backend died; `device` is its device area. */
uint32_t vhud_recovered_base(const struct vhud *d, unsigned q, const void *device);
/* Goes over to another connection to the same device, which is taken over, and says vhud_hello().
 */
int vhud_rejoin(struct vhud *d, int sock);
/* Signals an eventfd that the back-end has, too. Never waits: one that the back-end has filled up
 * and made blocking is signalled already. */
int vhud_signal(int fd);
/* True if the protocol feature is agreed. */
bool vhud_has(const struct vhud *d, unsigned protocol_bit);
/* Sends, and waits for the acknowledgement if REPLY_ACK is there. */
int vhud_set(struct vhud *d, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned nfds);

/* Raw messages, for protocol tests. */

int vhud_sock(const struct vhud *d);
/* Our end of the back-end channel; -1 if there is none. */
int vhud_channel(const struct vhud *d);
/* Sends one message as it is told, however wrong. */
int vhud_send(struct vhud *d, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned nfds);
/* Receives one message; `fds` has room for FD_PASS_MAX. -ETIMEDOUT, -EPIPE when the peer closed. */
int vhud_recv(struct vhud *d, struct vhost_user_msg *msg, int *fds, unsigned *nfds, int timeout_ms);
/* Sends with NEED_REPLY and returns the answer: 0 or the backend's non-zero value as -EREMOTEIO;
 * -EPIPE if the backend disconnected. */
int vhud_ack(struct vhud *d, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned nfds);
int vhud_get_u64(struct vhud *d, uint32_t request, uint64_t *value);
/* Waits until the backend has closed the connection: true if it did. */
bool vhud_closed(struct vhud *d, int timeout_ms);
