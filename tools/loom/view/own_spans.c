/* SPDX-License-Identifier: Apache-2.0 */
/* Spans come on the exporter's thread, and the store is the loop's: a few batches wait in between. What finds no room is lost
 * and counted by the processor. */
#include <loom/sampler.h>
#include <loom/version.h>
#include <stdlib.h>
#include <string.h>

#include "tools/loom/view/own_spans.h"

enum { DELAY_MS = 100, SHUTDOWN_MS = 500 };

static bool export_batch(void *user, loom_bytes request)
{
    own_spans *s = user;
    uint8_t *copy = malloc(request.len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, request.data, request.len);
    uv_mutex_lock(&s->lock);
    const bool room = s->count < OWN_SPANS_BATCHES;
    if (room) {
        s->batches[s->count++] = (loom_bytes){copy, request.len};
    }
    uv_mutex_unlock(&s->lock);
    if (room) {
        uv_async_send(&s->wake);
    } else {
        free(copy);
    }
    return room;
}

static void store_all(own_spans *s)
{
    loom_bytes batches[OWN_SPANS_BATCHES];
    uv_mutex_lock(&s->lock);
    const size_t count = s->count;
    memcpy(batches, s->batches, count * sizeof *batches);
    s->count = 0;
    uv_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        store_receipt receipt;
        s->lost += store_add(s->db, batches[i], &receipt) != LOOM_OK;
        free((void *)(uintptr_t)batches[i].data);
    }
}

static void on_wake(uv_async_t *wake)
{
    store_all(wake->data);
}

/* Whoever publishes here wants to see the trace. But that the view has read along, or asked the broker, is
 * no part of anybody's trace. */
static bool decide(void *user, const loom_sampler_question *question)
{
    (void)user;
    const bool unasked = question->parent != NULL && (question->parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0;
    return !unasked && (question->name == NULL || strcmp(question->name, "agent.on_event") != 0);
}

static loom_status create(own_spans *s)
{
    const struct loom_sampler_custom custom = {.decide = decide};
    const loom_sampler sampler = {.kind = LOOM_SAMPLER_CUSTOM, .custom = &custom};
    loom_span_processor_options options;
    loom_span_processor_options_from_env(&options, NULL);
    if (s->db != NULL) {
        options.exporter = LOOM_EXPORTER_CALLBACK;
        options.export_batch = export_batch;
        options.user = s;
    }
    options.schedule_delay_ms = DELAY_MS;
    loom_status st = loom_span_processor_create(&s->processor, &options);
    if (st == LOOM_OK) {
        st = loom_tracer_provider_create(&s->provider, &(loom_tracer_provider_options){.default_service_name = "loom-view",
                                                                                       .sampler = &sampler, .processor = s->processor});
    }
    s->tracer = st == LOOM_OK ? loom_tracer_get(s->provider, "loom-view", LOOM_VERSION) : NULL;
    return st;
}

loom_status own_spans_open(own_spans *s, uv_loop_t *loop, store *db)
{
    *s = (own_spans){.db = db};
    if (uv_mutex_init(&s->lock) != 0) {
        return LOOM_ENOMEM;
    }
    if (uv_async_init(loop, &s->wake, on_wake) != 0) {
        uv_mutex_destroy(&s->lock);
        return LOOM_ENOMEM;
    }
    s->wake.data = s;
    s->wakes = true;
    return create(s) == LOOM_ENOMEM ? LOOM_ENOMEM : LOOM_OK; /* whatever else it is: no traces of these, then */
}

void own_spans_close(own_spans *s)
{
    if (!s->wakes) {
        return;
    }
    if (s->processor != NULL) {
        (void)loom_span_processor_shutdown(s->processor, SHUTDOWN_MS);
    }
    store_all(s);
    uv_close((uv_handle_t *)&s->wake, NULL);
    loom_tracer_provider_unref(s->provider);
    loom_span_processor_unref(s->processor);
    s->provider = NULL;
    s->processor = NULL;
}

void own_spans_fini(own_spans *s)
{
    if (s->wakes) {
        uv_mutex_destroy(&s->lock);
    }
}
