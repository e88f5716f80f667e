/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Landlock: the second wall around the file system, which holds even where namespaces are not to be
 * had. The constants are ours because the build host's kernel headers may be older than the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "system/jail_layers.h"

/* Rights on the file system are bits 0..n-1; n grew with the ABI (version 1 is entry 0). */
static const uint8_t fs_rights[] = { 13, 14, 15, 15, 16 };

#define RIGHT_EXECUTE 0
#define RIGHT_REFER   13
#define RIGHT_IOCTL   15

/* What a folder of the profile is opened for: all but running programs, moving files between
 * folders, devices. */
#define RIGHTS_DENIED                                                                              \
	((1u << RIGHT_EXECUTE) | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |    \
		(1u << RIGHT_REFER) | (1u << RIGHT_IOCTL))

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset {
	uint64_t fs;
	uint64_t net;	 /* ABI 4: TCP bind, connect */
	uint64_t scoped; /* ABI 6: abstract Unix sockets, signals */
};

static int add_folder(int ruleset, const char *path, uint64_t rights, struct err *e)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };

	if (fd < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		return err_sys(e, -errno, "cannot allow the folder %s", path);
	return 0;
}

/* The size of struct ruleset that this ABI knows. */
static size_t ruleset_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

int jail_landlock(const struct jail_profile *profile, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset rules = { .net = 3, .scoped = 3 };
	autoclose int fd = -1;
	int r = 0;

	if (abi < 1)
		return err_sys(e, abi < 0 ? -errno : -EOPNOTSUPP, "the kernel does not provide it");
	rules.fs = (1u << fs_rights[min_u64((uint64_t)abi, ARRAY_LEN(fs_rights)) - 1]) - 1;
	if (profile->network)
		rules.net = 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, ruleset_size(abi), 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot create a rule set");
	for (unsigned i = 0; i < profile->npaths && !r; i++)
		r = add_folder(fd, profile->paths[i], rules.fs & ~(uint64_t)RIGHTS_DENIED, e);
	if (r)
		return r;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		return err_sys(e, -errno, "cannot enforce the rule set");
	return 0;
}
