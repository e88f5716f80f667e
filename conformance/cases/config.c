/* SPDX-License-Identifier: BSD-3-Clause */
/* Device configuration space (VIRTIO 1.4, 2.5). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

/* The space of a class: its longest layout, and what a driver may write there. */
struct space {
	uint16_t device;
	uint8_t len;
	uint8_t write_at, write_len;
};

#define LEN_MAX 136u

static const struct space spaces[] = {
	{ 1, 24, 0, 0 },
	{ 2, 96, 32, 1 }, /* writeback */
	{ 3, 12, 8, 4 },  /* emerg_wr */
	{ 4, 0, 0, 0 },
	{ 17, 0, 0, 0 },
	{ 18, 136, 0, 2 }, /* select, subsel */
	{ 19, 8, 0, 0 },
	{ 32, 0, 0, 0 },
	{ 34, 0, 0, 0 },
	{ 36, 2, 0, 0 },
	{ 41, 8, 0, 0 },
	{ 45, 32, 0, 0 },
};

static const struct space *space(struct cf *c)
{
	for (unsigned i = 0; i < sizeof(spaces) / sizeof(*spaces); i++)
		if (spaces[i].device == cf_dev(c)->id)
			return &spaces[i];
	cf_skip(c, "the suite does not know the configuration of device ID %u", cf_dev(c)->id);
	return NULL;
}

/* As many bytes, from the start, as the transport lets a driver read. */
static uint32_t readable(struct cf *c, uint32_t len)
{
	uint8_t byte;

	while (len && cf_dev(c)->ops->config_read(cf_dev(c), len - 1, &byte, 1))
		len--;
	return len;
}

/* The class's space, or what the transport shows of it. Skips if that is nothing. */
static uint32_t length(struct cf *c, const struct space *s)
{
	uint32_t len = readable(c, s->len);

	if (!len)
		cf_skip(c, "this class has no configuration space");
	return len;
}

/* Where the last field ends that an offered feature brings along: padding behind it is no field. */
static uint32_t fields_end(struct cf *c, uint32_t len)
{
	static const struct {
		uint8_t device, bit, end;
	} parts[] = { { 1, 5, 6 }, { 1, 16, 8 }, { 1, 22, 10 }, { 1, 3, 12 }, { 1, 63, 17 },
		{ 1, 60, 24 }, { 1, 57, 24 }, { 2, 1, 12 }, { 2, 2, 16 }, { 2, 4, 20 },
		{ 2, 6, 24 }, { 2, 10, 32 }, { 2, 11, 33 }, { 2, 12, 36 }, { 2, 13, 48 },
		{ 2, 14, 57 }, { 2, 16, 72 }, { 2, 17, 96 }, { 3, 0, 4 }, { 3, 1, 8 },
		{ 3, 2, 12 } };
	const uint16_t id = cf_dev(c)->id;
	uint32_t end = id == 2 ? 8 : 0;

	if (!id || id > 3)
		return len;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i].device == id && cf_offered(c, parts[i].bit) && parts[i].end > end)
			end = parts[i].end;
	return end < len ? end : len;
}

static bool read_at(struct cf *c, uint32_t offset, void *buf, uint32_t len)
{
	return cf_check(c, !drv_config(cf_dev(c), offset, buf, len),
		"bytes %u to %u of the configuration cannot be read", offset, offset + len);
}

/* The same before anything was negotiated, after each step, and of a live device. */
static void before_features_ok(struct cf *c)
{
	const struct space *s = space(c);
	struct drv_dev *dev = cf_dev(c);
	uint8_t first[LEN_MAX], now[LEN_MAX];
	uint32_t len = s ? length(c, s) : 0;

	if (!len || !read_at(c, 0, first, len))
		return;
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	dev->ops->set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	if (!read_at(c, 0, now, len) ||
		!cf_check(c, cf_same(first, now, len), "the configuration is another after DRIVER"))
		return;
	if (!cf_up_probe(c, UINT64_MAX) || !read_at(c, 0, now, len))
		return;
	cf_check(c, cf_same(first, now, len), "the configuration of a live device is another");
}

/* Every width at every offset shows the same bytes of the fields. */
static void any_width(struct cf *c)
{
	static const uint8_t widths[] = { 1, 2, 3, 4, 6, 8, 16 };
	const struct space *s = space(c);
	uint8_t all[LEN_MAX], part[16];
	uint32_t len = s ? fields_end(c, length(c, s)) : 0;

	if (!len || !read_at(c, 0, all, len))
		return;
	for (unsigned w = 0; w < sizeof(widths); w++)
		for (uint32_t at = 0; at + widths[w] <= len; at++)
			if (!read_at(c, at, part, widths[w]) ||
				!cf_check(c, cf_same(all + at, part, widths[w]),
					"%u bytes at %u are not those read byte by byte", widths[w],
					at))
				return;
}

/* Behind the last field of the class there is nothing: zeroes. */
static void beyond_the_end(struct cf *c)
{
	const struct space *s = space(c);
	uint8_t bytes[64];
	uint32_t end;

	if (!s)
		return;
	end = (s->len + 31u) / 32 * 32;
	if (readable(c, end + sizeof(bytes)) != end + sizeof(bytes)) {
		cf_skip(c, "this transport shows no bytes behind the end");
		return;
	}
	if (read_at(c, end, bytes, sizeof(bytes)))
		cf_check(c, cf_filled(bytes, 0, sizeof(bytes)),
			"bytes %u to %u, behind all fields, are not zero", end,
			end + (unsigned)sizeof(bytes));
}

/* Over the end of the space: what is inside is as ever. */
static void over_the_end(struct cf *c)
{
	const struct space *s = space(c);
	uint8_t inside[8], over[16];
	uint32_t len = s ? length(c, s) : 0;

	if (len < 8 || !read_at(c, len - 8, inside, 8))
		return;
	if (cf_dev(c)->ops->config_read(cf_dev(c), len - 8, over, 16))
		cf_note(c, "this transport shows no bytes behind the end");
	else
		cf_check(c, cf_same(inside, over, 8), "the last bytes are others in a long read");
}

/* Ones into everything that is not to be written. */
static void read_only(struct cf *c)
{
	const struct space *s = space(c);
	struct drv_queue *q = cf_up_probe(c, UINT64_MAX);
	uint8_t before[LEN_MAX], after[LEN_MAX];
	uint32_t len = s && q ? length(c, s) : 0;
	unsigned refused = 0, hung_up = 0;

	if (!len || !read_at(c, 0, before, len))
		return;
	for (uint32_t at = 0; at < len; at++) {
		const uint8_t other = (uint8_t)~before[at];

		if (at - s->write_at < s->write_len)
			continue;
		refused += !!cf_dev(c)->ops->config_write(cf_dev(c), at, &other, 1);
		hung_up += cf_hung_up(c);
	}
	if (read_at(c, 0, after, len) &&
		cf_check(c, cf_same(before, after, len), "a read-only field took a write") &&
		(!hung_up || (q = cf_up_probe(c, UINT64_MAX))))
		cf_probe_works(c, q);
	if (refused)
		cf_note(c, "%u writes were refused, %u of them by hanging up", refused, hung_up);
}

static void write_beyond(struct cf *c)
{
	const struct space *s = space(c);
	struct drv_queue *q = cf_up_probe(c, 0);
	uint8_t before[LEN_MAX], after[LEN_MAX], ones[32];
	uint32_t len = s && q ? readable(c, s->len) : 0;

	if (!s || !q || (len && !read_at(c, 0, before, len)))
		return;
	cf_fill(ones, 0xff, sizeof(ones));
	cf_dev(c)->ops->config_write(cf_dev(c), (s->len + 31u) / 32 * 32, ones, sizeof(ones));
	if (cf_hung_up(c))
		q = cf_up_probe(c, 0);
	if (len &&
		(!read_at(c, 0, after, len) || !cf_check(c, cf_same(before, after, len),
						       "a write behind the end changed a field")))
		return;
	if (q)
		cf_probe_works(c, q);
}

/* The generation does not move by itself, nor by reading. */
static void generation_stands(struct cf *c)
{
	const struct space *s = space(c);
	struct drv_dev *dev = cf_dev(c);
	uint32_t first, now, len = s ? length(c, s) : 0;
	uint8_t bytes[LEN_MAX];

	if (!dev->ops->generation) {
		cf_skip(c, "this transport has no configuration generation");
		return;
	}
	if (!len || !cf_up_probe(c, 0) ||
		!cf_check(c, !dev->ops->generation(dev, &first), "no generation can be read"))
		return;
	for (unsigned i = 0; i < 20; i++)
		if (!read_at(c, 0, bytes, len) ||
			!cf_check(c, !dev->ops->generation(dev, &now), "no generation") ||
			!cf_eq(c, now, first, "the configuration generation, with no change"))
			return;
}

const struct cf_case cf_cases_config[] = {
	{ "config.read.before_features_ok", "V2.5.2-1", before_features_ok },
	{ "config.read.any_width", "V2.5.2-1", any_width },
	{ "config.read.beyond_the_end", "ROB-16", beyond_the_end, .flags = CF_HOSTILE },
	{ "config.read.over_the_end", "ROB-16", over_the_end, .flags = CF_HOSTILE },
	{ "config.write.read_only", "ROB-16", read_only, .flags = CF_HOSTILE },
	{ "config.write.beyond_the_end", "ROB-16", write_beyond, .flags = CF_HOSTILE },
	{ "config.generation.stands", "ROB-22", generation_stands },
	{ 0 },
};
