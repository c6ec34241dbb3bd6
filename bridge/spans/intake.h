/* SPDX-License-Identifier: Apache-2.0 */
/* Takes spans that agents and bridges send (WIRE.md 4.9): each is checked and bound to who sends it; what passes is handed to
 * the process's span processor, which masks, queues, counts and exports it like a span of its own.
 *
 * Each sender may be a window of bytes ahead. It gets no new credit while it sends faster than it may, or while half of the
 * processor's queue is full: the process's own spans keep the other half.
 *
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_SPANS_INTAKE_H
#define LOOM_BRIDGE_SPANS_INTAKE_H

#include "base/clock.h"
#include "base/counters.h"
#include "envelope/frame/frame.h"

#include <loom/trace.h>

enum {
    SPAN_WINDOW = 32 * 1024,         /* bytes that an agent may be ahead: a message of its waits behind them */
    SPAN_WINDOW_BRIDGE = 128 * 1024, /* the same of a bridge, which speaks for many */
    SPAN_RESOURCES_MAX = 32,         /* of one agent */
    SPAN_RESOURCES_MAX_BRIDGE = 512, /* of a bridge: the one that came first makes room for another */
    SPAN_HAND_OVER_MAX = 1024 * 1024,           /* bytes that one agent may hand over, */
    SPAN_HAND_OVER_BURST = 4 * 1024 * 1024,     /* all of them at once, */
    SPAN_HAND_OVER_PER_SECOND = 1024 * 1024     /* and then in a second: the ring is for more than what the last one left */
};

/* Why spans were refused. X(name, label, text for people) */
#define SPAN_REFUSAL_MAP(X)                                                                                     \
    X(MALFORMED, "malformed", "they are no OTLP, or not UTF-8")                                                 \
    X(INVALID, "invalid", "their ids, names or times make no sense")                                            \
    X(TOO_LARGE, "too_large", "they are larger than 64 KiB")                                                    \
    X(IDENTITY, "identity", "their resource is not that of the agent, or they say that another one made them")  \
    X(TENANT, "tenant", "they are of another tenant")                                                           \
    X(RESOURCES, "resources", "they have too many resources or scopes")                                         \
    X(CREDIT, "credit", "they were sent without credit")                                                        \
    X(MEMORY, "memory", "the bridge is out of memory")

typedef enum span_refusal {
#define X(name, label, text) SPAN_REFUSED_##name,
    SPAN_REFUSAL_MAP(X)
#undef X
    SPAN_REFUSALS
} span_refusal;
const char *span_refusal_text(span_refusal why);

/* received = accepted + all of refused. */
typedef struct span_intake_stats {
    uint64_t received, accepted, refused[SPAN_REFUSALS];
    uint64_t frames, bytes;
    uint64_t held;    /* how often a sender had to wait for credit */
    uint64_t recorded, recorded_refused; /* of agents that left: spans put in the flight recorder, and not */
    uint64_t left;    /* of those: spans that they say they could not hand over */
    uint32_t senders; /* now: agents and bridges that may send spans */
    uint32_t waiting; /* of those, without credit */
} span_intake_stats;

typedef struct span_intake span_intake; /* of a process */
typedef struct span_sender span_sender; /* of one session, or of a bridge */

/* clock is borrowed and must outlive it. rate: spans a second of one agent. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status span_intake_create(span_intake **out, loom_span_processor *processor, const loop_clock *clock, uint32_t rate);
void span_intake_destroy(span_intake *in); /* NULL is allowed; all senders are closed */
/* Gives credit to those who waited for it and may have it. Once a round. */
void span_intake_resume(span_intake *in);
/* Whether anybody waits for that. */
bool span_intake_waits(const span_intake *in);
span_intake_stats span_intake_get_stats(const span_intake *in);
counter_source span_intake_counter_source(const span_intake *in);

typedef struct span_sender_options {
    loom_str agent;    /* its id; empty: a bridge in another process, which answers for what its agents say they are */
    loom_str service, service_instance, tenant; /* what its hello says */
    /* Whether an agent of this id is connected, and what it sends spans with; NULL: it sends none. */
    bool (*find_agent)(void *user, loom_str id, const span_sender **sender);
    /* There is new credit for span_sender_answer(). */
    void (*resumed)(void *user);
    void *user;
} span_sender_options;

/* LOOM_EDENIED: the service is another's. LOOM_ENOMEM. in NULL: LOOM_ENOTFOUND, nothing is exported here. */
LOOM_MUST_CHECK loom_status span_sender_open(span_intake *in, span_sender **out, const span_sender_options *options);
void span_sender_close(span_sender *s); /* NULL is allowed */
/* What the greeting grants: bytes. NULL: 0. */
uint64_t span_sender_credit(const span_sender *s);
/* One frame. *why: of the last that were refused. Returns how many were. s NULL: all of them, of a sender without leave. */
uint64_t span_sender_take(span_intake *in, span_sender *s, const frame_spans *f, span_refusal *why);
/* Whether it may hand over what its flight recorder holds when it leaves: there is one here to take it. NULL: no. */
bool span_sender_may_hand_over(const span_sender *s);
/* One frame of that. Without credit, but bounded for each sender, and for all of them by time. As span_sender_take(). */
uint64_t span_sender_hand_over(span_intake *in, span_sender *s, const frame_spans *f, span_refusal *why);
/* The totals as they are now. */
frame_span_credit span_sender_answer(const span_sender *s);

#endif
