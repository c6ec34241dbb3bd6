/* SPDX-License-Identifier: Apache-2.0 */
/* The page and what it asks are for one person on this machine. Whoever comes needs the token: once in the URL that was
 * printed, then as a cookie that scripts cannot read and other sites cannot send. Host has to be ours, or a name of a page
 * elsewhere could lead here; and so has Origin, where there is one. */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/http/query.h"
#include "tools/loom/refusal.h"
#include "tools/loom/view/internal.h"

static bool token_is(const view *v, const char *text, size_t len)
{
    return len == VIEW_TOKEN_SIZE - 1 && sodium_memcmp(text, v->token, len) == 0;
}

bool view_has_token(const view *v, const http_request *r)
{
    loom_str token;
    return http_query_only(http_request_query(r), "token", &token) && token_is(v, token.data, token.len);
}

/* "name=value; name=value" (RFC 6265, 4.2.1). */
bool view_has_cookie(const view *v, const http_request *r)
{
    const loom_str *field = http_request_field(r, "Cookie");
    const size_t name = strlen(v->cookie);
    for (size_t at = 0; field != NULL && at < field->len;) {
        const char *pair = field->data + at, *end = memchr(pair, ';', field->len - at);
        const size_t len = end != NULL ? (size_t)(end - pair) : field->len - at;
        if (len > name && memcmp(pair, v->cookie, name) == 0 && pair[name] == '=' && token_is(v, pair + name + 1, len - name - 1)) {
            return true;
        }
        at += len + 1;
        at += at < field->len && field->data[at] == ' ';
    }
    return false;
}

/* "Bearer TOKEN", for scripts. */
bool view_has_bearer(const view *v, const http_request *r)
{
    static const char scheme[] = "Bearer ";
    const loom_str *field = http_request_field(r, "Authorization");
    return field != NULL && field->len > sizeof scheme - 1 && memcmp(field->data, scheme, sizeof scheme - 1) == 0 &&
           token_is(v, field->data + sizeof scheme - 1, field->len - (sizeof scheme - 1));
}

/* Whether a field says this very host and port, behind a prefix. */
static bool says_us(const view *v, loom_str value, const char *prefix)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    char text[URL_HOST_SIZE + 32];
    snprintf(text, sizeof text, v->address.host_is_ipv6 ? "%s[%s]:%u" : "%s%s:%u", prefix, v->address.host, (unsigned)v->address.port);
    bool us = str_is_any_case(value, text);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0] && !us; i++) {
        snprintf(text, sizeof text, "%s%s:%u", prefix, hosts[i], (unsigned)v->address.port);
        us = str_is_any_case(value, text);
    }
    return us;
}

/* Somebody else's page, an old one of before a restart, or a script that lacks the token: whoever runs the view can tell which. */
static void tell_stranger(view *v, const http_request *r, uint16_t status, const char *why)
{
    char line[REFUSAL_SIZE];
    if (refusal_line(line, &v->told, uv_now(&v->loop), r, status, why)) {
        view_tell(line);
    }
}

static uint16_t refuse_stranger(view *v, const http_request *r, uint16_t status, const char *why, const char **out)
{
    tell_stranger(v, r, status, why);
    *out = why;
    return status;
}

uint16_t view_admit(void *user, const http_request *r, const char **why)
{
    view *v = user;
    loom_str hosts[2], origins[2];
    const size_t host_count = http_request_fields(r, "Host", hosts, 2), origin_count = http_request_fields(r, "Origin", origins, 2);
    if (host_count != 1 || !says_us(v, hosts[0], "")) {
        return refuse_stranger(v, r, 403, "the Host of the request is not this one: open the URL that `loom view` printed", why);
    }
    if (origin_count > 1 || (origin_count == 1 && !says_us(v, origins[0], "http://"))) {
        return refuse_stranger(v, r, 403, "only the page itself may ask, not one of another origin", why);
    }
    const bool known = view_has_cookie(v, r) || view_has_bearer(v, r);
    if (str_is(http_request_path(r), "/")) { /* whose answer is a page */
        if (!known && !view_has_token(v, r)) {
            tell_stranger(v, r, 401, http_request_query(r).len > 0 ? "the token is not that of this `loom view`" : "the token is missing");
        }
        return 0;
    }
    if (!known) {
        return refuse_stranger(v, r, 401, "the token is missing: open the URL that `loom view` printed; scripts send Authorization: Bearer TOKEN", why);
    }
    return 0;
}

const char *view_no_parameter(void *user, const char *name, const char *value)
{
    (void)user;
    (void)name;
    (void)value;
    return "no parameters are known here";
}

bool view_parameters(loom_str query, const char *(*visit)(void *user, const char *name, const char *value), void *user,
                     char why[VIEW_PROBLEM_SIZE])
{
    enum { NAME_SIZE = 64, VALUE_SIZE = 2048 };
    char name[NAME_SIZE], value[VALUE_SIZE];
    const char *wrong = "";
    http_parameter p;
    while (http_query_next(&query, &p)) {
        if (!http_decode_text(name, sizeof name, p.name, true, &wrong)) {
            snprintf(why, VIEW_PROBLEM_SIZE, "the name of a parameter %s", wrong);
            return false;
        }
        if (!http_decode_text(value, sizeof value, p.value, true, &wrong)) {
            snprintf(why, VIEW_PROBLEM_SIZE, "the value of \"%s\" %s", name, wrong);
            return false;
        }
        if ((wrong = visit(user, name, value)) != NULL) {
            snprintf(why, VIEW_PROBLEM_SIZE, "the parameter \"%s\": %s", name, wrong);
            return false;
        }
    }
    return true;
}

size_t view_write_problem(char out[VIEW_PROBLEM_SIZE], uint16_t status, const char *why)
{
    char detail[VIEW_PROBLEM_SIZE - 64];
    snprintf(detail, sizeof detail, "%s", why);
    for (char *at = detail; *at != '\0'; at++) {
        *at = *at == '"' || *at == '\\' ? '\'' : (unsigned char)*at < ' ' ? ' ' : *at;
    }
    return (size_t)snprintf(out, VIEW_PROBLEM_SIZE, "{\"status\":%u,\"detail\":\"%s\"}\n", (unsigned)status, detail);
}

void view_fail(void *user, http_request *r, uint16_t status, const char *why)
{
    (void)user;
    char text[VIEW_PROBLEM_SIZE];
    const size_t len = view_write_problem(text, status, why);
    view_answer(r, status, VIEW_PROBLEM_TYPE, (loom_bytes){(const uint8_t *)text, len}, NULL, 0);
}

/* The fields that every answer has, and up to MORE others. */
enum { ALWAYS = 6, MORE = 3 };

static size_t put_fields(http_field fields[ALWAYS + MORE], const http_field *more, size_t count)
{
    const http_field always[ALWAYS] = {
        {"Content-Security-Policy",
         str_of("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'")},
        {"X-Content-Type-Options", str_of("nosniff")},
        {"X-Frame-Options", str_of("DENY")},
        {"Referrer-Policy", str_of("no-referrer")},
        {"Cross-Origin-Resource-Policy", str_of("same-origin")},
        {"Cache-Control", str_of("no-cache")},
    };
    memcpy(fields, always, sizeof always);
    count = count < MORE ? count : MORE;
    if (count > 0) {
        memcpy(fields + ALWAYS, more, count * sizeof *more);
    }
    return ALWAYS + count;
}

void view_answer(http_request *r, uint16_t status, const char *type, loom_bytes body, const http_field *more, size_t count)
{
    http_field fields[ALWAYS + MORE];
    const size_t field_count = put_fields(fields, more, count);
    http_request_answer(r, &(http_answer){.status = status, .content_type = type, .body = body, .fields = fields,
                                          .field_count = field_count});
}

void view_answer_json(http_request *r, json_t *what)
{
    char *text = what != NULL ? json_dumps(what, JSON_COMPACT) : NULL;
    if (text == NULL) {
        view_fail(NULL, r, 503, "out of memory");
    } else {
        view_answer(r, 200, "application/json", (loom_bytes){(const uint8_t *)text, strlen(text)}, NULL, 0);
    }
    free(text);
    json_decref(what);
}

http_stream *view_answer_stream(http_request *r, const char *type, const http_stream_events *events, void *user)
{
    http_field fields[ALWAYS + MORE];
    const size_t count = put_fields(fields, NULL, 0);
    return http_request_answer_stream(r, &(http_answer){.status = 200, .content_type = type, .fields = fields, .field_count = count},
                                      events, user);
}
