/* SPDX-License-Identifier: Apache-2.0 */
/* What the bus brings to a session: deliveries, calls, push-back. The rest is in answer.c.
 *
 * A delivery is one copy, from wherever the message lies into the outgoing bytes of the session; the context of its
 * bridge.forward span is patched in the copy. Of a large message in shared memory only the head is copied. So is a call, whose span lives until its outcome. */
#include <string.h>

#include "bridge/session/attempts.h"
#include "bridge/session/groups.h"
#include "bridge/session/unsent.h"
#include "trace/messaging/call_span.h"
#include "trace/messaging/message_span.h"

/* copy: of the envelope, or of its first bytes. */
static inline void forward(session *s, uint64_t subscription, const envelope_view *view, uint8_t *copy)
{
    bridge *b = s->bridge;
    message_pass pass;
    message_pass_begin(&pass, b->options.tracer, HOP_BRIDGE_FORWARD, view, session_agent(s), !b->options.bus->in_process, copy);
    if (message_pass_is_traced(&pass)) {
        message_pass_set_group(&pass, groups_name(s, subscription));
    }
    message_pass_end(&pass, NULL);
    s->forwarded++;
    s->forwarded_bytes += view->len;
    b->stats.forwarded++;
    b->stats.forwarded_bytes += view->len;
}

/* A large one, without a copy of all of it. */
__attribute__((noinline)) static void deliver_shared(session *s, uint64_t subscription, const envelope_view *view)
{
    const size_t mark = session_begin(s);
    uint8_t *head = frame_deliver_head(&s->out, subscription, (loom_bytes){view->data, ENVELOPE_HEAD}, view->len);
    if (head == NULL || !splices_add(&s->spliced, s->out.len, view->shared, (loom_bytes){view->data + ENVELOPE_HEAD, view->len - ENVELOPE_HEAD})) {
        s->out.len = mark;
        session_commit(s, mark, SESSION_OTHER, LOOM_ENOMEM);
        return;
    }
    forward(s, subscription, view, head);
    s->appended += view->len - ENVELOPE_HEAD;
    session_commit(s, mark, SESSION_OTHER, LOOM_OK);
}

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    session *s = user;
    if (s->doom != LOOM_OK) {
        return;
    }
    if (view->shared != NULL && s->unsent.count == 0 && s->dead_bytes == 0) {
        deliver_shared(s, subscription, view);
        return;
    }
    const size_t mark = session_begin(s);
    uint8_t *copy = frame_deliver_begin(&s->out, subscription, view->len);
    if (copy == NULL) {
        session_commit(s, mark, SESSION_OTHER, LOOM_ENOMEM); /* a subscriber that misses messages must not go on */
        return;
    }
    memcpy(copy, view->data, view->len);
    forward(s, subscription, view, copy);
    frame_batch_commit(&s->out, view->len);
    session_commit(s, mark, SESSION_OTHER, LOOM_OK);
}

static void pressure(void *user, bool on)
{
    session *s = user;
    s->pressed = on;
    session_grant_publish(s);
}

static void wait(void *user, bool on)
{
    session *s = user;
    s->waits = on;
    s->heard_ms = s->bridge->clock->now_ms;
    if (on) {
        session_end_turn(s);
    }
}

static void call(void *user, const frame_call *f, const envelope_view *view)
{
    session *s = user;
    if (s->doom != LOOM_OK) {
        return;
    }
    if (!unsent_has_room(s, view->len)) {
        unsent_refuse(s, f->call_id);
        return;
    }
    const size_t mark = session_begin(s);
    uint8_t *copy = frame_call_begin(&s->out, f, view->len);
    if (copy == NULL) {
        session_commit(s, mark, SESSION_CALL, LOOM_ENOMEM);
        return;
    }
    memcpy(copy, view->data, view->len);
    loom_trace_context ctx;
    bool patch;
    call_facts facts = call_facts_of(view, session_agent(s), f->capability, f->version, f->call_id);
    const bool remote = !s->bridge->options.bus->in_process;
    loom_span *span = call_span_pass(s->bridge->options.tracer, HOP_ACTION_FORWARD, &facts, view, remote, &ctx, &patch);
    if (patch) {
        hop_patch(copy, &ctx);
    }
    attempts_add(s, f->call_id, span);
    unsent_add(s, f->call_id, s->out.len);
    frame_call_commit(&s->out, view->len);
    s->bridge->stats.calls.down++;
    session_commit(s, mark, SESSION_CALL, LOOM_OK);
}

/* Nothing expires: bridge_tick() ends a silent session before the bus would. */
static void ended(void *user, loom_status why)
{
    session *s = user;
    if (why == LOOM_EREPLACED) {
        s->bridge->stats.replaced++;
        session_end(s, FRAME_ERROR, why, "a newer session of the same agent took its place");
    } else if (why == LOOM_ECANCELED) {
        session_end(s, FRAME_ERROR, why, "an operator has ended the session");
    }
}

const bus_handlers session_bus_handlers = {
    .deliver = deliver, .pressure = pressure, .wait = wait, .call = call, .frame = session_answer, .ended = ended, .confirms = true};
