/* SPDX-License-Identifier: Apache-2.0 */
#include "base/url.h"

#include "base/str.h"
#include "base/suggest.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct scheme {
    url_scheme scheme;
    const char *name;
    uint16_t default_port; /* 0: the port has to be written */
    bool has_path;
    const char *example;
} schemes[] = {
    {URL_IPC, "ipc", 0, true, "ipc:///run/loom/loom.sock"},
    {URL_TCP, "tcp", 0, false, "tcp://127.0.0.1:7700"},
    {URL_TLS, "tls+tcp", 0, false, "tls+tcp://127.0.0.1:7700"},
    {URL_WS, "ws", 80, true, "ws://127.0.0.1:7780/loom"},
    {URL_WSS, "wss", 443, true, "wss://127.0.0.1:7780/loom"},
    {URL_HTTP, "http", 80, true, "http://127.0.0.1:4318"},
    {URL_HTTPS, "https", 443, true, "https://collector.example:4318"},
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

__attribute__((format(printf, 2, 3))) static loom_status refuse(char why[URL_ERROR_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, URL_ERROR_SIZE, format, args);
    va_end(args);
    return LOOM_EINVAL;
}

static const struct scheme *describe(url_scheme scheme)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].scheme == scheme) {
            return &schemes[i];
        }
    }
    return NULL;
}

const char *url_scheme_name(url_scheme scheme)
{
    const struct scheme *known = describe(scheme);
    return known != NULL ? known->name : "?";
}

static const char *example_of(unsigned allowed)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (allowed & schemes[i].scheme) {
            return schemes[i].example;
        }
    }
    return "";
}

static loom_status unknown_scheme(loom_str name, unsigned allowed, char why[URL_ERROR_SIZE])
{
    char list[96] = "";
    suggestion near;
    suggestion_init(&near, name);
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (allowed & schemes[i].scheme) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", schemes[i].name);
            suggestion_consider(&near, schemes[i].name);
        }
    }
    const char *guess = suggestion_result(&near);
    int shown = name.len > 32 ? 32 : (int)name.len;
    if (guess != NULL) {
        return refuse(why, "the scheme \"%.*s\" is not one of %s; did you mean \"%s\"?", shown, name.data, list, guess);
    }
    return refuse(why, "the scheme \"%.*s\" is not one of %s", shown, name.data, list);
}

static loom_status find_scheme(const struct scheme **out, loom_str name, unsigned allowed, char why[URL_ERROR_SIZE])
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if ((allowed & schemes[i].scheme) && str_is_any_case(name, schemes[i].name)) {
            *out = &schemes[i];
            return LOOM_OK;
        }
    }
    return unknown_scheme(name, allowed, why);
}

static loom_status parse_ipc(url *out, const char *path, char why[URL_ERROR_SIZE])
{
    if (path[0] != '/') {
        return refuse(why, "an ipc URL needs an absolute path, like ipc:///run/loom/loom.sock (three slashes)");
    }
    size_t length = strlen(path);
    if (length > URL_IPC_PATH_MAX) {
        return refuse(why, "the socket path has %zu bytes, and a Unix socket takes %d", length, URL_IPC_PATH_MAX);
    }
    if (path[length - 1] == '/') {
        return refuse(why, "the path names a directory, not a socket");
    }
    memcpy(out->path, path, length + 1);
    return LOOM_OK;
}

static loom_status parse_port(uint16_t *out, loom_str digits, unsigned allowed, char why[URL_ERROR_SIZE])
{
    unsigned long port = 0;
    if (digits.len == 0) {
        return refuse(why, "the port is missing after the colon");
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || i >= 6) {
            return refuse(why, "the port \"%.*s\" is not a number from 0 to 65535",
                          digits.len > 32 ? 32 : (int)digits.len, digits.data);
        }
        port = port * 10 + (unsigned long)(digits.data[i] - '0');
    }
    if (port > 65535) {
        return refuse(why, "the port %lu is over 65535", port);
    }
    if (port == 0 && (allowed & URL_DIAL)) {
        return refuse(why, "port 0 is any free one to listen on; to connect takes the port itself");
    }
    *out = (uint16_t)port;
    return LOOM_OK;
}

/* Letters, digits, '-', '.' and '_' (which real host names hold); a lone '*' is every address. */
static bool host_name_is_plain(const char *host)
{
    if (strcmp(host, "*") == 0) {
        return true;
    }
    for (const char *at = host; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("-._", *at) == NULL) {
            return false;
        }
    }
    return true;
}

static bool looks_like_ipv4(const char *host)
{
    return host[strspn(host, "0123456789.")] == '\0';
}

/* An address, and for link-local ones perhaps the interface: fe80::1%eth0. */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr six;
    size_t length = strcspn(host, "%");
    if (length >= sizeof address || strcmp(host + length, "%") == 0) {
        return false;
    }
    memcpy(address, host, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &six) == 1;
}

static loom_status take_host(url *out, loom_str host, bool bracketed, unsigned allowed, char why[URL_ERROR_SIZE])
{
    if (host.len == 0 && (allowed & URL_DIAL)) {
        return refuse(why, "the host is missing");
    }
    if (host.len == 0) {
        return refuse(why, "the host is missing; 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 address");
    }
    if (host.len >= URL_HOST_SIZE) {
        return refuse(why, "the host has %zu characters, and a name takes %d", host.len, URL_HOST_SIZE - 1);
    }
    memcpy(out->host, host.data, host.len);
    out->host[host.len] = '\0';
    out->host_is_ipv6 = bracketed;
    struct in_addr four;
    if (bracketed && !is_ipv6(out->host)) {
        return refuse(why, "what stands in the brackets is not an IPv6 address");
    }
    if ((allowed & URL_DIAL) && strcmp(out->host, "*") == 0) {
        return refuse(why, "the host \"*\" is every address to listen on; to connect takes one");
    }
    if (!bracketed && !host_name_is_plain(out->host)) {
        return refuse(why, "the host is neither a name nor an address");
    }
    if (!bracketed && looks_like_ipv4(out->host) && inet_pton(AF_INET, out->host, &four) != 1) {
        return refuse(why, "the host is not a complete IPv4 address");
    }
    return LOOM_OK;
}

/* authority = HOST or [IPV6], with or without :PORT */
static loom_status parse_authority(url *out, const struct scheme *scheme, loom_str authority, unsigned allowed,
                                   char why[URL_ERROR_SIZE])
{
    if (memchr(authority.data, '@', authority.len) != NULL) {
        return refuse(why, "a user name in the URL is not supported");
    }
    bool bracketed = authority.len > 0 && authority.data[0] == '[';
    loom_str host = authority;
    const char *colon;
    if (bracketed) {
        const char *close = memchr(authority.data, ']', authority.len);
        if (close == NULL) {
            return refuse(why, "the bracket of the IPv6 address is not closed");
        }
        host = (loom_str){authority.data + 1, (size_t)(close - authority.data) - 1};
        colon = (size_t)(close - authority.data) + 1 < authority.len ? close + 1 : NULL;
        if (colon != NULL && *colon != ':') {
            return refuse(why, "after the bracket a colon and a port have to follow");
        }
    } else {
        colon = memchr(authority.data, ':', authority.len);
        if (colon != NULL && memchr(colon + 1, ':', authority.len - (size_t)(colon + 1 - authority.data)) != NULL) {
            return refuse(why, "an IPv6 address has to stand in brackets, like [::1]:7700");
        }
        if (colon != NULL) {
            host.len = (size_t)(colon - authority.data);
        }
    }
    loom_status st = take_host(out, host, bracketed, allowed, why);
    if (st != LOOM_OK) {
        return st;
    }
    if (colon != NULL) {
        loom_str digits = {colon + 1, authority.len - (size_t)(colon + 1 - authority.data)};
        return parse_port(&out->port, digits, allowed, why);
    }
    if (scheme->default_port == 0) {
        return refuse(why, "the port is missing, as in %s%s", scheme->example,
                      (allowed & URL_DIAL) ? "" : "; 0 takes any free one");
    }
    out->port = scheme->default_port;
    return LOOM_OK;
}

static loom_status check_characters(const char *text, char why[URL_ERROR_SIZE])
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at <= ' ' || *at == 0x7f) {
            return refuse(why, "a URL holds no spaces or control characters");
        }
    }
    return LOOM_OK;
}

static loom_status parse(url *out, const char *text, unsigned allowed, char why[URL_ERROR_SIZE])
{
    if (text[0] == '\0') {
        return refuse(why, "the URL is empty");
    }
    if (strlen(text) >= URL_MAX) {
        return refuse(why, "the URL has more than %d bytes", URL_MAX - 1);
    }
    loom_status st = check_characters(text, why);
    if (st != LOOM_OK) {
        return st;
    }
    const char *after = strstr(text, "://");
    if (after == NULL) {
        return refuse(why, "this is not a URL; one looks like %s", example_of(allowed));
    }
    const struct scheme *scheme = NULL;
    if ((st = find_scheme(&scheme, (loom_str){text, (size_t)(after - text)}, allowed, why)) != LOOM_OK) {
        return st;
    }
    out->scheme = scheme->scheme;
    after += 3;
    if (scheme->scheme == URL_IPC) {
        return parse_ipc(out, after, why);
    }
    size_t length = strcspn(after, "/?#");
    if ((st = parse_authority(out, scheme, (loom_str){after, length}, allowed, why)) != LOOM_OK) {
        return st;
    }
    const char *path = after + length;
    if (strchr(path, '#') != NULL) {
        return refuse(why, "a fragment (#…) has no meaning here");
    }
    if (!scheme->has_path && path[0] != '\0' && strcmp(path, "/") != 0) {
        return refuse(why, "%s takes no path after the port", scheme->name);
    }
    if (scheme->has_path) {
        snprintf(out->path, sizeof out->path, "%s%s", path[0] == '/' ? "" : "/", path);
    }
    return LOOM_OK;
}

loom_status url_parse(url *out, const char *text, unsigned allowed, char why[URL_ERROR_SIZE])
{
    memset(out, 0, sizeof *out);
    why[0] = '\0';
    loom_status st = parse(out, text, allowed, why);
    if (st != LOOM_OK) {
        memset(out, 0, sizeof *out);
    }
    return st;
}

loom_status url_format(char *out, size_t size, const url *u)
{
    int length;
    if (u->scheme == URL_IPC) {
        length = snprintf(out, size, "ipc://%s", u->path);
    } else {
        length = snprintf(out, size, "%s://%s%s%s:%u%s", url_scheme_name(u->scheme), u->host_is_ipv6 ? "[" : "", u->host,
                          u->host_is_ipv6 ? "]" : "", (unsigned)u->port, u->path);
    }
    return length >= 0 && (size_t)length < size ? LOOM_OK : LOOM_ETOOBIG;
}

bool url_is_loopback(const url *u)
{
    if (u->scheme == URL_IPC) {
        return true;
    }
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, u->host, &four) == 1) {
        return (ntohl(four.s_addr) >> 24) == 127;
    }
    if (inet_pton(AF_INET6, u->host, &six) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
    }
    return strcasecmp(u->host, "localhost") == 0;
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

void url_show(char out[URL_SHOWN_SIZE], const char *endpoint)
{
    loom_str authority = authority_of(endpoint);
    const char *at = end_of_userinfo(authority);
    const char *rest = at != NULL ? at : endpoint;
    int user = 0;
    if (at != NULL) {
        const char *colon = memchr(authority.data, ':', (size_t)(at - authority.data));
        user = (int)((colon != NULL ? colon + 1 : authority.data) - endpoint);
    }
    size_t shown = strcspn(rest, "?#");
    (void)snprintf(out, URL_SHOWN_SIZE, "%.*s%s%.*s%s", user, endpoint, at != NULL ? "***" : "", (int)shown, rest,
                   rest[shown] == '?' ? "?***" : "");
    for (char *c = out; *c != '\0'; c++) { /* it ends in somebody's log */
        *c = *c >= ' ' && *c < 0x7f ? *c : '?';
    }
}
