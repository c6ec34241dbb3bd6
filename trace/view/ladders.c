/* SPDX-License-Identifier: Apache-2.0 */
/* The ladders the demos make. Adding one: a table of steps here, and a line in `ladders`. */
#include "trace/view/ladder.h"

#include <loom/trace.h>
#include <string.h>

#define LINK_TO(step) (UINT64_C(1) << (step))

/* The three spans of one publish. `from` is the index of the step that emits it, `first` that of the first of the three. */
#define PUBLISH(sender, from, first)                                                                    \
    {.name = "agent.emit", .kind = LOOM_SPAN_PRODUCER, .service = sender, .parent = from},              \
    {.name = "bridge.publish", .kind = LOOM_SPAN_CONSUMER, .service = "loom-bridge", .parent = first},  \
    {.name = "eventbus.publish", .kind = LOOM_SPAN_INTERNAL, .service = "loom-broker", .parent = (first) + 1}

/* The two of one delivery of what was published by the three from `publish` on; the receiver links the creation context,
 * which is the agent.emit. */
#define DELIVER(receiver, publish, first)                                                               \
    {.name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "loom-bridge", .parent = (publish) + 2}, \
    {.name = "agent.on_event", .kind = LOOM_SPAN_CONSUMER, .service = receiver, .parent = first,        \
     .links = LINK_TO(publish), .user_spans = true}

#define EVENT(sender, receiver, from, first) PUBLISH(sender, from, first), DELIVER(receiver, first, (first) + 3)

static const ladder_step trace_test[] = {
    {.name = "sensor.emit_data", .kind = LOOM_SPAN_INTERNAL, .service = "agent-sensor", .parent = LADDER_NONE},
    EVENT("agent-sensor", "agent-processor", 0, 1),
    EVENT("agent-processor", "agent-output", 5, 6),
};

/* One analyst: seven spans, from the price that step 1 emits to the partial at the planner. */
#define ANALYST(analyst, first)                                                                         \
    DELIVER(analyst, 1, first), EVENT(analyst, "agent-planner", (first) + 1, (first) + 2)

/* The planner's join below one of its handlers, whichever partial came first, and the plan. */
#define JOIN(outcome_is, received_are, emits, handler, first)                                           \
    {.name = "agent.join", .kind = LOOM_SPAN_CONSUMER, .service = "agent-planner", .parent = handler, .any_parent = true, \
     .links = (emits), .user_spans = true,                                                              \
     .attrs = {{"loom.join.outcome", outcome_is}, {"loom.join.received", received_are}}},               \
    PUBLISH("agent-planner", first, (first) + 1)

static const ladder_step market_analyst[] = {
    {.name = "market.tick", .kind = LOOM_SPAN_INTERNAL, .service = "agent-data", .parent = LADDER_NONE},
    PUBLISH("agent-data", 0, 1),
    ANALYST("agent-trend", 4),
    ANALYST("agent-risk", 11),
    ANALYST("agent-sentiment", 18),
    JOIN("complete", "3", LINK_TO(6) | LINK_TO(13) | LINK_TO(20), 10, 25),
};

/* Without the risk analyst the planner waits in vain, and plans with what it has. */
static const ladder_step market_analyst_timeout[] = {
    {.name = "market.tick", .kind = LOOM_SPAN_INTERNAL, .service = "agent-data", .parent = LADDER_NONE},
    PUBLISH("agent-data", 0, 1),
    ANALYST("agent-trend", 4),
    ANALYST("agent-sentiment", 11),
    JOIN("timeout", "2", LINK_TO(6) | LINK_TO(13), 10, 18),
};

#define LADDER(name, steps) {name, steps, sizeof(steps) / sizeof((steps)[0])}

static const ladder ladders[] = {
    LADDER("trace-test", trace_test),
    LADDER("market-analyst", market_analyst),
    LADDER("market-analyst-timeout", market_analyst_timeout),
};

const ladder *ladder_at(size_t index)
{
    return index < sizeof ladders / sizeof ladders[0] ? &ladders[index] : NULL;
}

const ladder *ladder_find(const char *name)
{
    for (size_t i = 0; ladder_at(i) != NULL; i++) {
        if (strcmp(ladder_at(i)->name, name) == 0) {
            return ladder_at(i);
        }
    }
    return NULL;
}
