/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of vhud only. */
#pragma once

#include "base/fd.h"
#include "drivers/ring.h"
#include "transport/vhost_user_conn.h"
#include "vhud.h"

#define VHUD_GPA UINT64_C(0x40000000)

struct vhud_queue {
	struct drv_ring ring;
	uint16_t size; /* 0: never started */
	void *state;
	int kick, call;
	/* Guest memory of vhud_do(), kept for the next one. */
	uint8_t *bounce;
	size_t bounce_len;
};

struct vhud {
	char path[108]; /* empty: made from a descriptor */
	int timeout_ms;
	bool quiet;
	char why[160]; /* what failed last */
	int sock;
	struct vhu_rx rx;
	int channel; /* our end of the back-end channel */
	struct vhu_rx channel_rx;

	int memfd;
	uint8_t *mem;
	uint64_t mem_size, mem_used;

	uint64_t offered, negotiated, protocol;
	struct vhud_opts opts;
	int inflight_fd;
	struct vhost_user_inflight inflight;
	struct vhud_queue q[VDEV_QUEUES_MAX];
};

/* Notes what failed, prints "# vhud: ..." unless `d` is quiet, and returns `code`. `d` may be NULL.
 */
int vhud_fail(struct vhud *d, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Milliseconds left until `deadline_ns`, never below 0. */
int vhud_left_ms(uint64_t deadline_ns);
/* Receives the reply to `request`, as vhud_recv(); -EPROTO if it is none. */
int vhud_recv_reply(
	struct vhud *d, uint32_t request, struct vhost_user_msg *msg, int *fds, unsigned *nfds);
/* Reads from `sock` into `rx`: as vhud_recv(). */
int vhud_recv_on(int sock, struct vhu_rx *rx, int timeout_ms);
