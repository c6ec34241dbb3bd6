/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for the recorder's thread: traces that matter, from handlers here and from other processes. Any thread.
 *
 * A trigger costs whoever found it a look at a list. The thread starts with the first one. */
#include "trace/record/internal.h"

#include "base/clock.h"
#include "base/thread.h"
#include "base/utf8.h"

#define NS_PER_S 1000000000u
#define ASKED "asked"

/* A token bucket as the time up to which triggers are paid for. Once it is empty nothing passes until there is enough for several:
 * then they are told and looked for together. Lock held. */
static bool may_trigger(recorder_inbox *in, uint64_t now_ns)
{
    const uint64_t interval = NS_PER_S / TRIGGERS_PER_SECOND, due = in->bucket_ns > now_ns ? in->bucket_ns : now_ns;
    if (now_ns < in->shut_ns) {
        return false;
    }
    if (due - now_ns > interval * TRIGGERS_BURST) {
        in->shut_ns = now_ns + interval * TRIGGERS_TOGETHER;
        return false;
    }
    in->bucket_ns = due + interval;
    return true;
}

/* Lock held. */
static bool thread_is_there(recorder_inbox *in)
{
    if (!in->thread_runs) {
        in->thread_stops = false;
        in->thread_runs = thread_start(&in->thread, NULL, recorder_run, &recorder_of_process) == 0;
    }
    return in->thread_runs;
}

/* As text that every reader takes, also where it was cut: of what is no UTF-8 a "?" is left. */
static void copy_reason(char out[LOOM_KEEP_REASON_MAX + 1], loom_str reason)
{
    size_t len = 0;
    while (reason.len > 0) {
        uint32_t code_point;
        const size_t size = utf8_next(reason, &code_point), used = code_point != UTF8_INVALID ? size : 1;
        if (len + used > LOOM_KEEP_REASON_MAX) {
            break;
        }
        memcpy(out + len, code_point != UTF8_INVALID ? reason.data : "?", used);
        len += used;
        reason = str_tail(reason, size);
    }
    out[len] = '\0';
}

static pending_trace *item_at(recorder_inbox *in, size_t i)
{
    return &in->items[(in->first + i) % PENDING_MAX];
}

/* Lock held. Looks only at the last few: a trace that failed here fails here several times in a row. */
static bool waits_already(recorder_inbox *in, const uint8_t *trace_id, bool late)
{
    for (size_t i = in->count, looked = 0; i-- > 0 && looked < 8; looked++) {
        const pending_trace *p = item_at(in, i);
        if (memcmp(p->trace_id, trace_id, LOOM_TRACE_ID_SIZE) == 0 && (late || !p->late)) {
            return true;
        }
    }
    return false;
}

static size_t ring_count(const recent_ring *ring)
{
    return ring->count < RECORDER_RECENT ? (size_t)ring->count : RECORDER_RECENT;
}

/* The newest is the first; NULL: there are no more. */
static recorder_recent *ring_at(recent_ring *ring, size_t i)
{
    return i < ring_count(ring) ? &ring->items[(ring->count - 1 - i) % RECORDER_RECENT] : NULL;
}

/* Lock held. Whether it is there as one that is kept now. */
static bool is_noted(const recorder_inbox *in, const uint8_t *trace_id, uint64_t now_ns)
{
    for (size_t i = 0; i < ring_count(&in->recent); i++) {
        const recorder_recent *n = &in->recent.items[i];
        if (memcmp(n->trace_id, trace_id, LOOM_TRACE_ID_SIZE) == 0 && now_ns < n->at_ns + KEEP_NS) {
            return true;
        }
    }
    return false;
}

/* Lock held. Once while it is kept, also of one that fails again and again: or it would be the only one that is listed and that those
 * who come are told of. */
static void note(recorder_inbox *in, const uint8_t *trace_id, loom_str reason, uint64_t now_ns, bool found_here, bool limited)
{
    if (!limited && is_noted(in, trace_id, now_ns)) {
        return;
    }
    recent_ring *const ring = limited ? &in->too_many : &in->recent;
    recorder_recent *n = &ring->items[ring->count++ % RECORDER_RECENT];
    memcpy(n->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
    copy_reason(n->reason, reason);
    n->unix_ns = clock_unix_rough_ns();
    n->at_ns = now_ns;
    n->limited = limited;
    n->found_here = found_here;
    in->limited += limited;
}

/* Lock held. false: there is no room. The thread is woken at once for what is told to others, and for as many as it looks for at once;
 * late ones are there when it next looks by itself, as it does while anything is kept. */
static bool add(recorder_inbox *in, const uint8_t *trace_id, loom_str reason, bool found_here, bool late)
{
    if (in->count == PENDING_MAX || !thread_is_there(in)) {
        return false;
    }
    pending_trace *p = item_at(in, in->count++);
    memcpy(p->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
    copy_reason(p->reason, reason);
    p->found_here = found_here;
    p->late = late;
    in->urgent += !late;
    if ((!late && in->urgent == 1) || in->count == TAKE_MAX) {
        pthread_cond_signal(&in->wake);
    }
    return true;
}

size_t inbox_take(recorder_inbox *in, pending_trace *out, size_t max)
{
    pthread_mutex_lock(&in->lock);
    const size_t count = in->count < max ? in->count : max;
    for (size_t i = 0; i < count; i++) {
        out[i] = *item_at(in, i);
        in->urgent -= !out[i].late;
    }
    in->first = (in->first + count) % PENDING_MAX;
    in->count -= count;
    pthread_mutex_unlock(&in->lock);
    return count;
}

/* ---- what comes ---- */

void recorder_trigger(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (r == NULL || recorder_is_forked(r)) {
        return;
    }
    recorder_inbox *in = &r->inbox;
    pthread_mutex_lock(&in->lock);
    if (!waits_already(in, trace_id, false)) {
        const bool again = recorder_may_keep(trace_hash(trace_id)); /* it fails once more: that is told to nobody, and costs nothing */
        const uint64_t now_ns = clock_monotonic_ns();
        in->triggers++;
        const bool taken = (again || may_trigger(in, now_ns)) && add(in, trace_id, reason, true, false);
        note(in, trace_id, reason, now_ns, true, !taken);
    }
    pthread_mutex_unlock(&in->lock);
}

void recorder_trigger_kind(recorder *r, trace_kind *kind, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    recorder_inbox *in = &r->inbox;
    if (kind == NULL || recorder_may_keep(trace_hash(trace_id))) {
        return;
    }
    pthread_mutex_lock(&in->lock);
    const uint64_t now_ns = clock_monotonic_ns();
    if (!waits_already(in, trace_id, false) && trace_kind_take(kind, now_ns)) {
        in->triggers++;
        const loom_str reason = str_of(kind->reason);
        note(in, trace_id, reason, now_ns, true, !add(in, trace_id, reason, true, false));
    }
    pthread_mutex_unlock(&in->lock);
}

void recorder_keep(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (r == NULL || recorder_is_forked(r)) {
        return;
    }
    recorder_inbox *in = &r->inbox;
    pthread_mutex_lock(&in->lock);
    in->heard++;
    if (!waits_already(in, trace_id, false)) {
        reason = reason.len > 0 ? reason : str_of(ASKED); /* no span says that it was kept without saying why */
        note(in, trace_id, reason, clock_monotonic_ns(), false, !add(in, trace_id, reason, false, false));
    }
    pthread_mutex_unlock(&in->lock);
}

void recorder_keep_here(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (atomic_load(&recorder_of_process.on)) {
        recorder_keep(&recorder_of_process, trace_id, reason);
    }
}

void recorder_note_limited(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    recorder_inbox *in = &recorder_of_process.inbox;
    if (recorder_is_running()) {
        pthread_mutex_lock(&in->lock);
        note(in, trace_id, reason, clock_monotonic_ns(), true, true);
        pthread_mutex_unlock(&in->lock);
    }
}

void recorder_keep_limited(uint64_t most)
{
    recorder *r = &recorder_of_process;
    recorder_inbox *in = &r->inbox;
    if (!recorder_is_running()) {
        return;
    }
    pthread_mutex_lock(&in->lock);
    recorder_recent *n;
    for (size_t i = 0; most > 0 && (n = ring_at(&in->too_many, i)) != NULL; i++) {
        if (n->limited && n->found_here && add(in, n->trace_id, str_of(n->reason), true, false)) {
            n->limited = false; /* it is listed among the others from now on */
            note(in, n->trace_id, str_of(n->reason), clock_monotonic_ns(), true, false);
            most--;
        }
    }
    pthread_mutex_unlock(&in->lock);
}

void recorder_late(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    recorder_inbox *in = &r->inbox;
    pthread_mutex_lock(&in->lock);
    if (!waits_already(in, trace_id, true) && !add(in, trace_id, (loom_str){"", 0}, false, true)) {
        in->late_lost_ns = clock_monotonic_ns();
    }
    pthread_mutex_unlock(&in->lock);
}

void loom_trace_keep(const loom_trace_context *ctx, const char *reason)
{
    recorder *r = &recorder_of_process;
    if (ctx != NULL && loom_trace_context_valid(ctx) && (ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 &&
        atomic_load(&r->on)) {
        recorder_trigger(r, ctx->trace_id, str_of(reason != NULL && reason[0] != '\0' ? reason : ASKED));
    }
}

/* ---- what came ---- */

size_t recorder_list_recent(recorder_recent out[RECORDER_RECENT])
{
    recorder_inbox *in = &recorder_of_process.inbox;
    size_t count = 0, kept_at = 0, many_at = 0;
    pthread_mutex_lock(&in->lock);
    while (count < RECORDER_RECENT) {
        const recorder_recent *kept = ring_at(&in->recent, kept_at), *many = ring_at(&in->too_many, many_at);
        if (many != NULL && !many->limited) {
            many_at++;
        } else if (many != NULL && (kept == NULL || many->at_ns > kept->at_ns)) {
            out[count++] = *many;
            many_at++;
        } else if (kept != NULL) {
            out[count++] = *kept;
            kept_at++;
        } else {
            break;
        }
    }
    pthread_mutex_unlock(&in->lock);
    return count;
}

size_t recorder_list_kept_now(recorder_recent out[RECORDER_RECENT])
{
    recorder_inbox *in = &recorder_of_process.inbox;
    const uint64_t now_ns = clock_monotonic_ns();
    const recorder_recent *n;
    size_t count = 0;
    pthread_mutex_lock(&in->lock);
    while ((n = ring_at(&in->recent, count)) != NULL && now_ns < n->at_ns + KEEP_NS) {
        out[count++] = *n;
    }
    pthread_mutex_unlock(&in->lock);
    return count;
}
