/* SPDX-License-Identifier: Apache-2.0 */
/* A program that traces, as its environment says, and never heard of the bus:
 * traced_program [--spans N] [--attributes N] [--events N] [--links N] [--value TEXT] [--parent TRACEPARENT] [--until-done MS]
 * [--flush MS] [--shutdown MS] [--alarms] [--fork]. Makes so many spans, each with so many attributes, events and links, which have so many
 * attributes again; waits until the processor is done with them; flushes; shuts down; under a signal every millisecond, and with a forked
 * child that does the same, if it is told to. On standard error is a line for
 * whatever tracing has to say, and at the end one with the counts, as JSON. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <loom/trace.h>

typedef struct work {
    int spans, attributes, events, links;
    const char *value;
    loom_trace_context parent;
    bool has_parent;
    int until_done_ms, flush_ms, shutdown_ms; /* -1: do not */
    bool alarms;                              /* a signal every millisecond */
    bool fork;                                /* a child with spans of its own, before anything is waited for */
} work;

static void on_bad_variable(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "told: %s\n", text);
}

static void on_export_error(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "error: %s\n", text);
}

static bool parse(work *w, int argc, char **argv)
{
    static const struct option names[] = {{"spans", 1, NULL, 's'},      {"attributes", 1, NULL, 'a'}, {"events", 1, NULL, 'e'},
                                          {"links", 1, NULL, 'l'},      {"value", 1, NULL, 'v'},      {"parent", 1, NULL, 'p'},
                                          {"until-done", 1, NULL, 'd'}, {"flush", 1, NULL, 'f'},      {"shutdown", 1, NULL, 'x'},
                                          {"alarms", 0, NULL, 'A'},     {"fork", 0, NULL, 'F'},       {0}};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 's': w->spans = atoi(optarg); break;
        case 'a': w->attributes = atoi(optarg); break;
        case 'e': w->events = atoi(optarg); break;
        case 'l': w->links = atoi(optarg); break;
        case 'v': w->value = optarg; break;
        case 'p':
            w->has_parent = loom_traceparent_parse(&w->parent, (loom_str){optarg, strlen(optarg)}) == LOOM_OK;
            if (!w->has_parent) {
                return false;
            }
            break;
        case 'd': w->until_done_ms = atoi(optarg); break;
        case 'f': w->flush_ms = atoi(optarg); break;
        case 'x': w->shutdown_ms = atoi(optarg); break;
        case 'A': w->alarms = true; break;
        case 'F': w->fork = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

#define ATTRIBUTES_MAX 256

static size_t fill(loom_attr *attrs, char keys[][16], const work *w)
{
    size_t count = w->attributes < ATTRIBUTES_MAX ? (size_t)w->attributes : ATTRIBUTES_MAX;
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "key.%zu", i);
        attrs[i] = (loom_attr){.key = keys[i], .type = LOOM_ATTR_STRING, .value.string = {w->value, strlen(w->value)}};
    }
    return count;
}

static void make_span(loom_tracer *tracer, const work *w, const loom_attr *attrs, size_t count, bool first)
{
    const loom_span_options options = {.parent = w->has_parent ? &w->parent : NULL, .parent_is_remote = true};
    loom_span *span = loom_span_start(tracer, "work", &options);
    for (size_t i = 0; i < count; i++) {
        loom_span_set_attr(span, &attrs[i]);
    }
    for (int i = 0; i < w->events; i++) {
        loom_span_add_event(span, "event", attrs, count);
    }
    for (int i = 0; i < w->links; i++) {
        loom_span_add_link(span, &(loom_link){.context = *loom_span_context(span), .attrs = attrs, .attr_count = count});
    }
    if (first) {
        char text[LOOM_TRACEPARENT_SIZE];
        const loom_trace_context *ctx = loom_span_context(span);
        const bool valid = loom_trace_context_valid(ctx);
        if (valid) {
            loom_traceparent_format(text, ctx);
        }
        fprintf(stderr, "context: %s\n", valid ? text : "none");
    }
    loom_span_end(span);
}

static void make_spans(loom_tracer *tracer, const work *w)
{
    static char keys[ATTRIBUTES_MAX][16];
    static loom_attr attrs[ATTRIBUTES_MAX];
    const size_t count = fill(attrs, keys, w);
    for (int i = 0; i < w->spans; i++) {
        make_span(tracer, w, attrs, count, i == 0);
    }
}

static bool wait_until_done(const loom_span_processor *processor, int most_ms)
{
    for (int waited = 0;; waited++) {
        const loom_span_counts c = loom_span_processor_counts(processor);
        const bool done = c.ended == c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown;
        if (done || waited >= most_ms) {
            return done;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void on_alarm(int number)
{
    (void)number;
}

static void start_alarms(void)
{
    const struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

/* The child has no exporter: it must neither hang nor send anything. */
static bool fork_well(loom_tracer *tracer, loom_span_processor *processor, const work *w)
{
    const pid_t child = fork();
    if (child == 0) {
        make_spans(tracer, w);
        const loom_status flushed = loom_span_processor_flush(processor, 10000);
        const loom_status shut = loom_span_processor_shutdown(processor, 10000);
        loom_span_processor_unref(processor);
        _exit(flushed == LOOM_ECLOSED && shut == LOOM_ECLOSED ? 0 : 1); /* what the exporter's thread held here is no leak */
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

static void finish(loom_span_processor *processor, const work *w)
{
    loom_status flushed = LOOM_OK, shut = LOOM_OK;
    const bool in_time = w->until_done_ms >= 0 && wait_until_done(processor, w->until_done_ms);
    if (w->flush_ms >= 0) {
        flushed = loom_span_processor_flush(processor, (uint32_t)w->flush_ms);
    }
    if (w->shutdown_ms >= 0) {
        shut = loom_span_processor_shutdown(processor, (uint32_t)w->shutdown_ms);
    }
    const loom_span_counts c = loom_span_processor_counts(processor);
    fprintf(stderr,
            "counts: {\"ended\": %" PRIu64 ", \"exported\": %" PRIu64 ", \"full\": %" PRIu64 ", \"failed\": %" PRIu64
            ", \"shutdown\": %" PRIu64 ", \"flushed\": \"%s\", \"shut\": \"%s\", \"in_time\": %s}\n",
            c.ended, c.exported, c.dropped_full, c.dropped_failed, c.dropped_shutdown, loom_status_name(flushed),
            loom_status_name(shut), in_time ? "true" : "false");
}

int main(int argc, char **argv)
{
    work w = {.spans = 1, .value = "value", .until_done_ms = -1, .flush_ms = -1, .shutdown_ms = 5000};
    if (!parse(&w, argc, argv)) {
        return 2;
    }
    loom_span_processor_options options;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_telemetry_check_env(on_bad_variable, NULL);
    loom_span_processor_options_from_env(&options, NULL);
    options.on_error = on_export_error;
    if (loom_span_processor_create(&processor, &options) != LOOM_OK) {
        return 1;
    }
    if (loom_tracer_provider_create(
            &provider, &(loom_tracer_provider_options){.default_service_name = "traced", .processor = processor}) != LOOM_OK) {
        return 1;
    }
    if (w.alarms) {
        start_alarms();
    }
    loom_tracer *tracer = loom_tracer_get(provider, "tests", NULL);
    make_spans(tracer, &w);
    if (w.fork && !fork_well(tracer, processor, &w)) {
        return 1;
    }
    finish(processor, &w);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    return 0;
}
