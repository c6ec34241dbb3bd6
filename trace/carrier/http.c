/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of HTTP requests, at either end. */
#include <loom/http.h>
#include <loom/pipeline.h>

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "trace/pipeline/mask_text.h"

enum { ATTRS_MAX = 14, NAME_SIZE = 256, MASKED_SIZE = 2048, PORT_DIGITS = 5 };

/* ---- attributes ---- */

typedef struct attr_list {
    loom_attr items[ATTRS_MAX];
    size_t count;
} attr_list;

static void add_str(attr_list *list, const char *key, loom_str value)
{
    if (value.len > 0) {
        list->items[list->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
    }
}

static void add_int(attr_list *list, const char *key, int64_t value)
{
    if (value > 0) {
        list->items[list->count++] = (loom_attr){.key = key, .type = LOOM_ATTR_INT, .value.integer = value};
    }
}

/* RFC 9110, section 9.3, and PATCH: the names that may be the value of an attribute (low cardinality). */
static bool is_known_method(loom_str method)
{
    static const char *const known[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_is(method, known[i])) {
            return true;
        }
    }
    return false;
}

static void add_method(attr_list *list, loom_str method)
{
    const bool known = is_known_method(method);
    add_str(list, "http.request.method", known ? method : str_of("_OTHER"));
    if (!known) {
        add_str(list, "http.request.method_original", method);
    }
}

/* "GET /users/{id}", "GET", or "HTTP" for a method that nobody knows. */
static void write_name(char out[NAME_SIZE], loom_str method, const char *route)
{
    const loom_str shown = is_known_method(method) ? method : str_of("HTTP");
    snprintf(out, NAME_SIZE, "%.*s%s%s", (int)shown.len, shown.data, route != NULL ? " " : "", route != NULL ? route : "");
}

/* host[:port], [v6][:port] */
static loom_str split_port(loom_str host, uint16_t *port)
{
    size_t at = host.len;
    unsigned long number = 0;
    *port = 0;
    while (at > 0 && host.len - at < PORT_DIGITS && host.data[at - 1] >= '0' && host.data[at - 1] <= '9') {
        at--;
    }
    if (at > 0 && at < host.len && host.data[at - 1] == ':') {
        for (size_t i = at; i < host.len; i++) {
            number = number * 10 + (unsigned long)(host.data[i] - '0');
        }
        *port = number <= UINT16_MAX ? (uint16_t)number : 0;
        host.len = at - 1;
    }
    if (host.len > 1 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = (loom_str){host.data + 1, host.len - 2};
    }
    return host;
}

static uint16_t default_port(loom_str scheme)
{
    return str_is_any_case(scheme, "https") ? 443 : str_is_any_case(scheme, "http") ? 80 : 0;
}

static void add_server(attr_list *list, loom_str host, loom_str scheme)
{
    uint16_t port;
    add_str(list, "server.address", split_port(host, &port));
    if (host.len > 0) {
        add_int(list, "server.port", port != 0 ? port : default_port(scheme));
    }
}

/* ---- masking ---- */

typedef struct masking {
    char *out;
    size_t len;
    size_t at; /* of the text: what is before it has been copied */
    loom_str text;
} masking;

static void copy(masking *m, const char *data, size_t len)
{
    len = len < MASKED_SIZE - m->len ? len : MASKED_SIZE - m->len;
    if (len > 0) {
        memcpy(m->out + m->len, data, len);
    }
    m->len += len;
}

static void on_found(void *user, size_t from, size_t to, const char *replacement)
{
    masking *m = user;
    copy(m, m->text.data + m->at, from - m->at);
    copy(m, replacement, strlen(replacement));
    m->at = to;
}

/* Parameters that sign a URL: the four that "HTTP Spans" names (url.query, url.full), and that of AWS's version 4. In other
 * texts these names are too common to be secrets, so they are no rule of mask_text.c. */
static bool is_signature(loom_str name)
{
    static const char *const names[] = {"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is_any_case(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Copies a text whose query is query; cut to what fits. */
static loom_str redact(char out[MASKED_SIZE], loom_str text, loom_str query)
{
    masking m = {.out = out, .text = text};
    loom_str pair;
    while (str_next_item(&query, '&', &pair)) {
        const char *equals = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
        if (equals != NULL && is_signature((loom_str){pair.data, (size_t)(equals - pair.data)})) {
            on_found(&m, (size_t)(equals + 1 - text.data), (size_t)(pair.data + pair.len - text.data), "REDACTED");
        }
    }
    if (text.len > 0) {
        copy(&m, text.data + m.at, text.len - m.at);
    }
    return (loom_str){out, m.len};
}

/* Cut to what fits. */
static loom_str mask(char out[MASKED_SIZE], const char *key, loom_str text)
{
    static const mask_rules rules = {.kinds = LOOM_MASK_ALL};
    masking m = {.out = out, .text = text};
    if (text.len > 0) {
        mask_scan(&rules, str_of(key), text, on_found, &m);
        copy(&m, text.data + m.at, text.len - m.at);
    }
    return (loom_str){out, m.len};
}

static loom_str mask_query(char out[MASKED_SIZE], loom_str query)
{
    char masked[MASKED_SIZE];
    const loom_str text = mask(masked, "url.query", query);
    return redact(out, text, text);
}

static loom_str mask_url(char out[MASKED_SIZE], loom_str url)
{
    char masked[MASKED_SIZE];
    const loom_str text = mask(masked, "url.full", url);
    const char *mark = text.len > 0 ? memchr(text.data, '?', text.len) : NULL;
    return redact(out, text, mark != NULL ? (loom_str){mark + 1, (size_t)(text.data + text.len - mark) - 1} : (loom_str){0});
}

/* ---- servers ---- */

loom_span *loom_http_server_span(loom_tracer *tracer, const loom_http_request *r, const loom_propagation *from)
{
    static const loom_propagation nothing;
    static const loom_http_request unknown;
    r = r != NULL ? r : &unknown;
    char name[NAME_SIZE], query[MASKED_SIZE];
    attr_list attrs = {.count = 0};
    write_name(name, r->method, r->route);
    add_method(&attrs, r->method);
    add_str(&attrs, "url.path", r->path);
    add_str(&attrs, "url.scheme", r->scheme);
    add_str(&attrs, "http.route", str_of(r->route));
    add_str(&attrs, "url.query", mask_query(query, r->query));
    add_server(&attrs, r->host, r->scheme);
    add_str(&attrs, "client.address", r->client_address.len > 0 ? r->client_address : r->peer_address);
    add_str(&attrs, "network.peer.address", r->peer_address);
    add_int(&attrs, "network.peer.port", r->peer_port);
    add_str(&attrs, "user_agent.original", r->user_agent);
    add_str(&attrs, "network.protocol.version", r->protocol_version);
    loom_span_options options = loom_propagation_span_options(from != NULL ? from : &nothing, LOOM_SPAN_SERVER);
    options.attrs = attrs.items;
    options.attr_count = attrs.count;
    return loom_span_start(tracer, name, &options);
}

static void set_status(loom_span *span, unsigned status, const char *error, unsigned failed_from)
{
    char digits[12];
    if (status != 0) {
        loom_span_set_int(span, "http.response.status_code", status);
    }
    if (status == 0 ? error == NULL : status < failed_from) {
        return;
    }
    snprintf(digits, sizeof digits, "%u", status);
    loom_span_set_string(span, "error.type", error != NULL ? error : digits);
    loom_span_set_status(span, LOOM_SPAN_ERROR, NULL);
}

void loom_http_server_status(loom_span *span, unsigned status, const char *error)
{
    set_status(span, status, error, 500);
}

void loom_http_server_timing(char out[LOOM_SERVER_TIMING_SIZE], const loom_trace_context *context)
{
    char parent[LOOM_TRACEPARENT_SIZE];
    if (out == NULL) {
        return;
    }
    if (context == NULL) {
        out[0] = '\0';
        return;
    }
    loom_traceparent_format(parent, context);
    snprintf(out, LOOM_SERVER_TIMING_SIZE, "trace;desc=\"%s\"", parent);
}

/* ---- clients ---- */

static loom_str authority_of(loom_str url, loom_str *scheme)
{
    const char *mark = memmem(url.data, url.len, "://", 3);
    *scheme = (loom_str){url.data, mark != NULL ? (size_t)(mark - url.data) : 0};
    loom_str rest = mark != NULL ? (loom_str){mark + 3, url.len - scheme->len - 3} : url;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] == '/' || rest.data[i] == '?' || rest.data[i] == '#') {
            rest.len = i;
        }
    }
    const char *user = rest.len > 0 ? memrchr(rest.data, '@', rest.len) : NULL;
    return user == NULL ? rest : (loom_str){user + 1, (size_t)(rest.data + rest.len - user) - 1};
}

loom_span *loom_http_client_span(loom_tracer *tracer, const char *method, const char *url, unsigned attempt)
{
    char name[NAME_SIZE], full[MASKED_SIZE];
    attr_list attrs = {.count = 0};
    const loom_str verb = str_of(method);
    loom_str text = str_of(url), scheme = {0};
    loom_str authority = text.len > 0 ? authority_of(text, &scheme) : (loom_str){0};
    write_name(name, verb, NULL);
    add_method(&attrs, verb);
    add_str(&attrs, "url.full", mask_url(full, text));
    add_server(&attrs, authority, scheme);
    add_int(&attrs, "http.request.resend_count", attempt);
    return loom_span_start(tracer, name, &(loom_span_options){.kind = LOOM_SPAN_CLIENT, .attrs = attrs.items,
                                                              .attr_count = attrs.count});
}

void loom_http_client_status(loom_span *span, unsigned status, const char *error)
{
    set_status(span, status, error, 400);
}
