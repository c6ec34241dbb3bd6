/* SPDX-License-Identifier: Apache-2.0 */
/* Where a span comes from, as an export needs it: its instrumentation scope and the resource above that, both encoded.
 * A provider is a resource and its tracers are scopes; the exporter side sees no more of them than this. */
#ifndef LOOM_TRACE_EXPORT_SCOPE_H
#define LOOM_TRACE_EXPORT_SCOPE_H

#include <loom/api.h>

typedef struct span_resource span_resource;
struct span_resource {
    loom_bytes encoded; /* a ResourceSpans.resource field */
    /* Gives back uses, each of which kept this and its scopes alive. Any thread, no lock held. */
    void (*release)(span_resource *self, size_t uses);
    /* A use more, unless the last one is gone. Any thread that knows that the memory is there. */
    bool (*try_use)(span_resource *self);
    /* How many uses spans have, running and queued ones. Any thread. */
    size_t (*uses)(const span_resource *self);
    /* How many spans it has started that are not sampled. Any thread. */
    uint64_t (*unsampled)(const span_resource *self);
    span_resource *next; /* of the processor's; guarded by its lock */
};

struct pb_buf;
typedef struct span_scope span_scope;
/* How spans of one kind are queued that are much alike: as what differs, and written out by the exporter thread. Static. */
typedef struct span_form {
    /* Appends the fields of one Span, without a tag and a length around them. Exporter thread of the scope's processor. */
    void (*write)(const span_scope *scope, loom_bytes record, struct pb_buf *out);
} span_form;

struct span_scope {
    loom_bytes encoded; /* a ScopeSpans.scope field */
    span_resource *resource;
};

#endif
