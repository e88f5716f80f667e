/* SPDX-License-Identifier: BSD-3-Clause */
/* Items of a boot, in sealed memory. */
#include "machine/boot_items.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

#define CHUNK ((size_t)64 << 20)

static struct boot_item *add(struct boot_items *items, const char *what)
{
	struct boot_item *item = &items->v[items->n++];

	*item = (struct boot_item){ .what = what, .fd = -1 };
	return item;
}

void boot_items_file(struct boot_items *items, const char *what, const char *path)
{
	if (path && items->n < BOOT_ITEMS_MAX)
		add(items, what)->path = path;
}

void boot_items_text(struct boot_items *items, const char *what, const char *text)
{
	if (text && items->n < BOOT_ITEMS_MAX)
		add(items, what)->text = text;
}

void boot_items_number(struct boot_items *items, const char *what, uint64_t number)
{
	struct boot_item *item;

	if (!number || items->n == BOOT_ITEMS_MAX)
		return;
	item = add(items, what);
	snprintf(item->number, sizeof(item->number), "0x%" PRIx64, number);
	item->text = item->number;
}

/* The whole file, up to its end now. */
static int copy_file(struct boot_item *item, int from, struct err *e)
{
	ssize_t n;

	do {
		n = sendfile(item->fd, from, NULL, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read the %s %s", item->what, item->path);
		item->size += (uint64_t)n;
		if (item->size > BOOT_ITEM_SIZE_MAX)
			return err_set(e, -EFBIG, "the %s %s has more than %" PRIu64 " bytes",
				item->what, item->path, BOOT_ITEM_SIZE_MAX);
	} while (n);
	return 0;
}

static int read_file(struct boot_item *item, struct err *e)
{
	/* Not to wait for the other end of a FIFO. */
	autoclose int fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "cannot open the %s %s", item->what, item->path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot look at the %s %s", item->what, item->path);
	if (!S_ISREG(st.st_mode))
		return err_set(
			e, -EINVAL, "the %s %s is not a regular file", item->what, item->path);
	return copy_file(item, fd, e);
}

static int read_text(struct boot_item *item, struct err *e)
{
	int rc;

	item->size = strlen(item->text);
	rc = fd_write_full(item->fd, item->text, item->size);
	return rc ? err_sys(e, rc, "cannot copy the %s", item->what) : 0;
}

static int read_item(struct boot_item *item, struct err *e)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int rc;

	item->size = 0;
	item->fd = memfd_create(item->what, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (item->fd < 0)
		return err_sys(e, -errno, "cannot create memory for the %s", item->what);
	rc = item->path ? read_file(item, e) : read_text(item, e);
	if (!rc && fcntl(item->fd, F_ADD_SEALS, seals) < 0)
		rc = err_sys(e, -errno, "cannot seal the copy of the %s", item->what);
	return rc;
}

int boot_items_read(struct boot_items *items, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < items->n; i++)
		rc = read_item(&items->v[i], e);
	if (rc)
		boot_items_free(items);
	return rc;
}

void boot_items_free(struct boot_items *items)
{
	for (unsigned i = 0; i < items->n; i++)
		close_fd(&items->v[i].fd);
}

const struct boot_item *boot_items_find(const struct boot_items *items, const char *what)
{
	for (unsigned i = 0; i < items->n; i++)
		if (!strcmp(items->v[i].what, what))
			return &items->v[i];
	return NULL;
}
