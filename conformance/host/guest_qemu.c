/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's own virtio devices under TCG, on three of its machines. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "conformance/host/guest_vm.h"

#define MACS "52:54:00:c0:00:0"

/* What differs from machine to machine. */
struct machine {
	const char *name, *program, *options;
	const char *cpu;
	bool pci, mmio;
};

static const struct machine machines[] = {
	{ "microvm", "qemu-system-x86_64", "microvm,pit=on,pic=on,rtc=on", "max", false, true },
	{ "q35", "qemu-system-x86_64", "q35", "max", true, false },
	{ "virt", "qemu-system-aarch64", "virt,gic-version=3", "cortex-a57", true, true },
};

static const struct machine *find_machine(const struct vm *vm, struct err *e)
{
	for (unsigned i = 0; i < ARRAY_LEN(machines); i++) {
		const struct machine *m = &machines[i];

		if (strcmp(m->name, vm->opts->platform) != 0)
			continue;
		if (strcmp(vm->opts->transport, "pci") != 0 ? m->mmio : m->pci)
			return m;
		err_set(e, -EINVAL, "QEMU's %s has no devices on %s", m->name, vm->opts->transport);
		return NULL;
	}
	err_set(e, -EINVAL, "no platform '%s'", vm->opts->platform);
	return NULL;
}

/* "-device virtio-NAME-pci,OPTIONS", or its sibling on virtio-mmio: there the place is said, too,
 * as QEMU would begin with the last one. Place 0 stays empty: on microvm its interrupt is pin 0 of
 * an I/O APIC, which QEMU takes for the ISA timer's and moves to pin 2. */
static void device(struct vm *vm, const char *name, const char *options)
{
	const char *packed = vm->opts->split_only ? "off" : "on";

	vm_arg(&vm->args, "-device");
	if (!strcmp(vm->opts->transport, "pci"))
		vm_arg(&vm->args, "virtio-%s-pci,disable-legacy=on,packed=%s%s", name, packed,
			options);
	else
		vm_arg(&vm->args, "virtio-%s-device,bus=virtio-mmio-bus.%u,packed=%s%s", name,
			++vm->mmio, packed, options);
}

static void add(struct vm *vm, const char *option, const char *value)
{
	vm_arg(&vm->args, "%s", option);
	vm_arg(&vm->args, "%s", value);
}

static void add_machine(struct vm *vm, const struct machine *m)
{
	vm_arg(&vm->args, "%s", vm->opts->qemu ? vm->opts->qemu : m->program);
	add(vm, "-accel", "tcg");
	add(vm, "-M", m->options);
	add(vm, "-cpu", m->cpu);
	add(vm, "-m", "128M");
	vm_arg(&vm->args, "-nodefaults");
	vm_arg(&vm->args, "-no-user-config");
	vm_arg(&vm->args, "-no-reboot");
	add(vm, "-display", "none");
	add(vm, "-serial", "stdio");
	add(vm, "-global", "virtio-mmio.force-legacy=false");
}

static void add_disks(struct vm *vm)
{
	for (unsigned i = 0; i < 2; i++) {
		vm_arg(&vm->args, "-drive");
		vm_arg(&vm->args, "if=none,id=disk%u,format=raw,file=%s/disk%u%s", i, vm->place.dir,
			i, i ? ",read-only=on" : "");
	}
	device(vm, "blk", ",drive=disk0,serial=" PLACE_DISK_SERIAL);
	device(vm, "blk", ",drive=disk1");
}

/* Two cards on one hub. A hub takes frames while one of its other ports does, so there is a third
 * one for the time in which the second card has no driver. */
static void add_cards(struct vm *vm)
{
	add(vm, "-netdev", "user,id=host,restrict=on,ipv6=off");
	add(vm, "-netdev", "hubport,id=sink,hubid=0,netdev=host");
	add(vm, "-netdev", "hubport,id=net0,hubid=0");
	add(vm, "-netdev", "hubport,id=net1,hubid=0");
	device(vm, "net", ",netdev=net0,host_mtu=1500,mac=" MACS "1");
	device(vm, "net", ",netdev=net1,host_mtu=1500,mac=" MACS "2");
}

/* Port 0 is the console, port 1 for data; the runner connects to both. */
static void add_console(struct vm *vm)
{
	static const char *const ports[VM_ECHOES_MAX] = { "virtconsole",
		"virtserialport,name=org.avp.echo" };

	device(vm, "serial", "");
	for (unsigned i = 0; i < VM_ECHOES_MAX; i++) {
		vm->echo[i] = place_path(&vm->place, i ? "port1" : "port0");
		vm_arg(&vm->args, "-chardev");
		vm_arg(&vm->args, "socket,id=port%u,path=%s,server=on,wait=off", i,
			vm->echo[i] ? vm->echo[i] : "");
		vm_arg(&vm->args, "-device");
		vm_arg(&vm->args, "%s,chardev=port%u", ports[i], i);
	}
}

int vm_args_qemu(struct vm *vm, const char *words, struct err *e)
{
	const struct machine *m = find_machine(vm, e);

	if (!m)
		return -EINVAL;
	add_machine(vm, m);
	add_disks(vm);
	add_cards(vm);
	device(vm, "rng", "");
	add_console(vm);
	add(vm, "-kernel", vm->image);
	vm_arg(&vm->args, "-append");
	vm_arg(&vm->args,
		"blk0.serial=" PLACE_DISK_SERIAL " blk0.capacity=%" PRIu64
		" blk1.read-only=1 net0.mac=" MACS "1 net1.mac=" MACS
		"2 net.mtu=1500 console.echo=1 console.ports=2 %s",
		PLACE_DISK_SIZE / 512, words);
	return 0;
}
