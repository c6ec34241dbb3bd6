/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder of this process: finished spans of traces that nobody sampled, in a ring of bounded memory, the oldest
 * overwritten first. When something shows that a trace matters, here or in another process, its spans are exported as if it had been
 * sampled, and for a while what still comes of it.
 *
 * There is one a process, because what a trace left here is looked for in one place; providers share it. It is on while
 * LOOM_TRACE_RECORDER says so and any provider lives.
 *
 * Threads: any, if nothing else is said. Its lock is a leaf but for exporting, which happens on its own thread with no lock held. */
#ifndef LOOM_TRACE_RECORD_RECORDER_H
#define LOOM_TRACE_RECORD_RECORDER_H

#include "trace/export/env_report.h"
#include "trace/export/scope.h"
#include "trace/record/chunk.h"

#include <loom/recorder.h>

typedef struct recorder recorder;

/* What is said of it in the environment, or by loom_recorder_configure(). */
typedef struct recorder_settings {
    size_t bytes; /* 0: off */
    const char *slow; /* rules.h */
} recorder_settings;
recorder_settings recorder_settings_from_env(const env_report *report);

/* Whether tracers that attach now find it on. */
bool recorder_is_on(void);
/* In the child of a fork(), while it has one thread: what its parent has recorded, keeps and is told stays the parent's. The next
 * tracer finds a recorder as of a new process. The thread's own chunk is for the caller to forget. */
void recorder_forget_in_child(void);
/* For one tracer more. NULL: it is off. *number: the tracer's here, never 0. */
recorder *recorder_attach(const span_scope *scope, loom_span_processor *processor, uint32_t *number);
/* For spans that others have made and this processor exports: the number of one of its tracers. NULL: it has none, or the recorder is off. */
recorder *recorder_for(loom_span_processor *processor, uint32_t *number);
/* What it has of this tracer is gone. Of a parent's tracer in the child of a fork(): nothing happens. */
void recorder_detach(recorder *r, uint32_t number);

/* A trace that matters to this process: what it holds of it is exported, and other processes are told, if there are any. reason: a
 * word or two, such as "error"; the first one given counts. Rate limited. */
void recorder_trigger(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason);
/* The same from another process: told to nobody else. */
void recorder_keep(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason);

/* Who carries triggers to other processes. Called on the recorder's thread, no lock of the recorder's held that is for others, with
 * some that are new. Returns how many of them, from the first on, it carries; RECORDER_AWAY: there is nobody to carry them to now, and
 * whoever comes is told then. Of those that go to the same place one is asked, and the next when it does not carry them all; what none
 * of them does is counted as untold. */
#define RECORDER_AWAY SIZE_MAX
typedef struct recorder_trigger_item {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char reason[LOOM_KEEP_REASON_MAX + 1];
} recorder_trigger_item;
typedef struct recorder_carrier {
    size_t (*carry)(struct recorder_carrier *self, const recorder_trigger_item *items, size_t count);
    const char *where;             /* valid while it is added */
    struct recorder_carrier *next; /* the recorder's */
} recorder_carrier;
void recorder_add_carrier(recorder_carrier *carrier);
/* So many that were to be told to whoever has come are not. */
void recorder_count_untold(uint64_t count);
/* It is not called when this has returned. Not from its own carry(). Whether it was the last one. One that is not there is allowed. */
bool recorder_remove_carrier(recorder_carrier *carrier);

/* Who takes over what this process has recorded, when it leaves the bus. */
typedef struct recorder_heir {
    /* One span: a ScopeSpans.spans field of this scope, as its processor would export it. false: it stays. */
    bool (*take)(struct recorder_heir *self, const span_scope *scope, loom_bytes field);
    bool full; /* no more are taken */
} recorder_heir;
/* Hands over spans that nobody has asked for, what was recorded last before what is older. They stay, and are exported from here when
 * this process itself finds their trace worth keeping. Returns how many are not handed over; more, where some of those were exported.
 * only: those of this resource alone, which is about to go; those that are left are then not all counted. NULL: all. */
uint64_t recorder_hand_over(recorder_heir *heir, const span_resource *only);
/* Traces of late that mattered here or that others wanted kept. */
enum { RECORDER_RECENT = 256 };
typedef struct recorder_recent {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    char reason[LOOM_KEEP_REASON_MAX + 1];
    uint64_t unix_ns;
    uint64_t at_ns; /* monotonic */
    bool limited;   /* not kept: there were too many */
    bool found_here; /* by this process, and not asked for by another */
} recorder_recent;
/* Newest first; returns how many. */
size_t recorder_list_recent(recorder_recent out[RECORDER_RECENT]);
/* Of those the ones that are kept now, for processes that have just come. */
size_t recorder_list_kept_now(recorder_recent out[RECORDER_RECENT]);

/* Traces of which something is in the ring. */
enum { RECORDER_ABOUT_SIZE = 128 };
typedef struct recorder_held {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    uint64_t start_unix_ns, end_unix_ns;
    uint32_t spans;
    bool kept; /* a part of it has been exported */
    char name[64]; /* of the first of its spans here; cut off */
    char about[RECORDER_ABOUT_SIZE]; /* and its topic, where it is a message's; cut off */
} recorder_held;
/* The newest first, of the last few thousand traces; returns how many, at most max. 0 where there is no memory, too. */
size_t recorder_list_held(recorder_held *out, size_t max);

/* What is in the ring of one trace, exported or not. */
typedef struct recorder_trace {
    uint32_t spans;
    bool cut; /* a part of it has been overwritten */
} recorder_trace;
/* span: the fields of a Span message, borrowed. A lock of the recorder's is held: it calls nothing of it. */
typedef void (*recorder_visit)(void *user, loom_str name, loom_bytes span);
/* visit may be NULL. Nothing, when the recorder is off. */
recorder_trace recorder_look_for(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], recorder_visit visit, void *user);

/* Of what was recorded in so long until now nothing has been overwritten. 0: the recorder is off. */
uint64_t recorder_reach_ns(void);

/* Kinds of traces that are to be kept from now on, until then (kinds.h): the number is the recorder's. LOOM_ENOTFOUND: it is off.
 * As trace_kinds_add(). */
struct trace_kind;
LOOM_MUST_CHECK loom_status recorder_add_kind(const struct trace_kind *kind, uint32_t *number);
bool recorder_remove_kind(uint32_t number);
/* out: KINDS_MAX. Returns how many. */
size_t recorder_list_kinds(struct trace_kind *out);
/* Whether this process keeps what was recorded. */
bool recorder_is_running(void);

/* Does at once what triggers wait for, on this thread: before a flush. */
void recorder_drain(void);
/* A trace that another process wants kept, and that is not passed on, since there are too many: as one that was found here and was too
 * many, for recorder_keep_limited(). Nothing, when the recorder is off. */
void recorder_note_limited(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason);
/* Those that were found here and were too many, the newest first, at most so many: they are kept after all, and told to others. */
void recorder_keep_limited(uint64_t most);
/* recorder_keep() of the process's recorder, if it is on. */
void recorder_keep_here(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], loom_str reason);

#endif
