/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the chain on the records of a batch. A span that has become no longer stays in its place in the queue's memory. */
#include "trace/export/rewrite.h"

#include <stdlib.h>

typedef struct grown_record {
    struct grown_record *next;
    span_record record; /* its bytes follow */
} grown_record;

loom_status rewriter_init(span_rewriter *r, const loom_span_processor_options *options)
{
    *r = (span_rewriter){0};
    loom_status st = span_chain_add(&r->chain, options->stages, options->stage_count);
    if (st == LOOM_OK) {
        st = chain_add_from_env(&r->chain, NULL);
    }
    if (st != LOOM_OK) {
        rewriter_fini(r);
    }
    return st;
}

void rewriter_clear(span_rewriter *r)
{
    while (r->grown != NULL) {
        grown_record *next = r->grown->next;
        free(r->grown);
        r->grown = next;
    }
}

void rewriter_fini(span_rewriter *r)
{
    rewriter_clear(r);
    span_chain_fini(&r->chain);
}

span_record *rewriter_run(span_rewriter *r, span_record *record)
{
    uint8_t *const bytes = (uint8_t *)(record + 1);
    loom_bytes span = span_chain_run(&r->chain, bytes, record->len);
    if (span.len > record->len) {
        grown_record *grown = malloc(sizeof *grown + span.len);
        if (grown != NULL) {
            grown->next = r->grown;
            r->grown = grown;
            grown->record = (span_record){.scope = record->scope, .len = span.len};
            memcpy(grown + 1, span.data, span.len);
            return &grown->record;
        }
        span = bare_span(bytes, record->len);
    }
    if (span.data != bytes) {
        memmove(bytes, span.data, span.len);
    }
    record->len = span.len;
    return record;
}
