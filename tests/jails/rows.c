/* SPDX-License-Identifier: BSD-3-Clause */
#include "jails/rows.h"

#include <stddef.h>

static const char *const no_threads[] = { NULL };
static const char *const front_end[] = { "sched_setaffinity", "connect", NULL };
static const char *const of_monitor[] = { "sched_setaffinity", NULL };
static const char *const threads[] = { "rng", "blk", "vsock", "console", "can", NULL };

const struct row rows[] = {
	{ "blk", "an image", { "--image", "disk" } },
	{ "blk", "an image past the page cache", { "--image", "disk", "--cache", "none" },
		.direct = true },
	{ "can", "no host", { NULL } },
	{ "can", "a log", { "--log", "log" }, .folder = true },
	{ "console", "a socket", { "--path", "console" } },
	{ "console", "a PTY and a log", { "--host", "pty", "--path", "pty", "--log", "log" } },
	{ "gpio", "simulated lines", { "--lines", "key sim in", "--state", "state" } },
	{ "i2c", "simulated chips", { "--devices", "0x48 lm75 temp=21.5" } },
	{ "input", "a keyboard", { NULL } },
	{ "net", "no link", { "--mac", "52:54:00:00:00:01" } },
	{ "net", "passt", { "--passt-socket", "%/listens" }, .folder = true },
	{ "rng", "getrandom", { NULL } },
	{ "rtc", "alarms that are kept", { "--state", "state" } },
	{ "scmi", "a clock and sensors of others",
		{ "--clocks", "uart rate=48000000", "--sensors",
			"cabin unit=celsius exponent=-1 source=socket", "--sensor-socket",
			"sensors" } },
	{ "spi", "simulated chips", { "--devices", "0 loopback" } },
	{ "vsock", "the host and peers",
		{ "--cid", "3", "--uds", "v", "--peers", "4", "--peer-uds", "p" }, .folder = true },
	{ "can-bus", "a log", { "--log", "log", "--port", "name=a,socket=a" }, .folder = true },
	{ "switch", "no uplink", { "--port", "name=a,socket=a", "--port", "name=b,socket=b" } },
	{ "switch", "passt", { "--uplink", "passt:%/listens", "--port", "name=a,socket=a" },
		.folder = true },
	{ "scmi-platform", "a clock",
		{ "--clocks", "uart rate=48000000", "--port", "name=a,socket=a,agent=one" } },
	{ "wires", "a net and a trace",
		{ "--nets", "n", "--trace", "trace", "--port",
			"name=a,socket=a,lines=key wire:n in" } },
	{ "link", "a socket and a log",
		{ "--host", "socket", "--path", "end", "--log", "log", "--port",
			"name=a,socket=a,host=null" } },
	{ "monitor", "devices of other processes",
		{ "--kernel", "guest", "--cmdline", "spin", "--memory", "16M", "--device",
			"type=rng,socket=%/rng" },
		no_threads, front_end, .folder = true, .needs = "/dev/kvm" },
	{ "monitor", "devices on threads",
		{ "--kernel", "guest", "--cmdline", "spin", "--memory", "16M", "--device",
			"type=rng,isolate=false", "--device", "type=blk,isolate=false,image=disk",
			"--device", "type=vsock,isolate=false,cid=3,uds=v", "--device",
			"type=console,isolate=false,path=console", "--device",
			"type=can,isolate=false,log=log" },
		threads, of_monitor, .folder = true, .needs = "/dev/kvm" },
	{ NULL },
};
