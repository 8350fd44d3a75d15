/* Compare by accumulation, wipe through a barrier the compiler cannot see past. */
#include "base/ct.h"

#include <string.h>

static uint8_t hidden(uint8_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

bool fz_ct_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < n; i++)
		diff = hidden((uint8_t)(diff | (x[i] ^ y[i])));
	return diff == 0;
}

bool fz_ct_is_zero(const void *p, size_t n)
{
	const uint8_t *x = p;
	uint8_t any = 0;
	for (size_t i = 0; i < n; i++)
		any = hidden((uint8_t)(any | x[i]));
	return any == 0;
}

void fz_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}
