/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "host/net/sp/internal.h"

static const char ABSTRACT[] = "abstract://";

/* A name of the kernel's, without a file. nng takes escapes in it; names that need none do here. */
static loom_status parse_abstract(sp_url *out, const char *name, char why[URL_ERROR_SIZE])
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->address.addr;
    size_t len = strlen(name);
    if (len == 0 || len > sizeof un->sun_path - 1) {
        snprintf(why, URL_ERROR_SIZE, "an abstract name has 1 to %zu bytes", sizeof un->sun_path - 1);
        return LOOM_EINVAL;
    }
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("%?#", *at) != NULL) {
            snprintf(why, URL_ERROR_SIZE, "an abstract name is printable ASCII without spaces, %%, ? and #");
            return LOOM_EINVAL;
        }
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + 1, name, len);
    out->address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    out->ipc = true;
    out->abstract_name = name;
    return LOOM_OK;
}

static void take_path(sp_url *out, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->address.addr;
    size_t len = strlen(path); /* at most URL_IPC_PATH_MAX, which url_parse() has seen to */
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    out->address.len = sizeof *un;
    out->ipc = true;
}

static void take_host(sp_url *out)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&out->address.addr;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->address.addr;
    out->any = strcmp(out->tcp.host, "*") == 0;
    if (inet_pton(AF_INET, out->tcp.host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(out->tcp.port);
        out->address.len = sizeof *four;
    } else if (inet_pton(AF_INET6, out->tcp.host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(out->tcp.port);
        out->address.len = sizeof *six;
    } else {
        out->named = !out->any;
    }
}

loom_status sp_url_parse(sp_url *out, const char *text, char why[URL_ERROR_SIZE])
{
    memset(out, 0, sizeof *out);
    why[0] = '\0';
    if (text == NULL || strlen(text) >= SP_URL_SIZE) {
        snprintf(why, URL_ERROR_SIZE, text == NULL ? "the URL is missing" : "the URL has more than %d bytes", SP_URL_SIZE - 1);
        return LOOM_EINVAL;
    }
    if (strncmp(text, ABSTRACT, sizeof ABSTRACT - 1) == 0) {
        return parse_abstract(out, text + sizeof ABSTRACT - 1, why);
    }
    loom_status st = url_parse(&out->tcp, text, URL_IPC | URL_TCP, why);
    if (st != LOOM_OK) {
        return st;
    }
    if (out->tcp.scheme == URL_IPC) {
        take_path(out, out->tcp.path);
    } else {
        take_host(out);
    }
    return LOOM_OK;
}

void sp_address_name(const struct sockaddr *addr, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = addr->sa_family == AF_INET6;
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    const void *binary = six ? (const void *)&in6->sin6_addr : (const void *)&in4->sin_addr;
    (void)inet_ntop(addr->sa_family, binary, host, sizeof host);
    snprintf(out, size, six ? "tcp:[%s]:%u" : "tcp:%s:%u", host, (unsigned)ntohs(six ? in6->sin6_port : in4->sin_port));
}
