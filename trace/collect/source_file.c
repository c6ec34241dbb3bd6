/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/source_file.h"

#include "trace/collect/otlp_from_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)256 << 20)

static loom_status add_line(span_list *list, pb_buf *request, loom_str line, char problem[OTLP_JSON_PROBLEM_SIZE])
{
    request->len = 0;
    loom_status st = otlp_from_json(request, line, problem);
    if (st != LOOM_OK) {
        return st;
    }
    st = span_list_add(list, (loom_bytes){request->data, request->len});
    if (st == LOOM_EMALFORMED) {
        snprintf(problem, OTLP_JSON_PROBLEM_SIZE, "not an ExportTraceServiceRequest");
    }
    return st;
}

static bool is_blank(loom_str line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (strchr(" \t\r\n", line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

/* ---- records ---- */

/* One JSON value after the other: usually a line each, and several lines where somebody indented it. */
typedef struct record_reader {
    FILE *in;
    char *line; /* read last */
    size_t line_size, number;
    ssize_t line_len;
    bool pending; /* the line belongs to the next record */
    char *text;   /* the record; its first line is `first` */
    size_t len, cap, first;
    bool complete;
} record_reader;

typedef struct json_depth {
    size_t open; /* brackets */
    bool in_string, escaped;
} json_depth;

static void follow(json_depth *d, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        if (d->in_string) {
            d->in_string = c != '"' || d->escaped;
            d->escaped = c == '\\' && !d->escaped;
        } else if (c == '"') {
            d->in_string = true;
        } else if (c == '{' || c == '[') {
            d->open++;
        } else if ((c == '}' || c == ']') && d->open > 0) {
            d->open--;
        }
    }
}

static loom_status append_line(record_reader *r)
{
    const size_t need = r->len + (size_t)r->line_len;
    if (need > LINE_BYTES_MAX) {
        return LOOM_ETOOBIG;
    }
    if (need > r->cap) {
        size_t cap = need > 2 * r->cap ? need : 2 * r->cap;
        char *text = realloc(r->text, cap);
        if (text == NULL) {
            return LOOM_ENOMEM;
        }
        r->text = text;
        r->cap = cap;
    }
    memcpy(r->text + r->len, r->line, (size_t)r->line_len);
    r->len = need;
    return LOOM_OK;
}

/* Up to the bracket that closes the first, or to a line that begins like a record of its own: what came before it is a
 * record that was never finished. len 0: there is no more. */
static loom_status next_record(record_reader *r)
{
    json_depth depth = {.open = 0};
    loom_status st = LOOM_OK;
    r->len = 0;
    r->complete = false;
    while (st == LOOM_OK && !r->complete) {
        if (!r->pending) {
            r->line_len = getline(&r->line, &r->line_size, r->in);
            r->number++;
        }
        r->pending = r->line_len > 0 && r->len > 0 && r->line[0] == '{';
        if (r->line_len <= 0 || r->pending) {
            break;
        }
        if (is_blank((loom_str){r->line, (size_t)r->line_len})) {
            continue;
        }
        r->first = r->len == 0 ? r->number : r->first;
        st = append_line(r);
        follow(&depth, r->line, (size_t)r->line_len);
        r->complete = depth.open == 0 && !depth.in_string;
    }
    return st;
}

loom_status source_file_read(span_list *list, FILE *in, const char *name, source_file_report *report, char *problem,
                             size_t problem_size)
{
    pb_buf request;
    pb_init(&request, NULL, 0, 2 * LINE_BYTES_MAX);
    record_reader r = {.in = in};
    loom_status st, bad = LOOM_OK;
    *report = (source_file_report){0};
    errno = 0;
    while (bad != LOOM_ENOMEM && ((st = next_record(&r)) != LOOM_OK || r.len > 0)) {
        char why[OTLP_JSON_PROBLEM_SIZE] = "";
        st = st == LOOM_OK ? add_line(list, &request, (loom_str){r.text, r.len}, why) : st;
        if (st == LOOM_EMALFORMED && !r.pending && (!r.complete || r.text[r.len - 1] != '\n')) {
            report->cut = true; /* the last one, which somebody is still writing */
        } else if (st != LOOM_OK && (report->bad++ == 0 || st == LOOM_ENOMEM)) {
            bad = st;
            snprintf(problem, problem_size, "%s:%zu: %s", name, r.first, why[0] != '\0' ? why : loom_status_text(st));
        }
    }
    if (st != LOOM_ENOMEM && ferror(in)) {
        st = LOOM_EIO;
        snprintf(problem, problem_size, "%s: %s", name, strerror(errno));
    } else if (st != LOOM_ENOMEM) {
        st = list->count == 0 ? bad : LOOM_OK;
    }
    free(r.text);
    free(r.line);
    pb_fini(&request);
    if (st == LOOM_OK) {
        span_list_sort(list);
    }
    return st;
}
