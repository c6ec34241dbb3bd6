/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: questions and answers as msgpack maps. A table of operations, and a table of the keys they know. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "envelope/msgpack_bytes.h"

/* ---- operations ---- */

static control_outcome control_ping(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    (void)q;
    (void)to;
    msgpack_pack_map(&answer->pk, 2);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_text(&answer->pk, "software", str_of(s->software));
    return CONTROL_ANSWERED;
}

/* LOOM_ECANCELED: an operator has ended the session. Its agent may come again. */
control_outcome control_kick(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    (void)to;
    if (q->agent.len == 0) {
        return control_refuse(answer, LOOM_EINVAL, "agent is missing");
    }
    const uint32_t ended = directory_end(s->cores.agents, q->agent, LOOM_ECANCELED);
    if (ended == 0) {
        return control_refuse(answer, LOOM_ENOTFOUND, "there is no such agent");
    }
    log_to(&s->log, LOG_INFO, "agent kicked by an operator agent=%.*s", (int)q->agent.len, q->agent.data);
    msgpack_pack_map(&answer->pk, 2);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_uint(&answer->pk, "kicked", ended);
    return CONTROL_ANSWERED;
}

static const struct {
    const char *name;
    control_op *run;
    bool system; /* any agent may ask it over its link, too */
} ops[] = {
    {"ping", control_ping, true},
    {"stats", control_stats, true},
    {"counters", control_counters, true},
    {"agents", control_agents, true},
    {"capabilities", control_capabilities, true},
    {"topics", control_topics, true},
    {"flow", control_flow, true},
    {"invoke", control_invoke, false},
    {"kick", control_kick, false},
    {"drain", control_drain, false},
    {"keep", control_keep, false},
    {"keep_last", control_keep_last, false},
    {"kept", control_kept, false},
    {"recorded", control_recorded, false},
    {"kinds", control_kinds, false},
    {"kind_end", control_kind_end, false},
};

/* ---- requests ---- */

typedef enum key_kind { KEY_IS_STR, KEY_IS_UINT, KEY_IS_BOOL, KEY_IS_BYTES, KEY_IS_TEXTS } key_kind;

static const struct control_key {
    const char *name;
    key_kind kind;
    size_t offset;
} keys[] = {
    {"op", KEY_IS_STR, offsetof(control_request, op)},
    {"agent", KEY_IS_STR, offsetof(control_request, agent)},
    {"topic", KEY_IS_STR, offsetof(control_request, topic)},
    {"capability", KEY_IS_STR, offsetof(control_request, capability)},
    {"name", KEY_IS_STR, offsetof(control_request, name)},
    {"prefix", KEY_IS_STR, offsetof(control_request, prefix)},
    {"filter", KEY_IS_STR, offsetof(control_request, filter)},
    {"kind", KEY_IS_STR, offsetof(control_request, kind)},
    {"after", KEY_IS_STR, offsetof(control_request, after)},
    {"limit", KEY_IS_UINT, offsetof(control_request, limit)},
    {"version", KEY_IS_STR, offsetof(control_request, version)},
    {"content_type", KEY_IS_STR, offsetof(control_request, content_type)},
    {"traceparent", KEY_IS_STR, offsetof(control_request, traceparent)},
    {"tracestate", KEY_IS_STR, offsetof(control_request, tracestate)},
    {"baggage", KEY_IS_STR, offsetof(control_request, baggage)},
    {"trace_id", KEY_IS_STR, offsetof(control_request, trace_id)},
    {"reason", KEY_IS_STR, offsetof(control_request, reason)},
    {"for_ms", KEY_IS_UINT, offsetof(control_request, for_ms)},
    {"per_second", KEY_IS_UINT, offsetof(control_request, per_second)},
    {"number", KEY_IS_UINT, offsetof(control_request, number)},
    {"how", KEY_IS_STR, offsetof(control_request, how)},
    {"payload", KEY_IS_BYTES, offsetof(control_request, payload)},
    {"call_id", KEY_IS_BYTES, offsetof(control_request, call_id)},
    {"headers", KEY_IS_TEXTS, offsetof(control_request, headers)},
    {"deadline_ms", KEY_IS_UINT, offsetof(control_request, deadline_ms)},
    {"idempotent", KEY_IS_BOOL, offsetof(control_request, idempotent)},
};

/* bin, or str for those who type by hand. */
static bool read_bytes(mp_reader *r, loom_bytes *out)
{
    mp_reader again = *r;
    loom_str text;
    if (mp_read_bin(r, out)) {
        return true;
    }
    *r = again;
    bool fine = mp_read_str(r, &text);
    *out = fine ? (loom_bytes){(const uint8_t *)text.data, text.len} : (loom_bytes){NULL, 0};
    return fine;
}

/* A map of strings, as it is. */
static bool read_texts(mp_reader *r, loom_bytes *out)
{
    const uint8_t *at = r->at;
    uint32_t pairs;
    loom_str text;
    bool fine = mp_read_map(r, &pairs);
    for (uint64_t i = 0; fine && i < (uint64_t)pairs * 2; i++) {
        fine = mp_read_str(r, &text);
    }
    *out = (loom_bytes){at, fine ? (size_t)(r->at - at) : 0};
    return fine;
}

/* uint, or its digits for those who can only type. */
static bool read_uint(mp_reader *r, uint64_t *out)
{
    mp_reader again = *r;
    loom_str text;
    if (mp_read_uint(r, out)) {
        return true;
    }
    *r = again;
    *out = 0;
    bool fine = mp_read_str(r, &text) && text.len > 0 && text.len <= 19;
    for (size_t i = 0; fine && i < text.len; i++) {
        fine = text.data[i] >= '0' && text.data[i] <= '9';
        *out = *out * 10 + (uint64_t)(text.data[i] - '0');
    }
    return fine;
}

static bool read_value(mp_reader *r, const struct control_key *key, control_request *q)
{
    void *field = (char *)q + key->offset;
    switch (key->kind) {
    case KEY_IS_STR: return mp_read_str(r, field);
    case KEY_IS_UINT: return read_uint(r, field);
    case KEY_IS_BOOL: return mp_read_bool(r, field);
    case KEY_IS_BYTES: return read_bytes(r, field);
    case KEY_IS_TEXTS: return read_texts(r, field);
    }
    return false;
}

static const struct control_key *find_key(loom_str name)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (str_is(name, keys[i].name)) {
            return &keys[i];
        }
    }
    return NULL;
}

static loom_status read_request(loom_bytes body, control_request *q, char reason[FRAME_REASON_SIZE])
{
    mp_reader r = {body.data, body.data + body.len};
    uint32_t pairs;
    *q = (control_request){0};
    snprintf(reason, FRAME_REASON_SIZE, "request is not a msgpack map with text keys");
    if (!mp_read_map(&r, &pairs)) {
        return LOOM_EMALFORMED;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        loom_str name;
        if (!mp_read_str(&r, &name)) {
            return LOOM_EMALFORMED;
        }
        const struct control_key *key = find_key(name);
        if (key == NULL ? !mp_skip(&r, LOOM_DEPTH_MAX) : !read_value(&r, key, q)) {
            const char *which = key != NULL ? key->name : "an unknown key";
            snprintf(reason, FRAME_REASON_SIZE, "the value of %s is not of its kind", which);
            return LOOM_EMALFORMED;
        }
    }
    return r.at == r.end ? LOOM_OK : LOOM_EMALFORMED;
}

control_outcome control_run(bus_server *s, loom_bytes body, const sp_reply_to *to, control_buffer *answer)
{
    char reason[FRAME_REASON_SIZE];
    control_request q;
    s->stats.control_requests++;
    loom_status st = read_request(body, &q, reason);
    if (st != LOOM_OK) {
        return control_refuse(answer, st, reason);
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (str_is(q.op, ops[i].name)) {
            return ops[i].run(s, &q, to, answer);
        }
    }
    return control_refuse(answer, LOOM_ENOTFOUND, q.op.len == 0 ? "op is missing" : "op is not known");
}

loom_status control_run_system(bus_server *s, loom_str name, loom_bytes body, control_buffer *answer)
{
    static const sp_reply_to nobody;
    char reason[FRAME_REASON_SIZE];
    control_request q = {0};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (ops[i].system && str_is(name, ops[i].name)) {
            s->stats.system_calls++;
            const loom_status st = body.len > 0 ? read_request(body, &q, reason) : LOOM_OK;
            (void)(st == LOOM_OK ? ops[i].run(s, &q, &nobody, answer) : control_refuse(answer, st, reason));
            return LOOM_OK;
        }
    }
    return LOOM_ENOTFOUND;
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_server *s = user;
    control_buffer answer;
    (void)peer;
    bus_woke(s);
    control_buffer_init(&answer);
    if (control_run(s, (loom_bytes){data, len}, reply_to, &answer) == CONTROL_ANSWERED) {
        control_reply(s, reply_to, &answer);
    }
    control_buffer_fini(&answer);
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    bus_server *s = user;
    (void)status;
    (void)why;
    bus_woke(s);
    control_invoke_forget(s, peer);
    control_held_forget(s, peer);
}

/* ---- life ---- */

loom_status control_endpoint_open(bus_server *s)
{
    static const sp_handlers handlers = {.message = on_message, .closed = on_closed};
    sp_options options = {.protocol = SP_REP, .handlers = &handlers, .message_max = FRAME_MAX};
    return bus_listen(s, &s->control.server, s->options.control, options);
}

void control_endpoint_close(bus_server *s)
{
    control_invoke_close(s);
    control_held_close(s);
    bus_unlisten(s, &s->control.server);
}
