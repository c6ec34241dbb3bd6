/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent is made of. The loop and the session are whole here; what stands on them (events, actions, collaboration)
 * is known by name only, so that no layer sees into the one above. */
#ifndef LOOM_SDK_AGENT_PARTS_H
#define LOOM_SDK_AGENT_PARTS_H

#include <loom/trace.h>

#include "base/last_error.h"
#include "base/rate_limit.h"
#include "sdk-c/agent/loop.h"
#include "sdk-c/agent/session.h"
#include "trace/export/span_link.h"
#include "trace/record/recorder.h"

typedef struct agent_counters {
    _Atomic uint64_t received, failed, invalid_context, calls_handled;
} agent_counters;

struct loom_agent {
    agent_loop loop;
    session session;

    /* fixed once open */
    loom_str id;                      /* ends with a NUL */
    loom_agent_options options;       /* of its strings, id and tls_ca_file are copies of ours, and no others are kept */
    loom_tracer_provider *provider;   /* NULL: telemetry is off */
    loom_span_processor *processor;   /* our own, or NULL */
    loom_tracer *tracer;
    size_t payload_max;               /* bytes of a payload that the spans of handlers have (payload.h) */
    struct {
        span_link *link; /* spans.h; NULL: they do not go over ours */
        span_carrier carrier;
    } spans;
    struct {
        recorder_carrier carrier; /* keeps.h */
        char where[URL_MAX];      /* the bus it goes to */
        bool wanted;              /* the bridge wants to know of traces to be kept, */
        bool inherits;            /* and takes what has been recorded when the agent leaves. Guard: the loop's lock */
        bool flushed;             /* what waited in the recorder when it closed has been told. The loop's thread */
    } keeps;
    pthread_t thread, keeper;
    bool has_thread, has_keeper;
    const struct round_ops *rounds;   /* waiting.h */

    struct events *events;            /* events/events.h */
    struct actions *actions;          /* actions/actions.h */
    struct collaboration *collaboration; /* NULL: not used yet. Guard: the loop's lock */

    atomic_bool stopped;              /* by loom_agent_stop() */
    atomic_flag exporter_told;        /* an exporter's failure has been written to standard error */
    agent_counters counters;          /* written by the loop */

    /* the loop's */
    unsigned nested;                  /* handlers that wait, one inside the other */
    struct waiting_handler *waiting;  /* the innermost of them; they lie on their stacks */
    bool outage_told;                 /* report.c: this outage has been written to standard error */
    rate_limit notices;               /* report.c: refusals written to standard error */
};

/* What every public function asks first: there is an agent, and it is this process's. LOOM_EINVAL.  LOOM_ECLOSED. */
static inline loom_status agent_check(const loom_agent *a)
{
    if (a == NULL) {
        return last_error_null("the agent");
    }
    return fork_mark_is_foreign(a->loop.mark) ? LOOM_ECLOSED : LOOM_OK;
}

/* The same of a payload. */
static inline loom_status agent_check_payload(const loom_agent *a, loom_bytes payload)
{
    if (payload.len > 0 && payload.data == NULL) {
        return last_error(LOOM_EINVAL, "the payload has a length of %zu bytes and no data", payload.len);
    }
    return agent_check(a);
}

#endif
