/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder: keeps the finished spans of traces that were not sampled for a while, in bounded memory, and exports those
 * of a trace afterwards, when something shows that it matters: a span that ends with the status ERROR, one that is slow, a message
 * that is dropped, a call that times out or that nobody can take, or loom_trace_keep(). On a bus a trace is kept in every process
 * that it went through.
 *
 * LOOM_TRACE_RECORDER is the size of its memory, such as 16MiB, or "off"; LOOM_TRACE_SLOW says what is slow. docs/RECORDER.md has
 * both, and the figures.
 *
 * Threads: any. */
#ifndef LOOM_RECORDER_H
#define LOOM_RECORDER_H

#include <loom/context.h>
#include <loom/status.h>

LOOM_BEGIN_DECLS

#define LOOM_RECORDER_BYTES_DEFAULT (16u * 1024u * 1024u)
#define LOOM_RECORDER_BYTES_MIN (512u * 1024u)
#define LOOM_KEEP_REASON_MAX 23 /* bytes; a longer reason is cut off */

/* Instead of the environment: for a program that has settings of its own. Before the first tracer provider is created, else
 * LOOM_EBUSY. bytes: 0 for off, else at least LOOM_RECORDER_BYTES_MIN. slow: as LOOM_TRACE_SLOW, borrowed for the call; NULL: nothing is.
 * LOOM_EINVAL: too little memory, or rules that make no sense. LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_recorder_configure(size_t bytes, const char *slow);

/* Keeps the trace of ctx: what the recorders of this process and, over the agents of this process, of the bus hold of it is
 * exported, and what comes of it in the next ten seconds. The kept spans say why in the attribute loom.kept. Does nothing for a trace that
 * is sampled, without a valid context or where no recorder is on. reason NULL: "asked". Never blocks; rate limited and counted. */
LOOM_API void loom_trace_keep(const loom_trace_context *ctx, const char *reason);

/* Since the process began. Spans but for the last six. */
typedef struct loom_recorder_counts {
    uint64_t recorded;
    uint64_t overwritten; /* of them, to make room */
    uint64_t lost;        /* never recorded: no memory, or larger than a chunk (64 KiB) */
    uint64_t kept;        /* exported */
    uint64_t triggers;         /* traces that mattered, found here */
    uint64_t triggers_limited; /* of them and of those heard, not acted on: too many at once */
    uint64_t triggers_heard;   /* from other processes */
    uint64_t too_late;         /* traces asked for of which nothing was here (any more) */
    uint64_t cut;              /* traces kept of which a part had been overwritten or lost */
    uint64_t triggers_untold;  /* of those found here: not told to other processes, since an agent had too much to send */
} loom_recorder_counts;
LOOM_API loom_recorder_counts loom_recorder_counts_now(void);

LOOM_END_DECLS

#endif
