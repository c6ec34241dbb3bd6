/* SPDX-License-Identifier: Apache-2.0 */
/* Invoking: the fields and their defaults, the action.invoke span, waiting for the outcome. Any thread. */
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "envelope/id.h"
#include "sdk-c/actions/open_calls.h"
#include "sdk-c/agent/inherit.h"
#include "sdk-c/agent/waiting.h"
#include "trace/messaging/call_span.h"

#define DEADLINE_DEFAULT_MS 30000u
#define DEADLINE_MAX_MS 3600000u /* the broker's */

/* ---- what is sent ---- */

static loom_status check(const loom_agent *a, const char *name, loom_bytes payload, const loom_invoke_options *o)
{
    const char *reason = "its name is missing";
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK) {
        return st;
    }
    if (name == NULL || loom_topic_check(str_of(name), &reason) != LOOM_OK || strlen(name) > FRAME_CAPABILITY_MAX) {
        reason = name != NULL && strlen(name) > FRAME_CAPABILITY_MAX ? "its name is too long" : reason;
    } else if ((o->call_id.len > 0 && o->call_id.data == NULL) || o->call_id.len > FRAME_CALL_ID_MAX) {
        reason = "call_id has no data, or is over 64 bytes";
    } else if (str_of(o->version).len > FRAME_VERSION_MAX) {
        reason = "version is too long";
    } else if (o->deadline_ms > DEADLINE_MAX_MS) {
        reason = "deadline_ms is over an hour";
    } else {
        return LOOM_OK;
    }
    return last_error(LOOM_EINVAL, "call of \"%.100s\": %s", name != NULL ? name : "", reason);
}

static loom_envelope_fields fields_of(const loom_agent *a, const char *name, loom_bytes payload,
                                      const loom_invoke_options *o)
{
    return (loom_envelope_fields){.topic = str_of(name),
                                  .payload = payload,
                                  .sender = a->id,
                                  .type = str_of(o->type),
                                  .thread_id = str_of(o->thread_id),
                                  .correlation_id = str_of(o->correlation_id),
                                  .content_type = str_of(o->content_type),
                                  .baggage = str_of(o->baggage),
                                  .headers = o->headers,
                                  .header_count = o->header_count};
}

/* Unique among the agent's processes and sessions. */
static loom_bytes own_id(const loom_agent *a, uint64_t number, uint8_t id[OWN_CALL_ID_SIZE])
{
    memcpy(id, a->session.instance, OWN_CALL_ID_SIZE - sizeof number);
    for (size_t i = 0; i < sizeof number; i++) {
        id[OWN_CALL_ID_SIZE - 1 - i] = (uint8_t)(number >> (8 * i));
    }
    return (loom_bytes){id, OWN_CALL_ID_SIZE};
}

/* Without a span of ours, what is current goes on as it is. */
static loom_span *start_span(loom_agent *a, loom_envelope_fields *f, const open_call *call, loom_bytes id,
                             inherited_text *text)
{
    loom_trace_context decided;
    if (!inherit_context(a, &call_hops[HOP_ACTION_INVOKE], f, &decided, text)) {
        return NULL;
    }
    call_facts facts = {.agent = f->sender,
                        .capability = f->topic,
                        .version = str_of(call->version),
                        .call_id = id,
                        .thread_id = f->thread_id,
                        .correlation_id = f->correlation_id,
                        .id = f->id,
                        .payload_len = f->payload.len};
    loom_span_options options = {.start_unix_ns = f->timestamp_unix_ns};
    loom_span *span = call_span_start(a->tracer, HOP_ACTION_INVOKE, &facts, &options, &decided);
    loom_envelope_inject(f, loom_span_context(span));
    inherit_tracestate(f, loom_span_tracestate(span), text);
    return span;
}

/* What is left of the call being handled is all there is for those it makes. */
static loom_status set_deadline(open_call *call, uint32_t deadline_ms)
{
    uint64_t now = clock_monotonic_ns(), limit = current_get().deadline_ns;
    call->deadline_ns = now + (deadline_ms != 0 ? deadline_ms : DEADLINE_DEFAULT_MS) * MS_NS;
    if (limit != 0 && limit < call->deadline_ns) {
        call->deadline_ns = limit;
    }
    return call->deadline_ns > now ? LOOM_OK : LOOM_ETIMEDOUT;
}

/* LOOM_OK: the call is open, and the loop's. Else it is the caller's as before. */
static loom_status send_call(loom_agent *a, open_call *call, loom_bytes payload, const loom_invoke_options *o)
{
    inherited_text text;
    size_t size;
    uint8_t own[OWN_CALL_ID_SIZE];
    loom_envelope_fields f = fields_of(a, call->capability, payload, o);
    loom_status st = inherit_message(&f, &text);
    if (st != LOOM_OK || (st = set_deadline(call, o->deadline_ms)) != LOOM_OK ||
        (st = origin_take(&call->from)) != LOOM_OK) {
        return st;
    }
    call->number = atomic_fetch_add_explicit(&a->actions->last_call, 1, memory_order_relaxed) + 1;
    call->window_bytes = a->options.receive_bytes;
    loom_bytes id = o->call_id.len > 0 ? o->call_id : own_id(a, call->number, own);
    f.timestamp_unix_ns = clock_unix_ns();
    loom_uuid7_generate_at(f.id, f.timestamp_unix_ns);
    call->span = start_span(a, &f, call, id, &text);
    st = envelope_encode_check(&f, &size);
    if (st == LOOM_OK) {
        st = open_calls_add(a, call, &f, size, id);
    }
    if (st != LOOM_OK) {
        loom_span_record_error(call->span, loom_status_name(st), loom_status_text(st));
    }
    return st;
}

/* ---- the two ways ---- */

static loom_status prepare(loom_agent *a, open_call **out, const char *name, loom_bytes payload,
                           const loom_invoke_options *options)
{
    loom_status st = check(a, name, payload, options);
    if (st != LOOM_OK) {
        return st;
    }
    *out = open_call_create(name, options);
    return *out != NULL ? LOOM_OK : LOOM_ENOMEM;
}

loom_status loom_agent_invoke_async(loom_agent *a, const char *name, loom_bytes payload,
                                    const loom_invoke_options *options, loom_on_result on_result, void *user,
                                    uint64_t *number)
{
    static const loom_invoke_options none;
    open_call *call;
    options = options != NULL ? options : &none;
    loom_status st = on_result != NULL ? prepare(a, &call, name, payload, options) : last_error_null("on_result");
    if (st != LOOM_OK) {
        return st;
    }
    call->on_result = on_result;
    call->user = user;
    call->number_out = number;
    st = send_call(a, call, payload, options);
    if (st != LOOM_OK) {
        open_call_free(call);
    }
    return st;
}

static bool is_done(void *user)
{
    return ((call_waiter *)user)->done;
}

/* The call goes on without its waiter, until it is over one way or the other. Its callbacks do not: what they use may lie on
 * the waiter's stack. */
static void stop_waiting(loom_agent *a, open_call *call, uint64_t number, call_waiter *waiter)
{
    static const loom_str reason = {"nobody waits any more", 21};
    pthread_mutex_lock(&a->loop.lock);
    if (!waiter->done) {
        call->on_progress = call->on_chunk = NULL;
    }
    while (!waiter->done && call->holds > 0) { /* on the loop none is left by now */
        loop_wait_change(&a->loop, NEVER);
    }
    if (!waiter->done) {
        call->waiter = NULL;
        (void)open_calls_cancel(a, number, reason);
    }
    pthread_mutex_unlock(&a->loop.lock);
}

static loom_status wait_for_outcome(loom_agent *a, open_call *call, uint64_t number, call_waiter *waiter)
{
    loom_status st = agent_wait_for(a, is_done, waiter, NEVER);
    if (st != LOOM_OK) {
        stop_waiting(a, call, number, waiter);
    }
    return waiter->done ? LOOM_OK : st;
}

/* result is given up where it is not asked for. */
static loom_status outcome_of(const call_waiter *waiter, loom_result **out)
{
    loom_result *result = waiter->result;
    loom_outcome outcome = loom_result_outcome(result);
    bool never_sent = waiter->never_sent && outcome == LOOM_OUTCOME_TIMEOUT;
    if (out != NULL && !never_sent) {
        *out = result;
    } else {
        loom_result_free(result);
    }
    return never_sent ? LOOM_ENOTCONN : outcome_status(outcome);
}

loom_status loom_agent_invoke(loom_agent *a, const char *name, loom_bytes payload,
                              const loom_invoke_options *options, loom_result **out)
{
    static const loom_invoke_options none;
    call_waiter waiter = {0};
    open_call *call;
    options = options != NULL ? options : &none;
    if (out != NULL) {
        *out = NULL;
    }
    loom_status st = prepare(a, &call, name, payload, options);
    if (st != LOOM_OK) {
        return st;
    }
    call->waiter = &waiter;
    loop_guest_enter(&a->loop);
    uint64_t number = 0;
    call->number_out = &number;
    if ((st = agent_may_wait(a)) != LOOM_OK || (st = send_call(a, call, payload, options)) != LOOM_OK) {
        open_call_free(call);
    } else if ((st = wait_for_outcome(a, call, number, &waiter)) == LOOM_OK) {
        st = outcome_of(&waiter, out);
    }
    loop_guest_leave(&a->loop);
    return st;
}

loom_status loom_agent_cancel(loom_agent *a, uint64_t number, const char *reason)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    if (str_of(reason).len > FRAME_TEXT_MAX) {
        return last_error(LOOM_EINVAL, "the reason has %zu bytes, and at most %u are allowed", strlen(reason), FRAME_TEXT_MAX);
    }
    pthread_mutex_lock(&a->loop.lock);
    st = open_calls_cancel(a, number, str_of(reason));
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}
