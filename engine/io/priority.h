/*
 * Data threads go before the programs whose packets they carry: a thread that waits for the processor lets every queue before it
 * grow, and what a busy program has sent is of use only once it has left. Shell; any thread.
 */
#pragma once

/*
 * For the calling thread and those it makes. Without the right to it (root, CAP_SYS_NICE, RLIMIT_NICE) nothing changes: to be called
 * before privileges are dropped. A service manager can do the same (Nice=).
 */
void fz_priority_raise(void);
