/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that boots through firmware: where that is, and where it keeps its variables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/firmware.h"
#include "cli/monitor.h"
#include "host/efistore.h"

static int check_installed(const char *firmware, struct err *e)
{
	const char *path = firmware_path(firmware), *package = firmware_package(firmware);

	if (!access(path, R_OK))
		return 0;
	return err_sys(e, -errno, "cannot open the firmware %s%s%s%s", path,
		package ? " (Debian's package " : "", package ? package : "", package ? ")" : "");
}

/* "type=blk,...,image=PATH" with doubled commas in the path; NULL: no memory. */
static char *disk_keys(const char *path)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs("type=blk,name=efivars,isolate=false,image=", f);
	for (; *path; path++)
		fputs(*path == ',' ? ",," : (char[]){ *path, 0 }, f);
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}

/* The first disk is the one on which U-Boot looks for them. */
static int add_disk(struct monitor *m, struct err *e)
{
	struct monitor_args *a = &m->args;

	if (a->ndevices == ARRAY_LEN(a->devices))
		return err_set(e, -EINVAL, "no room for the disk with the UEFI variables");
	m->vars_disk = disk_keys(a->conf.vars);
	if (!m->vars_disk)
		return err_set(e, -ENOMEM, "no memory");
	memmove(a->devices + 1, a->devices, a->ndevices * sizeof(a->devices[0]));
	a->devices[0] = m->vars_disk;
	a->ndevices++;
	return 0;
}

/* True if the firmware, as far as it is known, reads such a file. */
static bool is_right_kind(enum firmware_vars wanted, enum efistore_kind found)
{
	return wanted == FIRMWARE_VARS_UNKNOWN ||
	       (wanted == FIRMWARE_VARS_DISK) == (found == EFISTORE_DISK);
}

/* EDK2 does not start without flash that it can write to; U-Boot does without its disk. */
static int open_temporary(struct monitor *m, enum firmware_vars wanted, struct err *e)
{
	if (wanted == FIRMWARE_VARS_DISK)
		return 0;
	m->vars_fd = efistore_temporary(e);
	return m->vars_fd < 0 ? m->vars_fd : 0;
}

int monitor_firmware_open(struct monitor *m, struct err *e)
{
	const struct vm_conf *conf = &m->args.conf;
	enum firmware_vars wanted = firmware_vars(conf->firmware);
	autoclose int fd = -1;
	enum efistore_kind kind;
	int rc = check_installed(conf->firmware, e);

	if (rc)
		return rc;
	if (!conf->vars)
		return open_temporary(m, wanted, e);
	rc = firmware_make_vars(conf->vars, wanted, e);
	if (rc)
		return rc;
	fd = efistore_lock(conf->vars, e);
	if (fd < 0)
		return fd;
	rc = efistore_kind(fd, &kind, e);
	if (rc)
		return rc;
	if (!is_right_kind(wanted, kind))
		return err_set(e, -EINVAL,
			"vars: %s has variables of another firmware than %s; each has a file of "
			"its "
			"own",
			conf->vars, conf->firmware);
	/* The disk locks its image by itself. */
	if (kind == EFISTORE_DISK)
		return add_disk(m, e);
	m->vars_fd = steal_fd(&fd);
	return 0;
}

void monitor_firmware_close(struct monitor *m)
{
	close_fd(&m->vars_fd);
	free(m->vars_disk);
}
