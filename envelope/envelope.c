/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope object: a reference count, the encoded bytes, and where each field is in them. */
#include <loom/envelope.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/last_error.h"
#include "base/str.h"
#include "envelope/encode.h"
#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

struct loom_envelope {
    atomic_uint refs;
    envelope_view view; /* of wire below */
    uint8_t wire[];
};

static const envelope_view nothing; /* what is asked of NULL */

static const envelope_view *view_of(const loom_envelope *env)
{
    return env != NULL ? &env->view : &nothing;
}

static loom_envelope *allocate(size_t wire_size)
{
    loom_envelope *env = malloc(sizeof *env + wire_size);
    if (env != NULL) {
        atomic_init(&env->refs, 1);
    }
    return env;
}

loom_envelope *envelope_from_view(const envelope_view *view)
{
    loom_envelope *env = allocate(view->len);
    if (env != NULL) {
        memcpy(env->wire, view->data, view->len);
        env->view = *view;
        env->view.data = env->wire;
    }
    return env;
}

loom_envelope *envelope_renew(loom_envelope *old, size_t *capacity, const envelope_view *view)
{
    enum { ROOM_MIN = 512, ROOM_KEPT_MAX = 64 * 1024 };
    loom_envelope *env = old;
    bool fits = old != NULL && *capacity >= view->len && (*capacity <= ROOM_KEPT_MAX || view->len > ROOM_KEPT_MAX);
    /* acquire: what the last other holder read must be read before it is overwritten */
    if (!fits || atomic_load_explicit(&old->refs, memory_order_acquire) != 1) {
        size_t room = view->len > ROOM_MIN ? view->len : ROOM_MIN;
        loom_envelope_unref(old);
        env = allocate(room);
        *capacity = env != NULL ? room : 0;
        if (env == NULL) {
            return NULL;
        }
    }
    memcpy(env->wire, view->data, view->len);
    env->view = *view;
    env->view.data = env->wire;
    return env;
}

const envelope_view *envelope_as_view(const loom_envelope *env)
{
    return &env->view;
}

loom_status loom_envelope_create(loom_envelope **out, const loom_envelope_fields *fields)
{
    if (out == NULL || fields == NULL) {
        return last_error_null(out == NULL ? "the place for the envelope" : "the fields");
    }
    *out = NULL;
    size_t size;
    loom_status st = envelope_encode_check(fields, &size);
    if (st != LOOM_OK) {
        return st;
    }
    loom_envelope *env = allocate(size);
    if (env == NULL) {
        return LOOM_ENOMEM;
    }
    uint8_t id[LOOM_UUID_SIZE];
    const char *reason;
    size_t len = envelope_encode(env->wire, fields, id);
    st = envelope_scan(&env->view, (loom_bytes){env->wire, len}, NULL, &reason);
    if (st != LOOM_OK) {
        free(env);
        return last_error(st, "%s", reason);
    }
    *out = env;
    return LOOM_OK;
}

loom_status loom_envelope_decode(loom_envelope **out, loom_bytes wire)
{
    if (out == NULL) {
        return last_error_null("the place for the envelope");
    }
    *out = NULL;
    envelope_view view;
    const char *reason;
    loom_status st = envelope_scan(&view, wire, NULL, &reason);
    if (st != LOOM_OK) {
        return last_error(st, "%s", reason);
    }
    if (view.len != wire.len) {
        return last_error(LOOM_EMALFORMED, "%zu bytes follow the envelope", wire.len - view.len);
    }
    if (view.hop_in_place) {
        *out = envelope_from_view(&view);
        return *out != NULL ? LOOM_OK : LOOM_ENOMEM;
    }
    bool invalid;
    loom_envelope *env = allocate(view.len + ENVELOPE_PREFIX_SIZE);
    if (env == NULL) {
        return LOOM_ENOMEM;
    }
    uint32_t len = envelope_normalise(env->wire, &view, LOOM_TTL_DEFAULT, &invalid);
    st = envelope_scan(&env->view, (loom_bytes){env->wire, len}, NULL, &reason);
    if (st != LOOM_OK) {
        free(env);
        return last_error(st, "%s", reason);
    }
    *out = env;
    return LOOM_OK;
}

loom_envelope *loom_envelope_ref(loom_envelope *env)
{
    if (env != NULL) {
        atomic_fetch_add_explicit(&env->refs, 1, memory_order_relaxed);
    }
    return env;
}

void loom_envelope_unref(loom_envelope *env)
{
    if (env != NULL && atomic_fetch_sub_explicit(&env->refs, 1, memory_order_acq_rel) == 1) {
        free(env);
    }
}

loom_bytes loom_envelope_wire(const loom_envelope *env)
{
    return (loom_bytes){view_of(env)->data, view_of(env)->len};
}

loom_str loom_envelope_topic(const loom_envelope *env)
{
    return envelope_view_str(view_of(env), ENV_TOPIC);
}

loom_bytes loom_envelope_payload(const loom_envelope *env)
{
    return envelope_view_bytes(view_of(env), ENV_PAYLOAD);
}

loom_str loom_envelope_type(const loom_envelope *env)
{
    return envelope_view_str(view_of(env), ENV_TYPE);
}

loom_str loom_envelope_sender(const loom_envelope *env)
{
    return envelope_view_str(view_of(env), ENV_SENDER);
}

loom_str loom_envelope_content_type(const loom_envelope *env)
{
    return envelope_view_str(view_of(env), ENV_CONTENT_TYPE);
}

loom_str loom_envelope_tracestate(const loom_envelope *env)
{
    loom_trace_context ctx;
    if (env == NULL || env->view.field[ENV_TRACESTATE].len == 0 || !envelope_view_context(&env->view, &ctx)) {
        return (loom_str){0};
    }
    return envelope_view_str(view_of(env), ENV_TRACESTATE);
}

loom_str loom_envelope_baggage(const loom_envelope *env)
{
    return envelope_view_str(view_of(env), ENV_BAGGAGE);
}

const uint8_t *loom_envelope_id(const loom_envelope *env)
{
    static const uint8_t none[LOOM_UUID_SIZE];
    return env != NULL ? env->wire + env->view.field[ENV_ID].off : none;
}

void loom_envelope_id_text(const loom_envelope *env, char out[LOOM_UUID_TEXT_SIZE])
{
    if (out != NULL) {
        loom_uuid_to_text(out, loom_envelope_id(env));
    }
}

uint64_t loom_envelope_timestamp_unix_ns(const loom_envelope *env)
{
    return env != NULL ? envelope_view_timestamp(&env->view) : 0;
}

uint8_t loom_envelope_ttl(const loom_envelope *env)
{
    return env != NULL ? hop_ttl(env->wire) : 0;
}

loom_str loom_envelope_thread_id(const loom_envelope *env, char buf[LOOM_UUID_TEXT_SIZE])
{
    return env != NULL && buf != NULL ? envelope_view_thread_id(&env->view, buf) : (loom_str){0};
}

loom_str loom_envelope_correlation_id(const loom_envelope *env, char buf[LOOM_UUID_TEXT_SIZE])
{
    return env != NULL && buf != NULL ? envelope_view_correlation_id(&env->view, buf) : (loom_str){0};
}

loom_str loom_envelope_reply_to(const loom_envelope *env, char buf[LOOM_REPLY_TO_SIZE])
{
    loom_str reply_to = envelope_view_str(view_of(env), ENV_REPLY_TO);
    if (reply_to.len > 0 || env == NULL || buf == NULL) {
        return reply_to;
    }
    char id[LOOM_UUID_TEXT_SIZE];
    loom_str thread = loom_envelope_thread_id(env, id);
    int len = snprintf(buf, LOOM_REPLY_TO_SIZE, "thread.%.*s.reply", (int)thread.len, thread.data);
    return (loom_str){buf, (size_t)len};
}

void loom_envelope_headers(const loom_envelope *env, bool (*visit)(void *user, loom_header header), void *user)
{
    loom_bytes map = envelope_view_bytes(view_of(env), ENV_HEADERS);
    mp_reader r = {map.data, map.data + map.len};
    uint32_t count;
    if (map.len == 0 || visit == NULL || !mp_read_map(&r, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        loom_header h;
        if (!mp_read_str(&r, &h.key) || !mp_read_str(&r, &h.value) || !visit(user, h)) {
            return;
        }
    }
}

typedef struct header_search {
    loom_str key;
    loom_str *value;
    bool found;
} header_search;

static bool match_header(void *user, loom_header header)
{
    header_search *search = user;
    search->found = str_equal(header.key, search->key);
    if (search->found) {
        *search->value = header.value;
    }
    return !search->found;
}

loom_status loom_envelope_header(const loom_envelope *env, const char *key, loom_str *value)
{
    if (key == NULL || value == NULL) {
        return last_error_null(key == NULL ? "the key" : "the place for the value");
    }
    header_search search = {{key, strlen(key)}, value, false};
    *value = (loom_str){NULL, 0};
    loom_envelope_headers(env, match_header, &search);
    return search.found ? LOOM_OK : LOOM_ENOTFOUND;
}

static bool no_context(loom_trace_context *out)
{
    if (out != NULL) {
        *out = (loom_trace_context){{0}, {0}, 0};
    }
    return false;
}

bool loom_envelope_extract(const loom_envelope *env, loom_trace_context *out)
{
    if (env == NULL || out == NULL) {
        return no_context(out);
    }
    return envelope_view_context(&env->view, out);
}

bool loom_envelope_creation_context(const loom_envelope *env, loom_trace_context *out)
{
    if (env == NULL || out == NULL || env->view.field[ENV_CREATION].len == 0 || !envelope_view_context(&env->view, out)) {
        return no_context(out);
    }
    memcpy(out->span_id, env->wire + env->view.field[ENV_CREATION].off, LOOM_SPAN_ID_SIZE);
    return loom_trace_context_valid(out);
}

void loom_envelope_inject(loom_envelope_fields *fields, const loom_trace_context *ctx)
{
    if (fields != NULL && loom_trace_context_valid(ctx)) {
        trace_context_copy(&fields->context, ctx);
        memcpy(fields->creation_span_id, ctx->span_id, LOOM_SPAN_ID_SIZE);
    }
}
