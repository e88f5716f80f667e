/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform image: the images of the test guest, for hypervisors that are started by hand. */
#include "conformance/host/guest_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/host/conform.h"

/* Made by conformance/host/embed. */
#define IMAGE(name) extern const unsigned char guest_image_##name[], guest_image_##name##_end[]
IMAGE(pvh);
IMAGE(efi);
IMAGE(arm64);
IMAGE(arm64_efi);

const struct guest_image guest_images[] = {
	{ "pvh", "x86-64, an ELF file with a PVH entry", guest_image_pvh, guest_image_pvh_end },
	{ "efi", "x86-64, an EFI application", guest_image_efi, guest_image_efi_end },
	{ "arm64", "arm64, a Linux Image", guest_image_arm64, guest_image_arm64_end },
	{ "arm64-efi", "arm64, an EFI application", guest_image_arm64_efi,
		guest_image_arm64_efi_end },
	{ NULL, NULL, NULL, NULL },
};

int guest_image_write(const char *format, const char *path, struct err *e)
{
	const struct guest_image *i = guest_images;
	autoclose int fd = -1;
	int ret;

	while (i->format && strcmp(i->format, format) != 0)
		i++;
	if (!i->format)
		return err_set(
			e, -ENOENT, "no image '%s'; there are pvh, efi, arm64, arm64-efi", format);
	if (i->data == i->end)
		return err_set(e, -ENOENT,
			"this program has no image '%s': clang and lld were missing when it was "
			"built",
			format);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, -errno, "writing '%s'", path);
	ret = fd_write_full(fd, i->data, (size_t)(i->end - i->data));
	return ret ? err_sys(e, ret, "writing '%s'", path) : 0;
}

struct image_args {
	char *format, *out;
};

static const struct opt image_opts[] = {
	{ .name = "format",
		.type = OPT_STR,
		.offset = offsetof(struct image_args, format),
		.help = "pvh, efi (x86-64), arm64, arm64-efi",
		.flags = OPT_REQUIRED },
	{ .name = "out",
		.type = OPT_STR,
		.offset = offsetof(struct image_args, out),
		.help = "file to write",
		.flags = OPT_REQUIRED },
	OPT_END,
};

static const struct cli_spec image_spec = {
	.usage = "avp conform image --format FORMAT --out FILE",
	.about = "Writes the image of the test guest, to be started by any hypervisor; what it "
		 "prints on its\nserial port goes to avp conform guest -- COMMAND.\n",
	.opts = image_opts,
};

int conform_image(int argc, char **argv)
{
	struct image_args a = { 0 };
	struct err e = { 0 };
	char *none;
	int ret = cli_parse(&image_spec, argc, argv, &a, &none);

	if (ret != CLI_GO)
		return ret;
	ret = guest_image_write(a.format, a.out, &e);
	opt_free(image_opts, &a);
	if (!ret)
		return EXIT_OK;
	fprintf(stderr, "avp conform: %s\n", e.msg);
	return ret == -ENOENT ? EXIT_USAGE : EXIT_FAULT;
}
