/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/spans.h"

#include "base/number.h"

#include <inttypes.h>
#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void span_list_init(span_list *list)
{
    *list = (span_list){0};
}

void span_list_fini(span_list *list)
{
    for (size_t i = 0; i < list->request_count; i++) {
        free(list->requests[i]);
    }
    free(list->requests);
    free(list->items);
    *list = (span_list){0};
}

/* Room for one more element; NULL leaves the old array alone. */
static void *grown(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return items;
    }
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *bigger = reallocarray(items, wanted, item_size);
    if (bigger != NULL) {
        *capacity = wanted;
    }
    return bigger;
}

typedef struct appending {
    span_list *list;
    bool no_memory;
} appending;

static bool append_span(void *user, const otlp_span *span)
{
    appending *to = user;
    span_list *list = to->list;
    trace_span *items = grown(list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL) {
        to->no_memory = true;
        return false;
    }
    list->items = items;
    list->items[list->count++] =
        (trace_span){.otlp = *span, .service = otlp_resource_string(span->resource, "service.name")};
    return true;
}

loom_status span_list_add(span_list *list, loom_bytes request)
{
    uint8_t **requests = grown(list->requests, list->request_count, &list->request_capacity, sizeof *requests);
    if (requests == NULL) {
        return LOOM_ENOMEM;
    }
    list->requests = requests;
    uint8_t *copy = malloc(request.len > 0 ? request.len : 1);
    if (copy == NULL) {
        return LOOM_ENOMEM;
    }
    if (request.len > 0) {
        memcpy(copy, request.data, request.len);
    }
    size_t count_before = list->count;
    appending to = {.list = list};
    loom_status st = otlp_read_request((loom_bytes){copy, request.len}, append_span, &to);
    if (st == LOOM_OK && to.no_memory) {
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        list->count = count_before;
        free(copy);
        return st;
    }
    list->requests[list->request_count++] = copy;
    return LOOM_OK;
}

static int compare_spans(const void *left, const void *right)
{
    const otlp_span *a = &((const trace_span *)left)->otlp;
    const otlp_span *b = &((const trace_span *)right)->otlp;
    int order = memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);
    if (order == 0) {
        order = (a->start_unix_ns > b->start_unix_ns) - (a->start_unix_ns < b->start_unix_ns);
    }
    if (order == 0) {
        order = memcmp(a->span_id, b->span_id, sizeof a->span_id);
    }
    return order;
}

void span_list_sort(span_list *list)
{
    if (list->count > 1) {
        qsort(list->items, list->count, sizeof *list->items, compare_spans);
    }
}

bool span_list_next_trace(const span_list *list, size_t *cursor, span_range *out)
{
    size_t begin = *cursor;
    if (begin >= list->count) {
        return false;
    }
    size_t end = begin + 1;
    while (end < list->count && memcmp(list->items[begin].otlp.trace_id, list->items[end].otlp.trace_id,
                                       LOOM_TRACE_ID_SIZE) == 0) {
        end++;
    }
    *out = (span_range){.spans = list->items + begin, .count = end - begin};
    *cursor = end;
    return true;
}

const char *span_kind_name(int kind)
{
    switch (kind) {
    case LOOM_SPAN_INTERNAL:
        return "internal";
    case LOOM_SPAN_SERVER:
        return "server";
    case LOOM_SPAN_CLIENT:
        return "client";
    case LOOM_SPAN_PRODUCER:
        return "producer";
    case LOOM_SPAN_CONSUMER:
        return "consumer";
    default:
        return "unspecified";
    }
}

bool span_id_is_zero(const uint8_t id[LOOM_SPAN_ID_SIZE])
{
    static const uint8_t zero[LOOM_SPAN_ID_SIZE];
    return memcmp(id, zero, sizeof zero) == 0;
}

bool trace_id_is_zero(const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    static const uint8_t zero[LOOM_TRACE_ID_SIZE];
    return memcmp(id, zero, sizeof zero) == 0;
}

uint64_t span_duration_ns(const trace_span *span)
{
    return span->otlp.end_unix_ns > span->otlp.start_unix_ns ? span->otlp.end_unix_ns - span->otlp.start_unix_ns : 0;
}

bool span_value_text(char *out, size_t size, size_t *len, loom_bytes any_value)
{
    otlp_any any = otlp_read_any(any_value);
    char number[NUMBER_SIZE];
    int written = -1;
    switch (any.type) {
    case OTLP_ANY_STRING:
        if (any.bytes.len > size) {
            return false;
        }
        if (any.bytes.len > 0) {
            memcpy(out, any.bytes.data, any.bytes.len);
        }
        *len = any.bytes.len;
        return true;
    case OTLP_ANY_BOOL:
        written = snprintf(out, size, "%s", any.boolean ? "true" : "false");
        break;
    case OTLP_ANY_INT:
        written = snprintf(out, size, "%" PRId64, any.integer);
        break;
    case OTLP_ANY_DOUBLE:
        (void)number_format(number, any.real, 15);
        written = snprintf(out, size, "%s", number);
        break;
    default:
        break;
    }
    *len = written < 0 ? 0 : (size_t)written;
    return written >= 0 && (size_t)written < size;
}
