/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder in the child of a fork(): at once what costs nothing, since most run another program instead, and the rest when the child
 * wants a recorder of its own. */
#include "trace/record/internal.h"

#include <stdlib.h>

void recorder_forget_in_child(void)
{
    recorder *r = &recorder_of_process;
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER; /* those of before may be held by threads that are not here */
    memcpy(&r->lock, &unlocked, sizeof unlocked);
    memcpy(&r->keeping, &unlocked, sizeof unlocked);
    memcpy(&r->carriers_lock, &unlocked, sizeof unlocked);
    memcpy(&r->inbox.lock, &unlocked, sizeof unlocked);
    atomic_store(&r->on, false);
    atomic_store(&recorder_kept.any, false);
    atomic_store(&recorder_kept.kinds, 0);
    r->tracer_count = 0;
    r->carriers = NULL;
    r->counts = (loom_recorder_counts){0};
    r->inbox.triggers = r->inbox.limited = r->inbox.heard = r->inbox.untold = r->inbox.recent.count = r->inbox.too_many.count = 0;
    r->inbox.thread_runs = false;
}

void recorder_leave_to_parent(recorder *r)
{
    for (size_t i = 0; i < r->chunk_count; i++) {
        if (!r->chunks[i]->in_hand) {
            free(r->chunks[i]);
        }
    }
    r->chunk_count = 0;
    r->given_back = (linked_list){0};
    r->given_back_count = 0;
    r->reading = NULL;
    for (unsigned i = 0; i < TRACERS_MAX; i++) { /* each keeps its generation, so that the parent's numbers fit none */
        r->tracers[i].scope = NULL;
        r->tracers[i].processor = NULL;
    }
    ghosts_fini(&r->ghosts);
    free(r->kept);
    r->kept = NULL;
    r->kept_count = 0;
    for (unsigned i = 0; i < KEPT_WORDS; i++) {
        atomic_store_explicit(&recorder_kept.words[i], 0, memory_order_relaxed);
    }
    r->kinds.count = 0;
    r->inbox.first = r->inbox.count = r->inbox.urgent = 0;
    r->inbox.bucket_ns = r->inbox.shut_ns = r->inbox.late_lost_ns = 0;
}
