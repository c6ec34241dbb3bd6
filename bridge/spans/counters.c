/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/spans/intake.h"

#define ROW(field, kind, metric, help) COUNTER(span_intake_stats, field, kind, "loom_agent_spans_" metric, help)

static const char *refusal_name(unsigned i)
{
    static const char *const names[] = {
#define X(name, label, text) label,
        SPAN_REFUSAL_MAP(X)
#undef X
    };
    return names[i];
}

static const counter rows[] = {
    ROW(received, COUNTER_TOTAL, "received_total", "Spans that agents and bridges sent over their links."),
    ROW(accepted, COUNTER_TOTAL, "accepted_total", "Spans of those that were handed to the exporter."),
    COUNTER_FAMILY(span_intake_stats, refused[0], "refused", "loom_agent_spans_refused_total", "reason", SPAN_REFUSALS, refusal_name,
                   "Spans of those that were refused, by reason."),
    ROW(frames, COUNTER_TOTAL, "frames_total", "Frames they came in."),
    ROW(bytes, COUNTER_TOTAL, "bytes_total", "Bytes of those frames."),
    ROW(held, COUNTER_TOTAL, "held_total", "Times a sender had to wait, for its rate or for room in the export queue."),
    ROW(recorded, COUNTER_TOTAL, "recorded_total", "Spans in the flight recorder that agents handed over when they left."),
    ROW(recorded_refused, COUNTER_TOTAL, "recorded_refused_total", "Spans handed over that were refused: too many, or not in order."),
    ROW(left, COUNTER_TOTAL, "left_total", "Recorded spans that agents say they could not hand over when they left."),
    ROW(senders, COUNTER_GAUGE, "senders", "Agents and bridges that may send spans."),
    ROW(waiting, COUNTER_GAUGE, "senders_waiting", "Senders of spans that wait, for their rate or for room in the export queue."),
};

static const counter_group group = COUNTER_GROUP("agent_spans", span_intake_stats, rows);

static void read_stats(const void *in, void *stats)
{
    *(span_intake_stats *)stats = span_intake_get_stats(in);
}

counter_source span_intake_counter_source(const span_intake *in)
{
    return (counter_source){&group, in, read_stats};
}
