/* SPDX-License-Identifier: BSD-3-Clause */
/* What the board needs: programs, image, shared folders, command lines. */
#include "system/board_host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/board_wire.h"

#define RECIPE "guests/board/build"
/* The environment's way to say where the avp for the board is. */
#define PROGRAM_VARIABLE "AVP_BOARD_AVP"

#define BOARD_MEMORY_MIB 640u /* for the board itself: kernel, avp, page cache */
#define ARGS_MAX	 128u

/* A command line in the making. Its strings live until the process ends or starts another program.
 */
struct command {
	char *v[ARGS_MAX];
	unsigned n;
	bool full; /* an argument was lost: too many, or no memory */
};

static void add(struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct command *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (c->n + 1 < ARGS_MAX && vasprintf(&text, fmt, ap) >= 0)
		c->v[c->n++] = text;
	else
		c->full = true;
	va_end(ap);
}

static void command_free(struct command *c)
{
	for (unsigned i = 0; i < c->n; i++)
		free(c->v[i]);
}

/* What a child gets: output streams, and one more descriptor as its number 3, or -1. */
struct child_fds {
	int out, err, extra;
};

#define CHILD_EXTRA 3

/* In the child: streams, signals, and an end together with the parent. */
static void become(const struct command *c, const struct child_fds *fds, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	if (dup2(fds->out, STDOUT_FILENO) >= 0 && dup2(fds->err, STDERR_FILENO) >= 0 &&
		(fds->extra < 0 || dup2(fds->extra, CHILD_EXTRA) >= 0)) {
		if (fds->extra >= 0)
			fd_cloexec(CHILD_EXTRA, 0);
		execvp(c->v[0], c->v);
	}
	dprintf(fds->err, "cannot start %s: %s\n", c->v[0], strerror(errno));
	_exit(127);
}

/* Takes the command's strings. */
static pid_t start(struct command *c, const struct child_fds *fds, struct err *e)
{
	pid_t parent = getpid(), pid = c->full ? -1 : fork();
	int code = c->full ? -E2BIG : -errno;

	if (!pid)
		become(c, fds, parent);
	if (pid < 0)
		err_sys(e, code, "board: cannot start %s", c->v[0]);
	command_free(c);
	return pid < 0 ? code : pid;
}

/* Splits `file`, which exists, into the plan's folder and name of the avp for the board. */
static int set_program(struct board_plan *plan, const char *file, struct err *e)
{
	char *slash;

	if (!realpath(file, plan->exe_dir))
		return err_sys(e, -errno, "board: cannot find '%s'", file);
	slash = strrchr(plan->exe_dir, '/');
	snprintf(plan->exe_name, sizeof(plan->exe_name), "%s", slash + 1);
	*slash = '\0';
	if (strlen(slash + 1) >= sizeof(plan->exe_name) || strpbrk(plan->exe_name, " \t\"") ||
		strchr(plan->exe_dir, ','))
		return err_set(e, -EINVAL,
			"board: cannot share the folder of '%s/%s': no commas or blanks",
			plan->exe_dir, plan->exe_name);
	return 0;
}

/* The folder of this program. */
static int find_self(struct board_plan *plan, struct err *e)
{
	char *slash;

	if (!realpath("/proc/self/exe", plan->own_dir))
		return err_sys(e, -errno, "board: cannot find this program's own file");
	slash = strrchr(plan->own_dir, '/');
	*slash = '\0';
	return 0;
}

/* The avp for the board: this one, or of a cross build beside this build, or installed. */
static int find_program(struct board_plan *plan, const struct board_arch *arch, struct err *e)
{
	static const char *const places[] = { "build-", "libexec/avp/" };
	const char *named = getenv(PROGRAM_VARIABLE);
	char file[BOARD_PATH_MAX * 2];

	if (named)
		return set_program(plan, named, e);
	if (board_arch_is_host(arch))
		return set_program(plan, "/proc/self/exe", e);
	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(
			file, sizeof(file), "%s/../%s%s/avp", plan->own_dir, places[i], arch->name);
		if (!access(file, X_OK))
			return set_program(plan, file, e);
	}
	return err_set(e, -ENOENT,
		"board: no avp for %s in '%s/../build-%s' or '%s/../libexec/avp/%s': 'make %s' "
		"builds it; " PROGRAM_VARIABLE " may name it",
		arch->name, plan->own_dir, arch->name, plan->own_dir, arch->name, arch->name);
}

static int find_qemu(struct board_plan *plan, const struct board_arch *arch, struct err *e)
{
	const char *path = getenv("PATH");
	autofree char *list = strdup(path ? path : "/usr/bin:/bin");
	char *rest = list;

	for (char *dir; list && (dir = strsep(&rest, ":"));) {
		snprintf(plan->qemu, sizeof(plan->qemu), "%s/%s", dir, arch->qemu);
		if (!access(plan->qemu, X_OK))
			return 0;
	}
	return err_set(e, -ENOENT, "board: no %s in PATH; install it: apt install %s", arch->qemu,
		arch->package);
}

/* The image recipe: next to the build folder, or installed. */
static int find_recipe(const struct board_plan *plan, char *recipe, size_t size, struct err *e)
{
	static const char *const places[] = { "..", "../share/avp" };

	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(recipe, size, "%s/%s/" RECIPE, plan->own_dir, places[i]);
		if (!access(recipe, X_OK))
			return 0;
	}
	return err_set(
		e, -ENOENT, "board: no " RECIPE " above or in ../share/avp of '%s'", plan->own_dir);
}

/* Two lines from a pipe, which is read up to its end. */
static void read_lines(int fd, char *first, char *second)
{
	autofclose FILE *f = fdopen(fd, "r");
	char *lines[] = { first, second };

	if (!f)
		close(fd);
	for (unsigned i = 0; f && i < ARRAY_LEN(lines); i++) {
		if (!fgets(lines[i], BOARD_PATH_MAX, f))
			lines[i][0] = '\0';
		lines[i][strcspn(lines[i], "\n")] = '\0';
	}
}

/* Runs the recipe, which prints the folders; what else it has to say goes to the user. */
static int find_image(struct board_plan *plan, const struct board_arch *arch, struct err *e)
{
	char recipe[BOARD_PATH_MAX * 2];
	struct command c = { 0 };
	int pipefd[2], status = -1;
	pid_t pid;

	if (find_recipe(plan, recipe, sizeof(recipe), e))
		return e ? e->code : -ENOENT;
	if (pipe2(pipefd, O_CLOEXEC))
		return err_sys(e, -errno, "board: pipe");
	add(&c, "%s", recipe);
	add(&c, "%s", arch->debian);
	pid = start(&c, &(struct child_fds){ pipefd[1], STDERR_FILENO, -1 }, e);
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return pid;
	}
	read_lines(pipefd[0], plan->image, plan->usr);
	waitpid(pid, &status, 0);
	if (status || plan->image[0] != '/' || plan->usr[0] != '/')
		return err_set(e, -EIO,
			"board: %s could not build the board's image; 'make deps' "
			"installs what it needs",
			recipe);
	return 0;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return !strncmp(path, folder, len) && (path[len] == '/' || !path[len]);
}

/* The folder that has to be shared for `path`: itself if it is one, else where it is (to be). */
static int share_of(const char *path, char *out, struct err *e)
{
	static const char *const refused[] = { "/dev", "/proc", "/sys", "/run/avp" };
	char buf[PATH_MAX];
	struct stat st;
	char *slash;

	snprintf(buf, sizeof(buf), "%s", path);
	if (!stat(buf, &st) && S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL,
			"board: '%s' is a block device; the board takes files only", path);
	slash = strrchr(buf, '/');
	if ((stat(buf, &st) || !S_ISDIR(st.st_mode)) && slash)
		*slash = '\0';
	if (!realpath(buf[0] ? buf : "/", out))
		return err_sys(e, -errno, "board: folder of '%s'", path);
	for (unsigned i = 0; i < ARRAY_LEN(refused); i++)
		if (is_below(out, refused[i]) || !strcmp(out, "/"))
			return err_set(e, -EINVAL,
				"board: cannot share the folder '%s' of '%s'; move the "
				"file to a folder of its own",
				out, path);
	if (strchr(out, ','))
		return err_set(e, -EINVAL, "board: cannot share '%s': no commas", out);
	return 0;
}

/* Adds a folder; one that is inside another one comes with it. */
static int add_share(struct board_plan *plan, const char *path, struct err *e)
{
	char dir[PATH_MAX];
	unsigned kept = 0;

	if (share_of(path, dir, e))
		return e ? e->code : -EINVAL;
	for (unsigned i = 0; i < plan->nshares; i++)
		if (is_below(dir, plan->share[i]))
			return 0;
	for (unsigned i = 0; i < plan->nshares; i++)
		if (!is_below(plan->share[i], dir) && kept++ != i)
			memcpy(plan->share[kept - 1], plan->share[i], BOARD_PATH_MAX);
	plan->nshares = kept;
	if (plan->nshares == BOARD_SHARES_MAX)
		return err_set(e, -E2BIG,
			"board: the system file names files in more than %u folders",
			BOARD_SHARES_MAX);
	snprintf(plan->share[plan->nshares++], BOARD_PATH_MAX, "%s", dir);
	return 0;
}

int board_plan_make(struct board_plan *plan, const struct board_job *job, struct err *e)
{
	struct err none = { 0 };
	int ret;

	e = e ? e : &none;
	ret = find_self(plan, e);
	if (!ret)
		ret = find_program(plan, job->arch, e);
	if (!ret)
		ret = find_qemu(plan, job->arch, e);
	if (!ret)
		ret = add_share(plan, job->dir, e);
	for (unsigned i = 0; i < job->n_paths && !ret; i++)
		ret = add_share(plan, job->paths[i], e);
	if (!ret)
		ret = find_image(plan, job->arch, e);
	snprintf(plan->dir, sizeof(plan->dir), "%.*s/board", (int)sizeof(plan->dir) - 8,
		job->run_dir);
	return ret;
}

void board_path(const struct board_plan *plan, const char *name, char *out)
{
	snprintf(out, BOARD_PATH_MAX, "%.*s/%s", (int)BOARD_PATH_MAX - 64, plan->dir, name);
}

pid_t board_start_vsock(const struct board_plan *plan, int listener, int log_fd, struct err *e)
{
	char path[BOARD_PATH_MAX];
	struct command c = { 0 };

	add(&c, "/proc/self/exe");
	add(&c, "device");
	add(&c, "vsock");
	add(&c, "--fd");
	add(&c, "%u", CHILD_EXTRA);
	add(&c, "--uds");
	board_path(plan, "vsock", path);
	add(&c, "%s", path);
	add(&c, "--cid");
	add(&c, "%u", BOARD_CID);
	return start(&c, &(struct child_fds){ log_fd, log_fd, listener }, e);
}

static void add_virtfs(struct command *c, const char *path, const char *tag, bool readonly)
{
	add(c, "-virtfs");
	add(c, "local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s", path, tag,
		readonly ? ",readonly=on" : "");
}

static void add_machine(struct command *c, const struct board_arch *arch, uint64_t guest_memory)
{
	uint64_t mib = (guest_memory >> 20) + BOARD_MEMORY_MIB;
	static const char *const common[] = {
		"-no-reboot",
		"-nodefaults",
		"-display",
		"none",
		"-serial",
		"stdio",
		"-netdev",
		"user,id=net",
		"-device",
		"virtio-net-pci,netdev=net,romfile=",
	};

	for (unsigned i = 0; arch->args[i]; i++)
		add(c, "%s", arch->args[i]);
	for (unsigned i = 0; i < ARRAY_LEN(common); i++)
		add(c, "%s", common[i]);
	add(c, "-m");
	add(c, "%lluM", (unsigned long long)mib);
	add(c, "-object");
	add(c, "memory-backend-memfd,id=ram,share=on,size=%lluM", (unsigned long long)mib);
}

pid_t board_start_qemu(
	const struct board_plan *plan, const struct board_job *job, int log_fd, struct err *e)
{
	char path[BOARD_PATH_MAX], tag[16];
	struct command c = { 0 };

	add(&c, "%s", plan->qemu);
	add_machine(&c, job->arch, job->guest_memory);
	add(&c, "-kernel");
	add(&c, "%s/vmlinuz", plan->image);
	add(&c, "-initrd");
	add(&c, "%s/initrd", plan->image);
	add(&c, "-append");
	add(&c, "%s panic=-1 mitigations=off quiet board.agent=%s", job->arch->kernel_args,
		plan->exe_name);
	board_path(plan, "vhost", path);
	add(&c, "-chardev");
	add(&c, "socket,id=vsock,path=%s", path);
	add(&c, "-device");
	add(&c, "vhost-user-vsock-pci,chardev=vsock");
	add_virtfs(&c, plan->usr, "usr", true);
	add_virtfs(&c, plan->exe_dir, "avp", true);
	for (unsigned i = 0; i < plan->nshares; i++) {
		snprintf(tag, sizeof(tag), "s%u", i);
		add_virtfs(&c, plan->share[i], tag, false);
	}
	return start(&c, &(struct child_fds){ log_fd, log_fd, -1 }, e);
}
