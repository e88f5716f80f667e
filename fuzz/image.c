/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the loaders of guests: bzImage, ELF, arm64's Image and raw files.
 *
 *     byte 0   bit 0: arm64; bit 1: a raw image; bit 2: with an initrd; bit 3: little RAM
 *     then     the file
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"
#include "fuzz.h"
#include "machine/arm64/boot.h"
#include "machine/arm64/layout.h"
#include "machine/x86/boot.h"

#define RAM	   (16u << 20)
#define RAM_LITTLE (3u << 20)

/* Once per process, then as the last input left it: loaders write what they need. */
static uint8_t *ram(void)
{
	static uint8_t *mem;

	if (!mem) {
		mem = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED)
			abort();
	}
	return mem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *kernel = fuzz_path("kernel"), *initrd = fuzz_path("initrd");
	struct fuzz_in in = { data, size };
	unsigned how = fuzz_u8(&in);
	bool arm64 = how & 1;
	struct gm_region r = { .gpa = arm64 ? ARM64_RAM : 0,
		.size = how & 8 ? RAM_LITTLE : RAM,
		.hva = ram(),
		.fd = -1 };
	struct boot b = { .kernel = kernel, .cmdline = "quiet", .vars_fd = -1, .rsdp = 0xe0000 };
	static struct gm gm;
	struct err e = { 0 };

	gm.n = 0;
	b.gm = &gm;
	if (!kernel || !initrd || gm_add(&gm, &r, NULL) || fuzz_file("kernel", in.p, in.left) ||
		fuzz_file("initrd", "initrd", 6))
		return 0;
	b.initrd = how & 4 ? initrd : NULL;
	b.load_address = how & 2 ? r.gpa + (2u << 20) : 0;
	boot_arch_of(kernel);
	if ((arm64 ? boot_load_arm64(&b, &e) : boot_load_x86(&b, &e)) && !e.msg[0])
		fuzz_fail("an image was refused without a reason");
	return 0;
}
