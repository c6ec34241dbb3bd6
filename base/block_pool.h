/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for what waits, message by message, in a broker that is busy: blocks that were given back are used again.
 *
 * A queue that fills with some thousand messages and is emptied again is the pattern malloc is slowest at. Each block is
 * an allocation of its own all the same: cut from larger chunks, one old message would hold on to a chunk that no
 * account shows, and a subscriber that never reads could multiply what it costs by some hundred.
 * Blocks kept for later are bounded by BLOCK_POOL_KEPT_MAX, and come on top of what is in use. */
#ifndef LOOM_BASE_BLOCK_POOL_H
#define LOOM_BASE_BLOCK_POOL_H

#include <stddef.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define BLOCK_POOL_STEP ((size_t)64)   /* bytes; sizes are rounded up to a multiple */
#define BLOCK_POOL_CLASSES ((size_t)64) /* larger than this many steps (4 KiB): never kept, copying costs more than malloc */
#define BLOCK_POOL_KEPT_MAX ((size_t)8 << 20)

typedef struct free_block {
    struct free_block *next;
} free_block;

/* All zero: empty. */
typedef struct block_pool {
    free_block *kept[BLOCK_POOL_CLASSES]; /* by size, the last one given back first: it may still be in the cache */
    size_t kept_bytes;
} block_pool;

/* size is above 0. NULL: out of memory. */
static inline void *block_pool_take(block_pool *pool, size_t size)
{
    const size_t class = (size - 1) / BLOCK_POOL_STEP;
    if (class >= BLOCK_POOL_CLASSES) {
        return malloc(size);
    }
    const size_t rounded = (class + 1) * BLOCK_POOL_STEP;
    free_block *block = pool->kept[class];
    if (block == NULL) {
        return malloc(rounded);
    }
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(block, rounded);
#endif
    pool->kept[class] = block->next;
    pool->kept_bytes -= rounded;
    __builtin_prefetch(block->next, 1); /* the next one to be taken, and written */
    return block;
}

/* size is what it was taken with. */
static inline void block_pool_give(block_pool *pool, void *block, size_t size)
{
    const size_t class = (size - 1) / BLOCK_POOL_STEP;
    const size_t rounded = (class + 1) * BLOCK_POOL_STEP;
    if (class >= BLOCK_POOL_CLASSES || pool->kept_bytes + rounded > BLOCK_POOL_KEPT_MAX) {
        free(block);
        return;
    }
    free_block *kept = block;
    kept->next = pool->kept[class];
    pool->kept[class] = kept;
    pool->kept_bytes += rounded;
#ifdef __SANITIZE_ADDRESS__
    ASAN_POISON_MEMORY_REGION(block, rounded); /* a use after it was given back is to be found all the same */
#endif
}

/* Everything taken has been given back. */
static inline void block_pool_fini(block_pool *pool)
{
    for (size_t class = 0; class < BLOCK_POOL_CLASSES; class++) {
        while (pool->kept[class] != NULL) {
            free_block *block = pool->kept[class];
#ifdef __SANITIZE_ADDRESS__
            ASAN_UNPOISON_MEMORY_REGION(block, (class + 1) * BLOCK_POOL_STEP);
#endif
            pool->kept[class] = block->next;
            free(block);
        }
    }
    pool->kept_bytes = 0;
}

#endif
