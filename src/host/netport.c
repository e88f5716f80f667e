/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/netport.h"

#include <errno.h>
#include <string.h>

#include "host/netoffload.h"

/* A frame whose checksum is to be filled in must have the field inside the copied head. */
static int check_csum(const struct net_frame *f)
{
	uint32_t field = (uint32_t)f->hdr.csum_start + f->hdr.csum_offset;

	if (f->hdr.csum_start < NET_ETH_LEN || f->hdr.csum_start > f->len)
		return -EBADMSG;
	return field + 2 > f->head_len ? -EBADMSG : 0;
}

/* A frame to be segmented must be what it says; its head becomes exactly its headers. */
static int check_gso(struct net_frame *f, const struct iov_iter *at)
{
	uint8_t type = f->hdr.gso_type & (uint8_t)~NET_GSO_ECN;
	struct net_layers l;

	if (type != NET_GSO_TCPV4 && type != NET_GSO_TCPV6)
		return -EBADMSG;
	if (!(f->hdr.flags & NET_HDR_F_NEEDS_CSUM) || f->hdr.gso_size < NET_GSO_SIZE_MIN)
		return -EBADMSG;
	net_layers(&l, f->head, f->head_len);
	if (l.ethertype != (type == NET_GSO_TCPV4 ? NET_ETHERTYPE_IPV4 : NET_ETHERTYPE_IPV6))
		return -EBADMSG;
	if (!l.payload || l.payload > f->len || l.fragment)
		return -EBADMSG;
	if (f->hdr.csum_start != l.l4 || f->hdr.csum_offset != 16)
		return -EBADMSG;
	if (f->len - l.l3 > 65535u + 40u)
		return -EBADMSG;
	f->hdr.hdr_len = (uint16_t)l.payload;
	f->head_len = l.payload;
	f->tail = *at;
	iov_skip(&f->tail, l.payload);
	return 0;
}

/* The length of most heads is one that the compiler knows. */
static inline bool read_head(struct net_frame *f)
{
	if (f->head_len == NET_HEAD)
		return iov_read_piece(&f->tail, f->head, NET_HEAD) == NET_HEAD;
	return iov_read_piece(&f->tail, f->head, f->head_len) == f->head_len;
}

int net_frame_init(
	struct net_frame *f, const struct iov_iter *at, uint32_t len, const struct net_hdr *hdr)
{
	uint32_t want = NET_HEAD;
	int ret;

	if (len < NET_ETH_LEN || len > NET_FRAME_MAX)
		return -EBADMSG;
	f->len = len;
	f->head = f->head_buf + NET_HEAD_ROOM;
	/* Not as a whole: the fields were just written one by one, and a load of them all would
	 * wait for that. */
	f->tail.iov = at->iov;
	f->tail.n = at->n;
	f->tail.offset = at->offset;
	if (hdr) {
		f->hdr = *hdr;
		if (hdr->flags || hdr->gso_type)
			want = NET_HEAD_MAX;
	} else {
		memset(&f->hdr, 0, sizeof(f->hdr));
	}
	f->head_len = len < want ? len : want;
	if (!read_head(f))
		return -EBADMSG;
	if (want == NET_HEAD)
		return 0;
	ret = f->hdr.flags & NET_HDR_F_NEEDS_CSUM ? check_csum(f) : 0;
	if (!ret && f->hdr.gso_type)
		ret = check_gso(f, at);
	return ret;
}

unsigned net_frame_iov(const struct net_frame *f, struct iovec *iov, unsigned max)
{
	struct iov_iter tail = f->tail;
	uint32_t rest = f->len - f->head_len;
	size_t taken;
	unsigned n;

	if (!max)
		return 0;
	iov[0] = (struct iovec){ f->head, f->head_len };
	if (!rest)
		return 1;
	n = iov_take(&tail, rest, iov + 1, max - 1, &taken);
	return taken < rest ? 0 : n + 1;
}

void netport_connect(struct netport *a, struct netport *b)
{
	a->peer = b;
	b->peer = a;
	if (a->up && b->ops->state)
		b->ops->state(b);
	if (b->up && a->ops->state)
		a->ops->state(a);
}

void netport_disconnect(struct netport *p)
{
	struct netport *peer = p->peer;

	if (!peer)
		return;
	p->peer = NULL;
	peer->peer = NULL;
	if (p->up && peer->ops->state)
		peer->ops->state(peer);
}

static int receive(void *arg, const struct net_frame *f)
{
	struct netport *to = arg;

	return to->ops->receive(to, f);
}

int netport_send(struct netport *p, const struct net_frame *f)
{
	struct netport *to = p->peer;

	if (!to || !to->up)
		return -ENETDOWN;
	if (__builtin_expect(net_offload_needed(f, to->accepts), 0))
		return net_offload(f, receive, to);
	return to->ops->receive(to, f);
}

void netport_room(struct netport *p)
{
	if (p->peer && p->peer->ops->room)
		p->peer->ops->room(p->peer);
}

void netport_set_up(struct netport *p, bool up)
{
	if (p->up == up)
		return;
	p->up = up;
	if (p->peer && p->peer->ops->state)
		p->peer->ops->state(p->peer);
}
