/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the system file: what `avp check` and `avp run` read first. */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "system/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *path = fuzz_path("system.yaml");
	struct conf_errors errors = { .n = 0 };
	struct conf *conf = NULL;

	if (!path || fuzz_file("system.yaml", data, size))
		return 0;
	if (conf_read(&conf, path, &errors) && !errors.n)
		fuzz_fail("a system file was refused without a reason");
	conf_errors_free(&errors);
	conf_free(conf);
	return 0;
}
