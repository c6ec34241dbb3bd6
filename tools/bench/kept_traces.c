/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/kept_traces.h"

#include <string.h>

void kept_traces_add(kept_traces *k, const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    uint64_t hash;
    memcpy(&hash, id + LOOM_TRACE_ID_SIZE - sizeof hash, sizeof hash); /* random, also where the front is not */
    size_t at = hash % KEPT_TRACES_MAX;
    while (k->items[at].spans > 0 && memcmp(k->items[at].id, id, LOOM_TRACE_ID_SIZE) != 0) {
        at = (at + 1) % KEPT_TRACES_MAX;
    }
    struct kept_trace *t = &k->items[at];
    if (t->spans == 0) {
        if (k->count == KEPT_TRACES_MAX / 4 * 3) {
            return;
        }
        memcpy(t->id, id, LOOM_TRACE_ID_SIZE);
        k->count++;
    }
    t->spans++;
    k->whole += t->spans == k->whole_spans;
    k->whole -= t->spans == k->whole_spans + 1;
}
