/* SPDX-License-Identifier: Apache-2.0 */
/* Which traces are kept, and the thread that exports them and tells other processes.
 *
 * A trigger costs whoever found it a look at a list. The recorder's thread, which starts with the first one, does the rest, a moment
 * later, so that what is just ending is there. A trace stays kept for ten seconds: whatever is recorded of it meanwhile finds its
 * bits in recorder_kept, and tells the thread. It is looked for once more after a tenth of a second, because a record that was
 * being written when the bit was set may not have seen it. */
#include "trace/record/internal.h"

#include "base/thread.h"
#include "trace/export/processor.h"

#include <stdio.h>

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define GATHER_NS (2u * (uint64_t)NS_PER_MS)      /* between a trigger and what is done about it */
#define LOOK_AGAIN_NS (100u * (uint64_t)NS_PER_MS)
#define KEEP_NS (KEEP_SECONDS * (uint64_t)NS_PER_S)
#define PROBES_MAX 16u /* places of kept_trace looked at */
#define CARRY_MAX 64u  /* triggers told at once */

/* ---- what waits for the thread ---- */

/* A token bucket as the time up to which triggers are paid for. Lock held. */
static bool may_trigger(recorder *r, uint64_t now_ns)
{
    const uint64_t interval = NS_PER_S / TRIGGERS_PER_SECOND, due = r->bucket_ns > now_ns ? r->bucket_ns : now_ns;
    if (due - now_ns > interval * TRIGGERS_BURST) {
        return false;
    }
    r->bucket_ns = due + interval;
    return true;
}

static void *run(void *recorder);

/* Lock held. */
static bool thread_is_there(recorder *r)
{
    if (!r->thread_runs) {
        r->thread_stops = false;
        r->thread_runs = thread_start(&r->thread, NULL, run, r) == 0;
    }
    return r->thread_runs;
}

static void copy_reason(char out[LOOM_KEEP_REASON_MAX + 1], loom_str reason)
{
    const size_t len = reason.len < LOOM_KEEP_REASON_MAX ? reason.len : LOOM_KEEP_REASON_MAX;
    memcpy(out, reason.data, len);
    out[len] = '\0';
}

/* Lock held. Looks only at the last few: a trace that failed here fails here several times in a row. */
static bool waits_already(const recorder *r, const uint8_t *trace_id, bool late)
{
    for (size_t i = r->pending_count, looked = 0; i-- > 0 && looked < 8; looked++) {
        if (memcmp(r->pending[i].trace_id, trace_id, LOOM_TRACE_ID_SIZE) == 0 && (late || !r->pending[i].late)) {
            return true;
        }
    }
    return false;
}

/* Lock held. */
static void note(recorder *r, const uint8_t *trace_id, loom_str reason, bool limited)
{
    recorder_recent *n = &r->recent[r->recent_count++ % RECORDER_RECENT];
    memcpy(n->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
    copy_reason(n->reason, reason);
    n->unix_ns = clock_unix_ns();
    n->at_ns = clock_monotonic_ns();
    n->limited = limited;
}

size_t recorder_list_recent(recorder_recent out[RECORDER_RECENT])
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->lock);
    const size_t count = r->recent_count < RECORDER_RECENT ? (size_t)r->recent_count : RECORDER_RECENT;
    for (size_t i = 0; i < count; i++) {
        out[i] = r->recent[(r->recent_count - 1 - i) % RECORDER_RECENT];
    }
    pthread_mutex_unlock(&r->lock);
    return count;
}

size_t recorder_list_kept_now(recorder_recent out[RECORDER_RECENT])
{
    const uint64_t now_ns = clock_monotonic_ns();
    const size_t count = recorder_list_recent(out);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!out[i].limited && now_ns < out[i].at_ns + KEEP_NS) {
            out[kept++] = out[i];
        }
    }
    return kept;
}

static void add_pending(recorder *r, const uint8_t *trace_id, loom_str reason, bool found_here, bool late)
{
    pending_trace *p = &r->pending[r->pending_count++];
    memcpy(p->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
    copy_reason(p->reason, reason);
    p->found_here = found_here;
    p->late = late;
    if (r->pending_count == 1) {
        pthread_cond_signal(&r->wake);
    }
}

void recorder_trigger(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (r == NULL || recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    if (!waits_already(r, trace_id, false)) {
        const bool again = recorder_may_keep(trace_hash(trace_id)); /* it fails once more: that is told to nobody, and costs nothing */
        r->counts.triggers++;
        if (r->pending_count < PENDING_MAX && (again || may_trigger(r, clock_monotonic_ns())) && thread_is_there(r)) {
            add_pending(r, trace_id, reason, true, false);
            note(r, trace_id, reason, false);
        } else {
            r->counts.triggers_limited++;
            note(r, trace_id, reason, true);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

void recorder_keep(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (r == NULL || recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->counts.triggers_heard++;
    if (!waits_already(r, trace_id, false)) {
        const bool room = r->pending_count < PENDING_MAX && thread_is_there(r);
        if (room) {
            add_pending(r, trace_id, reason, false, false);
        }
        r->counts.triggers_limited += !room;
        note(r, trace_id, reason, !room);
    }
    pthread_mutex_unlock(&r->lock);
}

void recorder_late(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    pthread_mutex_lock(&r->lock);
    if (!waits_already(r, trace_id, true) && r->pending_count < PENDING_MAX && thread_is_there(r)) {
        add_pending(r, trace_id, (loom_str){"", 0}, false, true);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- kept traces ---- */

static void mark(const uint8_t *trace_id)
{
    const uint32_t hash = trace_hash(trace_id);
    atomic_fetch_or(&recorder_kept.words[hash % KEPT_WORDS], kept_bits(hash));
    atomic_store(&recorder_kept.any, true);
}

/* The trace's place, or one for it, or NULL: of those that it may have, all are in use. */
static kept_trace *find_kept(recorder *r, const uint8_t *trace_id)
{
    const uint32_t hash = trace_hash(trace_id);
    kept_trace *room = NULL;
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        kept_trace *k = &r->kept[(hash + i) % KEPT_MAX];
        if (k->until_ns == 0) {
            room = room != NULL ? room : k;
        } else if (memcmp(k->trace_id, trace_id, LOOM_TRACE_ID_SIZE) == 0) {
            return k;
        }
    }
    return room;
}

/* The end of a trace's time. */
static void forget(recorder *r, kept_trace *k)
{
    if (!k->found) {
        pthread_mutex_lock(&r->lock);
        r->counts.too_late++;
        pthread_mutex_unlock(&r->lock);
    }
    k->until_ns = 0;
    r->kept_count--;
}

/* Those whose time has come: to be looked for again, or to be forgotten. The bits are set anew for those that stay. */
static void sweep(recorder *r, uint64_t now_ns)
{
    bool forgotten = false;
    for (size_t i = 0; i < KEPT_MAX && r->kept_count > 0; i++) {
        kept_trace *k = &r->kept[i];
        if (k->until_ns == 0) {
            continue;
        }
        if (now_ns >= k->until_ns) {
            recorder_export_trace(r, k);
            forget(r, k);
            forgotten = true;
        } else if (!k->looked_again && now_ns + KEEP_NS >= k->until_ns + LOOK_AGAIN_NS) {
            k->looked_again = true;
            recorder_export_trace(r, k);
        }
    }
    if (forgotten) {
        for (size_t i = 0; i < KEPT_WORDS; i++) {
            atomic_store(&recorder_kept.words[i], 0);
        }
        atomic_store(&recorder_kept.any, false);
        for (size_t i = 0; i < KEPT_MAX && r->kept_count > 0; i++) {
            if (r->kept[i].until_ns != 0) {
                mark(r->kept[i].trace_id);
            }
        }
    }
}

/* The place of a trace that is kept from now on or has been; *is_new: from now on. NULL: too many are at once, or a record of another
 * trace had the bits of one. */
static kept_trace *enter(recorder *r, const pending_trace *p, uint64_t now_ns, bool *is_new)
{
    kept_trace *k = find_kept(r, p->trace_id);
    *is_new = k != NULL && k->until_ns == 0 && !p->late;
    if (*is_new) {
        memcpy(k->trace_id, p->trace_id, sizeof k->trace_id);
        memcpy(k->reason, p->reason, sizeof k->reason);
        k->until_ns = now_ns + KEEP_NS;
        k->looked_again = k->found = k->cut = false;
        r->kept_count++;
        mark(k->trace_id);
    }
    if (k == NULL && !p->late) {
        pthread_mutex_lock(&r->lock);
        r->counts.triggers_limited++;
        pthread_mutex_unlock(&r->lock);
    }
    return k != NULL && k->until_ns != 0 ? k : NULL;
}

/* ---- other processes ---- */

typedef struct told_list {
    recorder_trigger_item items[CARRY_MAX];
    size_t count;
} told_list;

enum { PLACES_MAX = 16 }; /* buses that one process has agents on */

static bool is_among(const char *where, const char *const told[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(where, told[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void tell(recorder *r, told_list *list)
{
    if (list->count > 0) {
        pthread_mutex_lock(&r->carriers_lock);
        const char *told[PLACES_MAX];
        size_t places = 0;
        for (recorder_carrier *c = r->carriers; c != NULL && places < PLACES_MAX; c = c->next) {
            if (!is_among(c->where, told, places) && c->carry(c, list->items, list->count)) {
                told[places++] = c->where;
            }
        }
        pthread_mutex_unlock(&r->carriers_lock);
    }
    list->count = 0;
}

void recorder_add_carrier(recorder_carrier *carrier)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->carriers_lock);
    carrier->next = r->carriers;
    r->carriers = carrier;
    pthread_mutex_unlock(&r->carriers_lock);
}

void recorder_remove_carrier(recorder_carrier *carrier)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->carriers_lock);
    recorder_carrier **at = &r->carriers;
    while (*at != NULL && *at != carrier) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = carrier->next;
    }
    pthread_mutex_unlock(&r->carriers_lock);
}

void recorder_keep_here(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason)
{
    if (atomic_load(&recorder_of_process.on)) {
        recorder_keep(&recorder_of_process, trace_id, reason);
    }
}

/* ---- the thread ---- */

enum { TAKE_MAX = 256 }; /* traces taken off the list at once */

/* Lock held; given up meanwhile. */
static void work(recorder *r)
{
    static pending_trace taken[TAKE_MAX]; /* guarded by keeping */
    static kept_trace *wanted[TAKE_MAX];  /* the same; NULL: there is nothing to export */
    static told_list told;                /* the same */
    pthread_mutex_unlock(&r->lock);
    pthread_mutex_lock(&r->keeping);
    pthread_mutex_lock(&r->lock);
    const size_t count = r->pending_count < TAKE_MAX ? r->pending_count : TAKE_MAX;
    memcpy(taken, r->pending, count * sizeof *taken);
    memmove(r->pending, r->pending + count, (r->pending_count - count) * sizeof *taken);
    r->pending_count -= count;
    pthread_mutex_unlock(&r->lock);
    const uint64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < count; i++) { /* others first: what they hold is overwritten meanwhile */
        bool is_new;
        kept_trace *k = enter(r, &taken[i], now_ns, &is_new);
        wanted[i] = is_new || taken[i].late ? k : NULL;
        if (is_new && taken[i].found_here) {
            recorder_trigger_item *item = &told.items[told.count++];
            memcpy(item->trace_id, taken[i].trace_id, sizeof item->trace_id);
            memcpy(item->reason, taken[i].reason, sizeof item->reason);
        }
        if (told.count == CARRY_MAX || i + 1 == count) {
            tell(r, &told);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (wanted[i] != NULL) {
            recorder_export_trace(r, wanted[i]);
        }
    }
    if (now_ns >= r->sweep_ns) {
        sweep(r, now_ns);
        r->sweep_ns = now_ns + LOOK_AGAIN_NS / 2;
    }
    pthread_mutex_unlock(&r->keeping);
    pthread_mutex_lock(&r->lock);
}

static void wait_until(recorder *r, uint64_t ns)
{
    const struct timespec at = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    (void)pthread_cond_timedwait(&r->wake, &r->lock, &at);
}

static void *run(void *arg)
{
    recorder *r = arg;
    (void)pthread_setname_np(pthread_self(), "loom-recorder");
    pthread_mutex_lock(&r->lock);
    while (!r->thread_stops) {
        if (r->pending_count == 0) {
            if (r->kept_count == 0) { /* the thread's own to read */
                pthread_cond_wait(&r->wake, &r->lock);
            } else {
                wait_until(r, clock_monotonic_ns() + LOOK_AGAIN_NS / 2);
            }
        }
        if (!r->thread_stops && r->pending_count > 0) {
            const uint64_t until = clock_monotonic_ns() + GATHER_NS;
            while (!r->thread_stops && r->pending_count < TAKE_MAX && clock_monotonic_ns() < until) {
                wait_until(r, until);
            }
        }
        work(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

void recorder_stop_thread(recorder *r)
{
    if (!r->thread_runs) {
        return;
    }
    const pthread_t thread = r->thread;
    r->thread_stops = true;
    pthread_cond_broadcast(&r->wake);
    if (pthread_equal(thread, pthread_self())) {
        (void)pthread_detach(thread); /* it gave back the last use of a provider, and leaves when it has done so */
        r->thread_runs = false;
        return;
    }
    pthread_mutex_unlock(&r->lock);
    (void)pthread_join(thread, NULL);
    pthread_mutex_lock(&r->lock);
    r->thread_runs = false;
}

void recorder_drain(void)
{
    recorder *r = &recorder_of_process;
    if (!atomic_load(&r->on) || recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    size_t rounds = 0;
    do {
        work(r); /* when nothing is pending, it waits for what the thread is doing */
    } while (r->pending_count > 0 && ++rounds < PENDING_MAX / TAKE_MAX);
    pthread_mutex_unlock(&r->lock);
}

void loom_trace_keep(const loom_trace_context *ctx, const char *reason)
{
    recorder *r = &recorder_of_process;
    if (ctx != NULL && loom_trace_context_valid(ctx) && (ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 &&
        atomic_load(&r->on)) {
        recorder_trigger(r, ctx->trace_id, str_of(reason != NULL && reason[0] != '\0' ? reason : "asked"));
    }
}
