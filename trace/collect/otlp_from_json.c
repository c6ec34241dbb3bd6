/* SPDX-License-Identifier: Apache-2.0 */
/* Driven by tables of the messages of opentelemetry-proto 1.x: collector/trace/v1, trace/v1, resource/v1, common/v1. */
#include "trace/collect/otlp_from_json.h"

#include "base/hex.h"
#include "base/number.h"
#include "base/str.h"
#include "trace/otlp/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <loom/context.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 40u /* messages in messages; an AnyValue of lists in lists is the only deep one */

typedef enum field_type {
    FIELD_STRING,
    FIELD_TRACE_ID, /* bytes; ids are hex, unlike everything else in protobuf's JSON */
    FIELD_SPAN_ID,
    FIELD_BASE64, /* bytes */
    FIELD_UINT32,
    FIELD_ENUM,
    FIELD_FIXED32,
    FIELD_FIXED64,
    FIELD_INT64,
    FIELD_DOUBLE,
    FIELD_BOOL,
    FIELD_MESSAGE,
    FIELD_MESSAGES /* repeated */
} field_type;

typedef struct message message;
typedef struct field {
    const char *key;
    uint32_t number;
    field_type type;
    const message *of;
} field;
struct message {
    const field *fields; /* ended by a NULL key */
};

static const message any_value_message;

static const field key_value_fields[] = {
    {"key", KEYVALUE_KEY, FIELD_STRING, NULL}, {"value", KEYVALUE_VALUE, FIELD_MESSAGE, &any_value_message}, {0}};
static const message key_value = {key_value_fields};

static const field key_value_list_fields[] = {{"values", KVLIST_VALUES, FIELD_MESSAGES, &key_value}, {0}};
static const message key_value_list = {key_value_list_fields};

static const field array_value_fields[] = {{"values", ARRAY_VALUES, FIELD_MESSAGES, &any_value_message}, {0}};
static const message array_value = {array_value_fields};

static const field any_value_fields[] = {{"stringValue", ANY_STRING, FIELD_STRING, NULL},
                                         {"boolValue", ANY_BOOL, FIELD_BOOL, NULL},
                                         {"intValue", ANY_INT, FIELD_INT64, NULL},
                                         {"doubleValue", ANY_DOUBLE, FIELD_DOUBLE, NULL},
                                         {"arrayValue", ANY_ARRAY, FIELD_MESSAGE, &array_value},
                                         {"kvlistValue", ANY_KVLIST, FIELD_MESSAGE, &key_value_list},
                                         {"bytesValue", ANY_BYTES, FIELD_BASE64, NULL},
                                         {0}};
static const message any_value_message = {any_value_fields};

static const field event_fields[] = {{"timeUnixNano", EVENT_TIME, FIELD_FIXED64, NULL},
                                     {"name", EVENT_NAME, FIELD_STRING, NULL},
                                     {"attributes", EVENT_ATTRIBUTES, FIELD_MESSAGES, &key_value},
                                     {"droppedAttributesCount", EVENT_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
                                     {0}};
static const message event = {event_fields};

static const field link_fields[] = {{"traceId", LINK_TRACE_ID, FIELD_TRACE_ID, NULL},
                                    {"spanId", LINK_SPAN_ID, FIELD_SPAN_ID, NULL},
                                    {"traceState", LINK_TRACE_STATE, FIELD_STRING, NULL},
                                    {"attributes", LINK_ATTRIBUTES, FIELD_MESSAGES, &key_value},
                                    {"droppedAttributesCount", LINK_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
                                    {"flags", LINK_FLAGS, FIELD_FIXED32, NULL},
                                    {0}};
static const message link_message = {link_fields};

static const field status_fields[] = {
    {"message", STATUS_MESSAGE, FIELD_STRING, NULL}, {"code", STATUS_CODE, FIELD_ENUM, NULL}, {0}};
static const message status_message = {status_fields};

static const field span_fields[] = {{"traceId", SPAN_TRACE_ID, FIELD_TRACE_ID, NULL},
                                    {"spanId", SPAN_SPAN_ID, FIELD_SPAN_ID, NULL},
                                    {"traceState", SPAN_TRACE_STATE, FIELD_STRING, NULL},
                                    {"parentSpanId", SPAN_PARENT_SPAN_ID, FIELD_SPAN_ID, NULL},
                                    {"name", SPAN_NAME, FIELD_STRING, NULL},
                                    {"kind", SPAN_KIND, FIELD_ENUM, NULL},
                                    {"startTimeUnixNano", SPAN_START_TIME, FIELD_FIXED64, NULL},
                                    {"endTimeUnixNano", SPAN_END_TIME, FIELD_FIXED64, NULL},
                                    {"attributes", SPAN_ATTRIBUTES, FIELD_MESSAGES, &key_value},
                                    {"droppedAttributesCount", SPAN_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
                                    {"events", SPAN_EVENTS, FIELD_MESSAGES, &event},
                                    {"droppedEventsCount", SPAN_DROPPED_EVENTS, FIELD_UINT32, NULL},
                                    {"links", SPAN_LINKS, FIELD_MESSAGES, &link_message},
                                    {"droppedLinksCount", SPAN_DROPPED_LINKS, FIELD_UINT32, NULL},
                                    {"status", SPAN_STATUS, FIELD_MESSAGE, &status_message},
                                    {"flags", SPAN_FLAGS, FIELD_FIXED32, NULL},
                                    {0}};
static const message span = {span_fields};

static const field scope_fields[] = {{"name", SCOPE_NAME, FIELD_STRING, NULL},
                                     {"version", SCOPE_VERSION, FIELD_STRING, NULL},
                                     {"attributes", SCOPE_ATTRIBUTES, FIELD_MESSAGES, &key_value},
                                     {"droppedAttributesCount", SCOPE_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
                                     {0}};
static const message scope = {scope_fields};

static const field scope_spans_fields[] = {{"scope", SCOPE_SPANS_SCOPE, FIELD_MESSAGE, &scope},
                                           {"spans", SCOPE_SPANS_SPANS, FIELD_MESSAGES, &span},
                                           {"schemaUrl", SCOPE_SPANS_SCHEMA_URL, FIELD_STRING, NULL},
                                           {0}};
static const message scope_spans = {scope_spans_fields};

static const field resource_fields[] = {
    {"attributes", RESOURCE_ATTRIBUTES, FIELD_MESSAGES, &key_value},
    {"droppedAttributesCount", RESOURCE_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
    {0}};
static const message resource = {resource_fields};

static const field resource_spans_fields[] = {{"resource", RESOURCE_SPANS_RESOURCE, FIELD_MESSAGE, &resource},
                                              {"scopeSpans", RESOURCE_SPANS_SCOPE_SPANS, FIELD_MESSAGES, &scope_spans},
                                              {"schemaUrl", RESOURCE_SPANS_SCHEMA_URL, FIELD_STRING, NULL},
                                              {0}};
static const message resource_spans = {resource_spans_fields};

static const field log_record_fields[] = {{"timeUnixNano", LOG_TIME, FIELD_FIXED64, NULL},
                                          {"observedTimeUnixNano", LOG_OBSERVED_TIME, FIELD_FIXED64, NULL},
                                          {"severityNumber", LOG_SEVERITY_NUMBER, FIELD_ENUM, NULL},
                                          {"severityText", LOG_SEVERITY_TEXT, FIELD_STRING, NULL},
                                          {"body", LOG_BODY, FIELD_MESSAGE, &any_value_message},
                                          {"attributes", LOG_ATTRIBUTES, FIELD_MESSAGES, &key_value},
                                          {"droppedAttributesCount", LOG_DROPPED_ATTRIBUTES, FIELD_UINT32, NULL},
                                          {"flags", LOG_FLAGS, FIELD_FIXED32, NULL},
                                          {"traceId", LOG_TRACE_ID, FIELD_TRACE_ID, NULL},
                                          {"spanId", LOG_SPAN_ID, FIELD_SPAN_ID, NULL},
                                          {"eventName", LOG_EVENT_NAME, FIELD_STRING, NULL},
                                          {0}};
static const message log_record_message = {log_record_fields};

static const field scope_logs_fields[] = {{"scope", SCOPE_LOGS_SCOPE, FIELD_MESSAGE, &scope},
                                          {"logRecords", SCOPE_LOGS_LOG_RECORDS, FIELD_MESSAGES, &log_record_message},
                                          {"schemaUrl", SCOPE_LOGS_SCHEMA_URL, FIELD_STRING, NULL},
                                          {0}};
static const message scope_logs = {scope_logs_fields};

static const field resource_logs_fields[] = {{"resource", RESOURCE_LOGS_RESOURCE, FIELD_MESSAGE, &resource},
                                             {"scopeLogs", RESOURCE_LOGS_SCOPE_LOGS, FIELD_MESSAGES, &scope_logs},
                                             {"schemaUrl", RESOURCE_LOGS_SCHEMA_URL, FIELD_STRING, NULL},
                                             {0}};
static const message resource_logs = {resource_logs_fields};

static const field logs_request_fields[] = {{"resourceLogs", LOGS_REQUEST_RESOURCE_LOGS, FIELD_MESSAGES, &resource_logs}, {0}};
static const message logs_request = {logs_request_fields};

static const field request_fields[] = {{"resourceSpans", REQUEST_RESOURCE_SPANS, FIELD_MESSAGES, &resource_spans}, {0}};
static const message request = {request_fields};

typedef struct encoding {
    pb_buf *out;
    char *problem;
} encoding;

static loom_status wrong(const encoding *e, const field *f, const char *expected)
{
    snprintf(e->problem, OTLP_JSON_PROBLEM_SIZE, "%s has to be %s", f->key, expected);
    return LOOM_EMALFORMED;
}

/* All of its digits, or none for an absent one. */
static loom_status put_id(const encoding *e, const field *f, const json_t *value)
{
    uint8_t id[LOOM_TRACE_ID_SIZE];
    const size_t size = f->type == FIELD_TRACE_ID ? LOOM_TRACE_ID_SIZE : LOOM_SPAN_ID_SIZE;
    const char *expected = f->type == FIELD_TRACE_ID ? "32 hex digits" : "16 hex digits";
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL || (len != 0 && len != 2 * size) || !hex_decode_any_case(id, text, len / 2)) {
        return wrong(e, f, expected);
    }
    pb_bytes_field(e->out, f->number, id, len / 2);
    return LOOM_OK;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '-' || c == '_') { /* protobuf's JSON reads the URL-safe alphabet, too */
        return c == '-' ? 62 : 63;
    }
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static loom_status put_base64(const encoding *e, const field *f, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL) {
        return wrong(e, f, "bytes in base64");
    }
    while (len > 0 && text[len - 1] == '=') {
        len--;
    }
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        return LOOM_ENOMEM;
    }
    size_t count = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) {
            free(bytes);
            return wrong(e, f, "bytes in base64");
        }
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0) {
            bytes[count++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        }
    }
    pb_bytes_field(e->out, f->number, bytes, count);
    free(bytes);
    return LOOM_OK;
}

/* 64-bit numbers are strings of decimal digits; plain numbers are read as well. */
static bool read_integer(const json_t *value, bool is_signed, uint64_t *out)
{
    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);
        *out = (uint64_t)number;
        return is_signed || number >= 0;
    }
    const char *text = json_string_value(value);
    size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    bool negative = text != NULL && is_signed && text[0] == '-';
    if (text == NULL || (!negative && digits == 0) || json_string_length(value) > 20) {
        return false;
    }
    char *end;
    errno = 0;
    *out = is_signed ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && end != text;
}

static loom_status put_integer(const encoding *e, const field *f, const json_t *value)
{
    uint64_t number;
    if (!read_integer(value, f->type == FIELD_INT64, &number)) {
        return wrong(e, f, f->type == FIELD_INT64 ? "a 64-bit integer" : "a non-negative integer");
    }
    if ((f->type == FIELD_UINT32 || f->type == FIELD_FIXED32 || f->type == FIELD_ENUM) && number > UINT32_MAX) {
        return wrong(e, f, "a 32-bit integer");
    }
    if (f->type == FIELD_FIXED64) {
        pb_fixed64_field(e->out, f->number, number);
    } else if (f->type == FIELD_FIXED32) {
        pb_fixed32_field(e->out, f->number, (uint32_t)number);
    } else {
        pb_varint_field(e->out, f->number, number);
    }
    return LOOM_OK;
}

/* "NaN", "Infinity" and "-Infinity" are spelled as strings, and numbers may be (ProtoJSON). */
static bool number_in_quotes(const char *text, double *number)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i].name) == 0) {
            *number = names[i].value;
            return true;
        }
    }
    return number_parse(str_of(text), number);
}

static loom_status put_double(const encoding *e, const field *f, const json_t *value)
{
    const char *text = json_string_value(value);
    double number = json_number_value(value);
    if (text != NULL) {
        if (!number_in_quotes(text, &number)) {
            return wrong(e, f, "a number");
        }
    } else if (!json_is_number(value)) {
        return wrong(e, f, "a number");
    }
    pb_double_field(e->out, f->number, number);
    return LOOM_OK;
}

static loom_status put_message(const encoding *e, const field *f, const json_t *value, size_t depth);

static loom_status put_messages(const encoding *e, const field *f, const json_t *value, size_t depth)
{
    if (!json_is_array(value)) {
        return wrong(e, f, "an array");
    }
    size_t index;
    const json_t *item;
    json_array_foreach(value, index, item) {
        loom_status st = put_message(e, f, item, depth);
        if (st != LOOM_OK) {
            return st;
        }
    }
    return LOOM_OK;
}

static loom_status put_field(const encoding *e, const field *f, const json_t *value, size_t depth)
{
    switch (f->type) {
    case FIELD_STRING:
        if (!json_is_string(value)) {
            return wrong(e, f, "a string");
        }
        pb_string_field(e->out, f->number, (loom_str){json_string_value(value), json_string_length(value)});
        return LOOM_OK;
    case FIELD_TRACE_ID:
    case FIELD_SPAN_ID:
        return put_id(e, f, value);
    case FIELD_BASE64:
        return put_base64(e, f, value);
    case FIELD_UINT32:
    case FIELD_ENUM:
    case FIELD_FIXED32:
    case FIELD_FIXED64:
    case FIELD_INT64:
        return put_integer(e, f, value);
    case FIELD_DOUBLE:
        return put_double(e, f, value);
    case FIELD_BOOL:
        if (!json_is_boolean(value)) {
            return wrong(e, f, "true or false");
        }
        pb_varint_field(e->out, f->number, json_is_true(value));
        return LOOM_OK;
    case FIELD_MESSAGE:
        return put_message(e, f, value, depth);
    case FIELD_MESSAGES:
        return put_messages(e, f, value, depth);
    }
    return LOOM_EINVAL;
}

static loom_status put_fields(const encoding *e, const message *of, const json_t *object, size_t depth)
{
    for (const field *f = of->fields; f->key != NULL; f++) {
        const json_t *value = json_object_get(object, f->key);
        if (value == NULL || json_is_null(value)) { /* null is the default value, as in protobuf's JSON */
            continue;
        }
        loom_status st = put_field(e, f, value, depth);
        if (st != LOOM_OK) {
            return st;
        }
    }
    return LOOM_OK;
}

static loom_status put_message(const encoding *e, const field *f, const json_t *value, size_t depth)
{
    if (!json_is_object(value)) {
        return wrong(e, f, f->type == FIELD_MESSAGES ? "an array of objects" : "an object");
    }
    if (depth == DEPTH_MAX) {
        return wrong(e, f, "nested less deep");
    }
    size_t mark = pb_open(e->out, f->number);
    loom_status st = put_fields(e, f->of, value, depth + 1);
    if (st == LOOM_OK) {
        pb_close(e->out, mark);
    }
    return st;
}

/* Without the byte order mark that some editors and PowerShell put before a text. */
static loom_str without_bom(loom_str text)
{
    static const char bom[] = "\xef\xbb\xbf";
    bool has = text.len >= 3 && memcmp(text.data, bom, 3) == 0;
    return has ? str_tail(text, 3) : text;
}

/* jansson tells what it did not like; only a lack of memory is not the sender's fault. */
static loom_status load(json_t **out, loom_str json, const char *name, char *problem)
{
    json_error_t error;
    /* JSON_REJECT_DUPLICATES: which of two trace ids a reader takes should not be a matter of taste. */
    *out = json_loadb(json.data, json.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (*out != NULL && json_is_object(*out)) {
        return LOOM_OK;
    }
    if (*out != NULL) {
        snprintf(problem, OTLP_JSON_PROBLEM_SIZE, "an %s is a JSON object", name);
        json_decref(*out);
        *out = NULL;
        return LOOM_EMALFORMED;
    }
    if (json_error_code(&error) == json_error_out_of_memory) {
        return LOOM_ENOMEM;
    }
    snprintf(problem, OTLP_JSON_PROBLEM_SIZE, "not JSON: line %d, column %d: %s", error.line, error.column, error.text);
    return LOOM_EMALFORMED;
}

static loom_status convert(pb_buf *out, loom_str json, const message *to, const char *name, char problem[OTLP_JSON_PROBLEM_SIZE])
{
    encoding e = {.out = out, .problem = problem};
    size_t mark = out->len;
    json_t *root;
    problem[0] = '\0';
    loom_status st = load(&root, json.len > 0 ? without_bom(json) : (loom_str){"", 0}, name, problem);
    if (st != LOOM_OK) {
        return st;
    }
    /* Jaeger's /api/v3 wraps what it found in {"result": …}, the form of a gRPC gateway's stream. */
    const json_t *result = json_object_get(root, "result");
    st = put_fields(&e, to, json_is_object(result) ? result : root, 0);
    json_decref(root);
    if (st == LOOM_OK && out->failed) {
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        pb_rollback(out, mark);
    }
    return st;
}

loom_status otlp_from_json(pb_buf *out, loom_str json, char problem[OTLP_JSON_PROBLEM_SIZE])
{
    return convert(out, json, &request, "ExportTraceServiceRequest", problem);
}

loom_status otlp_logs_from_json(pb_buf *out, loom_str json, char problem[OTLP_JSON_PROBLEM_SIZE])
{
    return convert(out, json, &logs_request, "ExportLogsServiceRequest", problem);
}
