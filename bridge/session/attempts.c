/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/attempts.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "trace/messaging/call_span.h"

typedef struct attempt {
    loom_bytes call_id;
    loom_span *span;
    uint8_t bytes[];  /* of the call id */
} attempt;

static int by_call_id(const void *a, const void *b)
{
    loom_bytes x = ((const attempt *)a)->call_id, y = ((const attempt *)b)->call_id;
    if (x.len != y.len) {
        return x.len < y.len ? -1 : 1;
    }
    return x.len > 0 ? memcmp(x.data, y.data, x.len) : 0;
}

void attempts_add(session *s, loom_bytes call_id, loom_span *span)
{
    if (span == NULL) {
        return;
    }
    attempt *a = malloc(sizeof *a + call_id.len);
    if (a == NULL) {
        loom_span_end(span);
        return;
    }
    if (call_id.len > 0) {
        memcpy(a->bytes, call_id.data, call_id.len);
    }
    a->call_id = (loom_bytes){a->bytes, call_id.len};
    a->span = span;
    attempt **entry = tsearch(a, &s->attempts, by_call_id);
    if (entry != NULL && *entry == a) {
        return;
    }
    if (entry != NULL) { /* the id is used again before its end: whatever comes is said of the newer one */
        loom_span_end((*entry)->span);
        (*entry)->span = span;
    } else {
        loom_span_end(span);
    }
    free(a);
}

void attempts_end(session *s, loom_bytes call_id, uint64_t outcome, loom_str code, loom_str text)
{
    if (s->attempts == NULL) {
        return;
    }
    attempt **entry = tfind(&(attempt){.call_id = call_id}, &s->attempts, by_call_id);
    if (entry == NULL) {
        return;
    }
    attempt *a = *entry;
    tdelete(a, &s->attempts, by_call_id);
    call_span_outcome(a->span, outcome, code, text);
    loom_span_end(a->span);
    free(a);
}

static void end_gone(void *node)
{
    static const loom_str code = {"provider_gone", 13}, text = {"the session of the provider ended", 33};
    attempt *a = node;
    call_span_outcome(a->span, FRAME_CALL_ERROR, code, text);
    loom_span_end(a->span);
    free(a);
}

void attempts_end_all(session *s)
{
    tdestroy(s->attempts, end_gone);
    s->attempts = NULL;
}
