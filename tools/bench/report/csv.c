/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4180. What is unknown is empty. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/report/report.h"

static void text(FILE *out, const char *value)
{
    if (strpbrk(value, ",\"\n") == NULL) {
        fputs(value, out);
        return;
    }
    fputc('"', out);
    for (; *value != '\0'; value++) {
        fprintf(out, *value == '"' ? "\"\"" : "%c", *value);
    }
    fputc('"', out);
}

static void figure(FILE *out, double value)
{
    if (isfinite(value)) {
        fprintf(out, ",%.9g", value);
    } else {
        fputc(',', out);
    }
}

static void headings(FILE *out)
{
    static const char *const sides[] = {"loom", "peer"};
    fputs("scenario,producers,consumers,filters,agents,work,flood,stopped,size,bridge,transport,tracing,api,placement,peer", out);
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < METRIC_COUNT; i++) {
            fprintf(out, ",%s_%s,%s_%s_low,%s_%s_high", sides[side], bench_metric_names[i], sides[side], bench_metric_names[i],
                    sides[side], bench_metric_names[i]);
        }
        fprintf(out, ",%s_lost,%s_misordered,%s_missing", sides[side], sides[side], sides[side]);
    }
    for (size_t i = 0; i <= METRIC_CPU; i++) {
        fprintf(out, ",ratio_%s", bench_metric_names[i]);
    }
    fputs("\r\n", out);
}

static void contender(FILE *out, const bench_contender *c)
{
    const bench_summary *m = report_summary(c);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        figure(out, m != NULL ? m->values[i].median : NAN);
        figure(out, m != NULL ? m->values[i].low : NAN);
        figure(out, m != NULL ? m->values[i].high : NAN);
    }
    if (m != NULL) {
        fprintf(out, ",%llu,%llu,", (unsigned long long)m->lost, (unsigned long long)m->misordered);
    } else {
        fputs(",,,", out);
        text(out, c != NULL ? c->missing : "");
    }
}

static void row(FILE *out, const bench_case *c, const report_row *r)
{
    const bench_setup *setup = report_setup(c, r);
    const bench_summary *loom = report_summary(r->loom), *peer = report_summary(r->peer);
    const bench_shape *shape = &setup->shape;
    fprintf(out, "%s,%u,%u,%u,%u,%s,%s,%u,%zu,%s,%s,%s,%s,%s,%s", c->scenario->name, shape->producers, shape->consumers,
            shape->filters, shape->agents, bench_work_names[shape->work], bench_flood_names[shape->flood], setup->stopped, setup->size, bench_bridge_names[setup->bridge],
            bench_transport_names[setup->transport], bench_tracing_names[setup->tracing],
            setup->requests ? bench_api_names[setup->api] : "", bench_placement_names[setup->placement],
            r->peer != NULL ? r->peer->peer->name : "");
    contender(out, r->loom);
    contender(out, r->peer);
    for (size_t i = 0; i <= METRIC_CPU; i++) {
        figure(out, loom != NULL && peer != NULL ? series_ratio(loom, peer, (bench_metric)i) : NAN);
    }
    fputs("\r\n", out);
}

bool report_csv(FILE *out, const bench_plan *plan)
{
    report_row *rows = malloc(REPORT_ROWS_MAX * sizeof *rows);
    if (rows == NULL) {
        return false;
    }
    headings(out);
    for (size_t i = 0; i < plan->count; i++) {
        const size_t count = report_rows(&plan->cases[i], rows);
        for (size_t k = 0; k < count; k++) {
            row(out, &plan->cases[i], &rows[k]);
        }
    }
    free(rows);
    return fflush(out) == 0 && ferror(out) == 0;
}
