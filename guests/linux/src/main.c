/* SPDX-License-Identifier: BSD-3-Clause */
/* avp-guest: picks the check. Each one prints a line of detail and exits 0, or says what is wrong.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guest.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{"disk", cmd_disk,
		"FILE MIB                 write, fsync, drop caches, read back, compare"},
	{"soak", cmd_soak, "FILE MIB SECONDS         random 4 KiB writes and reads, all compared"},
	{"echo", cmd_echo, "ADDRESS KIB              send and receive back, compare"},
	{"echo-serve", cmd_echo_serve, "ADDRESS [CONNECTIONS]  send back what comes"},
	{"meet", cmd_meet, "LISTEN-ADDRESS PEER      return when the peer has called it too"},
	{"rng", cmd_rng, "DEVICE BYTES             read twice, expect two different blocks"},
};

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* splitmix64 of the position: any part of the stream can be made on its own. */
void pattern_fill(uint64_t seed, uint64_t offset, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t z = (seed << 40) + offset + i + 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		z ^= z >> 31;
		memcpy((char *)buf + i, &z, 8);
	}
}

int fail(const char *what)
{
	fprintf(stderr, "avp-guest: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fputs("usage: avp-guest COMMAND ...   ADDRESS is tcp:HOST:PORT or vsock:CID:PORT\n",
		stderr);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
