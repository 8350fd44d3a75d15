/* The only place that spells __attribute__. A macro here states a contract the compiler checks; none hides control flow. */
#pragma once

#define FZ_MUST_CHECK         __attribute__((warn_unused_result))
#define FZ_NONNULL(...)       __attribute__((nonnull(__VA_ARGS__)))
#define FZ_RETURNS_NONNULL    __attribute__((returns_nonnull))
#define FZ_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define FZ_COLD               __attribute__((cold))
#define FZ_CLEANUP(fn)        __attribute__((cleanup(fn)))
#define FZ_UNUSED             __attribute__((unused))
#define FZ_ALWAYS_INLINE      inline __attribute__((always_inline))
#define FZ_EXPORT             __attribute__((visibility("default")))
#define FZ_NORETURN           __attribute__((noreturn))
#define FZ_CACHELINE          64
#define FZ_ALIGNED(n)         __attribute__((aligned(n)))
#define FZ_UNINITIALIZED      __attribute__((uninitialized))
/* For one function alone, called where the CPU has it. */
#define FZ_TARGET(isa)        __attribute__((target(isa)))

/*
 * FZ_FREED_BY tells gcc's analyzer which function releases the returned object, FZ_READS and FZ_WRITES how far a
 * pointer argument is used; clang has no such forms.
 */
#if defined(__clang__)
#define FZ_FREED_BY(fn) FZ_MUST_CHECK
#define FZ_READS(ptr, len)
#define FZ_WRITES(ptr, len)
#else
#define FZ_FREED_BY(fn)     __attribute__((malloc, malloc(fn, 1))) FZ_MUST_CHECK
#define FZ_READS(ptr, len)  __attribute__((access(read_only, ptr, len)))
#define FZ_WRITES(ptr, len) __attribute__((access(write_only, ptr, len)))
#endif

#define FZ_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
