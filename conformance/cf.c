/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs cases: which ones, around each what cf.h promises, and the verdict. */
#include "conformance/cf_core.h"

size_t cf_size(void)
{
	return sizeof(struct cf);
}

/* Verdicts. */

bool cf_check(struct cf *c, bool ok, const char *fmt, ...)
{
	__builtin_va_list args;

	if (ok || c->verdict == CF_FAIL)
		return ok;
	c->verdict = CF_FAIL;
	__builtin_va_start(args, fmt);
	cf_vformat(c->evidence, sizeof(c->evidence), fmt, args);
	__builtin_va_end(args);
	return false;
}

bool cf_eq(struct cf *c, uint64_t got, uint64_t want, const char *what)
{
	return cf_check(c, got == want, "%s is %llu (0x%llx), must be %llu (0x%llx)", what,
		(unsigned long long)got, (unsigned long long)got, (unsigned long long)want,
		(unsigned long long)want);
}

void cf_skip(struct cf *c, const char *fmt, ...)
{
	__builtin_va_list args;

	if (c->verdict != CF_PASS)
		return;
	c->verdict = CF_SKIP;
	__builtin_va_start(args, fmt);
	cf_vformat(c->evidence, sizeof(c->evidence), fmt, args);
	__builtin_va_end(args);
}

void cf_note(struct cf *c, const char *fmt, ...)
{
	__builtin_va_list args;

	if (c->verdict != CF_PASS)
		return;
	__builtin_va_start(args, fmt);
	cf_vformat(c->evidence, sizeof(c->evidence), fmt, args);
	__builtin_va_end(args);
}

bool cf_failed(const struct cf *c)
{
	return c->verdict == CF_FAIL;
}

/* What the case is about. */

struct cf_target *cf_target(const struct cf *c)
{
	return c->target;
}

struct drv_dev *cf_dev(const struct cf *c)
{
	return c->target->dev;
}

bool cf_packed(const struct cf *c)
{
	return c->packed;
}

bool cf_offered(const struct cf *c, unsigned bit)
{
	return c->offered >> bit & 1;
}

const char *cf_fact(const struct cf *c, const char *key)
{
	return c->target->fact ? c->target->fact(c->target, key) : NULL;
}

/* Why the case cannot be run on this target at all; NULL if it can. */
static const char *unsuitable(const struct cf_target *t, const struct cf_case *k)
{
	const char *transport = t->dev->ops->name;

	if ((k->flags & CF_PCI) && !cf_text_same(transport, "pci"))
		return "not a pci device";
	if ((k->flags & CF_MMIO) && !cf_text_same(transport, "mmio"))
		return "not an mmio device";
	if ((k->flags & CF_GUEST) && !t->guest)
		return "judged in a guest only";
	if ((k->flags & CF_LONG) && t->guest)
		return "takes too long in a guest";
	if ((k->flags & CF_PEER) && !t->peer)
		return "no second device to talk to";
	if ((k->flags & CF_ECHO) && !t->echo)
		return "no host side that echoes";
	if ((k->flags & CF_IRQ) && !t->dev->ops->interrupts)
		return "interrupts cannot be counted";
	return NULL;
}

static bool status_readable(const struct cf_target *t)
{
	uint8_t status;

	return t->dev->ops->status(t->dev, &status) != DRV_UNSUPPORTED;
}

/* A device that is gone is brought back, so that the next case is judged for itself. */
static void check_alive(struct cf *c, const char *when)
{
	struct cf_target *t = c->target;
	const char *why = "the device is gone";

	if (!t->alive || t->alive(t, &why))
		return;
	cf_check(c, false, "%s%s", when, why);
	if (t->revive)
		t->revive(t);
}

/* That the device is gone says more than what failed because of it. */
static bool check_result(struct cf *c, int r, const char *what)
{
	if (r == DRV_GONE)
		check_alive(c, "");
	return cf_check(c, !r, "%s", what);
}

/* Skips the case if it asks for something that is not there. */
static bool suitable(struct cf *c)
{
	const char *why = unsuitable(c->target, c->c);
	uint64_t missing;

	if (why) {
		cf_skip(c, "%s", why);
		return false;
	}
	if ((c->c->flags & CF_STATUS) && !status_readable(c->target)) {
		cf_skip(c, "the device status cannot be read");
		return false;
	}
	if (!check_result(c, c->target->dev->ops->features(c->target->dev, &c->offered),
		    "the features offered cannot be read"))
		return false;
	missing = c->c->needs & ~c->offered;
	if (c->packed)
		missing |= DRV_FEATURE(VIRTIO_F_RING_PACKED) & ~c->offered;
	if (missing)
		cf_skip(c, "feature bit %d is not offered", __builtin_ctzll(missing));
	return !missing;
}

/* One run of a case. */

static void check_rings(struct cf *c)
{
	for (unsigned i = 0; i < CF_QUEUES_MAX; i++)
		if (c->open[i])
			cf_check(c, !c->queues[i].ring.broken,
				"queue %u: the device used what was not available", i);
}

static void clean_up(struct cf *c)
{
	if (!(c->c->flags & CF_HOSTILE))
		check_rings(c);
	drv_reset(c->target->dev);
	if (c->target->peer)
		drv_reset(c->target->peer);
	check_alive(c, "");
	cf_check_guards(c);
}

static void start_case(struct cf *c, const struct cf_case *k, bool packed)
{
	c->c = k;
	c->packed = packed;
	c->verdict = CF_PASS;
	c->evidence[0] = 0;
	c->mem_used = 0;
	c->nbufs = 0;
	for (unsigned i = 0; i < CF_QUEUES_MAX; i++)
		c->open[i] = false;
}

static bool run_case(struct cf *c, const struct cf_case *k, bool packed)
{
	uint64_t start = drv_now(c->target->dev);
	struct cf_result r = { .c = k, .packed = packed };

	start_case(c, k, packed);
	check_alive(c, "some time after the case before: ");
	if (suitable(c)) {
		if (check_result(c, drv_reset(c->target->dev), "the device cannot be reset"))
			k->run(c);
		clean_up(c);
	}
	r.verdict = c->verdict;
	r.ns = drv_now(c->target->dev) - start;
	r.evidence = c->evidence;
	c->run->report(c->run->ctx, &r);
	return c->verdict != CF_FAIL;
}

static bool chosen(const struct cf_run *run, const struct cf_case *k)
{
	if (k->device && k->device != run->target->dev->id)
		return false;
	if (run->target->hostile && !(k->flags & CF_HOSTILE))
		return false;
	return !run->wanted || run->wanted(run->ctx, k);
}

unsigned cf_run(struct cf *c, const struct cf_run *run)
{
	unsigned failed = 0;

	c->run = run;
	c->target = run->target;
	for (unsigned t = 0; cf_case_tables[t]; t++) {
		for (const struct cf_case *k = cf_case_tables[t]; k->name; k++) {
			if (!chosen(run, k))
				continue;
			if (!(k->flags & CF_PACKED))
				failed += !run_case(c, k, false);
			if (k->flags & (CF_RINGS | CF_PACKED))
				failed += !run_case(c, k, true);
		}
	}
	return failed;
}
