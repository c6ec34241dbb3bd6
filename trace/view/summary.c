/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/summary.h"

#include "base/str.h"
#include "base/utf8.h"
#include "trace/view/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_COLUMNS 28u
#define SERVICES_COLUMNS 60u

static void print_count(FILE *out, size_t count, const char *noun)
{
    fprintf(out, "%zu %s%s", count, noun, count == 1 ? "" : "s");
}

static void print_incomplete(FILE *out, const trace_summary *summary, const char *before, bool colour)
{
    if (summary->incomplete) {
        fprintf(out, "%s%sincomplete%s", before, colour ? "\033[31m" : "", colour ? "\033[0m" : "");
    }
}

void trace_summary_print_title(FILE *out, const trace_summary *summary, bool colour)
{
    char id[LOOM_TRACE_ID_HEX_SIZE];
    char started[TEXT_TIME_SIZE];
    char took[TEXT_DURATION_SIZE];
    loom_trace_id_to_hex(id, summary->trace_id);
    text_time(started, summary->start_unix_ns);
    text_duration(took, summary->end_unix_ns - summary->start_unix_ns);
    fprintf(out, "%strace %s%s  %s UTC  %s  ", colour ? "\033[1m" : "", id, colour ? "\033[0m" : "", started, took);
    print_count(out, summary->span_count, "span");
    fputs(", ", out);
    print_count(out, summary->service_count, "service");
    if (summary->error_count > 0) {
        fputs(colour ? ", \033[31m" : ", ", out);
        print_count(out, summary->error_count, "error");
        fputs(colour ? "\033[0m" : "", out);
    }
    print_incomplete(out, summary, ", ", colour);
    fputc('\n', out);
}

void trace_summary_print_heading(FILE *out, bool colour)
{
    fprintf(out, "%s%-32s  %-23s  %15s  %-*s  %9s  %5s  %6s  %s%s\n", colour ? "\033[2m" : "", "TRACE", "START (UTC)",
            "AGO", (int)ROOT_COLUMNS, "ROOT", "DURATION", "SPANS", "ERRORS", "SERVICES (root first)",
            colour ? "\033[0m" : "");
}

static void print_right(FILE *out, const char *text, size_t columns)
{
    size_t used = text_columns(str_of(text));
    text_put_spaces(out, used < columns ? columns - used : 0);
    fputs(text, out);
}

static void print_services(FILE *out, const trace_summary *summary)
{
    size_t used = text_put(out, str_of(summary->root_service), SERVICES_COLUMNS);
    for (size_t i = 0; i < summary->service_count; i++) {
        if (strcmp(summary->services[i], summary->root_service) == 0) {
            continue;
        }
        if (used + 2 + text_columns(str_of(summary->services[i])) > SERVICES_COLUMNS) {
            fputs(" …", out);
            return;
        }
        if (used > 0) {
            fputs(", ", out);
            used += 2;
        }
        used += text_put(out, str_of(summary->services[i]), SERVICES_COLUMNS - used);
    }
}

void trace_summary_print_row(FILE *out, const trace_summary *summary, uint64_t now_unix_ns, bool colour)
{
    char id[LOOM_TRACE_ID_HEX_SIZE];
    char started[TEXT_TIME_SIZE];
    char ago[TEXT_DURATION_SIZE + 8];
    char took[TEXT_DURATION_SIZE];
    loom_trace_id_to_hex(id, summary->trace_id);
    text_time(started, summary->start_unix_ns);
    text_duration(took, now_unix_ns > summary->start_unix_ns ? now_unix_ns - summary->start_unix_ns : 0);
    snprintf(ago, sizeof ago, "%s ago", took);
    text_duration(took, summary->end_unix_ns - summary->start_unix_ns);
    fprintf(out, "%s  %s  ", id, started);
    print_right(out, ago, 15);
    fputs("  ", out);
    bool red = colour && (summary->error_count > 0 || !summary->root_found);
    fputs(red ? "\033[31m" : "", out);
    size_t used = summary->root_found ? 0 : text_put(out, str_of("(no root) "), ROOT_COLUMNS);
    text_put_padded(out, str_of(summary->root_name), ROOT_COLUMNS - used);
    fputs(red ? "\033[0m" : "", out);
    fputs("  ", out);
    print_right(out, took, 9);
    fprintf(out, "  %5zu  %6zu  ", summary->span_count, summary->error_count);
    print_services(out, summary);
    print_incomplete(out, summary, "  ", colour);
    fputc('\n', out);
}

/* jansson refuses text that is no UTF-8. */
static json_t *json_text(const char *text)
{
    size_t len;
    char *repaired = utf8_repair(str_of(text), &len);
    json_t *value = repaired != NULL ? json_stringn_nocheck(repaired, len) : NULL;
    free(repaired);
    return value;
}

loom_status trace_summary_print_json(FILE *out, const trace_summary *summary)
{
    char id[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(id, summary->trace_id);
    json_t *services = json_array();
    for (size_t i = 0; i < summary->service_count; i++) {
        if (json_array_append_new(services, json_text(summary->services[i])) != 0) {
            json_decref(services);
            return LOOM_ENOMEM;
        }
    }
    char start[24], duration[24]; /* as text: readers that keep numbers as floating point, jq 1.6 among them, round them */
    snprintf(start, sizeof start, "%" PRIu64, summary->start_unix_ns);
    snprintf(duration, sizeof duration, "%" PRIu64, summary->end_unix_ns - summary->start_unix_ns);
    json_t *row = json_pack("{s:s, s:o?, s:o?, s:b, s:b, s:s, s:s, s:I, s:I, s:o}", "trace_id", id, "root_name",
                            json_text(summary->root_name), "root_service", json_text(summary->root_service), "has_root",
                            (int)summary->root_found, "incomplete", (int)summary->incomplete, "start_unix_ns", start,
                            "duration_ns", duration, "spans", (json_int_t)summary->span_count, "errors", (json_int_t)summary->error_count, "services",
                            services);
    char *text = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;
    json_decref(row);
    if (text == NULL) {
        return LOOM_ENOMEM;
    }
    text_put_json(out, text);
    fputc('\n', out);
    free(text);
    return LOOM_OK;
}
