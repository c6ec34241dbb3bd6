/* SPDX-License-Identifier: Apache-2.0 */
/* What a call costs in process: invoke, request to the provider, answer, result to the caller; one thread, no I/O.
 * Prints one line a case: nanoseconds a call, and millions of calls a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/actions/actionbroker.h"
#include "tools/bench/no_options.h"

enum { ROUNDS = 5, PAYLOAD_SIZE = 128, PROVIDERS_MAX = 1000, BATCH_MAX = 1000 };

typedef struct bench {
    loop_clock clock; /* stands still */
    actionbroker *broker;
    action_party *caller;
    action_party *providers[PROVIDERS_MAX];
    uint32_t provider_count;
    loom_envelope *env;
    envelope_view view;
    uint8_t wire[1024];
    uint64_t results;
} bench;

/* Requests that wait for their answer. */
typedef struct worker {
    action_party *party;
    uint64_t refs[BATCH_MAX];
    uint32_t count;
} worker;

static worker workers[PROVIDERS_MAX];

static void check(loom_status st, const char *what)
{
    if (st != LOOM_OK) {
        fprintf(stderr, "action_bench: %s: %s\n", what, loom_status_text(st));
        exit(1);
    }
}

static void on_request(void *user, const action_request *request)
{
    worker *w = user;
    w->refs[w->count++] = request->ref;
}

static void on_result(void *user, loom_bytes call_id, const action_result *result)
{
    (void)call_id;
    (void)result;
    ((bench *)user)->results++;
}

static void no_request(void *user, const action_request *request)
{
    (void)user;
    (void)request;
}

static void no_result(void *user, loom_bytes call_id, const action_result *result)
{
    (void)user;
    (void)call_id;
    (void)result;
}

static void open_bench(bench *b, loom_tracer *tracer, uint32_t providers, uint8_t trace_flags)
{
    static const uint8_t payload[PAYLOAD_SIZE];
    memset(b, 0, sizeof *b);
    check(actionbroker_create(&b->broker, &b->clock, &(actionbroker_options){.tracer = tracer}), "broker");
    check(action_party_open(b->broker, &b->caller, &(action_handlers){.request = no_request, .result = on_result}, b,
                            (loom_str){"caller", 6}), "caller");
    b->provider_count = providers;
    for (uint32_t i = 0; i < providers; i++) {
        check(action_party_open(b->broker, &b->providers[i], &(action_handlers){.request = on_request, .result = no_result},
                                &workers[i], (loom_str){"provider", 8}), "provider");
        check(action_provide(b->providers[i], &(action_capability){.name = {"weather.lookup", 14}}), "provide");
        workers[i] = (worker){.party = b->providers[i]};
    }
    loom_envelope_fields fields = {.topic = {"weather.lookup", 14}, .sender = {"caller", 6}, .payload = {payload, sizeof payload}};
    loom_trace_id_generate(fields.context.trace_id);
    loom_span_id_generate(fields.context.span_id);
    fields.context.trace_flags = trace_flags;
    check(loom_envelope_create(&b->env, &fields), "envelope");
    b->view = *envelope_as_view(b->env);
    memcpy(b->wire, b->view.data, b->view.len);
    b->view.data = b->wire;
}

static void close_bench(bench *b)
{
    action_party_close(b->caller);
    for (uint32_t i = 0; i < b->provider_count; i++) {
        action_party_close(b->providers[i]);
    }
    actionbroker_destroy(b->broker);
    loom_envelope_unref(b->env);
}

static void answer_all(bench *b)
{
    static const uint8_t payload[PAYLOAD_SIZE];
    for (uint32_t i = 0; i < b->provider_count; i++) {
        for (uint32_t j = 0; j < workers[i].count; j++) {
            check(action_answer(workers[i].party, workers[i].refs[j], &(action_result){.payload = {payload, sizeof payload}}), "answer");
        }
        workers[i].count = 0;
    }
}

typedef struct bench_case {
    const char *what;
    uint32_t providers;
    uint32_t batch; /* calls at once before they are answered */
    uint8_t trace_flags;
    bool idempotent;
    bool same_id; /* every call is a duplicate of the first */
} bench_case;

static void run_case(loom_tracer *tracer, const bench_case *c, uint32_t calls)
{
    static bench b;
    double best = 0;
    open_bench(&b, tracer, c->providers, c->trace_flags);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = loom_time_unix_ns();
        for (uint32_t done = 0; done < calls; done += c->batch) {
            for (uint32_t i = 0; i < c->batch; i++) {
                memcpy(b.wire, loom_envelope_wire(b.env).data, ENVELOPE_PREFIX_SIZE);
                check(action_invoke(b.caller, &(action_call){
                    .call_id = {(const uint8_t *)"same", c->same_id ? 4 : 0},
                    .capability = {"weather.lookup", 14},
                    .idempotent = c->idempotent}, &b.view, b.wire, NULL, NULL), "invoke");
            }
            answer_all(&b);
        }
        const double ns = (double)(loom_time_unix_ns() - start) / calls;
        best = round == 0 || ns < best ? ns : best;
    }
    if (b.results != (uint64_t)ROUNDS * calls) {
        fprintf(stderr, "action_bench: %llu results\n", (unsigned long long)b.results);
        exit(1);
    }
    printf("%-60s %8.1f ns  %6.2f M/s\n", c->what, best, 1000.0 / best);
    fflush(stdout);
    close_bench(&b);
}

int main(int argc, char *argv[])
{
    int exit_code;
    if (!bench_may_begin(argc, argv, "Measures what a call costs in process, from invoke to its result at the caller.", &exit_code)) {
        return exit_code;
    }
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    check(loom_span_processor_create(&processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_NONE, .max_queue_size = 65536}), "span processor");
    check(loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
        .service_name = "loom-broker", .processor = processor}), "tracer provider");
    loom_tracer *tracer = loom_tracer_get(provider, "loom.broker", NULL);
    static const bench_case cases[] = {
        {.what = "1 provider, unsampled", .providers = 1, .batch = 1},
        {.what = "1 provider, unsampled, idempotent", .providers = 1, .batch = 1, .idempotent = true},
        {.what = "1 provider, sampled", .providers = 1, .batch = 1, .trace_flags = LOOM_TRACE_FLAG_SAMPLED},
        {.what = "1 provider, 1000 calls at once", .providers = 1, .batch = 1000},
        {.what = "10 providers, 100 calls at once", .providers = 10, .batch = 100},
        {.what = "1000 providers, 1000 calls at once", .providers = 1000, .batch = 1000},
        {.what = "duplicate, from the cache", .providers = 1, .batch = 1, .same_id = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(tracer, &cases[i], 200000);
    }
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    return 0;
}
