/* SPDX-License-Identifier: Apache-2.0 */
/* What a part of Loom counts, described once: a table beside the struct that holds the numbers. /metrics, the control
 * socket and whoever shows counters to people read the tables, so a new counter is a field and a row.
 *
 *     static const counter rows[] = {
 *         COUNTER(eventbus_stats, published, COUNTER_TOTAL, "loom_eventbus_published_total", "Events published."),
 *     };
 *     const counter_group eventbus_counters = COUNTER_GROUP("eventbus", eventbus_stats, rows);
 */
#ifndef LOOM_BASE_COUNTERS_H
#define LOOM_BASE_COUNTERS_H

#include <loom/api.h>

#include <stddef.h>

enum { COUNTER_STATS_MAX = 512 }; /* bytes of the largest struct that a group describes */

typedef enum counter_kind {
    COUNTER_TOTAL, /* only grows */
    COUNTER_GAUGE, /* what there is now */
    COUNTER_FLAG   /* a gauge that is 0 or 1 */
} counter_kind;

typedef struct counter {
    const char *key;    /* unique in its group */
    const char *metric; /* its name for Prometheus */
    const char *help;   /* one sentence */
    counter_kind kind;
    size_t offset, size;              /* of the field; 1, 4 or 8 bytes */
    const char *label;                /* of a family of counters, such as "reason"; NULL: a single one */
    unsigned count;                   /* of a family: values side by side, `size` bytes each; else 1 */
    const char *(*name_of)(unsigned); /* of a family: the label's value for each */
} counter;

typedef struct counter_group {
    const char *name; /* such as "eventbus" */
    const counter *counters;
    size_t count;
} counter_group;

/* A group, and how to read its numbers now. */
typedef struct counter_source {
    const counter_group *group;
    const void *owner;
    void (*read)(const void *owner, void *stats); /* fills the struct that the group describes */
} counter_source;

/* All sources of a process. */
enum { COUNTER_SOURCES_MAX = 16 };
typedef struct counter_list {
    counter_source items[COUNTER_SOURCES_MAX];
    size_t count;
} counter_list;
/* The source's owner must live as long as anybody reads the list. */
void counter_list_add(counter_list *list, counter_source source);

/* Room for the numbers of any group. */
typedef union counter_stats {
    uint64_t align;
    unsigned char bytes[COUNTER_STATS_MAX];
} counter_stats;

#define COUNTER(stats, field, of_kind, metric_name, text)                                                                  \
    {.key = #field, .metric = (metric_name), .help = (text), .kind = (of_kind), .offset = offsetof(stats, field),          \
     .size = sizeof(((stats *)0)->field), .count = 1}
/* first: the first field of the family, whose values lie side by side. */
#define COUNTER_FAMILY(stats, first, family_key, metric_name, label_name, values, names, text)                             \
    {.key = (family_key), .metric = (metric_name), .help = (text), .kind = COUNTER_TOTAL, .offset = offsetof(stats, first), \
     .size = sizeof(uint64_t), .label = (label_name), .count = (values), .name_of = (names)}
#define COUNTER_GROUP(group_name, stats, rows)                                                                             \
    {.name = (group_name), .counters = (rows), .count = sizeof(rows) / sizeof *(rows)};                                    \
    _Static_assert(sizeof(stats) <= COUNTER_STATS_MAX, "counter_stats has room for " #stats)

/* Reads what a source counts now. */
void counter_read(const counter_source *source, counter_stats *stats);
/* The i-th value, i below c->count. */
uint64_t counter_value(const counter *c, const counter_stats *stats, unsigned i);

#endif
