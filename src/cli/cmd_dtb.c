/* SPDX-License-Identifier: BSD-3-Clause */
/* avp dtb: the device tree of an arm64 VM, for guests that are built with a description of their
 * machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "machine/arm64/dtree.h"
#include "machine/arm64/layout.h"
#include "system/conf_scmi.h"

struct dtb_args {
	char *out;
};

static const struct opt dtb_opts[] = {
	{ .name = "out",
		.type = OPT_PATH,
		.offset = offsetof(struct dtb_args, out),
		.help = "file to write (default: standard output)" },
	OPT_END,
};

static const struct cli_spec dtb_spec = {
	.usage = "avp dtb SYSTEM.yaml VM [--out FILE]",
	.about =
		"Writes the device tree (a .dtb) of the machine that an arm64 VM of a system file\n"
		"sees, on any computer. A running guest is given the same, and an initrd and "
		"seeds\n"
		"besides. dtc -I dtb -O dts makes it readable.\n",
	.opts = dtb_opts,
	.min_words = 2,
	.max_words = 2,
};

static int build(
	const struct conf *conf, const struct conf_vm *vm, void *buf, size_t len, struct err *e)
{
	const struct conf_device *scmi = conf_scmi_device(vm);
	const struct vm_conf *m = &vm->machine;
	struct scmi_summary found = { 0 };
	struct dtree_board board = {
		.ncpus = m->cpus,
		.ram = m->memory,
		.uart = m->serial || m->firmware,
		.watchdog = m->watchdog,
		.flash = m->firmware,
		.pci_high = true,
		.nmmio = m->transport == VM_TRANSPORT_MMIO ? vm->ndevices : 0,
		.chosen = { .cmdline = m->cmdline },
	};

	if (vm_conf_arch(m) != VM_ARCH_ARM64)
		return err_set(e, -EINVAL,
			"VM %s is for %s, which has ACPI tables and no device tree (is 'arch: "
			"arm64' missing?)",
			vm->name, vm_arch_words[vm_conf_arch(m)]);
	if (scmi && conf_scmi_summarize(conf, scmi, &found, e))
		return -EINVAL;
	board.scmi_protocols = found.protocols;
	board.scmi_voltages = found.voltages;
	return dtree_build(&board, buf, len, e);
}

static int write_out(const char *path, const void *data, size_t len, struct err *e)
{
	autoclose int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
				: dup(STDOUT_FILENO);
	int rc = fd < 0 ? -errno : fd_write_full(fd, data, len);

	return rc ? err_sys(e, rc, "cannot write %s", path ? path : "to standard output") : 0;
}

static int run(const struct dtb_args *a, const char *file, const char *name, struct err *e)
{
	autofree void *buf = malloc(ARM64_DTB_SIZE);
	struct conf_errors errors = { .n = 0 };
	const struct conf_vm *vm;
	struct conf *conf;
	int rc;

	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	if (conf_read(&conf, file, &errors)) {
		conf_errors_print(&errors, stderr);
		conf_errors_free(&errors);
		return err_set(e, -EINVAL, "%s is not right", file);
	}
	vm = cli_find_vm(conf, name, e);
	rc = vm ? build(conf, vm, buf, ARM64_DTB_SIZE, e) : -EINVAL;
	if (!rc)
		rc = write_out(a->out, buf, dtree_size(buf), e);
	conf_free(conf);
	return rc;
}

int cmd_dtb(int argc, char **argv)
{
	struct dtb_args a = { 0 };
	struct err e = { 0 };
	char *words[2];
	int rc, r = cli_parse(&dtb_spec, argc, argv, &a, words);

	if (r != CLI_GO)
		return r;
	rc = run(&a, words[0], words[1], &e);
	opt_free(dtb_opts, &a);
	if (!rc)
		return EXIT_OK;
	fprintf(stderr, "avp: %s\n", e.msg);
	return rc == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}
