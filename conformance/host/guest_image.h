/* SPDX-License-Identifier: BSD-3-Clause */
/* The images of the test guest that avp-conform carries. */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct guest_image {
	const char *format; /* "pvh", "efi", "arm64", "arm64-efi" */
	const char *about;
	const unsigned char *data, *end;
};

/* Ends with a NULL format. */
extern const struct guest_image guest_images[];

/* Writes the image of that format into a file. -ENOENT: there is none, and which there are. */
int guest_image_write(const char *format, const char *path, struct err *e);
