/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/about/ID: how many spans a trace has by now, and the spans of other traces that link to it. */
#include <jansson.h>
#include <loom/trace.h>
#include <string.h>

#include "tools/loom/view/internal.h"

enum { LINKING_MAX = 20, LINKS_TOLD = 100, SPANS_READ = 5000, BYTES_READ = 8 << 20 };

typedef struct linked {
    const uint8_t *id; /* of the trace that is linked to */
    const trace_span *span;
    json_t *links;
} linked;

static bool add_link(void *user, const otlp_link *link)
{
    const linked *l = user;
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE], to[LOOM_SPAN_ID_HEX_SIZE];
    if (memcmp(link->trace_id, l->id, LOOM_TRACE_ID_SIZE) == 0 && json_array_size(l->links) < LINKS_TOLD) {
        loom_trace_id_to_hex(trace_id, l->span->otlp.trace_id);
        loom_span_id_to_hex(span_id, l->span->otlp.span_id);
        loom_span_id_to_hex(to, link->span_id);
        json_t *one = json_pack("{s:s, s:s, s:s}", "trace_id", trace_id, "span_id", span_id, "to", to);
        view_set_text(one, "name", l->span->otlp.name);
        view_set_text(one, "service", l->span->service);
        json_array_append_new(l->links, one);
    }
    return true;
}

static void add_links_of(view_job *job, const uint8_t of[LOOM_TRACE_ID_SIZE], linked *l)
{
    static const store_limits limits = {.read_spans = SPANS_READ, .read_bytes = BYTES_READ, .spans = SPANS_READ, .bytes = BYTES_READ};
    span_list list;
    uint64_t total;
    span_list_init(&list);
    if (store_load_some(job->reader, of, &limits, &list, &total) == LOOM_OK) { /* one that has been dropped meanwhile is none */
        for (size_t i = 0; i < list.count; i++) {
            l->span = &list.items[i];
            otlp_read_span_links(l->span->otlp.span, add_link, l);
        }
    }
    span_list_fini(&list);
}

static void describe(view_job *job)
{
    static const store_limits none = {.read_spans = 1, .read_bytes = BYTES_READ, .spans = 1, .bytes = BYTES_READ};
    uint8_t id[LOOM_TRACE_ID_SIZE], linking[LINKING_MAX][LOOM_TRACE_ID_SIZE];
    size_t count = 0;
    uint64_t total = 0;
    span_list first;
    if (!view_query(job, NULL, NULL) || !view_read_trace_id(job, id)) {
        return;
    }
    span_list_init(&first);
    loom_status st = store_load_some(job->reader, id, &none, &first, &total);
    span_list_fini(&first);
    if (st == LOOM_OK || st == LOOM_ENOTFOUND) { /* what links to it may have come first */
        st = store_linking(job->reader, id, linking, LINKING_MAX, &count);
    }
    uint64_t logs = 0;
    st = st == LOOM_OK ? store_count_logs(job->reader, id, &logs) : st;
    if (st != LOOM_OK) {
        view_job_fail_read(job, st);
        return;
    }
    linked l = {.id = id, .links = json_array()};
    for (size_t i = 0; i < count; i++) {
        add_links_of(job, linking[i], &l);
    }
    view_write_json(job, json_pack("{s:I, s:I, s:o}", "spans", (json_int_t)total, "logs", (json_int_t)logs, "linked", l.links));
}

void view_about(void *user, http_request *r)
{
    view_job_start(user, r, describe);
}
