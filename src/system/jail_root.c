/* SPDX-License-Identifier: BSD-3-Clause */
/* The jail's file system: an empty tmpfs with the folders that must stay reachable. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "system/jail_layers.h"

/* Where the new root is attached before it becomes the root; every Linux system has it. */
#define JAIL_MOUNT_POINT "/proc"

#define JAIL_MOUNT_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* mkdir -p of `path` (absolute) below `root`. */
static int make_folders(int root, const char *path)
{
	char part[PATH_MAX];

	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		memcpy(part, path + 1, i - 1);
		part[i - 1] = 0;
		if (part[0] && mkdirat(root, part, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* A detached copy of the mount tree at `path`. */
static int clone_folder(const char *path, struct err *e)
{
	struct mount_attr attr = { .attr_set = JAIL_MOUNT_ATTRS };
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0)
		return err_sys(e, -errno, "cannot clone the folder %s", path);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr))) {
		int r = -errno;

		close(fd);
		return err_sys(e, r, "cannot restrict the folder %s", path);
	}
	return fd;
}

static int make_tmpfs(struct err *e)
{
	autoclose int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) ||
		fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) ||
		fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return err_sys(e, -errno, "cannot create a tmpfs");
	fd = fsmount(fs, FSMOUNT_CLOEXEC, JAIL_MOUNT_ATTRS);
	return fd < 0 ? err_sys(e, -errno, "cannot mount a tmpfs") : fd;
}

static int attach(int root, const char *path, int tree, struct err *e)
{
	int r = make_folders(root, path);

	if (!r && move_mount(tree, "", root, path + 1, MOVE_MOUNT_F_EMPTY_PATH))
		r = -errno;
	return r ? err_sys(e, r, "cannot show the folder %s", path) : 0;
}

/* Makes `root`, which is mounted somewhere, the root, and takes the old one away. */
static int change_root(int root, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) || fchdir(root) ||
		syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return err_sys(e, -errno, "cannot change the root");
	return 0;
}

static int fill_root(const struct jail_profile *profile, const int *trees, struct err *e)
{
	autoclose int root = make_tmpfs(e);
	int r = 0;

	if (root < 0)
		return root;
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
		move_mount(root, "", AT_FDCWD, JAIL_MOUNT_POINT, MOVE_MOUNT_F_EMPTY_PATH))
		return err_sys(e, -errno, "cannot attach a tmpfs");
	for (unsigned i = 0; i < profile->npaths && !r; i++)
		r = attach(root, profile->paths[i], trees[i], e);
	return r ? r : change_root(root, e);
}

int jail_root(const struct jail_profile *profile, struct err *e)
{
	int trees[JAIL_PATHS_MAX];
	unsigned n = 0;
	int r = 0;

	/* Before anything covers them. */
	while (n < profile->npaths && r >= 0) {
		r = clone_folder(profile->paths[n], e);
		if (r >= 0)
			trees[n++] = r;
	}
	if (r >= 0)
		r = fill_root(profile, trees, e);
	while (n > 0)
		close(trees[--n]);
	return r;
}
