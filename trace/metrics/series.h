/* SPDX-License-Identifier: Apache-2.0 */
/* What a metric is made of: a table of series that only grows, so that finding one and adding one needs no lock.
 *
 * Chains of series hang on buckets; a new one is appended with a compare-and-swap at the end of its chain, and whoever lost
 * that race walks on over the winner. Nothing is taken out before the meter goes. */
#ifndef LOOM_TRACE_METRICS_SERIES_H
#define LOOM_TRACE_METRICS_SERIES_H

#include "trace/metrics/exemplar.h"
#include "trace/metrics/name.h"

#define SERIES_BUCKETS 256u          /* a power of two */
#define SERIES_KEY_MAX 2048u         /* bytes of all attributes; a series with more is the overflow's */
#define SERIES_ATTRS_MAX 32u
#define SERIES_MAX_DEFAULT 2000u     /* OpenTelemetry, Metrics SDK, "Cardinality limits" */

typedef struct bucket {
    atomic_uint_fast64_t count;
    exemplar last;
} bucket;

struct loom_series {
    _Atomic(loom_series *) next; /* in the chain */
    const loom_metric *metric;
    uint64_t hash;
    atomic_int_fast64_t integer; /* of counters */
    atomic_uint_fast64_t real;   /* bits of a double: a gauge, or the sum of a histogram */
    bucket *buckets;             /* bound_count + 1; NULL: no histogram */
    char *labels;                /* as Prometheus has them, without braces; NUL-terminated */
    uint8_t *key;                /* the attributes in one form, for comparing */
    size_t key_len;
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
    _Atomic(loom_series *) buckets[SERIES_BUCKETS];
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
