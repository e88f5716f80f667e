/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel files: good ones, and every way we could think of to make a bad one. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"
#include "tap.h"

#define RAM	 (8u << 20)
#define IMAGE	 (16u << 10)
#define INIT_LEN (1u << 20)

struct rig {
	struct gm gm;
	int ram_fd, file;
	char path[64];
	uint8_t image[IMAGE];
	struct err e;
	struct boot b;
};

static void set_up(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->ram_fd = fd_memfd("ram", RAM, 0, NULL);
	if (r->ram_fd < 0 ||
		gm_map(&r->gm, &(struct gm_region){ .size = RAM, .fd = r->ram_fd }, NULL))
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

static int load(struct rig *r, size_t len)
{
	if (ftruncate(r->file, 0) || pwrite(r->file, r->image, len, 0) != (ssize_t)len)
		exit(1);
	r->b = (struct boot){
		.gm = &r->gm, .kernel = r->path, .cmdline = "quiet", .rsdp = 0xe0000
	};
	return boot_load_x86(&r->b, &r->e);
}

static struct setup_header *linux_header(struct rig *r)
{
	return (struct setup_header *)(void *)(r->image + 0x1f1);
}

static void make_linux(struct rig *r)
{
	struct setup_header *h = linux_header(r);

	memset(r->image, 0x90, sizeof(r->image));
	memset(h, 0, sizeof(*h));
	h->setup_sects = 3;
	h->boot_flag = 0xaa55;
	h->jump = 0x6aeb;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->relocatable_kernel = 1;
	h->pref_address = 0x200000;
	h->init_size = INIT_LEN;
	h->cmdline_size = 2047;
	h->initrd_addr_max = 0x7fffffff;
	r->image[4 * 512] = 0x42;
}

static void linux_good(struct tap *t)
{
	struct boot_params *p;
	struct rig r;

	set_up(&r);
	make_linux(&r);
	REQUIRE(t, CHECK_EQ(t, load(&r, IMAGE), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_LINUX64);
	CHECK_EQ(t, r.b.entry, 0x200200);
	CHECK_EQ(t, *(uint8_t *)gm_ptr(&r.gm, 0x200000, 1), 0x42);
	p = gm_ptr(&r.gm, r.b.info, sizeof(*p));
	CHECK_EQ(t, p->hdr.cmd_line_ptr, BOARD_CMDLINE);
	CHECK(t, !strcmp(gm_ptr(&r.gm, BOARD_CMDLINE, 6), "quiet"));
	CHECK_EQ(t, p->acpi_rsdp_addr, 0xe0000);
	CHECK_EQ(t, p->e820_entries, 4);
	CHECK_EQ(t, p->hdr.ramdisk_size, 0);
	CHECK_EQ(t, p->e820_table[2].addr + p->e820_table[2].size, RAM);
	tear_down(&r);
}

static void linux_initrd(struct tap *t)
{
	int initrd = memfd_create("initrd", MFD_CLOEXEC);
	struct boot_params *p;
	char path[64];
	struct rig r;

	set_up(&r);
	make_linux(&r);
	REQUIRE(t, initrd >= 0 && !load(&r, IMAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", initrd);
	r.b = (struct boot){ .gm = &r.gm, .kernel = r.path, .initrd = path };
	REQUIRE(t, write(initrd, "initrd", 6) == 6);
	CHECK_EQ(t, boot_load_x86(&r.b, &r.e), 0);
	p = gm_ptr(&r.gm, r.b.info, sizeof(*p));
	CHECK_EQ(t, p->hdr.ramdisk_image, RAM - 0x1000);
	CHECK(t, !memcmp(gm_ptr(&r.gm, RAM - 0x1000, 6), "initrd", 6));
	/* Between the kernel's working space and the end of RAM there are 5 MiB. */
	REQUIRE(t, !ftruncate(initrd, (5u << 20) + 1));
	CHECK_EQ(t, boot_load_x86(&r.b, &r.e), -ENOSPC);
	REQUIRE(t, !ftruncate(initrd, 5u << 20));
	CHECK_EQ(t, boot_load_x86(&r.b, &r.e), 0);
	close(initrd);
	tear_down(&r);
}

#define BAD(change)                                                                                \
	do {                                                                                       \
		make_linux(&r);                                                                    \
		change;                                                                            \
		CHECK(t, load(&r, IMAGE) < 0 && r.e.msg[0] != 0);                                  \
	} while (0)

static void linux_bad(struct tap *t)
{
	struct rig r;
	struct setup_header *h;

	set_up(&r);
	h = linux_header(&r);
	BAD(h->boot_flag = 0);
	BAD(h->header = 0);
	BAD(h->version = 0x20b);
	BAD(h->xloadflags = 0);
	BAD(h->loadflags = 0);
	BAD(h->setup_sects = 200);
	BAD(h->init_size = RAM);
	BAD(h->init_size = 0xffffffff);
	BAD(h->pref_address = RAM);
	BAD(h->pref_address = UINT64_MAX - 0x1000);
	BAD(h->cmdline_size = 3);
	make_linux(&r);
	for (size_t len = 0; len < 4 * 512 + 512; len += 7)
		CHECK(t, load(&r, len) < 0);
	tear_down(&r);
}

struct elf_bytes {
	Elf64_Ehdr h;
	Elf64_Phdr load, note;
	struct {
		Elf64_Nhdr n;
		char name[4];
		uint32_t entry;
	} pvh;
	char code[16];
};

static struct elf_bytes *make_elf(struct rig *r)
{
	struct elf_bytes *i = (void *)r->image;

	memset(r->image, 0, sizeof(r->image));
	memcpy(i->h.e_ident, ELFMAG, SELFMAG);
	i->h.e_ident[EI_CLASS] = ELFCLASS64;
	i->h.e_ident[EI_DATA] = ELFDATA2LSB;
	i->h.e_ident[EI_VERSION] = i->h.e_version = EV_CURRENT;
	i->h.e_type = ET_EXEC;
	i->h.e_machine = EM_X86_64;
	i->h.e_entry = 0xdead; /* only the PVH entry is right */
	i->h.e_ehsize = sizeof(Elf64_Ehdr);
	i->h.e_phoff = offsetof(struct elf_bytes, load);
	i->h.e_phnum = 2;
	i->h.e_phentsize = sizeof(Elf64_Phdr);
	i->load = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_offset = offsetof(struct elf_bytes, code),
		.p_paddr = 0x100000,
		.p_filesz = 16,
		.p_memsz = 64 };
	i->note = (Elf64_Phdr){ .p_type = PT_NOTE,
		.p_offset = offsetof(struct elf_bytes, pvh),
		.p_filesz = sizeof(i->pvh),
		.p_memsz = sizeof(i->pvh) };
	i->pvh.n = (Elf64_Nhdr){ 4, 4, 18 };
	memcpy(i->pvh.name, "Xen", 4);
	i->pvh.entry = 0x100008;
	memcpy(i->code, "sixteen letters", 16);
	return i;
}

static void elf_good(struct tap *t)
{
	struct rig r;

	set_up(&r);
	make_elf(&r);
	REQUIRE(t, CHECK_EQ(t, load(&r, sizeof(struct elf_bytes)), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_PVH);
	CHECK_EQ(t, r.b.entry, 0x100008);
	CHECK(t, !strcmp(gm_ptr(&r.gm, 0x100000, 16), "sixteen letters"));
	CHECK_EQ(t, *(uint32_t *)gm_ptr(&r.gm, r.b.info, 4), 0x336ec578);
	tear_down(&r);
}

#define BAD_ELF(change)                                                                            \
	do {                                                                                       \
		struct elf_bytes *i = make_elf(&r);                                                \
		change;                                                                            \
		CHECK(t, load(&r, sizeof(struct elf_bytes)) < 0 && r.e.msg[0] != 0);               \
	} while (0)

static void elf_bad(struct tap *t)
{
	struct rig r;

	set_up(&r);
	BAD_ELF(i->h.e_ident[EI_CLASS] = 9);
	BAD_ELF(i->h.e_ident[EI_DATA] = ELFDATA2MSB);
	BAD_ELF(i->h.e_ident[EI_VERSION] = 0);
	BAD_ELF(i->h.e_version = 2);
	BAD_ELF(i->h.e_type = ET_REL);
	BAD_ELF(i->h.e_type = ET_CORE);
	BAD_ELF(i->h.e_machine = EM_AARCH64);
	BAD_ELF(i->h.e_machine = EM_386);
	BAD_ELF(i->h.e_ehsize = 52);
	BAD_ELF(i->h.e_phnum = 0xffff);
	BAD_ELF(i->h.e_phnum = 0);
	BAD_ELF(i->h.e_phentsize = 1);
	BAD_ELF(i->h.e_phoff = UINT64_MAX - 8);
	BAD_ELF(i->load.p_filesz = UINT64_MAX);
	BAD_ELF(i->load.p_memsz = 8);
	BAD_ELF(i->load.p_memsz = UINT64_MAX);
	BAD_ELF(i->load.p_memsz = RAM);
	BAD_ELF(i->load.p_offset = UINT64_MAX - 4);
	BAD_ELF(i->load.p_paddr = 0x7000);
	BAD_ELF(i->load.p_paddr = UINT64_MAX - 63);
	BAD_ELF(i->load.p_type = PT_NULL);
	BAD_ELF(i->note = i->load);
	BAD_ELF(i->note.p_filesz = UINT64_MAX);
	BAD_ELF(i->note.p_offset = UINT64_MAX);
	BAD_ELF(i->pvh.n.n_namesz = 0xffffffff);
	BAD_ELF(i->pvh.n.n_descsz = 0xffffffff);
	BAD_ELF(i->pvh.n.n_descsz = 2);
	BAD_ELF(i->pvh.n.n_type = 17);
	BAD_ELF(i->pvh.entry = 0x100040);
	BAD_ELF(i->pvh.entry = 0);
	for (size_t len = 0; len < offsetof(struct elf_bytes, code) + 16; len++) {
		make_elf(&r);
		CHECK(t, load(&r, len) < 0);
	}
	tear_down(&r);
}

/* Without the note the file's own entry counts, a virtual address. */
static void elf_bare(struct tap *t)
{
	struct elf_bytes *i;
	uint32_t *info;
	struct rig r;

	set_up(&r);
	i = make_elf(&r);
	i->note.p_type = PT_NULL;
	i->load.p_vaddr = UINT64_C(0xffff800000000000);
	i->h.e_entry = i->load.p_vaddr + 8;
	REQUIRE(t, CHECK_EQ(t, load(&r, sizeof(*i)), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_BARE64);
	CHECK_EQ(t, r.b.entry, 0x100008);
	info = gm_ptr(&r.gm, r.b.info, 4);
	CHECK(t, info && *info == 0x336ec578);
	CHECK_EQ(t, *(uint64_t *)gm_ptr(&r.gm, BOARD_PAGE_TABLES, 8), BOARD_PAGE_TABLES + 0x1003);
	/* Linked at one address, entered at the other. */
	i->h.e_entry = 0x100008;
	CHECK_EQ(t, load(&r, sizeof(*i)), 0);
	CHECK_EQ(t, r.b.entry, 0x100008);
	/* Behind the bytes of the file is nothing to run. */
	i->h.e_entry = 0x100010;
	CHECK_EQ(t, load(&r, sizeof(*i)), -EINVAL);
	CHECK(t, strstr(r.e.msg, "0x100010") != NULL);
	i->h.e_entry = i->load.p_vaddr - 1;
	CHECK_EQ(t, load(&r, sizeof(*i)), -EINVAL);
	tear_down(&r);
}

static void elf_bare32(struct tap *t)
{
	Elf32_Ehdr *h;
	Elf32_Phdr *p;
	struct rig r;

	set_up(&r);
	h = (void *)r.image;
	p = (void *)(r.image + sizeof(*h));
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS32;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = h->e_version = EV_CURRENT;
	h->e_type = ET_EXEC;
	h->e_machine = EM_386;
	h->e_ehsize = h->e_phoff = sizeof(*h);
	h->e_phnum = 1;
	h->e_phentsize = sizeof(*p);
	h->e_entry = 0x200004;
	*p = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = 256, .p_vaddr = 0x200000 };
	p->p_paddr = 0x200000;
	p->p_filesz = p->p_memsz = 16;
	REQUIRE(t, CHECK_EQ(t, load(&r, 512), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_BARE32);
	CHECK_EQ(t, r.b.entry, 0x200004);
	h->e_machine = EM_X86_64;
	CHECK_EQ(t, load(&r, 512), -EINVAL);
	tear_down(&r);
}

static int load_raw(struct rig *r, uint64_t at, uint64_t entry, size_t len)
{
	r->b = (struct boot){ .gm = &r->gm, .kernel = r->path, .load_address = at };
	r->b.raw_entry = entry;
	if (ftruncate(r->file, 0) || pwrite(r->file, r->image, len, 0) != (ssize_t)len)
		exit(1);
	return boot_load_x86(&r->b, &r->e);
}

static void raw(struct tap *t)
{
	struct rig r;

	set_up(&r);
	strcpy((char *)r.image, "raw image");
	REQUIRE(t, CHECK_EQ(t, load_raw(&r, 0x300000, 0, 64), 0));
	CHECK_EQ(t, r.b.protocol, BOOT_BARE64);
	CHECK_EQ(t, r.b.entry, 0x300000);
	CHECK(t, !strcmp(gm_ptr(&r.gm, 0x300000, 16), "raw image"));
	CHECK_EQ(t, load_raw(&r, 0x300000, 0x30003f, 64), 0);
	CHECK_EQ(t, r.b.entry, 0x30003f);
	CHECK_EQ(t, load_raw(&r, RAM - 64, 0, 64), 0);

	CHECK_EQ(t, load_raw(&r, 0x300000, 0x300040, 64), -EINVAL);
	CHECK_EQ(t, load_raw(&r, 0x300000, 0x2fffff, 64), -EINVAL);
	CHECK_EQ(t, load_raw(&r, 0, 0x300000, 64), -EINVAL);
	CHECK_EQ(t, load_raw(&r, 0x300000, 0, 0), -EINVAL);
	CHECK_EQ(t, load_raw(&r, UINT64_MAX - 8, 0, 64), -EINVAL);
	CHECK_EQ(t, load_raw(&r, RAM - 63, 0, 64), -ENOSPC);
	CHECK_EQ(t, load_raw(&r, 0x7000, 0, 64), -ENOSPC);
	CHECK_EQ(t, load_raw(&r, BOARD_ACPI, 0, 64), -ENOSPC);
	/* What says itself where it belongs is not put elsewhere. */
	make_elf(&r);
	CHECK_EQ(t, load_raw(&r, 0x300000, 0, 512), -EINVAL);
	CHECK(t, strstr(r.e.msg, "ELF") != NULL);
	tear_down(&r);
}

/* Random bytes over good files: any result, but nothing outside the rules (ASan watches). */
static void mutated(struct tap *t)
{
	uint64_t seed = 7;
	struct rig r;

	set_up(&r);
	for (unsigned n = 0; n < 4000; n++) {
		if (n & 1)
			make_linux(&r);
		else
			make_elf(&r);
		for (unsigned k = 0; k < 6; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			r.image[(n & 1 ? 0x1f1 : 0) + ((seed >> 33) % (n & 1 ? 120 : 256))] =
				(uint8_t)(seed >> 20);
		}
		load(&r, 8192);
	}
	make_elf(&r);
	CHECK_EQ(t, load(&r, sizeof(struct elf_bytes)), 0);
	tear_down(&r);
}

static void no_file(struct tap *t)
{
	struct err e = { 0 };
	struct boot b = { .kernel = "/nonexistent" };

	CHECK_EQ(t, boot_load_x86(&b, &e), -ENOENT);
	CHECK(t, strstr(e.msg, "/nonexistent") != NULL);
	b.kernel = "/";
	CHECK_EQ(t, boot_load_x86(&b, &e), -EINVAL);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, linux_good);
	TAP_RUN(&t, linux_initrd);
	TAP_RUN(&t, linux_bad);
	TAP_RUN(&t, elf_good);
	TAP_RUN(&t, elf_bad);
	TAP_RUN(&t, elf_bare);
	TAP_RUN(&t, elf_bare32);
	TAP_RUN(&t, raw);
	TAP_RUN(&t, mutated);
	TAP_RUN(&t, no_file);
	return tap_done(&t);
}
