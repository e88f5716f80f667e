/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/chip_tell.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "base/words.h"

#define PEEK_MAX 256u
#define POKE_MAX 64u
#define LINE_LEN 16u

static int peek(const struct chip_bytes *b, void *chip, uint64_t at, unsigned n, FILE *answer,
	struct err *e)
{
	uint8_t bytes[PEEK_MAX];
	int r = b->peek(chip, at, bytes, n);

	if (r)
		return err_sys(e, r, "reading the chip's contents");
	for (unsigned i = 0; i < n; i++) {
		if (i % LINE_LEN == 0)
			fprintf(answer, "%s0x%04llx:", i ? "\n" : "", (unsigned long long)at + i);
		fprintf(answer, " %02x", bytes[i]);
	}
	fputs("\n", answer);
	return 0;
}

static int tell_peek(const struct chip_bytes *b, void *chip, unsigned argc, char **argv,
	FILE *answer, struct err *e)
{
	uint64_t at, n = 1;

	if (argc < 2 || argc > 3 || words_number(argv[1], 0, b->size - 1, &at) ||
		(argc == 3 && words_number(argv[2], 1, min_u64(PEEK_MAX, b->size - at), &n)))
		return err_set(e, -EINVAL,
			"peek AT [COUNT]: AT is 0 to 0x%llx, COUNT at most %u and to the chip's "
			"end",
			(unsigned long long)b->size - 1, PEEK_MAX);
	return peek(b, chip, at, (unsigned)n, answer, e);
}

static int tell_poke(
	const struct chip_bytes *b, void *chip, unsigned argc, char **argv, struct err *e)
{
	uint8_t bytes[POKE_MAX];
	uint64_t at, v;
	int r;

	if (argc < 3 || argc - 2 > POKE_MAX || words_number(argv[1], 0, b->size - 1, &at) ||
		argc - 2 > b->size - at)
		return err_set(e, -EINVAL,
			"poke AT BYTE...: AT is 0 to 0x%llx, followed by at most %u bytes up to "
			"the chip's end",
			(unsigned long long)b->size - 1, POKE_MAX);
	for (unsigned i = 2; i < argc; i++) {
		if (words_number(argv[i], 0, UINT8_MAX, &v))
			return err_set(e, -EINVAL, "'%.64s' is no byte, 0 to 255", argv[i]);
		bytes[i - 2] = (uint8_t)v;
	}
	r = b->poke(chip, at, bytes, argc - 2);
	return r ? err_sys(e, r, "writing the chip's contents") : 0;
}

bool chip_tell(const struct chip_bytes *b, void *chip, unsigned argc, char **argv, FILE *answer,
	int *r, struct err *e)
{
	if (argc && !strcmp(argv[0], "peek"))
		*r = tell_peek(b, chip, argc, argv, answer, e);
	else if (argc && !strcmp(argv[0], "poke"))
		*r = tell_poke(b, chip, argc, argv, e);
	else
		return false;
	return true;
}
