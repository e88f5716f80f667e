/* SPDX-License-Identifier: BSD-3-Clause */
/* Creating, locking and removing the run-time folder. */
#include "system/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"

#define LOCK_NAME  "lock"
#define WALK_FDS   16
#define LOCK_TRIES 10u

char *rundir_path(const char *system)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	const char *slash = system ? "/" : "", *name = system ? system : "";
	char *path;
	int n;

	if (base && base[0] == '/')
		n = asprintf(&path, "%s/avp%s%s", base, slash, name);
	else if (geteuid() == 0)
		n = asprintf(&path, "/run/avp%s%s", slash, name);
	else
		n = asprintf(&path, "/tmp/avp-%u%s%s", geteuid(), slash, name);
	return n < 0 ? NULL : path;
}

static int make_private(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_sys(e, -errno, "cannot create the run-time folder %s", path);
	if (lstat(path, &st))
		return err_sys(e, -errno, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, -EPERM, "%s must be a folder of yours with mode 0700", path);
	return 0;
}

static int make_parent(const char *path, struct err *e)
{
	autofree char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash)
		return err_set(e, -ENOMEM, "out of memory");
	*slash = 0;
	return make_private(parent, e);
}

static char *lock_path(const char *path)
{
	char *name;

	return asprintf(&name, "%s/" LOCK_NAME, path) < 0 ? NULL : name;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	const char *name = path + where->base;

	/* The lock goes last, or another supervisor could lock a file that is about to vanish. */
	if (where->level == 0 || (where->level == 1 && !strcmp(name, LOCK_NAME)))
		return 0;
	remove(path);
	return 0;
}

/* Symbolic links are removed, not followed. */
static void empty_folder(const char *path)
{
	nftw(path, remove_entry, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

/* The locked file. -EAGAIN: it was removed by a supervisor that just ended. */
static int take_lock(const char *name, struct err *e)
{
	autoclose int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock lock = whole_file();
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "cannot create %s", name);
	if (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, -errno, "cannot lock %s", name);
		return err_set(e, -EBUSY,
			"this system is running already (%s is locked); avp ps shows it, avp stop "
			"ends it",
			name);
	}
	if (fstat(fd, &st) || !st.st_nlink)
		return err_set(e, -EAGAIN, "%s vanished", name);
	return steal_fd(&fd);
}

int rundir_create(const char *path, struct err *e)
{
	autofree char *name = lock_path(path);
	int r = -EAGAIN;

	if (!name)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < LOCK_TRIES && r == -EAGAIN; i++) {
		r = make_parent(path, e);
		if (!r)
			r = make_private(path, e);
		if (!r)
			r = take_lock(name, e);
	}
	if (r >= 0)
		empty_folder(path);
	return r;
}

void rundir_remove(const char *path, int lock)
{
	autofree char *name = lock_path(path);

	empty_folder(path);
	if (name)
		unlink(name);
	rmdir(path);
	close(lock);
}

int rundir_is_live(const char *path)
{
	autofree char *name = lock_path(path);
	autoclose int fd = name ? open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct flock lock = whole_file();

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	return lock.l_type != F_UNLCK;
}
