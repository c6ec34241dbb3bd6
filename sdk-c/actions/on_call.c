/* SPDX-License-Identifier: Apache-2.0 */
/* From a call frame to the handler of a capability, and what the broker says about the call later. */
#include "sdk-c/actions/on_call.h"

#include "base/str.h"
#include "sdk-c/actions/action.h"
#include "sdk-c/agent/current.h"
#include "sdk-c/agent/payload.h"
#include "sdk-c/agent/waiting.h"
#include "trace/messaging/call_span.h"

/* ---- the span ---- */

/* Makes agent.on_action the current context, or, without such a span, the context that is passed on. Returns the token with
 * which to pop it. */
static uint64_t begin_span(loom_agent *a, loom_action *act)
{
    const envelope_view *view = envelope_as_view(act->envelope);
    loom_trace_context parent, decided;
    bool has_parent = loom_envelope_extract(act->envelope, &parent);
    loom_str tracestate = has_parent ? loom_envelope_tracestate(act->envelope) : (loom_str){0};
    if (!span_decide(a->tracer, &call_hops[HOP_AGENT_ON_ACTION], &parent, has_parent, &decided)) {
        act->context = decided;
        return loom_trace_context_valid(&decided) ? loom_context_push(&decided, tracestate) : 0;
    }
    call_facts facts = call_facts_of(view, a->id, act->cap->about.name, act->cap->about.version,
                                     act->id.node.key);
    facts.kind = act->cap->kind;
    act->span = call_span_start(a->tracer, HOP_AGENT_ON_ACTION, &facts,
                                &(loom_span_options){.parent = &parent,
                                                     .parent_is_remote = has_parent,
                                                     .tracestate = tracestate},
                                &decided);
    act->context = *loom_span_context(act->span);
    if (a->payload_max > 0) {
        payload_set(act->span, loom_envelope_payload(act->envelope), a->payload_max);
    }
    /* The span may outlive the handler: popping the context below it pops the span, too. */
    uint64_t token = context_push_local(&act->context, tracestate);
    if (token != 0) {
        loom_span_make_current(act->span);
    }
    return token;
}

/* The handler has returned: if the call was answered meanwhile, its span ends with that answer. */
static void leave_span(loom_action *act, uint64_t token)
{
    loom_context_pop(token);
    pthread_mutex_lock(&act->home->lock);
    act->running = false;
    loom_span *span = act->over ? act->span : NULL;
    if (act->over) {
        act->span = NULL;
    }
    pthread_mutex_unlock(&act->home->lock);
    if (span != NULL) {
        action_say_outcome(span, act->outcome, str_of(act->code), str_of(act->text));
        loom_span_end_at(span, act->over_at);
    }
}

/* ---- the handler ---- */

static void answer_for(loom_action *act, loom_status st)
{
    loom_status answered = LOOM_OK;
    if (st != LOOM_OK) {
        answered = loom_action_fail(act, loom_status_name(st), loom_status_text(st));
    } else if (atomic_load(&act->refs) == 1) {
        answered = loom_action_reply(act, (loom_bytes){0});
        if (answered == LOOM_EINVAL) {
            answered = loom_action_fail(act, "invalid_output", loom_last_error());
        }
    }
    (void)answered; /* it had one, or nobody waits any more */
}

/* The handler's, unless the payload is not what the capability takes: then the call has been answered. */
static loom_status handle(loom_agent *a, loom_action *act)
{
    char problem[LOOM_SCHEMA_PROBLEM_SIZE];
    if (!schema_allows(act->cap->schemas.input, loom_action_payload(act), problem)) {
        loom_status answered = loom_action_fail(act, "invalid_input", problem);
        (void)answered; /* nobody waits any more */
        return LOOM_OK;
    }
    return act->cap->on_action(a, act, act->cap->user);
}

static void run(loom_agent *a, loom_action *act)
{
    bool handling = loop_handling_begin(&a->loop);
    loop_before_handler(&a->loop);
    act->started = act->running = true;
    uint64_t token = begin_span(a, act);
    current_message outer = current_set((current_message){act->envelope, act->deadline_ns});
    loom_status st = handle(a, act);
    answer_for(act, st);
    (void)current_set(outer);
    leave_span(act, token);
    atomic_fetch_add_explicit(&a->counters.calls_handled, 1, memory_order_relaxed);
    loop_after_handler(&a->loop);
    loop_handling_end(&a->loop, handling);
}

/* Consumes the reference. */
static void run_if_wanted(loom_agent *a, loom_action *act)
{
    if (!atomic_load(&act->cancelled) && act->connection == a->session.connection &&
        !atomic_load_explicit(&a->loop.closing_seen, memory_order_relaxed)) {
        run(a, act);
    }
    loom_action_unref(act);
}

/* Whether it belongs to what a handler waits for. */
static bool is_related(const loom_agent *a, const loom_action *act)
{
    char text[LOOM_UUID_TEXT_SIZE], other_text[LOOM_UUID_TEXT_SIZE];
    loom_str thread = loom_envelope_thread_id(act->envelope, text);
    for (const waiting_handler *h = a->waiting; h != NULL; h = h->outer) {
        if (h->message != NULL) {
            loom_str other = loom_envelope_thread_id(h->message, other_text);
            if (str_equal(other, thread)) {
                return true;
            }
        }
    }
    return false;
}

/* NULL: none waits. */
static loom_action *take_waiting(linked_list *of)
{
    return list_item(list_take_first(of), loom_action, waiting_node);
}

static void run_or_let_wait(loom_agent *a, loom_action *act)
{
    bool related = a->nested >= NESTED_STRANGERS_MAX && is_related(a, act);
    if (a->nested < (related ? NESTED_MAX : NESTED_STRANGERS_MAX)) {
        run_if_wanted(a, act);
    } else {
        list_append(related ? &a->actions->related : &a->actions->strangers, &act->waiting_node);
    }
}

void actions_run_waiting(loom_agent *a)
{
    loom_action *act;
    while (a->nested < NESTED_MAX && (act = take_waiting(&a->actions->related)) != NULL) {
        run_if_wanted(a, act);
    }
    while (a->nested < NESTED_STRANGERS_MAX && (act = take_waiting(&a->actions->strangers)) != NULL) {
        run_if_wanted(a, act);
    }
}

/* ---- frames ---- */

static loom_status refuse(loom_agent *a, const frame_call *f, call_end why)
{
    const call_end_facts *end = call_end_facts_of(why);
    frame_result result = {.call_id = f->call_id, .outcome = end->outcome, .code = end->code, .text = end->text};
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = frame_put_result(&a->loop.out.control, &result);
    loop_control_waits(&a->loop);
    pthread_mutex_unlock(&a->loop.lock);
    return st == LOOM_OK ? st : session_fail(&a->session, st, "%s", loom_status_text(st));
}

static void put_in_table(loom_agent *a, loom_action *act, loom_bytes id)
{
    pthread_mutex_lock(&a->loop.lock);
    call_id_add(&a->actions->worked_on, &act->id, id);
    act->listed = true;
    pthread_mutex_unlock(&a->loop.lock);
}

loom_status actions_on_call(loom_agent *a, const frame_call *f)
{
    envelope_view view;
    const char *reason = "the envelope is not all of it";
    loom_status st = envelope_scan(&view, f->envelope, NULL, &reason);
    if (st != LOOM_OK || view.len != f->envelope.len || f->call_id.len == 0) {
        return session_fail(&a->session, LOOM_EPROTO, "call frame: %s", f->call_id.len == 0 ? "no call id" : reason);
    }
    if (atomic_load_explicit(&a->loop.closing_seen, memory_order_relaxed)) {
        return LOOM_OK; /* when the session has ended, the broker asks another one, or fails the call */
    }
    pthread_mutex_lock(&a->loop.lock);
    capability *cap = capabilities_find(a, f->capability, f->version);
    pthread_mutex_unlock(&a->loop.lock);
    if (cap == NULL) {
        return refuse(a, f, CALL_END_NOT_PROVIDED);
    }
    loom_action *act;
    if (action_create(a, &act, cap, f, &view) != LOOM_OK) {
        return refuse(a, f, CALL_END_NO_MEMORY);
    }
    put_in_table(a, act, f->call_id);
    run_or_let_wait(a, act);
    return LOOM_OK;
}

/* With a reference; NULL: it is over. Lock held. */
static loom_action *find(loom_agent *a, loom_bytes id)
{
    bytes_node *node = bytes_table_find(&a->actions->worked_on, id);
    return node != NULL ? action_try_ref((loom_action *)node) : NULL;
}

/* Consumes the reference. */
static void tell_cancelled(loom_agent *a, loom_action *act)
{
    if (act->started && act->cap->on_cancel != NULL) {
        bool handling = loop_handling_begin(&a->loop);
        loop_before_handler(&a->loop);
        act->cap->on_cancel(a, act, act->cap->user);
        loop_after_handler(&a->loop);
        loop_handling_end(&a->loop, handling);
    }
    loom_action_unref(act);
}

void actions_on_cancel(loom_agent *a, loom_bytes id)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_action *act = find(a, id);
    bool first = act != NULL && !atomic_exchange(&act->cancelled, true);
    loop_changed(&a->loop); /* one may wait for credit */
    pthread_mutex_unlock(&a->loop.lock);
    if (first) {
        tell_cancelled(a, act);
    } else {
        loom_action_unref(act);
    }
}

void actions_on_credit(loom_agent *a, loom_bytes id, uint64_t chunks, uint64_t bytes)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_action *act = find(a, id);
    if (act != NULL) {
        act->credit_chunks = chunks > act->credit_chunks ? chunks : act->credit_chunks;
        act->credit_bytes = bytes > act->credit_bytes ? bytes : act->credit_bytes;
        loop_changed(&a->loop);
    }
    pthread_mutex_unlock(&a->loop.lock);
    loom_action_unref(act);
}

/* ---- the end of the session ---- */

/* Lock held. */
static void end_action(loom_agent *a, loom_action *act)
{
    act->listed = false;
    if (action_try_ref(act) != NULL) {
        list_append(&a->actions->ended_actions, &act->ended_node);
    }
}

void actions_end_worked_on(loom_agent *a)
{
    size_t hint = 0;
    for (bytes_node *node; (node = bytes_table_any(&a->actions->worked_on, &hint)) != NULL;) {
        bytes_table_remove(&a->actions->worked_on, node);
        end_action(a, (loom_action *)node);
    }
}

void actions_tell_worked_on(loom_agent *a)
{
    const call_end_facts *gone = call_end_facts_of(CALL_END_SESSION_GONE);
    linked_list *ended = &a->actions->ended_actions;
    for (loom_action *act; (act = list_item(list_take_first(ended), loom_action, ended_node)) != NULL;) {
        action_end_span(act, gone->outcome, gone->code, gone->text);
        if (!atomic_exchange(&act->cancelled, true)) {
            tell_cancelled(a, act);
        } else {
            loom_action_unref(act);
        }
    }
}

void actions_drop_waiting(loom_agent *a)
{
    loom_action *act;
    while ((act = take_waiting(&a->actions->related)) != NULL || (act = take_waiting(&a->actions->strangers)) != NULL) {
        loom_action_unref(act);
    }
}
