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

loom_status source_file_read(span_list *list, FILE *in, const char *name, source_file_report *report, char *problem,
                             size_t problem_size)
{
    pb_buf request;
    pb_init(&request, NULL, 0, 2 * LINE_BYTES_MAX);
    char *text = NULL;
    size_t size = 0;
    loom_status st = LOOM_OK, bad = LOOM_OK;
    ssize_t len;
    *report = (source_file_report){0};
    errno = 0;
    for (size_t number = 1; st != LOOM_ENOMEM && (len = getline(&text, &size, in)) > 0; number++) {
        loom_str line = {text, (size_t)len};
        char why[OTLP_JSON_PROBLEM_SIZE] = "";
        if (is_blank(line)) {
            continue;
        }
        st = line.len > LINE_BYTES_MAX ? LOOM_ETOOBIG : add_line(list, &request, line, why);
        if (st == LOOM_EMALFORMED && text[len - 1] != '\n') {
            report->cut = true;
            st = LOOM_OK;
        } else if (st != LOOM_OK && (report->bad++ == 0 || st == LOOM_ENOMEM)) {
            bad = st;
            snprintf(problem, problem_size, "%s:%zu: %s", name, number, why[0] != '\0' ? why : loom_status_text(st));
        }
    }
    if (st != LOOM_ENOMEM && ferror(in)) {
        st = LOOM_EIO;
        snprintf(problem, problem_size, "%s: %s", name, strerror(errno));
    } else if (st != LOOM_ENOMEM) {
        st = list->count == 0 ? bad : LOOM_OK;
    }
    free(text);
    pb_fini(&request);
    if (st == LOOM_OK) {
        span_list_sort(list);
    }
    return st;
}
