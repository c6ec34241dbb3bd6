/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/spans.h"

#include "base/thread.h"
#include "sdk-c/agent/parts.h"
#include "trace/span/finished.h"

enum { GOODBYE_MS = 50, FLUSH_MS = 200 }; /* of the closing time, kept for the goodbye; between two looks at the link */

static loom_agent *of_carrier(span_carrier *c)
{
    return (loom_agent *)((char *)c - offsetof(loom_agent, spans.carrier));
}

/* From the exporter thread. */
static void wake(span_carrier *self)
{
    agent_loop *loop = &of_carrier(self)->loop;
    pthread_mutex_lock(&loop->lock);
    loop->spans_wait = true;
    atomic_store(&loop->unwritten, true);
    loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

static loom_status put(void *user, uint64_t spans, loom_bytes request)
{
    send_queue *q = user;
    return frame_put_spans(&q->spans, &(frame_spans){.spans = spans, .request = request});
}

/* Lock held: the loop is about to write. */
static void fill(agent_loop *loop)
{
    loom_agent *a = (loom_agent *)((char *)loop - offsetof(loom_agent, loop));
    if (loop->out.spans.len == 0 && !span_link_take(a->spans.link, &a->spans.carrier, put, &loop->out)) {
        loop->spans_wait = false;
    }
}

void agent_spans_introduce(loom_agent *a)
{
    a->session.service = span_tracer_resource_text(a->tracer, "service.name");
    a->session.service_instance = span_tracer_resource_text(a->tracer, "service.instance.id");
    a->session.tenant = span_tracer_resource_text(a->tracer, "tenant_id");
}

void agent_spans_open(loom_agent *a)
{
    a->spans.link = a->tracer != NULL ? processor_span_link(span_tracer_processor(a->tracer)) : NULL;
    if (a->spans.link == NULL) {
        return;
    }
    agent_spans_introduce(a);
    a->loop.fill_spans = fill;
    a->loop.spans_end = SPANS_HOLD;
    a->spans.carrier.wake = wake;
    span_link_attach(a->spans.link, &a->spans.carrier);
}

void agent_spans_close(loom_agent *a)
{
    if (a->spans.link != NULL) {
        span_link_detach(a->spans.link, &a->spans.carrier);
        a->spans.link = NULL;
    }
}

void agent_spans_begun(loom_agent *a, uint64_t credit)
{
    if (a->spans.link != NULL) {
        span_link_up(a->spans.link, &a->spans.carrier, credit);
    }
}

void agent_spans_broken(loom_agent *a)
{
    if (a->spans.link != NULL) {
        span_link_down(a->spans.link, &a->spans.carrier);
        a->loop.spans_wait = false;
    }
}

void agent_spans_answered(loom_agent *a, const frame_span_credit *f)
{
    if (a->spans.link == NULL) {
        return;
    }
    span_link_answered(a->spans.link, &a->spans.carrier, f->bytes, f->spans, f->refused);
    if (span_link_has(a->spans.link, &a->spans.carrier)) {
        pthread_mutex_lock(&a->loop.lock);
        a->loop.spans_wait = true;
        loop_control_waits(&a->loop); /* the loop writes at the end of its round */
        pthread_mutex_unlock(&a->loop.lock);
    }
}

/* ---- the end ---- */

/* Lock held. Until the session would say goodbye, but for the spans. False: it never will. */
static bool wait_for_turn(agent_loop *loop)
{
    while (loop->spans_end == SPANS_HOLD) {
        (void)loop_wait_change(loop, NEVER);
    }
    return loop->spans_end == SPANS_FLUSH;
}

/* How long a flush may take; 0: it is not, or no longer, their turn. */
static int time_to_flush(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    const int left = wait_for_turn(loop) ? loop_ms_until(loop->close_deadline, clock_monotonic_ns()) - GOODBYE_MS : 0;
    pthread_mutex_unlock(&loop->lock);
    return left < FLUSH_MS ? left : FLUSH_MS;
}

void agent_spans_flush(loom_agent *a)
{
    agent_loop *loop = &a->loop;
    loom_status st = LOOM_ETIMEDOUT;
    if (a->spans.link == NULL) {
        return;
    }
    for (int ms; st == LOOM_ETIMEDOUT && (ms = time_to_flush(loop)) > 0;) {
        st = loom_span_processor_flush(span_tracer_processor(a->tracer), (uint32_t)ms); /* it reports itself */
    }
    pthread_mutex_lock(&loop->lock);
    loop->spans_end = SPANS_DONE;
    loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

static void *flush_thread(void *agent)
{
    agent_spans_flush(agent);
    return NULL;
}

void agent_spans_flush_aside(loom_agent *a, pthread_t *thread, bool *started)
{
    *started = a->spans.link != NULL && thread_start(thread, NULL, flush_thread, a) == 0;
    if (!*started) {
        agent_spans_loop_ended(a); /* without a thread the spans are lost, and counted */
    }
}

void agent_spans_loop_ended(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    a->loop.spans_end = SPANS_DONE;
    loop_changed(&a->loop);
    pthread_mutex_unlock(&a->loop.lock);
}
