#include "io/calm.h"

bool fz_calm_is(const struct fz_calm *c, const struct fz_io_turn *t)
{
	return c->n_turns == FZ_CALM_TURNS && t->n_writes + t->n_sends <= FZ_CALM_PIECES;
}

static bool is_little(const struct fz_io_turn *t)
{
	if (t->n_datagrams + t->n_frames > FZ_CALM_PIECES)
		return false;
	size_t bytes = 0;
	for (uint32_t i = 0; i < t->n_datagrams; i++)
		bytes += t->datagrams[i].len;
	for (uint32_t i = 0; i < t->n_frames; i++)
		bytes += t->frames[i].len;
	return bytes <= FZ_CALM_BYTES;
}

void fz_calm_note(struct fz_calm *c, const struct fz_io_turn *t, bool has_slept)
{
	if (has_slept)
		c->n_awake = 0;
	if (t->n_datagrams + t->n_frames == 0)
		return;
	if (!has_slept)
		c->n_awake++;
	if (c->n_awake > FZ_CALM_AWAKE || !is_little(t))
		c->n_turns = 0;
	else if (c->n_turns < FZ_CALM_TURNS)
		c->n_turns++;
}
