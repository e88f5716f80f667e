/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a virtual machine. */
#include "engine/vm_conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "engine/firmware.h"
#include "machine/boot.h"

const char *const vm_arch_words[] = { "auto", "x86-64", "arm64", NULL };
const char *const vm_transport_words[] = { "pci", "mmio", NULL };
const char *const vm_sched_words[] = { "other", "fifo", "rr", NULL };
const char *const vm_llc_event_words[] = { "auto", "cache-misses", "ll-read-misses", "cpu-clock",
	NULL };
static const char *const counter_words[] = { "own", "host", NULL };
const char *const vm_isolation_words[] = { "best-effort", "required", NULL };
const char *const vm_watchdog_words[] = { "reset", "restart", "stop", "fallback", "dump", "log",
	"none", NULL };
static const char *const pretimeout_words[] = { "none", "log", "nmi", NULL };

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
	{ .name = "arch",
		.type = OPT_ENUM,
		.offset = FIELD(arch),
		.def = "auto",
		.words = vm_arch_words,
		.help = "processor the guest is made for; auto: what its kernel says, else the "
			"host's" },
	{ .name = "kernel",
		.type = OPT_PATH,
		.offset = FIELD(kernel),
		.help = "Linux bzImage or arm64 Image, ELF file, or with load-address a raw "
			"image" },
	{ .name = "firmware",
		.type = OPT_PATH,
		.offset = FIELD(firmware),
		.words = firmware_words,
		.help = "arm64: edk2, u-boot or a file, in place of a kernel" },
	{ .name = "vars",
		.type = OPT_PATH,
		.offset = FIELD(vars),
		.help = "file with the firmware's UEFI variables; made if it is not there" },
	{ .name = "initrd",
		.type = OPT_PATH,
		.offset = FIELD(initrd),
		.help = "initial RAM disk, any format the guest knows" },
	{ .name = "cmdline",
		.type = OPT_STR,
		.offset = FIELD(cmdline),
		.help = "kernel command line" },
	{ .name = "dtb",
		.type = OPT_PATH,
		.offset = FIELD(dtb),
		.help = "arm64: device tree in place of the generated one" },
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
	{ .name = "verify-key",
		.type = OPT_PATH,
		.offset = FIELD(verify_key),
		.help = "public key (Ed25519, PEM): start only what a manifest signed with it "
			"covers" },
	{ .name = "manifest",
		.type = OPT_PATH,
		.offset = FIELD(manifest),
		.help = "what avp sign wrote for this VM" },
	{ .name = "manifest-version",
		.type = OPT_U64,
		.offset = FIELD(manifest_version),
		.max = UINT64_C(9007199254740991),
		.help = "refuse a manifest with a lower version" },
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
	{ .name = "sched-policy",
		.type = OPT_ENUM,
		.offset = FIELD(sched_policy),
		.words = vm_sched_words,
		.help = "how the host schedules the virtual CPUs" },
	{ .name = "sched-priority",
		.type = OPT_U32,
		.offset = FIELD(sched_priority),
		.min = 1,
		.max = VM_SCHED_PRIORITY_MAX,
		.help = "real-time priority of fifo and rr" },
	{ .name = "sched-devices",
		.type = OPT_BOOL,
		.offset = FIELD(sched_devices),
		.help = "device processes and the monitor's other threads get both, too" },
	{ .name = "lock-memory",
		.type = OPT_BOOL,
		.offset = FIELD(lock_memory),
		.help = "guest RAM is there from the start and is never swapped out" },
	{ .name = "llc-misses",
		.type = OPT_U64,
		.offset = FIELD(llc_misses),
		.min = 1,
		.max = UINT64_C(1) << 48,
		.help = "last-level-cache misses per period; beyond them the VM is held" },
	{ .name = "llc-period",
		.type = OPT_TIME,
		.offset = FIELD(llc_period),
		.min = 1,
		.max = 1000,
		.help = "period of the budget of misses; 1ms if it is not given" },
	{ .name = "llc-event",
		.type = OPT_ENUM,
		.offset = FIELD(llc_event),
		.words = vm_llc_event_words,
		.help = "what is counted as a miss; cpu-clock: ns of processor time" },
	{ .name = "isolation",
		.type = OPT_ENUM,
		.offset = FIELD(isolation),
		.words = vm_isolation_words,
		.help = "required: an error if the host cannot isolate as told" },
	{ .name = "counter",
		.type = OPT_ENUM,
		.offset = FIELD(counter),
		.words = counter_words,
		.help = "host: the guest's TSC or virtual counter is the host's, for "
			"cross-timestamps" },
	{ .name = "watchdog",
		.type = OPT_BOOL,
		.offset = FIELD(watchdog),
		.help = "the guest has one: i6300esb on x86-64, that of SBSA on arm64" },
	{ .name = "watchdog-action",
		.type = OPT_ENUM,
		.offset = FIELD(watchdog_action),
		.words = vm_watchdog_words,
		.def = "reset",
		.help = "what follows when it expires" },
	{ .name = "watchdog-pretimeout",
		.type = OPT_ENUM,
		.offset = FIELD(watchdog_pretimeout),
		.words = pretimeout_words,
		.def = "none",
		.help = "what follows its first stage, halfway; nmi: x86-64 only" },
	OPT_END,
};

static int check_isolation(const struct vm_conf *conf, const char **key, struct err *e)
{
	bool real_time = conf->sched_policy != VM_SCHED_OTHER;

	*key = "sched-policy";
	if (real_time && !conf->sched_priority)
		return err_set(e, -EINVAL, "sched-policy: %s needs a priority, 1 to %u",
			vm_sched_words[conf->sched_policy], VM_SCHED_PRIORITY_MAX);
	*key = conf->sched_priority ? "sched-priority" : "sched-devices";
	if (!real_time && (conf->sched_priority || conf->sched_devices))
		return err_set(e, -EINVAL, "%s: only with the policy fifo or rr", *key);
	*key = conf->llc_period ? "llc-period" : "llc-event";
	if (!conf->llc_misses && (conf->llc_period || conf->llc_event))
		return err_set(e, -EINVAL, "%s: a budget needs its number of misses", *key);
	return 0;
}

static int check_watchdog(const struct vm_conf *conf, const char **key, struct err *e)
{
	*key = conf->watchdog_action ? "watchdog-action" : "watchdog-pretimeout";
	if (!conf->watchdog && (conf->watchdog_action || conf->watchdog_pretimeout))
		return err_set(e, -EINVAL, "%s: the VM has no watchdog", *key);
	*key = "watchdog-pretimeout";
	if (conf->watchdog_pretimeout == VM_PRETIMEOUT_NMI && vm_conf_arch(conf) == VM_ARCH_ARM64)
		return err_set(e, -EINVAL,
			"watchdog-pretimeout: nmi is for x86-64; on arm64 the watchdog itself "
			"interrupts the guest");
	return 0;
}

int vm_conf_check(const struct vm_conf *conf, const char **key, struct err *e)
{
	uint64_t unit = conf->hugepages ? VM_HUGE_PAGE : VM_PAGE;
	int rc;

	*key = "memory";
	if (conf->memory % unit)
		return err_set(e, -EINVAL, "memory: %" PRIu64 " bytes is not a multiple of %s",
			conf->memory, conf->hugepages ? "2M, the size of a huge page" : "4K");
	*key = "firmware";
	if (!conf->kernel == !conf->firmware)
		return err_set(e, -EINVAL, "%s",
			conf->kernel ? "kernel and firmware: a guest starts one of them"
				     : "key 'kernel' is missing, or 'firmware'");
	if (conf->firmware && (conf->initrd || conf->cmdline || conf->load_address))
		return err_set(e, -EINVAL,
			"firmware: it finds what it boots by itself; initrd, cmdline and "
			"load-address are for a kernel");
	if (conf->firmware && conf->arch == VM_ARCH_X86_64)
		return err_set(e, -EINVAL, "firmware: only arm64 guests have one");
	*key = "dtb";
	if (conf->dtb && vm_conf_arch(conf) != VM_ARCH_ARM64)
		return err_set(e, -EINVAL,
			"dtb: only an arm64 guest has a device tree (is 'arch: arm64' missing?)");
	*key = "vars";
	if (conf->vars && !conf->firmware)
		return err_set(e, -EINVAL, "vars: only a firmware has variables");
	*key = "entry";
	if (conf->entry && !conf->load_address)
		return err_set(e, -EINVAL,
			"entry: only a raw image has one, and it needs load-address, too");
	*key = conf->manifest ? "manifest" : "verify-key";
	if (!conf->manifest != !conf->verify_key)
		return err_set(e, -EINVAL,
			"a verified boot needs both, a key and a manifest; only the %s is given",
			conf->manifest ? "manifest" : "key");
	*key = "manifest-version";
	if (conf->manifest_version && !conf->manifest)
		return err_set(e, -EINVAL,
			"a lowest version of the manifest means nothing without a key and a "
			"manifest");
	*key = "cpu-host";
	for (unsigned i = 0; i < conf->cpu_host.n; i++) {
		const char *word = conf->cpu_host.v[i];

		if (!*word || word[strspn(word, "0123456789")])
			return err_set(
				e, -EINVAL, "cpu-host: '%.64s' is no number of a host CPU", word);
	}
	rc = check_watchdog(conf, key, e);
	return rc ? rc : check_isolation(conf, key, e);
}

void vm_conf_boot_items(const struct vm_conf *conf, struct boot_items *items)
{
	*items = (struct boot_items){ .n = 0 };
	if (conf->firmware)
		boot_items_file(items, "firmware", firmware_path(conf->firmware));
	boot_items_file(items, "kernel", conf->kernel);
	boot_items_file(items, "initrd", conf->initrd);
	boot_items_file(items, "dtb", conf->dtb);
	boot_items_text(items, "cmdline", conf->cmdline);
	boot_items_number(items, "load-address", conf->load_address);
	boot_items_number(items, "entry", conf->entry);
}

enum vm_arch vm_conf_arch(const struct vm_conf *conf)
{
	if (conf->arch != VM_ARCH_AUTO)
		return (enum vm_arch)conf->arch;
	if (conf->firmware)
		return VM_ARCH_ARM64;
	switch (conf->kernel ? boot_arch_of(conf->kernel) : BOOT_ARCH_UNKNOWN) {
	case BOOT_ARCH_X86_64:
		return VM_ARCH_X86_64;
	case BOOT_ARCH_ARM64:
		return VM_ARCH_ARM64;
	case BOOT_ARCH_UNKNOWN:
	default:
		return VM_ARCH_HOST;
	}
}
