/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/keeps.h"

#include <string.h>

#include "base/str.h"
#include "sdk-c/agent/parts.h"
#include "sdk-c/agent/spans.h"
#include "trace/span/finished.h"

enum { KEEPS_WAITING_MAX = 64 * 1024 }; /* bytes of control frames that wait, behind which none is told */

/* Lock held. false: no memory. */
static bool put(loom_agent *a, const uint8_t *trace_id, const char *reason)
{
    return frame_put_keep(&a->loop.out.control, &(frame_keep){.trace_id = trace_id, .reason = str_of(reason)}) == LOOM_OK;
}

/* On the recorder's thread. */
static size_t carry(recorder_carrier *self, const recorder_trigger_item *items, size_t count)
{
    loom_agent *a = (loom_agent *)((char *)self - offsetof(loom_agent, keeps.carrier));
    size_t carried = 0;
    pthread_mutex_lock(&a->loop.lock);
    const bool away = !a->keeps.wanted;
    while (!away && carried < count && a->loop.out.control.len < KEEPS_WAITING_MAX &&
           put(a, items[carried].trace_id, items[carried].reason)) {
        carried++;
    }
    if (carried > 0) {
        loop_control_waits(&a->loop);
        loop_wake(&a->loop);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return away ? RECORDER_AWAY : carried;
}

void agent_keeps_open(loom_agent *a)
{
    if (a->tracer != NULL && span_tracer_records(a->tracer)) {
        a->session.has_recorder = true;
        agent_spans_introduce(a); /* which it hands over when it leaves */
        if (url_format(a->keeps.where, sizeof a->keeps.where, session_url(&a->session)) != LOOM_OK) {
            a->keeps.where[0] = '\0';
        }
        a->keeps.carrier = (recorder_carrier){.carry = carry, .where = a->keeps.where};
        recorder_add_carrier(&a->keeps.carrier);
    }
}

void agent_keeps_flush(loom_agent *a)
{
    if (a->session.has_recorder && !a->keeps.flushed) {
        a->keeps.flushed = true;
        recorder_drain();
    }
}

void agent_keeps_close(loom_agent *a)
{
    if (a->session.has_recorder) {
        (void)recorder_remove_carrier(&a->keeps.carrier);
    }
}

void agent_keeps_begun(loom_agent *a, uint64_t said)
{
    a->keeps.wanted = said >= 1;
    a->keeps.inherits = said >= 2;
    recorder_recent kept[RECORDER_RECENT];
    uint64_t untold = 0;
    for (size_t i = a->keeps.wanted && a->session.has_recorder ? recorder_list_kept_now(kept) : 0; i > 0; i--) {
        if (kept[i - 1].found_here) { /* perhaps while there was nobody to be told */
            untold += !put(a, kept[i - 1].trace_id, kept[i - 1].reason);
        }
    }
    recorder_count_untold(untold);
}

void agent_keeps_broken(loom_agent *a)
{
    a->keeps.wanted = a->keeps.inherits = false;
}

void agent_keeps_told(const frame_keep *f)
{
    if (f->last > 0) {
        recorder_keep_limited(f->last);
    } else {
        recorder_keep_here(f->trace_id, f->reason);
    }
}
