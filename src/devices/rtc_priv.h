/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the clock device (VIRTIO 1.4, 5.23): rtc.c is the device and its requests,
 * rtc_alarm.c the alarms, rtc_tell.c what the operator may say. */
#pragma once

#include <stdio.h>

#include "base/le.h"
#include "host/hostclock.h"
#include "virtio/device.h"

#define VIRTIO_RTC_F_ALARM 0

enum { RTC_REQUESTQ, RTC_ALARMQ };

/* Message types. */
#define VIRTIO_RTC_REQ_READ		 0x0001u
#define VIRTIO_RTC_REQ_READ_CROSS	 0x0002u
#define VIRTIO_RTC_REQ_CFG		 0x1000u
#define VIRTIO_RTC_REQ_CLOCK_CAP	 0x1001u
#define VIRTIO_RTC_REQ_CROSS_CAP	 0x1002u
#define VIRTIO_RTC_REQ_READ_ALARM	 0x1003u
#define VIRTIO_RTC_REQ_SET_ALARM	 0x1004u
#define VIRTIO_RTC_REQ_SET_ALARM_ENABLED 0x1005u
#define VIRTIO_RTC_NOTIF_ALARM		 0x2000u

enum {
	VIRTIO_RTC_S_OK = 0,
	VIRTIO_RTC_S_EOPNOTSUPP = 2,
	VIRTIO_RTC_S_ENODEV = 3,
	VIRTIO_RTC_S_EINVAL = 4,
	VIRTIO_RTC_S_EIO = 5,
};

enum {
	VIRTIO_RTC_CLOCK_UTC,
	VIRTIO_RTC_CLOCK_TAI,
	VIRTIO_RTC_CLOCK_MONOTONIC,
	VIRTIO_RTC_CLOCK_UTC_SMEARED,
	VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED,
};

enum { VIRTIO_RTC_SMEAR_UNSPECIFIED, VIRTIO_RTC_SMEAR_NOON_LINEAR, VIRTIO_RTC_SMEAR_UTC_SLS };

#define VIRTIO_RTC_FLAG_ALARM_CAP     1u
#define VIRTIO_RTC_FLAG_CROSS_CAP     1u
#define VIRTIO_RTC_FLAG_ALARM_ENABLED 1u

#define VIRTIO_RTC_COUNTER_ARM_VCT 0u
#define VIRTIO_RTC_COUNTER_X86_TSC 1u
#define VIRTIO_RTC_COUNTER_INVALID 0xffu

/* Requests; all begin with the type. Reserved fields are zero. */
struct rtc_req_head {
	le16 msg_type;
	uint8_t reserved[6];
};

struct rtc_req_clock { /* READ, CLOCK_CAP, READ_ALARM */
	struct rtc_req_head head;
	le16 clock_id;
	uint8_t reserved[6];
};

struct rtc_req_cross { /* READ_CROSS, CROSS_CAP */
	struct rtc_req_head head;
	le16 clock_id;
	uint8_t hw_counter;
	uint8_t reserved[5];
};

struct rtc_req_set_alarm {
	struct rtc_req_head head;
	le64 alarm_time;
	le16 clock_id;
	uint8_t flags;
	uint8_t reserved[5];
};

struct rtc_req_enable { /* SET_ALARM_ENABLED */
	struct rtc_req_head head;
	le16 clock_id;
	uint8_t flags;
	uint8_t reserved[5];
};

union rtc_req {
	struct rtc_req_head head;
	struct rtc_req_clock clock;
	struct rtc_req_cross cross;
	struct rtc_req_set_alarm set_alarm;
	struct rtc_req_enable enable;
};

/* Responses; all begin with the status. */
struct rtc_resp_head {
	uint8_t status;
	uint8_t reserved[7];
};

struct rtc_resp_cfg {
	struct rtc_resp_head head;
	le16 num_clocks;
	uint8_t reserved[6];
};

struct rtc_resp_clock_cap {
	struct rtc_resp_head head;
	uint8_t type;
	uint8_t leap_second_smearing;
	uint8_t flags;
	uint8_t reserved[5];
};

struct rtc_resp_cross_cap {
	struct rtc_resp_head head;
	uint8_t flags;
	uint8_t reserved[7];
};

struct rtc_resp_read {
	struct rtc_resp_head head;
	le64 clock_reading;
};

struct rtc_resp_read_cross {
	struct rtc_resp_head head;
	le64 clock_reading;
	le64 counter_cycles;
};

struct rtc_resp_read_alarm {
	struct rtc_resp_head head;
	le64 alarm_time;
	uint8_t flags;
	uint8_t reserved[7];
};

union rtc_resp {
	struct rtc_resp_head head;
	struct rtc_resp_cfg cfg;
	struct rtc_resp_clock_cap clock_cap;
	struct rtc_resp_cross_cap cross_cap;
	struct rtc_resp_read read;
	struct rtc_resp_read_cross read_cross;
	struct rtc_resp_read_alarm read_alarm;
};

struct rtc_notif_alarm {
	le16 msg_type;
	uint8_t reserved[6];
	le16 clock_id;
	uint8_t reserved2[6];
};

#define RTC_CLOCKS_MAX 8u

/* What a clock can be; the words of the key `clocks`. Ends with a NULL name. */
struct rtc_kind {
	const char *name;
	uint8_t type, smear;
	enum hostclock_scale scale;
};

extern const struct rtc_kind rtc_kinds[];

struct rtc_clock {
	const struct rtc_kind *kind;
	uint64_t alarm_time; /* ns on this clock's scale */
	bool enabled;
	bool ahead; /* enabled, and the clock was before alarm_time when last looked at */
	bool due;   /* an expiration of which the driver was not told yet */
};

struct rtc {
	struct vdev dev;
	/* Keys. */
	struct opt_list clock_names;
	char *leaps;
	bool alarm;
	char *state;
	int counter;
	char *counter_offset;

	struct hostclock host;
	struct rtc_clock clocks[RTC_CLOCKS_MAX];
	unsigned nclocks;
	bool cross;	      /* counter_cycles can be told */
	uint64_t offset;      /* guest's counter - host's, modulo 2^64 */
	int state_fd;	      /* keeps alarms; -1: none */
	struct ev_timer next; /* the time to look at the alarms again */
	struct ev_task more;  /* requests that waited for other work of the loop */
	struct log_limit complaints;
	/* Metrics. */
	uint64_t requests, refused, cross_reads, alarms, notifications, clock_sets;
};

static inline uint64_t rtc_read_clock(const struct rtc *rtc, const struct rtc_clock *c)
{
	return hostclock_read(&rtc->host, c->kind->scale);
}

/* rtc_alarm.c */

/* Opens the file that keeps alarms, and takes what it says. */
int rtc_alarm_init(struct rtc *rtc, struct err *e);
void rtc_alarm_finish(struct rtc *rtc);
/* The device was reset: alarms are off, or go on if they are kept. */
void rtc_alarm_reset(struct rtc *rtc);
/* Returns 0, or -errno if the alarm cannot be kept. */
int rtc_alarm_set(struct rtc *rtc, struct rtc_clock *c, uint64_t time, bool enabled);
/* Looks whether alarms have expired, tells the driver, and sets the time of the next look. Whenever
 * a clock was read or may have jumped, or the alarmq has buffers. */
void rtc_alarm_look(struct rtc *rtc);

/* rtc_tell.c */

int rtc_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e);
