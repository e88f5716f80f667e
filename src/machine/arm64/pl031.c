/* SPDX-License-Identifier: BSD-3-Clause */
/* PL031 registers (Arm DDI 0224C, chapter 3). */
#include "machine/arm64/pl031.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/arm64/primecell.h"
#include "machine/reg32.h"

#define RTCDR	0x000u
#define RTCMR	0x004u
#define RTCLR	0x008u
#define RTCCR	0x00cu
#define RTCIMSC 0x010u
#define RTCRIS	0x014u
#define RTCMIS	0x018u
#define RTCICR	0x01cu

#define PERIPH_ID 0x00041031u

static void update_line(struct pl031 *r)
{
	bool level = r->pending && r->enabled;

	if (level == r->line)
		return;
	r->line = level;
	r->vmm->ops->irq_line(r->vmm, r->irq, level);
}

static time_t host_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

static uint32_t now(const struct pl031 *r)
{
	return (uint32_t)host_seconds() + r->offset;
}

/* The counter is compared at every tick; a value that it passed is met after 136 years. */
static void set_alarm(struct pl031 *r)
{
	uint32_t ahead = r->match - now(r);
	struct itimerspec when = { .it_value.tv_sec = host_seconds() + ahead };

	if (!ahead)
		r->pending = true;
	if (!ahead || ahead > INT32_MAX)
		when.it_value.tv_sec = 0;
	timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_alarm(void *arg, uint32_t events)
{
	struct pl031 *r = arg;

	pthread_mutex_lock(&r->lock);
	/* The guest may have set another time since. */
	if (fd_event_clear(r->timer_fd) == 1 && (int32_t)(r->match - now(r)) <= 0)
		r->pending = true;
	update_line(r);
	pthread_mutex_unlock(&r->lock);
}

static uint32_t read_reg(void *arg, uint32_t reg)
{
	struct pl031 *r = arg;

	switch (reg) {
	case RTCDR:
		return now(r);
	case RTCMR:
		return r->match;
	case RTCLR:
		return r->load;
	case RTCCR:
		return 1; /* it always counts */
	case RTCIMSC:
		return r->enabled;
	case RTCRIS:
		return r->pending;
	case RTCMIS:
		return r->pending && r->enabled;
	default:
		return reg >= PRIMECELL_IDS ? primecell_id(reg, PERIPH_ID) : 0;
	}
}

static void write_reg(void *arg, uint32_t reg, uint32_t v)
{
	struct pl031 *r = arg;

	switch (reg) {
	case RTCMR:
		r->match = v;
		set_alarm(r);
		break;
	case RTCLR:
		r->load = v;
		r->offset = v - (uint32_t)host_seconds();
		set_alarm(r);
		break;
	case RTCIMSC:
		r->enabled = v & 1;
		break;
	case RTCICR:
		if (v & 1)
			r->pending = false;
		break;
	default:
		break;
	}
}

static void pl031_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pl031 *r = arg;

	pthread_mutex_lock(&r->lock);
	reg32_read(read_reg, r, offset, data, len);
	pthread_mutex_unlock(&r->lock);
}

static void pl031_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pl031 *r = arg;

	pthread_mutex_lock(&r->lock);
	reg32_write(write_reg, r, offset, data, len);
	update_line(r);
	pthread_mutex_unlock(&r->lock);
}

int pl031_init(struct pl031 *r, struct vmm *vmm, uint64_t addr, uint32_t irq, struct err *e)
{
	int rc;

	*r = (struct pl031){
		.vmm = vmm,
		.irq = irq,
		.range = { .len = PRIMECELL_LEN,
			.name = "PL031",
			.read = pl031_read,
			.write = pl031_write,
			.arg = r },
	};
	pthread_mutex_init(&r->lock, NULL);
	r->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer_fd < 0)
		return err_sys(e, -errno, "cannot create the timer of the PL031");
	rc = ev_fd_add(vmm->loop, &r->timer, r->timer_fd, EPOLLIN, on_alarm, r);
	if (rc)
		return err_sys(e, rc, "cannot watch the timer of the PL031");
	return bus_add(&vmm->mmio, &r->range, addr, e);
}

void pl031_finish(struct pl031 *r)
{
	if (!r->vmm)
		return;
	bus_del(&r->vmm->mmio, &r->range);
	ev_fd_del(&r->timer);
	close_fd(&r->timer_fd);
	pthread_mutex_destroy(&r->lock);
	r->vmm = NULL;
}
