/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SCMI device (VIRTIO 1.4, 5.17): an agent's channels to a platform. What is behind them is in
 * scmi_priv.h; docs/devices/scmi.md is the page.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/devices.h"
#include "devices/scmi_agent.h"
#include "devices/scmi_system.h"

#define VIRTIO_ID_SCMI		   32
#define VIRTIO_SCMI_F_P2A_CHANNELS 0
#define CMDQ			   0
#define EVENTQ			   1
#define NQUEUES			   2

#define HDR_SIZE    4u
#define STATUS_SIZE 4u

/* Commands before other work of the loop gets a turn. */
#define TURN_MAX 64u
/* Messages that wait for a buffer in the eventq: notifications beyond the first number are dropped,
 * delayed responses always have a place. */
#define NOTIFICATIONS_MAX 96u
#define WAITING_MAX	  (NOTIFICATIONS_MAX + SCMI_DELAYED_MAX)

/* A notification or delayed response that waits for a buffer. */
struct waiting {
	uint32_t len; /* with the header */
	uint8_t bytes[HDR_SIZE + SCMI_P2A_MAX];
};

struct scmi {
	struct vdev dev;
	/* Keys. */
	char *agent_name;
	struct opt_list grants;
	bool trusted;
	struct scmi_config config;

	struct scmi_platform *shared; /* set by scmi_attach() */
	struct scmi_platform *own;
	struct scmi_agent agent;
	struct ev_task more; /* continues after a turn */
	struct waiting waiting[WAITING_MAX];
	unsigned first, nwaiting; /* a ring */
	/* Metrics. */
	uint64_t commands, errors, notifications, delayed, dropped;
};

static struct scmi *to_scmi(struct vdev *dev)
{
	return container_of(dev, struct scmi, dev);
}

void scmi_attach(struct vdev *dev, struct scmi_platform *p)
{
	to_scmi(dev)->shared = p;
}

static struct scmi_platform *platform_of(const struct scmi *s)
{
	return s->shared ? s->shared : s->own;
}

/* The cmdq. */

static void answer(struct scmi *s, struct vq_chain *c, struct scmi_msg *m)
{
	uint32_t head[2] = { htole32(m->hdr), htole32((uint32_t)scmi_run(m)) };
	struct iov_iter in;

	s->commands++;
	s->errors += head[1] != 0;
	iov_iter_init(&in, vq_in(c), c->n_in);
	iov_write(&in, head, sizeof(head));
	iov_write(&in, m->ret, m->used);
	vq_push(c->vq, c, (uint32_t)sizeof(head) + m->used);
}

static void command(struct scmi *s, struct vq_chain *c)
{
	struct scmi_msg m = { .agent = &s->agent };
	struct iov_iter out;

	iov_iter_init(&out, c->iov, c->n_out);
	m.short_hdr = iov_read(&out, &m.hdr, HDR_SIZE) < HDR_SIZE;
	m.hdr = le32toh(m.hdr);
	/* One that is longer than any command is told by its length. */
	if (!m.short_hdr)
		m.len = (uint32_t)min_u64(c->out_len - HDR_SIZE, UINT32_MAX);
	iov_read(&out, m.params, sizeof(m.params));
	m.room = (uint32_t)min_u64(c->in_len - HDR_SIZE - STATUS_SIZE, SCMI_RETURN_MAX);
	answer(s, c, &m);
}

/* True if the turn is over and there may be more. */
static bool serve_turn(struct scmi *s, struct vq *vq)
{
	struct vq_chain *c;

	for (unsigned i = 0; i < TURN_MAX; i++) {
		if (vq_pop_or_kick(vq, &c) != 1)
			return false;
		if (c->in_len < HDR_SIZE + STATUS_SIZE) {
			vdev_broken(&s->dev, CMDQ,
				"a buffer has no room for header and status of a response "
				"(5.17.6.1.2)");
			return false;
		}
		command(s, c);
	}
	return true;
}

static void serve_commands(struct scmi *s)
{
	struct vq *vq = s->dev.queues[CMDQ];

	vq_disable_kick(vq);
	if (serve_turn(s, vq))
		ev_task_post(&s->more);
	vq_flush(vq);
}

static void more(void *arg)
{
	struct scmi *s = arg;

	vdev_kick(&s->dev, CMDQ);
}

/* The eventq. */

static struct waiting *waiting_at(struct scmi *s, unsigned i)
{
	return &s->waiting[(s->first + i) % WAITING_MAX];
}

static uint32_t word_of(const struct waiting *w, unsigned i)
{
	uint32_t v = 0;

	if ((i + 1) * sizeof(v) <= w->len)
		memcpy(&v, w->bytes + i * sizeof(v), sizeof(v));
	return le32toh(v);
}

static bool is_delayed(const struct waiting *w)
{
	return SCMI_HDR_TYPE(word_of(w, 0)) == SCMI_TYPE_DELAYED;
}

static void forget_first(struct scmi *s)
{
	if (is_delayed(waiting_at(s, 0)))
		s->agent.unsent--;
	s->first = (s->first + 1) % WAITING_MAX;
	s->nwaiting--;
}

static void put(struct scmi *s, struct vq_chain *c, const struct waiting *w)
{
	struct iov_iter in;

	if (is_delayed(w))
		s->delayed++;
	else
		s->notifications++;
	iov_iter_init(&in, vq_in(c), c->n_in);
	iov_write(&in, w->bytes, w->len);
	vq_push(c->vq, c, w->len);
	forget_first(s);
}

/* A buffer that is too small for the first message (5.17.6.3.1): a notification is left out, a
 * delayed response says so. False if even that does not fit. */
static bool put_less(struct scmi *s, struct vq_chain *c, struct waiting *w)
{
	uint32_t status = htole32((uint32_t)SCMI_COMMS_ERROR);

	if (!is_delayed(w)) {
		vq_rewind(c->vq, c);
		s->dropped++;
		forget_first(s);
		return true;
	}
	if (c->in_len < HDR_SIZE + STATUS_SIZE)
		return false;
	memcpy(w->bytes + HDR_SIZE, &status, sizeof(status));
	w->len = HDR_SIZE + STATUS_SIZE;
	put(s, c, w);
	return true;
}

static void serve_events(struct scmi *s)
{
	struct vq *vq = s->dev.queues[EVENTQ];
	struct vq_chain *c;

	while (s->nwaiting && vq_pop_or_kick(vq, &c) == 1) {
		struct waiting *w = waiting_at(s, 0);

		if (c->n_out) {
			vdev_broken(&s->dev, EVENTQ,
				"a buffer has device-readable descriptors (5.17.6.2.1)");
			break;
		}
		if (c->in_len >= w->len) {
			put(s, c, w);
		} else if (!put_less(s, c, w)) {
			vdev_broken(&s->dev, EVENTQ,
				"a buffer is too small for any message (5.17.6.2.1)");
			break;
		}
	}
	vq_flush(vq);
}

/* The one that waits, and says the same of an earlier time; or NULL. */
static struct waiting *find_older(struct scmi *s, const struct waiting *w)
{
	for (unsigned i = 0; i < s->nwaiting; i++) {
		struct waiting *old = waiting_at(s, i);

		if (old->len == w->len && word_of(old, 0) == word_of(w, 0) &&
			word_of(old, 1) == word_of(w, 1) && word_of(old, 2) == word_of(w, 2))
			return old;
	}
	return NULL;
}

static void enqueue(struct scmi *s, const struct waiting *w)
{
	if (is_delayed(w)) {
		s->agent.unsent++;
	} else if (s->nwaiting - s->agent.unsent >= NOTIFICATIONS_MAX) {
		s->dropped++;
		return;
	}
	*waiting_at(s, s->nwaiting++) = *w;
}

static void send(struct scmi_agent *a, uint32_t hdr, const void *payload, uint32_t len, bool latest)
{
	struct scmi *s = container_of(a, struct scmi, agent);
	struct waiting w = { .len = HDR_SIZE + len };
	struct waiting *old;

	hdr = htole32(hdr);
	memcpy(w.bytes, &hdr, HDR_SIZE);
	memcpy(w.bytes + HDR_SIZE, payload, len);
	old = latest ? find_older(s, &w) : NULL;
	if (old)
		*old = w;
	else
		enqueue(s, &w);
	vdev_kick(&s->dev, EVENTQ);
}

static void on_agent_event(struct scmi_agent *a, const char *event, const char *detail)
{
	vdev_event(&container_of(a, struct scmi, agent)->dev, event, "%s", detail);
}

static const struct scmi_agent_ops agent_ops = { .send = send, .event = on_agent_event };

/* The device. */

static void scmi_dev_kick(struct vdev *dev, unsigned q)
{
	struct scmi *s = to_scmi(dev);

	if (q == CMDQ)
		serve_commands(s);
	else if (s->agent.p2a)
		serve_events(s);
}

static int scmi_dev_features_ok(struct vdev *dev)
{
	to_scmi(dev)->agent.p2a = vdev_has(dev, VIRTIO_SCMI_F_P2A_CHANNELS);
	return 0;
}

static void scmi_dev_start(struct vdev *dev)
{
	struct scmi *s = to_scmi(dev);

	scmi_platform_up(platform_of(s), &s->agent, true);
}

static void scmi_dev_reset(struct vdev *dev)
{
	struct scmi *s = to_scmi(dev);

	ev_task_cancel(&s->more);
	s->nwaiting = 0;
	scmi_agent_reset(&s->agent);
	s->agent.p2a = s->agent.up = false;
}

static void on_platform_event(void *arg, const char *event, const char *detail)
{
	vdev_event(&((struct scmi *)arg)->dev, event, "%s", detail);
}

static bool describes_platform(const struct scmi_config *c)
{
	return c->power_domains.n || c->perf.n || c->clocks.n || c->resets.n || c->voltages.n ||
	       c->powercaps.n || c->system_power || c->devices.n || c->sensor.sensors.n ||
	       c->sensor.set.replay.file || c->sensor.set.socket;
}

static int open_platform(struct scmi *s, struct err *e)
{
	int ret;

	if (s->shared && describes_platform(&s->config))
		return err_set(e, -EINVAL,
			"clocks and all else that a platform has belong to the shared platform, "
			"not to a device on it");
	if (s->shared)
		return 0;
	ret = scmi_platform_open(&s->own, &s->config, s->dev.loop, s->dev.log, e);
	if (!ret)
		scmi_platform_watch(s->own, on_platform_event, s);
	return ret;
}

/* "ivi/scmi0" is agent "ivi". */
static int open_agent(struct scmi *s, struct err *e)
{
	struct scmi_agent_config config = { .grants = &s->grants, .trusted = s->trusted };
	char name[SCMI_SHORT_NAME];

	snprintf(name, sizeof(name), "%.15s",
		s->agent_name ? s->agent_name
		: s->dev.log  ? s->dev.log->name
			      : "agent");
	if (!s->agent_name)
		name[strcspn(name, "/")] = '\0';
	config.name = name;
	/* What nobody else can see is this agent's, unless it is said otherwise. */
	config.all = s->own && !s->grants.n;
	return scmi_agent_open(&s->agent, platform_of(s), &config, &agent_ops, e);
}

static void scmi_dev_finish(struct vdev *dev)
{
	struct scmi *s = to_scmi(dev);

	ev_task_cancel(&s->more);
	scmi_agent_close(&s->agent);
	scmi_platform_close(s->own);
	s->own = NULL;
}

static int scmi_dev_init(struct vdev *dev, struct err *e)
{
	struct scmi *s = to_scmi(dev);
	int ret;

	ev_task_init(dev->loop, &s->more, more, s);
	ret = open_platform(s, e);
	if (!ret)
		ret = open_agent(s, e);
	if (ret) {
		scmi_dev_finish(dev);
		return ret;
	}
	dev->features = FEATURE(VIRTIO_SCMI_F_P2A_CHANNELS);
	dev->nqueues = NQUEUES;
	return 0;
}

static int scmi_dev_command(
	struct vdev *dev, unsigned argc, char **argv, FILE *answer_to, struct err *e)
{
	struct scmi *s = to_scmi(dev);

	if (scmi_system_is_command(argv[0]))
		return scmi_system_command(
			scmi_platform_res(platform_of(s), SCMI_SLOT(SCMI_PROTOCOL_SYSTEM), 0),
			&s->agent, argc, argv, answer_to, e);
	if (s->own)
		return scmi_platform_command(s->own, argc, argv, answer_to, e);
	return err_set(e, -EINVAL,
		"'%.32s' is to be told to the platform; possible here: shutdown, reboot, suspend",
		argv[0]);
}

static const struct opt scmi_dev_opts[] = {
	{ .name = "agent",
		.type = OPT_STR,
		.offset = offsetof(struct scmi, agent_name),
		.help = "name of the agent, up to 15 bytes (default: that of the VM)" },
	{ .name = "grants",
		.type = OPT_LIST,
		.offset = offsetof(struct scmi, grants),
		.help = "what the agent may use, as clock:uart, sensor:*=read, *" },
	{ .name = "trusted",
		.type = OPT_BOOL,
		.offset = offsetof(struct scmi, trusted),
		.help = "the agent may change what other agents may use" },
	SCMI_CONFIG_OPTS(struct scmi, config),
	OPT_END,
};

static const struct vdev_metric scmi_dev_metrics[] = {
	{ "commands", offsetof(struct scmi, commands), "commands answered" },
	{ "errors", offsetof(struct scmi, errors), "commands answered with an error" },
	{ "denied", offsetof(struct scmi, agent.denied), "commands that the agent may not use" },
	{ "notifications", offsetof(struct scmi, notifications), "notifications sent" },
	{ "delayed", offsetof(struct scmi, delayed), "delayed responses sent" },
	{ "dropped", offsetof(struct scmi, dropped),
		"notifications for which the eventq had no buffer, or too small a one" },
	{ NULL, 0, NULL },
};

const struct vdev_class vdev_scmi = {
	.name = "scmi",
	.id = VIRTIO_ID_SCMI,
	.pci_class = 0x088000, /* system peripheral */
	.summary = "SCMI: power, performance, clocks, sensors and resets of a platform",
	.size = sizeof(struct scmi),
	.opts = scmi_dev_opts,
	.metrics = scmi_dev_metrics,
	.init = scmi_dev_init,
	.finish = scmi_dev_finish,
	.features_ok = scmi_dev_features_ok,
	.start = scmi_dev_start,
	.reset = scmi_dev_reset,
	.kick = scmi_dev_kick,
	.command = scmi_dev_command,
};
