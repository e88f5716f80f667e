/* SPDX-License-Identifier: BSD-3-Clause */
/* The core of the conformance suite judges a device that breaks one rule: the case must fail, and
 * say why. Cases that a device cannot be judged by must be skipped, and say why. */
#include <stdlib.h>
#include <string.h>

#include "conformance/raw.h"
#include "fake.h"
#include "tap.h"

/* Cases. */

static void do_request(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *in = q ? cf_buf(c, 16) : NULL;

	if (in && cf_do(c, q, NULL, 0, in, 16, 16))
		cf_check(c, cf_filled(in, 0x77, 16), "the answer is wrong");
	cf_note(c, "was %s", "noted");
}

static void do_two(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q && cf_probe_works(c, q))
		cf_probe_works(c, q);
}

static void wait_interrupt(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q && cf_probe_works(c, q))
		cf_interrupted(c, 0);
}

static void make_loop(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (!q)
		return;
	*drv_raw_split(&q->ring, 0) = (struct drv_split_desc){
		.addr = cf_sg(c, cf_buf(c, 16), 16).addr,
		.len = 16,
		.flags = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
	};
	drv_raw_offer(&q->ring, 0);
	drv_raw_publish(&q->ring, 1);
	cf_dev(c)->ops->notify(cf_dev(c), 0, 1);
	cf_must_break(c, q);
}

static void use_up_memory(struct cf *c)
{
	cf_buf(c, UINT32_MAX);
}

static void two_failures(struct cf *c)
{
	cf_eq(c, 1, 2, "the first");
	cf_eq(c, 3, 4, "the second");
	cf_skip(c, "too late");
	cf_note(c, "too late");
}

static void skip_it(struct cf *c)
{
	cf_skip(c, "because of %u", 7u);
}

static const struct cf_case cases[] = {
	{ "t.request", "ROB-1", do_request },
	{ "t.rings", "ROB-1", do_request, .flags = CF_RINGS },
	{ "t.two", "ROB-1", do_two },
	{ "t.interrupt", "ROB-1", wait_interrupt, .flags = CF_IRQ },
	{ "t.loop", "ROB-1", make_loop, .flags = CF_HOSTILE | CF_STATUS },
	{ "t.memory", "ROB-1", use_up_memory },
	{ "t.failures", "ROB-1", two_failures },
	{ "t.skip", "ROB-1", skip_it },
	{ "t.other", "ROB-1", do_request, .device = 2 },
	{ "t.needs", "ROB-1", do_request, .needs = DRV_FEATURE(VIRTIO_F_INDIRECT_DESC) },
	{ "t.lacks", "ROB-1", do_request, .needs = DRV_FEATURE(5) | DRV_FEATURE(28) },
	{ "t.peer", "ROB-1", do_request, .flags = CF_PEER },
	{ "t.echo", "ROB-1", do_request, .flags = CF_ECHO },
	{ "t.pci", "ROB-1", do_request, .flags = CF_PCI },
	{ "t.guest", "ROB-1", do_request, .flags = CF_GUEST },
	{ 0 },
};

const struct cf_case *const cf_case_tables[] = { cases, NULL };

/* Running them. */

#define RESULTS_MAX 32

struct outcome {
	const char *name; /* of the case that is wanted; NULL: all */
	unsigned n, failed;
	struct cf_result v[RESULTS_MAX];
	char evidence[RESULTS_MAX][CF_EVIDENCE_MAX];
};

static bool wanted(void *ctx, const struct cf_case *c)
{
	const struct outcome *o = ctx;

	return !o->name || !strcmp(o->name, c->name);
}

static void report(void *ctx, const struct cf_result *r)
{
	struct outcome *o = ctx;

	if (o->n == RESULTS_MAX)
		return;
	o->v[o->n] = *r;
	snprintf(o->evidence[o->n], CF_EVIDENCE_MAX, "%s", r->evidence);
	o->n++;
}

static void run_on(struct fake *f, struct outcome *o, const char *name)
{
	const struct cf_run run = { &f->target, wanted, report, o };
	struct cf *c = malloc(cf_size());

	memset(o, 0, sizeof(*o));
	o->name = name;
	if (c)
		o->failed = cf_run(c, &run);
	free(c);
}

/* The case's only run on a device with this fault: the verdict, and words of the evidence. */
static void expect(struct tap *t, enum fake_fault fault, const char *name, enum cf_verdict verdict,
	const char *evidence)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct outcome o;

	fake_init(f, fault);
	run_on(f, &o, name);
	if (CHECK_EQ(t, o.n, 1)) {
		CHECK_EQ(t, o.v[0].verdict, verdict);
		CHECK_EQ(t, o.failed, verdict == CF_FAIL);
		if (!CHECK(t, strstr(o.evidence[0], evidence)))
			printf("# the evidence is \"%s\", not \"%s\"\n", o.evidence[0], evidence);
	}
	free(f);
}

static void a_good_device_passes(struct tap *t)
{
	expect(t, FAKE_GOOD, "t.request", CF_PASS, "was noted");
	expect(t, FAKE_GOOD, "t.two", CF_PASS, "");
	expect(t, FAKE_GOOD, "t.interrupt", CF_PASS, "");
	expect(t, FAKE_GOOD, "t.loop", CF_PASS, "");
	expect(t, FAKE_GOOD, "t.needs", CF_PASS, "");
}

static void writes_outside_a_buffer_are_noticed(struct tap *t)
{
	expect(t, FAKE_WRITES_BEFORE, "t.request", CF_FAIL, "wrote before buffer 0 (of 16 bytes)");
	expect(t, FAKE_WRITES_BEHIND, "t.request", CF_FAIL, "wrote behind buffer 0 (of 16 bytes)");
}

static void a_wrong_used_length_is_noticed(struct tap *t)
{
	expect(t, FAKE_LONG_USED, "t.request", CF_FAIL, "");
}

static void used_entries_have_to_match(struct tap *t)
{
	expect(t, FAKE_WRONG_ID, "t.request", CF_FAIL, "matches no buffer");
}

static void silence_is_a_failure(struct tap *t)
{
	expect(t, FAKE_SILENT, "t.request", CF_FAIL, "no buffer used in 20 ms");
	expect(t, FAKE_NO_INTERRUPT, "t.interrupt", CF_FAIL, "no interrupt came");
}

static void initialization_is_judged(struct tap *t)
{
	expect(t, FAKE_NO_RESET, "t.request", CF_FAIL, "cannot be reset");
	expect(t, FAKE_NO_FEATURES_OK, "t.request", CF_FAIL, "refuses features");
}

static void hostile_cases_end_in_needs_reset(struct tap *t)
{
	expect(t, FAKE_NO_NEEDS_RESET, "t.loop", CF_FAIL, "bits 0x40 must become 0x40");
	expect(t, FAKE_USES_LOOP, "t.loop", CF_FAIL, "used a buffer that breaks the rules");
	expect(t, FAKE_STAYS_BROKEN, "t.loop", CF_FAIL, "no buffer used");
}

/* A device that dies fails the case at hand only. */
static void a_dead_device_is_revived(struct tap *t)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct outcome o;

	fake_init(f, FAKE_DIES);
	run_on(f, &o, "t.request");
	CHECK_EQ(t, o.failed, 1);
	CHECK_EQ(t, f->revived, 1);
	run_on(f, &o, "t.request");
	CHECK_EQ(t, o.failed, 0);
	CHECK_EQ(t, f->revived, 1);
	free(f);
}

static void the_first_failure_is_the_evidence(struct tap *t)
{
	expect(t, FAKE_GOOD, "t.failures", CF_FAIL, "the first is 1 (0x1), must be 2 (0x2)");
	expect(t, FAKE_GOOD, "t.memory", CF_FAIL, "no memory for a buffer of 4294967295 bytes");
	expect(t, FAKE_GOOD, "t.skip", CF_SKIP, "because of 7");
}

static void what_is_not_there_is_skipped(struct tap *t)
{
	expect(t, FAKE_GOOD, "t.lacks", CF_SKIP, "feature bit 5 is not offered");
	expect(t, FAKE_GOOD, "t.peer", CF_SKIP, "no second device");
	expect(t, FAKE_GOOD, "t.echo", CF_SKIP, "no host side that echoes");
	expect(t, FAKE_GOOD, "t.pci", CF_SKIP, "not a pci device");
	expect(t, FAKE_GOOD, "t.guest", CF_SKIP, "in a guest only");
}

static void cases_of_other_devices_are_left_out(struct tap *t)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct outcome o;

	fake_init(f, FAKE_GOOD);
	run_on(f, &o, "t.other");
	CHECK_EQ(t, o.n, 0);
	f->target.hostile = true;
	run_on(f, &o, NULL);
	CHECK_EQ(t, o.n, 1);
	CHECK(t, !strcmp(o.v[0].c->name, "t.loop"));
	free(f);
}

static void cases_of_rings_run_with_both(struct tap *t)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct outcome o;

	fake_init(f, FAKE_GOOD);
	run_on(f, &o, "t.rings");
	REQUIRE(t, o.n == 2);
	CHECK(t, !o.v[0].packed && o.v[0].verdict == CF_PASS);
	CHECK(t, o.v[1].packed && o.v[1].verdict == CF_SKIP);
	CHECK(t, strstr(o.evidence[1], "feature bit 34"));
	free(f);
}

static void text_is_formatted(struct tap *t)
{
	char buf[64];
	uint64_t v;

	CHECK_EQ(t,
		cf_format(buf, sizeof(buf), "%s %c %d %u %02x %llx", "s", 'c', -5, 7u, 0xau,
			0x123456789abcull),
		strlen("s c -5 7 0a 123456789abc"));
	CHECK(t, !strcmp(buf, "s c -5 7 0a 123456789abc"));
	cf_format(buf, 4, "%s", "longer");
	CHECK(t, !strcmp(buf, "lon"));
	CHECK(t, cf_number("4294967296", &v) && v == UINT64_C(4294967296));
	CHECK(t, cf_number("0xFf", &v) && v == 255);
	CHECK(t, !cf_number("", &v));
	CHECK(t, !cf_number("12k", &v));
	CHECK(t, !cf_number("0x", &v));
	CHECK(t, !cf_number("18446744073709551616", &v));
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, a_good_device_passes);
	TAP_RUN(&t, writes_outside_a_buffer_are_noticed);
	TAP_RUN(&t, a_wrong_used_length_is_noticed);
	TAP_RUN(&t, used_entries_have_to_match);
	TAP_RUN(&t, silence_is_a_failure);
	TAP_RUN(&t, initialization_is_judged);
	TAP_RUN(&t, hostile_cases_end_in_needs_reset);
	TAP_RUN(&t, a_dead_device_is_revived);
	TAP_RUN(&t, the_first_failure_is_the_evidence);
	TAP_RUN(&t, what_is_not_there_is_skipped);
	TAP_RUN(&t, cases_of_other_devices_are_left_out);
	TAP_RUN(&t, cases_of_rings_run_with_both);
	TAP_RUN(&t, text_is_formatted);
	return tap_done(&t);
}
