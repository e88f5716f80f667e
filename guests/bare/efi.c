/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entry of the EFI applications: takes the memory map, the tables and the command line, and
 * leaves the firmware behind. Its page tables stay: they live in memory that is not given out.
 */
#include "guests/bare/efi.h"

#include "guests/bare/bare_priv.h"

#define MAP_SIZE 32768u
#define TRIES	 4u

/* What is needed after leaving. */
static struct {
	const struct efi_runtime_services *runtime;
	uint64_t map[MAP_SIZE / sizeof(uint64_t)];
} efi;

efi_status efi_main(void *handle, const struct efi_system *system);

static void reset(bool off)
{
	efi.runtime->reset_system(off ? EFI_RESET_SHUTDOWN : EFI_RESET_COLD, EFI_SUCCESS, 0, NULL);
}

static const void *find_table(const struct efi_system *system, struct efi_guid guid)
{
	for (uint64_t i = 0; i < system->ntables; i++)
		if (!memcmp(&system->tables[i].guid, &guid, sizeof(guid)))
			return system->tables[i].table;
	return NULL;
}

/* The load options are the command line, if they are text. */
static void read_options(void *handle, const struct efi_boot_services *boot)
{
	const struct efi_guid guid = EFI_GUID_LOADED_IMAGE;
	const struct efi_loaded_image *image;
	char text[BARE_CMDLINE_MAX];
	void *found = NULL;
	uint32_t n = 0;

	if (boot->handle_protocol(handle, &guid, &found) != EFI_SUCCESS || !found)
		return;
	image = found;
	while (image->options && n < image->options_size / 2 && n < sizeof(text) - 1) {
		uint16_t c = image->options[n];

		if (c < 0x20 || c > 0x7e)
			break;
		text[n++] = (char)c;
	}
	bare_set_cmdline(text, n);
}

/* The map must be the newest when the services end; asking for it may change it. */
static efi_status leave(
	void *handle, const struct efi_boot_services *boot, uint64_t *size, uint64_t *entry)
{
	efi_status status = EFI_SUCCESS;
	uint32_t version;
	uint64_t key;

	for (unsigned i = 0; i < TRIES; i++) {
		*size = sizeof(efi.map);
		status = boot->get_memory_map(size, (void *)efi.map, &key, entry, &version);
		if (status != EFI_SUCCESS)
			return status;
		status = boot->exit_boot_services(handle, key);
		if (status == EFI_SUCCESS)
			break;
	}
	return status;
}

efi_status efi_main(void *handle, const struct efi_system *system)
{
	struct bare_info *info = &bare.info;
	uint64_t size = 0, entry = sizeof(struct efi_memory);
	efi_status status;

	info->boot = BARE_EFI;
	info->rsdp = (uintptr_t)find_table(system, (struct efi_guid)EFI_GUID_ACPI_20);
	info->dtb = find_table(system, (struct efi_guid)EFI_GUID_DTB);
	read_options(handle, system->boot);
	status = leave(handle, system->boot, &size, &entry);
	if (status != EFI_SUCCESS)
		return status;
	bare_arch_irq_off();
	efi.runtime = system->runtime;
	bare.efi_reset = reset;
	for (uint64_t at = 0; entry && at + entry <= size; at += entry) {
		const struct efi_memory *m = (const void *)((const uint8_t *)efi.map + at);

		if (m->type == EFI_CONVENTIONAL_MEMORY)
			bare_add_ram(m->physical, m->pages * EFI_PAGE);
	}
	if (info->dtb && !bare_fdt(info->dtb))
		info->dtb = NULL;
	bare_start();
}
