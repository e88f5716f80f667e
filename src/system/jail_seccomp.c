/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system call filter. What is not listed kills the process (the kernel logs the call); opening
 * files is merely refused, because libraries try it for their own reasons and can do without.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/util.h"
#include "system/jail_layers.h"

/* For libseccomp: compares the lower 32 bits only, since int arguments leave the others undefined.
 */
#define ARG32(n, v) SCMP_CMP((n), SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)(uint32_t)(v))
/* The argument has none of `bits` / all of them. */
#define ARG_NONE(n, bits) SCMP_CMP((n), SCMP_CMP_MASKED_EQ, (bits), 0)

#define IOCTL_TYPE_MASK 0xff00u

#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_NEW_ALL                                                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* What every process needs: memory, time, threads, what is already open. */
static const char *const common[] = { "accept4", "brk", "clock_gettime", "clock_nanosleep", "close",
	"dup", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"eventfd2", "exit", "exit_group", "fallocate", "fdatasync", "fstat", "fsync", "ftruncate",
	"futex", "getpeername", "getpid", "getrandom", "getsockname", "getsockopt", "gettid",
	"gettimeofday", "listen", "lseek", "madvise", "memfd_create", "mremap", "munmap",
	"nanosleep", "newfstatat", "pipe2", "poll", "ppoll", "pread64", "preadv", "preadv2",
	"pwrite64", "pwritev", "pwritev2", "read", "readv", "recvfrom", "recvmsg",
	"restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sched_getaffinity", "sched_yield", "sendmsg", "sendto", "set_robust_list", "setsockopt",
	"shutdown", "sigaltstack", "signalfd4", "timerfd_create", "timerfd_settime", "write",
	"writev", NULL };

/* Refused with EACCES unless the profile lists them. */
static const char *const refused[] = { "access", "faccessat", "faccessat2", "open", "openat",
	"readlink", "readlinkat", "stat", "statx", "uname", NULL };

static const int fcntl_commands[] = { F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL,
	F_ADD_SEALS, F_GET_SEALS, F_GETLK, F_SETLK, F_OFD_GETLK, F_OFD_SETLK, F_GETPIPE_SZ,
	F_SETPIPE_SZ };

static const int prctl_commands[] = { PR_SET_NAME, PR_GET_DUMPABLE, PR_SET_VMA };

/* Calls that no profile gets whole: each has rules on its arguments instead. */
static const char *const by_argument[] = { "clone", "clone3", "fcntl", "ioctl", "kill", "mmap",
	"mprotect", "prctl", "prlimit64", "socket", "socketpair", "tgkill", NULL };

static bool listed(const char *const *list, const char *name)
{
	for (unsigned i = 0; list && list[i]; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

static int rule(
	scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned n, struct scmp_arg_cmp arg)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR)
		return -ENOENT;
	return n ? seccomp_rule_add(ctx, action, nr, n, arg) : seccomp_rule_add(ctx, action, nr, 0);
}

static int allow(scmp_filter_ctx ctx, const char *name)
{
	return rule(ctx, SCMP_ACT_ALLOW, name, 0, (struct scmp_arg_cmp){ 0 });
}

static int allow_if(scmp_filter_ctx ctx, const char *name, struct scmp_arg_cmp arg)
{
	return rule(ctx, SCMP_ACT_ALLOW, name, 1, arg);
}

static int refuse(scmp_filter_ctx ctx, const char *name, int code)
{
	return rule(ctx, SCMP_ACT_ERRNO((uint32_t)code), name, 0, (struct scmp_arg_cmp){ 0 });
}

static int add_common(scmp_filter_ctx ctx, const struct jail_profile *p)
{
	int r = 0;

	for (unsigned i = 0; common[i] && !r; i++) {
		r = allow(ctx, common[i]);
		if (r == -ENOENT) /* newer than this libseccomp, so nothing here calls it */
			r = 0;
	}
	for (unsigned i = 0; refused[i] && !r; i++)
		if (!listed(p->syscalls, refused[i]))
			r = refuse(ctx, refused[i], EACCES);
	return r;
}

/* Memory never becomes executable; threads yes, processes no; signals to oneself only. */
static int add_process_rules(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp no_exec = ARG_NONE(2, PROT_EXEC);
	int r = allow_if(ctx, "mmap", no_exec);

	if (!r)
		r = allow_if(ctx, "mprotect", no_exec);
	if (!r)
		r = allow_if(ctx, "clone",
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD_FLAGS | CLONE_NEW_ALL,
				CLONE_THREAD_FLAGS));
	/* Its flags are in memory, where a filter cannot look; the C library falls back to clone.
	 */
	if (!r)
		r = refuse(ctx, "clone3", ENOSYS);
	if (!r)
		r = allow_if(ctx, "tgkill", ARG32(0, getpid()));
	if (!r) /* reading limits only */
		r = allow_if(ctx, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0));
	for (unsigned i = 0; i < ARRAY_LEN(fcntl_commands) && !r; i++)
		r = allow_if(ctx, "fcntl", ARG32(1, fcntl_commands[i]));
	for (unsigned i = 0; i < ARRAY_LEN(prctl_commands) && !r; i++)
		r = allow_if(ctx, "prctl", ARG32(0, prctl_commands[i]));
	return r;
}

static int add_ioctls(scmp_filter_ctx ctx, const struct jail_profile *p)
{
	int r = 0;

	for (unsigned i = 0; p->ioctls && p->ioctls[i] && !r; i++)
		r = allow_if(ctx, "ioctl", ARG32(1, p->ioctls[i]));
	for (unsigned i = 0; i < JAIL_TYPES_MAX && p->ioctl_types[i] && !r; i++)
		r = allow_if(ctx, "ioctl",
			SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK,
				(scmp_datum_t)p->ioctl_types[i] << 8));
	return r;
}

static int add_profile(scmp_filter_ctx ctx, const struct jail_profile *p, struct err *e)
{
	int r = add_ioctls(ctx, p);

	if (!r && listed(p->syscalls, "socket"))
		r = allow_if(ctx, "socket", ARG32(0, AF_UNIX));
	if (!r && listed(p->syscalls, "socketpair"))
		r = allow_if(ctx, "socketpair", ARG32(0, AF_UNIX));
	for (unsigned i = 0; p->syscalls && p->syscalls[i] && !r; i++) {
		const char *name = p->syscalls[i];

		if (listed(by_argument, name) || listed(common, name))
			continue;
		r = allow(ctx, name);
		if (r)
			return err_sys(e, r, "jail: cannot allow system call '%s'", name);
	}
	return r;
}

static int load(scmp_filter_ctx ctx, const struct jail_profile *profile, struct err *e)
{
	/* A binary tree instead of a list of comparisons: the calls of the fast path stay cheap. */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);

	/* System calls of the computer's other ABIs, too, end the process and not just its thread.
	 */
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!r)
		r = add_common(ctx, profile);
	if (!r)
		r = add_process_rules(ctx);
	if (!r)
		r = add_profile(ctx, profile, e);
	if (!r)
		r = seccomp_load(ctx);
	return r;
}

int jail_seccomp(const struct jail_profile *profile, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!ctx)
		return err_set(e, -ENOMEM, "jail: out of memory for the system call filter");
	r = load(ctx, profile, e);
	seccomp_release(ctx);
	if (r && !(e && e->code))
		return err_sys(e, r, "jail: cannot install the system call filter");
	return r;
}
