/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls with arguments, files and sockets that no jail lets through. */
#include "jails/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"

static volatile sig_atomic_t caught;

static void on_trap(int sig)
{
	caught = 1;
}

void inside_catch(void)
{
	const struct sigaction action = { .sa_handler = on_trap, .sa_flags = SA_NODEFER };

	sigaction(SIGSYS, &action, NULL);
}

bool inside_trapped(void)
{
	bool was = caught;

	caught = 0;
	return was;
}

/* Each returns what the system call did: below 0 is a failure. */

static long open_file(const struct outside *w)
{
	return open(w->file, O_RDONLY | O_CLOEXEC);
}

static long write_file(const struct outside *w)
{
	return open(w->file, O_WRONLY | O_TRUNC | O_CLOEXEC);
}

static long follow_link(const struct outside *w)
{
	return open(w->link, O_RDONLY | O_CLOEXEC);
}

static long open_node(const struct outside *w)
{
	return open(w->node, O_RDWR | O_CLOEXEC);
}

static long open_proc(const struct outside *w)
{
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static long open_kvm(const struct outside *w)
{
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

static long make_file(const struct outside *w)
{
	return open("/made-in-a-jail", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

static long see_file(const struct outside *w)
{
	return access(w->file, F_OK);
}

static long remove_file(const struct outside *w)
{
	return syscall(SYS_unlinkat, AT_FDCWD, w->file, 0);
}

static long move_file(const struct outside *w)
{
	return syscall(SYS_renameat2, AT_FDCWD, w->file, AT_FDCWD, w->link, 0);
}

static long connect_to(int sock, const void *addr, size_t len)
{
	return sock < 0 ? sock : connect(sock, addr, (socklen_t)len);
}

static long connect_unix(const struct outside *w)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", w->socket);
	return connect_to(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &addr, sizeof(addr));
}

static long connect_abstract(const struct outside *w)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", w->abstract);

	return connect_to(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &addr,
		offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static long connect_tcp(const struct outside *w)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_port = w->port,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return connect_to(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &addr, sizeof(addr));
}

/* Datagrams to a name need no connect(). */
static long send_tcp(const struct outside *w)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_port = w->port,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return sock < 0 ? sock : sendto(sock, "x", 1, 0, (void *)&addr, sizeof(addr));
}

static long other_sockets(const struct outside *w)
{
	static const int families[] = { AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG,
		AF_CAN, AF_BLUETOOTH, AF_KEY, AF_TIPC, AF_QIPCRTR };
	long r = -1;

	for (unsigned i = 0; i < ARRAY_LEN(families) && r < 0; i++)
		r = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return r;
}

static long run_program(const struct outside *w)
{
	char *const argv[] = { (char *)w->program, NULL };

	return syscall(SYS_execve, w->program, argv, argv + 1);
}

/* A child of a jail that leaks must not go on with the rest of the test. */
static long leave_child(long pid)
{
	if (!pid)
		_exit(0);
	return pid;
}

static long fork_process(const struct outside *w)
{
	return leave_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static long clone3_process(const struct outside *w)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return leave_child(syscall(SYS_clone3, &args, sizeof(args)));
}

static long clone_namespace(const struct outside *w)
{
	/* With a thread's flags the kernel itself refuses this one: the filter must come first. */
	unsigned long flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER;
	long r = syscall(SYS_clone, flags, 0, 0, 0, 0);

	return r < 0 && !caught ? 0 : r;
}

static long signal_parent(const struct outside *w)
{
	return syscall(SYS_kill, w->parent, 0);
}

static long tgkill_parent(const struct outside *w)
{
	return syscall(SYS_tgkill, w->parent, w->parent, 0);
}

static long map_code(const struct outside *w)
{
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? -1 : 0;
}

static long map_file_as_code(const struct outside *w)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	void *mem;

	if (fd < 0 || ftruncate(fd, 4096))
		return -1;
	mem = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	return mem == MAP_FAILED ? -1 : 0;
}

static long make_code(const struct outside *w)
{
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(mem, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static long limits_of_its_own(const struct outside *w)
{
	const struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };

	return prlimit(0, RLIMIT_CORE, &lim, NULL);
}

static long process_controls(const struct outside *w)
{
	static const int commands[] = { PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_MM, PR_SET_PTRACER,
		PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_SET_SECUREBITS, PR_SET_TSC };

	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		prctl(commands[i], 1, 0, 0, 0);
		if (!inside_trapped())
			return 0;
	}
	return -1;
}

static long signals_by_descriptor(const struct outside *w)
{
	long r = fcntl(0, F_SETOWN, w->parent);

	return r < 0 ? fcntl(0, F_SETSIG, SIGKILL) : r;
}

/* Requests that drivers have had bad days with; what is not allowed must not reach the kernel. */
static long other_requests(const struct outside *w)
{
	static const unsigned long requests[] = { TIOCSTI, TIOCSETD, TIOCLINUX, FIOASYNC,
		SIOCGIFCONF, SIOCSIFFLAGS, FS_IOC_SETFLAGS, FIBMAP, FIFREEZE, BLKROSET };

	for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
		ioctl(-1, requests[i], 0);
		if (!inside_trapped())
			return 0;
	}
	return -1;
}

struct attempt {
	const char *what;
	long (*fn)(const struct outside *w);
};

static const struct attempt attempts[] = {
	{ "opened a file of the host", open_file },
	{ "opened a file of the host for writing", write_file },
	{ "followed a link out of its folder", follow_link },
	{ "opened a device node", open_node },
	{ "opened its own memory", open_proc },
	{ "opened /dev/kvm", open_kvm },
	{ "made a file in the root", make_file },
	{ "found a file of the host", see_file },
	{ "removed a file of the host", remove_file },
	{ "moved a file of the host", move_file },
	{ "connected to a Unix socket of the host", connect_unix },
	{ "connected to an abstract socket of the host", connect_abstract },
	{ "connected by TCP", connect_tcp },
	{ "sent by UDP", send_tcp },
	{ "made a socket that is no Unix socket", other_sockets },
	{ "ran a program", run_program },
	{ "made a process", fork_process },
	{ "made a process by clone3", clone3_process },
	{ "asked for a namespace", clone_namespace },
	{ "may signal its parent", signal_parent },
	{ "may signal a thread of its parent", tgkill_parent },
	{ "mapped executable memory", map_code },
	{ "mapped a file as code", map_file_as_code },
	{ "made memory executable", make_code },
	{ "changed its limits", limits_of_its_own },
	{ "reached prctl with a forbidden command", process_controls },
	{ "had signals sent to others", signals_by_descriptor },
	{ "reached ioctl with a forbidden request", other_requests },
};

/* What a ring does is done by the kernel, where no filter looks. */
static bool ring_refuses(struct io_uring *ring, const struct outside *w, uint8_t op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int res;

	if (!sqe)
		return false;
	io_uring_prep_nop(sqe);
	if (op == IORING_OP_OPENAT)
		io_uring_prep_openat(sqe, AT_FDCWD, w->file, O_RDONLY, 0);
	if (op == IORING_OP_SOCKET)
		io_uring_prep_rw(op, sqe, AF_INET, NULL, 0, SOCK_STREAM);
	if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_peek_cqe(ring, &cqe))
		return false;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res == -EACCES;
}

static unsigned try_ring(const char *who, const struct outside *w, struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_NOP, IORING_OP_OPENAT, IORING_OP_SOCKET };
	unsigned bad = 0;

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		if (!ring_refuses(ring, w, ops[i]) && ++bad)
			printf("# %s: its io_uring took operation %u\n", who, ops[i]);
	return bad;
}

unsigned inside_try(const char *who, const struct outside *world, struct io_uring *ring)
{
	unsigned bad = ring ? try_ring(who, world, ring) : 0;

	for (unsigned i = 0; i < ARRAY_LEN(attempts); i++) {
		long r;

		inside_trapped();
		r = attempts[i].fn(world);
		if (!inside_trapped() && r >= 0 && ++bad)
			printf("# %s %s\n", who, attempts[i].what);
	}
	return bad;
}
