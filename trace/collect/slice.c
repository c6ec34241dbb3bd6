/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/slice.h"

#include <stdlib.h>
#include <string.h>

static int compare_ids(const void *left, const void *right, void *user)
{
    const uint16_t a = *(const uint16_t *)left, b = *(const uint16_t *)right;
    const otlp_span *spans = user;
    int order = memcmp(spans[a].trace_id, spans[b].trace_id, sizeof spans[a].trace_id);
    if (order == 0) {
        order = memcmp(spans[a].span_id, spans[b].span_id, sizeof spans[a].span_id);
    }
    return order != 0 ? order : (a > b) - (a < b);
}

static int compare_places(const void *left, const void *right)
{
    const uint16_t a = *(const uint16_t *)left, b = *(const uint16_t *)right;
    return (a > b) - (a < b);
}

void slice_sort(slice *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->by_id[i] = (uint16_t)i;
    }
    qsort_r(s->by_id, s->count, sizeof s->by_id[0], compare_ids, s->spans);
}

size_t slice_trace_end(const slice *s, size_t begin)
{
    const uint8_t *trace = s->spans[s->by_id[begin]].trace_id;
    size_t end = begin + 1;
    while (end < s->count && memcmp(trace, s->spans[s->by_id[end]].trace_id, sizeof s->spans[0].trace_id) == 0) {
        end++;
    }
    return end;
}

void slice_restore(slice *s, size_t begin, size_t end)
{
    qsort(s->by_id + begin, end - begin, sizeof s->by_id[0], compare_places);
}
