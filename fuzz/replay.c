/* SPDX-License-Identifier: BSD-3-Clause */
/* A target without libFuzzer: runs the files named, and all files of the folders named. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "fuzz.h"

static int run_path(const char *path, unsigned *count);

static int run_folder(const char *path, unsigned *count)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);
	int ret = n < 0;

	for (int i = 0; i < n; i++) {
		autofree char *one = NULL;

		if (!ret && names[i]->d_name[0] != '.')
			ret = asprintf(&one, "%s/%s", path, names[i]->d_name) < 0 ||
			      run_path(one, count);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return ret;
}

static int run_file(FILE *f, size_t len)
{
	/* Exactly as long as the input, for the sanitizer to see what reads beyond it. */
	autofree uint8_t *data = malloc(len ? len : 1);

	if (!data || fread(data, 1, len, f) != len)
		return 1;
	LLVMFuzzerTestOneInput(data, len);
	return 0;
}

static int run_path(const char *path, unsigned *count)
{
	autofclose FILE *f = NULL;
	struct stat st;

	if (stat(path, &st)) {
		perror(path);
		return 1;
	}
	if (S_ISDIR(st.st_mode))
		return run_folder(path, count);
	f = fopen(path, "re");
	if (!f || run_file(f, (size_t)st.st_size)) {
		perror(path);
		return 1;
	}
	++*count;
	return 0;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int ret = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		fprintf(stderr, "%s\n", argv[i]);
		ret |= run_path(argv[i], &count);
	}
	printf("%u inputs\n", count);
	return ret || !count;
}
