/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mutator for programs of actions (device.h): it changes operands of one action, or inserts,
 * repeats, moves and removes whole actions, where libFuzzer's own would mostly break the framing.
 */
#include <string.h>

#include "device.h"

#define ACTIONS_MAX  400u
#define OPERANDS_MAX 255u

/* Of libFuzzer; without it, as under AFL++, nobody calls the mutator. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

/* A program, and where its actions begin. */
struct program {
	uint8_t *data;
	size_t size, max;
	size_t at[ACTIONS_MAX];
	unsigned n;
	unsigned rnd;
};

static unsigned below(struct program *p, unsigned n)
{
	p->rnd = p->rnd * 1664525u + 1013904223u;
	return n ? (p->rnd >> 8) % n : 0;
}

static size_t action_len(const struct program *p, unsigned i)
{
	size_t end = i + 1 < p->n ? p->at[i + 1] : p->size;

	return end - p->at[i];
}

/* Finds the actions; one that is cut off at the end gets the length that it has. */
static void parse(struct program *p)
{
	size_t at = 1;

	for (p->n = 0; at + 2 <= p->size && p->n < ACTIONS_MAX; p->n++) {
		p->at[p->n] = at;
		if (p->data[at + 1] > p->size - at - 2)
			p->data[at + 1] = (uint8_t)(p->size - at - 2);
		at += 2u + p->data[at + 1];
	}
	p->size = p->n ? at : p->size;
}

/* Makes the `old` bytes at `at` as many as `len`; false if there is no room. */
static bool resize(struct program *p, size_t at, size_t old, size_t len)
{
	if (p->size - old + len > p->max)
		return false;
	memmove(p->data + at + len, p->data + at + old, p->size - at - old);
	p->size = p->size - old + len;
	return true;
}

static void mutate_operands(struct program *p, unsigned i)
{
	uint8_t operands[OPERANDS_MAX];
	size_t len = p->data[p->at[i] + 1], n;

	memcpy(operands, p->data + p->at[i] + 2, len);
	n = LLVMFuzzerMutate(operands, len, OPERANDS_MAX);
	if (!resize(p, p->at[i] + 2, len, n))
		return;
	memcpy(p->data + p->at[i] + 2, operands, n);
	p->data[p->at[i] + 1] = (uint8_t)n;
}

/* A new action with few operands, mostly small numbers, as those of queues and flags are. */
static void insert_action(struct program *p, size_t at)
{
	size_t len = below(p, 16);

	if (!resize(p, at, 0, 2 + len))
		return;
	p->data[at] = (uint8_t)(below(p, FUZZ_ACTIONS) | (below(p, 4) ? 0 : 0x80));
	p->data[at + 1] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		p->data[at + 2 + i] = (uint8_t)below(p, below(p, 3) ? 4 : 256);
}

/* A copy of action `i` elsewhere. */
static void repeat_action(struct program *p, unsigned i, size_t to)
{
	uint8_t copy[2 + OPERANDS_MAX];
	size_t len = action_len(p, i);

	memcpy(copy, p->data + p->at[i], len);
	if (resize(p, to, 0, len))
		memcpy(p->data + to, copy, len);
}

static void mutate(struct program *p)
{
	unsigned i = below(p, p->n), how = below(p, 16);
	size_t to = p->at[below(p, p->n)];

	if (how < 9)
		mutate_operands(p, i);
	else if (how < 11)
		insert_action(p, to);
	else if (how < 13)
		repeat_action(p, i, to);
	else if (how < 14)
		p->data[p->at[i]] = (uint8_t)below(p, 256);
	else
		resize(p, p->at[i], action_len(p, i), 0);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct program p = { .data = data, .size = size, .max = max_size, .rnd = seed };

	parse(&p);
	if (!p.n || !below(&p, 16))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned times = 1 + below(&p, 3); times && p.n; times--) {
		mutate(&p);
		parse(&p);
	}
	return p.size;
}
