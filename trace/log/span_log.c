/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/log/span_log.h"

#include "base/duration.h"
#include "base/str.h"

#include <string.h>

#define SPAN_STATUS_ERROR 2 /* Status.StatusCode of OTLP */

/* ---- rules ---- */

/* What follows prefix in item; data NULL: it does not begin with it. */
static loom_str after(loom_str item, const char *prefix)
{
    const size_t len = strlen(prefix);
    bool begins = item.len >= len && strncasecmp(item.data, prefix, len) == 0;
    return begins ? str_tail(item, len) : (loom_str){0};
}

static bool parse_attr(span_log_rules *rules, loom_str key)
{
    if (str_is(key, "*")) {
        rules->all_attrs = true;
        return true;
    }
    if (key.len == 0 || rules->attr_count == SPAN_LOG_ATTRS_MAX) {
        return false;
    }
    rules->attrs[rules->attr_count++] = key;
    return true;
}

static bool parse_item(span_log_rules *rules, loom_str item)
{
    const loom_str slow = after(item, "slow:"), key = after(item, "attr:");
    if (slow.data != NULL) {
        return duration_parse(&rules->slow_ns, slow);
    }
    if (key.data != NULL) {
        return parse_attr(rules, key);
    }
    if (str_is_any_case(item, "all")) {
        rules->all = true;
    } else if (str_is_any_case(item, "errors")) {
        rules->errors = true;
    } else if (str_is_any_case(item, "json")) {
        rules->format = LOOM_LOG_JSON;
    } else if (str_is_any_case(item, "text")) {
        rules->format = LOOM_LOG_TEXT;
    } else {
        return false;
    }
    return true;
}

bool span_log_parse(span_log_rules *out, loom_str text, loom_str *bad)
{
    *out = (span_log_rules){.slow_ns = UINT64_MAX};
    loom_str rest = text, item;
    while (str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.len > 0 && !parse_item(out, item)) {
            *bad = item;
            return false;
        }
    }
    *bad = text;
    return out->all || out->errors || out->slow_ns != UINT64_MAX;
}

bool loom_log_spans_valid(loom_str text, loom_str *bad)
{
    span_log_rules rules;
    loom_str unwanted;
    return span_log_parse(&rules, text, bad != NULL ? bad : &unwanted);
}

/* ---- records ---- */

static const char *kind_name(int kind)
{
    static const char *const names[] = {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    return kind >= 0 && kind < (int)(sizeof names / sizeof *names) ? names[kind] : "UNSPECIFIED";
}

static const char *status_name(int status)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    return status >= 0 && status < (int)(sizeof names / sizeof *names) ? names[status] : "UNSET";
}

static uint64_t duration_ns(const otlp_span *span)
{
    return span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns - span->start_unix_ns : 0;
}

/* LOOM_SEVERITY_OFF: the rules do not ask for this one. */
static loom_severity severity_of(const span_log_rules *rules, const otlp_span *span)
{
    if (span->status == SPAN_STATUS_ERROR) {
        return LOOM_SEVERITY_ERROR;
    }
    if (duration_ns(span) >= rules->slow_ns) {
        return LOOM_SEVERITY_WARN;
    }
    return rules->all ? LOOM_SEVERITY_INFO : LOOM_SEVERITY_OFF;
}

typedef struct attr_walk {
    record *r;
    const span_log_rules *rules;
} attr_walk;

static bool put_attr(void *user, otlp_attr attr)
{
    const attr_walk *w = user;
    bool wanted = w->rules->all_attrs;
    for (size_t i = 0; !wanted && i < w->rules->attr_count; i++) {
        wanted = str_equal(attr.key, w->rules->attrs[i]);
    }
    if (wanted) {
        record_encoded_attr(w->r, attr);
    }
    return true;
}

static void put_parent(record *r, const otlp_span *span)
{
    static const uint8_t none[LOOM_SPAN_ID_SIZE] = {0};
    char parent[LOOM_SPAN_ID_HEX_SIZE];
    if (memcmp(none, span->parent_span_id, sizeof none) != 0) {
        loom_span_id_to_hex(parent, span->parent_span_id);
        record_string(r, "parent_id", str_of(parent));
    }
}

bool span_log_write(const span_log_rules *rules, loom_logger *logger, const otlp_span *span)
{
    const loom_severity severity = severity_of(rules, span);
    if (!loom_logger_enabled(logger, severity)) {
        return true;
    }
    loom_trace_context context = {.trace_flags = (uint8_t)(span->flags & 0xffu)};
    memcpy(context.trace_id, span->trace_id, sizeof context.trace_id);
    memcpy(context.span_id, span->span_id, sizeof context.span_id);
    record_head head = logger_head(logger, severity, &context, span->end_unix_ns);
    head.service = otlp_resource_string(span->resource, "service.name");
    record r;
    record_begin(&r, &head);
    record_message(&r, str_of("span completed"), true);
    put_parent(&r, span);
    record_string(&r, "operation", span->name);
    record_string(&r, "kind", str_of(kind_name(span->kind)));
    record_duration_ms(&r, "duration_ms", duration_ns(span));
    record_string(&r, "status_code", str_of(status_name(span->status)));
    if (span->status_message.len > 0) {
        record_string(&r, "status_message", span->status_message);
    }
    if (rules->all_attrs || rules->attr_count > 0) {
        attr_walk walk = {&r, rules};
        otlp_read_span_attrs(span->span, put_attr, &walk);
    }
    return logger_write(logger, &r);
}
