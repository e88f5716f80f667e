/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine allows at most, on one core.
 *
 *	limits pread FILE SIZE rand|seq DEPTH SECONDS  reads of a file into DEPTH buffers
 *	limits pwrite FILE SIZE rand|seq DEPTH SECONDS
 *	limits eventfd SECONDS                         two processes that wake each other in turn
 *
 * Prints operations (for eventfd: round trips), seconds, and seconds of CPU time.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/util.h"
#include "pattern.h"

#define CLOCK_OPS 64u /* operations between two looks at the clock */

static void report(unsigned long ops, uint64_t start)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%lu %.6f %.6f\n", ops, (double)(ev_now_ns() - start) / 1e9,
		(double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
}

static int move(char **argv, bool write)
{
	autoclose int fd = open(argv[0], O_RDWR | O_CLOEXEC);
	size_t size = strtoul(argv[1], NULL, 0), depth = strtoul(argv[3], NULL, 0);
	bool sequential = !strcmp(argv[2], "seq");
	uint64_t random = 7, start, end, blocks;
	unsigned long ops = 0;
	struct stat st;
	char *buffers;

	if (fd < 0 || fstat(fd, &st) || !size || !depth)
		return 1;
	buffers = aligned_alloc(4096, size * depth);
	blocks = (uint64_t)st.st_size / size;
	if (!buffers || !blocks)
		return 1;
	memset(buffers, 1, size * depth);
	start = ev_now_ns();
	end = start + (uint64_t)(atof(argv[4]) * 1e9);
	while (ops % CLOCK_OPS || ev_now_ns() < end) {
		char *buf = buffers + ops % depth * size;
		uint64_t block = ops % blocks;
		ssize_t n;

		if (!sequential)
			block = random_below(&random, blocks);
		n = write ? pwrite(fd, buf, size, (off_t)(block * size))
			  : pread(fd, buf, size, (off_t)(block * size));
		if (n != (ssize_t)size)
			return 1;
		ops++;
	}
	report(ops, start);
	free(buffers);
	return 0;
}

static int ping_pong(const char *seconds)
{
	int there = eventfd(0, EFD_CLOEXEC), back = eventfd(0, EFD_CLOEXEC);
	uint64_t start, end, v = 1;
	unsigned long ops = 0;
	pid_t child = fork();

	while (!child)
		if (read(there, &v, sizeof(v)) < 0 || write(back, &v, sizeof(v)) < 0)
			_exit(1);
	start = ev_now_ns();
	end = start + (uint64_t)(atof(seconds) * 1e9);
	while (ops % CLOCK_OPS || ev_now_ns() < end) {
		if (write(there, &v, sizeof(v)) < 0 || read(back, &v, sizeof(v)) < 0)
			return 1;
		ops++;
	}
	report(ops, start);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "pread"))
		return move(argv + 2, false);
	if (argc == 7 && !strcmp(argv[1], "pwrite"))
		return move(argv + 2, true);
	if (argc == 3 && !strcmp(argv[1], "eventfd"))
		return ping_pong(argv[2]);
	fprintf(stderr, "usage: limits pread|pwrite FILE SIZE rand|seq DEPTH SECONDS | eventfd "
			"SECONDS\n");
	return 2;
}
