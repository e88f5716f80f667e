/* SPDX-License-Identifier: BSD-3-Clause */
/* The jail from inside: each case enters it in a child process and tries to get out. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/util.h"
#include "system/jail.h"
#include "tap.h"

#define NOBODY 65534

/* Runs in the jail; returns its exit status. */
typedef int (*attempt_fn)(const char *dir);

/* How a case is set up. */
struct attempt {
	attempt_fn fn;
	const char *const *syscalls;
	const unsigned long *ioctls;
	const char *dir; /* reachable folder, or NULL */
	bool unprivileged;
};

static int child(const struct attempt *a)
{
	struct jail_profile profile = {
		.mode = JAIL_REQUIRED, .syscalls = a->syscalls, .ioctls = a->ioctls
	};
	struct err e = { 0 };

	if (a->dir)
		profile.paths[profile.npaths++] = a->dir;
	/* Dumpable again, or /proc/self belongs to root and no user namespace can be set up. */
	if (a->unprivileged &&
		(setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
			prctl(PR_SET_DUMPABLE, 1)))
		return 98;
	if (jail_enter(&profile, NULL, &e)) {
		printf("# %s\n", e.msg);
		fflush(stdout);
		return 99;
	}
	return a->fn(a->dir);
}

/* The wait status of the attempt. */
static int run(const struct attempt *a)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(child(a));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static int run_fn(attempt_fn fn)
{
	return run(&(struct attempt){ .fn = fn });
}

static bool succeeds(int status)
{
	if (status)
		printf("# wait status %#x\n", (unsigned)status);
	return status == 0;
}

static bool killed(int status)
{
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		printf("# wait status %#x instead of SIGSYS\n", (unsigned)status);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void *thread_main(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

/* What a device process does all day. */
static int live(const char *dir)
{
	char buf[8] = { 0 };
	int ran = 0, sv[2];
	pthread_t thread;
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || pipe2(sv, O_CLOEXEC) || write(sv[1], "x", 1) != 1 ||
		read(sv[0], buf, 1) != 1)
		return 1;
	if (pthread_create(&thread, NULL, thread_main, &ran) || pthread_join(thread, NULL))
		return 2;
	return ran ? 0 : 3;
}

static void ordinary_work_goes_on(struct tap *t)
{
	CHECK(t, succeeds(run_fn(live)));
}

static int open_passwd(const char *dir)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? 0 : 1;
}

static void files_cannot_be_opened(struct tap *t)
{
	static const char *const calls[] = { "openat", NULL };

	CHECK(t, succeeds(run_fn(open_passwd)));
	/* Not even with the system call: there is nothing there. */
	CHECK(t, succeeds(run(&(struct attempt){ .fn = open_passwd, .syscalls = calls })));
}

static int look_around(const char *dir)
{
	struct stat st;

	return stat("/proc/self", &st) < 0 && stat("/dev/null", &st) < 0 && stat("/etc", &st) < 0
		       ? 0
		       : 1;
}

static void file_system_is_empty(struct tap *t)
{
	static const char *const calls[] = { "stat", NULL };

	CHECK(t, succeeds(run(&(struct attempt){ .fn = look_around, .syscalls = calls })));
}

static int inet_socket(const char *dir)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int unix_socket(const char *dir)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static void sockets_are_unix_only(struct tap *t)
{
	static const char *const calls[] = { "socket", NULL };

	CHECK(t, killed(run_fn(inet_socket)));
	CHECK(t, killed(run_fn(unix_socket)));
	CHECK(t, killed(run(&(struct attempt){ .fn = inet_socket, .syscalls = calls })));
	CHECK(t, succeeds(run(&(struct attempt){ .fn = unix_socket, .syscalls = calls })));
}

static int exec_shell(const char *dir)
{
	execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
	return 1;
}

static int trace_parent(const char *dir)
{
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0;
}

static int kill_parent(const char *dir)
{
	return kill(getppid(), 0) == 0;
}

static int tgkill_parent(const char *dir)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0;
}

static int make_process(const char *dir)
{
	return fork() >= 0;
}

static int new_namespace(const char *dir)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static int executable_memory(const char *dir)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static int make_executable(const char *dir)
{
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(mem, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int dumpable_again(const char *dir)
{
	return prctl(PR_SET_DUMPABLE, 1) == 0;
}

static void no_processes_and_no_code(struct tap *t)
{
	CHECK(t, killed(run_fn(exec_shell)));
	CHECK(t, killed(run_fn(trace_parent)));
	CHECK(t, killed(run_fn(kill_parent)));
	CHECK(t, killed(run_fn(tgkill_parent)));
	CHECK(t, killed(run_fn(make_process)));
	CHECK(t, killed(run_fn(new_namespace)));
	CHECK(t, killed(run_fn(executable_memory)));
	CHECK(t, killed(run_fn(make_executable)));
	CHECK(t, killed(run_fn(dumpable_again)));
}

static int window_size(const char *dir)
{
	struct winsize ws;

	return ioctl(0, TIOCGWINSZ, &ws) < 0 && errno != ENOTTY;
}

static int push_input(const char *dir)
{
	return ioctl(0, TIOCSTI, "x") == 0;
}

static void ioctls_are_listed(struct tap *t)
{
	static const char *const calls[] = { "ioctl", NULL };
	static const unsigned long requests[] = { TIOCGWINSZ, 0 };
	struct attempt a = { .fn = window_size, .syscalls = calls, .ioctls = requests };

	CHECK(t, killed(run_fn(window_size)));
	CHECK(t, succeeds(run(&a)));
	a.fn = push_input;
	CHECK(t, killed(run(&a)));
}

static int use_folder(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/made", dir);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 1;
	snprintf(path, sizeof(path), "%s/..", dir);
	if (open("/made", O_CREAT | O_RDWR, 0600) >= 0)
		return 2;
	return open("/etc/passwd", O_RDONLY) < 0 ? 0 : 3;
}

static void folders_of_the_profile_stay(struct tap *t)
{
	static const char *const calls[] = { "openat", NULL };
	char dir[] = "/tmp/avp-jail-XXXXXX", made[64];
	struct attempt a = { .fn = use_folder, .syscalls = calls, .dir = dir };

	REQUIRE(t, mkdtemp(dir));
	snprintf(made, sizeof(made), "%s/made", dir);
	CHECK(t, succeeds(run(&a)));
	CHECK(t, access(made, F_OK) == 0);
	unlink(made);
	if (geteuid() == 0) {
		CHECK(t, chown(dir, NOBODY, NOBODY) == 0);
		a.unprivileged = true;
		CHECK(t, succeeds(run(&a)));
		unlink(made);
	}
	rmdir(dir);
}

/* It is there, and is refused because it is a device. */
static int device_is_refused(const char *dir)
{
	int fd = open("/dev/null", O_RDWR);

	return fd >= 0 || errno != EACCES;
}

static void no_device_is_opened(struct tap *t)
{
	static const char *const calls[] = { "openat", NULL };
	struct attempt a = { .fn = device_is_refused, .syscalls = calls, .dir = "/dev" };

	CHECK(t, succeeds(run(&a)));
}

static int own_user(const char *dir)
{
	return geteuid() != 0 && getuid() != 0 && geteuid() != NOBODY ? 0 : 1;
}

/* Waits in the jail until the other end of the pipe at descriptor 3 closes. */
static int wait_for_end(const char *dir)
{
	char c;

	return read(3, &c, 1) != 0;
}

/* The rights as the kernel reports them for a child that is in the jail. */
static void rights_are_gone(struct tap *t)
{
	static const char *const calls[] = { "geteuid", "getuid", NULL };
	char text[4096], path[64];
	int fds[2], fd = -1, status;
	ssize_t n = 0;
	pid_t pid;

	if (geteuid() == 0)
		CHECK(t, succeeds(run(&(struct attempt){ .fn = own_user, .syscalls = calls })));
	REQUIRE(t, pipe(fds) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (fds[0] != 3)
			dup2(fds[0], 3);
		close_range(4, ~0u, 0);
		_exit(child(&(struct attempt){ .fn = wait_for_end }));
	}
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	/* The filter comes last: once it is there, everything is. */
	for (int i = 0; i < 10000; i++, usleep(1000)) {
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		if (strstr(text, "Seccomp:\t2"))
			break;
	}
	CHECK(t, strstr(text, "CapPrm:\t0000000000000000"));
	CHECK(t, strstr(text, "CapEff:\t0000000000000000"));
	CHECK(t, strstr(text, "CapBnd:\t0000000000000000"));
	CHECK(t, strstr(text, "NoNewPrivs:\t1"));
	CHECK(t, strstr(text, "Seccomp:\t2"));
	close(fds[1]);
	CHECK(t, waitpid(pid, &status, 0) == pid && status == 0);
	close(fds[0]);
}

static void works_without_privilege(struct tap *t)
{
	struct attempt a = { .fn = live, .unprivileged = true };

	if (geteuid() != 0) {
		tap_skip(t, "every other case runs without privilege already");
		return;
	}
	CHECK(t, succeeds(run(&a)));
	a.fn = exec_shell;
	CHECK(t, killed(run(&a)));
	a.fn = open_passwd;
	CHECK(t, succeeds(run(&a)));
}

static void unknown_call_is_an_error(struct tap *t)
{
	static const char *const calls[] = { "no_such_call", NULL };
	int status = run(&(struct attempt){ .fn = live, .syscalls = calls });

	CHECK(t, WIFEXITED(status) && WEXITSTATUS(status) == 99);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, ordinary_work_goes_on);
	TAP_RUN(&t, files_cannot_be_opened);
	TAP_RUN(&t, file_system_is_empty);
	TAP_RUN(&t, sockets_are_unix_only);
	TAP_RUN(&t, no_processes_and_no_code);
	TAP_RUN(&t, ioctls_are_listed);
	TAP_RUN(&t, folders_of_the_profile_stay);
	TAP_RUN(&t, no_device_is_opened);
	TAP_RUN(&t, rights_are_gone);
	TAP_RUN(&t, works_without_privilege);
	TAP_RUN(&t, unknown_call_is_an_error);
	return tap_done(&t);
}
