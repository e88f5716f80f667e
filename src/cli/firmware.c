/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a VM that boots through firmware. */
#include "cli/firmware.h"

#include <errno.h>
#include <unistd.h>

#include "host/efistore.h"

int firmware_make_vars(const char *path, enum firmware_vars kind, struct err *e)
{
	int rc;

	if (!access(path, F_OK))
		return 0;
	if (errno != ENOENT || kind == FIRMWARE_VARS_UNKNOWN)
		return err_sys(e, -errno,
			"cannot find the UEFI variables %s (made only for firmware edk2 and "
			"u-boot)",
			path);
	rc = efistore_create(path, kind == FIRMWARE_VARS_FLASH ? EFISTORE_FLASH : EFISTORE_DISK, e);
	/* Somebody else was quicker. */
	if (rc == -EEXIST && e)
		*e = (struct err){ 0 };
	return rc == -EEXIST ? 0 : rc;
}
