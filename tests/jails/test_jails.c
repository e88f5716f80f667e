/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every jail there is, from inside. The commands of avp run in this program until they would begin
 * to serve: then they are in the jail that their registration made, and try what is forbidden.
 * Kinds of devices and media come from their lists, so that none is forgotten.
 *
 * usage: test_jails [GUEST], a program that runs in a monitor until it is stopped
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "cli/cli.h"
#include "jails/inside.h"
#include "jails/look.h"
#include "jails/place.h"
#include "jails/rows.h"
#include "system/media.h"
#include "tap.h"
#include "virtio/device.h"

#define NOBODY	  65534
#define CALLS_MAX 64u

/* What the process does in its jail. */
enum task {
	TASK_TRY,  /* everything, while the filter traps */
	TASK_EXEC, /* runs a program, and is killed */
	TASK_X32,  /* makes a system call of another ABI, and is killed */
	TASK_WAIT, /* is looked at from outside */
};

/* A case, in the process that is to be jailed. */
struct job {
	const struct row *row;
	enum task task;
	struct outside world;
	const char *calls[CALLS_MAX + 1]; /* that it may make besides those of all */
	struct io_uring *ring;
	int told, hold; /* pipes: it is in the jail; until it may end */
	pid_t peer;	/* the monitor's back-end, or 0 */
};

/* The wrapped functions below have no other way to know it. */
static struct job *job;

int __real_ev_run(struct ev_loop *loop);
int __wrap_ev_run(struct ev_loop *loop);
scmp_filter_ctx __real_seccomp_init(uint32_t action);
scmp_filter_ctx __wrap_seccomp_init(uint32_t action);
int __real_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *p);

static int other_abi(void)
{
#ifdef __x86_64__
	/* getpid() of the 32-bit ABI. Without it in the kernel, a fault. */
	int r = 20;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r;
#else
	return raise(SIGSYS);
#endif
}

static int in_jail(void)
{
	const struct outside *w = &job->world;
	char *const argv[] = { (char *)w->program, NULL };
	unsigned bad = 0;
	char c;

	switch (job->task) {
	case TASK_TRY:
		inside_catch();
		bad = inside_scan(job->row->kind, job->calls);
		if (!bad)
			bad = inside_try(job->row->kind, w, job->ring);
		break;
	case TASK_EXEC:
		execve(w->program, argv, argv + 1);
		return 1;
	case TASK_X32:
		other_abi();
		return 1;
	case TASK_WAIT:
	default:
		return write(job->told, "x", 1) != 1 || read(job->hold, &c, 1);
	}
	fflush(stdout);
	return bad != 0;
}

/* Threads of a monitor have loops, too. */
int __wrap_ev_run(struct ev_loop *loop)
{
	if (!job || gettid() != getpid())
		return __real_ev_run(loop);
	_exit(in_jail());
}

scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
	if (action != SCMP_ACT_KILL_PROCESS)
		return NULL;
	return __real_seccomp_init(job && job->task == TASK_TRY ? SCMP_ACT_TRAP : action);
}

int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	/* In a monitor a thread of its own is at it. */
	if (job && !job->row->types)
		job->ring = ring;
	return __real_io_uring_queue_init_params(entries, ring, p);
}

/* The commands. */

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} media[] = {
	{ "can-bus", cmd_canbus },
	{ "switch", cmd_switch },
	{ "scmi-platform", cmd_scmi_platform },
	{ "wires", cmd_wires },
	{ "link", cmd_link },
};

static int (*medium_command(const char *kind))(int, char **)
{
	for (unsigned i = 0; i < ARRAY_LEN(media); i++)
		if (!strcmp(media[i].name, kind))
			return media[i].run;
	return NULL;
}

/* The word with the folder in it; the process keeps it. */
static char *fill_in(const char *word, const char *folder)
{
	const char *mark = strchr(word, '%');
	char *text;

	if (!mark)
		return (char *)word;
	if (asprintf(&text, "%.*s%s%s", (int)(mark - word), word, folder, mark + 1) < 0)
		exit(97);
	return text;
}

/* Only returns if the process does not come as far as to serve. */
static int run_command(const struct row *row, const char *folder)
{
	int (*run)(int, char **) = medium_command(row->kind);
	char *argv[ROW_WORDS_MAX + 8];
	int argc = 0;

	if (!strcmp(row->kind, "monitor"))
		run = cmd_monitor;
	if (!run) {
		argv[argc++] = (char *)"device";
		argv[argc++] = (char *)row->kind;
		argv[argc++] = (char *)"--socket";
		argv[argc++] = (char *)"socket";
		run = cmd_device;
	} else {
		argv[argc++] = (char *)row->kind;
	}
	argv[argc++] = (char *)"--jail";
	argv[argc++] = (char *)"required";
	for (unsigned i = 0; i < ROW_WORDS_MAX && row->words[i]; i++)
		argv[argc++] = fill_in(row->words[i], folder);
	argv[argc] = NULL;
	return run(argc, argv);
}

/* What the registrations of the row's devices allow. */

static void add_calls(const char *const *names, const char **calls, unsigned *n)
{
	for (unsigned i = 0; names && names[i] && *n < CALLS_MAX; i++)
		calls[(*n)++] = names[i];
}

static void add_registered(const char *type, const char **calls, unsigned *n)
{
	const struct vdev_class *cls = vdev_class_find(type);

	if (cls && cls->sandbox)
		add_calls(cls->sandbox->syscalls, calls, n);
}

static void expect_calls(const struct row *row, const char **calls)
{
	unsigned n = 0;

	add_calls(row->calls, calls, &n);
	for (unsigned i = 0; row->types && row->types[i]; i++)
		add_registered(row->types[i], calls, &n);
	if (!row->types)
		add_registered(row->kind, calls, &n);
	for (const struct medium_class *m = medium_classes; m->section; m++)
		if (!strcmp(m->command, row->kind))
			add_registered(m->device, calls, &n);
	calls[n] = NULL;
}

/* Processes. */

/* As a program that this user starts: only then does its /proc/self belong to it. */
static bool become_nobody(void)
{
	struct stat kvm;
	gid_t group = stat("/dev/kvm", &kvm) ? NOBODY : kvm.st_gid;

	return !setgroups(1, &group) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY) && !prctl(PR_SET_DUMPABLE, 1);
}

static int child(struct job *j, const char *folder, bool nobody)
{
	autoclose int passt = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nobody && !become_nobody())
		return 98;
	passt = listen_unix("listens", false);
	job = j;
	expect_calls(j->row, j->calls);
	return 100 + run_command(j->row, folder);
}

static pid_t start(struct job *j, const char *folder, bool nobody)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(child(j, folder, nobody));
	return pid;
}

/* The wait status. */
static int wait_for(pid_t pid)
{
	int status;

	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

struct test {
	struct tap *tap;
	const struct row *row;
	struct place *place;
	const char *guest;
	bool nobody; /* as a plain user, and not as root */
};

/* A back-end for the monitor, in the folder that the caller is in. */
static bool start_peer(struct job *j, uid_t owner)
{
	char number[16];
	char *argv[] = { (char *)"device", (char *)"rng", (char *)"--fd", number, NULL };
	autoclose int fd = fd_unix_listen("rng", SOCK_STREAM, NULL);

	snprintf(number, sizeof(number), "%d", fd);
	if (fd < 0 || chown("rng", owner, owner))
		return false;
	fflush(stdout);
	j->peer = fork();
	if (!j->peer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(j->told);
		_exit(cmd_device(4, argv));
	}
	return j->peer > 0;
}

static pid_t begin(const struct test *t, struct job *j, enum task task)
{
	uid_t owner = t->nobody ? NOBODY : geteuid();

	j->row = t->row;
	j->task = task;
	j->world = t->place->world;
	if (!place_fill(t->place, t->guest, owner))
		return -1;
	if (!strcmp(t->row->kind, "monitor") && !start_peer(j, owner))
		return -1;
	return start(j, t->place->folder, t->nobody);
}

/* The wait status. */
static int finish(struct job *j, pid_t pid)
{
	int status = wait_for(pid);

	if (j->peer > 0) {
		kill(j->peer, SIGKILL);
		wait_for(j->peer);
	}
	return status;
}

static int run(const struct test *t, enum task task)
{
	struct job j = { .told = -1, .hold = -1 };

	return finish(&j, begin(t, &j, task));
}

static bool died_of(int status, int a, int b)
{
	if (WIFSIGNALED(status) && (WTERMSIG(status) == a || WTERMSIG(status) == b))
		return true;
	printf("# wait status %#x\n", (unsigned)status);
	return false;
}

static void look_at_it(const struct test *t)
{
	int told[2], hold[2];
	struct job j = { 0 };
	char c;
	pid_t pid;

	REQUIRE(t->tap, !pipe2(told, O_CLOEXEC));
	REQUIRE(t->tap, !pipe2(hold, O_CLOEXEC));
	j.told = told[1];
	j.hold = hold[0];
	pid = begin(t, &j, TASK_WAIT);
	close(told[1]);
	close(hold[0]);
	REQUIRE(t->tap, pid > 0);
	if (CHECK_EQ(t->tap, read(told[0], &c, 1), 1))
		look(t->tap, &(struct seen){ pid, t->place, t->row->folder, t->nobody });
	close(told[0]);
	kill(pid, SIGKILL);
	close(hold[1]);
	finish(&j, pid);
}

/* Cases. */

static void try_row(const struct test *t)
{
	struct tap *tap = t->tap;
	int status = run(t, TASK_TRY);

	if (!CHECK(tap, !status))
		printf("# wait status %#x\n", (unsigned)status);
	CHECK(tap, died_of(run(t, TASK_EXEC), SIGSYS, SIGSYS));
	CHECK(tap, died_of(run(t, TASK_X32), SIGSYS, SIGSEGV));
	look_at_it(t);
}

/* File systems in memory may have none. */
static bool has_direct(const char *file)
{
	autoclose int fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return fd >= 0;
}

static const char *missing(const struct test *t)
{
	if (t->row->direct && !has_direct(t->place->file))
		return "the file system of /tmp cannot be read past the page cache";
	if (!strcmp(t->row->kind, "monitor") && !t->guest)
		return "there is no guest for it on this architecture";
	if (t->row->needs && access(t->row->needs, R_OK | W_OK))
		return "there is no usable /dev/kvm";
	return NULL;
}

static void run_row(const struct test *t)
{
	struct tap *tap = t->tap;
	const char *why = missing(t);

	tap->case_failed = 0;
	if (!why)
		try_row(t);
	tap->n++;
	tap->failed += tap->case_failed;
	printf("%s %d - %s with %s, started by %s%s%s\n", tap->case_failed ? "not ok" : "ok",
		tap->n, t->row->kind, t->row->how, t->nobody || geteuid() ? "a plain user" : "root",
		why ? " # SKIP " : "", why ? why : "");
	fflush(stdout);
}

static bool has_row(const char *kind)
{
	for (const struct row *r = rows; r->kind; r++)
		if (!strcmp(r->kind, kind))
			return true;
	printf("# rows.c has no line for %s\n", kind);
	return false;
}

static void no_kind_is_forgotten(struct tap *t)
{
	for (unsigned i = 0; vdev_classes[i]; i++)
		CHECK(t, has_row(vdev_classes[i]->name));
	for (const struct medium_class *m = medium_classes; m->section; m++) {
		CHECK(t, has_row(m->command));
		CHECK(t, medium_command(m->command));
	}
	CHECK(t, has_row("monitor"));
}

/* Whether a plain user may make namespaces is up to the computer's owner. */
static bool users_have_namespaces(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit((!geteuid() && !become_nobody()) || unshare(CLONE_NEWUSER | CLONE_NEWNET));
	return wait_for(pid) == 0;
}

int main(int argc, char **argv)
{
	autofree char *guest = argc > 1 ? realpath(argv[1], NULL) : NULL;
	struct tap tap = { 0 };
	struct place place = { 0 };
	struct test t = { .tap = &tap, .place = &place, .guest = guest };
	bool namespaces = users_have_namespaces();

	if (!place_init(&place)) {
		printf("Bail out! cannot prepare %s\n", place.top);
		return 1;
	}
	TAP_RUN(&tap, no_kind_is_forgotten);
	for (t.row = rows; !geteuid() && t.row->kind; t.row++)
		run_row(&t);
	t.nobody = !geteuid();
	for (t.row = rows; namespaces && t.row->kind; t.row++)
		run_row(&t);
	if (!namespaces)
		printf("# a plain user may make no namespaces here\n");
	if (chdir("/"))
		return 1;
	place_finish(&place);
	return tap_done(&tap);
}
