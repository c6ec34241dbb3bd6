/* SPDX-License-Identifier: Apache-2.0 */
/* Which traces are kept, and the thread that exports them and tells other processes.
 *
 * The thread does what triggers ask for a moment later, so that what is just ending is there, and for many at once. A trace stays kept
 * for ten seconds: whatever is recorded of it meanwhile finds its bits in recorder_kept, and waits in the inbox as late. It is looked
 * for once more after a tenth of a second, because a record that was being written when the bit was set may not have seen it. */
#include "trace/record/internal.h"

#include "base/clock.h"
#include "base/thread.h"

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define GATHER_NS (2u * (uint64_t)NS_PER_MS) /* between a trigger and what is done about it */
#define LATE_NS (25u * (uint64_t)NS_PER_MS)  /* the same for what comes of a kept trace */
#define LOOK_AGAIN_NS (100u * (uint64_t)NS_PER_MS)
#define NICENESS 5     /* as the exporter thread's */
#define PROBES_MAX 16u /* places of kept_trace looked at */
#define CARRY_MAX 64u  /* triggers told at once */

/* Kept traces that are to be looked for together. */
typedef struct wanted_list {
    kept_trace *items[TAKE_MAX];
    size_t count;
} wanted_list;

static void look_for(recorder *r, wanted_list *list)
{
    recorder_export_traces(r, list->items, list->count);
    list->count = 0;
}

static void want(recorder *r, wanted_list *list, kept_trace *k)
{
    list->items[list->count++] = k;
    if (list->count == TAKE_MAX) {
        look_for(r, list);
    }
}

/* ---- kept traces ---- */

static void mark(const uint8_t *trace_id)
{
    const uint32_t hash = trace_hash(trace_id);
    atomic_fetch_or(&recorder_kept.words[hash % KEPT_WORDS], kept_bits(hash));
    atomic_store(&recorder_kept.any, true);
}

/* Only of those that stay. What is kept has its bits all the time. */
static void mark_anew(const recorder *r)
{
    static uint64_t words[KEPT_WORDS]; /* guarded by keeping */
    memset(words, 0, sizeof words);
    for (size_t i = 0; i < KEPT_MAX && r->kept_count > 0; i++) {
        if (r->kept[i].until_ns != 0) {
            const uint32_t hash = trace_hash(r->kept[i].trace_id);
            words[hash % KEPT_WORDS] |= kept_bits(hash);
        }
    }
    for (size_t i = 0; i < KEPT_WORDS; i++) {
        atomic_store_explicit(&recorder_kept.words[i], words[i], memory_order_relaxed);
    }
    atomic_store(&recorder_kept.any, r->kept_count > 0);
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

/* The end of traces' time. */
static void forget(recorder *r, uint64_t now_ns)
{
    size_t forgotten = 0, too_late = 0;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        kept_trace *k = &r->kept[i];
        if (k->until_ns != 0 && now_ns >= k->until_ns) {
            k->until_ns = 0;
            forgotten++;
            too_late += !k->found;
        }
    }
    if (forgotten > 0) {
        r->kept_count -= forgotten;
        mark_anew(r);
        pthread_mutex_lock(&r->lock);
        r->counts.too_late += too_late;
        pthread_mutex_unlock(&r->lock);
    }
}

/* Those whose time has come: to be looked for again, or to be forgotten, after a last look if anything late has been missed. */
static void sweep(recorder *r, uint64_t now_ns)
{
    static wanted_list wanted; /* guarded by keeping */
    wanted.count = 0;          /* as in work() */
    pthread_mutex_lock(&r->inbox.lock);
    const bool missed = r->inbox.late_lost_ns != 0 && now_ns < r->inbox.late_lost_ns + KEEP_NS;
    pthread_mutex_unlock(&r->inbox.lock);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        kept_trace *k = &r->kept[i];
        const bool ends = k->until_ns != 0 && now_ns >= k->until_ns;
        const bool again = k->until_ns != 0 && !k->looked_again && now_ns + KEEP_NS >= k->until_ns + LOOK_AGAIN_NS;
        k->looked_again |= again;
        if (again || (ends && missed)) {
            want(r, &wanted, k);
        }
    }
    look_for(r, &wanted);
    forget(r, now_ns);
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
        k->seen = 0;
        k->looked_again = k->found = k->cut = false;
        k->found_here = p->found_here;
        r->kept_count++;
        mark(k->trace_id);
    }
    if (k == NULL && !p->late) {
        pthread_mutex_lock(&r->inbox.lock);
        r->inbox.limited++;
        pthread_mutex_unlock(&r->inbox.lock);
    }
    return k != NULL && k->until_ns != 0 ? k : NULL;
}

/* ---- other processes ---- */

typedef struct told_list {
    recorder_trigger_item items[CARRY_MAX];
    size_t count;
} told_list;

enum { PLACES_MAX = 16 }; /* buses that one process has agents on */

typedef struct told_place {
    const char *where;
    size_t told; /* of the list, from its first on */
} told_place;

/* The place of this name, or a new one; NULL: there are too many. */
static told_place *place_of(told_place places[PLACES_MAX], size_t *count, const char *where)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(where, places[i].where) == 0) {
            return &places[i];
        }
    }
    if (*count == PLACES_MAX) {
        return NULL;
    }
    places[*count] = (told_place){where, RECORDER_AWAY};
    return &places[(*count)++];
}

static void tell_place(told_place *place, recorder_carrier *c, const told_list *list)
{
    const size_t before = place->told == RECORDER_AWAY ? 0 : place->told;
    if (before < list->count) {
        const size_t more = c->carry(c, list->items + before, list->count - before);
        place->told = more == RECORDER_AWAY ? place->told : before + more;
    }
}

void recorder_count_untold(uint64_t count)
{
    recorder_inbox *in = &recorder_of_process.inbox;
    if (count > 0) {
        pthread_mutex_lock(&in->lock);
        in->untold += count;
        pthread_mutex_unlock(&in->lock);
    }
}

static void tell(recorder *r, told_list *list)
{
    told_place places[PLACES_MAX];
    size_t count = 0;
    uint64_t untold = 0;
    if (list->count > 0) {
        pthread_mutex_lock(&r->carriers_lock);
        for (recorder_carrier *c = r->carriers; c != NULL; c = c->next) {
            told_place *place = place_of(places, &count, c->where);
            if (place != NULL) {
                tell_place(place, c, list);
            } else {
                untold += list->count;
            }
        }
        pthread_mutex_unlock(&r->carriers_lock);
    }
    for (size_t i = 0; i < count; i++) {
        untold += places[i].told == RECORDER_AWAY ? 0 : list->count - places[i].told;
    }
    recorder_count_untold(untold);
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

bool recorder_remove_carrier(recorder_carrier *carrier)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->carriers_lock);
    recorder_carrier **at = &r->carriers;
    while (*at != NULL && *at != carrier) {
        at = &(*at)->next;
    }
    const bool was_there = *at != NULL;
    if (was_there) {
        *at = carrier->next;
    }
    const bool last = was_there && r->carriers == NULL;
    pthread_mutex_unlock(&r->carriers_lock);
    return last;
}

/* ---- the thread ---- */

/* Takes what waits, up to TAKE_MAX of it. */
static void work(recorder *r)
{
    static pending_trace taken[TAKE_MAX]; /* guarded by keeping */
    static wanted_list wanted;            /* the same */
    static told_list told;                /* the same */
    pthread_mutex_lock(&r->keeping);
    wanted.count = told.count = 0; /* of a parent that was at it when it forked, something may be left */
    const size_t count = inbox_take(&r->inbox, taken, TAKE_MAX);
    const uint64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < count; i++) { /* others first: what they hold is overwritten meanwhile */
        bool is_new;
        kept_trace *k = enter(r, &taken[i], now_ns, &is_new);
        if (k != NULL && (is_new || taken[i].late)) {
            wanted.items[wanted.count++] = k;
        }
        if (is_new && taken[i].found_here) {
            recorder_trigger_item *item = &told.items[told.count++];
            memcpy(item->trace_id, taken[i].trace_id, sizeof item->trace_id);
            memcpy(item->reason, taken[i].reason, sizeof item->reason);
        }
        if (told.count == CARRY_MAX || i + 1 == count) {
            tell(r, &told);
        }
    }
    look_for(r, &wanted);
    if (now_ns >= r->sweep_ns && r->kept_count > 0) {
        sweep(r, now_ns);
        r->sweep_ns = now_ns + LOOK_AGAIN_NS / 2;
    }
    pthread_mutex_unlock(&r->keeping);
}

/* Lock of the inbox held. Sleeps until there is something to do. */
static void wait_for_work(recorder *r, recorder_inbox *in)
{
    if (in->urgent == 0 && in->count < TAKE_MAX) {
        if (in->count == 0 && r->kept_count == 0) { /* the thread's own to read */
            pthread_cond_wait(&in->wake, &in->lock);
        } else {
            (void)cond_wait_until(&in->wake, &in->lock, clock_monotonic_ns() + LATE_NS);
        }
    }
    const uint64_t until = clock_monotonic_ns() + GATHER_NS;
    while (in->urgent > 0 && in->count < TAKE_MAX && !in->thread_stops && clock_monotonic_ns() < until) {
        (void)cond_wait_until(&in->wake, &in->lock, until);
    }
}

void *recorder_run(void *arg)
{
    recorder *r = arg;
    recorder_inbox *in = &r->inbox;
    (void)pthread_setname_np(pthread_self(), "loom-recorder");
    thread_step_back(NICENESS);
    pthread_mutex_lock(&in->lock);
    while (!in->thread_stops) {
        wait_for_work(r, in);
        thread_hurry(in->count >= TAKE_MAX); /* more comes than is looked for: what waits is overwritten meanwhile */
        pthread_mutex_unlock(&in->lock);
        work(r);
        pthread_mutex_lock(&in->lock);
    }
    pthread_mutex_unlock(&in->lock);
    return NULL;
}

void recorder_stop_thread(recorder *r)
{
    recorder_inbox *in = &r->inbox;
    pthread_mutex_lock(&in->lock);
    const bool runs = in->thread_runs;
    const pthread_t thread = in->thread;
    const bool own = runs && pthread_equal(thread, pthread_self());
    in->thread_stops = true;
    in->thread_runs = runs && !own;
    pthread_cond_broadcast(&in->wake);
    pthread_mutex_unlock(&in->lock);
    if (own) {
        (void)pthread_detach(thread); /* it gave back the last use of a provider, and leaves when it has done so */
    } else if (runs) {
        pthread_mutex_unlock(&r->lock);
        (void)pthread_join(thread, NULL);
        pthread_mutex_lock(&in->lock);
        in->thread_runs = false;
        pthread_mutex_unlock(&in->lock);
        pthread_mutex_lock(&r->lock);
    }
}

static bool inbox_is_empty(recorder_inbox *in)
{
    pthread_mutex_lock(&in->lock);
    const bool empty = in->count == 0;
    pthread_mutex_unlock(&in->lock);
    return empty;
}

void recorder_drain(void)
{
    recorder *r = &recorder_of_process;
    if (!atomic_load(&r->on) || recorder_is_forked(r)) {
        return;
    }
    size_t rounds = 0;
    do {
        work(r); /* when nothing is pending, it waits for what the thread is doing */
    } while (!inbox_is_empty(&r->inbox) && ++rounds < PENDING_MAX / TAKE_MAX);
}
