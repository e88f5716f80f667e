/* SPDX-License-Identifier: BSD-3-Clause */
/* arm64: which file goes where, and every way we could think of to make a bad one. Runs anywhere.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "machine/arm64/boot.h"
#include "machine/arm64/layout.h"
#include "tap.h"

#define RAM	 (16u << 20)
#define END	 (ARM64_RAM + RAM)
#define TOP	 (END - ARM64_DTB_SIZE)
#define FILE_MAX 8192u

struct rig {
	struct gm gm;
	int ram_fd, file;
	char path[64];
	uint8_t image[FILE_MAX];
	struct err e;
	struct boot b;
};

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->ram_fd = fd_memfd("ram", RAM, 0, NULL);
	if (r->ram_fd < 0 ||
		gm_map(&r->gm,
			&(struct gm_region){ .gpa = ARM64_RAM, .size = RAM, .fd = r->ram_fd },
			NULL))
		exit(1);
	r->file = memfd_create("kernel", MFD_CLOEXEC);
	snprintf(r->path, sizeof(r->path), "/proc/self/fd/%d", r->file);
}

static void tear_down(struct rig *r)
{
	gm_clear(&r->gm);
	close(r->ram_fd);
	close(r->file);
}

static int load_at(struct rig *r, size_t len, uint64_t address, uint64_t entry, const char *initrd)
{
	if (ftruncate(r->file, 0) || pwrite(r->file, r->image, len, 0) != (ssize_t)len)
		exit(1);
	r->e = (struct err){ 0 };
	r->b = (struct boot){ .gm = &r->gm,
		.kernel = r->path,
		.initrd = initrd,
		.load_address = address,
		.raw_entry = entry,
		.vars_fd = -1 };
	return boot_load_arm64(&r->b, &r->e);
}

struct elf_bytes {
	Elf64_Ehdr h;
	Elf64_Phdr seg[2];
	char code[16];
};

static struct elf_bytes *make_elf(struct rig *r, uint64_t paddr)
{
	struct elf_bytes *i = (void *)r->image;

	memset(r->image, 0, sizeof(r->image));
	memcpy(i->h.e_ident, ELFMAG, SELFMAG);
	i->h.e_ident[EI_CLASS] = ELFCLASS64;
	i->h.e_ident[EI_DATA] = ELFDATA2LSB;
	i->h.e_ident[EI_VERSION] = i->h.e_version = EV_CURRENT;
	i->h.e_type = ET_EXEC;
	i->h.e_machine = EM_AARCH64;
	i->h.e_ehsize = sizeof(Elf64_Ehdr);
	i->h.e_phoff = offsetof(struct elf_bytes, seg);
	i->h.e_phnum = 1;
	i->h.e_phentsize = sizeof(Elf64_Phdr);
	i->h.e_entry = 0xffff000000000004;
	i->seg[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_offset = offsetof(struct elf_bytes, code),
		.p_vaddr = 0xffff000000000000,
		.p_paddr = paddr,
		.p_filesz = 16,
		.p_memsz = 64 };
	memcpy(i->code, "sixteen letters", 16);
	return i;
}

static int load_elf(struct rig *r)
{
	return load_at(r, sizeof(struct elf_bytes), 0, 0, NULL);
}

static void elf(struct tap *t)
{
	struct rig r;

	set_up(&r);
	make_elf(&r, 0x40400000);
	REQUIRE(t, CHECK_EQ(t, load_elf(&r), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_ARM64);
	CHECK_EQ(t, r.b.entry, 0x40400004);
	CHECK_EQ(t, r.b.info, ARM64_DTB);
	CHECK(t, !strcmp(gm_ptr(&r.gm, 0x40400000, 16), "sixteen letters"));
	/* An image at the start of RAM, as board support for "virt" is linked: the tree makes way.
	 */
	make_elf(&r, ARM64_RAM);
	REQUIRE(t, CHECK_EQ(t, load_elf(&r), 0));
	CHECK_EQ(t, r.b.entry, ARM64_RAM + 4);
	CHECK_EQ(t, r.b.info, TOP);
	make_elf(&r, ARM64_FILES_MIN - 1)->h.e_entry--;
	CHECK_EQ(t, load_elf(&r), -EINVAL); /* its entry is odd */
	make_elf(&r, ARM64_FILES_MIN - 4);
	CHECK_EQ(t, load_elf(&r), 0);
	CHECK_EQ(t, r.b.info, TOP);
	make_elf(&r, ARM64_FILES_MIN);
	CHECK_EQ(t, load_elf(&r), 0);
	CHECK_EQ(t, r.b.info, ARM64_DTB);
	tear_down(&r);
}

#define BAD(change)                                                                                \
	do {                                                                                       \
		struct elf_bytes *i = make_elf(&r, 0x40400000);                                    \
		change;                                                                            \
		CHECK(t, load_elf(&r) < 0 && r.e.msg[0] != 0);                                     \
	} while (0)

static void elf_bad(struct tap *t)
{
	struct rig r;

	set_up(&r);
	BAD(i->h.e_machine = EM_X86_64);
	BAD(i->h.e_machine = EM_ARM);
	BAD(i->h.e_ident[EI_CLASS] = ELFCLASS32);
	BAD(i->h.e_ident[EI_DATA] = ELFDATA2MSB);
	BAD(i->h.e_entry++);
	BAD(i->h.e_entry += 16);
	BAD(i->seg[0].p_paddr = 0);
	BAD(i->seg[0].p_paddr = ARM64_RAM - 4);
	BAD(i->seg[0].p_paddr = END - 60);
	BAD(i->seg[0].p_paddr = UINT64_MAX - 63);
	BAD(i->seg[0].p_memsz = RAM);
	BAD(i->seg[0].p_filesz = 65);
	BAD(i->seg[0].p_offset = UINT64_MAX - 8);
	BAD(i->h.e_phnum = 2; i->seg[1] = i->seg[0]);
	/* From the start of RAM into its last 2 MiB: nowhere to put the device tree. */
	BAD(i->seg[0].p_paddr = ARM64_RAM; i->seg[0].p_memsz = RAM - ARM64_DTB_SIZE + 1);
	for (size_t len = 1; len < sizeof(struct elf_bytes); len++) {
		make_elf(&r, 0x40400000);
		CHECK(t, load_at(&r, len, 0, 0, NULL) < 0);
	}
	tear_down(&r);
}

static void raw(struct tap *t)
{
	struct rig r;

	set_up(&r);
	strcpy((char *)r.image, "raw image");
	REQUIRE(t, CHECK_EQ(t, load_at(&r, 64, 0x40300000, 0, NULL), 0));
	CHECK_EQ(t, r.b.entry, 0x40300000);
	CHECK_EQ(t, r.b.info, ARM64_DTB);
	CHECK(t, !strcmp(gm_ptr(&r.gm, 0x40300000, 16), "raw image"));
	REQUIRE(t, CHECK_EQ(t, load_at(&r, 64, ARM64_RAM, ARM64_RAM + 8, NULL), 0));
	CHECK_EQ(t, r.b.entry, ARM64_RAM + 8);
	CHECK_EQ(t, r.b.info, TOP);
	CHECK_EQ(t, load_at(&r, 64, END - 64, 0, NULL), 0);

	CHECK_EQ(t, load_at(&r, 64, END - 60, 0, NULL), -ENOSPC);
	CHECK_EQ(t, load_at(&r, 64, 0x1000, 0, NULL), -ENOSPC);
	CHECK_EQ(t, load_at(&r, 64, ARM64_RAM - 4, 0, NULL), -ENOSPC);
	CHECK_EQ(t, load_at(&r, 64, UINT64_MAX - 63, 0, NULL), -EINVAL);
	CHECK_EQ(t, load_at(&r, 64, UINT64_MAX - 3, 0, NULL), -EINVAL);
	CHECK_EQ(t, load_at(&r, 64, 0x40300002, 0, NULL), -EINVAL);
	CHECK_EQ(t, load_at(&r, 64, 0x40300000, 0x40300040, NULL), -EINVAL);
	CHECK_EQ(t, load_at(&r, 64, 0x40300000, 0x402ffffc, NULL), -EINVAL);
	CHECK_EQ(t, load_at(&r, 0, 0x40300000, 0, NULL), -EINVAL);
	make_elf(&r, 0x40400000);
	CHECK_EQ(t, load_at(&r, 512, 0x40300000, 0, NULL), -EINVAL);
	CHECK(t, strstr(r.e.msg, "ELF") != NULL);
	tear_down(&r);
}

/* The initrd is at the end of RAM, but not where the device tree had to go. */
static void initrd(struct tap *t)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);
	char path[64];
	struct rig r;

	set_up(&r);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	REQUIRE(t, fd >= 0 && write(fd, "initrd", 6) == 6);
	CHECK_EQ(t, load_at(&r, 64, 0x40300000, 0, path), 0);
	CHECK_EQ(t, r.b.initrd_addr, END - 0x1000);
	CHECK_EQ(t, r.b.initrd_len, 6);
	CHECK_EQ(t, load_at(&r, 64, ARM64_RAM, 0, path), 0);
	CHECK_EQ(t, r.b.initrd_addr, TOP - 0x1000);
	CHECK(t, !memcmp(gm_ptr(&r.gm, TOP - 0x1000, 6), "initrd", 6));
	REQUIRE(t, !ftruncate(fd, RAM - (3u << 20)));
	CHECK_EQ(t, load_at(&r, 64, 0x40200000, 0, path), 0);
	CHECK_EQ(t, load_at(&r, 64, 0x40300000, 0, path), -ENOSPC);
	CHECK_EQ(t, load_at(&r, 64, ARM64_RAM, 0, path), -ENOSPC);
	close(fd);
	tear_down(&r);
}

/* Random bytes over a good file: any result, but nothing outside the rules (ASan watches). */
static void mutated(struct tap *t)
{
	uint64_t seed = 9;
	struct rig r;

	set_up(&r);
	for (unsigned n = 0; n < 4000; n++) {
		make_elf(&r, 0x40400000);
		for (unsigned k = 0; k < 5; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			r.image[(seed >> 33) % sizeof(struct elf_bytes)] = (uint8_t)(seed >> 20);
		}
		if (!load_elf(&r))
			CHECK(t, gm_ptr(&r.gm, r.b.entry, 4) &&
					 gm_ptr(&r.gm, r.b.info, ARM64_DTB_SIZE));
	}
	tear_down(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, elf);
	TAP_RUN(&t, elf_bad);
	TAP_RUN(&t, raw);
	TAP_RUN(&t, initrd);
	TAP_RUN(&t, mutated);
	return tap_done(&t);
}
