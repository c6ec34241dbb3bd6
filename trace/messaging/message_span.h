/* SPDX-License-Identifier: Apache-2.0 */
/* The spans that a message leaves behind on its way, one a hop. What they are called, of which kind they are and which
 * attributes they carry is said here and nowhere else: OpenTelemetry's messaging conventions (semconv 1.27, "Messaging
 * attributes"), and the plain names that users of the bus search for. */
#ifndef LOOM_TRACE_MESSAGE_SPAN_H
#define LOOM_TRACE_MESSAGE_SPAN_H

#include "base/clock.h"
#include "envelope/view.h"
#include "trace/span/provider.h"
#include "trace/span/start.h"

typedef enum message_hop {
    HOP_AGENT_EMIT,
    HOP_BRIDGE_PUBLISH,
    HOP_EVENTBUS_PUBLISH,
    HOP_EVENTBUS_DROP, /* of a message that waited */
    HOP_BRIDGE_FORWARD,
    HOP_AGENT_ON_EVENT
} message_hop;

/* What the spans of the hops are called and of which kind they are, by hop. */
extern const span_what message_hops[];

/* What is known of the message. Text that is empty makes no attribute. */
typedef struct message_facts {
    loom_str agent;          /* at the end of this hop, or its sender */
    loom_str topic;
    loom_str thread_id;      /* empty: the message's id */
    loom_str correlation_id; /* empty: the thread's */
    loom_str group;          /* in which the subscription is that it is for */
    const uint8_t *id;       /* LOOM_UUID_SIZE bytes */
    size_t payload_len;
    loom_status failure;     /* what its handler returned, which is recorded as an exception */
} message_facts;

message_facts message_facts_of(const envelope_view *view, loom_str agent);

/* For a tracer whose spans of messages are all started by one thread: it remembers how their attributes were encoded, so that
 * the next message of the same agent and topic costs less. Takes 90 KB, of which what is used is there. */
void message_span_remember(loom_tracer *tracer);

/* A span that span_decide() has found worth starting. Kind and attributes of the options are not looked at. */
loom_span *message_span_start(loom_tracer *tracer, message_hop hop, const message_facts *facts,
                              const loom_span_options *options, const loom_trace_context *decided);

/* What an EventBus did with a message. */
typedef struct message_counts {
    uint32_t matched, delivered, dropped;
} message_counts;

/* The span of one hop of a message, from its beginning to its end: as a span when it has something to say for itself or a tracestate,
 * else as what the exporter thread (message_ended.h) or the flight recorder (message_record.h) needs of it, or nothing. On the stack of whoever handles the message. */
typedef struct message_pass {
    loom_span *span;     /* NULL: there is none (yet) */
    uint64_t start_ns;   /* 0: nothing is noted down */
    loom_tracer *tracer;
    const envelope_view *view; /* NULL at an agent's end, which has facts of its own */
    loom_str agent;
    loom_str group;
    loom_trace_context ctx; /* with has_ctx what goes on with the message, most often that of the span; else its own does */
    bool has_ctx;
    uint8_t parent_id[LOOM_SPAN_ID_SIZE]; /* all zero: none */
    message_hop hop;
    bool remote;
    bool in_hop;         /* there is a hop around this one, which has looked at the clock */
} message_pass;

/* How long a hop took: a nanosecond at least, also where the clock was set back meanwhile, or two readings of it are that close. Of a
 * span without a duration Jaeger says that it is negative. */
static inline uint64_t hop_duration_ns(const message_pass *pass, uint64_t end_ns)
{
    return end_ns > pass->start_ns ? end_ns - pass->start_ns : 1;
}

/* Begins one of a message that came sampled, without a context, or unsampled to a sampler or a recorder that may want it. */
void message_pass_begin_traced(message_pass *pass, uint8_t *wire);
void message_pass_end_traced(message_pass *pass, const message_counts *counts);
/* The same of one that only the recorder wants, whatever it is, and of one that is no span at its end. */
void message_pass_begin_recorded(message_pass *pass, uint8_t *wire);
void message_pass_end_recorded(message_pass *pass, const message_counts *counts);

/* A hop of a message that is passed on, child of the context it came with, for whose span the context in wire (the message itself, or a
 * copy; NULL: it goes no further) is replaced: by that of the span, or by a new one that is not sampled, for a message that came without.
 * remote: the context it came with is of another process.
 * Inline, since most messages come unsampled and pass with a look at their flags. */
static inline void message_pass_begin(message_pass *pass, loom_tracer *tracer, message_hop hop, const envelope_view *view,
                                      loom_str agent, bool remote, uint8_t *wire)
{
    pass->span = NULL;
    pass->start_ns = 0;
    pass->has_ctx = false;
    const bool unsampled = hop_is_unsampled(view->data);
    if (unsampled && (tracer == NULL || tracer->passes_unsampled)) {
        return;
    }
    pass->tracer = tracer;
    pass->view = view;
    pass->agent = agent;
    pass->hop = hop;
    pass->remote = remote;
    if (unsampled && tracer->records_unsampled && view->field[ENV_TRACESTATE].len == 0) {
        message_pass_begin_recorded(pass, wire);
    } else {
        message_pass_begin_traced(pass, wire);
    }
}

static inline bool message_pass_is_traced(const message_pass *pass)
{
    return pass->span != NULL || pass->start_ns != 0;
}

/* counts: of eventbus.publish, else NULL. */
static inline void message_pass_end(message_pass *pass, const message_counts *counts)
{
    if (pass->span != NULL) {
        message_pass_end_traced(pass, counts);
    } else if (pass->start_ns != 0) {
        message_pass_end_recorded(pass, counts);
    }
}

/* Its span, which is made if it is not one yet: for what is not said of every message. NULL: nothing is recorded. */
loom_span *message_pass_span(message_pass *pass);
/* The group that the subscription is in which the message is for, if it is traced. Empty: none. Stays where it is until the hop ends. */
void message_pass_set_group(message_pass *pass, loom_str group);

/* The same three at an agent's end, where what is known of the message is no view, and no tracestate.
 * decided: as span_decide() made it. parent: NULL for none. start_ns: 0 for now.
 * The context of the span is pass->ctx. */
void message_pass_begin_record(message_pass *pass, loom_tracer *tracer, message_hop hop, const loom_trace_context *parent, bool remote,
                               const loom_trace_context *decided, uint64_t start_ns);
/* link: NULL for none. */
loom_span *message_pass_promote(message_pass *pass, const message_facts *facts, const loom_link *link);
/* Ends whatever there is, with the same facts and link. */
void message_pass_end_record(message_pass *pass, const message_facts *facts, const loom_link *link);

/* ---- the clock ---- */

/* Messages that follow each other at once: where one ends the next begins, with one look at the clock. Only for what is recorded.
 * Again: when something else has taken time in between. */
typedef struct message_batch {
    bool recorded;
    bool in_hop; /* before */
} message_batch;
void message_batch_begin_recorded(message_batch *batch);
void message_batch_end_recorded(const message_batch *batch);

static inline void message_batch_begin(message_batch *batch, const loom_tracer *tracer)
{
    batch->recorded = false;
    if (tracer != NULL && tracer->recorder != NULL) {
        message_batch_begin_recorded(batch);
    }
}

static inline void message_batch_end(const message_batch *batch)
{
    if (batch->recorded) {
        message_batch_end_recorded(batch);
    }
}

uint64_t message_time_recorded(void);
static inline void message_batch_again(const loom_tracer *tracer)
{
    if (tracer != NULL && tracer->recorder != NULL) {
        (void)message_time_recorded();
    }
}

/* The time as Unix nanoseconds: the recorder's, if the tracer has one, which is cheaper. */
static inline uint64_t message_time(const loom_tracer *tracer)
{
    return tracer != NULL && tracer->recorder != NULL ? message_time_recorded() : clock_unix_ns();
}

#endif
