/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to run a command by `loom exec`, and how fast the collector of its spans is. No bus, no network: spans are
 * made, masked, queued, and thrown away. exec_programs.h has what other programs are needed for. */
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/bench/histogram.h"
#include "tools/bench/scenarios/exec_programs.h"
#include "tools/bench/scenarios/scenarios.h"
#include "tools/bench/site.h"
#include "trace/process/collect/collector.h"

enum { PIECE = 256 * 1024 /* bytes: what a relay reads at once */, LINE = 100, SPANS = 256 };

/* ---- commands ---- */

static bool run_one(char *const argv[], char *const environment[], histogram *took)
{
    pid_t pid;
    int status;
    const uint64_t begin = clock_monotonic_ns();
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environment) != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        bench_complain("%s failed", argv[0]);
        return false;
    }
    histogram_add(took, clock_monotonic_ns() - begin);
    return true;
}

/* A short command, by itself or through `loom exec`, one after the other. */
static bool run_commands(const bench_setup *setup, bool through_loom, bench_sample *out)
{
    static char no_export[] = "OTEL_TRACES_EXPORTER=otlp/file", file[] = "LOOM_SPANS_FILE=/dev/null";
    char program[SITE_URL_SIZE], verb[] = "exec", command[] = "/bin/true";
    char *const wrapped[] = {program, verb, command, NULL}, *const bare[] = {command, NULL};
    char *const environment[] = {no_export, file, NULL};
    histogram *took = calloc(1, sizeof *took);
    bool ok = took != NULL && (!through_loom || site_sibling(program, "loom"));
    const uint64_t begin = clock_monotonic_ns(), end = begin + (uint64_t)(setup->seconds * 1e9);
    while (ok && clock_monotonic_ns() < end) {
        ok = run_one(through_loom ? wrapped : bare, environment, took);
    }
    if (ok) {
        out->sent = took->count;
        out->values[METRIC_RATE] = (double)took->count / ((double)(clock_monotonic_ns() - begin) / 1e9);
        out->values[METRIC_P50_US] = (double)histogram_quantile(took, 0.5) / 1e3;
        out->values[METRIC_P99_US] = (double)histogram_quantile(took, 0.99) / 1e3;
    }
    free(took);
    return ok;
}

/* ---- the collector ---- */

static void count_text(void *user, loom_bytes text)
{
    *(uint64_t *)user += text.len;
}

/* A line of a span with five attributes, as the Python library writes it. n is its id. */
static size_t put_span(char *to, size_t room, uint64_t n)
{
    const int len = snprintf(to, room,
                             "__LOOM_TRACE__:" "{\"trace_id\":\"01000000000000000000000000000000\",\"span_id\":\"%016llx\","
                             "\"parent_id\":\"0200000000000000\",\"name\":\"query_database\","
                             "\"start_time\":\"2026-01-15T10:30:00.123456Z\",\"end_time\":\"2026-01-15T10:30:00.456456Z\","
                             "\"attributes\":{\"query_type\":\"SELECT\",\"rows\":42,\"ratio\":0.75,\"cached\":false,"
                             "\"table\":\"users\"},\"status\":\"ok\"}\n", (unsigned long long)n);
    return len > 0 && (size_t)len < room ? (size_t)len : 0;
}

/* Plain lines, or lines of spans. Every span is new. */
static size_t fill(char *piece, bool spans, uint64_t *next)
{
    if (!spans) {
        for (size_t i = 0; i < PIECE; i++) {
            piece[i] = i % LINE == LINE - 1 ? '\n' : (char)('a' + i % 23);
        }
        return PIECE;
    }
    size_t len = 0;
    for (unsigned i = 0; i < SPANS; i++) {
        len += put_span(piece + len, PIECE - len, ++*next);
    }
    return len;
}

static bool collect(const bench_setup *setup, loom_tracer *tracer, bool spans, bench_sample *out)
{
    static const loom_trace_context command = {.trace_id = {1}, .span_id = {2}, .trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    collector_counts counts = {0};
    collector *c;
    uint64_t text = 0, next = 0, ns = 0, lines = 0;
    char *piece = malloc(PIECE);
    const collector_options with = {.tracer = tracer, .command = command, .rate = 100000000, .burst = 100000000,
                                    .counts = &counts, .text = count_text, .user = &text};
    bool ok = piece != NULL && collector_open(&c, &with) == LOOM_OK;
    while (ok && (double)ns < setup->seconds * 1e9) {
        const size_t len = fill(piece, spans, &next);
        const uint64_t begin = clock_monotonic_ns();
        collector_feed(c, (loom_bytes){(const uint8_t *)piece, len});
        ns += clock_monotonic_ns() - begin;
        lines += spans ? SPANS : PIECE / LINE;
    }
    if (ok) {
        const collector_stats stats = collector_read(&counts);
        ok = spans ? stats.collected == lines : text > 0 && stats.collected == 0;
        out->sent = lines;
        out->values[METRIC_RATE] = (double)lines / ((double)ns / 1e9);
        out->values[METRIC_SPAN_NS] = (double)ns / (double)lines;
        collector_close(c);
    }
    free(piece);
    return ok;
}

static bool run_collector(const bench_setup *setup, bool spans, bench_sample *out)
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    if (loom_span_processor_create(&processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}) != LOOM_OK) {
        return false;
    }
    bool ok = loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.service_name = "bench", .processor = processor}) == LOOM_OK;
    if (ok) {
        ok = collect(setup, loom_tracer_get(provider, "bench", ""), spans, out);
        loom_tracer_provider_unref(provider);
    }
    loom_span_processor_unref(processor);
    return ok;
}

/* ---- the scenario ---- */

static bool round_of(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    (void)peer;
    series_clear(out);
    switch (setup->shape.work) {
    case WORK_COMMAND:
    case WORK_EXEC:
        return run_commands(setup, setup->shape.work == WORK_EXEC, out);
    case WORK_FIND:
    case WORK_PYTHON_START:
    case WORK_SQLITE: return exec_syscalls_round(setup, out);
    case WORK_LIBRARY_PYTHON:
    case WORK_LIBRARY_NODE: return exec_library_round(setup, out);
    default:
        return run_collector(setup, setup->shape.work == WORK_COLLECT_SPANS, out);
    }
}

static const bench_shape shapes[] = {
    {.work = WORK_COMMAND}, {.work = WORK_EXEC}, {.work = WORK_COLLECT_TEXT}, {.work = WORK_COLLECT_SPANS},
    {.work = WORK_FIND}, {.work = WORK_PYTHON_START}, {.work = WORK_SQLITE},
    {.work = WORK_LIBRARY_PYTHON}, {.work = WORK_LIBRARY_NODE}};

const bench_scenario bench_scenario_exec = {
    .name = "exec",
    .summary = "`true` by itself and by loom exec; the collector on lines and spans; --syscalls beside strace; the trace libraries",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .in_process = true,
    .by_request = true,
    .sizeless = true,
    .round = round_of,
};
