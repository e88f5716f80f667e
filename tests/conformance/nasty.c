/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes reports about verdicts whose strings are as bad as a device or a guest could make them.
 * usage: nasty OPTION=PATH...; the options are tap, junit, html and json; nothing= leaves the
 * verdicts out. */
#include <string.h>

#include "conformance/host/report.h"

const struct cf_case *const cf_case_tables[] = { NULL };

static const struct report_result verdicts[] = {
	{ "blk", "vhost-user", "vq.good", "V2.2.2-1 BLK-2", REPORT_SPLIT, CF_PASS, 1500000, "" },
	{ "blk", "vhost-user", "vq.good", "V2.2.2-1", REPORT_PACKED, CF_FAIL, 2500000000,
		"<script>alert(1)</script> ]]> & \"quotes\" 'and' # hash \\ backslash" },
	{ "blk", "pci", "vq.bytes", "V2.2.2-1 NOT-AN-ID", REPORT_NO_RINGS, CF_FAIL, 0,
		"\x01\x1b["
		"31m\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\xa8\xff\xfe\xc3\x28\xed\xa0\x80\xef\xbf\xbf"
		"\xf5 caf\xc3\xa9\n"
		"not ok 99 - forged\r\n</testcase>" },
	{ "net<>", "vhost-user", "net.skipped # SKIP", " ", REPORT_NO_RINGS, CF_SKIP, 7,
		"feature bit 5 is not offered # SKIP" },
	{ "net<>", "vhost-user", "net.claims.nothing", "", REPORT_NO_RINGS, CF_PASS, UINT64_MAX,
		"100%s%n" },
};

int main(int argc, char **argv)
{
	struct report_opts o = { NULL };
	struct report *r;
	struct err e = { 0 };
	unsigned failed = 0;
	bool nothing = false;

	for (int i = 1; i < argc; i++) {
		char *path = strchr(argv[i], '=');

		if (!path)
			return 2;
		*path++ = 0;
		if (!strcmp(argv[i], "nothing")) {
			nothing = true;
			continue;
		}
		*(!strcmp(argv[i], "tap")	    ? &o.tap
			: !strcmp(argv[i], "junit") ? &o.junit
			: !strcmp(argv[i], "html")  ? &o.html
						    : &o.json) = path;
	}
	if (report_open(&r, &o, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 2;
	}
	for (unsigned i = 0; !nothing && i < sizeof(verdicts) / sizeof(*verdicts); i++)
		report_add(r, &verdicts[i]);
	if (!nothing)
		report_broken(r, "rng", "the back-end was killed by signal 11");
	if (report_close(r, &failed, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 2;
	}
	return failed == 3 ? 0 : 1;
}
