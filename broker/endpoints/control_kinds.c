/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of traces that are to be kept for a while. The broker's recorder finds them, since every message passes here, and tells the
 * others trace by trace, as of any that matters. "keep" with a topic or a capability adds one, "kinds" lists them, "kind_end" ends
 * one before its time. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "trace/record/kinds.h"
#include "trace/record/recorder.h"

enum { FOR_MS = 10 * 60 * 1000, FOR_MS_MAX = 24 * 60 * 60 * 1000, PER_SECOND = 10 };
#define NS_PER_MS UINT64_C(1000000)

static control_outcome refuse_filter(const control_request *q, control_buffer *answer)
{
    const char *why = "give one of both";
    char text[FRAME_REASON_SIZE];
    const loom_str filter = q->topic.len > 0 ? q->topic : q->capability;
    const loom_status st = q->topic.len > 0 && q->capability.len > 0 ? LOOM_EINVAL : loom_filter_check(filter, &why);
    snprintf(text, sizeof text, "%s: %s", q->topic.len == 0 ? "capability" : q->capability.len == 0 ? "topic" : "topic and capability", why);
    return control_refuse(answer, st, text);
}

control_outcome control_keep_kind(const control_request *q, control_buffer *answer)
{
    trace_kind kind = {.capability = q->topic.len == 0, .per_second = PER_SECOND};
    const loom_str filter = kind.capability ? q->capability : q->topic, reason = q->reason.len > 0 ? q->reason : str_of("kind");
    const uint64_t for_ms = q->for_ms > 0 ? q->for_ms : FOR_MS;
    uint32_t number;
    if ((q->topic.len > 0 && q->capability.len > 0) || !loom_filter_valid(filter)) {
        return refuse_filter(q, answer);
    }
    const char *why;
    const loom_status fault = control_check_reason(reason, &why);
    if (fault != LOOM_OK) {
        return control_refuse(answer, fault, why);
    }
    if (for_ms > FOR_MS_MAX || q->per_second > KINDS_PER_SECOND_MAX) {
        return control_refuse(answer, LOOM_EINVAL, for_ms > FOR_MS_MAX ? "for_ms is more than a day" : "per_second is more than 100");
    }
    memcpy(kind.filter, filter.data, filter.len);
    memcpy(kind.reason, reason.data, reason.len);
    kind.per_second = q->per_second > 0 ? (uint32_t)q->per_second : PER_SECOND;
    kind.until_ns = clock_monotonic_ns() + for_ms * NS_PER_MS;
    const loom_status st = recorder_add_kind(&kind, &number);
    if (st != LOOM_OK) {
        return control_refuse(answer, st, st == LOOM_ENOTFOUND ? "the broker's flight recorder is off: start it with LOOM_TRACE_RECORDER=on"
                                                                : "there are 16 kinds already: end one of them");
    }
    msgpack_pack_map(&answer->pk, 2);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_uint(&answer->pk, "number", number);
    return CONTROL_ANSWERED;
}

static void pack_kind(msgpack_packer *pk, const trace_kind *k, uint64_t now_ns)
{
    msgpack_pack_map(pk, 7);
    control_pack_uint(pk, "number", k->number);
    control_pack_text(pk, k->capability ? "capability" : "topic", str_of(k->filter));
    control_pack_text(pk, "reason", str_of(k->reason));
    control_pack_uint(pk, "per_second", k->per_second);
    control_pack_uint(pk, "left_ms", k->until_ns > now_ns ? (k->until_ns - now_ns) / NS_PER_MS : 0);
    control_pack_uint(pk, "kept", k->kept);
    control_pack_uint(pk, "limited", k->limited);
}

control_outcome control_kinds(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    trace_kind kinds[KINDS_MAX];
    const size_t count = recorder_list_kinds(kinds);
    const uint64_t now_ns = clock_monotonic_ns();
    (void)s;
    (void)q;
    (void)to;
    msgpack_pack_map(&answer->pk, 3);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_bool(&answer->pk, "recorder", recorder_is_running());
    control_pack_key(&answer->pk, "kinds");
    msgpack_pack_array(&answer->pk, count);
    for (size_t i = 0; i < count; i++) {
        pack_kind(&answer->pk, &kinds[i], now_ns);
    }
    return CONTROL_ANSWERED;
}

control_outcome control_kind_end(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    (void)s;
    (void)to;
    if (q->number > UINT32_MAX || !recorder_remove_kind((uint32_t)q->number)) {
        return control_refuse(answer, LOOM_ENOTFOUND, "there is no such kind, or its time is over");
    }
    msgpack_pack_map(&answer->pk, 1);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    return CONTROL_ANSWERED;
}
