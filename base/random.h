/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes at the price of a copy, for ids. Keys and nonces come straight from libsodium instead. */
#ifndef LOOM_BASE_RANDOM_H
#define LOOM_BASE_RANDOM_H

#include <loom/api.h>

#define RANDOM_TAKE_MAX 64 /* bytes in one call */

/* Fills out with len (at most RANDOM_TAKE_MAX) unpredictable bytes, never given out before: not to another thread, nor
 * to a process on the other side of a fork(). Any thread; not from a signal handler. */
void random_take(uint8_t *out, size_t len);

/* A uniformly distributed word, never given out before in the same sense, and about twenty times cheaper; but who has seen
 * several of one thread can foretell the next. For ids that nobody gains by guessing: those of traces and spans. */
uint64_t random_word(void);

/* The same, for one who takes several at a time: the state of this thread, which stays where it is while the thread lives.
 * xoshiro256++ (random.c). */
typedef struct random_words {
    uint64_t state[4]; /* all zero: not drawn yet */
} random_words;
random_words *random_words_of_thread(void);
/* Draws it, the first time and in a forked child. */
void random_words_draw(random_words *words);

static inline uint64_t random_next(random_words *words)
{
    uint64_t *const w = words->state;
    if ((w[0] | w[1] | w[2] | w[3]) == 0) {
        random_words_draw(words);
    }
    const uint64_t a = w[0], b = w[1], c = w[2] ^ a, d = w[3] ^ b, sum = a + w[3];
    w[0] = a ^ d;
    w[1] = b ^ c;
    w[2] = c ^ b << 17;
    w[3] = d << 45 | d >> 19;
    return (sum << 23 | sum >> 41) + a;
}

#endif
