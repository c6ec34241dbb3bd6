/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/splice.h"

#include <stdlib.h>
#include <string.h>

bool splices_add(splices *s, size_t at, shared_bytes *block, loom_bytes bytes)
{
    splice_part *one = malloc(sizeof *one);
    if (one == NULL) {
        return false;
    }
    *one = (splice_part){.at = at, .block = shared_bytes_ref(block), .bytes = bytes};
    if (s->last != NULL) {
        s->last->next = one;
    } else {
        s->first = one;
    }
    s->last = one;
    s->bytes += bytes.len;
    return true;
}

void splices_clear(splices *s)
{
    for (splice_part *one = s->first, *next; one != NULL; one = next) {
        next = one->next;
        shared_bytes_unref(one->block);
        free(one);
    }
    *s = (splices){0};
}

bool splices_merge(splices *s, frame_writer *w)
{
    if (s->first == NULL) {
        return true;
    }
    const size_t len = w->len + s->bytes;
    uint8_t *merged = malloc(len), *to = merged;
    size_t from = 0;
    if (merged == NULL) {
        return false;
    }
    for (const splice_part *one = s->first; one != NULL; one = one->next) {
        to = mempcpy(to, w->data + from, one->at - from);
        to = mempcpy(to, one->bytes.data, one->bytes.len);
        from = one->at;
    }
    memcpy(to, w->data + from, w->len - from);
    frame_writer_fini(w);
    *w = (frame_writer){.data = merged, .len = len, .cap = len};
    splices_clear(s);
    return true;
}
