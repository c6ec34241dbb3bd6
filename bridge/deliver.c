/* SPDX-License-Identifier: Apache-2.0 */
/* What the bus brings to a session: deliveries, push-back, answers.
 *
 * A delivery is one copy, from wherever the message lies into the outgoing bytes of the session; the context of its
 * bridge.forward span is patched in the copy. */
#include <string.h>

#include "bridge/session.h"
#include "trace/messaging/message_span.h"

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    session *s = user;
    bridge *b = s->bridge;
    size_t before = s->out.len;
    uint8_t *copy = frame_deliver_begin(&s->out, subscription, view->len);
    if (copy == NULL) {
        s->doomed = true; /* ends at the next frame or tick; a subscriber that misses messages must not go on */
        return;
    }
    memcpy(copy, view->data, view->len);
    loom_trace_context ctx;
    bool patch;
    loom_span *span = message_span_pass(b->options.tracer, HOP_BRIDGE_FORWARD, view, session_agent(s), &ctx, &patch);
    if (patch) {
        hop_patch(copy, &ctx);
    }
    loom_span_end(span);
    frame_batch_commit(&s->out, view->len);
    s->forwarded++;
    s->forwarded_bytes += view->len;
    b->stats.forwarded++;
    b->stats.forwarded_bytes += view->len;
    session_wake(s, before);
}

static void pressure(void *user, bool on)
{
    session *s = user;
    s->pressed = on;
    session_grant_publish(s);
}

static void answered(void *user, uint64_t request, loom_status status, const char *text)
{
    session_ack(user, request, status, text);
}

static void refused(void *user, const uint8_t id[LOOM_UUID_SIZE], loom_status status, const char *text)
{
    session *s = user;
    frame_outcome f = {.status = (uint64_t)status, .text = {text, strlen(text)}, .message_id = {id, LOOM_UUID_SIZE}};
    size_t before = s->out.len;
    s->bridge->stats.refused++;
    loom_span_record_error(s->publishing, loom_status_name(status), text); /* NULL when the answer comes later */
    session_appended(s, frame_put_outcome(&s->out, FRAME_NOTICE, &f));
    s->reply_bytes += s->out.len - before;
    session_wake(s, before);
}

const bus_handlers session_bus_handlers = {deliver, pressure, answered, refused};
