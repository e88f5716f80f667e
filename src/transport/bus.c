/* SPDX-License-Identifier: BSD-3-Clause */
/* Register ranges by address: a sorted array, found by bisection. */
#include "transport/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int bus_init(struct bus *bus)
{
	*bus = (struct bus){ 0 };
	return -pthread_rwlock_init(&bus->lock, NULL);
}

void bus_finish(struct bus *bus)
{
	free(bus->v);
	bus->v = NULL;
	bus->n = bus->cap = 0;
	pthread_rwlock_destroy(&bus->lock);
}

/* The index of the first range that ends after `addr`. */
static unsigned position(const struct bus *bus, uint64_t addr)
{
	unsigned lo = 0, hi = bus->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (bus->v[mid]->start + (bus->v[mid]->len - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int insert(struct bus *bus, struct bus_range *r, uint64_t start, struct err *e)
{
	unsigned at = position(bus, start);

	if (at < bus->n && bus->v[at]->start <= start + (r->len - 1))
		return err_set(e, -EBUSY, "%s at 0x%" PRIx64 " overlaps %s at 0x%" PRIx64, r->name,
			start, bus->v[at]->name, bus->v[at]->start);
	if (bus->n == bus->cap) {
		unsigned cap = bus->cap ? 2 * bus->cap : 16;
		struct bus_range **v = realloc(bus->v, cap * sizeof(struct bus_range *));

		if (!v)
			return err_set(e, -ENOMEM, "no memory for register ranges");
		bus->v = v;
		bus->cap = cap;
	}
	memmove(bus->v + at + 1, bus->v + at, (bus->n - at) * sizeof(struct bus_range *));
	r->start = start;
	bus->v[at] = r;
	bus->n++;
	return 0;
}

int bus_add(struct bus *bus, struct bus_range *r, uint64_t start, struct err *e)
{
	int rc;

	if (!r->len || start + (r->len - 1) < start)
		return err_set(
			e, -EINVAL, "%s at 0x%" PRIx64 " leaves the address space", r->name, start);
	pthread_rwlock_wrlock(&bus->lock);
	rc = insert(bus, r, start, e);
	pthread_rwlock_unlock(&bus->lock);
	return rc;
}

void bus_del(struct bus *bus, struct bus_range *r)
{
	pthread_rwlock_wrlock(&bus->lock);
	for (unsigned i = 0; i < bus->n; i++) {
		if (bus->v[i] != r)
			continue;
		bus->n--;
		memmove(bus->v + i, bus->v + i + 1, (bus->n - i) * sizeof(struct bus_range *));
		break;
	}
	pthread_rwlock_unlock(&bus->lock);
}

/* The range that covers all of [addr, addr+len), or NULL. The lock is let go before the callback,
 * because that may move ranges. */
static struct bus_range *find(struct bus *bus, uint64_t addr, unsigned len, uint64_t *offset)
{
	struct bus_range *r = NULL;
	unsigned at;

	pthread_rwlock_rdlock(&bus->lock);
	at = position(bus, addr);
	if (at < bus->n && bus->v[at]->start <= addr) {
		*offset = addr - bus->v[at]->start;
		if (bus->v[at]->len - *offset >= len)
			r = bus->v[at];
	}
	pthread_rwlock_unlock(&bus->lock);
	return r;
}

bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len)
{
	uint64_t offset;
	struct bus_range *r = find(bus, addr, len, &offset);

	memset(data, 0xff, len);
	if (!r)
		return false;
	r->read(r->arg, offset, data, len);
	return true;
}

bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len)
{
	uint64_t offset;
	struct bus_range *r = find(bus, addr, len, &offset);

	if (!r)
		return false;
	r->write(r->arg, offset, data, len);
	return true;
}
