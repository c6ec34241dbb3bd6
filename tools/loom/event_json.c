/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/event_json.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "envelope/id.h"
#include "host/json_text.h"
#include "trace/view/text.h"

static void set_text(json_t *to, const char *key, loom_str value)
{
    if (value.len > 0) {
        json_object_set_new(to, key, json_text(value));
    }
}

void payload_to_json(json_t *to, loom_bytes payload)
{
    json_t *text = json_stringn(payload.data != NULL ? (const char *)payload.data : "", payload.len);
    if (text != NULL) {
        json_object_set_new(to, "payload", text);
        return;
    }
    size_t size = sodium_base64_ENCODED_LEN(payload.len, sodium_base64_VARIANT_ORIGINAL);
    char *encoded = malloc(size);
    if (encoded != NULL) {
        sodium_bin2base64(encoded, size, payload.data, payload.len, sodium_base64_VARIANT_ORIGINAL);
        json_object_set_new(to, "payload_base64", json_string(encoded));
        free(encoded);
    }
}

static bool set_header(void *user, loom_header header)
{
    (void)json_set_any_key(user, header.key, json_text(header.value));
    return true;
}

json_t *event_to_json(const loom_envelope *event, const char *trace_id)
{
    char id[LOOM_UUID_TEXT_SIZE], buf[LOOM_UUID_TEXT_SIZE];
    json_t *all = json_object();
    loom_envelope_id_text(event, id);
    set_text(all, "topic", loom_envelope_topic(event));
    set_text(all, "type", loom_envelope_type(event));
    set_text(all, "id", (loom_str){id, sizeof id - 1});
    set_text(all, "sender", loom_envelope_sender(event));
    json_object_set_new(all, "timestamp_unix_ns", json_uint64(loom_envelope_timestamp_unix_ns(event)));
    set_text(all, "thread_id", loom_envelope_thread_id(event, buf));
    set_text(all, "correlation_id", loom_envelope_correlation_id(event, buf));
    set_text(all, "content_type", loom_envelope_content_type(event));
    if (trace_id != NULL) {
        set_text(all, "trace_id", str_of(trace_id));
    }
    json_object_set_new(all, "ttl", json_integer(loom_envelope_ttl(event)));
    json_t *headers = json_object();
    loom_envelope_headers(event, set_header, headers);
    if (json_object_size(headers) > 0) {
        json_object_set(all, "headers", headers);
    }
    json_decref(headers);
    payload_to_json(all, loom_envelope_payload(event));
    return all;
}

void json_print(FILE *out, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    text_put_json(out, text != NULL ? text : "null"); /* out of memory */
    free(text);
    json_decref(object);
}

void json_print_line(json_t *object)
{
    json_print(stdout, object);
    putchar('\n');
}

/* The text as JSON, when it is some; NULL: it is not. */
static json_t *schema_of(const json_t *text)
{
    json_t *schema = json_is_string(text) ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL) : NULL;
    if (schema != NULL && !json_is_object(schema)) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t len = strlen(text), tail = strlen(end);
    return len >= tail && strcmp(text + len - tail, end) == 0;
}

/* What never comes near 2^53, whatever happens, and stays a number: how many there are now, times that pass, codes. */
static bool is_small(const char *key)
{
    static const char *const small[] = {
        "agents", "bridges", "bridges_unrecorded", "cache_entries", "capabilities", "groups", "heard_ms_ago", "id", "last_ms", "left_ms",
        "members", "open_peers", "outstanding", "parties", "pending", "per_second", "publishers", "qos", "reach_ms", "running", "sessions",
        "subscribers", "subscriptions", "topics", "uptime_ms"};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        if (strcmp(key, small[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void tidy_member(json_t *object, const char *key, const json_t *value)
{
    if (json_is_integer(value) && !is_small(key)) {
        json_object_set_new(object, key, json_uint64((uint64_t)json_integer_value(value)));
    } else if (json_is_string(value) && json_string_length(value) == 0) {
        json_object_del(object, key);
    } else if (ends_in(key, "_schema") && json_is_string(value)) {
        json_t *schema = schema_of(value);
        if (schema != NULL) {
            json_object_set_new(object, key, schema);
        }
    }
}

static void tidy(json_t *value, unsigned depth)
{
    size_t i;
    const char *key;
    json_t *item;
    void *next;
    if (depth == 0) {
        return;
    }
    json_array_foreach(value, i, item) {
        tidy(item, depth - 1);
    }
    json_object_foreach_safe(value, next, key, item) {
        tidy(item, ends_in(key, "_schema") || strcmp(key, "metadata") == 0 ? 0 : depth - 1);
        tidy_member(value, key, item);
    }
}

void json_tidy(json_t *value)
{
    enum { DEPTH = 16 }; /* what an answer of a broker has is less */
    tidy(value, DEPTH);
}

void json_print_tidy(json_t *object)
{
    json_tidy(object);
    json_print_line(object);
}

json_t *json_uint64(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}
