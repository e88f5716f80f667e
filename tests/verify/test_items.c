/* SPDX-License-Identifier: BSD-3-Clause */
/* What a verified guest is loaded from: copies that nobody can change, and nothing but them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/vm_conf.h"
#include "machine/boot.h"
#include "tap.h"

struct place {
	char folder[32], file[64], other[64];
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static struct place make_place(void)
{
	struct place p = { .folder = "/tmp/avp-items-XXXXXX" };

	if (!mkdtemp(p.folder))
		abort();
	snprintf(p.file, sizeof(p.file), "%s/file", p.folder);
	snprintf(p.other, sizeof(p.other), "%s/other", p.folder);
	write_file(p.file, "as it was");
	write_file(p.other, "another");
	return p;
}

static void remove_place(const struct place *p)
{
	unlink(p->file);
	unlink(p->other);
	rmdir(p->folder);
}

/* What boot_open() gives for an item, as text. */
static int load(const struct boot *b, const char *path, const char *what, char text[static 32])
{
	struct boot_file f = { .fd = -1 };
	int rc = boot_open(b, &f, path, what, NULL);

	memset(text, 0, 32);
	if (!rc)
		rc = boot_read(&f, 0, text, f.size, what, NULL);
	close_fd(&f.fd);
	return rc;
}

/* The file is changed after it was read, and even replaced: what is loaded is what was checked. */
static void the_copy_is_loaded(struct tap *t)
{
	struct place p = make_place();
	struct boot_items items = { .n = 0 };
	struct boot b = { .verified = &items };
	char text[32];

	boot_items_file(&items, "kernel", p.file);
	REQUIRE(t, !boot_items_read(&items, NULL) && items.v[0].size == strlen("as it was"));
	write_file(p.file, "as it is now");
	CHECK(t, !load(&b, p.file, "kernel", text) && !strcmp(text, "as it was"));
	unlink(p.file);
	CHECK(t, !load(&b, p.file, "kernel", text) && !strcmp(text, "as it was"));
	boot_items_free(&items);
	CHECK_EQ(t, items.v[0].fd, -1);
	remove_place(&p);
}

static void the_copy_is_sealed(struct tap *t)
{
	struct place p = make_place();
	struct boot_items items = { .n = 0 };

	boot_items_file(&items, "kernel", p.file);
	boot_items_text(&items, "cmdline", "quiet");
	REQUIRE(t, !boot_items_read(&items, NULL));
	for (unsigned i = 0; i < items.n; i++) {
		CHECK(t, pwrite(items.v[i].fd, "x", 1, 0) < 0 && errno == EPERM);
		CHECK(t, ftruncate(items.v[i].fd, 1) < 0 && errno == EPERM);
		CHECK(t, ftruncate(items.v[i].fd, 100) < 0 && errno == EPERM);
	}
	boot_items_free(&items);
	remove_place(&p);
}

/* Whoever asks for a file that was not verified does not get it, although it is there. */
static void nothing_else_is_loaded(struct tap *t)
{
	struct place p = make_place();
	struct boot_items items = { .n = 0 };
	struct boot verified = { .verified = &items }, plain = { .verified = NULL };
	char text[32];

	boot_items_file(&items, "kernel", p.file);
	boot_items_text(&items, "cmdline", "quiet");
	REQUIRE(t, !boot_items_read(&items, NULL));
	CHECK_EQ(t, load(&verified, p.other, "initrd", text), -EPERM);
	CHECK_EQ(t, load(&verified, p.other, "kernel", text), -EPERM);
	CHECK_EQ(t, load(&verified, p.file, "firmware", text), -EPERM);
	CHECK_EQ(t, load(&verified, p.file, "cmdline", text), -EPERM);
	CHECK(t, !load(&plain, p.other, "initrd", text) && !strcmp(text, "another"));
	boot_items_free(&items);
	remove_place(&p);
}

static int read_one(const char *path)
{
	struct boot_items items = { .n = 0 };
	int rc;

	boot_items_file(&items, "kernel", path);
	rc = boot_items_read(&items, NULL);
	boot_items_free(&items);
	return rc;
}

static void what_is_no_file(struct tap *t)
{
	struct place p = make_place();

	CHECK_EQ(t, read_one(p.folder), -EINVAL);
	CHECK_EQ(t, read_one("/dev/zero"), -EINVAL);
	CHECK_EQ(t, read_one("/nonexistent"), -ENOENT);
	unlink(p.other);
	REQUIRE(t, !mkfifo(p.other, 0600));
	CHECK_EQ(t, read_one(p.other), -EINVAL);
	write_file(p.file, "");
	CHECK_EQ(t, read_one(p.file), 0);
	remove_place(&p);
}

/* Every key that decides what is executed is an item; the order is that of measuring. */
static void items_of_a_vm(struct tap *t)
{
	static const char *const order[] = { "firmware", "kernel", "initrd", "dtb", "cmdline",
		"load-address", "entry" };
	struct vm_conf conf = { .firmware = (char *)"/f",
		.kernel = (char *)"k",
		.initrd = (char *)"i",
		.dtb = (char *)"d",
		.cmdline = (char *)"",
		.load_address = UINT64_MAX,
		.entry = 16 };
	struct boot_items items;

	vm_conf_boot_items(&conf, &items);
	REQUIRE(t, items.n == ARRAY_LEN(order));
	for (unsigned i = 0; i < items.n; i++)
		CHECK(t, !strcmp(items.v[i].what, order[i]));
	CHECK(t,
		!strcmp(items.v[5].text, "0xffffffffffffffff") && !strcmp(items.v[6].text, "0x10"));
	conf = (struct vm_conf){ .kernel = (char *)"k" };
	vm_conf_boot_items(&conf, &items);
	CHECK_EQ(t, items.n, 1);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, the_copy_is_loaded);
	TAP_RUN(&t, the_copy_is_sealed);
	TAP_RUN(&t, nothing_else_is_loaded);
	TAP_RUN(&t, what_is_no_file);
	TAP_RUN(&t, items_of_a_vm);
	return tap_done(&t);
}
