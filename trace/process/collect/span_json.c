/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/span_json.h"

#include "base/hex.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "envelope/id.h"

#include <sodium.h>
#include <string.h>

const char *span_problem_word(unsigned problem)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        SPAN_PROBLEM_MAP(X)
#undef X
    };
    return problem < SPAN_PROBLEMS ? words[problem] : "";
}

const char *span_problem_text(span_problem problem)
{
    static const char *const texts[] = {
#define X(name, word, text) text,
        SPAN_PROBLEM_MAP(X)
#undef X
    };
    return texts[problem];
}

/* ---- ids ---- */

/* A UUID with or without its dashes. */
static bool read_uuid(uint8_t uuid[LOOM_UUID_SIZE], loom_str text)
{
    return (text.len == 2 * LOOM_UUID_SIZE && hex_decode_any_case(uuid, text.data, LOOM_UUID_SIZE)) ||
           loom_uuid_from_text(uuid, text) == LOOM_OK;
}

static bool read_id(uint8_t *out, size_t size, const json_value *value)
{
    static const uint8_t zeros[LOOM_UUID_SIZE];
    uint8_t digest[crypto_hash_sha256_BYTES];
    const loom_str text = value->text;
    if (value->type != SCAN_STRING || text.len == 0 || text.len > SPAN_ID_TEXT_MAX) {
        return false;
    }
    if (text.len == 2 * size && hex_decode_any_case(out, text.data, size)) {
        return memcmp(out, zeros, size) != 0;
    }
    if (read_uuid(digest, text)) { /* of a span the first sixteen digits, as LOOM_SPAN_ID is read */
        memcpy(out, digest, size);
        return memcmp(out, zeros, size) != 0;
    }
    crypto_hash_sha256(digest, (const unsigned char *)text.data, text.len);
    memcpy(out, digest, size);
    return true;
}

bool span_json_trace_id(uint8_t out[LOOM_TRACE_ID_SIZE], const json_value *value)
{
    return read_id(out, LOOM_TRACE_ID_SIZE, value);
}

bool span_json_span_id(uint8_t out[LOOM_SPAN_ID_SIZE], const json_value *value)
{
    return read_id(out, LOOM_SPAN_ID_SIZE, value);
}

/* ---- fields ---- */

typedef struct line_fields {
    json_value span_id, start_time, end_time, status, kind;
    json_value dropped[SPAN_DROPPED];
} line_fields;

typedef struct field_place {
    const char *name;
    json_value *value;
    scan_type type; /* it has to have, if it is there */
} field_place;

enum { FIELDS = 18 };

static bool put_field(const field_place places[FIELDS], loom_str key, const json_value *value)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (str_is(key, places[i].name)) {
            *places[i].value = *value;
            return value->type == places[i].type || value->type == SCAN_NULL;
        }
    }
    return true;
}

static bool read_fields(span_json *s, line_fields *f, const json_value *object)
{
    const field_place places[FIELDS] = {
        {"trace_id", &s->given_trace_id, SCAN_STRING},
        {"span_id", &f->span_id, SCAN_STRING},
        {"parent_id", &s->given_parent_id, SCAN_STRING},
        {"name", &s->name, SCAN_STRING},
        {"start_time", &f->start_time, SCAN_STRING},
        {"end_time", &f->end_time, SCAN_STRING},
        {"attributes", &s->attributes, SCAN_OBJECT},
        {"status", &f->status, SCAN_STRING},
        {"status_message", &s->status_message, SCAN_STRING},
        {"kind", &f->kind, SCAN_STRING},
        {"events", &s->events, SCAN_ARRAY},
        {"links", &s->links, SCAN_ARRAY},
        {"trace_state", &s->trace_state, SCAN_STRING},
        {"service", &s->service, SCAN_STRING},
        {"scope", &s->scope, SCAN_OBJECT},
        {"dropped_attributes", &f->dropped[SPAN_DROPPED_ATTRS], SCAN_INTEGER},
        {"dropped_events", &f->dropped[SPAN_DROPPED_EVTS], SCAN_INTEGER},
        {"dropped_links", &f->dropped[SPAN_DROPPED_LNKS], SCAN_INTEGER},
    };
    json_cursor c = json_members(object);
    json_value key, value;
    for (size_t i = 0; i < FIELDS; i++) {
        *places[i].value = (json_value){.type = SCAN_NULL};
    }
    while (json_next_member(&c, &key, &value)) {
        if (!put_field(places, key.text, &value)) {
            return false;
        }
    }
    return true;
}

/* Its place in words; false: it is none of them. Not there it is 0. */
static bool find_word(const json_value *value, const char *const words[], size_t count, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; value->type == SCAN_STRING && i < count; i++) {
        if (str_is(value->text, words[i])) {
            *out = (unsigned)i;
            return true;
        }
    }
    return value->type == SCAN_NULL;
}

static bool read_words(span_json *s, const line_fields *f)
{
    static const char *const statuses[] = {"unset", "ok", "error"}; /* as loom_span_status counts */
    static const char *const kinds[] = {"internal", "server", "client", "producer", "consumer"};
    unsigned status, kind;
    if (!find_word(&f->status, statuses, 3, &status) || !find_word(&f->kind, kinds, 5, &kind)) {
        return false;
    }
    s->status = (loom_span_status)status;
    s->kind = (loom_span_kind)(kind + LOOM_SPAN_INTERNAL);
    return true;
}

/* Counts fit 32 bits in OTLP; what is more, or below nothing, is cut. */
static uint64_t read_count(const json_value *value)
{
    uint64_t count = 0;
    for (size_t i = 0; value->type == SCAN_INTEGER && i < value->text.len && count <= UINT32_MAX; i++) {
        if (value->text.data[i] == '-') {
            return 0;
        }
        count = count * 10 + (uint64_t)(value->text.data[i] - '0');
    }
    return count < UINT32_MAX ? count : UINT32_MAX;
}

static span_problem read_ids(span_json *s, const line_fields *f)
{
    if (!span_json_trace_id(s->trace_id, &s->given_trace_id)) {
        return SPAN_PROBLEM_TRACE_ID;
    }
    if (!span_json_span_id(s->span_id, &f->span_id)) {
        return SPAN_PROBLEM_SPAN_ID;
    }
    s->has_parent = span_json_span_id(s->parent_id, &s->given_parent_id);
    return SPAN_PROBLEM_NONE;
}

span_problem span_json_read(span_json *out, loom_str line)
{
    json_value object;
    line_fields f;
    if (!json_read(line, &object) || object.type != SCAN_OBJECT) {
        return SPAN_PROBLEM_JSON;
    }
    if (!read_fields(out, &f, &object) || !read_words(out, &f)) {
        return SPAN_PROBLEM_FIELD_TYPE;
    }
    const span_problem problem = read_ids(out, &f);
    if (problem != SPAN_PROBLEM_NONE) {
        return problem;
    }
    if (out->name.type != SCAN_STRING || out->name.text.len == 0) {
        return SPAN_PROBLEM_NAME;
    }
    if (f.start_time.type != SCAN_STRING || !rfc3339_parse(f.start_time.text, &out->start_ns)) {
        return SPAN_PROBLEM_START_TIME;
    }
    if (f.end_time.type != SCAN_STRING || !rfc3339_parse(f.end_time.text, &out->end_ns)) {
        return SPAN_PROBLEM_END_TIME;
    }
    for (int i = 0; i < SPAN_DROPPED; i++) {
        out->dropped[i] = read_count(&f.dropped[i]);
    }
    return out->end_ns < out->start_ns ? SPAN_PROBLEM_TIME_ORDER : SPAN_PROBLEM_NONE;
}
