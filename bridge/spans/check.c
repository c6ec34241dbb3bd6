/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/spans/check.h"

#include "base/utf8.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

/* What the fields of a message are, by their numbers. Others are stepped over, as every reader of protobuf does. */
typedef enum field_kind { KIND_UNKNOWN, KIND_TEXT, KIND_OCTETS, KIND_TRACE_ID, KIND_SPAN_ID, KIND_VARINT, KIND_FIXED64, KIND_FIXED32,
                          KIND_MESSAGE } field_kind;

typedef struct message_form message_form;
typedef struct field_form {
    field_kind kind;
    const message_form *message;
} field_form;
struct message_form {
    const field_form *fields;
    uint32_t count;
};

#define FORM(table) {table, sizeof(table) / sizeof *(table)}

static const message_form any_value, key_value;

static const field_form array_fields[] = {[ARRAY_VALUES] = {KIND_MESSAGE, &any_value}};
static const field_form kvlist_fields[] = {[KVLIST_VALUES] = {KIND_MESSAGE, &key_value}};
static const message_form array_value = FORM(array_fields), kvlist_value = FORM(kvlist_fields);

static const field_form any_fields[] = {
    [ANY_STRING] = {KIND_TEXT, NULL},           [ANY_BOOL] = {KIND_VARINT, NULL},
    [ANY_INT] = {KIND_VARINT, NULL},            [ANY_DOUBLE] = {KIND_FIXED64, NULL},
    [ANY_ARRAY] = {KIND_MESSAGE, &array_value}, [ANY_KVLIST] = {KIND_MESSAGE, &kvlist_value},
    [ANY_BYTES] = {KIND_OCTETS, NULL},
};
static const message_form any_value = FORM(any_fields);

static const field_form key_value_fields[] = {[KEYVALUE_KEY] = {KIND_TEXT, NULL}, [KEYVALUE_VALUE] = {KIND_MESSAGE, &any_value}};
static const message_form key_value = FORM(key_value_fields);

static const field_form event_fields[] = {
    [EVENT_TIME] = {KIND_FIXED64, NULL},
    [EVENT_NAME] = {KIND_TEXT, NULL},
    [EVENT_ATTRIBUTES] = {KIND_MESSAGE, &key_value},
    [EVENT_DROPPED_ATTRIBUTES] = {KIND_VARINT, NULL},
};
static const field_form link_fields[] = {
    [LINK_TRACE_ID] = {KIND_TRACE_ID, NULL},        [LINK_SPAN_ID] = {KIND_SPAN_ID, NULL},
    [LINK_TRACE_STATE] = {KIND_TEXT, NULL},         [LINK_ATTRIBUTES] = {KIND_MESSAGE, &key_value},
    [LINK_DROPPED_ATTRIBUTES] = {KIND_VARINT, NULL}, [LINK_FLAGS] = {KIND_FIXED32, NULL},
};
static const field_form status_fields[] = {[STATUS_MESSAGE] = {KIND_TEXT, NULL}, [STATUS_CODE] = {KIND_VARINT, NULL}};
static const message_form event_form = FORM(event_fields), link_form = FORM(link_fields), status_form = FORM(status_fields);

static const field_form span_fields[] = {
    [SPAN_TRACE_ID] = {KIND_TRACE_ID, NULL},
    [SPAN_SPAN_ID] = {KIND_SPAN_ID, NULL},
    [SPAN_TRACE_STATE] = {KIND_TEXT, NULL},
    [SPAN_PARENT_SPAN_ID] = {KIND_SPAN_ID, NULL},
    [SPAN_NAME] = {KIND_TEXT, NULL},
    [SPAN_KIND] = {KIND_VARINT, NULL},
    [SPAN_START_TIME] = {KIND_FIXED64, NULL},
    [SPAN_END_TIME] = {KIND_FIXED64, NULL},
    [SPAN_ATTRIBUTES] = {KIND_MESSAGE, &key_value},
    [SPAN_DROPPED_ATTRIBUTES] = {KIND_VARINT, NULL},
    [SPAN_EVENTS] = {KIND_MESSAGE, &event_form},
    [SPAN_DROPPED_EVENTS] = {KIND_VARINT, NULL},
    [SPAN_LINKS] = {KIND_MESSAGE, &link_form},
    [SPAN_DROPPED_LINKS] = {KIND_VARINT, NULL},
    [SPAN_STATUS] = {KIND_MESSAGE, &status_form},
    [SPAN_FLAGS] = {KIND_FIXED32, NULL},
};
static const field_form resource_fields[] = {
    [RESOURCE_ATTRIBUTES] = {KIND_MESSAGE, &key_value},
    [RESOURCE_DROPPED_ATTRIBUTES] = {KIND_VARINT, NULL},
};
static const field_form scope_fields[] = {
    [SCOPE_NAME] = {KIND_TEXT, NULL},
    [SCOPE_VERSION] = {KIND_TEXT, NULL},
    [SCOPE_ATTRIBUTES] = {KIND_MESSAGE, &key_value},
    [SCOPE_DROPPED_ATTRIBUTES] = {KIND_VARINT, NULL},
};
static const message_form span_form = FORM(span_fields), resource_form = FORM(resource_fields), scope_form = FORM(scope_fields);

static bool is_text(const uint8_t *data, size_t len)
{
    return utf8_valid((loom_str){(const char *)data, len});
}

static bool fits_message(const message_form *form, loom_bytes bytes, unsigned depth);

static bool fits(const field_form *form, const pb_field *f, unsigned depth)
{
    static const enum pb_wire wires[] = {
        [KIND_TEXT] = PB_LENGTH,    [KIND_OCTETS] = PB_LENGTH, [KIND_TRACE_ID] = PB_LENGTH, [KIND_SPAN_ID] = PB_LENGTH,
        [KIND_VARINT] = PB_VARINT,  [KIND_FIXED64] = PB_FIXED64, [KIND_FIXED32] = PB_FIXED32, [KIND_MESSAGE] = PB_LENGTH,
    };
    if (form->kind != KIND_UNKNOWN && f->wire != wires[form->kind]) {
        return false;
    }
    switch (form->kind) {
    case KIND_TEXT: return is_text(f->bytes.data, f->bytes.len);
    case KIND_TRACE_ID: return f->bytes.len == 0 || f->bytes.len == 16;
    case KIND_SPAN_ID: return f->bytes.len == 0 || f->bytes.len == 8;
    case KIND_MESSAGE: return depth < SPAN_DEPTH_MAX && fits_message(form->message, f->bytes, depth + 1);
    default: return true;
    }
}

static bool fits_message(const message_form *form, loom_bytes bytes, unsigned depth)
{
    pb_cursor c = pb_cursor_on(bytes);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (f.number < form->count && !fits(&form->fields[f.number], &f, depth)) {
            return false;
        }
    }
    return !c.bad;
}

/* Nearly every attribute is a key and a text, both short, as every SDK writes them: a KeyValue of exactly these bytes. What is
 * in another form is looked at field by field. */
static bool is_plain_attr(loom_bytes pair)
{
    enum { KEY = KEYVALUE_KEY << 3 | PB_LENGTH, VALUE = KEYVALUE_VALUE << 3 | PB_LENGTH, TEXT = ANY_STRING << 3 | PB_LENGTH, HEADS = 6 };
    const uint8_t *p = pair.data;
    if (pair.len < HEADS || pair.len >= 0x80 || p[0] != KEY || p[1] > pair.len - HEADS) {
        return false;
    }
    const uint8_t *value = p + 2 + p[1];
    const size_t text = pair.len - HEADS - p[1];
    return value[0] == VALUE && value[1] == text + 2 && value[2] == TEXT && value[3] == text && is_text(p + 2, p[1]) &&
           is_text(value + 4, text);
}

static bool is_set(loom_bytes id)
{
    uint8_t bits = 0;
    for (size_t i = 0; i < id.len; i++) {
        bits |= id.data[i];
    }
    return bits != 0;
}

/* Of a field that comes twice the last counts, as for every reader. */
typedef struct span_core {
    loom_bytes trace_id, span_id, name;
    uint64_t start_ns, end_ns;
} span_core;

static void take_core(span_core *core, const pb_field *f)
{
    switch (f->number) {
    case SPAN_TRACE_ID: core->trace_id = f->bytes; break;
    case SPAN_SPAN_ID: core->span_id = f->bytes; break;
    case SPAN_NAME: core->name = f->bytes; break;
    case SPAN_START_TIME: core->start_ns = f->value; break;
    case SPAN_END_TIME: core->end_ns = f->value; break;
    default: break;
    }
}

span_fault span_check(loom_bytes span, uint64_t now_unix_ns)
{
    if (span.len > SPAN_BYTES_MAX) {
        return SPAN_TOO_LARGE;
    }
    span_core core = {.start_ns = 0};
    pb_cursor c = pb_cursor_on(span);
    pb_field f;
    while (pb_next(&c, &f)) {
        const bool plain = pb_is(&f, SPAN_ATTRIBUTES, PB_LENGTH) && is_plain_attr(f.bytes);
        if (!plain && f.number < span_form.count && !fits(&span_form.fields[f.number], &f, 1)) {
            return SPAN_MALFORMED;
        }
        take_core(&core, &f);
    }
    if (c.bad) {
        return SPAN_MALFORMED;
    }
    const bool right = is_set(core.trace_id) && is_set(core.span_id) && core.name.len > 0 && core.start_ns > 0 &&
                       core.end_ns >= core.start_ns && core.end_ns <= now_unix_ns + SPAN_AHEAD_MAX_NS;
    return right ? SPAN_FINE : SPAN_INVALID;
}

static span_fault check_message(const message_form *form, loom_bytes bytes)
{
    return bytes.len > SPAN_BYTES_MAX ? SPAN_TOO_LARGE : fits_message(form, bytes, 1) ? SPAN_FINE : SPAN_MALFORMED;
}

span_fault span_check_resource(loom_bytes resource)
{
    return check_message(&resource_form, resource);
}

span_fault span_check_scope(loom_bytes scope, loom_bytes schema_url)
{
    if (schema_url.len > SPAN_SCHEMA_URL_MAX) {
        return SPAN_TOO_LARGE;
    }
    return is_text(schema_url.data, schema_url.len) ? check_message(&scope_form, scope) : SPAN_MALFORMED;
}
