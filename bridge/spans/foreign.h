/* SPDX-License-Identifier: Apache-2.0 */
/* Resources and scopes of others, as they came, for spans on their way to our exporter. What is in a processor's queue keeps
 * its resource in memory: it goes with the last span, after its owner has let go of it. */
#ifndef LOOM_BRIDGE_SPANS_FOREIGN_H
#define LOOM_BRIDGE_SPANS_FOREIGN_H

#include <loom/envelope.h>
#include <loom/status.h>
#include <loom/trace.h>

enum { FOREIGN_SCOPES_MAX = 32 };

typedef struct foreign_resource foreign_resource;
typedef struct foreign_scope foreign_scope;

/* encoded: a Resource message, copied. agent: of its attribute loom.agent.id, added unless empty. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status foreign_open(foreign_resource **out, loom_span_processor *processor, loom_bytes encoded, loom_str agent);
void foreign_close(foreign_resource *r); /* by its owner, once */
/* Whether it was opened with these; agent is empty or the one agent of its owner. */
bool foreign_is(const foreign_resource *r, loom_bytes encoded, loom_str agent);
/* The scope of these bytes, an InstrumentationScope message, and of this schema URL, a field of ScopeSpans; either may be empty.
 * add: make it if it is not there. NULL: it is not; no memory, or FOREIGN_SCOPES_MAX of them. */
foreign_scope *foreign_scope_of(foreign_resource *r, loom_bytes encoded, loom_bytes schema, bool add);
/* field: one ScopeSpans.spans field, copied. What becomes of it is the processor's to count. */
void foreign_submit(foreign_scope *scope, loom_bytes field);

/* Where its spans come from, as it is written down; borrowed. */
typedef struct foreign_source {
    loom_bytes resource, scope; /* messages, loom.agent.id in the first */
    loom_bytes schema;          /* a field of ScopeSpans, or nothing */
} foreign_source;
foreign_source foreign_source_of(const foreign_scope *scope);
/* A scope from such bytes, for one span alone, which has its only use. Any thread. NULL: no memory. */
const struct span_scope *foreign_open_scope(loom_span_processor *processor, loom_bytes resource, loom_bytes scope, loom_bytes schema);

#endif
