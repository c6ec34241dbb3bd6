/* SPDX-License-Identifier: Apache-2.0 */
/* What questions share that look at the spans of many traces. */
#include <jansson.h>
#include <string.h>

#include "base/str.h"
#include "host/http/query.h"
#include "host/json_text.h"
#include "tools/loom/view/internal.h"

enum { LIMIT_MAX = 500 };

typedef struct walk {
    void (*visit)(void *user, span_range trace);
    void *user;
    size_t spans;
} walk;

static bool visit_trace(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE], span_range trace)
{
    walk *w = user;
    (void)id;
    if (trace.count > 0) {
        w->visit(w->user, trace);
    }
    w->spans += trace.count;
    return w->spans < VIEW_WALK_SPANS;
}

bool view_walk(view_job *job, const store_filter *filter, void (*visit)(void *user, span_range trace), void *user, bool *cut)
{
    walk w = {.visit = visit, .user = user};
    const loom_status st = store_visit(job->reader, filter, visit_trace, &w);
    *cut = st == LOOM_ETIMEDOUT || w.spans >= VIEW_WALK_SPANS;
    if (st != LOOM_OK && st != LOOM_ETIMEDOUT) {
        view_job_fail_read(job, st);
    }
    return st == LOOM_OK || st == LOOM_ETIMEDOUT;
}

const char *view_read_limit(void *user, const char *name, const char *value)
{
    store_filter *filter = user;
    if (strcmp(name, "limit") != 0) {
        return "is not known here; there is limit=1 to 500";
    }
    return http_decode_number(&filter->limit, str_of(value), 1, LIMIT_MAX) ? NULL : "is a number from 1 to 500";
}

loom_str view_span_text(const trace_span *span, const char *key)
{
    return otlp_span_string(span->otlp.span, key);
}

void view_set_text(json_t *to, const char *key, loom_str value)
{
    if (value.len > 0) {
        json_object_set_new(to, key, json_text(value));
    }
}

void view_write_json(view_job *job, json_t *what)
{
    if (what == NULL || json_dumpf(what, job->out, JSON_COMPACT) != 0) {
        view_job_fail(job, 500, "out of memory");
    }
    json_decref(what);
}
