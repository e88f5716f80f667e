/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms of the clock device (VIRTIO 1.4, 5.23.6.6). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/iov.h"
#include "base/util.h"
#include "devices/rtc_priv.h"

#define NS UINT64_C(1000000000)

/* The file that keeps alarms. */
struct kept {
	char magic[8];
	struct {
		le64 time;
		le64 enabled;
	} clocks[RTC_CLOCKS_MAX];
};

static const char kept_magic[8] = "avp-rtc1";

static int keep(struct rtc *rtc)
{
	struct kept k = { 0 };
	ssize_t n;

	if (rtc->state_fd < 0)
		return 0;
	memcpy(k.magic, kept_magic, sizeof(k.magic));
	for (unsigned i = 0; i < rtc->nclocks; i++) {
		k.clocks[i].time = htole64(rtc->clocks[i].alarm_time);
		k.clocks[i].enabled = htole64(rtc->clocks[i].enabled);
	}
	n = pwrite(rtc->state_fd, &k, sizeof(k), 0);
	return n == sizeof(k) ? 0 : n < 0 ? -errno : -EIO;
}

static int read_kept(struct rtc *rtc, struct err *e)
{
	struct kept k;
	ssize_t n = pread(rtc->state_fd, &k, sizeof(k), 0);

	if (n < 0)
		return err_sys(e, -errno, "reading %s", rtc->state);
	if (!n)
		return 0;
	if (n != sizeof(k) || memcmp(k.magic, kept_magic, sizeof(k.magic)))
		return err_set(e, -EINVAL,
			"state %s is not a file of kept alarms; an empty or a new one is wanted",
			rtc->state);
	for (unsigned i = 0; i < rtc->nclocks; i++) {
		rtc->clocks[i].alarm_time = le64toh(k.clocks[i].time);
		rtc->clocks[i].enabled = k.clocks[i].enabled != 0;
	}
	return 0;
}

int rtc_alarm_init(struct rtc *rtc, struct err *e)
{
	struct stat st;
	int r;

	rtc->state_fd = -1;
	if (!rtc->state)
		return 0;
	rtc->state_fd = open(rtc->state, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (rtc->state_fd < 0)
		return err_sys(e, -errno, "opening the state file %s", rtc->state);
	if (fstat(rtc->state_fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = err_set(e, -EINVAL, "state %s is not a regular file", rtc->state);
	else
		r = read_kept(rtc, e);
	if (r < 0)
		rtc_alarm_finish(rtc);
	return r;
}

void rtc_alarm_finish(struct rtc *rtc)
{
	close_fd(&rtc->state_fd);
}

void rtc_alarm_reset(struct rtc *rtc)
{
	for (unsigned i = 0; i < rtc->nclocks; i++) {
		struct rtc_clock *c = &rtc->clocks[i];

		if (rtc->state_fd < 0) {
			c->alarm_time = 0;
			c->enabled = false;
		}
		/* A kept alarm that has passed expires now. */
		c->ahead = c->enabled;
		c->due = false;
	}
	rtc_alarm_look(rtc);
}

int rtc_alarm_set(struct rtc *rtc, struct rtc_clock *c, uint64_t time, bool enabled)
{
	const struct rtc_clock old = *c;
	int r;

	c->alarm_time = time;
	c->enabled = enabled;
	c->ahead = enabled;
	c->due = false;
	r = keep(rtc);
	if (r < 0)
		*c = old;
	return r;
}

/* Expiration. */

static void look_at(struct rtc *rtc, struct rtc_clock *c, uint64_t now)
{
	bool ahead = now < c->alarm_time;

	if (c->ahead && !ahead) {
		rtc->alarms++;
		c->due = true;
	}
	c->ahead = ahead;
}

/* Clocks do not run exactly as the timer does, by up to a thousandth while a leap second is
 * smeared: a long wait ends a little early, and is followed by a shorter one. */
static uint64_t wait_ns(uint64_t left)
{
	return left > NS / 8 ? left - left / 64 : left;
}

static bool live(const struct rtc *rtc)
{
	struct vq *vq = rtc->dev.queues[RTC_ALARMQ];
	uint8_t status = rtc->dev.status;

	/* A front-end that tells no status sets none at all. */
	return (!status || (status & VIRTIO_S_DRIVER_OK)) && !(status & VIRTIO_S_NEEDS_RESET) &&
	       vdev_has(&rtc->dev, VIRTIO_RTC_F_ALARM) && vq && vq_running(vq);
}

/* One notification. False: there is no buffer, or it was no good. */
static bool notify(struct rtc *rtc, struct vq *vq, unsigned id)
{
	const struct rtc_notif_alarm n = {
		.msg_type = htole16(VIRTIO_RTC_NOTIF_ALARM),
		.clock_id = htole16((uint16_t)id),
	};
	struct vq_chain *chain;
	struct iov_iter it;

	if (vq_pop_or_kick(vq, &chain) != 1)
		return false;
	if (chain->n_out || chain->in_len < sizeof(n)) {
		vdev_broken(&rtc->dev, RTC_ALARMQ,
			"an alarmq buffer is device-readable or too short (5.23.6.6.3.1)");
		return false;
	}
	iov_iter_init(&it, vq_in(chain), chain->n_in);
	iov_write(&it, &n, sizeof(n));
	vq_push(vq, chain, sizeof(n));
	rtc->notifications++;
	return true;
}

static void deliver(struct rtc *rtc)
{
	struct vq *vq = rtc->dev.queues[RTC_ALARMQ];

	if (!live(rtc))
		return;
	for (unsigned i = 0; i < rtc->nclocks; i++) {
		if (!rtc->clocks[i].due)
			continue;
		if (!notify(rtc, vq, i))
			break;
		rtc->clocks[i].due = false;
	}
	vq_flush(vq);
	vdev_check(&rtc->dev, RTC_ALARMQ);
}

void rtc_alarm_look(struct rtc *rtc)
{
	uint64_t wait = UINT64_MAX;

	for (unsigned i = 0; i < rtc->nclocks; i++) {
		struct rtc_clock *c = &rtc->clocks[i];
		uint64_t now;

		if (!c->enabled)
			continue;
		now = rtc_read_clock(rtc, c);
		look_at(rtc, c, now);
		if (c->ahead)
			wait = min_u64(wait, wait_ns(c->alarm_time - now));
	}
	if (wait == UINT64_MAX)
		ev_timer_stop(&rtc->next);
	else
		ev_timer_set(&rtc->next, min_u64(wait, UINT64_C(1) << 62));
	deliver(rtc);
}
