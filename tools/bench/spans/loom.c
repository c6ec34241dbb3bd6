/* SPDX-License-Identifier: Apache-2.0 */
/* The work of `loom-bench span` with Loom, as a program that links libloom does it. README.md says what the work is, and
 * what is printed. Each of the other SDKs has the same program in its own language. */
#include <loom/trace.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tools/bench/spans/allocations.h"

#define WARM_UP_NS       200000000u
#define FLUSH_TIMEOUT_MS 10000u

enum { BURST = 1024 /* the queue of the batch processor holds 2048 */, BATCH = 512 };

typedef struct bench {
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer; /* NULL: tracing is disabled */
    uint64_t bytes;      /* of requests, on the exporter thread; read when that has nothing to do */
} bench;

typedef struct work {
    const char *name;
    loom_sampler_kind sampler;
    bool disabled;
    unsigned spans;                 /* of one burst */
    void (*run)(const bench *b);    /* timed */
    void (*after)(const bench *b);  /* not timed */
} work;

typedef struct result {
    uint64_t spans, ns;
} result;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000u;
}

static bool throw_away(void *user, loom_bytes request)
{
    ((bench *)user)->bytes += request.len;
    return true;
}

static void set_five(loom_span *span)
{
    loom_span_set_string(span, "http.request.method", "GET");
    loom_span_set_string(span, "url.path", "/orders/42");
    loom_span_set_int(span, "http.response.status_code", 200);
    loom_span_set_double(span, "order.total", 129.95);
    loom_span_set_bool(span, "order.express", true);
}

static void run_spans(const bench *b)
{
    for (int i = 0; i < BURST; i++) {
        loom_span *span = loom_span_start(b->tracer, "GET /orders/{id}", NULL);
        set_five(span);
        loom_span_end(span);
    }
}

static void flush(const bench *b)
{
    if (loom_span_processor_flush(b->processor, FLUSH_TIMEOUT_MS) != LOOM_OK) {
        fprintf(stderr, "loom-bench-span: spans were lost\n");
        exit(1);
    }
}

/* Loom encodes what is said about a span at once. So there is nothing to encode apart from its whole life, from the start to
 * the bytes of the request; all of that is timed but the clock, which the spans of the other SDKs have read before. */
static void run_encode(const bench *b)
{
    const loom_span_options options = {.kind = LOOM_SPAN_INTERNAL, .start_unix_ns = 1700000000000000000u};
    for (int i = 0; i < BATCH; i++) {
        loom_span *span = loom_span_start(b->tracer, "GET /orders/{id}", &options);
        set_five(span);
        loom_span_end_at(span, 1700000000001000000u);
    }
    flush(b);
}

static void nothing(const bench *b)
{
    (void)b;
}

static const work works[] = {
    {"sampled", LOOM_SAMPLER_ALWAYS_ON, false, BURST, run_spans, flush},
    {"unsampled", LOOM_SAMPLER_ALWAYS_OFF, false, BURST, run_spans, nothing},
    {"disabled", LOOM_SAMPLER_ALWAYS_OFF, true, BURST, run_spans, nothing},
    {"encode", LOOM_SAMPLER_ALWAYS_ON, false, BATCH, run_encode, nothing},
};

static bool open_sdk(bench *b, const work *w)
{
    const loom_sampler sampler = {.kind = w->sampler, .ratio = 1};
    const loom_span_processor_options options = {
        .exporter = LOOM_EXPORTER_CALLBACK, .export_batch = throw_away, .user = b, .max_export_batch_size = BATCH};
    if (loom_span_processor_create(&b->processor, &options) != LOOM_OK ||
        loom_tracer_provider_create(&b->provider, &(loom_tracer_provider_options){.service_name = "bench",
                                                                                   .sampler = &sampler,
                                                                                   .processor = b->processor}) != LOOM_OK) {
        return false;
    }
    b->tracer = w->disabled ? NULL : loom_tracer_get(b->provider, "bench", NULL);
    return w->disabled || b->tracer != NULL;
}

static void close_sdk(bench *b)
{
    loom_tracer_provider_unref(b->provider);
    loom_span_processor_unref(b->processor);
}

static result bursts(const bench *b, const work *w, uint64_t length_ns)
{
    result r = {0};
    for (const uint64_t begin = now_ns(); now_ns() - begin < length_ns; r.spans += w->spans) {
        const uint64_t start = now_ns();
        w->run(b);
        r.ns += now_ns() - start;
        w->after(b);
    }
    return r;
}

/* No span that was sampled may be missing. */
static bool all_there(const bench *b, const work *w, uint64_t spans)
{
    const loom_span_counts counts = loom_span_processor_counts(b->processor);
    const uint64_t due = w->sampler == LOOM_SAMPLER_ALWAYS_ON ? spans : 0;
    if (counts.exported == due && (due == 0 || b->bytes > 0)) {
        return true;
    }
    fprintf(stderr, "loom-bench-span: %llu spans were due, %llu exported\n", (unsigned long long)due,
            (unsigned long long)counts.exported);
    return false;
}

static bool measure(bench *b, const work *w, double seconds)
{
    const result warm_up = bursts(b, w, WARM_UP_NS);
    const uint64_t used = cpu_ns();
    const unsigned long allocations = allocations_so_far();
    const result r = bursts(b, w, (uint64_t)(seconds * 1e9));
    printf("spans %llu ns %llu cpu_ns %llu allocations %lu\n", (unsigned long long)r.spans, (unsigned long long)r.ns,
           (unsigned long long)(cpu_ns() - used), allocations_so_far() - allocations);
    return all_there(b, w, warm_up.spans + r.spans) && fflush(stdout) == 0;
}

int main(int argc, char *argv[])
{
    const double seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
    const work *w = NULL;
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        w = argc == 3 && strcmp(works[i].name, argv[1]) == 0 ? &works[i] : w;
    }
    if (w == NULL || !(seconds > 0 && seconds <= 86400)) {
        fprintf(stderr, "Usage: loom-bench-span sampled|unsampled|disabled|encode SECONDS\n");
        return 2;
    }
    bench b = {0};
    const bool ok = open_sdk(&b, w) && measure(&b, w, seconds);
    close_sdk(&b);
    return ok ? 0 : 1;
}
