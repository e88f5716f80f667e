/* SPDX-License-Identifier: BSD-3-Clause */
/* What a monitor may do once its guest runs: KVM, its devices' sockets, and what devices on threads
 * of it ask for. */
#include <asm/ioctls.h>
#include <errno.h>
#include <libgen.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/monitor.h"
#include "engine/host_check.h"

#define LIST_MAX 64u

/* The profile being put together; lists end with NULL or 0. */
struct wanted {
	struct jail_profile profile;
	const char *calls[LIST_MAX + 1];
	unsigned long ioctls[LIST_MAX + 1];
	unsigned ncalls, nioctls;
};

static int add_call(struct wanted *w, const char *name, struct err *e)
{
	for (unsigned i = 0; i < w->ncalls; i++)
		if (!strcmp(w->calls[i], name))
			return 0;
	if (w->ncalls == LIST_MAX)
		return err_set(e, -ENOSPC, "devices need more than %u system calls", LIST_MAX);
	w->calls[w->ncalls++] = name;
	return 0;
}

static int add_ioctl(struct wanted *w, unsigned long request, struct err *e)
{
	for (unsigned i = 0; i < w->nioctls; i++)
		if (w->ioctls[i] == request)
			return 0;
	if (w->nioctls == LIST_MAX)
		return err_set(e, -ENOSPC, "devices need more than %u requests", LIST_MAX);
	w->ioctls[w->nioctls++] = request;
	return 0;
}

static int add_type(struct wanted *w, uint8_t type, struct err *e)
{
	uint8_t *types = w->profile.ioctl_types;

	for (unsigned i = 0; i < JAIL_TYPES_MAX; i++) {
		if (types[i] && types[i] != type)
			continue;
		types[i] = type;
		return 0;
	}
	return err_set(e, -ENOSPC, "devices need more than %u types of requests", JAIL_TYPES_MAX);
}

/* Takes over `path`. */
static int add_path(struct wanted *w, char *path, struct err *e)
{
	struct jail_profile *p = &w->profile;

	for (unsigned i = 0; i < p->npaths; i++)
		if (!strcmp(p->paths[i], path)) {
			free(path);
			return 0;
		}
	if (p->npaths == JAIL_PATHS_MAX) {
		free(path);
		return err_set(e, -ENOSPC, "devices are in more than %u different folders",
			JAIL_PATHS_MAX);
	}
	p->paths[p->npaths++] = path;
	return 0;
}

/* A front-end connects again when its back-end was restarted. */
static int add_socket(struct wanted *w, const struct monitor_device *d, struct err *e)
{
	autofree char *copy = strdup(d->socket);
	char *folder = copy ? realpath(dirname(copy), NULL) : NULL;
	int rc;

	if (!folder)
		return err_sys(e, -errno, "device %s: the folder of %s", monitor_device_name(d),
			d->socket);
	rc = add_path(w, folder, e);
	if (!rc)
		rc = add_call(w, "socket", e);
	if (!rc)
		rc = add_call(w, "connect", e);
	/* The channel by which the back-end speaks first. */
	return rc ? rc : add_call(w, "socketpair", e);
}

static int add_local(struct wanted *w, const struct monitor_device *d, struct err *e)
{
	struct jail_profile own = { 0 };
	int rc = jail_for_device(&own, d->vdev, e);

	for (unsigned i = 0; !rc && i < own.npaths; i++) {
		char *path = strdup(own.paths[i]);

		rc = path ? add_path(w, path, e) : err_set(e, -ENOMEM, "no memory");
	}
	for (unsigned i = 0; !rc && own.syscalls && own.syscalls[i]; i++)
		rc = add_call(w, own.syscalls[i], e);
	for (unsigned i = 0; !rc && own.ioctls && own.ioctls[i]; i++)
		rc = add_ioctl(w, own.ioctls[i], e);
	if (!rc && own.ioctl_types[0])
		rc = add_type(w, own.ioctl_types[0], e);
	jail_profile_free(&own);
	return rc;
}

int monitor_jail(const struct monitor *m, struct err *e)
{
	struct wanted w = { .profile = { .mode = m->args.jail, .ioctl_types = { KVMIO } } };
	int rc = add_call(&w, "sched_setaffinity", e);

	if (!rc && host_priority(&m->args.conf))
		rc = add_call(&w, "sched_setscheduler", e);
	/* The terminal gets its settings back at the end; the C library reads back what it set. */
	if (!rc && m->serial.raw)
		rc = add_ioctl(&w, TCSETS, e);
	if (!rc && m->serial.raw)
		rc = add_ioctl(&w, TCGETS, e);
	for (unsigned i = 0; !rc && i < m->args.ndevices; i++)
		rc = m->devices[i].vdev ? add_local(&w, &m->devices[i], e)
					: add_socket(&w, &m->devices[i], e);
	w.profile.syscalls = w.calls;
	w.profile.ioctls = w.ioctls;
	if (!rc)
		rc = jail_enter(&w.profile, &m->log, e);
	jail_profile_free(&w.profile);
	return rc;
}
