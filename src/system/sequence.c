/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of a system: who has to be there before whom, at the start and at the end. */
#include <string.h>

#include "base/util.h"
#include "system/supervisor_priv.h"

static unsigned number_of(const struct unit *vm)
{
	return (unsigned)(vm->plan->vm - vm->s->conf->vms);
}

struct unit *sequence_vm(struct supervisor *s, unsigned number)
{
	/* Monitors are the last processes of a plan, in the order of the file. */
	return &s->units[s->plan->n - s->conf->nvms + number];
}

void sequence_init(struct supervisor *s)
{
	_Static_assert(CONF_VMS_MAX <= ORDER_MAX, "VMs are bits of a mask");

	s->order.n = s->conf->nvms;
	for (unsigned v = 0; v < s->conf->nvms; v++) {
		const struct conf_policy *p = &s->conf->vms[v].policy;

		for (unsigned i = 0; i < p->nafter; i++)
			order_add(&s->order, v, p->after[i].peer);
	}
	for (unsigned v = 0; v < s->conf->nvms; v++) {
		struct unit *u = sequence_vm(s, v);

		if (u->plan->vm->policy.start == CONF_START_AUTO)
			guest_want(u);
	}
}

bool sequence_wanted(const struct unit *u)
{
	const struct unit *vm;

	if (u->plan->kind == PLAN_MEDIUM)
		return true;
	vm = unit_is_vm(u) ? u : sequence_vm(u->s, number_of(u));
	return vm->wanted;
}

/* True if the VM needs this process to be there first. */
static bool uses(const struct unit *vm, const struct unit *on)
{
	if (on->plan->kind == PLAN_DEVICE)
		return on->plan->vm == vm->plan->vm;
	for (unsigned i = 0; on->plan->kind == PLAN_MEDIUM && i < vm->plan->vm->ndevices; i++)
		if (conf_medium_of(vm->s->conf, &vm->plan->vm->devices[i]) == on->plan->medium)
			return true;
	return false;
}

static bool reached(const struct unit *vm, int state)
{
	switch (state) {
	case CONF_REACH_OFF:
		return vm->state == UNIT_OFF && vm->has_ended;
	case CONF_REACH_RUNNING:
		return unit_runs(vm);
	case CONF_REACH_READY:
	default:
		return unit_runs(vm) && vm->is_ready;
	}
}

cJSON *sequence_waits_for(const struct unit *vm)
{
	const struct conf_policy *p = &vm->plan->vm->policy;
	cJSON *list = NULL;
	char text[2 * CONF_NAME_MAX + 16];

	for (unsigned i = 0; i < vm->s->nunits; i++) {
		const struct unit *on = &vm->s->units[i];

		if (!uses(vm, on) || on->state == UNIT_RUNNING)
			continue;
		list = list ? list : cJSON_CreateArray();
		cJSON_AddItemToArray(list, cJSON_CreateString(on->plan->name));
	}
	for (unsigned i = 0; i < p->nafter; i++) {
		if (reached(sequence_vm(vm->s, p->after[i].peer), p->after[i].state))
			continue;
		snprintf(text, sizeof(text), "%s (%s)", p->after[i].vm,
			conf_reach_words[p->after[i].state]);
		list = list ? list : cJSON_CreateArray();
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	return list;
}

static bool may_start(const struct unit *vm)
{
	cJSON *list = sequence_waits_for(vm);

	cJSON_Delete(list);
	return !list;
}

/* A process or VM that `vm` waits for, and that has ended in another way; NULL: there is none. */
static const struct unit *hopeless(const struct unit *vm)
{
	const struct conf_policy *p = &vm->plan->vm->policy;

	for (unsigned i = 0; i < vm->s->nunits; i++)
		if (uses(vm, &vm->s->units[i]) && unit_over(&vm->s->units[i]))
			return &vm->s->units[i];
	for (unsigned i = 0; i < p->nafter; i++) {
		const struct unit *on = sequence_vm(vm->s, p->after[i].peer);

		if (unit_over(on) && !reached(on, p->after[i].state))
			return on;
	}
	return NULL;
}

static void start_one(struct unit *u)
{
	const struct unit *missing = unit_is_vm(u) ? hopeless(u) : NULL;
	char why[CONF_NAME_MAX * 2 + 32];

	if (missing) {
		snprintf(why, sizeof(why), "%s %s", missing->plan->name,
			missing->state == UNIT_OFF ? "is off" : "has failed");
		guest_give_up_waiting(u, why);
	} else if (!unit_is_vm(u) || may_start(u)) {
		unit_start(u);
	}
}

/* True if a VM that comes after `vm` has not ended. */
static bool has_followers(const struct unit *vm)
{
	uint64_t set = order_followers(&vm->s->order, number_of(vm));

	for (unsigned v = 0; v < vm->s->order.n; v++)
		if (set & UINT64_C(1) << v && !unit_over(sequence_vm(vm->s, v)))
			return true;
	return false;
}

void sequence_advance(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];

		if (u->state == UNIT_IDLE && s->phase == PHASE_RUN && sequence_wanted(u))
			start_one(u);
		if (u->press && !unit_over(u) && !has_followers(u)) {
			u->press = false;
			unit_stop(u, false);
		}
	}
}

bool sequence_guests_over(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *u = &s->units[i];

		if (unit_is_vm(u) && !unit_over(u) && (u->state != UNIT_IDLE || u->wanted))
			return false;
	}
	return true;
}
