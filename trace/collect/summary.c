/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/summary.h"

#include "base/str.h"
#include "trace/collect/gaps.h"

#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>

void trace_summary_begin(trace_summary *summary, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    *summary = (trace_summary){0};
    memcpy(summary->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
}

void trace_summary_fini(trace_summary *summary)
{
    for (size_t i = 0; i < summary->service_count; i++) {
        free(summary->services[i]);
    }
    free(summary->root_name);
    free(summary->root_service);
    *summary = (trace_summary){0};
}

/* NUL-terminated; an embedded NUL cuts it, which no honest name has. */
static char *copied(loom_str text)
{
    return strndup(text.len > 0 ? text.data : "", text.len);
}

static loom_status add_service(trace_summary *summary, loom_str service)
{
    for (size_t i = 0; i < summary->service_count; i++) {
        if (service.len == 0 || str_is(service, summary->services[i])) {
            return LOOM_OK;
        }
    }
    if (service.len == 0 || summary->service_count == SUMMARY_SERVICES_MAX) {
        return LOOM_OK;
    }
    char *name = copied(service);
    if (name == NULL) {
        return LOOM_ENOMEM;
    }
    summary->services[summary->service_count++] = name;
    return LOOM_OK;
}

static loom_status set_root(trace_summary *summary, const summary_span *span)
{
    char *name = copied(span->name);
    char *service = copied(span->service);
    if (name == NULL || service == NULL) {
        free(name);
        free(service);
        return LOOM_ENOMEM;
    }
    free(summary->root_name);
    free(summary->root_service);
    summary->root_name = name;
    summary->root_service = service;
    summary->root_start_unix_ns = span->start_unix_ns;
    summary->root_found = span->is_root;
    return LOOM_OK;
}

loom_status trace_summary_add(trace_summary *summary, const summary_span *span)
{
    bool better = summary->span_count == 0 || (span->is_root && !summary->root_found) ||
                  (span->is_root == summary->root_found && span->start_unix_ns < summary->root_start_unix_ns);
    loom_status st = better ? set_root(summary, span) : LOOM_OK;
    if (st == LOOM_OK) {
        st = add_service(summary, span->service);
    }
    if (st != LOOM_OK) {
        return st;
    }
    uint64_t end = span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns : span->start_unix_ns;
    if (summary->span_count == 0 || span->start_unix_ns < summary->start_unix_ns) {
        summary->start_unix_ns = span->start_unix_ns;
    }
    if (end > summary->end_unix_ns) {
        summary->end_unix_ns = end;
    }
    summary->span_count++;
    summary->error_count += span->is_error;
    return LOOM_OK;
}

loom_status trace_summary_init(trace_summary *summary, span_range trace)
{
    static const uint8_t none[LOOM_TRACE_ID_SIZE];
    trace_summary_begin(summary, trace.count > 0 ? trace.spans[0].otlp.trace_id : none);
    for (size_t i = 0; i < trace.count; i++) {
        const otlp_span *span = &trace.spans[i].otlp;
        const summary_span row = {.name = span->name,
                                  .service = trace.spans[i].service,
                                  .is_root = span_id_is_zero(span->parent_span_id),
                                  .is_error = span->status == LOOM_SPAN_ERROR,
                                  .start_unix_ns = span->start_unix_ns,
                                  .end_unix_ns = span->end_unix_ns};
        loom_status st = trace_summary_add(summary, &row);
        if (st != LOOM_OK) {
            trace_summary_fini(summary);
            return st;
        }
    }
    const loom_status st = span_range_has_gaps(trace, &summary->incomplete);
    if (st != LOOM_OK) {
        trace_summary_fini(summary);
    }
    return st;
}
