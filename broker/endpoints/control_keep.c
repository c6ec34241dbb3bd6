/* SPDX-License-Identifier: Apache-2.0 */
/* The control operations "keep" (a trace, or from now on a kind of them, is to be kept by every recorder on the bus), "kept" (those of
 * late) and "recorded" (those that this process's recorder holds). Kinds are in control_kinds.c. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/str.h"
#include "base/utf8.h"
#include "broker/endpoints/control_internal.h"
#include "envelope/id.h"
#include "trace/record/recorder.h"

loom_status control_check_reason(loom_str reason, const char **text)
{
    const bool is_long = reason.len > FRAME_KEEP_REASON_MAX;
    *text = is_long ? "reason is longer than 23 bytes" : "reason is not UTF-8";
    return is_long ? LOOM_ETOOBIG : utf8_valid(reason) ? LOOM_OK : LOOM_EINVAL;
}

control_outcome control_keep(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    loom_trace_context ctx = {.trace_flags = 0};
    if (q->topic.len > 0 || q->capability.len > 0) {
        return control_keep_kind(q, answer);
    }
    if (trace_id_from_text(ctx.trace_id, q->trace_id) != LOOM_OK) {
        return control_refuse(answer, LOOM_EINVAL, "trace_id is neither 32 hex digits nor a UUID, or all zeros");
    }
    const char *why;
    const loom_status st = control_check_reason(q->reason, &why);
    if (st != LOOM_OK) {
        return control_refuse(answer, st, why);
    }
    const frame_keep keep = {.trace_id = ctx.trace_id, .reason = q->reason.len > 0 ? q->reason : str_of("asked"), .asks = true};
    return control_ask_who_holds(s, &keep, to, answer);
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
