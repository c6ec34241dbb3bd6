/* SPDX-License-Identifier: Apache-2.0 */
/* What the W3C asks of a service that takes a request and makes another one: each MUST of Trace Context level 2 about header
 * fields, mutation and processing, and of Baggage. What it asks of the grammars is in traceparent.c, tracestate.c, baggage.c.
 * Cases of the W3C's own suite (github.com/w3c/trace-context, test/test.py) are named as there. */
#include "tests/conformance/w3c/propagation.h"

#define PARENT "traceparent: 00-" TRACE_ID "-" SPAN_ID "-01\n"
#define CHILD "traceparent: 00-" TRACE_ID "-SPAN-01\n"
#define ROOT "traceparent: 00-TRACE-SPAN-03\n" /* sampled, and random */
#define M8(k) k "1=1," k "2=2," k "3=3," k "4=4," k "5=5," k "6=6," k "7=7," k "8=8"
#define MEMBERS_32 M8("a") "," M8("b") "," M8("c") "," M8("d")
#define M64(k) M8(k "1") "," M8(k "2") "," M8(k "3") "," M8(k "4") "," M8(k "5") "," M8(k "6") "," M8(k "7") "," M8(k "8")

static const hop_vector trace_context[] = {
    {"3.2 Header Name: any case is expected", "TrAcEpArEnT: 00-" TRACE_ID "-" SPAN_ID "-01\n", CHILD},
    {"test_traceparent_header_name: no other name", "trace-parent: 00-" TRACE_ID "-" SPAN_ID "-01\n", ROOT},
    {"test_traceparent_header_name: no other name", "trace.parent: 00-" TRACE_ID "-" SPAN_ID "-01\n", ROOT},
    {"test_traceparent_duplicated: several are none", PARENT "traceparent: 00-" TRACE_ID "-1234567890123456-01\n", ROOT},
    {"test_traceparent_duplicated: equal ones, too", PARENT PARENT, ROOT},
    {"test_traceparent_ows_handling", "traceparent: \t 00-" TRACE_ID "-" SPAN_ID "-01 \t\n", CHILD},
    {"3.2.2.3 trace-id: MUST ignore the header if invalid", "traceparent: 00-00000000000000000000000000000000-" SPAN_ID "-01\n", ROOT},
    {"3.2.2.3 trace-id: MUST ignore the header if invalid", "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01\n", ROOT},
    {"3.2.2.4 parent-id: MUST ignore the header if invalid", "traceparent: 00-" TRACE_ID "-0000000000000000-01\n", ROOT},
    {"3.2.2.5.1 sampled: a decision of not to record goes on", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-00\n",
     "traceparent: 00-" TRACE_ID "-SPAN-00\n"},
    {"3.2.2.5.2 random: set, MUST be set in what goes out", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-03\n",
     "traceparent: 00-" TRACE_ID "-SPAN-03\n"},
    {"3.2.2.5.2 random: set, not sampled", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-02\n", "traceparent: 00-" TRACE_ID "-SPAN-02\n"},
    {"3.2.2.5.2 random: unset, MUST be unset in what goes out", PARENT, CHILD},
    {"3.2.2.5.3 other flags MUST be zero", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-ff\n", "traceparent: 00-" TRACE_ID "-SPAN-03\n"},
    {"3.2.4 higher version: what is known is used, as version 00", "traceparent: cc-" TRACE_ID "-" SPAN_ID "-01-what-comes\n", CHILD},
    {"3.2.4 higher version: characters MUST be hex", "traceparent: cc-" TRACE_ID "-.0f067aa0ba902b7-01\n", ROOT},
    {"3.2.4 higher version: flags MUST end or be followed by a dash", "traceparent: cc-" TRACE_ID "-" SPAN_ID "-01.x\n", ROOT},
    {"3.2.2.1 version ff is invalid", "traceparent: ff-" TRACE_ID "-" SPAN_ID "-01\n", ROOT},
    {"3.4 without traceparent: a new trace", "", ROOT},
    {"3.4 a received traceparent MUST be sent, with a new parent-id (4.2)", PARENT, CHILD},
    {"3.3 traceparent failed: tracestate MUST NOT be parsed", "traceparent: 00-bad\ntracestate: a=1\n", ROOT},
    {"3.3 tracestate failed: traceparent MUST NOT be affected", PARENT "tracestate: A=1\n", CHILD},
    {"4.1 tracestate without traceparent MUST be discarded", "tracestate: a=1\n", ROOT},
    {"3.3 Header Name: any case is expected", PARENT "TraceState: a=1\n", CHILD "tracestate: a=1\n"},
    {"test_tracestate_header_name: no other name", PARENT "trace-state: a=1\n", CHILD},
    {"3.3.1 several fields MUST be combined", PARENT "tracestate: a=1\ntracestate: b=2\nTRACESTATE: c=3\n", CHILD "tracestate: a=1,b=2,c=3\n"},
    {"3.3.1 combined with empty ones", PARENT "tracestate: a=1\ntracestate:\ntracestate: b=2,\n", CHILD "tracestate: a=1,b=2\n"},
    {"3.3.1.1 an empty header MUST be accepted, and is not sent", PARENT "tracestate:\n", CHILD},
    {"3.3.1.1 32 members", PARENT "tracestate: " MEMBERS_32 "\n", CHILD "tracestate: " MEMBERS_32 "\n"},
    {"3.3.1.1 32 members, over two fields", PARENT "tracestate: " MEMBERS_32 "\ntracestate: e=1\n", CHILD},
    {"3.3.1.3.1 a key MUST begin with a letter or a digit", PARENT "tracestate: _a=1,b=2\n", CHILD},
    {"3.3.1.3.2 leading spaces MUST be preserved", PARENT "tracestate: a=  1  ,b=2\n", CHILD "tracestate: a=  1,b=2\n"},
    {"3.5 a received tracestate MUST be sent, its order preserved", PARENT "tracestate: z=1,m=2,a=3\n", CHILD "tracestate: z=1,m=2,a=3\n"},
    {"3.5 also when it is not sampled", "traceparent: 00-" TRACE_ID "-" SPAN_ID "-00\ntracestate: z=1\n",
     "traceparent: 00-" TRACE_ID "-SPAN-00\ntracestate: z=1\n"},
    {"3.5 duplicate keys MAY be discarded, never both", PARENT "tracestate: foo=1,foo=2\n", CHILD "tracestate: foo=1\n"},
    {"3.3 baggage alone is no trace", "baggage: a=1\n", ROOT "baggage: a=1\n"},
};

static const hop_vector baggage[] = {
    {"3 A received header SHOULD be passed on", PARENT "baggage: a=1;p;q=2,b=x%20y\n", CHILD "baggage: a=1;p;q=2,b=x%20y\n"},
    {"3.1 Header Name: any case", PARENT "BaGgAgE: a=1\n", CHILD "baggage: a=1\n"},
    {"RFC 9110 5.3 several fields are joined", "baggage: a=1\nbaggage: b=2\n", ROOT "baggage: a=1,b=2\n"},
    {"3.3.1.1 duplicate entries keep their order", "baggage: a=1,b=2,a=3\n", ROOT "baggage: a=1,b=2,a=3\n"},
    {"3.3.1.3 '=' MUST NOT be assumed to separate key and value alone", "baggage: a=b=c\n", ROOT "baggage: a=b=c\n"},
    {"3.3.1.3 what is percent-encoded MUST stay so", "baggage: a=%25%2C%E2%98%83\n", ROOT "baggage: a=%25%2C%E2%98%83\n"},
    {"3.3.1.4 as in properties", "baggage: a=1;p=%25%C3%A9\n", ROOT "baggage: a=1;p=%25%C3%A9\n"},
    {"3.3.2 64 members MUST be propagated", "baggage: " M64("k") "\n", ROOT "baggage: " M64("k") "\n"},
    {"3.3.2 over two fields as well", "baggage: " M64("k") "\nbaggage: l=1\n", ROOT "baggage: " M64("k") "\n"},
    {"3.3.2 no member MUST be propagated in part", "baggage: a=1,b=\"cut,c=3\n", ROOT "baggage: a=1,c=3\n"},
    {"3.3 nothing that is valid", "baggage: ;,\"\n", ROOT},
};

static void each_must_of_trace_context_holds_over_a_hop(void **state)
{
    (void)state;
    check_hops(trace_context, sizeof trace_context / sizeof trace_context[0], LOOM_PROPAGATORS_DEFAULT);
}

static void each_must_of_baggage_holds_over_a_hop(void **state)
{
    (void)state;
    check_hops(baggage, sizeof baggage / sizeof baggage[0], LOOM_PROPAGATORS_DEFAULT);
}

/* 3.3.2: all members whenever there are at most 64 of them and 8192 bytes. */
static void baggage_of_8192_bytes_passes_whole_and_a_member_beyond_them_does_not(void **state)
{
    (void)state;
    static char in[9000] = "baggage: a=", out[9000] = ROOT "baggage: a=";
    size_t in_len = strlen(in), out_len = strlen(out);
    memset(in + in_len, 'v', 8190);
    memset(out + out_len, 'v', 8190);
    strcpy(out + out_len + 8190, "\n");
    strcpy(in + in_len + 8190, "\n");
    check_hops(&(hop_vector){"3.3.2 8192 bytes", in, out}, 1, LOOM_PROPAGATORS_DEFAULT);
    strcpy(in + in_len + 8190, ",b=2\n");
    check_hops(&(hop_vector){"3.3.2 8196 bytes", in, out}, 1, LOOM_PROPAGATORS_DEFAULT);
}

/* 3.4: "If the value of the traceparent field wasn't changed before propagation, tracestate MUST NOT be modified as well":
 * what is extracted and injected without a span of its own, or by one without an SDK. */
static void what_is_passed_through_is_not_changed(void **state)
{
    (void)state;
    static const char in[] = PARENT "tracestate: z=1,m=  2,a=3\nbaggage: k=v;p\n";
    loom_header headers[HEADERS_MAX];
    loom_headers received = {.items = headers, .count = read_headers(headers, in)}, sent = {0};
    const loom_carrier from = loom_headers_carrier(&received), to = loom_headers_carrier(&sent);
    loom_propagation through;
    assert_status(LOOM_OK, loom_propagation_extract(&through, &from, LOOM_PROPAGATORS_DEFAULT, NULL));
    const loom_span_options options = loom_propagation_span_options(&through, LOOM_SPAN_SERVER);
    loom_span *span = loom_span_start(NULL, "no SDK", &options);
    assert_memory_equal(loom_span_context(span), &through.context, sizeof through.context);
    loom_span_end(span);
    assert_status(LOOM_OK, loom_propagation_inject(&to, &through, LOOM_PROPAGATORS_DEFAULT));
    assert_int_equal(received.count, sent.count);
    for (size_t i = 0; i < sent.count; i++) {
        assert_true(str_equal(received.items[i].key, sent.items[i].key));
        assert_true(str_equal(received.items[i].value, sent.items[i].value));
    }
    loom_propagation_fini(&through);
    loom_headers_fini(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_must_of_trace_context_holds_over_a_hop),
        cmocka_unit_test(each_must_of_baggage_holds_over_a_hop),
        cmocka_unit_test(baggage_of_8192_bytes_passes_whole_and_a_member_beyond_them_does_not),
        cmocka_unit_test(what_is_passed_through_is_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
