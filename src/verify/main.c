/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avp-verify: checks what a guest is about to be booted from, or signs it. A program of its own,
 * started by `avp monitor` and `avp sign`, because linking libcrypto costs every start of avp more
 * than a millisecond, and because what reads keys and manifests need not be in the monitor.
 *
 *   avp-verify check VM VERSION KEY MANIFEST [WHAT=FD]...
 *   avp-verify sign  VM VERSION KEY - [WHAT=FD]...
 *
 * KEY, MANIFEST and FD are descriptors. `check` prints "WHAT DIGEST" for each item, in order, and
 * ends with 0, or prints the reason and ends with 14 (not to be trusted) or 1 (could not be
 * checked). VERSION is the lowest that is good. `sign` prints a manifest of that version.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "verify/manifest.h"

#define EXIT_REFUSED 14
#define KEY_MAX	     16384

/* The command line. */
struct request {
	const char *vm;
	uint64_t version;
	int key, manifest;    /* descriptors */
	struct manifest made; /* of the items as they are */
};

static int get_fd(const char *text)
{
	char *end;
	unsigned long fd = strtoul(text, &end, 10);

	return end == text || *end || fd > 1u << 20 ? -1 : (int)fd;
}

/* A small text file; NULL with a message. */
static char *read_text(int fd, size_t max, const char *what, struct err *e)
{
	struct stat st;
	autofree char *text = NULL;
	int rc;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > max) {
		err_set(e, -EPERM, "the %s is no file of at most %zu bytes", what, max);
		return NULL;
	}
	text = calloc(1, (size_t)st.st_size + 1);
	rc = text ? fd_pread_full(fd, text, (size_t)st.st_size, 0) : -ENOMEM;
	if (!rc && strlen(text) != (size_t)st.st_size)
		rc = err_set(e, -EPERM, "the %s has a zero byte: it is no text", what);
	else if (rc)
		err_sys(e, rc, "cannot read the %s", what);
	return rc ? NULL : steal_ptr(&text);
}

/* "WHAT=FD": the digest of what is there. */
static int add_item(struct manifest *m, const char *arg, struct err *e)
{
	const char *eq = strchr(arg, '=');
	int fd = eq ? get_fd(eq + 1) : -1;
	struct manifest_item *item;
	struct stat st;

	if (fd < 0 || eq == arg || eq - arg >= (int)MANIFEST_NAME_MAX || m->n == MANIFEST_ITEMS_MAX)
		return err_set(e, -EINVAL, "'%.64s' is no item", arg);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot look at item %.64s", arg);
	item = &m->items[m->n++];
	snprintf(item->what, sizeof(item->what), "%.*s", (int)(eq - arg), arg);
	item->size = (uint64_t)st.st_size;
	return crypto_digest(fd, item->size, item->digest, e);
}

static int parse(struct request *rq, int argc, char **argv, struct err *e)
{
	int rc = 0;

	if (argc < 6 || strlen(argv[2]) >= MANIFEST_NAME_MAX)
		return err_set(e, -EINVAL, "usage: see src/verify/main.c");
	rq->vm = argv[2];
	rq->version = strtoull(argv[3], NULL, 10);
	rq->key = get_fd(argv[4]);
	rq->manifest = get_fd(argv[5]);
	snprintf(rq->made.vm, sizeof(rq->made.vm), "%s", rq->vm);
	rq->made.version = rq->version;
	for (int i = 6; i < argc && !rc; i++)
		rc = add_item(&rq->made, argv[i], e);
	return rc;
}

static int compare(const struct manifest_item *is, const struct manifest_item *said, struct err *e)
{
	char is_hex[MANIFEST_HEX], said_hex[MANIFEST_HEX];

	if (!said)
		return err_set(e, -EPERM, "the manifest does not cover the %s", is->what);
	if (is->size == said->size && !memcmp(is->digest, said->digest, CRYPTO_DIGEST))
		return 0;
	manifest_hex(is_hex, is->digest);
	manifest_hex(said_hex, said->digest);
	return err_set(e, -EPERM,
		"the %s is not what was signed: %" PRIu64 " bytes with SHA-256 %s, not %" PRIu64
		" with %s",
		is->what, is->size, is_hex, said->size, said_hex);
}

/* What is there is what was signed, no more and no less. */
static int compare_all(const struct request *rq, const struct manifest *said, struct err *e)
{
	if (strcmp(said->vm, rq->vm) != 0)
		return err_set(e, -EPERM, "the manifest is for VM '%s'", said->vm);
	if (said->version < rq->version)
		return err_set(e, -EPERM,
			"the manifest has version %" PRIu64 ", at least %" PRIu64 " is asked for",
			said->version, rq->version);
	for (unsigned i = 0; i < rq->made.n; i++) {
		const struct manifest_item *is = &rq->made.items[i];
		int rc = compare(is, manifest_find(said, is->what), e);

		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < said->n; i++)
		if (!manifest_find(&rq->made, said->items[i].what))
			return err_set(e, -EPERM,
				"the manifest covers more than this VM is configured with: %s",
				said->items[i].what);
	return 0;
}

static int check(const struct request *rq, struct err *e)
{
	autofree char *key = read_text(rq->key, KEY_MAX, "key", e), *text = NULL;
	char hex[MANIFEST_HEX];
	struct manifest said;
	int rc;

	if (key)
		text = read_text(rq->manifest, MANIFEST_SIZE_MAX, "manifest", e);
	if (!text)
		return e->code;
	rc = manifest_read(&said, text, key, e);
	if (!rc)
		rc = compare_all(rq, &said, e);
	for (unsigned i = 0; !rc && i < rq->made.n; i++) {
		manifest_hex(hex, rq->made.items[i].digest);
		printf("%s %s\n", rq->made.items[i].what, hex);
	}
	return rc;
}

static int sign(const struct request *rq, struct err *e)
{
	autofree char *key = read_text(rq->key, KEY_MAX, "key", e);
	autofree char *text = key ? manifest_sign(&rq->made, key, e) : NULL;

	if (!text)
		return e->code;
	fputs(text, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct request rq = { .key = -1 };
	struct err e = { 0 };
	int rc;

	crypto_init();
	rc = parse(&rq, argc, argv, &e);
	if (!rc)
		rc = !strcmp(argv[1], "sign") ? sign(&rq, &e) : check(&rq, &e);
	if (rc)
		puts(e.msg);
	if (fflush(stdout) || ferror(stdout))
		return 1;
	return !rc ? 0 : rc == -EPERM || rc == -EINVAL ? EXIT_REFUSED : 1;
}
