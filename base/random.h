/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes at the price of a copy, for ids. Keys and nonces come straight from libsodium instead. */
#ifndef LOOM_BASE_RANDOM_H
#define LOOM_BASE_RANDOM_H

#include <loom/api.h>

#define RANDOM_TAKE_MAX 64 /* bytes in one call */

/* Fills out with len (at most RANDOM_TAKE_MAX) unpredictable bytes, never given out before: not to another thread, nor
 * to a process on the other side of a fork(). Any thread; not from a signal handler. */
void random_take(uint8_t *out, size_t len);

/* Eight of those bytes, as a word. */
uint64_t random_secret_word(void);

/* A uniformly distributed word, never given out before in the same sense, and about twenty times cheaper; but who has seen
 * several of one thread can foretell the next. For ids that nobody gains by guessing: those of traces and spans. */
uint64_t random_word(void);

#endif
