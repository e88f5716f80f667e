/* SPDX-License-Identifier: BSD-3-Clause */
/* Clock device. See rtc.h. */
#include "rtc.h"

#define TIMEOUT_NS UINT64_C(1000000000)
#define ALARMS	   4u /* buffers for notifications */

/* Message types and status (5.23.6). */
enum {
	REQ_READ = 0x0001,
	REQ_READ_CROSS = 0x0002,
	REQ_CFG = 0x1000,
	REQ_CLOCK_CAP = 0x1001,
	REQ_CROSS_CAP = 0x1002,
	REQ_READ_ALARM = 0x1003,
	REQ_SET_ALARM = 0x1004,
	REQ_SET_ALARM_ENABLED = 0x1005,
	NOTIF_ALARM = 0x2000,
};
enum { S_OK = 0, S_EOPNOTSUPP = 2, S_ENODEV = 3, S_EINVAL = 4, S_EIO = 5 };

/* All requests but SET_ALARM, which has the time in front of `clock_id`. `sub` is hw_counter or
 * flags. */
struct request {
	uint16_t type;
	uint8_t reserved[6];
	uint16_t clock_id;
	uint8_t sub;
	uint8_t reserved2[5];
};

struct set_alarm {
	uint16_t type;
	uint8_t reserved[6];
	uint64_t time;
	uint16_t clock_id;
	uint8_t flags;
	uint8_t reserved2[5];
};

/* Responses: a header of 8 bytes, then up to two words. */
struct response {
	uint8_t status;
	uint8_t reserved[7];
	uint8_t bytes[16];
};

#define HEADER	 8u
#define MAX_BOTH (sizeof(struct set_alarm) + sizeof(struct response))

struct notification {
	uint16_t type;
	uint8_t reserved[6];
	uint16_t clock_id;
	uint8_t reserved2[6];
};

static uint64_t word(const struct response *resp, unsigned i)
{
	uint64_t v;

	__builtin_memcpy(&v, resp->bytes + (size_t)i * sizeof(v), sizeof(v));
	return v;
}

static int result(uint8_t status)
{
	switch (status) {
	case S_OK:
		return 0;
	case S_EOPNOTSUPP:
		return DRV_UNSUPPORTED;
	case S_ENODEV:
		return DRV_GONE;
	case S_EINVAL:
		return DRV_INVALID;
	case S_EIO:
		return DRV_ERROR;
	default:
		return DRV_BROKEN;
	}
}

/* Sends `len` bytes; the response has `words` of 8 bytes behind its header. */
static int ask(
	struct drv_rtc *r, const void *req, uint32_t len, struct response *resp, unsigned words)
{
	uint32_t want = HEADER + 8 * words, used;
	int rc = drv_req_do(&r->req, req, len, resp, want, &used, drv_now(r->dev) + r->timeout);

	if (rc)
		return rc;
	if (!used)
		return DRV_BROKEN;
	rc = result(resp->status);
	return rc || used == want ? rc : DRV_BROKEN;
}

static int ask_clock(struct drv_rtc *r, uint16_t type, uint16_t id, uint8_t sub,
	struct response *resp, unsigned words)
{
	struct request req = { .type = type, .clock_id = id, .sub = sub };

	return ask(r, &req, sizeof(req), resp, words);
}

int drv_rtc_open(struct drv_rtc *r, struct drv_dev *dev)
{
	static const uint16_t cfg[4] = { REQ_CFG };
	struct response resp;
	int rc = dev->id == DRV_ID_RTC ? 0 : DRV_INVALID;

	r->dev = dev;
	r->timeout = TIMEOUT_NS;
	if (!rc)
		rc = drv_begin(dev, DRV_FEATURE(VIRTIO_RTC_F_ALARM) | DRV_COMMON_FEATURES, 0);
	r->alarms = drv_has(dev, VIRTIO_RTC_F_ALARM);
	if (!rc)
		rc = drv_req_queue(&r->req, dev, 0, MAX_BOTH);
	if (!rc && r->alarms)
		rc = drv_pool_open(
			&r->alarmq, dev, 1, ALARMS, 1, (uint32_t)sizeof(struct notification));
	if (!rc)
		rc = drv_run(dev);
	if (!rc && r->alarms)
		rc = drv_pool_fill(&r->alarmq);
	if (!rc)
		rc = ask(r, cfg, sizeof(cfg), &resp, 1);
	r->nclocks = rc ? 0 : (uint16_t)word(&resp, 0);
	return rc;
}

int drv_rtc_clock(struct drv_rtc *r, uint16_t id, struct drv_rtc_clock *clock)
{
	struct response resp;
	int rc = ask_clock(r, REQ_CLOCK_CAP, id, 0, &resp, 1);

	if (rc)
		return rc;
	clock->type = resp.bytes[0];
	clock->smear = resp.bytes[1];
	clock->alarm = r->alarms && (resp.bytes[2] & 1);
	return 0;
}

int drv_rtc_read(struct drv_rtc *r, uint16_t id, uint64_t *time)
{
	struct response resp;
	int rc = ask_clock(r, REQ_READ, id, 0, &resp, 1);

	if (!rc)
		*time = word(&resp, 0);
	return rc;
}

int drv_rtc_cross(struct drv_rtc *r, uint16_t id, uint8_t counter, bool *supported)
{
	struct response resp;
	int rc = ask_clock(r, REQ_CROSS_CAP, id, counter, &resp, 1);

	if (!rc)
		*supported = resp.bytes[0] & 1;
	return rc;
}

int drv_rtc_read_cross(
	struct drv_rtc *r, uint16_t id, uint8_t counter, uint64_t *time, uint64_t *cycles)
{
	struct response resp;
	int rc = ask_clock(r, REQ_READ_CROSS, id, counter, &resp, 2);

	if (rc)
		return rc;
	*time = word(&resp, 0);
	*cycles = word(&resp, 1);
	return 0;
}

int drv_rtc_alarm(struct drv_rtc *r, uint16_t id, uint64_t *time, bool *enabled)
{
	struct response resp;
	int rc = r->alarms ? ask_clock(r, REQ_READ_ALARM, id, 0, &resp, 2) : DRV_GONE;

	if (rc)
		return rc;
	*time = word(&resp, 0);
	*enabled = resp.bytes[8] & 1;
	return 0;
}

int drv_rtc_set_alarm(struct drv_rtc *r, uint16_t id, uint64_t time, bool enabled)
{
	const struct set_alarm req = {
		.type = REQ_SET_ALARM,
		.time = time,
		.clock_id = id,
		.flags = enabled,
	};
	struct response resp;

	return r->alarms ? ask(r, &req, sizeof(req), &resp, 0) : DRV_GONE;
}

int drv_rtc_enable_alarm(struct drv_rtc *r, uint16_t id, bool enabled)
{
	struct response resp;

	return r->alarms ? ask_clock(r, REQ_SET_ALARM_ENABLED, id, enabled, &resp, 0) : DRV_GONE;
}

int drv_rtc_expired(struct drv_rtc *r, uint16_t *id, uint64_t until)
{
	struct notification n;
	uint8_t *buf;
	uint32_t len;
	int rc = r->alarms ? drv_pool_take(&r->alarmq, &buf, &len, until) : DRV_GONE;

	if (rc)
		return rc;
	__builtin_memcpy(&n, buf, sizeof(n));
	drv_pool_free(&r->alarmq, buf);
	if (len != sizeof(n) || n.type != NOTIF_ALARM || n.clock_id >= r->nclocks)
		return DRV_BROKEN;
	*id = n.clock_id;
	return drv_pool_fill(&r->alarmq);
}
