/* SPDX-License-Identifier: BSD-3-Clause */
/* UEFI (2.10) as far as an application needs it that leaves the firmware at once. 64-bit only. */
#pragma once

#include <stdint.h>

typedef uint64_t efi_status;

#define EFI_SUCCESS UINT64_C(0)

struct efi_guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

struct efi_header {
	uint64_t signature;
	uint32_t revision, size, crc, reserved;
};

struct efi_memory {
	uint32_t type, pad;
	uint64_t physical, virtual, pages, attribute;
};

#define EFI_CONVENTIONAL_MEMORY 7u
#define EFI_PAGE		4096u

/* The functions that are not used are only counted. */
struct efi_boot_services {
	struct efi_header header;
	void *tpl[2], *pages[2];
	efi_status (*get_memory_map)(uint64_t *size, struct efi_memory *map, uint64_t *key,
		uint64_t *entry_size, uint32_t *entry_version);
	void *pool[2], *events[6], *protocols[3];
	efi_status (*handle_protocol)(void *handle, const struct efi_guid *guid, void **interface);
	void *more[5], *images[4];
	efi_status (*exit_boot_services)(void *handle, uint64_t key);
};

#define EFI_RESET_COLD	   0u
#define EFI_RESET_SHUTDOWN 2u

struct efi_runtime_services {
	struct efi_header header;
	void *time[4], *memory[2], *variables[3], *counter;
	void (*reset_system)(uint32_t type, efi_status status, uint64_t size, const void *data);
};

struct efi_table {
	struct efi_guid guid;
	const void *table;
};

struct efi_system {
	struct efi_header header;
	const uint16_t *vendor;
	uint32_t revision, pad;
	void *console[6];
	const struct efi_runtime_services *runtime;
	const struct efi_boot_services *boot;
	uint64_t ntables;
	const struct efi_table *tables;
};

struct efi_loaded_image {
	uint32_t revision, pad;
	void *parent, *system, *device, *path, *reserved;
	uint32_t options_size, pad2;
	const uint16_t *options;
	void *base;
	uint64_t size;
};

#define EFI_GUID_LOADED_IMAGE                                                                      \
	{                                                                                          \
		0x5b1b31a1, 0x9562, 0x11d2,                                                        \
		{                                                                                  \
			0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                             \
		}                                                                                  \
	}
#define EFI_GUID_ACPI_20                                                                           \
	{                                                                                          \
		0x8868e871, 0xe4f1, 0x11d3,                                                        \
		{                                                                                  \
			0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81                             \
		}                                                                                  \
	}
#define EFI_GUID_DTB                                                                               \
	{                                                                                          \
		0xb1b621d5, 0xf19c, 0x41a5,                                                        \
		{                                                                                  \
			0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0                             \
		}                                                                                  \
	}
