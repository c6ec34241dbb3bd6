/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/otlp_answer.h"

#include "base/str.h"
#include "trace/collect/otlp_from_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ANSWER_MAX 4096u /* bytes */

/* What is sent, and what is said of it. */
static const struct {
    const char *what, *request, *rejected, *rejection;
    loom_status (*from_json)(pb_buf *out, loom_str json, char problem[OTLP_JSON_PROBLEM_SIZE]);
    loom_status (*add)(store *s, loom_bytes request, store_receipt *receipt);
} signals[] = {
    [OTLP_TRACES] = {"spans", "ExportTraceServiceRequest", "rejectedSpans", "a span needs a trace id and a span id that are not all zero",
                     otlp_from_json, store_add},
    [OTLP_LOGS] = {"log records", "ExportLogsServiceRequest", "rejectedLogRecords",
                   "of log records those are kept that have a trace id, and at most 8 KiB", otlp_logs_from_json, store_add_logs},
};

body_type otlp_body_type(const char *content_type)
{
    static const struct {
        const char *name;
        body_type type;
    } types[] = {{"application/x-protobuf", BODY_PROTOBUF}, {"application/json", BODY_JSON}};
    size_t len = content_type != NULL ? strcspn(content_type, "; \t") : 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (len == strlen(types[i].name) && strncasecmp(content_type, types[i].name, len) == 0) {
            return types[i].type;
        }
    }
    return BODY_UNKNOWN;
}

static void begin(otlp_answer *answer, body_type type, uint16_t status)
{
    static const char *const names[] = {"application/x-protobuf", "application/json", "text/plain; charset=utf-8"};
    *answer = (otlp_answer){.status = status, .content_type = names[type]};
    pb_init(&answer->body, NULL, 0, ANSWER_MAX);
}

static void put(otlp_answer *answer, const char *text)
{
    pb_raw(&answer->body, text, strlen(text));
}

/* A JSON string. Messages are ours, and at most hold what jansson quoted from the request. */
static void put_quoted(otlp_answer *answer, const char *text)
{
    put(answer, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            put(answer, "\\");
        }
        char safe = (unsigned char)*c < 0x20 ? ' ' : *c;
        pb_raw(&answer->body, &safe, 1);
    }
    put(answer, "\"");
}

/* An ExportTraceServiceResponse or ExportLogsServiceResponse, which have the same fields; what is rejected makes it a partial
 * success. */
static void stored(otlp_answer *answer, otlp_signal signal, body_type type, const store_receipt *receipt)
{
    const char *rejection = signals[signal].rejection;
    begin(answer, type, 200);
    if (type == BODY_JSON) {
        char partial[128];
        snprintf(partial, sizeof partial, "{\"partialSuccess\":{\"%s\":\"%zu\",\"errorMessage\":", signals[signal].rejected,
                 receipt->rejected);
        put(answer, receipt->rejected > 0 ? partial : "{");
        if (receipt->rejected > 0) {
            put_quoted(answer, rejection);
            put(answer, "}");
        }
        put(answer, "}");
    } else if (receipt->rejected > 0) {
        /* ExportTraceServiceResponse.partial_success = 1 {rejected_spans = 1, error_message = 2}. */
        size_t mark = pb_open(&answer->body, 1);
        pb_varint_field(&answer->body, 1, receipt->rejected);
        pb_string_field(&answer->body, 2, str_of(rejection));
        pb_close(&answer->body, mark);
    }
}

/* google.rpc.Code. */
static int rpc_code(uint16_t http_status)
{
    switch (http_status) {
    case 404:
        return 5; /* NOT_FOUND */
    case 408:
        return 4; /* DEADLINE_EXCEEDED */
    case 405:
    case 415:
        return 12; /* UNIMPLEMENTED */
    case 413:
        return 8; /* RESOURCE_EXHAUSTED */
    case 500:
        return 13; /* INTERNAL */
    case 503:
        return 14; /* UNAVAILABLE */
    default:
        return 3; /* INVALID_ARGUMENT */
    }
}

void otlp_answer_error(otlp_answer *answer, body_type type, uint16_t status, const char *message)
{
    begin(answer, type, status);
    if (type == BODY_PROTOBUF) {
        /* google.rpc.Status {code = 1, message = 2}. */
        pb_varint_field(&answer->body, 1, (uint64_t)rpc_code(status));
        pb_string_field(&answer->body, 2, str_of(message));
    } else if (type == BODY_JSON) {
        char head[32];
        snprintf(head, sizeof head, "{\"code\":%d,\"message\":", rpc_code(status));
        put(answer, head);
        put_quoted(answer, message);
        put(answer, "}");
    } else {
        put(answer, message);
        put(answer, "\n");
    }
}

static loom_status store_json(store *db, otlp_signal signal, loom_bytes body, store_receipt *receipt, char *why)
{
    pb_buf request;
    /* JSON is always longer than what it stands for. */
    pb_init(&request, NULL, 0, 2 * body.len + 1024);
    loom_status st = signals[signal].from_json(&request, (loom_str){(const char *)body.data, body.len}, why);
    if (st == LOOM_OK) {
        st = signals[signal].add(db, (loom_bytes){request.data, request.len}, receipt);
    }
    pb_fini(&request);
    return st;
}

void otlp_answer_export(otlp_answer *answer, otlp_signal signal, body_type type, loom_bytes body, store *db, store_receipt *receipt,
                        char problem[STORE_PROBLEM_SIZE])
{
    char why[OTLP_JSON_PROBLEM_SIZE] = "";
    *receipt = (store_receipt){0};
    problem[0] = '\0';
    loom_status st = type == BODY_JSON ? store_json(db, signal, body, receipt, why) : signals[signal].add(db, body, receipt);
    switch (st) {
    case LOOM_OK:
        stored(answer, signal, type, receipt);
        break;
    case LOOM_EMALFORMED:
        if (why[0] == '\0') {
            snprintf(why, sizeof why, "the body is not an %s", signals[signal].request);
        }
        snprintf(problem, STORE_PROBLEM_SIZE, "%s", why);
        otlp_answer_error(answer, type, 400, why);
        break;
    default:
        snprintf(problem, STORE_PROBLEM_SIZE, "cannot store %s: %s", signals[signal].what,
                 st == LOOM_ENOMEM ? loom_status_text(st) : store_problem(db));
        otlp_answer_error(answer, type, 503, "the trace database cannot be written just now");
        break;
    }
}
