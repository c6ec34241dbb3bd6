/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/report.h"

/* Takes value; a failure leaves a hole that shows when the whole is checked. */
static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    *ok = json_object_set_new(object, key, value) == 0 && *ok;
}

static json_t *usage_json(const bench_summary *m, bool *ok)
{
    json_t *all = json_array();
    for (size_t i = 0; i < m->usage_count; i++) {
        json_t *one = json_object();
        put(one, "process", json_string(m->usage[i].role), ok);
        put(one, "cpu_s_per_million", json_real(m->usage[i].cpu_s_per_million), ok);
        put(one, "switches_per_million", json_real(m->usage[i].switches_per_million), ok);
        *ok = json_array_append_new(all, one) == 0 && *ok;
    }
    return all;
}

static void put_value(json_t *object, const char *key, const char *range_key, series_value v, bool *ok)
{
    put(object, key, json_real(v.median), ok);
    json_t *range = json_array();
    *ok = json_array_append_new(range, json_real(v.low)) == 0 && *ok;
    *ok = json_array_append_new(range, json_real(v.high)) == 0 && *ok;
    put(object, range_key, range, ok);
}

static json_t *summary_json(const bench_peer *contender, const bench_summary *m, bool *ok)
{
    json_t *object = json_object();
    put(object, "name", json_string(contender->name), ok);
    put_value(object, "rate", "rate_range", m->rate, ok);
    put_value(object, "p50_us", "p50_us_range", m->p50_us, ok);
    put_value(object, "p99_us", "p99_us_range", m->p99_us, ok);
    put_value(object, "cpu_s_per_million", "cpu_s_per_million_range", m->cpu_s_per_million, ok);
    put(object, "sent", json_integer((json_int_t)m->sent), ok);
    put(object, "lost", json_integer((json_int_t)m->lost), ok);
    put(object, "misordered", json_integer((json_int_t)m->misordered), ok);
    put(object, "processes", usage_json(m, ok), ok);
    return object;
}

static json_t *ratio_json(const bench_summary *loom, const bench_summary *peer, bool *ok)
{
    json_t *object = json_object();
    put(object, "rate", json_real(loom->rate.median / peer->rate.median), ok);
    put(object, "p50_us", json_real(loom->p50_us.median / peer->p50_us.median), ok);
    put(object, "p99_us", json_real(loom->p99_us.median / peer->p99_us.median), ok);
    put(object, "cpu_s_per_million", json_real(loom->cpu_s_per_million.median / peer->cpu_s_per_million.median), ok);
    return object;
}

/* loom and peer are indices; what was not measured is null. */
static json_t *row_json(const bench_options *o, const report_size *s, size_t loom, size_t peer, bool *ok)
{
    json_t *row = json_object();
    put(row, "scenario", json_string(o->scenario->name), ok);
    put(row, "size", json_integer((json_int_t)s->size), ok);
    put(row, "bridge", json_string(bench_bridge_name(o->bridge)), ok);
    put(row, "transport", json_string(bench_transport_name(o->transport)), ok);
    put(row, "tracing", json_string(bench_tracing_name(o->tracing)), ok);
    put(row, "peer_name", peer < s->count ? json_string(s->contenders[peer]->name) : json_null(), ok);
    put(row, "loom", loom < s->count ? summary_json(s->contenders[loom], &s->summaries[loom], ok) : json_null(), ok);
    put(row, "peer", peer < s->count ? summary_json(s->contenders[peer], &s->summaries[peer], ok) : json_null(), ok);
    put(row, "ratio",
        loom < s->count && peer < s->count ? ratio_json(&s->summaries[loom], &s->summaries[peer], ok) : json_null(), ok);
    return row;
}

static void add_rows(json_t *rows, const bench_options *o, const report_size *s, bool *ok)
{
    const bool has_loom = s->contenders[0] == &bench_peer_loom;
    const size_t loom = has_loom ? 0 : s->count, first_peer = has_loom ? 1 : 0;
    for (size_t peer = first_peer; peer < s->count || peer == first_peer; peer++) {
        *ok = json_array_append_new(rows, row_json(o, s, loom, peer, ok)) == 0 && *ok;
    }
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

bool report_json(FILE *out, const bench_options *o, const report_size *sizes, size_t count)
{
    bool ok = true;
    json_t *report = json_object(), *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        add_rows(rows, o, &sizes[i], &ok);
    }
    put(report, "version", json_string(LOOM_VERSION), &ok);
    put(report, "machine", machine_json(&ok), &ok);
    put(report, "rounds", json_integer(o->rounds), &ok);
    put(report, "seconds", json_real(o->seconds), &ok);
    put(report, "latency_rate", json_integer(o->latency_rate), &ok);
    put(report, "window", json_integer(o->window), &ok);
    put(report, "results", rows, &ok);
    ok = ok && json_dumpf(report, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', out) != EOF &&
         fflush(out) == 0;
    json_decref(report);
    return ok;
}
