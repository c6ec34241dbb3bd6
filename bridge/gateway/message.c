/* SPDX-License-Identifier: Apache-2.0 */
/* An event as a JSON object, as ?envelope takes it. What is not known is refused, so that a slip of the pen is no silent loss. */
#include <jansson.h>
#include <loom/topic.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/answers.h"
#include "envelope/id.h"

enum { HEADERS_MAX = sizeof((message *)0)->headers / sizeof((message *)0)->headers[0] };

static const struct text_member {
    const char *name;
    size_t offset, max;
} texts[] = {
    {"type", offsetof(loom_envelope_fields, type), LOOM_TYPE_MAX},
    {"thread_id", offsetof(loom_envelope_fields, thread_id), LOOM_THREAD_ID_MAX},
    {"correlation_id", offsetof(loom_envelope_fields, correlation_id), LOOM_THREAD_ID_MAX},
    {"reply_to", offsetof(loom_envelope_fields, reply_to), LOOM_TOPIC_MAX},
    {"content_type", offsetof(loom_envelope_fields, content_type), LOOM_CONTENT_TYPE_MAX},
};

static bool refuse(char why[PROBLEM_SIZE], const char *member, const char *what)
{
    snprintf(why, PROBLEM_SIZE, "\"%.64s\" %s", member, what);
    return false;
}

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static loom_str text_of(const json_t *value)
{
    return (loom_str){json_string_value(value), json_string_length(value)};
}

static bool read_text(message *m, const struct text_member *t, const json_t *value, char why[PROBLEM_SIZE])
{
    if (!json_is_string(value)) {
        return refuse(why, t->name, "is not a string");
    }
    if (json_string_length(value) > t->max) {
        return refuse(why, t->name, "is over its limit");
    }
    if (strlen(json_string_value(value)) < json_string_length(value)) {
        return refuse(why, t->name, "holds a NUL");
    }
    if (t->offset == offsetof(loom_envelope_fields, content_type) && json_string_length(value) > 0 && !is_content_type(text_of(value))) {
        return refuse(why, t->name, "is not a media type");
    }
    *(loom_str *)(void *)((char *)&m->fields + t->offset) = text_of(value);
    return true;
}

static bool read_headers(message *m, json_t *value, char why[PROBLEM_SIZE])
{
    const char *key;
    json_t *item;
    if (!json_is_object(value)) {
        return refuse(why, "headers", "is not an object of strings");
    }
    json_object_foreach(value, key, item) {
        if (!json_is_string(item) || key[0] == '\0') {
            return refuse(why, "headers", "is not an object of strings");
        }
        if (m->fields.header_count == HEADERS_MAX) {
            return refuse(why, "headers", "has more than 64 members");
        }
        m->headers[m->fields.header_count++] = (loom_header){str_of(key), text_of(item)};
    }
    m->fields.headers = m->headers;
    return true;
}

static bool read_id(message *m, const json_t *value, char why[PROBLEM_SIZE])
{
    const loom_str text = json_is_string(value) ? text_of(value) : (loom_str){0};
    return loom_uuid_from_text(m->fields.id, text) == LOOM_OK || refuse(why, "id", "is not a UUID");
}

static bool read_ttl(message *m, const json_t *value, char why[PROBLEM_SIZE])
{
    const double ttl = json_number_value(value); /* see gateway_read_json() */
    if (!(ttl >= 1 && ttl <= UINT8_MAX) || ttl > (uint8_t)ttl) {
        return refuse(why, "ttl", "is not a number of hops from 1 to 255");
    }
    m->fields.ttl = (uint8_t)ttl;
    return true;
}

/* ---- the payload ---- */

static void set_payload(message *m, const void *data, size_t len, const char *type)
{
    m->fields.payload = (loom_bytes){data, len};
    if (m->fields.content_type.len == 0 && type != NULL) {
        m->fields.content_type = str_of(type);
    }
}

/* Where the string at `at` ends: behind its second quote. */
static size_t end_of_string(loom_str text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++) {
        at += text.data[at] == '\\';
    }
    return at + 1 < text.len ? at + 1 : text.len;
}

/* Copies the member "payload" of an object that has been parsed, without the white space between its tokens; returns the
 * length. 0: its name is written with escapes. */
static size_t copy_payload(char *out, loom_str object)
{
    size_t len = 0, depth = 0, next;
    bool name_next = false, found = false;
    for (size_t at = 0; object.data != NULL && at < object.len; at = next) {
        const char c = object.data[at];
        next = c == '"' ? end_of_string(object, at) : at + 1;
        depth -= c == '}' || c == ']';
        if (found && (depth == 0 || (depth == 1 && c == ','))) {
            return len;
        }
        if (c == '"' && name_next) {
            found = str_is((loom_str){object.data + at, next - at}, "\"payload\"");
            name_next = false;
        } else if (found && !is_json_space(c) && !(depth == 1 && c == ':')) {
            memcpy(out + len, object.data + at, next - at);
            len += next - at;
        }
        depth += c == '{' || c == '[';
        name_next = name_next || (depth == 1 && !found && (c == ',' || c == '{'));
    }
    return 0;
}

/* As it stands, since a number that is read and written again need not be the same. */
static bool read_json(message *m, const json_t *value, loom_str object, char why[PROBLEM_SIZE])
{
    char *text = malloc(object.len);
    size_t len = text != NULL ? copy_payload(text, object) : 0;
    if (len == 0) {
        free(text);
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        len = text != NULL ? strlen(text) : 0;
    }
    if (text == NULL) {
        return refuse(why, "payload", "is nested too deep, or there is no memory for it");
    }
    m->owned = text;
    set_payload(m, text, len, "application/json");
    return true;
}

static bool read_base64(message *m, const json_t *value, char why[PROBLEM_SIZE])
{
    const loom_str text = json_is_string(value) ? text_of(value) : (loom_str){0};
    const char *end = text.data;
    size_t len = 0;
    if (!json_is_string(value)) {
        return refuse(why, "payload_base64", "is not a string");
    }
    uint8_t *bytes = malloc(text.len + 1);
    if (bytes == NULL) {
        return refuse(why, "payload_base64", "finds no memory");
    }
    m->owned = bytes;
    if (sodium_base642bin(bytes, text.len + 1, text.data, text.len, NULL, &len, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.data + text.len) {
        return refuse(why, "payload_base64", "is not base64");
    }
    set_payload(m, bytes, len, NULL);
    return true;
}

static bool read_payload(message *m, const json_t *object, loom_str whole, char why[PROBLEM_SIZE])
{
    const json_t *json = json_object_get(object, "payload"), *text = json_object_get(object, "payload_text");
    const json_t *base64 = json_object_get(object, "payload_base64");
    if ((json != NULL) + (text != NULL) + (base64 != NULL) > 1) {
        return refuse(why, "payload", "is there in more than one form");
    }
    if (json != NULL) {
        return read_json(m, json, whole, why);
    }
    if (text != NULL && !json_is_string(text)) {
        return refuse(why, "payload_text", "is not a string");
    }
    if (text != NULL) {
        set_payload(m, json_string_value(text), json_string_length(text), "text/plain; charset=utf-8");
    }
    return base64 == NULL || read_base64(m, base64, why);
}

/* ---- the object ---- */

static bool read_member(message *m, const char *name, json_t *value, loom_str topic, char why[PROBLEM_SIZE])
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(texts[i].name, name) == 0) {
            return read_text(m, &texts[i], value, why);
        }
    }
    if (strcmp(name, "headers") == 0) {
        return read_headers(m, value, why);
    }
    if (strcmp(name, "id") == 0) {
        return read_id(m, value, why);
    }
    if (strcmp(name, "ttl") == 0) {
        return read_ttl(m, value, why);
    }
    if (strcmp(name, "topic") == 0) {
        return (json_is_string(value) && str_equal(text_of(value), topic)) || refuse(why, name, "is not the topic of the path");
    }
    if (strncmp(name, "payload", 7) == 0 && (name[7] == '\0' || strcmp(name, "payload_text") == 0 || strcmp(name, "payload_base64") == 0)) {
        return true;
    }
    return refuse(why, name, "is no member of an event: there are id, topic, type, thread_id, correlation_id, reply_to, "
                             "content_type, headers, ttl, and payload, payload_text or payload_base64");
}

bool message_read(message *m, loom_bytes text, loom_str topic, char why[PROBLEM_SIZE])
{
    json_error_t error;
    const char *name;
    json_t *value;
    *m = (message){.fields.topic = topic};
    json_t *object = gateway_read_json(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    m->json = object;
    if (object == NULL) {
        snprintf(why, PROBLEM_SIZE, "this is not JSON: %s (line %d, column %d)", error.text, error.line, error.column);
        return false;
    }
    if (!json_is_object(object)) {
        snprintf(why, PROBLEM_SIZE, "an event is a JSON object");
        return false;
    }
    json_object_foreach(object, name, value) {
        if (!read_member(m, name, value, topic, why)) {
            return false;
        }
    }
    return read_payload(m, object, (loom_str){(const char *)text.data, text.len}, why);
}

void message_fini(message *m)
{
    json_decref(m->json);
    free(m->owned);
    *m = (message){0};
}
