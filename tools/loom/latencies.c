/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/latencies.h"

#include <stdlib.h>

#include "tools/loom/event_json.h"
#include "trace/view/text.h"

enum { BUCKETS = 64, BAR = 50 };

static const struct {
    const char *name;
    double share;
} shown[] = {{"min", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

bool latencies_init(latencies *l, size_t cap)
{
    *l = (latencies){.ns = malloc((cap > 0 ? cap : 1) * sizeof *l->ns), .cap = cap};
    return l->ns != NULL;
}

void latencies_fini(latencies *l)
{
    free(l->ns);
    l->ns = NULL;
}

void latencies_add(latencies *l, uint64_t ns)
{
    if (l->count < l->cap) {
        l->ns[l->count++] = ns;
        l->sorted = false;
    }
}

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t latencies_at(latencies *l, double share)
{
    if (l->count == 0) {
        return 0;
    }
    if (!l->sorted) {
        qsort(l->ns, l->count, sizeof *l->ns, by_size);
        l->sorted = true;
    }
    return l->ns[(size_t)(share * (double)(l->count - 1) + 0.5)];
}

void latencies_print(latencies *l, FILE *out)
{
    char text[TEXT_DURATION_SIZE];
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        text_duration(text, latencies_at(l, shown[i].share));
        fprintf(out, "%s%s %s", i > 0 ? "  " : "", shown[i].name, text);
    }
    fputc('\n', out);
}

static unsigned bucket_of(uint64_t ns)
{
    return ns == 0 ? 0 : 63u - (unsigned)__builtin_clzll(ns);
}

void latencies_print_histogram(latencies *l, FILE *out)
{
    size_t counts[BUCKETS] = {0}, most = 1;
    for (size_t i = 0; i < l->count; i++) {
        const size_t in = ++counts[bucket_of(l->ns[i])];
        most = in > most ? in : most;
    }
    const unsigned first = bucket_of(latencies_at(l, 0)), last = bucket_of(latencies_at(l, 1));
    for (unsigned b = first; l->count > 0 && b <= last; b++) {
        char from[TEXT_DURATION_SIZE];
        text_duration(from, (uint64_t)1 << b);
        text_put_padded(out, (loom_str){from, __builtin_strlen(from)}, 10);
        fprintf(out, "%8zu  ", counts[b]);
        for (size_t bar = counts[b] * BAR / most; bar > 0; bar--) {
            fputc('#', out);
        }
        fputs(counts[b] > 0 && counts[b] * BAR < most ? "." : "", out);
        fputc('\n', out);
    }
}

json_t *latencies_json(latencies *l)
{
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        json_object_set_new(all, shown[i].name, json_uint64(latencies_at(l, shown[i].share)));
    }
    return all;
}
