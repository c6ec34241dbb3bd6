/* SPDX-License-Identifier: Apache-2.0 */
/* What the flight recorder of a process that leaves holds, as requests of OTLP to its bridge. On the loop. */
#include "sdk-c/agent/keeps.h"

#include "sdk-c/agent/parts.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_write.h"
#include "trace/span/finished.h"

enum {
    HAND_OVER_MAX = 512 * 1024, /* bytes of a process, */
    HAND_OVER_FRAME = 16 * 1024 /* in frames of about so many */
};

/* An OTLP request in the making: spans that follow each other are most often of one scope. */
typedef struct estate {
    recorder_heir heir;
    loom_agent *agent;
    pb_buf request;
    size_t resource, spans_of; /* the messages that are open, while there is a scope */
    const span_scope *scope;   /* NULL: none */
    uint64_t spans;            /* in the request */
    size_t sent;               /* bytes of those before it */
    bool failed;
} estate;

static void close_scope(estate *e)
{
    if (e->scope != NULL) {
        pb_close(&e->request, e->spans_of);
        pb_close(&e->request, e->resource);
        e->scope = NULL;
    }
}

static void open_scope(estate *e, const span_scope *scope)
{
    e->resource = pb_open(&e->request, REQUEST_RESOURCE_SPANS);
    pb_raw(&e->request, scope->resource->encoded.data, scope->resource->encoded.len);
    e->spans_of = pb_open(&e->request, RESOURCE_SPANS_SCOPE_SPANS);
    pb_raw(&e->request, scope->encoded.data, scope->encoded.len);
    e->scope = scope;
}

static void send_request(estate *e, uint64_t left)
{
    close_scope(e);
    e->failed |= e->request.failed;
    if (!e->failed && (e->spans > 0 || left > 0)) {
        loom_agent *a = e->agent;
        const frame_spans f = {e->spans, {e->request.data, e->request.len}, left};
        pthread_mutex_lock(&a->loop.lock);
        e->failed = !a->keeps.inherits || frame_put_recorded(&a->loop.out.control, &f) != LOOM_OK;
        pthread_mutex_unlock(&a->loop.lock);
        e->sent += e->request.len;
    }
    pb_rollback(&e->request, 0);
    e->spans = 0;
}

static bool take(recorder_heir *self, const span_scope *scope, loom_bytes field)
{
    estate *e = (estate *)self;
    const size_t head = scope->resource->encoded.len + scope->encoded.len + 64;
    self->full = e->failed || e->sent + e->request.len + head + field.len > HAND_OVER_MAX;
    if (self->full || head + field.len > FRAME_SPANS_MAX) {
        return false;
    }
    if (e->spans > 0 && e->request.len + head + field.len > HAND_OVER_FRAME) {
        send_request(e, 0);
    }
    if (e->scope != scope) {
        close_scope(e);
        open_scope(e, scope);
    }
    pb_raw(&e->request, field.data, field.len);
    e->spans++;
    return !e->request.failed;
}

void agent_keeps_hand_over(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    const bool inherits = a->keeps.inherits;
    pthread_mutex_unlock(&a->loop.lock);
    const bool last = a->session.has_recorder && recorder_remove_carrier(&a->keeps.carrier);
    if (!a->session.has_recorder || !inherits || (!last && a->processor == NULL)) {
        return; /* another agent of this process hears of traces to be kept, and what was recorded stays */
    }
    estate e = {.heir.take = take, .agent = a};
    pb_init(&e.request, NULL, 0, FRAME_SPANS_MAX);
    send_request(&e, recorder_hand_over(&e.heir, last ? NULL : span_tracer_resource(a->tracer)));
    pb_fini(&e.request);
}
