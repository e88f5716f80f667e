/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends for tests with vhud: a device on a thread of this process, or a device process.
 *
 *	struct vhud_server srv;
 *	struct vhud *d;
 *
 *	REQUIRE(t, !vhud_serve(&srv, &blk_class, "image", path, NULL));   // or vhud_spawn()
 *	REQUIRE(t, (d = vhud_open(srv.path)));
 *	...
 *	vhud_close(d);
 *	vhud_serve_end(&srv);
 */
#pragma once

#include <pthread.h>

#include "vhud.h"
#include "virtio/device.h"

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
