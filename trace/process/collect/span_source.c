/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/collect/span_source.h"

#include "base/str.h"
#include "trace/span/finished.h"

#include <stdlib.h>
#include <string.h>

enum { SERVICE, SCOPE, VERSION, TEXTS };

typedef struct source_name {
    char text[TEXTS * (SPAN_SOURCE_TEXT_MAX + 1)];
    size_t len;
    const char *parts[TEXTS];
} source_name;

/* One that is too long, or holds a NUL, is none. */
static void append(source_name *name, int part, const json_value *value)
{
    char *const to = name->text + name->len;
    size_t len = 0;
    if (value->type == SCAN_STRING && value->text.len <= SPAN_SOURCE_TEXT_MAX) {
        len = json_unescape(value, to);
        len = memchr(to, '\0', len) == NULL ? len : 0;
    }
    to[len] = '\0';
    name->parts[part] = to;
    name->len += len + 1;
}

static void find_scope(const json_value *scope, json_value *scope_name, json_value *version)
{
    *scope_name = *version = (json_value){.type = SCAN_NULL};
    if (scope->type != SCAN_OBJECT) {
        return;
    }
    json_cursor c = json_members(scope);
    json_value key, value;
    while (json_next_member(&c, &key, &value)) {
        if (str_is(key.text, "name")) {
            *scope_name = value;
        } else if (str_is(key.text, "version")) {
            *version = value;
        }
    }
}

static void make_name(source_name *name, const span_json *span)
{
    json_value scope, version;
    find_scope(&span->scope, &scope, &version);
    name->len = 0;
    append(name, SERVICE, &span->service);
    append(name, SCOPE, &scope);
    append(name, VERSION, &version);
}

/* With a provider of its own also for a mere scope: that of a process that runs many commands would keep every name. */
static loom_tracer *add(span_sources *sources, loom_tracer *own, const source_name *name)
{
    span_source *s = &sources->items[sources->count];
    const bool service = name->parts[SERVICE][0] != '\0', scope = name->parts[SCOPE][0] != '\0';
    const loom_tracer_provider_options with = {
        .service_name = service ? name->parts[SERVICE] : loom_tracer_provider_service_name(span_tracer_provider(own)),
        .processor = span_tracer_processor(own)};
    *s = (span_source){.name = malloc(name->len), .name_len = name->len};
    if (s->name == NULL || loom_tracer_provider_create(&s->provider, &with) != LOOM_OK) {
        free(s->name);
        return own;
    }
    memcpy(s->name, name->text, name->len);
    loom_tracer *tracer = loom_tracer_get(s->provider, scope ? name->parts[SCOPE] : "loom-trace", name->parts[VERSION]);
    s->tracer = tracer != NULL ? tracer : own;
    sources->count++;
    return s->tracer;
}

loom_tracer *span_source_tracer(span_sources *sources, loom_tracer *own, const span_json *span)
{
    source_name name;
    if (span->service.type != SCAN_STRING && span->scope.type != SCAN_OBJECT) {
        return own;
    }
    make_name(&name, span);
    for (size_t i = 0; i < sources->count; i++) {
        const span_source *s = &sources->items[i];
        if (s->name_len == name.len && memcmp(s->name, name.text, name.len) == 0) {
            return s->tracer;
        }
    }
    return sources->count < SPAN_SOURCES_MAX ? add(sources, own, &name) : own;
}

void span_sources_fini(span_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        loom_tracer_provider_unref(sources->items[i].provider);
        free(sources->items[i].name);
    }
    sources->count = 0;
}
