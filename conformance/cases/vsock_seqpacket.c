/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device: messages and records (VIRTIO 1.4, 5.10.6.6). */
#include "conformance/cases/vsock_end.h"

#define STREAM	  VIRTIO_VSOCK_TYPE_STREAM
#define SEQPACKET VIRTIO_VSOCK_TYPE_SEQPACKET
#define EOM	  VIRTIO_VSOCK_SEQ_EOM
#define EOR	  VIRTIO_VSOCK_SEQ_EOR

/* The next message: its packets together, EOM in the last and only there. */
static bool expect_message(struct vs_conn *k, uint32_t seed, uint32_t len, uint32_t flags)
{
	struct cf *c = k->e->c;
	uint32_t at = 0;

	for (;;) {
		const struct vsock_hdr *h = &k->e->hdr;

		if (!vs_expect(k, VIRTIO_VSOCK_OP_RW) || !vs_is(k, seed, at))
			return false;
		at += h->len;
		if (h->flags & EOM)
			return cf_eq(c, at, len, "length of the message") &&
			       cf_eq(c, h->flags, flags, "flags of its last packet") &&
			       vs_consume(k);
		if (!cf_check(c, at < len || (at == len && h->len),
			    "%u bytes of a message of %u came without its end", at, len) ||
			!cf_eq(c, h->flags, 0, "flags within the message"))
			return false;
	}
}

/* Sends a message in packets of up to `part` bytes. */
static bool send_message(
	struct vs_conn *k, uint32_t seed, uint32_t len, uint32_t part, uint32_t flags)
{
	uint8_t data[4096];
	uint32_t at = 0;

	do {
		uint32_t now = len - at < part ? len - at : part;

		vs_pattern(data, seed, at, now);
		if (!vs_rw(k, at + now == len ? flags : 0, data, now))
			return false;
		at += now;
	} while (at < len);
	return true;
}

static bool message_passes(
	struct vs_conn *from, struct vs_conn *to, uint32_t seed, uint32_t len, uint32_t part)
{
	return send_message(from, seed, len, part, EOM) && expect_message(to, seed, len, EOM) &&
	       vs_await_fwd(from);
}

static const uint16_t message_lengths[] = { 1, 2, 100, 1000, 4052, 4053, 8104, 10000 };

#define MESSAGES (sizeof(message_lengths) / sizeof(*message_lengths))

static void seq_tx(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, SEQPACKET, &dut, &peer))
		return;
	for (unsigned i = 0; i < MESSAGES; i++)
		if (!message_passes(&dut, &peer, i, message_lengths[i], 4096))
			return;
}

static void seq_rx(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, SEQPACKET, &dut, &peer))
		return;
	for (unsigned i = 0; i < MESSAGES; i++)
		if (!message_passes(&peer, &dut, i, message_lengths[i], 4096))
			return;
}

/* Several before the first is read: they stay apart. */
static void seq_apart(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, SEQPACKET, &dut, &peer))
		return;
	for (uint32_t i = 0; i < 10; i++)
		if (!send_message(&dut, i, 1 + i * 50, 4096, EOM) ||
			!send_message(&peer, i, 1 + i * 40, 4096, EOM))
			return;
	for (uint32_t i = 0; i < 10; i++)
		if (!expect_message(&peer, i, 1 + i * 50, EOM) ||
			!expect_message(&dut, i, 1 + i * 40, EOM))
			return;
}

/* One message in packets of any length. */
static void seq_split(struct cf *c)
{
	static const uint32_t parts[] = { 1, 7, 99, 1000 };
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, SEQPACKET, &dut, &peer))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!message_passes(&dut, &peer, i, parts[i] * 9 + 1, parts[i]))
			return;
}

/* Receive buffers shorter than the message: it comes in several packets. */
static void seq_small_buffers(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up(c, &l, VS_ALL, 8, VSOCK_HDR_LEN + 100) &&
		vs_connect(&l, SEQPACKET, &dut, &peer) &&
		message_passes(&peer, &dut, 1, 1000, 4096))
		message_passes(&peer, &dut, 2, 1, 4096);
}

static void seq_records(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, SEQPACKET, &dut, &peer) &&
		send_message(&dut, 1, 100, 4096, EOM | EOR) &&
		send_message(&dut, 2, 100, 4096, EOM) && expect_message(&peer, 1, 100, EOM | EOR) &&
		expect_message(&peer, 2, 100, EOM) &&
		send_message(&peer, 3, 100, 4096, EOM | EOR) &&
		send_message(&peer, 4, 100, 4096, EOM) && expect_message(&dut, 3, 100, EOM | EOR))
		expect_message(&dut, 4, 100, EOM);
}

/* The driver has less room than the message needs, for now. */
static void seq_credit(struct cf *c)
{
	struct vs_conn dut, peer, other, other_peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &other, &other_peer))
		return;
	vs_pair(&l, SEQPACKET, &dut, &peer);
	dut.buf_alloc = 1000;
	if (!vs_open(&dut, &peer) || !send_message(&peer, 1, 800, 4096, EOM) ||
		!send_message(&peer, 2, 900, 4096, EOM) || !vs_expect(&dut, VIRTIO_VSOCK_OP_RW))
		return;
	while (dut.rx_cnt < 800)
		if (!vs_expect(&dut, VIRTIO_VSOCK_OP_RW))
			return;
	while (dut.rx_cnt < 1000 && !(l.dut.hdr.flags & EOM))
		if (!vs_expect(&dut, VIRTIO_VSOCK_OP_RW))
			return;
	cf_check(c, dut.rx_cnt <= 1000, "%u bytes came, 1000 fit", dut.rx_cnt);
}

static void seq_shutdown(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, SEQPACKET, &dut, &peer) &&
		send_message(&dut, 1, 5000, 4096, EOM) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_BOTH) &&
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST) && expect_message(&peer, 1, 5000, EOM))
		vs_expect_closed(&peer);
}

/* Data without its end is no message. */
static void seq_unfinished(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, SEQPACKET, &dut, &peer) && send_message(&dut, 1, 100, 4096, 0) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_RST, 0))
		vs_expect_closed(&peer);
}

#define VSOCK DRV_ID_VSOCK

const struct cf_case cf_cases_vsock_seqpacket[] = {
	{ "vsock.seqpacket.tx", "VSK-1", seq_tx, VSOCK, CF_PEER | CF_RINGS, VS_SEQ },
	{ "vsock.seqpacket.rx", "VSK-1", seq_rx, VSOCK, CF_PEER | CF_RINGS, VS_SEQ },
	{ "vsock.seqpacket.apart", "VSK-1", seq_apart, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.split", "VSK-1", seq_split, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.small_buffers", "VSK-1", seq_small_buffers, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.records", "VSK-1", seq_records, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.credit", "V5.10.6.3.2-1", seq_credit, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.shutdown", "VSK-1", seq_shutdown, VSOCK, CF_PEER, VS_SEQ },
	{ "vsock.seqpacket.unfinished", "VSK-1", seq_unfinished, VSOCK, CF_PEER, VS_SEQ },
	{ 0 },
};
