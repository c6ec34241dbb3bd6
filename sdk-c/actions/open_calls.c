/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that an agent has made and that have no outcome yet. Each ends once, on the loop: by its result, by its timer,
 * or with the session or the agent. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "envelope/encode.h"
#include "sdk-c/actions/actions.h"
#include "trace/messaging/call_span.h"

/* The broker tells of a deadline. Only when it does not, this long after, the agent itself does. */
#define NO_ANSWER_NS (500 * MS_NS)

#define CODE_CANCELLED "cancelled"
#define CODE_CLOSED "closed"

/* ---- in and out of the tables; lock held ---- */

static loom_bytes id_of(const open_call *call)
{
    return call->by_id.node.key;
}

static open_call *find_id(const loom_agent *a, loom_bytes id)
{
    return (open_call *)bytes_table_find(&a->actions.by_id, id);
}

static open_call *find_number(const loom_agent *a, uint64_t number)
{
    hash_node *node = hash_index_first(&a->actions.by_number, number);
    return node != NULL ? (open_call *)((uint8_t *)node - offsetof(open_call, by_number)) : NULL;
}

static void put(loom_agent *a, open_call *call, loom_bytes id)
{
    actions_state *s = &a->actions;
    call_id_add(&s->by_id, &call->by_id, id);
    hash_index_insert(&s->by_number, &call->by_number, call->number);
    call->next = NULL;
    call->prev = s->last;
    if (s->last != NULL) {
        s->last->next = call;
    } else {
        s->first = call;
    }
    s->last = call;
}

static void take(loom_agent *a, open_call *call)
{
    actions_state *s = &a->actions;
    bytes_table_remove(&s->by_id, &call->by_id.node);
    hash_index_remove(&s->by_number, &call->by_number);
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        s->first = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    } else {
        s->last = call->prev;
    }
    agent_timer_clear(a, &call->timer);
}

/* ---- callbacks ---- */

typedef struct callback_state {
    uint64_t token;
    current_message outer;
    bool handling;
} callback_state;

/* As who invoked: in its span, and with what it was handling. */
static callback_state begin_callback(loom_agent *a, const open_call *call)
{
    callback_state state = {.handling = agent_handling_begin(a)};
    agent_before_handler(a);
    if (loom_trace_context_valid(&call->context)) {
        state.token = loom_context_push(&call->context, str_of(call->tracestate));
    }
    state.outer = dispatch_set_current((current_message){.envelope = call->message});
    return state;
}

static void end_callback(loom_agent *a, callback_state state)
{
    (void)dispatch_set_current(state.outer);
    if (state.token != 0) {
        loom_context_pop(state.token);
    }
    agent_after_handler(a);
    agent_handling_end(a, state.handling);
}

/* Out of the tables: tells who wants to know, and frees it. */
static void finish(loom_agent *a, open_call *call, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload)
{
    loom_result *result = call->result;
    call->result = NULL;
    result_set(result, outcome, code, text, payload);
    call_span_outcome(call->span, outcome, code, text);
    loom_span_end(call->span);
    call->span = NULL;
    pthread_mutex_lock(&a->lock);
    a->actions.failed += outcome != LOOM_OUTCOME_OK;
    if (call->waiter != NULL) {
        *call->waiter = (call_waiter){.done = true, .never_sent = !call->ever_sent, .result = result};
        result = NULL;
        agent_changed(a);
    }
    pthread_mutex_unlock(&a->lock);
    if (result != NULL && call->on_result != NULL) {
        callback_state state = begin_callback(a, call);
        call->on_result(a, result, call->user);
        end_callback(a, state);
    } else {
        loom_result_free(result); /* of one that waits no more */
    }
    open_call_free(call);
}

static void finish_alone(loom_agent *a, open_call *call, loom_outcome outcome, const char *code, const char *text)
{
    finish(a, call, outcome, str_of(code), str_of(text), (loom_bytes){0});
}

static void on_timer(loom_agent *a, agent_timer *timer)
{
    open_call *call = (open_call *)((uint8_t *)timer - offsetof(open_call, timer));
    pthread_mutex_lock(&a->lock);
    bool cancelled = call->cancelled, sent = call->sent;
    take(a, call);
    pthread_mutex_unlock(&a->lock);
    if (cancelled && !sent) {
        finish_alone(a, call, LOOM_OUTCOME_CANCELLED, CODE_CANCELLED, "cancelled before it was sent");
    } else if (sent) {
        finish_alone(a, call, LOOM_OUTCOME_TIMEOUT, "no_answer", "the broker has not answered by the deadline");
    } else {
        finish_alone(a, call, LOOM_OUTCOME_TIMEOUT, "not_connected", "there was no connection by the deadline");
    }
}

/* ---- sending; lock held ---- */

static loom_status put_credit(loom_agent *a, open_call *call)
{
    call->granted = call->chunks + call->window;
    call->granted_bytes = call->chunk_bytes + call->window_bytes;
    return frame_put_call_credit(&a->out.control, id_of(call), call->granted, call->granted_bytes);
}

/* fields: encoded in place; NULL: the envelope is there already. */
static loom_status put_call(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size)
{
    frame_writer *w = &a->out.control;
    size_t before = w->len;
    uint64_t now = clock_monotonic_ns();
    frame_call f = {.call_id = id_of(call),
                    .capability = str_of(call->capability),
                    .version = str_of(call->version),
                    .deadline_ms = call->deadline_ns > now ? (call->deadline_ns - now + MS_NS - 1) / MS_NS : 1,
                    .idle_ms = call->idle_ms,
                    .flags = (call->idempotent ? (uint64_t)FRAME_CALL_IDEMPOTENT : 0) |
                             (call->on_chunk != NULL ? (uint64_t)FRAME_CALL_STREAMS : 0)};
    uint8_t id[LOOM_UUID_SIZE], *room = frame_call_begin(w, &f, size);
    if (room == NULL) {
        return LOOM_ENOMEM;
    }
    if (fields != NULL) {
        size = envelope_encode(room, fields, id);
    } else {
        memcpy(room, call->envelope, size);
    }
    frame_call_commit(w, size);
    if (call->on_chunk != NULL && put_credit(a, call) != LOOM_OK) {
        w->len = before;
        return LOOM_ENOMEM;
    }
    call->sent = call->ever_sent = true;
    call->links = a->links;
    return LOOM_OK;
}

loom_status open_calls_send(loom_agent *a)
{
    uint64_t now = clock_monotonic_ns();
    for (open_call *call = a->actions.first; call != NULL; call = call->next) {
        if (call->sent || call->cancelled || call->deadline_ns <= now) {
            continue; /* its timer ends it */
        }
        loom_status st = put_call(a, call, NULL, call->envelope_len);
        if (st == LOOM_OK) {
            st = agent_timer_set(a, &call->timer, call->deadline_ns + NO_ANSWER_NS);
        }
        if (st != LOOM_OK) {
            return st;
        }
        if (!call->idempotent) {
            free(call->envelope);
            call->envelope = NULL;
        }
    }
    return LOOM_OK;
}

static loom_status check_room(loom_agent *a, const loom_envelope_fields *fields, size_t size)
{
    if (a->closing || a->state == LOOM_AGENT_CLOSED) {
        return LOOM_ECLOSED;
    }
    if (fields->payload.len > a->max_payload) {
        return LOOM_ETOOBIG;
    }
    bool full = bytes_table_count(&a->actions.by_id) >= OPEN_CALLS_MAX || a->out.control.len + size > a->out.limit;
    return full ? LOOM_EFULL : LOOM_OK;
}

/* What may have to be sent later, or again, keeps its bytes. */
static loom_status keep_envelope(open_call *call, const loom_envelope_fields *fields, size_t size)
{
    uint8_t id[LOOM_UUID_SIZE];
    call->envelope = malloc(size);
    if (call->envelope == NULL) {
        return LOOM_ENOMEM;
    }
    call->envelope_len = envelope_encode(call->envelope, fields, id);
    return LOOM_OK;
}

static loom_status add(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size, loom_bytes id)
{
    bool now = a->out.up, keep = !now || call->idempotent;
    loom_status st = check_room(a, fields, size);
    if (st == LOOM_OK && keep) {
        st = keep_envelope(call, fields, size);
    }
    if (st == LOOM_OK) {
        call->timer.fire = on_timer;
        st = agent_timer_set(a, &call->timer, call->deadline_ns + (now ? NO_ANSWER_NS : 0));
    }
    if (st != LOOM_OK) {
        return st;
    }
    if (call->number_out != NULL) {
        *call->number_out = call->number;
        call->number_out = NULL;
    }
    put(a, call, id);
    if (now) {
        st = put_call(a, call, keep ? NULL : fields, keep ? call->envelope_len : size);
        if (st != LOOM_OK) {
            take(a, call);
            return st;
        }
        agent_write_soon(a, fields->timestamp_unix_ns);
    }
    a->actions.made++;
    return LOOM_OK;
}

loom_status open_calls_add(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size, loom_bytes id)
{
    pthread_mutex_lock(&a->lock);
    loom_status st = add(a, call, fields, size, id);
    pthread_mutex_unlock(&a->lock);
    return st;
}

loom_status open_calls_cancel(loom_agent *a, uint64_t number, loom_str reason)
{
    open_call *call = find_number(a, number);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    if (call->sent) {
        loom_status st = frame_put_cancel(&a->out.control, id_of(call), reason);
        if (st != LOOM_OK) {
            return st;
        }
        agent_write_soon(a, loom_time_unix_ns());
    } else {
        loom_status st = agent_timer_set(a, &call->timer, 1);
        if (st != LOOM_OK) {
            return st;
        }
    }
    call->cancelled = true;
    return LOOM_OK;
}

/* ---- what the broker says; on the loop ---- */

void open_calls_on_result(loom_agent *a, const frame_result *f)
{
    pthread_mutex_lock(&a->lock);
    open_call *call = find_id(a, f->call_id);
    if (call != NULL && call->sent) {
        take(a, call);
    } else {
        call = NULL;
        a->actions.late++;
    }
    pthread_mutex_unlock(&a->lock);
    if (call != NULL) {
        finish(a, call, (loom_outcome)(f->outcome <= LOOM_OUTCOME_TOO_LARGE ? f->outcome : LOOM_OUTCOME_ERROR), f->code,
               f->text, f->payload);
    }
}

static bool half_used(uint64_t taken, uint64_t granted, uint64_t window)
{
    return taken + window - granted >= (window > 1 ? window / 2 : 1);
}

/* A chunk has been handed over; the call may have ended meanwhile. */
static loom_status renew_credit(loom_agent *a, uint64_t number, size_t len)
{
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&a->lock);
    open_call *call = find_number(a, number);
    if (call != NULL && call->sent) {
        call->chunks++;
        call->chunk_bytes += len;
        if (half_used(call->chunks, call->granted, call->window) ||
            half_used(call->chunk_bytes, call->granted_bytes, call->window_bytes)) {
            st = put_credit(a, call);
            agent_control_waits(a);
        }
    }
    pthread_mutex_unlock(&a->lock);
    return st;
}

loom_status open_calls_on_report(loom_agent *a, const frame_report *f)
{
    pthread_mutex_lock(&a->lock);
    open_call *call = find_id(a, f->call_id);
    a->actions.late += call == NULL;
    pthread_mutex_unlock(&a->lock);
    if (call == NULL || !call->sent) {
        return LOOM_OK;
    }
    bool chunk = f->kind == FRAME_CHUNK;
    loom_on_part on_part = chunk ? call->on_chunk : f->kind == FRAME_PROGRESS ? call->on_progress : NULL;
    if (on_part == NULL) {
        return LOOM_OK;
    }
    uint64_t number = call->number;
    callback_state state = begin_callback(a, call);
    on_part(a, f->number, f->payload, call->part_user);
    end_callback(a, state);
    return chunk ? renew_credit(a, number, f->payload.len) : LOOM_OK;
}

/* ---- the end of the session, or of the agent ---- */

/* Of those that were sent, the idempotent ones wait for the next session, unless chunks of them have been handed over. */
static bool waits(const open_call *call, bool closing)
{
    return !closing && (!call->sent || (call->idempotent && call->chunks == 0 && !call->cancelled));
}

void open_calls_end(loom_agent *a, bool closing)
{
    actions_state *s = &a->actions;
    for (open_call *call = s->first, *next; call != NULL; call = next) {
        next = call->next;
        if (waits(call, closing)) {
            if (call->sent && agent_timer_set(a, &call->timer, call->deadline_ns) == LOOM_OK) {
                call->sent = false;
            }
            continue;
        }
        take(a, call);
        call->end_code = closing ? CODE_CLOSED : call->cancelled ? CODE_CANCELLED : "disconnected";
        call->next = NULL;
        if (s->last_ended_call != NULL) {
            s->last_ended_call->next = call;
        } else {
            s->ended_calls = call;
        }
        s->last_ended_call = call;
    }
}

void open_calls_tell_ended(loom_agent *a)
{
    actions_state *s = &a->actions;
    for (open_call *call; (call = s->ended_calls) != NULL;) {
        s->ended_calls = call->next;
        if (s->ended_calls == NULL) {
            s->last_ended_call = NULL;
        }
        bool cancelled = strcmp(call->end_code, CODE_CANCELLED) == 0;
        finish_alone(a, call, cancelled ? LOOM_OUTCOME_CANCELLED : LOOM_OUTCOME_ERROR, call->end_code,
                     strcmp(call->end_code, CODE_CLOSED) == 0
                         ? "the agent has been closed"
                         : "the connection has broken, and what became of the call is not known");
    }
}
