/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of summaries. A summary costs reading all spans of its trace, and lists are asked for again and again: so a store keeps
 * the last ones, each for as long as its trace has as many spans. */
#include "trace/collect/store_internal.h"

#include <stdlib.h>
#include <string.h>

struct store_summaries {
    struct {
        uint64_t spans; /* 0: there is none */
        trace_summary summary;
    } kept[STORE_SUMMARIES_MAX]; /* by the number of the trace */
};

void store_summaries_fini(store *s)
{
    for (size_t i = 0; s->summaries != NULL && i < STORE_SUMMARIES_MAX; i++) {
        trace_summary_fini(&s->summaries->kept[i].summary);
    }
    free(s->summaries);
}

typedef struct listing {
    store *store;
    store_blocks blocks;
    bool (*visit)(void *user, const trace_summary *summary);
    void *user;
} listing;

static loom_status summarise(listing *l, const store_row *row, trace_summary *out)
{
    span_list list;
    span_list_init(&list);
    loom_status st = store_blocks_read(&l->blocks, row->number, &list);
    st = st != LOOM_OK ? st : trace_summary_init(out, (span_range){list.items, list.count});
    if (st == LOOM_OK) {
        memcpy(out->trace_id, row->trace_id, LOOM_TRACE_ID_SIZE);
    }
    span_list_fini(&list);
    return st;
}

static loom_status list_row(void *user, const store_row *row, bool *more)
{
    listing *l = user;
    const size_t place = (size_t)((uint64_t)row->number % STORE_SUMMARIES_MAX);
    trace_summary *kept = &l->store->summaries->kept[place].summary, made;
    if (l->store->summaries->kept[place].spans != row->spans || memcmp(kept->trace_id, row->trace_id, LOOM_TRACE_ID_SIZE) != 0) {
        const loom_status st = summarise(l, row, &made);
        if (st != LOOM_OK) {
            return st;
        }
        trace_summary_fini(kept);
        *kept = made;
        l->store->summaries->kept[place].spans = row->spans;
    }
    *more = l->visit(l->user, kept);
    return LOOM_OK;
}

loom_status store_list(store *s, const store_filter *filter, bool (*visit)(void *user, const trace_summary *summary), void *user)
{
    listing l = {.store = s, .visit = visit, .user = user};
    if (s->summaries == NULL && (s->summaries = calloc(1, sizeof *s->summaries)) == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = store_blocks_open(&l.blocks, s, NULL);
    st = st != LOOM_OK ? st : store_walk(s, filter, list_row, &l);
    store_blocks_close(&l.blocks);
    return st;
}
