/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of one virtual machine, as the command line and the system file give it. */
#pragma once

#include "base/opt.h"
#include "machine/boot_items.h"

#define VM_PAGE		    4096u
#define VM_HUGE_PAGE	    (2u << 20)
#define VM_CPUS_MAX	    64
#define VM_PCI_DEVICES_MAX  240u /* 30 slots of 8 functions */
#define VM_MMIO_DEVICES_MAX 128u
#define VM_DEVICES_MAX	    256u /* on both transports together */
#define VM_DEVICE_ID_MAX    0x3f /* PCI device ids end at 0x107f (VIRTIO 1.4, 4.1.2) */

/* Whose processor the guest is made for. */
enum vm_arch { VM_ARCH_AUTO, VM_ARCH_X86_64, VM_ARCH_ARM64 };

enum vm_transport { VM_TRANSPORT_PCI, VM_TRANSPORT_MMIO };

enum vm_sched { VM_SCHED_OTHER, VM_SCHED_FIFO, VM_SCHED_RR };

/* What a regulator of cache misses counts. */
enum vm_llc_event {
	VM_LLC_EVENT_AUTO,	     /* misses of the last level, as this architecture names them */
	VM_LLC_EVENT_CACHE_MISSES,   /* the kernel's generic event */
	VM_LLC_EVENT_LL_READ_MISSES, /* reads that miss the last level */
	VM_LLC_EVENT_CPU_CLOCK,	     /* nanoseconds of processor time; needs no hardware */
};

/* What the guest's time stamp counter, or virtual counter, starts from: its own start, or it is the
 * host's. */
enum vm_counter { VM_COUNTER_OWN, VM_COUNTER_HOST };
/* What it means that the host cannot give what isolation asks for. */
enum vm_isolation { VM_ISOLATION_BEST_EFFORT, VM_ISOLATION_REQUIRED };

#define VM_SCHED_PRIORITY_MAX 98u /* 99 is left to the regulator, which must stop such a VM */

/* What follows when the guest did not feed its watchdog (docs/watchdog.md). Up to FALLBACK the
 * guest ends, and the supervisor does what the name says. */
enum vm_watchdog {
	VM_WATCHDOG_RESET,
	VM_WATCHDOG_RESTART,
	VM_WATCHDOG_STOP,
	VM_WATCHDOG_FALLBACK,
	VM_WATCHDOG_DUMP,
	VM_WATCHDOG_LOG,
	VM_WATCHDOG_NONE,
};

/* What follows the watchdog's first stage. */
enum vm_pretimeout { VM_PRETIMEOUT_NONE, VM_PRETIMEOUT_LOG, VM_PRETIMEOUT_NMI };

/* Filled in by the options below; opt_free(vm_opts, conf) releases it. */
struct vm_conf {
	uint64_t memory; /* bytes */
	uint32_t cpus;
	struct opt_list cpu_host; /* host CPU numbers; vCPU i runs on entry i modulo the length */
	char *kernel;
	char *firmware; /* in place of the kernel: a path, or a word of firmware_words */
	char *vars;	/* of its UEFI variables, or NULL: they are lost in the end */
	char *initrd;
	char *cmdline;
	char *dtb;		      /* arm64: a device tree in place of the generated one */
	int arch;		      /* enum vm_arch; see vm_conf_arch() */
	uint64_t load_address, entry; /* of a raw image, guest-physical; 0: not given */
	char *verify_key, *manifest;  /* of a verified boot, or both NULL */
	uint64_t manifest_version;    /* the lowest that is good */
	char *serial;
	bool hugepages;
	/* Isolation of time and memory (docs/isolation.md). */
	int sched_policy;	 /* enum vm_sched, of the virtual processors' threads */
	uint32_t sched_priority; /* 1 to VM_SCHED_PRIORITY_MAX; 0: not given */
	bool sched_devices;	 /* the same for device processes and the monitor's other threads */
	bool lock_memory;
	uint64_t llc_misses; /* per period; 0: no regulator */
	uint32_t llc_period; /* ms; 0: not given, 1 */
	int llc_event;	     /* enum vm_llc_event */
	int isolation;	     /* enum vm_isolation */
	int counter;	     /* enum vm_counter */
	int transport;	     /* enum vm_transport, for devices that do not say otherwise */
	bool watchdog;
	int watchdog_action;	 /* enum vm_watchdog */
	int watchdog_pretimeout; /* enum vm_pretimeout */
};

extern const struct opt vm_opts[];
/*
 * What the options cannot say by themselves: RAM in whole pages, CPU numbers that are numbers.
 * -EINVAL with the option that is wrong in *key.
 */
int vm_conf_check(const struct vm_conf *conf, const char **key, struct err *e);
/* What the guest is booted from, in the order in which it is measured; not read yet. It points into
 * `conf`. */
void vm_conf_boot_items(const struct vm_conf *conf, struct boot_items *items);
/* The architecture of the guest: what is configured, else what its kernel is made for (a firmware:
 * arm64), else the host's. Never VM_ARCH_AUTO. Reads the kernel file. */
enum vm_arch vm_conf_arch(const struct vm_conf *conf);
/* The words of enum vm_transport, ends with NULL. */
extern const char *const vm_transport_words[];
/* Of the enumerations above, in their order; each ends with NULL. */
extern const char *const vm_arch_words[];
extern const char *const vm_sched_words[];
extern const char *const vm_llc_event_words[];
extern const char *const vm_isolation_words[];
extern const char *const vm_watchdog_words[];

/* The architecture of this host. */
#ifdef __aarch64__
#define VM_ARCH_HOST VM_ARCH_ARM64
#else
#define VM_ARCH_HOST VM_ARCH_X86_64
#endif
