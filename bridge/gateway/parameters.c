/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says besides its body: the name at the end of its path, its query, its media type. */
#include <loom/topic.h>

#include <stdio.h>
#include <string.h>

#include "bridge/gateway/internal.h"
#include "host/config/units.h"
#include "host/http/query.h"

enum { PARAMETER_NAME_SIZE = 64 };

/* ---- the path ---- */

bool path_name(exchange *x, char out[LOOM_TOPIC_MAX + 1], const char *what,
               loom_status (*check)(loom_str text, const char **reason))
{
    const char *why = "";
    if (!http_decode_text(out, LOOM_TOPIC_MAX + 1, http_request_rest(x->request), false, &why)) {
        exchange_fail(x, 400, "invalid_path", "the %s in the path %s", what, why);
        return false;
    }
    if (check(str_of(out), &why) != LOOM_OK) {
        exchange_fail(x, 400, "invalid_path", "the %s \"%s\" is not valid: %s", what, out, why);
        return false;
    }
    return true;
}

/* ---- the query ---- */

static bool set_parameter(exchange *x, const parameter_spec *spec, loom_str value, bool has_value)
{
    const char *why = "";
    char text[CONFIG_UNITS_SIZE];
    int64_t ms;
    if (spec->flag != NULL) {
        *spec->flag = !has_value || str_is(value, "true");
        if (has_value && !*spec->flag && !str_is(value, "false")) {
            exchange_fail(x, 400, "invalid_parameter", "\"%s\" is true or false, or stands alone, which is true", spec->name);
            return false;
        }
        return true;
    }
    if (spec->ms == NULL) {
        if (!http_decode_text(spec->text, spec->size, value, true, &why)) {
            exchange_fail(x, 400, "invalid_parameter", "the value of \"%s\" %s", spec->name, why);
            return false;
        }
        return true;
    }
    if (!http_decode_text(text, sizeof text, value, true, &why) || !config_parse_duration(&ms, str_of(text)) || ms < 1 ||
        ms > GATEWAY_DEADLINE_MAX_MS) {
        exchange_fail(x, 400, "invalid_parameter", "\"%s\" takes a duration of 1ms to 1h, such as 500ms or 2s", spec->name);
        return false;
    }
    *spec->ms = (uint32_t)ms;
    return true;
}

static const parameter_spec *find_spec(const parameter_spec *specs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(specs[i].name, name) == 0) {
            return &specs[i];
        }
    }
    return NULL;
}

static bool fail_unknown(exchange *x, const parameter_spec *specs, size_t count, const char *name)
{
    char known[160] = "none";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", specs[i].name);
    }
    exchange_fail(x, 400, "unknown_parameter", "the parameter \"%s\" is not known here; there are: %s", name, known);
    return false;
}

bool parameters_read(exchange *x, const parameter_spec *specs, size_t count)
{
    loom_str rest = http_request_query(x->request);
    http_parameter p;
    uint32_t seen = 0;
    while (http_query_next(&rest, &p)) {
        char name[PARAMETER_NAME_SIZE];
        const char *why = "";
        if (!http_decode_text(name, sizeof name, p.name, true, &why)) {
            exchange_fail(x, 400, "unknown_parameter", "the name of a parameter %s", why);
            return false;
        }
        const parameter_spec *spec = find_spec(specs, count, name);
        if (spec == NULL) {
            return fail_unknown(x, specs, count, name);
        }
        const uint32_t bit = 1u << (spec - specs);
        if (seen & bit) {
            exchange_fail(x, 400, "invalid_parameter", "the parameter \"%s\" is there twice", name);
            return false;
        }
        seen |= bit;
        if (!set_parameter(x, spec, p.value, p.has_value)) {
            return false;
        }
    }
    return true;
}

/* ---- media types ---- */

bool is_media_type(loom_str type, const char *media)
{
    const char *end = type.len > 0 ? memchr(type.data, ';', type.len) : NULL;
    loom_str bare = {type.data, end != NULL ? (size_t)(end - type.data) : type.len};
    return str_is_any_case(str_trim(bare), media);
}

bool is_content_type(loom_str text)
{
    bool plain = text.len > 0 && text.len <= LOOM_CONTENT_TYPE_MAX && memchr(text.data, '/', text.len) != NULL;
    for (size_t i = 0; plain && i < text.len; i++) {
        plain = text.data[i] >= ' ' && text.data[i] < 0x7f;
    }
    return plain;
}

bool content_type(exchange *x, char out[LOOM_CONTENT_TYPE_MAX + 1])
{
    const loom_str *given = http_request_field(x->request, "Content-Type");
    loom_str type = given != NULL ? str_trim(*given) : (loom_str){0};
    const bool plain = type.len == 0 || is_content_type(type);
    if (!plain || http_request_field(x->request, "Content-Encoding") != NULL) {
        exchange_fail(x, 415, "unsupported_media_type",
                      plain ? "a body with a Content-Encoding is not taken" : "Content-Type is not a media type of up to %u characters",
                      LOOM_CONTENT_TYPE_MAX);
        return false;
    }
    snprintf(out, LOOM_CONTENT_TYPE_MAX + 1, "%.*s", (int)type.len, type.data != NULL ? type.data : "");
    return true;
}

/* Whether a weight says that a media range is not acceptable: q=0, q=0.000 (RFC 9110, 12.4.2). */
static bool has_no_weight(loom_str range)
{
    loom_str part;
    while (str_next_item(&range, ';', &part)) {
        part = str_trim(part);
        if (part.len > 2 && (part.data[0] == 'q' || part.data[0] == 'Q') && part.data[1] == '=') {
            size_t zeros = 2;
            while (zeros < part.len && (part.data[zeros] == '0' || part.data[zeros] == '.')) {
                zeros++;
            }
            return zeros == part.len;
        }
    }
    return false;
}

stream_wish event_stream_wish(const http_request *r)
{
    static const char *const ranges[] = {"*/*", "text/*", "text/event-stream"}; /* the closest one counts */
    enum { FIELDS = 8, RANGES = sizeof ranges / sizeof *ranges };
    loom_str accepts[FIELDS], item;
    size_t count = http_request_fields(r, "Accept", accepts, FIELDS), closest = 0;
    stream_wish wish = count == 0 ? STREAM_TAKEN : STREAM_REFUSED;
    for (size_t i = 0; i < count && i < FIELDS; i++) {
        while (str_next_item(&accepts[i], ',', &item)) {
            for (size_t k = closest; k < RANGES; k++) {
                if (is_media_type(item, ranges[k])) {
                    closest = k;
                    wish = has_no_weight(item) ? STREAM_REFUSED : k == RANGES - 1 ? STREAM_WANTED : STREAM_TAKEN;
                }
            }
        }
    }
    return wish;
}
