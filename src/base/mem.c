/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

/* The first range that ends behind gpa: the one that holds it, if any does. */
static unsigned find(const struct gm *gm, uint64_t gpa)
{
	unsigned lo = 0, hi = gm->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (gm->r[mid].gpa + (gm->r[mid].size - 1) < gpa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int gm_add(struct gm *gm, const struct gm_region *r, struct err *e)
{
	unsigned i;

	if (!r->size || r->gpa + (r->size - 1) < r->gpa || r->uva + (r->size - 1) < r->uva)
		return err_set(e, -EINVAL,
			"memory range at 0x%llx with size 0x%llx is empty or wraps around",
			(unsigned long long)r->gpa, (unsigned long long)r->size);
	if (gm->n == GM_REGIONS_MAX)
		return err_set(e, -ENOSPC, "more than %d memory ranges", GM_REGIONS_MAX);
	i = find(gm, r->gpa);
	if (i < gm->n && gm->r[i].gpa <= r->gpa + (r->size - 1))
		return err_set(e, -EINVAL,
			"memory range at 0x%llx with size 0x%llx overlaps the one at 0x%llx",
			(unsigned long long)r->gpa, (unsigned long long)r->size,
			(unsigned long long)gm->r[i].gpa);
	memmove(&gm->r[i + 1], &gm->r[i], (gm->n - i) * sizeof(gm->r[0]));
	gm->r[i] = *r;
	gm->n++;
	return 0;
}

int gm_map(struct gm *gm, const struct gm_region *r, struct err *e)
{
	struct gm_region mapped = *r;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t skip = r->fd_offset & (page - 1);
	struct stat st;
	int ret;

	if (fstat(r->fd, &st) < 0)
		return err_sys(e, -errno, "looking at the memory range's file");
	/* A file that is too short would raise SIGBUS at the first access. */
	if (st.st_size < 0 || !range_in(r->fd_offset, r->size, (uint64_t)st.st_size))
		return err_set(e, -EINVAL,
			"memory range of 0x%llx bytes at offset 0x%llx does not fit its file of "
			"0x%llx",
			(unsigned long long)r->size, (unsigned long long)r->fd_offset,
			(unsigned long long)st.st_size);
	mapped.map_len = r->size + skip;
	/* Huge-page files must be mapped and unmapped in whole huge pages. */
	if ((uint64_t)st.st_blksize > page && is_pow2((uint64_t)st.st_blksize)) {
		skip = r->fd_offset & ((uint64_t)st.st_blksize - 1);
		mapped.map_len = align_up(r->size + skip, (uint64_t)st.st_blksize);
	}
	mapped.map = mmap(NULL, mapped.map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		r->fd, (off_t)(r->fd_offset - skip));
	if (mapped.map == MAP_FAILED)
		return err_sys(e, -errno, "mapping a memory range of 0x%llx bytes",
			(unsigned long long)r->size);
	mapped.hva = (uint8_t *)mapped.map + skip;
	ret = gm_add(gm, &mapped, e);
	if (ret)
		munmap(mapped.map, mapped.map_len);
	return ret;
}

int gm_del(struct gm *gm, uint64_t gpa, uint64_t size, uint64_t uva)
{
	unsigned i = find(gm, gpa);
	struct gm_region *r = &gm->r[i];

	if (i == gm->n || r->gpa != gpa || r->size != size || r->uva != uva)
		return -ENOENT;
	if (r->map)
		munmap(r->map, r->map_len);
	gm->n--;
	memmove(r, r + 1, (gm->n - i) * sizeof(*r));
	return 0;
}

void gm_clear(struct gm *gm)
{
	for (unsigned i = 0; i < gm->n; i++)
		if (gm->r[i].map)
			munmap(gm->r[i].map, gm->r[i].map_len);
	gm->n = 0;
}

void *gm_ptr(const struct gm *gm, uint64_t gpa, uint64_t len)
{
	unsigned i = find(gm, gpa);

	if (!len || i == gm->n || gpa < gm->r[i].gpa ||
		!range_in(gpa - gm->r[i].gpa, len, gm->r[i].size))
		return NULL;
	return gm->r[i].hva + (gpa - gm->r[i].gpa);
}

void *gm_ptr_uva(const struct gm *gm, uint64_t uva, uint64_t len)
{
	for (unsigned i = 0; len && i < gm->n; i++) {
		const struct gm_region *r = &gm->r[i];

		if (uva >= r->uva && range_in(uva - r->uva, len, r->size))
			return r->hva + (uva - r->uva);
	}
	return NULL;
}

int gm_iov(const struct gm *gm, uint64_t gpa, uint64_t len, struct iovec *iov, unsigned max)
{
	unsigned n = 0;

	if (!len)
		return -EFAULT;
	for (unsigned i = find(gm, gpa); len; i++) {
		const struct gm_region *r = &gm->r[i];
		uint64_t part;

		if (i >= gm->n || gpa < r->gpa)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		part = min_u64(len, r->size - (gpa - r->gpa));
		iov[n++] = (struct iovec){ r->hva + (gpa - r->gpa), part };
		gpa += part;
		len -= part;
	}
	return (int)n;
}
