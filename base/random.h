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

/* The same, for one who takes several at a time: the state of this thread, which stays where it is while the thread lives.
 * xoroshiro128++ (random.c). */
typedef struct random_words {
    uint64_t state[2]; /* all zero: not drawn yet */
} random_words;
random_words *random_words_of_thread(void);
/* Draws it, the first time and in a forked child. */
void random_words_draw(random_words *words);

static inline uint64_t random_next(random_words *words)
{
    uint64_t *const w = words->state;
    if ((w[0] | w[1]) == 0) {
        random_words_draw(words);
    }
    const uint64_t a = w[0], b = w[1] ^ a, sum = a + w[1];
    w[0] = (a << 49 | a >> 15) ^ b ^ b << 21;
    w[1] = b << 28 | b >> 36;
    return (sum << 17 | sum >> 47) + a;
}

#endif
