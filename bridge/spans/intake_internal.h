/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the intake share: who sends (sender.c), whose the resources are (identity.c), and one frame (intake.c). */
#ifndef LOOM_BRIDGE_SPANS_INTAKE_INTERNAL_H
#define LOOM_BRIDGE_SPANS_INTAKE_INTERNAL_H

#include "base/list.h"
#include "bridge/spans/check.h"
#include "bridge/spans/foreign.h"
#include "bridge/spans/intake.h"

struct span_intake {
    loom_span_processor *processor;
    const loop_clock *clock;
    uint32_t rate;
    linked_list senders, waiting;
    uint64_t handed_ns;          /* a token bucket: when the bytes that were handed over are due */
    span_intake_stats stats;
};

struct span_sender {
    span_intake *intake;
    list_node node, waiting;
    bool waits;
    span_sender_options options; /* its texts are in texts */
    char *texts;
    uint64_t window;
    uint64_t taken;              /* bytes of requests, */
    uint64_t handed;             /* and of those handed over, */
    bool left_told;              /* of which it has said how many it has not */
    frame_span_credit answer;
    uint64_t due_ns;             /* a token bucket: when the spans that were taken are due, at the rate it may have */
    size_t resource_count, resource_max;
    foreign_resource *resources[]; /* resource_max of them */
};

/* sender.c: a frame has been dealt with. */
void sender_took(span_sender *s, size_t bytes, uint64_t accepted, uint64_t refused);

/* identity.c: whether an agent may say in its hello that its spans are of this service. */
bool identity_may_serve(const span_sender *s);
/* Whether a resource is its own. SPAN_REFUSALS: it is. */
span_refusal identity_check(const span_sender *s, loom_bytes resource);
/* Whose a hop at an agent's end (agent_hop.h) is by its agent_id. Of any other span it is MAKER_OWN. */
typedef enum span_maker {
    MAKER_OWN,   /* the session's agent */
    MAKER_OTHER, /* an agent of the same process, or one that is not connected here: nobody vouches for that */
    MAKER_FORGED /* an agent that is connected here, in another process */
} span_maker;
span_maker identity_maker(const span_sender *s, loom_bytes span);
/* Whether a span is of its tenant. */
bool identity_has_tenant(const span_sender *s, loom_bytes span);

#endif
