/* SPDX-License-Identifier: BSD-3-Clause */
/* arm64 Images: good ones, and bad ones; and what a file says it is made for. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/arm64/boot.h"
#include "machine/arm64/layout.h"
#include "tap.h"

#define RAM	(16u << 20)
#define RAM_END (ARM64_RAM + RAM)
#define IMAGE	(16u << 10)
#define ROUNDS	20000u

struct header {
	uint32_t code[2];
	uint64_t text_offset, image_size, flags, reserved[3];
	uint32_t magic, pe;
};

struct rig {
	struct gm gm;
	int ram_fd, file, initrd;
	char path[64], initrd_path[64];
	_Alignas(8) uint8_t image[IMAGE];
	struct header *h;
	struct err e;
	struct boot b;
};

static void make_image(struct rig *r)
{
	memset(r->image, 0x42, sizeof(r->image));
	*r->h = (struct header){ .image_size = 1u << 20, .magic = 0x644d5241 };
}

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->h = (struct header *)(void *)r->image;
	r->ram_fd = fd_memfd("ram", RAM, 0, NULL);
	if (r->ram_fd < 0 ||
		gm_map(&r->gm,
			&(struct gm_region){ .gpa = ARM64_RAM, .size = RAM, .fd = r->ram_fd },
			NULL))
		exit(1);
	r->file = memfd_create("kernel", MFD_CLOEXEC);
	r->initrd = memfd_create("initrd", MFD_CLOEXEC);
	snprintf(r->path, sizeof(r->path), "/proc/self/fd/%d", r->file);
	snprintf(r->initrd_path, sizeof(r->initrd_path), "/proc/self/fd/%d", r->initrd);
	make_image(r);
}

static void tear_down(struct rig *r)
{
	gm_clear(&r->gm);
	close(r->ram_fd);
	close(r->file);
	close(r->initrd);
}

static int load(struct rig *r, size_t len, bool initrd)
{
	if (ftruncate(r->file, 0) || pwrite(r->file, r->image, len, 0) != (ssize_t)len)
		exit(1);
	r->e = (struct err){ 0 };
	r->b = (struct boot){
		.gm = &r->gm, .kernel = r->path, .initrd = initrd ? r->initrd_path : NULL
	};
	return boot_load_arm64(&r->b, &r->e);
}

static void good(struct tap *t)
{
	struct rig r;

	set_up(&r);
	REQUIRE(t, CHECK_EQ(t, load(&r, IMAGE, false), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_ARM64);
	CHECK_EQ(t, r.b.entry, ARM64_FILES_MIN);
	CHECK_EQ(t, r.b.info, ARM64_DTB);
	CHECK(t, !memcmp(gm_ptr(&r.gm, r.b.entry, IMAGE), r.image, IMAGE));
	/* Before Linux 5.10 the image began somewhat behind a multiple of 2 MiB. */
	r.h->text_offset = 0x80000;
	CHECK_EQ(t, load(&r, IMAGE, false), 0);
	CHECK_EQ(t, r.b.entry, ARM64_FILES_MIN + 0x80000);
	tear_down(&r);
}

static void initrd(struct tap *t)
{
	const uint64_t top = RAM_END - 0x2000;
	struct rig r;

	set_up(&r);
	REQUIRE(t, write(r.initrd, "initrd", 6) == 6 && !ftruncate(r.initrd, 0x2000));
	REQUIRE(t, CHECK_EQ(t, load(&r, IMAGE, true), 0));
	CHECK_EQ(t, r.b.initrd_addr, top);
	CHECK_EQ(t, r.b.initrd_len, 0x2000);
	CHECK(t, !memcmp(gm_ptr(&r.gm, top, 6), "initrd", 6));
	/* It must not lie in what the kernel takes for itself. */
	r.h->image_size = RAM_END - ARM64_FILES_MIN - 0x2000;
	CHECK_EQ(t, load(&r, IMAGE, true), 0);
	r.h->image_size++;
	CHECK_EQ(t, load(&r, IMAGE, true), -ENOSPC);
	CHECK(t, strstr(r.e.msg, "initrd") != NULL);
	tear_down(&r);
}

static void does_not_fit(struct tap *t)
{
	static const uint64_t offsets[] = { RAM, UINT64_MAX, UINT64_MAX - ARM64_FILES_MIN,
		UINT64_MAX - ARM64_FILES_MIN + 1, UINT64_C(1) << 63, 0x100000000 };
	static const uint64_t sizes[] = { RAM, UINT64_MAX, UINT64_C(1) << 63,
		RAM - (2u << 20) + 1 };
	struct rig r;

	set_up(&r);
	for (unsigned i = 0; i < ARRAY_LEN(offsets); i++) {
		r.h->text_offset = offsets[i];
		CHECK_EQ(t, load(&r, IMAGE, false), -ENOSPC);
	}
	r.h->text_offset = 0;
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		r.h->image_size = sizes[i];
		CHECK_EQ(t, load(&r, IMAGE, false), -ENOSPC);
	}
	r.h->image_size = RAM - (2u << 20);
	CHECK_EQ(t, load(&r, IMAGE, false), 0);
	tear_down(&r);
}

static void not_an_image(struct tap *t)
{
	struct rig r;

	set_up(&r);
	r.h->image_size = 0;
	CHECK_EQ(t, load(&r, IMAGE, false), -EINVAL);
	make_image(&r);
	r.h->magic = 0;
	CHECK_EQ(t, load(&r, IMAGE, false), -EINVAL);
	CHECK(t, strstr(r.e.msg, "no arm64 Image") != NULL);
	r.h->code[0] = 0x00088b1f;
	CHECK_EQ(t, load(&r, IMAGE, false), -EINVAL);
	CHECK(t, strstr(r.e.msg, "gunzip") != NULL);
	r.h->code[0] = 0x5a4d;
	r.h->code[1] = 0x676d697a;
	CHECK_EQ(t, load(&r, IMAGE, false), -EINVAL);
	CHECK(t, strstr(r.e.msg, "zboot") != NULL);
	make_image(&r);
	for (size_t len = 0; len < sizeof(struct header); len++)
		CHECK_EQ(t, load(&r, len, false), -EINVAL);
	CHECK_EQ(t, load(&r, sizeof(struct header), false), 0);
	tear_down(&r);
}

/* Any header: an error with a reason, or an image that lies where files may be. */
static void any_header(struct tap *t)
{
	uint64_t x = 1;
	struct rig r;

	set_up(&r);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t *fields[] = { &r.h->text_offset, &r.h->image_size };

		for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			*fields[i] = x >> (x >> 58);
		}
		if (load(&r, IMAGE, false)) {
			if (!CHECK(t, r.e.msg[0]))
				break;
		} else if (!CHECK(t, r.b.entry >= ARM64_FILES_MIN && r.b.entry < RAM_END)) {
			break;
		}
	}
	tear_down(&r);
}

static void architectures(struct tap *t)
{
	char fifo[] = "/tmp/avp-image-XXXXXX", name[64];
	struct rig r;

	set_up(&r);
	load(&r, IMAGE, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_ARM64);
	memset(r.image, 0, IMAGE);
	load(&r, IMAGE, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_UNKNOWN);
	memcpy(r.image + 0x202, "HdrS", 4);
	load(&r, IMAGE, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_X86_64);
	memcpy(r.image, ELFMAG, SELFMAG);
	r.image[18] = EM_AARCH64;
	load(&r, 20, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_ARM64);
	r.image[18] = EM_386;
	load(&r, 20, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_X86_64);
	load(&r, 3, false);
	CHECK_EQ(t, boot_arch_of(r.path), BOOT_ARCH_UNKNOWN);
	CHECK_EQ(t, boot_arch_of("/nonexistent"), BOOT_ARCH_UNKNOWN);
	CHECK_EQ(t, boot_arch_of("/"), BOOT_ARCH_UNKNOWN);
	/* A pipe without a writer must not be waited for. */
	REQUIRE(t, mkdtemp(fifo));
	snprintf(name, sizeof(name), "%s/fifo", fifo);
	REQUIRE(t, !mkfifo(name, 0600));
	CHECK_EQ(t, boot_arch_of(name), BOOT_ARCH_UNKNOWN);
	unlink(name);
	rmdir(fifo);
	tear_down(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, good);
	TAP_RUN(&t, initrd);
	TAP_RUN(&t, does_not_fit);
	TAP_RUN(&t, not_an_image);
	TAP_RUN(&t, any_header);
	TAP_RUN(&t, architectures);
	return tap_done(&t);
}
