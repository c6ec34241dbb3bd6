/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shared_bytes.h"

#include <stdlib.h>

struct shared_pool {
    size_t holders; /* blocks in use, and its owner */
    shared_bytes *kept;
    size_t kept_bytes;
    bool closed;
    bool used;      /* since the last tidying */
};

static shared_bytes *take_kept(shared_pool *p, size_t size)
{
    for (shared_bytes **at = &p->kept; *at != NULL; at = &(*at)->next) {
        shared_bytes *b = *at;
        if (b->size >= size && b->size / 2 <= size) {
            *at = b->next;
            p->kept_bytes -= b->size;
            return b;
        }
    }
    return NULL;
}

shared_bytes *shared_bytes_create(shared_pool *pool, size_t size)
{
    if (size < SHARED_BYTES_MIN) {
        pool = NULL;
    }
    shared_bytes *b = pool != NULL ? take_kept(pool, size) : NULL;
    if (b == NULL) {
        b = malloc(sizeof *b + size);
        if (b == NULL) {
            return NULL;
        }
        b->size = size;
        b->pool = pool;
    }
    b->refs = 1;
    if (pool != NULL) {
        pool->holders++;
        pool->used = true;
    }
    return b;
}

static void leave(shared_pool *p)
{
    if (--p->holders == 0) {
        free(p);
    }
}

void shared_bytes_end(shared_bytes *b)
{
    shared_pool *p = b->pool;
    if (p == NULL) {
        free(b);
        return;
    }
    if (p->closed || p->kept_bytes + b->size > SHARED_POOL_KEPT_MAX) {
        free(b);
    } else {
        b->next = p->kept;
        p->kept = b;
        p->kept_bytes += b->size;
    }
    leave(p);
}

static void free_kept(shared_pool *p)
{
    for (shared_bytes *b = p->kept, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    p->kept = NULL;
    p->kept_bytes = 0;
}

shared_pool *shared_pool_create(void)
{
    shared_pool *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->holders = 1;
    }
    return p;
}

void shared_pool_tidy(shared_pool *p)
{
    if (!p->used) {
        free_kept(p);
    }
    p->used = false;
}

size_t shared_pool_kept(const shared_pool *p)
{
    return p->kept_bytes;
}

void shared_pool_close(shared_pool *p)
{
    if (p != NULL) {
        free_kept(p);
        p->closed = true;
        leave(p);
    }
}
