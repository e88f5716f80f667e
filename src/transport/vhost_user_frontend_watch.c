/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread of a vhost-user front-end that hears the back-end's own messages, sees it die,
 * connects to the next one and has everything set up there again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/util.h"
#include "transport/vhost_user_frontend_priv.h"

#define BACKOFF_MIN_MS 2
#define BACKOFF_MAX_MS 250

/* With the lock, so that what is reported of a device that the driver has reset since, or does not
 * use yet, does not reach it: it would wait for ever for the reset to end. */
static void raise_needs_reset(struct frontend *f)
{
	if (!f->has_features || f->told_reset)
		return;
	f->told_reset = true;
	if (f->base.events.needs_reset)
		f->base.events.needs_reset(f->base.events.arg);
}

/* The configuration changed, or the device status did (VIRTIO 1.4, 2.1.2). That the device needs a
 * reset is told once, and as a configuration change only if there was one, too. */
static void on_config_change(struct frontend *f)
{
	uint8_t before[VHOST_USER_CONFIG_MAX];
	uint64_t status = 0;
	bool changed = true;

	pthread_mutex_lock(&f->lock);
	memcpy(before, f->config, sizeof(before));
	fe_fetch_config(f);
	if (vhu_link_has(&f->link, VHOST_USER_PROTOCOL_F_STATUS))
		vhu_link_get_u64(&f->link, VHOST_USER_GET_STATUS, &status);
	if (status & VIRTIO_S_NEEDS_RESET) {
		changed = memcmp(before, f->config, sizeof(before)) != 0;
		raise_needs_reset(f);
	} else {
		f->told_reset = false;
	}
	pthread_mutex_unlock(&f->lock);
	if (changed && f->base.events.config_changed)
		f->base.events.config_changed(f->base.events.arg);
}

static void on_broken_queue(struct frontend *f)
{
	pthread_mutex_lock(&f->lock);
	if (fd_event_clear(f->err_fd) > 0 && !f->told_reset) {
		log_warn(f->base.log, "the back-end reports a broken queue");
		raise_needs_reset(f);
	}
	pthread_mutex_unlock(&f->lock);
}

static void channel_close(struct frontend *f)
{
	close_fd(&f->channel);
	vhu_rx_reset(&f->channel_rx);
}

/* One message of the back-end. It is answered before it is acted on, because acting asks the
 * back-end, which may be waiting for the answer. */
static void on_channel(struct frontend *f)
{
	int ret = vhu_rx_step(&f->channel_rx, f->channel);
	struct vhost_user_hdr hdr = f->channel_rx.msg.hdr;
	uint64_t result;

	if (!ret)
		return;
	if (ret < 0) {
		channel_close(f);
		return;
	}
	vhu_rx_reset(&f->channel_rx);
	result = hdr.request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	if (hdr.flags & VHOST_USER_NEED_REPLY)
		vhu_send(f->channel, hdr.request, VHOST_USER_REPLY, &result, sizeof(result), NULL,
			0);
	if (!result)
		on_config_change(f);
	else if (log_allowed(&f->complaints, 5))
		log_warn(f->base.log, "the back-end sends request %u, which is not known",
			hdr.request);
}

/* Waits for something to happen while there is a back-end. False: it is gone, or we are to stop. */
static bool watch_once(struct frontend *f)
{
	struct pollfd p[] = {
		{ .fd = f->wake_fd, .events = POLLIN },
		{ .fd = f->link.sock, .events = POLLRDHUP },
		{ .fd = f->err_fd, .events = POLLIN },
		{ .fd = f->channel, .events = POLLIN },
	};

	if (poll(p, ARRAY_LEN(p), -1) < 0)
		return errno == EINTR;
	if (p[0].revents)
		return false;
	if (p[2].revents)
		on_broken_queue(f);
	if (p[3].revents)
		on_channel(f);
	return !p[1].revents;
}

static void disconnect(struct frontend *f)
{
	pthread_mutex_lock(&f->lock);
	vhu_link_close(&f->link);
	f->mem_shared = false;
	f->inflight_shared = false;
	pthread_mutex_unlock(&f->lock);
	channel_close(f);
}

/* Makes the new connection the current one and tells the back-end everything. */
static int install(struct frontend *f, struct vhu_link *l, uint64_t offered, struct err *e)
{
	int ret;

	pthread_mutex_lock(&f->lock);
	f->link = *l;
	f->offered = offered;
	ret = fe_replay(f, e);
	if (!ret)
		fe_fetch_config(f);
	pthread_mutex_unlock(&f->lock);
	if (ret)
		disconnect(f);
	return ret;
}

/* The handshake runs without the lock, since the next back-end may take its time to start, and what
 * the driver does meanwhile is not to wait for it. */
static int try_reconnect(struct frontend *f, struct err *e)
{
	struct vhu_link l;
	uint64_t offered;
	int ret = vhu_link_open(&l, f->path, f->opts.request_ms, f->wake_fd, e);

	if (ret)
		return ret;
	ret = fe_handshake(f, &l, &offered, &f->channel, e);
	if (!ret)
		return install(f, &l, offered, e);
	vhu_link_close(&l);
	channel_close(f);
	return ret;
}

/* Waits; true if we are to stop. */
static bool pause_ms(struct frontend *f, int ms)
{
	struct pollfd p = { .fd = f->wake_fd, .events = POLLIN };

	poll(&p, 1, ms);
	return atomic_load(&f->stopping);
}

/* True if waiting any longer would not help the driver. */
static bool hopeless(const struct frontend *f, int error, uint64_t since)
{
	return error == -ENODATA || error == -ENOTSUP ||
	       ev_now_ns() - since >= f->opts.give_up_s * UINT64_C(1000000000);
}

static void give_up(struct frontend *f, const struct err *e)
{
	pthread_mutex_lock(&f->lock);
	if (f->has_features && !f->told_reset) {
		log_error(f->base.log,
			"the back-end does not come back; the device needs a reset: %s", e->msg);
		raise_needs_reset(f);
	}
	pthread_mutex_unlock(&f->lock);
}

/* Until there is a back-end again, or we are to stop. */
static void reconnect(struct frontend *f)
{
	uint64_t since = ev_now_ns();
	int backoff = BACKOFF_MIN_MS;
	struct err e = { 0 };

	log_warn(f->base.log, "the back-end at '%s' is gone; waiting for the next", f->path);
	while (!atomic_load(&f->stopping)) {
		int ret = try_reconnect(f, &e);

		if (!ret) {
			log_info(f->base.log, "connected to a new back-end at '%s' after %llu ms",
				f->path, (unsigned long long)((ev_now_ns() - since) / 1000000));
			return;
		}
		if (hopeless(f, ret, since))
			give_up(f, &e);
		if (pause_ms(f, backoff))
			return;
		backoff = backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff * 2;
	}
}

static void *watch(void *arg)
{
	struct frontend *f = arg;

	while (sem_wait(&f->go) < 0 && errno == EINTR)
		;
	while (!atomic_load(&f->stopping)) {
		while (watch_once(f))
			;
		if (atomic_load(&f->stopping))
			break;
		disconnect(f);
		reconnect(f);
	}
	return NULL;
}

int fe_watch_start(struct frontend *f)
{
	sigset_t all, before;
	int ret;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&f->thread, NULL, watch, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

void fe_watch_go(struct frontend *f)
{
	if (!f->watched)
		sem_post(&f->go);
	f->watched = true;
}

void fe_watch_stop(struct frontend *f)
{
	atomic_store(&f->stopping, true);
	sem_post(&f->go);
	fd_event_signal(f->wake_fd);
	pthread_join(f->thread, NULL);
}
