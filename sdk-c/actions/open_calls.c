/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that an agent has made and that have no outcome yet. Each ends once, on the loop: by its result, by its timer,
 * or with the session or the agent. */
#include "sdk-c/actions/open_calls.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/messaging/call_span.h"

/* The broker reports that a deadline has passed. If it does not, the agent gives up this long after. */
#define NO_ANSWER_NS (500 * MS_NS)

#define CHUNK_WINDOW 64u

/* ---- one call ---- */

open_call *open_call_create(const char *name, const loom_invoke_options *o)
{
    const char *version = o->version != NULL ? o->version : "";
    size_t name_size = strlen(name) + 1, version_size = strlen(version) + 1;
    open_call *call = calloc(1, sizeof *call + name_size + version_size);
    if (call == NULL) {
        return NULL;
    }
    call->capability = (char *)(call + 1);
    call->version = call->capability + name_size;
    memcpy(call->capability, name, name_size);
    memcpy(call->version, version, version_size);
    call->result = calloc(1, sizeof *call->result);
    if (call->result == NULL) {
        open_call_free(call);
        return NULL;
    }
    call->idle_ms = o->idle_ms;
    call->idempotent = o->idempotent;
    call->on_progress = o->on_progress;
    call->on_chunk = o->on_chunk;
    call->part_user = o->user;
    call->window = o->chunk_window != 0 ? o->chunk_window : CHUNK_WINDOW;
    return call;
}

void open_call_free(open_call *call)
{
    loom_span_end(call->span);
    loom_result_free(call->result);
    origin_fini(&call->from);
    free(call->envelope);
    free(call);
}

/* ---- in and out of the tables; lock held ---- */

static loom_bytes id_of(const open_call *call)
{
    return call->by_id.node.key;
}

static open_call *find_id(const loom_agent *a, loom_bytes id)
{
    return (open_call *)bytes_table_find(&a->actions->by_id, id);
}

static open_call *find_number(const loom_agent *a, uint64_t number)
{
    hash_node *node = hash_index_first(&a->actions->by_number, number);
    return node != NULL ? (open_call *)(void *)((char *)node - offsetof(open_call, by_number)) : NULL;
}

static void put(loom_agent *a, open_call *call, loom_bytes id)
{
    actions *s = a->actions;
    call_id_add(&s->by_id, &call->by_id, id);
    hash_index_insert(&s->by_number, &call->by_number, call->number);
    list_append(&s->open, &call->node);
}

static void take(loom_agent *a, open_call *call)
{
    actions *s = a->actions;
    bytes_table_remove(&s->by_id, &call->by_id.node);
    hash_index_remove(&s->by_number, &call->by_number);
    list_remove(&s->open, &call->node);
    loop_timer_clear(&a->loop, &call->timer);
}

/* ---- callbacks ---- */

/* Reports the outcome, which call->result holds, and frees the call. */
static void tell(loom_agent *a, open_call *call)
{
    loom_result *result = call->result;
    call->result = NULL;
    pthread_mutex_lock(&a->loop.lock);
    if (call->waiter != NULL) {
        *call->waiter = (call_waiter){.done = true, .never_sent = !call->ever_sent, .result = result};
        result = NULL;
        loop_changed(&a->loop);
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (result != NULL && call->on_result != NULL) {
        callback_scope scope = callback_begin(&a->loop, &call->from);
        call->on_result(a, result, call->user);
        callback_end(&a->loop, scope);
    } else {
        loom_result_free(result); /* its waiter has given up */
    }
    open_call_free(call);
}

/* Out of the tables: the call has its outcome. While one of its callbacks runs, which may wait and read on, the call stays
 * and the outcome is not reported: release() does both. */
static void finish(loom_agent *a, open_call *call, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload)
{
    result_set(call->result, outcome, code, text, payload);
    call_span_outcome(call->span, outcome, code, text);
    loom_span_end(call->span);
    call->span = NULL;
    pthread_mutex_lock(&a->loop.lock);
    a->actions->failed += outcome != LOOM_OUTCOME_OK;
    call->over = true;
    bool held = call->holds > 0;
    pthread_mutex_unlock(&a->loop.lock);
    if (!held) {
        tell(a, call);
    }
}

/* A callback of the call has returned. False: the call has ended meanwhile, and may be gone. */
static bool release(loom_agent *a, open_call *call)
{
    pthread_mutex_lock(&a->loop.lock);
    bool last = --call->holds == 0, over = call->over;
    loop_changed(&a->loop); /* a waiter that has given up waits for this */
    pthread_mutex_unlock(&a->loop.lock);
    if (over && last) {
        tell(a, call);
    }
    return !over;
}

static void finish_as(loom_agent *a, open_call *call, call_end end)
{
    const call_end_facts *facts = call_end_facts_of(end);
    finish(a, call, facts->outcome, facts->code, facts->text, (loom_bytes){0});
}

static void on_timer(loom_agent *a, agent_timer *timer)
{
    open_call *call = (open_call *)(void *)((char *)timer - offsetof(open_call, timer));
    pthread_mutex_lock(&a->loop.lock);
    bool cancelled = call->cancelled, sent = call->sent;
    take(a, call);
    pthread_mutex_unlock(&a->loop.lock);
    finish_as(a, call, sent ? CALL_END_NO_ANSWER : cancelled ? CALL_END_CANCELLED_UNSENT : CALL_END_NOT_CONNECTED);
}

/* ---- sending; lock held ---- */

static loom_status put_credit(loom_agent *a, open_call *call)
{
    call->granted = call->chunks + call->window;
    call->granted_bytes = call->chunk_bytes + call->window_bytes;
    return frame_put_call_credit(&a->loop.out.control, id_of(call), call->granted, call->granted_bytes);
}

/* fields: encoded in place; NULL: the envelope is there already. */
static loom_status put_call(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size)
{
    frame_writer *w = &a->loop.out.control;
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
    return LOOM_OK;
}

loom_status open_calls_send(loom_agent *a)
{
    uint64_t now = clock_monotonic_ns();
    for (list_node *node = a->actions->open.first; node != NULL; node = node->next) {
        open_call *call = list_item(node, open_call, node);
        if (call->sent || call->cancelled || call->deadline_ns <= now) {
            continue; /* its timer ends it */
        }
        loom_status st = put_call(a, call, NULL, call->envelope_len);
        if (st == LOOM_OK) {
            st = loop_timer_set(&a->loop, &call->timer, call->deadline_ns + NO_ANSWER_NS);
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
    if (a->loop.over) {
        return LOOM_ECLOSED;
    }
    if (fields->payload.len > a->session.max_payload) {
        return LOOM_ETOOBIG;
    }
    bool full = bytes_table_count(&a->actions->by_id) >= OPEN_CALLS_MAX ||
                a->loop.out.control.len + size > a->loop.out.limit;
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
    bool now = a->loop.out.up, keep = !now || call->idempotent;
    loom_status st = check_room(a, fields, size);
    if (st == LOOM_OK && keep) {
        st = keep_envelope(call, fields, size);
    }
    if (st == LOOM_OK) {
        call->timer.fire = on_timer;
        st = loop_timer_set(&a->loop, &call->timer, call->deadline_ns + (now ? NO_ANSWER_NS : 0));
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
        loop_write_soon(&a->loop, fields->timestamp_unix_ns);
    }
    a->actions->made++;
    return LOOM_OK;
}

loom_status open_calls_add(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size, loom_bytes id)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = add(a, call, fields, size, id);
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

loom_status open_calls_cancel(loom_agent *a, uint64_t number, loom_str reason)
{
    open_call *call = find_number(a, number);
    if (call == NULL) {
        return LOOM_ENOTFOUND;
    }
    if (call->sent) {
        loom_status st = frame_put_cancel(&a->loop.out.control, id_of(call), reason);
        if (st != LOOM_OK) {
            return st;
        }
        call->cancelled = true;
        loop_write_soon(&a->loop, clock_unix_ns()); /* may let go of the lock, and the call may then be over */
        return LOOM_OK;
    }
    loom_status st = loop_timer_set(&a->loop, &call->timer, 1);
    call->cancelled = st == LOOM_OK;
    return st;
}

/* ---- what the broker says; on the loop ---- */

void open_calls_on_result(loom_agent *a, const frame_result *f)
{
    pthread_mutex_lock(&a->loop.lock);
    open_call *call = find_id(a, f->call_id);
    if (call != NULL && call->sent) {
        take(a, call);
    } else {
        call = NULL;
        a->actions->late++;
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (call != NULL) {
        finish(a, call, (loom_outcome)(f->outcome <= LOOM_OUTCOME_TOO_LARGE ? f->outcome : LOOM_OUTCOME_ERROR), f->code,
               f->text, f->payload);
    }
}

static bool half_used(uint64_t taken, uint64_t granted, uint64_t window)
{
    return taken + window - granted >= (window > 1 ? window / 2 : 1);
}

/* A chunk has been handed over. */
static loom_status renew_credit(loom_agent *a, open_call *call)
{
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&a->loop.lock);
    if (call->sent && (half_used(call->chunks, call->granted, call->window) ||
                       half_used(call->chunk_bytes, call->granted_bytes, call->window_bytes))) {
        st = put_credit(a, call);
        loop_control_waits(&a->loop);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* Lock held. The callback for this report, and the call held for it. A chunk counts before it is handed over: a call that
 * is sent again while the callback waits would bring it twice. */
static loom_on_part hold_for(open_call *call, const frame_report *f)
{
    bool chunk = f->kind == FRAME_CHUNK;
    loom_on_part on_part = chunk ? call->on_chunk : f->kind == FRAME_PROGRESS ? call->on_progress : NULL;
    if (!call->sent || on_part == NULL) {
        return NULL;
    }
    call->holds++;
    if (chunk) {
        call->chunks++;
        call->chunk_bytes += f->payload.len;
    }
    return on_part;
}

loom_status open_calls_on_report(loom_agent *a, const frame_report *f)
{
    pthread_mutex_lock(&a->loop.lock);
    open_call *call = find_id(a, f->call_id);
    a->actions->late += call == NULL;
    loom_on_part on_part = call != NULL ? hold_for(call, f) : NULL;
    pthread_mutex_unlock(&a->loop.lock);
    if (on_part == NULL) {
        return LOOM_OK;
    }
    callback_scope scope = callback_begin(&a->loop, &call->from);
    on_part(a, f->number, f->payload, call->part_user);
    callback_end(&a->loop, scope);
    return release(a, call) && f->kind == FRAME_CHUNK ? renew_credit(a, call) : LOOM_OK;
}

/* ---- the end of the session, or of the agent ---- */

/* Of those that were sent, the idempotent ones wait for the next session, unless chunks of them have been handed over. */
static bool waits(const open_call *call, bool closing)
{
    return !closing && (!call->sent || (call->idempotent && call->chunks == 0 && !call->cancelled));
}

void open_calls_end(loom_agent *a, bool closing)
{
    actions *s = a->actions;
    for (list_node *node = s->open.first, *next; node != NULL; node = next) {
        open_call *call = list_item(node, open_call, node);
        next = node->next;
        if (waits(call, closing)) {
            if (call->sent && loop_timer_set(&a->loop, &call->timer, call->deadline_ns) == LOOM_OK) {
                call->sent = false;
            }
            continue;
        }
        take(a, call);
        call->end = closing ? CALL_END_CLOSED : call->cancelled ? CALL_END_CANCELLED_DISCONNECTED : CALL_END_DISCONNECTED;
        list_append(&s->ended_calls, &call->node);
    }
}

void open_calls_tell_ended(loom_agent *a)
{
    linked_list *ended = &a->actions->ended_calls;
    for (open_call *call; (call = list_item(list_take_first(ended), open_call, node)) != NULL;) {
        finish_as(a, call, call->end);
    }
}
