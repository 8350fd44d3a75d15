/*
 * Recorded conversations of Firezone's own devices with a portal: data/portal-NAME.txt, made by data/from_transcript.py, which
 * says what is in them.
 */
#pragma once

#include <stdbool.h>

#define RECORDED_LINE_MAX 16384
#define RECORDINGS        8

extern const char *const recordings[RECORDINGS];

struct line {
	double t;
	char role[16], conn[16], what[16];
	char *text; /* the rest */
};

typedef void (*line_fn)(void *user, const struct line *l);
void each_line(const char *recording, line_fn fn, void *user);

bool is(const char *a, const char *b); /* the same text */
