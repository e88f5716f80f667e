/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens on the bus: who sends next, how long it takes, and who hears it. The bus looks when
 * a frame is handed over and when its timer says so, and then catches up with the clock, frame by
 * frame, at the times at which things happened.
 */
#include "host/canbus.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>

#include "base/util.h"
#include "host/canbus_priv.h"

#define SECOND	 UINT64_C(1000000000)
#define TURN_MAX 64u /* transmissions before other work of the loop gets a turn */
/* Where frames take no time, until a frame that met an error is sent again. */
#define RETRY_NS UINT64_C(1000000)

uint64_t canbus_now(const struct canbus *b)
{
	return b->clock(b->clock_arg, CLOCK_MONOTONIC);
}

void canbus_wake(struct canbus *b)
{
	ev_task_post(&b->task);
}

static uint64_t bits_ns(const struct canbus *b, uint64_t bits)
{
	return b->config.bitrate ? bits * SECOND / b->config.bitrate : 0;
}

static uint64_t frame_ns(const struct canbus *b, const struct canfd_frame *f)
{
	const struct canbus_config *c = &b->config;
	struct can_bits bits;

	if (!c->bitrate)
		return 0;
	bits = can_frame_bits(f);
	return bits_ns(b, bits.nominal) +
	       bits.data * SECOND / (c->data_bitrate ? c->data_bitrate : c->bitrate);
}

/* Who sends next. */

/* When the port could begin to send; UINT64_MAX if it has nothing. */
static uint64_t ready_ns(struct canport *p)
{
	struct pending *what = p->nqueue ? &p->queue[0] : NULL;
	uint64_t at, allowed;

	if (!canport_active(p) || p->config.listen_only)
		return UINT64_MAX;
	if (p->babble && (!what || p->noise.time_ns < what->time_ns))
		what = &p->noise;
	if (!what)
		return UINT64_MAX;
	at = max_u64(max_u64(what->time_ns, p->not_before_ns), p->bus->free_ns);
	allowed = canport_allowed_ns(p);
	if (allowed <= at)
		return at;
	canport_exceeded(p, what);
	return canport_active(p) ? allowed : UINT64_MAX;
}

/* The more urgent of two; `a` if that makes no difference. A classic frame wins over one of CAN FD
 * by its FDF bit. */
static struct pending *more_urgent(struct pending *a, struct pending *b)
{
	uint32_t id_a = can_arbitration(&a->frame), id_b = can_arbitration(&b->frame);

	if (id_a != id_b)
		return id_a < id_b ? a : b;
	return can_is_fd(&a->frame) && !can_is_fd(&b->frame) ? b : a;
}

/* What the port sends at that time. */
static struct pending *candidate(struct canport *p, uint64_t at)
{
	struct pending *best = NULL;
	unsigned n = p->config.tx_order == CANPORT_ID ? p->nqueue : min_u64(p->nqueue, 1);

	for (unsigned i = 0; i < n && p->queue[i].time_ns <= at; i++)
		best = best ? more_urgent(best, &p->queue[i]) : &p->queue[i];
	if (p->babble && p->noise.time_ns <= at)
		best = best ? more_urgent(best, &p->noise) : &p->noise;
	return best;
}

static void arbitrate(struct canbus *b, uint64_t at)
{
	for (unsigned i = 0; i < b->nports; i++) {
		struct canport *p = b->ports[i];
		struct pending *what = ready_ns(p) <= at ? candidate(p, at) : NULL;

		if (!what)
			continue;
		if (b->tx.port && more_urgent(b->tx.what, what) == b->tx.what) {
			p->count.arbitration_lost++;
			continue;
		}
		if (b->tx.port)
			b->tx.port->count.arbitration_lost++;
		b->tx = (struct transmission){ .port = p, .what = what, .start_ns = at };
	}
}

static bool take_fault(uint32_t *left)
{
	if (!*left)
		return false;
	--*left;
	return true;
}

static bool acknowledged(const struct canbus *b, const struct canport *sender)
{
	if (b->config.ack == CANBUS_ACK_ALWAYS)
		return true;
	for (unsigned i = 0; i < b->nports; i++)
		if (b->ports[i] != sender && canport_acks(b->ports[i]))
			return true;
	return false;
}

static bool nothing_gets_through(const struct canbus *b)
{
	return b->short_circuit ||
	       (b->host && !b->host_up && b->config.host_gone == CANBUS_GONE_FAULT);
}

/* The winner's transmission: how long it takes, and whether it is destroyed. */
static void start_frame(struct canbus *b)
{
	struct transmission *t = &b->tx;
	uint64_t ns = frame_ns(b, &t->what->frame);

	if (nothing_gets_through(b)) {
		t->error = true;
		ns = 0; /* the first bit is wrong */
	} else if (take_fault(&t->port->errors) || take_fault(&b->errors)) {
		t->error = true;
	} else if (!acknowledged(b, t->port)) {
		t->error = t->no_ack = true;
	}
	if (t->error)
		ns += bits_ns(b, CAN_ERROR_FRAME_BITS);
	t->end_ns = t->start_ns + ns;
	canport_charge(t->port, t->start_ns, ns);
}

/* Begins the next transmission if its time has come. */
static bool begin(struct canbus *b, uint64_t now)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < b->nports; i++)
		at = min_u64(at, ready_ns(b->ports[i]));
	b->next_ns = at;
	if (at > now)
		return false;
	arbitrate(b, at);
	if (!b->tx.port)
		return false;
	start_frame(b);
	return true;
}

/* The end of a transmission. */

void canbus_count_load(struct canbus *b, uint64_t until_ns, uint64_t busy_ns)
{
	uint64_t past = until_ns - min_u64(b->window_ns, until_ns);

	b->count.busy_ns += busy_ns;
	if (past >= SECOND) {
		b->load = past < 2 * SECOND ? (unsigned)(b->window_busy_ns * 100 / SECOND) : 0;
		b->window_busy_ns = 0;
		b->window_ns = until_ns - past % SECOND;
	}
	b->window_busy_ns += busy_ns;
}

/* Takes a frame out of the queue; the others close up. */
static void unqueue(struct canport *p, const struct pending *what)
{
	size_t i = (size_t)(what - p->queue);

	memmove(&p->queue[i], &p->queue[i + 1], (p->nqueue - i - 1) * sizeof(*what));
	p->nqueue--;
}

static void to_log(struct canbus *b, const struct canfd_frame *f, uint64_t time_ns)
{
	uint64_t wall;

	if (!b->file)
		return;
	wall = b->clock(b->clock_arg, CLOCK_REALTIME) - (canbus_now(b) - time_ns);
	can_log_frame(b->file, wall, f);
}

void canbus_deliver(
	struct canbus *b, struct canport *from, const struct canfd_frame *f, uint64_t time_ns)
{
	b->count.frames++;
	b->count.bytes += f->len;
	to_log(b, f, time_ns);
	if (b->config.bitrate && from != b->host_port && b->host_up)
		canbus_to_host(b, f);
	for (unsigned i = 0; i < b->nports; i++) {
		struct canport *p = b->ports[i];

		if (p == from || !canport_active(p))
			continue;
		canport_received_ok(p);
		if (!can_filters_pass(&p->filter, f->can_id)) {
			p->count.rx_filtered++;
			continue;
		}
		p->count.rx_frames++;
		if (p->ops->receive)
			p->ops->receive(p->arg, f);
	}
}

/* Takes the frame off the bus and out of its port's queue. Returns the port to be told of its fate,
 * NULL if nobody waits for that. */
static struct canport *take_off(struct canbus *b, struct pending *what)
{
	struct transmission *t = &b->tx;
	struct canport *p = t->port;

	*what = *t->what;
	t->port = NULL;
	if (t->what != &p->noise) {
		unqueue(p, t->what);
		return p->ops->sent ? p : NULL;
	}
	p->noise.time_ns = max_u64(what->time_ns + p->babble_ns, t->start_ns);
	p->noise.held = false;
	return NULL;
}

/* The frame was on the bus: others have it before its sender hears of it. */
static void complete(struct canbus *b)
{
	struct canport *p = b->tx.port;
	struct pending what;
	struct canport *tell = take_off(b, &what);

	p->count.tx_frames++;
	p->count.tx_bytes += what.frame.len;
	canport_sent_ok(p);
	canbus_deliver(b, p, &what.frame, b->tx.end_ns);
	if (tell)
		tell->ops->sent(tell->arg, what.cookie, true);
}

/* The host's interface did not send the frame. It may do so yet: it is not sent again. */
static void lose(struct canbus *b)
{
	struct canport *p = b->tx.port;
	struct pending what;
	struct canport *tell = take_off(b, &what);

	b->count.errors++;
	p->count.tx_errors++;
	canport_sent_error(p, false);
	if (tell)
		tell->ops->sent(tell->arg, what.cookie, false);
}

/* It is sent again, unless that was once too often. */
static void fail(struct canbus *b)
{
	struct transmission t = b->tx;

	b->tx.port = NULL;
	b->count.errors++;
	t.port->count.tx_errors++;
	if (canport_state(t.port) >= CAN_STATE_ERROR_PASSIVE)
		t.port->not_before_ns = b->free_ns + bits_ns(b, CAN_SUSPEND_BITS);
	if (!b->config.bitrate)
		t.port->not_before_ns = t.end_ns + RETRY_NS;
	for (unsigned i = 0; i < b->nports && !t.no_ack; i++)
		if (b->ports[i] != t.port && canport_active(b->ports[i]))
			canport_received_error(b->ports[i]);
	canport_sent_error(t.port, t.no_ack);
}

static void finish(struct canbus *b)
{
	struct transmission *t = &b->tx;

	b->free_ns = t->end_ns + bits_ns(b, CAN_INTERMISSION_BITS);
	canbus_count_load(b, t->end_ns, t->end_ns - t->start_ns);
	if (t->error) {
		fail(b);
		return;
	}
	/* Without a pace of our own, the host's interface is the bus. */
	b->at_host = !b->config.bitrate && b->host_up && t->port != b->host_port &&
		     canbus_to_host(b, &t->what->frame);
	if (!b->at_host)
		complete(b);
}

void canbus_host_done(struct canbus *b, bool ok)
{
	if (!b->at_host)
		return;
	b->at_host = false;
	b->tx.end_ns = b->free_ns = canbus_now(b);
	if (ok)
		complete(b);
	else
		lose(b);
	canbus_wake(b);
}

/* Turns. */

static void set_timer(struct canbus *b, uint64_t now, uint64_t at)
{
	struct itimerspec t = { 0 };
	uint64_t ns = at > now ? at - now : 1;

	if (at != UINT64_MAX) {
		t.it_value.tv_sec = (time_t)(ns / SECOND);
		t.it_value.tv_nsec = (long)(ns % SECOND);
	}
	timerfd_settime(b->timer_fd, 0, &t, NULL);
}

static void turn(void *arg)
{
	struct canbus *b = arg;
	uint64_t now = canbus_now(b), starts = canbus_finish_starts(b, now);
	unsigned n = 0;

	while (n < TURN_MAX && !b->at_host) {
		if (!b->tx.port && !begin(b, now))
			break;
		if (b->tx.end_ns > now)
			break;
		finish(b);
		n++;
	}
	if (n == TURN_MAX)
		canbus_wake(b);
	else if (b->at_host)
		set_timer(b, now, starts);
	else
		set_timer(b, now, min_u64(starts, b->tx.port ? b->tx.end_ns : b->next_ns));
}

static void on_timer(void *arg, uint32_t events)
{
	struct canbus *b = arg;
	uint64_t expired;

	if (read(b->timer_fd, &expired, sizeof(expired)) > 0)
		turn(b);
}

int canbus_start_timer(struct canbus *b)
{
	ev_task_init(b->loop, &b->task, turn, b);
	b->window_ns = canbus_now(b);
	b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->timer_fd < 0)
		return -errno;
	return ev_fd_add(b->loop, &b->timer, b->timer_fd, EPOLLIN, on_timer, b);
}

void canbus_set_clock(struct canbus *b, uint64_t (*clock)(void *arg, clockid_t id), void *arg)
{
	b->clock = clock;
	b->clock_arg = arg;
	b->window_ns = canbus_now(b);
}

void canbus_poll(struct canbus *b)
{
	ev_task_cancel(&b->task);
	turn(b);
}

/* Ports. */

int canport_send(struct canport *p, const struct canfd_frame *f, void *cookie)
{
	if (!can_frame_valid(f) || (can_is_fd(f) && !p->bus->config.fd))
		return -EINVAL;
	if (!canport_active(p) || p->starting)
		return -ENETDOWN;
	if (p->config.listen_only || !can_filters_pass(&p->tx_filter, f->can_id)) {
		p->count.tx_denied++;
		return -EPERM;
	}
	if (!canport_room(p))
		return -EAGAIN;
	p->queue[p->nqueue++] =
		(struct pending){ .frame = *f, .cookie = cookie, .time_ns = canbus_now(p->bus) };
	canbus_wake(p->bus);
	return 0;
}

unsigned canport_room(const struct canport *p)
{
	return p->config.tx_queue - p->nqueue;
}

void canport_cancel(struct canport *p)
{
	struct canbus *b = p->bus;
	struct pending queue[CANBUS_QUEUE_MAX];
	unsigned n = p->nqueue;

	if (b->tx.port == p) {
		b->tx.port = NULL;
		canbus_leave_host(b);
		b->free_ns = max_u64(b->free_ns, canbus_now(b));
	}
	/* The owner may hand over new ones meanwhile. */
	memcpy(queue, p->queue, n * sizeof(*queue));
	p->nqueue = 0;
	p->count.tx_cancelled += n;
	for (unsigned i = 0; i < n; i++)
		if (p->ops->sent)
			p->ops->sent(p->arg, queue[i].cookie, false);
	canbus_wake(b);
}
