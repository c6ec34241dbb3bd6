/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench/report/report.h"

#define NAME_WIDTH 28

/* The figures of a row; one that nobody in a case has is left out. */
static const struct column {
    bench_metric metric;
    const char *heading;
    int width, decimals;
    double unit;
    bool ratio; /* it makes sense to divide one by another */
} columns[] = {
    {METRIC_P50_US, "p50 us", 9, 1, 1, true},
    {METRIC_P90_US, "p90 us", 9, 1, 1, true},
    {METRIC_P99_US, "p99 us", 9, 1, 1, true},
    {METRIC_P999_US, "p99.9 us", 9, 1, 1, true},
    {METRIC_CPU, "CPU s/M", 8, 3, 1, true},
    {METRIC_PEAK_BYTES, "peak MiB", 9, 1, 1048576, true},
    {METRIC_IDLE_BYTES, "idle MiB", 9, 2, 1048576, true},
    {METRIC_SESSION_BYTES, "KiB/session", 12, 2, 1024, true},
    {METRIC_GROWTH_BYTES, "growth KiB", 11, 0, 1024, false},
    {METRIC_KEPT_WHOLE, "kept whole", 11, 4, 1, false},
    {METRIC_SPANS_LOST, "spans lost", 11, 0, 1, false},
    {METRIC_SPAN_NS, "ns/span", 9, 1, 1, true},
    {METRIC_ALLOCATIONS, "allocations", 12, 2, 1, false},
    {METRIC_OVERHEAD_MS, "overhead ms", 12, 1, 1, true},
    {METRIC_OF_STRACE, "of strace", 10, 2, 1, false},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

/* 1234567.8 as "1 234 568". */
static const char *grouped(char out[32], double value)
{
    char plain[24];
    const int len = snprintf(plain, sizeof plain, "%.0f", value);
    size_t n = 0;
    for (int i = 0; i < len && n < 30; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[n++] = ' ';
        }
        out[n++] = plain[i];
    }
    out[n] = '\0';
    return out;
}

static bool anybody_has(const bench_case *c, bench_metric metric)
{
    for (size_t i = 0; i < c->count; i++) {
        const bench_summary *m = report_summary(&c->contenders[i]);
        if (m != NULL && !isnan(m->values[metric].median)) {
            return true;
        }
    }
    return false;
}

static void figure(FILE *out, int width, int decimals, double value)
{
    if (isnan(value)) {
        fprintf(out, " %*s", width, "-");
    } else {
        fprintf(out, " %*.*f", width, decimals, value);
    }
}

static void headings(FILE *out, const bench_case *c)
{
    fprintf(out, "  %-*s", NAME_WIDTH, "");
    if (anybody_has(c, METRIC_RATE)) {
        fprintf(out, " %12s %25s", "rate /s", "range");
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        if (anybody_has(c, columns[i].metric)) {
            fprintf(out, " %*s", columns[i].width, columns[i].heading);
        }
    }
    fprintf(out, " %8s %10s\n", "lost", "misordered");
}

static void row(FILE *out, const bench_case *c, const bench_contender *contender, const char *red, const char *plain)
{
    const bench_summary *m = report_summary(contender);
    fprintf(out, "  %-*s", NAME_WIDTH, contender->label);
    if (m == NULL) {
        fprintf(out, " %snot measured%s: %s\n", red, plain, contender->missing);
        return;
    }
    if (anybody_has(c, METRIC_RATE)) {
        char median[32], low[32], high[32], range[72];
        const series_value *rate = &m->values[METRIC_RATE];
        snprintf(range, sizeof range, "%s - %s", grouped(low, rate->low), grouped(high, rate->high));
        fprintf(out, " %12s %25s", grouped(median, rate->median), range);
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        if (anybody_has(c, columns[i].metric)) {
            figure(out, columns[i].width, columns[i].decimals, m->values[columns[i].metric].median / columns[i].unit);
        }
    }
    fprintf(out, " %s%8llu%s %10llu\n", m->lost > 0 ? red : "", (unsigned long long)m->lost, m->lost > 0 ? plain : "",
            (unsigned long long)m->misordered);
}

static bool is_like(const bench_shape *a, const bench_shape *b)
{
    return a->flood == b->flood && a->work == b->work;
}

/* Of the contenders with the first shape the one that is like it otherwise; NULL: it has that shape itself. */
static const bench_contender *base_of(const bench_case *c, const bench_contender *contender)
{
    const bench_setup *mine = &contender->setup;
    const bench_shape *first = &c->scenario->shapes[0];
    for (size_t i = 0; i < c->count && !is_like(&mine->shape, first); i++) {
        const bench_setup *other = &c->contenders[i].setup;
        if (is_like(&other->shape, first) && other->bridge == mine->bridge && other->transport == mine->transport &&
            other->tracing == mine->tracing && other->api == mine->api) {
            return &c->contenders[i];
        }
    }
    return NULL;
}

static void quotients(FILE *out, const bench_case *c, const bench_summary *a, const bench_summary *b)
{
    if (anybody_has(c, METRIC_RATE)) {
        figure(out, 12, 2, series_ratio(a, b, METRIC_RATE));
        fprintf(out, " %25s", "");
    }
    for (size_t k = 0; k < COLUMNS; k++) {
        if (anybody_has(c, columns[k].metric)) {
            figure(out, columns[k].width, 2, columns[k].ratio ? series_ratio(a, b, columns[k].metric) : NAN);
        }
    }
    fputs("\n", out);
}

static void compared(FILE *out, const bench_case *c)
{
    const bench_shape *first = &c->scenario->shapes[0];
    fprintf(out, "\n  divided by %s\n", first->work != WORK_NONE ? bench_work_names[first->work] : bench_flood_names[first->flood]);
    for (size_t i = 0; i < c->count; i++) {
        const bench_contender *base = base_of(c, &c->contenders[i]);
        const bench_summary *a = report_summary(&c->contenders[i]), *b = report_summary(base);
        if (a != NULL && b != NULL) {
            fprintf(out, "  %-*s", NAME_WIDTH, c->contenders[i].label);
            quotients(out, c, a, b);
        }
    }
}

static void ratios(FILE *out, const bench_case *c)
{
    report_row *rows = malloc(REPORT_ROWS_MAX * sizeof *rows);
    const size_t count = rows != NULL ? report_rows(c, rows) : 0;
    const bench_contender *last = NULL;
    for (size_t i = 0; i < count; i++) {
        const bench_summary *a = report_summary(rows[i].loom), *b = report_summary(rows[i].peer);
        if (a == NULL || b == NULL) {
            continue;
        }
        if (rows[i].loom != last) {
            fprintf(out, "\n  %s divided by\n", rows[i].loom->label);
            last = rows[i].loom;
        }
        fprintf(out, "  %-*s", NAME_WIDTH, rows[i].peer->label);
        quotients(out, c, a, b);
    }
    free(rows);
}

static void usage(FILE *out, const bench_case *c)
{
    fprintf(out, "\n  %-*s %-20s %12s %25s %9s\n", NAME_WIDTH, "of each kind of process", "", "CPU s/M", "context switches /M",
            "peak MiB");
    for (size_t i = 0; i < c->count; i++) {
        const bench_summary *m = report_summary(&c->contenders[i]);
        for (size_t k = 0; m != NULL && k < m->usage_count; k++) {
            char role[32];
            const bench_usage *u = &m->usage[k];
            snprintf(role, sizeof role, u->processes > 1 ? "%s, %u of them" : "%s", u->role, u->processes);
            fprintf(out, "  %-*s %-20s %12.3f %25.0f %9.1f\n", NAME_WIDTH, k == 0 ? c->contenders[i].label : "", role,
                    u->cpu_s_per_million, u->switches_per_million, u->peak_bytes / 1048576);
        }
    }
}

static void guarantees(FILE *out, const bench_case *c)
{
    fputs("\n  delivery\n", out);
    const bench_peer *last = NULL;
    for (size_t i = 0; i < c->count && !c->scenario->in_process; i++) {
        if (c->contenders[i].peer != last) {
            last = c->contenders[i].peer;
            fprintf(out, "  %-*s %s\n", NAME_WIDTH, last->name, last->guarantee != NULL ? last->guarantee : "");
        }
    }
}

static bool coloured(FILE *out)
{
    const char *none = getenv("NO_COLOR");
    return isatty(fileno(out)) == 1 && (none == NULL || none[0] == '\0');
}

void report_table(FILE *out, const bench_plan *plan)
{
    const bool colour = coloured(out);
    for (size_t i = 0; i < plan->count; i++) {
        const bench_case *c = &plan->cases[i];
        fprintf(out, "%s%s%s%s; %u rounds of %g s", i > 0 ? "\n" : "", colour ? "\033[1m" : "", c->title,
                colour ? "\033[0m" : "", plan->rounds, c->setup.seconds);
        if (anybody_has(c, METRIC_P50_US) && !c->setup.requests && !c->setup.http) {
            fprintf(out, "; latency at %.0f messages/s", bench_setup_pace(&c->setup) * c->setup.shape.producers);
        }
        static const char *const placements[PLACEMENT_COUNT] = {"", "; clients on one processor, servers on another",
                                                                "; everything on one processor"};
        fprintf(out, "%s\n\n", placements[c->setup.placement]);
        headings(out, c);
        for (size_t k = 0; k < c->count; k++) {
            row(out, c, &c->contenders[k], colour ? "\033[31m" : "", colour ? "\033[0m" : "");
        }
        c->scenario->compare ? compared(out, c) : ratios(out, c);
        if (anybody_has(c, METRIC_SPAN_NS)) {
            continue; /* no messages, and one process each */
        }
        usage(out, c);
        if (!c->scenario->in_process) {
            guarantees(out, c);
        }
    }
}

void report_goals(FILE *out, const goal_result *goals, size_t count)
{
    const bool colour = coloured(out);
    fprintf(out, "%-72s %12s %12s\n", "promise", "limit", "measured");
    for (size_t i = 0; i < count; i++) {
        const goal_result *g = &goals[i];
        char limit[32];
        snprintf(limit, sizeof limit, "%s %.4g", g->at_least ? "≥" : "≤", g->limit);
        fprintf(out, "%-72s %*s ", g->text, 14, limit); /* the sign takes three bytes and one place */
        figure(out, 11, g->value >= 100 ? 0 : 2, g->value);
        fprintf(out, "  %s%s%s%s%s\n", colour ? (g->state == GOAL_MET ? "\033[32m" : "\033[31m") : "",
                goal_state_names[g->state], colour ? "\033[0m" : "", g->why != NULL && g->why[0] != '\0' ? ": " : "",
                g->why != NULL ? g->why : "");
    }
}
