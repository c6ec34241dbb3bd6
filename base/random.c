/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of random bytes per thread, so that an id costs a copy of 8 or 16 bytes and no system call.
 *
 * A refill draws a 32-byte seed from libsodium (one getrandom() call) and stretches it to the whole pool with
 * ChaCha20: drawing the pool itself would take a call for each 256 bytes. Bytes are zeroed as they are taken and
 * the seed as soon as it is stretched, so memory holds nothing that tells ids already given out.
 *
 * Words come from xoroshiro128++ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021), whose state
 * each thread draws from its pool: 128 bits, so that the sequences of threads do not meet. Its sibling with 256 bits takes
 * half as long again.
 *
 * The pool is on the heap, and goes when the thread exits. What a shared library keeps in thread-local storage has to be
 * small: libloom's is wanted at a fixed place (trace/span/thread.h), and a program that loads libraries while it runs has
 * little of that. Where there is no memory, bytes are drawn as they are asked for.
 *
 * fork(): the child starts with a copy of the pool of the thread that forked, and only that thread. The handler below
 * runs on it and empties the pool; the way of an id pays nothing for that. */
#include "base/random.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_SIZE = 4096 };

typedef struct random_pool {
    size_t left;             /* bytes not taken yet; they are the last ones of bytes[] */
    uint8_t bytes[POOL_SIZE];
} random_pool;

static _Thread_local random_pool *pool; /* NULL: none yet */
static _Thread_local random_words words;

static pthread_once_t prepared = PTHREAD_ONCE_INIT; /* what it guards is the process's: sodium, fork handlers, the key */
static pthread_key_t pool_key;

static void forget_in_child(void)
{
    if (pool != NULL) {
        pool->left = 0;
        sodium_memzero(pool->bytes, sizeof pool->bytes);
    }
    memset(&words, 0, sizeof words);
}

/* When the thread exits. Who runs later and asks for bytes gets another one. */
static void free_pool(void *unused)
{
    (void)unused;
    if (pool != NULL) {
        sodium_memzero(pool->bytes, sizeof pool->bytes);
        free(pool);
        pool = NULL;
    }
}

static void prepare_process(void)
{
    /* None can fail but for want of entropy, memory or keys at start-up; ids that may repeat are worse than stopping. */
    if (sodium_init() < 0 || pthread_atfork(NULL, NULL, forget_in_child) != 0 || pthread_key_create(&pool_key, free_pool) != 0) {
        abort();
    }
}

static random_pool *make_pool(void)
{
    random_pool *made = calloc(1, sizeof *made);
    if (made != NULL && pthread_setspecific(pool_key, made) != 0) {
        free(made);
        made = NULL;
    }
    pool = made;
    return made;
}

/* false: there is no pool. */
static bool refill(void)
{
    pthread_once(&prepared, prepare_process);
    if (pool == NULL && make_pool() == NULL) {
        return false;
    }
    uint8_t seed[randombytes_SEEDBYTES];
    randombytes_buf(seed, sizeof seed);
    randombytes_buf_deterministic(pool->bytes, sizeof pool->bytes, seed);
    sodium_memzero(seed, sizeof seed);
    pool->left = sizeof pool->bytes;
    return true;
}

void random_take(uint8_t *out, size_t len)
{
    assert(len <= RANDOM_TAKE_MAX);
    if ((pool == NULL || pool->left < len) && !refill()) {
        randombytes_buf(out, len);
        return;
    }
    uint8_t *next = pool->bytes + (sizeof pool->bytes - pool->left);
    pool->left -= len;
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) { /* ids are whole words, and short: no call for each */
        const uint64_t none = 0;
        memcpy(out, next, sizeof none);
        memcpy(next, &none, sizeof none);
        out += sizeof none;
        next += sizeof none;
    }
    if (len > 0) {
        memcpy(out, next, len);
        memset(next, 0, len);
    }
}

static uint64_t take_word(random_pool *from)
{
    uint64_t word;
    uint8_t *next = from->bytes + (sizeof from->bytes - from->left);
    from->left -= sizeof word;
    memcpy(&word, next, sizeof word);
    memset(next, 0, sizeof word);
    return word;
}

__attribute__((noinline)) static uint64_t take_word_slowly(void)
{
    uint64_t word;
    random_take((uint8_t *)&word, sizeof word);
    return word;
}

uint64_t random_secret_word(void)
{
    random_pool *from = pool;
    return from != NULL && from->left >= sizeof(uint64_t) ? take_word(from) : take_word_slowly();
}

random_words *random_words_of_thread(void)
{
    return &words;
}

void random_words_draw(random_words *drawn)
{
    do {
        random_take((uint8_t *)drawn->state, sizeof drawn->state);
    } while ((drawn->state[0] | drawn->state[1]) == 0);
}

uint64_t random_word(void)
{
    return random_next(&words);
}
