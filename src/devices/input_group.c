/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Updates on their way to the guest. An update is a sequence of events that SYN_REPORT ends, and it
 * is kept or dropped as a whole (VIRTIO 1.4, 5.8.6.2). After a drop the guest gets SYN_DROPPED, as
 * readers of Linux's evdev do, and then one update that leads from what it was told to what is: no
 * key stays pressed because its release was lost.
 */
#include <string.h>

#include "base/util.h"
#include "devices/input_priv.h"

#define NO_CONTACT (-1)

static int32_t *mt_axis(struct input_state *s, unsigned slot, unsigned code)
{
	return &s->mt[slot][code - INPUT_MT_FIRST];
}

static bool is_mt(unsigned type, unsigned code)
{
	return type == EV_ABS && code >= INPUT_MT_FIRST && code < INPUT_MT_FIRST + INPUT_MT_AXES;
}

void input_state_init(struct input_state *s)
{
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < INPUT_SLOTS; i++)
		*mt_axis(s, i, ABS_MT_TRACKING_ID) = NO_CONTACT;
}

/* What an event makes of a state. Its type and code are ones that the device has. */
static void apply(struct input_state *s, const struct input_ev *ev)
{
	if (ev->type == EV_KEY)
		input_set_bit(s->keys, ev->code, ev->value != 0);
	else if (ev->type == EV_SW)
		input_set_bit(s->switches, ev->code, ev->value != 0);
	else if (ev->type == EV_ABS && ev->code == ABS_MT_SLOT)
		s->slot = ev->value >= 0 ? (unsigned)min_u64((unsigned)ev->value, INPUT_SLOTS)
					 : INPUT_SLOTS;
	else if (is_mt(ev->type, ev->code) && s->slot < INPUT_SLOTS)
		*mt_axis(s, s->slot, ev->code) = ev->value;
	else if (ev->type == EV_ABS && ev->code < ABS_CNT && !is_mt(ev->type, ev->code))
		s->abs[ev->code] = ev->value;
}

/* Queueing. */

static unsigned fifo_room(const struct input *in)
{
	unsigned kept = (unsigned)min_u64(in->kept, INPUT_FIFO);

	return in->nfifo < kept ? kept - in->nfifo : 0;
}

static void push(struct input *in, uint16_t type, uint16_t code, int32_t value)
{
	struct input_ev ev = { type, code, value };

	if (in->nfifo == INPUT_FIFO)
		return;
	in->fifo[(in->head + in->nfifo++) % INPUT_FIFO] = ev;
	apply(&in->told, &ev);
}

/* True while a driver takes events. */
static bool driver_there(const struct input *in)
{
	const struct vq *vq = in->dev.queues[INPUT_EVENTQ];

	return vq && vq_running(vq) && !(in->dev.status & VIRTIO_S_NEEDS_RESET);
}

/* Hands a complete update on, or drops it. Without a driver there is nobody to miss it: what a
 * driver needs of it, it gets when it begins. */
static void commit(struct input *in)
{
	bool fits = !in->group_lost && !in->lost && in->ngroup <= fifo_room(in);

	if (driver_there(in) && !fits) {
		in->count.dropped_updates++;
		in->count.dropped_events += in->ngroup;
		in->lost = in->behind = true;
	}
	for (unsigned i = 0; driver_there(in) && fits && i < in->ngroup; i++)
		push(in, in->group[i].type, in->group[i].code, in->group[i].value);
	in->count.updates += fits;
	in->ngroup = 0;
	in->group_lost = false;
	input_serve(in);
}

static void add(struct input *in, uint16_t type, uint16_t code, int32_t value)
{
	/* Its last place is kept for SYN_REPORT. */
	if (in->ngroup >= INPUT_GROUP_MAX - (type != EV_SYN)) {
		in->group_lost = true;
		return;
	}
	in->group[in->ngroup++] = (struct input_ev){ type, code, value };
}

void input_feed(struct input *in, uint16_t type, uint16_t code, int32_t value)
{
	if (type == EV_SYN && code == SYN_REPORT) {
		if (!in->ngroup)
			return;
		add(in, type, code, 0);
		commit(in);
		return;
	}
	/* A guest repeats keys by itself, if it wants to. */
	if (type == EV_SYN || !input_has(&in->caps, type, code) || (type == EV_KEY && value == 2)) {
		in->count.filtered++;
		return;
	}
	add(in, type, code, value);
	apply(&in->now, &(struct input_ev){ type, code, value });
}

void input_feed_list(struct input *in, const struct input_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		input_feed(in, list->v[i].type, list->v[i].code, list->v[i].value);
	in->contacts += list->contacts;
}

void input_release(struct input *in)
{
	unsigned slot = in->now.slot;

	for (unsigned i = 0; i < INPUT_SLOTS; i++) {
		if (*mt_axis(&in->now, i, ABS_MT_TRACKING_ID) == NO_CONTACT)
			continue;
		input_feed(in, EV_ABS, ABS_MT_SLOT, (int32_t)i);
		input_feed(in, EV_ABS, ABS_MT_TRACKING_ID, NO_CONTACT);
	}
	if (slot != in->now.slot)
		input_feed(in, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
	for (unsigned i = 0; i < KEY_CNT; i++)
		if (input_bit(in->now.keys, i))
			input_feed(in, EV_KEY, (uint16_t)i, 0);
	input_feed(in, EV_SYN, SYN_REPORT, 0);
}

/* From what the guest was told to what is. */

static void tell_bits(struct input *in, uint16_t type, const uint8_t *now, const uint8_t *told)
{
	for (unsigned i = 0; i < KEY_CNT; i++)
		if (input_has(&in->caps, type, i) &&
			(in->guess || input_bit(now, i) != input_bit(told, i)))
			push(in, type, (uint16_t)i, input_bit(now, i));
}

static void tell_axes(struct input *in)
{
	for (unsigned i = 0; i < ABS_CNT; i++)
		if (input_has(&in->caps, EV_ABS, i) && i != ABS_MT_SLOT && !is_mt(EV_ABS, i) &&
			(in->guess || in->now.abs[i] != in->told.abs[i]))
			push(in, EV_ABS, (uint16_t)i, in->now.abs[i]);
}

static void tell_contact(struct input *in, unsigned slot)
{
	const int32_t *now = in->now.mt[slot], *told = in->told.mt[slot];
	const unsigned id = ABS_MT_TRACKING_ID - INPUT_MT_FIRST;

	/* Where a contact was that has ended says nothing. */
	if (now[id] == NO_CONTACT && told[id] == NO_CONTACT && !in->guess)
		return;
	if (!in->guess && !memcmp(now, told, sizeof(in->now.mt[slot])))
		return;
	push(in, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
	/* Another contact than the one the guest knows: that one ends. */
	if (now[id] != told[id] && now[id] != NO_CONTACT && told[id] != NO_CONTACT)
		push(in, EV_ABS, ABS_MT_TRACKING_ID, NO_CONTACT);
	push(in, EV_ABS, ABS_MT_TRACKING_ID, now[id]);
	for (unsigned i = 0; i < INPUT_MT_AXES && now[id] != NO_CONTACT; i++)
		if (i != id && input_has(&in->caps, EV_ABS, INPUT_MT_FIRST + i))
			push(in, EV_ABS, (uint16_t)(INPUT_MT_FIRST + i), now[i]);
}

static void tell_contacts(struct input *in)
{
	const struct input_absinfo *slots = &in->caps.abs[ABS_MT_SLOT];
	unsigned n = (unsigned)min_u64((unsigned)slots->maximum + 1u, INPUT_SLOTS);

	if (!input_has(&in->caps, EV_ABS, ABS_MT_SLOT))
		return;
	for (unsigned i = 0; i < n; i++)
		tell_contact(in, i);
	if (in->told.slot != in->now.slot && in->now.slot < n)
		push(in, EV_ABS, ABS_MT_SLOT, (int32_t)in->now.slot);
}

/* The fifo is empty: what has been kept from the guest. In the middle of an update of the host's
 * side it waits for the end. */
static void catch_up(struct input *in)
{
	if (!in->behind || in->ngroup)
		return;
	if (in->lost) {
		push(in, EV_SYN, SYN_DROPPED, 0);
		push(in, EV_SYN, SYN_REPORT, 0);
	}
	unsigned before = in->nfifo;

	tell_contacts(in);
	tell_bits(in, EV_KEY, in->now.keys, in->told.keys);
	tell_bits(in, EV_SW, in->now.switches, in->told.switches);
	tell_axes(in);
	if (in->nfifo > before)
		push(in, EV_SYN, SYN_REPORT, 0);
	in->behind = in->lost = in->guess = false;
}

bool input_next(struct input *in, struct input_ev *ev)
{
	if (!in->nfifo)
		catch_up(in);
	if (!in->nfifo)
		return false;
	*ev = in->fifo[in->head];
	in->head = (in->head + 1) % INPUT_FIFO;
	in->nfifo--;
	in->count.events++;
	return true;
}

void input_driver(struct input *in, bool resumed)
{
	input_forget(in);
	input_state_init(&in->told);
	in->behind = true;
	in->lost = in->guess = resumed;
	catch_up(in);
}

void input_forget(struct input *in)
{
	in->nfifo = 0;
	in->behind = in->lost = in->guess = false;
}
