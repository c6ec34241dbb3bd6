/* SPDX-License-Identifier: Apache-2.0 */
#include "host/metrics.h"

#include <string.h>

#include "host/http/metrics_server.h"

void metrics_write_counters(FILE *out, const counter_source *source)
{
    counter_stats stats;
    counter_read(source, &stats);
    for (size_t i = 0; i < source->group->count; i++) {
        const counter *c = &source->group->counters[i];
        metrics_describe(out, c->metric, c->kind == COUNTER_TOTAL ? "counter" : "gauge", c->help);
        for (unsigned k = 0; k < c->count; k++) {
            const char *value = c->label != NULL ? c->name_of(k) : "";
            metrics_sample(out, c->metric, c->label, (loom_str){value, strlen(value)}, counter_value(c, &stats, k));
        }
    }
}
