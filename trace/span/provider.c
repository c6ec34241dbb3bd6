/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/provider.h"

#include "base/last_error.h"
#include "base/str.h"
#include "trace/export/processor.h"
#include "trace/otlp/fields.h"
#include "trace/record/recorder.h"
#include "trace/span/plain.h"
#include "trace/span/sampler.h"

#include <stdlib.h>
#include <string.h>

#define SCOPE_SIZE_MAX (1024u * 1024u)

static void tracer_free(loom_tracer *tracer)
{
    if (tracer->recorder != NULL) {
        recorder_detach(tracer->recorder, tracer->record_number);
    }
    pb_fini(&tracer->scope_field);
    free(tracer->templates);
    free(tracer->written);
    free(tracer);
}

static void provider_free(loom_tracer_provider *provider)
{
    while (provider->tracers != NULL) {
        loom_tracer *next = provider->tracers->next;
        tracer_free(provider->tracers);
        provider->tracers = next;
    }
    plain_counter_close(provider->unsampled);
    pthread_mutex_destroy(&provider->lock);
    sampler_fini(&provider->sampler);
    pb_fini(&provider->resource_field);
    free(provider->service_name);
    free(provider);
}

static void release_uses(loom_tracer_provider *provider, size_t uses)
{
    if (atomic_fetch_sub_explicit(&provider->uses, uses, memory_order_acq_rel) == uses) {
        loom_span_processor *processor = provider->processor;
        processor_detach(processor, &provider->resource);
        provider_free(provider);
        processor_unhold(processor);
    }
}

/* As the processor calls it, for spans it has exported or dropped. */
static void release_resource(span_resource *self, size_t uses)
{
    release_uses((loom_tracer_provider *)((char *)self - offsetof(loom_tracer_provider, resource)), uses);
}

static bool try_use_resource(span_resource *self)
{
    atomic_size_t *uses = &((loom_tracer_provider *)((char *)self - offsetof(loom_tracer_provider, resource)))->uses;
    size_t now = atomic_load_explicit(uses, memory_order_relaxed);
    while (now > 0 && !atomic_compare_exchange_weak_explicit(uses, &now, now + 1, memory_order_acq_rel, memory_order_relaxed)) {
    }
    return now > 0;
}

static size_t uses_of_spans(const span_resource *self)
{
    const loom_tracer_provider *provider =
        (const loom_tracer_provider *)((const char *)self - offsetof(loom_tracer_provider, resource));
    const size_t uses = atomic_load_explicit(&provider->uses, memory_order_relaxed);
    return uses > 0 && !atomic_load_explicit(&provider->users_gone, memory_order_relaxed) ? uses - 1 : uses;
}

static uint64_t unsampled_spans(const span_resource *self)
{
    const loom_tracer_provider *provider =
        (const loom_tracer_provider *)((const char *)self - offsetof(loom_tracer_provider, resource));
    return provider->unsampled != PLAIN_COUNTER_NONE ? plain_counter_read(provider->unsampled) - provider->unsampled_before : 0;
}

static void open_counter(loom_tracer_provider *provider)
{
    provider->unsampled = plain_counter_open(&provider->unsampled_before);
    switch (provider->sampler.answer) {
    case SAMPLER_NEVER:
        provider->root = recorder_is_on() ? ROOT_ASKS : (int)provider->unsampled;
        break;
    case SAMPLER_ALWAYS:
        provider->root = ROOT_SAMPLED;
        break;
    case SAMPLER_ASKS:
        provider->root = ROOT_ASKS;
        break;
    }
}

loom_status loom_tracer_provider_create(loom_tracer_provider **out, const loom_tracer_provider_options *options)
{
    if (out == NULL) {
        return last_error_null("the place for the provider");
    }
    *out = NULL;
    if (options == NULL || options->processor == NULL || (options->resource_count > 0 && options->resource == NULL)) {
        return last_error(LOOM_EINVAL, "the provider has no processor, or resource_count without a resource");
    }
    if (options->limits != NULL && options->limits->attribute_count > LOOM_SPAN_ATTRIBUTES_MAX) {
        return last_error(LOOM_EINVAL, "a span has at most %u attributes, and the limits say %u", LOOM_SPAN_ATTRIBUTES_MAX,
                          options->limits->attribute_count);
    }
    const loom_sampler from_env = options->sampler == NULL ? loom_sampler_from_env() : (loom_sampler){0};
    loom_tracer_provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL) {
        return LOOM_ENOMEM;
    }
    atomic_init(&provider->refs, 1);
    atomic_init(&provider->uses, 1);
    atomic_init(&provider->users_gone, false);
    provider->limits = options->limits != NULL ? *options->limits : loom_span_limits_from_env();
    const uint32_t most = provider->limits.attribute_count, inside = most < ATTR_COUNT_MAX ? most : ATTR_COUNT_MAX;
    provider->attr_limits = (attr_limits){inside, provider->limits.attribute_value_length, most - inside};
    loom_status st = sampler_init(&provider->sampler, options->sampler != NULL ? options->sampler : &from_env);
    if (st != LOOM_OK) {
        goto free_provider;
    }
    if (pthread_mutex_init(&provider->lock, NULL) != 0) {
        st = LOOM_ENOMEM;
        goto fini_sampler;
    }
    if ((st = resource_encode(&provider->resource_field, &provider->service_name, options)) != LOOM_OK) {
        goto destroy_lock;
    }
    provider->resource = (span_resource){.encoded = {provider->resource_field.data, provider->resource_field.len},
                                         .release = release_resource, .try_use = try_use_resource, .uses = uses_of_spans, .unsampled = unsampled_spans};
    open_counter(provider);
    provider->processor = loom_span_processor_ref(options->processor);
    processor_hold(provider->processor);
    processor_attach(provider->processor, &provider->resource);
    *out = provider;
    return LOOM_OK;

destroy_lock:
    pthread_mutex_destroy(&provider->lock);
fini_sampler:
    sampler_fini(&provider->sampler);
free_provider:
    free(provider);
    return st;
}

loom_tracer_provider *loom_tracer_provider_ref(loom_tracer_provider *provider)
{
    if (provider != NULL) {
        atomic_fetch_add_explicit(&provider->refs, 1, memory_order_relaxed);
    }
    return provider;
}

void loom_tracer_provider_unref(loom_tracer_provider *provider)
{
    if (provider != NULL && atomic_fetch_sub_explicit(&provider->refs, 1, memory_order_acq_rel) == 1) {
        loom_span_processor_unref(provider->processor);
        atomic_store_explicit(&provider->users_gone, true, memory_order_relaxed);
        release_uses(provider, 1);
    }
}

bool loom_tracer_provider_is_disabled(const loom_tracer_provider *provider)
{
    return provider == NULL || processor_is_disabled(provider->processor);
}

const char *loom_tracer_provider_service_name(const loom_tracer_provider *provider)
{
    return provider != NULL ? provider->service_name : "";
}

/* The fields of ScopeSpans that come before its spans. They tell scopes apart, too. */
static void put_scope(pb_buf *out, const loom_scope *scope)
{
    attr_index index;
    uint32_t dropped = 0;
    attr_index_init(&index, ATTR_LIMITS_DEFAULT);
    const size_t message = pb_open(out, SCOPE_SPANS_SCOPE);
    pb_string_field(out, SCOPE_NAME, str_of(scope->name));
    if (scope->version != NULL && scope->version[0] != '\0') {
        pb_string_field(out, SCOPE_VERSION, str_of(scope->version));
    }
    for (size_t i = 0; scope->attributes != NULL && i < scope->attribute_count; i++) {
        dropped += !attr_index_put(&index, out, SCOPE_ATTRIBUTES, &scope->attributes[i]);
    }
    if (dropped > 0) {
        pb_varint_field(out, SCOPE_DROPPED_ATTRIBUTES, dropped);
    }
    pb_close(out, message);
    if (scope->schema_url != NULL && scope->schema_url[0] != '\0') {
        pb_string_field(out, SCOPE_SPANS_SCHEMA_URL, str_of(scope->schema_url));
    }
}

static loom_tracer *tracer_create(loom_tracer_provider *provider, loom_bytes scope)
{
    loom_tracer *tracer = calloc(1, sizeof *tracer);
    if (tracer == NULL) {
        return NULL;
    }
    tracer->provider = provider;
    pb_init(&tracer->scope_field, NULL, 0, SIZE_MAX / 8);
    pb_raw(&tracer->scope_field, scope.data, scope.len);
    if (tracer->scope_field.failed) {
        tracer_free(tracer);
        return NULL;
    }
    tracer->scope = (span_scope){{tracer->scope_field.data, tracer->scope_field.len}, &provider->resource};
    if (recorder_is_on()) {
        span_thread_watch_forks();
    }
    tracer->recorder = recorder_attach(&tracer->scope, provider->processor, &tracer->record_number);
    tracer->passes_unsampled = provider->sampler.follows_parent && tracer->recorder == NULL;
    tracer->records_unsampled = provider->sampler.follows_parent && tracer->recorder != NULL;
    return tracer;
}

static loom_tracer *find_or_create(loom_tracer_provider *provider, loom_bytes scope)
{
    pthread_mutex_lock(&provider->lock);
    loom_tracer *tracer = provider->tracers;
    while (tracer != NULL && !bytes_equal(tracer->scope.encoded, scope)) {
        tracer = tracer->next;
    }
    if (tracer == NULL && (tracer = tracer_create(provider, scope)) != NULL) {
        tracer->next = provider->tracers;
        provider->tracers = tracer;
    }
    pthread_mutex_unlock(&provider->lock);
    return tracer;
}

loom_tracer *loom_tracer_get_scope(loom_tracer_provider *provider, const loom_scope *scope)
{
    if (provider == NULL || scope == NULL || processor_is_disabled(provider->processor) || processor_is_forked(provider->processor)) {
        return NULL; /* in a fork's child nobody may be left to unlock */
    }
    uint8_t storage[512];
    pb_buf encoded;
    pb_init(&encoded, storage, sizeof storage, SCOPE_SIZE_MAX);
    put_scope(&encoded, scope);
    loom_tracer *tracer = encoded.failed ? NULL : find_or_create(provider, (loom_bytes){encoded.data, encoded.len});
    pb_fini(&encoded);
    return tracer;
}

loom_tracer *loom_tracer_get(loom_tracer_provider *provider, const char *scope_name, const char *scope_version)
{
    return loom_tracer_get_scope(provider, &(loom_scope){.name = scope_name, .version = scope_version});
}
