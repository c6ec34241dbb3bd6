/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <loom/version.h>

#include "tools/bench/report/report.h"

/* Takes value; a failure leaves a hole that shows when the whole is checked. */
static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    *ok = json_object_set_new(object, key, value) == 0 && *ok;
}

/* null for what is unknown. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *usage_json(const bench_summary *m, bool *ok)
{
    json_t *all = json_array();
    for (size_t i = 0; i < m->usage_count; i++) {
        const bench_usage *u = &m->usage[i];
        json_t *one = json_object();
        put(one, "process", json_string(u->role), ok);
        put(one, "count", json_integer(u->processes), ok);
        put(one, "cpu_s_per_million", real(u->cpu_s_per_million), ok);
        put(one, "switches_per_million", real(u->switches_per_million), ok);
        put(one, "peak_bytes", real(u->peak_bytes), ok);
        *ok = json_array_append_new(all, one) == 0 && *ok;
    }
    return all;
}

/* The median as key, and the range as key_range. */
static void put_value(json_t *object, const char *key, const series_value *v, bool *ok)
{
    char range_key[64];
    json_t *range = json_array();
    snprintf(range_key, sizeof range_key, "%s_range", key);
    *ok = json_array_append_new(range, real(v->low)) == 0 && *ok;
    *ok = json_array_append_new(range, real(v->high)) == 0 && *ok;
    put(object, key, real(v->median), ok);
    put(object, range_key, range, ok);
}

static json_t *contender_json(const bench_contender *c, bool *ok)
{
    const bench_summary *m = report_summary(c);
    if (m == NULL) {
        return json_null();
    }
    json_t *object = json_object();
    put(object, "name", json_string(c->label), ok);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (i <= METRIC_CPU || !isnan(m->values[i].median)) {
            put_value(object, bench_metric_names[i], &m->values[i], ok);
        }
    }
    put(object, "sent", json_integer((json_int_t)m->sent), ok);
    put(object, "lost", json_integer((json_int_t)m->lost), ok);
    put(object, "misordered", json_integer((json_int_t)m->misordered), ok);
    put(object, "processes", usage_json(m, ok), ok);
    if (c->peer->guarantee != NULL) {
        put(object, "delivery", json_string(c->peer->guarantee), ok);
    }
    return object;
}

/* Loom's figure divided by the peer's; lost is 1 where both lost the same, which is nothing where all is well. */
static json_t *ratio_json(const bench_summary *loom, const bench_summary *peer, bool *ok)
{
    json_t *object = json_object();
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const double ratio = series_ratio(loom, peer, (bench_metric)i);
        if (i <= METRIC_CPU || isfinite(ratio)) {
            put(object, bench_metric_names[i], real(ratio), ok);
        }
    }
    put(object, "lost",
        real(loom->lost == peer->lost ? 1.0
             : peer->lost > 0         ? (double)loom->lost / (double)peer->lost
                                      : NAN),
        ok);
    return object;
}

static json_t *shape_json(const bench_shape *shape, bool *ok)
{
    json_t *object = json_object();
    const struct {
        const char *name;
        unsigned count;
    } parts[] = {{"producers", shape->producers},
                 {"consumers", shape->consumers},
                 {"filters", shape->filters},
                 {"agents", shape->agents}};
    if (shape->work != WORK_NONE) {
        put(object, "work", json_string(bench_work_names[shape->work]), ok);
    }
    if (shape->flood != FLOOD_NONE) {
        put(object, "flood", json_string(bench_flood_names[shape->flood]), ok);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].count > 0) {
            put(object, parts[i].name, json_integer(parts[i].count), ok);
        }
    }
    return object;
}

static json_t *row_json(const bench_case *c, const report_row *row, bool *ok)
{
    const bench_setup *setup = report_setup(c, row);
    const bench_summary *loom = report_summary(row->loom), *peer = report_summary(row->peer);
    json_t *object = json_object();
    put(object, "scenario", json_string(c->scenario->name), ok);
    put(object, "title", json_string(c->title), ok);
    put(object, "shape", shape_json(&setup->shape, ok), ok);
    put(object, "size", json_integer((json_int_t)setup->size), ok);
    put(object, "bridge", json_string(bench_bridge_names[setup->bridge]), ok);
    put(object, "transport", json_string(bench_transport_names[setup->transport]), ok);
    put(object, "tracing", json_string(bench_tracing_names[setup->tracing]), ok);
    put(object, "api", setup->requests ? json_string(bench_api_names[setup->api]) : json_null(), ok);
    put(object, "placement", json_string(bench_placement_names[setup->placement]), ok);
    put(object, "paced", json_boolean(setup->paced), ok);
    put(object, "stopped", json_integer(setup->stopped), ok);
    put(object, "seconds", json_real(setup->seconds), ok);
    put(object, "peer_name", row->peer != NULL ? json_string(row->peer->peer->name) : json_null(), ok);
    put(object, "loom", row->loom != NULL ? contender_json(row->loom, ok) : json_null(), ok);
    put(object, "peer", row->peer != NULL ? contender_json(row->peer, ok) : json_null(), ok);
    put(object, "ratio", loom != NULL && peer != NULL ? ratio_json(loom, peer, ok) : json_null(), ok);
    const uint64_t lost = (loom != NULL ? loom->lost : 0) + (peer != NULL ? peer->lost : 0);
    put(object, "lost", json_integer((json_int_t)lost), ok);
    if (row->loom != NULL && loom == NULL) {
        put(object, "loom_missing", json_string(row->loom->missing), ok);
    }
    if (row->peer != NULL && peer == NULL) {
        put(object, "peer_missing", json_string(row->peer->missing), ok);
    }
    return object;
}

static json_t *results_json(const bench_plan *plan, bool *ok)
{
    json_t *all = json_array();
    report_row *rows = malloc(REPORT_ROWS_MAX * sizeof *rows);
    *ok = rows != NULL && *ok;
    for (size_t i = 0; rows != NULL && i < plan->count; i++) {
        const size_t count = report_rows(&plan->cases[i], rows);
        for (size_t k = 0; k < count; k++) {
            *ok = json_array_append_new(all, row_json(&plan->cases[i], &rows[k], ok)) == 0 && *ok;
        }
    }
    free(rows);
    return all;
}

static json_t *goals_json(const goal_result *goals, size_t count, bool *ok)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object();
        put(one, "promise", json_string(goals[i].text), ok);
        put(one, goals[i].at_least ? "at_least" : "at_most", json_real(goals[i].limit), ok);
        put(one, "measured", real(goals[i].value), ok);
        put(one, "state", json_string(goal_state_names[goals[i].state]), ok);
        *ok = json_array_append_new(all, one) == 0 && *ok;
    }
    return all;
}

static json_t *machine_json(bool *ok)
{
    struct utsname name = {0};
    json_t *machine = json_object();
    uname(&name);
    put(machine, "processors", json_integer(sysconf(_SC_NPROCESSORS_ONLN)), ok);
    put(machine, "system", json_string(name.sysname), ok);
    put(machine, "release", json_string(name.release), ok);
    put(machine, "architecture", json_string(name.machine), ok);
    return machine;
}

bool report_json(FILE *out, const bench_plan *plan, const goal_result *goals, size_t goal_count)
{
    bool ok = true;
    json_t *report = json_object();
    put(report, "version", json_string(LOOM_VERSION), &ok);
    put(report, "machine", machine_json(&ok), &ok);
    put(report, "rounds", json_integer(plan->rounds), &ok);
    put(report, "results", results_json(plan, &ok), &ok);
    if (goal_count > 0) {
        put(report, "promises", goals_json(goals, goal_count, &ok), &ok);
    }
    ok = ok && json_dumpf(report, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', out) != EOF &&
         fflush(out) == 0;
    json_decref(report);
    return ok;
}
