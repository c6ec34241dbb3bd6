/* SPDX-License-Identifier: Apache-2.0 */
/* Reads frames of the agent link. Every length is checked against the frame; nothing is allocated. */
#include <stdio.h>

#include "envelope/frame/frame.h"
#include "base/utf8.h"
#include "envelope/frame/keys.h"
#include "envelope/msgpack_bytes.h"

frame_piece frame_split(loom_bytes stream, loom_bytes *body, size_t *need)
{
    if (stream.len < FRAME_HEADER_SIZE) {
        *need = FRAME_HEADER_SIZE;
        return FRAME_PARTIAL;
    }
    uint32_t len = mp_load32(stream.data);
    if (len == 0 || len > FRAME_MAX) {
        return FRAME_BAD_LENGTH;
    }
    *need = FRAME_HEADER_SIZE + (size_t)len;
    if (stream.len < *need) {
        return FRAME_PARTIAL;
    }
    *body = (loom_bytes){stream.data + FRAME_HEADER_SIZE, len};
    return FRAME_WHOLE;
}

static loom_status refuse(char reason[FRAME_REASON_SIZE], frame_type type, const char *what, const char *fault)
{
    snprintf(reason, FRAME_REASON_SIZE, "%s frame: %s %s", frame_type_name(type), what, fault);
    return LOOM_EMALFORMED;
}

static bool read_types(mp_reader *r, frame_subscribe *f)
{
    uint32_t count;
    if (!mp_read_array(r, &count) || count > FRAME_TYPES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!mp_read_str(r, &f->types[i]) || f->types[i].len > LOOM_TYPE_MAX) {
            return false;
        }
    }
    f->type_count = count;
    return true;
}

/* A map of str to str. Its bytes are kept as they are; one without entries is as good as none. */
static bool read_texts(mp_reader *r, size_t max, loom_bytes *out)
{
    const uint8_t *first = r->at;
    uint32_t count;
    loom_str ignored;
    if (!mp_read_map(r, &count) || count > FRAME_METADATA_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < 2 * count; i++) {
        if (!mp_read_str(r, &ignored)) {
            return false;
        }
    }
    *out = count > 0 ? (loom_bytes){first, (size_t)(r->at - first)} : (loom_bytes){NULL, 0};
    return out->len <= max;
}

static bool read_value(mp_reader *r, const frame_key *key, void *into)
{
    void *field = (char *)into + key->offset;
    switch (key->kind) {
    case KEY_UINT: return mp_read_uint(r, field);
    case KEY_BOOL: return mp_read_bool(r, field);
    case KEY_STR: return mp_read_str(r, field) && (key->max == 0 || ((loom_str *)field)->len <= key->max);
    case KEY_BIN: return mp_read_bin(r, field) && (key->max == 0 || ((loom_bytes *)field)->len <= key->max);
    case KEY_TYPES: return read_types(r, into);
    case KEY_TEXTS: return read_texts(r, key->max, field);
    }
    return false;
}

static const frame_key *find_key(frame_keys keys, loom_str name)
{
    for (size_t i = 0; i < keys.count; i++) {
        if (strlen(keys.keys[i].name) == name.len && memcmp(keys.keys[i].name, name.data, name.len) == 0) {
            return &keys.keys[i];
        }
    }
    return NULL;
}

static loom_status read_map(mp_reader *r, frame_type type, frame_keys keys, void *into, char reason[FRAME_REASON_SIZE])
{
    uint32_t count;
    if (!mp_read_map(r, &count)) {
        return refuse(reason, type, "body", "is not a map");
    }
    for (uint32_t i = 0; i < count; i++) {
        loom_str name;
        if (!mp_read_str(r, &name)) {
            return refuse(reason, type, "a key", "is not a string");
        }
        const frame_key *key = find_key(keys, name);
        if (key == NULL) {
            if (!mp_skip(r, LOOM_DEPTH_MAX)) {
                return refuse(reason, type, "an unknown key's value", "is not well-formed");
            }
        } else if (!read_value(r, key, into)) {
            return refuse(reason, type, key->name, "is of the wrong type or too long");
        }
    }
    return LOOM_OK;
}

/* Its items are left for later, when each is scanned: a value takes a byte at least, so a larger count is a lie. */
static loom_status read_batch(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    uint32_t values;
    unsigned per_envelope = out->type == FRAME_DELIVER ? 2 : 1;
    if (!mp_read_array(r, &values) || values % per_envelope != 0 || values > (size_t)(r->end - r->at)) {
        return refuse(reason, out->type, "batch", "is not an array of envelopes");
    }
    out->u.batch = (frame_batch){values / per_envelope, {r->at, (size_t)(r->end - r->at)}};
    return LOOM_OK;
}

static bool read_call_id(mp_reader *r, loom_bytes *id)
{
    return mp_read_bin(r, id) && id->len >= 1 && id->len <= FRAME_CALL_ID_MAX;
}

static bool read_text(mp_reader *r, size_t max, loom_str *text)
{
    return mp_read_str(r, text) && text->len <= max;
}

static loom_status read_call(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_call *f = &out->u.call;
    if (!mp_read_bin(r, &f->call_id) || f->call_id.len > FRAME_CALL_ID_MAX) { /* an agent may leave it to the broker */
        return refuse(reason, out->type, "call id", "is not bin or over 64 bytes");
    }
    if (!read_text(r, FRAME_CAPABILITY_MAX, &f->capability) || !read_text(r, FRAME_VERSION_MAX, &f->version)) {
        return refuse(reason, out->type, "capability or version", "is of the wrong type or too long");
    }
    if (!mp_read_uint(r, &f->deadline_ms) || !mp_read_uint(r, &f->idle_ms) || !mp_read_uint(r, &f->flags)) {
        return refuse(reason, out->type, "deadline, idle time or flags", "is not an unsigned integer");
    }
    if (r->at == r->end) {
        return refuse(reason, out->type, "envelope", "is missing");
    }
    f->envelope = (loom_bytes){r->at, (size_t)(r->end - r->at)};
    return LOOM_OK;
}

static loom_status read_credit(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    if (!mp_read_uint(r, &out->u.credit.messages) || !mp_read_uint(r, &out->u.credit.bytes)) {
        return refuse(reason, out->type, "messages or bytes", "is not an unsigned integer");
    }
    return LOOM_OK;
}

static loom_status read_number(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    return mp_read_uint(r, &out->u.number) ? LOOM_OK : refuse(reason, out->type, "number", "is not an unsigned integer");
}

static loom_status read_result(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_result *f = &out->u.result;
    if (!read_call_id(r, &f->call_id) || !mp_read_uint(r, &f->outcome) || !read_text(r, FRAME_TEXT_MAX, &f->code) ||
        !read_text(r, FRAME_TEXT_MAX, &f->text) || !mp_read_bin(r, &f->payload)) {
        return refuse(reason, out->type, "call id, outcome, code, text or payload", "is of the wrong type or too long");
    }
    return LOOM_OK;
}

static loom_status read_report(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_report *f = &out->u.report;
    if (!read_call_id(r, &f->call_id) || !mp_read_uint(r, &f->kind) || !mp_read_uint(r, &f->number) ||
        !mp_read_bin(r, &f->payload)) {
        return refuse(reason, out->type, "call id, kind, number or payload", "is of the wrong type or too long");
    }
    return LOOM_OK;
}

static loom_status read_cancel(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    if (!read_call_id(r, &out->u.cancel.call_id) || !read_text(r, FRAME_TEXT_MAX, &out->u.cancel.reason)) {
        return refuse(reason, out->type, "call id or reason", "is of the wrong type or too long");
    }
    return LOOM_OK;
}

static loom_status read_call_credit(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    if (!read_call_id(r, &out->u.call_credit.call_id) || !mp_read_uint(r, &out->u.call_credit.chunks) ||
        !mp_read_uint(r, &out->u.call_credit.bytes)) {
        return refuse(reason, out->type, "call id, chunks or bytes", "is of the wrong type or too long");
    }
    return LOOM_OK;
}

static loom_status read_spans(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    if (!mp_read_uint(r, &out->u.spans.spans) || !mp_read_bin(r, &out->u.spans.request)) {
        return refuse(reason, out->type, "spans or request", "is of the wrong type");
    }
    out->u.spans.left = 0;
    return LOOM_OK;
}

static loom_status read_recorded(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    const loom_status st = read_spans(r, out, reason);
    return st != LOOM_OK || mp_read_uint(r, &out->u.spans.left) ? st : refuse(reason, out->type, "left", "is not an unsigned integer");
}

static loom_status read_span_credit(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_span_credit *f = &out->u.span_credit;
    if (!mp_read_uint(r, &f->bytes) || !mp_read_uint(r, &f->spans) || !mp_read_uint(r, &f->refused)) {
        return refuse(reason, out->type, "bytes, spans or refused", "is not an unsigned integer");
    }
    return LOOM_OK;
}

static loom_status read_ask(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_ask *f = &out->u.ask;
    if (!mp_read_uint(r, &f->number) || !mp_read_bin(r, &f->message_id) || f->message_id.len != LOOM_UUID_SIZE ||
        !mp_read_uint(r, &f->how)) {
        return refuse(reason, out->type, "number, message id or how", "is of the wrong type or length");
    }
    return LOOM_OK;
}

static loom_status read_matched(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    if (!mp_read_uint(r, &out->u.matched.number) || !mp_read_uint(r, &out->u.matched.subscriptions)) {
        return refuse(reason, out->type, "number or subscriptions", "is not an unsigned integer");
    }
    return LOOM_OK;
}

static loom_status read_trace_id(mp_reader *r, frame_type type, const uint8_t **out, char reason[FRAME_REASON_SIZE])
{
    static const uint8_t zeros[LOOM_TRACE_ID_SIZE];
    loom_bytes id;
    if (!mp_read_bin(r, &id) || id.len != LOOM_TRACE_ID_SIZE || memcmp(id.data, zeros, sizeof zeros) == 0) {
        return refuse(reason, type, "trace id", "is not 16 bytes, or all of them are zero");
    }
    *out = id.data;
    return LOOM_OK;
}

/* A fourth value says that an answer is wanted; it is left to be stepped over. */
static bool asks_for_answer(mp_reader at)
{
    uint64_t asks;
    return at.at < at.end && mp_read_uint(&at, &asks) && asks == 1;
}

static loom_status read_keep(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    const loom_status st = read_trace_id(r, out->type, &out->u.keep.trace_id, reason);
    if (st != LOOM_OK) {
        return st;
    }
    out->u.keep.last = 0;
    if (!read_text(r, FRAME_KEEP_REASON_MAX, &out->u.keep.reason) || !utf8_valid(out->u.keep.reason)) {
        return refuse(reason, out->type, "reason", "is of the wrong type, too long or not UTF-8");
    }
    out->u.keep.asks = asks_for_answer(*r);
    return LOOM_OK;
}

static loom_status read_keep_last(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    out->u.keep = (frame_keep){.trace_id = NULL};
    return mp_read_uint(r, &out->u.keep.last) && out->u.keep.last > 0
               ? LOOM_OK
               : refuse(reason, out->type, "most", "is not an unsigned integer, or 0");
}

/* A sixth value, one for each agent, in their order, and a seventh; they are left to be stepped over. An earlier bridge has none. */
static void read_starts_and_off(mp_reader at, frame_held *f)
{
    uint32_t values;
    f->off = 0;
    bool fine = at.at < at.end && mp_read_array(&at, &values) && values == f->party_count;
    for (uint32_t i = 0; i < f->party_count; i++) {
        fine = fine && mp_read_uint(&at, &f->parties[i].start_unix_ns);
        f->parties[i].start_unix_ns = fine ? f->parties[i].start_unix_ns : 0;
    }
    if (fine && at.at < at.end && !mp_read_uint(&at, &f->off)) {
        f->off = 0;
    }
}

static loom_status read_held(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE])
{
    frame_held *f = &out->u.held;
    uint32_t values;
    const loom_status st = read_trace_id(r, out->type, &f->trace_id, reason);
    if (st != LOOM_OK) {
        return st;
    }
    if (!mp_read_uint(r, &f->spans) || !mp_read_uint(r, &f->cut) || !mp_read_array(r, &values) || values % 2 != 0 ||
        values / 2 > FRAME_PARTIES_MAX) {
        return refuse(reason, out->type, "spans, cut or agents", "is of the wrong type, or has too many");
    }
    f->party_count = values / 2;
    for (uint32_t i = 0; i < f->party_count; i++) {
        if (!read_text(r, LOOM_AGENT_ID_MAX, &f->parties[i].agent) || !mp_read_uint(r, &f->parties[i].here)) {
            return refuse(reason, out->type, "agents", "has one of the wrong type or size");
        }
    }
    read_starts_and_off(*r, f);
    return LOOM_OK;
}

enum { TYPE_LAST = FRAME_HELD };

/* The frames without a map: their readers set every field. values: in the array, the type included. open: their last value
 * is left unread. */
typedef struct positional {
    loom_status (*read)(mp_reader *r, frame *out, char reason[FRAME_REASON_SIZE]);
    uint32_t values;
    bool open;
} positional;

static const positional positionals[TYPE_LAST + 1] = {
    [FRAME_PUBLISH] = {read_batch, 2, true},   [FRAME_DELIVER] = {read_batch, 2, true},
    [FRAME_CREDIT] = {read_credit, 3, false},  [FRAME_CALL] = {read_call, 8, true},
    [FRAME_RESULT] = {read_result, 6, false},  [FRAME_REPORT] = {read_report, 5, false},
    [FRAME_CANCEL] = {read_cancel, 3, false},  [FRAME_CALL_CREDIT] = {read_call_credit, 4, false},
    [FRAME_PING] = {read_number, 2, false},    [FRAME_PONG] = {read_number, 2, false},
    [FRAME_SPANS] = {read_spans, 3, false},    [FRAME_SPAN_CREDIT] = {read_span_credit, 4, false},
    [FRAME_ASK] = {read_ask, 4, false},        [FRAME_MATCHED] = {read_matched, 3, false},
    [FRAME_KEEP] = {read_keep, 3, false},      [FRAME_MOVE] = {read_number, 2, false},
    [FRAME_RECORDED] = {read_recorded, 4, false}, [FRAME_KEEP_LAST] = {read_keep_last, 2, false},
    [FRAME_HELD] = {read_held, 5, false},
};

/* Values of a later version are stepped over; there is nothing behind the array. */
static loom_status finish(mp_reader *r, frame_type type, uint32_t more, char reason[FRAME_REASON_SIZE])
{
    while (more-- > 0) {
        if (!mp_skip(r, LOOM_DEPTH_MAX)) {
            return refuse(reason, type, "an unknown trailing value", "is not well-formed");
        }
    }
    return r->at == r->end ? LOOM_OK : refuse(reason, type, "array", "ends before the frame does");
}

static loom_status read_positional(mp_reader *r, uint32_t count, frame *out, char reason[FRAME_REASON_SIZE])
{
    const positional *p = &positionals[out->type];
    if (count < p->values || (p->open && count > p->values)) {
        return refuse(reason, out->type, "array", "has the wrong number of values");
    }
    loom_status st = p->read(r, out, reason);
    return st != LOOM_OK || p->open ? st : finish(r, out->type, count - p->values, reason);
}

loom_status frame_decode(frame *out, loom_bytes body, char reason[FRAME_REASON_SIZE])
{
    mp_reader r = {body.data, body.data + body.len};
    uint32_t count;
    uint64_t type;
    out->type = 0;
    if (!mp_read_array(&r, &count) || count < 2 || !mp_read_uint(&r, &type)) {
        snprintf(reason, FRAME_REASON_SIZE, "frame is not a msgpack array that begins with its type");
        return LOOM_EMALFORMED;
    }
    frame_keys keys = frame_keys_of(type <= TYPE_LAST ? (frame_type)type : 0);
    if (keys.keys == NULL && (type > TYPE_LAST || positionals[type].read == NULL)) {
        snprintf(reason, FRAME_REASON_SIZE, "frame type %llu is not known", (unsigned long long)type);
        return LOOM_EVERSION;
    }
    out->type = (frame_type)type;
    if (keys.keys == NULL) {
        return read_positional(&r, count, out, reason);
    }
    memset(&out->u, 0, sizeof out->u); /* a key that is missing leaves its field empty */
    loom_status st = read_map(&r, out->type, keys, &out->u, reason);
    return st == LOOM_OK ? finish(&r, out->type, count - 2, reason) : st;
}
