/* SPDX-License-Identifier: Apache-2.0 */
/* A call at its provider: what it consists of, who holds it, and its span. */
#include "sdk-c/actions/action.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/messaging/call_span.h"

/* ---- life ---- */

loom_status action_create(loom_agent *a, loom_action **out, capability *cap, const frame_call *f,
                          const envelope_view *view)
{
    loom_action *act = calloc(1, sizeof *act);
    loom_envelope *envelope = NULL;
    if (view->hop_in_place) {
        envelope = envelope_from_view(view);
    } else if (loom_envelope_decode(&envelope, (loom_bytes){view->data, view->len}) != LOOM_OK) {
        envelope = NULL;
    }
    if (act == NULL || envelope == NULL) {
        loom_envelope_unref(envelope);
        free(act);
        capability_unref(cap);
        return LOOM_ENOMEM;
    }
    uint64_t ms = f->deadline_ms < UINT32_MAX ? f->deadline_ms : UINT32_MAX;
    atomic_init(&act->refs, 1);
    atomic_init(&act->cancelled, false);
    atomic_fetch_add_explicit(&a->actions->home->refs, 1, memory_order_relaxed);
    act->home = a->actions->home;
    act->cap = cap;
    act->envelope = envelope;
    act->deadline_ns = clock_monotonic_ns() + ms * MS_NS;
    act->connection = a->session.connection;
    act->streams = (f->flags & FRAME_CALL_STREAMS) != 0;
    *out = act;
    return LOOM_OK;
}

loom_action *loom_action_ref(loom_action *act)
{
    if (act != NULL) {
        atomic_fetch_add_explicit(&act->refs, 1, memory_order_relaxed);
    }
    return act;
}

loom_action *action_try_ref(loom_action *act)
{
    unsigned refs = atomic_load_explicit(&act->refs, memory_order_relaxed);
    while (refs > 0 && !atomic_compare_exchange_weak_explicit(&act->refs, &refs, refs + 1, memory_order_acquire,
                                                              memory_order_relaxed)) {
    }
    return refs > 0 ? act : NULL;
}

void action_delist(loom_agent *a, loom_action *act)
{
    if (act->listed) {
        bytes_table_remove(&a->actions->worked_on, &act->id.node);
        act->listed = false;
    }
}

void action_free(loom_action *act)
{
    capability_unref(act->cap);
    loom_envelope_unref(act->envelope);
    action_home_unref(act->home);
    free(act);
}

/* ---- its span ---- */

static void cut_into(char *out, size_t size, loom_str text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.data, len);
    }
    out[len] = '\0';
}

void action_say_outcome(loom_span *span, uint64_t outcome, loom_str code, loom_str text)
{
    span_keep_error(span);
    call_span_outcome(span, outcome, code, text);
}

void action_end_span(loom_action *act, loom_outcome outcome, loom_str code, loom_str text)
{
    loom_span *span = NULL;
    pthread_mutex_lock(&act->home->lock);
    if (!act->over && act->running) {
        act->outcome = outcome;
        act->over_at = clock_unix_ns();
        cut_into(act->code, sizeof act->code, code);
        cut_into(act->text, sizeof act->text, text);
    } else if (!act->over) {
        span = act->span;
        act->span = NULL;
    }
    act->over = true;
    pthread_mutex_unlock(&act->home->lock);
    action_say_outcome(span, outcome, code, text);
    loom_span_end(span);
}

/* ---- what it says ---- */

const char *loom_action_capability(const loom_action *act)
{
    return act != NULL ? act->cap->about.name.data : "";
}

const char *loom_action_version(const loom_action *act)
{
    return act != NULL ? act->cap->about.version.data : "";
}

loom_bytes loom_action_payload(const loom_action *act)
{
    return act != NULL ? loom_envelope_payload(act->envelope) : (loom_bytes){0};
}

loom_envelope *loom_action_envelope(const loom_action *act)
{
    return act != NULL ? act->envelope : NULL;
}

uint32_t loom_action_deadline_left_ms(const loom_action *act)
{
    if (act == NULL) {
        return 0;
    }
    uint64_t now = clock_monotonic_ns();
    uint64_t ms = act->deadline_ns > now ? (act->deadline_ns - now + MS_NS - 1) / MS_NS : 0;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

bool loom_action_cancelled(const loom_action *act)
{
    return act == NULL || atomic_load(&act->cancelled) || clock_monotonic_ns() >= act->deadline_ns;
}

bool loom_action_streams(const loom_action *act)
{
    return act != NULL && act->streams;
}

const loom_trace_context *loom_action_context(const loom_action *act)
{
    return act != NULL ? &act->context : NULL;
}
