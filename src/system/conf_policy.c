/* SPDX-License-Identifier: BSD-3-Clause */
/* Supervision in the system file: keys of a VM, and what must hold between VMs. */
#include "system/conf_policy.h"

#include <limits.h>
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"
#include "system/order.h"

#define HOUR_MS 3600000u

static const char *const start_words[] = { "auto", "manual", NULL };
static const char *const restart_words[] = { "no", "on-failure", "always", NULL };
static const char *const failure_words[] = { "none", "system-stop", NULL };
static const char *const timeout_words[] = { "fail", "ignore", NULL };
const char *const conf_reach_words[] = { "ready", "running", "off", NULL };

#define POLICY(f) offsetof(struct conf_policy, f)
const struct opt conf_policy_opts[] = {
	{ .name = "start",
		.type = OPT_ENUM,
		.offset = POLICY(start),
		.words = start_words,
		.def = "auto",
		.help = "with the system, or by `avp start` or as a fallback only" },
	{ .name = "restart",
		.type = OPT_ENUM,
		.offset = POLICY(restart),
		.words = restart_words,
		.def = "no",
		.help = "when the VM is started again after its end" },
	{ .name = "restart-limit",
		.type = OPT_U32,
		.offset = POLICY(restart_limit),
		.def = "5",
		.max = 1000,
		.help = "failures in a row until it is given up; 0: never" },
	{ .name = "restart-delay",
		.type = OPT_TIME,
		.offset = POLICY(restart_delay_ms),
		.def = "100ms",
		.max = HOUR_MS,
		.help = "wait after the first failure; doubled with each further one" },
	{ .name = "restart-delay-max",
		.type = OPT_TIME,
		.offset = POLICY(restart_delay_max_ms),
		.def = "10s",
		.max = HOUR_MS,
		.help = "the longest wait" },
	{ .name = "restart-window",
		.type = OPT_TIME,
		.offset = POLICY(restart_window_ms),
		.def = "5s",
		.max = HOUR_MS,
		.help = "a guest that ran so long begins a new row of failures" },
	{ .name = "fallback",
		.type = OPT_STR,
		.offset = POLICY(fallback),
		.help = "the VM to be started when this one is given up" },
	{ .name = "on-failure",
		.type = OPT_ENUM,
		.offset = POLICY(on_failure),
		.words = failure_words,
		.def = "none",
		.help = "what else follows when it is given up" },
	{ .name = "grace",
		.type = OPT_TIME,
		.offset = POLICY(grace_ms),
		.max = HOUR_MS,
		.help = "from the power button to force; the system's if it is not given" },
	OPT_END,
};

#define READY(f) offsetof(struct conf_ready, f)
const struct opt conf_ready_opts[] = {
	{ .name = "console",
		.type = OPT_STR,
		.offset = READY(console),
		.help = "console device that prints `line`" },
	{ .name = "line", .type = OPT_STR, .offset = READY(line), .help = "text within one line" },
	{ .name = "vsock",
		.type = OPT_U32,
		.offset = READY(vsock),
		.min = 1,
		.help = "port of the host to which the guest connects to say READY=1" },
	{ .name = "vsock-guest",
		.type = OPT_U32,
		.offset = READY(vsock_guest),
		.min = 1,
		.help = "port on which a program in the guest listens" },
	{ .name = "timeout",
		.type = OPT_TIME,
		.offset = READY(timeout_ms),
		.def = "30s",
		.min = 10,
		.max = HOUR_MS,
		.help = "how long it may take from the first instruction" },
	{ .name = "on-timeout",
		.type = OPT_ENUM,
		.offset = READY(on_timeout),
		.words = timeout_words,
		.def = "fail",
		.help = "the guest has failed and is ended, or counts as ready" },
	OPT_END,
};

void conf_ready_check(struct conf_reader *r, const struct yaml_node *node, void *section)
{
	struct conf_ready *ready = section;
	unsigned n = !!ready->console + !!ready->vsock + !!ready->vsock_guest;

	ready->line_no = node->line;
	ready->column = node->column;
	if (n != 1)
		CONF_ERROR_AT(
			r, node, "'ready' takes one of: console with line, vsock, vsock-guest");
	else if (!ready->console != !ready->line)
		CONF_ERROR_AT(r, node, "'ready' needs both 'console' and 'line', or neither");
	else if (ready->line && (!*ready->line || strpbrk(ready->line, "\r\n")))
		CONF_ERROR_AT(r, node, "'line' takes text within one line, at least one byte");
}

/* `{vm: a, state: running}`. */
static void read_after_map(
	struct conf_reader *r, const struct yaml_node *map, struct conf_after *after)
{
	static const struct opt opts[] = {
		{ .name = "vm",
			.type = OPT_STR,
			.offset = offsetof(struct conf_after, vm),
			.help = "name of a VM",
			.flags = OPT_REQUIRED },
		{ .name = "state",
			.type = OPT_ENUM,
			.offset = offsetof(struct conf_after, state),
			.words = conf_reach_words,
			.def = "ready",
			.help = "what it must have reached" },
		OPT_END,
	};
	struct conf_slots s = { .n = 0 };

	conf_slot_table(&s, opts, after, NULL);
	conf_map_read(r, map, &s);
	conf_required(r, map, opts, after);
}

static void read_after(
	struct conf_reader *r, const struct yaml_node *node, struct conf_after *after)
{
	after->line = node->line;
	after->column = node->column;
	if (node->kind == YAML_TEXT) {
		after->vm = strdup(node->text);
		if (!after->vm)
			CONF_ERROR_AT(r, node, "out of memory");
	} else if (conf_is_kind(r, node, YAML_MAP, "an entry of 'after'")) {
		read_after_map(r, node, after);
	}
}

/* `after: a`, `after: {vm: a, ...}`, or a list of these. */
void conf_after_read(struct conf_reader *r, const struct yaml_node *node, void *section)
{
	struct conf_policy *p = section;
	unsigned n = node->kind == YAML_LIST ? node->n : 1;

	if (n > CONF_VMS_MAX) {
		CONF_ERROR_AT(r, node, "%u entries in 'after'; there are at most %u VMs", n,
			CONF_VMS_MAX);
		return;
	}
	p->after = calloc(n + 1, sizeof(*p->after));
	if (!p->after) {
		CONF_ERROR_AT(r, node, "out of memory");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		read_after(
			r, node->kind == YAML_LIST ? node->items[i] : node, &p->after[p->nafter++]);
}

void conf_after_free(void *section)
{
	struct conf_policy *p = section;

	for (unsigned i = 0; i < p->nafter; i++)
		free(p->after[i].vm);
	free(p->after);
}

unsigned conf_find_vm(struct conf_reader *r, unsigned line, unsigned column, const char *name)
{
	const char *names[CONF_VMS_MAX], *near;
	const struct conf *c = r->conf;

	for (unsigned i = 0; i < c->nvms; i++) {
		if (!strcmp(c->vms[i].name, name))
			return i;
		names[i] = c->vms[i].name;
	}
	near = opt_nearest(name, names, c->nvms);
	conf_error(r, line, column, "there is no VM '%.64s'%s%s%s in this file", name,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	return CONF_VMS_MAX;
}

/* Says a cycle as "a, b, a", at the place where the first of its VMs names the second. */
static void cycle_error(struct conf_reader *r, const struct order *order, const char *what,
	void (*place)(const struct conf_vm *vm, unsigned next, unsigned *line, unsigned *column))
{
	unsigned path[CONF_VMS_MAX + 1], n = order_cycle(order, path), line, column;
	char text[CONF_VMS_MAX * (CONF_NAME_MAX + 2) + CONF_NAME_MAX + 3] = "";
	size_t used = 0;

	if (!n)
		return;
	for (unsigned i = 0; i <= n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "",
			r->conf->vms[path[i % n]].name);
	place(&r->conf->vms[path[0]], path[1 % n], &line, &column);
	conf_error(r, line, column, "%s: %s", what, text);
}

static void after_place(const struct conf_vm *vm, unsigned next, unsigned *line, unsigned *column)
{
	const struct conf_policy *p = &vm->policy;

	for (unsigned i = 0; i < p->nafter; i++) {
		*line = p->after[i].line;
		*column = p->after[i].column;
		if (p->after[i].peer == next)
			return;
	}
}

static void check_after(struct conf_reader *r)
{
	struct conf *c = r->conf;
	struct order order = { .n = c->nvms };

	for (unsigned v = 0; v < c->nvms; v++) {
		struct conf_policy *p = &c->vms[v].policy;

		for (unsigned i = 0; i < p->nafter; i++) {
			struct conf_after *a = &p->after[i];

			a->peer = conf_find_vm(r, a->line, a->column, a->vm);
			if (a->peer < CONF_VMS_MAX)
				order_add(&order, v, a->peer);
		}
	}
	cycle_error(r, &order, "these VMs wait for each other ('after')", after_place);
}

static void key_place(const struct conf_vm *vm, const char *name, unsigned *line, unsigned *column)
{
	const struct conf_key *key = conf_key_find(&vm->given, name);

	*line = key ? key->line : vm->line;
	*column = key ? key->column : vm->column;
}

static void fallback_place(
	const struct conf_vm *vm, unsigned next, unsigned *line, unsigned *column)
{
	key_place(vm, "fallback", line, column);
}

static void check_watchdog(struct conf_reader *r, const struct conf_vm *vm)
{
	const struct conf_key *key = conf_key_find(&vm->keys, "watchdog-action");

	if (key && vm->machine.watchdog_action == VM_WATCHDOG_FALLBACK && !vm->policy.fallback)
		conf_error(r, key->line, key->column,
			"'action: fallback' needs the key 'fallback' of the VM");
}

/* A VM that is somebody's fallback is started when it is needed, unless the file says otherwise. */
static void check_fallbacks(struct conf_reader *r)
{
	struct conf *c = r->conf;
	struct order order = { .n = c->nvms };
	unsigned line, column;

	for (unsigned v = 0; v < c->nvms; v++) {
		struct conf_policy *p = &c->vms[v].policy;
		unsigned to;

		if (!p->fallback)
			continue;
		key_place(&c->vms[v], "fallback", &line, &column);
		to = conf_find_vm(r, line, column, p->fallback);
		if (to == CONF_VMS_MAX)
			continue;
		order_add(&order, v, to);
		if (!conf_key_find(&c->vms[to].given, "start"))
			c->vms[to].policy.start = CONF_START_MANUAL;
		if (p->on_failure == CONF_FAILURE_SYSTEM_STOP)
			conf_error(r, line, column,
				"'fallback' and 'on-failure: system-stop' exclude each other; "
				"the latter can stand with the fallback VM");
	}
	cycle_error(r, &order, "each of these VMs is the other's fallback", fallback_place);
}

static const struct conf_device *find_device(const struct conf_vm *vm, const char *name)
{
	for (unsigned i = 0; i < vm->ndevices; i++)
		if (!strcmp(vm->devices[i].name, name))
			return &vm->devices[i];
	return NULL;
}

static void check_ready_console(struct conf_reader *r, const struct conf_vm *vm)
{
	const struct conf_ready *ready = &vm->policy.ready;
	const struct conf_device *d = find_device(vm, ready->console);
	const char *host;

	if (!d || strcmp(d->cls->name, "console") != 0 || d->socket) {
		conf_error(r, ready->line_no, ready->column,
			"'ready': %s has no console '%.64s' that avp serves", vm->name,
			ready->console);
		return;
	}
	host = conf_value(&d->keys, d->cls->opts, "host");
	if (host && strcmp(host, "socket") != 0)
		conf_error(r, ready->line_no, ready->column,
			"'ready': console '%s' is 'host: %s'; only a socket can be listened to",
			d->name, host);
}

static void check_ready(struct conf_reader *r, const struct conf_vm *vm)
{
	const struct conf_ready *ready = &vm->policy.ready;
	bool found = false;

	if (ready->console)
		check_ready_console(r, vm);
	if (!ready->vsock && !ready->vsock_guest)
		return;
	for (unsigned i = 0; i < vm->ndevices; i++)
		found |= !strcmp(vm->devices[i].cls->name, "vsock") && !vm->devices[i].socket;
	if (!found)
		conf_error(r, ready->line_no, ready->column,
			"'ready': %s has no vsock device that avp serves", vm->name);
}

static void check_start(struct conf_reader *r)
{
	const struct conf *c = r->conf;

	for (unsigned v = 0; v < c->nvms; v++)
		if (c->vms[v].policy.start == CONF_START_AUTO)
			return;
	conf_error(r, c->vms[0].line, c->vms[0].column,
		"every VM has 'start: manual' or is a fallback; nothing would run");
}

void conf_policy_check(struct conf_reader *r)
{
	check_after(r);
	check_fallbacks(r);
	if (!r->errors->n)
		check_start(r);
	for (unsigned v = 0; v < r->conf->nvms; v++) {
		check_watchdog(r, &r->conf->vms[v]);
		check_ready(r, &r->conf->vms[v]);
	}
}
