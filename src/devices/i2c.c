/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I2C adapter device (VIRTIO 1.4, 5.16): one bus, on which simulated chips and chips of a host
 * adapter stand side by side. A request is a segment; segments of a group (FAIL_NEXT) are one
 * transfer with repeated starts. Segments for the host are collected until the group ends, since
 * i2c-dev takes a whole transfer, which a helper thread waits for.
 */
#include <errno.h>
#include <linux/i2c-dev.h>
#include <stdlib.h>
#include <string.h>

#include "base/iov.h"
#include "base/le.h"
#include "base/util.h"
#include "base/words.h"
#include "devices/devices.h"
#include "devices/i2c_chip.h"
#include "host/hostdev.h"
#include "host/worker.h"

#define VIRTIO_ID_I2C_ADAPTER 34
#define REQUESTQ	      0
#define QUEUE_SIZE	      1024u

#define I2C_F_ZERO_LENGTH_REQUEST 0
#define FLAG_FAIL_NEXT		  1u
#define FLAG_M_RD		  2u
#define MSG_OK			  0
#define MSG_ERR			  1

/* Requests answered before other work of the loop gets a turn. */
#define TURN_MAX 256u
/* How long the rest of a group may be on its way before what is there goes out without it. */
#define GROUP_WAIT_NS UINT64_C(10000000)

struct i2c_out_hdr {
	le16 addr, padding;
	le32 flags;
};

/* A request, checked. */
struct request {
	struct vq_chain *chain; /* NULL: none, or let go of by a reset */
	uint16_t len;		/* of the data */
	uint8_t addr;		/* 7 bits */
	bool good;		/* as the standard has it, and not too long */
	bool read;
	bool last; /* of its group */
	bool host; /* for the host's adapter */
};

/* A transfer on the host's adapter. The helper thread works on copies of the data. */
struct job {
	struct worker_job job;
	int fd;
	unsigned long functions;
	struct i2cdev_segment segments[I2CDEV_SEGMENTS_MAX];
	unsigned n;
	int result;
};

struct i2c {
	struct vdev dev;
	/* Keys. */
	char *adapter;
	struct opt_list allow, devices;

	struct i2c_bus bus;
	uint8_t segment[I2CDEV_SEGMENT_MAX]; /* of a simulated chip */

	/* The host's adapter. */
	struct hostdev hostdev;
	int fd;	    /* -1: none, or it is gone */
	bool stale; /* close fd when the job is done */
	unsigned long functions;
	struct i2c_addrs allowed;
	struct worker worker;
	struct job job;
	uint8_t *bounce;			 /* data of the job's segments */
	bool busy;				 /* the job runs */
	struct request run[I2CDEV_SEGMENTS_MAX]; /* collected for the host, or in the job */
	unsigned nrun;
	struct request held;  /* the next one, while the run goes out */
	struct ev_timer rest; /* of the group does not come */

	bool open;   /* the last request that was answered is not the last of its group */
	bool late;   /* the rest did not come in time */
	bool failed; /* a request of this group failed */
	struct ev_task again;
	struct log_limit denials, troubles;
	/* Metrics. */
	uint64_t transfers, reads, writes, read_bytes, written_bytes, failures, denied,
		host_failures;
};

static struct i2c *to_i2c(struct vdev *dev)
{
	return container_of(dev, struct i2c, dev);
}

/* Requests (5.16.6.1). */

/* The 7-bit form of the address field: bits 7 to 1, all others clear. Ten bits are not known here,
 * so that nothing acknowledges such an address. */
static bool parse_addr(uint16_t field, uint8_t *addr)
{
	*addr = (uint8_t)(field >> 1 & 0x7f);
	return !(field & 0xff01) && *addr >> 2 != 0x78 >> 2;
}

static void parse(const struct i2c *i, struct vq_chain *c, struct request *r)
{
	struct i2c_out_hdr h = { 0 };
	struct iov_iter it;
	uint64_t len;
	uint32_t flags;

	*r = (struct request){ .chain = c, .last = true };
	iov_iter_init(&it, c->iov, c->n_out);
	if (iov_read(&it, &h, sizeof(h)) != sizeof(h))
		return;
	flags = le32toh(h.flags);
	r->last = !(flags & FLAG_FAIL_NEXT);
	r->read = flags & FLAG_M_RD;
	len = r->read ? c->in_len - 1 : c->out_len - sizeof(h);
	r->good = !(flags & ~(FLAG_FAIL_NEXT | FLAG_M_RD)) &&
		  (r->read ? c->out_len == sizeof(h) : c->in_len == 1) &&
		  len <= I2CDEV_SEGMENT_MAX && parse_addr(le16toh(h.addr), &r->addr);
	r->len = r->good ? (uint16_t)len : 0;
	r->host = r->good && i2c_addrs_has(&i->allowed, r->addr);
}

/* Copies what the guest writes. */
static void fetch(const struct request *r, uint8_t *to)
{
	struct iov_iter it;

	iov_iter_init(&it, r->chain->iov, r->chain->n_out);
	iov_skip(&it, sizeof(struct i2c_out_hdr));
	iov_read(&it, to, r->len);
}

/* `data` is what a read got. The used length covers the status at the end, so that all before it
 * has to be written (2.7.8.2): with zeroes after a failure. */
static void answer(struct i2c *i, const struct request *r, bool ok, const uint8_t *data)
{
	struct vq_chain *c = r->chain;
	uint8_t status = ok ? MSG_OK : MSG_ERR;
	struct iov_iter it;

	iov_iter_init(&it, vq_in(c), c->n_in);
	if (ok && r->read)
		iov_write(&it, data, r->len);
	else
		iov_zero(&it, c->in_len - 1);
	iov_write(&it, &status, 1);
	vq_push(c->vq, c, (uint32_t)c->in_len);
	i->failures += !ok;
	if (!ok)
		return;
	i->reads += r->read;
	i->writes += !r->read;
	*(r->read ? &i->read_bytes : &i->written_bytes) += r->len;
}

/* Groups. */

static void end_request(struct i2c *i, const struct request *r, bool ok, const uint8_t *data)
{
	answer(i, r, ok, data);
	/* After what was not acknowledged comes the stop condition, as on the wire. */
	if (r->last || (!ok && !i->failed))
		i2c_bus_stop(&i->bus);
	i->failed = !r->last && (i->failed || !ok);
	i->open = !r->last;
	i->transfers += r->last;
}

/* The first `done` requests of the run have succeeded. */
static void end_run(struct i2c *i, unsigned done)
{
	unsigned n = i->nrun;

	i->nrun = 0;
	for (unsigned k = 0; k < n; k++)
		if (i->run[k].chain)
			end_request(i, &i->run[k], k < done, i->job.segments[k].data);
}

/* The helper thread's part. */

static void run_job(struct worker_job *w)
{
	struct job *j = container_of(w, struct job, job);

	j->result = i2cdev_transfer(j->fd, j->functions, j->segments, j->n);
}

static void adapter_gone(struct i2c *i)
{
	if (i->fd < 0)
		return;
	if (i->busy)
		i->stale = true;
	else
		close_fd(&i->fd);
	vdev_event(&i->dev, "host-gone", "%s", i->adapter);
}

/* What adapters say if nobody acknowledges; so that ENODEV does not mean that the adapter is gone.
 */
static bool unacknowledged(int result)
{
	return result == -ENXIO || result == -EREMOTEIO || result == -ENODEV;
}

static void job_done(struct worker_job *w)
{
	struct i2c *i = container_of(container_of(w, struct job, job), struct i2c, job);
	int result = i->job.result;

	i->busy = false;
	if (i->stale) {
		close_fd(&i->fd);
		i->stale = false;
	}
	if (result < 0 && !unacknowledged(result)) {
		i->host_failures++;
		if (log_allowed(&i->troubles, 1))
			log_warn(i->dev.log, "a transfer on %s failed: %s", i->adapter,
				strerror(-result));
	}
	end_run(i, result < 0 ? 0 : (unsigned)result);
	vdev_kick(&i->dev, REQUESTQ);
}

static void start_run(struct i2c *i)
{
	struct job *j = &i->job;

	ev_timer_stop(&i->rest);
	if (i->fd < 0 || i->stale) {
		i->host_failures++;
		end_run(i, 0);
		return;
	}
	for (unsigned k = 0; k < i->nrun; k++) {
		struct request *r = &i->run[k];
		uint8_t *data = i->bounce + (size_t)k * I2CDEV_SEGMENT_MAX;

		if (!r->read)
			fetch(r, data);
		j->segments[k] = (struct i2cdev_segment){ data, r->len, r->addr, r->read };
	}
	j->n = i->nrun;
	j->fd = i->fd;
	j->functions = i->functions;
	i->busy = !worker_submit(&i->worker, &j->job);
	if (!i->busy)
		end_run(i, 0);
}

/* The loop's part. */

static bool simulate(struct i2c *i, const struct request *r)
{
	struct i2cdev_segment s = { i->segment, r->len, r->addr, r->read };

	if (!r->read)
		fetch(r, i->segment);
	return i2c_bus_segment(&i->bus, &s);
}

/* An address that the host's adapter might have, but not for this guest. */
static void deny(struct i2c *i, const struct request *r)
{
	if (!i->adapter || !r->good || i2c_bus_find(&i->bus, r->addr))
		return;
	i->denied++;
	if (log_allowed(&i->denials, 1))
		vdev_event(&i->dev, "denied",
			"the guest asked for address 0x%02x, which is not in 'allow'", r->addr);
}

static void collect(struct i2c *i, const struct request *r)
{
	if (i->nrun == I2CDEV_SEGMENTS_MAX) { /* no adapter takes such a group in one transfer */
		end_run(i, 0);
		end_request(i, r, false, NULL);
		return;
	}
	i->run[i->nrun++] = *r;
	if (r->last)
		start_run(i);
}

static void handle(struct i2c *i, const struct request *r)
{
	bool ok;

	if (r->host && !i->failed) {
		collect(i, r);
		return;
	}
	if (i->nrun) {
		i->held = *r;
		start_run(i);
		return;
	}
	ok = !i->failed && r->good && simulate(i, r);
	if (!ok && !i->failed)
		deny(i, r);
	end_request(i, r, ok, i->segment);
}

/* Takes the next request; false: there is none, or the queue is broken. */
static bool next_request(struct i2c *i, struct request *r)
{
	struct vq_chain *c;

	if (i->held.chain) {
		*r = i->held;
		i->held.chain = NULL;
		return true;
	}
	if (vq_pop_or_kick(i->dev.queues[REQUESTQ], &c) != 1) {
		if ((i->nrun || i->open) && !i->late)
			ev_timer_set(&i->rest, GROUP_WAIT_NS);
		return false;
	}
	i->late = false;
	if (!c->in_len) {
		vdev_broken(&i->dev, REQUESTQ,
			"a request has no room for its status (VIRTIO 1.4, 5.16.6.1)");
		return false;
	}
	parse(i, c, r);
	return true;
}

/* Answers of a group are seen together: if this process died in between, the next one would have
 * the rest of the group without the start, and read where the chip happens to point. */
static void i2c_kick(struct vdev *dev, unsigned q)
{
	struct i2c *i = to_i2c(dev);
	struct request r;

	for (unsigned n = 0; !i->busy && n < TURN_MAX; n++) {
		if (!next_request(i, &r))
			break;
		handle(i, &r);
		if (n == TURN_MAX - 1)
			ev_task_post(&i->again);
	}
	if (!i->open || i->late)
		vq_flush(dev->queues[REQUESTQ]);
}

static void serve_again(void *arg)
{
	struct i2c *i = arg;

	vdev_kick(&i->dev, REQUESTQ);
}

/* A driver that waits for each request before it sends the next of the group gets its answers: the
 * transfer is then one of its own. */
static void rest_missing(void *arg)
{
	struct i2c *i = arg;

	if (i->busy)
		return;
	i->late = true;
	if (i->nrun)
		start_run(i);
	vdev_kick(&i->dev, REQUESTQ);
}

/* A job goes on, and nobody waits for it. */
static void i2c_queue_stop(struct vdev *dev, unsigned q)
{
	struct i2c *i = to_i2c(dev);

	ev_timer_stop(&i->rest);
	ev_task_cancel(&i->again);
	for (unsigned k = 0; k < i->nrun; k++)
		i->run[k].chain = NULL;
	if (!i->busy)
		i->nrun = 0;
	i->held.chain = NULL;
	i->open = i->late = i->failed = false;
	i2c_bus_stop(&i->bus);
}

/* A driver without ZERO_LENGTH_REQUEST is to be rejected (5.16.6.4). */
static int i2c_features_ok(struct vdev *dev)
{
	return vdev_has(dev, I2C_F_ZERO_LENGTH_REQUEST) ? 0 : -EINVAL;
}

/* The host's adapter. */

static void on_gone(void *arg, unsigned n)
{
	adapter_gone(arg);
}

static void on_back(void *arg, unsigned n, int fd)
{
	struct i2c *i = arg;
	struct err e = { 0 };
	int r = i2cdev_functions(fd, i->adapter, &i->functions, &e);

	if (!r)
		r = i2cdev_check_free(fd, i->adapter, &i->allowed, &e);
	if (r || i->fd >= 0) {
		if (r && log_allowed(&i->troubles, 1))
			log_warn(i->dev.log, "%s is back, but not usable: %s", i->adapter, e.msg);
		close(fd);
		hostdev_lost(&i->hostdev, 0);
		return;
	}
	i->fd = fd;
	vdev_event(&i->dev, "host-back", "%s", i->adapter);
}

static const struct hostdev_events host_events = { .gone = on_gone, .back = on_back };

/* "0x50", or "0x50-0x57". */
static int allow_range(struct i2c *i, const char *word, struct err *e)
{
	autofree char *from = strdup(word);
	uint64_t first, last;
	char *dash;

	if (!from)
		return err_set(e, -ENOMEM, "out of memory");
	dash = strchr(from, '-');
	if (dash)
		*dash = 0;
	if (words_number(from, I2C_ADDR_MIN, I2C_ADDR_MAX, &first) ||
		words_number(dash ? dash + 1 : from, first, I2C_ADDR_MAX, &last))
		return err_set(e, -EINVAL,
			"allow: '%.32s' is no address from 0x%02x to 0x%02x, and no range of them",
			word, I2C_ADDR_MIN, I2C_ADDR_MAX);
	for (uint64_t a = first; a <= last; a++) {
		if (i2c_bus_find(&i->bus, (uint8_t)a))
			return err_set(e, -EINVAL, "allow: '%.32s': a simulated chip is at 0x%02x",
				word, (unsigned)a);
		i2c_addrs_add(&i->allowed, (uint8_t)a);
	}
	return 0;
}

static int open_adapter(struct i2c *i, struct err *e)
{
	const char *path = i->adapter;
	int r;

	if (!i->allow.n)
		return err_set(e, -EINVAL,
			"allow: is empty; it says which addresses of %s the guest may use", path);
	i->bounce = malloc((size_t)I2CDEV_SEGMENTS_MAX * I2CDEV_SEGMENT_MAX);
	if (!i->bounce)
		return err_set(e, -ENOMEM, "out of memory");
	r = hostdev_open(&i->hostdev, &path, 1, &i->fd, e);
	if (!r)
		r = i2cdev_functions(i->fd, path, &i->functions, e);
	if (!r)
		r = i2cdev_check_free(i->fd, path, &i->allowed, e);
	if (!r)
		r = hostdev_watch(&i->hostdev, i->dev.loop, &host_events, i, e);
	if (!r)
		r = worker_init(&i->worker, i->dev.loop, e);
	return r ? err_prefix(e, "adapter") : 0;
}

static void i2c_finish(struct vdev *dev)
{
	struct i2c *i = to_i2c(dev);

	worker_finish(&i->worker);
	hostdev_close(&i->hostdev);
	close_fd(&i->fd);
	free(i->bounce);
	i->bounce = NULL;
	i2c_bus_finish(&i->bus);
}

static int open_all(struct i2c *i, struct err *e)
{
	int r = 0;

	for (unsigned k = 0; k < i->devices.n && !r; k++)
		r = i2c_bus_add(&i->bus, i->devices.v[k], e);
	for (unsigned k = 0; k < i->allow.n && !r; k++)
		r = allow_range(i, i->allow.v[k], e);
	if (!r && i->allow.n && !i->adapter)
		r = err_set(e, -EINVAL, "allow: needs an 'adapter' whose addresses these are");
	return r || !i->adapter ? r : open_adapter(i, e);
}

static int i2c_init(struct vdev *dev, struct err *e)
{
	struct i2c *i = to_i2c(dev);
	int r;

	i->fd = -1;
	i->job.job = (struct worker_job){ .run = run_job, .done = job_done };
	ev_timer_init(dev->loop, &i->rest, rest_missing, i);
	ev_task_init(dev->loop, &i->again, serve_again, i);
	dev->nqueues = 1;
	dev->queue_size_max = QUEUE_SIZE;
	dev->features = FEATURE(I2C_F_ZERO_LENGTH_REQUEST);
	r = open_all(i, e);
	if (r)
		i2c_finish(dev);
	return r;
}

/* A list of the host's side after the simulated one. */
static int i2c_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct i2c *i = to_i2c(dev);
	int r = i2c_bus_command(&i->bus, argc, argv, answer, e);

	if (!r && i->adapter && !strcmp(argv[0], "list")) {
		fprintf(answer, "%s%s:", i->adapter, i->fd < 0 || i->stale ? " (gone)" : "");
		for (uint8_t a = I2C_ADDR_MIN; a <= I2C_ADDR_MAX; a++)
			if (i2c_addrs_has(&i->allowed, a))
				fprintf(answer, " 0x%02x", a);
		fputs("\n", answer);
	}
	return r;
}

static const struct opt i2c_opts[] = {
	{ "devices", OPT_LIST, offsetof(struct i2c, devices), .flags = OPT_FILES,
		.help = "simulated chips, each \"ADDRESS TYPE KEY=VALUE...\"; types: eeprom, lm75, "
			"registers" },
	{ "adapter", OPT_PATH, offsetof(struct i2c, adapter),
		.help = "adapter of the host, as /dev/i2c-1" },
	{ "allow", OPT_LIST, offsetof(struct i2c, allow),
		.help = "addresses on it that the guest may use, as 0x48 or 0x50-0x57" },
	OPT_END,
};

static const struct vdev_metric i2c_metrics[] = {
	{ "transfers", offsetof(struct i2c, transfers), "transfers, of one request or a group" },
	{ "reads", offsetof(struct i2c, reads), "read requests done" },
	{ "writes", offsetof(struct i2c, writes), "write requests done" },
	{ "read_bytes", offsetof(struct i2c, read_bytes), "bytes read by the guest" },
	{ "written_bytes", offsetof(struct i2c, written_bytes), "bytes written by the guest" },
	{ "failures", offsetof(struct i2c, failures), "requests answered with an error" },
	{ "denied", offsetof(struct i2c, denied), "requests for addresses not in 'allow'" },
	{ "host_failures", offsetof(struct i2c, host_failures),
		"transfers that the host's adapter could not do, besides missing "
		"acknowledgements" },
	{ NULL, 0, NULL },
};

static const unsigned long i2c_ioctls[] = { I2C_FUNCS, I2C_SLAVE, I2C_RDWR, I2C_SMBUS, 0 };
static const struct vdev_sandbox i2c_sandbox = { .ioctls = i2c_ioctls };

const struct vdev_class vdev_i2c = {
	.name = "i2c",
	.id = VIRTIO_ID_I2C_ADAPTER,
	.pci_class = 0x0c8000, /* serial bus controller, other */
	.summary = "I2C adapter with simulated chips and chips of the host",
	.size = sizeof(struct i2c),
	.opts = i2c_opts,
	.metrics = i2c_metrics,
	.sandbox = &i2c_sandbox,
	.init = i2c_init,
	.finish = i2c_finish,
	.features_ok = i2c_features_ok,
	.queue_stop = i2c_queue_stop,
	.kick = i2c_kick,
	.command = i2c_command,
};
