/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/metrics/series.h"

#include "base/clock.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>

/* ---- the attributes of a series in one form ---- */

typedef struct attr_set {
    loom_attr attrs[SERIES_ATTRS_MAX]; /* by key, each key once */
    size_t count;
    uint8_t key[SERIES_KEY_MAX];
    size_t key_len;
    uint64_t hash;
} attr_set;

static bool usable(const loom_attr *attr)
{
    return attr->key != NULL && attr->key[0] != '\0' && (unsigned)attr->type <= LOOM_ATTR_DOUBLES;
}

/* Inserted where they belong; the last of one key stays. False: too many. */
static bool sort_attrs(attr_set *set, const loom_attr *attrs, size_t count)
{
    set->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!usable(&attrs[i])) {
            continue;
        }
        size_t at = 0;
        while (at < set->count && strcmp(set->attrs[at].key, attrs[i].key) < 0) {
            at++;
        }
        const bool again = at < set->count && strcmp(set->attrs[at].key, attrs[i].key) == 0;
        if (!again && set->count == SERIES_ATTRS_MAX) {
            return false;
        }
        if (!again) {
            memmove(&set->attrs[at + 1], &set->attrs[at], (set->count - at) * sizeof set->attrs[0]);
            set->count++;
        }
        set->attrs[at] = attrs[i];
    }
    return true;
}

static size_t item_size(loom_attr_type type)
{
    return type == LOOM_ATTR_BOOLS ? sizeof(bool) : sizeof(int64_t);
}

static void put_len(pb_buf *b, size_t len)
{
    pb_raw(b, &len, sizeof len);
}

static void put_str(pb_buf *b, loom_str text)
{
    put_len(b, text.len);
    pb_raw(b, text.data, text.len);
}

static void put_array(pb_buf *b, const loom_attr *attr)
{
    const size_t count = attr->value.array.items != NULL ? attr->value.array.count : 0;
    put_len(b, count);
    if (attr->type != LOOM_ATTR_STRINGS) {
        if (count <= b->max) {
            pb_raw(b, attr->value.array.items, count * item_size(attr->type));
        } else {
            b->failed = true;
        }
        return;
    }
    for (size_t i = 0; i < count && !b->failed; i++) {
        put_str(b, ((const loom_str *)attr->value.array.items)[i]);
    }
}

static void put_attr(pb_buf *b, const loom_attr *attr)
{
    const uint8_t type = (uint8_t)attr->type;
    put_str(b, str_of(attr->key));
    pb_raw(b, &type, 1);
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        put_str(b, attr->value.string);
        break;
    case LOOM_ATTR_BOOL:
        pb_raw(b, attr->value.boolean ? "1" : "0", 1);
        break;
    case LOOM_ATTR_INT:
        pb_raw(b, &attr->value.integer, sizeof attr->value.integer);
        break;
    case LOOM_ATTR_DOUBLE:
        pb_raw(b, &attr->value.real, sizeof attr->value.real);
        break;
    case LOOM_ATTR_STRINGS:
    case LOOM_ATTR_BOOLS:
    case LOOM_ATTR_INTS:
    case LOOM_ATTR_DOUBLES:
        put_array(b, attr);
        break;
    }
}

/* FNV-1a: whoever chooses the attributes can make long chains, but no longer ones than max_series. */
static uint64_t hash_bytes(const uint8_t *bytes, size_t len)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

/* False: more than a series may have. */
static bool make_set(attr_set *set, const loom_attr *attrs, size_t count)
{
    pb_buf b;
    if (!sort_attrs(set, attrs, attrs != NULL ? count : 0)) {
        return false;
    }
    pb_init(&b, set->key, sizeof set->key, sizeof set->key);
    for (size_t i = 0; i < set->count; i++) {
        put_attr(&b, &set->attrs[i]);
    }
    set->key_len = b.len;
    set->hash = hash_bytes(set->key, b.len);
    return !b.failed;
}

/* ---- series ---- */

static void series_free(loom_series *s)
{
    if (s != NULL) {
        free(s->buckets);
        free(s->labels);
        free(s);
    }
}

static char *make_labels(const loom_metric *m, const attr_set *set)
{
    pb_buf b;
    pb_init(&b, NULL, 0, 64u * SERIES_KEY_MAX);
    metric_labels(&b, set->attrs, set->count, m->family.kind == LOOM_HISTOGRAM);
    pb_raw(&b, "", 1);
    if (b.failed) {
        pb_fini(&b);
        return NULL;
    }
    return (char *)b.data; /* on the heap: there is no storage */
}

/* With these labels, which become its own. NULL: no memory; the labels are freed. */
static loom_series *series_create(const loom_metric *m, char *labels)
{
    loom_series *s = labels != NULL ? calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        free(labels);
        return NULL;
    }
    s->metric = m;
    s->labels = labels;
    s->hash = hash_bytes((const uint8_t *)labels, strlen(labels));
    if (m->family.kind == LOOM_HISTOGRAM && (s->buckets = calloc(m->bound_count + 1, sizeof *s->buckets)) == NULL) {
        series_free(s);
        return NULL;
    }
    return s;
}

static loom_series *overflow(loom_metric *m)
{
    atomic_store_explicit(&m->overflowed, true, memory_order_relaxed);
    return m->overflow;
}

static bool is_labelled(const loom_series *s, const loom_series *other)
{
    return s->hash == other->hash && strcmp(s->labels, other->labels) == 0;
}

/* The series with the labels of the one that was made, which is it when there was none yet. */
static loom_series *settle(loom_metric *m, loom_series *made)
{
    _Atomic(loom_series *) *at = &m->buckets[made->hash % SERIES_BUCKETS];
    loom_series *there = is_labelled(made, m->overflow) ? overflow(m) : NULL;
    for (; there == NULL; at = &there->next, there = NULL) {
        there = atomic_load_explicit(at, memory_order_acquire);
        if (there == NULL) {
            if (atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed) >= m->max_series - 1) {
                atomic_fetch_sub_explicit(&m->count, 1, memory_order_relaxed);
                there = overflow(m);
                break;
            }
            if (atomic_compare_exchange_strong_explicit(at, &there, made, memory_order_acq_rel, memory_order_acquire)) {
                return made;
            }
            atomic_fetch_sub_explicit(&m->count, 1, memory_order_relaxed); /* another thread was first */
        }
        if (is_labelled(made, there)) {
            break;
        }
    }
    series_free(made);
    return there;
}

static bool is_of(const series_name *n, const attr_set *set)
{
    return n->hash == set->hash && n->key_len == set->key_len && memcmp(n->key, set->key, set->key_len) == 0;
}

/* The end of the chain is at *at. Without memory for it the series is found by its labels the next time, too. */
static void append_name(loom_metric *m, _Atomic(series_name *) *at, const attr_set *set, loom_series *series)
{
    series_name *made = NULL, *next = NULL;
    const bool room = atomic_fetch_add_explicit(&m->name_count, 1, memory_order_relaxed) / NAMES_PER_SERIES < m->max_series;
    if (!room || (made = calloc(1, sizeof *made + set->key_len)) == NULL) {
        atomic_fetch_sub_explicit(&m->name_count, 1, memory_order_relaxed);
        return;
    }
    made->series = series;
    made->hash = set->hash;
    made->key_len = set->key_len;
    memcpy(made->key, set->key, set->key_len);
    while (!atomic_compare_exchange_strong_explicit(at, &next, made, memory_order_acq_rel, memory_order_acquire)) {
        if (is_of(next, set)) { /* another thread was first */
            atomic_fetch_sub_explicit(&m->name_count, 1, memory_order_relaxed);
            free(made);
            return;
        }
        at = &next->next;
        next = NULL;
    }
}

/* Attributes that nobody has asked for yet. */
static loom_series *find_by_labels(loom_metric *m, _Atomic(series_name *) *at, const attr_set *set)
{
    loom_series *made = series_create(m, make_labels(m, set));
    if (made == NULL) {
        return overflow(m);
    }
    loom_series *series = settle(m, made);
    if (series != m->overflow) {
        append_name(m, at, set, series);
    }
    return series;
}

loom_series *loom_metric_series(loom_metric *metric, const loom_attr *attrs, size_t attr_count)
{
    if (metric == NULL) {
        return NULL;
    }
    attr_set set;
    if (!make_set(&set, attrs, attr_count)) {
        return overflow(metric);
    }
    _Atomic(series_name *) *at = &metric->names[set.hash % SERIES_BUCKETS];
    for (series_name *n; (n = atomic_load_explicit(at, memory_order_acquire)) != NULL; at = &n->next) {
        if (is_of(n, &set)) {
            return n->series;
        }
    }
    return find_by_labels(metric, at, &set);
}

loom_status metric_init_series(loom_metric *m)
{
    const loom_attr attr = {.key = "otel.metric.overflow", .type = LOOM_ATTR_BOOL, .value.boolean = true};
    attr_set set;
    (void)make_set(&set, &attr, 1);
    m->overflow = series_create(m, make_labels(m, &set));
    return m->overflow != NULL ? LOOM_OK : LOOM_ENOMEM;
}

void metric_free_series(loom_metric *m)
{
    for (size_t i = 0; i < SERIES_BUCKETS; i++) {
        loom_series *s = atomic_load_explicit(&m->buckets[i], memory_order_acquire);
        while (s != NULL) {
            loom_series *next = atomic_load_explicit(&s->next, memory_order_acquire);
            series_free(s);
            s = next;
        }
        series_name *n = atomic_load_explicit(&m->names[i], memory_order_acquire);
        while (n != NULL) {
            series_name *next = atomic_load_explicit(&n->next, memory_order_acquire);
            free(n);
            n = next;
        }
    }
    series_free(m->overflow);
}

/* ---- measuring ---- */

void loom_series_add(loom_series *series, int64_t value)
{
    if (series != NULL && ((series->metric->family.kind == LOOM_COUNTER && value >= 0) ||
                           series->metric->family.kind == LOOM_UP_DOWN_COUNTER)) {
        atomic_fetch_add_explicit(&series->integer, value, memory_order_relaxed);
    }
}

void loom_series_set(loom_series *series, double value)
{
    if (series != NULL && series->metric->family.kind == LOOM_GAUGE) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        atomic_store_explicit(&series->real, bits, memory_order_relaxed);
    }
}

static void add_real(atomic_uint_fast64_t *to, double value)
{
    uint_fast64_t before = atomic_load_explicit(to, memory_order_relaxed);
    uint64_t after;
    do {
        double sum;
        const uint64_t bits = before;
        memcpy(&sum, &bits, sizeof sum);
        sum += value;
        memcpy(&after, &sum, sizeof after);
    } while (!atomic_compare_exchange_weak_explicit(to, &before, after, memory_order_relaxed, memory_order_relaxed));
}

/* The first bucket whose upper end value does not pass. */
static size_t find_bucket(const loom_metric *m, double value)
{
    size_t low = 0, high = m->bound_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (value <= m->bounds[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void loom_series_record(loom_series *series, double value)
{
    if (series == NULL || series->buckets == NULL || !isfinite(value)) {
        return;
    }
    bucket *b = &series->buckets[find_bucket(series->metric, value)];
    atomic_fetch_add_explicit(&b->count, 1, memory_order_relaxed);
    add_real(&series->real, value);
    const loom_trace_context *context = loom_context_current();
    if (context != NULL && (context->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0) {
        exemplar_value e = {.value = value, .time_unix_ns = clock_unix_ns()};
        memcpy(e.trace_id, context->trace_id, sizeof e.trace_id);
        memcpy(e.span_id, context->span_id, sizeof e.span_id);
        exemplar_put(&b->last, &e);
    }
}

void loom_metric_add(loom_metric *metric, int64_t value, const loom_attr *attrs, size_t attr_count)
{
    loom_series_add(loom_metric_series(metric, attrs, attr_count), value);
}

void loom_metric_set(loom_metric *metric, double value, const loom_attr *attrs, size_t attr_count)
{
    loom_series_set(loom_metric_series(metric, attrs, attr_count), value);
}

void loom_metric_record(loom_metric *metric, double value, const loom_attr *attrs, size_t attr_count)
{
    loom_series_record(loom_metric_series(metric, attrs, attr_count), value);
}

double loom_series_value(const loom_series *series)
{
    if (series == NULL) {
        return 0;
    }
    const loom_metric_kind kind = series->metric->family.kind;
    return kind == LOOM_COUNTER || kind == LOOM_UP_DOWN_COUNTER
               ? (double)atomic_load_explicit(&series->integer, memory_order_relaxed)
               : series_real(&series->real);
}

uint64_t loom_series_count(const loom_series *series)
{
    uint64_t count = 0;
    for (size_t i = 0; series != NULL && series->buckets != NULL && i <= series->metric->bound_count; i++) {
        count += atomic_load_explicit(&series->buckets[i].count, memory_order_relaxed);
    }
    return count;
}
