/* SPDX-License-Identifier: Apache-2.0 */
/* The control operations "keep" (a trace, or from now on a kind of them, is to be kept by every recorder on the bus), "kept" (those of
 * late) and "recorded" (those that this process's recorder holds). Kinds are in control_kinds.c. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "envelope/id.h"
#include "trace/otlp/read.h"
#include "trace/record/recorder.h"

/* ---- what is left of a trace ---- */

enum { PARTIES_MAX = 32 }; /* agents of one trace that are looked after */

/* An agent that the broker's part of the trace names. */
typedef struct party {
    char id[LOOM_AGENT_ID_MAX];
    size_t len;
    bool here; /* a span of its own is in this recorder: it has handed it over */
} party;

typedef struct parties {
    party items[PARTIES_MAX];
    size_t count;
} parties;

static void note_party(void *user, loom_str name, loom_bytes span)
{
    static const char own[] = "agent.";
    parties *all = user;
    const loom_str id = otlp_span_string(span, "agent_id");
    size_t i = 0;
    while (i < all->count && !str_equal((loom_str){all->items[i].id, all->items[i].len}, id)) {
        i++;
    }
    if (id.len == 0 || id.len > LOOM_AGENT_ID_MAX || i == PARTIES_MAX) {
        return;
    }
    party *p = &all->items[i];
    if (i == all->count) {
        all->count++;
        *p = (party){.len = id.len};
        memcpy(p->id, id.data, id.len);
    }
    p->here |= name.len >= sizeof own - 1 && memcmp(name.data, own, sizeof own - 1) == 0;
}

/* Of agents that went without handing over what they had recorded. */
static bool has_left(const bus_server *s, const party *p)
{
    directory_info info;
    return !p->here && !directory_find(s->cores.agents, (loom_str){p->id, p->len}, &info);
}

static void pack_left(const bus_server *s, const parties *all, control_buffer *answer)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        count += has_left(s, &all->items[i]);
    }
    control_pack_key(&answer->pk, "left");
    msgpack_pack_array(&answer->pk, count);
    for (size_t i = 0; i < all->count; i++) {
        if (has_left(s, &all->items[i])) {
            control_pack_str(&answer->pk, (loom_str){all->items[i].id, all->items[i].len});
        }
    }
}

/* ---- keep ---- */

control_outcome control_keep(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    loom_trace_context ctx = {.trace_flags = 0};
    (void)to;
    if (q->topic.len > 0 || q->capability.len > 0) {
        return control_keep_kind(q, answer);
    }
    if (trace_id_from_text(ctx.trace_id, q->trace_id) != LOOM_OK) {
        return control_refuse(answer, LOOM_EINVAL, "trace_id is neither 32 hex digits nor a UUID, or all zeros");
    }
    if (q->reason.len > FRAME_KEEP_REASON_MAX) {
        return control_refuse(answer, LOOM_ETOOBIG, "reason is longer than 23 bytes");
    }
    bridge_endpoint_keep(s, &(frame_keep){.trace_id = ctx.trace_id, .reason = q->reason.len > 0 ? q->reason : str_of("asked")}, NULL);
    parties all = {.count = 0};
    const recorder_trace found = recorder_look_for(ctx.trace_id, note_party, &all);
    msgpack_pack_map(&answer->pk, 6);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_bool(&answer->pk, "recorder", recorder_is_running());
    control_pack_bool(&answer->pk, "bridges", s->bridges.count > 0);
    control_pack_uint(&answer->pk, "spans", found.spans);
    control_pack_bool(&answer->pk, "cut", found.cut);
    pack_left(s, &all, answer);
    return CONTROL_ANSWERED;
}

control_outcome control_keep_last(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    const uint64_t most = q->limit > 0 && q->limit < RECORDER_RECENT ? q->limit : RECORDER_RECENT;
    (void)to;
    bridge_endpoint_keep(s, &(frame_keep){.last = most}, NULL);
    msgpack_pack_map(&answer->pk, 1);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    return CONTROL_ANSWERED;
}

/* ---- lists ---- */

static void pack_trace_id(msgpack_packer *pk, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    char id[2 * LOOM_TRACE_ID_SIZE];
    hex_encode(id, trace_id, LOOM_TRACE_ID_SIZE);
    control_pack_text(pk, "trace_id", (loom_str){id, sizeof id});
}

static void pack_recent(control_list *list, const recorder_recent *r)
{
    msgpack_packer *pk = &list->items.pk;
    msgpack_pack_map(pk, 4);
    pack_trace_id(pk, r->trace_id);
    control_pack_text(pk, "reason", str_of(r->reason));
    control_pack_uint(pk, "unix_ns", r->unix_ns);
    control_pack_bool(pk, "limited", r->limited);
}

control_outcome control_kept(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    recorder_recent recent[RECORDER_RECENT];
    control_list list;
    (void)s;
    (void)to;
    const size_t count = recorder_list_recent(recent);
    control_list_init(&list, q);
    for (size_t i = 0; i < count && control_list_room(&list); i++) {
        pack_recent(&list, &recent[i]);
    }
    return control_list_answer(&list, answer, "kept");
}

static void pack_held(control_list *list, const recorder_held *h)
{
    msgpack_packer *pk = &list->items.pk;
    msgpack_pack_map(pk, 7);
    pack_trace_id(pk, h->trace_id);
    control_pack_text(pk, "name", str_of(h->name));
    control_pack_text(pk, "topic", str_of(h->about));
    control_pack_uint(pk, "start_unix_ns", h->start_unix_ns);
    control_pack_uint(pk, "duration_ns", h->end_unix_ns - h->start_unix_ns);
    control_pack_uint(pk, "spans", h->spans);
    control_pack_bool(pk, "kept", h->kept);
}

control_outcome control_recorded(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    recorder_held *held = calloc(CONTROL_LIST_MAX, sizeof *held);
    control_list list;
    (void)s;
    (void)to;
    if (held == NULL) {
        return control_refuse(answer, LOOM_ENOMEM, "no memory for the list");
    }
    const size_t count = recorder_list_held(held, CONTROL_LIST_MAX);
    control_list_init(&list, q);
    for (size_t i = 0; i < count && control_list_room(&list); i++) {
        pack_held(&list, &held[i]);
    }
    free(held);
    return control_list_answer(&list, answer, "recorded");
}
