/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a virtual machine. */
#include "engine/vm_conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

const char *const vm_transport_words[] = { "pci", "mmio", NULL };

#define FIELD(f) offsetof(struct vm_conf, f)

const struct opt vm_opts[] = {
	{ .name = "memory",
		.type = OPT_SIZE,
		.offset = FIELD(memory),
		.def = "256M",
		.min = 2 << 20,
		.max = UINT64_C(1) << 40,
		.help = "guest RAM, a multiple of 4K" },
	{ .name = "cpus",
		.type = OPT_U32,
		.offset = FIELD(cpus),
		.def = "1",
		.min = 1,
		.max = VM_CPUS_MAX,
		.help = "number of virtual CPUs" },
	{ .name = "cpu-host",
		.type = OPT_LIST,
		.offset = FIELD(cpu_host),
		.help = "host CPUs that the virtual CPUs are bound to, in turn" },
	{ .name = "kernel",
		.type = OPT_PATH,
		.offset = FIELD(kernel),
		.help = "Linux bzImage, ELF file, or with load-address a raw image",
		.flags = OPT_REQUIRED },
	{ .name = "initrd",
		.type = OPT_PATH,
		.offset = FIELD(initrd),
		.help = "initial RAM disk, any format the guest knows" },
	{ .name = "cmdline",
		.type = OPT_STR,
		.offset = FIELD(cmdline),
		.help = "kernel command line" },
	{ .name = "load-address",
		.type = OPT_U64,
		.offset = FIELD(load_address),
		.min = 1,
		.help = "guest-physical address of a raw image, as in 0x200000" },
	{ .name = "entry",
		.type = OPT_U64,
		.offset = FIELD(entry),
		.min = 1,
		.help = "first instruction of a raw image, if not its first byte" },
	{ .name = "serial",
		.type = OPT_STR,
		.offset = FIELD(serial),
		.help = "host side of COM1: a file, '-' for this terminal, or 'pty'" },
	{ .name = "hugepages",
		.type = OPT_BOOL,
		.offset = FIELD(hugepages),
		.help = "back guest RAM with reserved huge pages of the host" },
	{ .name = "transport",
		.type = OPT_ENUM,
		.offset = FIELD(transport),
		.def = "pci",
		.words = vm_transport_words,
		.help = "how devices are attached" },
	OPT_END,
};

int vm_conf_check(const struct vm_conf *conf, const char **key, struct err *e)
{
	uint64_t unit = conf->hugepages ? VM_HUGE_PAGE : VM_PAGE;

	*key = "memory";
	if (conf->memory % unit)
		return err_set(e, -EINVAL, "memory: %" PRIu64 " bytes is not a multiple of %s",
			conf->memory, conf->hugepages ? "2M, the size of a huge page" : "4K");
	*key = "entry";
	if (conf->entry && !conf->load_address)
		return err_set(e, -EINVAL,
			"entry: only a raw image has one, and it needs load-address, too");
	*key = "cpu-host";
	for (unsigned i = 0; i < conf->cpu_host.n; i++) {
		const char *word = conf->cpu_host.v[i];

		if (!*word || word[strspn(word, "0123456789")])
			return err_set(
				e, -EINVAL, "cpu-host: '%.64s' is no number of a host CPU", word);
	}
	return 0;
}
