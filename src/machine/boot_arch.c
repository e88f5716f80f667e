/* SPDX-License-Identifier: BSD-3-Clause */
/* Which machine a kernel is made for: Linux images of both architectures, and ELF. */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/boot.h"

#define HEAD_LEN    0x206u
#define ARM64_MAGIC 56u	   /* "ARM\x64" in an Image (Linux, arch/arm64/booting.rst) */
#define X86_MAGIC   0x202u /* "HdrS" in a bzImage (Linux, arch/x86/boot.rst) */
#define ELF_MACHINE 18u	   /* e_machine, of either class */

static enum boot_arch of_machine(unsigned machine)
{
	if (machine == EM_AARCH64)
		return BOOT_ARCH_ARM64;
	return machine == EM_X86_64 || machine == EM_386 ? BOOT_ARCH_X86_64 : BOOT_ARCH_UNKNOWN;
}

enum boot_arch boot_arch_of(const char *path)
{
	uint8_t head[HEAD_LEN] = { 0 };
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	/* Nothing may be taken out of a pipe here. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return BOOT_ARCH_UNKNOWN;
	if (fd_pread_full(fd, head, min_u64((uint64_t)st.st_size, sizeof(head)), 0))
		return BOOT_ARCH_UNKNOWN;
	if (!memcmp(head, ELFMAG, SELFMAG))
		return of_machine(head[ELF_MACHINE] | (unsigned)head[ELF_MACHINE + 1] << 8);
	if (!memcmp(head + ARM64_MAGIC, "ARM\x64", 4))
		return BOOT_ARCH_ARM64;
	return memcmp(head + X86_MAGIC, "HdrS", 4) ? BOOT_ARCH_UNKNOWN : BOOT_ARCH_X86_64;
}
