/* SPDX-License-Identifier: BSD-3-Clause */
/* File descriptors: flags, eventfds, Unix sockets, descriptors over sockets. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Most descriptors in one message: what a vhost-user memory table of eight regions needs. */
#define FD_PASS_MAX 8

/* All return 0 (or a descriptor) or -errno. Descriptors are made close-on-exec. */
int fd_nonblock(int fd);
int fd_cloexec(int fd, int on);

/* Lets this process have as many descriptors as it may: the usual soft limit of 1024 is for
 * programs that use select(). What it starts inherits that. */
void fd_raise_limit(void);

/* A new non-blocking eventfd. */
int fd_event(void);
/* Adds one to an eventfd; a full counter (EAGAIN) is success, since the reader is awake anyway. */
int fd_event_signal(int fd);
/* Resets an eventfd; returns 1 if it was signalled, 0 if not, -errno. Works for pipes too. */
int fd_event_clear(int fd);

/* Loops over short transfers and EINTR. fd_read_full returns -EPIPE on an early end. */
int fd_read_full(int fd, void *buf, size_t len);
int fd_write_full(int fd, const void *buf, size_t len);
int fd_pread_full(int fd, void *buf, size_t len, uint64_t offset);

/* Unix stream (or `type`, e.g. SOCK_SEQPACKET) sockets; the path may be up to 107 bytes. Listening
 * replaces a stale socket file, and only a socket; the file gets mode 0600. */
int fd_unix_listen(const char *path, int type, struct err *e);
int fd_unix_connect(const char *path, int type, struct err *e);

/* Gives a socket room for `bytes` on their way to its peer, or as much as the host allows
 * (net.core.wmem_max); never less than it had. */
void fd_raise_send_buffer(int sock, int bytes);

/* One sendmsg() with `nfds` descriptors attached; returns bytes sent or -errno. Never waits,
 * whatever mode the socket is in: a peer that has the same socket could change it. */
ssize_t fd_send(int sock, const void *buf, size_t len, const int *fds, unsigned nfds);
/* One recvmsg(); `*nfds` is in: room in fds (at most FD_PASS_MAX), out: descriptors received, owned
 * by the caller. What does not fit is closed. Returns bytes, 0 at the end, or -errno. Never waits.
 */
ssize_t fd_recv(int sock, void *buf, size_t len, int *fds, unsigned *nfds);

/* A memfd of `size` bytes, sealed against shrinking, growing and further seals. */
int fd_memfd(const char *name, uint64_t size, unsigned memfd_flags, struct err *e);
