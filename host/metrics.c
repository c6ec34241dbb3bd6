/* SPDX-License-Identifier: Apache-2.0 */
#include "host/metrics.h"

#include <string.h>

void metrics_describe(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_sample(FILE *out, const char *name, const char *label, loom_str label_value, uint64_t value)
{
    fputs(name, out);
    if (label != NULL) {
        fprintf(out, "{%s=\"", label);
        for (size_t i = 0; i < label_value.len; i++) {
            char c = label_value.data[i];
            if (c == '\n') {
                fputs("\\n", out);
            } else {
                if (c == '\\' || c == '"') {
                    putc('\\', out);
                }
                putc(c, out);
            }
        }
        fputs("\"}", out);
    }
    fprintf(out, " %llu\n", (unsigned long long)value);
}

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
