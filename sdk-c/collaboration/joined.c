/* SPDX-License-Identifier: Apache-2.0 */
/* Contributions: collected, and handed over as one loom_joined. */
#include "sdk-c/collaboration/joining.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/span/start.h"

enum { ITEMS_FIRST = 4 };

join *join_create(loom_str key, const join_tally *tally)
{
    join *j = calloc(1, sizeof *j + key.len + 1);
    if (j == NULL) {
        return NULL;
    }
    if (key.len > 0) {
        memcpy(j->key, key.data, key.len);
    }
    j->joined.key = j->key;
    j->joined.expected = tally->expected;
    j->tally = *tally;
    return j;
}

void join_free(join *j)
{
    if (j == NULL) {
        return;
    }
    for (size_t i = 0; i < j->joined.count; i++) {
        free((char *)(uintptr_t)j->items[i].source); /* const for those who receive it */
        loom_envelope_unref(j->items[i].event);
        loom_result_free(j->items[i].result);
    }
    free(j->items);
    free(j->tracestate);
    free(j);
}

void loom_joined_free(loom_joined *joined)
{
    join_free((join *)joined);
}

bool join_has_source(const join *j, loom_str source)
{
    for (size_t i = 0; i < j->joined.count; i++) {
        if (str_is(source, j->items[i].source)) {
            return true;
        }
    }
    return false;
}

static loom_status make_room(join *j)
{
    if (j->joined.count >= LOOM_CONTRIBUTIONS_MAX) {
        return LOOM_EFULL;
    }
    if (j->joined.count < j->capacity) {
        return LOOM_OK;
    }
    size_t capacity = j->capacity > 0 ? j->capacity * 2 : ITEMS_FIRST;
    loom_contribution *items = realloc(j->items, capacity * sizeof *items);
    if (items == NULL) {
        return LOOM_ENOMEM;
    }
    j->items = items;
    j->capacity = capacity;
    j->joined.contributions = items;
    return LOOM_OK;
}

loom_status join_add(join *j, loom_str source, size_t target, loom_status status, loom_envelope *event, loom_result *result)
{
    loom_status st = make_room(j);
    if (st != LOOM_OK) {
        return st;
    }
    char *name = source.len > 0 ? strndup(source.data, source.len) : calloc(1, 1);
    if (name == NULL) {
        return LOOM_ENOMEM;
    }
    j->items[j->joined.count++] = (loom_contribution){.source = name,
                                                      .target = target,
                                                      .status = status,
                                                      .event = event != NULL ? loom_envelope_ref(event) : NULL,
                                                      .result = result};
    j->tally.received += status == LOOM_OK;
    j->tally.failed += status != LOOM_OK;
    if (j->first_unix_ns == 0) {
        j->first_unix_ns = clock_unix_ns();
    }
    return LOOM_OK;
}

loom_status join_set_parent(join *j, const loom_trace_context *given, const loom_envelope *event)
{
    loom_str tracestate = {0};
    const loom_trace_context *current = loom_context_current();
    if (given != NULL) {
        j->parent = *given;
        /* what is passed on belongs to a trace: that of the current span may be another one */
        bool same = current != NULL && memcmp(current->trace_id, given->trace_id, LOOM_TRACE_ID_SIZE) == 0;
        tracestate = same ? loom_context_current_tracestate() : tracestate;
    } else if (current != NULL) {
        j->parent = *current;
        j->parent_is_remote = context_current_is_remote();
        tracestate = loom_context_current_tracestate();
    } else if (event != NULL && loom_envelope_extract(event, &j->parent)) {
        j->parent_is_remote = true;
        tracestate = loom_envelope_tracestate(event);
    }
    if (tracestate.len > 0 && (j->tracestate = strndup(tracestate.data, tracestate.len)) == NULL) {
        return LOOM_ENOMEM;
    }
    return LOOM_OK;
}

loom_joined *join_finish(join *j, loom_join_outcome outcome)
{
    j->joined.outcome = outcome;
    j->joined.received = j->tally.received;
    j->joined.failed = j->tally.failed;
    return &j->joined;
}

loom_envelope *join_first_event(const join *j)
{
    for (size_t i = 0; i < j->joined.count; i++) {
        if (j->items[i].event != NULL) {
            return j->items[i].event;
        }
    }
    return NULL;
}
