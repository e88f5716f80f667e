/* SPDX-License-Identifier: BSD-3-Clause */
/* Feature negotiation, bit by bit (VIRTIO 1.4, 2.2 and 6). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define BIT(b)		  DRV_FEATURE(b)
#define BITS(a, b)	  (((UINT64_C(2) << (b)) - 1) & ~((UINT64_C(1) << (a)) - 1))
#define VERSION_1	  BIT(VIRTIO_F_VERSION_1)
#define VIRTIO_F_ADMIN_VQ 41
#define VIRTIO_F_SUSPEND  43

/* What every device may offer: INDIRECT_DESC, EVENT_IDX, 32 to 41, SUSPEND; and, of transitional
 * ones, NOTIFY_ON_EMPTY, ANY_LAYOUT and bit 30 (6.3). */
#define COMMON (BITS(28, 29) | BITS(32, VIRTIO_F_ADMIN_VQ) | BIT(VIRTIO_F_SUSPEND))
#define LEGACY (BIT(24) | BIT(27) | BIT(30))

struct class_bits {
	uint16_t device;
	uint64_t known; /* those of the class (5.x.3), for transitional devices too */
};

static const struct class_bits classes[] = {
	{ 1, BITS(0, 3) | BITS(5, 23) | BITS(50, 57) | BITS(59, 63) | BIT(6) },
	{ 2, BITS(0, 2) | BITS(4, 7) | BITS(9, 17) },
	{ 3, BITS(0, 2) },
	{ 4, 0 },
	{ 17, BIT(0) },
	{ 18, 0 },
	{ 19, BITS(0, 2) },
	{ 32, BITS(0, 1) },
	{ 34, BIT(0) },
	{ 36, BITS(0, 3) },
	{ 41, BIT(0) },
	{ 45, 0 },
};

/* `bit` needs all of `all`, and one of `any` if that is not empty. Device 0: every class. */
struct dependency {
	uint16_t device;
	uint8_t bit;
	uint64_t all, any;
};

static const struct dependency dependencies[] = {
	{ 1, 7, BIT(1), 0 },				   /* GUEST_TSO4, ...: GUEST_CSUM */
	{ 1, 8, BIT(1), 0 }, { 1, 9, 0, BIT(7) | BIT(8) }, /* GUEST_ECN: a GUEST_TSO */
	{ 1, 10, BIT(1), 0 }, { 1, 54, BIT(1), 0 }, { 1, 55, BIT(1), 0 },
	{ 1, 11, BIT(0), 0 },				       /* HOST_TSO4, ...: CSUM */
	{ 1, 12, BIT(0), 0 }, { 1, 13, 0, BIT(11) | BIT(12) }, /* HOST_ECN: a HOST_TSO */
	{ 1, 14, BIT(0), 0 }, { 1, 56, BIT(0), 0 },
	{ 1, 18, BIT(17), 0 }, /* CTRL_RX, ...: CTRL_VQ */
	{ 1, 19, BIT(17), 0 }, { 1, 21, BIT(17), 0 }, { 1, 22, BIT(17), 0 }, { 1, 23, BIT(17), 0 },
	{ 1, 53, BIT(17), 0 }, { 1, 61, 0, BIT(11) | BIT(12) }, /* RSC_EXT: a HOST_TSO */
	{ 1, 60, BIT(17), 0 }, { 1, 52, BIT(17), 0 },
	{ 36, 2, BIT(0), 0 },		       /* RTR_FRAMES: CAN_CLASSIC */
	{ 1, 51, BIT(17), BIT(60) | BIT(57) }, /* HASH_TUNNEL: RSS or HASH_REPORT */
};

#define EACH(array, p) for (p = array; p < array + sizeof(array) / sizeof(*array); p++)

/* Bits to go with `bit`, of those offered, so that the choice is valid. */
static uint64_t companions(const struct cf *c, unsigned bit)
{
	uint64_t all = BIT(bit);
	const struct dependency *d;

	/* What a companion needs comes before it in the table or is a bit without needs: twice. */
	for (unsigned i = 0; i < 2; i++)
		EACH(dependencies, d)
		{
			uint64_t any;

			if (d->device != cf_dev(c)->id || !(all & BIT(d->bit)))
				continue;
			any = d->any & cf_dev(c)->offered;
			all |= d->all | (any & -any);
		}
	return all;
}

/* Offers `features` to the device as it stands after ACKNOWLEDGE and DRIVER; true if it takes them.
 */
static bool taken(struct cf *c, uint64_t features)
{
	struct drv_dev *dev = cf_dev(c);
	const uint8_t before = VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER;
	uint8_t status = 0;

	if (!cf_check(c, !drv_reset(dev), "the device cannot be reset"))
		return false;
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	dev->ops->set_status(dev, before);
	/* A transport may tell of a refusal, or leave it to FEATURES_OK. */
	if (dev->ops->accept(dev, features))
		return false;
	if (dev->ops->set_status(dev, before | VIRTIO_S_FEATURES_OK))
		return false;
	if (dev->ops->status(dev, &status) == DRV_UNSUPPORTED)
		return true;
	return status & VIRTIO_S_FEATURES_OK;
}

static uint64_t offered(struct cf *c)
{
	uint64_t bits = 0;

	cf_check(c, !cf_dev(c)->ops->features(cf_dev(c), &bits), "the features cannot be read");
	cf_dev(c)->offered = bits;
	return bits;
}

/* What is offered. */

static void version_1(struct cf *c)
{
	cf_check(c, offered(c) & VERSION_1, "VERSION_1 is not offered");
}

static void needs_are_offered(struct cf *c)
{
	uint64_t bits = offered(c);
	const struct dependency *d;

	EACH(dependencies, d)
	{
		if (d->device != cf_dev(c)->id || !(bits & BIT(d->bit)))
			continue;
		cf_check(c, !(d->all & ~bits), "bit %u is offered, but not bit %d, which it needs",
			d->bit, __builtin_ctzll((d->all & ~bits) | BIT(63)));
		cf_check(c, !d->any || d->any & bits,
			"bit %u is offered, but none of 0x%llx, of which it needs one", d->bit,
			(unsigned long long)d->any);
	}
}

static void none_unknown(struct cf *c)
{
	uint64_t bits = offered(c), known = 0;
	const struct class_bits *k;
	bool found = false;

	EACH(classes, k)
	if (k->device == cf_dev(c)->id) {
		known = k->known | COMMON | LEGACY;
		found = true;
	}
	if (!found) {
		cf_skip(c, "the suite does not know the bits of device ID %u", cf_dev(c)->id);
		return;
	}
	cf_check(c, !(bits & ~known), "bits 0x%llx are offered, which the class does not have",
		(unsigned long long)(bits & ~known));
}

static void not_of_other_transports(struct cf *c)
{
	const char *name = cf_dev(c)->ops->name;
	uint64_t bits = offered(c);

	if (cf_text_same(name, "pci")) {
		cf_skip(c, "a pci device may offer SR_IOV and ADMIN_VQ");
		return;
	}
	cf_check(c, !(bits & BIT(VIRTIO_F_SR_IOV)), "SR_IOV is offered by what is no pci device");
	cf_check(c, !cf_text_same(name, "mmio") || !(bits & BIT(VIRTIO_F_ADMIN_VQ)),
		"ADMIN_VQ is offered over mmio, which does not have it");
}

/* The offer does not depend on what was read, accepted, refused or reset before. */
static void offer_is_stable(struct cf *c)
{
	uint64_t first = offered(c);

	if (!cf_eq(c, offered(c), first, "the second offer"))
		return;
	taken(c, VERSION_1 | ~first);
	if (!cf_eq(c, offered(c), first, "the offer after a refusal") ||
		!cf_up_probe(c, UINT64_MAX) ||
		!cf_eq(c, offered(c), first, "the offer of a live device") ||
		!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
		return;
	cf_eq(c, offered(c), first, "the offer after a reset");
}

/* What is accepted. */

/* Each bit that is offered, with no more than it needs: taken, twice, and the device works. */
static void each_alone(struct cf *c)
{
	uint64_t bits = offered(c);

	for (unsigned b = 0; b < 64; b++) {
		uint64_t choice = cf_features(c, 0) | companions(c, b);
		struct drv_queue *q;

		/* Those that cf_features() leaves to the layout of the run. */
		if (!(bits & BIT(b)) || b == VIRTIO_F_RING_PACKED)
			continue;
		if (!cf_check(c, taken(c, choice) && taken(c, choice),
			    "bit %u is refused, with features 0x%llx", b,
			    (unsigned long long)choice))
			return;
		q = cf_up_probe(c, companions(c, b));
		if (!q || !cf_check(c, cf_probe_works(c, q), "it does not work with bit %u", b))
			return;
	}
}

/* Each bit that is not offered: no FEATURES_OK, and nothing but that. */
static void each_unoffered(struct cf *c)
{
	uint64_t bits = offered(c);
	struct drv_queue *q;

	for (unsigned b = 0; b < 64; b++)
		if (!(bits & BIT(b)) && !cf_check(c, !taken(c, cf_features(c, 0) | BIT(b)),
						"bit %u is not offered, and accepted", b))
			return;
	q = cf_up_probe(c, 0);
	if (q)
		cf_probe_works(c, q);
}

/* After a refusal the driver may try again with less, without a reset. */
static void less_after_refusal(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	uint64_t bits = offered(c);
	uint8_t status;

	if (taken(c, ~bits | VERSION_1)) {
		cf_skip(c, "bits that are not offered are accepted");
		return;
	}
	if (!cf_check(c, !dev->ops->accept(dev, cf_features(c, 0)),
		    "valid features are refused after invalid ones"))
		return;
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	if (cf_status(c, &status))
		cf_eq(c, status & VIRTIO_S_FEATURES_OK, VIRTIO_S_FEATURES_OK, "FEATURES_OK");
}

/* All that is offered, again and again. */
static void same_again(struct cf *c)
{
	uint64_t all = cf_features(c, UINT64_MAX);
	bool first = taken(c, all);

	for (unsigned i = 0; i < 5; i++)
		if (!cf_eq(c, taken(c, all), first, "whether the same features are accepted"))
			return;
	cf_check(c, first, "the features offered, 0x%llx, are refused together",
		(unsigned long long)all);
}

/* Without VERSION_1 a device may refuse to work, but not accept and then fail. */
static void without_version_1(struct cf *c)
{
	uint64_t none = cf_features(c, 0) & ~VERSION_1;
	bool first = taken(c, none);
	struct drv_queue *q;

	if (!cf_eq(c, taken(c, none), first, "whether features without VERSION_1 are accepted"))
		return;
	q = cf_up_probe(c, 0);
	if (q && cf_probe_works(c, q))
		cf_note(c, first ? "accepted: it has a legacy interface" : "refused");
}

/* A choice after FEATURES_OK changes nothing: the ring stays as it was negotiated. */
static void late_choice(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	const struct cf_probe *p = cf_probe(c);
	uint64_t other = cf_features(c, 0) ^ (offered(c) & BIT(VIRTIO_F_RING_PACKED));

	if (!p || !cf_begin(c, 0))
		return;
	dev->ops->accept(dev, other);
	for (uint16_t i = 0; i <= p->queue; i++)
		if (!cf_queue(c, i, 0))
			return;
	if (cf_run_device(c))
		cf_probe_works(c, cf_q(c, p->queue));
}

const struct cf_case cf_cases_features[] = {
	{ "features.offer.version_1", "V6.2-1", version_1 },
	{ "features.offer.needs", "V2.2.2-1", needs_are_offered },
	{ "features.offer.none_unknown", "V2.2.2-4", none_unknown },
	{ "features.offer.not_of_other_transports", "V2.2.2-4 V6.2-10", not_of_other_transports },
	{ "features.offer.stable", "V2.2.2-5", offer_is_stable },
	{ "features.choice.each_alone", "V2.2.2-2 V2.2.2-4", each_alone, .flags = CF_RINGS },
	{ "features.choice.each_unoffered", "V2.2.2-3 ROB-9", each_unoffered,
		.flags = CF_RINGS | CF_STATUS | CF_HOSTILE },
	{ "features.choice.less_after_refusal", "V2.2.2-2 ROB-9", less_after_refusal,
		.flags = CF_STATUS | CF_HOSTILE },
	{ "features.choice.same_again", "V2.2.2-5", same_again, .flags = CF_RINGS },
	{ "features.choice.without_version_1", "V2.2.2-3", without_version_1, .flags = CF_STATUS },
	{ "features.choice.late", "ROB-1", late_choice, .flags = CF_RINGS | CF_HOSTILE },
	{ 0 },
};
