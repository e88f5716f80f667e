/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file in which a VM's firmware keeps its UEFI variables, read and written by the host while
 * the VM is off. Two kinds, which differ in what the firmware understands:
 *
 * - EFISTORE_FLASH: contents of the second flash chip, at whose start EDK2 keeps a firmware volume
 *   with its authenticated variable store (and, behind it, room for fault-tolerant writes).
 * - EFISTORE_DISK: a small disk with an EFI system partition, on which U-Boot keeps the file
 *   ubootefi.var.
 *
 * Files are not trusted: guests write them.
 */
#pragma once

#include "host/efivar.h"

#define EFISTORE_FLASH_SIZE (64u << 20) /* of the chip, bytes */
#define EFISTORE_DISK_SIZE  (1u << 20)	/* bytes */

enum efistore_kind { EFISTORE_FLASH, EFISTORE_DISK };

/* Zero-initialise; fd = -1. */
struct efistore {
	char *path; /* without symbolic links */
	int fd;	    /* locked: nobody else has it open for writing */
	enum efistore_kind kind;
	uint8_t *image; /* the part of the file that is understood: the volume, or the disk */
	size_t len;	/* bytes of it */
	struct efivars vars;
};

/* Makes an empty store at `path`, mode 0600, durably; -EEXIST if there is a file. */
int efistore_create(const char *path, enum efistore_kind kind, struct err *e);
/* An empty flash store in memory, for variables that nobody wants to keep: a descriptor. */
int efistore_temporary(struct err *e);
/*
 * Opens and locks the file for writing; -EBUSY with a message while a VM or another host process
 * uses it. Returns the descriptor, to be closed to unlock it.
 */
int efistore_lock(const char *path, struct err *e);
/* Which of the two a file is, by its first bytes. What is no disk of ours counts as flash: a
 * firmware may have a format of its own. */
int efistore_kind(int fd, enum efistore_kind *kind, struct err *e);
/* Opens, locks, finds out the kind and reads all variables. After an error close it, too. */
int efistore_open(struct efistore *s, const char *path, struct err *e);
/* Replaces the file by one with s->vars: either wholly or not at all, whenever the power fails. */
int efistore_save(struct efistore *s, struct err *e);
void efistore_close(struct efistore *s);

/* The kinds. Images are not trusted. */

/* An empty volume; `len` bytes of it matter. */
#define EFISTORE_VOLUME_LEN 0xc0000u
void efistore_flash_format(uint8_t image[EFISTORE_VOLUME_LEN]);
/* Length of the volume that starts with these bytes, or 0: it is none. */
size_t efistore_flash_probe(const uint8_t *head, size_t len);
int efistore_flash_read(const uint8_t *image, size_t len, struct efivars *vars, struct err *e);
/* Puts the variables there, without gaps. -ENOSPC if they do not fit; the image is unchanged then.
 */
int efistore_flash_write(uint8_t *image, size_t len, const struct efivars *vars, struct err *e);

void efistore_disk_format(uint8_t image[EFISTORE_DISK_SIZE]);
bool efistore_disk_probe(const uint8_t *head, size_t len);
int efistore_disk_read(
	const uint8_t image[EFISTORE_DISK_SIZE], struct efivars *vars, struct err *e);
int efistore_disk_write(
	uint8_t image[EFISTORE_DISK_SIZE], const struct efivars *vars, struct err *e);

/* The contents of ubootefi.var. */
int efistore_uboot_read(const uint8_t *file, size_t len, struct efivars *vars, struct err *e);
/* At most EFISTORE_UBOOT_MAX bytes; returns the length or -ENOSPC. */
#define EFISTORE_UBOOT_MAX 16384u
int efistore_uboot_write(uint8_t *file, const struct efivars *vars, struct err *e);
