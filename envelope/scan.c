/* SPDX-License-Identifier: Apache-2.0 */
/* The gate for envelope bytes from outside: one pass, bounded, no allocation. */
#include <assert.h>

#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

typedef struct field_rule {
    const char *malformed; /* what to say when the field is not of its kind */
    const char *too_big;
    uint32_t max; /* bytes of content */
    bool optional; /* may be nil */
} field_rule;

static const field_rule rules[ENVELOPE_FIELDS] = {
    [ENV_TOPIC] = {"topic is not a string", "topic is over 256 bytes", LOOM_TOPIC_MAX, false},
    [ENV_ID] = {"id is not 16 bytes", NULL, LOOM_UUID_SIZE, false},
    [ENV_TYPE] = {"type is not a string", "type is over 128 bytes", LOOM_TYPE_MAX, true},
    [ENV_SENDER] = {"sender is not a string", "sender is over 128 bytes", LOOM_AGENT_ID_MAX, true},
    [ENV_TIMESTAMP] = {"timestamp is not an unsigned integer", NULL, 0, false},
    [ENV_THREAD_ID] = {"thread_id is not a string", "thread_id is over 128 bytes", LOOM_THREAD_ID_MAX, true},
    [ENV_CORRELATION_ID] = {"correlation_id is not a string", "correlation_id is over 128 bytes", LOOM_THREAD_ID_MAX, true},
    [ENV_REPLY_TO] = {"reply_to is not a string", "reply_to is over 256 bytes", LOOM_TOPIC_MAX, true},
    [ENV_CREATION] = {"creation span id is not 8 bytes", NULL, LOOM_SPAN_ID_SIZE, true},
    [ENV_TRACESTATE] = {"tracestate is not a string", "tracestate is over 512 bytes", LOOM_TRACESTATE_MAX, true},
    [ENV_BAGGAGE] = {"baggage is not a string", "baggage is over 8192 bytes", LOOM_BAGGAGE_MAX, true},
    [ENV_CONTENT_TYPE] = {"content_type is not a string", "content_type is over 128 bytes", LOOM_CONTENT_TYPE_MAX, true},
    [ENV_HEADERS] = {"headers is not a map of strings", "headers are over 16 KiB", LOOM_HEADERS_MAX, true},
    [ENV_PAYLOAD] = {"payload is not bytes", "payload is over the limit", LOOM_PAYLOAD_MAX, false},
};

static bool take_nil(mp_reader *r)
{
    if (r->at < r->end && *r->at == MP_NIL) {
        r->at++;
        return true;
    }
    return false;
}

static inline void set_slice(envelope_view *v, enum envelope_field f, const void *data, size_t len)
{
    v->field[f] = (envelope_slice){len > 0 ? (uint32_t)((const uint8_t *)data - v->data) : 0, (uint32_t)len};
}

/* The hop field in any of its forms. */
static loom_status scan_hop(envelope_view *v, mp_reader *r, const char **reason)
{
    const uint8_t *hop = r->at;
    loom_str text;
    loom_bytes ext;
    int8_t type;
    if (r->end - hop >= 3 + HOP_SIZE && hop[0] == MP_EXT8 && hop[1] == HOP_SIZE && hop[2] == HOP_EXT_TYPE) {
        v->hop_in_place = hop - v->data == HOP_OFFSET - 3;
        v->field[ENV_HOP] = (envelope_slice){(uint32_t)(hop + 3 - v->data), HOP_SIZE};
        r->at += 3 + HOP_SIZE;
        return LOOM_OK;
    }
    v->hop_in_place = false;
    if (mp_read_ext(r, &type, &ext)) { /* of another kind: present, but no context */
        bool is_hop = type == HOP_EXT_TYPE && ext.len == HOP_SIZE;
        set_slice(v, ENV_HOP, is_hop ? ext.data : hop, is_hop ? HOP_SIZE : 1);
    } else if (take_nil(r)) {
        set_slice(v, ENV_HOP, NULL, 0);
    } else if (mp_read_str(r, &text)) {
        set_slice(v, ENV_HOP, text.data, text.len);
    } else {
        *reason = "hop context is not an extension, a string or nil";
        return LOOM_EMALFORMED;
    }
    return LOOM_OK;
}

/* The array header and version, and what follows them. */
static loom_status scan_prefix(envelope_view *v, mp_reader *r, uint32_t *count, const char **reason)
{
    uint64_t version;
    if (r->end - r->at >= HOP_OFFSET + HOP_SIZE && memcmp(r->at, hop_usual_prefix, HOP_OFFSET) == 0) {
        v->hop_in_place = true;
        v->field[ENV_HOP] = (envelope_slice){HOP_OFFSET, HOP_SIZE};
        *count = ENVELOPE_FIELDS;
        r->at += HOP_OFFSET + HOP_SIZE;
        return LOOM_OK;
    }
    if (!mp_read_array(r, count)) {
        *reason = "not an envelope: no array";
        return LOOM_EMALFORMED;
    }
    if (!mp_read_uint(r, &version)) {
        *reason = "version is not an unsigned integer";
        return LOOM_EMALFORMED;
    }
    if (version != ENVELOPE_VERSION) {
        *reason = "envelope version is not supported";
        return LOOM_EVERSION;
    }
    if (*count < ENVELOPE_FIELDS) {
        *reason = "envelope has fewer than 16 fields";
        return LOOM_EMALFORMED;
    }
    if (*count > UINT16_MAX) { /* the fixed form counts them in 16 bits */
        *reason = "envelope has more than 65535 fields";
        return LOOM_ETOOBIG;
    }
    return scan_hop(v, r, reason);
}

/* Each of these takes the value at a place for field f, and returns the place after it; NULL: it is of another kind.
 * The usual forms are read here. The place goes from one to the next in a register: in a reader, which is memory, each
 * field would wait for the one before to be stored and loaded again. */

static inline const uint8_t *scan_text(envelope_view *v, enum envelope_field f, const uint8_t *at, const uint8_t *end)
{
    if (at < end && (*at & 0xe0) == MP_FIXSTR && (*at & 0x1f) < end - at) {
        const size_t len = *at & 0x1f;
        set_slice(v, f, at + 1, len);
        return at + 1 + len;
    }
    mp_reader r = {at, end};
    loom_str text;
    if (!mp_read_str_sized(&r, &text)) {
        return NULL;
    }
    set_slice(v, f, text.data, text.len);
    return r.at;
}

static inline const uint8_t *scan_bytes(envelope_view *v, enum envelope_field f, const uint8_t *at, const uint8_t *end)
{
    if (end - at >= 2 && *at == MP_BIN8 && at[1] <= end - at - 2) {
        const size_t len = at[1];
        set_slice(v, f, at + 2, len);
        return at + 2 + len;
    }
    mp_reader r = {at, end};
    loom_bytes bytes;
    if (!mp_read_bin_sized(&r, &bytes)) {
        return NULL;
    }
    set_slice(v, f, bytes.data, bytes.len);
    return r.at;
}

/* The encoded integer. */
static inline const uint8_t *scan_number(envelope_view *v, enum envelope_field f, const uint8_t *at, const uint8_t *end)
{
    if (end - at >= 9 && *at == MP_UINT64) {
        set_slice(v, f, at, 9);
        return at + 9;
    }
    mp_reader r = {at, end};
    uint64_t number;
    if (!mp_read_uint(&r, &number)) {
        return NULL;
    }
    set_slice(v, f, at, (size_t)(r.at - at));
    return r.at;
}

static const uint8_t *scan_headers(envelope_view *v, const uint8_t *at, const uint8_t *end)
{
    mp_reader r = {at, end};
    uint32_t count;
    if (!mp_read_map(&r, &count)) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        loom_str key, value;
        if (!mp_read_str(&r, &key) || !mp_read_str(&r, &value)) {
            return NULL;
        }
    }
    v->headers_count = count;
    set_slice(v, ENV_HEADERS, at, (size_t)(r.at - at));
    return r.at;
}

static inline const uint8_t *scan_field(envelope_view *v, enum envelope_field f, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *after;
    switch (f) {
    case ENV_ID:
        after = scan_bytes(v, f, at, end);
        return after != NULL && v->field[f].len == LOOM_UUID_SIZE ? after : NULL;
    case ENV_CREATION:
        after = scan_bytes(v, f, at, end);
        return after != NULL && v->field[f].len == LOOM_SPAN_ID_SIZE ? after : NULL;
    case ENV_PAYLOAD: return scan_bytes(v, f, at, end);
    case ENV_TIMESTAMP: return scan_number(v, f, at, end);
    case ENV_HEADERS: return scan_headers(v, at, end);
    default: return scan_text(v, f, at, end);
    }
}

/* The fields after the hop context. */
static inline loom_status scan_fields(envelope_view *v, mp_reader *r, uint32_t payload_max, bool any_context,
                                      const char **reason)
{
    const uint8_t *at = r->at, *const end = r->end;
#pragma GCC unroll 16 /* with f known, little is left of the rules and of the switch */
    for (unsigned f = ENV_TOPIC; f < ENVELOPE_FIELDS; f++) {
        if (rules[f].optional && at < end && *at == MP_NIL) { /* most are, in most messages */
            v->field[f] = (envelope_slice){0, 0};
            at++;
            continue;
        }
        at = scan_field(v, (enum envelope_field)f, at, end);
        if (at == NULL) {
            *reason = rules[f].malformed;
            return LOOM_EMALFORMED;
        }
        const uint32_t max = f == ENV_PAYLOAD ? payload_max : rules[f].max;
        if (v->field[f].len > max && rules[f].too_big != NULL &&
            !(any_context && (f == ENV_TRACESTATE || f == ENV_BAGGAGE))) {
            *reason = rules[f].too_big;
            return LOOM_ETOOBIG;
        }
    }
    r->at = at;
    return LOOM_OK;
}

/* ---- the usual envelope ---- */

/* Text of 1 to max bytes. NULL: it is something else. */
static inline const uint8_t *usual_text(envelope_view *v, enum envelope_field f, const uint8_t *at, uint32_t max)
{
    uint32_t len = *at & 0x1fu;
    if ((*at & 0xe0) == MP_FIXSTR) {
        at++;
    } else if (*at == MP_STR8) {
        len = at[1];
        at += 2;
    } else {
        return NULL;
    }
    v->field[f] = (envelope_slice){(uint32_t)(at - v->data), len};
    return len > 0 && len <= max ? at + len : NULL;
}

/* From the timestamp to the headers: of these, no more than a creation context. */
static inline const uint8_t *usual_middle(envelope_view *v, const uint8_t *at)
{
    static const uint8_t nils[] = {MP_NIL, MP_NIL, MP_NIL, MP_NIL};
    if (*at != MP_UINT64 || memcmp(at + 9, nils, ENV_CREATION - ENV_THREAD_ID) != 0) {
        return NULL;
    }
    v->field[ENV_TIMESTAMP] = (envelope_slice){(uint32_t)(at - v->data), 9};
    memset(&v->field[ENV_THREAD_ID], 0, (ENV_CREATION - ENV_THREAD_ID) * sizeof v->field[0]);
    at += 9 + ENV_CREATION - ENV_THREAD_ID;
    if (at[0] == MP_BIN8 && at[1] == LOOM_SPAN_ID_SIZE) {
        v->field[ENV_CREATION] = (envelope_slice){(uint32_t)(at + 2 - v->data), LOOM_SPAN_ID_SIZE};
        at += 2 + LOOM_SPAN_ID_SIZE;
    } else if (*at == MP_NIL) {
        v->field[ENV_CREATION] = (envelope_slice){0, 0};
        at++;
    } else {
        return NULL;
    }
    memset(&v->field[ENV_TRACESTATE], 0, (ENV_PAYLOAD - ENV_TRACESTATE) * sizeof v->field[0]);
    return memcmp(at, nils, ENV_PAYLOAD - ENV_TRACESTATE) == 0 ? at + (ENV_PAYLOAD - ENV_TRACESTATE) : NULL;
}

static inline const uint8_t *usual_payload(envelope_view *v, const uint8_t *at, const uint8_t *end, uint32_t max)
{
    uint32_t len;
    if (*at == MP_BIN8) {
        len = at[1];
        at += 2;
    } else if (*at == MP_BIN16) {
        len = mp_load16(at + 1);
        at += 3;
    } else {
        return NULL;
    }
    v->field[ENV_PAYLOAD] = (envelope_slice){len > 0 ? (uint32_t)(at - v->data) : 0, len};
    return len <= max && len <= (size_t)(end - at) ? at + len : NULL;
}

/* Most envelopes are those of an agent's plain event, and more of them follow: nothing before the payload can reach past
 * the end then, and the order of what is there is known. Returns the place after it; NULL: it is to be looked at field by
 * field, which also finds what is wrong. */
static inline const uint8_t *scan_usual(envelope_view *v, const uint8_t *end, uint32_t payload_max)
{
    enum { SHORT_TEXT = 2 + UINT8_MAX };
    enum { BEFORE_PAYLOAD = ENVELOPE_PREFIX_SIZE + 3 * SHORT_TEXT + 2 + LOOM_UUID_SIZE + 9 + 2 + LOOM_SPAN_ID_SIZE + 7 + 3 };
    static_assert(BEFORE_PAYLOAD + UINT16_MAX <= LOOM_ENVELOPE_MAX, "what is read here is never over the limit");
    const uint8_t *at = v->data;
    if (end - at < BEFORE_PAYLOAD || memcmp(at, hop_usual_prefix, HOP_OFFSET) != 0) {
        return NULL;
    }
    v->field[ENV_HOP] = (envelope_slice){HOP_OFFSET, HOP_SIZE};
    at = usual_text(v, ENV_TOPIC, at + ENVELOPE_PREFIX_SIZE, LOOM_TOPIC_MAX);
    if (at == NULL || at[0] != MP_BIN8 || at[1] != LOOM_UUID_SIZE) {
        return NULL;
    }
    v->field[ENV_ID] = (envelope_slice){(uint32_t)(at + 2 - v->data), LOOM_UUID_SIZE};
    at += 2 + LOOM_UUID_SIZE;
    if (*at == MP_NIL) {
        v->field[ENV_TYPE] = (envelope_slice){0, 0};
        at++;
    } else if ((at = usual_text(v, ENV_TYPE, at, LOOM_TYPE_MAX)) == NULL) {
        return NULL;
    }
    at = usual_text(v, ENV_SENDER, at, LOOM_AGENT_ID_MAX);
    at = at != NULL ? usual_middle(v, at) : NULL;
    return at != NULL ? usual_payload(v, at, end, payload_max) : NULL;
}

/* Whatever passes as an envelope. */
static loom_status scan_any(envelope_view *view, loom_bytes bytes, uint32_t payload_max, bool any_context, const char **reason)
{
    mp_reader r = {bytes.data, bytes.data + bytes.len};
    uint32_t count;
    loom_status st = scan_prefix(view, &r, &count, reason);
    if (st != LOOM_OK) {
        return st;
    }
    st = scan_fields(view, &r, payload_max, any_context, reason);
    if (st != LOOM_OK) {
        return st;
    }
    for (uint32_t i = ENVELOPE_FIELDS; i < count; i++) {
        if (!mp_skip(&r, LOOM_DEPTH_MAX)) {
            *reason = "an unknown trailing field is not well-formed";
            return LOOM_EMALFORMED;
        }
        if ((size_t)(r.at - view->data) > LOOM_ENVELOPE_MAX) {
            break;
        }
    }
    if ((size_t)(r.at - view->data) > LOOM_ENVELOPE_MAX) {
        *reason = "envelope is over its limit";
        return LOOM_ETOOBIG;
    }
    view->len = (uint32_t)(r.at - view->data);
    /* array16 even where fewer bytes would do: otherwise the hop context is not at its offset */
    view->hop_in_place = view->hop_in_place && view->data[0] == MP_ARRAY16;
    return LOOM_OK;
}

loom_status envelope_scan(envelope_view *view, loom_bytes bytes, const envelope_limits *limits, const char **reason)
{
    const uint32_t payload_max = limits != NULL && limits->payload_max != 0 ? limits->payload_max : LOOM_PAYLOAD_MAX;
    if (bytes.len == 0) {
        *reason = "not an envelope: empty";
        return LOOM_EMALFORMED;
    }
    view->data = bytes.data;
    view->headers_count = 0;
    view->shared = NULL;
    const uint8_t *after = scan_usual(view, bytes.data + bytes.len, payload_max);
    if (after != NULL) {
        view->len = (uint32_t)(after - view->data);
        view->hop_in_place = true;
        return LOOM_OK;
    }
    return scan_any(view, bytes, payload_max, limits != NULL && limits->any_context, reason);
}
