/* SPDX-License-Identifier: Apache-2.0 */
/* From an OTLP endpoint to the URL that is posted to (OpenTelemetry, OTLP exporter, "Endpoint URLs for OTLP/HTTP"). */
#include "base/str.h"
#include "trace/export/curl_library.h"
#include "trace/export/exporter.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define HTTP_PATH "/v1/traces"
#define GRPC_DEFAULT "http://localhost:4317"
#define HTTP_DEFAULT "http://localhost:4318"

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

/* base + v1/traces, whether or not the base ends with a slash, or says v1/traces itself. */
static char *traces_path(const char *base)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    char *path;
    int n = asprintf(&path, "%.*s%s", (int)len, base, ends_with(base, len, HTTP_PATH) ? "" : HTTP_PATH);
    return n < 0 ? NULL : path;
}

static loom_status set_path(const curl_library *curl, CURLU *url, const loom_span_processor_options *options)
{
    if (options->exporter == LOOM_EXPORTER_OTLP_GRPC) { /* the method's path and nothing else */
        return curl->url_set(url, CURLUPART_PATH, GRPC_PATH, 0) == CURLUE_OK &&
               curl->url_set(url, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
               curl->url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK ? LOOM_OK : LOOM_ENOMEM;
    }
    if (options->endpoint_is_exact) {
        return LOOM_OK;
    }
    char *base = NULL;
    if (curl->url_get(url, CURLUPART_PATH, &base, 0) != CURLUE_OK) {
        return LOOM_ENOMEM;
    }
    char *path = traces_path(base);
    curl->free(base);
    loom_status st = path != NULL && curl->url_set(url, CURLUPART_PATH, path, 0) == CURLUE_OK ? LOOM_OK : LOOM_ENOMEM;
    free(path);
    return st;
}

static bool is_http(const curl_library *curl, CURLU *url)
{
    char *scheme = NULL;
    if (curl->url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        return false;
    }
    bool http = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
    curl->free(scheme);
    return http;
}

/* What stands between the scheme and the path: [userinfo@]host[:port]. */
static loom_str authority_of(const char *endpoint)
{
    const char *scheme = strstr(endpoint, "://");
    const char *from = scheme != NULL ? scheme + 3 : endpoint;
    return (loom_str){from, strcspn(from, "/?#")};
}

static const char *end_of_userinfo(loom_str authority)
{
    return authority.len > 0 ? memrchr(authority.data, '@', authority.len) : NULL;
}

static bool is_127(const char *host, size_t len)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool endpoint_is_loopback(const char *url)
{
    const loom_str authority = str_trim(authority_of(url));
    const char *at = end_of_userinfo(authority);
    const char *host = at != NULL ? at + 1 : authority.data;
    size_t len = authority.len - (size_t)(host - authority.data);
    if (len > 0 && host[0] == '[') {
        const char *end = memchr(host, ']', len);
        return end != NULL && end - host == 4 && memcmp(host, "[::1", 4) == 0;
    }
    const char *colon = len > 0 ? memchr(host, ':', len) : NULL;
    len = colon != NULL ? (size_t)(colon - host) : len;
    return (len == 9 && strncasecmp(host, "localhost", 9) == 0) || is_127(host, len);
}

/* Without the blanks around it; host:port, as gRPC takes it, gets a scheme. On the heap. NULL: no memory. */
static char *with_scheme(const loom_span_processor_options *options)
{
    const loom_str given = str_trim(str_of(options->endpoint));
    const char *scheme = strstr(options->endpoint, "://") != NULL ? "" : options->secure ? "https://" : "http://";
    char *text;
    return asprintf(&text, "%s%.*s", scheme, (int)given.len, given.data) < 0 ? NULL : text;
}

/* ---- what nearly every endpoint is ---- */

static bool is_plain_host(loom_str host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    struct in_addr address;
    bool number = true;
    for (size_t i = 0; i < host.len; i++) {
        if (memchr(letters, host.data[i], sizeof letters - 1) == NULL) {
            return false;
        }
        number = number && (host.data[i] == '.' || (host.data[i] >= '0' && host.data[i] <= '9'));
    }
    char text[INET_ADDRSTRLEN];
    if (!number || host.len == 0 || host.len >= sizeof text) {
        return host.len > 0 && !number && host.data[host.len - 1] > '9'; /* a last label of digits may be part of an address */
    }
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

static bool is_plain_port(loom_str port)
{
    unsigned long number = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (port.data[i] < '0' || port.data[i] > '9' || (i == 0 && port.data[i] == '0')) {
            return false;
        }
        number = number * 10 + (unsigned long)(port.data[i] - '0');
    }
    return port.len > 0 && port.len <= 5 && number <= UINT16_MAX;
}

/* Without anything to be decoded, normalised or refused. */
static bool is_plain_path(const char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-.";
    return path[strspn(path, letters)] == '\0' && strstr(path, "/.") == NULL;
}

static char *plain_path(const char *path, const loom_span_processor_options *options)
{
    if (options->exporter == LOOM_EXPORTER_OTLP_GRPC) {
        return strdup(GRPC_PATH);
    }
    return options->endpoint_is_exact ? strdup(path[0] != '\0' ? path : "/") : traces_path(path);
}

/* http[s]://HOST[:PORT][/PATH] and nothing unusual: libcurl, which knows all the rest, takes ten milliseconds to load. */
static bool is_plain(const char *given)
{
    if (strncmp(given, "http://", 7) != 0 && strncmp(given, "https://", 8) != 0) {
        return false;
    }
    const loom_str authority = authority_of(given);
    const char *colon = authority.len > 0 ? memchr(authority.data, ':', authority.len) : NULL;
    const size_t host_len = colon != NULL ? (size_t)(colon - authority.data) : authority.len;
    return is_plain_host((loom_str){authority.data, host_len}) &&
           (colon == NULL || is_plain_port((loom_str){colon + 1, authority.len - host_len - 1})) &&
           is_plain_path(authority.data + authority.len);
}

static loom_status plain_url(char **out, const char *given, const loom_span_processor_options *options)
{
    const loom_str authority = authority_of(given);
    const char *rest = authority.data + authority.len;
    char *path = plain_path(rest, options);
    const int n = path != NULL ? asprintf(out, "%.*s%s", (int)(rest - given), given, path) : -1;
    free(path);
    *out = n >= 0 ? *out : NULL;
    return n >= 0 ? LOOM_OK : LOOM_ENOMEM;
}

/* ---- all of them ---- */

static loom_status any_url(char **out, const char *given, const loom_span_processor_options *options)
{
    const curl_library *curl = curl_library_get();
    CURLU *url = curl != NULL ? curl->url() : NULL;
    if (url == NULL) {
        return curl == NULL ? LOOM_EIO : LOOM_ENOMEM;
    }
    loom_status st = LOOM_EINVAL;
    const CURLUcode code = curl->url_set(url, CURLUPART_URL, given, 0);
    if (code == CURLUE_OUT_OF_MEMORY) {
        st = LOOM_ENOMEM;
    } else if (code == CURLUE_OK && is_http(curl, url)) {
        st = set_path(curl, url, options);
    }
    char *text = NULL;
    if (st == LOOM_OK && curl->url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK) {
        st = LOOM_ENOMEM;
    }
    curl->url_cleanup(url);
    if (st == LOOM_OK) {
        *out = strdup(text); /* ours to free() like any other string */
        st = *out != NULL ? LOOM_OK : LOOM_ENOMEM;
    }
    curl->free(text);
    return st;
}

loom_status endpoint_url(char **out, const loom_span_processor_options *options)
{
    *out = NULL;
    const char *endpoint = options->endpoint;
    if (endpoint == NULL || endpoint[0] == '\0') {
        *out = strdup(options->exporter == LOOM_EXPORTER_OTLP_GRPC ? GRPC_DEFAULT GRPC_PATH : HTTP_DEFAULT HTTP_PATH);
        return *out != NULL ? LOOM_OK : LOOM_ENOMEM;
    }
    char *given = with_scheme(options);
    if (given == NULL) {
        return LOOM_ENOMEM;
    }
    const loom_status st = is_plain(given) ? plain_url(out, given, options) : any_url(out, given, options);
    free(given);
    return st;
}
