/* SPDX-License-Identifier: BSD-3-Clause */
/* Linux: the 64-bit boot protocol (Documentation/arch/x86/boot.rst of the kernel). */
#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"

#define HEADER_AT	 0x1f1u
#define HEADER_MAGIC	 0x53726448u /* "HdrS" */
#define BOOT_FLAG	 0xaa55u
#define VERSION_MIN	 0x20cu /* xloadflags and the 64-bit entry */
#define VERSION_RSDP	 0x20eu /* boot_params.acpi_rsdp_addr */
#define SECTOR		 512u
#define ENTRY64		 0x200u
#define LOADER_UNDEFINED 0xffu

static int check_header(const struct boot_file *f, const struct setup_header *h, struct err *e)
{
	if (h->boot_flag != BOOT_FLAG || h->header != HEADER_MAGIC)
		return err_set(e, -EINVAL,
			"%s is neither an ELF file nor a Linux bzImage (no 'HdrS' at 0x202)",
			f->path);
	if (h->version < VERSION_MIN)
		return err_set(e, -EINVAL,
			"%s has boot protocol %u.%02u, at least 2.12 (Linux 3.8) is needed",
			f->path, h->version >> 8, h->version & 0xff);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_set(
			e, -EINVAL, "%s has no 64-bit entry: it is a 32-bit kernel", f->path);
	if (!(h->loadflags & LOADED_HIGH))
		return err_set(e, -EINVAL, "%s is a zImage, only bzImage is supported", f->path);
	return 0;
}

/* Reads the header and checks that the kernel's working space is RAM. */
static int load_kernel(struct boot *b, const struct boot_file *f, struct setup_header *h,
	uint64_t *load_addr, struct err *e)
{
	uint64_t setup, addr;
	int rc = boot_read(f, HEADER_AT, h, sizeof(*h), "setup header", e);

	if (!rc)
		rc = check_header(f, h, e);
	if (rc)
		return rc;
	setup = ((h->setup_sects ? h->setup_sects : 4u) + UINT64_C(1)) * SECTOR;
	if (f->size <= setup + ENTRY64)
		return err_set(e, -EINVAL, "%s ends at %" PRIu64 ", before its 64-bit entry",
			f->path, f->size);
	addr = h->relocatable_kernel ? max_u64(h->pref_address, BOARD_KERNEL_MIN)
				     : BOARD_KERNEL_MIN;
	if (addr < BOARD_KERNEL_MIN || !gm_ptr(b->gm, addr, max_u64(h->init_size, f->size - setup)))
		return err_set(e, -ENOSPC,
			"%s needs %u bytes of RAM at 0x%" PRIx64
			", the guest's RAM ends at 0x%" PRIx64,
			f->path, h->init_size, addr, boot_ram_end(b));
	*load_addr = addr;
	return boot_read_guest(b, f, setup, addr, f->size - setup, "kernel", e);
}

static void fill_zero_page(struct boot *b, const struct setup_header *h, struct boot_params *p)
{
	memset(p, 0, sizeof(*p));
	/* The header's own length: up to the byte after the jump at 0x200. */
	memcpy(&p->hdr, h, min_u64(sizeof(*h), 0x202u + ((h->jump >> 8) & 0xff) - HEADER_AT));
	p->hdr.type_of_loader = LOADER_UNDEFINED;
	p->hdr.cmd_line_ptr = BOARD_CMDLINE;
	p->hdr.ramdisk_image = (uint32_t)b->initrd_addr;
	p->hdr.ramdisk_size = (uint32_t)b->initrd_len;
	p->hdr.setup_data = 0;
	if (h->version >= VERSION_RSDP)
		p->acpi_rsdp_addr = b->rsdp;
	p->e820_entries = (uint8_t)b->nmap;
	for (unsigned i = 0; i < b->nmap; i++)
		p->e820_table[i] = (struct boot_e820_entry){
			.addr = b->map[i].start, .size = b->map[i].len, .type = b->map[i].type
		};
}

int boot_x86_linux(struct boot *b, const struct boot_file *f, struct err *e)
{
	void *zero_page = gm_ptr(b->gm, BOARD_ZERO_PAGE, sizeof(struct boot_params));
	struct setup_header h;
	uint64_t addr = 0, end;
	int rc;

	if (!zero_page)
		return err_set(e, -ENOSPC, "no RAM below 1 MiB");
	rc = load_kernel(b, f, &h, &addr, e);
	if (rc)
		return rc;
	end = addr + max_u64(h.init_size, f->size);
	rc = boot_place(b, end, (uint64_t)h.initrd_addr_max + 1, h.cmdline_size, e);
	if (rc)
		return rc;
	rc = boot_long_mode(b, e);
	if (rc)
		return rc;
	fill_zero_page(b, &h, zero_page);
	b->protocol = BOOT_LINUX64;
	b->entry = addr + ENTRY64;
	b->info = BOARD_ZERO_PAGE;
	return 0;
}
