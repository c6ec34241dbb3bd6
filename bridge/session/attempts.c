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

/* ---- of sessions that have ended ---- */

enum { A_TURN = 32 }; /* spans: some 50 µs */

typedef struct gone_attempts {
    list_node node;
    void *attempts;
} gone_attempts;

static void end_gone(void *node)
{
    static const loom_str code = {"provider_gone", 13}, text = {"the session of the provider ended", 33};
    attempt *a = node;
    call_span_outcome(a->span, FRAME_CALL_ERROR, code, text);
    loom_span_end(a->span);
    free(a);
}

/* At most so many. Returns how many there were. */
static unsigned end_some(void **attempts, unsigned most)
{
    unsigned ended = 0;
    for (; *attempts != NULL && ended < most; ended++) {
        attempt *a = *(attempt **)*attempts; /* the one at the root */
        tdelete(a, attempts, by_call_id);
        end_gone(a);
    }
    return ended;
}

void attempts_end_all(session *s)
{
    bridge *b = s->bridge;
    if (b->gone_attempts.first == NULL) {
        (void)end_some(&s->attempts, A_TURN);
    }
    gone_attempts *rest = s->attempts != NULL ? malloc(sizeof *rest) : NULL;
    if (rest == NULL) {
        tdestroy(s->attempts, end_gone);
    } else {
        rest->attempts = s->attempts;
        list_append(&b->gone_attempts, &rest->node);
    }
    s->attempts = NULL;
}

void attempts_take_turn(bridge *b)
{
    for (unsigned left = A_TURN; left > 0 && b->gone_attempts.first != NULL;) {
        gone_attempts *oldest = list_item(b->gone_attempts.first, gone_attempts, node); /* NOLINT(clang-analyzer-unix.Malloc): list_remove() unlinks it */
        left -= end_some(&oldest->attempts, left);
        if (oldest->attempts == NULL) {
            list_remove(&b->gone_attempts, &oldest->node);
            free(oldest);
        }
    }
}
