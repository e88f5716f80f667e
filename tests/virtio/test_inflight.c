/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-flight record: a device that dies between any two stores to shared memory continues, and
 * each request is answered exactly once. The death is a real one: a child process serves the ring,
 * on pages that it may not write. Each store faults, is counted, and is let through with the
 * processor's single-step flag, until the one at which the child ends.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "rig.h"
#include "tap.h"

#define V1     RIG_BIT(VIRTIO_F_VERSION_1)
#define PACKED RIG_BIT(VIRTIO_F_RING_PACKED)
#define EVENT  RIG_BIT(VIRTIO_F_EVENT_IDX)
#define INDIR  RIG_BIT(VIRTIO_F_INDIRECT_DESC)
#define ORDER  RIG_BIT(VIRTIO_F_IN_ORDER)

/* Forking costs much more with the sanitizer's shadow memory. */
#ifdef __SANITIZE_ADDRESS__
#define LIVES 30
#else
#define LIVES 200
#endif
#define REQ_MAX	 32
#define REQ_AREA 128u

/* The answer to a request. */
#define ANSWER(serial) ((serial)*2654435761u)

static void *record_new(uint16_t size, bool packed)
{
	void *p = mmap(NULL, vq_inflight_size(size, packed), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void record_free(void *p, uint16_t size, bool packed)
{
	if (p)
		munmap(p, vq_inflight_size(size, packed));
}

/* The driver: what it has sent and not got back. */
struct driver {
	struct rig r;
	uint32_t serial;
	uint32_t waiting[REQ_MAX]; /* 0: free */
	unsigned answered;
	const char *wrong;
};

static void driver_sends(struct driver *d)
{
	for (unsigned i = 0; i < REQ_MAX; i++) {
		uint64_t at = RIG_BUF + i * REQ_AREA;
		struct drv_sg sg[4] = { { at, 4 }, { at + 16, 1 }, { at + 32, 2 }, { at + 34, 2 } };
		bool chain = rig_rand(&d->r, 2);

		if (d->waiting[i] || !rig_rand(&d->r, 3))
			continue;
		if (!chain)
			sg[1] = (struct drv_sg){ at + 32, 4 };
		if (drv_ring_add(&d->r.drv, sg, chain ? 2 : 1, chain ? 2 : 1, &d->waiting[i]))
			break;
		d->serial++;
		d->waiting[i] = d->serial;
		memcpy(rig_ptr(&d->r, at), &d->serial, 4);
		memset(rig_ptr(&d->r, at + 32), 0, 4);
	}
	drv_ring_publish(&d->r.drv);
}

static void driver_gets(struct driver *d)
{
	void *cookie;
	uint32_t len, answer;
	int ret;

	while ((ret = drv_ring_get(&d->r.drv, &cookie, &len)) == 1) {
		uint32_t *w = cookie;

		memcpy(&answer,
			rig_ptr(&d->r, RIG_BUF + (uint64_t)(w - d->waiting) * REQ_AREA + 32), 4);
		if (!*w || len != 4 || answer != ANSWER(*w))
			d->wrong = "a request came back twice or unanswered";
		*w = 0;
		d->answered++;
	}
	if (ret < 0)
		d->wrong = "a used entry for nothing";
}

static void answer(struct vq *vq, struct vq_chain *c)
{
	uint32_t serial;
	uint8_t *a = (uint8_t *)&serial;

	memcpy(&serial, c->iov[0].iov_base, 4);
	serial = ANSWER(serial);
	for (uint32_t k = 0; k < c->n_in; k++) {
		memcpy(vq_in(c)[k].iov_base, a, vq_in(c)[k].iov_len);
		a += vq_in(c)[k].iov_len;
	}
	vq_push(vq, c, 4);
}

/* How a child ended. */
enum { DIED_HERE, LIVED, DIED_BROKEN, DIED_REFUSED, DIED_WILD };

/* What the device does in one life: takes some, answers some of them out of order, changes its
 * mind, leaves others in flight. */
static void serve(struct rig *r)
{
	struct vq_chain *c[16];
	int n = 0;

	for (unsigned turn = 0; turn < 3; turn++) {
		int got = vq_pop_batch(r->vq, c + n, rig_rand(r, (uint32_t)(17 - n)));

		if (got < 0)
			_exit(DIED_BROKEN);
		n += got;
		if (got > 0 && !rig_rand(r, 4))
			vq_rewind(r->vq, c[--n]);
		for (int k = n > 12 ? 12 : n; k > 1 && rig_rand(r, 5); k--) {
			int at = (int)rig_rand(r, (uint32_t)n);

			answer(r->vq, c[at]);
			c[at] = c[--n];
		}
		vq_flush(r->vq);
	}
}

#ifdef __x86_64__

#define TRAP_FLAG 0x100

/* The child's: what it may not write, and how many stores it has left. Signal handlers know no
 * other way to get at it. */
static struct {
	uint8_t *at[2];
	size_t len[2];
	unsigned stores;
} guarded;

static void guard(int prot)
{
	for (unsigned i = 0; i < 2; i++)
		mprotect(guarded.at[i], guarded.len[i], prot);
}

static void on_store(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint8_t *p = info->si_addr;
	bool ours = false;

	for (unsigned i = 0; i < 2; i++)
		ours |= p >= guarded.at[i] && p < guarded.at[i] + guarded.len[i];
	if (!ours)
		_exit(DIED_WILD);
	if (!guarded.stores--)
		_exit(DIED_HERE);
	guard(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	guard(PROT_READ);
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void die_after(struct rig *r, unsigned stores)
{
	struct sigaction store = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	guarded.at[0] = r->host[0]; /* the rings */
	guarded.len[0] = RIG_TABLES - RIG_GPA;
	guarded.at[1] = r->setup.inflight;
	guarded.len[1] = r->setup.inflight_len;
	guarded.stores = stores;
	sigaction(SIGSEGV, &store, NULL);
	sigaction(SIGTRAP, &step, NULL);
	guard(PROT_READ);
}

#define CAN_DIE true

#else

static void die_after(struct rig *r, unsigned stores)
{
}

#define CAN_DIE false

#endif

/* One life of a device that ends before store number `stores`, if not earlier by itself. Returns
 * how it ended. */
static int live_and_die(struct rig *r, unsigned stores)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		die_after(r, stores);
		if (rig_start(r, 0, 0))
			_exit(DIED_REFUSED);
		serve(r);
		_exit(LIVED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return DIED_WILD;
	return WEXITSTATUS(status);
}

/* The last device of all answers what is left. */
static void finish_all(struct driver *d)
{
	struct vq_chain *c;
	int ret = rig_start(&d->r, 0, 0);

	if (ret)
		d->wrong = "the record is refused";
	while (!ret && vq_pop(d->r.vq, &c) == 1)
		answer(d->r.vq, c);
	if (!ret && vq_broken(d->r.vq))
		d->wrong = vq_broken(d->r.vq);
	vq_flush(d->r.vq);
	driver_gets(d);
	if (d->answered != d->serial)
		d->wrong = "requests were lost";
}

static const char *many_lives(
	uint16_t size, uint64_t features, uint64_t seed, unsigned *answered, unsigned *ends)
{
	bool packed = features & PACKED;
	void *record = record_new(size, packed);
	struct driver d = { .wrong = NULL };

	if (!record || !rig_init(&d.r, size, features, record))
		return "no memory";
	vq_stop(d.r.vq, NULL, NULL);
	d.r.rnd = seed;
	for (unsigned i = 0; i < LIVES && !d.wrong; i++) {
		int end;

		driver_sends(&d);
		end = live_and_die(&d.r, rig_rand(&d.r, packed ? 120 : 60));
		ends[end]++;
		if (end > LIVED)
			d.wrong = end == DIED_REFUSED  ? "the record is refused"
				  : end == DIED_BROKEN ? "the ring is found broken"
						       : "the device crashed by itself";
		driver_gets(&d);
	}
	if (!d.wrong)
		finish_all(&d);
	*answered += d.answered;
	rig_finish(&d.r);
	record_free(record, size, packed);
	return d.wrong;
}

static void survive(struct tap *t, uint64_t layout)
{
	static const uint64_t variants[] = { V1, V1 | INDIR | EVENT, V1 | ORDER };
	unsigned ends[DIED_WILD + 1] = { 0 }, answered = 0;

	if (!CAN_DIE) {
		tap_skip(t, "only the x86-64 way of stepping over a store is known");
		return;
	}
	for (unsigned v = 0; v < 3; v++) {
		const char *what =
			many_lives(layout ? 15 : 16, variants[v] | layout, 99 + v, &answered, ends);

		if (what)
			printf("# variant %u: %s\n", v, what);
		CHECK(t, !what);
	}
	printf("# %u requests in %u lives, %u of them cut short\n", answered, 3 * LIVES,
		ends[DIED_HERE]);
	CHECK(t, answered > LIVES);
	CHECK(t, ends[DIED_HERE] > LIVES / 2);
	CHECK(t, ends[LIVED] > LIVES / 10);
}

static void split_requests_survive_any_death(struct tap *t)
{
	survive(t, 0);
}

static void packed_requests_survive_any_death(struct tap *t)
{
	survive(t, PACKED);
}

static int send(struct rig *r, unsigned i)
{
	struct drv_sg sg = { RIG_BUF + 64 * i, 16 };
	int ret = drv_ring_add(&r->drv, &sg, 1, 0, NULL);

	drv_ring_publish(&r->drv);
	return ret;
}

static unsigned number(struct rig *r, const struct vq_chain *c)
{
	return (unsigned)((uint8_t *)c->iov[0].iov_base - rig_ptr(r, RIG_BUF)) / 64;
}

static void oldest_come_first_and_before_new_ones(struct tap *t)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		void *record = record_new(8, packed);
		struct vq_chain *c[8];
		struct rig r;

		REQUIRE(t, record && rig_init(&r, 8, V1 | (packed ? PACKED : 0), record));
		for (unsigned i = 0; i < 5; i++)
			CHECK_EQ(t, send(&r, i), 0);
		CHECK_EQ(t, vq_pop_batch(r.vq, c, 5), 5);
		vq_push(r.vq, c[0], 0);
		vq_push(r.vq, c[2], 0);
		vq_flush(r.vq);
		CHECK_EQ(t, rig_interrupts(&r), 1);
		vq_stop(r.vq, NULL, NULL);
		CHECK_EQ(t, send(&r, 5), 0);
		CHECK_EQ(t, rig_start(&r, 0, 0), 0); /* the record knows better */
		/* An interrupt may have been lost. */
		CHECK_EQ(t, rig_interrupts(&r), 1);
		CHECK(t, vq_pending(r.vq));
		/* A rewound one stays in front, too. */
		CHECK_EQ(t, vq_pop_batch(r.vq, c, 2), 2);
		vq_rewind(r.vq, c[1]);
		CHECK_EQ(t, vq_pop_batch(r.vq, c + 1, 8), 2);
		CHECK_EQ(t, vq_pop_batch(r.vq, c + 3, 8), 1);
		CHECK_EQ(t, number(&r, c[0]), 1);
		CHECK_EQ(t, number(&r, c[1]), 3);
		CHECK_EQ(t, number(&r, c[2]), 4);
		CHECK_EQ(t, number(&r, c[3]), 5);
		CHECK_EQ(t, vq_outstanding(r.vq), 4);
		rig_finish(&r);
		record_free(record, 8, packed);
	}
}

static void damaged_records_are_refused(struct tap *t)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		uint64_t len = vq_inflight_size(8, packed);
		uint8_t *record = record_new(8, packed);
		struct vq_chain *c[8];
		struct rig r;
		uint8_t *copy = malloc(len);
		struct err e = { 0 };

		REQUIRE(t, copy && record);
		REQUIRE(t, rig_init(&r, 8, V1 | (packed ? PACKED : 0), record));
		for (unsigned i = 0; i < 5; i++)
			CHECK_EQ(t, send(&r, i), 0);
		CHECK_EQ(t, vq_pop_batch(r.vq, c, 5), 5);
		vq_stop(r.vq, NULL, NULL);
		memcpy(copy, record, len);

		record[8] = 2; /* version */
		CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
		CHECK(t, strstr(e.msg, "version 2"));
		memcpy(record, copy, len);
		record[10] = 16; /* number of descriptors */
		CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
		memcpy(record, copy, len);
		r.setup.inflight_len = len - 1;
		CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
		r.setup.inflight_len = len;

		/* Anything else: refused, or served without harm. */
		r.rnd = 5;
		for (unsigned i = 0; i < 20000; i++) {
			memcpy(record, copy, len);
			for (unsigned k = 1 + rig_rand(&r, 4); k--;)
				record[rig_rand(&r, (uint32_t)len)] = (uint8_t)rig_rand(&r, 256);
			if (vq_start(r.vq, &r.setup, NULL))
				continue;
			for (int n = 1; n > 0;) {
				n = vq_pop_batch(r.vq, c, 8);
				for (int k = 0; k < n; k++)
					vq_push(r.vq, c[k], 0);
			}
			vq_stop(r.vq, NULL, NULL);
		}
		free(copy);
		rig_finish(&r);
		record_free(record, 8, packed);
	}
}

/* What the peer writes after the record was checked changes no length. */
static void records_may_change_at_any_time(struct tap *t)
{
	const unsigned first = 32, entry = 32, num = 6; /* of QueueRegionPacked */
	uint8_t *record = record_new(8, true);
	struct vq_chain *c[8];
	struct rig r;

	REQUIRE(t, record && rig_init(&r, 8, V1 | PACKED, record));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(t, send(&r, i), 0);
	CHECK_EQ(t, vq_pop_batch(r.vq, c, 5), 5);
	vq_stop(r.vq, NULL, NULL);
	REQUIRE(t, !vq_start(r.vq, &r.setup, NULL));
	for (unsigned i = 0; i < 8; i++)
		record[first + i * entry + num] = 100;
	CHECK_EQ(t, vq_pop_batch(r.vq, c, 8), 5);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(t, c[i]->ndesc, 1);
		CHECK_EQ(t, number(&r, c[i]), i);
	}
	rig_finish(&r);
	record_free(record, 8, true);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, oldest_come_first_and_before_new_ones);
	TAP_RUN(&t, damaged_records_are_refused);
	TAP_RUN(&t, records_may_change_at_any_time);
	TAP_RUN(&t, split_requests_survive_any_death);
	TAP_RUN(&t, packed_requests_survive_any_death);
	return tap_done(&t);
}
