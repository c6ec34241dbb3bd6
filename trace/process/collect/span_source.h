/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of a span: a line may name a service and a scope of its own, and its span is then exported as theirs. The first few
 * of these get a provider and a tracer; beyond that, spans are attributed to the command.
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

/* own: the command's tracer, for spans without a source of their own, or whose source cannot be added. */
loom_tracer *span_source_tracer(span_sources *sources, loom_tracer *own, const span_json *span);
void span_sources_fini(span_sources *sources);

#endif
