/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be measured, and what came of it: cases, each with contenders that take turns. */
#ifndef LOOM_BENCH_PLAN_H
#define LOOM_BENCH_PLAN_H

#include "tools/bench/options.h"

enum { PLAN_CONTENDERS_MAX = 32, PLAN_LABEL_SIZE = 48, PLAN_TITLE_SIZE = 96, PLAN_WHY_SIZE = 256 };

/* Loom in one of its forms, or a peer. */
typedef struct bench_contender {
    const bench_peer *peer;
    bench_setup setup;
    char label[PLAN_LABEL_SIZE]; /* "loom", "loom process 1%", "nats" */
    char missing[PLAN_WHY_SIZE]; /* why there is no summary; "": there is */
    bench_summary summary;
} bench_contender;

typedef struct bench_case {
    const bench_scenario *scenario;
    char title[PLAN_TITLE_SIZE]; /* "fanout 1→4, 128 B" */
    bench_setup setup;           /* of all contenders, but for Loom's forms */
    bench_contender contenders[PLAN_CONTENDERS_MAX];
    size_t count;
} bench_case;

typedef struct bench_plan {
    bench_case *cases;
    size_t count;
    unsigned rounds;
} bench_plan;

/* False without memory, with a complaint. */
bool plan_make(bench_plan *out, const bench_options *options);
void plan_free(bench_plan *plan);

/* ---- for those who make plans ---- */

/* The last case of the plan from now on; NULL without memory. options gives what the user said about durations. */
bench_case *plan_add_case(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, size_t size,
                          const bench_options *options);
/* Adds a contender with the case's setup; the caller may change that until the next call. NULL: no room. */
bench_contender *plan_add_contender(bench_case *c, const bench_peer *peer);
/* In that form. */
bench_contender *plan_add_loom(bench_case *c, bench_bridge bridge, bench_transport transport, bench_tracing tracing);
/* Names Loom's forms by what tells them apart. When all contenders are there. */
void plan_name_contenders(bench_case *c);

bool plan_all(bench_plan *out, const bench_options *options);
bool plan_quick(bench_plan *out, const bench_options *options); /* quick.c */

#endif
