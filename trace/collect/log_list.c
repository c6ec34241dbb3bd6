/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/log_list.h"

#include <stdlib.h>
#include <string.h>

void log_list_fini(log_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].bytes);
    }
    free(list->items);
    *list = (log_list){0};
}

static bool grow(log_list *list)
{
    if (list->count < list->capacity) {
        return true;
    }
    const size_t capacity = list->capacity > 0 ? 2 * list->capacity : 16;
    listed_log *items = realloc(list->items, capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

loom_status log_list_add(log_list *list, const log_record *log, loom_str service)
{
    uint8_t *bytes = grow(list) ? malloc(log->record.len + service.len + 1) : NULL;
    if (bytes == NULL) {
        return LOOM_ENOMEM;
    }
    if (service.len > 0) {
        memcpy(bytes, service.data, service.len);
    }
    if (log->record.len > 0) {
        memcpy(bytes + service.len, log->record.data, log->record.len);
    }
    listed_log *item = &list->items[list->count++];
    *item = (listed_log){.service = {(const char *)bytes, service.len}, .bytes = bytes};
    (void)log_read(&item->log, (loom_bytes){bytes + service.len, log->record.len}); /* it has been read before */
    return LOOM_OK;
}

static int by_span_and_time(const void *left, const void *right)
{
    const log_record *a = &((const listed_log *)left)->log, *b = &((const listed_log *)right)->log;
    const int order = memcmp(a->span_id, b->span_id, sizeof a->span_id);
    return order != 0 ? order : (a->time_unix_ns > b->time_unix_ns) - (a->time_unix_ns < b->time_unix_ns);
}

void log_list_sort(log_list *list)
{
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof *list->items, by_span_and_time);
    }
}

size_t log_list_of_span(const log_list *list, const uint8_t span_id[LOOM_SPAN_ID_SIZE], const listed_log **first)
{
    size_t low = 0, high = list != NULL ? list->count : 0, count = 0;
    const size_t end = high;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(list->items[middle].log.span_id, span_id, LOOM_SPAN_ID_SIZE) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low + count < end && memcmp(list->items[low + count].log.span_id, span_id, LOOM_SPAN_ID_SIZE) == 0) {
        count++;
    }
    *first = count > 0 ? &list->items[low] : NULL;
    return count;
}
