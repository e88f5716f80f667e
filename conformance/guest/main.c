/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite in a guest: judges the platform, then each virtio device, and reports by
 * lines on the serial port:
 *
 *     AVPC begin TRANSPORT DEVICE-ID INDEX     "- 0 0": the platform
 *     AVPC run NAME                            before each case
 *     AVPC case NAME split|packed|- pass|fail|skip NANOSECONDS EVIDENCE
 *     AVPC end TRANSPORT DEVICE-ID INDEX
 *     AVPC done
 *
 * The second net and vsock device are what the first ones talk to, and are not judged themselves.
 */
#include "conformance/guest/role.h"
#include "conformance/guest/words.h"
#include "guests/bare/virtio.h"

#define DEVICE_MEMORY (2u << 20)
#define CASE_MEMORY   (8u << 20)
#define HOLE	      UINT64_C(0x7f00000000) /* far above RAM and registers */
#define LIMIT_MS      2000u
#define LINE_MAX      (CF_EVIDENCE_MAX + 160)
#define FACTS_MAX     8
#define FACT_MAX      128
#define LIST_MAX      512
#define NET	      1
#define VSOCK	      19
#define CAN	      36

/* The run. */
struct runner {
	struct bare_info *info;
	struct bare_virtio_list *devices;
	struct cf *cf;
	struct cf_target target;
	struct drv_dev platform; /* stands for the machine itself */
	struct cf_guest guest;
	struct cf_range ram[BARE_RAM_MAX];
	struct drv_dev *devs[BARE_VIRTIO_MAX];
	unsigned index; /* of the device within its class */
	uint64_t from;	/* cases still to be left out */
	char only[LIST_MAX], skip[LIST_MAX], types[LIST_MAX];
	char facts[FACTS_MAX][FACT_MAX]; /* the last ones asked for */
	unsigned nfacts;
};

/* The machine as a device: it can be reset, and that is all. */

static int no_features(struct drv_dev *dev, uint64_t *offered)
{
	*offered = 0;
	return 0;
}

static int no_accept(struct drv_dev *dev, uint64_t features)
{
	return DRV_UNSUPPORTED;
}

static int no_status(struct drv_dev *dev, uint8_t *status)
{
	return DRV_UNSUPPORTED;
}

static int reset_only(struct drv_dev *dev, uint8_t status)
{
	return status ? DRV_UNSUPPORTED : 0;
}

static const struct drv_ops no_ops = {
	.name = "-",
	.features = no_features,
	.accept = no_accept,
	.status = no_status,
	.set_status = reset_only,
};

/* Reports. */

static void print_device(const char *what, const struct runner *r)
{
	char line[LINE_MAX];

	cf_format(line, sizeof(line), "AVPC %s %s %u %u\n", what, r->target.dev->ops->name,
		r->target.dev->id, r->index);
	bare_put(line);
}

static void report(void *ctx, const struct cf_result *res)
{
	static const char *const verdicts[] = { "pass", "fail", "skip" };
	const char *rings = !(res->c->flags & CF_RINGS) ? "-" : res->packed ? "packed" : "split";
	char line[LINE_MAX];

	cf_format(line, sizeof(line) - 1, "AVPC case %s %s %s %llu %s", res->c->name, rings,
		verdicts[res->verdict], (unsigned long long)res->ns,
		res->evidence ? res->evidence : "");
	/* One line, whatever a device made the evidence say. */
	for (char *s = line; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
	bare_put(line);
	bare_put("\n");
}

/* Cases about the machine are not repeated for each of its devices, and what all devices have in
 * common is judged on the first one of a class. */
static bool wanted(void *ctx, const struct cf_case *k)
{
	struct runner *r = ctx;
	bool about_platform = (k->flags & CF_GUEST) && !k->device;

	if ((r->index && !k->device) || about_platform != (r->target.dev == &r->platform) ||
		(r->only[0] && !words_match(r->only, k->name)) || words_match(r->skip, k->name))
		return false;
	if (r->from) {
		r->from--;
		return false;
	}
	bare_put("AVPC run ");
	bare_put(k->name);
	bare_put("\n");
	return true;
}

/* What is around a device. */

static const char *fact(struct cf_target *t, const char *key)
{
	struct runner *r = t->ctx;
	char *value = r->facts[r->nfacts++ % FACTS_MAX];

	return words_fact(r->info->cmdline, t->dev->id, r->index, key, value, FACT_MAX) ? value
											: NULL;
}

static bool alive(struct cf_target *t, const char **why)
{
	struct drv_dev *dev = t->dev;
	uint8_t status = 0;

	if (dev->ops == &no_ops)
		return true;
	*why = "the device's registers read as nothing is there";
	return !dev->ops->status(dev, &status) && status != 0xff;
}

static void judge(struct runner *r, struct drv_dev *dev, struct drv_dev *peer)
{
	struct cf_run run = { &r->target, wanted, report, r };
	char echo[2];

	r->target.dev = dev;
	r->target.peer = peer;
	r->target.echo =
		words_fact(r->info->cmdline, dev->id, r->index, "echo", echo, sizeof(echo));
	print_device("begin", r);
	cf_run(r->cf, &run);
	print_device("end", r);
}

static void judge_devices(struct runner *r)
{
	struct bare_virtio_list *list = r->devices;
	unsigned count[64] = { 0 };

	for (unsigned i = 0; i < list->n; i++) {
		struct drv_dev *dev = list->devices[i].dev;
		const char *class = words_class(dev->id);
		bool pair = dev->id == NET || dev->id == VSOCK || dev->id == CAN;
		struct bare_virtio *peer = pair ? bare_virtio_get(list, dev->id, 1) : NULL;

		if (dev->id >= sizeof(count) / sizeof(count[0]))
			continue;
		r->index = count[dev->id]++;
		if ((pair && r->index) ||
			(r->types[0] && (!class || !words_listed(r->types, class))))
			continue;
		judge(r, dev, peer ? peer->dev : NULL);
	}
}

/* What the cases about the platform look at. */
static void describe(struct runner *r, const struct bare_info *info, struct bare_virtio_list *list)
{
	for (unsigned i = 0; i < info->nram; i++)
		r->ram[i] = (struct cf_range){ info->ram[i].addr, info->ram[i].len };
	for (unsigned i = 0; i < list->n; i++)
		r->devs[i] = list->devices[i].dev;
	r->guest = (struct cf_guest){
		.description = info->dtb    ? "device tree"
			       : info->rsdp ? "ACPI"
					    : NULL,
		.off = info->off,
		.clock = info->clock,
		.ncpus = info->ncpus,
		.ram = r->ram,
		.nram = info->nram,
		.devices = r->devs,
		.ndevices = list->n,
		.clock_rate = bare_clock_rate,
		.random = bare_random,
#ifdef __x86_64__
		.nothing = bare_map(HOLE, 4096),
#endif
	};
}

static bool prepare(struct runner *r, struct bare_info *info, struct bare_virtio_list *list)
{
	const char *line = info->cmdline;

	bare_word(line, "only", r->only, sizeof(r->only));
	bare_word(line, "skip", r->skip, sizeof(r->skip));
	bare_word(line, "types", r->types, sizeof(r->types));
	r->info = info;
	r->devices = list;
	r->from = words_number(line, "from", 0);
	r->platform = (struct drv_dev){ .ops = &no_ops, .platform = &list->platform };
	describe(r, info, list);
	r->target = (struct cf_target){
		.platform = &list->platform,
		.hostile = words_number(line, "hostile", 0) != 0,
		.guest = &r->guest,
		.hole = HOLE,
		.limit = words_number(line, "limit", LIMIT_MS) * 1000000,
		.fact = fact,
		.alive = alive,
		.hold_interrupts = bare_irq_hold,
		.ctx = r,
	};
	r->cf = bare_alloc(cf_size(), sizeof(uint64_t));
	r->target.mem = bare_alloc(CASE_MEMORY, 4096);
	r->target.mem_len = r->target.mem ? CASE_MEMORY : 0;
	return r->cf && r->target.mem;
}

int bare_main(struct bare_info *info)
{
	static struct bare_virtio_list devices;
	static struct runner runner;
	char role[32];

	bare_put("\n"); /* firmware may have left text on the line */
	devices.intx = words_number(info->cmdline, "intx", 0) != 0;
	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	if (bare_word(info->cmdline, "role", role, sizeof(role)) > 0)
		return role_run(info, &devices, role);
	if (!prepare(&runner, info, &devices)) {
		bare_put("AVPC error: the guest needs 64 MiB of memory\n");
		return DRV_NO_MEMORY;
	}
	if (!runner.types[0] || words_listed(runner.types, "platform"))
		judge(&runner, &runner.platform, NULL);
	judge_devices(&runner);
	bare_put("AVPC done\n");
	return 0;
}
