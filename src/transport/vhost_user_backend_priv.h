/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the vhost-user back-end only. */
#pragma once

#include "base/loop.h"
#include "base/mem.h"
#include "transport/vhost_user_backend.h"
#include "transport/vhost_user_conn.h"

/* What SET_VRING_* said of one ring. */
struct vhu_ring {
	struct vhu_backend *b;
	unsigned index;
	uint16_t size; /* 0: not set */
	bool has_addr, has_base;
	bool enabled;  /* by SET_VRING_ENABLE */
	bool has_kick; /* SET_VRING_KICK came, with a descriptor or without */
	bool resume;   /* stopped for a change of memory, to be started again */
	struct vhost_user_vring_addr addr;
	uint16_t avail_base; /* position while it is stopped */
	uint16_t used_base;
	int kick_fd, call_fd, err_fd;
	struct ev_fd kick_watch;
	uint16_t position;   /* of the queue after the last kick */
	unsigned idle_kicks; /* in a row for which the device took nothing */
	bool muted;	     /* the kick descriptor is not watched until the timer's next tick */
};

struct vhu_backend {
	struct vdev_host host;
	struct vdev *dev;
	struct ev_loop *loop;
	const struct log *log;
	struct vhu_backend_opts opts;

	int listen_fd; /* -1: serves one connection only */
	struct ev_fd listen_watch;

	/* The rest is of the current connection. */
	int sock; /* -1: none */
	struct ev_fd sock_watch;
	struct vhu_rx rx;
	int channel; /* SET_BACKEND_REQ_FD, or -1 */
	struct ev_fd channel_watch;
	bool notify; /* a CONFIG_CHANGE_MSG could not be sent yet */

	bool has_features;
	uint64_t features; /* as the front-end sent them */
	bool implicit_ok;  /* DRIVER_OK was concluded, not said */
	uint64_t protocol;
	struct gm gm;
	uint8_t *inflight; /* mapped record, or NULL */
	uint64_t inflight_len;
	uint64_t inflight_stride; /* bytes per queue */
	uint16_t inflight_queues;
	struct vhu_ring rings[VDEV_QUEUES_MAX];
	struct ev_timer poll; /* rings without a kick descriptor, and muted ones */
	struct log_limit complaints;
};

/* True if a message that the peer caused may be written now. */
static inline bool vhu_may_complain(struct vhu_backend *b)
{
	return log_allowed(&b->complaints, 20);
}

/* A request being handled. */
struct vhu_call {
	struct vhu_rx *rx;
	union vhost_user_payload *p;
	uint32_t size;
	bool replied; /* the handler has sent the answer that the request has by definition */
};

/* vhost_user_backend_request.c: handles one complete message, acknowledgement included. Fails if
 * the connection has to end, with the reason. */
int vhu_request(struct vhu_backend *b, struct err *e);
/* The protocol features that are offered. */
uint64_t vhu_protocol_features(const struct vhu_backend *b);
static inline bool vhu_has(const struct vhu_backend *b, unsigned protocol_bit)
{
	return b->protocol & FEATURE(protocol_bit);
}

/* vhost_user_backend.c */

/* SET_BACKEND_REQ_FD; takes `fd` over, also on failure. */
int vhu_channel_set(struct vhu_backend *b, int fd, struct err *e);

/* vhost_user_backend_ring.c */

void vhu_ring_init(struct vhu_backend *b, unsigned index);
/* The timer that looks after rings without a kick descriptor, and muted ones. */
void vhu_poll_init(struct vhu_backend *b);
bool vhu_ring_running(const struct vhu_ring *r);
/* Starts the ring if the front-end has said all that is needed; else, and if it runs, does nothing.
 * Then serves what is in it. */
int vhu_ring_start(struct vhu_ring *r, struct err *e);
/* Stops it and remembers the position. Safe for a stopped one. */
void vhu_ring_stop(struct vhu_ring *r);
/* Back to the initial state, except for the call and err descriptors, which front-ends set once. */
void vhu_ring_reset(struct vhu_ring *r);
/* All of it: for the end of a connection. */
void vhu_ring_clear(struct vhu_ring *r);
/* Forgets the kick descriptor: the ring does not start before the next SET_VRING_KICK. */
void vhu_ring_drop_kick(struct vhu_ring *r);
/* Each takes `fd` (-1: none) over, also on failure. */
int vhu_ring_set_kick(struct vhu_ring *r, int fd, struct err *e);
void vhu_ring_set_call(struct vhu_ring *r, int fd);
void vhu_ring_set_err(struct vhu_ring *r, int fd);
int vhu_ring_set_enabled(struct vhu_ring *r, bool enabled, struct err *e);
/* VRING_BASE as the message has it. */
int vhu_ring_set_base(struct vhu_ring *r, uint32_t base, struct err *e);
uint32_t vhu_ring_base(const struct vhu_ring *r);
/* Around a change of guest memory: stops every running ring / starts those again. */
void vhu_rings_quiesce(struct vhu_backend *b);
int vhu_rings_resume(struct vhu_backend *b, struct err *e);
bool vhu_rings_any_running(const struct vhu_backend *b);

/* vhost_user_backend_mem.c */

/* SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG, GET_INFLIGHT_FD, SET_INFLIGHT_FD. */
int vhu_set_mem_table(struct vhu_backend *b, struct vhu_call *c, struct err *e);
int vhu_add_mem_reg(struct vhu_backend *b, struct vhu_call *c, struct err *e);
int vhu_rem_mem_reg(struct vhu_backend *b, struct vhu_call *c, struct err *e);
int vhu_get_inflight_fd(struct vhu_backend *b, struct vhu_call *c, struct err *e);
int vhu_set_inflight_fd(struct vhu_backend *b, struct vhu_call *c, struct err *e);
/* The in-flight record of queue `index` with `size` entries, or NULL. */
void *vhu_inflight(const struct vhu_backend *b, unsigned index, uint64_t *len);
void vhu_inflight_drop(struct vhu_backend *b);
/* Answers the current request. */
int vhu_reply(struct vhu_backend *b, struct vhu_call *c, const void *payload, uint32_t size,
	const int *fd, struct err *e);
