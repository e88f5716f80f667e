/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest says on its serial port, and what becomes of it: a guest may say anything, as often
 * as it likes, and what it does not say is no success. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/guest_judge.h"
#include "tap.h"

static const struct cf_case cases[] = {
	{ "a.both", "ROB-1", NULL, .flags = CF_RINGS },
	{ "a.one", "ROB-1", NULL },
	{ NULL },
};

const struct cf_case *const cf_case_tables[] = { cases, NULL };

static enum guest_word parse(struct guest_line *l, const char *text)
{
	*l = (struct guest_line){ .word = GUEST_TEXT };
	snprintf(l->text, sizeof(l->text), "%s", text);
	guest_line_parse(l);
	return l->word;
}

static void good_lines_are_understood(struct tap *t)
{
	struct guest_line l;

	parse(&l, "\x1b[0mAVPC begin pci 2 1");

	CHECK(t, l.word == GUEST_BEGIN && l.device == 2 && l.index == 1 && !strcmp(l.name, "pci"));
	CHECK_EQ(t, parse(&l, "AVPC begin - 0 0"), GUEST_BEGIN);
	parse(&l, "AVPC case a.both packed skip 123 why  it was, # skipped");
	CHECK(t, l.word == GUEST_CASE && l.rings == REPORT_PACKED && l.verdict == CF_SKIP);
	CHECK(t, l.ns == 123 && !strcmp(l.evidence, "why  it was, # skipped"));
	parse(&l, "AVPC case a.one - pass 0 ");
	CHECK(t, l.word == GUEST_CASE && l.rings == REPORT_NO_RINGS && !*l.evidence);
	CHECK_EQ(t, parse(&l, "AVPC case a.one - pass 5"), GUEST_CASE);
	CHECK_EQ(t, parse(&l, "AVPC run a.one"), GUEST_RUN);
	CHECK_EQ(t, parse(&l, "AVPC ready flushed"), GUEST_READY);
	CHECK_EQ(t, parse(&l, "AVPC end pci 2 1"), GUEST_END);
	CHECK_EQ(t, parse(&l, "AVPC done"), GUEST_DONE);
	parse(&l, "AVPC beat 17 4096 8191 0");
	CHECK(t, l.word == GUEST_BEAT && l.beat.n == 17 && l.beat.frames == 8191);
	parse(&l, "AVPC bye 4100");
	CHECK(t, l.word == GUEST_BYE && l.writes == 4100);
}

static void all_others_are_text(struct tap *t)
{
	static const char *const lines[] = {
		"",
		"AVPC",
		"AVPC ",
		"AVPC run",
		"AVPC run <script>",
		"AVPC run a#SKIP",
		"AVPC run A.B",
		"AVPC run a\tb",
		"AVPC doner",
		"AVPC begin pci 2",
		"AVPC begin pci -2 0",
		"AVPC begin pci 0x2 0",
		"AVPC begin pci 99999999999999999999 0",
		"AVPC case a.one",
		"AVPC case a.one - pass",
		"AVPC case a.one - pass -5",
		"AVPC case a.one - pass 5x",
		"AVPC case a.one - pass 1000000000000000000000",
		"AVPC case a.one - good 5",
		"AVPC case a.one both pass 5",
		"AVPC case a#SKIP - pass 5",
		("AVPC case "
		 "a.oneaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa - pass 5"),
		"AVPC beat 1 2 3",
		"AVPC bye",
		"AVPC bye -1",
	};
	struct guest_line l;

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
		if (!CHECK_EQ(t, parse(&l, lines[i]), GUEST_TEXT))
			printf("# '%s'\n", lines[i]);
}

/* A run: what the guest says, what the JSON lines then have. */

struct heard {
	struct guest_judge judge;
	char path[64];
};

static void begin(struct tap *t, struct heard *h)
{
	const char *tmp = getenv("TMPDIR");
	struct report_opts opts = { .json = h->path };
	int fd;

	*h = (struct heard){ .judge.done = false };
	snprintf(h->path, sizeof(h->path), "%s/judge-XXXXXX",
		tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	fd = mkstemp(h->path);
	CHECK(t, fd >= 0 && !report_open(&h->judge.report, &opts, NULL));
	close_fd(&fd);
}

static void say(struct heard *h, const char *text)
{
	struct guest_line l;

	parse(&l, text);
	judge_line(&h->judge, &l);
}

/* The text that goes to standard output is none of TAP's. */
static void close_quietly(struct heard *h, unsigned *failed)
{
	autoclose int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = -1;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	dup2(null, STDOUT_FILENO);
	report_close(h->judge.report, failed, NULL);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
}

/* Ends it. True if there are `n` verdicts, of which `failed` failed, and one has `text`. */
static bool end(struct heard *h, unsigned n, unsigned failed, const char *text)
{
	autofclose FILE *f = fopen(h->path, "re");
	struct report_result r;
	unsigned lines = 0, bad = 0;
	bool found = !text;
	char line[2048];

	close_quietly(h, &bad);
	while (f && fgets(line, sizeof(line), f)) {
		struct cJSON *doc = NULL;

		if (report_from_json(line, &r, &doc) == REPORT_VERDICT)
			lines++;
		found = found || strstr(line, text);
		report_json_free(doc);
	}
	unlink(h->path);
	if (lines != n || bad != failed || !found)
		printf("# %u verdicts, %u failed%s\n", lines, bad, found ? "" : ", text missing");
	return lines == n && bad == failed && found;
}

static void verdicts_are_those_of_cases_that_run(struct tap *t)
{
	struct heard h;

	begin(t, &h);
	say(&h, "AVPC begin pci 2 0");
	say(&h, "AVPC run a.both");
	say(&h, "AVPC case a.both split pass 1");
	say(&h, "AVPC case a.both packed fail 1 because");
	say(&h, "AVPC run a.one");
	say(&h, "AVPC case a.one - pass 1");
	/* Not begun; begun, but over; another one than the one that runs. */
	say(&h, "AVPC case a.one - pass 1");
	say(&h, "AVPC case a.invented - pass 1");
	say(&h, "AVPC run a.one");
	say(&h, "AVPC case a.both split pass 1");
	say(&h, "AVPC case a.one - skip 1 not here");
	say(&h, "AVPC end pci 2 0");
	say(&h, "AVPC done");
	CHECK(t, h.judge.done && h.judge.begun == 3);
	CHECK(t, end(&h, 4, 1, "because"));
}

static void what_has_no_verdict_has_failed(struct tap *t)
{
	static const char *const next[] = { "AVPC run a.one", "AVPC end pci 2 0", "AVPC done",
		"AVPC begin mmio 2 0" };
	struct heard h;

	for (unsigned i = 0; i < ARRAY_LEN(next); i++) {
		begin(t, &h);
		say(&h, "AVPC begin pci 2 0");
		say(&h, "AVPC run a.both");
		say(&h, "AVPC case a.both split pass 1");
		say(&h, "a last word");
		say(&h, next[i]);
		CHECK(t, end(&h, 2, 1,
				 "the guest goes on without a verdict; last words: a last word"));
	}
	begin(t, &h);
	say(&h, "AVPC done");
	CHECK(t, end(&h, 1, 1, "no case was run"));
}

static void verdicts_without_end_are_cut(struct tap *t)
{
	struct heard h;

	begin(t, &h);
	say(&h, "AVPC begin pci 2 0");
	for (unsigned i = 0; i < 30000; i++) {
		say(&h, "AVPC run a.one");
		say(&h, "AVPC case a.one - pass 1");
	}
	CHECK(t, end(&h, 20001, 1, "more verdicts than there can be"));
}

static bool heard_all(void *ctx, const struct guest_line *l)
{
	return l->word != GUEST_DONE;
}

/* A guest that never stops is stopped when the time is over. */
static void a_flood_does_not_stop_the_clock(struct tap *t)
{
	static const char flood[] = "text without end\nAVPC run a.one\n";
	char dir[64], path[80], why[240] = "";
	struct vm_opts opts = { .signals = -1 };
	struct vm vm = { .opts = &opts, .neighbour.fd = -1 };
	const struct guest_watch watch = { &vm, UINT64_C(60000000000),
		ev_now_ns() + UINT64_C(300000000), heard_all, NULL, NULL };
	struct err e = { 0 };

	REQUIRE(t, !child_folder(dir, "/tmp", &e));
	snprintf(path, sizeof(path), "%s/serial", dir);
	REQUIRE(t, !guest_serial_make(path, &e) && !guest_serial_open(&vm.serial, path, &e));
	vm.child.pid = fork();
	if (!vm.child.pid) {
		FILE *f = fopen(path, "we");

		while (f && fputs(flood, f) >= 0)
			continue;
		_exit(1);
	}
	REQUIRE(t, vm.child.pid > 0);
	alarm(60);
	CHECK_EQ(t, guest_watch(&watch, why, sizeof(why)), WATCH_LATE);
	alarm(0);
	CHECK(t, strstr(why, "the time for the whole run is over"));
	child_kill(&vm.child);
	guest_serial_close(&vm.serial);
	unlink(path);
	rmdir(dir);
}

/* Lines that are too long, bytes that are no text, and what a terminal would obey. */
static void serial_lines_are_clean(struct tap *t)
{
	static const char bytes[] = "\x1b[2J\xc2\x9b"
				    "1m\0x\xff\r\r\nAVPC done\n";
	char dir[64], path[80], many[3 * GUEST_LINE_MAX];
	struct guest_serial s = { .fd = -1 };
	struct guest_line l;
	struct err e = { 0 };
	size_t got = 0;

	REQUIRE(t, !child_folder(dir, "/tmp", &e));
	snprintf(path, sizeof(path), "%s/serial", dir);
	REQUIRE(t, !guest_serial_make(path, &e) && !guest_serial_open(&s, path, &e));
	CHECK(t, !guest_serial_next(&s, &l));
	CHECK(t, !fd_write_full(s.fd, bytes, sizeof(bytes) - 1));
	CHECK(t, guest_serial_next(&s, &l) && !strcmp(l.text, " [2J  1m?x?"));
	CHECK(t, guest_serial_next(&s, &l) && l.word == GUEST_DONE);
	memset(many, 'x', sizeof(many));
	CHECK(t, !fd_write_full(s.fd, many, sizeof(many)) && !fd_write_full(s.fd, "\n", 1));
	while (guest_serial_next(&s, &l)) {
		CHECK_EQ(t, l.word, GUEST_TEXT);
		got += strlen(l.text);
	}
	CHECK_EQ(t, got, sizeof(many));
	guest_serial_close(&s);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, good_lines_are_understood);
	TAP_RUN(&t, all_others_are_text);
	TAP_RUN(&t, verdicts_are_those_of_cases_that_run);
	TAP_RUN(&t, what_has_no_verdict_has_failed);
	TAP_RUN(&t, verdicts_without_end_are_cut);
	TAP_RUN(&t, a_flood_does_not_stop_the_clock);
	TAP_RUN(&t, serial_lines_are_clean);
	return tap_done(&t);
}
