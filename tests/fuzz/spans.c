/* SPDX-License-Identifier: Apache-2.0 */
/* A frame of spans with any bytes: each span that it says it has is accepted or refused, and what is accepted every reader of
 * OTLP takes. */
#include <stdlib.h>

#include "bridge/spans/check.h"
#include "bridge/spans/intake.h"
#include "trace/otlp/read.h"

/* What is accepted is thrown away; one processor for all runs. */
static loom_span_processor *processor(void)
{
    static loom_span_processor *p;
    if (p == NULL && loom_span_processor_create(&p, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}) != LOOM_OK) {
        p = NULL;
    }
    return p;
}

static bool find_agent(void *user, loom_str id, const span_sender **sender)
{
    (void)user;
    *sender = NULL;
    return id.len == 1;
}

static void resumed(void *user)
{
    (void)user;
}

static bool count_fine(void *user, const otlp_span *span)
{
    *(uint64_t *)user += span_check(span->span, INT64_MAX) == SPAN_FINE;
    return true;
}

/* No more are accepted than are right by themselves, whoever sends them. */
static void send_as(loom_str agent, loom_str tenant, uint64_t spans, loom_bytes request)
{
    const loop_clock clock = {.now_ms = 1000};
    const span_sender_options options = {.agent = agent, .service = {"s", 1}, .service_instance = {"i", 1}, .tenant = tenant,
                                         .find_agent = find_agent, .resumed = resumed};
    span_intake *in;
    span_sender *s;
    span_refusal why;
    if (span_intake_create(&in, processor(), &clock, 100) != LOOM_OK) {
        return;
    }
    if (span_sender_open(in, &s, &options) == LOOM_OK) {
        const uint64_t refused = span_sender_take(in, s, &(frame_spans){.spans = spans, .request = request}, &why);
        const span_intake_stats stats = span_intake_get_stats(in);
        const frame_span_credit answer = span_sender_answer(s);
        uint64_t sum = 0, fine = 0;
        for (int i = 0; i < SPAN_REFUSALS; i++) {
            sum += stats.refused[i];
        }
        const loom_status read = otlp_read_request(request, count_fine, &fine);
        if (sum != refused || stats.received != stats.accepted + refused || answer.spans != stats.received ||
            answer.refused != refused || (read == LOOM_OK && stats.accepted > fine)) {
            abort();
        }
        span_sender_close(s);
    }
    span_intake_destroy(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || processor() == NULL) {
        return 0;
    }
    const loom_bytes request = {data + 1, size - 1};
    send_as((loom_str){"a", 1}, (loom_str){"t", 1}, data[0], request);
    send_as((loom_str){0}, (loom_str){0}, data[0], request);
    return 0;
}
