/* SPDX-License-Identifier: BSD-3-Clause */
/* Entropy check: the device answers, and never twice the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define BYTES_MAX 4096

static int read_full(int fd, char *buf, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, buf + at, len - at);

		if (n <= 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

int cmd_rng(int argc, char **argv)
{
	static char a[BYTES_MAX], b[BYTES_MAX];
	size_t len = argc == 3 ? (size_t)atoi(argv[2]) : 0;
	int fd;

	errno = EINVAL;
	if (len < 16 || len > BYTES_MAX)
		return fail("rng DEVICE BYTES (16 to 4096)");
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_full(fd, a, len) || read_full(fd, b, len))
		return fail(argv[1]);
	close(fd);
	if (!memcmp(a, b, len)) {
		fprintf(stderr, "avp-guest: %s gave the same bytes twice\n", argv[1]);
		return 1;
	}
	printf("2 x %zu bytes, different\n", len);
	return 0;
}
