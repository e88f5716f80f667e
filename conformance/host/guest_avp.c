/* SPDX-License-Identifier: BSD-3-Clause */
/* The test guest as a user would run it: a system file, and `avp run`. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "conformance/host/conform.h"
#include "conformance/host/guest_vm.h"
#include "system/client.h"

#define KILL_MS 5000

/* On arm64 only Linux 6.4 can give a guest the host's counter. */
#if defined(__x86_64__)
#define CLOCK_COUNTER "    counter: host\n"
#define CLOCK_DEVICE  "type: rtc, counter: " CONFORM_COUNTER
#else
#define CLOCK_COUNTER
#define CLOCK_DEVICE "type: rtc"
#endif

#define KEYS_FILE "keys"

/* What the guest under test has, and what it is told of that. */
static const struct {
	const char *keys;
	bool shared; /* a port of a medium: always in the medium's process */
} devices[] = {
	{ .keys = "type: blk, image: disk0, serial: " PLACE_DISK_SERIAL },
	{ .keys = "type: blk, image: disk1, readonly: true" },
	{ .keys = "type: net, switch: lan, mac: \"52:54:00:c0:00:01\"", .shared = true },
	{ .keys = "type: net, switch: lan, mac: \"52:54:00:c0:00:02\"", .shared = true },
	{ .keys = "type: rng" },
	{ .keys = "type: console, ports: [org.avp.echo]" },
	{ .keys = "type: vsock, cid: 1001, peers: [1002]" },
	{ .keys = "type: vsock, cid: 1002, peers: [1001]" },
	{ .keys = "type: can, bus: body", .shared = true },
	{ .keys = "type: can, bus: body", .shared = true },
	{ .keys = CLOCK_DEVICE },
	{ .keys = "type: gpio, lines: [lamp wire:w, gap, see wire:w]" },
	{ .keys = "type: i2c, devices: [0x20 registers, 0x50 eeprom size=4K]" },
	{ .keys = "type: spi, devices: [0 flash, 1 loopback]" },
	{ .keys = "type: input, codes: [ABS_X max=1000], replay: " KEYS_FILE
		  ", replay-loop: true" },
	{ .keys = "type: scmi, clocks: [uart rates=1000000/24000000], power-domains: [gpu], "
		  "perf: [cpu levels=400/800], resets: [camera latency=1ms]" },
};

static const char facts[] =
	"blk0.serial=" PLACE_DISK_SERIAL
	" blk1.read-only=1 net0.mac=52:54:00:c0:00:01 net1.mac=52:54:00:c0:00:02 net.mtu=1500"
	" console.echo=1 console.ports=2 console.cols=80 console.rows=25"
	" vsock0.cid=1001 vsock0.peer_cid=1002 gpio.loop=0:2 i2c.registers=0x20 i2c.absent=0x33"
	" input.update=5 spi.loopback=1";

/* The folder of the system file is that of all paths in it. */
static void write_device_vm(FILE *f, const struct vm *vm, const char *words)
{
	fprintf(f,
		"  dut:\n"
		"    memory: 64M\n"
		"    transport: %s\n" CLOCK_COUNTER "    serial: serial\n"
		"    boot:\n"
		"      kernel: %s\n"
		"      cmdline: \"%s blk0.capacity=%" PRIu64 " %s\"\n"
		"    devices:\n",
		vm->opts->transport, vm->image, facts, PLACE_DISK_SIZE / 512, words);
	for (unsigned i = 0; i < ARRAY_LEN(devices); i++)
		fprintf(f, "      - {%s%s}\n", devices[i].keys,
			devices[i].shared || vm->opts->isolate ? "" : ", isolate: false");
}

/* For the input device: four keys, over and over. */
static int write_keys(const struct vm *vm, struct err *e)
{
	autofree char *path = place_path(&vm->place, KEYS_FILE);
	FILE *f = path ? fopen(path, "we") : NULL;

	if (!f)
		return err_sys(e, -errno, "writing " KEYS_FILE " in '%s'", vm->place.dir);
	fputs("0.000 set KEY_A 1 KEY_B 1 KEY_C 1 KEY_D 1\n"
	      "0.020 set KEY_A 0 KEY_B 0 KEY_C 0 KEY_D 0\n",
		f);
	return fclose(f) ? err_sys(e, -errno, "writing '%s'", path) : 0;
}

static void write_neighbour_vm(FILE *f, const struct vm *vm)
{
	fprintf(f,
		"  neighbour:\n"
		"    memory: 64M\n"
		"    transport: %s\n"
		"    serial: neighbour\n"
		"    boot: {kernel: %s, cmdline: role=neighbour}\n"
		"    devices:\n"
		"      - {type: blk, image: disk2}\n"
		"      - {type: net, switch: lan, mac: \"52:54:00:c0:01:01\"}\n"
		"      - {type: net, switch: lan, mac: \"52:54:00:c0:01:02\"}\n",
		vm->opts->transport, vm->image);
}

static int write_system(const struct vm *vm, const char *path, const char *words, struct err *e)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return err_sys(e, -errno, "writing '%s'", path);
	fputs("name: " VM_SYSTEM "\ngrace: 5s\nvms:\n", f);
	write_device_vm(f, vm, words);
	if (vm->opts->neighbour)
		write_neighbour_vm(f, vm);
	fputs("switches:\n  lan: {uplink: none}\ncan-buses:\n  body: {bitrate: 1000000}\n", f);
	return fclose(f) ? err_sys(e, -errno, "writing '%s'", path) : 0;
}

int vm_args_avp(struct vm *vm, const char *words, struct err *e)
{
	autofree char *file = place_path(&vm->place, VM_SYSTEM ".yaml");
	autofree char *runtime = place_path(&vm->place, VM_RUNTIME);
	autofree char *avp = vm_find_avp();
	int ret;

	if (!file || !runtime || !avp)
		return err_set(e, -ENOMEM, "no memory");
	ret = write_keys(vm, e);
	if (!ret)
		ret = write_system(vm, file, words, e);
	if (ret)
		return ret;
	/* For avp, and for the client of its control socket. */
	if (mkdir(runtime, 0700) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "making '%s'", runtime);
	if (setenv("XDG_RUNTIME_DIR", runtime, 1) < 0)
		return err_sys(e, -errno, "setting XDG_RUNTIME_DIR");
	vm_arg(&vm->args, "%s", avp);
	vm_arg(&vm->args, "run");
	vm_arg(&vm->args, "%s", file);
	vm_arg(&vm->args, "--board");
	vm_arg(&vm->args, "none");
	if (asprintf(&vm->echo[0], "%s/avp/" VM_SYSTEM "/dut/console0.tty", runtime) < 0 ||
		asprintf(&vm->echo[1], "%s.org.avp.echo", vm->echo[0]) < 0)
		vm->args.failed = true;
	return 0;
}

/* SIGKILL, and waits for its end, when it holds no file any more. It is not our child. */
static void kill_and_wait(pid_t pid)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	poll(&ended, 1, KILL_MS);
}

/* A supervisor that does not run on cannot replace what is killed. */
void vm_kill_avp(struct vm *vm)
{
	static const char *const kinds[] = { "vms", "devices", "media" };
	struct client_conn c = { .fd = -1 };
	cJSON *ps = NULL;

	if (!client_open(&c, VM_SYSTEM, NULL) &&
		!client_request(&c, client_command("ps"), &ps, NULL))
		kill(vm->child.pid, SIGSTOP);
	for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
		const cJSON *p;

		cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(ps, kinds[k]))
		{
			const cJSON *pid = cJSON_GetObjectItemCaseSensitive(p, "pid");

			if (cJSON_IsNumber(pid) && pid->valueint > 1)
				kill_and_wait(pid->valueint);
		}
	}
	cJSON_Delete(ps);
	client_close(&c);
}

void vm_last_message(const struct vm *vm, char *text, size_t size)
{
	autofclose FILE *f = fopen(vm->messages, "re");
	char line[256];

	text[0] = '\0';
	while (f && fgets(line, sizeof(line), f))
		snprintf(text, size, "%.*s", (int)strcspn(line, "\n"), line);
}
