/* SPDX-License-Identifier: Apache-2.0 */
/* B3 against its specification (README.md of github.com/openzipkin/b3-propagation, by its headings) and OpenTelemetry's "B3
 * Requirements". The examples of the specification are in it as they stand there. */
#include "tests/conformance/w3c/propagation.h"

#define B3 LOOM_PROPAGATOR_B3
#define MULTI LOOM_PROPAGATOR_B3MULTI

typedef struct read_vector {
    const char *clause, *in;
    const char *context; /* as a traceparent; NULL: none; "new": one of its own, not sampled */
    loom_sampling sampling;
    int answered; /* 0: nobody */
} read_vector;

static const read_vector vectors[] = {
    /* ---- the single header ---- */
    {"Single Header: example", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_ACCEPTED, B3},
    {"TraceId: example", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_ACCEPTED, B3},
    {"Sampling State: debug", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_DEBUG, B3},
    {"Sampling State: deny", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00", LOOM_SAMPLING_DENIED, B3},
    {"Sampling State: Defer is absence of the field", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_DEFERRED, B3},
    {"Sampling State: Defer, with a parent", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-05e3ac9a4f6e3b90\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_DEFERRED, B3},
    {"Sampling State: a deny decision may omit identifiers", "b3: 0\n", "new", LOOM_SAMPLING_DENIED, B3},
    {"Sampling State: sent on its own, accept", "b3: 1\n", NULL, LOOM_SAMPLING_ACCEPTED, B3},
    {"Sampling State: sent on its own, debug", "b3: d\n", NULL, LOOM_SAMPLING_DEBUG, B3},
    {"TraceId: 16 characters are the right half", "b3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-1\n",
     "00-000000000000000064fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_ACCEPTED, B3},
    {"Http Encodings: names in any case", "B3: 0\n", "new", LOOM_SAMPLING_DENIED, B3},
    {"Http Encodings: white space around a value", "b3: \t0 \n", "new", LOOM_SAMPLING_DENIED, B3},
    {"TraceId: lower hex", "b3: 80F198EE56343BA864FE8B2A57D3EFF7-e457b5a2e4d86bd1-1\n", NULL, 0, 0},
    {"TraceId: 32 or 16", "b3: 80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1\n", NULL, 0, 0},
    {"TraceId: 32 or 16", "b3: 080f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\n", NULL, 0, 0},
    {"TraceId: zeros are no id", "b3: 00000000000000000000000000000000-e457b5a2e4d86bd1-1\n", NULL, 0, 0},
    {"TraceId: zeros are no id", "b3: 0000000000000000-e457b5a2e4d86bd1-1\n", NULL, 0, 0},
    {"SpanId: required", "b3: 80f198ee56343ba864fe8b2a57d3eff7\n", NULL, 0, 0},
    {"SpanId: required", "b3: 80f198ee56343ba864fe8b2a57d3eff7-\n", NULL, 0, 0},
    {"SpanId: 16", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd-1\n", NULL, 0, 0},
    {"SpanId: zeros are no id", "b3: 80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1\n", NULL, 0, 0},
    {"Sampling State: 1, 0 or d", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-2\n", NULL, 0, 0},
    {"Sampling State: 1, 0 or d", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-true\n", NULL, 0, 0},
    {"Sampling State: 1, 0 or d", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-\n", NULL, 0, 0},
    {"ParentSpanId: 16 lower hex", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1--\n", NULL, 0, 0},
    {"ParentSpanId: 16 lower hex", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b9\n", NULL, 0, 0},
    {"ParentSpanId: the final position", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1\n", NULL, 0, 0},
    {"ParentSpanId: the final position", "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-05e3ac9a4f6e3b90-1\n", NULL, 0, 0},
    {"Single Header: nothing", "b3:\n", NULL, 0, 0},
    {"Single Header: nonsense", "b3: -\n", NULL, 0, 0},
    {"Single Header: nonsense", "b3: ---\n", NULL, 0, 0},
    /* ---- several headers ---- */
    {"Multiple Headers: example", "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7\nX-B3-ParentSpanId: 05e3ac9a4f6e3b90\n"
                                  "X-B3-SpanId: e457b5a2e4d86bd1\nX-B3-Sampled: 1\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_ACCEPTED, MULTI},
    {"gRPC Encoding: lower case", "x-b3-traceid: 80f198ee56343ba864fe8b2a57d3eff7\nx-b3-spanid: e457b5a2e4d86bd1\nx-b3-sampled: 0\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00", LOOM_SAMPLING_DENIED, MULTI},
    {"TraceId, SpanId can be sent alone", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-SpanId: a2fb4a1d1a96d312\n",
     "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01", LOOM_SAMPLING_DEFERRED, MULTI},
    {"TraceId: 16 characters are the right half", "X-B3-TraceId: 48485a3953bb6124\nX-B3-SpanId: a2fb4a1d1a96d312\nX-B3-Sampled: 1\n",
     "00-000000000000000048485a3953bb6124-a2fb4a1d1a96d312-01", LOOM_SAMPLING_ACCEPTED, MULTI},
    {"Sampling State: independently", "X-B3-Sampled: 0\n", "new", LOOM_SAMPLING_DENIED, MULTI},
    {"Sampling State: independently", "X-B3-Sampled: 1\n", NULL, LOOM_SAMPLING_ACCEPTED, MULTI},
    {"Sampling State: true and false may be accepted", "X-B3-Sampled: false\n", "new", LOOM_SAMPLING_DENIED, MULTI},
    {"Sampling State: true and false may be accepted", "X-B3-Sampled: True\n", NULL, LOOM_SAMPLING_ACCEPTED, MULTI},
    {"Sampling State: nonsense is malformed", "X-B3-Sampled: d\n", NULL, 0, 0},
    {"Sampling State: empty is malformed", "X-B3-Sampled:\n", NULL, 0, 0},
    {"Sampling State: malformed beside good ids", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-SpanId: a2fb4a1d1a96d312\nX-B3-Sampled: -\n",
     "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01", LOOM_SAMPLING_DEFERRED, MULTI},
    {"Debug Flag: implies accept", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-SpanId: a2fb4a1d1a96d312\nX-B3-Flags: 1\n",
     "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01", LOOM_SAMPLING_DEBUG, MULTI},
    {"Debug Flag: whatever Sampled says", "X-B3-Flags: 1\nX-B3-Sampled: 0\n", NULL, LOOM_SAMPLING_DEBUG, MULTI},
    {"Debug Flag: any other value can be ignored", "X-B3-Flags: 3\n", NULL, 0, 0},
    {"Multiple Headers: the first value wins", "X-B3-Sampled: 0\nX-B3-Sampled: 1\n", "new", LOOM_SAMPLING_DENIED, MULTI},
    {"SpanId: required", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-Sampled: 1\n", NULL, 0, 0},
    {"TraceId: required", "X-B3-SpanId: a2fb4a1d1a96d312\nX-B3-Sampled: 1\n", NULL, 0, 0},
    {"SpanId: 16 lower hex", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-SpanId: A2FB4A1D1A96D312\n", NULL, 0, 0},
    {"TraceId: 32 or 16", "X-B3-TraceId: -\nX-B3-SpanId: a2fb4a1d1a96d312\n", NULL, 0, 0},
    /* ---- both ---- */
    {"Http Encodings: the single header takes precedence", "X-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\nX-B3-SpanId: a2fb4a1d1a96d312\n"
                                                          "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\n",
     "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", LOOM_SAMPLING_ACCEPTED, B3},
    {"a single header that is not valid leaves the others", "b3: nonsense\nX-B3-TraceId: 463ac35c9f6413ad48485a3953bb6124\n"
                                                           "X-B3-SpanId: a2fb4a1d1a96d312\nX-B3-Sampled: 0\n",
     "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-00", LOOM_SAMPLING_DENIED, MULTI},
    {"no B3 at all", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-01\n", NULL, 0, 0},
};

static void check_read(const read_vector *v, unsigned propagators)
{
    loom_header headers[HEADERS_MAX];
    loom_headers received = {.items = headers, .count = read_headers(headers, v->in)};
    const loom_carrier from = loom_headers_carrier(&received);
    char text[LOOM_TRACEPARENT_SIZE] = "";
    loom_propagation in;
    assert_status(LOOM_OK, loom_propagation_extract(&in, &from, propagators, NULL));
    bool valid = loom_trace_context_valid(&in.context);
    if (valid) {
        loom_traceparent_format(text, &in.context);
    }
    bool new = v->context != NULL && strcmp(v->context, "new") == 0;
    bool as_said = v->context == NULL ? !valid : new ? valid && (in.context.trace_flags & 1) == 0 : strcmp(v->context, text) == 0;
    if (!as_said || (int)in.answered != v->answered || in.sampling != v->sampling) {
        fail_msg("%s: \"%s\" was read as \"%s\", sampling %d, by %d", v->clause, v->in, text, in.sampling, (int)in.answered);
    }
    assert_true((in.field != NULL) == (v->answered != 0));
    loom_propagation_fini(&in);
}

/* OpenTelemetry: "MUST attempt to extract B3 encoded using single and multi-header formats", whichever is written. */
static void each_vector_is_read_as_its_clause_says_by_either_propagator(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check_read(&vectors[i], B3);
        check_read(&vectors[i], MULTI);
        check_read(&vectors[i], B3 | MULTI | LOOM_PROPAGATOR_BAGGAGE);
    }
}

static const hop_vector to_single[] = {
    {"B3 Requirements: X-B3-SpanId is not used again, no ParentSpanId", "b3: " TRACE_ID "-" SPAN_ID "-1-05e3ac9a4f6e3b90\n",
     "b3: " TRACE_ID "-SPAN-1\n"},
    {"Why send trace IDs with a reject sampling decision?", "b3: " TRACE_ID "-" SPAN_ID "-0\n", "b3: " TRACE_ID "-SPAN-0\n"},
    {"Why propagate a reject sampling decision?", "b3: 0\n", "b3: TRACE-SPAN-0\n"},
    {"B3 Requirements: the debug flag MUST be preserved", "b3: " TRACE_ID "-" SPAN_ID "-d\n", "b3: " TRACE_ID "-SPAN-d\n"},
    {"B3 Requirements: the debug flag MUST be preserved", "x-b3-traceid: " TRACE_ID "\nx-b3-spanid: " SPAN_ID "\nx-b3-flags: 1\n",
     "b3: " TRACE_ID "-SPAN-d\n"},
    {"Sampling State: deferred is decided by the receiver", "b3: " TRACE_ID "-" SPAN_ID "\n", "b3: " TRACE_ID "-SPAN-1\n"},
    {"nothing came", "", "b3: TRACE-SPAN-1\n"},
};

static const hop_vector to_multi[] = {
    {"Multiple Headers", "b3: " TRACE_ID "-" SPAN_ID "-1\n", "x-b3-traceid: " TRACE_ID "\nx-b3-spanid: SPAN\nx-b3-sampled: 1\n"},
    {"Sampling State: deny", "X-B3-Sampled: 0\n", "x-b3-traceid: TRACE\nx-b3-spanid: SPAN\nx-b3-sampled: 0\n"},
    {"Debug Flag: don't also send the X-B3-Sampled header", "b3: " TRACE_ID "-" SPAN_ID "-d\n",
     "x-b3-traceid: " TRACE_ID "\nx-b3-spanid: SPAN\nx-b3-flags: 1\n"},
};

/* The W3C header answers first, and its tracestate carries the debug flag between two hops that speak B3. */
static const hop_vector to_all[] = {
    {"both written, W3C read first", "b3: 11111111111111111111111111111111-2222222222222222-1\ntraceparent: 00-" TRACE_ID "-" SPAN_ID "-00\n",
     "traceparent: 00-" TRACE_ID "-SPAN-00\nb3: " TRACE_ID "-SPAN-0\n"},
    {"B3 where W3C has none", "b3: " TRACE_ID "-" SPAN_ID "-d\n",
     "traceparent: 00-" TRACE_ID "-SPAN-01\ntracestate: loom=b3:debug\nb3: " TRACE_ID "-SPAN-d\n"},
    {"debug comes back from a hop that spoke W3C", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-01\ntracestate: x=1,loom=b3:debug\n",
     "traceparent: 00-" TRACE_ID "-SPAN-01\ntracestate: x=1,loom=b3:debug\nb3: " TRACE_ID "-SPAN-d\n"},
    {"debug of what is not sampled after all", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-00\ntracestate: loom=b3:debug\n",
     "traceparent: 00-" TRACE_ID "-SPAN-00\ntracestate: loom=b3:debug\nb3: " TRACE_ID "-SPAN-0\n"},
    {"B3 when traceparent is not valid", "traceparent: 00-bad\nb3: " TRACE_ID "-" SPAN_ID "-1\n",
     "traceparent: 00-" TRACE_ID "-SPAN-01\nb3: " TRACE_ID "-SPAN-1\n"},
};

static void a_hop_goes_on_in_the_form_that_is_configured(void **state)
{
    (void)state;
    check_hops(to_single, sizeof to_single / sizeof to_single[0], B3);
    check_hops(to_multi, sizeof to_multi / sizeof to_multi[0], MULTI);
    check_hops(to_all, sizeof to_all / sizeof to_all[0], B3 | LOOM_PROPAGATOR_TRACECONTEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_read_as_its_clause_says_by_either_propagator),
        cmocka_unit_test(a_hop_goes_on_in_the_form_that_is_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
