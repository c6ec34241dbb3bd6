/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/span_file.h"

#include <stdlib.h>
#include <unistd.h>

void span_file_open(span_file *s, const char *folder, loom_sampler_kind sampler)
{
    loom_sampler chosen = {.kind = sampler, .ratio = 1.0};
    *s = (span_file){.spans = NULL};
    snprintf(s->path, sizeof s->path, "%s/spans", folder);
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_FILE, .endpoint = s->path, .schedule_delay_ms = 10};
    assert_status(LOOM_OK, loom_span_processor_create(&s->processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(
                               &s->provider, &(loom_tracer_provider_options){
                                                 .service_name = "t", .sampler = &chosen, .processor = s->processor}));
}

void span_file_close(span_file *s)
{
    loom_tracer_provider_unref(s->provider);
    loom_span_processor_unref(s->processor);
    json_decref(s->spans);
    unlink(s->path);
}

static void take_spans(json_t *into, const json_t *request)
{
    size_t i, j, k;
    json_t *resource, *scope, *span;
    json_array_foreach(json_object_get(request, "resourceSpans"), i, resource) {
        json_array_foreach(json_object_get(resource, "scopeSpans"), j, scope) {
            json_array_foreach(json_object_get(scope, "spans"), k, span) {
                json_array_append(into, span);
            }
        }
    }
}

size_t span_file_read(span_file *s)
{
    char *line = NULL;
    size_t size = 0;
    assert_status(LOOM_OK, loom_span_processor_shutdown(s->processor, 10000));
    s->spans = json_array();
    FILE *file = fopen(s->path, "r");
    assert_non_null(file);
    while (getline(&line, &size, file) > 0) {
        json_t *request = json_loads(line, 0, NULL);
        assert_non_null(request);
        take_spans(s->spans, request);
        json_decref(request);
    }
    free(line);
    fclose(file);
    return json_array_size(s->spans);
}

json_t *span_file_named(const span_file *s, const char *name)
{
    size_t i;
    json_t *span, *found = NULL;
    json_array_foreach(s->spans, i, span) {
        if (strcmp(span_text(span, "name"), name) == 0) {
            assert_null(found);
            found = span;
        }
    }
    if (found == NULL) {
        fail_msg("there is no span %s", name);
    }
    return found;
}

const char *span_text(const json_t *span, const char *key)
{
    const char *text = json_string_value(json_object_get(span, key));
    return text != NULL ? text : "";
}

const char *span_attribute(const json_t *span, const char *key)
{
    size_t i;
    json_t *attr;
    json_array_foreach(json_object_get(span, "attributes"), i, attr) {
        if (strcmp(span_text(attr, "key"), key) == 0) {
            return span_text(json_object_get(attr, "value"), "stringValue");
        }
    }
    return NULL;
}

long long span_number(const json_t *span, const char *key)
{
    const json_t *value = json_object_get(span, key);
    return json_is_string(value) ? atoll(json_string_value(value)) : json_integer_value(value);
}

int span_status(const json_t *span)
{
    return (int)json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}
