/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user back-end against a peer that sends anything: seeded random messages, most of them
 * nearly right, over memory full of random rings. Whatever comes, the next front-end is served, and
 * no descriptor is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "echo.h"
#include "tap.h"
#include "vhud_server.h"

#define MESSAGES 30000
#define MEM_SIZE 0x40000u
#define MEM_UVA	 0x100000u

/* The state of one run. */
struct hostile {
	uint64_t seed;
	struct vhud_server srv;
	struct vhud *d;
	int mem_fd;
	uint8_t *mem;
};

/* xorshift64* */
static uint32_t rnd(struct hostile *h, uint32_t below)
{
	h->seed ^= h->seed >> 12;
	h->seed ^= h->seed << 25;
	h->seed ^= h->seed >> 27;
	return (uint32_t)((h->seed * UINT64_C(2685821657736338717)) >> 32) % below;
}

/* A number as a hostile peer likes them. */
static uint64_t number(struct hostile *h)
{
	static const uint64_t edges[] = { 0, 1, 2, 3, 4, 63, 64, 255, 256, 257, 4095, 4096, 65535,
		65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 4095 };

	switch (rnd(h, 4)) {
	case 0:
		return edges[rnd(h, ARRAY_LEN(edges))];
	case 1:
		return UINT64_C(1) << rnd(h, 64);
	case 2:
		return MEM_UVA + 16 * rnd(h, MEM_SIZE / 16);
	default:
		return rnd(h, 4);
	}
}

/* A descriptor of any kind, to be closed by the caller. */
static int descriptor(struct hostile *h)
{
	int pair[2];
	unsigned keep;

	switch (rnd(h, 6)) {
	case 0:
		return dup(h->mem_fd);
	case 1:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
			return -1;
		if (rnd(h, 2) && write(pair[1], "0123456789", 10) < 0)
			errno = 0;
		close(pair[1]);
		return pair[0];
	case 2:
		if (pipe2(pair, O_NONBLOCK))
			return -1;
		keep = rnd(h, 2);
		close(pair[!keep]);
		return pair[keep];
	default:
		return fd_event();
	}
}

static void fill_payload(struct hostile *h, uint32_t request, union vhost_user_payload *p)
{
	memset(p, 0, sizeof(*p));
	switch (request) {
	case VHOST_USER_SET_FEATURES:
		p->u64 = vhud_features(h->d) &
			 (number(h) | FEATURE(VIRTIO_F_VERSION_1) | (uint64_t)rnd(h, 256) << 28);
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		p->u64 = rnd(h, 4) ? vhud_protocol(h->d) : number(h);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		p->u64 = rnd(h, 4) | (rnd(h, 8) ? 0 : 0x100);
		break;
	case VHOST_USER_SET_VRING_ADDR:
		p->addr = (struct vhost_user_vring_addr){ rnd(h, 4), !rnd(h, 20), number(h),
			number(h), number(h), 0 };
		break;
	case VHOST_USER_SET_VRING_NUM:
		p->state = (struct vhost_user_vring_state){ rnd(h, 4), 1u << rnd(h, 10) };
		break;
	case VHOST_USER_SET_MEM_TABLE:
		p->mem_table.nregions = rnd(h, 3);
		for (unsigned i = 0; i < 2; i++)
			p->mem_table.regions[i] = (struct vhost_user_region){ i * MEM_SIZE,
				rnd(h, 8) ? MEM_SIZE : number(h), MEM_UVA + i * MEM_SIZE,
				rnd(h, 8) ? 0 : number(h) };
		break;
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		p->mem_reg.region = (struct vhost_user_region){ rnd(h, 4) * MEM_SIZE, MEM_SIZE,
			MEM_UVA + rnd(h, 4) * MEM_SIZE, 0 };
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
	case VHOST_USER_GET_INFLIGHT_FD:
		p->inflight = (struct vhost_user_inflight){ rnd(h, 4) ? MEM_SIZE : number(h), 0,
			(uint16_t)(1 + rnd(h, 4)), (uint16_t)number(h), 0 };
		break;
	default:
		for (unsigned i = 0; i < 5; i++)
			memcpy(&p->bytes[8 * i], &(uint64_t){ number(h) | number(h) << 32 }, 8);
		break;
	}
}

/* The size that the request should have. */
static uint32_t right_size(uint32_t request)
{
	switch (request) {
	case VHOST_USER_SET_VRING_ADDR:
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		return 40;
	case VHOST_USER_SET_MEM_TABLE:
		return 8 + 2 * sizeof(struct vhost_user_region);
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_INFLIGHT_FD:
		return 24;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		return 12 + 8;
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_OWNER:
	case VHOST_USER_GET_STATUS:
	case VHOST_USER_RESET_DEVICE:
		return 0;
	default:
		return 8;
	}
}

static unsigned right_fds(struct hostile *h, uint32_t request, const union vhost_user_payload *p)
{
	switch (request) {
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		return !(p->u64 & 0x100);
	case VHOST_USER_SET_MEM_TABLE:
		return p->mem_table.nregions;
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_SET_INFLIGHT_FD:
	case VHOST_USER_SET_BACKEND_REQ_FD:
		return 1;
	default:
		return 0;
	}
}

static bool wants_memory(uint32_t request)
{
	return request == VHOST_USER_SET_MEM_TABLE || request == VHOST_USER_ADD_MEM_REG ||
	       request == VHOST_USER_SET_INFLIGHT_FD;
}

static void send_random(struct hostile *h)
{
	uint32_t request = rnd(h, 20) ? 1 + rnd(h, 40) : (uint32_t)number(h);
	uint32_t flags = rnd(h, 20) ? VHOST_USER_NEED_REPLY : 0;
	union vhost_user_payload p;
	int fds[FD_PASS_MAX];
	uint32_t size;
	unsigned nfds;

	fill_payload(h, request, &p);
	size = rnd(h, 100) ? right_size(request) : rnd(h, 300);
	if (request == VHOST_USER_SET_CONFIG || request == VHOST_USER_GET_CONFIG)
		p.config.size = rnd(h, 10) ? 8 : p.config.size;
	nfds = rnd(h, 100) ? right_fds(h, request, &p) : rnd(h, FD_PASS_MAX);
	for (unsigned i = 0; i < nfds; i++)
		fds[i] = wants_memory(request) && rnd(h, 20) ? dup(h->mem_fd) : descriptor(h);
	vhud_send(h->d, request, flags, &p, size, fds, nfds);
	for (unsigned i = 0; i < nfds; i++)
		close_fd(&fds[i]);
}

/* Reads what the back-end answers. False if it has disconnected. */
static bool drain(struct hostile *h)
{
	for (;;) {
		uint8_t scratch[600];
		int fds[FD_PASS_MAX];
		unsigned nfds = FD_PASS_MAX;
		ssize_t n = fd_recv(vhud_sock(h->d), scratch, sizeof(scratch), fds, &nfds);

		for (unsigned i = 0; i < nfds; i++)
			close(fds[i]);
		if (n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
	}
}

/* A new connection, on which most things are set up already, or not. */
static bool connect_again(struct hostile *h)
{
	const struct vhud_opts opts = {
		.nqueues = (uint16_t)rnd(h, 3),
		.features = (uint64_t)rnd(h, 256) << 28,
	};

	vhud_close(h->d);
	h->d = vhud_open(h->srv.path);
	return h->d && (!rnd(h, 4) || !vhud_start(h->d, &opts));
}

static bool still_serves(struct hostile *h)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	uint32_t word = 0xabcd, back = 0;

	vhud_close(h->d);
	h->d = vhud_open(h->srv.path);
	return h->d && !vhud_start(h->d, &opts) &&
	       vhud_do(h->d, 0, &word, sizeof(word), &back, sizeof(back)) == sizeof(back) &&
	       back == word;
}

static bool begin(struct hostile *h, uint64_t seed)
{
	struct err e = { 0 };

	*h = (struct hostile){ .seed = seed };
	h->mem_fd = fd_memfd("hostile", MEM_SIZE, 0, &e);
	if (h->mem_fd < 0 || vhud_serve(&h->srv, &echo_class, NULL))
		return false;
	h->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, h->mem_fd, 0);
	if (h->mem == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < MEM_SIZE; i += 2)
		memcpy(h->mem + i, &(uint16_t){ (uint16_t)(rnd(h, 3) ? rnd(h, 64) : number(h)) },
			2);
	return still_serves(h);
}

static void end(struct hostile *h)
{
	vhud_close(h->d);
	vhud_serve_end(&h->srv);
	munmap(h->mem, MEM_SIZE);
	close_fd(&h->mem_fd);
}

static void run(struct tap *t, uint64_t seed)
{
	unsigned before, disconnects = 0;
	struct hostile h;

	printf("# seed %llu\n", (unsigned long long)seed);
	REQUIRE(t, begin(&h, seed));
	before = vhud_count_fds();
	for (unsigned i = 0; i < MESSAGES; i++) {
		send_random(&h);
		if (!drain(&h)) {
			disconnects++;
			REQUIRE(t, connect_again(&h));
		}
	}
	printf("# %u messages, %u disconnects\n", MESSAGES, disconnects);
	CHECK(t, still_serves(&h));
	CHECK_EQ(t, vhud_count_fds(), before);
	end(&h);
}

static void survives_random_messages(struct tap *t)
{
	for (uint64_t seed = 1; seed <= 3; seed++)
		run(t, seed);
}

int main(void)
{
	struct tap t = { 0 };

	/* The reasons of thousands of disconnects are of no interest here. */
	setenv("AVP_LOG", "error", 0);
	TAP_RUN(&t, survives_random_messages);
	return tap_done(&t);
}
