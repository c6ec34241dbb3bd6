/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *prefix;
    link_scheme scheme;
    const char *port; /* NULL: has to be given */
} schemes[] = {
    {"ipc://", LINK_IPC, NULL}, {"tcp://", LINK_TCP, NULL},  {"tls+tcp://", LINK_TLS, NULL},
    {"ws://", LINK_WS, "80"},   {"wss://", LINK_WSS, "443"},
};

static loom_status refuse(char why[LINK_WHY_SIZE], const char *what)
{
    snprintf(why, LINK_WHY_SIZE, "%s", what);
    return LOOM_EINVAL;
}

static loom_status parse_path(link_url *out, const char *path, char why[LINK_WHY_SIZE])
{
    if (path[0] != '/') {
        return refuse(why, "the path of an ipc URL begins with '/', as in ipc:///run/loom.sock");
    }
    size_t len = strlen(path);
    if (len >= LINK_PATH_SIZE) {
        return refuse(why, "the path of a unix socket has at most 107 bytes");
    }
    memcpy(out->path, path, len + 1);
    return LOOM_OK;
}

static loom_status parse_port(link_url *out, const char *port, size_t len, char why[LINK_WHY_SIZE])
{
    unsigned long value = 0;
    if (len == 0 || len >= LINK_PORT_SIZE) {
        return refuse(why, "the port is missing or too long");
    }
    for (size_t i = 0; i < len; i++) {
        if (port[i] < '0' || port[i] > '9') {
            return refuse(why, "the port is not a number");
        }
        value = value * 10 + (unsigned long)(port[i] - '0');
    }
    if (value == 0 || value > 65535) {
        return refuse(why, "the port is not between 1 and 65535");
    }
    snprintf(out->port, LINK_PORT_SIZE, "%lu", value);
    return LOOM_OK;
}

/* HOST:PORT, with an IPv6 address in brackets, up to the end or a '/'. */
static loom_status parse_authority(link_url *out, const char *rest, const char *default_port, char why[LINK_WHY_SIZE])
{
    size_t len = strcspn(rest, "/?#");
    bool has_path = rest[len] != '\0';
    if (has_path && (out->scheme == LINK_TCP || out->scheme == LINK_TLS)) {
        return refuse(why, "nothing may follow the port");
    }
    const char *host = rest, *end = rest + len, *host_end;
    if (*host == '[') {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (host_end == NULL) {
            return refuse(why, "the bracket of the IPv6 address is not closed");
        }
        rest = host_end + 1;
    } else {
        host_end = memchr(host, ':', len);
        host_end = host_end != NULL ? host_end : end;
        rest = host_end;
    }
    size_t host_len = (size_t)(host_end - host);
    if (host_len == 0 || host_len >= LINK_HOST_SIZE) {
        return refuse(why, "the host is missing or too long");
    }
    memcpy(out->host, host, host_len);
    out->host[host_len] = '\0';
    if (rest == end && default_port != NULL) {
        return parse_port(out, default_port, strlen(default_port), why);
    }
    if (rest == end || *rest != ':') {
        return refuse(why, "the port is missing, as in tcp://127.0.0.1:7411");
    }
    return parse_port(out, rest + 1, (size_t)(end - rest - 1), why);
}

loom_status link_url_parse(link_url *out, const char *text, char why[LINK_WHY_SIZE])
{
    memset(out, 0, sizeof *out);
    size_t len = strlen(text);
    if (len >= LINK_URL_MAX) {
        return refuse(why, "the URL is over 1023 bytes");
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f) {
            return refuse(why, "the URL holds a space or a control character");
        }
    }
    memcpy(out->text, text, len + 1);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t prefix = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, prefix) == 0) {
            out->scheme = schemes[i].scheme;
            return out->scheme == LINK_IPC ? parse_path(out, text + prefix, why)
                                           : parse_authority(out, text + prefix, schemes[i].port, why);
        }
    }
    return refuse(why, "the URL begins with none of ipc://, tcp://, tls+tcp://, ws://, wss://");
}

void link_url_default(char out[LINK_URL_MAX])
{
    const char *url = getenv("LOOM_URL");
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (url != NULL && url[0] != '\0') {
        snprintf(out, LINK_URL_MAX, "%s", url);
    } else if (base != NULL && base[0] == '/' && strlen(base) < LINK_PATH_SIZE - sizeof "/loom/loom.sock") {
        snprintf(out, LINK_URL_MAX, "ipc://%s%sloom/loom.sock", base, base[strlen(base) - 1] == '/' ? "" : "/");
    } else {
        snprintf(out, LINK_URL_MAX, "ipc:///tmp/loom-%lu/loom.sock", (unsigned long)geteuid());
    }
}
