/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/recorded.h"

#include <stdlib.h>
#include <unistd.h>

void recorded_open(recorded *r, const loom_sampler *sampler)
{
    recorded_open_with(r, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_FILE}, sampler);
}

void recorded_open_with(recorded *r, const loom_span_processor_options *given, const loom_sampler *sampler)
{
    memset(r, 0, sizeof *r);
    (void)snprintf(r->path, sizeof r->path, "/tmp/loom-spans-XXXXXX");
    int fd = mkstemp(r->path);
    assert_true(fd >= 0);
    close(fd);
    loom_sampler always = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON};
    loom_span_processor_options options = *given;
    options.exporter = LOOM_EXPORTER_FILE;
    options.endpoint = r->path;
    assert_status(LOOM_OK, loom_span_processor_create(&r->processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&r->provider, &(loom_tracer_provider_options){
                                                                         .service_name = "test",
                                                                         .sampler = sampler != NULL ? sampler : &always,
                                                                         .processor = r->processor}));
    r->tracer = loom_tracer_get(r->provider, "tests", "1");
    assert_non_null(r->tracer);
}

static void collect(recorded *r, json_t *request)
{
    size_t i, j, k;
    json_t *resource, *scope, *span;
    json_array_foreach(json_object_get(request, "resourceSpans"), i, resource) {
        json_array_foreach(json_object_get(resource, "scopeSpans"), j, scope) {
            json_array_foreach(json_object_get(scope, "spans"), k, span) {
                json_array_append(r->spans, span);
            }
        }
    }
}

void recorded_read(recorded *r)
{
    assert_status(LOOM_OK, loom_span_processor_flush(r->processor, 10000));
    json_decref(r->spans);
    json_decref(r->lines);
    r->spans = json_array();
    r->lines = json_array();
    FILE *file = fopen(r->path, "re");
    assert_non_null(file);
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, file) > 0) {
        json_error_t error;
        json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (request == NULL) {
            print_error("not JSON: %s at %d\n", error.text, error.position);
        }
        assert_non_null(request);
        collect(r, request);
        json_array_append_new(r->lines, request);
    }
    free(line);
    fclose(file);
}

void recorded_close(recorded *r)
{
    loom_tracer_provider_unref(r->provider);
    loom_span_processor_unref(r->processor);
    json_decref(r->spans);
    json_decref(r->lines);
    unlink(r->path);
}

json_t *recorded_span(recorded *r, const char *name)
{
    size_t i;
    json_t *span, *found = NULL;
    json_array_foreach(r->spans, i, span) {
        if (strcmp(recorded_string(span, "name"), name) == 0) {
            assert_null(found);
            found = span;
        }
    }
    if (found == NULL) {
        print_error("no span is named %s\n", name);
    }
    assert_non_null(found);
    return found;
}

const char *recorded_string(json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

size_t recorded_attr(json_t *object, const char *key, json_t **value)
{
    size_t i, count = 0;
    json_t *attr;
    json_array_foreach(json_object_get(object, "attributes"), i, attr) {
        if (strcmp(recorded_string(attr, "key"), key) == 0) {
            count++;
            *value = json_object_get(attr, "value");
        }
    }
    return count;
}

void recorded_has_int(json_t *object, const char *key, const char *value)
{
    json_t *found = NULL;
    assert_int_equal(1, recorded_attr(object, key, &found));
    assert_string_equal(value, recorded_string(found, "intValue"));
}

void recorded_has_string(json_t *object, const char *key, const char *value)
{
    json_t *found = NULL;
    assert_int_equal(1, recorded_attr(object, key, &found));
    assert_string_equal(value, recorded_string(found, "stringValue"));
}
