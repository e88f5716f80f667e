/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"

#define BUFFER	      (128u << 10)
#define SECTION_BLOCK 0x0a0d0d0au
#define IFACE_BLOCK   1u
#define PACKET_BLOCK  6u
#define BYTE_ORDER_ID 0x1a2b3c4du
#define LINK_ETHERNET 1u
#define OPT_IF_NAME   2u
#define OPT_TSRESOL   9u
#define OPT_EPB_FLAGS 2u
#define NAME_MAX_LEN  64u

/* The draft is draft-ietf-opsawg-pcapng; all blocks in this machine's byte order. */
struct section_block {
	uint32_t type, total_len, byte_order;
	uint16_t major, minor;
	int64_t section_len; /* -1: not known */
	uint32_t total_len2;
} __attribute__((packed));

struct iface_block {
	uint32_t type, total_len;
	uint16_t link, reserved;
	uint32_t snaplen;
};

struct packet_block {
	uint32_t type, total_len, iface, time_high, time_low, captured, original;
};

struct option {
	uint16_t code, len;
};

/* What follows the data of a packet. */
struct packet_end {
	struct option flags_option;
	uint32_t flags;
	struct option end;
	uint32_t total_len;
};

struct pcapng {
	int fd;
	uint32_t snaplen;
	uint64_t limit, written; /* bytes; written counts what is buffered too */
	uint64_t missed;
	unsigned nifaces;
	bool full;
	size_t used;
	uint8_t buf[BUFFER];
};

static void put(struct pcapng *p, const void *data, size_t len)
{
	memcpy(p->buf + p->used, data, len);
	p->used += len;
	p->written += len;
}

static void pad(struct pcapng *p, size_t len)
{
	static const uint8_t zero[4];

	put(p, zero, align_up(len, 4) - len);
}

int pcapng_flush(struct pcapng *p)
{
	size_t len = p->used;
	int ret;

	p->used = 0;
	ret = len ? fd_write_full(p->fd, p->buf, len) : 0;
	if (ret < 0)
		p->full = true;
	return ret < 0 ? ret : 0;
}

/* Room for a block of `len` bytes, which is less than the buffer. */
static int reserve(struct pcapng *p, size_t len)
{
	if (p->full || p->written + len > p->limit) {
		p->full = true;
		return -ENOSPC;
	}
	return p->used + len > BUFFER ? pcapng_flush(p) : 0;
}

int pcapng_create(
	struct pcapng **out, const char *path, uint64_t limit, uint32_t snaplen, struct err *e)
{
	autofree struct pcapng *p = calloc(1, sizeof(*p));
	struct section_block b = {
		.type = SECTION_BLOCK,
		.total_len = sizeof(b),
		.byte_order = BYTE_ORDER_ID,
		.major = 1,
		.section_len = -1,
		.total_len2 = sizeof(b),
	};

	if (!p)
		return err_set(e, -ENOMEM, "out of memory for capture file %s", path);
	p->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return err_sys(e, -errno, "cannot create capture file %s", path);
	p->limit = limit;
	p->snaplen = (uint32_t)min_u64(snaplen, NET_FRAME_MAX);
	put(p, &b, sizeof(b));
	*out = steal_ptr(&p);
	return 0;
}

void pcapng_destroy(struct pcapng *p)
{
	if (!p)
		return;
	pcapng_flush(p);
	close(p->fd);
	free(p);
}

int pcapng_interface(struct pcapng *p, const char *name)
{
	size_t len = strnlen(name, NAME_MAX_LEN);
	struct iface_block b = {
		.type = IFACE_BLOCK,
		.total_len = (uint32_t)(sizeof(b) + 4 + align_up(len, 4) + 8 + 4 + 4),
		.link = LINK_ETHERNET,
		.snaplen = p->snaplen,
	};
	struct option o = { OPT_IF_NAME, (uint16_t)len };
	const uint32_t nanoseconds = htole32(9);
	int ret = reserve(p, b.total_len);

	if (ret)
		return ret;
	put(p, &b, sizeof(b));
	put(p, &o, sizeof(o));
	put(p, name, len);
	pad(p, len);
	o = (struct option){ OPT_TSRESOL, 1 };
	put(p, &o, sizeof(o));
	put(p, &nanoseconds, 4);
	o = (struct option){ 0, 0 };
	put(p, &o, sizeof(o));
	put(p, &b.total_len, 4);
	return (int)p->nifaces++;
}

int pcapng_frame(
	struct pcapng *p, unsigned interface, uint64_t ns, bool inbound, const struct net_frame *f)
{
	uint32_t captured = f->len < p->snaplen ? f->len : p->snaplen;
	uint32_t total = (uint32_t)(sizeof(struct packet_block) + align_up(captured, 4) +
				    sizeof(struct packet_end));
	struct packet_block b = { PACKET_BLOCK, total, interface, (uint32_t)(ns >> 32),
		(uint32_t)ns, captured, f->len };
	struct packet_end end = { { OPT_EPB_FLAGS, 4 }, inbound ? 1 : 2, { 0, 0 }, total };
	struct iovec iov;
	struct iov_iter at;
	int ret = reserve(p, total);

	if (ret) {
		p->missed++;
		return ret;
	}
	put(p, &b, sizeof(b));
	iov = (struct iovec){ p->buf + p->used, captured };
	iov_iter_init(&at, &iov, 1);
	net_frame_copy(&at, f);
	p->used += captured;
	p->written += captured;
	pad(p, captured);
	put(p, &end, sizeof(end));
	return 0;
}

uint64_t pcapng_missed(const struct pcapng *p)
{
	return p->missed;
}
