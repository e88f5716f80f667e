/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding programs that belong to avp. */
#include "base/exe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

/* The folder of the running program, with its slash. */
static int own_folder(char folder[static PATH_MAX], struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

	if (n < 0)
		return err_sys(e, -errno, "cannot read /proc/self/exe");
	folder[n] = 0;
	strrchr(folder, '/')[1] = 0;
	return 0;
}

static bool is_there(
	char path[static PATH_MAX], const char *folder, const char *more, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s%s%s", folder, more, name);

	return n < PATH_MAX && !access(path, X_OK);
}

int exe_find(const char *name, char path[static PATH_MAX], struct err *e)
{
	char folder[PATH_MAX];
	int rc = own_folder(folder, e);

	if (rc)
		return rc;
	if (is_there(path, folder, "", name) || is_there(path, folder, "../libexec/avp/", name) ||
		is_there(path, AVP_LIBEXEC, "/", name))
		return 0;
	return err_set(e, -ENOENT,
		"%s is needed, in %.128s, in ../libexec/avp/ from there, or in %s", name, folder,
		AVP_LIBEXEC);
}
