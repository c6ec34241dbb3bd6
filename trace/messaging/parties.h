/* SPDX-License-Identifier: Apache-2.0 */
/* The agents that a trace went through, as far as this process's flight recorder tells: for people who ask what of it is left. */
#ifndef LOOM_TRACE_MESSAGING_PARTIES_H
#define LOOM_TRACE_MESSAGING_PARTIES_H

#include "trace/record/recorder.h"

#include <loom/envelope.h>

enum { PARTIES_MAX = 32 };

typedef struct trace_party {
    char id[LOOM_AGENT_ID_MAX];
    size_t len;
    bool here; /* a span of its own is in the recorder: it has handed that over */
    uint64_t start_unix_ns; /* of the first span that names it; 0: not known */
} trace_party;

/* The first PARTIES_MAX of them. */
typedef struct trace_parties {
    recorder_trace found; /* in the recorders that were asked together */
    trace_party items[PARTIES_MAX];
    size_t count;
} trace_parties;

/* Those of this process's recorder. */
void trace_parties_find(trace_parties *out, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* One more, or the same once more; none that is a listener of the gateway. */
void trace_parties_add(trace_parties *p, loom_str id, bool here, uint64_t start_unix_ns);

#endif
