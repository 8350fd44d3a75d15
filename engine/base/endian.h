/*
 * Wire words as structs of bytes: alignment 1, no aliasing trap, no accidental arithmetic. Each getter
 * compiles to one load (and a byte swap where needed). The _load/_store forms serve raw memory.
 */
#pragma once

#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t b[2];
} fz_le16;

typedef struct {
	uint8_t b[2];
} fz_be16;

typedef struct {
	uint8_t b[4];
} fz_le32;

typedef struct {
	uint8_t b[4];
} fz_be32;

typedef struct {
	uint8_t b[8];
} fz_le64;

typedef struct {
	uint8_t b[8];
} fz_be64;

#define FZ_ENDIAN_WORD(bits)                                                                       \
	static inline uint##bits##_t fz_native##bits##_load(const void *p)                         \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return v;                                                                          \
	}                                                                                          \
	static inline void fz_native##bits##_store(void *p, uint##bits##_t v)                      \
	{                                                                                          \
		memcpy(p, &v, sizeof(v));                                                          \
	}                                                                                          \
	static inline uint##bits##_t fz_le##bits##_load(const void *p)                             \
	{                                                                                          \
		uint##bits##_t v = fz_native##bits##_load(p);                                      \
		return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap##bits(v);   \
	}                                                                                          \
	static inline uint##bits##_t fz_be##bits##_load(const void *p)                             \
	{                                                                                          \
		uint##bits##_t v = fz_native##bits##_load(p);                                      \
		return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap##bits(v) : v;   \
	}                                                                                          \
	static inline void fz_le##bits##_store(void *p, uint##bits##_t v)                          \
	{                                                                                          \
		fz_native##bits##_store(p,                                                         \
			__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap##bits(v)); \
	}                                                                                          \
	static inline void fz_be##bits##_store(void *p, uint##bits##_t v)                          \
	{                                                                                          \
		fz_native##bits##_store(p,                                                         \
			__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap##bits(v) : v); \
	}                                                                                          \
	static inline uint##bits##_t fz_le##bits##_get(fz_le##bits w)                              \
	{                                                                                          \
		return fz_le##bits##_load(w.b);                                                    \
	}                                                                                          \
	static inline uint##bits##_t fz_be##bits##_get(fz_be##bits w)                              \
	{                                                                                          \
		return fz_be##bits##_load(w.b);                                                    \
	}                                                                                          \
	static inline fz_le##bits fz_le##bits##_of(uint##bits##_t v)                               \
	{                                                                                          \
		fz_le##bits w = { { 0 } };                                                         \
		fz_le##bits##_store(w.b, v);                                                       \
		return w;                                                                          \
	}                                                                                          \
	static inline fz_be##bits fz_be##bits##_of(uint##bits##_t v)                               \
	{                                                                                          \
		fz_be##bits w = { { 0 } };                                                         \
		fz_be##bits##_store(w.b, v);                                                       \
		return w;                                                                          \
	}

FZ_ENDIAN_WORD(16)
FZ_ENDIAN_WORD(32)
FZ_ENDIAN_WORD(64)
#undef FZ_ENDIAN_WORD
