/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's state. recorder.c has its life and its chunks, fork.c its new life in a child, inbox.c what waits for its thread, keep.c
 * what that keeps, find.c a trace's records.
 *
 * Locks, in this order: keeping, carriers_lock, lock, inbox.lock. The last two are held for some hundred nanoseconds by the recorder's
 * thread, which may be put aside for others at any moment: threads that handle messages take them. */
#ifndef LOOM_TRACE_RECORD_INTERNAL_H
#define LOOM_TRACE_RECORD_INTERNAL_H

#include "base/fork_mark.h"
#include "trace/otlp/protobuf_write.h"
#include "trace/pipeline/stage.h"
#include "trace/record/ghosts.h"
#include "trace/record/kinds.h"
#include "trace/record/rules.h"
#include "trace/record/write.h"

#include <pthread.h>

enum {
    TRACERS_MAX = 1024,
    PENDING_MAX = 4096, /* traces that wait for the recorder's thread */
    TAKE_MAX = 256,     /* of them, looked for at once */
    KEPT_MAX = 16384,   /* traces kept just now */
};

#define RECORDER_BYTES_UNSET 0u /* what is said nowhere: off */
#define KEEP_SECONDS 10u
#define KEEP_NS (KEEP_SECONDS * UINT64_C(1000000000))
#define TRIGGERS_PER_SECOND 1000u
#define TRIGGERS_BURST 2000u
#define TRIGGERS_TOGETHER 64u /* in a storm: one by one each would wake the thread of every recorder on the bus */

typedef struct known_tracer {
    const span_scope *scope; /* NULL: the place is free */
    loom_span_processor *processor;
    uint32_t generation;
} known_tracer;

typedef struct pending_trace {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char reason[LOOM_KEEP_REASON_MAX + 1];
    bool found_here; /* others are to be told */
    bool late;       /* a record more of one that may be kept */
} pending_trace;

/* A trace whose spans are exported as they come. */
typedef struct kept_trace {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char reason[LOOM_KEEP_REASON_MAX + 1];
    uint64_t until_ns; /* monotonic; 0: none */
    uint64_t seen;     /* chunks given back up to this number have been looked through */
    bool looked_again; /* for what was being recorded when it was first looked for */
    bool found;        /* anything of it */
    bool cut;          /* a part of it has been overwritten */
    bool found_here;   /* by this process, and not asked for by another */
} kept_trace;

typedef struct recent_ring {
    recorder_recent items[RECORDER_RECENT];
    uint64_t count; /* ever */
} recent_ring;

/* What waits for the recorder's thread. */
typedef struct recorder_inbox {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* guarded by lock */
    pending_trace items[PENDING_MAX]; /* a ring */
    size_t first, count;
    size_t urgent;               /* of them, not late ones: those are gathered for longer */
    uint64_t late_lost_ns;       /* when there was last no room for a late one, monotonic */
    recent_ring recent, too_many; /* traces that were kept of late, and those that were not: in a storm they would be all there is */
    uint64_t bucket_ns;          /* the time that triggers are paid up to (GCRA), */
    uint64_t shut_ns;            /* and until when none more is taken */
    uint64_t triggers, limited, heard, untold;
    pthread_t thread;
    bool thread_runs, thread_stops;
} recorder_inbox;

struct recorder {
    pthread_mutex_t lock;
    atomic_bool on;              /* has been attached to */
    unsigned mark;               /* fork_mark.h: whose it is; in a forked child, until there is a tracer, what is below is the parent's */
    /* guarded by lock */
    bool configured;             /* by the program: the environment is not asked */
    size_t bytes;
    slow_rules slow;
    trace_kinds kinds;
    uint32_t kinds_changes;      /* of them, ever */
    record_chunk **chunks;       /* all there are */
    size_t chunk_count, chunk_max; /* there may be more than that in hand, of an earlier and larger ring */
    size_t chunk_room;           /* places of chunks */
    linked_list given_back;      /* chunks: full, or of a thread that ended; the oldest first */
    known_tracer tracers[TRACERS_MAX];
    size_t tracer_count;
    loom_recorder_counts counts;
    ghosts ghosts;               /* of what has been overwritten */
    uint64_t learning; /* records seen of names that are known, for every eighth */
    uint64_t given_back_count;   /* ever */
    uint64_t whole_since_ns;     /* nothing that was recorded after that has been overwritten, monotonic */
    const record_chunk *reading; /* stays as it is, but for what its writer adds; NULL: none */
    recorder_inbox inbox;        /* has a lock of its own */
    /* the thread's, or of whoever drains in its place, with keeping */
    pthread_mutex_t keeping;
    kept_trace *kept;            /* KEPT_MAX, by hash */
    atomic_size_t kept_count;
    uint64_t sweep_ns;           /* when kept ones are looked through next */
    pthread_mutex_t carriers_lock;
    recorder_carrier *carriers;
};

/* There is one. */
extern recorder recorder_of_process;

static inline bool recorder_is_forked(const recorder *r)
{
    return fork_mark_is_foreign(r->mark);
}

/* find.c: exports what is there of kept traces and has not been, with why, and whether a part is gone. Looks only where they have not
 * been looked for. keeping held. */
void recorder_export_traces(recorder *r, kept_trace *const traces[], size_t count);
/* find.c: a record's tracer, with one more use of its resource; false: its provider is gone. */
bool recorder_use_tracer(recorder *r, uint32_t number, known_tracer *out);
/* find.c: the fields of its Span, without a tag and a length around them. */
void recorder_write_span(const span_scope *scope, const found_record *what, pb_buf *out);
/* recorder.c, lock held: NULL for a tracer that is gone. */
const known_tracer *recorder_tracer(const recorder *r, uint32_t number);
/* fork.c: lock held. Chunks that were in hand are lost: nobody knows which of them the one thread that came along has forgotten. */
void recorder_leave_to_parent(recorder *r);
/* inbox.c. Takes at most max of what waits off the list. */
size_t inbox_take(recorder_inbox *in, pending_trace *out, size_t max);
/* keep.c. */
void *recorder_run(void *recorder);
/* keep.c: lock held; given up meanwhile. */
void recorder_stop_thread(recorder *r);
/* inbox.c: lock held. A trace of this kind is here. One that is kept already costs its kind nothing, and none counts among those
 * that may matter in a second. */
void recorder_trigger_kind(recorder *r, trace_kind *kind, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* keep_kinds.c: lock held. Forgets the kinds whose time is over; all of them. */
void recorder_expire_kinds(recorder *r);
void recorder_forget_kinds(recorder *r);

#endif
