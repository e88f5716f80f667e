/* SPDX-License-Identifier: BSD-3-Clause */
/* SCMI. See scmi.h. */
#include "scmi.h"

#define HEADER	  4u
#define ANSWER	  8u /* header and status */
#define BYTES	  (DRV_SCMI_WORDS * 4)
#define BUFFERS	  8u
#define TOKEN_MAX 0x3ffu

/* Messages (SCMI 4.3 to 4.7). */
#define POWER_STATE_SET	   0x4
#define PERF_LEVEL_SET	   0x7
#define CLOCK_RATE_SET	   0x5
#define CLOCK_RATE_GET	   0x6
#define CLOCK_CONFIG_SET   0x7
#define SENSOR_READING_GET 0x6

#define POWER_OFF (1u << 30)

static bool has_events(const struct drv_scmi *s)
{
	return drv_has(s->dev, VIRTIO_SCMI_F_P2A_CHANNELS);
}

int drv_scmi_open(struct drv_scmi *s, struct drv_dev *dev)
{
	int r;

	if (dev->id != DRV_ID_SCMI)
		return DRV_INVALID;
	*s = (struct drv_scmi){ .dev = dev };
	r = drv_begin(dev, DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_SCMI_F_P2A_CHANNELS), 0);
	if (!r)
		r = drv_req_queue(&s->cmd, dev, 0, 2 * (ANSWER + BYTES));
	if (!r && has_events(s))
		r = drv_pool_open(&s->events, dev, 1, BUFFERS, 1, ANSWER + BYTES);
	if (!r)
		r = drv_run(dev);
	return !r && has_events(s) ? drv_pool_fill(&s->events) : r;
}

/* What the device says of a command: `len` bytes, which begin with the header. */
static int check(struct drv_scmi *s, const uint32_t *in, uint32_t len, uint32_t hdr)
{
	if (len < ANSWER || len % 4 || in[0] != hdr)
		return DRV_BROKEN;
	s->status = (int32_t)in[1];
	if (s->status > 0 || (s->status && len != ANSWER))
		return DRV_BROKEN;
	return s->status ? DRV_ERROR : 0;
}

static void give(uint32_t *ret, unsigned max, const uint32_t *from, unsigned n)
{
	for (unsigned i = 0; i < max; i++)
		ret[i] = i < n ? from[i] : 0;
}

int drv_scmi_do(struct drv_scmi *s, uint8_t protocol, uint8_t message, const uint32_t *params,
	unsigned n, uint32_t *ret, unsigned max, uint64_t until)
{
	uint32_t out[1 + DRV_SCMI_WORDS], in[2 + DRV_SCMI_WORDS], len = 0;
	int r;

	if (n > DRV_SCMI_WORDS || max > DRV_SCMI_WORDS)
		return DRV_INVALID;
	s->token = (s->token + 1) & TOKEN_MAX;
	out[0] = DRV_SCMI_HDR(message, 0, protocol, s->token);
	for (unsigned i = 0; i < n; i++)
		out[1 + i] = params[i];
	r = drv_req_do(&s->cmd, out, HEADER + n * 4, in, ANSWER + max * 4, &len, until);
	if (!r)
		r = check(s, in, len, out[0]);
	if (!r)
		give(ret, max, in + 2, (len - ANSWER) / 4);
	return r;
}

/* Takes a message off the eventq. */
static int take(struct drv_scmi *s, struct drv_scmi_event *e, uint64_t until)
{
	uint32_t len, hdr;
	uint8_t *buf;
	int r = drv_pool_take(&s->events, &buf, &len, until);

	if (r)
		return r;
	if (len < HEADER || len % 4 || len > HEADER + BYTES)
		return DRV_BROKEN;
	__builtin_memcpy(&hdr, buf, HEADER);
	*e = (struct drv_scmi_event){ .message = (uint8_t)hdr,
		.type = hdr >> 8 & 3,
		.protocol = (uint8_t)(hdr >> 10),
		.token = hdr >> 18 & TOKEN_MAX,
		.n = (uint8_t)((len - HEADER) / 4) };
	__builtin_memcpy(e->word, buf + HEADER, len - HEADER);
	return drv_pool_offer(&s->events, buf, 0, s->events.len);
}

/* The oldest goes if there are too many. */
static void keep(struct drv_scmi *s, const struct drv_scmi_event *e)
{
	if (s->nkept == DRV_SCMI_KEPT) {
		s->first = (s->first + 1) % DRV_SCMI_KEPT;
		s->nkept--;
		s->lost++;
	}
	s->kept[(s->first + s->nkept++) % DRV_SCMI_KEPT] = *e;
}

int drv_scmi_do_delayed(struct drv_scmi *s, uint8_t protocol, uint8_t message,
	const uint32_t *params, unsigned n, uint32_t *ret, unsigned max, uint64_t until)
{
	struct drv_scmi_event e;
	uint16_t token;
	int r;

	if (!has_events(s))
		return DRV_UNSUPPORTED;
	r = drv_scmi_do(s, protocol, message, params, n, NULL, 0, until);
	token = s->token;
	while (!r && !(r = take(s, &e, until))) {
		if (e.type != DRV_SCMI_DELAYED || e.token != token || e.protocol != protocol ||
			e.message != message || !e.n) {
			keep(s, &e);
			continue;
		}
		s->status = (int32_t)e.word[0];
		if (s->status > 0)
			return DRV_BROKEN;
		if (!s->status)
			give(ret, max, e.word + 1, e.n - 1u);
		return s->status ? DRV_ERROR : 0;
	}
	return r;
}

int drv_scmi_event(struct drv_scmi *s, struct drv_scmi_event *e, uint64_t until)
{
	if (!has_events(s))
		return DRV_UNSUPPORTED;
	if (!s->nkept)
		return take(s, e, until);
	*e = s->kept[s->first];
	s->first = (s->first + 1) % DRV_SCMI_KEPT;
	s->nkept--;
	return 0;
}

/* Common commands. */

int drv_scmi_version(struct drv_scmi *s, uint8_t protocol, uint32_t *version, uint64_t until)
{
	return drv_scmi_do(s, protocol, 0, NULL, 0, version, 1, until);
}

int drv_scmi_power_set(struct drv_scmi *s, uint32_t id, bool on, uint64_t until)
{
	const uint32_t params[] = { 0, id, on ? 0 : POWER_OFF };

	return drv_scmi_do(s, DRV_SCMI_POWER, POWER_STATE_SET, params, 3, NULL, 0, until);
}

int drv_scmi_clock_rate(struct drv_scmi *s, uint32_t id, uint64_t *rate, uint64_t until)
{
	uint32_t ret[2];
	int r = drv_scmi_do(s, DRV_SCMI_CLOCK, CLOCK_RATE_GET, &id, 1, ret, 2, until);

	if (!r)
		*rate = ret[0] | (uint64_t)ret[1] << 32;
	return r;
}

int drv_scmi_clock_set(struct drv_scmi *s, uint32_t id, uint64_t rate, uint64_t until)
{
	const uint32_t params[] = { 0, id, (uint32_t)rate, (uint32_t)(rate >> 32) };

	return drv_scmi_do(s, DRV_SCMI_CLOCK, CLOCK_RATE_SET, params, 4, NULL, 0, until);
}

int drv_scmi_clock_enable(struct drv_scmi *s, uint32_t id, bool on, uint64_t until)
{
	const uint32_t params[] = { id, on, 0 };

	return drv_scmi_do(s, DRV_SCMI_CLOCK, CLOCK_CONFIG_SET, params, 3, NULL, 0, until);
}

int drv_scmi_perf_set(struct drv_scmi *s, uint32_t id, uint32_t level, uint64_t until)
{
	const uint32_t params[] = { id, level };

	return drv_scmi_do(s, DRV_SCMI_PERF, PERF_LEVEL_SET, params, 2, NULL, 0, until);
}

int drv_scmi_sensor_read(
	struct drv_scmi *s, uint32_t id, int64_t *value, uint64_t *stamp, uint64_t until)
{
	const uint32_t params[] = { id, 0 };
	uint32_t ret[DRV_SCMI_WORDS];
	int r = drv_scmi_do(
		s, DRV_SCMI_SENSOR, SENSOR_READING_GET, params, 2, ret, DRV_SCMI_WORDS, until);

	if (r)
		return r;
	*value = (int64_t)(ret[0] | (uint64_t)ret[1] << 32);
	*stamp = ret[2] | (uint64_t)ret[3] << 32;
	return 0;
}
