/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that several hold, so that a large message is not copied for each place where it waits. Whoever holds the only
 * reference may write; besides, what nobody has been shown yet. One thread at a time. */
#ifndef LOOM_BASE_SHARED_BYTES_H
#define LOOM_BASE_SHARED_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on sharing a message is worth more than a copy that lies next to others. */
#define SHARED_BYTES_MIN ((size_t)64 * 1024)
#define SHARED_POOL_KEPT_MAX ((size_t)8 * 1024 * 1024)

typedef struct shared_pool shared_pool;

typedef struct shared_bytes {
    size_t refs;
    size_t size;
    shared_pool *pool;          /* where it goes in the end; NULL: nowhere */
    struct shared_bytes *next;  /* in the pool */
    uint8_t data[];
} shared_bytes;

/* With one reference. pool: NULL, or where it may have been before. NULL: out of memory. */
shared_bytes *shared_bytes_create(shared_pool *pool, size_t size);
/* The last one: frees it, or keeps it for later. */
void shared_bytes_end(shared_bytes *b);

static inline shared_bytes *shared_bytes_ref(shared_bytes *b)
{
    b->refs++;
    return b;
}

/* NULL is allowed. */
static inline void shared_bytes_unref(shared_bytes *b)
{
    if (b != NULL && --b->refs == 0) {
        shared_bytes_end(b);
    }
}

/* Keeps blocks that were given up, SHARED_POOL_KEPT_MAX of them: fresh memory of this size costs a page fault for each 4 KiB. */
shared_pool *shared_pool_create(void);
/* Frees what was kept, if nothing was taken since it was called last. */
void shared_pool_tidy(shared_pool *p);
/* Bytes of blocks that nobody holds. */
size_t shared_pool_kept(const shared_pool *p);
/* Blocks may live on. NULL is allowed. */
void shared_pool_close(shared_pool *p);

#endif
