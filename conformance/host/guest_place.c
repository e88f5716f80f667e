/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/guest_place.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "conformance/host/child.h"

#define WALK_FDS 16

int place_open(struct place *p, struct err *e)
{
	int ret = child_folder(p->dir, "/tmp", e);

	if (ret) {
		p->dir[0] = '\0';
		return ret;
	}
	/* Device processes of root's avp run as other users; the files below keep their own modes.
	 */
	return chmod(p->dir, 0711) < 0 ? err_sys(e, -errno, "changing the mode of '%s'", p->dir)
				       : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	remove(path);
	return 0;
}

void place_close(struct place *p)
{
	if (*p->dir)
		nftw(p->dir, remove_entry, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	p->dir[0] = '\0';
}

char *place_path(const struct place *p, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", p->dir, name) < 0 ? NULL : path;
}

static int create(const struct place *p, const char *name, struct err *e)
{
	autofree char *path = place_path(p, name);
	int fd;

	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(e, -errno, "making '%s'", path) : fd;
}

int place_disk(const struct place *p, const char *name, uint64_t size, struct err *e)
{
	autoclose int fd = create(p, name, e);

	if (fd < 0)
		return fd;
	return ftruncate(fd, (off_t)size) < 0 ? err_sys(e, -errno, "making a disk in '%s'", p->dir)
					      : 0;
}
