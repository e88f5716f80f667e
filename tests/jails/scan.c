/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call by its number, with arguments that are wrong for all of them: what comes back
 * says whether the filter stopped it, refused it, or let the kernel refuse it.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "jails/inside.h"

#define CALLS_MAX 640

enum verdict { STOPPED, REFUSED, ALLOWED };
static const char *const verdicts[] = { "stopped", "refused", "allowed" };

/* What all processes may call, whatever the arguments. A call that the jail lets everybody make is
 * added here as well, by somebody who thought about it. */
static const char *const everybody[] = { "accept4", "brk", "clock_gettime", "clock_nanosleep",
	"close", "dup", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"eventfd2", "fallocate", "fdatasync", "fstat", "fsync", "ftruncate", "futex", "getpeername",
	"getpid", "getrandom", "getsockname", "getsockopt", "gettid", "gettimeofday", "listen",
	"lseek", "madvise", "memfd_create", "mremap", "munmap", "nanosleep", "newfstatat", "pipe2",
	"poll", "ppoll", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
	"readv", "recvfrom", "recvmsg", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask",
	"sched_getaffinity", "sched_yield", "sendmsg", "sendto", "set_robust_list", "setsockopt",
	"shutdown", "sigaltstack", "signalfd4", "timerfd_create", "timerfd_settime", "write",
	"writev", NULL };

static const char *const refused[] = { "access", "clone3", "faccessat", "faccessat2", "open",
	"openat", "readlink", "readlinkat", "stat", "statx", "uname", NULL };

/* Allowed with some arguments only, which these are not. */
static const char *const by_argument[] = { "clone", "fcntl", "ioctl", "kill", "mmap", "mprotect",
	"prctl", "prlimit64", "socket", "socketpair", "tgkill", NULL };

/* They end the process, or this function. */
static const char *const not_tried[] = { "exit", "exit_group", "rt_sigreturn", NULL };

/* Calls that the kernel makes user space make, and no filter sees; made by anybody else they kill.
 */
static bool is_probe(int nr)
{
#ifdef __x86_64__
	return nr == 335 || nr == 336; /* uretprobe, uprobe */
#else
	return false;
#endif
}

static bool listed(const char *const *list, const char *name)
{
	for (unsigned i = 0; list && name && list[i]; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

static enum verdict expected(const char *name, const char *const *more)
{
	if (listed(by_argument, name))
		return STOPPED;
	if (listed(everybody, name) || listed(more, name))
		return ALLOWED;
	return listed(refused, name) ? REFUSED : STOPPED;
}

static enum verdict verdict(int nr)
{
	long r;

	inside_trapped();
	errno = 0;
	r = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
	if (inside_trapped())
		return STOPPED;
	return r < 0 && (errno == EACCES || nr == SYS_clone3) ? REFUSED : ALLOWED;
}

unsigned inside_scan(const char *who, const char *const *more)
{
	unsigned bad = 0;

	/* Without any filter the rest would do harm. */
	if (verdict(SYS_getppid) != STOPPED) {
		printf("# %s: its filter does not work\n", who);
		return 1;
	}
	for (int nr = 0; nr < CALLS_MAX; nr++) {
		autofree char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		enum verdict got;

		if (is_probe(nr) || listed(not_tried, name))
			continue;
		got = verdict(nr);
		if (got != expected(name, more) && ++bad)
			printf("# %s: system call %d (%s) is %s, and should be %s\n", who, nr,
				name ? name : "of no name", verdicts[got],
				verdicts[expected(name, more)]);
	}
	return bad;
}
