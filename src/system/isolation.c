/* SPDX-License-Identifier: BSD-3-Clause */
/* Isolation of the VMs of a system: what the host lacks, and the groups. */
#include "system/isolation.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>

#include "base/util.h"
#include "engine/host_check.h"
#include "system/cgroup.h"
#include "system/resctrl.h"

#define SCHEMATA_MAX 4096u

/* What one VM has. */
struct place {
	struct cgroup *cgroup;	       /* NULL: none */
	struct resctrl_group *resctrl; /* NULL: none */
	char *schemata;		       /* planned; NULL: nothing asked for, or refused */
};

struct isolation {
	const struct conf *conf;
	struct shortfalls *list; /* while it is being filled */
	unsigned controllers;	 /* that the file needs and the host has */
	struct cgroups *cgroups;
	struct resctrl *resctrl;
	struct place *places; /* one for each VM */
	bool no_memory;
};

static bool is_required(const struct isolation *iso, const struct conf_vm *vm)
{
	return conf_isolation(iso->conf, vm) == VM_ISOLATION_REQUIRED;
}

static struct shortfall *add_shortfall(
	struct isolation *iso, const struct conf_vm *vm, const char *key, const char *text)
{
	struct shortfalls *l = iso->list;
	struct shortfall *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (!v) {
		iso->no_memory = true;
		return NULL;
	}
	l->v = v;
	v = &l->v[l->n++];
	*v = (struct shortfall){ .vm = vm, .key = key };
	snprintf(v->text, sizeof(v->text), "%s", text);
	l->fatal += is_required(iso, vm);
	return v;
}

void shortfalls_free(struct shortfalls *list)
{
	free(list->v);
	*list = (struct shortfalls){ 0 };
}

/* For host_check(). */
struct asked {
	struct isolation *iso;
	const struct conf_vm *vm;
};

static void on_lack(void *arg, const char *key, const char *why)
{
	const struct asked *a = arg;
	struct shortfall *s = add_shortfall(a->iso, a->vm, key, why);

	if (s)
		s->monitors = true;
}

/* Finds out which of the needed controllers can be had, and who has to do without. */
static void survey_cgroups(struct isolation *iso, unsigned need)
{
	for (unsigned bit = 1; bit <= need; bit <<= 1)
		if (need & bit && !cgroups_probe(NULL, bit, NULL))
			iso->controllers |= bit;
	for (unsigned i = 0; i < iso->conf->nvms; i++) {
		const struct conf_vm *vm = &iso->conf->vms[i];
		unsigned lacks = cgroup_limits_need(&vm->cgroup) & ~iso->controllers;
		struct err e = { 0 };

		if (lacks && cgroups_probe(NULL, lacks, &e))
			add_shortfall(iso, vm, "cgroup", e.msg);
	}
}

static void plan_vm(struct isolation *iso, unsigned i, const char *no_resctrl)
{
	const struct conf_vm *vm = &iso->conf->vms[i];
	char schemata[SCHEMATA_MAX];
	struct err e = { 0 };

	if (!resctrl_wanted(&vm->resctrl))
		return;
	if (!iso->resctrl) {
		add_shortfall(iso, vm, "resctrl", no_resctrl);
	} else if (resctrl_plan(iso->resctrl, &vm->resctrl, schemata, sizeof(schemata), &e)) {
		add_shortfall(iso, vm, "resctrl", e.msg);
	} else {
		iso->places[i].schemata = strdup(schemata);
		iso->no_memory |= !iso->places[i].schemata;
	}
}

/* Looks at everything, changes nothing. */
static void survey(struct isolation *iso, bool throttling)
{
	unsigned need = throttling ? CGROUP_CPU : 0;
	struct err e = { 0 };

	resctrl_open(&iso->resctrl, NULL, &e);
	for (unsigned i = 0; i < iso->conf->nvms; i++) {
		const struct conf_vm *vm = &iso->conf->vms[i];

		need |= cgroup_limits_need(&vm->cgroup);
		host_check(&vm->machine, on_lack, &(struct asked){ iso, vm });
		plan_vm(iso, i, e.msg);
	}
	survey_cgroups(iso, need);
}

static int iso_new(
	struct isolation **out, const struct conf *conf, bool throttling, struct shortfalls *list)
{
	struct isolation *iso = calloc(1, sizeof(*iso));

	if (!iso)
		return -ENOMEM;
	iso->conf = conf;
	iso->list = list;
	iso->places = calloc(conf->nvms + 1, sizeof(*iso->places));
	if (iso->places)
		survey(iso, throttling);
	if (!iso->places || iso->no_memory) {
		isolation_close(iso);
		return -ENOMEM;
	}
	*out = iso;
	return 0;
}

int isolation_check(struct shortfalls *list, const struct conf *conf)
{
	struct isolation *iso = NULL;
	int r = iso_new(&iso, conf, false, list);

	isolation_close(iso);
	return r;
}

/* What of the limits the host has controllers for. */
static struct cgroup_limits possible(const struct cgroup_limits *asked, unsigned controllers)
{
	struct cgroup_limits l = *asked;

	if (!(controllers & CGROUP_CPU))
		l.cpu_weight = l.cpu_max = 0;
	if (!(controllers & CGROUP_MEMORY))
		l.memory_max = l.memory_high = 0;
	if (!(controllers & CGROUP_CPUSET))
		l.cpuset = NULL;
	return l;
}

static void make_cgroup(struct isolation *iso, unsigned i)
{
	const struct conf_vm *vm = &iso->conf->vms[i];
	struct cgroup_limits l = possible(&vm->cgroup, iso->controllers);
	struct cgroup *group = NULL;
	struct err e = { 0 };

	if (!cgroup_add(iso->cgroups, vm->name, &group, &e))
		cgroup_set(group, &l, &e);
	iso->places[i].cgroup = group;
	if (e.code)
		add_shortfall(iso, vm, "cgroup", e.msg);
}

/* Looking beforehand does not show all that the kernel may refuse. */
static int make_cgroups(struct isolation *iso, struct err *e)
{
	struct err why = { 0 };
	int r = cgroups_clean(NULL, iso->conf->name, e);

	if (r || !iso->controllers)
		return r;
	cgroups_open(&iso->cgroups, NULL, iso->conf->name, iso->controllers, &why);
	for (unsigned i = 0; i < iso->conf->nvms; i++) {
		const struct conf_vm *vm = &iso->conf->vms[i];

		if (iso->cgroups)
			make_cgroup(iso, i);
		else if (cgroup_limits_need(&vm->cgroup) & iso->controllers)
			add_shortfall(iso, vm, "cgroup", why.msg);
	}
	return 0;
}

static void make_resctrl(struct isolation *iso)
{
	if (!iso->resctrl)
		return;
	resctrl_clean(iso->resctrl, iso->conf->name);
	for (unsigned i = 0; i < iso->conf->nvms; i++) {
		const struct conf_vm *vm = &iso->conf->vms[i];
		struct place *p = &iso->places[i];
		struct err e = { 0 };

		if (p->schemata && resctrl_add(iso->resctrl, iso->conf->name, vm->name, p->schemata,
					   &p->resctrl, &e))
			add_shortfall(iso, vm, "resctrl", e.msg);
	}
}

int isolation_open(struct isolation **out, const struct conf *conf, bool throttling,
	struct shortfalls *list, struct err *e)
{
	struct isolation *iso = NULL;
	int r = iso_new(&iso, conf, throttling, list);

	if (r)
		return err_set(e, r, "out of memory");
	if (!list->fatal)
		r = make_cgroups(iso, e);
	if (!r && !list->fatal)
		make_resctrl(iso);
	if (!r && iso->no_memory)
		r = err_set(e, -ENOMEM, "out of memory");
	if (r) {
		isolation_close(iso);
		return r;
	}
	iso->list = NULL;
	*out = iso;
	return 0;
}

void isolation_close(struct isolation *iso)
{
	if (!iso)
		return;
	cgroups_close(iso->cgroups);
	resctrl_close(iso->resctrl);
	for (unsigned i = 0; iso->places && i < iso->conf->nvms; i++)
		free(iso->places[i].schemata);
	free(iso->places);
	free(iso);
}

static const struct place *place_of(const struct isolation *iso, const struct conf_vm *vm)
{
	return &iso->places[vm - iso->conf->vms];
}

struct proc_place isolation_place(
	const struct isolation *iso, const struct conf_vm *vm, bool is_device)
{
	const struct place *p = place_of(iso, vm);
	const struct vm_conf *m = &vm->machine;
	struct proc_place place = { .required = is_required(iso, vm) };

	if (p->cgroup)
		place.join[place.njoin++] = cgroup_join_fd(p->cgroup);
	if (p->resctrl)
		place.join[place.njoin++] = resctrl_join_fd(p->resctrl);
	if (is_device && m->sched_devices) {
		place.policy = m->sched_policy == VM_SCHED_FIFO ? SCHED_FIFO : SCHED_RR;
		place.priority = (int)m->sched_priority;
	}
	return place;
}

int isolation_throttle(
	struct isolation *iso, const struct conf_vm *vm, unsigned percent, struct err *e)
{
	struct cgroup *group = iso ? place_of(iso, vm)->cgroup : NULL;
	uint32_t limit = vm->cgroup.cpu_max ? vm->cgroup.cpu_max : CGROUP_NO_LIMIT;

	if (!group || !(iso->controllers & CGROUP_CPU))
		return err_set(e, -ENOTSUP,
			"%s: there is no control group whose processor time could be limited",
			vm->name);
	if (percent < 100 && vm->machine.cpus * percent < limit)
		limit = vm->machine.cpus * (percent ? percent : 1);
	return cgroup_set_cpu_max(group, limit, e);
}
