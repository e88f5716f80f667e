/* SPDX-License-Identifier: BSD-3-Clause */
/* The verified load, see load.h. */
#include "load.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/util.h"

static uint32_t next_random(struct load *l)
{
	l->random = l->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(l->random >> 33);
}

bool load_init(struct load *l, struct tap *t, struct vhud *d, unsigned nqueues, unsigned nblocks)
{
	memset(l, 0, sizeof(*l));
	l->t = t;
	l->d = d;
	l->nqueues = nqueues;
	l->nblocks = nblocks;
	l->random = 42;
	l->version = calloc(nblocks, sizeof(*l->version));
	l->busy = calloc(nblocks, sizeof(*l->busy));
	for (unsigned i = 0; i < LOAD_SLOTS; i++) {
		struct load_slot *s = &l->slots[i];

		s->hdr = vhud_alloc(d, sizeof(*s->hdr));
		s->data = vhud_alloc(d, LOAD_SPAN_MAX * LOAD_BLOCK);
		s->status = vhud_alloc(d, 1);
		if (!CHECK(t, s->hdr && s->data && s->status))
			return false;
	}
	return CHECK(t, l->version && l->busy);
}

void load_finish(struct load *l)
{
	free(l->version);
	free(l->busy);
}

/* Takes a run of idle blocks; false if the one drawn is busy. */
static bool draw_blocks(struct load *l, struct load_slot *s)
{
	s->block = next_random(l) % l->nblocks;
	s->span = 0;
	while (s->span < 1 + next_random(l) % LOAD_SPAN_MAX && s->block + s->span < l->nblocks &&
		!l->busy[s->block + s->span])
		s->span++;
	for (unsigned i = 0; i < s->span; i++)
		l->busy[s->block + i] = true;
	return s->span > 0;
}

/* Builds the request's buffers: data in two pieces at an odd place. Returns their number. */
static unsigned build(struct load *l, struct load_slot *s, struct iovec *iov, unsigned *n_out)
{
	size_t len = (size_t)s->span * LOAD_BLOCK, cut = 1 + next_random(l) % (len - 1);
	unsigned n = 0;

	iov[n++] = (struct iovec){ s->hdr, sizeof(*s->hdr) };
	if (s->hdr->type == BLK_T_WRITE_ZEROES) {
		struct blk_range r = { s->hdr->sector, (uint32_t)(len / 512), next_random(l) & 1 };

		s->hdr->sector = 0;
		memcpy(s->data, &r, sizeof(r));
		iov[n++] = (struct iovec){ s->data, sizeof(r) };
	} else if (s->hdr->type != BLK_T_FLUSH) {
		iov[n++] = (struct iovec){ s->data, cut };
		iov[n++] = (struct iovec){ s->data + cut, len - cut };
	}
	*n_out = s->hdr->type == BLK_T_IN ? 1 : n;
	iov[n++] = (struct iovec){ s->status, 1 };
	return n;
}

static void set_type(struct load *l, struct load_slot *s)
{
	static const uint32_t types[8] = { BLK_T_IN, BLK_T_IN, BLK_T_IN, BLK_T_OUT, BLK_T_OUT,
		BLK_T_OUT, BLK_T_WRITE_ZEROES, BLK_T_FLUSH };

	*s->hdr = (struct blk_hdr){ .type = types[next_random(l) % 8] };
	if (s->hdr->type != BLK_T_FLUSH)
		s->hdr->sector = (uint64_t)s->block * (LOAD_BLOCK / 512);
	for (unsigned i = 0; i < s->span; i++) {
		uint32_t *version = &l->version[s->block + i];

		if (s->hdr->type == BLK_T_OUT)
			blocks_fill(s->data + (size_t)i * LOAD_BLOCK, s->block + i,
				*version = ++l->writes);
		else if (s->hdr->type == BLK_T_WRITE_ZEROES)
			*version = 0;
		else
			memset(s->data + (size_t)i * LOAD_BLOCK, 0xee, LOAD_BLOCK);
	}
}

unsigned load_submit(struct load *l)
{
	unsigned added = 0;

	for (unsigned i = 0; i < LOAD_SLOTS; i++) {
		struct load_slot *s = &l->slots[i];
		struct iovec iov[4];
		unsigned n, n_out;

		if (s->pending || !draw_blocks(l, s))
			continue;
		set_type(l, s);
		n = build(l, s, iov, &n_out);
		*s->status = 0xff;
		s->q = i % l->nqueues;
		if (!CHECK_EQ(l->t, vhud_add(l->d, s->q, iov, n_out, n - n_out, s), 0))
			return added;
		s->pending = true;
		l->pending++;
		added++;
	}
	for (unsigned q = 0; q < l->nqueues; q++)
		vhud_kick(l->d, q);
	return added;
}

static bool check_answer(struct load *l, struct load_slot *s, uint32_t len)
{
	size_t data = s->hdr->type == BLK_T_IN ? (size_t)s->span * LOAD_BLOCK : 0;
	bool ok = CHECK(l->t, s->pending) && CHECK_EQ(l->t, *s->status, 0) &&
		  CHECK_EQ(l->t, len, data + 1);

	for (unsigned i = 0; data && ok && i < s->span; i++)
		ok = CHECK(l->t, blocks_match(s->data + (size_t)i * LOAD_BLOCK, s->block + i,
					 l->version[s->block + i]));
	for (unsigned i = 0; i < s->span; i++)
		l->busy[s->block + i] = false;
	s->pending = false;
	l->pending--;
	l->done += ok;
	return ok;
}

bool load_reap(struct load *l, int timeout_ms)
{
	for (unsigned q = 0; q < l->nqueues; q++) {
		int wait = timeout_ms, rc;
		uint32_t len;
		void *token;

		while ((rc = vhud_wait(l->d, q, &token, &len, wait)) == 1) {
			if (!check_answer(l, token, len))
				return false;
			wait = 0;
		}
		if (!CHECK_EQ(l->t, rc, 0))
			return false;
	}
	return true;
}

static bool queue_pending(const struct load *l, unsigned q)
{
	for (unsigned i = q; i < LOAD_SLOTS; i += l->nqueues)
		if (l->slots[i].pending)
			return true;
	return false;
}

/* Takes at least one answer of a queue that owes one. */
static bool progress(struct load *l)
{
	unsigned long before = l->pending;

	for (unsigned q = 0; q < l->nqueues; q++) {
		uint32_t len;
		void *token;

		if (!queue_pending(l, q))
			continue;
		if (!CHECK_EQ(l->t, vhud_wait(l->d, q, &token, &len, VHUD_TIMEOUT_MS), 1) ||
			!check_answer(l, token, len))
			return false;
		break;
	}
	return load_reap(l, 0) && CHECK(l->t, l->pending < before);
}

bool load_run(struct load *l, unsigned long n)
{
	unsigned long end = l->done + n;

	while (l->done < end) {
		load_submit(l);
		if (!progress(l))
			return false;
	}
	return true;
}

bool load_settle(struct load *l)
{
	while (l->pending)
		if (!progress(l))
			return false;
	return true;
}

bool load_verify(struct load *l, const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t block[LOAD_BLOCK];

	for (unsigned i = 0; i < l->nblocks; i++) {
		if (!CHECK_EQ(l->t, pread(fd, block, sizeof(block), (off_t)i * LOAD_BLOCK),
			    LOAD_BLOCK) ||
			!CHECK(l->t, blocks_match(block, i, l->version[i])))
			return false;
	}
	return true;
}
