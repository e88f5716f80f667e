/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user back-end as the target of the suite: its device, the memory shared with it, its
 * process if the runner started it, and what is at the device's other end.
 */
#pragma once

#include "base/err.h"
#include "base/opt.h"
#include "conformance/cf.h"

struct vhu_target;

/* What there is to judge. Strings and lists are the caller's and stay while the target is open. */
struct vhu_target_opts {
	const char *type;   /* "blk", ..., or a device ID */
	const char *socket; /* of the back-end; NULL with a command: one is made up */
	const char *peer;   /* socket of the second device, or NULL */
	/* Programs that make the sockets, ending with NULL; or NULL: they are there already. In
	 * their arguments {socket} and {peer} become the paths. */
	char *const *command, *const *peer_command;
	struct opt_list facts; /* KEY=VALUE */
	struct opt_list echo;  /* Unix sockets on which to send back what comes */
	uint32_t limit_ms;     /* for an answer of the device */
	bool verbose;	       /* show what the back-end writes */
};

/* The device ID of a type's name or number; 0 if it is none. */
uint16_t vhu_target_id(const char *type);

/* What is wrong with the options as they are: 0 or -EINVAL. */
int vhu_target_check(const struct vhu_target_opts *opts, struct err *e);
/* Starts and connects. Returns 0 or -errno; *out is set on success only. */
int vhu_target_open(struct vhu_target **out, const struct vhu_target_opts *opts, struct err *e);
/* For cf_run(); valid until vhu_target_close(). */
struct cf_target *vhu_target_cf(struct vhu_target *t);
/* True if the back-end was not to be brought back several times in a row: to go on makes no sense.
 */
bool vhu_target_lost(const struct vhu_target *t);
/* Stops what was started. Accepts NULL. */
void vhu_target_close(struct vhu_target *t);
