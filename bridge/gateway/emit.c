/* SPDX-License-Identifier: Apache-2.0 */
/* An event on its way to the bus, as an agent and its session send one: agent.emit, then bridge.publish. */
#include <loom/baggage.h>
#include <loom/topic.h>
#include <loom/tracestate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bridge/gateway/internal.h"
#include "envelope/encode.h"
#include "envelope/id.h"
#include "envelope/reserved.h"
#include "trace/messaging/message_span.h"

bool gateway_scratch(gateway *g, size_t size)
{
    if (g->scratch_size >= size) {
        return true;
    }
    uint8_t *grown = realloc(g->scratch, size);
    if (grown == NULL) {
        return false;
    }
    g->scratch = grown;
    g->scratch_size = size;
    return true;
}

void exchange_inherit(loom_envelope_fields *f, const exchange *x, loom_str tracestate, inherited *text)
{
    f->tracestate = tracestate;
    f->baggage = x->from.baggage.len <= LOOM_BAGGAGE_MAX ? x->from.baggage : (loom_str){0}; /* Baggage, 3.3.2: or none at all */
    if (tracestate.len > LOOM_TRACESTATE_MAX) {
        size_t len;
        const loom_status st = loom_tracestate_truncate(text->tracestate, sizeof text->tracestate, &len, tracestate,
                                                        LOOM_TRACESTATE_MAX);
        f->tracestate = (loom_str){text->tracestate, st == LOOM_OK ? len : 0};
    }
}

/* agent.emit under the request's span. Without one, what the client sent goes on as it is. */
static loom_span *start_emit(const gateway *g, loom_envelope_fields *f, const exchange *x, inherited *text)
{
    loom_trace_context decided;
    const loom_str state = loom_span_tracestate(x->span);
    exchange_inherit(f, x, state.len > 0 ? state : x->from.tracestate, text);
    if (!span_decide(g->options.tracer, &message_hops[HOP_AGENT_EMIT], &x->context, false, &decided)) {
        loom_envelope_inject(f, &decided);
        return NULL;
    }
    const message_facts facts = {.agent = f->sender,
                                 .topic = f->topic,
                                 .thread_id = f->thread_id,
                                 .correlation_id = f->correlation_id,
                                 .id = f->id,
                                 .payload_len = f->payload.len};
    const loom_span_options options = {.parent = &x->context, .tracestate = f->tracestate};
    loom_span *span = message_span_start(g->options.tracer, HOP_AGENT_EMIT, &facts, &options, &decided);
    loom_envelope_inject(f, loom_span_context(span));
    return span;
}

static loom_status refuse(gateway *g, loom_status st, const char *text)
{
    g->refused = st;
    snprintf(g->refusal, sizeof g->refusal, "%s", text);
    return st;
}

/* bridge.publish, and to the bus; a notice that comes at once is in g->refused. */
static void publish(gateway *g, const envelope_view *view, uint8_t *wire)
{
    message_pass pass;
    message_pass_begin(&pass, g->options.bridge_tracer, HOP_BRIDGE_PUBLISH, view, gateway_agent(g), false, wire);
    g->refused = LOOM_OK;
    g->publishing = true;
    g->options.bus->ops->publish(g->options.bus, g->port, view, wire);
    g->publishing = false;
    if (g->refused != LOOM_OK) {
        loom_span_record_error(message_pass_span(&pass), loom_status_name(g->refused), g->refusal);
    }
    message_pass_end(&pass, NULL);
}

static loom_status encode_and_publish(gateway *g, const loom_envelope_fields *f, uint8_t id[LOOM_UUID_SIZE])
{
    size_t size;
    envelope_view view;
    const char *reason = "";
    const envelope_limits limits = {.payload_max = g->options.payload_max};
    loom_status st = envelope_encode_check(f, &size);
    if (st != LOOM_OK) {
        return refuse(g, st, st == LOOM_ETOOBIG ? "a field of the event is over its limit" : "the event has no topic");
    }
    if (!gateway_scratch(g, size)) {
        return refuse(g, LOOM_ENOMEM, "out of memory");
    }
    size = envelope_encode(g->scratch, f, id);
    if ((st = envelope_scan(&view, (loom_bytes){g->scratch, size}, &limits, &reason)) != LOOM_OK) {
        return refuse(g, st, reason);
    }
    publish(g, &view, g->scratch);
    return g->refused;
}

/* False: g->refused says why not. */
static bool may_be_sent(gateway *g, const loom_envelope_fields *f)
{
    const char *why = "";
    if (g->port == NULL) {
        refuse(g, LOOM_ENOTCONN, "the gateway is not on the bus");
    } else if (broker_name_reserved(f->topic)) {
        refuse(g, LOOM_EDENIED, "topics under system. are the broker's");
    } else if (f->payload.len > g->options.payload_max) {
        refuse(g, LOOM_ETOOBIG, "the payload is over its limit");
    } else if (f->reply_to.len > 0 && loom_topic_check(f->reply_to, &why) != LOOM_OK) {
        refuse(g, LOOM_EINVAL, "");
        snprintf(g->refusal, sizeof g->refusal, "\"reply_to\" is not a topic: %s", why);
    } else {
        return true;
    }
    return false;
}

loom_status gateway_emit(gateway *g, loom_envelope_fields *f, const exchange *x, uint8_t id[LOOM_UUID_SIZE])
{
    inherited text;
    if (!may_be_sent(g, f)) {
        return g->refused;
    }
    f->sender = gateway_agent(g);
    f->ttl = f->ttl != 0 ? f->ttl : g->options.ttl;
    f->timestamp_unix_ns = clock_unix_ns();
    if ((id_word(f->id) | id_word(f->id + 8)) == 0) {
        loom_uuid7_generate_at(f->id, f->timestamp_unix_ns);
    }
    loom_span *span = start_emit(g, f, x, &text);
    const loom_status st = encode_and_publish(g, f, id);
    if (st != LOOM_OK) {
        loom_span_record_error(span, loom_status_name(st), g->refusal);
    } else {
        g->stats.published++;
    }
    loom_span_end(span);
    return st;
}

static const struct refusal_row {
    loom_status st;
    uint16_t status;
    const char *code;
} refusals[] = {
    {LOOM_EDENIED, 403, "denied"},       {LOOM_ETOOBIG, 413, "too_large"},      {LOOM_EINVAL, 400, "invalid_event"},
    {LOOM_EMALFORMED, 400, "invalid_event"}, {LOOM_EFULL, 429, "busy"},         {LOOM_ENOMEM, 503, "out_of_memory"},
    {LOOM_ENOTCONN, 503, "not_connected"}, {LOOM_EREPLACED, 503, "replaced"},
};

static const struct refusal_row *row_of(loom_status st)
{
    static const struct refusal_row other = {LOOM_OK, 502, "refused"};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (refusals[i].st == st) {
            return &refusals[i];
        }
    }
    return &other;
}

uint16_t status_of_refusal(loom_status st)
{
    return row_of(st)->status;
}

const char *code_of_refusal(loom_status st)
{
    return row_of(st)->code;
}
