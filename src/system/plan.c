/* SPDX-License-Identifier: BSD-3-Clause */
/* The processes of a system, and what they are called with. */
#include "system/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#include "base/util.h"
#include "devices/devices.h"
#include "system/conf_scmi.h"

#define FOLDERS_MAX (CONF_VMS_MAX + 4)

struct planner {
	struct plan *plan;
	const struct conf *conf;
	const char *run_dir;
	bool no_memory;
	struct err *e;
};

static void add_arg(struct planner *p, struct plan_proc *proc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_arg(struct planner *p, struct plan_proc *proc, const char *fmt, ...)
{
	char **argv = reallocarray(proc->argv, proc->argc + 2, sizeof(*argv));
	va_list ap;

	if (!argv) {
		p->no_memory = true;
		return;
	}
	proc->argv = argv;
	va_start(ap, fmt);
	if (vasprintf(&argv[proc->argc], fmt, ap) < 0)
		p->no_memory = true;
	else
		proc->argc++;
	va_end(ap);
	argv[proc->argc] = NULL;
}

static void add_keys(struct planner *p, struct plan_proc *proc, const struct conf_keys *keys)
{
	for (unsigned i = 0; i < keys->n; i++) {
		add_arg(p, proc, "--%s", keys->v[i].opt->name);
		add_arg(p, proc, "%s", keys->v[i].value);
	}
}

/* A process with the arguments that all have. */
static struct plan_proc *add_proc(
	struct planner *p, enum plan_kind kind, const char *command, const char *name)
{
	struct plan_proc *proc = &p->plan->procs[p->plan->n++];

	proc->kind = kind;
	proc->name = strdup(name);
	if (!proc->name) {
		p->no_memory = true;
		return NULL;
	}
	add_arg(p, proc, "avp");
	add_arg(p, proc, "%s", command);
	return proc;
}

static void add_common(struct planner *p, struct plan_proc *proc)
{
	add_arg(p, proc, "--name");
	add_arg(p, proc, "%s", proc->name);
	add_arg(p, proc, "--control-fd");
	add_arg(p, proc, "%d", PLAN_FD_CONTROL);
	if (p->conf->jail != JAIL_BEST_EFFORT) {
		add_arg(p, proc, "--jail");
		add_arg(p, proc, "%s", jail_mode_words[p->conf->jail]);
	}
}

/* The vhost-user socket of a device, wherever it is served. NULL: no memory. */
static char *device_socket(
	const struct planner *p, const struct conf_vm *vm, const struct conf_device *d)
{
	char *path;

	if (d->socket)
		return strdup(d->socket);
	return asprintf(&path, "%s/%s/%s.sock", p->run_dir, vm->name, d->name) < 0 ? NULL : path;
}

/* A listening socket of ours; returns the descriptor number it has in the process. */
static unsigned add_socket(struct planner *p, struct plan_proc *proc, const struct conf_vm *vm,
	const struct conf_device *d)
{
	char *path = device_socket(p, vm, d);
	char **sockets = reallocarray(proc->sockets, proc->nsockets + 1, sizeof(*sockets));

	if (sockets)
		proc->sockets = sockets;
	if (!path || !sockets) {
		p->no_memory = true;
		free(path);
		return 0;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		err_set(p->e, -ENAMETOOLONG,
			"%s is too long for a socket; shorter names, or a shorter XDG_RUNTIME_DIR",
			path);
	proc->sockets[proc->nsockets] = path;
	return PLAN_FD_SOCKETS + proc->nsockets++;
}

static bool is_type(const struct conf_device *d, const char *type)
{
	return !strcmp(d->cls->name, type);
}

char *plan_console_path(const struct conf_vm *vm, const struct conf_device *d, const char *run_dir)
{
	const char *host = conf_value(&d->keys, d->cls->opts, "host");
	const char *path = conf_value(&d->keys, d->cls->opts, "path");
	char *made;

	if (!is_type(d, "console") || d->socket || d->plug || (host && strcmp(host, "socket") != 0))
		return NULL;
	if (path)
		return strdup(path);
	return asprintf(&made, "%s/%s/%s.tty", run_dir, vm->name, d->name) < 0 ? NULL : made;
}

/* The first one of a VM has the short name; two that share a path would take it from each other. */
static const char *vsock_file(const struct conf_vm *vm, const struct conf_device *d)
{
	for (unsigned i = 0; i < vm->ndevices; i++)
		if (is_type(&vm->devices[i], "vsock"))
			return &vm->devices[i] == d ? "vsock" : d->name;
	return "vsock";
}

char *plan_vsock_path(const struct conf_vm *vm, const struct conf_device *d, const char *run_dir)
{
	const char *path = conf_value(&d->keys, d->cls->opts, "uds");
	char *made;

	if (!is_type(d, "vsock") || d->socket)
		return NULL;
	if (path)
		return strdup(path);
	return asprintf(&made, "%s/%s/%s", run_dir, vm->name, vsock_file(vm, d)) < 0 ? NULL : made;
}

/* What the file leaves to us: sockets and state in the run-time folder. Pairs of key and value. */
static unsigned implied_keys(const struct planner *p, const struct conf_vm *vm,
	const struct conf_device *d, const char *key[2], char *value[2])
{
	unsigned n = 0;

	if (is_type(d, "console") && !d->plug && !conf_key_find(&d->keys, "path")) {
		value[n] = plan_console_path(vm, d, p->run_dir);
		key[n] = "path";
		n += value[n] != NULL;
	}
	if (is_type(d, "vsock") && !conf_key_find(&d->keys, "uds")) {
		value[n] = plan_vsock_path(vm, d, p->run_dir);
		key[n] = "uds";
		n += value[n] != NULL;
	}
	if (is_type(d, "vsock") && !conf_key_find(&d->keys, "peer-uds")) {
		if (asprintf(&value[n], "%s/peers/vsock", p->run_dir) < 0)
			value[n] = NULL;
		key[n] = "peer-uds";
		n += value[n] != NULL;
	}
	if (is_type(d, "gpio") && !d->socket && !conf_key_find(&d->keys, "state")) {
		if (asprintf(&value[n], "%s/%s/%s.state", p->run_dir, vm->name, d->name) < 0)
			value[n] = NULL;
		key[n] = "state";
		n += value[n] != NULL;
	}
	return n;
}

static void add_implied(struct planner *p, struct plan_proc *proc, const struct conf_vm *vm,
	const struct conf_device *d)
{
	const char *key[2];
	char *value[2];
	unsigned n = implied_keys(p, vm, d, key, value);

	for (unsigned i = 0; i < n; i++) {
		add_arg(p, proc, "--%s", key[i]);
		add_arg(p, proc, "%s", value[i]);
		free(value[i]);
	}
}

/* `poll` as it is written. */
static void poll_text(char *buf, size_t len, const struct conf_device *d)
{
	if (d->poll == OPT_U32_WORD)
		snprintf(buf, len, "%s", vdev_poll_words[0]);
	else
		snprintf(buf, len, "%u", d->poll);
}

static void add_poll(struct planner *p, struct plan_proc *proc, const struct conf_device *d)
{
	char text[16];

	if (!d->poll)
		return;
	poll_text(text, sizeof(text), d);
	add_arg(p, proc, "--poll");
	add_arg(p, proc, "%s", text);
}

static void plan_device(struct planner *p, const struct conf_vm *vm, const struct conf_device *d)
{
	char name[2 * CONF_NAME_MAX + 2];
	struct plan_proc *proc;

	snprintf(name, sizeof(name), "%s/%s", vm->name, d->name);
	proc = add_proc(p, PLAN_DEVICE, "device", name);
	if (!proc)
		return;
	proc->vm = vm;
	proc->device = d;
	add_arg(p, proc, "%s", d->cls->name);
	add_common(p, proc);
	add_poll(p, proc, d);
	add_arg(p, proc, "--fd");
	add_arg(p, proc, "%u", add_socket(p, proc, vm, d));
	add_keys(p, proc, &d->keys);
	add_implied(p, proc, vm, d);
}

/* ",KEY=VALUE"; a comma in the value is doubled. */
static void put_key(FILE *f, const char *key, const char *value)
{
	fprintf(f, ",%s=", key);
	for (; *value; value++)
		fputs(*value == ',' ? ",," : (char[]){ *value, 0 }, f);
}

/* The keys of a device and those that are implied, as ",KEY=VALUE,..." */
static char *join_keys(struct planner *p, const struct conf_vm *vm, const struct conf_device *d)
{
	const char *key[2];
	char *value[2], *text = NULL;
	unsigned n = implied_keys(p, vm, d, key, value);
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (unsigned i = 0; f && i < d->keys.n + n; i++) {
		bool given = i < d->keys.n;

		put_key(f, given ? d->keys.v[i].opt->name : key[i - d->keys.n],
			given ? d->keys.v[i].value : value[i - d->keys.n]);
	}
	for (unsigned i = 0; i < n; i++)
		free(value[i]);
	if (!f || fclose(f))
		p->no_memory = true;
	return text;
}

/* ",socket=PATH" of a device that the monitor reaches by vhost-user. */
static char *join_socket(struct planner *p, const struct conf_vm *vm, const struct conf_device *d)
{
	autofree char *path = device_socket(p, vm, d);
	char *text = NULL;
	size_t len;
	FILE *f = path ? open_memstream(&text, &len) : NULL;

	if (f)
		put_key(f, "socket", path);
	if (!f || fclose(f))
		p->no_memory = true;
	return text;
}

/* ",scmi-protocols=base,,clock,scmi-voltages=2" of an SCMI device, "" of all others. A description
 * that is wrong stops the process that needs it, which says why. */
static char *join_scmi(struct planner *p, const struct conf_device *d)
{
	struct scmi_summary s;
	char *text = NULL;
	size_t len;
	FILE *f;

	if (d->cls != &vdev_scmi || conf_scmi_summarize(p->conf, d, &s, NULL))
		return strdup("");
	f = open_memstream(&text, &len);
	if (!f) {
		p->no_memory = true;
		return NULL;
	}
	fputs(",scmi-protocols=base", f);
	for (unsigned i = 1; i < SCMI_SUMMARY_PROTOCOLS; i++)
		if (s.protocols >> i & 1)
			fprintf(f, ",,%s", scmi_summary_names[i]);
	fprintf(f, ",scmi-voltages=%u", s.voltages);
	if (fclose(f))
		p->no_memory = true;
	return text;
}

static void add_monitor_device(struct planner *p, struct plan_proc *proc, const struct conf_vm *vm,
	const struct conf_device *d)
{
	autofree char *keys = NULL, *socket = NULL, *scmi = join_scmi(p, d);
	char poll[16];

	poll_text(poll, sizeof(poll), d);
	if (d->isolate)
		socket = join_socket(p, vm, d);
	if (!d->isolate || conf_is_foreign(d))
		keys = join_keys(p, vm, d);
	add_arg(p, proc, "--device");
	add_arg(p, proc, "type=%s,name=%s%s%s%s%s%s", d->cls->name, d->name,
		socket ? socket : ",isolate=false", d->poll && !d->isolate ? ",poll=" : "",
		d->poll && !d->isolate ? poll : "", keys ? keys : "", scmi ? scmi : "");
}

char *plan_vars_path(const struct conf *conf, const struct conf_vm *vm)
{
	char *path;

	if (vm->machine.vars)
		return strdup(vm->machine.vars);
	return asprintf(&path, "%s/%s.%s.efivars", conf->dir, conf->name, vm->name) < 0 ? NULL
											: path;
}

static void add_vars(struct planner *p, struct plan_proc *proc, const struct conf_vm *vm)
{
	autofree char *path = plan_vars_path(p->conf, vm);

	if (!path) {
		p->no_memory = true;
		return;
	}
	add_arg(p, proc, "--vars");
	add_arg(p, proc, "%s", path);
}

static void plan_monitor(struct planner *p, const struct conf_vm *vm)
{
	struct plan_proc *proc = add_proc(p, PLAN_MONITOR, "monitor", vm->name);

	if (!proc)
		return;
	proc->vm = vm;
	add_common(p, proc);
	add_keys(p, proc, &vm->keys);
	if (conf_isolation(p->conf, vm) != vm->machine.isolation) {
		add_arg(p, proc, "--isolation");
		add_arg(p, proc, "%s", vm_isolation_words[conf_isolation(p->conf, vm)]);
	}
	if (vm->machine.firmware && !vm->machine.vars)
		add_vars(p, proc, vm);
	for (unsigned i = 0; i < vm->ndevices; i++)
		add_monitor_device(p, proc, vm, &vm->devices[i]);
}

static void add_port(struct planner *p, struct plan_proc *proc, const struct conf_vm *vm,
	const struct conf_device *d)
{
	autofree char *keys = join_keys(p, vm, d);

	add_arg(p, proc, "--port");
	add_arg(p, proc, "name=%s/%s,fd=%u%s", vm->name, d->name, add_socket(p, proc, vm, d),
		keys ? keys : "");
}

static void plan_medium(struct planner *p, const struct conf_medium *m)
{
	struct plan_proc *proc = add_proc(p, PLAN_MEDIUM, m->cls->command, m->name);

	if (!proc)
		return;
	proc->medium = m;
	add_common(p, proc);
	add_keys(p, proc, &m->keys);
	for (unsigned v = 0; v < p->conf->nvms; v++) {
		const struct conf_vm *vm = &p->conf->vms[v];

		for (unsigned i = 0; i < vm->ndevices; i++)
			if (conf_medium_of(p->conf, &vm->devices[i]) == m)
				add_port(p, proc, vm, &vm->devices[i]);
	}
}

static void add_folder(struct planner *p, const char *name)
{
	if (asprintf(&p->plan->folders[p->plan->nfolders], "%s/%s", p->run_dir, name) < 0)
		p->no_memory = true;
	else
		p->plan->nfolders++;
}

static int fill(struct planner *p)
{
	const struct conf *c = p->conf;
	unsigned n = c->nmedia;

	for (unsigned v = 0; v < c->nvms; v++)
		n += 1 + c->vms[v].ndevices;
	p->plan->procs = calloc(n, sizeof(*p->plan->procs));
	p->plan->folders = calloc(FOLDERS_MAX, sizeof(*p->plan->folders));
	if (!p->plan->procs || !p->plan->folders)
		return -ENOMEM;
	add_folder(p, "logs");
	add_folder(p, "peers");
	for (unsigned s = 0; s < c->nmedia; s++)
		plan_medium(p, &c->media[s]);
	for (unsigned v = 0; v < c->nvms; v++) {
		add_folder(p, c->vms[v].name);
		for (unsigned i = 0; i < c->vms[v].ndevices; i++) {
			const struct conf_device *d = &c->vms[v].devices[i];

			if (d->isolate && !d->socket && !d->plug)
				plan_device(p, &c->vms[v], d);
		}
	}
	for (unsigned v = 0; v < c->nvms; v++)
		plan_monitor(p, &c->vms[v]);
	return p->no_memory ? -ENOMEM : 0;
}

int plan_make(struct plan **out, const struct conf *conf, const char *run_dir, struct err *e)
{
	struct err own = { 0 };
	struct planner p = { .conf = conf, .run_dir = run_dir, .e = e ? e : &own };
	int r;

	p.plan = calloc(1, sizeof(*p.plan));
	r = p.plan ? fill(&p) : -ENOMEM;
	if (r)
		r = err_set(p.e, r, "out of memory for the plan");
	else
		r = p.e->code; /* a path that is too long */
	if (r) {
		plan_free(p.plan);
		return r;
	}
	*out = p.plan;
	return 0;
}

static void free_strings(char **v, unsigned n)
{
	for (unsigned i = 0; v && i < n; i++)
		free(v[i]);
	free(v);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (unsigned i = 0; plan->procs && i < plan->n; i++) {
		free(plan->procs[i].name);
		free_strings(plan->procs[i].argv, plan->procs[i].argc);
		free_strings(plan->procs[i].sockets, plan->procs[i].nsockets);
	}
	free(plan->procs);
	free_strings(plan->folders, plan->nfolders);
	free(plan);
}
