/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of a vhost-user front-end over one connection: blocking, with a time limit. The first
 * failure other than a refusal ends the connection: every later request fails at once. One thread
 * at a time.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "transport/vhost_user_conn.h"

struct vhu_link {
	int sock; /* owned, non-blocking; -1: none */
	struct vhu_rx rx;
	uint64_t protocol;   /* protocol features agreed */
	unsigned timeout_ms; /* for each request */
	int cancel_fd;	     /* not owned; readable: requests fail with -ECANCELED */
	bool broken;
};

/* Connects to a listening socket; fails rather than waits when nobody listens. */
int vhu_link_open(
	struct vhu_link *l, const char *path, unsigned timeout_ms, int cancel_fd, struct err *e);
/* Safe to repeat, and on a structure with sock -1. */
void vhu_link_close(struct vhu_link *l);

static inline bool vhu_link_has(const struct vhu_link *l, unsigned protocol_bit)
{
	return l->protocol >> protocol_bit & 1;
}

/*
 * Sends a request that has no answer of its own; with REPLY_ACK agreed, waits for the
 * acknowledgement. -EREMOTEIO: the back-end refused, the connection goes on; -ETIMEDOUT, -EPIPE,
 * ...: the connection is over.
 */
int vhu_link_set(struct vhu_link *l, uint32_t request, const void *payload, uint32_t size,
	const int *fds, unsigned nfds);
int vhu_link_set_u64(struct vhu_link *l, uint32_t request, uint64_t v);
int vhu_link_set_state(struct vhu_link *l, uint32_t request, uint32_t index, uint32_t num);
/* Sends a request and leaves its answer in l->rx until the next one. */
int vhu_link_get(struct vhu_link *l, uint32_t request, const void *payload, uint32_t size);
int vhu_link_get_u64(struct vhu_link *l, uint32_t request, uint64_t *v);
