/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between the boards of two architectures, and which one a system needs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/util.h"
#include "system/board_host.h"

const char *const board_mode_words[] = { "auto", "none", "x86-64", "arm64", NULL };

/*
 * The processor is the one that Debian 12's QEMU 7.2 and its guests agree on: SVM with nested
 * paging, without AVX and XSAVE, which newer nested kernels would trip over; one of it, since that
 * version hangs at times with more.
 */
static const char *const x86_64_args[] = { "-accel", "tcg", "-smp", "1", "-M",
	"q35,memory-backend=ram", "-cpu",
	"EPYC,+svm,-avx,-avx2,-fma,-f16c,-xsave,-xsaveopt,-xgetbv1", NULL };

/* EL2 and GICv3 with its ITS for KVM. No pointer authentication, whose emulation takes most of the
 * time of newer processors. */
static const char *const arm64_args[] = { "-accel", "tcg,thread=multi", "-smp", "2", "-M",
	"virt,virtualization=on,gic-version=3,memory-backend=ram", "-cpu", "cortex-a76", NULL };

static const struct board_arch arches[] = {
	{ .name = "x86-64",
		.machine = "x86_64",
		.debian = "amd64",
		.qemu = "qemu-system-x86_64",
		.package = "qemu-system-x86",
		/* On a busy host emulation looks to the kernel's timer check like a broken timer.
		 */
		.kernel_args = "console=ttyS0 no_timer_check",
		.args = x86_64_args },
	{ .name = "arm64",
		.machine = "aarch64",
		.debian = "arm64",
		.qemu = "qemu-system-aarch64",
		.package = "qemu-system-arm",
		.kernel_args = "console=ttyAMA0",
		.args = arm64_args },
};

bool board_arch_is_host(const struct board_arch *arch)
{
	struct utsname host;

	return !uname(&host) && !strcmp(host.machine, arch->machine);
}

const struct board_arch *board_named(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(arches); i++)
		if (name ? !strcmp(arches[i].name, name) : board_arch_is_host(&arches[i]))
			return &arches[i];
	return NULL;
}

/* On x86-64 a /dev/kvm alone is not enough: there are kernels that emulate it in software. */
static bool has_virtualization(const struct board_arch *host)
{
	autofclose FILE *f = fopen("/proc/cpuinfo", "re");
	char line[8192];
	bool found = strcmp(host->machine, "x86_64") != 0;

	while (!found && f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = ' ';
		found = !strncmp(line, "flags", 5) &&
			(strstr(line, " vmx ") || strstr(line, " svm "));
	}
	return found;
}

/* True if KVM cannot run stock guests here, and why. */
static bool is_needed(const struct board_arch *host, char *why, unsigned len)
{
	int fd;

	if (!has_virtualization(host)) {
		snprintf(why, len,
			"no hardware virtualization here (no vmx or svm in /proc/cpuinfo)");
		return true;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		snprintf(why, len, "cannot open /dev/kvm: %s%s", strerror(errno),
			errno == EACCES ? " (members of the group kvm may)" : "");
	else
		close(fd);
	return fd < 0;
}

const struct board_arch *board_choose(int mode, const char *guests, char *why, unsigned len)
{
	const struct board_arch *host = board_named(NULL);
	const struct board_arch *wanted = board_named(guests);

	snprintf(why, len, "%s", "");
	if (mode == BOARD_NONE)
		return NULL;
	if (mode != BOARD_AUTO)
		return board_named(board_mode_words[mode]);
	if (wanted && wanted != host) {
		snprintf(why, len, "the guests are for %s, which this computer is not",
			wanted->name);
		return wanted;
	}
	return host && is_needed(host, why, len) ? host : NULL;
}
