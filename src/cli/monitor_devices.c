/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices of `avp monitor`: from "--device KEYS" to a backend in a slot of the machine. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/monitor.h"
#include "devices/devices.h"
#include "devices/scmi.h"
#include "transport/vhost_user_frontend.h"
#include "virtio/device.h"

#define CLASS_UNKNOWN 0xff0000u

#define FIELD(f) offsetof(struct monitor_device, f)

/* The keys that all devices have here; the rest are those of the device's class. */
static const struct opt device_opts[] = {
	{ .name = "type", .type = OPT_STR, .offset = FIELD(type), .help = "device type" },
	{ .name = "name", .type = OPT_STR, .offset = FIELD(name), .help = "name in messages" },
	{ .name = "socket",
		.type = OPT_PATH,
		.offset = FIELD(socket),
		.help = "of the vhost-user process that serves it" },
	{ .name = "isolate",
		.type = OPT_BOOL,
		.offset = FIELD(isolate),
		.def = "true",
		.help = "false: a thread of the monitor serves it" },
	VDEV_POLL_OPT(FIELD(poll)),
	{ .name = "transport",
		.type = OPT_ENUM,
		.offset = FIELD(transport),
		.def = "pci",
		.words = vm_transport_words,
		.help = "how it is attached" },
	{ .name = "id",
		.type = OPT_U32,
		.offset = FIELD(id),
		.min = 1,
		.max = VM_DEVICE_ID_MAX,
		.help = "VIRTIO device id of a type that is not known here" },
	{ .name = "queues",
		.type = OPT_U32,
		.offset = FIELD(queues),
		.min = 1,
		.max = VDEV_QUEUES_MAX,
		.help = "number of its queues" },
	{ .name = "config",
		.type = OPT_U32,
		.offset = FIELD(config),
		.max = 256,
		.help = "bytes of its configuration space" },
	{ .name = "scmi-protocols",
		.type = OPT_LIST,
		.offset = FIELD(scmi),
		.help = "scmi: what is behind it, for the device tree (default: all)" },
	{ .name = "scmi-voltages",
		.type = OPT_U32,
		.offset = FIELD(scmi_voltages),
		.max = 256,
		.help = "scmi: voltage domains" },
	OPT_END,
};

/* Splits off the next KEY=VALUE, in place; a doubled comma is a comma. NULL at the end. */
static char *next_word(char **rest)
{
	char *word = *rest, *to = word, *from = word;

	if (!word || !*word)
		return NULL;
	for (; *from; from++) {
		if (*from == ',' && *++from != ',')
			break;
		*to++ = *from;
	}
	*rest = from;
	*to = '\0';
	return word;
}

static int set_key(struct monitor_device *d, const char *key, const char *value, struct err *e)
{
	if (opt_find(device_opts, key))
		return opt_set(device_opts, d, key, value, e);
	if (d->vdev && d->vdev->cls->opts)
		return opt_set(d->vdev->cls->opts, d->vdev, key, value, e);
	if (d->socket || !d->type)
		return err_set(e, -EINVAL, "'%s' is no key of a device that has a socket", key);
	return err_set(e, -EINVAL, "device %s has no key '%s'", d->type, key);
}

/* First the common keys, because they say what the others mean. */
static int set_keys(struct monitor_device *d, const char *text, bool common, struct err *e)
{
	autofree char *copy = strdup(text);
	char *rest = copy, *word;
	int rc = copy ? 0 : err_set(e, -ENOMEM, "no memory");

	while (!rc && (word = next_word(&rest))) {
		char *eq = strchr(word, '=');

		if (!eq)
			return err_set(e, -EINVAL, "'%s' is not KEY=VALUE", word);
		*eq = '\0';
		if (common == !!opt_find(device_opts, word))
			rc = set_key(d, word, eq + 1, e);
	}
	return rc;
}

static int check(const struct monitor_device *d, struct err *e)
{
	if (!d->type && !d->id)
		return err_set(e, -EINVAL, "needs type=TYPE, or id=N of a type not known here");
	if (d->type && !d->cls && !d->id)
		return err_set(
			e, -EINVAL, "type '%s' is not known; with a socket give its id=N", d->type);
	if (!d->isolate && d->socket)
		return err_set(e, -EINVAL, "isolate=false and socket exclude each other");
	if (d->poll && d->socket)
		return err_set(e, -EINVAL, "poll and socket exclude each other: its process polls");
	if (!d->isolate && !d->cls)
		return err_set(e, -EINVAL, "isolate=false needs a type that is known here");
	if (d->isolate && !d->socket)
		return err_set(e, -EINVAL, "needs socket=PATH, or isolate=false");
	return 0;
}

int monitor_device_parse(
	struct monitor_device *d, const char *text, const struct vm_conf *conf, struct err *e)
{
	int rc = opt_defaults(device_opts, d, e);

	d->line.out = d->line_fds[0] = d->line_fds[1] = -1;
	d->transport = conf->transport;
	if (!rc)
		rc = set_keys(d, text, true, e);
	d->cls = d->type ? vdev_class_find(d->type) : NULL;
	if (!rc)
		rc = check(d, e);
	if (!rc && !d->isolate)
		rc = vdev_new(&d->vdev, d->cls, e);
	if (!rc)
		rc = set_keys(d, text, false, e);
	if (!rc && d->vdev && d->cls->opts)
		rc = opt_check(d->cls->opts, d->vdev, e);
	if (rc)
		err_prefix(e, "--device %s", text);
	return rc;
}

const char *monitor_device_name(const struct monitor_device *d)
{
	return d->name ? d->name : d->type ? d->type : "device";
}

static int obey(void *arg, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	const struct monitor_device *d = arg;

	return line_device_command(d->line.dev, argc, argv, answer, e);
}

static const char *name_of(void *arg, const struct vdev *dev)
{
	return monitor_device_name(arg);
}

static const struct line_ops line_ops = { .command = obey };

/* The device has its own way to the supervisor: the monitor's loop does not wait for its thread. */
static int open_line(struct monitor_device *d, int control_fd, struct err *e)
{
	if (control_fd < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, d->line_fds))
		return err_sys(e, -errno, "device %s", monitor_device_name(d));
	d->line.name_of = name_of;
	d->line.dev = d->vdev;
	d->vdev->watcher = &d->line.watcher;
	return line_open(&d->line, d->loop, d->line_fds[1], control_fd, &line_ops, d, &d->log, e);
}

void monitor_device_tell(struct monitor_device *d, const char *request, size_t len)
{
	send(d->line_fds[0], request, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int monitor_device_open(
	struct monitor_device *d, const struct log *log, int control_fd, struct err *e)
{
	int rc;

	d->log = *log;
	snprintf(
		d->log.name, sizeof(d->log.name), "%.24s/%.20s", log->name, monitor_device_name(d));
	if (!d->vdev)
		return 0;
	rc = ev_loop_create(&d->loop);
	if (rc)
		return err_sys(e, rc, "cannot create an event loop");
	vdev_set_poll(d->loop, d->poll);
	rc = open_line(d, control_fd, e);
	if (rc)
		return rc;
	rc = vdev_init(d->vdev, d->loop, &d->log, e);
	return rc ? err_prefix(e, "device %s", monitor_device_name(d)) : 0;
}

static int create_backend(
	struct monitor_device *d, struct vm *vm, struct vbackend **be, struct err *e)
{
	struct vhu_frontend_opts opts = {
		.path = d->socket,
		.device_id = (uint16_t)(d->id	 ? d->id
					: d->cls ? d->cls->id
						 : 0),
		.nqueues = (uint16_t)d->queues,
		.config_len = d->config,
	};
	int rc;

	if (!d->vdev)
		return vhu_frontend_create(be, &opts, vm_memory(vm), &d->log, e);
	rc = vb_local_create(be, d->vdev, d->loop, vm_memory(vm), &d->log, e);
	if (!rc) {
		/* The backend destroys both. */
		d->vdev = NULL;
		d->loop = NULL;
	}
	return rc;
}

/* The guest's driver for SCMI is found by the description of the machine, not by the device. */
static int describe_scmi(const struct monitor_device *d, struct vm *vm, struct err *e)
{
	uint32_t protocols = d->scmi.n ? 0 : (1u << SCMI_SUMMARY_PROTOCOLS) - 1;

	for (unsigned i = 0; i < d->scmi.n; i++) {
		unsigned k = 0;

		while (k < SCMI_SUMMARY_PROTOCOLS && strcmp(scmi_summary_names[k], d->scmi.v[i]))
			k++;
		if (k == SCMI_SUMMARY_PROTOCOLS)
			return err_set(e, -EINVAL, "scmi-protocols: '%.32s' is none; e.g. clock",
				d->scmi.v[i]);
		protocols |= 1u << k;
	}
	vm_set_scmi(vm, protocols, d->scmi_voltages);
	return 0;
}

int monitor_device_attach(struct monitor_device *d, struct vm *vm, struct err *e)
{
	struct vm_device dev = {
		.name = monitor_device_name(d),
		.pci_class = d->cls ? d->cls->pci_class : CLASS_UNKNOWN,
		.transport = (enum vm_transport)d->transport,
	};
	int rc = create_backend(d, vm, &dev.be, e);

	if (!rc && d->cls == &vdev_scmi)
		rc = describe_scmi(d, vm, e);
	if (!rc) {
		rc = vm_add_device(vm, &dev, e);
		if (rc)
			dev.be->ops->destroy(dev.be);
	}
	return rc ? err_prefix(e, "device %s", monitor_device_name(d)) : 0;
}

void monitor_device_free(struct monitor_device *d)
{
	/* With the loop the watch of an attached device went, too. */
	if (d->loop)
		line_close(&d->line);
	vdev_destroy(d->vdev);
	ev_loop_destroy(d->loop);
	close_fd(&d->line_fds[0]);
	close_fd(&d->line_fds[1]);
	d->vdev = NULL;
	d->loop = NULL;
	opt_free(device_opts, d);
}
