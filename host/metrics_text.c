/* SPDX-License-Identifier: Apache-2.0 */
#include "host/metrics_text.h"

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

static void metric(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    metrics_describe(out, name, type, help);
    metrics_sample(out, name, NULL, (loom_str){NULL, 0}, value);
}

void metrics_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    metric(out, name, "counter", help, value);
}

void metrics_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    metric(out, name, "gauge", help, value);
}
