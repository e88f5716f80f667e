/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the clock device (VIRTIO 1.4, 5.23) share. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/rtc.h"

/* Message types and status (5.23.6). */
enum {
	RTC_READ = 0x0001,
	RTC_READ_CROSS = 0x0002,
	RTC_CFG = 0x1000,
	RTC_CLOCK_CAP = 0x1001,
	RTC_CROSS_CAP = 0x1002,
	RTC_READ_ALARM = 0x1003,
	RTC_SET_ALARM = 0x1004,
	RTC_SET_ALARM_ENABLED = 0x1005,
	RTC_NOTIF_ALARM = 0x2000,
};
enum {
	RTC_S_OK = 0,
	RTC_S_EOPNOTSUPP = 2,
	RTC_S_ENODEV = 3,
	RTC_S_EINVAL = 4,
	RTC_S_EIO = 5,
};

#define RTC_ALARM	DRV_FEATURE(VIRTIO_RTC_F_ALARM)
#define RTC_CLOCKS_MAX	16u /* that cases look at */
#define RTC_REQ_MAX	24u
#define RTC_RESP_MAX	24u
#define RTC_NOTIF_LEN	16u
#define RTC_COUNTER_BAD 0xffu

/* The device with its request queue. */
struct rtc {
	struct cf *c;
	struct drv_queue *q, *alarmq; /* alarmq: NULL without F_ALARM */
	unsigned nclocks;
	uint8_t *req, *resp; /* RTC_REQ_MAX and RTC_RESP_MAX bytes */
};

/* Brings it up with `want` and asks how many clocks there are. */
bool rtc_up(struct rtc *r, struct cf *c, uint64_t want);
/* The buffers of a device that is up, and the number of clocks. */
bool rtc_use(struct rtc *r, struct cf *c);

/* Lengths of a request and its response; 0 for an unknown type. */
uint32_t rtc_req_len(uint16_t type);
uint32_t rtc_resp_len(uint16_t type);
/* Writes a request of any type into r->req: `sub` is hw_counter or flags, `time` only SET_ALARM's.
 */
void rtc_make(struct rtc *r, uint16_t type, unsigned id, uint8_t sub, uint64_t time);
/* Sends the `len` bytes of r->req with `room` bytes for the response. The device must write at
 * least the status, and nothing behind what it reports. Gives status and used length. */
bool rtc_send(struct rtc *r, uint32_t len, uint32_t room, uint8_t *status, uint32_t *used);
/* A request with exactly the right lengths that must be answered with this status; with OK the
 * response must be whole. */
bool rtc_must(struct rtc *r, uint16_t type, unsigned id, uint8_t sub, uint64_t time, uint8_t want);

/* Fields of the response in r->resp. */
uint64_t rtc_word(const struct rtc *r, uint32_t offset);

bool rtc_read(struct rtc *r, unsigned id, uint64_t *time);
bool rtc_type(struct rtc *r, unsigned id, uint8_t *type);
/* The counter that a driver on this processor reads; its number for hw_counter. */
uint64_t rtc_counter(void);
uint8_t rtc_counter_id(void);
/* A clock with an alarm; false (recorded, or skipped) if there is none. */
bool rtc_alarm_clock(struct rtc *r, unsigned *id);
