/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock device (VIRTIO 1.4, 5.23): the device and its requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/devices.h"
#include "devices/rtc_priv.h"

#define VIRTIO_ID_CLOCK 17
/* What QEMU 11 gives its front-end. */
#define QUEUE_SIZE 1024u
/* Requests before other work of the loop gets a turn. */
#define TURN_MAX       64u
#define DEFAULT_CLOCKS "utc,monotonic"

enum { COUNTER_NONE, COUNTER_X86_TSC, COUNTER_ARM_VCT };

static const char *const counter_words[] = { "none", "x86-tsc", "arm-vct", NULL };

#if defined(__x86_64__)
#define HOST_COUNTER	    COUNTER_X86_TSC
#define VIRTIO_HOST_COUNTER VIRTIO_RTC_COUNTER_X86_TSC
#else
#define HOST_COUNTER	    COUNTER_ARM_VCT
#define VIRTIO_HOST_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT
#endif

const struct rtc_kind rtc_kinds[] = {
	{ "utc", VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, HOSTCLOCK_UTC },
	{ "tai", VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, HOSTCLOCK_TAI },
	{ "monotonic", VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED,
		HOSTCLOCK_MONOTONIC },
	{ "utc-maybe-smeared", VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, VIRTIO_RTC_SMEAR_UNSPECIFIED,
		HOSTCLOCK_UTC },
	{ "smeared-noon", VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR,
		HOSTCLOCK_SMEAR_NOON },
	{ "smeared-sls", VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS,
		HOSTCLOCK_SMEAR_SLS },
	{ NULL, 0, 0, HOSTCLOCK_UTC },
};

static struct rtc *to_rtc(struct vdev *dev)
{
	return container_of(dev, struct rtc, dev);
}

/* Requests. A handler finds the request whole, with its reserved fields checked, and the response
 * zeroed; it returns the status. */

typedef uint8_t (*handler_fn)(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp);

static struct rtc_clock *find_clock(struct rtc *rtc, le16 id)
{
	return le16toh(id) < rtc->nclocks ? &rtc->clocks[le16toh(id)] : NULL;
}

static uint8_t req_cfg(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	resp->cfg.num_clocks = htole16((uint16_t)rtc->nclocks);
	return VIRTIO_RTC_S_OK;
}

static uint8_t req_clock_cap(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	const struct rtc_clock *c = find_clock(rtc, req->clock.clock_id);

	if (!c)
		return VIRTIO_RTC_S_ENODEV;
	resp->clock_cap.type = c->kind->type;
	resp->clock_cap.leap_second_smearing = c->kind->smear;
	if (vdev_has(&rtc->dev, VIRTIO_RTC_F_ALARM))
		resp->clock_cap.flags = VIRTIO_RTC_FLAG_ALARM_CAP;
	return VIRTIO_RTC_S_OK;
}

static uint8_t req_read(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	const struct rtc_clock *c = find_clock(rtc, req->clock.clock_id);

	if (!c)
		return VIRTIO_RTC_S_ENODEV;
	resp->read.clock_reading = htole64(rtc_read_clock(rtc, c));
	return VIRTIO_RTC_S_OK;
}

/* The status for a counter that is asked about; *offered: it can be read. */
static uint8_t check_counter(const struct rtc *rtc, uint8_t counter, bool *offered)
{
	*offered = rtc->cross && counter == VIRTIO_HOST_COUNTER;
	if (counter == VIRTIO_RTC_COUNTER_INVALID)
		return VIRTIO_RTC_S_EINVAL;
	return counter <= VIRTIO_RTC_COUNTER_X86_TSC ? VIRTIO_RTC_S_OK : VIRTIO_RTC_S_EOPNOTSUPP;
}

static uint8_t req_cross_cap(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	bool offered;
	uint8_t status = check_counter(rtc, req->cross.hw_counter, &offered);

	if (!find_clock(rtc, req->cross.clock_id))
		return VIRTIO_RTC_S_ENODEV;
	resp->cross_cap.flags = offered ? VIRTIO_RTC_FLAG_CROSS_CAP : 0;
	return status;
}

static uint8_t req_read_cross(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	const struct rtc_clock *c = find_clock(rtc, req->cross.clock_id);
	uint64_t counter, reading;
	bool offered;
	uint8_t status = check_counter(rtc, req->cross.hw_counter, &offered);

	if (!c)
		return VIRTIO_RTC_S_ENODEV;
	if (status != VIRTIO_RTC_S_OK || !offered)
		return status != VIRTIO_RTC_S_OK ? status : VIRTIO_RTC_S_EOPNOTSUPP;
	reading = hostclock_cross(&rtc->host, c->kind->scale, &counter);
	resp->read_cross.clock_reading = htole64(reading);
	resp->read_cross.counter_cycles = htole64(counter + rtc->offset);
	rtc->cross_reads++;
	return VIRTIO_RTC_S_OK;
}

/* Without F_ALARM no clock has alarm messages (5.23.6.6.2.2). */
static struct rtc_clock *alarm_clock(struct rtc *rtc, le16 id)
{
	return vdev_has(&rtc->dev, VIRTIO_RTC_F_ALARM) ? find_clock(rtc, id) : NULL;
}

static uint8_t req_read_alarm(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	const struct rtc_clock *c = alarm_clock(rtc, req->clock.clock_id);

	if (!c)
		return VIRTIO_RTC_S_ENODEV;
	resp->read_alarm.alarm_time = htole64(c->alarm_time);
	resp->read_alarm.flags = c->enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0;
	return VIRTIO_RTC_S_OK;
}

static uint8_t set_alarm(struct rtc *rtc, struct rtc_clock *c, uint64_t time, uint8_t flags)
{
	int r;

	if (flags & ~VIRTIO_RTC_FLAG_ALARM_ENABLED)
		return VIRTIO_RTC_S_EINVAL;
	r = rtc_alarm_set(rtc, c, time, flags & VIRTIO_RTC_FLAG_ALARM_ENABLED);
	if (!r)
		return VIRTIO_RTC_S_OK;
	if (log_allowed(&rtc->complaints, 1))
		log_error(rtc->dev.log, "an alarm was refused: writing %s failed: %s", rtc->state,
			strerror(-r));
	return VIRTIO_RTC_S_EIO;
}

static uint8_t req_set_alarm(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	struct rtc_clock *c = alarm_clock(rtc, req->set_alarm.clock_id);

	if (!c)
		return VIRTIO_RTC_S_ENODEV;
	return set_alarm(rtc, c, le64toh(req->set_alarm.alarm_time), req->set_alarm.flags);
}

static uint8_t req_enable(struct rtc *rtc, const union rtc_req *req, union rtc_resp *resp)
{
	struct rtc_clock *c = alarm_clock(rtc, req->enable.clock_id);

	return c ? set_alarm(rtc, c, c->alarm_time, req->enable.flags) : VIRTIO_RTC_S_ENODEV;
}

/* Request and response by type. The bytes from `reserved` to the end of the request, and those of
 * the header behind the type, are zero. */
static const struct request {
	uint16_t type;
	uint8_t len, resp_len, reserved;
	handler_fn handle;
} requests[] = {
	{ VIRTIO_RTC_REQ_READ, sizeof(struct rtc_req_clock), sizeof(struct rtc_resp_read),
		offsetof(struct rtc_req_clock, reserved), req_read },
	{ VIRTIO_RTC_REQ_READ_CROSS, sizeof(struct rtc_req_cross),
		sizeof(struct rtc_resp_read_cross), offsetof(struct rtc_req_cross, reserved),
		req_read_cross },
	{ VIRTIO_RTC_REQ_CFG, sizeof(struct rtc_req_head), sizeof(struct rtc_resp_cfg),
		offsetof(struct rtc_req_head, reserved), req_cfg },
	{ VIRTIO_RTC_REQ_CLOCK_CAP, sizeof(struct rtc_req_clock), sizeof(struct rtc_resp_clock_cap),
		offsetof(struct rtc_req_clock, reserved), req_clock_cap },
	{ VIRTIO_RTC_REQ_CROSS_CAP, sizeof(struct rtc_req_cross), sizeof(struct rtc_resp_cross_cap),
		offsetof(struct rtc_req_cross, reserved), req_cross_cap },
	{ VIRTIO_RTC_REQ_READ_ALARM, sizeof(struct rtc_req_clock),
		sizeof(struct rtc_resp_read_alarm), offsetof(struct rtc_req_clock, reserved),
		req_read_alarm },
	{ VIRTIO_RTC_REQ_SET_ALARM, sizeof(struct rtc_req_set_alarm), sizeof(struct rtc_resp_head),
		offsetof(struct rtc_req_set_alarm, reserved), req_set_alarm },
	{ VIRTIO_RTC_REQ_SET_ALARM_ENABLED, sizeof(struct rtc_req_enable),
		sizeof(struct rtc_resp_head), offsetof(struct rtc_req_enable, reserved),
		req_enable },
};

static const struct request *find_request(uint16_t type)
{
	for (unsigned i = 0; i < ARRAY_LEN(requests); i++)
		if (requests[i].type == type)
			return &requests[i];
	return NULL;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

/* Carries out the first `len` bytes of a request; `room` is what the response may take. Sets the
 * length of the response. */
static void execute(struct rtc *rtc, const union rtc_req *req, size_t len, uint64_t room,
	union rtc_resp *resp, size_t *resp_len)
{
	const struct request *r =
		len < sizeof(req->head) ? NULL : find_request(le16toh(req->head.msg_type));
	const uint8_t *bytes = (const uint8_t *)req;
	uint8_t status;

	memset(resp, 0, sizeof(*resp));
	if (len < sizeof(req->head))
		status = VIRTIO_RTC_S_EINVAL;
	else if (!r)
		status = VIRTIO_RTC_S_EOPNOTSUPP;
	else if (len < r->len || room < r->resp_len ||
		 !all_zero(req->head.reserved, sizeof(req->head.reserved)) ||
		 !all_zero(bytes + r->reserved, r->len - r->reserved))
		status = VIRTIO_RTC_S_EINVAL;
	else
		status = r->handle(rtc, req, resp);
	*resp_len = r && status == VIRTIO_RTC_S_OK ? r->resp_len : sizeof(resp->head);
	if (status != VIRTIO_RTC_S_OK) {
		memset(resp, 0, sizeof(*resp));
		resp->head.status = status;
		rtc->refused++;
	}
	rtc->requests++;
}

static void serve_request(struct rtc *rtc, struct vq_chain *chain)
{
	struct iov_iter in, out;
	union rtc_resp resp;
	union rtc_req req;
	size_t len, resp_len;

	memset(&req, 0, sizeof(req));
	iov_iter_init(&out, chain->iov, chain->n_out);
	iov_iter_init(&in, vq_in(chain), chain->n_in);
	len = iov_read(&out, &req, sizeof(req));
	execute(rtc, &req, len, chain->in_len, &resp, &resp_len);
	/* What has no room for a status gets none. */
	vq_push(chain->vq, chain, (uint32_t)iov_write(&in, &resp, resp_len));
}

static void serve_requests(struct rtc *rtc)
{
	struct vq *vq = rtc->dev.queues[RTC_REQUESTQ];
	struct vq_chain *chain;
	unsigned n = 0;

	while (n < TURN_MAX && vq_pop_or_kick(vq, &chain) == 1) {
		serve_request(rtc, chain);
		n++;
	}
	vq_flush(vq);
	if (n == TURN_MAX)
		ev_task_post(&rtc->more);
}

static void rtc_kick(struct vdev *dev, unsigned q)
{
	struct rtc *rtc = to_rtc(dev);

	if (q == RTC_REQUESTQ)
		serve_requests(rtc);
	rtc_alarm_look(rtc);
}

static void more_requests(void *arg)
{
	struct rtc *rtc = arg;

	vdev_kick(&rtc->dev, RTC_REQUESTQ);
}

static void time_to_look(void *arg)
{
	rtc_alarm_look(arg);
}

/* Somebody set the host's clock. */
static void clock_was_set(void *arg)
{
	struct rtc *rtc = arg;

	rtc->clock_sets++;
	vdev_event(&rtc->dev, "clock-set", "somebody set the host's clock, or it has slept");
	rtc_alarm_look(rtc);
}

static void rtc_reset(struct vdev *dev)
{
	struct rtc *rtc = to_rtc(dev);

	ev_task_cancel(&rtc->more);
	rtc_alarm_reset(rtc);
}

/* Configuration. */

static int add_clock(struct rtc *rtc, const char *name, struct err *e)
{
	const struct rtc_kind *k = rtc_kinds;
	const char *why;

	while (k->name && strcmp(k->name, name))
		k++;
	if (!k->name)
		return err_set(e, -EINVAL,
			"clocks has '%s'; there are utc, tai, monotonic, utc-maybe-smeared, "
			"smeared-noon and smeared-sls",
			name);
	for (unsigned i = 0; i < rtc->nclocks; i++)
		if (rtc->clocks[i].kind == k)
			return err_set(e, -EINVAL, "clocks has '%s' twice", name);
	if (!hostclock_has(&rtc->host, k->scale, &why))
		return err_set(e, -EINVAL, "clocks has '%s', but %s", name, why);
	rtc->clocks[rtc->nclocks++].kind = k;
	return 0;
}

/* "0", "-1234", "0x...": what the guest's counter is ahead of the host's. */
static int parse_offset(struct rtc *rtc, struct err *e)
{
	const char *text = rtc->counter_offset;
	char *end;

	errno = 0;
	rtc->offset = *text == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return err_set(e, -EINVAL,
			"counter-offset '%s' is no 64-bit number; it is the guest's counter minus "
			"the host's",
			text);
	return 0;
}

static int set_up_counter(struct rtc *rtc, struct err *e)
{
	if (rtc->counter == COUNTER_NONE)
		return 0;
	if (rtc->counter != HOST_COUNTER)
		return err_set(e, -EINVAL, "counter %s: guests on this computer have %s",
			counter_words[rtc->counter], counter_words[HOST_COUNTER]);
	rtc->cross = true;
	return parse_offset(rtc, e);
}

static int set_up(struct rtc *rtc, struct err *e)
{
	int r = set_up_counter(rtc, e);

	if (!r && !rtc->clock_names.n)
		r = opt_set(rtc->dev.cls->opts, rtc, "clocks", DEFAULT_CLOCKS, e);
	for (unsigned i = 0; i < rtc->clock_names.n && !r; i++)
		r = add_clock(rtc, rtc->clock_names.v[i], e);
	return r ? r : rtc_alarm_init(rtc, e);
}

static int rtc_init(struct vdev *dev, struct err *e)
{
	struct rtc *rtc = to_rtc(dev);
	int r = hostclock_open(&rtc->host, dev->loop, rtc->leaps, clock_was_set, rtc, e);

	if (r < 0)
		return r;
	ev_timer_init(dev->loop, &rtc->next, time_to_look, rtc);
	ev_task_init(dev->loop, &rtc->more, more_requests, rtc);
	r = set_up(rtc, e);
	if (r < 0) {
		hostclock_close(&rtc->host);
		return r;
	}
	rtc_alarm_reset(rtc);
	dev->features = rtc->alarm && rtc->nclocks ? FEATURE(VIRTIO_RTC_F_ALARM) : 0;
	dev->nqueues = dev->features ? 2 : 1;
	dev->queue_size_max = QUEUE_SIZE;
	return 0;
}

static void rtc_finish(struct vdev *dev)
{
	struct rtc *rtc = to_rtc(dev);

	ev_timer_stop(&rtc->next);
	ev_task_cancel(&rtc->more);
	rtc_alarm_finish(rtc);
	hostclock_close(&rtc->host);
}

static const struct opt rtc_opts[] = {
	{ "clocks", OPT_LIST, offsetof(struct rtc, clock_names),
		.help = "utc, tai, monotonic, utc-maybe-smeared, smeared-noon, smeared-sls "
			"(default: " DEFAULT_CLOCKS ")" },
	{ "leap-seconds", OPT_PATH, offsetof(struct rtc, leaps),
		.help = "file of leap seconds in the IERS's format, for tai and smeared clocks" },
	{ "alarm", OPT_BOOL, offsetof(struct rtc, alarm), .def = "true",
		.help = "offer alarms, one for each clock" },
	{ "state", OPT_PATH, offsetof(struct rtc, state),
		.help = "file that keeps alarms over resets and restarts" },
	{ "counter", OPT_ENUM, offsetof(struct rtc, counter), .def = "none", .words = counter_words,
		.help = "the guest's counter for cross-timestamps" },
	{ "counter-offset", OPT_STR, offsetof(struct rtc, counter_offset), .def = "0",
		.help = "the guest's counter minus this computer's, ticks" },
	OPT_END,
};

static const struct vdev_metric rtc_metrics[] = {
	{ "requests", offsetof(struct rtc, requests), "requests answered" },
	{ "refused", offsetof(struct rtc, refused), "of them with a status that is not OK" },
	{ "cross_reads", offsetof(struct rtc, cross_reads), "cross-timestamps given" },
	{ "alarms", offsetof(struct rtc, alarms), "alarms that expired" },
	{ "notifications", offsetof(struct rtc, notifications), "alarms the driver was told of" },
	{ "clock_sets", offsetof(struct rtc, clock_sets), "times the host's clock was set" },
	{ NULL, 0, NULL },
};

static const struct vdev_sandbox rtc_sandbox = { 0 };

const struct vdev_class vdev_rtc = {
	.name = "rtc",
	.id = VIRTIO_ID_CLOCK,
	.pci_class = 0x080300, /* system peripheral, real-time clock */
	.summary = "clock device: UTC, TAI, monotonic time, cross-timestamps, alarms",
	.size = sizeof(struct rtc),
	.opts = rtc_opts,
	.metrics = rtc_metrics,
	.sandbox = &rtc_sandbox,
	.init = rtc_init,
	.finish = rtc_finish,
	.reset = rtc_reset,
	.kick = rtc_kick,
	.command = rtc_command,
};
