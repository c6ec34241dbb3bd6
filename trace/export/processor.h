/* SPDX-License-Identifier: Apache-2.0 */
/* The batch span processor: what spans and providers may do with it. */
#ifndef LOOM_TRACE_EXPORT_PROCESSOR_H
#define LOOM_TRACE_EXPORT_PROCESSOR_H

#include "trace/export/scope.h"
#include "trace/pipeline/stage.h"

#include <loom/trace.h>

/* Copies one ended span (the bytes of a ScopeSpans.spans field) into the queue. Never blocks on anything but a lock
 * held for a copy. Takes over the caller's use of the scope's resource.
 * Returns where the next one will be copied to, if nobody else comes first: for processor_prepare(). */
const void *processor_submit(loom_span_processor *processor, const span_scope *scope, loom_bytes span);

/* The same of one that the exporter thread writes out: record is what form makes a span of. */
const void *processor_submit_form(loom_span_processor *processor, const span_scope *scope, const span_form *form, loom_bytes record);

/* The exporter thread has read this memory, so that the first write to each of its lines waits for the other processor. Asking
 * for them when a span starts, it need not when that ends. place: any address, also one that is gone, and NULL. */
static inline void processor_prepare(const void *place)
{
    enum { LINE = 64, LINES = 5 }; /* a span of some attributes */
    const char *at = place;
    for (int i = 0; at != NULL && i < LINES; i++, at += LINE) {
#if defined(__x86_64__)
        __asm__ volatile("prefetchw %0" : : "m"(*at)); /* where it is not known, it does nothing */
#else
        __builtin_prefetch(at, 1);
#endif
    }
}

/* Makes the exporter ready on its own thread, at once: for a program whose only spans end when it does. Any thread. */
void processor_prepare_exporter(loom_span_processor *processor);

/* Whether half of the queue is free: for spans of others, which are not to take the room of our own. */
bool processor_has_room(const loom_span_processor *processor);

/* Adds its stages to a chain of the caller's, for spans that leave by another way. Any thread. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status processor_share_stages(const loom_span_processor *processor, span_chain *out);

/* Spans files are opened anew before the next batch goes into them. Any thread. */
void processor_reopen_files(loom_span_processor *processor);

/* Nobody has named its receiver, and nothing was taken by one so far: what it drops, nobody misses. */
bool processor_is_unheard(const loom_span_processor *processor);

/* Its tracers are NULL. */
bool processor_is_disabled(const loom_span_processor *processor);
/* Whether this is the child of a fork(), whose spans leave nowhere. */
bool processor_is_forked(const loom_span_processor *processor);

/* A provider whose spans come here: for as long as it has spans. */
void processor_attach(loom_span_processor *processor, span_resource *resource);
void processor_detach(loom_span_processor *processor, span_resource *resource);

/* What is constant of it may be read by any thread. */
const struct self_metrics *processor_self(const loom_span_processor *processor);

/* Called before a flush or a shutdown, by whoever asks for that, no lock held: for spans that are only about to come here. Any thread,
 * before the first flush; once. */
void processor_set_before_flush(loom_span_processor *processor, void (*before_flush)(void));

/* A hold keeps the memory, not the exporter: spans may end after everybody let go of the processor. */
void processor_hold(loom_span_processor *processor);
void processor_unhold(loom_span_processor *processor);

#endif
