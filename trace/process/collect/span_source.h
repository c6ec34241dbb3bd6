/* SPDX-License-Identifier: Apache-2.0 */
/* Who made a span: a line may name a service and a scope of its own, and its span then leaves as one of those. The first few
 * that are named get a provider and a tracer; the spans of more are the command's.
 *
 * Threads: one at a time. */
#ifndef LOOM_TRACE_PROCESS_COLLECT_SPAN_SOURCE_H
#define LOOM_TRACE_PROCESS_COLLECT_SPAN_SOURCE_H

#include "trace/process/collect/span_json.h"

#define SPAN_SOURCES_MAX 16u      /* pairs of a service and a scope */
#define SPAN_SOURCE_TEXT_MAX 256u /* bytes of a service's or scope's name */

typedef struct span_source {
    char *name; /* service, scope, version: NUL-terminated, one behind the other */
    size_t name_len;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
} span_source;

/* All zero is empty. */
typedef struct span_sources {
    span_source items[SPAN_SOURCES_MAX];
    size_t count;
} span_sources;

/* own: the command's tracer, which answers for whoever is not named, cannot be made, or is one too many. */
loom_tracer *span_source_tracer(span_sources *sources, loom_tracer *own, const span_json *span);
void span_sources_fini(span_sources *sources);

#endif
