/* SPDX-License-Identifier: Apache-2.0 */
/* Tracer providers and tracers, as spans see them; the processor sees a span_resource and its scopes.
 *
 * Two counts keep a provider. `refs` are its users'; with the last one the provider gives its reference to the
 * processor back, in that user's thread, so that a final flush happens there. `uses` keeps the memory: one for the users
 * together, one for each live span, one for each span in the processor's queue. */
#ifndef LOOM_TRACE_SPAN_PROVIDER_H
#define LOOM_TRACE_SPAN_PROVIDER_H

#include "trace/export/scope.h"
#include "trace/otlp/attr_encode.h"
#include "trace/otlp/protobuf_write.h"
#include "trace/span/sampler.h"

#include <loom/trace.h>

#include <pthread.h>
#include <stdatomic.h>

struct loom_tracer {
    span_scope scope; /* of scope_field, and of the provider's resource */
    loom_tracer_provider *provider;
    bool passes_unsampled;  /* what span_follows_parent() says */
    bool records_unsampled; /* a parent that is not sampled is the whole answer: for the recorder */
    loom_tracer *next;
    pb_buf scope_field; /* and its schema URL */
    struct recorder *recorder; /* where spans go that are not sampled; NULL: they are not recorded */
    uint32_t record_number;    /* this tracer's there */
    void *templates; /* of trace/messaging, from malloc(); NULL: none. Of the one thread that starts such spans, */
    void *written;   /* and of the one that writes out what was queued as a form */
};

/* One number together with the counter, since it is looked at for every span. */
enum { ROOT_SAMPLED = -1, ROOT_ASKS = -2 };

struct loom_tracer_provider {
    span_resource resource; /* of resource_field; its release() drops uses */
    atomic_uint refs;
    atomic_size_t uses;
    atomic_bool users_gone; /* their use is given back */
    loom_span_processor *processor;
    span_sampler sampler;
    int root;                   /* what becomes of one without options: ROOT_*, or never sampled, and this the counter of those */
    unsigned unsampled;         /* the counter of all that are not sampled (plain.h) */
    uint64_t unsampled_before;  /* what that stood at */
    attr_limits attr_limits; /* of a span: limits, as the attribute index takes them */
    loom_span_limits limits;
    char *service_name;
    pb_buf resource_field;
    pthread_mutex_t lock;
    loom_tracer *tracers; /* guarded by lock; entries never move nor change */
};

static inline void provider_use(loom_tracer_provider *provider)
{
    atomic_fetch_add_explicit(&provider->uses, 1, memory_order_relaxed);
}

/* resource.c: encodes the Resource as ResourceSpans.resource and finds the service name (heap). */
loom_status resource_encode(pb_buf *out, char **service_name, const loom_tracer_provider_options *options);

#endif
