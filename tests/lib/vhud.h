/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhud: a vhost-user driver for tests, without a VM. It connects to a backend's socket, shares a
 * sealed memfd as guest memory, negotiates, sets queues up and plays the guest driver on them.
 *
 * The usual device test:
 *
 *	struct vhud_server srv;
 *	struct vhud *d;
 *
 *	REQUIRE(t, !vhud_serve(&srv, &blk_class, "image", path, NULL));   // or vhud_spawn()
 *	REQUIRE(t, (d = vhud_open(srv.path)));
 *	REQUIRE(t, !vhud_start(d, &(struct vhud_opts){ .nqueues = 1 }));
 *	len = vhud_do(d, 0, &req, sizeof(req), &resp, sizeof(resp));
 *	vhud_close(d);
 *	vhud_serve_end(&srv);
 *
 * Functions return 0 or -errno unless they say otherwise, and print the reason of a failure as a
 *TAP comment. Everything that waits takes at most VHUD_TIMEOUT_MS. One thread per vhud.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "transport/vhost_user.h"
#include "virtio/device.h"

#define VHUD_TIMEOUT_MS 20000

struct vhud;

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

/* Raw messages, for protocol tests. */

int vhud_sock(const struct vhud *d);
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

/* Backends. */

/* A device in this process, served from a thread. */
struct vhud_server {
	char path[108]; /* its socket */
	struct vdev *dev;
	struct vhud_thread *thread;
};

/* Starts a thread that runs the loop; returns when it does, so that ev_call() may be used. */
int vhud_loop_start(pthread_t *thread, struct ev_loop *loop);

/* `...` are configuration keys and values, ending with NULL. */
int vhud_serve(struct vhud_server *s, const struct vdev_class *cls, ...) __attribute__((sentinel));
/* Runs fn(arg) on the device's thread. */
void vhud_serve_call(struct vhud_server *s, void (*fn)(void *arg), void *arg);
/* One of the device's metrics, read there; UINT64_MAX if it has none of that name. */
uint64_t vhud_serve_metric(struct vhud_server *s, const char *name);
void vhud_serve_end(struct vhud_server *s);

/* `avp device TYPE --socket PATH ...` as a process; the program is $AVP. */
struct vhud_proc {
	char path[108]; /* its socket, the same after vhud_respawn() */
	pid_t pid;
	char **argv;
};

/* `...` are further arguments ("--image", path, ...), ending with NULL. Returns once it listens. */
int vhud_spawn(struct vhud_proc *p, const char *type, ...) __attribute__((sentinel));
/* SIGKILL and wait; then start it again with the same arguments. */
void vhud_kill(struct vhud_proc *p);
int vhud_respawn(struct vhud_proc *p);
/* SIGTERM; returns the exit status (128 + signal if it was killed), and frees. */
int vhud_spawn_end(struct vhud_proc *p);

/* Descriptors open in this process, to find leaks. */
unsigned vhud_count_fds(void);
