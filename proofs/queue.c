/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs of virtqueues, one function each: a call, made in any state that a queue can be in, with
 * any content of the rings, touches nothing outside of them, ends, and leaves such a state.
 * PACKED chooses the layout.
 */
#include "model.h"

static struct model m;

static void model_any(void)
{
	model_queue(&m, PACKED, false);
}

/* The first state, whatever the peer says about features and positions. */
void prove_start(void)
{
	int ret;

	model_memory();
	model_setup(&m, PACKED, false);
	ASSUME(!vq_create(&m.vq));
	ret = vq_start(m.vq, &m.setup, NULL);
	PROVE(ret || model_holds(&m), "a started queue is in a state it can be in");
	vq_destroy(m.vq);
}

void prove_pop(void)
{
	struct vq_chain *chains[1];
	int n;

	model_any();
	n = vq_pop_batch(m.vq, chains, 1);
	PROVE(n <= 1, "no more chains than there is room for");
	for (int i = 0; i < n; i++) {
		model_check_chain(&m, chains[i]);
		PROVE(!m.out[chains[i]->slot], "a chain has room of its own");
		m.out[chains[i]->slot] = true;
	}
	PROVE(model_holds(&m), "the state after vq_pop() is one that a queue can be in");
}

/* One of those that are out; which one is only a name. */
static uint16_t any_out(void)
{
	ASSUME(OUT);
	return N - 1;
}

/* Notes who is done; in order, chains may be held back, and chains held back may go out. */
static void note_completed(uint16_t pushed)
{
	struct vq *vq = m.vq;

	if (!vq->in_order)
		m.out[pushed] = false;
	for (uint16_t i = 0; vq->in_order && i < N; i++)
		m.out[i] = m.out[i] && busy_test(vq, vq->chains[i].id);
}

void prove_push(void)
{
	unsigned before, after = 0;
	uint16_t slot, used;

	model_any();
	slot = any_out();
	ASSUME(!m.vq->chains[slot].done || !m.vq->in_order);
	before = chains_out(m.vq);
	used = PACKED ? m.vq->pack.in_use : m.vq->split.used_next;
	vq_push(m.vq, &m.vq->chains[slot], nondet_u32());
	note_completed(slot);
	for (uint16_t i = 0; i < N; i++)
		after += m.out[i];
	if (!PACKED)
		PROVE((uint16_t)(m.vq->split.used_next - used) == before - after,
			"each chain gets one used entry");
	PROVE(m.vq->in_order || before - after == 1, "a push uses one chain");
	PROVE(model_holds(&m), "the state after vq_push() is one that a queue can be in");
}

/* All that are out, at once. */
void prove_push_all(void)
{
	struct vq_chain *chains[N];
	uint16_t used;

	model_any();
	ASSUME(!m.vq->in_order); /* then it is vq_push() of each */
	used = m.vq->split.used_next;
	for (uint16_t i = 0; i < OUT; i++) {
		chains[i] = &m.vq->chains[N - OUT + i];
		chains[i]->written = nondet_u32();
		m.out[N - OUT + i] = false;
	}
	vq_push_all(m.vq, chains, OUT);
	if (!PACKED)
		PROVE((uint16_t)(m.vq->split.used_next - used) == OUT,
			"each chain gets one used entry");
	PROVE(model_holds(&m), "the state after vq_push_all() is one that a queue can be in");
}

void prove_rewind(void)
{
	uint16_t slot;

	model_any();
	slot = any_out();
	/* What the contract asks for: the chain popped last, before any push. */
	ASSUME(!m.vq->in_order || m.vq->order[(m.vq->order_in - 1) & m.vq->order_mask] == slot);
	ASSUME(!m.vq->chains[slot].done && !m.vq->chains[slot].resubmitted);
	vq_rewind(m.vq, &m.vq->chains[slot]);
	m.out[slot] = false;
	PROVE(model_holds(&m), "the state after vq_rewind() is one that a queue can be in");
}

void prove_flush(void)
{
	model_any();
	vq_flush(m.vq);
	PROVE(PACKED ? !m.vq->pack.pending : m.vq->split.used_shown == m.vq->split.used_next,
		"everything pushed is shown");
	PROVE(model_holds(&m), "the state after vq_flush() is one that a queue can be in");
}

/* Those that only write a wish and look. */
void prove_kick(void)
{
	model_any();
	switch (nondet_u16() % 4) {
	case 0:
		vq_enable_kick(m.vq);
		break;
	case 1:
		vq_enable_kick_beyond(m.vq);
		break;
	case 2:
		vq_disable_kick(m.vq);
		break;
	default:
		vq_pending(m.vq);
		break;
	}
	PROVE(model_holds(&m), "the state after asking for a kick is one that a queue can be in");
}
