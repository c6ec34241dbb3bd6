/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/read.h"

#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

#include <string.h>

typedef bool (*span_visitor)(void *user, const otlp_span *span);
typedef bool (*attr_visitor)(void *user, otlp_attr attr);

static loom_str as_text(loom_bytes bytes)
{
    return (loom_str){(const char *)bytes.data, bytes.len};
}

/* An id of the wrong length is refused; an empty one counts as absent. */
static bool copy_id(uint8_t *to, size_t size, loom_bytes id)
{
    if (id.len != 0 && id.len != size) {
        return false;
    }
    memset(to, 0, size);
    if (id.len != 0) {
        memcpy(to, id.data, size);
    }
    return true;
}

static bool read_status(otlp_span *span, loom_bytes status)
{
    pb_cursor c = pb_cursor_on(status);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, STATUS_MESSAGE, PB_LENGTH)) {
            span->status_message = as_text(f.bytes);
        } else if (pb_is(&f, STATUS_CODE, PB_VARINT)) {
            span->status = (int)(int32_t)f.value;
        }
    }
    return !c.bad;
}

static bool read_bytes_field(otlp_span *span, const pb_field *f)
{
    switch (f->number) {
    case SPAN_TRACE_ID:
        return copy_id(span->trace_id, sizeof span->trace_id, f->bytes);
    case SPAN_SPAN_ID:
        return copy_id(span->span_id, sizeof span->span_id, f->bytes);
    case SPAN_PARENT_SPAN_ID:
        return copy_id(span->parent_span_id, sizeof span->parent_span_id, f->bytes);
    case SPAN_TRACE_STATE:
        span->tracestate = as_text(f->bytes);
        return true;
    case SPAN_NAME:
        span->name = as_text(f->bytes);
        return true;
    case SPAN_STATUS:
        return read_status(span, f->bytes);
    default:
        return true;
    }
}

static void read_number_field(otlp_span *span, const pb_field *f)
{
    if (pb_is(f, SPAN_KIND, PB_VARINT)) {
        span->kind = (int)(int32_t)f->value;
    } else if (pb_is(f, SPAN_START_TIME, PB_FIXED64)) {
        span->start_unix_ns = f->value;
    } else if (pb_is(f, SPAN_END_TIME, PB_FIXED64)) {
        span->end_unix_ns = f->value;
    } else if (pb_is(f, SPAN_DROPPED_ATTRIBUTES, PB_VARINT)) {
        span->dropped_attributes = (uint32_t)f->value;
    } else if (pb_is(f, SPAN_DROPPED_EVENTS, PB_VARINT)) {
        span->dropped_events = (uint32_t)f->value;
    } else if (pb_is(f, SPAN_DROPPED_LINKS, PB_VARINT)) {
        span->dropped_links = (uint32_t)f->value;
    } else if (pb_is(f, SPAN_FLAGS, PB_FIXED32)) {
        span->flags = (uint32_t)f->value;
    }
}

static bool read_span(otlp_span *span)
{
    pb_cursor c = pb_cursor_on(span->span);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (f.wire != PB_LENGTH) {
            read_number_field(span, &f);
        } else if (!read_bytes_field(span, &f)) {
            return false;
        }
    }
    return !c.bad;
}

/* The last field of this number, as protobuf readers take it; false: malformed. */
static bool find_message(loom_bytes message, uint32_t number, loom_bytes *out)
{
    pb_cursor c = pb_cursor_on(message);
    pb_field f;
    *out = (loom_bytes){0};
    while (pb_next(&c, &f)) {
        if (pb_is(&f, number, PB_LENGTH)) {
            *out = f.bytes;
        }
    }
    return !c.bad;
}

typedef struct walk {
    span_visitor visit;
    void *user;
    bool stopped;
} walk;

/* What a list of spans says of all of them. */
typedef struct list_head {
    loom_bytes of; /* the Resource, or the InstrumentationScope */
    loom_bytes schema_url;
} list_head;

/* ResourceSpans and ScopeSpans have it under the same numbers. It may come after the spans that it is of, so it is looked for
 * first; the last field counts, as protobuf readers take it. False: malformed. */
static bool find_head(loom_bytes list, list_head *head)
{
    _Static_assert((int)RESOURCE_SPANS_RESOURCE == (int)SCOPE_SPANS_SCOPE &&
                   (int)RESOURCE_SPANS_SCHEMA_URL == (int)SCOPE_SPANS_SCHEMA_URL, "one reader for both");
    pb_cursor c = pb_cursor_on(list);
    pb_field f;
    *head = (list_head){0};
    while (pb_next(&c, &f)) {
        if (pb_is(&f, RESOURCE_SPANS_RESOURCE, PB_LENGTH)) {
            head->of = f.bytes;
        } else if (pb_is(&f, RESOURCE_SPANS_SCHEMA_URL, PB_LENGTH)) {
            head->schema_url = f.bytes;
        }
    }
    return !c.bad;
}

static bool walk_scope_spans(walk *w, loom_bytes resource_spans, const list_head *resource, loom_bytes scope_spans)
{
    list_head scope;
    if (!find_head(scope_spans, &scope)) {
        return false;
    }
    pb_cursor c = pb_cursor_on(scope_spans);
    pb_field f;
    while (!w->stopped && pb_next(&c, &f)) {
        if (pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH)) {
            otlp_span span = {.resource = resource->of, .resource_schema_url = as_text(resource->schema_url), .scope = scope.of,
                              .scope_schema_url = as_text(scope.schema_url), .span = f.bytes,
                              .resource_spans = resource_spans.data, .scope_spans = scope_spans.data};
            if (!read_span(&span)) {
                return false;
            }
            w->stopped = !w->visit(w->user, &span);
        }
    }
    return true;
}

static bool walk_resource_spans(walk *w, loom_bytes resource_spans)
{
    list_head resource;
    if (!find_head(resource_spans, &resource)) {
        return false;
    }
    pb_cursor c = pb_cursor_on(resource_spans);
    pb_field f;
    while (!w->stopped && pb_next(&c, &f)) {
        if (pb_is(&f, RESOURCE_SPANS_SCOPE_SPANS, PB_LENGTH) && !walk_scope_spans(w, resource_spans, &resource, f.bytes)) {
            return false;
        }
    }
    return true;
}

loom_status otlp_read_request(loom_bytes request, span_visitor visit, void *user)
{
    walk w = {.visit = visit, .user = user};
    pb_cursor c = pb_cursor_on(request);
    pb_field f;
    while (!w.stopped && pb_next(&c, &f)) {
        if (pb_is(&f, REQUEST_RESOURCE_SPANS, PB_LENGTH) && !walk_resource_spans(&w, f.bytes)) {
            return LOOM_EMALFORMED;
        }
    }
    return c.bad ? LOOM_EMALFORMED : LOOM_OK;
}

/* ---- repeated fields ---- */

static void walk_attrs(loom_bytes message, uint32_t number, attr_visitor visit, void *user)
{
    pb_cursor c = pb_cursor_on(message);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (!pb_is(&f, number, PB_LENGTH)) {
            continue;
        }
        otlp_attr attr = {0};
        pb_cursor kv = pb_cursor_on(f.bytes);
        pb_field part;
        while (pb_next(&kv, &part)) {
            if (pb_is(&part, KEYVALUE_KEY, PB_LENGTH)) {
                attr.key = as_text(part.bytes);
            } else if (pb_is(&part, KEYVALUE_VALUE, PB_LENGTH)) {
                attr.value = part.bytes;
            }
        }
        if (kv.bad || !visit(user, attr)) {
            return;
        }
    }
}

void otlp_read_span_attrs(loom_bytes span, attr_visitor visit, void *user)
{
    walk_attrs(span, SPAN_ATTRIBUTES, visit, user);
}

void otlp_read_resource_attrs(loom_bytes resource, attr_visitor visit, void *user)
{
    walk_attrs(resource, RESOURCE_ATTRIBUTES, visit, user);
}

void otlp_read_event_attrs(loom_bytes event, attr_visitor visit, void *user)
{
    walk_attrs(event, EVENT_ATTRIBUTES, visit, user);
}

void otlp_read_link_attrs(loom_bytes link, attr_visitor visit, void *user)
{
    walk_attrs(link, LINK_ATTRIBUTES, visit, user);
}

void otlp_read_span_events(loom_bytes span, bool (*visit)(void *user, const otlp_event *event), void *user)
{
    pb_cursor c = pb_cursor_on(span);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (!pb_is(&f, SPAN_EVENTS, PB_LENGTH)) {
            continue;
        }
        otlp_event event = {.event = f.bytes};
        pb_cursor inner = pb_cursor_on(f.bytes);
        pb_field part;
        while (pb_next(&inner, &part)) {
            if (pb_is(&part, EVENT_TIME, PB_FIXED64)) {
                event.time_unix_ns = part.value;
            } else if (pb_is(&part, EVENT_NAME, PB_LENGTH)) {
                event.name = as_text(part.bytes);
            } else if (pb_is(&part, EVENT_DROPPED_ATTRIBUTES, PB_VARINT)) {
                event.dropped_attributes = (uint32_t)part.value;
            }
        }
        if (inner.bad || !visit(user, &event)) {
            return;
        }
    }
}

static bool read_link(otlp_link *link)
{
    pb_cursor c = pb_cursor_on(link->link);
    pb_field f;
    bool ok = true;
    while (ok && pb_next(&c, &f)) {
        if (pb_is(&f, LINK_TRACE_ID, PB_LENGTH)) {
            ok = copy_id(link->trace_id, sizeof link->trace_id, f.bytes);
        } else if (pb_is(&f, LINK_SPAN_ID, PB_LENGTH)) {
            ok = copy_id(link->span_id, sizeof link->span_id, f.bytes);
        } else if (pb_is(&f, LINK_TRACE_STATE, PB_LENGTH)) {
            link->tracestate = as_text(f.bytes);
        } else if (pb_is(&f, LINK_DROPPED_ATTRIBUTES, PB_VARINT)) {
            link->dropped_attributes = (uint32_t)f.value;
        } else if (pb_is(&f, LINK_FLAGS, PB_FIXED32)) {
            link->flags = (uint32_t)f.value;
        }
    }
    return ok && !c.bad;
}

void otlp_read_span_links(loom_bytes span, bool (*visit)(void *user, const otlp_link *link), void *user)
{
    pb_cursor c = pb_cursor_on(span);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, SPAN_LINKS, PB_LENGTH)) {
            otlp_link link = {.link = f.bytes};
            if (!read_link(&link) || !visit(user, &link)) {
                return;
            }
        }
    }
}

/* ---- values ---- */

/* A oneof: the last field present is the value. */
static void take_value(otlp_any *any, const pb_field *f)
{
    if (pb_is(f, ANY_BOOL, PB_VARINT)) {
        *any = (otlp_any){.type = OTLP_ANY_BOOL, .boolean = f->value != 0};
    } else if (pb_is(f, ANY_INT, PB_VARINT)) {
        *any = (otlp_any){.type = OTLP_ANY_INT, .integer = (int64_t)f->value};
    } else if (pb_is(f, ANY_DOUBLE, PB_FIXED64)) {
        *any = (otlp_any){.type = OTLP_ANY_DOUBLE};
        memcpy(&any->real, &f->value, sizeof any->real);
    } else if (f->wire == PB_LENGTH) {
        static const struct {
            uint32_t number;
            otlp_any_type type;
        } kinds[] = {{ANY_STRING, OTLP_ANY_STRING},
                     {ANY_ARRAY, OTLP_ANY_ARRAY},
                     {ANY_KVLIST, OTLP_ANY_KVLIST},
                     {ANY_BYTES, OTLP_ANY_BYTES}};
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (f->number == kinds[i].number) {
                *any = (otlp_any){.type = kinds[i].type, .bytes = f->bytes};
            }
        }
    }
}

otlp_any otlp_read_any(loom_bytes any_value)
{
    otlp_any any = {.type = OTLP_ANY_NONE};
    pb_cursor c = pb_cursor_on(any_value);
    pb_field f;
    while (pb_next(&c, &f)) {
        take_value(&any, &f);
    }
    return c.bad ? (otlp_any){.type = OTLP_ANY_NONE} : any;
}

void otlp_read_array(loom_bytes array, bool (*visit)(void *user, loom_bytes any_value), void *user)
{
    pb_cursor c = pb_cursor_on(array);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, ARRAY_VALUES, PB_LENGTH) && !visit(user, f.bytes)) {
            return;
        }
    }
}

void otlp_read_kvlist(loom_bytes kvlist, attr_visitor visit, void *user)
{
    walk_attrs(kvlist, ARRAY_VALUES, visit, user);
}

void otlp_read_scope(loom_bytes scope, loom_str *name, loom_str *version)
{
    loom_bytes found;
    *name = find_message(scope, SCOPE_NAME, &found) ? as_text(found) : (loom_str){0};
    *version = find_message(scope, SCOPE_VERSION, &found) ? as_text(found) : (loom_str){0};
}

void otlp_read_scope_attrs(loom_bytes scope, attr_visitor visit, void *user)
{
    walk_attrs(scope, SCOPE_ATTRIBUTES, visit, user);
}

typedef struct search {
    loom_str key;
    loom_str found;
} search;

static bool match_key(void *user, otlp_attr attr)
{
    search *s = user;
    if (str_equal(attr.key, s->key)) {
        otlp_any any = otlp_read_any(attr.value);
        s->found = any.type == OTLP_ANY_STRING ? as_text(any.bytes) : (loom_str){0};
        return false;
    }
    return true;
}

static loom_str find_string(loom_bytes message, uint32_t number, const char *key)
{
    search s = {.key = {key, strlen(key)}};
    walk_attrs(message, number, match_key, &s);
    return s.found;
}

loom_str otlp_resource_string(loom_bytes resource, const char *key)
{
    return find_string(resource, RESOURCE_ATTRIBUTES, key);
}

loom_str otlp_span_string(loom_bytes span, const char *key)
{
    return find_string(span, SPAN_ATTRIBUTES, key);
}
