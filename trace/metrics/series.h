/* SPDX-License-Identifier: Apache-2.0 */
/* What a metric is made of: tables that only grow, so that finding a series and adding one needs no lock.
 *
 * A series is what is shown: one for each set of labels. Attributes that differ may have the same labels (1 and "1", a.b and
 * a_b), so the attributes are found in a table of names, each of which leads to its series.
 *
 * Chains hang on buckets; a new element is appended with a compare-and-swap at the end of its chain, and whoever lost that race
 * walks on over the winner. Nothing is taken out before the meter goes. */
#ifndef LOOM_TRACE_METRICS_SERIES_H
#define LOOM_TRACE_METRICS_SERIES_H

#include "trace/metrics/exemplar.h"
#include "trace/metrics/name.h"

#define SERIES_BUCKETS 256u          /* a power of two */
#define SERIES_KEY_MAX 2048u         /* bytes of all attributes; a series with more is the overflow's */
#define SERIES_ATTRS_MAX 32u
#define NAMES_PER_SERIES 4u
#define SERIES_MAX_DEFAULT 2000u     /* OpenTelemetry, Metrics SDK, "Cardinality limits" */

typedef struct bucket {
    atomic_uint_fast64_t count;
    exemplar last;
} bucket;

/* Attributes that were asked for, and their series. */
typedef struct series_name series_name;
struct series_name {
    _Atomic(series_name *) next; /* in the chain */
    loom_series *series;
    uint64_t hash;
    size_t key_len;
    uint8_t key[]; /* the attributes in one form, for comparing */
};

struct loom_series {
    _Atomic(loom_series *) next; /* in the chain */
    const loom_metric *metric;
    uint64_t hash;               /* of the labels */
    atomic_int_fast64_t integer; /* of counters */
    atomic_uint_fast64_t real;   /* bits of a double: a gauge, or the sum of a histogram */
    bucket *buckets;             /* bound_count + 1; NULL: no histogram */
    char *labels;                /* as Prometheus has them, without braces; NUL-terminated */
};

struct loom_metric {
    _Atomic(loom_metric *) next; /* of the meter */
    char *name, *unit, *help;
    double *bounds;
    size_t bound_count;
    size_t max_series;
    metric_family family;        /* of these */
    atomic_size_t count;         /* series, with those that are just being made */
    loom_series *overflow;
    atomic_bool overflowed;      /* somebody was sent there */
    atomic_size_t name_count;    /* beyond NAMES_PER_SERIES for each of max_series, attributes are looked up by their labels */
    _Atomic(loom_series *) buckets[SERIES_BUCKETS];    /* by labels */
    _Atomic(series_name *) names[SERIES_BUCKETS];      /* by attributes */
};

/* LOOM_ENOMEM. The overflow series is there from the start. */
loom_status metric_init_series(loom_metric *m);
void metric_free_series(loom_metric *m);

static inline double series_real(const atomic_uint_fast64_t *bits)
{
    const uint64_t now = atomic_load_explicit(bits, memory_order_relaxed);
    double value;
    memcpy(&value, &now, sizeof value);
    return value;
}

#endif
