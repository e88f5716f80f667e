/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the block device (VIRTIO 1.4, 5.2.6): from chain to disk operation to status. */
#include <errno.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/blk_priv.h"

enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_GET_LIFETIME = 10,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
	BLK_T_SECURE_ERASE = 14,
};

enum { BLK_S_OK, BLK_S_IOERR, BLK_S_UNSUPP };

#define FLAG_UNMAP 1u
#define BATCH	   32u
#define BATCHES	   16u /* then the loop has its turn */

/* VIRTIO 1.4, 5.2.6 */
struct blk_header {
	le32 type, reserved;
	le64 sector;
};

/* Zeroes the last `len` bytes of the guest's buffers that are in front of the status. */
static void zero_rest(const struct vq_chain *c, uint64_t len)
{
	for (unsigned i = c->n_in; i-- > 0 && len;) {
		const struct iovec *v = &vq_in(c)[i];
		size_t n = (size_t)min_u64(v->iov_len, len);

		memset((uint8_t *)v->iov_base + v->iov_len - n, 0, n);
		len -= n;
	}
}

/* Answers a request; `moved` is the number of data bytes put into the guest's buffers. The used
 * length covers the status, so that all before it has to be written (VIRTIO 1.4, 2.7.8.2). */
static void complete(struct blk *b, struct blk_req *r, uint8_t status, uint64_t moved)
{
	uint64_t room = r->chain->in_len - 1;

	zero_rest(r->chain, room - moved);
	*r->status = status;
	vq_push(b->vdev.queues[r->q], r->chain, (uint32_t)(room + 1));
	b->pushed |= UINT64_C(1) << r->q;
	b->errors += status == BLK_S_IOERR;
	b->unsupported += status == BLK_S_UNSUPP;
	r->busy = false;
	r->next_free = b->free;
	b->free = r;
}

static void publish(struct blk *b)
{
	while (b->pushed) {
		unsigned q = (unsigned)__builtin_ctzll(b->pushed);

		b->pushed &= b->pushed - 1;
		vq_flush(b->vdev.queues[q]);
	}
}

static void count(struct blk *b, const struct blk_req *r)
{
	switch (r->type) {
	case BLK_T_IN:
		b->reads++;
		b->read_bytes += r->io.moved;
		break;
	case BLK_T_OUT:
		b->writes++;
		b->written_bytes += r->io.moved;
		break;
	case BLK_T_FLUSH:
		b->flushes++;
		break;
	case BLK_T_DISCARD:
		b->discards++;
		break;
	case BLK_T_WRITE_ZEROES:
		b->zeroings++;
		break;
	default:
		b->erases++;
		break;
	}
}

/* Prepares the next segment; false if there is none. */
static bool next_segment(struct blk *b, struct blk_req *r)
{
	const struct blk_segment *s = &r->segs[r->seg];

	if (r->seg == r->nsegs)
		return false;
	r->seg++;
	r->io.offset = le64toh(s->sector) * DISK_SECTOR;
	r->io.len = (uint64_t)le32toh(s->num_sectors) * DISK_SECTOR;
	r->io.stable = b->stable && r->seg == r->nsegs;
	if (r->type == BLK_T_WRITE_ZEROES)
		r->io.op = le32toh(s->flags) & FLAG_UNMAP ? DISK_ZERO_UNMAP : DISK_ZERO;
	return true;
}

/* An operation of a request has ended: starts the next ones or answers. */
static void io_ended(struct blk *b, struct blk_req *r)
{
	uint8_t status = BLK_S_OK;

	while (!r->io.result && next_segment(b, r))
		if (!disk_submit(b->disk, &r->io))
			return;
	if (r->io.result)
		status = r->io.result == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
	else
		count(b, r);
	complete(b, r, status, r->type == BLK_T_IN ? r->io.moved : 0);
}

static void submit(struct blk *b, struct blk_req *r)
{
	if (disk_submit(b->disk, &r->io))
		io_ended(b, r);
}

void blk_io_done(void *arg, struct disk_io *io)
{
	struct blk *b = arg;
	struct blk_req *r;

	if (io == &b->sync) {
		b->syncing = false;
		return;
	}
	r = container_of(io, struct blk_req, io);
	if (r->chain) {
		io_ended(b, r);
		return;
	}
	r->busy = false;
	r->next_free = b->free;
	b->free = r;
}

void blk_io_batch_done(void *arg)
{
	publish(arg);
}

/* Reads and writes; the buffers of `r->io` are the data. */
static void transfer(struct blk *b, struct blk_req *r, uint64_t sector)
{
	if (r->io.len % DISK_SECTOR || !range_in(sector, r->io.len / DISK_SECTOR,
					       disk_info(b->disk)->size / DISK_SECTOR)) {
		complete(b, r, BLK_S_IOERR, 0);
		return;
	}
	r->io.offset = sector * DISK_SECTOR;
	submit(b, r);
}

/* Checks all segments before the first takes effect. */
static uint8_t check_segments(const struct blk *b, const struct blk_req *r)
{
	uint32_t known = r->type == BLK_T_WRITE_ZEROES ? FLAG_UNMAP : 0;
	uint8_t status = BLK_S_OK;

	for (unsigned i = 0; i < r->nsegs; i++) {
		const struct blk_segment *s = &r->segs[i];

		if (le32toh(s->flags) & ~known)
			return BLK_S_UNSUPP;
		if (le32toh(s->num_sectors) > BLK_SEG_SECTORS ||
			!range_in(le64toh(s->sector), le32toh(s->num_sectors),
				disk_info(b->disk)->size / DISK_SECTOR))
			status = BLK_S_IOERR;
	}
	return status;
}

static void segments(struct blk *b, struct blk_req *r, unsigned feature, enum disk_op op)
{
	struct iov_iter it;
	uint8_t status;

	if (!vdev_has(&b->vdev, feature)) {
		complete(b, r, BLK_S_UNSUPP, 0);
		return;
	}
	if (!r->io.len || r->io.len % sizeof(r->segs[0]) || r->io.len > sizeof(r->segs)) {
		complete(b, r, BLK_S_IOERR, 0);
		return;
	}
	iov_iter_init(&it, r->io.iov, r->io.niov);
	r->nsegs = (uint16_t)(iov_read(&it, r->segs, r->io.len) / sizeof(r->segs[0]));
	status = check_segments(b, r);
	if (status != BLK_S_OK) {
		complete(b, r, status, 0);
		return;
	}
	r->io.op = op;
	r->io.niov = 0;
	next_segment(b, r);
	submit(b, r);
}

/* Requests answered from memory: `len` bytes of `data`. */
static void answer(struct blk *b, struct blk_req *r, const void *data, size_t len)
{
	struct iov_iter it;

	if (r->io.len < len) {
		complete(b, r, BLK_S_IOERR, 0);
		return;
	}
	iov_iter_init(&it, r->io.iov, r->io.niov);
	complete(b, r, BLK_S_OK, iov_write(&it, data, len));
}

static void get_id(struct blk *b, struct blk_req *r)
{
	char id[BLK_ID_LEN] = "";

	if (b->serial)
		memcpy(id, b->serial, strnlen(b->serial, BLK_ID_LEN));
	answer(b, r, id, sizeof(id));
}

static void get_lifetime(struct blk *b, struct blk_req *r)
{
	uint16_t v[3];

	if (!vdev_has(&b->vdev, BLK_F_LIFETIME) || disk_lifetime(b->disk, v) < 0) {
		complete(b, r, BLK_S_UNSUPP, 0);
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(v); i++)
		v[i] = htole16(v[i]);
	answer(b, r, v, sizeof(v));
}

/* Makes the readable part of a chain after the header, or the writable one before the status, the
 * buffers of the operation. */
static void use_readable(struct blk_req *r)
{
	const struct vq_chain *c = r->chain;
	size_t skip = sizeof(struct blk_header);

	r->io.iov = c->iov;
	r->io.niov = c->n_out;
	r->io.len = c->out_len - skip;
	while (r->io.niov && skip >= r->io.iov->iov_len) {
		skip -= r->io.iov->iov_len;
		r->io.iov++;
		r->io.niov--;
	}
	if (r->io.niov) {
		r->io.iov->iov_base = (uint8_t *)r->io.iov->iov_base + skip;
		r->io.iov->iov_len -= skip;
	}
}

static void use_writable(struct blk_req *r)
{
	const struct vq_chain *c = r->chain;

	r->io.iov = vq_in(c);
	r->io.niov = c->n_in;
	r->io.len = c->in_len - 1;
	if (!r->io.iov[c->n_in - 1].iov_len)
		r->io.niov--;
}

/* Finds the data of a request. False: it goes both ways or the wrong one, and the driver would take
 * a success for more than was done. */
static bool find_data(struct blk_req *r)
{
	switch (r->type) {
	case BLK_T_IN:
	case BLK_T_GET_ID:
	case BLK_T_GET_LIFETIME:
		use_writable(r);
		return r->chain->out_len == sizeof(struct blk_header);
	case BLK_T_OUT:
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
	case BLK_T_SECURE_ERASE:
		use_readable(r);
		return r->chain->in_len == 1;
	default:
		r->io.niov = 0;
		return true;
	}
}

static void dispatch(struct blk *b, struct blk_req *r, const struct blk_header *h)
{
	uint64_t sector = le64toh(h->sector);

	r->type = le32toh(h->type);
	if (!find_data(r)) {
		complete(b, r, BLK_S_IOERR, 0);
		return;
	}
	switch (r->type) {
	case BLK_T_IN:
		r->io.op = DISK_READ;
		transfer(b, r, sector);
		break;
	case BLK_T_OUT:
		r->io.op = DISK_WRITE;
		r->io.stable = b->stable;
		if (b->readonly)
			complete(b, r, BLK_S_IOERR, 0);
		else
			transfer(b, r, sector);
		break;
	case BLK_T_FLUSH:
		r->io.op = DISK_FLUSH;
		submit(b, r);
		break;
	case BLK_T_GET_ID:
		get_id(b, r);
		break;
	case BLK_T_GET_LIFETIME:
		get_lifetime(b, r);
		break;
	case BLK_T_DISCARD:
		segments(b, r, BLK_F_DISCARD, DISK_DISCARD);
		break;
	case BLK_T_WRITE_ZEROES:
		segments(b, r, BLK_F_WRITE_ZEROES, DISK_ZERO);
		break;
	case BLK_T_SECURE_ERASE:
		segments(b, r, BLK_F_SECURE_ERASE, DISK_ERASE);
		break;
	default:
		complete(b, r, BLK_S_UNSUPP, 0);
		break;
	}
}

static bool read_header(const struct vq_chain *c, struct blk_header *h)
{
	struct iov_iter it;

	if (c->n_out && c->iov->iov_len >= sizeof(*h)) {
		memcpy(h, c->iov->iov_base, sizeof(*h));
		return true;
	}
	iov_iter_init(&it, c->iov, c->n_out);
	return iov_read(&it, h, sizeof(*h)) == sizeof(*h);
}

static void request(struct blk *b, unsigned q, struct vq_chain *c)
{
	struct blk_req *r = b->free;
	struct iovec *last;
	struct blk_header h;

	/* There are as many as ring entries, so it takes a guest's broken ring or storage that
	 * keeps requests given up by a reset to run out. */
	if (!r || !c->in_len) {
		vq_set_broken(b->vdev.queues[q],
			r ? "request without room for its status (VIRTIO 1.4, 5.2.6)"
			  : "storage still holds the requests of before the reset");
		return;
	}
	b->free = r->next_free;
	r->chain = c;
	last = &vq_in(c)[c->n_in - 1];
	r->status = (uint8_t *)last->iov_base + --last->iov_len;
	r->q = (uint16_t)q;
	r->busy = true;
	r->nsegs = r->seg = 0;
	r->io.stable = false;
	if (read_header(c, &h))
		dispatch(b, r, &h);
	else
		complete(b, r, BLK_S_IOERR, 0);
}

void blk_serve(struct blk *b, unsigned q)
{
	struct vq *vq = b->vdev.queues[q];
	struct vq_chain *chains[BATCH];

	vq_disable_kick(vq);
	for (unsigned i = 0; i < BATCHES; i++) {
		int n = vq_pop_batch(vq, chains, BATCH);

		for (int j = 0; j < n; j++)
			__builtin_prefetch(chains[j]->iov->iov_base);
		for (int j = 0; j < n; j++)
			request(b, q, chains[j]);
		disk_commit(b->disk);
		publish(b);
		if (n < 0 || (n < (int)BATCH && !vq_enable_kick(vq)))
			return;
	}
	ev_task_post(&b->queue[q].again);
}

void blk_serve_again(void *arg)
{
	struct blk_queue *bq = arg;

	blk_serve(bq->blk, bq->index);
	vdev_check(&bq->blk->vdev, bq->index);
}
