/* SPDX-License-Identifier: Apache-2.0 */
/* The ladders the demos make. Adding one: a table of steps here, and a line in `ladders`. */
#include "tools/loom/ladder.h"

#include <loom/trace.h>
#include <string.h>

/* The five spans of one event. `from` is the index of the step that emits it, `first` the index of the first of the
 * five; the receiver links the creation context, which is the agent.emit. */
#define EVENT(sender, receiver, from, first)                                                            \
    {"agent.emit", LOOM_SPAN_PRODUCER, sender, from, LADDER_NONE, false},                               \
    {"bridge.publish", LOOM_SPAN_CONSUMER, "loom-bridge", first, LADDER_NONE, false},                   \
    {"eventbus.publish", LOOM_SPAN_INTERNAL, "loom-broker", (first) + 1, LADDER_NONE, false},           \
    {"bridge.forward", LOOM_SPAN_PRODUCER, "loom-bridge", (first) + 2, LADDER_NONE, false},             \
    {"agent.on_event", LOOM_SPAN_CONSUMER, receiver, (first) + 3, first, true}

static const ladder_step trace_test[] = {
    {"sensor.emit_data", LOOM_SPAN_INTERNAL, "agent-sensor", LADDER_NONE, LADDER_NONE, false},
    EVENT("agent-sensor", "agent-processor", 0, 1),
    EVENT("agent-processor", "agent-output", 5, 6),
};

#define LADDER(name, steps) {name, steps, sizeof(steps) / sizeof((steps)[0])}

static const ladder ladders[] = {
    LADDER("trace-test", trace_test),
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
