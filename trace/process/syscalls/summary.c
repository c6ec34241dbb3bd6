/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

enum { BAR_MAX = 40, BAR_MIN = 8, TABLE_WIDTH = 79 }; /* TABLE_WIDTH: without the bar */

typedef struct summary_row {
    const char *name;
    uint64_t calls, errors, total_ns, p50_ns, p99_ns, longest_ns;
} summary_row;

static int by_time(const void *a, const void *b)
{
    const summary_row *x = a, *y = b;
    if (x->total_ns != y->total_ns) {
        return x->total_ns < y->total_ns ? 1 : -1;
    }
    return strcmp(x->name, y->name);
}

static size_t collect(const tally *t, const syscall_spec *const *specs, summary_row rows[SYSCALL_NUMBERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < SYSCALL_NUMBERS_MAX; i++) {
        const call_tally *c = &t->by_number[i];
        const uint64_t calls = atomic_load_explicit(&c->calls, memory_order_relaxed);
        if (calls > 0 && specs[i] != NULL) {
            rows[count++] = (summary_row){specs[i]->name,
                                          calls,
                                          atomic_load_explicit(&c->errors, memory_order_relaxed),
                                          atomic_load_explicit(&c->total_ns, memory_order_relaxed),
                                          tally_percentile(c, 0.5),
                                          tally_percentile(c, 0.99),
                                          atomic_load_explicit(&c->longest_ns, memory_order_relaxed)};
        }
    }
    qsort(rows, count, sizeof rows[0], by_time);
    return count;
}

/* "12.3 us": three digits that count. */
static const char *put_time(char out[NUMBER_SIZE + 4], uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    size_t unit = 0;
    while (value >= 999.5 && unit < 3) {
        value /= 1000;
        unit++;
    }
    size_t len = number_format_fixed(out, value, unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
    (void)snprintf(out + len, 5, " %s", units[unit]);
    return out;
}

static void put_bar(FILE *out, uint64_t part, uint64_t whole, unsigned room)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const uint64_t filled = whole > 0 ? (uint64_t)((double)part / (double)whole * room * 8 + 0.5) : 0;
    for (uint64_t i = 0; i < filled / 8; i++) {
        fputs("█", out);
    }
    fputs(eighths[filled % 8], out);
}

static void put_row(FILE *out, const summary_row *row, uint64_t whole, unsigned bar)
{
    char total[NUMBER_SIZE + 4], p50[NUMBER_SIZE + 4], p99[NUMBER_SIZE + 4], longest[NUMBER_SIZE + 4];
    fprintf(out, "%-18s %9" PRIu64 " %8" PRIu64 " %9s %9s %9s %9s", row->name, row->calls, row->errors, put_time(total, row->total_ns),
            put_time(p50, row->p50_ns), put_time(p99, row->p99_ns), put_time(longest, row->longest_ns));
    if (bar > 0) {
        fputs("  ", out);
        put_bar(out, row->total_ns, whole, bar);
    }
    fputc('\n', out);
}

static void write_table(FILE *out, const summary_row *rows, size_t count, unsigned columns)
{
    const unsigned left = columns > TABLE_WIDTH + 2 ? columns - TABLE_WIDTH - 2 : 0;
    const unsigned bar = left < BAR_MIN ? 0 : left < BAR_MAX ? left : BAR_MAX;
    summary_row all = {.name = "total"};
    for (size_t i = 0; i < count; i++) {
        all.calls += rows[i].calls;
        all.errors += rows[i].errors;
        all.total_ns += rows[i].total_ns;
    }
    fprintf(out, "%-18s %9s %8s %9s %9s %9s %9s%s\n", "system call", "calls", "errors", "total", "p50", "p99", "longest", bar > 0 ? "  share of the time" : "");
    for (size_t i = 0; i < count; i++) {
        put_row(out, &rows[i], all.total_ns, bar);
    }
    char total[NUMBER_SIZE + 4];
    fprintf(out, "%-18s %9" PRIu64 " %8" PRIu64 " %9s\n", all.name, all.calls, all.errors, put_time(total, all.total_ns));
}

/* Names are the table's, and need no escapes. */
static void write_json(FILE *out, const summary_row *rows, size_t count)
{
    fputs("{\"syscalls\":[", out);
    for (size_t i = 0; i < count; i++) {
        const summary_row *r = &rows[i];
        fprintf(out,
                "%s{\"name\":\"%s\",\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"total_ns\":%" PRIu64 ",\"p50_ns\":%" PRIu64
                ",\"p99_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 "}",
                i > 0 ? "," : "", r->name, r->calls, r->errors, r->total_ns, r->p50_ns, r->p99_ns, r->longest_ns);
    }
    fputs("]}\n", out);
}

loom_status syscall_summary_write(const tally *t, const syscall_spec *const *specs, FILE *out, syscall_summary_form form,
                                  unsigned columns)
{
    summary_row *rows = calloc(SYSCALL_NUMBERS_MAX, sizeof *rows);
    if (rows == NULL) {
        return LOOM_ENOMEM;
    }
    const size_t count = collect(t, specs, rows);
    if (form == SYSCALL_SUMMARY_JSON) {
        write_json(out, rows, count);
    } else {
        write_table(out, rows, count, columns);
    }
    free(rows);
    return fflush(out) == 0 && !ferror(out) ? LOOM_OK : LOOM_EIO;
}
