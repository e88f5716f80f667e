/* SPDX-License-Identifier: BSD-3-Clause */
/* avp sign: writes the manifest of a verified boot. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "machine/boot_verify.h"

struct sign_args {
	char *key, *out;
	uint64_t version;
};

#define ARG(f) offsetof(struct sign_args, f)

static const struct opt sign_opts[] = {
	{ .name = "key",
		.type = OPT_PATH,
		.offset = ARG(key),
		.help = "private key: Ed25519, PEM",
		.flags = OPT_REQUIRED },
	{ .name = "out",
		.type = OPT_PATH,
		.offset = ARG(out),
		.help = "the manifest to write (default: where the system file has it)" },
	{ .name = "version",
		.type = OPT_U64,
		.offset = ARG(version),
		.def = "0",
		.max = UINT64_C(9007199254740991),
		.help = "of the manifest: 'min-version' refuses lower ones" },
	OPT_END,
};

static const struct cli_spec sign_spec = {
	.usage = "avp sign SYSTEM.yaml VM --key PRIVATE.pem [--version N] [--out MANIFEST]",
	.about =
		"Signs what a VM of a system file is booted from: kernel, initrd, command line "
		"and\n"
		"so on, as they are now. A VM with 'key' and 'manifest' in its 'boot' starts with\n"
		"nothing else (docs/verified-boot.md).\n",
	.opts = sign_opts,
	.min_words = 2,
	.max_words = 2,
};

/* All of it or nothing, even if the power fails. */
static int write_file(const char *path, const char *text, struct err *e)
{
	autofree char *new = NULL;
	autoclose int fd = -1;
	int rc;

	if (asprintf(&new, "%s.new", path) < 0) {
		new = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, -errno, "cannot create %s", new);
	rc = fd_write_full(fd, text, strlen(text));
	if (!rc && (fsync(fd) || rename(new, path)))
		rc = -errno;
	if (rc)
		unlink(new);
	return rc ? err_sys(e, rc, "cannot write %s", path) : 0;
}

static int sign(const struct sign_args *a, const struct conf_vm *vm, struct err *e)
{
	const char *out = a->out ? a->out : vm->machine.manifest;
	autofree char *manifest = NULL;
	struct boot_items items;
	int rc;

	if (!out)
		return err_set(e, -EINVAL,
			"where to? VM %s has no 'manifest' in the system file; --out says it",
			vm->name);
	vm_conf_boot_items(&vm->machine, &items);
	rc = boot_items_read(&items, e);
	if (!rc)
		rc = boot_sign(&items, vm->name, a->version, a->key, &manifest, e);
	boot_items_free(&items);
	if (!rc)
		rc = write_file(out, manifest, e);
	if (rc)
		return rc;
	printf("%s: version %" PRIu64 " for VM %s, covers", out, a->version, vm->name);
	for (unsigned i = 0; i < items.n; i++)
		printf("%s %s", i ? "," : "", items.v[i].what);
	putchar('\n');
	return 0;
}

static int run(const struct sign_args *a, char **words, struct err *e)
{
	struct conf_errors errors = { .n = 0 };
	const struct conf_vm *vm;
	struct conf *conf;
	int rc;

	if (conf_read(&conf, words[0], &errors)) {
		conf_errors_print(&errors, stderr);
		conf_errors_free(&errors);
		return err_set(e, -EINVAL, "%s is not right", words[0]);
	}
	vm = cli_find_vm(conf, words[1], e);
	rc = vm ? sign(a, vm, e) : -EINVAL;
	conf_free(conf);
	return rc;
}

int cmd_sign(int argc, char **argv)
{
	struct sign_args a = { 0 };
	struct err e = { 0 };
	char *words[2];
	int rc, r = cli_parse(&sign_spec, argc, argv, &a, words);

	if (r != CLI_GO)
		return r;
	rc = opt_check(sign_opts, &a, &e);
	if (!rc)
		rc = run(&a, words, &e);
	opt_free(sign_opts, &a);
	if (!rc)
		return EXIT_OK;
	fprintf(stderr, "avp: %s\n", e.msg);
	return rc == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}
