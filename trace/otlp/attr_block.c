/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that many messages have in common, encoded once. */
#include "trace/otlp/attr_encode.h"

#include <string.h>

bool attr_block_take(attr_block *block, const attr_index *index, const pb_buf *b, size_t mark)
{
    const size_t len = b->len - mark;
    if (b->failed || index->count > ATTR_BLOCK_COUNT || index->beyond != NULL || len > ATTR_BLOCK_SIZE ||
        index->limits.value_length != UINT32_MAX) {
        return false;
    }
    block->count = index->count;
    block->len = (uint32_t)len;
    for (uint32_t i = 0; i < index->count; i++) {
        block->slots[i] = (attr_slot){index->slots[i].offset - (uint32_t)mark, index->slots[i].len};
    }
    memcpy(block->bytes, b->data + mark, len);
    return true;
}

uint8_t *attr_block_add(const attr_block *block, attr_index *index, pb_buf *b)
{
    if (index->count > 0 || block->count > index->limits.count || !pb_has_room(b, block->len)) {
        return NULL;
    }
    const uint32_t mark = (uint32_t)b->len;
    for (uint32_t i = 0; i < block->count; i++) {
        index->slots[i] = (attr_slot){mark + block->slots[i].offset, block->slots[i].len};
    }
    index->count = block->count;
    index->filter = UINT64_MAX; /* as after attr_index_add_fixed() */
    memcpy(b->data + mark, block->bytes, block->len);
    b->len += block->len;
    return b->data + mark;
}
