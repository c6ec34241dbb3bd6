/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/wire/vectors.h"

#include <stdlib.h>

json_t *vectors_load(void)
{
    json_error_t error;
    json_t *all = json_load_file(WIRE_VECTORS, JSON_REJECT_DUPLICATES, &error);
    if (all == NULL) {
        print_error("%s:%d: %s\n", WIRE_VECTORS, error.line, error.text);
    }
    assert_non_null(all);
    return all;
}

loom_str vector_str(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return (loom_str){json_string_value(value), json_string_length(value)};
}

const char *vector_string(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

uint64_t vector_uint(json_t *value)
{
    json_t *digits = json_is_object(value) ? json_object_get(value, "uint") : value;
    return json_is_string(digits) ? strtoull(json_string_value(digits), NULL, 10) : (uint64_t)json_integer_value(digits);
}

static size_t part_size(json_t *part)
{
    size_t times = json_is_object(part) ? (size_t)json_integer_value(json_object_get(part, "times")) : 1;
    json_t *hex = json_is_object(part) ? json_object_get(part, "repeat") : part;
    return json_string_length(hex) / 2 * times;
}

static uint8_t nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, c);
    assert_true(c != '\0' && at != NULL);
    return (uint8_t)(at - digits);
}

static uint8_t *put_part(uint8_t *at, json_t *part)
{
    const char *hex = json_string_value(json_is_object(part) ? json_object_get(part, "repeat") : part);
    size_t digits = strlen(hex);
    for (size_t size = part_size(part), i = 0; i < size; i++) {
        const char *pair = hex + 2 * i % digits;
        *at++ = (uint8_t)(nibble(pair[0]) << 4 | nibble(pair[1]));
    }
    return at;
}

loom_bytes vector_bytes(json_t *parts)
{
    if (!json_is_array(parts)) {
        uint8_t *data = malloc(part_size(parts) + !part_size(parts));
        assert_non_null(data);
        (void)put_part(data, parts);
        return (loom_bytes){data, part_size(parts)};
    }
    size_t i, size = 0;
    json_t *part;
    json_array_foreach(parts, i, part) {
        size += part_size(part);
    }
    uint8_t *data = malloc(size > 0 ? size : 1), *at = data;
    assert_non_null(data);
    json_array_foreach(parts, i, part) {
        at = put_part(at, part);
    }
    return (loom_bytes){data, size};
}

loom_status vector_status(json_t *object)
{
    for (int st = 0; st < 64; st++) {
        if (strcmp(loom_status_name((loom_status)st), vector_string(object, "status")) == 0) {
            return (loom_status)st;
        }
    }
    fail_msg("no such status: %s", vector_string(object, "status"));
    return LOOM_OK;
}

/* Exactly size bytes of hex; zeros when there are none. */
static void put_id(uint8_t *out, size_t size, json_t *hex)
{
    memset(out, 0, size);
    if (hex != NULL) {
        assert_int_equal(size, part_size(hex));
        (void)put_part(out, hex);
    }
}

void vector_fields_init(vector_fields *out, json_t *fields)
{
    json_t *context = json_object_get(fields, "context"), *headers = json_object_get(fields, "headers");
    memset(out, 0, sizeof *out);
    loom_envelope_fields *f = &out->fields;
    f->topic = vector_str(fields, "topic");
    f->type = vector_str(fields, "type");
    f->sender = vector_str(fields, "sender");
    f->thread_id = vector_str(fields, "thread_id");
    f->correlation_id = vector_str(fields, "correlation_id");
    f->reply_to = vector_str(fields, "reply_to");
    f->content_type = vector_str(fields, "content_type");
    f->tracestate = vector_str(fields, "tracestate");
    f->baggage = vector_str(fields, "baggage");
    f->timestamp_unix_ns = vector_uint(json_object_get(fields, "timestamp_unix_ns"));
    f->ttl = (uint8_t)vector_uint(json_object_get(fields, "ttl"));
    put_id(f->id, sizeof f->id, json_object_get(fields, "id"));
    put_id(f->creation_span_id, sizeof f->creation_span_id, json_object_get(fields, "creation_span_id"));
    if (context != NULL) {
        put_id(f->context.trace_id, LOOM_TRACE_ID_SIZE, json_object_get(context, "trace_id"));
        put_id(f->context.span_id, LOOM_SPAN_ID_SIZE, json_object_get(context, "span_id"));
        f->context.trace_flags = (uint8_t)vector_uint(json_object_get(context, "trace_flags"));
    }
    size_t i;
    json_t *pair;
    assert_true(json_array_size(headers) <= VECTOR_HEADERS_MAX);
    json_array_foreach(headers, i, pair) {
        json_t *key = json_array_get(pair, 0), *value = json_array_get(pair, 1);
        out->headers[i] = (loom_header){{json_string_value(key), json_string_length(key)},
                                        {json_string_value(value), json_string_length(value)}};
    }
    f->headers = out->headers;
    f->header_count = json_array_size(headers);
    if (json_object_get(fields, "payload") != NULL) {
        out->payload = vector_bytes(json_object_get(fields, "payload"));
    }
    f->payload = out->payload;
}

void vector_fields_fini(vector_fields *fields)
{
    free((void *)(uintptr_t)fields->payload.data);
}
