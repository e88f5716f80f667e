/* SPDX-License-Identifier: BSD-3-Clause */
/* The jail: the order of its layers, namespaces, identity, limits. */
#include "system/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/jail_layers.h"

/* Each root-started process gets a user id that nobody else has: this plus its process id. The
 * range above is used neither by distributions nor by systemd's containers. */
#define JAIL_UID_BASE 0x70000000u

/* A monitor has up to ten for each queue of its devices. */
#define JAIL_OPEN_FILES_MAX 65536u

const char *const jail_mode_words[] = { "best-effort", "required", "off", NULL };

#if defined(__SANITIZE_ADDRESS__)
#define JAIL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JAIL_ASAN 1
#endif
#endif

#ifdef JAIL_ASAN
/* The leak checker must trace its process, which no jail allows; the jail cannot be dumped. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}
#endif

static int write_file(const char *path, const char *text, struct err *e)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));

	return r ? err_sys(e, r, "cannot write %s", path) : 0;
}

/* Inside the new user namespace this process stays who it was, and nobody else exists. */
static int map_ids(uid_t uid, gid_t gid, struct err *e)
{
	char text[64];
	int r = write_file("/proc/self/setgroups", "deny", e);

	if (r)
		return r;
	snprintf(text, sizeof(text), "%u %u 1\n", uid, uid);
	r = write_file("/proc/self/uid_map", text, e);
	if (r)
		return r;
	snprintf(text, sizeof(text), "%u %u 1\n", gid, gid);
	return write_file("/proc/self/gid_map", text, e);
}

/* Own namespaces; with a user namespace around them where we have no privilege to do without. */
static int enter_namespaces(bool network, bool *userns, struct err *e)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!network)
		flags |= CLONE_NEWNET;
	if (unshare(flags) == 0)
		return 0;
	if (errno != EPERM)
		return err_sys(e, -errno, "cannot create namespaces");
	if (unshare(CLONE_NEWUSER | flags))
		return err_sys(
			e, -errno, "cannot create namespaces (user namespaces may be disabled)");
	*userns = true;
	return map_ids(uid, gid, e);
}

static int set_limit(__rlimit_resource_t what, rlim_t max)
{
	struct rlimit lim;

	if (getrlimit(what, &lim))
		return -errno;
	if (lim.rlim_max > max)
		lim.rlim_max = max;
	if (lim.rlim_cur > lim.rlim_max)
		lim.rlim_cur = lim.rlim_max;
	return setrlimit(what, &lim) ? -errno : 0;
}

static int set_limits(struct err *e)
{
	int r = set_limit(RLIMIT_CORE, 0);

	if (!r)
		r = set_limit(RLIMIT_MSGQUEUE, 0);
	if (!r)
		r = set_limit(RLIMIT_NOFILE, JAIL_OPEN_FILES_MAX);
	return r ? err_sys(e, r, "cannot set resource limits") : 0;
}

/* Leaves root: for a user id of its own, or for that of the folders it is to reach. */
static int drop_user(const struct jail_profile *profile, struct err *e)
{
	uid_t uid = JAIL_UID_BASE + (uid_t)getpid();
	gid_t gid = uid;
	struct stat st;

	if (profile->npaths) {
		if (stat(profile->paths[0], &st))
			return err_sys(e, -errno, "cannot look at %s", profile->paths[0]);
		uid = st.st_uid;
		gid = st.st_gid;
	}
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return err_sys(e, -errno, "cannot change to user id %u", uid);
	return 0;
}

/* The bounding set matters only to exec, which seccomp forbids too; who has no CAP_SETPCAP has
 * nothing in it to lose. */
static void drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &head, none))
		return err_sys(e, -errno, "cannot drop capabilities");
	return 0;
}

/* A user id of its own and no capabilities. The parent-death signal does not survive the change of
 * credentials, so it is put back; were the parent gone by now, nobody would send it. */
static int drop_identity(const struct jail_profile *profile, bool root, struct err *e)
{
	int death = 0, r = 0;
	pid_t parent = getppid();

	prctl(PR_GET_PDEATHSIG, &death);
	drop_bounding_set();
	if (root)
		r = drop_user(profile, e);
	if (!r)
		r = drop_capabilities(e);
	if (r)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_sys(e, -errno, "cannot forbid core dumps");
	if (death && prctl(PR_SET_PDEATHSIG, death))
		return err_sys(e, -errno, "cannot restore the parent-death signal");
	if (death && getppid() != parent)
		return err_set(e, -ESRCH, "the parent process is gone");
	return 0;
}

/* Decides about the error of one layer: fatal where the jail is required, else a line in the log.
 */
static int layer(const struct jail_profile *profile, const struct log *log, const char *what, int r,
	struct err *e)
{
	if (!r)
		return 0;
	if (profile->mode == JAIL_REQUIRED)
		return err_prefix(e, "jail: %s (jail: best-effort goes on without)", what);
	log_info(log, "jail: without %s: %s", what, e ? e->msg : strerror(-r));
	if (e)
		*e = (struct err){ 0 };
	return 0;
}

int jail_enter(const struct jail_profile *profile, const struct log *log, struct err *e)
{
	struct err dummy = { 0 };
	bool userns = false, own_mounts;
	int r;

	if (!e)
		e = &dummy;
	if (profile->mode == JAIL_OFF)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, -errno, "jail: cannot give up new privileges");
	r = enter_namespaces(profile->network, &userns, e);
	own_mounts = !r;
	r = layer(profile, log, "namespaces", r, e);
	if (!r && own_mounts)
		r = layer(profile, log, "an empty file system", jail_root(profile, e), e);
	if (!r)
		r = layer(profile, log, "Landlock", jail_landlock(profile, e), e);
	if (!r)
		r = set_limits(e);
	/* A user namespace of our own knows no other user to change to. */
	if (!r)
		r = drop_identity(profile, geteuid() == 0 && !userns, e);
	if (!r)
		r = jail_seccomp(profile, e);
	/* The filter was made on some 100 KiB of heap. */
	malloc_trim(0);
	return r;
}

/* The folder of the file that a path key names: a file that is to appear later has one, too. */
int jail_add_folder(struct jail_profile *profile, const char *path, struct err *e)
{
	autofree char *folder = strdup(path);
	char *slash, *real;

	if (!folder)
		return err_set(e, -ENOMEM, "out of memory");
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	real = realpath(slash ? folder : ".", NULL);
	if (!real)
		return err_sys(e, -errno, "cannot reach the folder of %s", path);
	for (unsigned i = 0; i < profile->npaths; i++) {
		if (!strcmp(profile->paths[i], real)) {
			free(real);
			return 0;
		}
	}
	if (profile->npaths == JAIL_PATHS_MAX) {
		free(real);
		return err_set(e, -E2BIG, "more than %u folders in one jail", JAIL_PATHS_MAX);
	}
	profile->paths[profile->npaths++] = real;
	return 0;
}

int jail_for_device(struct jail_profile *profile, const struct vdev *dev, struct err *e)
{
	const struct vdev_sandbox *box = dev->cls->sandbox;

	if (!box)
		return 0;
	profile->syscalls = box->syscalls;
	profile->ioctls = box->ioctls;
	profile->ioctl_types[0] = box->ioctl_type;
	for (unsigned i = 0; box->paths && box->paths[i]; i++) {
		const struct opt *o = opt_find(dev->cls->opts, box->paths[i]);
		const char *path;
		int r;

		if (!o || o->type != OPT_PATH)
			return err_set(e, -EINVAL, "%s: sandbox path '%s' is no path key",
				dev->cls->name, box->paths[i]);
		path = *(char *const *)(const void *)((const char *)dev + o->offset);
		r = path ? jail_add_folder(profile, path, e) : 0;
		if (r)
			return r;
	}
	return 0;
}

void jail_profile_free(struct jail_profile *profile)
{
	for (unsigned i = 0; i < profile->npaths; i++)
		free((char *)profile->paths[i]);
	profile->npaths = 0;
}
