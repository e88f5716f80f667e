/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clock device (VIRTIO 1.4, 5.23): readings, cross-timestamps, alarms. Times are nanoseconds on the
 * clock's scale. Functions that ask the device wait for `timeout`.
 */
#pragma once

#include "req.h"

#define DRV_ID_RTC 17

#define VIRTIO_RTC_F_ALARM 0

/* Types of clocks, and how one smears leap seconds. */
#define VIRTIO_RTC_CLOCK_UTC		   0
#define VIRTIO_RTC_CLOCK_TAI		   1
#define VIRTIO_RTC_CLOCK_MONOTONIC	   2
#define VIRTIO_RTC_CLOCK_UTC_SMEARED	   3
#define VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED 4

#define VIRTIO_RTC_SMEAR_UNSPECIFIED 0
#define VIRTIO_RTC_SMEAR_NOON_LINEAR 1
#define VIRTIO_RTC_SMEAR_UTC_SLS     2

/* Counters of the processor. */
#define VIRTIO_RTC_COUNTER_ARM_VCT 0
#define VIRTIO_RTC_COUNTER_X86_TSC 1

struct drv_rtc {
	struct drv_dev *dev;
	uint16_t nclocks; /* clocks are 0 to nclocks - 1 */
	bool alarms;	  /* the device has alarms */
	uint64_t timeout; /* ns; 1 s unless changed */
	struct drv_req req;
	struct drv_pool alarmq;
};

struct drv_rtc_clock {
	uint8_t type;  /* VIRTIO_RTC_CLOCK_* */
	uint8_t smear; /* VIRTIO_RTC_SMEAR_* */
	bool alarm;    /* it has an alarm */
};

/*
 * Functions return 0 or DRV_*: DRV_GONE for a clock that does not exist or has no alarm,
 * DRV_UNSUPPORTED for a request or a counter that the device does not know, DRV_ERROR if it failed.
 */
int drv_rtc_open(struct drv_rtc *r, struct drv_dev *dev);
int drv_rtc_clock(struct drv_rtc *r, uint16_t id, struct drv_rtc_clock *clock);
int drv_rtc_read(struct drv_rtc *r, uint16_t id, uint64_t *time);
/* Whether a clock can be read together with this counter. */
int drv_rtc_cross(struct drv_rtc *r, uint16_t id, uint8_t counter, bool *supported);
/* A reading, and what the counter was at that moment. */
int drv_rtc_read_cross(
	struct drv_rtc *r, uint16_t id, uint8_t counter, uint64_t *time, uint64_t *cycles);

int drv_rtc_alarm(struct drv_rtc *r, uint16_t id, uint64_t *time, bool *enabled);
/* One that is enabled and not in the future expires at once. */
int drv_rtc_set_alarm(struct drv_rtc *r, uint16_t id, uint64_t time, bool enabled);
int drv_rtc_enable_alarm(struct drv_rtc *r, uint16_t id, bool enabled);
/* Waits for an alarm: its clock. Read the clock then: it may have been set meanwhile. */
int drv_rtc_expired(struct drv_rtc *r, uint16_t *id, uint64_t until);
