/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#include <assert.h>
#include <string.h>

void counter_list_add(counter_list *list, counter_source source)
{
    assert(list->count < COUNTER_SOURCES_MAX);
    list->items[list->count++] = source;
}

void counter_read(const counter_source *source, counter_stats *stats)
{
    source->read(source->owner, stats->bytes);
}

uint64_t counter_value(const counter *c, const counter_stats *stats, unsigned i)
{
    const unsigned char *at = stats->bytes + c->offset + i * c->size;
    uint64_t eight;
    uint32_t four;
    assert(i < c->count);
    switch (c->size) {
    case sizeof eight:
        memcpy(&eight, at, sizeof eight);
        return eight;
    case sizeof four:
        memcpy(&four, at, sizeof four);
        return four;
    default:
        assert(c->size == 1);
        return *at;
    }
}
