/*
 * RFC 6479: the ring moves by whole words, so moving forward clears words and never shifts bits. Position p of the
 * ring stands for counter p - 1, so that `next` = 0 needs no flag of its own.
 */
#include "wg/replay.h"

#define N_WORDS (WG_REPLAY_BITS / 64)

static void move_forward(struct wg_replay *r, uint64_t position)
{
	uint64_t from = r->next / 64, to = position / 64;
	uint64_t n = to - from < N_WORDS ? to - from : N_WORDS;
	for (uint64_t i = 1; i <= n; i++)
		r->seen[(from + i) % N_WORDS] = 0;
	r->next = position;
}

bool wg_replay_accept(struct wg_replay *r, uint64_t counter)
{
	if (counter >= WG_REJECT_AFTER_MESSAGES)
		return false;
	uint64_t position = counter + 1;
	/* The limit above leaves room for this sum. */
	if (position + WG_REPLAY_WINDOW < r->next)
		return false;
	if (position > r->next)
		move_forward(r, position);
	uint64_t *word = &r->seen[position / 64 % N_WORDS];
	uint64_t bit = UINT64_C(1) << position % 64;
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}
